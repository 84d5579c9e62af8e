// XOR-compressed floats outside XOR chunks: the sum of histograms, and every number of float histograms. Same bits as in XOR chunks.
import { staleHigh, staleLow } from '../../model/staleness.ts'
import type { BitReader, BitWriter } from './bits.ts'
import { putWindow, trailingZeros } from './xor-append.ts'
import { PromhiveError } from '../../base/errors.ts'

const noWindow = 0xff

/** n floats, each with its own window of significant bits. `numbers` and `bits` are the same memory. */
export class XorValues {
  readonly numbers: Float64Array
  readonly bits: Uint32Array
  readonly #leading: Uint8Array
  readonly #trailing: Uint8Array
  constructor(count: number, forReading: boolean) {
    this.numbers = new Float64Array(count)
    this.bits = new Uint32Array(this.numbers.buffer)
    this.#leading = new Uint8Array(count)
    this.#trailing = new Uint8Array(count)
    // a reader starts with the whole number as the window, a writer with none: as upstream
    if (!forReading) this.#leading.fill(noWindow)
  }
  /** Writes value i whole. */
  putFirst(writer: BitWriter, i: number, value: number): void {
    this.#set(i, value)
    writer.put64(this.bits[i * 2 + 1]!, this.bits[i * 2]!, 64)
  }
  readFirst(reader: BitReader, i: number): void {
    reader.bits64(64)
    this.bits[i * 2] = reader.low
    this.bits[i * 2 + 1] = reader.high
  }
  put(writer: BitWriter, i: number, value: number): void {
    const highBefore = this.bits[i * 2 + 1]!
    const lowBefore = this.bits[i * 2]!
    this.#set(i, value)
    const high = highBefore ^ this.bits[i * 2 + 1]!
    const low = lowBefore ^ this.bits[i * 2]!
    if ((high | low) === 0) {
      writer.put(0, 1)
      return
    }
    const leading = Math.min(31, Math.clz32(high))
    const trailing = low !== 0 ? trailingZeros(low) : 32 + trailingZeros(high)
    if (this.#leading[i] !== noWindow && leading >= this.#leading[i]! && trailing >= this.#trailing[i]!) writer.put(2, 2)
    else {
      writer.put(0x1800 | (leading << 6) | ((64 - leading - trailing) & 63), 13)
      this.#leading[i] = leading
      this.#trailing[i] = trailing
    }
    writer.reserve(12)
    writer.position = putWindow(writer.bytes, writer.position, high, low, this.#trailing[i]!, 64 - this.#leading[i]! - this.#trailing[i]!)
  }
  read(reader: BitReader, i: number): void {
    if (reader.bit() === 0) return
    if (reader.bit() === 1) readWindow(reader, this.#leading, this.#trailing, i)
    readWithin(reader, this.bits, this.#leading[i]!, this.#trailing[i]!, i)
  }
  #set(i: number, value: number): void {
    this.numbers[i] = value
    if (this.bits[i * 2] === staleLow && (this.bits[i * 2 + 1]! & ~0x00080000) >>> 0 === staleHigh) this.bits[i * 2 + 1] = staleHigh
  }
}

/** Leading zeros <5> and bit count <6>, 0 meaning 64. */
export function readWindow(reader: BitReader, leading: Uint8Array, trailing: Uint8Array, i: number): void {
  const zeros = reader.bits(5)
  const size = reader.bits(6) || 64
  if (zeros + size > 64) {
    throw new PromhiveError('DECODE', `cannot decode chunk: ${zeros} leading zeros and ${size} bits before bit ${reader.position}`)
  }
  leading[i] = zeros
  trailing[i] = 64 - zeros - size
}

/** Reads the bits of the window and flips them in value i. */
export function readWithin(reader: BitReader, bits: Uint32Array, leading: number, trailing: number, i: number): void {
  const size = 64 - leading - trailing
  reader.bits64(size)
  const { high, low } = reader
  if (trailing === 0) {
    bits[i * 2] = bits[i * 2]! ^ low
    bits[i * 2 + 1] = bits[i * 2 + 1]! ^ high
  } else if (trailing >= 32) bits[i * 2 + 1] = bits[i * 2 + 1]! ^ (low << (trailing - 32))
  else {
    bits[i * 2] = bits[i * 2]! ^ (low << trailing)
    bits[i * 2 + 1] = bits[i * 2 + 1]! ^ ((high << trailing) | (low >>> (32 - trailing)))
  }
}
