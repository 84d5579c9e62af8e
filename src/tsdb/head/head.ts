// The head of one storage worker: the active series of all its shards, in columns, with one open chunk each.
//
//   series i   labels → pair ids   open chunk: arena address, class, first time, XOR state (its last time and value stay when it closes)
//              full chunks: a list in the chunk store, newest first
//
// A float sample costs a few column reads and its bits in the open chunk. Native histograms are rarer: their open chunk is a list of values
// that is encoded when it closes. Nothing here knows of logs or threads: a shard applies batches in log order and the outcome depends on them alone.
import { assert } from '../../base/assert.ts'
import type { ByteWriter } from '../../base/bytes.ts'
import { growTo } from '../../base/grow-column.ts'
import type { Steps } from '../../base/steps.ts'
import type { Histogram } from '../../model/histogram.ts'
import { hashBytes, labelEnd } from '../../model/label-bytes.ts'
import type { JsonBytes } from '../../model/json-bytes.ts'
import type { Labels } from '../../model/labels.ts'
import { highAt, isStale, staleHigh, staleLow } from '../../model/staleness.ts'
import { chunkEncoding } from '../chunks/decode.ts'
import { isFloatChunk, OpenHistogramChunk } from '../chunks/open-histogram.ts'
import { appendXor, chunkTimeMax, XorStates, xorSampleBytesMax } from '../chunks/xor-append.ts'
import type { ChunkStore } from './chunk-store.ts'
import { arenaBytesMax, ByteArena, classBytes, nextCapacity } from './columns.ts'
import { LabelLists } from './label-lists.ts'
import { LabelPairs } from './label-pairs.ts'
import { OutOfOrder } from './out-of-order.ts'
import { Postings } from './postings.ts'
import { ReadViews } from './read-view.ts'

/** What became of a sample. */
export const outcome = { appended: 0, duplicate: 1, outOfOrder: 2, outOfBounds: 3, tooOld: 4, unchanged: 5 } as const
export type Outcome = (typeof outcome)[keyof typeof outcome]

export type HeadOptions = Readonly<{
  samplesPerChunk: number
  /** Blocks cover aligned windows of this length; no chunk straddles two. */
  chunkRangeMs: number
}>

/** Bytes a head holds. */
export type HeadMemory = Readonly<Record<'series' | 'labels' | 'postings' | 'open_chunks' | 'full_chunks', number>>

/** Bits of a sample that repeats the delta and the value before it, and of a second sample that repeats the value. */
const steadySampleBits = 2
const secondSampleBits = 49

export class Head {
  readonly pairs = new LabelPairs()
  readonly postings = new Postings()
  readonly chunks: ChunkStore
  /** Samples that came too late for the open chunks. */
  readonly outOfOrder: OutOfOrder
  readonly options: HeadOptions
  /** Of queries that pause. */
  readonly views = new ReadViews(() => this.xor.times.slice(0, this.count))
  /** Entries of the columns in use, freed ones included. */
  count = 0
  /** Series there are. */
  live = 0
  /** Over all float and histogram samples held, ms; Infinity / −Infinity where there is none. */
  minTime = Infinity
  maxTime = -Infinity
  seriesCreated = 0
  /** Called when a series has come or gone, and labels with it. */
  onLabels: () => void = () => {}
  seriesRemoved = 0
  chunksCreated = 0
  chunksRemoved = 0

  alive = new Uint8Array(256)
  shards = new Uint16Array(256)
  hashes = new Uint32Array(256)
  firstTimes = new Float64Array(256)
  /** Of the open chunk; `times` and `values` (bits) keep the newest float or histogram time and the newest float when it has closed. */
  xor = new XorStates(256)
  /** Refs of publishers and other holders: a series with any is not collected. */
  holders = new Uint16Array(256)
  newestChunk = new Uint32Array(256)
  #chunkAt = new Uint32Array(256)
  #chunkClass = new Uint8Array(256)
  readonly labelLists = new LabelLists()
  readonly #freeSeries: number[] = []
  #table = new Uint32Array(1024)
  /** Of open XOR chunks. */
  readonly arena = new ByteArena()
  /** Open histogram chunks, by series. */
  readonly #histograms = new Map<number, OpenHistogramChunk>()
  readonly #pairScratch: number[] = []
  /** Called before a sample goes into an open histogram chunk. */
  readonly beforeHistogram = new Set<(series: number, open: OpenHistogramChunk) => void>()

