// Start timestamps of samples in XOR2 and histogram ST chunks, read only. One header byte: bit 7 = the first sample has one, bits 0–6 = the index
// of the first sample from which on every sample has one (0 = none has). Stored is "time of the sample before − start time", then its change.
// Source: prometheus tsdb/docs/format/chunks.md, chunkenc/st.go.
import type { BitReader } from './bits.ts'
import { readVarbitInt } from './varbit.ts'

export class StartTimes {
  /** Of the sample read last; 0 = unknown. */
  value = 0
  #first = false
  #from = 0
  #difference = 0
  reset(header: number): void {
    this.value = 0
    this.#first = (header & 0x80) !== 0
    this.#from = header & 0x7f
    this.#difference = 0
  }
  /** Call after sample `index` (from 0) was read. */
  read(reader: BitReader, index: number, time: number, timeBefore: number): void {
    if (index === 0) {
      if (!this.#first) return
      reader.varint64()
      this.value = time - reader.signed()
    } else if (this.#from > 0 && index >= this.#from) {
      const read = readVarbitInt(reader)
      this.#difference = index === this.#from ? read : this.#difference + read
      this.value = timeBefore - this.#difference
    }
  }
}
