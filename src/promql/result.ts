// What a query gives: columns, so that the API writes them without an object per sample; and easier forms for those who need few samples.
import type { Histogram } from '../model/histogram.ts'
import type { Labels } from '../model/labels.ts'
import type { Annotations } from './annotations.ts'
import type { Grid, RawSeries } from './leaf.ts'
import { absent, floatSample, histogramSample, type Vector } from './vector.ts'

export type QueryValue =
  | Readonly<{ kind: 'scalar'; timeMs: number; value: number }>
  | Readonly<{ kind: 'string'; timeMs: number; value: string }>
  /** An instant vector: one step, in the order of the result. */
  | Readonly<{ kind: 'vector'; timeMs: number; vector: Vector }>
  /** A range query's result. `order`: row numbers sorted by labels. */
  | Readonly<{ kind: 'matrix'; grid: Grid; vector: Vector; order: Int32Array }>
  /** A range vector as the result of an instant query, sorted by labels. */
  | Readonly<{ kind: 'samples'; series: readonly RawSeries[] }>

/** Row 4.38: what `stats=` shows, timings apart. */
export type QueryStats = Readonly<{
  totalQueryableSamples: number
  samplesRead: number
  peakSamples: number
  /** One entry a step of the query's grid. */
  totalQueryableSamplesPerStep: Float64Array
  samplesReadPerStep: Float64Array
  grid: Grid
}>

export type QueryResult = Readonly<{ value: QueryValue; annotations: Annotations; stats: QueryStats }>

export type VectorSample = Readonly<{ labels: Labels; timeMs: number; value: number; histogram: Histogram | null }>

/** The samples of an instant query, one object each: for rules and templates. A scalar is one sample without labels. */
export function vectorSamplesOf(value: QueryValue): VectorSample[] {
  if (value.kind === 'scalar') return [{ labels: [], timeMs: value.timeMs, value: value.value, histogram: null }]
  if (value.kind !== 'vector') throw new Error(`BUG: a ${value.kind} is no instant vector`)
  const { vector, timeMs } = value
  const out: VectorSample[] = []
  for (let i = 0; i < vector.length; i++) {
    const isHistogram = vector.presence[i] === histogramSample
    out.push({
      labels: vector.labels[i]!,
      timeMs,
      value: isHistogram ? vector.histograms![i]![0]!.sum : vector.values[i]!,
      histogram: isHistogram ? vector.histograms![i]![0]! : null,
    })
  }
  return out
}

/** A range result series by series, floats and histograms apart, as the API and tests see it. */
export function matrixSeries(value: QueryValue): readonly RawSeries[] {
  if (value.kind === 'samples') return value.series
  if (value.kind !== 'matrix') throw new Error(`BUG: a ${value.kind} is no range vector`)
  const { vector, grid, order } = value
  return Array.from(order, (row) => rowSeries(vector, row, grid))
}

/** One row's samples with their times. */
export function rowSeries(vector: Vector, row: number, grid: Grid): RawSeries {
  const { steps, presence } = vector
  const base = row * steps
  let floats = 0
  let histograms = 0
  for (let k = 0; k < steps; k++) {
    if (presence[base + k] === floatSample) floats++
    else if (presence[base + k] !== absent) histograms++
  }
  const out: RawSeries = {
    labels: vector.labels[row]!,
    times: new Float64Array(floats),
    values: new Float64Array(floats),
    histogramTimes: new Float64Array(histograms),
    histograms: [],
  }
  let f = 0
  for (let k = 0; k < steps; k++) {
    const kind = presence[base + k]!
    const time = grid.startMs + k * grid.stepMs
    if (kind === floatSample) {
      out.times[f] = time
      out.values[f++] = vector.values[base + k]!
    } else if (kind === histogramSample) {
      out.histogramTimes[out.histograms.length] = time
      out.histograms.push(vector.histograms![row]![k]!)
    }
  }
  return out
}
