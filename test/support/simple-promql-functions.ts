// The arithmetic of the simple PromQL evaluator: functions of numbers, of windows, of groups.

import type { AggregateOp } from '../../src/promql/ast.ts'
import type { Element, Window } from './simple-promql.ts'

const date = (seconds: number): Date => new Date(Math.trunc(seconds) * 1000)

/** Number in, number out; the date functions take seconds. */
export const plainFunctions: Readonly<Record<string, (value: number) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  floor: Math.floor,
  exp: Math.exp,
  ln: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  sqrt: Math.sqrt,
  sgn: Math.sign,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  deg: (value) => (value * 180) / Math.PI,
  rad: (value) => (value * Math.PI) / 180,
  minute: (value) => date(value).getUTCMinutes(),
  hour: (value) => date(value).getUTCHours(),
  day_of_week: (value) => date(value).getUTCDay(),
  day_of_month: (value) => date(value).getUTCDate(),
  month: (value) => date(value).getUTCMonth() + 1,
  year: (value) => date(value).getUTCFullYear(),
}

/** The φ-quantile by linear interpolation; NaN is the smallest value. */
export function quantileOf(phi: number, values: readonly number[]): number {
  if (values.length === 0 || phi !== phi) return NaN
  if (phi < 0) return -Infinity
  if (phi > 1) return Infinity
  const sorted = values.toSorted((a, b) => (a !== a ? -1 : b !== b ? 1 : a - b))
  const rank = phi * (sorted.length - 1)
  const low = Math.floor(rank)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low]! * (1 - (rank - low)) + sorted[high]! * (rank - low)
}

