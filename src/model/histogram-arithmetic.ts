// Arithmetic of native histograms. Histograms are never changed: every operation gives a new one, so that samples may be shared freely.
// Source: prometheus model/histogram/float_histogram.go; sums are compensated (Kahan–Neumaier) where Prometheus compensates.
import { counterReset, customBucketsSchema, type CounterReset, type Histogram, type Span } from './histogram.ts'
import { bucketBound, exponentialBound, isExponentialSchema } from './histogram-bounds.ts'
import { noBuckets, noSpans, reduceSide, sideOf, spansAlike, spansMatch, spansOf, type Side } from './histogram-buckets.ts'
import { Compensated } from './compensated.ts'

export type MutableHistogram = { -readonly [K in keyof Histogram]: Histogram[K] }

/** What an addition or subtraction found on its way. */
export type Combined<T> = Readonly<{
  result: T
  /** One says "reset", the other "not reset": the hint of the result is unknown. */
  resetCollision: boolean
  /** Custom bounds differed: the result has only the bounds both have. */
  boundsReconciled: boolean
}>

export function usesCustomBuckets(histogram: Histogram): boolean {
  return histogram.schema === customBucketsSchema
}

/** An empty histogram with another's schema and bounds. */
export function emptyLike(histogram: Histogram): Histogram {
  return {
    isFloat: true,
    schema: histogram.schema,
    zeroThreshold: 0,
    zeroCount: 0,
    count: 0,
    sum: 0,
    positiveSpans: noSpans,
    negativeSpans: noSpans,
    positiveBuckets: noBuckets,
    negativeBuckets: noBuckets,
    customBounds: histogram.customBounds,
    counterReset: counterReset.unknown,
  }
}

export function withCounterReset(histogram: Histogram, hint: CounterReset): Histogram {
  return histogram.counterReset === hint ? histogram : { ...histogram, counterReset: hint }
}

function mapped(histogram: Histogram, each: (count: number) => number): MutableHistogram {
  return {
    ...histogram,
    isFloat: true,
    zeroCount: each(histogram.zeroCount),
    count: each(histogram.count),
    sum: each(histogram.sum),
    positiveBuckets: histogram.positiveBuckets.map(each),
    negativeBuckets: histogram.negativeBuckets.map(each),
  }
}

/** All counts and the sum times a factor; a negative factor makes it a gauge. */
export function multiply(histogram: Histogram, factor: number): Histogram {
  const out = mapped(histogram, (count) => count * factor)
  if (factor < 0) out.counterReset = counterReset.gauge
  return out
}

/** Division by 0 leaves no buckets, as in Prometheus. */
export function divide(histogram: Histogram, divisor: number): Histogram {
  const out = mapped(histogram, (count) => count / divisor)
  if (divisor === 0) {
    out.positiveSpans = noSpans
    out.negativeSpans = noSpans
    out.positiveBuckets = noBuckets
    out.negativeBuckets = noBuckets
  } else if (divisor < 0) out.counterReset = counterReset.gauge
  return out
}

/** Null where one has exponential and the other custom buckets. */
export function add(a: Histogram, b: Histogram): Combined<Histogram> | null {
  return combine(a, b, 1)
}

/** a − b, with the counter reset hint of an addition. Null where one has exponential and the other custom buckets. */
export function subtract(a: Histogram, b: Histogram): Combined<Histogram> | null {
  return combine(a, b, -1)
}

