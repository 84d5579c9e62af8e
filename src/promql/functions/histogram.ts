// histogram_quantile, histogram_quantiles and histogram_fraction over vectors that may hold classic buckets, native histograms or both.
// Which buckets make one classic histogram is found once; then every step only gathers counts. Source: prometheus promql/functions.go.
import { labelsKey, labelValue, metricName, withLabel, withoutLabels, type Labels } from '../../model/labels.ts'
import { formatFloatG, parseGoFloat } from '../../model/number-text.ts'
import type { Annotations } from '../annotations.ts'
import type { Span } from '../ast.ts'
import {
  absent,
  duplicateText,
  floatSample,
  histogramSample,
  nextRow,
  pushRow,
  settleNames,
  startVector,
  withoutMetadata,
  type Vector,
} from '../vector.ts'
import { executionError } from '../budget.ts'
import type { FunctionContext } from './instant.ts'
import { ClassicBuckets, nativeFraction, nativeQuantile } from './quantile.ts'
import type { Histogram } from '../../model/histogram.ts'

/** Buckets of one classic histogram, ascending by bound. */
type Classic = Readonly<{ labels: Labels; rows: readonly number[]; bounds: readonly number[] }>

const bucketLabel: ReadonlySet<string> = new Set(['le'])

/** What an argument vector holds, and where native and classic histograms collide. */
class HistogramArgument {
  readonly classic: Classic[] = []
  /** Rows that have native histograms. */
  readonly native: number[] = []
  /** Per row with native histograms: the classic histogram with the same labels. */
  readonly twin = new Map<number, Classic>()
  readonly input: Vector
  constructor(input: Vector, span: Span, annotations: Annotations, delayed: boolean) {
    this.input = settleNames(input)
    const groups = new Map<string, { labels: Labels; rows: number[]; bounds: number[] }>()
    const { steps } = input
    for (let i = 0; i < input.length; i++) {
      const labels = input.labels[i]!
      if (input.histograms !== null && input.histograms[i] !== null) this.native.push(i)
      let hasFloat = false
      for (let cell = i * steps; cell < (i + 1) * steps && !hasFloat; cell++) hasFloat = input.presence[cell] === floatSample
      if (!hasFloat) continue
      const le = labelValue(labels, 'le')
      const bound = parseBound(le)
      if (bound === null) {
        annotations.badBucketLabel(delayed ? metricName(labels) : '', le, span)
        continue
      }
      const rest = withoutLabels(labels, bucketLabel)
      const key = labelsKey(rest)
      let group = groups.get(key)
      if (group === undefined) groups.set(key, (group = { labels: rest, rows: [], bounds: [] }))
      group.rows.push(i)
      group.bounds.push(bound)
    }
    const byKey = new Map<string, Classic>()
    for (const [key, { labels, rows, bounds }] of groups) {
      const order = rows.map((_, i) => i).sort((a, b) => bounds[a]! - bounds[b]! || 0)
      const sorted = { labels, rows: order.map((i) => rows[i]!), bounds: order.map((i) => bounds[i]!) }
      this.classic.push(sorted)
      byKey.set(key, sorted)
    }
    for (const row of this.native) {
      const twin = byKey.get(labelsKey(input.labels[row]!))
      if (twin !== undefined) this.twin.set(row, twin)
    }
  }
  /** Gathers the buckets of a step; false where there are none. */
  gather({ rows, bounds }: Classic, step: number, into: ClassicBuckets): boolean {
    const { presence, values, steps } = this.input
    into.clear()
    for (let r = 0; r < rows.length; r++) {
      const cell = rows[r]! * steps + step
      if (presence[cell] === floatSample) into.add(bounds[r]!, values[cell]!)
    }
    return into.length > 0
  }
}

function parseBound(text: string): number | null {
  if (text === '+Inf') return Infinity
  return parseGoFloat(text)
}

/** Output rows by labels; two samples of one series at one step are an error unless names are still to be dropped. */
class Output {
  readonly vector: Vector
  readonly #context: FunctionContext
  readonly #rows = new Map<string, number>()
  constructor(steps: number, rows: number, context: FunctionContext) {
    this.vector = startVector(steps, rows, context.budget)
    this.#context = context
  }
  row(labels: Labels): number {
    const { delayed, budget } = this.#context
    const shown = delayed ? labels : withoutMetadata(labels)
    const key = labelsKey(shown)
    const known = this.#rows.get(key)
    if (known !== undefined) return known
    const base = nextRow(this.vector, budget)
    this.vector.presence.fill(absent, base, base + this.vector.steps)
    const row = this.vector.length
    pushRow(this.vector, shown, null, delayed)
    this.#rows.set(key, row)
    return row
  }
  set(row: number, step: number, value: number): void {
    const cell = row * this.vector.steps + step
    if (this.vector.presence[cell] !== absent) throw executionError(duplicateText)
    this.vector.presence[cell] = floatSample
    this.vector.values[cell] = value
  }
}

type Evaluation = Readonly<{
  /** Labels of the result at a step, from those of the histogram. */
  labels: (labels: Labels, step: number) => Labels
  /** Whether labels may differ from step to step. */
  labelsVary: boolean
  native: (histogram: Histogram, step: number, name: string) => number
  classic: (buckets: ClassicBuckets, step: number, name: string) => number
}>

