// The head of a Prometheus data directory: what lies in wal/, chunks_head/ and wbl/ and in no block yet. Used once, when a directory is taken over, and
// by the tools that dump one. Source: prometheus tsdb/head_wal.go.
//
//   pass 1   wal: series, deletions, metadata      ─▶ labels by reference
//   pass 2   chunks_head, then wal                 ─▶ samples, per series in time order
//   pass 3   late chunks of chunks_head, then wbl  ─▶ samples that came out of order, as old as they are: no block has them yet
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Histogram } from '../../model/histogram.ts'
import { labelsKey, type Labels } from '../../model/labels.ts'
import type { Metadata } from '../../model/metadata.ts'
import { SampleColumns } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import { corrupt } from '../block/corrupt.ts'
import { decodeChunk } from '../chunks/decode.ts'
import { type Interval, overlapsAny, withInterval } from '../block/intervals.ts'
import { type HeadChunk, readHeadChunks } from './head-chunks.ts'
import { checkpointCut, type Decompressors, logSegments, readLog, segmentPaths } from './log.ts'
import { readRecord, type RecordSink } from './records.ts'

/** Takes over a head. Series are numbered from 0 in the order they are given; a label set is given once. */
export interface HeadSink {
  series(series: number, labels: Labels): void
  /** Columns of one series; reused by the next call. */
  samples(series: number, columns: SampleColumns): void
  /** What follows came out of order, at any time; it may repeat what was given before. A step begins with it. */
  late?(): void
  exemplar?(series: number, time: number, value: number, labels: Labels): void
  metadata?(series: number, metadata: Metadata): void
}

export type HeadImport = Readonly<{
  series: number
  samples: number
  exemplars: number
  /** Samples, from `fromMs` on, of series the log does not know: their labels are lost. */
  orphans: number
  /** What could not be read: a torn end after a crash, mostly. Everything before it is there. */
  damages: readonly PromhiveError[]
}>

export type ImportOptions = Readonly<{
  /** Samples before it are left out, since they are in blocks; those that came out of order are not. */
  fromMs?: number
  /**
   * Samples are given in slices of this length, oldest first, so that no sample comes later than one that is a slice younger: for sinks that refuse what is
   * too old. Late ones come last, in one piece. Every slice reads all files once more. Default: one slice.
   */
  sliceMs?: number
}>

/** Samples gathered per step, over all series. */
const samplesPerStep = 65_536

/** Reads a head into `sink`, a step per `next()`. Throws what the sink throws. */
export function* importHead(
  disk: Disk,
  dataDirectory: string,
  decompress: Decompressors,
  sink: HeadSink,
  options: ImportOptions = {},
): Generator<void, HeadImport> {
  const damages: PromhiveError[] = []
  const numbers = new SeriesNumbers(sink)
  const log = logSegments(disk, `${dataDirectory}/wal`)
  const late = segmentPaths(disk, `${dataDirectory}/wbl`)
  const chunkDirectory = `${dataDirectory}/chunks_head`
  const source = { disk, decompress, damages }
  yield* replay(source, log, numbers)
  let start = options.fromMs ?? -Infinity
  if (options.sliceMs !== undefined) {
    for (const { minTime, maxTime, outOfOrder } of headChunks(source, chunkDirectory)) if (!outOfOrder) numbers.see(minTime, maxTime)
    start = Math.max(start, numbers.minTime)
  }

  const gathered = new Gathered(numbers, sink)
  const sliceMs = options.sliceMs ?? Infinity
  for (let slice = 0; ; slice++) {
    // the orphans of all slices are the same
    const end = sliceMs === Infinity ? Infinity : start + (slice + 1) * sliceMs
    gathered.openSlice(slice === 0 ? start : start + slice * sliceMs, end, slice === 0)
    // chunks first: what the log repeats of them is older than their end
    for (const chunk of headChunks(source, chunkDirectory)) {
      if (chunk.outOfOrder) continue
      gathered.chunk(chunk, damages)
      if (gathered.flushWhenMany(samplesPerStep)) yield
    }
    gathered.flushWhenMany(0)
    gathered.behindChunks = true
    for (const _ of replay(source, log, gathered)) if (gathered.flushWhenMany(samplesPerStep)) yield
    gathered.flushWhenMany(0)
    yield
    if (!(end <= numbers.maxTime)) break
  }
  sink.late?.()
  gathered.openSlice(-Infinity, Infinity, true)
  for (const chunk of headChunks(source, chunkDirectory)) {
    if (!chunk.outOfOrder) continue
    gathered.chunk(chunk, damages)
    if (gathered.flushWhenMany(samplesPerStep)) yield
  }
  gathered.flushWhenMany(0)
  for (const _ of replay(source, late, gathered)) if (gathered.flushWhenMany(samplesPerStep)) yield
  gathered.flushWhenMany(0)
  const { samples, exemplars, orphans } = gathered
  return { series: numbers.count, samples, exemplars, orphans, damages: distinct(damages) }
}