  constructor(chunks: ChunkStore, options: HeadOptions) {
    this.chunks = chunks
    this.outOfOrder = new OutOfOrder(chunks)
    this.options = options
  }

  // ---- series

  /** The series with these canonical label bytes, created on its shard where it is new. */
  series(bytes: Uint8Array, from: number, to: number, shard: number): number {
    const hash = hashBytes(bytes, from, to)
    const pairs = this.#pairScratch
    pairs.length = 0
    for (let i = from; i < to;) {
      const end = labelEnd(bytes, i)
      pairs.push(this.pairs.intern(bytes, i, end))
      i = end
    }
    const mask = this.#table.length - 1
    let slot = hash & mask
    for (let entry = this.#table[slot]!; entry !== 0; entry = this.#table[(slot = (slot + 1) & mask)]!) {
      if (this.hashes[entry - 1] === hash && this.labelLists.equals(entry - 1, pairs)) return entry - 1
    }
    return this.#create(hash, pairs, shard)
  }

  labels(series: number): Labels {
    const page = this.labelLists.page(series)
    const start = this.labelLists.start(series)
    const n = page[start]!
    const out = new Array<string>(n * 2)
    for (let k = 0; k < n; k++) {
      const pair = page[start + 1 + k]!
      out[k * 2] = this.pairs.name(pair)
      out[k * 2 + 1] = this.pairs.value(pair)
    }
    return out
  }

  /** Pair ids of a series, in order of their names: a view. */
  pairsOf(series: number): Uint32Array {
    const page = this.labelLists.page(series)
    const start = this.labelLists.start(series)
    return page.subarray(start + 1, start + 1 + page[start]!)
  }

  writeLabels(series: number, into: ByteWriter): void {
    for (const pair of this.pairsOf(series)) this.pairs.write(pair, into)
  }

  /** Appends `{"name":"value",…}`. */
  writeLabelsJson(series: number, into: JsonBytes): void {
    const page = this.labelLists.page(series)
    const start = this.labelLists.start(series)
    const end = start + 1 + page[start]!
    into.byte(123)
    for (let k = start + 1; k < end; k++) {
      if (k > start + 1) into.byte(44)
      this.pairs.writeJson(page[k]!, into)
    }
    into.byte(125)
  }

  // ---- samples

