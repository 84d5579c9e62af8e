// rate, increase, delta, irate, idelta, resets and changes over windows, as prometheus promql/functions.go computes them, bit for bit.
// Cost does not grow with how much windows overlap: falls of a counter are found once per series.
import type { WindowFrame } from './window.ts'

/** Positions where the value is below the one before, ascending; returns their count. */
function findFalls(values: Float64Array, length: number, into: Uint32Array): number {
  let count = 0
  let previous = length > 0 ? values[0]! : 0
  for (let i = 1; i < length; i++) {
    const value = values[i]!
    if (value < previous) into[count++] = i
    previous = value
  }
  return count
}

/**
 * Growth within every window, extrapolated to its bounds: rate (counter, per second), increase (counter), delta (gauge).
 * Windows of fewer than 2 samples have no result.
 */
export function extrapolatedGrowth(frame: WindowFrame, from: number, to: number, isCounter: boolean, perSecond: boolean): void {
  const { times, values, lo, hi, out, present, base, firstEndMs, stepMs, rangeMs, indexes: falls } = frame
  const fallCount = isCounter ? findFalls(values, frame.length, falls) : 0
  const rangeSeconds = rangeMs / 1000
  let fall = 0
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (b - a < 2) continue
    const first = values[a]!
    let result = values[b - 1]! - first
    if (isCounter) {
      while (fall < fallCount && falls[fall]! <= a) fall++
      for (let f = fall; f < fallCount && falls[f]! < b; f++) result += values[falls[f]! - 1]!
    }
    const end = firstEndMs + k * stepMs
    out[base + k] = extrapolate(result, first, times[a]!, times[b - 1]!, b - a - 1, end - rangeMs, end, isCounter, perSecond, rangeSeconds)
    present[base + k] = 1
  }
}

function extrapolate(
  growth: number,
  first: number,
  firstMs: number,
  lastMs: number,
  gaps: number,
  startMs: number,
  endMs: number,
  isCounter: boolean,
  perSecond: boolean,
  rangeSeconds: number,
): number {
  let toStart = (firstMs - startMs) / 1000
  let toEnd = (endMs - lastMs) / 1000
  const sampled = (lastMs - firstMs) / 1000
  const gap = sampled / gaps
  const near = gap * 1.1
  if (toStart >= near) toStart = gap / 2
  if (isCounter && growth > 0 && first >= 0) {
    const toZero = sampled * (first / growth) // a counter cannot have been below zero
    if (toZero < toStart) toStart = toZero
  }
  if (toEnd >= near) toEnd = gap / 2
  let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled
  if (perSecond) factor /= rangeSeconds
  return growth * factor
}

/** Whether the start timestamp of a sample says that the counter began anew after the sample before. */
export function startedAnew(previousStart: number, previousTime: number, start: number, time: number): boolean {
  if (start === 0 || start >= time || start < previousTime) return false
  if (start > previousTime) return true
  // start = time of the sample before: a delta series, unless the sample before had no known start either
  if (previousStart > previousTime) return false
  return previousStart !== 0 && previousStart !== previousTime
}

/** Whether a sample's start lies before the sample before it and differs from that one's start. */
export function startOverlaps(previousStart: number, previousTime: number, start: number): boolean {
  return start !== 0 && start < previousTime && start !== previousStart
}

/**
 * extrapolatedGrowth of counters that takes start timestamps into account; one sample is enough where it started within the window.
 * @returns in how many windows a start overlapped the sample before it.
 */
export function growthWithStarts(frame: WindowFrame, from: number, to: number, perSecond: boolean): number {
  const { times, values, lo, hi, out, present, base, firstEndMs, stepMs, rangeMs } = frame
  const starts = frame.startTimes!
  let overlaps = 0
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (b === a) continue
    let growth = values[b - 1]! - values[a]!
    let overlap = false
    for (let i = a + 1; i < b; i++) {
      overlap ||= startOverlaps(starts[i - 1]!, times[i - 1]!, starts[i]!)
      if (values[i]! < values[i - 1]! || startedAnew(starts[i - 1]!, times[i - 1]!, starts[i]!, times[i]!)) growth += values[i - 1]!
    }
    if (overlap) overlaps++
    const end = firstEndMs + k * stepMs
    const start = end - rangeMs
    const firstMs = times[a]!
    const lastMs = times[b - 1]!
    const began = starts[a]!
    if (began !== 0 && began > start && began < firstMs) {
      growth += values[a]!
      out[base + k] = growth * growthFactorFromStart(began, firstMs, lastMs, b - a - 1, end, perSecond, rangeMs)
      present[base + k] = 1
    } else if (b - a > 1) {
      out[base + k] = extrapolate(growth, values[a]!, firstMs, lastMs, b - a - 1, start, end, true, perSecond, rangeMs / 1000)
      present[base + k] = 1
    }
  }
  return overlaps
}

/** The factor for growth that is known from the start timestamp on: nothing is extrapolated to the left. */
export function growthFactorFromStart(
  beganMs: number,
  firstMs: number,
  lastMs: number,
  gaps: number,
  endMs: number,
  perSecond: boolean,
  rangeMs: number,
): number {
  const gap = gaps > 0 ? (lastMs - firstMs) / 1000 / gaps : 0
  let toEnd = (endMs - lastMs) / 1000
  if (toEnd >= gap * 1.1) toEnd = gap / 2
  const sampled = (lastMs - beganMs) / 1000
  let factor = sampled === 0 ? 1 : (sampled + toEnd) / sampled
  if (perSecond) factor /= rangeMs / 1000
  return factor
}

