// The buckets of a native histogram: index by index, or as (lower, upper, count) from the lowest to the highest.
// Spans are what chunks and the wire hold; here they are turned into explicit indexes, kept per span list, since all samples of a chunk
// share one.
import { assert } from '../base/assert.ts'
import { customBucketsSchema, type Histogram, type Span } from './histogram.ts'
import { bucketBound, reducedIndex } from './histogram-bounds.ts'

export const noSpans: readonly Span[] = []
export const noBuckets = new Float64Array(0)

const indexesOfSpans = new WeakMap<readonly Span[], Int32Array>()

/** The bucket index of every count, ascending. `length` is the count of counts: broken spans never reach beyond it. Do not change. */
export function bucketIndexes(spans: readonly Span[], length: number): Int32Array {
  const known = indexesOfSpans.get(spans)
  if (known !== undefined && known.length === length) return known
  const out = new Int32Array(length)
  let at = 0
  let index = 0
  for (const span of spans) {
    index += span.offset
    for (let i = 0; i < span.length && at < length; i++) out[at++] = index++
  }
  const indexes = at === length ? out : out.slice(0, at)
  if (spans.length > 0) indexesOfSpans.set(spans, indexes)
  return indexes
}

/** Spans for `count` ascending indexes. */
export function spansOf(indexes: Int32Array, count: number): readonly Span[] {
  if (count === 0) return noSpans
  const out: { offset: number; length: number }[] = []
  let end = 0 // one past the last index of the span before
  for (let i = 0; i < count;) {
    const first = indexes[i]!
    let length = 1
    while (i + length < count && indexes[i + length]! === first + length) length++
    out.push({ offset: first - end, length })
    end = first + length
    i += length
  }
  return out
}

/** Whether two span lists describe the same indexes in the same cut. */
export function spansAlike(a: readonly Span[], b: readonly Span[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i]!.offset !== b[i]!.offset || a[i]!.length !== b[i]!.length) return false
  return true
}

/** Equal but for spans of length 0 and spans that touch. */
export function spansMatch(a: readonly Span[], b: readonly Span[]): boolean {
  if (spansAlike(a, b)) return true
  const x = bucketIndexes(a, spanLength(a))
  const y = bucketIndexes(b, spanLength(b))
  if (x.length !== y.length) return false
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false
  return true
}

export function spanLength(spans: readonly Span[]): number {
  let sum = 0
  for (const span of spans) sum += span.length
  return sum
}

/** Indexes and counts of one side of a histogram. */
export type Side = Readonly<{ indexes: Int32Array; counts: Float64Array }>

export function sideOf(histogram: Histogram, positive: boolean): Side {
  const counts = positive ? histogram.positiveBuckets : histogram.negativeBuckets
  return { indexes: bucketIndexes(positive ? histogram.positiveSpans : histogram.negativeSpans, counts.length), counts }
}

/** The same counts in a lower resolution: neighbours that fall into one bucket are added. */
export function reduceSide(side: Side, from: number, to: number): Side {
  if (from === to) return side
  assert(to < from, `cannot raise the resolution from schema ${from} to ${to}`)
  const indexes = new Int32Array(side.indexes.length)
  const counts = new Float64Array(side.indexes.length)
  let n = 0
  for (let i = 0; i < side.indexes.length; i++) {
    const index = reducedIndex(side.indexes[i]!, from, to)
    if (n > 0 && indexes[n - 1] === index) counts[n - 1]! += side.counts[i]!
    else {
      indexes[n] = index
      counts[n++] = side.counts[i]!
    }
  }
  return { indexes: indexes.subarray(0, n), counts: counts.subarray(0, n) }
}

/** Buckets in ascending order; reused by its owner. inclusive: 0 (lower, upper], 1 [lower, upper), 2 (lower, upper), 3 [lower, upper]. */
export class BucketList {
  length = 0
  lower = new Float64Array(64)
  upper = new Float64Array(64)
  counts = new Float64Array(64)
  inclusive = new Uint8Array(64)
  #reserve(count: number): void {
    if (count <= this.lower.length) return
    const capacity = Math.max(count, this.lower.length * 2)
    this.lower = new Float64Array(capacity)
    this.upper = new Float64Array(capacity)
    this.counts = new Float64Array(capacity)
    this.inclusive = new Uint8Array(capacity)
  }
  /**
   * Every bucket: negative ones from the lowest, the zero bucket where its count is above 0, then the positive ones. Buckets that overlap the
   * zero bucket are cut at the zero threshold, as Prometheus' AllBucketIterator does.
   */
  fill(histogram: Histogram): void {
    const { schema, zeroThreshold, customBounds } = histogram
    const negative = sideOf(histogram, false)
    const positive = sideOf(histogram, true)
    this.#reserve(negative.indexes.length + positive.indexes.length + 1)
    let n = 0
    const custom = schema === customBucketsSchema
    for (let i = negative.indexes.length - 1; i >= 0; i--) {
      const index = negative.indexes[i]!
      this.lower[n] = -bucketBound(index, schema, customBounds)
      let upper = -bucketBound(index - 1, schema, customBounds)
      if (upper < 0 && upper > -zeroThreshold) upper = -zeroThreshold
      this.upper[n] = upper
      this.inclusive[n] = custom ? 0 : 1
      this.counts[n++] = negative.counts[i]!
    }
    if (histogram.zeroCount > 0) {
      this.lower[n] = -zeroThreshold
      this.upper[n] = zeroThreshold
      this.inclusive[n] = 3
      this.counts[n++] = histogram.zeroCount
    }
    let upperBefore = NaN
    let indexBefore = NaN
    for (let i = 0; i < positive.indexes.length; i++) {
      const index = positive.indexes[i]!
      let lower = indexBefore === index - 1 ? upperBefore : bucketBound(index - 1, schema, customBounds)
      const upper = bucketBound(index, schema, customBounds)
      upperBefore = upper
      indexBefore = index
      if (lower > 0 && lower < zeroThreshold) lower = zeroThreshold
      this.lower[n] = lower
      this.upper[n] = upper
      this.inclusive[n] = custom && index === 0 ? 3 : 0
      this.counts[n++] = positive.counts[i]!
    }
    this.length = n
  }
}
