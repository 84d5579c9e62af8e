// Quantiles and fractions of one histogram, classic or native. Source: prometheus promql/quantile.go.
import type { Histogram } from '../../model/histogram.ts'
import { usesCustomBuckets } from '../../model/histogram-arithmetic.ts'
import { BucketList } from '../../model/histogram-buckets.ts'
import { fractionBelow } from '../../model/histogram-trim.ts'
import { Compensated } from '../../model/compensated.ts'
import type { Annotations } from '../annotations.ts'
import type { Span } from '../ast.ts'

const smallestNormal = 2.2250738585072014e-308

/** Whether two numbers differ by less than their sum times epsilon. Source: prometheus util/almost. */
export function almostEqual(a: number, b: number, epsilon: number): boolean {
  if (a === b || (a !== a && b !== b)) return true
  const sum = Math.abs(a) + Math.abs(b)
  const difference = Math.abs(a - b)
  if (a === 0 || b === 0 || sum < smallestNormal) return difference < epsilon * smallestNormal
  return difference / Math.min(sum, Number.MAX_VALUE) < epsilon
}

/** Buckets of a classic histogram: cumulative counts by upper bound. Reused from step to step. */
export class ClassicBuckets {
  length = 0
  bounds = new Float64Array(16)
  counts = new Float64Array(16)
  /** What `quantile` had to mend, for the annotation. */
  forced = false
  minBucket = Infinity
  maxBucket = -Infinity
  maxDiff = 0
  clear(): void {
    this.length = 0
  }
  /** Bounds must come in ascending order; equal ones are added up. */
  add(bound: number, count: number): void {
    if (this.length > 0 && this.bounds[this.length - 1] === bound) {
      this.counts[this.length - 1]! += count
      return
    }
    if (this.length === this.bounds.length) {
      const bounds = new Float64Array(this.length * 2)
      const counts = new Float64Array(this.length * 2)
      bounds.set(this.bounds)
      counts.set(this.counts)
      this.bounds = bounds
      this.counts = counts
    }
    this.bounds[this.length] = bound
    this.counts[this.length++] = count
  }

  /** Linear interpolation within the bucket the φ-quantile falls into. Changes the counts where they are not monotonic. */
  quantile(phi: number): number {
    const { bounds, counts, length } = this
    this.forced = false
    if (phi !== phi) return NaN
    if (phi < 0) return -Infinity
    if (phi > 1) return Infinity
    if (bounds[length - 1] !== Infinity) return NaN
    this.#mend()
    if (length < 2) return NaN
    const observations = counts[length - 1]!
    if (observations === 0) return NaN
    let rank = phi * observations
    let b = 0
    while (b < length - 1 && !(counts[b]! >= rank)) b++
    if (b === length - 1) return bounds[length - 2]!
    if (b === 0 && bounds[0]! <= 0) return bounds[0]!
    let start = 0
    let count = counts[b]!
    if (b > 0) {
      start = bounds[b - 1]!
      count -= counts[b - 1]!
      rank -= counts[b - 1]!
    }
    return start + (bounds[b]! - start) * (rank / count)
  }

  /** Counts must not fall with rising bounds: tiny differences are rounding and ignored, others are levelled and noted. */
  #mend(): void {
    this.minBucket = Infinity
    this.maxBucket = -Infinity
    this.maxDiff = 0
    let before = this.counts[0]!
    for (let i = 1; i < this.length; i++) {
      const count = this.counts[i]!
      if (count === before) continue
      if (almostEqual(before, count, 1e-12)) {
        this.counts[i] = before
        continue
      }
      if (count < before) {
        this.counts[i] = before
        this.forced = true
        this.minBucket = Math.min(this.minBucket, this.bounds[i]!)
        this.maxBucket = Math.max(this.maxBucket, this.bounds[i]!)
        this.maxDiff = Math.max(this.maxDiff, before - count)
        continue
      }
      before = count
    }
  }

  /** The share of observations between two values. */
  fraction(lower: number, upper: number): number {
    const { bounds, counts, length } = this
    if (bounds[length - 1] !== Infinity) return NaN
    const all = counts[length - 1]!
    if (all === 0 || lower !== lower || upper !== upper) return NaN
    if (lower >= upper) return 0
    let rank = 0
    let lowerRank = NaN // not found yet
    let upperRank = NaN
    let start = bounds[0]! <= 0 ? -Infinity : 0
    for (let i = 0; i < length; i++) {
      if (i > 0) start = bounds[i - 1]!
      const end = bounds[i]!
      const count = counts[i]!
      const at = (v: number): number => (start === -Infinity ? count : rank + ((count - rank) * (v - start)) / (end - start))
      if (lowerRank !== lowerRank && start >= lower) lowerRank = rank
      if (upperRank !== upperRank && start >= upper) upperRank = rank
      if (lowerRank === lowerRank && upperRank === upperRank) break
      if (lowerRank !== lowerRank && start < lower && end > lower) lowerRank = at(lower)
      if (upperRank !== upperRank && start < upper && end > upper) upperRank = at(upper)
      if (lowerRank === lowerRank && upperRank === upperRank) break
      rank = count
    }
    if (lowerRank !== lowerRank || lowerRank > all) lowerRank = all
    if (upperRank !== upperRank || upperRank > all) upperRank = all
    return (upperRank - lowerRank) / all
  }
}

const buckets = new BucketList()

