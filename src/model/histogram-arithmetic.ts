// Arithmetic of native histograms. Histograms are never changed: every operation gives a new one, so that samples may be shared freely.
// Source: prometheus model/histogram/float_histogram.go; sums are compensated (Kahan–Neumaier) where Prometheus compensates.
import { counterReset, customBucketsSchema, type CounterReset, type Histogram, type Span } from './histogram.ts'
import { bucketBound, exponentialBound, isExponentialSchema } from './histogram-bounds.ts'
import { noBuckets, noSpans, reduceSide, sideOf, spansAlike, spansMatch, spansOf, type Side } from './histogram-buckets.ts'
import { Compensated } from './compensated.ts'

export type MutableHistogram = { -readonly [K in keyof Histogram]: Histogram[K] }

/** A sum of histograms and what rounding took from it; both have the same buckets. */
export type HistogramSum = Readonly<{ value: Histogram; compensation: Histogram }>

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

const sides = [true, false] as const

type SpannedSide = Readonly<{ spans: readonly Span[]; counts: Float64Array }>

function setSide(out: MutableHistogram, positive: boolean, side: SpannedSide): void {
  if (positive) {
    out.positiveSpans = side.spans
    out.positiveBuckets = side.counts
  } else {
    out.negativeSpans = side.spans
    out.negativeBuckets = side.counts
  }
}