/** Whether a directory has a Prometheus head that was never taken over. */
export function hasHead(disk: Disk, dataDirectory: string): boolean {
  return (
    logSegments(disk, `${dataDirectory}/wal`).some((path) => disk.stat(path).sizeBytes > 0) ||
    segmentPaths(disk, `${dataDirectory}/wbl`).some((path) => disk.stat(path).sizeBytes > 0) ||
    segmentPaths(disk, `${dataDirectory}/chunks_head`).length > 0
  )
}

type Source = Readonly<{ disk: Disk; decompress: Decompressors; damages: PromhiveError[] }>

/** Reads records to the end or the first damage, one per `next()`. */
function* replay(source: Source, segments: readonly string[], sink: RecordSink): Generator<void> {
  const { disk, damages } = source
  yield* replayed(source, segments, sink)
  for (const path of segments) {
    const cut = checkpointCut(disk, path)
    if (cut !== null && !damages.some(({ detail }) => detail['file'] === path)) damages.push(cut)
  }
}

function* replayed({ disk, decompress, damages }: Source, segments: readonly string[], sink: RecordSink): Generator<void> {
  const records = readLog(disk, segments, decompress)
  let unknownIn = ''
  for (let next = records.next(); ; next = records.next()) {
    if (next.done === true) {
      if (next.value !== null) damages.push(next.value)
      return
    }
    const { path, offset, bytes } = next.value
    try {
      const unknown = readRecord(bytes, sink)
      // one of many in a segment is enough: a log of a Prometheus to come may be full of them
      if (unknown !== null && unknownIn !== path) damages.push(corrupt(path, offset, `records of the unknown type ${unknown} are skipped`))
      if (unknown !== null) unknownIn = path
    } catch (thrown) {
      damages.push(asDamage(path, thrown))
      return
    }
    yield
  }
}

/** Chunks to the end or the first damage. */
function* headChunks({ disk, damages }: Source, directory: string): Generator<HeadChunk> {
  const damage = yield* readHeadChunks(disk, directory)
  if (damage !== null) damages.push(damage)
}

function asDamage(path: string, thrown: unknown): PromhiveError {
  if (thrown instanceof PromhiveError && thrown.code !== 'DECODE') throw thrown
  return new PromhiveError('STORAGE_CORRUPT', `cannot read ${path}: ${messageOf(thrown)}`, { file: path }, thrown)
}

function distinct(damages: readonly PromhiveError[]): PromhiveError[] {
  return [...new Map(damages.map((damage) => [damage.message, damage])).values()]
}

/** Pass 1: several references may stand for one label set, when a series went away and came back. */
class SeriesNumbers implements RecordSink {
  count = 0
  /** Of all samples. */
  minTime = Infinity
  maxTime = -Infinity
  readonly #byRef = new Map<number, number>()
  readonly #byLabels = new Map<string, number>()
  readonly #deleted = new Map<number, readonly Interval[]>()
  readonly #sink: HeadSink
  constructor(sink: HeadSink) {
    this.#sink = sink
  }
  series(ref: number, labels: Labels): void {
    const key = labelsKey(labels)
    let number = this.#byLabels.get(key)
    if (number === undefined) {
      number = this.count++
      this.#byLabels.set(key, number)
      this.#sink.series(number, labels)
    }
    this.#byRef.set(ref, number)
  }
  deletion(ref: number, minTime: number, maxTime: number): void {
    this.#deleted.set(ref, withInterval(this.deletedOf(ref), { minTime, maxTime }))
  }
  metadata(ref: number, metadata: Metadata): void {
    const number = this.#byRef.get(ref)
    if (number !== undefined) this.#sink.metadata?.(number, metadata)
  }
  sample(_ref: number, time: number): void {
    this.see(time, time)
  }
  histogram(_ref: number, time: number): void {
    this.see(time, time)
  }
  see(minTime: number, maxTime: number): void {
    if (minTime < this.minTime) this.minTime = minTime
    if (maxTime > this.maxTime) this.maxTime = maxTime
  }
  of(ref: number): number | undefined {
    return this.#byRef.get(ref)
  }
  deletedOf(ref: number): readonly Interval[] {
    return this.#deleted.get(ref) ?? none
  }
}
const none: readonly Interval[] = []