  /**
   * Appends the float at `index` of columns. The columns are handed down, not the numbers: V8 boxes a double in every call that it does not inline.
   * @param times ms. @param bits two per value, low half first, so that the staleness marker survives. @param isWithinBounds false: it is too old.
   */
  append(series: number, times: Float64Array, bits: Uint32Array, index: number, isWithinBounds: boolean): Outcome {
    const { xor } = this
    const time = times[index]!
    const open = xor.counts[series]!
    const last = xor.times[series]!
    if (time <= last) {
      const isSame = xor.values[series * 2 + 1] === bits[index * 2] && xor.values[series * 2] === highAt(bits, index)
      if (time === last && isSame) return outcome.unchanged
      if (!isWithinBounds) return outcome.outOfBounds
      return time === last ? outcome.duplicate : outcome.outOfOrder
    }
    if (!isWithinBounds || !(Math.abs(time) < chunkTimeMax)) return outcome.outOfBounds
    if (this.#histograms.size > 0 && this.#histograms.has(series)) this.closeChunk(series)
    if (open > 0 && (open >= this.options.samplesPerChunk || this.#leavesWindow(this.firstTimes[series]!, time))) this.closeChunk(series)
    this.#addToChunk(series, times, bits, index)
    if (time < this.minTime) this.minTime = time
    if (time > this.maxTime) this.maxTime = time
    return outcome.appended
  }

  appendHistogram(series: number, time: number, histogram: Histogram, minValidMs: number): Outcome {
    const last = this.xor.times[series]!
    if (time < minValidMs || !(Math.abs(time) < chunkTimeMax)) return outcome.outOfBounds
    if (time <= last) return time === last ? outcome.duplicate : outcome.outOfOrder
    if (this.xor.counts[series]! > 0) this.closeChunk(series)
    const open = this.#histograms.get(series)
    if (open !== undefined) for (const look of this.beforeHistogram) look(series, open)
    if (open === undefined) this.#histograms.set(series, OpenHistogramChunk.start(time, histogram, null))
    else if (
      open.count >= this.options.samplesPerChunk ||
      this.#leavesWindow(open.minTime, time) ||
      open.isFloat !== isFloatChunk(histogram)
    ) {
      this.closeChunk(series)
      this.#histograms.set(series, OpenHistogramChunk.start(time, histogram, open))
    } else {
      const next = open.append(time, histogram)
      if (next !== open) {
        this.closeChunk(series)
        this.#histograms.set(series, next)
      }
    }
    // the newest value's bits, as floats keep them: a staleness marker is told by them
    const stale = isStale(histogram.sum)
    this.xor.times[series] = time
    this.xor.values[series * 2] = stale ? staleHigh : 0
    this.xor.values[series * 2 + 1] = stale ? staleLow : 0
    if (time < this.minTime) this.minTime = time
    if (time > this.maxTime) this.maxTime = time
    return outcome.appended
  }

  /** True where the series' newest sample is a native histogram: a float staleness marker then becomes a histogram's. */
  isHistogram(series: number): boolean {
    return (
      this.#histograms.has(series) ||
      (this.xor.counts[series] === 0 &&
        this.newestChunk[series] !== 0 &&
        this.chunks.encoding(this.newestChunk[series]! - 1) !== chunkEncoding.xor)
    )
  }

  /** True where the series has ended with a staleness marker. */
  isStaleSeries(series: number): boolean {
    return this.xor.values[series * 2] === staleHigh && this.xor.values[series * 2 + 1] === staleLow
  }

  /** Moves the open chunk, where there is one, to the chunk store. */
  closeChunk(series: number): void {
    const open = this.#histograms.get(series)
    if (open !== undefined) {
      this.#histograms.delete(series)
      this.#keepChunk(series, open.encoding, open.bytes(), open.minTime, open.maxTime)
      return
    }
    if (this.xor.counts[series] === 0) return
    this.#keepChunk(series, chunkEncoding.xor, this.openChunk(series), this.firstTimes[series]!, this.xor.times[series]!)
    this.arena.release(this.#chunkAt[series]!, this.#chunkClass[series]!)
    this.xor.counts[series] = 0
  }

  /** Bytes of the open XOR chunk, with its sample count: a view that is good until the series is next appended to. */
  openChunk(series: number): Uint8Array {
    const address = this.#chunkAt[series]!
    const offset = this.arena.offset(address)
    return this.arena.page(address).subarray(offset, offset + this.xor.byteLength(series))
  }

  openHistogram(series: number): OpenHistogramChunk | undefined {
    return this.#histograms.get(series)
  }

  #keepChunk(series: number, encoding: number, bytes: Uint8Array, minTime: number, maxTime: number): void {
    this.newestChunk[series] = this.chunks.add(this.shards[series]!, encoding, bytes, minTime, maxTime, this.newestChunk[series]!)
    this.chunksCreated++
  }

  #leavesWindow(from: number, time: number): boolean {
    const range = this.options.chunkRangeMs
    return Math.floor(from / range) !== Math.floor(time / range)
  }

  #addToChunk(series: number, times: Float64Array, bits: Uint32Array, index: number): void {
    const { xor } = this
    const n = xor.counts[series]!
    if (n === 0) {
      this.#chunkAt[series] = this.arena.allocate(0)
      this.#chunkClass[series] = 0
      this.firstTimes[series] = times[index]!
      xor.clear(series)
    } else {
      // a steady series needs two bits: it must not grow for the room that another would need
      // all three are looked at from the second sample on: what only a third one came to would have optimized code thrown away
      const sameHigh = xor.values[series * 2] === highAt(bits, index)
      const sameLow = xor.values[series * 2 + 1] === bits[index * 2]
      const sameStep = times[index]! - xor.times[series]! === xor.deltas[series]
      const steady = sameHigh && sameLow && (n === 1 || sameStep)
      const need = steady ? (n === 1 ? secondSampleBits : steadySampleBits) : xorSampleBytesMax * 8
      const sizeClass = this.#chunkClass[series]!
      if (xor.positions[series]! + need > classBytes(sizeClass) * 8) this.#growChunk(series, sizeClass)
    }
    const address = this.#chunkAt[series]!
    appendXor(xor, series, this.arena.page(address), this.arena.offset(address), times, bits, index)
  }

  #growChunk(series: number, sizeClass: number): void {
    assert(classBytes(sizeClass) < arenaBytesMax, `an open chunk needs more than ${arenaBytesMax} bytes`)
    const from = this.#chunkAt[series]!
    const to = this.arena.allocate(sizeClass + 1)
    const start = this.arena.offset(from)
    this.arena.page(to).set(this.arena.page(from).subarray(start, start + this.xor.byteLength(series)), this.arena.offset(to))
    this.arena.release(from, sizeClass)
    this.#chunkAt[series] = to
    this.#chunkClass[series] = sizeClass + 1
  }

