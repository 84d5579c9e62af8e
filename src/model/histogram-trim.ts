// PromQL's `</` and `>/`: a histogram without the observations above or below a value. Buckets that hold the value are split by
// interpolation, and the sum is estimated from the buckets' middles. Source: prometheus FloatHistogram.TrimBuckets.
import type { Histogram } from './histogram.ts'
import { compact, usesCustomBuckets, type MutableHistogram } from './histogram-arithmetic.ts'
import { bucketBound } from './histogram-bounds.ts'
import { sideOf } from './histogram-buckets.ts'

/**
 * The share of a bucket's observations below v, which lies within the bucket: linearly, or for exponential buckets on a logarithmic scale.
 */
export function fractionBelow(lower: number, upper: number, v: number, linear: boolean): number {
  if (linear) return (v - lower) / (upper - lower)
  const logLower = Math.log2(Math.abs(lower))
  const logUpper = Math.log2(Math.abs(upper))
  const logV = Math.log2(Math.abs(v))
  if (v > 0) return (logV - logLower) / (logUpper - logLower)
  return 1 - (logV - logUpper) / (logLower - logUpper)
}

/** @param keepBelow true for `</`, false for `>/`. */
export function trimHistogram(histogram: Histogram, at: number, keepBelow: boolean): Histogram {
  const custom = usesCustomBuckets(histogram)
  let count = 0
  let sum = 0
  let trimmed = false
  const populated = { positive: false, negative: false }
  const out: MutableHistogram = { ...histogram, isFloat: true }
  for (const positive of [true, false]) {
    const { indexes, counts } = sideOf(histogram, positive)
    const kept = counts.slice()
    for (let i = 0; i < indexes.length; i++) {
      const bucketCount = counts[i]!
      if (bucketCount === 0) continue
      if (positive) populated.positive = true
      else populated.negative = true
      const outer = bucketBound(indexes[i]!, histogram.schema, histogram.customBounds)
      const inner = bucketBound(indexes[i]! - 1, histogram.schema, histogram.customBounds)
      const lower = positive ? inner : -outer
      const upper = positive ? outer : -inner
      if (keepBelow ? upper <= at : lower >= at) {
        count += bucketCount
        sum += middle(lower, upper, positive, custom) * bucketCount
      } else if (keepBelow ? lower < at : upper > at) {
        const part = splitBucket(lower, upper, bucketCount, at, keepBelow, positive, custom)
        count += part.count
        sum += part.middle * part.count
        if (part.count !== bucketCount) {
          kept[i] = part.count
          trimmed = true
        }
      } else {
        kept[i] = 0
        trimmed = true
      }
    }
    if (positive) out.positiveBuckets = kept
    else out.negativeBuckets = kept
  }
  if (histogram.zeroCount > 0) {
    const part = splitZero(histogram, at, keepBelow, populated)
    if (part.count !== histogram.zeroCount) {
      out.zeroCount = part.count
      trimmed = true
    }
    sum += part.middle * part.count
    count += part.count
  }
  if (!trimmed) return histogram
  out.count = count
  out.sum = sum
  return compact(out)
}

type Part = Readonly<{ count: number; middle: number }>

function splitZero(histogram: Histogram, at: number, keepBelow: boolean, populated: { positive: boolean; negative: boolean }): Part {
  const upper = populated.negative && !populated.positive ? 0 : histogram.zeroThreshold
  const lower = populated.positive && !populated.negative ? 0 : -histogram.zeroThreshold
  const all = { count: histogram.zeroCount, middle: (lower + upper) / 2 }
  const none = { count: 0, middle: 0 }
  if (at <= lower) return keepBelow ? none : all
  if (at >= upper) return keepBelow ? all : none
  return keepBelow
    ? { count: histogram.zeroCount * ((at - lower) / (upper - lower)), middle: (lower + at) / 2 }
    : { count: histogram.zeroCount * ((upper - at) / (upper - lower)), middle: (at + upper) / 2 }
}

function splitBucket(
  lower: number,
  upper: number,
  count: number,
  at: number,
  keepBelow: boolean,
  positive: boolean,
  custom: boolean,
): Part {
  if (lower === -Infinity || upper === Infinity) return splitInfinite(lower, upper, count, at, keepBelow)
  const below = at <= lower ? 0 : at >= upper ? count : count * fractionBelow(lower, upper, at, custom)
  return keepBelow
    ? { count: below, middle: middle(lower, at, positive, custom) }
    : { count: count - below, middle: middle(at, upper, positive, custom) }
}

/** A bucket without an end has no known distribution: mostly it stays or goes as a whole. */
function splitInfinite(lower: number, upper: number, count: number, at: number, keepBelow: boolean): Part {
  const finite = (x: number): number => (x === Infinity || x === -Infinity ? 0 : x)
  if (lower === -Infinity) {
    if (keepBelow) {
      if (at >= upper) return { count, middle: 0 }
      // with a positive upper bound the bucket is taken to start at 0
      if (at > 0 && upper > 0 && upper !== Infinity) return { count: (count * at) / upper, middle: at / 2 }
      return upper <= 0 ? { count, middle: at } : { count: 0, middle: finite(upper) }
    }
    if (at <= lower) return { count, middle: 0 }
    if (at >= 0 && upper > at && upper !== Infinity) return { count: count * (1 - at / upper), middle: (at + upper) / 2 }
    return { count: 0, middle: finite(upper) }
  }
  if (keepBelow) return { count: 0, middle: finite(lower) }
  return at >= lower ? { count, middle: at } : { count: 0, middle: finite(lower) }
}

function middle(lower: number, upper: number, positive: boolean, linear: boolean): number {
  const open = (x: number): boolean => x === Infinity || x === -Infinity
  if (open(lower)) return open(upper) ? 0 : upper > 0 ? upper / 2 : upper
  if (open(upper)) return lower
  if (linear) return (lower + upper) / 2
  const geometric = Math.sqrt(Math.abs(lower * upper))
  return positive ? geometric : -geometric
}
