// Range functions on native histograms, one window at a time. Source: prometheus promql/functions.go. Windows are slices [a, b) of one
// series' histograms; results are new histograms, or null where there is none.
import { growthFactor, growthFactorFromStart, startedAnew, startOverlaps } from '../../kernels/counter.ts'
import { counterReset, type Histogram } from '../../model/histogram.ts'
import {
  add,
  compact,
  copyToSchema,
  divide,
  emptyLike,
  multiply,
  overflows,
  subtract,
  usesCustomBuckets,
  withCounterReset,
} from '../../model/histogram-arithmetic.ts'
import { addToSum, finishSum, startSum, type HistogramSum } from '../../model/histogram-sum.ts'
import { detectReset } from '../../model/histogram-reset.ts'
import type { Annotations } from '../annotations.ts'
import type { Span } from '../ast.ts'

/** Histograms of one series, ascending in time; `starts` null where start timestamps are not used. */
export type HistogramSeries = { times: Float64Array; histograms: Histogram[]; starts: Float64Array | null; length: number }

/** Where annotations go, and the name they mention. */
export type Noting = Readonly<{ annotations: Annotations; name: string; span: Span }>

/** rate, increase or delta of the window [a, b), extrapolated to (endMs − rangeMs, endMs]. */
export function histogramGrowth(
  series: HistogramSeries,
  a: number,
  b: number,
  endMs: number,
  rangeMs: number,
  isCounter: boolean,
  perSecond: boolean,
  noting: Noting,
): Histogram | null {
  const { times, histograms, starts } = series
  const first = histograms[a]!
  let growth = b - a > 1 ? rawGrowth(series, a, b, isCounter, noting) : null
  if (b - a > 1 && growth === null) return null
  const began = starts === null || !isCounter ? 0 : starts[a]!
  if (began !== 0 && began > endMs - rangeMs && began < times[a]!) {
    if (growth === null) growth = first
    else {
      growth = noted(add(growth, first), 'addition', noting)
      if (growth === null) return null
    }
    return multiply(growth, growthFactorFromStart(began, times[a]!, times[b - 1]!, b - a - 1, endMs, perSecond, rangeMs))
  }
  if (growth === null) return null
  const factor = growthFactor(growth.count, first.count, times[a]!, times[b - 1]!, b - a - 1, endMs, rangeMs, isCounter, perSecond)
  return multiply(growth, factor)
}

function rawGrowth(series: HistogramSeries, a: number, b: number, isCounter: boolean, noting: Noting): Histogram | null {
  const { times, histograms, starts } = series
  const { annotations, name, span } = noting
  const last = histograms[b - 1]!
  let previous = histograms[a]!
  if (isCounter && (previous.counterReset === counterReset.gauge || last.counterReset === counterReset.gauge))
    annotations.notCounter(name, span)
  const anew = (i: number): boolean => starts !== null && startedAnew(starts[i - 1]!, times[i - 1]!, starts[i]!, times[i]!)
  // where the counter was reset right after the first sample, that one's buckets don't matter at all
  if (isCounter && (anew(a + 1) || detectReset(histograms[a + 1]!, previous))) previous = emptyLike(histograms[a + 1]!)
  const custom = usesCustomBuckets(previous)
  if (usesCustomBuckets(last) !== custom) {
    annotations.mixedExponentialCustom(name, span)
    return null
  }
  let schema = Math.min(last.schema, previous.schema)
  if (isCounter) {
    for (let i = a + 1; i < b - 1; i++) {
      const current = histograms[i]!
      if (current.counterReset === counterReset.gauge) annotations.notCounter(name, span)
      if (current.schema < schema) schema = current.schema
      if (usesCustomBuckets(current) !== custom) {
        annotations.mixedExponentialCustom(name, span)
        return null
      }
    }
  }
  let growth = noted(subtract(copyToSchema(last, schema), previous), 'subtraction', noting)
  if (growth === null) return null
  if (isCounter) {
    let overlap = false
    for (let i = a + 1; i < b; i++) {
      const current = histograms[i]!
      overlap ||= starts !== null && startOverlaps(starts[i - 1]!, times[i - 1]!, starts[i]!)
      if (anew(i) || detectReset(current, previous)) {
        growth = noted(add(growth, previous), 'addition', noting)
        if (growth === null) return null
      }
      previous = current
    }
    if (overlap) annotations.startOverlap(name, span)
  } else if (histograms[a]!.counterReset !== counterReset.gauge || last.counterReset !== counterReset.gauge)
    annotations.notGauge(name, span)
  return compact(withCounterReset(growth, counterReset.gauge))
}

/** The result of an addition with its annotations; null (and a warning) where bucket layouts don't go together. */
function noted(
  combined: ReturnType<typeof add>,
  operation: 'addition' | 'subtraction' | 'aggregation',
  { annotations, name, span }: Noting,
): Histogram | null {
  if (combined === null) {
    annotations.mixedExponentialCustom(name, span)
    return null
  }
  if (combined.boundsReconciled) annotations.boundsReconciled(operation, span)
  return combined.result
}

/** irate or idelta between two histograms. */
export function histogramInstantGrowth(
  before: Histogram,
  beforeMs: number,
  beforeStart: number,
  last: Histogram,
  lastMs: number,
  lastStart: number,
  isRate: boolean,
  noting: Noting,
): Histogram | null {
  const { annotations, name, span } = noting
  const gauges = (before.counterReset === counterReset.gauge ? 1 : 0) + (last.counterReset === counterReset.gauge ? 1 : 0)
  if (isRate && gauges > 0) annotations.notCounter(name, span)
  if (!isRate && gauges < 2) annotations.notGauge(name, span)
  let growth: Histogram | null = last
  if (!isRate || (!startedAnew(beforeStart, beforeMs, lastStart, lastMs) && !detectReset(last, before))) {
    growth = noted(subtract(last, before), 'subtraction', noting)
    if (growth === null) return null
  }
  growth = compact(withCounterReset(growth, counterReset.gauge))
  return isRate ? divide(growth, (lastMs - beforeMs) / 1000) : growth
}