  // ---- collection

  /** Drops full chunks of a shard that end before `beforeMs`, and open ones that do. */
  *dropChunks(shard: number, beforeMs: number): Steps {
    const { count } = this
    for (let series = 0; series < count; series++) {
      if (series % seriesPerStep === 0) {
        yield
        this.views.beforeRemoval()
      }
      if (this.alive[series] === 0 || this.shards[series] !== shard) continue
      if (this.#hasOpen(series) && this.xor.times[series]! < beforeMs) this.closeChunk(series)
      this.#dropChunks(series, beforeMs)
    }
  }

  /** Removes the series of a shard that hold nothing and that nobody refers to. Their numbers will be used again. */
  removeUnused(shard: number): ReadonlySet<number> {
    this.views.beforeRemoval()
    const removed = new Set<number>()
    for (let series = 0; series < this.count; series++) {
      if (this.alive[series] === 0 || this.shards[series] !== shard) continue
      if (this.newestChunk[series] !== 0 || this.#hasOpen(series)) continue
      if (this.holders[series] === 0 && !this.outOfOrder.has(series)) removed.add(series)
    }
    this.#removeAll(removed)
    return removed
  }

  /** Drops series with all they hold; nobody may hold them. Their numbers will be used again. */
  removeSeries(removed: ReadonlySet<number>): void {
    for (const series of removed) {
      assert(this.holders[series] === 0 && !this.outOfOrder.has(series), 'a series that is still used is removed')
      this.clearSamples(series)
    }
    this.#removeAll(removed)
  }

  #removeAll(removed: ReadonlySet<number>): void {
    if (removed.size === 0) return
    this.views.removed(removed)
    const keep = new Uint8Array(this.count).fill(1)
    const pairsTouched = new Set<number>()
    for (const series of removed) {
      keep[series] = 0
      for (const pair of this.pairsOf(series)) pairsTouched.add(pair)
    }
    for (const pair of pairsTouched) this.postings.filter(pair, keep)
    this.pairs.release([...pairsTouched].filter((pair) => this.postings.count(pair) === 0))
    for (const series of removed) this.#remove(series)
    this.#rehash(this.#table.length)
  }

  /** First time in the open chunk; Infinity where there is none. */
  openFrom(series: number): number {
    const open = this.#histograms.get(series)
    if (open !== undefined) return open.minTime
    return this.xor.counts[series]! > 0 ? this.firstTimes[series]! : Infinity
  }

  /** Oldest sample of a series; Infinity where it has none. */
  oldestTime(series: number): number {
    let oldest = this.openFrom(series)
    for (let link = this.newestChunk[series]!; link !== 0; link = this.chunks.previous[link - 1]!) oldest = this.chunks.minTimes[link - 1]!
    return oldest
  }

  /** Drops all samples of a series; it is as if it had just been created. */
  clearSamples(series: number): void {
    this.views.beforeRemoval()
    if (this.#histograms.delete(series)) {
      // its open chunk was the list
    } else if (this.xor.counts[series]! > 0) this.arena.release(this.#chunkAt[series]!, this.#chunkClass[series]!)
    this.#dropChunks(series, Infinity)
    this.xor.clear(series)
    this.xor.times[series] = -Infinity
  }

  #hasOpen(series: number): boolean {
    return this.xor.counts[series]! > 0 || this.#histograms.has(series)
  }

  #dropChunks(series: number, beforeMs: number): void {
    // newest first, so everything behind the first old chunk is old too
    let link = this.newestChunk[series]!
    let newer = 0
    while (link !== 0 && this.chunks.maxTime(link - 1) >= beforeMs) {
      newer = link
      link = this.chunks.previous[link - 1]!
    }
    if (link === 0) return
    if (newer === 0) this.newestChunk[series] = 0
    else this.chunks.previous[newer - 1] = 0
    while (link !== 0) {
      const previous = this.chunks.previous[link - 1]!
      this.chunks.release(link - 1)
      this.chunksRemoved++
      link = previous
    }
  }

