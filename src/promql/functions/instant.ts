// Functions of instant vectors and scalars, cell by cell over columns. Source: prometheus promql/functions.go.
import { compareLabels, compareText, isUtf8Name, labelValue, withLabel, type Labels } from '../../model/labels.ts'
import type { Matcher } from '../../model/matcher.ts'
import { compileRegex } from '../../model/regex.ts'
import { executionError, type Budget } from '../budget.ts'
import {
  absent,
  dropsName,
  emptyVector,
  floatSample,
  histogramSample,
  mergeDuplicates,
  nextRow,
  pushRow,
  settleNames,
  startVector,
  type Vector,
} from '../vector.ts'
import type { Histogram } from '../../model/histogram.ts'
import { calendarBeyond, calendarFunctions } from './calendar.ts'

/** What functions share: dropping names now or at the end, and the budget. */
export type FunctionContext = Readonly<{ delayed: boolean; budget: Budget }>

const simple: Readonly<Record<string, (x: number) => number>> = {
  abs: Math.abs,
  acos: Math.acos,
  acosh: Math.acosh,
  asin: Math.asin,
  asinh: Math.asinh,
  atan: Math.atan,
  atanh: Math.atanh,
  ceil: Math.ceil,
  cos: Math.cos,
  cosh: Math.cosh,
  deg: (x) => (x * 180) / Math.PI,
  exp: Math.exp,
  floor: Math.floor,
  ln: Math.log,
  log10: Math.log10,
  log2: Math.log2,
  rad: (x) => (x * Math.PI) / 180,
  sgn: (x) => (x < 0 ? -1 : x > 0 ? 1 : x),
  sin: Math.sin,
  sinh: Math.sinh,
  sqrt: Math.sqrt,
  tan: Math.tan,
  tanh: Math.tanh,
}

/** The function of one float with this name, or undefined. */
export function floatFunction(name: string): ((x: number) => number) | undefined {
  const own = simple[name]
  if (own !== undefined) return own
  const calendar = calendarFunctions[name]
  if (calendar === undefined) return undefined
  const beyond = calendarBeyond[name]!
  return (x) => (x >= -(2 ** 63) && x < 2 ** 63 ? calendar(Math.trunc(x)) : beyond)
}

/** A vector with the same rows, floats only, whose name goes. `each` gets value and step. */
export function mapFloats(input: Vector, context: FunctionContext, each: (value: number, step: number) => number): Vector {
  const { steps } = input
  const { budget, delayed } = context
  const out = startVector(steps, input.length, budget)
  out.namesPending = input.namesPending || !delayed
  out.distinctWithoutNames = input.distinctWithoutNames
  for (let i = 0; i < input.length; i++) {
    budget.tick(steps * 2)
    const from = i * steps
    const base = nextRow(out, budget)
    let any = false
    for (let k = 0; k < steps; k++) {
      const isFloat = input.presence[from + k] === floatSample
      out.presence[base + k] = isFloat ? floatSample : absent
      if (!isFloat) continue
      any = true
      out.values[base + k] = each(input.values[from + k]!, k)
    }
    if (any) pushRow(out, input.labels[i]!, null, delayed || dropsName(input, i))
  }
  return out
}

/** A vector of floats made from the histograms of another. Only the metric name goes, not type and unit. */
export function mapHistograms(input: Vector, context: FunctionContext, each: (histogram: Histogram) => number): Vector {
  const { steps } = input
  const { budget, delayed } = context
  if (input.histograms === null) return emptyVector(steps)
  if (!delayed) settleNames(input)
  const out = startVector(steps, 4, budget)
  for (let i = 0; i < input.length; i++) {
    const row = input.histograms[i]!
    if (row === null) continue
    const base = nextRow(out, budget)
    let any = false
    for (let k = 0; k < steps; k++) {
      const isHistogram = input.presence[i * steps + k] === histogramSample
      out.presence[base + k] = isHistogram ? floatSample : absent
      if (!isHistogram) continue
      any = true
      const histogram = row[k]!
      budget.tick(8 + histogram.positiveBuckets.length)
      out.values[base + k] = each(histogram)
    }
    if (any) pushRow(out, delayed ? input.labels[i]! : withLabel(input.labels[i]!, '__name__', ''), null, delayed)
  }
  return delayed || input.distinctWithoutNames ? out : mergeDuplicates(out, budget)
}

/** Go's math.Max and math.Min: an infinity beats NaN. */
export function goMax(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b)
}
export function goMin(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b)
}

/** clamp: steps at which the maximum is below the minimum have no result. */
export function clamp(input: Vector, min: Float64Array | null, max: Float64Array | null, context: FunctionContext): Vector {
  const out = mapFloats(input, context, (value, k) =>
    goMax(min === null ? -Infinity : min[k]!, goMin(max === null ? Infinity : max[k]!, value)),
  )
  if (min === null || max === null) return out
  const { steps } = out
  let any = false
  for (let k = 0; k < steps; k++) {
    if (!(max[k]! < min[k]!)) continue
    any = true
    for (let i = 0; i < out.length; i++) out.presence[i * steps + k] = absent
  }
  return any ? compactRows(out, context.budget) : out
}