/** sum_over_time or avg_over_time. */
export function histogramSum(series: HistogramSeries, a: number, b: number, mean: boolean, noting: Noting): Histogram | null {
  const { histograms } = series
  const { annotations, name, span } = noting
  let resetSeen = false
  let notResetSeen = false
  let reconciled = false
  let sum: HistogramSum = startSum(histograms[a]!)
  let running: HistogramSum | null = null // the mean, once the sum would overflow
  let failed = false
  for (let i = a; i < b && !failed; i++) {
    const histogram = histograms[i]!
    resetSeen ||= histogram.counterReset === counterReset.reset
    notResetSeen ||= histogram.counterReset === counterReset.notReset
    if (i === a) continue
    const count = i - a + 1
    if (running === null) {
      const added = addToSum(sum, histogram)
      if (added === null) {
        failed = true
        break
      }
      reconciled ||= added.boundsReconciled
      if (!mean || !overflows(added.result.value)) {
        sum = added.result
        continue
      }
      running = { value: divide(sum.value, count - 1), compensation: divide(sum.compensation, count - 1) }
    }
    const share = (count - 1) / count
    const added = addToSum(
      { value: multiply(running.value, share), compensation: multiply(running.compensation, share) },
      divide(histogram, count),
    )
    if (added === null) failed = true
    else {
      reconciled ||= added.boundsReconciled
      running = added.result
    }
  }
  if (failed) {
    annotations.mixedExponentialCustom(name, span)
    return null
  }
  if (resetSeen && notResetSeen) annotations.resetCollision('aggregation', span)
  if (reconciled) annotations.boundsReconciled('aggregation', span)
  if (!mean) return finishSum(sum)
  if (running !== null) return finishSum(running)
  const count = b - a
  return finishSum({ value: divide(sum.value, count), compensation: divide(sum.compensation, count) })
}

/** A straight line between two histograms; null where their layouts don't go together. */
export function interpolatedHistogram(
  t1: number,
  h1: Histogram,
  t2: number,
  h2: Histogram,
  at: number,
  isCounter: boolean,
  noting: Noting,
): Histogram | null {
  if (at === t1) return h1
  if (at === t2) return h2
  const fraction = (at - t1) / (t2 - t1)
  if (isCounter && detectReset(h2, h1)) return multiply(h2, fraction)
  const difference = noted(subtract(h2, h1), 'subtraction', noting)
  return difference === null ? null : noted(add(multiply(difference, fraction), h1), 'addition', noting)
}

/** rate, increase and delta of anchored and smoothed ranges: see extendedGrowth for floats. [a, b) reaches beyond (startMs, endMs]. */
export function extendedHistogramGrowth(
  series: HistogramSeries,
  a: number,
  b: number,
  startMs: number,
  endMs: number,
  smoothed: boolean,
  isCounter: boolean,
  perSecond: boolean,
  noting: Noting,
): Histogram | null {
  const { times, histograms } = series
  const { annotations, name, span } = noting
  let last = b - 1
  let first = a
  while (first < last && times[first]! <= startMs) first++
  first = Math.max(a, first - 1)
  if (smoothed) {
    let i = a
    while (i < last && times[i]! < endMs) i++
    last = i
  }
  if (times[last]! <= startMs) return null
  if (smoothed && times[first]! > endMs) return null
  const custom = usesCustomBuckets(histograms[first]!)
  for (let i = first; i <= last; i++) {
    if (usesCustomBuckets(histograms[i]!) !== custom) {
      annotations.mixedExponentialCustom(name, span)
      return null
    }
    if (isCounter && histograms[i]!.counterReset === counterReset.gauge) annotations.notCounter(name, span)
  }
  const left =
    smoothed && times[first]! < startMs
      ? interpolatedHistogram(times[first]!, histograms[first]!, times[first + 1]!, histograms[first + 1]!, startMs, isCounter, noting)
      : histograms[first]!
  if (left === null) return null
  const right =
    smoothed && last > a && times[last]! > endMs
      ? interpolatedHistogram(times[last - 1]!, histograms[last - 1]!, times[last]!, histograms[last]!, endMs, isCounter, noting)
      : histograms[last]!
  if (right === null) return null
  if (!isCounter && (left.counterReset !== counterReset.gauge || right.counterReset !== counterReset.gauge))
    annotations.notGauge(name, span)
  let growth = noted(subtract(right, left), 'subtraction', noting)
  if (growth === null) return null
  if (isCounter) {
    let previous = left
    let i = first + 1
    if (smoothed && times[first]! < startMs && detectReset(histograms[first + 1]!, histograms[first]!)) {
      previous = histograms[first + 1]! // the interpolation on the left has taken care of this reset
      i++
    }
    if (i <= last) {
      const lost: Histogram[] = []
      for (; i < last; i++) {
        if (detectReset(histograms[i]!, previous)) lost.push(previous)
        previous = histograms[i]!
      }
      if (detectReset(right, previous)) lost.push(previous)
      let correction: Histogram | null = null
      for (const part of lost) {
        correction = correction === null ? part : noted(add(correction, part), 'addition', noting)
        if (correction === null) return null
      }
      if (correction !== null) growth = noted(add(growth, correction), 'addition', noting)
      if (growth === null) return null
    }
  }
  if (perSecond) growth = divide(growth, (endMs - startMs) / 1000)
  return compact(withCounterReset(growth, counterReset.gauge))
}