  #remove(series: number): void {
    this.labelLists.release(series)
    this.alive[series] = 0
    this.xor.times[series] = -Infinity
    this.#freeSeries.push(series)
    this.live--
    this.onLabels()
    this.seriesRemoved++
  }

  #create(hash: number, pairs: readonly number[], shard: number): number {
    let series = this.#freeSeries.pop()
    if (series === undefined) {
      series = this.count++
      if (series >= this.alive.length) this.#grow(series + 1)
    }
    this.labelLists.set(series, pairs)
    for (const pair of pairs) this.postings.add(pair, series)
    this.alive[series] = 1
    this.shards[series] = shard
    this.hashes[series] = hash
    this.xor.clear(series)
    this.xor.times[series] = -Infinity
    this.holders[series] = 0
    this.newestChunk[series] = 0
    this.live++
    this.onLabels()
    this.seriesCreated++
    if (this.live * 2 > this.#table.length) this.#rehash(this.#table.length * 2)
    else this.#place(series)
    return series
  }

  #place(series: number): void {
    const mask = this.#table.length - 1
    let slot = this.hashes[series]! & mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask
    this.#table[slot] = series + 1
  }

  #rehash(size: number): void {
    const table = new Uint32Array(size)
    const mask = size - 1
    const { alive, hashes, count } = this
    for (let series = 0; series < count; series++) {
      if (alive[series] === 0) continue
      let slot = hashes[series]! & mask
      while (table[slot] !== 0) slot = (slot + 1) & mask
      table[slot] = series + 1
    }
    this.#table = table
  }

  #grow(need: number, n = nextCapacity(this.alive.length, need)): void {
    this.alive = growTo(this.alive, n)
    this.shards = growTo(this.shards, n)
    this.hashes = growTo(this.hashes, n)
    this.firstTimes = growTo(this.firstTimes, n)
    this.xor.grow(n)
    this.holders = growTo(this.holders, n)
    this.newestChunk = growTo(this.newestChunk, n)
    this.#chunkAt = growTo(this.#chunkAt, n)
    this.#chunkClass = growTo(this.#chunkClass, n)
    this.labelLists.grow(n)
  }

  /** Series with an open chunk. */
  get openChunks(): number {
    let open = this.#histograms.size
    for (let series = 0; series < this.count; series++) if (this.xor.counts[series]! > 0) open++
    return open
  }

  /** Series with an open chunk of native histograms, and the buckets of their newest samples. */
  get histogramSeries(): number {
    return this.#histograms.size
  }
  get histogramBuckets(): number {
    let buckets = 0
    for (const open of this.#histograms.values()) buckets += open.lastBuckets
    return buckets
  }

  /** Series whose newest sample is a staleness marker. */
  get staleSeries(): number {
    let stale = 0
    for (let series = 0; series < this.count; series++) if (this.alive[series] === 1 && this.isStaleSeries(series)) stale++
    return stale
  }

  /** Those of them that nobody holds and that have no late samples: they may leave. */
  get endedSeries(): number {
    let ended = 0
    for (let series = 0; series < this.count; series++) if (this.hasEnded(series)) ended++
    return ended
  }

  hasEnded(series: number): boolean {
    return this.alive[series] === 1 && this.holders[series] === 0 && this.isStaleSeries(series) && !this.outOfOrder.has(series)
  }

  /** Bytes of all columns, lists and arenas by what they are for, room to grow included; what is on the JavaScript heap is not counted. */
  get memory(): HeadMemory {
    const perSeries = 1 + 2 + 4 + 8 + 32 + 2 + 4 + 4 + 1 + 4
    return {
      series: this.alive.length * perSeries + this.#table.length * 4,
      labels: this.labelLists.byteLength + this.pairs.byteLength,
      postings: this.postings.byteLength,
      open_chunks: this.arena.byteLength,
      full_chunks: this.chunks.residentBytes,
    }
  }

  // ---- snapshots: the state of an open chunk besides its bytes

  /** Where the open chunk lies in `arenaPage`; good until `holdOpenChunks` is undone. */
  openChunkAt(series: number): number {
    return this.#chunkAt[series]!
  }
  /** Room of open chunks that close or move from now on is not used again before the function it returns is called. */
  holdOpenChunks(): () => void {
    return this.arena.hold()
  }
  get openHistograms(): ReadonlyMap<number, OpenHistogramChunk> {
    return this.#histograms
  }

  /** Puts back the open chunks that a snapshot kept, one after the other, each in whole words; XOR states of the series from `first` on are there already. */
  restoreOpenChunks(first: number, words: Uint32Array): void {
    const { arena, xor, count } = this
    for (let series = first, from = 0; series < count; series++) {
      if (xor.counts[series] === 0) continue
      const bytes = xor.byteLength(series)
      let sizeClass = 0
      while (classBytes(sizeClass) < bytes) sizeClass++
      const address = arena.allocate(sizeClass)
      const page = arena.words(address)
      const end = from + ((bytes + 3) >>> 2)
      for (let at = arena.offset(address) >>> 2; from < end; at++) page[at] = words[from++]! // a million views would cost more
      this.#chunkAt[series] = address
      this.#chunkClass[series] = sizeClass
    }
  }

  /** Makes room for more series, so that columns grow once. */
  reserve(series: number): void {
    if (this.count + series > this.alive.length) this.#grow(this.count + series, this.count + series)
  }

  /**
   * Enters the series that a snapshot kept; returns the number of the first, the others follow it. Their columns are the caller's to set, and
   * nobody finds them before `index` is called.
   * @param labels per series the count of its pairs and their places in `pairs`, the ids of this head. @param uses how many series have each of the pairs.
   */
  restoreSeries(shard: number, hashes: Uint32Array, labels: Uint32Array, pairs: Uint32Array, uses: Uint32Array): number {
    const n = hashes.length
    const first = this.count
    this.reserve(n)
    this.postings.expect(pairs, uses)
    this.labelLists.setAll(first, n, labels, pairs)
    this.count += n
    this.live += n
    this.seriesCreated += n
    this.alive.fill(1, first, this.count)
    this.shards.fill(shard, first, this.count)
    this.hashes.set(hashes, first)
    return first
  }

  /** Makes the table and the posting lists of a head whose series all come from snapshots. */
  index(): void {
    this.postings.build(this.count, this.pairs.count, this.labelLists)
    this.#rehash(2 ** Math.ceil(Math.log2(Math.max(512, this.live + 1) * 2)))
  }

  restoreHistogram(series: number, open: OpenHistogramChunk): void {
    this.#histograms.set(series, open)
  }
}

/** Looked at between two pauses. */
const seriesPerStep = 8192