function combine(a: Histogram, b: Histogram, sign: 1 | -1): Combined<Histogram> | null {
  const custom = usesCustomBuckets(a)
  if (custom !== usesCustomBuckets(b)) return null
  const hint = combinedReset(a.counterReset, b.counterReset)
  const out: MutableHistogram = {
    ...a,
    isFloat: true,
    count: a.count + sign * b.count,
    sum: a.sum + sign * b.sum,
    counterReset: hint === collision ? counterReset.unknown : hint,
  }
  const resetCollision = hint === collision
  if (custom) {
    if (boundsMatch(a.customBounds, b.customBounds)) {
      setSide(out, true, mergeSides(a.positiveSpans, a.positiveBuckets, sideOf(a, true), b.positiveSpans, sideOf(b, true), sign))
      return { result: out, resetCollision, boundsReconciled: false }
    }
    const bounds = commonBounds(a.customBounds, b.customBounds)
    const values = new Float64Array(bounds.length + 1)
    const rest = new Float64Array(bounds.length + 1)
    mapToBounds(sideOf(a, true), null, a.customBounds, bounds, values, rest, 1)
    mapToBounds(sideOf(b, true), null, b.customBounds, bounds, values, rest, sign)
    setSide(out, true, populated(values, rest).values)
    out.customBounds = bounds.length === 0 ? null : bounds
    return { result: out, resetCollision, boundsReconciled: true }
  }
  const zero = reconcileZero(a, null, b)
  out.zeroThreshold = zero.value.zeroThreshold
  out.zeroCount = zero.value.zeroCount + sign * zero.otherZeroCount
  const schema = Math.min(a.schema, b.schema)
  out.schema = schema
  for (const positive of sides) {
    const own = reduceSide(sideOf(zero.value, positive), a.schema, schema)
    const other = reduceSide(sideOf(b, positive), b.schema, schema)
    const spans = positive ? zero.value.positiveSpans : zero.value.negativeSpans
    const counts = positive ? zero.value.positiveBuckets : zero.value.negativeBuckets
    const unchanged = a.schema === schema && b.schema === schema
    setSide(
      out,
      positive,
      mergeSides(
        unchanged ? spans : null,
        counts,
        own,
        unchanged ? (positive ? b.positiveSpans : b.negativeSpans) : null,
        dropWithinZero(other, schema, out.zeroThreshold),
        sign,
      ),
    )
  }
  return { result: out, resetCollision, boundsReconciled: false }
}

export const sides = [true, false] as const

type SpannedSide = Readonly<{ spans: readonly Span[]; counts: Float64Array }>

export function setSide(out: MutableHistogram, positive: boolean, side: SpannedSide): void {
  if (positive) {
    out.positiveSpans = side.spans
    out.positiveBuckets = side.counts
  } else {
    out.negativeSpans = side.spans
    out.negativeBuckets = side.counts
  }
}

/** Buckets up to the zero threshold at the start of the other histogram's side are already in its zero count. */
export function dropWithinZero(side: Side, schema: number, threshold: number): Side {
  if (threshold === 0 || !isExponentialSchema(schema)) return side
  let skip = 0
  while (skip < side.indexes.length && exponentialBound(side.indexes[skip]!, schema) <= threshold) skip++
  return skip === 0 ? side : { indexes: side.indexes.subarray(skip), counts: side.counts.subarray(skip) }
}

function mergeSides(
  spansA: readonly Span[] | null,
  countsA: Float64Array,
  a: Side,
  spansB: readonly Span[] | null,
  b: Side,
  sign: 1 | -1,
): SpannedSide {
  if (spansA !== null && spansB !== null && b.counts.length === countsA.length && spansAlike(spansA, spansB)) {
    const counts = new Float64Array(countsA.length) // the common case: both from one series, or from series with the same layout
    for (let i = 0; i < counts.length; i++) counts[i] = countsA[i]! + sign * b.counts[i]!
    return { spans: spansA, counts }
  }
  const indexes = new Int32Array(a.indexes.length + b.indexes.length)
  const counts = new Float64Array(indexes.length)
  let n = 0
  let i = 0
  let j = 0
  while (i < a.indexes.length || j < b.indexes.length) {
    const x = i < a.indexes.length ? a.indexes[i]! : Infinity
    const y = j < b.indexes.length ? b.indexes[j]! : Infinity
    indexes[n] = Math.min(x, y)
    counts[n++] = x < y ? a.counts[i++]! : y < x ? sign * b.counts[j++]! : a.counts[i++]! + sign * b.counts[j++]!
  }
  return { spans: spansOf(indexes, n), counts: counts.slice(0, n) }
}

