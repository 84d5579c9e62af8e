// The symbol table of an index: strings stay in the file, every 32nd has its place in memory, and those used last are kept as JavaScript strings.
import type { Cursor } from '../block/cursor.ts'
import { textOf } from '../block/cursor.ts'
import { corrupt } from '../block/corrupt.ts'
import type { PagedFile } from '../block/pages.ts'
import { SectionStream } from '../block/section-stream.ts'

const stride = 32
/** Strings remembered; forgotten all at once when there are more. */
const rememberedMax = 1 << 16
/** What is read at once to find a symbol behind its sampled place. */
const lookAheadBytes = 2048

export class Symbols {
  readonly count: number
  readonly #file: PagedFile
  readonly #version: number
  readonly #start: number
  readonly #end: number
  /** File offsets of symbols 0, 32, 64, … relative to #start. */
  readonly #places: Uint32Array
  readonly #remembered = new Map<number, string>()

  /** Reads the section once and checks it. Throws STORAGE_CORRUPT. */
  constructor(file: PagedFile, version: number, offset: number) {
    const head = file.read(offset, 8)
    const view = new DataView(head.buffer, head.byteOffset, 8)
    const length = view.getUint32(0)
    this.count = view.getUint32(4)
    this.#file = file
    this.#version = version
    this.#start = offset + 4
    this.#end = offset + 4 + length
    if (this.count > length) throw corrupt(file.path, offset, `${this.count} symbols in ${length} bytes`)
    this.#places = new Uint32Array(Math.ceil(this.count / stride))
    const stream = new SectionStream(file, this.#start, this.#end)
    stream.ensure(4).skip(4)
    for (let i = 0; i < this.count; i++) {
      if (i % stride === 0) this.#places[i / stride] = stream.position - this.#start
      stream.skipBlob()
    }
    stream.verify('symbol table')
  }

  /** @param reference the symbol's position; in version 1 its file offset. */
  lookup(reference: number): string {
    const known = this.#remembered.get(reference)
    if (known !== undefined) return known
    const text = this.#read(reference)
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear()
    this.#remembered.set(reference, text)
    return text
  }

  *all(): Generator<string> {
    const stream = new SectionStream(this.#file, this.#start, this.#end)
    stream.ensure(4).skip(4)
    for (let i = 0; i < this.count; i++) yield this.#text(stream.blob(), stream.position)
  }

  #read(reference: number): string {
    if (this.#version === 1) {
      if (reference < this.#start + 4 || reference >= this.#end) throw corrupt(this.#file.path, reference, 'no symbol lies there')
      return this.#at(reference, 0)
    }
    if (reference >= this.count) throw corrupt(this.#file.path, this.#start, `symbol ${reference} of ${this.count} does not exist`)
    return this.#at(this.#start + this.#places[Math.floor(reference / stride)]!, reference % stride)
  }

  /** The symbol `skip` places behind the one at a file offset. */
  #at(offset: number, skip: number): string {
    for (let size = lookAheadBytes; ; size *= 8) {
      const bytes = this.#file.read(offset, Math.min(size, this.#end - offset))
      const text = this.#scan(bytes, skip, offset)
      if (text !== null) return text
      if (offset + bytes.length >= this.#end) throw corrupt(this.#file.path, offset, 'the symbol table ends within a symbol')
    }
  }

  /** Null where the bytes end before the symbol does. */
  #scan(bytes: Uint8Array, skip: number, offset: number): string | null {
    let at = 0
    for (let left = skip; ; left--) {
      let length = 0
      let shift = 0
      let byte: number
      do {
        if (at >= bytes.length) return null
        byte = bytes[at++]!
        length += (byte & 0x7f) * 2 ** shift
        shift += 7
      } while (byte >= 0x80)
      if (at + length > bytes.length) return null
      if (left === 0) return this.#text(bytes.subarray(at, at + length), offset + at)
      at += length
    }
  }

  #text(bytes: Uint8Array, offset: number): string {
    const text = textOf(bytes)
    if (text === null) throw corrupt(this.#file.path, offset, 'a symbol is not UTF-8')
    return text
  }
}

/** A label name or value in a postings table. */
export function tableText(cursor: Cursor, bytes: Uint8Array): string {
  const text = textOf(bytes)
  if (text === null) throw cursor.fail('a label is not UTF-8')
  return text
}