/** The φ-quantile of a native histogram: exponential buckets are interpolated on a logarithmic scale, others linearly. */
export function nativeQuantile(phi: number, histogram: Histogram, name: string, span: Span, annotations: Annotations): number {
  if (phi < 0) return -Infinity
  if (phi > 1) return Infinity
  if (histogram.count === 0 || phi !== phi) return NaN
  buckets.fill(histogram)
  const custom = usesCustomBuckets(histogram)
  const hasNaN = Number.isNaN(histogram.sum) // observations of NaN are in the count only
  const forward = hasNaN || phi < 0.5
  let rank = (forward ? phi : 1 - phi) * histogram.count
  let count = 0
  let at = -1
  const end = forward ? buckets.length : -1
  let i = forward ? 0 : buckets.length - 1
  for (; i !== end; i += forward ? 1 : -1) {
    at = i
    if (buckets.counts[i] === 0) continue
    count += buckets.counts[i]!
    if (count >= rank) break
  }
  let lower = at < 0 ? 0 : buckets.lower[at]!
  let upper = at < 0 ? 0 : buckets.upper[at]!
  const bucketCount = at < 0 ? 0 : buckets.counts[at]!
  const negatives = histogram.negativeBuckets.length
  const positives = histogram.positiveBuckets.length
  if (!custom && lower < 0 && upper > 0) {
    if (negatives === 0 && positives > 0) lower = 0
    else if (positives === 0 && negatives > 0) upper = 0
  } else if (custom) {
    if (lower === -Infinity) {
      if (upper <= 0) return upper
      lower = 0
    } else if (upper === Infinity) return lower
  }
  if (count > histogram.count) count = histogram.count
  if (count < rank) {
    if (!hasNaN) return upper
    annotations.quantileNaNResult(name, span)
    return NaN
  }
  rank = forward ? rank - (count - bucketCount) : count - rank
  if (hasNaN) {
    for (let j = at + 1; j < buckets.length; j++) count += buckets.counts[j]!
    if (count < histogram.count) annotations.quantileNaNSkew(name, span)
  }
  const fraction = rank / bucketCount
  if (custom || (lower <= 0 && upper >= 0)) return lower + (upper - lower) * fraction
  const logLower = Math.log2(Math.abs(lower))
  const logUpper = Math.log2(Math.abs(upper))
  if (lower > 0) return 2 ** (logLower + (logUpper - logLower) * fraction)
  return -(2 ** (logUpper + (logLower - logUpper) * (1 - fraction)))
}

/** The share of a native histogram's observations between two values. */
export function nativeFraction(
  lower: number,
  upper: number,
  histogram: Histogram,
  name: string,
  span: Span,
  annotations: Annotations,
): number {
  if (histogram.count === 0 || lower !== lower || upper !== upper) return NaN
  if (lower >= upper) return 0
  buckets.fill(histogram)
  const custom = usesCustomBuckets(histogram)
  let count = 0
  let rank = 0
  let lowerRank = 0
  let upperRank = 0
  let lowerSet = false
  let upperSet = false
  let i = 0
  for (; i < buckets.length; i++) {
    const bucketCount = buckets.counts[i]!
    count += bucketCount
    let from = buckets.lower[i]!
    let to = buckets.upper[i]!
    const isZero = from <= 0 && to >= 0
    if (isZero) {
      if (histogram.negativeBuckets.length === 0 && histogram.positiveBuckets.length > 0) from = 0
      else if (histogram.positiveBuckets.length === 0 && histogram.negativeBuckets.length > 0) to = 0
    }
    const at = (v: number): number => {
      if (!custom && !isZero) return rank + bucketCount * fractionBelow(from, to, v, false)
      return from === -Infinity ? bucketCount : rank + bucketCount * fractionBelow(from, to, v, true)
    }
    if (!lowerSet && from >= lower) {
      lowerRank = rank
      lowerSet = true
    }
    if (!upperSet && from >= upper) {
      upperRank = rank
      upperSet = true
    }
    if (lowerSet && upperSet) break
    if (!lowerSet && from < lower && to > lower) {
      lowerRank = at(lower)
      lowerSet = true
    }
    if (!upperSet && from < upper && to > upper) {
      upperRank = at(upper)
      upperSet = true
    }
    if (lowerSet && upperSet) break
    rank += bucketCount
  }
  if (Number.isNaN(histogram.sum)) {
    for (i++; i < buckets.length; i++) count += buckets.counts[i]!
    if (count < histogram.count) annotations.fractionNaN(name, span)
  } else count = histogram.count
  if (!lowerSet || lowerRank > count) lowerRank = count
  if (!upperSet || upperRank > count) upperRank = count
  return (upperRank - lowerRank) / histogram.count
}

const variance = new Compensated()

/** Estimated variance of a native histogram's observations: each counts as its bucket's middle. */
export function nativeVariance(histogram: Histogram): number {
  buckets.fill(histogram)
  const custom = usesCustomBuckets(histogram)
  const mean = histogram.sum / histogram.count
  variance.set(0, 0)
  for (let i = 0; i < buckets.length; i++) {
    const count = buckets.counts[i]!
    if (count === 0) continue
    const lower = buckets.lower[i]!
    const upper = buckets.upper[i]!
    let middle: number
    if (custom) middle = (upper + lower) / 2
    else if (lower <= 0 && upper >= 0) middle = 0
    else {
      middle = Math.sqrt(upper * lower)
      if (upper < 0) middle = -middle
    }
    const delta = middle - mean
    variance.add(count * delta * delta)
  }
  return (variance.sum + variance.rest) / histogram.count
}