export const collision = -1

export function combinedReset(own: CounterReset, other: CounterReset): CounterReset | typeof collision {
  if (own === other || own === counterReset.gauge) return own
  if (other === counterReset.gauge) return counterReset.gauge
  if (own === counterReset.unknown || other === counterReset.unknown) return counterReset.unknown
  return collision
}

export function boundsMatch(a: Float64Array | null, b: Float64Array | null): boolean {
  if (a === b) return true
  const x = a ?? noBuckets
  const y = b ?? noBuckets
  if (x.length !== y.length) return false
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false
  return true
}

export function commonBounds(a: Float64Array | null, b: Float64Array | null): Float64Array {
  const x = a ?? noBuckets
  const y = b ?? noBuckets
  const out = new Float64Array(Math.min(x.length, y.length))
  let n = 0
  for (let i = 0, j = 0; i < x.length && j < y.length;) {
    if (x[i] === y[j]) {
      out[n++] = x[i++]!
      j++
    } else if (x[i]! < y[j]!) i++
    else j++
  }
  return out.slice(0, n)
}

const kahan = new Compensated()

/** Adds counts to the buckets of fewer bounds, compensated. */
export function mapToBounds(
  side: Side,
  sideRest: Float64Array | null,
  bounds: Float64Array | null,
  target: Float64Array,
  values: Float64Array,
  rest: Float64Array,
  sign: 1 | -1,
): void {
  const own = bounds ?? noBuckets
  let at = 0
  for (let i = 0; i < side.indexes.length; i++) {
    const index = side.indexes[i]!
    let to = target.length
    if (index < own.length) {
      while (at < target.length && target[at]! < own[index]!) at++
      to = at
    }
    kahan.set(values[to]!, rest[to]!)
    kahan.add(sign * side.counts[i]!)
    if (sideRest !== null) kahan.add(sideRest[i]!)
    values[to] = kahan.sum
    rest[to] = kahan.rest
  }
}

export function populated(values: Float64Array, rest: Float64Array): { values: SpannedSide; rest: SpannedSide } {
  const indexes = new Int32Array(values.length)
  const counts = new Float64Array(values.length)
  const rests = new Float64Array(values.length)
  let n = 0
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0 && rest[i] === 0) continue
    indexes[n] = i
    rests[n] = rest[i]!
    counts[n++] = values[i]!
  }
  const spans = spansOf(indexes, n)
  return { values: { spans, counts: counts.slice(0, n) }, rest: { spans, counts: rests.slice(0, n) } }
}

/** Count, adjusted threshold and rest of a zero bucket that is as wide as `threshold`, widened further where that lies in a populated bucket. */
export function zeroCountFor(
  histogram: Histogram,
  compensation: Histogram | null,
  threshold: number,
): { count: number; threshold: number; rest: number } {
  const restBefore = compensation === null ? 0 : compensation.zeroCount
  if (threshold === histogram.zeroThreshold) return { count: histogram.zeroCount, threshold, rest: restBefore }
  const { schema } = histogram
  for (;;) {
    kahan.set(histogram.zeroCount, restBefore)
    let widened = false
    for (const positive of sides) {
      const side = sideOf(histogram, positive)
      const sideRest = compensation === null ? null : positive ? compensation.positiveBuckets : compensation.negativeBuckets
      for (let i = 0; i < side.indexes.length; i++) {
        if (bucketBound(side.indexes[i]! - 1, schema, null) >= threshold) break
        kahan.add(side.counts[i]!)
        if (sideRest !== null) kahan.add(sideRest[i]!)
        const outer = bucketBound(side.indexes[i]!, schema, null)
        if (outer > threshold) {
          if (side.counts[i] !== 0) {
            threshold = outer
            widened = !positive // the positive side was counted for the smaller threshold
          }
          break
        }
      }
      if (widened) break
    }
    if (!widened) return { count: kahan.sum, threshold, rest: kahan.rest }
  }
}

