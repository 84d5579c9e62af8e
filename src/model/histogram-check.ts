// Whether a native histogram is sound. Source: prometheus model/histogram Validate, with its texts.
import { customBucketsSchema, type Histogram, type Span } from './histogram.ts'
import { isExponentialSchema } from './histogram-bounds.ts'

/** Null where it is sound, else what is wrong. */
export function checkHistogram(histogram: Histogram): string | null {
  const custom = histogram.schema === customBucketsSchema
  const problem = custom ? checkCustom(histogram) : checkExponential(histogram)
  if (problem !== null) return problem
  if (histogram.count < 0) return `observation count is  ${histogram.count}: histogram's observation count is negative`
  const negative = negativeBucket(histogram.positiveBuckets)
  if (negative !== null) return `positive side: ${negative}`
  if (!histogram.isFloat) {
    let sum = histogram.zeroCount
    for (const count of histogram.positiveBuckets) sum += count
    for (const count of histogram.negativeBuckets) sum += count
    if (Number.isNaN(histogram.sum)) {
      if (sum > histogram.count)
        return `${sum} observations found in buckets, but the Count field is ${histogram.count}: histogram's observation count should be at least the number of observations found in the buckets`
    } else if (sum !== histogram.count)
      return `${sum} observations found in buckets, but the Count field is ${histogram.count}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)`
  }
  return null
}

function checkExponential(histogram: Histogram): string | null {
  if (!isExponentialSchema(histogram.schema))
    return `histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema ${histogram.schema}`
  const spans =
    prefixed('positive side: ', checkSpans(histogram.positiveSpans, histogram.positiveBuckets.length, true)) ??
    prefixed('negative side: ', checkSpans(histogram.negativeSpans, histogram.negativeBuckets.length, true)) ??
    prefixed('negative side: ', negativeBucket(histogram.negativeBuckets))
  if (spans !== null) return spans
  if (histogram.zeroCount < 0)
    return `zero bucket has observation count of ${histogram.zeroCount}: histogram has a bucket whose observation count is negative`
  return histogram.customBounds !== null ? 'histogram with exponential schema must not have custom bounds' : null
}

function checkCustom(histogram: Histogram): string | null {
  const bounds = histogram.customBounds ?? new Float64Array(0)
  for (let i = 0; i < bounds.length; i++) {
    if (Number.isNaN(bounds[i])) return 'custom buckets: histogram custom bounds must not be NaN'
    if (i > 0 && bounds[i]! <= bounds[i - 1]!)
      return `custom buckets: previous bound is ${bounds[i - 1]!.toFixed(6)} and current is ${bounds[i]!.toFixed(6)}: histogram custom bounds must be in strictly increasing order`
  }
  if (bounds[bounds.length - 1] === Infinity)
    return 'custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite'
  const spans = prefixed('custom buckets: ', checkSpans(histogram.positiveSpans, histogram.positiveBuckets.length, false))
  if (spans !== null) return spans
  let covered = 0
  for (const span of histogram.positiveSpans) covered += span.offset + span.length
  if (bounds.length + 1 < covered)
    return `custom buckets: only ${bounds.length} custom bounds defined which is insufficient to cover total span length of ${covered}: histogram custom bounds are too few`
  if (histogram.zeroCount !== 0) return 'custom buckets: must have zero count of 0'
  if (histogram.zeroThreshold !== 0) return 'custom buckets: must have zero threshold of 0'
  if (histogram.negativeSpans.length > 0) return 'custom buckets: must not have negative spans'
  return histogram.negativeBuckets.length > 0 ? 'custom buckets: must not have negative buckets' : null
}

function prefixed(prefix: string, problem: string | null): string | null {
  return problem === null ? null : prefix + problem
}

function checkSpans(spans: readonly Span[], bucketCount: number, firstMayBeNegative: boolean): string | null {
  let needed = 0
  for (let i = 0; i < spans.length; i++) {
    const { offset, length } = spans[i]!
    if (offset < 0 && !(i === 0 && firstMayBeNegative))
      return `span number ${i + 1} with offset ${offset}: histogram has a span whose offset is negative`
    needed += length
  }
  return needed === bucketCount
    ? null
    : `spans need ${needed} buckets, have ${bucketCount} buckets: histogram spans specify different number of buckets than provided`
}

function negativeBucket(counts: Float64Array): string | null {
  for (let i = 0; i < counts.length; i++)
    if (counts[i]! < 0)
      return `bucket number ${i + 1} has observation count of ${counts[i]}: histogram has a bucket whose observation count is negative`
  return null
}
