// Bits in byte ranges, most significant first, as all chunk encodings lay them out. Positions are bit offsets from the start of the array.
import { PromhiveError } from '../../base/errors.ts'

/** Writes the low `count` (0–32) bits of `value` at `position`; the bits there must be zero. Returns the position behind them. */
export function putBits(bytes: Uint8Array, position: number, value: number, count: number): number {
  let at = position >>> 3
  // bits still to write after the byte they begin in; negative where that byte has room to spare
  let left = count - 8 + (position & 7)
  const bits = count === 32 ? value : value & ((1 << count) - 1)
  if (left <= 0) {
    bytes[at] = bytes[at]! | (bits << -left)
    return position + count
  }
  bytes[at] = bytes[at]! | (bits >>> left)
  while (left >= 8) {
    left -= 8
    bytes[++at] = bits >>> left
  }
  if (left > 0) bytes[at + 1] = bits << (8 - left)
  return position + count
}

/** The low `count` (1–64) bits of a 64-bit value in two halves. */
export function putBits64(bytes: Uint8Array, position: number, high: number, low: number, count: number): number {
  if (count <= 32) return putBits(bytes, position, low, count)
  return putBits(bytes, putBits(bytes, position, high, count - 32), low, 32)
}

/** LEB128 of an unsigned 64-bit number in two halves. */
export function putUvarint64(bytes: Uint8Array, position: number, high: number, low: number): number {
  let at = position
  let h = high >>> 0
  let l = low >>> 0
  while (h !== 0 || l >= 0x80) {
    at = putBits(bytes, at, (l & 0x7f) | 0x80, 8)
    l = ((l >>> 7) | (h << 25)) >>> 0
    h >>>= 7
  }
  return putBits(bytes, at, l, 8)
}

/** Zig-zag LEB128 of a signed 64-bit number. */
export function putVarint64(bytes: Uint8Array, position: number, high: number, low: number): number {
  const sign = high >> 31
  return putUvarint64(bytes, position, ((high << 1) | (low >>> 31)) ^ sign, (low << 1) ^ sign)
}

/** The upper half (signed) of a safe integer in two's complement; the lower half is `value >>> 0`. */
export function highHalf(value: number): number {
  return Math.floor(value / 4294967296) | 0
}

/** A growing bit stream. `bytes` beyond the position are zero. */
export class BitWriter {
  bytes: Uint8Array
  /** In bits. */
  position: number
  constructor(headerBytes: number, capacity = 256) {
    this.bytes = new Uint8Array(capacity)
    this.position = headerBytes * 8
  }
  /** Room for `count` more bytes. */
  reserve(count: number): void {
    const need = (this.position >>> 3) + 1 + count
    if (need <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(need, this.bytes.length * 2))
    grown.set(this.bytes)
    this.bytes = grown
  }
  put(value: number, count: number): void {
    this.reserve(4)
    this.position = putBits(this.bytes, this.position, value, count)
  }
  put64(high: number, low: number, count: number): void {
    this.reserve(8)
    this.position = putBits64(this.bytes, this.position, high, low, count)
  }
  varint64(high: number, low: number): void {
    this.reserve(10)
    this.position = putVarint64(this.bytes, this.position, high, low)
  }
  uvarint64(high: number, low: number): void {
    this.reserve(10)
    this.position = putUvarint64(this.bytes, this.position, high, low)
  }
  /** What was written, padded to whole bytes; a copy. */
  written(): Uint8Array {
    return this.bytes.slice(0, (this.position + 7) >>> 3)
  }
}

/**
 * Reads a bit stream; every read is checked against the end. 64-bit reads leave their halves in `high` and `low` (both as signed 32-bit numbers),
 * so that nothing is allocated and no bit is lost.
 */
export class BitReader {
  bytes: Uint8Array = noBytes
  position = 0
  end = 0
  high = 0
  low = 0
  reset(bytes: Uint8Array, headerBytes: number): void {
    this.bytes = bytes
    this.position = headerBytes * 8
    this.end = bytes.length * 8
    if (bytes.length < headerBytes) throw this.short(headerBytes * 8)
  }
  short(count: number): PromhiveError {
    return new PromhiveError('DECODE', `cannot decode chunk: ${count} bits wanted at bit ${this.position} of ${this.end}`, {
      bit: this.position,
      bits: this.end,
    })
  }
  bit(): number {
    const at = this.position
    if (at >= this.end) throw this.short(1)
    this.position = at + 1
    return (this.bytes[at >>> 3]! >>> (7 - (at & 7))) & 1
  }
  /** 0–32 bits, unsigned. */
  bits(count: number): number {
    let at = this.position
    if (at + count > this.end) throw this.short(count)
    let value = 0
    let left = count
    while (left > 0) {
      const room = 8 - (at & 7)
      const take = left < room ? left : room
      const part = (this.bytes[at >>> 3]! >>> (room - take)) & ((1 << take) - 1)
      value = (value << take) | part
      at += take
      left -= take
    }
    this.position = at
    return value >>> 0
  }
  /** 0–64 bits into `high` and `low`. */
  bits64(count: number): void {
    if (count > 32) {
      this.high = this.bits(count - 32) | 0
      this.low = this.bits(32) | 0
    } else {
      this.high = 0
      this.low = this.bits(count) | 0
    }
  }
  uvarint64(): void {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bits(8)
      const part = byte & 0x7f
      if (shift < 32) low |= part << shift
      if (shift > 32) high |= part << (shift - 32)
      else if (shift + 7 > 32) high |= part >>> (32 - shift)
      if (byte < 0x80) {
        if (shift === 63 && part > 1) break
        this.high = high
        this.low = low
        return
      }
    }
    throw new PromhiveError('DECODE', `cannot decode chunk: varint overflows 64 bits at bit ${this.position}`, { bit: this.position })
  }
  varint64(): void {
    this.uvarint64()
    const sign = -(this.low & 1)
    const low = (this.low >>> 1) | (this.high << 31)
    this.high = (this.high >>> 1) ^ sign
    this.low = low ^ sign
  }
  /** The last 64-bit read as a signed number; throws DECODE where it is not a safe integer. */
  signed(): number {
    const value = this.high * 4294967296 + (this.low >>> 0)
    if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) throw this.tooLarge()
    return value
  }
  /** The last 64-bit read as an unsigned number; rounded above 2^53. */
  unsigned(): number {
    return (this.high >>> 0) * 4294967296 + (this.low >>> 0)
  }
  tooLarge(): PromhiveError {
    return new PromhiveError('DECODE', `cannot decode chunk: number over 2^53 before bit ${this.position}`, { bit: this.position })
  }
}
const noBytes = new Uint8Array(0)
