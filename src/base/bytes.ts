import { PromhiveError } from './errors.ts'

const utf8 = new TextEncoder()
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function utf8Bytes(text: string): Uint8Array {
  return utf8.encode(text)
}

/** Throws a TypeError where the bytes are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string {
  return strict.decode(bytes)
}

/** A growing buffer that is written front to back. Little-endian unless a method says otherwise. */
export class ByteWriter {
  bytes: Uint8Array
  view: DataView
  length = 0
  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }
  reserve(more: number): void {
    const need = this.length + more
    if (need <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(need, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }
  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }
  u16(value: number): void {
    this.reserve(2)
    this.view.setUint16(this.length, value, true)
    this.length += 2
  }
  u32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.length, value, true)
    this.length += 4
  }
  u32be(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.length, value)
    this.length += 4
  }
  f64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.length, value, true)
    this.length += 8
  }
  /** Unsigned LEB128 of a safe integer ≥ 0. */
  uvarint(value: number): void {
    this.reserve(10)
    let v = value
    while (v >= 0x80) {
      this.bytes[this.length++] = (v % 128) | 0x80
      v = Math.floor(v / 128)
    }
    this.bytes[this.length++] = v
  }
  /** Zig-zag LEB128 of a safe integer. */
  varint(value: number): void {
    this.uvarint(Math.abs(value) * 2 - (value < 0 ? 1 : 0))
  }
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }
  /** Length-prefixed UTF-8. */
  text(value: string): void {
    const n = value.length
    if (n < 128) {
      this.reserve(n + 1)
      const at = this.length + 1
      let i = 0
      for (; i < n; i++) {
        const c = value.charCodeAt(i)
        if (c >= 128) break
        this.bytes[at + i] = c
      }
      if (i === n) {
        this.bytes[at - 1] = n
        this.length = at + n
        return
      }
    }
    const encoded = utf8.encode(value)
    this.uvarint(encoded.length)
    this.raw(encoded)
  }
  /** Zero bytes up to a multiple of `size`. */
  align(size: number): void {
    while (this.length % size !== 0) this.u8(0)
  }
  /** The bytes written so far; shares memory with the writer. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }
}

/** The integer a zig-zag number stands for. Without branches: a column's first negative number must not have optimized code thrown away. */
export function unZigZag(value: number): number {
  return Math.ceil(value / 2) * (1 - (value % 2) * 2)
}

/** Reads what a ByteWriter wrote, or any bytes from outside: every read is bounds-checked and throws PromhiveError DECODE with the position. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  position: number
  readonly end: number
  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
    this.end = end
  }
  remaining(): number {
    return this.end - this.position
  }
  need(count: number): void {
    if (count < 0 || this.position + count > this.end) throw this.short(count)
  }
  short(count: number): PromhiveError {
    return new PromhiveError(
      'DECODE',
      `cannot decode: ${count} bytes wanted at offset ${this.position}, ${this.end - this.position} left`,
      {
        offset: this.position,
      },
    )
  }
  u8(): number {
    this.need(1)
    return this.bytes[this.position++]!
  }
  u16(): number {
    this.need(2)
    const value = this.view.getUint16(this.position, true)
    this.position += 2
    return value
  }
  u32(): number {
    this.need(4)
    const value = this.view.getUint32(this.position, true)
    this.position += 4
    return value
  }
  u32be(): number {
    this.need(4)
    const value = this.view.getUint32(this.position)
    this.position += 4
    return value
  }
  f64(): number {
    this.need(8)
    const value = this.view.getFloat64(this.position, true)
    this.position += 8
    return value
  }
  /** Refuses values over 2^53 − 1 and more than 10 bytes. */
  uvarint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 128
    }
    throw new PromhiveError('DECODE', `cannot decode: number too large at offset ${this.position}`, { offset: this.position })
  }
  varint(): number {
    return unZigZag(this.uvarint())
  }
  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    this.need(count)
    const part = this.bytes.subarray(this.position, this.position + count)
    this.position += count
    return part
  }
  text(): string {
    return utf8Text(this.raw(this.uvarint()))
  }
  align(size: number): void {
    while (this.position % size !== 0) this.u8()
  }
}
