// JSON written straight into bytes, page after page: nothing that was written is moved again when more is to come.
//
//   page ┌ written ┐  page ┌ written ┐  page ┌ written │ room ┐      parts() are views of the pages, in order
//
// Numbers, times and escapes are written as prometheus web/api/v1/json_codec.go and util/jsonutil do, byte for byte.
import type { Labels } from './labels.ts'
import { formatFloatE, formatFloatF } from './number-text.ts'

/** Gives pages of at least `jsonPageBytesMin` bytes, whose content does not matter. */
export type PageSource = () => Uint8Array

export const jsonPageBytesMin = 4096
/** Longer text is written in pieces, each of which fits a page with every character escaped. */
const pieceLength = 512

export class JsonBytes {
  /** The page being written and the next place in it: for loops that write whole rows. They call `room` first. */
  bytes: Uint8Array
  /** Over the same page. */
  view: DataView
  at = 0
  readonly #pages: PageSource
  readonly #parts: Uint8Array[] = []
  #before = 0
  constructor(pages: PageSource = plainPage) {
    this.#pages = pages
    this.bytes = pages()
    this.view = viewOf(this.bytes)
  }

  get length(): number {
    return this.#before + this.at
  }

  /** What was written: views of the pages. Good until the pages are used again. */
  parts(): Uint8Array[] {
    return this.at === 0 && this.#parts.length > 0 ? this.#parts : [...this.#parts, this.bytes.subarray(0, this.at)]
  }

  /** What was written, as a copy. */
  copy(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length)
    let at = 0
    for (const part of this.parts()) {
      out.set(part, at)
      at += part.length
    }
    return out
  }

  /** Makes room for `count` bytes in a row: at most `jsonPageBytesMin`. */
  room(count: number): void {
    if (this.at + count > this.bytes.length) this.#turn()
  }

  #turn(): void {
    if (this.at > 0) this.#parts.push(this.bytes.subarray(0, this.at))
    this.#before += this.at
    this.bytes = this.#pages()
    this.view = viewOf(this.bytes)
    this.at = 0
  }

  byte(code: number): void {
    if (this.at === this.bytes.length) this.#turn()
    this.bytes[this.at++] = code
  }

  /** Takes back the last byte. */
  unwriteByte(): void {
    if (this.at === 0) throw new Error('BUG: no byte of this page to take back')
    this.at--
  }

  /** Text of ASCII characters only. */
  ascii(text: string): void {
    const { length } = text
    if (length > pieceLength) {
      for (let i = 0; i < length; i += pieceLength) this.ascii(text.slice(i, i + pieceLength))
      return
    }
    this.room(length)
    const { bytes } = this
    let at = this.at
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i)
    this.at = at
  }

  /** Bytes as they are. */
  raw(from: Uint8Array, start: number, end: number): void {
    let i = start
    while (end - i > pieceLength) {
      this.raw(from, i, i + pieceLength)
      i += pieceLength
    }
    this.room(end - i)
    const { bytes } = this
    let at = this.at
    for (; i < end; i++) bytes[at++] = from[i]!
    this.at = at
  }

  /** A JSON string. */
  string(text: string): void {
    const { length } = text
    if (length > pieceLength) {
      this.#escaped(text)
      return
    }
    this.room(length + 2)
    const { bytes } = this
    let at = this.at
    bytes[at++] = 34
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code < 32 || code > 126 || code === 34 || code === 92) {
        this.#escaped(text)
        return
      }
      bytes[at++] = code
    }
    bytes[at++] = 34
    this.at = at
  }

  #escaped(text: string): void {
    this.byte(34)
    for (let i = 0; i < text.length;) {
      let end = Math.min(text.length, i + pieceLength)
      // a pair of surrogates stays together
      if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end++
      const inner = JSON.stringify(text.slice(i, end)).slice(1, -1).replace(/\\./g, asGo)
      this.room(inner.length * 3)
      this.at += encoder.encodeInto(inner, this.bytes.subarray(this.at)).written
      i = end
    }
    this.byte(34)
  }

  /** `{"name":"value",…}` */
  labels(labels: Labels): void {
    this.byte(123)
    for (let i = 0; i < labels.length; i += 2) {
      if (i > 0) this.byte(44)
      this.string(labels[i]!)
      this.byte(58)
      this.string(labels[i + 1]!)
    }
    this.byte(125)
  }

  /** `["text",…]` */
  strings(list: readonly string[]): void {
    this.byte(91)
    for (let i = 0; i < list.length; i++) {
      if (i > 0) this.byte(44)
      this.string(list[i]!)
    }
    this.byte(93)
  }

  /** Milliseconds as seconds: `1435781430.781`, `-0.050`, `5`. */
  timestamp(timeMs: number): void {
    let ms = timeMs
    if (ms < 0) {
      this.byte(45)
      ms = -ms
    }
    const seconds = Math.floor(ms / 1000)
    const fraction = ms - seconds * 1000
    this.digits(seconds)
    if (fraction === 0) return
    this.byte(46)
    if (fraction < 100) this.byte(48)
    if (fraction < 10) this.byte(48)
    this.digits(fraction)
  }

  /** A whole number ≥ 0 below 2^53. */
  digits(value: number): void {
    this.room(16)
    this.at = writeDigits(this.bytes, this.at, value)
  }

  /** A sample value in quotes: plain digits, an exponent below 1e-6 and from 1e21 on. */
  sample(value: number): void {
    this.room(sampleBytesMax)
    this.at = writeSample(this.bytes, this.at, value)
  }
}

