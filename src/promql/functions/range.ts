// Range-vector functions: one series in, one row out. Floats go through the kernels, all windows of a series at once; series with histograms
// take the same way for their floats and are looked at window by window for the rest.
import { countEvents, extendedGrowth, extrapolatedGrowth, growthWithStarts, instantGrowth, startedAnew } from '../../kernels/counter.ts'
import {
  countOverTime,
  edgeOverTime,
  edgeTime,
  extremeOverTime,
  madOverTime,
  presentOverTime,
  quantileOverTime,
  sumOverTime,
  varianceOverTime,
} from '../../kernels/over-time.ts'
import { regressionOverTime, smoothingOverTime } from '../../kernels/trend.ts'
import { firstAfter, windowBounds, WindowFrame } from '../../kernels/window.ts'
import type { Histogram } from '../../model/histogram.ts'
import { equals, histogramSize } from '../../model/histogram-arithmetic.ts'
import { detectReset } from '../../model/histogram-reset.ts'
import { labelValue, metricName, type Labels } from '../../model/labels.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { isStaleAt } from '../../model/staleness.ts'
import type { Annotations } from '../annotations.ts'
import type { Span } from '../ast.ts'
import { executionError, type Budget } from '../budget.ts'
import { absent, floatSample, histogramSample, type HistogramRow } from '../vector.ts'
import {
  extendedHistogramGrowth,
  histogramGrowth,
  histogramInstantGrowth,
  histogramSum,
  type HistogramSeries,
  type Noting,
} from './range-histograms.ts'

/** A range function over one selector or subquery. Plain data. */
export type RangeCall = Readonly<{
  func: string
  rangeMs: number
  /** Scalar arguments other than the range vector, one value a step. */
  params: readonly Float64Array[]
  anchored: boolean
  smoothed: boolean
  lookbackMs: number
  /** Position of the range argument, and of the first argument, for annotations. */
  span: Span
  firstArgSpan: Span
}>

/** When windows end and steps are evaluated, ms. stepMs is 0 where all windows are the same (`@`). */
export type WindowTimes = Readonly<{ firstEndMs: number; stepMs: number; evalStartMs: number; evalStepMs: number; steps: number }>

const anchoredFunctions: ReadonlySet<string> = new Set(['changes', 'delta', 'increase', 'rate', 'resets'])
const smoothedFunctions: ReadonlySet<string> = new Set(['delta', 'increase', 'rate'])
const startFunctions: ReadonlySet<string> = new Set(['rate', 'irate', 'increase', 'resets'])

/** Functions of floats that leave histograms in the range out, with an info. */
const floatOnly: ReadonlySet<string> = new Set([
  'min_over_time',
  'max_over_time',
  'quantile_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'mad_over_time',
  'ts_of_min_over_time',
  'ts_of_max_over_time',
  'deriv',
  'predict_linear',
  'double_exponential_smoothing',
])

/** Samples touched in one part: sorting them takes a few milliseconds. */
const partWork = 1 << 16

/** Functions whose windows cost time in proportion to the samples in them; they are cut into parts between looks at the budget. */
const addsAgain: ReadonlySet<string> = new Set([
  'sum_over_time',
  'avg_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'mad_over_time',
  'deriv',
  'predict_linear',
  'double_exponential_smoothing',
])

/** first_over_time and last_over_time give samples as they are: the metric keeps its name. */
export function keepsName(func: string): boolean {
  return func === 'last_over_time' || func === 'first_over_time'
}