/** Leaves out rows without samples. */
export function compactRows(input: Vector, budget: Budget): Vector {
  const { steps } = input
  const out = startVector(steps, input.length, budget)
  out.namesPending = input.namesPending
  out.distinctWithoutNames = input.distinctWithoutNames
  for (let i = 0; i < input.length; i++) {
    const row = input.presence.subarray(i * steps, (i + 1) * steps)
    if (!row.some((kind) => kind !== absent)) continue
    const base = nextRow(out, budget)
    out.presence.set(row, base)
    out.values.set(input.values.subarray(i * steps, (i + 1) * steps), base)
    pushRow(out, input.labels[i]!, input.histograms === null ? null : input.histograms[i]!, dropsName(input, i))
  }
  return out
}

export function round(input: Vector, toNearest: Float64Array | null, context: FunctionContext): Vector {
  return mapFloats(input, context, (value, k) => {
    const inverse = 1 / (toNearest === null ? 1 : toNearest[k]!)
    return Math.floor(value * inverse + 0.5) / inverse
  })
}

/** scalar(): the one float of a step, NaN where there are none or several. */
export function toScalar(input: Vector): Float64Array {
  const { steps } = input
  const out = new Float64Array(steps).fill(NaN)
  const found = new Uint8Array(steps)
  for (let i = 0; i < input.length; i++) {
    for (let k = 0; k < steps; k++) {
      if (input.presence[i * steps + k] !== floatSample) continue
      out[k] = found[k] === 0 ? input.values[i * steps + k]! : NaN
      found[k] = 1
    }
  }
  return out
}

/** vector(), and calendar functions without an argument: one series without labels. */
export function toVector(scalar: Float64Array, context: FunctionContext): Vector {
  const out = startVector(scalar.length, 1, context.budget)
  if (scalar.length === 0) return out
  const base = nextRow(out, context.budget)
  out.values.set(scalar, base)
  out.presence.fill(floatSample, base, base + scalar.length)
  pushRow(out, [], null, false)
  return out
}

/** timestamp() of anything but a selector is the evaluation time. */
export function evaluationTimes(input: Vector, startMs: number, stepMs: number, context: FunctionContext): Vector {
  const { steps } = input
  const out = startVector(steps, input.length, context.budget)
  out.namesPending = input.namesPending || !context.delayed
  out.distinctWithoutNames = input.distinctWithoutNames
  for (let i = 0; i < input.length; i++) {
    context.budget.tick(steps)
    const base = nextRow(out, context.budget)
    for (let k = 0; k < steps; k++) {
      const there = input.presence[i * steps + k] !== absent
      out.presence[base + k] = there ? floatSample : absent
      if (there) out.values[base + k] = (startMs + k * stepMs) / 1000
    }
    pushRow(out, input.labels[i]!, null, context.delayed || dropsName(input, i))
  }
  return out
}

/** absent(): 1 at every step without any sample, with the labels the selector asks for. */
export function absentSteps(input: Vector, matchers: readonly Matcher[], budget: Budget): Vector {
  const { steps } = input
  const out = startVector(steps, 1, budget)
  if (steps === 0) return out
  const base = nextRow(out, budget)
  const cells = input.length * steps
  out.presence.fill(floatSample, base, base + steps)
  for (let cell = 0, k = 0; cell < cells; cell++) {
    if (input.presence[cell] !== absent) out.presence[base + k] = absent
    if (++k === steps) k = 0
  }
  let any = false
  for (let k = 0; k < steps; k++) {
    if (out.presence[base + k] === absent) continue
    any = true
    out.values[base + k] = 1
  }
  if (any) pushRow(out, absentLabels(matchers), null, false)
  return out
}

/** Labels that a selector fixes by exactly one `=` matcher. */
function absentLabels(matchers: readonly Matcher[]): Labels {
  let labels: Labels = []
  const has = new Set<string>()
  for (const { name, kind, value } of matchers) {
    if (name === '__name__') continue
    if (kind === '=' && !has.has(name)) {
      labels = withLabel(labels, name, value)
      has.add(name)
    } else labels = withLabel(labels, name, '')
  }
  return labels
}