/** Most bytes of a sample value with its quotes: the shortest digits are 17, a sign, a point and up to 5 zeros before or 4 behind them, or an exponent. */
export const sampleBytesMax = 40

/** Writes the digits of a whole number ≥ 0 below 2^53; returns where they end. */
export function writeDigits(bytes: Uint8Array, start: number, value: number): number {
  let length = 1
  for (let limit = 10; value >= limit; limit *= 10) length++
  const end = start + length
  let at = end
  let rest = value
  // 32-bit division is much faster than that of doubles
  while (rest > 999_999_999) {
    const tenth = Math.floor(rest / 10)
    bytes[--at] = 48 + (rest - tenth * 10)
    rest = tenth
  }
  let small = rest | 0
  do {
    const tenth = (small / 10) | 0
    bytes[--at] = 48 + (small - tenth * 10)
    small = tenth
  } while (small > 0)
  return end
}

/** Writes a sample value in quotes; returns where it ends. Needs room for `sampleBytesMax`. */
export function writeSample(bytes: Uint8Array, start: number, value: number): number {
  let at = start
  bytes[at++] = 34
  const size = Math.abs(value)
  if (size < 1e15 && (value !== 0 || 1 / value > 0)) {
    if (Math.floor(size) === size) {
      if (value < 0) bytes[at++] = 45
      at = writeDigits(bytes, at, size)
      bytes[at++] = 34
      return at
    }
    // up to 6 places: where the millionths are a whole number below 10^15 and give the value back, they are its shortest digits
    if (size < 1e9 && size >= 1e-6) {
      const millionths = Math.round(size * 1e6)
      if (millionths / 1e6 === size) {
        if (value < 0) bytes[at++] = 45
        at = writeMillionths(bytes, at, millionths)
        bytes[at++] = 34
        return at
      }
    }
  }
  const text =
    size >= 1e-6 && size < 1e21
      ? String(value) // here JavaScript and Go write the same
      : size === 0 || !Number.isFinite(value)
        ? formatFloatF(value)
        : formatFloatE(value)
  for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i)
  bytes[at++] = 34
  return at
}

/** A number of millionths that is no multiple of a million, without zeros at its end. */
function writeMillionths(bytes: Uint8Array, start: number, millionths: number): number {
  const whole = Math.floor(millionths / 1e6)
  let at = writeDigits(bytes, start, whole)
  bytes[at++] = 46
  let fraction = (millionths - whole * 1e6) | 0
  let places = 6
  while (fraction % 10 === 0) {
    fraction = (fraction / 10) | 0
    places--
  }
  const end = at + places
  for (let i = end - 1; i >= at; i--) {
    const tenth = (fraction / 10) | 0
    bytes[i] = 48 + (fraction - tenth * 10)
    fraction = tenth
  }
  return end
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}

const encoder = new TextEncoder()

/** Go has no short escapes for these two. Every escape is looked at, so that a backslash that is escaped itself starts none. */
function asGo(escape: string): string {
  return escape === '\\b' ? '\\u0008' : escape === '\\f' ? '\\u000c' : escape
}

/** Pages of the heap: where nothing better is at hand. */
function plainPage(): Uint8Array {
  return new Uint8Array(16 << 10)
}