/** Buckets up to the zero threshold at the start of the other histogram's side are already in its zero count. */
function dropWithinZero(side: Side, schema: number, threshold: number): Side {
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

/** A sum to be added to. */
export function startSum(histogram: Histogram): HistogramSum {
  return { value: histogram, compensation: zeroesLike(histogram) }
}

function zeroesLike(histogram: Histogram): Histogram {
  return {
    ...histogram,
    zeroCount: 0,
    count: 0,
    sum: 0,
    positiveBuckets: new Float64Array(histogram.positiveBuckets.length),
    negativeBuckets: new Float64Array(histogram.negativeBuckets.length),
  }
}

const kahan = new Compensated()

/** Adds one histogram to a compensated sum. Null where one has exponential and the other custom buckets. */
export function addToSum(sum: HistogramSum, other: Histogram): Combined<HistogramSum> | null {
  const a = sum.value
  const custom = usesCustomBuckets(a)
  if (custom !== usesCustomBuckets(other)) return null
  const hint = combinedReset(a.counterReset, other.counterReset)
  const resetCollision = hint === collision
  let value: MutableHistogram = { ...a, isFloat: true, counterReset: resetCollision ? counterReset.unknown : hint }
  let compensation: MutableHistogram = { ...sum.compensation }
  if (!custom) {
    const zero = reconcileZero(value, compensation, other)
    value = { ...zero.value }
    compensation = { ...zero.compensation! }
    kahan.set(value.zeroCount, compensation.zeroCount)
    kahan.add(zero.otherZeroCount)
    kahan.add(zero.otherZeroCompensation)
    value.zeroCount = kahan.sum
    compensation.zeroCount = kahan.rest
  }
  kahan.set(value.count, compensation.count)
  kahan.add(other.count)
  value.count = kahan.sum
  compensation.count = kahan.rest
  kahan.set(value.sum, compensation.sum)
  kahan.add(other.sum)
  value.sum = kahan.sum
  compensation.sum = kahan.rest
  if (custom) {
    if (!boundsMatch(a.customBounds, other.customBounds)) {
      const bounds = commonBounds(a.customBounds, other.customBounds)
      const values = new Float64Array(bounds.length + 1)
      const rest = new Float64Array(bounds.length + 1)
      mapToBounds(sideOf(a, true), sum.compensation.positiveBuckets, a.customBounds, bounds, values, rest, 1)
      mapToBounds(sideOf(other, true), null, other.customBounds, bounds, values, rest, 1)
      const both = populated(values, rest)
      value.customBounds = compensation.customBounds = bounds.length === 0 ? null : bounds
      setSide(value, true, both.values)
      setSide(compensation, true, both.rest)
      return { result: { value, compensation }, resetCollision, boundsReconciled: true }
    }
    addSideToSum(value, compensation, sideOf(value, true), compensation.positiveBuckets, sideOf(other, true), null, true)
    return { result: { value, compensation }, resetCollision, boundsReconciled: false }
  }
  const schema = Math.min(a.schema, other.schema)
  for (const positive of sides) {
    const restBefore = positive ? compensation.positiveBuckets : compensation.negativeBuckets
    const own = reduceCompensated(sideOf(value, positive), restBefore, a.schema, schema)
    const theirs = reduceCompensated(sideOf(other, positive), null, other.schema, schema)
    let otherSide = theirs.side
    let otherRest = theirs.rest
    const kept = dropWithinZero(otherSide, schema, value.zeroThreshold)
    if (kept !== otherSide && otherRest !== null) otherRest = otherRest.subarray(otherSide.counts.length - kept.counts.length)
    otherSide = kept
    addSideToSum(value, compensation, own.side, own.rest!, otherSide, otherRest, positive)
  }
  value.schema = compensation.schema = schema
  compensation.zeroThreshold = value.zeroThreshold
  return { result: { value, compensation }, resetCollision, boundsReconciled: false }
}

/** One compensated sum added to another. */
export function mergeSums(a: HistogramSum, b: HistogramSum): Combined<HistogramSum> | null {
  const first = addToSum(a, b.value)
  if (first === null) return null
  const second = addToSum(first.result, b.compensation)
  if (second === null) return null
  return {
    result: second.result,
    resetCollision: first.resetCollision,
    boundsReconciled: first.boundsReconciled || second.boundsReconciled,
  }
}

/** The value of a compensated sum. */
export function finishSum(sum: HistogramSum): Histogram {
  const added = add(sum.value, sum.compensation)
  return added === null ? sum.value : added.result
}

function addSideToSum(
  value: MutableHistogram,
  compensation: MutableHistogram,
  own: Side,
  ownRest: Float64Array,
  other: Side,
  otherRest: Float64Array | null,
  positive: boolean,
): void {
  const indexes = new Int32Array(own.indexes.length + other.indexes.length)
  const counts = new Float64Array(indexes.length)
  const rest = new Float64Array(indexes.length)
  let n = 0
  let i = 0
  let j = 0
  while (i < own.indexes.length || j < other.indexes.length) {
    const x = i < own.indexes.length ? own.indexes[i]! : Infinity
    const y = j < other.indexes.length ? other.indexes[j]! : Infinity
    indexes[n] = Math.min(x, y)
    if (x < y) {
      counts[n] = own.counts[i]!
      rest[n] = ownRest[i++]!
    } else if (y < x) {
      counts[n] = other.counts[j]!
      rest[n] = otherRest === null ? 0 : otherRest[j]!
      j++
    } else {
      kahan.set(own.counts[i]!, ownRest[i++]!)
      kahan.add(other.counts[j]!)
      if (otherRest !== null && otherRest[j] !== 0) kahan.add(otherRest[j]!)
      j++
      counts[n] = kahan.sum
      rest[n] = kahan.rest
    }
    n++
  }
  const spans =
    n === own.indexes.length && own.counts === (positive ? value.positiveBuckets : value.negativeBuckets)
      ? positive
        ? value.positiveSpans
        : value.negativeSpans
      : spansOf(indexes, n)
  setSide(value, positive, { spans, counts: n === counts.length ? counts : counts.slice(0, n) })
  setSide(compensation, positive, { spans, counts: n === rest.length ? rest : rest.slice(0, n) })
}

function reduceCompensated(side: Side, rest: Float64Array | null, from: number, to: number): { side: Side; rest: Float64Array | null } {
  if (from === to) return { side, rest }
  const reduced = reduceSide(side, from, to)
  const counts = new Float64Array(reduced.indexes.length)
  const restOut = new Float64Array(reduced.indexes.length)
  let n = -1
  for (let i = 0; i < side.indexes.length; i++) {
    const index = reduceSide({ indexes: side.indexes.subarray(i, i + 1), counts: side.counts.subarray(i, i + 1) }, from, to).indexes[0]!
    if (n >= 0 && reduced.indexes[n] === index) {
      kahan.set(counts[n]!, restOut[n]!)
      kahan.add(side.counts[i]!)
      kahan.add(rest === null ? 0 : rest[i]!)
      counts[n] = kahan.sum
      restOut[n] = kahan.rest
    } else {
      n++
      counts[n] = side.counts[i]!
      restOut[n] = rest === null ? 0 : rest[i]!
    }
  }
  return { side: { indexes: reduced.indexes, counts }, rest: restOut }
}

const collision = -1

function combinedReset(own: CounterReset, other: CounterReset): CounterReset | typeof collision {
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

function commonBounds(a: Float64Array | null, b: Float64Array | null): Float64Array {
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

/** Adds counts to the buckets of fewer bounds, compensated. */
function mapToBounds(
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

function populated(values: Float64Array, rest: Float64Array): { values: SpannedSide; rest: SpannedSide } {
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
function zeroCountFor(
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
function reconcileZero(
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

/**
 * Whether the counter was reset between `previous` and `current`: by the hint where it says so, else where a count fell, a populated bucket
 * vanished, or the resolution rose or the zero bucket shrank (which only happens with a reset).
 */
export function detectReset(current: Histogram, previous: Histogram): boolean {
  if (current.counterReset === counterReset.reset) return true
  if (current.counterReset === counterReset.notReset) return false
  if (current.count < previous.count) return true
  if (usesCustomBuckets(current)) {
    if (!usesCustomBuckets(previous)) return true
    if (!boundsMatch(current.customBounds, previous.customBounds)) return fellOnCommonBounds(current, previous)
  } else if (usesCustomBuckets(previous)) return true
  if (current.schema > previous.schema) return true
  if (current.zeroThreshold < previous.zeroThreshold) return true
  if (current.zeroThreshold === previous.zeroThreshold) {
    if (current.zeroCount < previous.zeroCount) return true
  } else {
    const wider = zeroCountFor(previous, null, current.zeroThreshold)
    if (wider.threshold !== current.zeroThreshold || current.zeroCount < wider.count) return true
  }
  for (const positive of sides) {
    const now = positive ? current.positiveBuckets : current.negativeBuckets
    const before = positive ? previous.positiveBuckets : previous.negativeBuckets
    const nowSpans = positive ? current.positiveSpans : current.negativeSpans
    const beforeSpans = positive ? previous.positiveSpans : previous.negativeSpans
    if (
      current.schema === previous.schema &&
      current.zeroThreshold === previous.zeroThreshold &&
      now.length === before.length &&
      spansAlike(nowSpans, beforeSpans)
    ) {
      for (let i = 0; i < now.length; i++) if (now[i]! < before[i]!) return true
      continue
    }
    const a = dropWithinZero(sideOf(current, positive), current.schema, current.zeroThreshold)
    const b = dropWithinZero(reduceSide(sideOf(previous, positive), previous.schema, current.schema), current.schema, current.zeroThreshold)
    for (let i = 0, j = 0; j < b.indexes.length; j++) {
      while (i < a.indexes.length && a.indexes[i]! < b.indexes[j]!) i++
      if (i < a.indexes.length && a.indexes[i] === b.indexes[j]) {
        if (a.counts[i]! < b.counts[j]!) return true
      } else if (b.counts[j] !== 0) return true
    }
  }
  return false
}

/** With different custom bounds: whether a count fell between two bounds that both have. */
function fellOnCommonBounds(current: Histogram, previous: Histogram): boolean {
  const bounds = commonBounds(current.customBounds, previous.customBounds)
  const now = plainSums(current, bounds)
  const before = plainSums(previous, bounds)
  for (let i = 0; i < now.length; i++) if (now[i]! < before[i]!) return true
  return false
}

function plainSums(histogram: Histogram, bounds: Float64Array): Float64Array {
  const side = sideOf(histogram, true)
  const own = histogram.customBounds ?? noBuckets
  const out = new Float64Array(bounds.length + 1)
  let at = 0
  for (let i = 0; i < side.indexes.length; i++) {
    const upper = side.indexes[i]! < own.length ? own[side.indexes[i]!]! : Infinity
    while (at < bounds.length && bounds[at]! < upper) at++
    out[at]! += side.counts[i]!
  }
  return out
}