/** Evaluates one range call over many series; scratch space is kept from series to series. */
export class RangeRunner {
  readonly #call: RangeCall
  readonly #times: WindowTimes
  readonly #annotations: Annotations
  readonly #budget: Budget
  readonly #useStarts: boolean
  readonly #typeLabels: boolean
  readonly #frame = new WindowFrame()
  readonly #isCounter: boolean
  readonly #perSecond: boolean
  #hLo = new Uint32Array(0)
  #hHi = new Uint32Array(0)
  #sizes = new Float64Array(0)
  /** Samples in the windows of every step, and those that are new against the step before; histograms by size. */
  readonly samples: Float64Array
  readonly read: Float64Array
  constructor(
    call: RangeCall,
    times: WindowTimes,
    options: Readonly<{ useStartTimestamps: boolean; typeAndUnitLabels: boolean }>,
    annotations: Annotations,
    budget: Budget,
  ) {
    const { func } = call
    if (call.anchored && !anchoredFunctions.has(func))
      throw executionError(`anchored modifier can only be used with: ${[...anchoredFunctions].join(', ')} - not with ${func}`)
    if (call.smoothed && !smoothedFunctions.has(func))
      throw executionError(`smoothed modifier can only be used with: ${[...smoothedFunctions].join(', ')} - not with ${func}`)
    this.#call = call
    this.#times = times
    this.#annotations = annotations
    this.#budget = budget
    this.#useStarts = options.useStartTimestamps && startFunctions.has(func)
    this.#typeLabels = options.typeAndUnitLabels
    this.#isCounter = func !== 'delta'
    this.#perSecond = func === 'rate'
    const frame = this.#frame
    frame.setSteps(times.steps)
    frame.firstEndMs = times.firstEndMs
    frame.stepMs = times.stepMs
    frame.rangeMs = call.rangeMs
    frame.evalStartMs = times.evalStartMs
    frame.evalStepMs = times.evalStepMs
    frame.params = call.params
    this.samples = new Float64Array(times.steps)
    this.read = new Float64Array(times.steps)
    if (func === 'quantile_over_time') this.#badQuantiles = call.params[0]!.some((phi) => !(phi >= 0 && phi <= 1))
  }
  #badQuantiles = false

  /**
   * One series. `columns` is used up: staleness markers are removed in place. Writes values[base …] and presence[base …].
   * @returns the row's histograms, or null where there are none.
   */
  run(columns: SampleColumns, labels: Labels, values: Float64Array, presence: Uint8Array, base: number): HistogramRow | null {
    const frame = this.#frame
    frame.out = values
    frame.present = presence
    frame.base = base
    const histograms = columns.histograms === null ? null : splitHistograms(columns)
    const length = removeStale(columns)
    frame.setSamples(columns.times, columns.values, length)
    frame.startTimes = this.#useStarts ? columns.startTimes : null
    this.#bounds(frame.times, length, frame.lo, frame.hi)
    this.#budget.tick(length + this.#times.steps)
    const row = histograms === null ? this.#floats(labels) : this.#mixed(histograms, labels)
    this.#noteNonCounter(labels, presence, base)
    return row
  }

