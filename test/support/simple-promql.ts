// A second, deliberately simple PromQL: every step by itself, every sample an object, nothing shared with the engine but the parser.
// It is slow and short, so that it can be seen to be right; the differential test compares the engine with it. Floats only: test/unit/promql/differential.test.ts says why.

import type {
  Aggregate,
  AtModifier,
  Binary,
  Call,
  DurationExpr,
  Expr,
  MatrixSelector,
  Subquery,
  VectorSelector,
} from '../../src/promql/ast.ts'
import { aggregateOver, labelJoin, labelReplace, overTime, plainFunctions, quantileOf } from './simple-promql-functions.ts'

export type SimpleSample = Readonly<{ timeMs: number; value: number; stale?: boolean }>
export type SimpleSeries = Readonly<{ labels: Readonly<Record<string, string>>; samples: readonly SimpleSample[] }>
export type SimpleQuery = Readonly<{
  startMs: number
  endMs: number
  /** 0: an instant query at startMs. */
  stepMs: number
  lookbackMs: number
  subqueryStepMs: number
}>

export type Element = Readonly<{ labels: Readonly<Record<string, string>>; value: number; timeMs?: number }>
export type Window = Readonly<{ labels: Readonly<Record<string, string>>; samples: readonly SimpleSample[]; fromMs: number; toMs: number }>
export type Value =
  | Readonly<{ kind: 'scalar'; value: number }>
  | Readonly<{ kind: 'string'; value: string }>
  | Readonly<{ kind: 'vector'; elements: readonly Element[] }>
  | Readonly<{ kind: 'matrix'; windows: readonly Window[] }>

/** What a query fails with. */
export class SimpleError extends Error {}

/** Series by their labels as JSON with sorted names; each with `[time, value]` pairs in order. */
export type SimpleResult = Map<string, [timeMs: number, value: number][]>

export function labelKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1))) // prettier-ignore
}

/** @throws SimpleError where the query fails. */
export function evaluateSimply(data: readonly SimpleSeries[], expr: Expr, query: SimpleQuery): SimpleResult {
  const result: SimpleResult = new Map()
  const put = (labels: Readonly<Record<string, string>>, timeMs: number, value: number): void => {
    const key = labelKey(labels)
    if (!result.has(key)) result.set(key, [])
    result.get(key)!.push([timeMs, value])
  }
  const last = query.stepMs === 0 ? query.startMs : query.endMs
  for (let timeMs = query.startMs; timeMs <= last; timeMs += query.stepMs || 1) {
    const value = new Step(data, query, timeMs).evaluate(expr)
    if (value.kind === 'scalar') put({}, timeMs, value.value)
    else if (value.kind === 'vector') for (const element of value.elements) put(element.labels, timeMs, element.value)
    else if (value.kind === 'matrix') {
      for (const { labels, samples } of value.windows) for (const sample of samples) put(labels, sample.timeMs, sample.value)
    }
  }
  return result
}

const comparisons = new Set(['==', '!=', '<', '<=', '>', '>='])

class Step {
  readonly data: readonly SimpleSeries[]
  readonly query: SimpleQuery
  readonly timeMs: number
  constructor(data: readonly SimpleSeries[], query: SimpleQuery, timeMs: number) {
    this.data = data
    this.query = query
    this.timeMs = timeMs
  }

  evaluate(expr: Expr): Value {
    switch (expr.kind) {
      case 'number':
        return { kind: 'scalar', value: expr.value }
      case 'string':
        return { kind: 'string', value: expr.value }
      case 'paren':
        return this.evaluate(expr.expr)
      case 'selector':
        return { kind: 'vector', elements: this.select(expr) }
      case 'matrix':
        return { kind: 'matrix', windows: this.range(expr) }
      case 'subquery':
        return { kind: 'matrix', windows: this.subquery(expr) }
      case 'unary': {
        const value = this.evaluate(expr.expr)
        if (expr.op === '+') return value
        if (value.kind === 'scalar') return { kind: 'scalar', value: -value.value }
        return unique(vectorOf(value).map(({ labels, value: v }) => ({ labels: withoutName(labels), value: -v })))
      }
      case 'binary':
        return this.binary(expr)
      case 'aggregate':
        return this.aggregate(expr)
      case 'call':
        return this.call(expr)
    }
  }

  /** The time a selector looks at: `@` or the step's own, minus the offset. */
  reference(at: AtModifier | null, offset: DurationExpr | null): number {
    const base = at === null ? this.timeMs : at.kind === 'time' ? at.timeMs : at.kind === 'start' ? this.query.startMs : this.last()
    return base - constantMs(offset)
  }

  last(): number {
    return this.query.stepMs === 0 ? this.query.startMs : this.query.endMs
  }