/** label_replace: labels change, samples stay. */
export function labelReplace(input: Vector, [dst, replacement, src, pattern]: readonly string[], context: FunctionContext): Vector {
  const { regex, problem } = compiled(pattern!)
  if (problem !== null || regex === null) throw executionError(`invalid regular expression in label_replace(): ${pattern}`)
  if (!isUtf8Name(dst!)) throw executionError(`invalid destination label name in label_replace(): ${dst}`)
  settleNames(input)
  const labels: Labels[] = []
  const drops = input.dropNames === null ? null : input.dropNames.slice()
  const known = new Map<string, string | null>()
  for (let i = 0; i < input.length; i++) {
    context.budget.tick(64)
    const own = input.labels[i]!
    const value = labelValue(own, src!)
    let result = known.get(value)
    if (result === undefined) {
      const match = regex.match(value)
      result = match === null ? null : regex.expand(replacement!, match)
      known.set(value, result)
    }
    labels.push(result === null ? own : withLabel(own, dst!, result))
    if (result !== null && dst === '__name__' && drops !== null) drops[i] = 0
  }
  return mergeDuplicates({ ...input, labels, dropNames: drops, distinctWithoutNames: false }, context.budget)
}

function compiled(pattern: string): { regex: ReturnType<typeof compileRegex> | null; problem: unknown } {
  try {
    return { regex: compileRegex(pattern, { anchored: true }), problem: null }
  } catch (problem) {
    return { regex: null, problem }
  }
}

/** label_join: dst, separator, source labels. */
export function labelJoin(input: Vector, [dst, separator, ...sources]: readonly string[], context: FunctionContext): Vector {
  for (const source of sources) if (!isUtf8Name(source)) throw executionError(`invalid source label name in label_join(): ${source}`)
  if (!isUtf8Name(dst!)) throw executionError(`invalid destination label name in label_join(): ${dst}`)
  settleNames(input)
  context.budget.tick(input.length * 32)
  const labels = input.labels.map((own) => withLabel(own, dst!, sources.map((source) => labelValue(own, source)).join(separator)))
  const dropNames = dst === '__name__' ? null : input.dropNames
  return mergeDuplicates({ ...input, labels, dropNames, distinctWithoutNames: false }, context.budget)
}

/** sort, sort_desc: floats of an instant vector by value, NaN last. Where there are several steps only the histograms go. */
export function sortByValue(input: Vector, descending: boolean, budget: Budget): Vector {
  const { steps, values, presence } = input
  const rows: number[] = []
  for (let i = 0; i < input.length; i++) if (steps > 1 || presence[i] === floatSample) rows.push(i)
  budget.tick(rows.length * 16)
  if (steps === 1)
    rows.sort((a, b) => {
      const x = values[a]!
      const y = values[b]!
      if (x !== x) return y !== y ? 0 : 1
      if (y !== y) return -1
      return descending ? y - x || 0 : x - y || 0
    })
  const out = takeRows(input, rows, budget)
  if (input.histograms === null) return out
  out.histograms = null
  for (let cell = 0; cell < out.length * steps; cell++) if (out.presence[cell] === histogramSample) out.presence[cell] = absent
  return compactRows(out, budget)
}

/** sort_by_label, sort_by_label_desc: by natural order of label values, then by all labels. */
export function sortByLabel(input: Vector, names: readonly string[], descending: boolean, budget: Budget): Vector {
  if (input.steps !== 1) return input
  settleNames(input)
  budget.tick(input.length * 64)
  const rows = Array.from({ length: input.length }, (_, i) => i)
  rows.sort((a, b) => {
    const sign = descending ? -1 : 1
    for (const name of names) {
      const x = labelValue(input.labels[a]!, name)
      const y = labelValue(input.labels[b]!, name)
      if (x !== y) return comesBefore(x, y) ? -sign : sign
    }
    return sign * compareLabels(input.labels[a]!, input.labels[b]!)
  })
  return takeRows(input, rows, budget)
}

function takeRows(input: Vector, rows: readonly number[], budget: Budget): Vector {
  const { steps } = input
  const out = startVector(steps, rows.length, budget)
  out.namesPending = input.namesPending
  out.distinctWithoutNames = input.distinctWithoutNames
  for (const row of rows) {
    const base = nextRow(out, budget)
    out.values.set(input.values.subarray(row * steps, (row + 1) * steps), base)
    out.presence.set(input.presence.subarray(row * steps, (row + 1) * steps), base)
    pushRow(out, input.labels[row]!, input.histograms === null ? null : input.histograms[row]!, dropsName(input, row))
  }
  return out
}

/** Natural order: runs of digits by number, the rest by text. Source: github.com/facette/natsort Compare. */
export function comesBefore(a: string, b: string): boolean {
  const x = a.match(/\d+|\D+/g) ?? []
  const y = b.match(/\d+|\D+/g) ?? []
  for (let i = 0; i < x.length; i++) {
    if (i >= y.length) return false
    const p = x[i]!
    const q = y[i]!
    const numbers = /^\d/.test(p) && /^\d/.test(q)
    const order = numbers ? compareDigits(p, q) : compareText(p, q)
    if (order !== 0) return order < 0
    if (i === x.length - 1) return true
    if (i === y.length - 1) return false
  }
  return a.length === 0 && b.length > 0
}

function compareDigits(a: string, b: string): number {
  const x = a.replace(/^0+/, '')
  const y = b.replace(/^0+/, '')
  return x.length - y.length || compareText(x, y)
}
