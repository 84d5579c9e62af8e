// Warnings and infos of a query. Equal texts count once (the position of the last one stays); details and the position `(line:column)` are
// added when they are printed. Texts: prometheus util/annotations/annotations.go.
import { quote } from '../model/labels.ts'
import { formatFloatE, formatFloatG } from '../model/number-text.ts'
import type { Span } from './ast.ts'
import { calendarOf } from './functions/calendar.ts'
import { printPosition } from './parse.ts'

type Level = 'warning' | 'info'

/** Fields that are merged over all occurrences and printed with the text. */
type Detail =
  | { kind: 'monotonicity'; minMs: number; maxMs: number; minBucket: number; maxBucket: number; maxDiff: number; count: number }
  | { kind: 'overlap'; count: number }

export type Annotation = { level: Level; text: string; span: Span; detail: Detail | null }

export type HistogramOperation = 'addition' | 'subtraction' | 'aggregation'

export class Annotations {
  /** By raw text, in the order of their first occurrence. Plain data: may be sent to another thread. */
  readonly entries: Annotation[]
  readonly #byText: Map<string, Annotation>
  constructor(entries: readonly Annotation[] = []) {
    this.entries = []
    this.#byText = new Map()
    for (const entry of entries) this.add(entry)
  }
  get size(): number {
    return this.entries.length
  }
  add(annotation: Annotation): void {
    const known = this.#byText.get(annotation.text)
    if (known === undefined) {
      const copy = { ...annotation, detail: annotation.detail === null ? null : { ...annotation.detail } }
      this.#byText.set(annotation.text, copy)
      this.entries.push(copy)
      return
    }
    if (known.detail === null || annotation.detail === null) {
      known.span = annotation.span
      return
    }
    mergeDetail(known.detail, annotation.detail)
  }
  merge(other: Annotations): void {
    for (const entry of other.entries) this.add(entry)
  }

