// What is unwise about metric names, labels and help texts. Source: prometheus/client_golang promlint.
import { compareText, labelPairs, labelsKey } from '../../model/labels.ts'
import type { MetricFamily } from './metric-families.ts'

export type LintProblem = Readonly<{ metric: string; text: string }>

/** Sorted by metric, then by text. */
export function lintMetrics(families: readonly MetricFamily[]): LintProblem[] {
  return families
    .flatMap((family) => problemsOf(family).map((text) => ({ metric: family.name, text })))
    .sort((a, b) => compareText(a.metric, b.metric) || compareText(a.text, b.text))
}

const baseUnits: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['amperes', 'bytes', 'celsius', 'grams', 'joules', 'kelvin', 'meters', 'metres', 'seconds', 'volts'].map((unit) => [unit, unit]),
  ),
  minutes: 'seconds',
  hours: 'seconds',
  days: 'seconds',
  weeks: 'seconds',
  kelvins: 'kelvin',
  fahrenheit: 'celsius',
  rankine: 'celsius',
  inches: 'meters',
  yards: 'meters',
  miles: 'meters',
  bits: 'bytes',
  calories: 'joules',
  pounds: 'grams',
  ounces: 'grams',
}
const prefixes = /^(?:pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|pebi)/
const abbreviations = new Set(['s', 'ms', 'us', 'ns', 'sec', 'b', 'kb', 'mb', 'gb', 'tb', 'pb', 'm', 'h', 'd'])
const camelCase = /[a-z][A-Z]/

function problemsOf({ name, type, help, metrics }: MetricFamily): string[] {
  const out: string[] = []
  const untyped = type === 'unknown'
  if (help === null) out.push('no help text')
  const unit = unitOf(name)
  if (unit !== null && unit.unit !== unit.base) out.push(`use base unit "${unit.base}" instead of "${unit.unit}"`)
  const isTotal = name.endsWith('_total')
  if (type === 'counter' && !isTotal) out.push('counter metrics should have "_total" suffix')
  else if (!untyped && type !== 'counter' && isTotal) out.push('non-counter metrics should not have "_total" suffix')
  if (!untyped) out.push(...reservedProblems(name, type, metrics))
  const lower = name.toLowerCase()
  if (!untyped && (lower.includes(`_${type}_`) || lower.endsWith(`_${type}`))) {
    out.push(`metric name should not include type '${type}'`)
  }
  if (name.includes(':')) out.push("metric names should not contain ':'")
  if (camelCase.test(name)) out.push("metric names should be written in 'snake_case' not 'camelCase'")
  for (const labels of metrics) {
    for (const [label] of labelPairs(labels)) {
      if (camelCase.test(label)) out.push("label names should be written in 'snake_case' not 'camelCase'")
    }
  }
  const words = lower.split('_').slice(1)
  for (const word of words) if (abbreviations.has(word)) out.push('metric names should not contain abbreviated units')
  out.push(...duplicates(metrics))
  return out
}

function reservedProblems(name: string, type: string, metrics: MetricFamily['metrics']): string[] {
  const out: string[] = []
  const isHistogram = type === 'histogram'
  const isSummary = type === 'summary'
  if (!isHistogram && name.endsWith('_bucket')) out.push('non-histogram metrics should not have "_bucket" suffix')
  for (const suffix of ['_count', '_sum']) {
    if (!isHistogram && !isSummary && name.endsWith(suffix)) {
      out.push(`non-histogram and non-summary metrics should not have "${suffix}" suffix`)
    }
  }
  for (const labels of metrics) {
    for (const [label] of labelPairs(labels)) {
      if (!isHistogram && label === 'le') out.push('non-histogram metrics should not have "le" label')
      if (!isSummary && label === 'quantile') out.push('non-summary metrics should not have "quantile" label')
    }
  }
  return out
}

/** One problem for every metric that another one after it repeats. */
function duplicates(metrics: MetricFamily['metrics']): string[] {
  const seen = new Set<string>()
  return metrics.flatMap((labels) => {
    const key = labelsKey(labels)
    if (seen.has(key)) return ['metric not unique']
    seen.add(key)
    return []
  })
}

function unitOf(name: string): { unit: string; base: string } | null {
  for (const word of name.split('_')) {
    for (const candidate of [word, word.replace(prefixes, '')]) {
      if (Object.hasOwn(baseUnits, candidate)) return { unit: word, base: baseUnits[candidate]! }
    }
  }
  return null
}
