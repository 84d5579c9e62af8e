// Reads a block of Prometheus or of our own. Everything lies in files and is read through a page cache; every section, series and chunk is checked
// when it is read. Corruption is an error that names file and offset, never a wrong answer.
import { assert } from '../../base/assert.ts'
import type { Labels } from '../../model/labels.ts'
import type { Matcher } from '../../model/matcher.ts'
import { compileMatchers, type CompiledMatcher } from '../../model/matching.ts'
import type { SampleColumns, SelectQuery, SeriesSet, SeriesSource } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import { decodeChunk } from '../chunks/decode.ts'
import type { IdList, LabelIds } from '../../model/label-ids.ts'
import { IndexReader, SeriesEntry } from '../index/reader.ts'
import { selectPostings } from '../index/select.ts'
import type { ChunkData } from '../chunks/encode.ts'
import { ChunkSegmentsReader } from './chunk-segments.ts'
import { corrupt, decodeAt } from './corrupt.ts'
import { covers, type Interval, overlapsAny } from './intervals.ts'
import { type BlockMeta, metaFile, readMeta, writeMeta } from './meta.ts'
import { type PageCache, PagedFile } from './pages.ts'
import { readTombstones, type Tombstones, writeTombstones } from './tombstones.ts'

export class BlockReader implements SeriesSource {
  readonly path: string
  readonly index: IndexReader
  readonly chunks: ChunkSegmentsReader
  readonly #disk: Disk
  readonly #indexFile: PagedFile
  #meta: BlockMeta
  #tombstones: Tombstones
  /** Deletions that are not in the files yet. */
  #unsaved = false

  /** Reads meta.json, tombstones and the head and end of the index. Throws STORAGE_CORRUPT, NOT_FOUND. */
  static open(disk: Disk, cache: PageCache, path: string): BlockReader {
    return new BlockReader(disk, cache, path)
  }

