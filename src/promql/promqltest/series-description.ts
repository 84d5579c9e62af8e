// Series as test files write them: `metric{label="value"} 1 2+3x4 _ stale {{schema:1 count:3 sum:5 buckets:[1 2]}}x2`.
// Grammar: prometheus docs/configuration/unit_testing_rules.md and promql/parser (series descriptions). Used by promqltest and by unit tests
// of rules.
import { counterReset, type CounterReset, type Histogram, type Span } from '../../model/histogram.ts'
import { add, subtract } from '../../model/histogram-arithmetic.ts'
import { noBuckets, noSpans } from '../../model/histogram-buckets.ts'
import { labelsFrom, type Labels } from '../../model/labels.ts'
import { parseDuration } from '../../model/duration.ts'
import { staleNaN } from '../../model/staleness.ts'
import { parseMetricSelector } from '../parse.ts'

/** One position of a sequence. `hintSet`: the text names the histogram's counter reset hint. */
export type SequenceValue = Readonly<{ omitted: boolean; value: number; histogram: Histogram | null; hintSet: boolean }>

export type SeriesDescription = Readonly<{ labels: Labels; values: readonly SequenceValue[] }>

/** Longest sequence one item may stand for. */
const repeatMax = 1_000_000

/** The series, or what is wrong with the line. */
export function parseSeriesDescription(line: string): SeriesDescription | string {
  const end = metricEnd(line)
  const labels = parseMetric(line.slice(0, end))
  if (typeof labels === 'string') return labels
  const values = parseSequence(line.slice(end))
  return typeof values === 'string' ? values : { labels, values }
}

/** A metric such as `up{job="x"}`: only `=` matchers, each naming a label. */
export function parseMetric(text: string): Labels | string {
  const { matchers, problems } = parseMetricSelector(text)
  if (matchers === null) return problems[0]?.message ?? 'bad metric'
  for (const matcher of matchers) if (matcher.kind !== '=') return `label ${matcher.name} needs "=", has "${matcher.kind}"`
  return labelsFrom(matchers.map((matcher) => [matcher.name, matcher.value] as const))
}

/** Where the metric ends: behind its closing brace, or at the first space where it has none. */
function metricEnd(line: string): number {
  let inside = false
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!
    if (char === '"' || char === "'" || char === '`') {
      i = quoteEnd(line, i)
      continue
    }
    if (!inside && /\s/.test(char)) return i
    if (char === '{') inside = true
    else if (char === '}') return i + 1
  }
  return line.length
}

function quoteEnd(line: string, from: number): number {
  const quote = line[from]!
  for (let i = from + 1; i < line.length; i++) {
    if (line[i] === '\\' && quote !== '`') i++
    else if (line[i] === quote) return i
  }
  return line.length
}

const number = String.raw`(?:[0-9][0-9_]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN]|(?:[0-9]+(?:ms|[smhdwy]))+)`
const floatItem = new RegExp(String.raw`^([+-]?${number}|stale)(?:([+-]${number})?x([0-9]+))?$`)

/** The items behind the metric. */
export function parseSequence(text: string): SequenceValue[] | string {
  const out: SequenceValue[] = []
  let at = 0
  for (;;) {
    while (at < text.length && /\s/.test(text[at]!)) at++
    if (at >= text.length) return out
    let end: number
    let problem: string | null
    if (text.startsWith('{{', at)) {
      end = histogramItemEnd(text, at)
      problem = parseHistogramItem(text.slice(at, end), out)
    } else {
      end = at
      while (end < text.length && !/\s/.test(text[end]!)) end++
      problem = parseFloatItem(text.slice(at, end), out)
    }
    if (problem !== null) return problem
    at = end
  }
}

function parseFloatItem(item: string, out: SequenceValue[]): string | null {
  const blank = /^_(?:x([0-9]+))?$/.exec(item)
  if (blank !== null) {
    const times = blank[1] === undefined ? 1 : Number(blank[1])
    if (times > repeatMax) return `"${item}" stands for ${times} values, limit is ${repeatMax}`
    for (let i = 0; i < times; i++) out.push({ omitted: true, value: 0, histogram: null, hintSet: false })
    return null
  }
  const match = floatItem.exec(item)
  if (match === null) return `unexpected "${item}" in series values, expected number or "stale"`
  let value = match[1] === 'stale' ? staleNaN : parseNumber(match[1]!)
  const step = match[2] === undefined ? 0 : parseNumber(match[2])
  const times = match[3] === undefined ? 0 : Number(match[3])
  if (times > repeatMax) return `"${item}" stands for ${times} values, limit is ${repeatMax}`
  for (let i = 0; i <= times; i++) {
    out.push({ omitted: false, value, histogram: null, hintSet: false })
    if (match[2] !== undefined) value += step
  }
  return null
}

function parseNumber(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1
  const bare = text.replace(/^[+-]/, '').replaceAll('_', '')
  if (/^inf$/i.test(bare)) return sign * Infinity
  if (/^nan$/i.test(bare)) return NaN
  if (/[smhdwy]$/.test(bare)) return (sign * parseDuration(bare).ms) / 1000
  if (/^0[0-7]+$/.test(bare)) return sign * parseInt(bare, 8)
  return sign * Number(bare)
}