/** Widens the zero buckets of two histograms until they are equal. The other histogram is not changed: its zero count is returned. */
export function reconcileZero(
  value: Histogram,
  compensation: Histogram | null,
  other: Histogram,
): { value: Histogram; compensation: Histogram | null; otherZeroCount: number; otherZeroCompensation: number } {
  let otherZeroCount = other.zeroCount
  let otherThreshold = other.zeroThreshold
  let otherZeroCompensation = 0
  while (otherThreshold !== value.zeroThreshold) {
    if (value.zeroThreshold > otherThreshold) {
      const wider = zeroCountFor(other, null, value.zeroThreshold)
      otherZeroCount = wider.count
      otherThreshold = wider.threshold
      otherZeroCompensation = wider.rest
    }
    if (otherThreshold > value.zeroThreshold) {
      const wider = zeroCountFor(value, compensation, otherThreshold)
      const trimmed = withoutZeroBuckets({ ...value, zeroCount: wider.count, zeroThreshold: wider.threshold }, compensation)
      value = trimmed.value
      compensation = trimmed.compensation === null ? null : { ...trimmed.compensation, zeroCount: wider.rest }
    }
  }
  return { value, compensation, otherZeroCount, otherZeroCompensation }
}

/** Removes the buckets that lie within the zero bucket, and empty ones. */
function withoutZeroBuckets(value: Histogram, compensation: Histogram | null): { value: Histogram; compensation: Histogram | null } {
  const out: MutableHistogram = { ...value }
  const rest: MutableHistogram | null = compensation === null ? null : { ...compensation }
  for (const positive of sides) {
    const side = sideOf(value, positive)
    const sideRest = compensation === null ? null : positive ? compensation.positiveBuckets : compensation.negativeBuckets
    const indexes = new Int32Array(side.indexes.length)
    const counts = new Float64Array(side.indexes.length)
    const rests = new Float64Array(side.indexes.length)
    let n = 0
    let within = true
    for (let i = 0; i < side.indexes.length; i++) {
      within = within && bucketBound(side.indexes[i]! - 1, value.schema, null) < value.zeroThreshold
      if (within || (side.counts[i] === 0 && (sideRest === null || sideRest[i] === 0))) continue
      indexes[n] = side.indexes[i]!
      rests[n] = sideRest === null ? 0 : sideRest[i]!
      counts[n++] = side.counts[i]!
    }
    const spans = spansOf(indexes, n)
    setSide(out, positive, { spans, counts: counts.slice(0, n) })
    if (rest !== null) setSide(rest, positive, { spans, counts: rests.slice(0, n) })
  }
  return { value: out, compensation: rest }
}

/** The same histogram in a lower resolution. As in Prometheus, the counter reset hint is lost on the way. */
export function copyToSchema(histogram: Histogram, schema: number): Histogram {
  if (schema === histogram.schema) return histogram
  const out: MutableHistogram = { ...histogram, isFloat: true, schema, counterReset: counterReset.unknown, customBounds: null }
  for (const positive of sides) {
    const side = reduceSide(sideOf(histogram, positive), histogram.schema, schema)
    setSide(out, positive, { spans: spansOf(side.indexes, side.indexes.length), counts: side.counts.slice() })
  }
  return out
}

/**
 * Removes empty buckets; runs of at most `emptyMax` empty buckets between populated ones stay (or are put in), so that fewer spans are needed.
 */
