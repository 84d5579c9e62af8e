// What decoding a remote-write message of either version yields, and what the two decoders share.
import type { Appender, SeriesHandle } from '../../src/model/appender.ts'
import type { Histogram } from '../../src/model/histogram.ts'
import { copyToSchema } from '../../src/model/histogram-arithmetic.ts'
import { checkHistogram } from '../../src/model/histogram-check.ts'
import { ByteWriter } from '../../src/base/bytes.ts'
import { ProtoReader } from './protobuf.ts'
import { LabelRanges } from './series-labels.ts'
import { SeriesCache, type SeriesCacheOptions } from './series-cache.ts'
import { WriteColumns } from './write-columns.ts'

/** Samples may be this far ahead of the clock. */
export const aheadMaxMs = 10 * 60_000
/** Problems named in an answer; the rest is only counted. */
const problemsMax = 20

export const tooFarAhead = 'out of bounds: timestamp is too far in the future'

/** One decoder per message version; its columns, cache and scratch memory are reused, so a decode must be appended before the next begins. */
export abstract class WriteDecoder {
  readonly columns = new WriteColumns()
  readonly cache: SeriesCache
  /** What the sender did wrong, in order, at most 20 of them. */
  problems: string[] = []
  problemCount = 0
  /** Series (v1) or samples (v2) left out because of their labels, and the first such label set with its fault. */
  invalidLabels = 0
  firstInvalid = ''
  /** What was wrong with the labels that `open` refused last. */
  protected lastFault = ''
  protected readonly appender: Appender
  protected readonly reader = new ProtoReader()
  protected readonly ranges = new LabelRanges()
  protected readonly canonical = new ByteWriter(1024)
  protected timeMaxMs = 0
  /** Handles that are not kept: released once the batch is appended. */
  #loose: SeriesHandle[] = []

  constructor(appender: Appender, cache: Omit<SeriesCacheOptions, 'release'>) {
    this.appender = appender
    this.cache = new SeriesCache({ ...cache, release: (handle) => this.#loose.push(handle) })
  }

  /** Fills the columns from a message in bytes[0, length). Throws PromhiveError DECODE; the columns are then worthless. */
  decode(bytes: Uint8Array, view: DataView, length: number, nowMs: number): void {
    this.columns.clear()
    this.problems = []
    this.problemCount = 0
    this.invalidLabels = 0
    this.firstInvalid = ''
    this.timeMaxMs = nowMs + aheadMaxMs
    this.releaseLoose()
    this.cache.begin(nowMs)
    this.reader.reset(bytes, view, 0, length)
    this.message()
  }

  /** Gives back handles that were evicted or never kept. Call when the batch has been appended. */
  releaseLoose(): void {
    if (this.#loose.length === 0) return
    for (const handle of this.#loose) this.appender.release(handle)
    this.#loose = []
  }

  protected abstract message(): void

  /** Opens a series that the cache did not know, and remembers it under bytes[start, end). −1 where the labels name none. */
  protected open(bytes: Uint8Array, key: Uint8Array, keyView: DataView, start: number, end: number): number {
    this.canonical.length = 0
    const problem = this.ranges.canonical(bytes, this.canonical)
    if (problem !== '') {
      this.lastFault = problem
      if (this.firstInvalid === '') this.firstInvalid = `${problem}, got ${this.ranges.print(bytes)}`
      return -1
    }
    const handle = this.appender.openBytes(this.canonical.written())
    if (!this.cache.add(key, keyView, start, end, handle)) this.#loose.push(handle)
    return handle
  }

  protected refuse(problem: string): void {
    if (this.problemCount++ < problemsMax) this.problems.push(problem)
  }

  /** Checks and adds a histogram whose handle is known. */
  protected addHistogram(handle: number, histogram: Histogram, timeMs: number, startTimeMs: number, series: () => string): void {
    if (timeMs > this.timeMaxMs) {
      this.refuse(tooFarAhead + series())
      return
    }
    let merged = histogram
    let problem: string | null = null
    if (histogram.schema > 8 && histogram.schema <= 52) {
      // reserved for finer buckets than the storage keeps: merged, once they are known to add up
      problem = checkHistogram({ ...histogram, schema: 8 })
      const { isFloat, counterReset } = histogram
      if (problem === null) merged = { ...copyToSchema(histogram, 8), isFloat, counterReset }
    } else problem = checkHistogram(histogram)
    if (problem !== null) {
      this.refuse(problem + series())
      return
    }
    this.columns.histograms.push(
      startTimeMs === 0 ? { handle, timeMs, histogram: merged } : { handle, timeMs, histogram: merged, startTimeMs },
    )
  }
}