function evaluate(
  argument: HistogramArgument,
  span: Span,
  annotations: Annotations,
  context: FunctionContext,
  evaluations: readonly Evaluation[],
): Vector {
  const { input, classic, native, twin } = argument
  const { steps, presence } = input
  const { budget, delayed } = context
  const out = new Output(steps, Math.max(4, classic.length + native.length), context)
  const buckets = new ClassicBuckets()
  /** Steps at which a classic histogram is left out because a native one has the same labels. */
  const clashes = new Map<Classic, Uint8Array>()
  for (const row of native) {
    const labels = input.labels[row]!
    // upstream looks for the name after it was dropped, unless it is dropped later
    const name = delayed ? metricName(labels) : ''
    const same = twin.get(row)
    for (const { labels: label, labelsVary, native: native_ } of evaluations) {
      let target = -1
      for (let k = 0; k < steps; k++) {
        if (presence[row * steps + k] !== histogramSample) continue
        if (same !== undefined && argument.gather(same, k, buckets)) {
          annotations.mixedClassicNative(delayed ? metricName(labels) : '', span)
          let at = clashes.get(same)
          if (at === undefined) clashes.set(same, (at = new Uint8Array(steps)))
          at[k] = 1
          continue
        }
        const histogram = input.histograms![row]![k]!
        budget.tick(histogram.positiveBuckets.length + histogram.negativeBuckets.length + 16)
        const value = native_(histogram, k, name)
        if (target < 0 || labelsVary) target = out.row(label(labels, k))
        out.set(target, k, value)
      }
    }
  }
  for (const group of classic) {
    const name = delayed ? metricName(group.labels) : ''
    const clash = clashes.get(group)
    for (const { labels: label, labelsVary, classic: classic_ } of evaluations) {
      let target = -1
      for (let k = 0; k < steps; k++) {
        budget.tick(group.rows.length * 2)
        if (clash !== undefined && clash[k] === 1) continue
        if (!argument.gather(group, k, buckets)) continue
        const value = classic_(buckets, k, name)
        if (target < 0 || labelsVary) target = out.row(label(group.labels, k))
        out.set(target, k, value)
      }
    }
  }
  return out.vector
}

function checkQuantiles(phis: Float64Array, span: Span, annotations: Annotations): void {
  for (const phi of phis) if (!(phi >= 0 && phi <= 1)) annotations.invalidQuantile(phi, span)
}

function quantileEvaluation(
  phis: Float64Array,
  span: Span,
  annotations: Annotations,
  timeOf: (step: number) => number,
  labels: Evaluation['labels'],
  labelsVary: boolean,
): Evaluation {
  return {
    labels,
    labelsVary,
    native: (histogram, step, name) => nativeQuantile(phis[step]!, histogram, name, span, annotations),
    classic: (buckets, step, name) => {
      const value = buckets.quantile(phis[step]!)
      if (buckets.forced) annotations.forcedMonotonicity(name, span, timeOf(step), buckets.minBucket, buckets.maxBucket, buckets.maxDiff)
      return value
    },
  }
}

/** @param spans of φ and of the vector. */
export function histogramQuantile(
  phis: Float64Array,
  input: Vector,
  spans: readonly [Span, Span],
  timeOf: (step: number) => number,
  annotations: Annotations,
  context: FunctionContext,
): Vector {
  checkQuantiles(phis, spans[0], annotations)
  const argument = new HistogramArgument(input, spans[1], annotations, context.delayed)
  return evaluate(argument, spans[1], annotations, context, [
    quantileEvaluation(phis, spans[1], annotations, timeOf, (labels) => labels, false),
  ])
}

/** @param spans of the vector, then of every φ. */
export function histogramQuantiles(
  input: Vector,
  label: string,
  quantiles: readonly Float64Array[],
  spans: readonly Span[],
  timeOf: (step: number) => number,
  annotations: Annotations,
  context: FunctionContext,
): Vector {
  quantiles.forEach((phis, i) => checkQuantiles(phis, spans[i + 1]!, annotations))
  const argument = new HistogramArgument(input, spans[0]!, annotations, context.delayed)
  return evaluate(
    argument,
    spans[0]!,
    annotations,
    context,
    quantiles.map((phis) => {
      const varies = phis.some((phi) => !Object.is(phi, phis[0]))
      const own = (labels: Labels, step: number): Labels => withLabel(labels, label, openMetricsFloat(phis[step]!))
      return quantileEvaluation(phis, spans[0]!, annotations, timeOf, own, varies)
    }),
  )
}

/** @param spans of the bounds and the vector. */
export function histogramFraction(
  lower: Float64Array,
  upper: Float64Array,
  input: Vector,
  span: Span,
  annotations: Annotations,
  context: FunctionContext,
): Vector {
  const argument = new HistogramArgument(input, span, annotations, context.delayed)
  return evaluate(argument, span, annotations, context, [
    {
      labels: (labels) => labels,
      labelsVary: false,
      native: (histogram, step, name) => nativeFraction(lower[step]!, upper[step]!, histogram, name, span, annotations),
      classic: (buckets, step) => buckets.fraction(lower[step]!, upper[step]!),
    },
  ])
}

/** A float as OpenMetrics writes label values: never without a point or an exponent. */
export function openMetricsFloat(value: number): string {
  if (value === 0) return '0.0' // −0 too
  const text = formatFloatG(value)
  return Number.isFinite(value) && !/[e.]/.test(text) ? `${text}.0` : text
}
