// Leaves of a plan: what is done next to the data. A leaf is plain data and may be sent to another thread; so is its result.
//
//   selector → lookback | range function | raw samples      per series, decoded once
//            → rows of a vector | partial aggregate
import type { SampleColumns } from '../model/samples.ts'
import { SampleColumns as Columns, type SeriesSource } from '../model/samples.ts'
import { newestSamples } from '../kernels/window.ts'
import type { Histogram } from '../model/histogram.ts'
import { histogramSize, withCounterReset, usesCustomBuckets } from '../model/histogram-arithmetic.ts'
import { counterReset } from '../model/histogram.ts'
import { metricName, type Labels } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'
import { isStaleAt } from '../model/staleness.ts'
import { firstAtOrBeyond, firstBeyond, interpolated } from '../kernels/counter.ts'
import { Accumulator, Grouping, type AccumulatedOp, type PartialAggregate } from './aggregation.ts'
import { Annotations, type Annotation } from './annotations.ts'
import type { Span } from './ast.ts'
import { executionError, type Budget } from './budget.ts'
import { interpolatedHistogram } from './functions/range-histograms.ts'
import { keepsName, RangeRunner, removeStale, splitHistograms, type RangeCall, type WindowTimes } from './functions/range.ts'
import { stripBuckets } from './histogram-stats.ts'
import { finished, type Steps } from './steps.ts'
import { keepExtremes } from './ranking.ts'
import {
  floatSample,
  hasTypeOrUnit,
  histogramSample,
  nextRow,
  pushRow,
  rowHasSamples,
  startVector,
  type HistogramRow,
  type Vector,
} from './vector.ts'

/** Evaluation times: startMs + k · stepMs for k = 0 … steps − 1. */
export type Grid = Readonly<{ startMs: number; stepMs: number; steps: number }>

/** Switches that change what queries give, as Prometheus' --enable-feature names them. */
export type EvaluationFeatures = Readonly<{
  delayedNameRemoval: boolean
  useStartTimestamps: boolean
  typeAndUnitLabels: boolean
}>

/**
 * How samples become the value of a step: the newest within the lookback, its time or start time in seconds, or a line between neighbours.
 * `info`: the time, but histograms stay, so that info() can refuse them.
 */
export type LookbackMode = 'value' | 'time' | 'startTime' | 'smoothed' | 'info'

export type Leaf = Readonly<{
  matchers: readonly Matcher[]
  /** Samples to read, closed, ms. */
  startMs: number
  endMs: number
  grid: Grid
  /** Steps look at t − shiftMs (offset), or all of them at fixedMs (`@`, offset already taken off). */
  shiftMs: number
  fixedMs: number | null
  lookbackMs: number
  work: Readonly<{ kind: 'lookback'; mode: LookbackMode }> | Readonly<{ kind: 'range'; call: RangeCall }> | RawWork
  /** What of it is wanted: the series themselves, and aggregations of them. */
  wantsVector: boolean
  aggregates: readonly LeafAggregate[]
  /** Only count and sum of histograms are needed: buckets are left out, after resets were found with them. */
  statsOnly: boolean
  features: EvaluationFeatures
  /** All series have the same metric name. */
  sameName: boolean
  /** Of the selector. */
  span: Span
}>
export type RawWork = Readonly<{ kind: 'raw'; rangeMs: number; anchored: boolean; smoothed: boolean }>
export type LeafAggregate = Readonly<{
  op: AccumulatedOp | 'topk' | 'bottomk'
  grouping: readonly string[]
  without: boolean
  /** k of topk and bottomk. */
  k: number
  /** Of the aggregated expression, and of the whole aggregation. */
  exprSpan: Span
  span: Span
}>

/** One series of a range vector: floats and histograms apart, each ascending in time. */
export type RawSeries = {
  labels: Labels
  times: Float64Array
  values: Float64Array
  histogramTimes: Float64Array
  histograms: Histogram[]
}

export type LeafStats = { samples: Float64Array; read: Float64Array; peak: number }

export type LeafResult = {
  /** Where the leaf wants it. */
  vector: Vector | null
  /** One for each aggregate of the leaf: a part of sum, avg, …, or the series that topk and bottomk keep. */
  parts: (PartialAggregate | null)[]
  kept: (Vector | null)[]
  raw: RawSeries[] | null
  annotations: readonly Annotation[]
  stats: LeafStats
}

/** Runs a leaf over the series of one source (a shard). Throws as Budget does, and PROMQL_EXECUTION. */
export function runLeaf(leaf: Leaf, source: SeriesSource, budget: Budget): LeafResult {
  return finished(leafSteps(leaf, source, budget))
}