export function compact(histogram: Histogram, emptyMax = 0): Histogram {
  const positive = compactSide(histogram.positiveSpans, histogram.positiveBuckets, emptyMax)
  const negative = compactSide(histogram.negativeSpans, histogram.negativeBuckets, emptyMax)
  if (positive === null && negative === null) return histogram
  const out: MutableHistogram = { ...histogram }
  if (positive !== null) setSide(out, true, positive)
  if (negative !== null) setSide(out, false, negative)
  return out
}

/** Null where nothing is to be done. */
function compactSide(spans: readonly Span[], counts: Float64Array, emptyMax: number): SpannedSide | null {
  let clean = true
  for (let i = 0; clean && i < counts.length; i++) clean = counts[i] !== 0
  for (let i = 0; clean && i < spans.length; i++) clean = spans[i]!.length > 0 && (i === 0 || spans[i]!.offset > emptyMax)
  if (clean) return null
  const side = { indexes: new Int32Array(counts.length), counts }
  let at = 0
  let index = 0
  for (const span of spans) {
    index += span.offset
    for (let i = 0; i < span.length && at < counts.length; i++) side.indexes[at++] = index++
  }
  let length = 0
  let before = 0
  for (let i = 0; i < at; i++) {
    if (counts[i] === 0) continue
    const gap = side.indexes[i]! - before - 1
    if (length > 0 && gap <= emptyMax) length += gap
    before = side.indexes[i]!
    length++
  }
  const indexes = new Int32Array(length)
  const kept = new Float64Array(length)
  let n = 0
  for (let i = 0; i < at; i++) {
    if (counts[i] === 0) continue
    if (n > 0 && side.indexes[i]! - indexes[n - 1]! - 1 <= emptyMax) {
      for (let fill = indexes[n - 1]! + 1; fill < side.indexes[i]!; fill++) indexes[n++] = fill
    }
    indexes[n] = side.indexes[i]!
    kept[n++] = counts[i]!
  }
  return { spans: spansOf(indexes, n), counts: kept }
}

/** Data equality: bit by bit, layouts alike but for how spans are cut. The counter reset hint does not count. */
export function equals(a: Histogram, b: Histogram): boolean {
  if (a === b) return true
  return (
    a.schema === b.schema &&
    Object.is(a.count, b.count) &&
    Object.is(a.sum, b.sum) &&
    (a.schema !== customBucketsSchema || boundsMatch(a.customBounds, b.customBounds)) &&
    a.zeroThreshold === b.zeroThreshold &&
    Object.is(a.zeroCount, b.zeroCount) &&
    spansMatch(a.negativeSpans, b.negativeSpans) &&
    countsMatch(a.negativeBuckets, b.negativeBuckets) &&
    spansMatch(a.positiveSpans, b.positiveSpans) &&
    countsMatch(a.positiveBuckets, b.positiveBuckets)
  )
}

function countsMatch(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}

/** Whether any count, the sum or a bound is infinite. */
export function overflows(histogram: Histogram): boolean {
  if (isInfinite(histogram.zeroCount) || isInfinite(histogram.count) || isInfinite(histogram.sum)) return true
  return (
    histogram.positiveBuckets.some(isInfinite) ||
    histogram.negativeBuckets.some(isInfinite) ||
    (histogram.customBounds !== null && histogram.customBounds.some(isInfinite))
  )
}

function isInfinite(value: number): boolean {
  return value === Infinity || value === -Infinity
}

/**
 * What a histogram weighs against --query.max-samples, in samples of 16 bytes, as Prometheus counts it: its Go struct, spans, counts, bounds
 * and a timestamp.
 */
export function histogramSize(histogram: Histogram): number {
  const elements =
    histogram.positiveSpans.length +
    histogram.negativeSpans.length +
    histogram.positiveBuckets.length +
    histogram.negativeBuckets.length +
    (histogram.customBounds === null ? 0 : histogram.customBounds.length)
  return Math.trunc((168 + 8 * elements + 8) / 16)
}
