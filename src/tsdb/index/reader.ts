// Reads an index file of version 1, 2 or 3 (layout: format.ts) through the page cache. Tables are read and checked when they are first needed;
// posting lists and series each time they are read.
import { crc32c } from '../../base/crc32c.ts'
import type { Labels } from '../../model/labels.ts'
import { corrupt } from '../block/corrupt.ts'
import { Cursor } from '../block/cursor.ts'
import type { PagedFile } from '../block/pages.ts'
import { indexHeaderBytes, indexMagic, seriesAlign, tocBytes, type Toc } from './format.ts'
import type { IdList, LabelIds } from '../../model/label-ids.ts'
import { PostingsTable } from './postings-table.ts'
import { Symbols } from './symbols.ts'

/** Most series entries fit; longer ones are read again in their full length. */
const seriesReadBytes = 1024

/** One series as it lies in the index; filled anew by every read. */
export class SeriesEntry {
  /** Two symbol references per label: name, value. */
  symbols = new Uint32Array(64)
  labelCount = 0
  minTimes = new Float64Array(64)
  maxTimes = new Float64Array(64)
  /** segment × 2^32 + offset. */
  chunkRefs = new Float64Array(64)
  chunkCount = 0
  reserveLabels(count: number): void {
    if (count * 2 > this.symbols.length) this.symbols = new Uint32Array(count * 4)
  }
  reserveChunks(count: number): void {
    if (count <= this.minTimes.length) return
    this.minTimes = new Float64Array(count * 2)
    this.maxTimes = new Float64Array(count * 2)
    this.chunkRefs = new Float64Array(count * 2)
  }
}

export class IndexReader {
  readonly version: number
  readonly toc: Toc
  readonly #file: PagedFile
  readonly #cursor = new Cursor()
  #symbols: Symbols | null = null
  #table: PostingsTable | null = null

  /** Checks header and table of contents. Throws STORAGE_CORRUPT. */
  constructor(file: PagedFile) {
    this.#file = file
    const { path, size } = file
    if (size < indexHeaderBytes + tocBytes) throw corrupt(path, 0, `the file has ${size} bytes`)
    const header = file.read(0, indexHeaderBytes)
    this.#cursor.reset(header, path, 0)
    const magic = this.#cursor.u32be()
    if (magic !== indexMagic) throw corrupt(path, 0, `magic is 0x${magic.toString(16)}`)
    this.version = header[4]!
    if (this.version < 1 || this.version > 3) throw corrupt(path, 4, `index version ${this.version} is not supported`)
    this.toc = this.#readToc()
  }

  get path(): string {
    return this.#file.path
  }

