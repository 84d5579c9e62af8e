// Reading and writing protobuf field by field, without generated code or objects per message. Every read is checked against the end of the
// message; what is wrong is a PromhiveError DECODE with the offset. Groups are refused; nothing here recurses, so depth costs nothing.
import { PromhiveError } from '../../src/base/errors.ts'
import { ByteWriter } from '../../src/base/bytes.ts'

/** A position in a buffer. The buffer may be longer than the message: `end` is where the message stops. */
export class ProtoReader {
  bytes: Uint8Array
  view: DataView
  at = 0
  end = 0
  constructor(bytes: Uint8Array = new Uint8Array(0), end = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.end = end
  }
  reset(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    this.bytes = bytes
    this.view = view
    this.at = start
    this.end = end
  }

  /** Field number · 8 + wire type; 0 is never a tag. */
  tag(): number {
    const byte = this.bytes[this.at]!
    if (byte < 0x80 && this.at < this.end) {
      this.at++
      if (byte < 8) throw this.problem(`illegal tag ${byte}`, 1)
      return byte
    }
    const tag = this.uint32()
    if (tag < 8) throw this.problem(`illegal tag ${tag}`, 1)
    return tag
  }

  /** The low 32 bits of a varint, unsigned. */
  uint32(): number {
    let at = this.at
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= this.end) throw this.short()
      const byte = this.bytes[at++]!
      if (shift < 32) value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.at = at
        return value >>> 0
      }
    }
    throw this.problem('varint of more than 10 bytes', 0)
  }

  /** A zig-zag number of 32 bits. */
  sint32(): number {
    const value = this.uint32()
    return (value >>> 1) ^ -(value & 1)
  }

  /** A signed 64-bit varint as a number: exact up to 2^53, rounded beyond. */
  int64(): number {
    const bytes = this.bytes
    let at = this.at
    let byte = bytes[at++]!
    let low = byte & 0x7f
    if (byte >= 0x80) {
      byte = bytes[at++]!
      low |= (byte & 0x7f) << 7
      if (byte >= 0x80) {
        byte = bytes[at++]!
        low |= (byte & 0x7f) << 14
        if (byte >= 0x80) {
          byte = bytes[at++]!
          low |= (byte & 0x7f) << 21
          if (byte >= 0x80) {
            byte = bytes[at++]!
            let high = byte & 0x7f
            if (byte >= 0x80) {
              byte = bytes[at++]!
              high |= (byte & 0x7f) << 7
              if (byte >= 0x80) return this.#int64Long(low, high, at)
            }
            if (at > this.end) throw this.short()
            this.at = at
            return low + high * 0x10000000
          }
        }
      }
    }
    if (at > this.end) throw this.short()
    this.at = at
    return low
  }

  /** From the seventh byte on: `low` holds 28 bits, `middle` 14. */
  #int64Long(low: number, middle: number, from: number): number {
    let at = from
    let high = middle
    let top = 0
    for (let i = 6; i < 10; i++) {
      if (at >= this.end) throw this.short()
      const byte = this.bytes[at++]!
      if (i < 8) high |= (byte & 0x7f) << (7 * (i - 4))
      else top |= (byte & 0x7f) << (7 * (i - 8))
      if (byte < 0x80) {
        this.at = at
        // 28 + 28 + 8 bits; bit 63 is the sign. Negative numbers by their complement, so that small ones stay exact
        top &= 0xff
        if (top < 0x80) return low + high * 0x10000000 + top * 2 ** 56
        return -((low ^ 0xfffffff) + (high ^ 0xfffffff) * 0x10000000 + (top ^ 0xff) * 2 ** 56 + 1)
      }
    }
    throw this.problem('varint of more than 10 bytes', 0)
  }

  /** An unsigned 64-bit varint as a number: exact up to 2^53, rounded beyond. */
  uint64(): number {
    const value = this.int64()
    return value < 0 ? value + 2 ** 64 : value
  }

  /** A zig-zag 64-bit varint as a number: exact up to 2^52. */
  sint64(): number {
    const value = this.uint64()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  double(): number {
    const at = this.at
    if (at + 8 > this.end) throw this.short()
    this.at = at + 8
    return this.view.getFloat64(at, true)
  }

  /** Reads the length of a length-delimited field. @returns its end; `at` is its start. */
  span(): number {
    const byte = this.bytes[this.at]!
    if (byte < 0x80 && this.at < this.end) {
      const stop = ++this.at + byte
      if (stop > this.end) throw this.short()
      return stop
    }
    const length = this.uint64()
    const stop = this.at + length
    if (stop > this.end) throw this.problem(`field of ${length} bytes where ${this.end - this.at} are left`, 0)
    return stop
  }

  /** Steps over the value of a field that is not known. */
  skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.int64()
        return
      case 1:
        this.at += 8
        break
      case 2:
        this.at = this.span()
        return
      case 5:
        this.at += 4
        break
      default:
        throw this.problem(`illegal wire type ${tag & 7}`, 1)
    }
    if (this.at > this.end) throw this.short()
  }

  /** The UTF-8 text of a length-delimited field; broken sequences become U+FFFD. */
  text(): string {
    const stop = this.span()
    const text = utf8.decode(this.bytes.subarray(this.at, stop))
    this.at = stop
    return text
  }

  /** A known field came with another wire type than its own. */
  wrongType(tag: number): PromhiveError {
    return this.problem(`wrong wire type ${tag & 7} for field ${tag >>> 3}`, 1)
  }
  problem(what: string, back: number): PromhiveError {
    return new PromhiveError('DECODE', `proto: ${what} at offset ${Math.max(0, this.at - back)}`, { offset: this.at })
  }
  short(): PromhiveError {
    return new PromhiveError('DECODE', `proto: unexpected end of message at offset ${Math.min(this.at, this.end)}`, { offset: this.at })
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Writes protobuf front to back. Zero values are left out, as proto3 does, except by the `always` forms. */
export class ProtoWriter extends ByteWriter {
  int64(field: number, value: number): void {
    if (value === 0) return
    this.uvarint(field * 8)
    this.varint64(value)
  }
  uint64(field: number, value: number): void {
    this.int64(field, value)
  }
  sint64(field: number, value: number): void {
    if (value === 0) return
    this.uvarint(field * 8)
    this.varint(value)
  }
  double(field: number, value: number): void {
    if (value === 0 && !Object.is(value, -0)) return
    this.doubleAlways(field, value)
  }
  doubleAlways(field: number, value: number): void {
    this.uvarint(field * 8 + 1)
    this.f64(value)
  }
  string(field: number, value: string): void {
    if (value === '') return
    this.uvarint(field * 8 + 2)
    this.text(value)
  }
  data(field: number, value: Uint8Array): void {
    this.uvarint(field * 8 + 2)
    this.uvarint(value.length)
    this.raw(value)
  }
  /** A message written by `body`; its length is put in front afterwards. */
  message(field: number, body: () => void): void {
    this.uvarint(field * 8 + 2)
    const start = this.length
    body()
    const size = this.length - start
    let prefix = 1
    for (let n = size; n >= 0x80; n = Math.floor(n / 128)) prefix++
    this.reserve(prefix)
    this.bytes.copyWithin(start + prefix, start, this.length)
    this.length = start
    this.uvarint(size)
    this.length = start + prefix + size
  }
  packedDoubles(field: number, values: ArrayLike<number>): void {
    if (values.length === 0) return
    this.uvarint(field * 8 + 2)
    this.uvarint(values.length * 8)
    for (let i = 0; i < values.length; i++) this.f64(values[i]!)
  }
  packedSint64(field: number, values: ArrayLike<number>): void {
    if (values.length === 0) return
    this.message(field, () => {
      for (let i = 0; i < values.length; i++) this.varint(values[i]!)
    })
  }
  packedUint32(field: number, values: ArrayLike<number>): void {
    if (values.length === 0) return
    this.message(field, () => {
      for (let i = 0; i < values.length; i++) this.uvarint(values[i]!)
    })
  }
  /** Two's complement for negative numbers: ten bytes. */
  varint64(value: number): void {
    if (value >= 0) {
      this.uvarint(value)
      return
    }
    let rest = BigInt.asUintN(64, BigInt(value))
    this.reserve(10)
    while (rest >= 0x80n) {
      this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.bytes[this.length++] = Number(rest)
  }
}