/** Pass 2: samples of one slice by series, until there are enough for a step. */
class Gathered implements RecordSink {
  samples = 0
  exemplars = 0
  orphans = 0
  /** Whether only samples behind the series' last full chunk are wanted: the log repeats what full chunks hold. */
  behindChunks = false
  /** Waiting to be flushed. */
  #waiting = 0
  #start = -Infinity
  #end = Infinity
  #first = true
  readonly #chunkEnds = new Map<number, number>()
  readonly #numbers: SeriesNumbers
  readonly #sink: HeadSink
  readonly #columns = new Map<number, SampleColumns>()
  readonly #chunk = new SampleColumns()
  constructor(numbers: SeriesNumbers, sink: HeadSink) {
    this.#numbers = numbers
    this.#sink = sink
  }
  /** From now on samples in [start, end) are wanted. */
  openSlice(start: number, end: number, first: boolean): void {
    this.#start = start
    this.#end = end
    this.#first = first
    this.behindChunks = false
  }
  sample(ref: number, time: number, high: number, low: number, startTime: number): void {
    const columns = this.#take(ref, time)
    if (columns === null) return
    const at = columns.length
    columns.push(time, 0, null, startTime)
    columns.bits[at * 2] = low
    columns.bits[at * 2 + 1] = high
  }
  histogram(ref: number, time: number, histogram: Histogram, startTime: number): void {
    this.#take(ref, time)?.push(time, histogram.sum, histogram, startTime)
  }
  exemplar(ref: number, time: number, value: number, labels: Labels): void {
    const series = this.#numbers.of(ref)
    if (series === undefined || time < this.#start || time >= this.#end) return
    this.exemplars++
    this.#sink.exemplar?.(series, time, value, labels)
  }
  /** One whose checksum is right and that still cannot be read is a damage; the others are not. */
  chunk({ path, ref, encoding, bytes, minTime, maxTime, outOfOrder }: HeadChunk, damages: PromhiveError[]): void {
    const series = this.#numbers.of(ref)
    if (series === undefined) {
      // all encodings begin with the number of samples
      if (this.#first && maxTime >= this.#start && bytes.length > 1) this.orphans += (bytes[0]! << 8) | bytes[1]!
      return
    }
    const from = this.#chunk
    from.clear()
    if (maxTime >= this.#start && minTime < this.#end) {
      try {
        decodeChunk(encoding, bytes, this.#start, Infinity, from)
      } catch (thrown) {
        damages.push(asDamage(path, thrown))
        return
      }
    }
    if (!outOfOrder) this.#chunkEnds.set(series, Math.max(maxTime, this.#chunkEnds.get(series) ?? -Infinity))
    for (let i = 0; i < from.length; i++) {
      const histogram = from.histograms?.[i] ?? null
      const start = from.startTimes?.[i] ?? 0
      if (histogram !== null) this.histogram(ref, from.times[i]!, histogram, start)
      else this.sample(ref, from.times[i]!, from.bits[i * 2 + 1]!, from.bits[i * 2]!, start)
    }
  }
  flushWhenMany(many: number): boolean {
    if (this.#waiting < many || this.#waiting === 0) return false
    for (const [series, columns] of this.#columns) this.#sink.samples(series, columns)
    this.#columns.clear()
    this.#waiting = 0
    return true
  }
  #take(ref: number, time: number): SampleColumns | null {
    const series = this.#numbers.of(ref)
    if (time < this.#start) return null
    if (series === undefined) {
      if (this.#first) this.orphans++
      return null
    }
    if (time >= this.#end) return null
    if (this.behindChunks && time <= (this.#chunkEnds.get(series) ?? -Infinity)) return null
    const deleted = this.#numbers.deletedOf(ref)
    if (deleted.length > 0 && overlapsAny(deleted, time, time)) return null
    let columns = this.#columns.get(series)
    if (columns === undefined) {
      columns = new SampleColumns(4)
      this.#columns.set(series, columns)
    }
    this.#waiting++
    this.samples++
    return columns
  }
}
