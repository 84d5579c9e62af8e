// Whether a counter of native histograms was reset between two samples. Source: prometheus FloatHistogram.DetectReset.
import { counterReset, type Histogram } from './histogram.ts'
import { boundsMatch, commonBounds, dropWithinZero, usesCustomBuckets, zeroCountFor } from './histogram-arithmetic.ts'
import { noBuckets, reduceSide, sideOf, spansAlike } from './histogram-buckets.ts'
import type { SampleColumns } from './samples.ts'

const sides = [true, false] as const

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

/** After samples were put between others: what a histogram said about the one before it holds no more. Gauges stay gauges. */
export function forgetResets({ histograms, length }: SampleColumns, from: number): void {
  if (histograms === null) return
  for (let i = from; i < length; i++) {
    const histogram = histograms[i] ?? null
    if (histogram === null || histogram.counterReset === counterReset.unknown || histogram.counterReset === counterReset.gauge) continue
    histograms[i] = { ...histogram, counterReset: counterReset.unknown }
  }
}