  matching({ matchers }: VectorSelector): SimpleSeries[] {
    return this.data.filter(({ labels }) =>
      matchers.every(({ name, kind, value }) => {
        const got = labels[name] ?? ''
        if (kind === '=' || kind === '!=') return (got === value) === (kind === '=')
        return new RegExp(`^(?:${value})$`, 's').test(got) === (kind === '=~')
      }),
    )
  }

  select(selector: VectorSelector): Element[] {
    const reference = this.reference(selector.at, selector.offset)
    return this.matching(selector).flatMap(({ labels, samples }) => {
      const seen = samples.filter(({ timeMs }) => timeMs > reference - this.query.lookbackMs && timeMs <= reference)
      const sample = seen.at(-1)
      return sample === undefined || sample.stale === true ? [] : [{ labels, value: sample.value, timeMs: sample.timeMs }]
    })
  }

  range({ selector, range }: MatrixSelector): Window[] {
    const toMs = this.reference(selector.at, selector.offset)
    const fromMs = toMs - constantMs(range)
    return this.matching(selector).flatMap(({ labels, samples }) => {
      const seen = samples.filter(({ timeMs, stale }) => timeMs > fromMs && timeMs <= toMs && stale !== true)
      return seen.length === 0 ? [] : [{ labels, samples: seen, fromMs, toMs }]
    })
  }

  /** The inner expression at absolute multiples of the step within (from, to]. */
  subquery({ expr, range, step, at, offset }: Subquery): Window[] {
    const toMs = this.reference(at, offset)
    const fromMs = toMs - constantMs(range)
    const stepMs = step === null ? this.query.subqueryStepMs : constantMs(step)
    const found = new Map<string, { labels: Readonly<Record<string, string>>; samples: SimpleSample[] }>()
    for (let timeMs = (Math.floor(fromMs / stepMs) + 1) * stepMs; timeMs <= toMs; timeMs += stepMs) {
      for (const { labels, value } of vectorOf(new Step(this.data, this.query, timeMs).evaluate(expr))) {
        const key = labelKey(labels)
        if (!found.has(key)) found.set(key, { labels, samples: [] })
        found.get(key)!.samples.push({ timeMs, value })
      }
    }
    return Array.from(found.values(), ({ labels, samples }) => ({ labels, samples, fromMs, toMs }))
  }

  scalarOf(expr: Expr): number {
    const value = this.evaluate(expr)
    if (value.kind !== 'scalar') throw new Error(`a scalar was expected, got ${value.kind}`)
    return value.value
  }

  call({ func, args }: Call): Value {
    const vector = (i: number): readonly Element[] => vectorOf(this.evaluate(args[i]!))
    const text = (i: number): string => {
      const value = this.evaluate(args[i]!)
      return value.kind === 'string' ? value.value : ''
    }
    const times = (): Element[] => (args.length === 0 ? [{ labels: {}, value: this.timeMs / 1000 }] : [...vector(0)])
    switch (func) {
      case 'time':
        return { kind: 'scalar', value: this.timeMs / 1000 }
      case 'pi':
        return { kind: 'scalar', value: Math.PI }
      case 'vector':
        return { kind: 'vector', elements: [{ labels: {}, value: this.scalarOf(args[0]!) }] }
      case 'scalar': {
        const elements = vector(0)
        return { kind: 'scalar', value: elements.length === 1 ? elements[0]!.value : NaN }
      }
      case 'sort':
      case 'sort_desc':
        return { kind: 'vector', elements: vector(0) }
      case 'timestamp': {
        let inner = args[0]!
        while (inner.kind === 'paren') inner = inner.expr
        const elements = inner.kind === 'selector' ? this.select(inner) : vector(0)
        return unique(elements.map(({ labels, timeMs }) => ({ labels: withoutName(labels), value: (timeMs !== undefined && inner.kind === 'selector' ? timeMs : this.timeMs) / 1000 }))) // prettier-ignore
      }
      case 'absent':
        return { kind: 'vector', elements: vector(0).length > 0 ? [] : [{ labels: absentLabels(args[0]!), value: 1 }] }
      case 'absent_over_time': {
        const value = this.evaluate(args[0]!)
        const isEmpty = value.kind === 'matrix' && value.windows.length === 0
        return { kind: 'vector', elements: isEmpty ? [{ labels: absentLabels(args[0]!), value: 1 }] : [] }
      }
      case 'clamp':
      case 'clamp_min':
      case 'clamp_max': {
        const low = func === 'clamp_max' ? -Infinity : this.scalarOf(args[1]!)
        const high = func === 'clamp_min' ? Infinity : this.scalarOf(args[func === 'clamp' ? 2 : 1]!)
        if (high < low) return { kind: 'vector', elements: [] }
        return unique(vector(0).map(({ labels, value }) => ({ labels: withoutName(labels), value: Math.max(low, Math.min(high, value)) })))
      }
      case 'round': {
        const inverse = 1 / (args.length > 1 ? this.scalarOf(args[1]!) : 1)
        return unique(vector(0).map(({ labels, value }) => ({ labels: withoutName(labels), value: Math.floor(value * inverse + 0.5) / inverse }))) // prettier-ignore
      }
      case 'label_replace':
        return unique(vector(0).map((element) => labelReplace(element, text(1), text(2), text(3), text(4))))
      case 'label_join':
        return unique(vector(0).map((element) => labelJoin(element, text(1), text(2), args.slice(3).map((_, i) => text(i + 3))))) // prettier-ignore
      default:
        break
    }
    const plain = plainFunctions[func]
    if (plain !== undefined) return unique(times().map(({ labels, value }) => ({ labels: withoutName(labels), value: plain(value) })))
    return this.windowCall(func, args)
  }

