// Start timestamps of samples in XOR2 and histogram ST chunks. One header byte: bit 7 = the first sample has one, bits 0–6 = the index
// of the first sample from which on every sample has one (0 = none has). Stored is "time of the sample before − start time", then its change.
// Source: prometheus tsdb/docs/format/chunks.md, chunkenc/st.go.
import { type BitReader, type BitWriter, highHalf } from './bits.ts'
import { putVarbitInt, readVarbitInt } from './varbit.ts'

/** From this sample on they are written whether they change or not: the header has no room for a later one. */
const fromMax = 0x7f

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

/** Writes them, sample by sample; `header` is the chunk's header byte so far. */
export class StartTimesWriter {
  header = 0
  #last = 0
  #difference = 0
  /** Call after sample `index` (from 0) was written. 0 = unknown. */
  put(writer: BitWriter, index: number, time: number, timeBefore: number, startTime: number): void {
    if (index === 0) {
      if (startTime !== 0) {
        writer.varint64(highHalf(time - startTime), (time - startTime) >>> 0)
        this.header = 0x80
      }
    } else {
      const from = this.header & 0x7f
      const difference = timeBefore - startTime
      if (from > 0) {
        putVarbitInt(writer, difference - this.#difference)
        this.#difference = difference
      } else if (startTime !== this.#last || index === fromMax) {
        this.header |= index
        putVarbitInt(writer, difference)
        this.#difference = difference
      }
    }
    this.#last = startTime
  }
}