/** A histogram item ends behind its last `}}` and what repeats it. */
function histogramItemEnd(text: string, from: number): number {
  let end = text.indexOf('}}', from)
  if (end < 0) return text.length
  end += 2
  if (text.startsWith('{{', end + 1) && (text[end] === '+' || text[end] === '-')) {
    const second = text.indexOf('}}', end)
    end = second < 0 ? text.length : second + 2
  }
  while (end < text.length && !/\s/.test(text[end]!)) end++
  return end
}

function parseHistogramItem(item: string, out: SequenceValue[]): string | null {
  const match = /^(\{\{[^}]*\}\})(?:([+-])(\{\{[^}]*\}\}))?(?:x([0-9]+))?$/.exec(item)
  if (match === null || (match[2] !== undefined && match[4] === undefined)) return `unexpected "${item}" in series values`
  const base = parseTestHistogram(match[1]!)
  if (typeof base === 'string') return base
  const times = match[4] === undefined ? 0 : Number(match[4])
  if (times > repeatMax) return `"${item}" stands for ${times} values, limit is ${repeatMax}`
  const step = match[3] === undefined ? null : parseTestHistogram(match[3])
  if (typeof step === 'string') return step
  let { histogram } = base
  const hintSet = step === null ? base.hintSet : step.hintSet
  for (let i = 0; i <= times; i++) {
    out.push({ omitted: false, value: 0, histogram, hintSet })
    if (step === null || i === times) continue
    if (histogram.schema > step.histogram.schema)
      return `error combining histograms: cannot merge from schema ${step.histogram.schema} to ${histogram.schema}`
    const combined = match[2] === '+' ? add(histogram, step.histogram) : subtract(histogram, step.histogram)
    if (combined === null) return 'cannot apply this operation on histograms with a mix of exponential and custom bucket schemas'
    histogram = combined.result
  }
  return null
}

const hints: Readonly<Record<string, CounterReset>> = {
  unknown: counterReset.unknown,
  reset: counterReset.reset,
  not_reset: counterReset.notReset,
  gauge: counterReset.gauge,
}

/** `{{schema:1 count:3 sum:5 z_bucket:1 z_bucket_w:0.5 offset:2 buckets:[1 2] n_offset:1 n_buckets:[3] counter_reset_hint:gauge}}` */
export function parseTestHistogram(text: string): { histogram: Histogram; hintSet: boolean } | string {
  const body = text.slice(2, -2)
  const fields = new Map<string, string>()
  const pattern = /\s*([a-z_]+):(\[[^\]]*\]|[^\s[\]]+)/y
  let at = 0
  for (; body.slice(at).trim() !== ''; at = pattern.lastIndex) {
    pattern.lastIndex = at
    const match = pattern.exec(body)
    if (match === null) return `unexpected "${body.slice(at).trim()}" in histogram description, expected a key, e.g. buckets:[5 10 7]`
    if (fields.has(match[1]!)) return `duplicate key "${match[1]}" in histogram`
    fields.set(match[1]!, match[2]!)
  }
  const problems: string[] = []
  const scalar = (name: string): number => {
    const value = fields.get(name)
    if (value === undefined) return 0
    if (!new RegExp(`^[+-]?${number}$`).test(value)) problems.push(`error parsing ${name} number: ${value}`)
    return parseNumber(value)
  }
  const list = (name: string): Float64Array | null => {
    const value = fields.get(name)
    if (value === undefined) return null
    const parts = value.replace(/^\[/, '').replace(/\]$/, '').trim().split(/\s+/)
    if (!value.startsWith('[') || parts.some((part) => !new RegExp(`^[+-]?${number}$`).test(part)))
      problems.push(`error parsing ${name}: ${value}`)
    return Float64Array.from(parts, parseNumber)
  }
  const positive = list('buckets') ?? noBuckets
  const negative = list('n_buckets') ?? noBuckets
  const spans = (buckets: Float64Array, offset: string): readonly Span[] =>
    buckets.length === 0 ? noSpans : [{ offset: scalar(offset), length: buckets.length }]
  const hint = fields.get('counter_reset_hint')
  if (hint !== undefined && hints[hint] === undefined) problems.push(`error parsing counter_reset_hint: unknown value ${hint}`)
  const histogram: Histogram = {
    isFloat: true,
    schema: scalar('schema'),
    zeroThreshold: scalar('z_bucket_w'),
    zeroCount: scalar('z_bucket'),
    count: scalar('count'),
    sum: scalar('sum'),
    positiveSpans: spans(positive, 'offset'),
    negativeSpans: spans(negative, 'n_offset'),
    positiveBuckets: positive,
    negativeBuckets: negative,
    customBounds: list('custom_values'),
    counterReset: hint === undefined ? counterReset.unknown : (hints[hint] ?? counterReset.unknown),
  }
  for (const name of fields.keys()) if (!histogramKeys.has(name)) problems.push(`unknown key "${name}" in histogram description`)
  return problems[0] ?? { histogram, hintSet: hint !== undefined }
}

const histogramKeys: ReadonlySet<string> = new Set([
  'schema',
  'z_bucket_w',
  'z_bucket',
  'count',
  'sum',
  'offset',
  'n_offset',
  'buckets',
  'n_buckets',
  'custom_values',
  'counter_reset_hint',
])
