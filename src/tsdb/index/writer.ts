// Writes an index file (version 2; layout: format.ts) from series that come in label order. Symbols precede series in the file but are only known
// when all series are: series are spilled to a temporary file first, with symbols in the order of their appearance, and copied over at the end.
//
//   add ──▶ spill: labels <uvarint> │ symbol ids <uvarint> … │ length <uvarint> │ chunk list as in the index
//   finish ─▶ symbols sorted ─▶ series ─▶ postings, as many label names at a time as a budget of entries allows ─▶ tables
import { assert } from '../../base/assert.ts'
import { ByteReader, ByteWriter } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { PromhiveError } from '../../base/errors.ts'
import { sortSteps, type Steps } from '../../base/steps.ts'
import { compareLabels, compareText, printLabels, type Labels } from '../../model/labels.ts'
import type { Disk, DiskFile } from '../../ports/disk.ts'
import { FileWriter } from '../block/file-writer.ts'
import { indexMagic, indexVersion, seriesAlign, tocBytes } from './format.ts'

const spillBytes = 4 << 20
/** Posting entries gathered at once; a name with more gets a pass of its own. */
const entriesAtOnce = 4 << 20
const sectionBytesMax = 2 ** 32 - 1

/** A chunk as the index sees it. */
export type ChunkPlace = Readonly<{ minTime: number; maxTime: number; ref: number }>

export class IndexWriter {
  readonly #disk: Disk
  readonly #path: string
  /** By symbol. Prometheus writes the empty one too, the name of the list of all series. */
  readonly #ids = new Map([['', 0]])
  readonly #spill: Spill
  #file: FileWriter | null = null
  #seriesCount = 0
  #last: Labels | null = null
  #lastRef = -1
  readonly #chunks = new ByteWriter()