/** irate (per second, reset-aware) or idelta of the last two samples of every window. */
export function instantGrowth(frame: WindowFrame, from: number, to: number, isRate: boolean): void {
  const { times, values, lo, hi, out, present, base, startTimes } = frame
  for (let k = from; k < to; k++) {
    const b = hi[k]!
    if (b - lo[k]! < 2) continue
    const elapsed = times[b - 1]! - times[b - 2]!
    if (elapsed === 0) continue
    const last = values[b - 1]!
    const before = values[b - 2]!
    const anew =
      isRate &&
      (last < before || (startTimes !== null && startedAnew(startTimes[b - 2]!, times[b - 2]!, startTimes[b - 1]!, times[b - 1]!)))
    const growth = anew ? last : last - before
    out[base + k] = isRate ? growth / (elapsed / 1000) : growth
    present[base + k] = 1
  }
}

/** How often the value fell (resets) or changed (changes; NaN to NaN is none) within every window. */
export function countEvents(frame: WindowFrame, from: number, to: number, resets: boolean): void {
  const { times, values, lo, hi, out, present, base, length, indexes: before, startTimes } = frame
  before[0] = 0
  let count = 0
  for (let i = 1; i < length; i++) {
    const value = values[i]!
    const previous = values[i - 1]!
    if (resets) {
      if (value < previous || (startTimes !== null && startedAnew(startTimes[i - 1]!, times[i - 1]!, startTimes[i]!, times[i]!))) count++
    } else if (value !== previous && (value === value || previous === previous)) count++
    before[i] = count // events between sample 0 and sample i
  }
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (b === a) continue
    out[base + k] = before[b - 1]! - before[a]!
    present[base + k] = 1
  }
}

/** Growth of the extrapolation factor for histograms, whose counts stand for the value: see extrapolatedGrowth. */
export function growthFactor(
  growth: number,
  first: number,
  firstMs: number,
  lastMs: number,
  gaps: number,
  endMs: number,
  rangeMs: number,
  isCounter: boolean,
  perSecond: boolean,
): number {
  // a growth of 1 gives the factor itself, but the distance to zero needs the true growth
  const startMs = endMs - rangeMs
  let toStart = (firstMs - startMs) / 1000
  let toEnd = (endMs - lastMs) / 1000
  const sampled = (lastMs - firstMs) / 1000
  const gap = sampled / gaps
  const near = gap * 1.1
  if (toStart >= near) toStart = gap / 2
  if (isCounter && growth > 0 && first >= 0) {
    const toZero = sampled * (first / growth)
    if (toZero < toStart) toStart = toZero
  }
  if (toEnd >= near) toEnd = gap / 2
  let factor = sampled === 0 ? 1 : (sampled + toStart + toEnd) / sampled
  if (perSecond) factor /= rangeMs / 1000
  return factor
}

/**
 * Growth with the bounds taken from samples outside of the window (anchored) or interpolated at the bounds (smoothed).
 * Windows here reach `lookback` further back, and forward where smoothed; start and end are those of the written range.
 */
export function extendedGrowth(
  frame: WindowFrame,
  from: number,
  to: number,
  smoothed: boolean,
  isCounter: boolean,
  perSecond: boolean,
  rangeEndMs: number,
): void {
  const { times, values, lo, hi, out, present, base, stepMs, rangeMs } = frame
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (b === a) continue
    const end = rangeEndMs + k * stepMs
    const start = end - rangeMs
    let last = b - 1
    // searches leave out the last sample, as upstream does
    let first = Math.max(a, firstBeyond(times, a, last, start) - 1)
    if (smoothed) last = firstAtOrBeyond(times, a, last, end)
    if (times[last]! <= start) continue
    if (smoothed && times[first]! > end) continue
    const left =
      smoothed && times[first]! < start
        ? interpolated(times[first]!, values[first]!, times[first + 1]!, values[first + 1]!, start, isCounter)
        : values[first]!
    const right =
      smoothed && last > a && times[last]! > end
        ? interpolated(times[last - 1]!, values[last - 1]!, times[last]!, values[last]!, end, isCounter)
        : values[last]!
    let growth = right - left
    if (isCounter) {
      if (times[first]! <= start) first++
      if (times[last]! >= end) last--
      let correction = 0
      let previous = left
      for (let i = first; i <= last; i++) {
        if (values[i]! < previous) correction += previous
        previous = values[i]!
      }
      if (right < previous) correction += previous
      growth += correction
    }
    out[base + k] = perSecond ? growth / (rangeMs / 1000) : growth
    present[base + k] = 1
  }
}

/** A straight line between two samples; where a counter fell between them it is taken to rise from 0. */
export function interpolated(t1: number, v1: number, t2: number, v2: number, at: number, isCounter: boolean): number {
  const from = isCounter && v2 < v1 ? 0 : v1
  return from + ((v2 - from) * (at - t1)) / (t2 - t1)
}

/** First index in [from, to) with time > limit, else `to`. */
export function firstBeyond(times: Float64Array, from: number, to: number, limit: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1
    if (times[middle]! > limit) to = middle
    else from = middle + 1
  }
  return from
}

/** First index in [from, to) with time ≥ limit, else `to`. */
export function firstAtOrBeyond(times: Float64Array, from: number, to: number, limit: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1
    if (times[middle]! >= limit) to = middle
    else from = middle + 1
  }
  return from
}
