// Numbers out of a few bytes of a file, checked; reused, so that reading a series allocates nothing.
import { corrupt } from './corrupt.ts'

export class Cursor {
  bytes: Uint8Array = noBytes
  at = 0
  end = 0
  #path = ''
  #offset = 0
  /** `offset`: where the bytes lie in the file, for errors. */
  reset(bytes: Uint8Array, path: string, offset: number): void {
    this.bytes = bytes
    this.at = 0
    this.end = bytes.length
    this.#path = path
    this.#offset = offset
  }
  get remaining(): number {
    return this.end - this.at
  }
  fail(why: string): Error {
    return corrupt(this.#path, this.#offset + this.at, why)
  }
  skip(count: number): void {
    if (count < 0 || this.at + count > this.end) throw this.fail(`${count} bytes wanted, ${this.end - this.at} left`)
    this.at += count
  }
  u8(): number {
    if (this.at >= this.end) throw this.fail('the entry ends early')
    return this.bytes[this.at++]!
  }
  u32be(): number {
    this.skip(4)
    const { bytes, at } = this
    return ((bytes[at - 4]! << 24) | (bytes[at - 3]! << 16) | (bytes[at - 2]! << 8) | bytes[at - 1]!) >>> 0
  }
  /** At most 2^53 − 1. */
  uvarint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      if (this.at >= this.end) throw this.fail('the entry ends early')
      const byte = this.bytes[this.at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 128
      if (scale > 2 ** 63) throw this.fail('a number has more than 10 bytes')
    }
    if (value > Number.MAX_SAFE_INTEGER) throw this.fail('a number is over 2^53')
    return value
  }
  /** Within ±2^53. */
  varint(): number {
    const value = this.uvarint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  /** A length, then that many bytes: a view. */
  blob(): Uint8Array {
    const length = this.uvarint()
    this.skip(length)
    return this.bytes.subarray(this.at - length, this.at)
  }
}
const noBytes = new Uint8Array(0)

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 text; null where it is not. Short ASCII, which nearly all labels are, goes around the decoder. */
export function textOf(bytes: Uint8Array): string | null {
  const { length } = bytes
  if (length <= 32) {
    let i = 0
    while (i < length && bytes[i]! < 128) i++
    if (i === length) return String.fromCharCode.apply(null, bytes as unknown as number[])
  }
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