  private constructor(disk: Disk, cache: PageCache, path: string) {
    this.path = path
    this.#disk = disk
    this.#meta = readMeta(disk, path)
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (/^[0-9A-Z]{26}$/.test(name) && name !== this.#meta.ulid) {
      throw corrupt(`${path}/${metaFile}`, 0, `it describes block ${this.#meta.ulid}`)
    }
    this.#tombstones = readTombstones(disk, path)
    this.#indexFile = new PagedFile(disk, cache, `${path}/index`)
    this.index = new IndexReader(this.#indexFile)
    this.chunks = new ChunkSegmentsReader(disk, cache, `${path}/chunks`)
  }

  get meta(): BlockMeta {
    return this.#meta
  }

  get tombstones(): Tombstones {
    return this.#tombstones
  }

  /** Bytes of all files of the block. */
  get sizeBytes(): number {
    let bytes = this.chunks.sizeBytes
    for (const name of this.#disk.list(this.path)) {
      const stat = this.#disk.stat(`${this.path}/${name}`)
      if (!stat.isDirectory) bytes += stat.sizeBytes
    }
    return bytes
  }

  /** Series with a chunk in the closed range that is not deleted whole, in label order. Throws STORAGE_CORRUPT; BAD_REQUEST for a bad pattern. */
  select(query: SelectQuery): BlockSeriesSet {
    return this.selectCompiled(compileMatchers(query.matchers), query.startMs, query.endMs)
  }

  selectCompiled(matchers: readonly CompiledMatcher[], startMs: number, endMs: number): BlockSeriesSet {
    if (endMs < this.#meta.minTime || startMs >= this.#meta.maxTime) return new BlockSeriesSet(this, new Uint32Array(0), startMs, endMs)
    const found = selectPostings(this.index, matchers)
    // every series of a block has a chunk in it: where all of the block is wanted, none has to be looked at
    if (startMs <= this.#meta.minTime && endMs >= this.#meta.maxTime - 1 && this.#tombstones.count === 0)
      return new BlockSeriesSet(this, found, startMs, endMs)
    const kept = new Uint32Array(found.length)
    let n = 0
    for (const ref of found) {
      this.index.series(ref, entry)
      if (this.#hasChunk(this.#tombstones.of(ref), startMs, endMs)) kept[n++] = ref
    }
    return new BlockSeriesSet(this, kept.subarray(0, n), startMs, endMs)
  }

  /** Sorted label names, of all series or of those that pass. */
  labelNames(matchers: readonly Matcher[] = []): string[] {
    if (matchers.length === 0) return this.index.table.names()
    const symbols = new Set<number>()
    for (const ref of selectPostings(this.index, compileMatchers(matchers))) {
      this.index.series(ref, entry)
      for (let k = 0; k < entry.labelCount * 2; k += 2) symbols.add(entry.symbols[k]!)
    }
    return this.#texts(symbols)
  }

  /** Sorted values of a label, of all series or of those that pass; at most `limit` (0 = all). */
  labelValues(name: string, matchers: readonly Matcher[] = [], limit = 0): string[] {
    const most = limit > 0 ? limit : Infinity
    if (matchers.length === 0) {
      const out: string[] = []
      for (const [value] of this.index.table.values(name)) {
        if (out.length >= most && this.index.version !== 1) break
        out.push(value)
      }
      return this.index.version === 1 ? out.sort().slice(0, most) : out
    }
    const symbols = new Set<number>()
    // a series without the label adds nothing: leave it out beforehand
    const present: Matcher = { name, kind: '!=', value: '' }
    for (const ref of selectPostings(this.index, compileMatchers([...matchers, present]))) {
      this.index.series(ref, entry)
      for (let k = 0; k < entry.labelCount * 2; k += 2) {
        if (this.index.symbols.lookup(entry.symbols[k]!) === name) symbols.add(entry.symbols[k + 1]!)
      }
    }
    return this.#texts(symbols).slice(0, most)
  }

  /** Chunks of a series that overlap the closed range and are not deleted whole, as they lie on disk. */
  chunksOf(ref: number, startMs: number, endMs: number): ChunkData[] {
    this.index.series(ref, entry)
    const deleted = this.#tombstones.of(ref)
    const out: ChunkData[] = []
    const { minTimes, maxTimes, chunkRefs, chunkCount } = entry
    for (let i = 0; i < chunkCount; i++) {
      const minTime = minTimes[i]!
      const maxTime = maxTimes[i]!
      if (maxTime < startMs || minTime > endMs || covers(deleted, minTime, maxTime)) continue
      const bytes = this.chunks.read(chunkRefs[i]!)
      out.push({ encoding: this.chunks.encoding, minTime, maxTime, bytes })
    }
    return out
  }

  /** A function that appends the ids of the names and values of a series, in label order. */
  idReader(ids: LabelIds): (ref: number, into: IdList) => void {
    const read = this.index.idReader(ids)
    return (ref, into) => {
      this.index.series(ref, entry)
      read(entry, into)
    }
  }

  labelsOf(ref: number): Labels {
    this.index.series(ref, entry)
    return this.index.labels(entry)
  }

  /** Appends the samples of a series in the closed range, without deleted ones. */
  readSeries(ref: number, startMs: number, endMs: number, into: SampleColumns): void {
    this.index.series(ref, entry)
    const deleted = this.#tombstones.of(ref)
    const { minTimes, maxTimes, chunkRefs, chunkCount } = entry
    for (let i = 0; i < chunkCount; i++) {
      const minTime = minTimes[i]!
      const maxTime = maxTimes[i]!
      if (maxTime < startMs || minTime > endMs || (deleted.length > 0 && covers(deleted, minTime, maxTime))) continue
      const chunk = this.chunks.read(chunkRefs[i]!)
      const from = into.length
      try {
        decodeChunk(this.chunks.encoding, chunk, startMs, endMs, into)
      } catch (thrown) {
        const { path, offset } = this.chunks.place(chunkRefs[i]!)
        decodeAt(path, offset, () => {
          throw thrown
        })
      }
      if (deleted.length > 0 && overlapsAny(deleted, minTime, maxTime)) dropDeleted(into, from, deleted)
    }
  }

  /**
   * Marks samples of matching series in the closed range as deleted: durable when this returns. Where that throws, they are hidden all the same, and the
   * same call again makes them durable.
   * @returns the number of series touched.
   */
  delete(matchers: readonly Matcher[], startMs: number, endMs: number): number {
    const touched = this.hide(matchers, startMs, endMs)
    if (!this.#unsaved) return touched
    const { tombstones } = this
    writeTombstones(this.#disk, this.path, tombstones)
    this.rewriteMeta({ ...this.#meta, stats: { ...this.#meta.stats, numTombstones: tombstones.count } })
    this.#unsaved = false
    return touched
  }

  /** As `delete`, for as long as the block is open: its files stay as they are. */
  hide(matchers: readonly Matcher[], startMs: number, endMs: number): number {
    if (endMs < this.#meta.minTime || startMs >= this.#meta.maxTime) return 0
    const found = selectPostings(this.index, compileMatchers(matchers))
    const next = this.#tombstones.copy()
    let touched = 0
    for (const ref of found) {
      this.index.series(ref, entry)
      if (!this.#hasChunk(next.of(ref), startMs, endMs)) continue
      const first = entry.minTimes[0]!
      const last = entry.maxTimes[entry.chunkCount - 1]!
      next.add(ref, { minTime: Math.max(first, startMs), maxTime: Math.min(last, endMs) })
      touched++
    }
    if (touched === 0) return 0
    this.#tombstones = next
    this.#unsaved = true
    return touched
  }

  /** Replaces meta.json, e.g. to note a failed compaction. */
  rewriteMeta(meta: BlockMeta): void {
    assert(meta.ulid === this.#meta.ulid, 'meta.json of another block')
    writeMeta(this.#disk, this.path, meta)
    this.#meta = meta
  }

  /** Opens all files: from now on they can be read to their ends, whoever removes them. */
  hold(): void {
    this.#indexFile.hold()
    this.chunks.hold()
  }

  close(): void {
    this.#indexFile.close()
    this.chunks.close()
  }

  /** Whether the series read last has a chunk in the range that is not deleted whole. */
  #hasChunk(deleted: readonly Interval[], startMs: number, endMs: number): boolean {
    for (let i = 0; i < entry.chunkCount; i++) {
      const minTime = entry.minTimes[i]!
      const maxTime = entry.maxTimes[i]!
      if (maxTime >= startMs && minTime <= endMs && !(deleted.length > 0 && covers(deleted, minTime, maxTime))) return true
    }
    return false
  }

  #texts(symbols: Iterable<number>): string[] {
    // symbols are sorted as their texts are; in version 1 their offsets are
    return Array.from(
      [...symbols].sort((a, b) => a - b),
      (symbol) => this.index.symbols.lookup(symbol),
    )
  }
}

/** One for all blocks: filled and used within one call. */
const entry = new SeriesEntry()

export class BlockSeriesSet implements SeriesSet {
  /** Series references, ascending: label order. */
  readonly refs: Uint32Array
  readonly #block: BlockReader
  readonly #startMs: number
  readonly #endMs: number
  constructor(block: BlockReader, refs: Uint32Array, startMs: number, endMs: number) {
    this.refs = refs
    this.#block = block
    this.#startMs = startMs
    this.#endMs = endMs
  }
  get length(): number {
    return this.refs.length
  }
  labels(index: number): Labels {
    return this.#block.labelsOf(this.refs[index]!)
  }
  idReader(ids: LabelIds): (index: number, into: IdList) => void {
    const read = this.#block.idReader(ids)
    return (index, into) => read(this.refs[index]!, into)
  }
  read(index: number, into: SampleColumns): void {
    into.clear()
    this.append(index, into)
  }
  /** As `read`, behind what `into` holds. */
  append(index: number, into: SampleColumns): void {
    this.#block.readSeries(this.refs[index]!, this.#startMs, this.#endMs, into)
  }
}

/** Closes up the columns from `from` on over samples in deleted intervals. */
export function dropDeleted(columns: SampleColumns, from: number, deleted: readonly Interval[]): void {
  const { times, bits, histograms, startTimes } = columns
  let n = from
  for (let i = from; i < columns.length; i++) {
    const time = times[i]!
    if (overlapsAny(deleted, time, time)) continue
    times[n] = time
    bits[n * 2] = bits[i * 2]!
    bits[n * 2 + 1] = bits[i * 2 + 1]!
    if (histograms !== null) histograms[n] = histograms[i]!
    if (startTimes !== null) startTimes[n] = startTimes[i]!
    n++
  }
  columns.length = n
  if (histograms !== null) histograms.length = n
}
