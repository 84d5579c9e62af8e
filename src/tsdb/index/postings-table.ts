// The postings offset table of an index: from label pair to posting list. The table stays in the file; for every name, every 32nd value has its
// place in memory. Version 1 tables are not sorted and are kept whole.
import { utf8Bytes } from '../../base/bytes.ts'
import { compareBytes, Cursor } from '../block/cursor.ts'
import { corrupt } from '../block/corrupt.ts'
import type { PagedFile } from '../block/pages.ts'
import { SectionStream } from '../block/section-stream.ts'
import { tableText } from './symbols.ts'

const stride = 32
const lookAheadBytes = 4096

interface Name {
  /** File offsets of the name's entries 0, 32, 64, … */
  places: number[]
  count: number
}

export class PostingsTable {
  readonly #file: PagedFile
  readonly #end: number
  readonly #names = new Map<string, Name>()
  /** Only in version 1. */
  readonly #unsorted: Map<string, Map<string, number>> | null
  readonly #cursor = new Cursor()

  /** Reads the section once and checks it. Throws STORAGE_CORRUPT. */
  constructor(file: PagedFile, version: number, offset: number) {
    const head = file.read(offset, 8)
    const view = new DataView(head.buffer, head.byteOffset, 8)
    const length = view.getUint32(0)
    const count = view.getUint32(4)
    this.#file = file
    this.#end = offset + 4 + length
    this.#unsorted = version === 1 ? new Map() : null
    const stream = new SectionStream(file, offset + 4, this.#end)
    stream.ensure(4).skip(4)
    let lastName: Uint8Array = new Uint8Array(0)
    let entry: Name = { places: [], count: 0 }
    this.#names.set('', entry)
    for (let i = 0; i < count; i++) {
      const position = stream.position
      const keys = stream.ensure(1).u8()
      if (keys !== 2) throw corrupt(file.path, position, `a postings table entry has ${keys} keys`)
      const name = stream.blob()
      const value = stream.blob()
      const offsetOfList = stream.ensure(10).uvarint()
      if (compareBytes(name, lastName) !== 0) {
        const text = tableText(stream.cursor, name)
        lastName = name
        entry = this.#names.get(text) ?? { places: [], count: 0 }
        this.#names.set(text, entry)
      }
      if (this.#unsorted !== null) {
        const text = tableText(stream.cursor, name)
        const values = this.#unsorted.get(text) ?? new Map<string, number>()
        this.#unsorted.set(text, values.set(tableText(stream.cursor, value), offsetOfList))
      } else if (entry.count % stride === 0) entry.places.push(position)
      entry.count++
    }
    stream.verify('postings table')
  }

  /** Label names, sorted by bytes. */
  names(): string[] {
    const names = [...this.#names.keys()].filter((name) => name !== '')
    return this.#unsorted === null ? names : names.sort((a, b) => compareBytes(utf8Bytes(a), utf8Bytes(b)))
  }

  /** How many values a name has; 0 where it does not exist. */
  valueCount(name: string): number {
    return this.#names.get(name)?.count ?? 0
  }

  /** File offset of the posting list of a pair, or −1. */
  find(name: string, value: string): number {
    if (this.#unsorted !== null) return this.#unsorted.get(name)?.get(value) ?? -1
    const entry = this.#names.get(name)
    if (entry === undefined || entry.count === 0) return -1
    const wanted = utf8Bytes(value)
    let low = 0
    let high = entry.places.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (compareBytes(this.#read(entry.places[middle]!).value, wanted) <= 0) low = middle
      else high = middle - 1
    }
    let position = entry.places[low]!
    for (let i = low * stride; i < Math.min(entry.count, (low + 1) * stride); i++) {
      const { value: found, offset, next } = this.#read(position)
      const order = compareBytes(found, wanted)
      if (order === 0) return offset
      if (order > 0) return -1
      position = next
    }
    return -1
  }

  /** Every value of a name with the file offset of its posting list, in byte order of the values (version 1: in any order). */
  *values(name: string): Generator<[value: string, offset: number]> {
    if (this.#unsorted !== null) {
      yield* this.#unsorted.get(name) ?? []
      return
    }
    const entry = this.#names.get(name)
    if (entry === undefined || entry.count === 0) return
    const stream = new SectionStream(this.#file, entry.places[0]!, this.#end)
    for (let i = 0; i < entry.count; i++) {
      stream.ensure(1).u8()
      stream.blob()
      const value = stream.blob()
      yield [tableText(stream.cursor, value), stream.ensure(10).uvarint()]
    }
  }

  #read(position: number): { value: Uint8Array; offset: number; next: number } {
    const { path } = this.#file
    for (let size = lookAheadBytes; ; size *= 8) {
      const bytes = this.#file.read(position, Math.min(size, this.#end - position))
      this.#cursor.reset(bytes, path, position)
      try {
        this.#cursor.u8()
        this.#cursor.blob()
        const value = this.#cursor.blob()
        const offset = this.#cursor.uvarint()
        return { value, offset, next: position + this.#cursor.at }
      } catch (thrown) {
        // the entry may just be longer than what was read
        if (position + bytes.length >= this.#end) throw thrown
      }
    }
  }
}