/** The same with pauses between series. */
export function* leafSteps(leaf: Leaf, source: SeriesSource, budget: Budget): Steps<LeafResult> {
  budget.poll()
  const annotations = new Annotations()
  const { steps } = leaf.grid
  const stats: LeafStats = { samples: new Float64Array(steps), read: new Float64Array(steps), peak: 0 }
  const result: LeafResult = { vector: null, parts: [], kept: [], raw: null, annotations: annotations.entries, stats }
  const { matchers, startMs, endMs, work } = leaf
  const newestOnly = work.kind === 'lookback' && work.mode !== 'smoothed' && (steps === 1 || leaf.fixedMs !== null)
  const set = source.select({ matchers, startMs, endMs, newestOnly })
  const columns = new Columns()
  const held = budget.current
  if (work.kind === 'raw') {
    result.raw = yield* rawSteps(leaf, work, set, columns, stats, budget)
  } else {
    const rows = new LeafRows(leaf, set.length, annotations, stats, budget)
    for (let i = 0; i < set.length; i++) {
      set.read(i, columns)
      if (columns.length > 0) rows.add(set.labels(i), columns)
      else budget.tick(16)
      if (budget.takePause()) yield
    }
    rows.finish(result)
  }
  stats.peak = budget.peak
  budget.give(budget.current - held)
  return result
}

/** Times a leaf looks at: t of step 0, and the distance of steps (0 for `@`). */
export function lookTimes(leaf: Leaf): { firstMs: number; stepMs: number } {
  return leaf.fixedMs === null
    ? { firstMs: leaf.grid.startMs - leaf.shiftMs, stepMs: leaf.grid.stepMs }
    : { firstMs: leaf.fixedMs, stepMs: 0 }
}