  invalidQuantile(phi: number, span: Span): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatFloatG(phi)}`, span)
  }
  invalidRatio(ratio: number, capped: number, span: Span): void {
    this.#warn(`ratio value should be between -1 and 1, got ${formatFloatG(ratio)}, capping to ${formatFloatG(capped)}`, span)
  }
  badBucketLabel(name: string, label: string, span: Span): void {
    this.#warn(named(`bucket label "le" is missing or has a malformed value of ${quote(label)}`, name), span)
  }
  mixedFloatsHistograms(name: string, span: Span): void {
    this.#warn(`encountered a mix of histograms and floats for metric name ${quote(name)}`, span)
  }
  mixedFloatsHistogramsInAggregation(span: Span): void {
    this.#warn('encountered a mix of histograms and floats for aggregation', span)
  }
  mixedClassicNative(name: string, span: Span): void {
    this.#warn(named('vector contains a mix of classic and native histograms', name), span)
  }
  notCounter(name: string, span: Span): void {
    this.#warn(`this native histogram metric is not a counter: ${quote(name)}`, span)
  }
  notGauge(name: string, span: Span): void {
    this.#warn(`this native histogram metric is not a gauge: ${quote(name)}`, span)
  }
  mixedExponentialCustom(name: string, span: Span): void {
    this.#warn(`vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${quote(name)}`, span)
  }
  incompatibleBuckets(operator: string, span: Span): void {
    this.#warn(`incompatible bucket layout encountered for binary operator ${operator}`, span)
  }
  sortInRange(span: Span): void {
    this.#warn('sort is ineffective for range queries since results are always ordered by labels', span)
  }
  resetCollision(operation: HistogramOperation, span: Span): void {
    this.#warn(`conflicting counter resets during histogram ${operation}`, span)
  }
  startOverlap(name: string, span: Span): void {
    const text = `sample has start time that overlaps with previous sample timestamp for metric ${quote(name)}`
    this.add({ level: 'warning', text: `PromQL warning: ${text}`, span, detail: { kind: 'overlap', count: 1 } })
  }

  possibleNonCounter(name: string, span: Span): void {
    this.#info(`metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${quote(name)}`, span)
  }
  possibleNonCounterType(name: string, type: string, span: Span): void {
    this.#info(
      `metric might not be a counter, __type__ label is not set to "counter" or "histogram", got ${quote(type)}: ${quote(name)}`,
      span,
    )
  }
  forcedMonotonicity(name: string, span: Span, timeMs: number, minBucket: number, maxBucket: number, maxDiff: number): void {
    const text =
      'input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)'
    const detail = { kind: 'monotonicity', minMs: timeMs, maxMs: timeMs, minBucket, maxBucket, maxDiff, count: 1 } as const
    this.add({ level: 'info', text: `PromQL info: ${named(text, name)}`, span, detail })
  }
  incompatibleTypes(left: string, operator: string, right: string, span: Span): void {
    this.#info(`incompatible sample types encountered for binary operator ${quote(operator)}: ${left} ${operator} ${right}`, span)
  }
  ignoredInAggregation(operator: string, span: Span): void {
    this.#info(`ignored histogram in ${operator} aggregation`, span)
  }
  ignoredInMixedRange(name: string, span: Span): void {
    this.#info(`ignored histograms in a range containing both floats and histograms for metric name ${quote(name)}`, span)
  }
  quantileNaNResult(name: string, span: Span): void {
    this.#info(named('input to histogram_quantile has NaN observations, result is NaN', name), span)
  }
  quantileNaNSkew(name: string, span: Span): void {
    this.#info(named('input to histogram_quantile has NaN observations, result is skewed higher', name), span)
  }
  fractionNaN(name: string, span: Span): void {
    this.#info(named('input to histogram_fraction has NaN observations, which are excluded from all fractions', name), span)
  }
  boundsReconciled(operation: HistogramOperation, span: Span): void {
    this.#info(`mismatched custom buckets were reconciled during ${operation}`, span)
  }

  #warn(text: string, span: Span): void {
    this.add({ level: 'warning', text: `PromQL warning: ${text}`, span, detail: null })
  }
  #info(text: string, span: Span): void {
    this.add({ level: 'info', text: `PromQL info: ${text}`, span, detail: null })
  }

  /**
   * Texts as the API shows them. Of more than `max` of a level the rest is counted in one line; 0 means no limit.
   * @param query the text the spans point into.
   */
  print(query: string, max = 0): { warnings: string[]; infos: string[] } {
    const level = (of: Level): string[] => {
      const all = this.entries.filter((entry) => entry.level === of)
      const shown = max === 0 ? all : all.slice(0, max)
      const texts = shown.map((entry) => printAnnotation(entry, query))
      if (shown.length < all.length) texts.push(`${all.length - shown.length} more ${of} annotations omitted`)
      return texts
    }
    return { warnings: level('warning'), infos: level('info') }
  }
}

function named(text: string, name: string): string {
  return name === '' ? text : `${text} for metric name ${quote(name)}`
}

function mergeDetail(into: Detail, other: Detail): void {
  if (into.kind === 'overlap' || other.kind === 'overlap') {
    into.count += other.count
    return
  }
  into.minMs = Math.min(into.minMs, other.minMs)
  into.maxMs = Math.max(into.maxMs, other.maxMs)
  into.minBucket = Math.min(into.minBucket, other.minBucket)
  into.maxBucket = Math.max(into.maxBucket, other.maxBucket)
  into.maxDiff = Math.max(into.maxDiff, other.maxDiff)
  into.count += other.count
}

export function printAnnotation(annotation: Annotation, query: string): string {
  const { text, detail } = annotation
  const position = printPosition(query, annotation.span.from)
  if (detail === null) return `${text} (${position})`
  if (detail.kind === 'overlap') return detail.count > 1 ? `${text} (${detail.count} occurrences) (${position})` : `${text} (${position})`
  const buckets = `from buckets ${formatFloatG(detail.minBucket)} to ${formatFloatG(detail.maxBucket)}, with a max diff of ${twoDigits(detail.maxDiff)}`
  const times = `over ${detail.count} samples from ${printSecond(detail.minMs)} to ${printSecond(detail.maxMs)}`
  return `${text}, ${buckets}, ${times} (${position})`
}

/** Go's %.2g. */
function twoDigits(value: number): string {
  const rounded = Number(value.toPrecision(2))
  const size = Math.abs(rounded)
  return size >= 100 && Number.isFinite(size) ? formatFloatE(rounded) : formatFloatG(rounded)
}

/** RFC 3339, UTC, to the second. */
function printSecond(timeMs: number): string {
  const { year, month, day, hour, minute, second } = calendarOf(Math.trunc(timeMs / 1000))
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}Z`
}