  /** Functions of ranges: one window in, one value out, or none. */
  windowCall(func: string, args: readonly Expr[]): Value {
    const at = func === 'quantile_over_time' ? 1 : 0
    const matrix = this.evaluate(args[at]!)
    if (matrix.kind !== 'matrix') throw new Error(`${func} is not known here`)
    const params = args.filter((_, i) => i !== at).map((param) => this.scalarOf(param))
    const elements = matrix.windows.flatMap((window) => {
      const value = overTime(func, window, params, this.timeMs)
      const labels = func === 'last_over_time' || func === 'first_over_time' ? window.labels : withoutName(window.labels)
      return value === null ? [] : [{ labels, value }]
    })
    return unique(elements)
  }

  aggregate({ op, expr, param, grouping, without }: Aggregate): Value {
    const groups = new Map<string, { labels: Record<string, string>; elements: Element[] }>()
    for (const element of vectorOf(this.evaluate(expr))) {
      const entries = Object.entries(element.labels).filter(([name]) =>
        without ? name !== '__name__' && !grouping.includes(name) : grouping.includes(name),
      )
      const labels = Object.fromEntries(entries)
      const key = labelKey(labels)
      if (!groups.has(key)) groups.set(key, { labels, elements: [] })
      groups.get(key)!.elements.push(element)
    }
    const all = [...groups.values()]
    if (op === 'topk' || op === 'bottomk') {
      const count = Math.trunc(this.scalarOf(param!))
      const sign = op === 'topk' ? -1 : 1
      // NaN is the last choice of both
      const rank = (a: Element, b: Element): number => (a.value !== a.value ? 1 : b.value !== b.value ? -1 : sign * (a.value - b.value))
      return { kind: 'vector', elements: count < 1 ? [] : all.flatMap(({ elements }) => elements.toSorted(rank).slice(0, count)) }
    }
    if (op === 'count_values') {
      const label = this.evaluate(param!)
      const counts = new Map<string, { labels: Record<string, string>; value: number }>()
      for (const { labels, elements } of all) {
        for (const { value } of elements) {
          const made = { ...labels, [label.kind === 'string' ? label.value : '']: formatValue(value) }
          const counted = counts.get(labelKey(made)) ?? { labels: made, value: 0 }
          counted.value++
          counts.set(labelKey(made), counted)
        }
      }
      return { kind: 'vector', elements: [...counts.values()] }
    }
    const phi = op === 'quantile' ? this.scalarOf(param!) : 0
    return {
      kind: 'vector',
      elements: all.map(({ labels, elements }) => {
        const values = elements.map(({ value }) => value)
        return { labels, value: op === 'quantile' ? quantileOf(phi, values) : aggregateOver(op, values) }
      }),
    }
  }

  binary(expr: Binary): Value {
    const left = this.evaluate(expr.left)
    const right = this.evaluate(expr.right)
    if (left.kind === 'scalar' && right.kind === 'scalar') return { kind: 'scalar', value: operate(expr.op, left.value, right.value) }
    if (left.kind === 'scalar' || right.kind === 'scalar') return vectorWithScalar(expr, left, right)
    return vectorWithVector(expr, vectorOf(left), vectorOf(right))
  }
}

function vectorOf(value: Value): readonly Element[] {
  if (value.kind !== 'vector') throw new Error(`a vector was expected, got ${value.kind}`)
  return value.elements
}

function withoutName(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name !== '__name__'))
}

function unique(elements: readonly Element[]): Value {
  if (new Set(elements.map(({ labels }) => labelKey(labels))).size < elements.length) {
    throw new SimpleError('vector cannot contain metrics with the same labelset')
  }
  return { kind: 'vector', elements }
}

function constantMs(duration: DurationExpr | null): number {
  if (duration === null) return 0
  if (duration.kind !== 'constant') throw new Error('only constant durations here')
  return duration.ms
}

