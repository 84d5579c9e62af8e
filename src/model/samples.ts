import type { Histogram } from './histogram.ts'
import type { Labels } from './labels.ts'
import type { Matcher } from './matcher.ts'

/**
 * Samples of one series in columns, ascending in time; reused from series to series so that nothing is allocated per sample.
 *   times   Float64Array  milliseconds since the epoch (integers)      values  Float64Array  StaleNaN kept (test by `bits`)
 *   histograms[i]  non-null where sample i is a native histogram (values[i] is then its sum or StaleNaN); null while there is none at all
 *   startTimes  Float64Array of start (created) timestamps, ms, 0 = unknown; null while there is none at all
 */
export class SampleColumns {
  length = 0
  times: Float64Array
  values: Float64Array
  bits: Uint32Array
  histograms: (Histogram | null)[] | null = null
  startTimes: Float64Array | null = null
  constructor(capacity = 256) {
    this.times = new Float64Array(capacity)
    this.values = new Float64Array(capacity)
    this.bits = new Uint32Array(this.values.buffer)
  }
  clear(): void {
    this.length = 0
    this.histograms = null
    this.startTimes = null
  }
  reserve(more: number): void {
    const need = this.length + more
    if (need <= this.times.length) return
    const capacity = Math.max(need, this.times.length * 2)
    const times = new Float64Array(capacity)
    times.set(this.times.subarray(0, this.length))
    // by bits: a number taken out and put back may lose the staleness marker's signalling bit
    const bits = new Uint32Array(capacity * 2)
    bits.set(this.bits.subarray(0, this.length * 2))
    this.times = times
    this.bits = bits
    this.values = new Float64Array(bits.buffer)
    if (this.startTimes !== null) {
      const grown = new Float64Array(capacity)
      grown.set(this.startTimes.subarray(0, this.length))
      this.startTimes = grown
    }
  }
  push(time: number, value: number, histogram: Histogram | null = null, startTime = 0): void {
    if (this.length === this.times.length) this.reserve(1)
    const i = this.length++
    this.times[i] = time
    this.values[i] = value
    if (histogram !== null && this.histograms === null) this.histograms = new Array<Histogram | null>(i).fill(null)
    if (this.histograms !== null) this.histograms[i] = histogram
    if (startTime !== 0 && this.startTimes === null) this.startTimes = new Float64Array(this.times.length)
    if (this.startTimes !== null) this.startTimes[i] = startTime
  }
}

export type SelectQuery = Readonly<{
  matchers: readonly Matcher[]
  /** Closed range, ms. */
  startMs: number
  endMs: number
  /** Of every series only the newest sample is wanted: `read` may leave out the others. */
  newestOnly?: boolean
}>

/** What a selector found: series in no promised order, each label set once. Valid until the next `select` on the same source. */
export interface SeriesSet {
  readonly length: number
  labels(index: number): Labels
  /** Replaces what `into` holds by the samples of one series within the query's range. */
  read(index: number, into: SampleColumns): void
}

/** Anything PromQL can read: a shard's head and blocks, a test's memory. Synchronous: it lies next to the data. */
export interface SeriesSource {
  select(query: SelectQuery): SeriesSet
}