/** Turns series into rows, and rows into groups where the leaf aggregates. */
class LeafRows {
  readonly #leaf: Leaf
  readonly #annotations: Annotations
  readonly #stats: LeafStats
  readonly #budget: Budget
  readonly #vector: Vector
  readonly #accumulators: (Accumulator | null)[]
  readonly #keepsRows: boolean
  readonly #runner: RangeRunner | null
  readonly #dropsName: boolean
  readonly #at: Int32Array
  readonly #first: number
  readonly #step: number
  #typed = false
  constructor(leaf: Leaf, series: number, annotations: Annotations, stats: LeafStats, budget: Budget) {
    const { grid, work, aggregates, features } = leaf
    this.#leaf = leaf
    this.#annotations = annotations
    this.#stats = stats
    this.#budget = budget
    const { firstMs, stepMs } = lookTimes(leaf)
    this.#first = firstMs
    this.#step = stepMs
    this.#at = new Int32Array(grid.steps)
    this.#dropsName =
      work.kind === 'range' ? !keepsName(work.call.func) : work.kind === 'lookback' && (work.mode === 'time' || work.mode === 'startTime')
    this.#keepsRows = leaf.wantsVector || aggregates.some(isRanking)
    const rows = this.#keepsRows ? Math.min(series, Math.max(16, Math.ceil((1 << 20) / grid.steps))) : 1
    this.#vector = startVector(grid.steps, rows, budget)
    this.#accumulators = aggregates.map((aggregate) =>
      isRanking(aggregate)
        ? null
        : new Accumulator(
            aggregate.op as AccumulatedOp,
            grid.steps,
            new Grouping(aggregate.grouping, aggregate.without),
            aggregate.exprSpan,
            annotations,
            budget,
          ),
    )
    const times: WindowTimes = {
      firstEndMs: firstMs,
      stepMs,
      evalStartMs: grid.startMs,
      evalStepMs: grid.stepMs,
      steps: grid.steps,
    }
    this.#runner = work.kind === 'range' ? new RangeRunner(work.call, times, features, annotations, budget) : null
  }

  add(labels: Labels, columns: SampleColumns): void {
    const vector = this.#vector
    const { steps } = this.#leaf.grid
    if (this.#leaf.statsOnly && columns.histograms !== null) stripBuckets(columns)
    const base = nextRow(vector, this.#budget)
    let row: HistogramRow | null
    if (this.#runner !== null) row = this.#runner.run(columns, labels, vector.values, vector.presence, base)
    else row = this.#lookback(columns, labels, base)
    if (!rowHasSamples(vector.presence, base, steps)) return
    if (this.#dropsName && this.#leaf.sameName && !this.#typed) this.#typed = hasTypeOrUnit(labels)
    const delayed = this.#leaf.features.delayedNameRemoval
    const pending = this.#dropsName && !delayed
    for (const accumulator of this.#accumulators)
      if (accumulator !== null) accumulator.add(labels, pending, this.#dropsName && delayed, vector.values, vector.presence, base, row)
    if (!this.#keepsRows) {
      vector.presence.fill(0, base, base + steps)
      return
    }
    let points = 0
    for (let i = base; i < base + steps; i++) if (vector.presence[i] === floatSample) points++
    if (row !== null) for (const histogram of row) if (histogram !== undefined) points += histogramSize(histogram)
    this.#budget.take(points)
    pushRow(vector, labels, row, this.#dropsName && delayed)
  }

  #lookback(columns: SampleColumns, labels: Labels, base: number): HistogramRow | null {
    const { grid, lookbackMs, work } = this.#leaf
    const mode = work.kind === 'lookback' ? work.mode : 'value'
    if (mode === 'smoothed') return this.#smoothed(columns, labels, base)
    const { steps } = grid
    const { values, presence } = this.#vector
    const at = this.#at
    newestSamples(columns.times, columns.length, this.#first, this.#step, lookbackMs, steps, at)
    this.#budget.tick(columns.length + steps)
    const { times, bits, histograms, startTimes } = columns
    const source = mode === 'value' ? columns.values : mode === 'startTime' ? startTimes : times
    const { samples, read } = this.#stats
    const keepsHistograms = mode === 'value' || mode === 'info'
    let row: HistogramRow | null = null
    for (let k = 0; k < steps; k++) {
      const i = at[k]!
      if (i < 0) continue
      const value = columns.values[i]!
      if (value !== value && isStaleAt(bits, i)) continue
      const histogram = histograms === null ? null : histograms[i]!
      if (histogram !== null && keepsHistograms) {
        row ??= []
        row[k] = histogram
        presence[base + k] = histogramSample
        values[base + k] = 0
        const size = histogramSize(histogram)
        samples[k]! += size
        read[k]! += size
        continue
      }
      values[base + k] = mode === 'value' ? value : source === null ? 0 : source[i]! / 1000
      presence[base + k] = floatSample
      samples[k]!++
      read[k]!++
    }
    return row
  }

  /** The value of every step on a straight line between the samples around it; the last one is carried on for the lookback. */
  #smoothed(columns: SampleColumns, labels: Labels, base: number): HistogramRow | null {
    const { grid, lookbackMs, span } = this.#leaf
    const { values, presence } = this.#vector
    const series = columns.histograms === null ? null : splitHistograms(columns)
    const length = removeStale(columns)
    const { times, values: own } = columns
    const noting = { annotations: this.#annotations, name: metricName(labels), span }
    let row: HistogramRow | null = null
    for (let k = 0; k < grid.steps; k++) {
      this.#budget.tick(16)
      const t = this.#first + k * this.#step
      const a = firstBeyond(times, 0, length, t - lookbackMs)
      const b = firstBeyond(times, a, length, t + lookbackMs)
      const ha = series === null ? 0 : firstBeyond(series.times, 0, series.length, t - lookbackMs)
      const hb = series === null ? 0 : firstBeyond(series.times, ha, series.length, t + lookbackMs)
      if (a === b && ha === hb) continue
      if (a < b && ha < hb) {
        this.#annotations.mixedFloatsHistograms(noting.name, span)
        continue
      }
      if (ha < hb) {
        const histogram = smoothedHistogram(series!, ha, hb, t, noting)
        if (histogram === null) continue
        row ??= []
        row[k] = histogram
        presence[base + k] = histogramSample
        continue
      }
      const i = firstAtOrBeyond(times, a, b, t)
      if (i === a && (i === b || times[i] !== t)) continue
      if (i < b && times[i] === t) values[base + k] = own[i]!
      else if (i < b) values[base + k] = interpolated(times[i - 1]!, own[i - 1]!, times[i]!, own[i]!, t, false)
      else values[base + k] = own[i - 1]!
      presence[base + k] = floatSample
    }
    return row
  }

  finish(result: LeafResult): void {
    const vector = this.#vector
    const { features, aggregates, sameName, wantsVector } = this.#leaf
    if (this.#runner !== null) {
      result.stats.samples = this.#runner.samples
      result.stats.read = this.#runner.read
    }
    vector.namesPending = this.#dropsName && !features.delayedNameRemoval
    vector.distinctWithoutNames = sameName && !this.#typed
    if (wantsVector) result.vector = vector
    aggregates.forEach((aggregate, i) => {
      const accumulator = this.#accumulators[i]!
      result.parts.push(accumulator === null ? null : accumulator.part())
      result.kept.push(accumulator !== null ? null : keepExtremes(vector, aggregate, aggregate.k, this.#annotations, this.#budget, null))
    })
  }
}

function isRanking(aggregate: LeafAggregate): boolean {
  return aggregate.op === 'topk' || aggregate.op === 'bottomk'
}

function smoothedHistogram(
  series: { times: Float64Array; histograms: Histogram[] },
  a: number,
  b: number,
  t: number,
  noting: Parameters<typeof interpolatedHistogram>[6],
): Histogram | null {
  const i = firstAtOrBeyond(series.times, a, b, t)
  if (i < b && series.times[i] === t) return series.histograms[i]!
  if (i === a) return null
  const previous = series.histograms[i - 1]!
  if (i === b) return withCounterReset(previous, counterReset.unknown)
  const next = series.histograms[i]!
  if (usesCustomBuckets(previous) !== usesCustomBuckets(next)) {
    noting.annotations.mixedExponentialCustom(noting.name, noting.span)
    return null
  }
  const isCounter = previous.counterReset !== counterReset.gauge || next.counterReset !== counterReset.gauge
  return interpolatedHistogram(series.times[i - 1]!, previous, series.times[i]!, next, t, isCounter, noting)
}

/** A range vector as it is: only instant queries can ask for one. */
function* rawSteps(
  leaf: Leaf,
  work: RawWork,
  set: { readonly length: number; labels(i: number): Labels; read(i: number, into: SampleColumns): void },
  columns: SampleColumns,
  stats: LeafStats,
  budget: Budget,
): Steps<RawSeries[]> {
  const out: RawSeries[] = []
  const { firstMs } = lookTimes(leaf)
  const reach = work.anchored || work.smoothed ? leaf.lookbackMs : 0
  const startMs = firstMs - work.rangeMs
  for (let i = 0; i < set.length; i++) {
    set.read(i, columns)
    budget.tick(columns.length + 16)
    if (budget.takePause()) yield
    if (columns.length === 0) continue
    if (leaf.statsOnly && columns.histograms !== null) stripBuckets(columns)
    const series = columns.histograms === null ? null : splitHistograms(columns)
    const length = removeStale(columns)
    const { times, values } = columns
    const a = firstBeyond(times, 0, length, startMs - reach)
    const b = firstBeyond(times, a, length, work.smoothed ? firstMs + reach : firstMs)
    const ha = series === null ? 0 : firstBeyond(series.times, 0, series.length, startMs - reach)
    const hb = series === null ? 0 : firstBeyond(series.times, ha, series.length, work.smoothed ? firstMs + reach : firstMs)
    if (ha < hb && reach > 0) throw executionError(`${work.anchored ? 'anchored' : 'smoothed'} modifier is not supported with histograms`)
    const raw: RawSeries =
      reach > 0 && a < b
        ? extended(set.labels(i), times, values, a, b, startMs, firstMs, work.smoothed)
        : {
            labels: set.labels(i),
            times: times.slice(a, b),
            values: values.slice(a, b),
            histogramTimes: series === null ? new Float64Array(0) : series.times.slice(ha, hb),
            histograms: series === null ? [] : series.histograms.slice(ha, hb),
          }
    let size = raw.times.length
    for (const histogram of raw.histograms) size += histogramSize(histogram)
    if (size === 0) continue
    budget.take(size)
    stats.samples[0]! += size
    stats.read[0]! += size
    out.push(raw)
  }
  return out
}

/** Samples of an anchored or smoothed range with one at each of its bounds. */
function extended(
  labels: Labels,
  times: Float64Array,
  values: Float64Array,
  a: number,
  b: number,
  startMs: number,
  endMs: number,
  smoothed: boolean,
): RawSeries {
  const none: RawSeries = {
    labels,
    times: new Float64Array(0),
    values: new Float64Array(0),
    histogramTimes: new Float64Array(0),
    histograms: [],
  }
  let last = b - 1
  let first = Math.max(a, firstBeyond(times, a, last, startMs) - 1)
  if (smoothed) last = firstAtOrBeyond(times, a, last, endMs)
  if (times[last]! <= startMs) return none
  const left =
    smoothed && times[first]! < startMs
      ? interpolated(times[first]!, values[first]!, times[first + 1]!, values[first + 1]!, startMs, false)
      : values[first]!
  const right =
    smoothed && last > a && times[last]! > endMs
      ? interpolated(times[last - 1]!, values[last - 1]!, times[last]!, values[last]!, endMs, false)
      : values[last]!
  if (times[first]! <= startMs) first++
  if (times[last]! >= endMs) last--
  return {
    ...none,
    times: Float64Array.of(startMs, ...times.subarray(first, Math.max(first, last + 1)), endMs),
    values: Float64Array.of(left, ...values.subarray(first, Math.max(first, last + 1)), right),
  }
}