function absentLabels(expr: Expr): Record<string, string> {
  const selector = expr.kind === 'matrix' ? expr.selector : expr
  if (selector.kind !== 'selector') return {}
  const labels: Record<string, string> = {}
  const seen = new Set<string>()
  for (const { name, kind, value } of selector.matchers) {
    if (name === '__name__') continue
    if (kind === '=' && !seen.has(name)) labels[name] = value
    else delete labels[name]
    if (kind === '=') seen.add(name)
  }
  return labels
}

function formatValue(value: number): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value)
}

function operate(op: Binary['op'], left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return left / right
    case '%':
      return left % right
    case '^':
      return left === 1 || (left === -1 && Math.abs(right) === Infinity) ? 1 : left ** right
    case 'atan2':
      return Math.atan2(left, right)
    default:
      return compare(op, left, right) ? 1 : 0
  }
}

function compare(op: Binary['op'], left: number, right: number): boolean {
  switch (op) {
    case '==':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '<=':
      return left <= right
    case '>':
      return left > right
    default:
      return left >= right
  }
}

function vectorWithScalar({ op, returnBool }: Binary, left: Value, right: Value): Value {
  const elements = vectorOf(left.kind === 'scalar' ? right : left)
  const out: Element[] = []
  for (const { labels, value } of elements) {
    const [l, r] = left.kind === 'scalar' ? [left.value, value] : [value, (right as { value: number }).value]
    if (!comparisons.has(op)) out.push({ labels: withoutName(labels), value: operate(op, l, r) })
    else if (returnBool) out.push({ labels: withoutName(labels), value: compare(op, l, r) ? 1 : 0 })
    else if (compare(op, l, r)) out.push({ labels, value })
  }
  return unique(out)
}

function vectorWithVector({ op, returnBool, matching }: Binary, left: readonly Element[], right: readonly Element[]): Value {
  const { cardinality, labels: names, on, include, fillLeft, fillRight } = matching!
  const matched = (labels: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(labels).filter(([name]) => (on ? names.includes(name) : name !== '__name__' && !names.includes(name))),
    )
  const signature = ({ labels }: Element): string => labelKey(matched(labels))
  if (op === 'and' || op === 'unless') {
    const there = new Set(right.map(signature))
    return unique(left.filter((element) => there.has(signature(element)) === (op === 'and')))
  }
  if (op === 'or') {
    const there = new Set(left.map(signature))
    return unique([...left, ...right.filter((element) => !there.has(signature(element)))])
  }
  if (fillLeft === null && fillRight === null && (left.length === 0 || right.length === 0)) return { kind: 'vector', elements: [] }
  const swapped = cardinality === 'one-to-many'
  const [many, one] = swapped ? [right, left] : [left, right]
  const [fillMany, fillOne] = swapped ? [fillLeft, fillRight] : [fillLeft, fillRight]
  const ones = new Map<string, Element>()
  for (const element of one) {
    if (ones.has(signature(element))) throw new SimpleError('found duplicate series for the match group')
    ones.set(signature(element), element)
  }
  const out: Element[] = []
  const done = new Map<string, Set<string>>()
  const combine = (manySide: Element, oneSide: Element, key: string): void => {
    const [l, r] = swapped ? [oneSide.value, manySide.value] : [manySide.value, oneSide.value]
    const isComparison = comparisons.has(op)
    let labels = returnBool || !isComparison ? withoutName(manySide.labels) : { ...manySide.labels }
    if (cardinality === 'one-to-one') {
      labels = Object.fromEntries(Object.entries(labels).filter(([name]) => names.includes(name) === on))
    }
    for (const name of include) {
      const value = oneSide.labels[name] ?? ''
      if (value === '') delete labels[name]
      else labels[name] = value
    }
    const made = done.get(key)
    if (made !== undefined && (cardinality === 'one-to-one' || made.has(labelKey(labels))))
      throw new SimpleError('multiple matches for labels')
    done.set(key, (made ?? new Set()).add(labelKey(labels)))
    if (!isComparison) out.push({ labels, value: operate(op, l, r) })
    else if (returnBool) out.push({ labels, value: compare(op, l, r) ? 1 : 0 })
    else if (compare(op, l, r)) out.push({ labels, value: l })
  }
  for (const element of many) {
    const key = signature(element)
    const partner = ones.get(key) ?? (fillOne === null ? null : { labels: matched(element.labels), value: fillOne })
    if (partner !== null) combine(element, partner, key)
  }
  if (fillMany !== null) {
    for (const element of one) {
      const key = signature(element)
      if (!done.has(key)) combine({ labels: matched(element.labels), value: fillMany }, element, key)
    }
  }
  return unique(out)
}
