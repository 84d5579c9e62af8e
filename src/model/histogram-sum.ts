// Sums of native histograms that keep what rounding takes (Kahan–Neumaier in every count). Source: prometheus FloatHistogram.KahanAdd.
import { Compensated } from './compensated.ts'
import { counterReset, type Histogram } from './histogram.ts'
import {
  add,
  boundsMatch,
  collision,
  combinedReset,
  commonBounds,
  dropWithinZero,
  mapToBounds,
  populated,
  reconcileZero,
  setSide,
  sides,
  usesCustomBuckets,
  type Combined,
  type MutableHistogram,
} from './histogram-arithmetic.ts'
import { reduceSide, sideOf, spansOf, type Side } from './histogram-buckets.ts'

/** A sum of histograms and what rounding took from it; both have the same buckets. */
export type HistogramSum = Readonly<{ value: Histogram; compensation: Histogram }>

const kahan = new Compensated()

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