export function aggregateOver(op: AggregateOp, values: readonly number[]): number {
  const numbers = values.filter((value) => value === value)
  switch (op) {
    case 'sum':
      return sum(values)
    case 'avg':
      return mean(values)
    case 'min':
      return numbers.length === 0 ? NaN : Math.min(...numbers)
    case 'max':
      return numbers.length === 0 ? NaN : Math.max(...numbers)
    case 'count':
      return values.length
    case 'group':
      return 1
    case 'stdvar':
      return variance(values)
    case 'stddev':
      return Math.sqrt(variance(values))
    default:
      throw new Error(`${op} is not known here`)
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
const mean = (values: readonly number[]): number => sum(values) / values.length

function variance(values: readonly number[]): number {
  // rounding must not make equal numbers vary
  if (values.every((value) => value === values[0] && Number.isFinite(value))) return 0
  const middle = mean(values)
  return mean(values.map((value) => (value - middle) ** 2))
}

/** One function over one window that holds at least one sample; null: no result. */
export function overTime(func: string, window: Window, params: readonly number[], timeMs: number): number | null {
  const { samples } = window
  const values = samples.map(({ value }) => value)
  const numbers = values.filter((value) => value === value)
  const pairs = samples.slice(1).map((sample, i) => [samples[i]!.value, sample.value] as const)
  switch (func) {
    case 'rate':
    case 'increase':
    case 'delta':
      return extrapolated(func, window)
    case 'irate':
    case 'idelta': {
      if (samples.length < 2) return null
      const [before, last] = samples.slice(-2) as [Window['samples'][0], Window['samples'][0]]
      const grown = func === 'irate' && last.value < before.value ? last.value : last.value - before.value
      return func === 'irate' ? grown / ((last.timeMs - before.timeMs) / 1000) : grown
    }
    case 'changes':
      return pairs.filter(([a, b]) => a !== b && !(a !== a && b !== b)).length
    case 'resets':
      return pairs.filter(([a, b]) => b < a).length
    case 'sum_over_time':
      return sum(values)
    case 'avg_over_time':
      return mean(values)
    case 'min_over_time':
      return numbers.length === 0 ? NaN : Math.min(...numbers)
    case 'max_over_time':
      return numbers.length === 0 ? NaN : Math.max(...numbers)
    case 'count_over_time':
      return values.length
    case 'present_over_time':
      return 1
    case 'last_over_time':
      return values.at(-1)!
    case 'first_over_time':
      return values[0]!
    case 'stdvar_over_time':
      return variance(values)
    case 'stddev_over_time':
      return Math.sqrt(variance(values))
    case 'quantile_over_time':
      return quantileOf(params[0]!, values)
    case 'mad_over_time': {
      if (numbers.length < values.length) return NaN
      const middle = quantileOf(0.5, values)
      return quantileOf(
        0.5,
        values.map((value) => Math.abs(value - middle)),
      )
    }
    case 'deriv':
      return samples.length < 2 ? null : regression(window, samples[0]!.timeMs).slope
    case 'predict_linear': {
      if (samples.length < 2) return null
      const { slope, intercept } = regression(window, timeMs)
      return slope * params[0]! + intercept
    }
    case 'double_exponential_smoothing':
      return samples.length < 2 ? null : smoothed(values, params[0]!, params[1]!)
    default:
      throw new Error(`${func} is not known here`)
  }
}

/** Growth over the window, carried on to its edges where the samples come near them. */
function extrapolated(func: 'rate' | 'increase' | 'delta', { samples, fromMs, toMs }: Window): number | null {
  if (samples.length < 2) return null
  const first = samples[0]!
  const last = samples.at(-1)!
  const isCounter = func !== 'delta'
  let grown = last.value - first.value
  if (isCounter) {
    for (let i = 1; i < samples.length; i++) if (samples[i]!.value < samples[i - 1]!.value) grown += samples[i - 1]!.value
  }
  const sampled = (last.timeMs - first.timeMs) / 1000
  const average = sampled / (samples.length - 1)
  const threshold = average * 1.1
  let toStart = (first.timeMs - fromMs) / 1000
  let toEnd = (toMs - last.timeMs) / 1000
  if (toStart >= threshold) toStart = average / 2
  if (isCounter && grown > 0 && first.value >= 0) toStart = Math.min(toStart, sampled * (first.value / grown))
  if (toEnd >= threshold) toEnd = average / 2
  const whole = grown * ((sampled + toStart + toEnd) / sampled)
  return func === 'rate' ? whole / ((toMs - fromMs) / 1000) : whole
}

/** Least squares; x in seconds from interceptMs. */
function regression({ samples }: Window, interceptMs: number): { slope: number; intercept: number } {
  const ys = samples.map(({ value }) => value)
  if (ys.every((y) => y === ys[0])) return Math.abs(ys[0]!) === Infinity ? { slope: NaN, intercept: NaN } : { slope: 0, intercept: ys[0]! }
  const xs = samples.map(({ timeMs }) => (timeMs - interceptMs) / 1000)
  const meanX = mean(xs)
  const meanY = mean(ys)
  const slope = sum(xs.map((x, i) => (x - meanX) * (ys[i]! - meanY))) / sum(xs.map((x) => (x - meanX) ** 2))
  return { slope, intercept: meanY - slope * meanX }
}

function smoothed(values: readonly number[], smoothing: number, trend: number): number {
  let before = 0
  let level = values[0]!
  let slope = values[1]! - values[0]!
  for (let i = 1; i < values.length; i++) {
    if (i > 1) slope = trend * (level - before) + (1 - trend) * slope
    before = level
    level = smoothing * values[i]! + (1 - smoothing) * (level + slope)
  }
  return level
}

export function labelReplace(element: Element, target: string, replacement: string, source: string, pattern: string): Element {
  const found = new RegExp(`^(?:${pattern})$`, 's').exec(element.labels[source] ?? '')
  if (found === null) return element
  const value = replacement.replace(/\$(?:(\d+)|\{(\d+)\})/g, (_, short?: string, long?: string) => found[Number(short ?? long)] ?? '')
  return { ...element, labels: withValue(element.labels, target, value) }
}

export function labelJoin(element: Element, target: string, separator: string, sources: readonly string[]): Element {
  const value = sources.map((source) => element.labels[source] ?? '').join(separator)
  return { ...element, labels: withValue(element.labels, target, value) }
}

function withValue(labels: Readonly<Record<string, string>>, name: string, value: string): Record<string, string> {
  const others = Object.entries(labels).filter(([other]) => other !== name)
  return Object.fromEntries(value === '' ? others : [...others, [name, value]])
}