  #bounds(times: Float64Array, length: number, lo: Uint32Array, hi: Uint32Array): void {
    const { anchored, smoothed, lookbackMs, rangeMs } = this.#call
    const { firstEndMs, stepMs, steps } = this.#times
    const after = smoothed ? lookbackMs : 0
    const before = anchored || smoothed ? lookbackMs : 0
    if (stepMs > 0 || steps === 1) windowBounds(times, length, firstEndMs + after, stepMs, rangeMs + before + after, steps, lo, hi)
    else {
      windowBounds(times, length, firstEndMs + after, 0, rangeMs + before + after, 1, lo, hi)
      lo.fill(lo[0]!, 0, steps)
      hi.fill(hi[0]!, 0, steps)
    }
  }

  /** A series of floats alone. */
  #floats(labels: Labels): null {
    const { steps, lo, hi } = this.#frame
    let most = 0
    let touched = 0
    let end = 0
    for (let k = 0; k < steps; k++) {
      const a = lo[k]!
      const b = hi[k]!
      const count = b - a
      this.samples[k]! += count
      this.read[k]! += b - Math.max(a, end)
      end = b
      touched += count
      if (count > most) most = count
    }
    if (most === 0) return null
    this.#budget.take(most)
    this.#runKernels(touched, labels)
    this.#budget.give(most)
    return null
  }

  #runKernels(touched: number, labels: Labels): void {
    const { steps } = this.#frame
    if (this.#badQuantiles) this.#noteQuantiles()
    if (this.#call.func === 'double_exponential_smoothing') checkFactors(this.#call.params)
    if (!addsAgain.has(this.#call.func) || touched < partWork) {
      this.#kernel(0, steps, labels)
      this.#budget.tick(touched)
      return
    }
    const parts = Math.ceil(touched / partWork)
    const stepsPerPart = Math.max(1, Math.floor(steps / parts))
    for (let from = 0; from < steps; from += stepsPerPart) {
      this.#kernel(from, Math.min(steps, from + stepsPerPart), labels)
      this.#budget.tick(partWork)
    }
  }

  #kernel(from: number, to: number, labels: Labels): void {
    const frame = this.#frame
    const { func, anchored, smoothed } = this.#call
    switch (func) {
      case 'rate':
      case 'increase':
      case 'delta':
        if (anchored || smoothed) {
          extendedGrowth(frame, from, to, smoothed, this.#isCounter, this.#perSecond, this.#times.firstEndMs)
        } else if (frame.startTimes !== null && this.#isCounter) {
          for (let n = growthWithStarts(frame, from, to, this.#perSecond); n > 0; n--)
            this.#annotations.startOverlap(metricName(labels), this.#call.span)
        } else extrapolatedGrowth(frame, from, to, this.#isCounter, this.#perSecond)
        return
      case 'irate':
      case 'idelta':
        return instantGrowth(frame, from, to, func === 'irate')
      case 'resets':
      case 'changes':
        if (anchored) this.#anchor(from, to)
        return countEvents(frame, from, to, func === 'resets')
      case 'sum_over_time':
      case 'avg_over_time':
        return sumOverTime(frame, from, to, func === 'avg_over_time')
      case 'count_over_time':
        return countOverTime(frame, from, to)
      case 'present_over_time':
      case 'absent_over_time':
        return presentOverTime(frame, from, to)
      case 'first_over_time':
      case 'last_over_time':
        return edgeOverTime(frame, from, to, func === 'last_over_time')
      case 'ts_of_first_over_time':
      case 'ts_of_last_over_time':
        return edgeTime(frame, from, to, func === 'ts_of_last_over_time')
      case 'min_over_time':
      case 'max_over_time':
        return extremeOverTime(frame, from, to, func === 'max_over_time' ? 1 : -1, false)
      case 'ts_of_min_over_time':
      case 'ts_of_max_over_time':
        return extremeOverTime(frame, from, to, func === 'ts_of_max_over_time' ? 1 : -1, true)
      case 'quantile_over_time':
        return quantileOverTime(frame, from, to)
      case 'mad_over_time':
        return madOverTime(frame, from, to)
      case 'stddev_over_time':
      case 'stdvar_over_time':
        return varianceOverTime(frame, from, to, func === 'stddev_over_time')
      case 'deriv':
      case 'predict_linear':
        return regressionOverTime(frame, from, to, func === 'predict_linear')
      case 'double_exponential_smoothing':
        return smoothingOverTime(frame, from, to)
      default:
        throw new Error(`BUG: no kernel for range function ${func}`)
    }
  }

  /** resets and changes of an anchored range start at the last sample at or before the range; without a sample in the range none is left. */
  #anchor(from: number, to: number): void {
    const { times, lo, hi } = this.#frame
    const { rangeMs } = this.#call
    for (let k = from; k < to; k++) {
      const start = this.#times.firstEndMs + k * this.#times.stepMs - rangeMs
      const inside = firstAfter(times, lo[k]!, hi[k]!, start)
      if (inside === hi[k]) lo[k] = hi[k]!
      else lo[k] = Math.max(lo[k]!, inside - 1)
    }
  }

  #noteQuantiles(): void {
    const { lo, hi, steps } = this.#frame
    const phis = this.#call.params[0]!
    for (let k = 0; k < steps; k++) {
      const phi = phis[k]!
      if (hi[k]! > lo[k]! && !(phi >= 0 && phi <= 1)) this.#annotations.invalidQuantile(phi, this.#call.firstArgSpan)
    }
  }

  /** A series that has histograms. */
  #mixed(series: HistogramSeries, labels: Labels): HistogramRow | null {
    const { func, span, firstArgSpan, rangeMs, anchored, smoothed } = this.#call
    const { firstEndMs, stepMs, steps } = this.#times
    const frame = this.#frame
    const { lo, hi, present, base, out } = frame
    if (this.#hLo.length < steps) {
      this.#hLo = new Uint32Array(steps)
      this.#hHi = new Uint32Array(steps)
    }
    if (!this.#useStarts) series.starts = null
    const hLo = this.#hLo
    const hHi = this.#hHi
    this.#bounds(series.times, series.length, hLo, hHi)
    this.#countMixed(series)
    const noting: Noting = { annotations: this.#annotations, name: metricName(labels), span }
    const instant = func === 'irate' || func === 'idelta'
    const instantNoting: Noting = instant ? { ...noting, span: firstArgSpan } : noting
    let row: HistogramRow | null = null
    const ignores = floatOnly.has(func)
    for (let k = 0; k < steps; k++) {
      const a = hLo[k]!
      const b = hHi[k]!
      if (a === b) continue
      const floats = hi[k]! - lo[k]!
      this.#budget.tick((b - a) * 16)
      if (ignores) {
        if (floats > 0) this.#annotations.ignoredInMixedRange(noting.name, span)
        continue
      }
      const end = firstEndMs + k * stepMs
      let result: Histogram | null = null
      switch (func) {
        case 'rate':
        case 'increase':
        case 'delta':
          if (floats > 0) this.#annotations.mixedFloatsHistograms(noting.name, span)
          else if (anchored || smoothed)
            result = extendedHistogramGrowth(series, a, b, end - rangeMs, end, smoothed, this.#isCounter, this.#perSecond, noting)
          else result = histogramGrowth(series, a, b, end, rangeMs, this.#isCounter, this.#perSecond, noting)
          break
        case 'sum_over_time':
        case 'avg_over_time':
          if (floats > 0) this.#annotations.mixedFloatsHistograms(noting.name, span)
          else result = histogramSum(series, a, b, func === 'avg_over_time', noting)
          break
        case 'irate':
        case 'idelta':
          result = this.#instantMixed(series, a, b, k, instantNoting)
          break
        case 'first_over_time':
          if (floats > 0 && frame.times[lo[k]!]! < series.times[a]!) continue
          result = series.histograms[a]!
          break
        case 'last_over_time':
          if (floats > 0 && frame.times[hi[k]! - 1]! > series.times[b - 1]!) continue
          result = series.histograms[b - 1]!
          break
        default:
          this.#mixedFloatResult(series, a, b, k)
      }
      lo[k] = hi[k]! // done: the kernel must not see this window's floats
      if (result === null) continue
      row ??= []
      row[k] = result
      present[base + k] = histogramSample
      out[base + k] = 0
    }
    this.#runKernels(0, labels)
    return row
  }

  /** Functions that give a float for a window with histograms. */
  #mixedFloatResult(series: HistogramSeries, a: number, b: number, k: number): void {
    const { func } = this.#call
    const { lo, hi, out, present, base, times } = this.#frame
    const cell = base + k
    const floats = hi[k]! - lo[k]!
    present[cell] = floatSample
    if (func === 'count_over_time') out[cell] = floats + b - a
    else if (func === 'present_over_time' || func === 'absent_over_time') out[cell] = 1
    else if (func === 'ts_of_first_over_time') out[cell] = Math.min(series.times[a]!, floats > 0 ? times[lo[k]!]! : Infinity) / 1000
    else if (func === 'ts_of_last_over_time') out[cell] = Math.max(series.times[b - 1]!, floats > 0 ? times[hi[k]! - 1]! : -Infinity) / 1000
    else if (func === 'resets' || func === 'changes') {
      const count = this.#mixedEvents(series, a, b, k, func === 'resets')
      if (count < 0) present[cell] = absent
      else out[cell] = count
    } else throw new Error(`BUG: no function ${func} for ranges with histograms`)
  }

  /** Resets or changes over floats and histograms in the order of their times; −1 where an anchored range has no sample of its own. */
  #mixedEvents(series: HistogramSeries, a: number, b: number, k: number, resets: boolean): number {
    const { lo, hi, times, values, startTimes } = this.#frame
    let f = lo[k]!
    const fEnd = hi[k]!
    let h = a
    if (this.#call.anchored) {
      const start = this.#times.firstEndMs + k * this.#times.stepMs - this.#call.rangeMs
      const fIn = firstAfter(times, f, fEnd, start)
      const hIn = firstAfter(series.times, a, b, start)
      if (fIn === fEnd && hIn === b) return -1
      const fAnchor = fIn > f ? times[fIn - 1]! : -Infinity
      const hAnchor = hIn > a ? series.times[hIn - 1]! : -Infinity
      f = fIn
      h = hIn
      if (fAnchor !== -Infinity || hAnchor !== -Infinity) {
        if (fAnchor >= hAnchor) f--
        else h--
      }
    }
    let count = 0
    let first = true
    let previousHistogram: Histogram | null = null
    let previousValue = 0
    let previousTime = 0
    let previousStart = 0
    while (f < fEnd || h < b) {
      let histogram: Histogram | null = null
      let value = 0
      let time: number
      let start = 0
      if (h >= b || (f < fEnd && times[f]! < series.times[h]!)) {
        value = values[f]!
        time = times[f]!
        if (startTimes !== null) start = startTimes[f]!
        f++
      } else {
        histogram = series.histograms[h]!
        time = series.times[h]!
        if (series.starts !== null) start = series.starts[h]!
        h++
      }
      if (!first) {
        if ((histogram === null) !== (previousHistogram === null)) count++
        else if (resets) {
          const anew = startedAnew(previousStart, previousTime, start, time)
          if (anew || (histogram === null ? value < previousValue : detectReset(histogram, previousHistogram!))) count++
        } else if (histogram !== null) {
          if (!equals(histogram, previousHistogram!)) count++
        } else if (value !== previousValue && (value === value || previousValue === previousValue)) count++
      }
      first = false
      previousHistogram = histogram
      previousValue = value
      previousTime = time
      previousStart = start
    }
    return count
  }

  /** irate or idelta where at least one of the window's samples is a histogram: the last two of either kind. */
  #instantMixed(series: HistogramSeries, a: number, b: number, k: number, noting: Noting): Histogram | null {
    const { lo, hi, times, values, startTimes, out, present, base } = this.#frame
    const isRate = this.#call.func === 'irate'
    let f = hi[k]! - 1
    let h = b - 1
    if (f - lo[k]! + 1 + b - a < 2) return null
    const lastIsFloat = f >= lo[k]! && times[f]! > series.times[h]!
    if (lastIsFloat) f--
    else h--
    const beforeIsFloat = f >= lo[k]! && (h < a || times[f]! > series.times[h]!)
    if (lastIsFloat !== beforeIsFloat) {
      this.#annotations.mixedFloatsHistograms(noting.name, noting.span)
      return null
    }
    if (!lastIsFloat) {
      const elapsed = series.times[h + 1]! - series.times[h]!
      if (elapsed === 0) return null
      const starts = series.starts
      return histogramInstantGrowth(
        series.histograms[h]!,
        series.times[h]!,
        starts === null ? 0 : starts[h]!,
        series.histograms[h + 1]!,
        series.times[h + 1]!,
        starts === null ? 0 : starts[h + 1]!,
        isRate,
        noting,
      )
    }
    const elapsed = times[f + 1]! - times[f]!
    const anew =
      isRate &&
      (values[f + 1]! < values[f]! || (startTimes !== null && startedAnew(startTimes[f]!, times[f]!, startTimes[f + 1]!, times[f + 1]!)))
    const growth = anew ? values[f + 1]! : values[f + 1]! - values[f]!
    out[base + k] = isRate ? growth / (elapsed / 1000) : growth
    present[base + k] = floatSample
    return null
  }

  #countMixed(series: HistogramSeries): void {
    const { lo, hi, steps } = this.#frame
    if (this.#sizes.length <= series.length) this.#sizes = new Float64Array(series.length * 2 + 2)
    const sizes = this.#sizes
    for (let i = 0; i < series.length; i++) sizes[i + 1] = sizes[i]! + histogramSize(series.histograms[i]!)
    let most = 0
    let fEnd = 0
    let hEnd = 0
    for (let k = 0; k < steps; k++) {
      const count = hi[k]! - lo[k]! + sizes[this.#hHi[k]!]! - sizes[this.#hLo[k]!]!
      this.samples[k]! += count
      this.read[k]! += hi[k]! - Math.max(lo[k]!, fEnd) + sizes[this.#hHi[k]!]! - sizes[Math.max(this.#hLo[k]!, hEnd)]!
      fEnd = hi[k]!
      hEnd = this.#hHi[k]!
      if (count > most) most = count
    }
    this.#budget.take(most)
    this.#budget.give(most)
  }

  /** rate and increase of what does not look like a counter get an info. */
  #noteNonCounter(labels: Labels, presence: Uint8Array, base: number): void {
    const { func, span } = this.#call
    if (func !== 'rate' && func !== 'increase') return
    const name = metricName(labels)
    if (name === this.#knownCounter || name === '') return
    if (this.#typeLabels) {
      const type = labelValue(labels, '__type__')
      if (type === 'counter' || type === 'histogram' || !hasFloat(presence, base, this.#times.steps)) return
      this.#annotations.possibleNonCounterType(name, type, span)
    } else if (/_(?:total|sum|count|bucket)$/.test(name)) this.#knownCounter = name
    else if (hasFloat(presence, base, this.#times.steps)) {
      this.#annotations.possibleNonCounter(name, span)
      this.#knownCounter = name // said once is enough
    }
  }
  #knownCounter = ''
}

function hasFloat(presence: Uint8Array, base: number, steps: number): boolean {
  for (let i = base; i < base + steps; i++) if (presence[i] === floatSample) return true
  return false
}

function checkFactors(params: readonly Float64Array[]): void {
  const names = ['smoothing', 'trend']
  const letters = ['sf', 'tf']
  for (let i = 0; i < 2; i++)
    for (const factor of params[i]!)
      if (factor <= 0 || factor >= 1)
        throw executionError(`invalid ${names[i]} factor. Expected: 0 < ${letters[i]} < 1, got: ${factor.toFixed(6)}`)
}

/** Removes staleness markers in place; returns the new length. */
export function removeStale(columns: SampleColumns): number {
  const { times, values, bits, startTimes } = columns
  const { length } = columns
  let i = 0
  while (i < length) {
    const value = values[i]!
    if (value !== value && isStaleAt(bits, i)) break
    i++
  }
  if (i === length) return length
  let n = i
  for (; i < length; i++) {
    const value = values[i]!
    if (value !== value && isStaleAt(bits, i)) continue
    times[n] = times[i]!
    values[n] = value
    if (startTimes !== null) startTimes[n] = startTimes[i]!
    n++
  }
  columns.length = n
  return n
}

/** Takes the histograms out of the columns, leaving the floats; markers of the end are dropped with them. */
export function splitHistograms(columns: SampleColumns): HistogramSeries {
  const { times, values, bits, startTimes, histograms } = columns
  const own = histograms!
  const out: HistogramSeries = { times: new Float64Array(columns.length), histograms: [], starts: null, length: 0 }
  const starts = startTimes === null ? null : new Float64Array(columns.length)
  let n = 0
  for (let i = 0; i < columns.length; i++) {
    const histogram = own[i] ?? null
    if (histogram === null) {
      times[n] = times[i]!
      if (i !== n) {
        bits[n * 2] = bits[i * 2]! // by bits: a marker stays a marker
        bits[n * 2 + 1] = bits[i * 2 + 1]!
      }
      if (startTimes !== null) startTimes[n] = startTimes[i]!
      n++
      continue
    }
    if (values[i] !== values[i] && isStaleAt(bits, i)) continue
    out.times[out.length] = times[i]!
    if (starts !== null) starts[out.length] = startTimes![i]!
    out.histograms.push(histogram)
    out.length++
  }
  out.starts = starts
  columns.length = n
  columns.histograms = null
  return out
}