  get symbols(): Symbols {
    return (this.#symbols ??= new Symbols(this.#file, this.version, this.toc.symbols))
  }

  get table(): PostingsTable {
    return (this.#table ??= new PostingsTable(this.#file, this.version, this.toc.postingsTable))
  }

  /** How many series a posting list has, from its head alone: not checked by the CRC, good for planning only. */
  postingsCount(offset: number): number {
    this.#cursor.reset(this.#file.read(offset + 4, 4), this.path, offset + 4)
    return this.#cursor.u32be()
  }

  /** The series of a posting list, ascending, in memory of its own. */
  postings(offset: number): Uint32Array<ArrayBuffer> {
    const file = this.#file
    this.#cursor.reset(file.read(offset, 8), this.path, offset)
    const length = this.#cursor.u32be()
    const count = this.#cursor.u32be()
    if (length !== 4 + count * 4) throw corrupt(this.path, offset, `a posting list of ${length} bytes claims ${count} series`)
    const bytes = file.read(offset + 4, length + 4)
    this.#check(bytes, length, offset + 4, 'posting list')
    const out = new Uint32Array(count)
    for (let i = 0, at = 4; i < count; i++, at += 4) {
      out[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    }
    return out
  }

  /** All series, in label order. */
  allPostings(): Uint32Array {
    const offset = this.table.find('', '')
    return offset === -1 ? new Uint32Array(0) : this.postings(offset)
  }

  /** The series of a label pair. */
  postingsOf(name: string, value: string): Uint32Array {
    const offset = this.table.find(name, value)
    return offset === -1 ? new Uint32Array(0) : this.postings(offset)
  }

  /** Reads one series into `into`. Throws STORAGE_CORRUPT. */
  series(reference: number, into: SeriesEntry): void {
    const { path } = this
    const offset = this.version === 1 ? reference : reference * seriesAlign
    let bytes = this.#file.readUpTo(offset, seriesReadBytes)
    const cursor = this.#cursor
    cursor.reset(bytes, path, offset)
    const length = cursor.uvarint()
    const start = cursor.at
    if (start + length + 4 > bytes.length) {
      bytes = this.#file.read(offset, start + length + 4)
      cursor.reset(bytes, path, offset)
      cursor.at = start
    }
    this.#check(bytes.subarray(start), length, offset + start, 'series')
    cursor.end = start + length
    const labels = cursor.uvarint()
    if (labels * 2 > cursor.remaining) throw cursor.fail(`${labels} labels in ${cursor.remaining} bytes`)
    into.reserveLabels(labels)
    into.labelCount = labels
    for (let i = 0; i < labels * 2; i++) into.symbols[i] = cursor.uvarint()
    const chunks = cursor.uvarint()
    if (chunks * 3 > cursor.remaining) throw cursor.fail(`${chunks} chunks in ${cursor.remaining} bytes`)
    into.reserveChunks(chunks)
    into.chunkCount = chunks
    let time = 0
    let chunkRef = 0
    for (let i = 0; i < chunks; i++) {
      const minTime = i === 0 ? cursor.varint() : time + cursor.uvarint()
      time = minTime + cursor.uvarint()
      chunkRef = i === 0 ? cursor.uvarint() : chunkRef + cursor.varint()
      into.minTimes[i] = minTime
      into.maxTimes[i] = time
      into.chunkRefs[i] = chunkRef
    }
  }

  labels(entry: SeriesEntry): Labels {
    const out = new Array<string>(entry.labelCount * 2)
    for (let i = 0; i < out.length; i++) out[i] = this.symbols.lookup(entry.symbols[i]!)
    return out
  }

  /** A function that appends the ids of a series' names and values; every symbol is looked up once. */
  idReader(ids: LabelIds): (entry: SeriesEntry, into: IdList) => void {
    const { symbols } = this
    if (this.version === 1) return (entry, into) => this.labels(entry).forEach((text) => into.push(ids.of(text)))
    const known = new Uint32Array(symbols.count)
    return ({ labelCount, symbols: references }, into) => {
      for (let i = 0; i < labelCount * 2; i++) {
        const reference = references[i]!
        into.push(known[reference]! || (known[reference] = ids.of(symbols.lookup(reference))))
      }
    }
  }

  #check(bytes: Uint8Array, length: number, offset: number, what: string): void {
    const stored = ((bytes[length]! << 24) | (bytes[length + 1]! << 16) | (bytes[length + 2]! << 8) | bytes[length + 3]!) >>> 0
    if (crc32c(bytes, 0, length) !== stored) throw corrupt(this.path, offset, `checksum of the ${what} does not match`)
  }

  #readToc(): Toc {
    const start = this.#file.size - tocBytes
    const bytes = this.#file.read(start, tocBytes)
    this.#check(bytes, tocBytes - 4, start, 'table of contents')
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const [symbols, series, labelIndices, labelIndicesTable, postings, postingsTable] = Array.from({ length: 6 }, (_, i) => {
      const offset = view.getUint32(i * 8) * 4294967296 + view.getUint32(i * 8 + 4)
      if (offset > start) throw corrupt(this.path, start + i * 8, `section ${i} is said to start at ${offset}, behind the end`)
      return offset
    }) as [number, number, number, number, number, number]
    return { symbols, series, labelIndices, labelIndicesTable, postings, postingsTable }
  }
}