  /** Writes `path`, and `path`.spill while it works. */
  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
    this.#spill = new Spill(disk, `${path}.spill`)
  }

  /** Series in rising label order, chunks in rising time and place. Throws a BUG error otherwise. */
  add(labels: Labels, chunks: readonly ChunkPlace[]): void {
    if (this.#last !== null && compareLabels(this.#last, labels) >= 0) {
      assert(false, `series out of order in a block: ${printLabels(labels)} after ${printLabels(this.#last)}`)
    }
    this.#last = labels
    const out = this.#spill.buffer
    out.uvarint(labels.length / 2)
    for (const symbol of labels) {
      let id = this.#ids.get(symbol)
      if (id === undefined) {
        id = this.#ids.size
        this.#ids.set(symbol, id)
      }
      out.uvarint(id)
    }
    const list = this.#chunks
    list.length = 0
    list.uvarint(chunks.length)
    let time = 0
    chunks.forEach(({ minTime, maxTime, ref }, i) => {
      assert(maxTime >= minTime && (i === 0 || minTime > time) && ref > this.#lastRef, 'chunks out of order in a block')
      if (i === 0) list.varint(minTime)
      else list.uvarint(minTime - time)
      list.uvarint(maxTime - minTime)
      if (i === 0) list.uvarint(ref)
      else list.varint(ref - this.#lastRef)
      time = maxTime
      this.#lastRef = ref
    })
    const bytes = list.written()
    out.uvarint(bytes.length)
    out.raw(bytes)
    this.#seriesCount++
    this.#spill.flushWhenLarge()
  }

  /** Writes the file and makes it durable. Throws STORAGE_FULL, TOO_LARGE. */
  *finish(): Steps {
    const symbols = [...this.#ids.keys()]
    yield* sortSteps(symbols, symbolOrder(symbols))
    const ranks = new Uint32Array(symbols.length)
    for (let rank = 0; rank < symbols.length; rank++) {
      ranks[this.#ids.get(symbols[rank]!)!] = rank
      if (isPause(rank)) yield
    }
    this.#ids.clear()
    const file = new FileWriter(this.#disk, this.#path)
    this.#file = file
    const header = new ByteWriter()
    header.u32be(indexMagic)
    header.u8(indexVersion)
    file.raw(header.written())

    const symbolsAt = file.position
    yield* writeSymbols(file, symbols)
    const seriesAt = file.position
    const refs = new Uint32Array(this.#seriesCount)
    const uses = new Uint32Array(symbols.length)
    yield* this.#writeSeries(file, ranks, refs, uses)
    const labelIndicesAt = file.position
    file.align(4)
    const table = new PostingsEntries()
    const postingsAt = labelIndicesAt
    table.add(noSymbol, noSymbol, writePostings(file, refs, refs.length))
    yield* this.#writePostings(file, ranks, refs, uses, table)
    const tableAt = file.position
    yield* writeTable(file, symbols, table)

    const toc = new ByteWriter(tocBytes)
    for (const at of [symbolsAt, seriesAt, labelIndicesAt, tableAt, postingsAt, tableAt]) {
      toc.u32be(Math.floor(at / 4294967296))
      toc.u32be(at >>> 0)
    }
    toc.u32be(crc32c(toc.written()))
    file.raw(toc.written())
    yield* file.finish()
    this.#file = null
    this.#spill.remove()
  }

  abort(): void {
    this.#file?.abort()
    this.#file = null
    this.#spill.remove()
  }

  *#writeSeries(file: FileWriter, ranks: Uint32Array, refs: Uint32Array, uses: Uint32Array): Steps {
    const body = new ByteWriter()
    const length = new ByteWriter(16)
    let i = 0
    for (const { labels, ids, chunkList } of this.#spill.entries()) {
      body.length = 0
      body.uvarint(labels)
      for (let k = 0; k < labels * 2; k++) body.uvarint(ranks[ids[k]!]!)
      for (let k = 0; k < labels * 2; k += 2) uses[ranks[ids[k]!]!]!++
      body.raw(chunkList)
      file.align(seriesAlign)
      const ref = file.position / seriesAlign
      if (ref > 0xffffffff) throw new PromhiveError('TOO_LARGE', `cannot write ${this.#path}: an index must not exceed 64 GiB`)
      refs[i++] = ref
      length.length = 0
      length.uvarint(body.length)
      file.raw(length.written())
      file.startCrc()
      file.raw(body.written())
      file.putCrc()
      if (isPause(i)) yield
    }
  }

  *#writePostings(file: FileWriter, ranks: Uint32Array, refs: Uint32Array, uses: Uint32Array, table: PostingsEntries): Steps {
    const names: number[] = []
    uses.forEach((count, rank) => count > 0 && names.push(rank))
    const counts = new Uint32Array(uses.length)
    const budget = Math.max(entriesAtOnce, this.#seriesCount)
    while (names.length > 0) {
      const gathered = new Map<number, { values: Uint32Array; series: Uint32Array; count: number }>()
      let total = 0
      while (names.length > 0 && total + uses[names[0]!]! <= budget) {
        const name = names.shift()!
        total += uses[name]!
        gathered.set(name, { values: new Uint32Array(uses[name]!), series: new Uint32Array(uses[name]!), count: 0 })
      }
      let i = 0
      for (const { labels, ids } of this.#spill.entries()) {
        const ref = refs[i++]!
        for (let k = 0; k < labels * 2; k += 2) {
          const list = gathered.get(ranks[ids[k]!]!)
          if (list === undefined) continue
          list.values[list.count] = ranks[ids[k + 1]!]!
          list.series[list.count++] = ref
        }
        if (isPause(i)) yield
      }
      for (const [name, { values, series }] of gathered) yield* writeName(file, name, values, series, counts, table)
    }
  }
}

/** Entries, series or symbols handled between two pauses: a millisecond or two. */
const stepLength = 2048

function isPause(i: number): boolean {
  return (i & (stepLength - 1)) === 0
}

/** The posting lists of one name: a counting sort by value, series stay in order. `counts` is zero before and after. */
function* writeName(
  file: FileWriter,
  name: number,
  values: Uint32Array,
  series: Uint32Array,
  counts: Uint32Array,
  table: PostingsEntries,
): Steps {
  const touched = new Uint32Array(values.length)
  let distinct = 0
  for (const value of values) if (counts[value]!++ === 0) touched[distinct++] = value
  const sorted = touched.subarray(0, distinct).sort()
  const starts = counts // from here on: the next free place of each value
  const lengths = new Uint32Array(distinct)
  let at = 0
  sorted.forEach((value, k) => {
    lengths[k] = counts[value]!
    starts[value] = at
    at += lengths[k]!
  })
  const lists = new Uint32Array(values.length)
  for (let i = 0; i < values.length; i++) lists[starts[values[i]!]!++] = series[i]!
  yield
  at = 0
  for (let k = 0; k < distinct; k++) {
    const value = sorted[k]!
    table.add(name, value, writePostings(file, lists.subarray(at, at + lengths[k]!), lengths[k]!))
    at += lengths[k]!
    counts[value] = 0
    if (isPause(k)) yield
  }
}

const noSymbol = 0xffffffff

/** The postings offset table in the making. */
class PostingsEntries {
  names = new Uint32Array(1024)
  values = new Uint32Array(1024)
  offsets = new Float64Array(1024)
  count = 0
  add(name: number, value: number, offset: number): void {
    if (this.count === this.names.length) {
      const capacity = this.count * 2
      const names = new Uint32Array(capacity)
      names.set(this.names)
      const values = new Uint32Array(capacity)
      values.set(this.values)
      const offsets = new Float64Array(capacity)
      offsets.set(this.offsets)
      Object.assign(this, { names, values, offsets })
    }
    this.names[this.count] = name
    this.values[this.count] = value
    this.offsets[this.count++] = offset
  }
}

/** Returns where the list begins. */
function writePostings(file: FileWriter, series: Uint32Array, count: number): number {
  if (4 + count * 4 > sectionBytesMax) throw new PromhiveError('TOO_LARGE', `cannot write ${file.path}: a posting list of ${count} series`)
  file.align(4)
  const offset = file.position
  file.u32(4 + count * 4)
  file.startCrc()
  file.u32(count)
  for (let from = 0; from < count; from += 65_536) {
    const part = series.subarray(from, Math.min(count, from + 65_536))
    const bytes = new Uint8Array(part.length * 4)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < part.length; i++) view.setUint32(i * 4, part[i]!)
    file.raw(bytes)
  }
  file.putCrc()
  return offset
}

function* writeSymbols(file: FileWriter, symbols: readonly string[]): Steps {
  const start = file.position
  file.u32(0)
  // the length in front is not part of the checksum, the count is
  file.startCrc()
  file.u32(symbols.length)
  const buffer = new ByteWriter(1 << 16)
  for (const symbol of symbols) {
    buffer.text(symbol)
    if (buffer.length > 1 << 15) {
      file.raw(buffer.written())
      buffer.length = 0
      yield
    }
  }
  file.raw(buffer.written())
  finishSection(file, start, 'symbol table')
}

function* writeTable(file: FileWriter, symbols: readonly string[], table: PostingsEntries): Steps {
  const start = file.position
  file.u32(0)
  file.startCrc()
  file.u32(table.count)
  const buffer = new ByteWriter(1 << 16)
  for (let i = 0; i < table.count; i++) {
    buffer.u8(2)
    buffer.text(table.names[i] === noSymbol ? '' : symbols[table.names[i]!]!)
    buffer.text(table.values[i] === noSymbol ? '' : symbols[table.values[i]!]!)
    buffer.uvarint(table.offsets[i]!)
    if (buffer.length > 1 << 15) {
      file.raw(buffer.written())
      buffer.length = 0
      yield
    }
  }
  file.raw(buffer.written())
  finishSection(file, start, 'postings table')
}

function finishSection(file: FileWriter, start: number, what: string): void {
  const length = file.position - start - 4
  if (length > sectionBytesMax) throw new PromhiveError('TOO_LARGE', `cannot write ${file.path}: a ${what} of ${length} bytes`)
  file.putCrc()
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, length)
  file.patch(bytes, start)
}

/** By UTF-8 bytes. The engine's own order differs only where surrogates are. */
function symbolOrder(symbols: readonly string[]): (a: string, b: string) => number {
  return symbols.some((symbol) => /[\ud800-\udfff]/.test(symbol)) ? compareText : (a, b) => (a < b ? -1 : a > b ? 1 : 0)
}

type SpilledSeries = { labels: number; ids: Uint32Array; chunkList: Uint8Array }

function* partEntries(reader: ByteReader): Generator<SpilledSeries> {
  const entry: SpilledSeries = { labels: 0, ids: new Uint32Array(64), chunkList: new Uint8Array(0) }
  while (reader.remaining() > 0) {
    entry.labels = reader.uvarint()
    if (entry.labels * 2 > entry.ids.length) entry.ids = new Uint32Array(entry.labels * 4)
    for (let k = 0; k < entry.labels * 2; k++) entry.ids[k] = reader.uvarint()
    entry.chunkList = reader.raw(reader.uvarint())
    yield entry
  }
}

/** Series waiting for their symbols: in memory, and in a file once there are many. */
class Spill {
  readonly buffer = new ByteWriter(1 << 16)
  readonly #disk: Disk
  readonly #path: string
  #file: DiskFile | null = null
  /** Sizes of the parts in the file, each a whole number of series. */
  readonly #parts: number[] = []
  constructor(disk: Disk, path: string) {
    this.#disk = disk
    this.#path = path
  }
  flushWhenLarge(): void {
    if (this.buffer.length < spillBytes) return
    this.#file ??= this.#disk.open(this.#path, 'create')
    this.#file.write(
      this.buffer.written(),
      this.#parts.reduce((sum, size) => sum + size, 0),
    )
    this.#parts.push(this.buffer.length)
    this.buffer.length = 0
  }
  /** Every series in the order it was added; one object for all of them, good until the next. */
  *entries(): Generator<SpilledSeries> {
    let position = 0
    for (const size of this.#parts) {
      const bytes = new Uint8Array(size)
      assert(this.#file!.read(bytes, position) === size, 'spill file is shorter than written')
      position += size
      yield* partEntries(new ByteReader(bytes))
    }
    yield* partEntries(new ByteReader(this.buffer.written()))
  }
  remove(): void {
    this.#file?.close()
    this.#file = null
    this.#disk.remove(this.#path)
  }
}
