// What lies between a subquery's result and the range function over it.
import { counterReset } from '../model/histogram.ts'
import { withCounterReset } from '../model/histogram-arithmetic.ts'
import type { SampleColumns } from '../model/samples.ts'
import { floatSample, histogramSample, type Vector } from './vector.ts'

/** A row of a subquery's result as samples. Hints about resets go: samples in between may be missing or doubled. */
export function columnsOfRow(
  input: Vector,
  row: number,
  { startMs, stepMs }: { startMs: number; stepMs: number },
  columns: SampleColumns,
): void {
  columns.clear()
  columns.reserve(input.steps)
  const base = row * input.steps
  const { times, values } = columns
  if (input.histograms === null || input.histograms[row] === null) {
    let n = 0
    for (let k = 0; k < input.steps; k++) {
      if (input.presence[base + k] !== floatSample) continue
      times[n] = startMs + k * stepMs
      values[n++] = input.values[base + k]!
    }
    columns.length = n
    return
  }
  for (let k = 0; k < input.steps; k++) {
    const kind = input.presence[base + k]!
    if (kind === floatSample) columns.push(startMs + k * stepMs, input.values[base + k]!)
    else if (kind === histogramSample) {
      let histogram = input.histograms[row]![k]!
      if (histogram.counterReset === counterReset.reset || histogram.counterReset === counterReset.notReset)
        histogram = withCounterReset(histogram, counterReset.unknown)
      columns.push(startMs + k * stepMs, 0, histogram)
    }
  }
}

/**
 * Samples a subquery read count where they are used first: at the earliest outer step whose window holds them; those between windows count
 * nowhere. Source: prometheus util/stats MergeSamplesReadFromSubquery.
 */
export function mergeSubqueryRead(
  into: Float64Array,
  outer: { startMs: number; stepMs: number; steps: number },
  read: Float64Array,
  inner: { startMs: number; stepMs: number },
  offsetMs: number,
  rangeMs: number,
): void {
  for (let k = 0; k < read.length && into.length > 0; k++) {
    if (read[k] === 0) continue
    if (outer.steps <= 1) {
      into[0]! += read[k]!
      continue
    }
    const time = inner.startMs + k * inner.stepMs + offsetMs
    const step = Math.min(outer.steps - 1, time > outer.startMs ? Math.ceil((time - outer.startMs) / outer.stepMs) : 0)
    if (rangeMs > 0 && time <= outer.startMs + step * outer.stepMs - rangeMs) continue
    into[step]! += read[k]!
  }
}
