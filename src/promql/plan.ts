// From a syntax tree to a plan: every `@`, offset and duration expression resolved, every node with the times it is evaluated at, parts that
// don't depend on the step evaluated once, equal parts shared, and the work next to the data cut out as leaves.
//
//   sum by (job) (rate(x[5m])) / 2      →  binary ( leaf 0 part 0 , number 2 )
//                                          leaf 0 = selector x, range call rate, aggregates [sum by (job)]
//
// Source of the rules: prometheus promql/engine.go PreprocessExpr, promql/durations.go.
import { PromhiveError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { metricNameLabel, isUtf8Name, quote } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'
import type {
  Aggregate,
  AggregateOp,
  AtModifier,
  Binary,
  Call,
  Expr,
  MatrixSelector,
  Span,
  Subquery,
  ValueType,
  VectorSelector,
} from './ast.ts'
import { executionError } from './budget.ts'
import { documentedType, valueType } from './check.ts'
import type { RangeCall } from './functions/range.ts'
import type { EvaluationFeatures, Grid, Leaf, LeafAggregate, LookbackMode } from './leaf.ts'
import { childrenOf, type Node, type NodeBody, type Plan, type PlannedLeaf, type Spans } from './plan-node.ts'
import { contextFunctions, Durations, InvarianceFinder, stepDependent, withoutParens } from './plan-time.ts'

export type PlanOptions = Readonly<{
  startMs: number
  endMs: number
  /** 0 for an instant query. */
  stepMs: number
  lookbackMs: number
  /** Step of subqueries written without one; may depend on the range. */
  defaultSubqueryStepMs: number | ((rangeMs: number) => number)
  features?: Partial<EvaluationFeatures>
}>

/** A plan can be made for any sound expression; throws PROMQL_PARSE where a duration is not sound or the type does not suit the query. */
export function plan(expr: Expr, options: PlanOptions): Plan {
  const { startMs, endMs, stepMs } = options
  const isInstant = stepMs === 0
  const type = valueType(expr)
  if (!isInstant && type !== 'vector' && type !== 'scalar')
    throw new PromhiveError(
      'PROMQL_PARSE',
      `invalid expression type ${quote(documentedType(type))} for range query, must be Scalar or instant Vector`,
    )
  const grid = gridOf(startMs, isInstant ? startMs : endMs, isInstant ? 1 : stepMs)
  const builder = new PlanBuilder(options)
  const root = builder.build(expr, grid)
  return builder.finish(root, grid, isInstant, type)
}

function gridOf(startMs: number, endMs: number, stepMs: number): Grid {
  const steps = endMs < startMs ? 0 : Math.floor((endMs - startMs) / stepMs) + 1
  if (steps > limits.querySamplesMax)
    throw new PromhiveError('QUERY_LIMIT', 'query processing would load too many samples into memory in query execution')
  return { startMs, stepMs, steps }
}

const foldedOps: ReadonlySet<string> = new Set(['sum', 'avg', 'count', 'group', 'min', 'max'])

const statsFunctions: ReadonlySet<string> = new Set(['histogram_count', 'histogram_sum', 'histogram_avg'])
const bucketFunctions: ReadonlySet<string> = new Set(['histogram_quantile', 'histogram_quantiles', 'histogram_fraction'])

class PlanBuilder {
  readonly #options: PlanOptions
  readonly #features: EvaluationFeatures
  readonly #invariance = new InvarianceFinder()
  readonly #durations: Durations
  readonly #nodes = new Map<string, Node>()
  readonly #leaves: PlannedLeaf[] = []
  readonly #leafOf = new Map<string, number>()
  readonly #stageOfNode = new Map<Node, number>()
  /** Below histogram_count and the like only count and sum matter, unless anything further out needs buckets. */
  #wantsStats = false
  #needsBuckets = 0
  constructor(options: PlanOptions) {
    this.#options = options
    this.#durations = new Durations(options.stepMs, options.stepMs === 0 ? 0 : options.endMs - options.startMs)
    this.#features = {
      delayedNameRemoval: options.features?.delayedNameRemoval ?? false,
      useStartTimestamps: options.features?.useStartTimestamps ?? false,
      typeAndUnitLabels: options.features?.typeAndUnitLabels ?? false,
    }
  }

  finish(root: Node, grid: Grid, isInstant: boolean, type: ValueType): Plan {
    this.#markVectors(root, new Set())
    const stages: number[][] = []
    this.#leaves.forEach(({ stage }, i) => (stages[stage] ??= []).push(i))
    return {
      root,
      leaves: this.#leaves,
      stages: Array.from(stages, (stage) => stage ?? []),
      grid,
      isInstant,
      type,
      features: this.#features,
      nodeCount: this.#nodes.size,
    }
  }

  /** Leaves give their series only where a node reads them. */
  #markVectors(node: Node, seen: Set<Node>): void {
    if (seen.has(node)) return
    seen.add(node)
    if (node.kind === 'leaf') {
      const planned = this.#leaves[node.leaf]!
      if (node.part < 0 && planned.leaf.work.kind !== 'raw') planned.leaf = { ...planned.leaf, wantsVector: true }
      for (const param of planned.params) this.#markVectors(param, seen)
    }
    for (const child of childrenOf(node)) this.#markVectors(child, seen)
  }

  build(expr: Expr, grid: Grid): Node {
    if (expr.kind === 'paren') return this.build(expr.expr, grid)
    if (grid.steps > 1) {
      const { invariant, wrap } = this.#invariance.of(expr)
      if (invariant && wrap) return this.#constant(expr, grid)
    }
    switch (expr.kind) {
      case 'number':
        return this.#number(expr.value, grid)
      case 'string':
        return this.#node(grid, 'string', { kind: 'string', value: expr.value }, JSON.stringify(expr.value))
      case 'selector':
        return this.#lookback(expr, grid, expr.smoothed ? 'smoothed' : 'value')
      case 'matrix':
        return this.#raw(expr, grid)
      case 'subquery':
        return this.#subqueryResult(expr, grid)
      case 'call':
        return this.#call(expr, grid)
      case 'aggregate':
        return this.#aggregate(expr, grid)
      case 'unary': {
        const of = this.build(expr.expr, grid)
        if (expr.op === '+') return of
        return this.#node(grid, of.type, { kind: 'negate', of }, `${of.id}`)
      }
      case 'binary':
        return this.#binary(expr, grid)
    }
  }

  #constant(expr: Expr, grid: Grid): Node {
    const of = this.build(expr, { startMs: grid.startMs, stepMs: grid.stepMs, steps: 1 })
    return this.#node(grid, of.type, { kind: 'constant', of }, `${of.id}`)
  }

  /** Nodes with equal content are one. */
  #node(grid: Grid, type: ValueType, body: NodeBody, key: string): Node {
    const whole = `${body.kind} ${grid.startMs} ${grid.stepMs} ${grid.steps} ${key}`
    const known = this.#nodes.get(whole)
    if (known !== undefined) {
      if ('spans' in known && 'spans' in body) known.spans.list = body.spans.list
      return known
    }
    const node: Node = { ...body, id: this.#nodes.size, grid, type }
    this.#nodes.set(whole, node)
    let stage = body.kind === 'leaf' ? this.#leaves[body.leaf]!.stage + 1 : 0
    for (const child of childrenOf(node)) stage = Math.max(stage, this.#stageOfNode.get(child)!)
    this.#stageOfNode.set(node, stage)
    return node
  }

  #number(value: number, grid: Grid): Node {
    return this.#node(grid, 'scalar', { kind: 'number', value }, Object.is(value, -0) ? '-0' : `${value}`)
  }

  // ── selectors ──

  #lookback(expr: VectorSelector, grid: Grid, mode: LookbackMode): Node {
    const { lookbackMs } = this.#options
    const look = this.#lookOf(expr, grid)
    return this.#leafNode('vector', [], {
      ...this.#leafBase(expr, grid, look),
      startMs: look.firstMs - lookbackMs + 1,
      endMs: look.lastMs + (mode === 'smoothed' ? lookbackMs : 0),
      work: { kind: 'lookback', mode },
    })
  }

  #raw(expr: MatrixSelector, grid: Grid): Node {
    const { selector } = expr
    const rangeMs = this.#durations.ms(expr.range, false)
    const look = this.#lookOf(selector, grid)
    const reach = selector.anchored || selector.smoothed ? this.#options.lookbackMs : 0
    return this.#leafNode('matrix', [], {
      ...this.#leafBase(selector, grid, look),
      startMs: look.firstMs - rangeMs - reach + 1,
      endMs: look.lastMs + (selector.smoothed ? reach : 0),
      work: { kind: 'raw', rangeMs, anchored: selector.anchored, smoothed: selector.smoothed },
    })
  }

  #leafBase(expr: VectorSelector, grid: Grid, look: Look): Omit<Leaf, 'startMs' | 'endMs' | 'work'> {
    return {
      matchers: expr.matchers,
      grid,
      shiftMs: look.shiftMs,
      fixedMs: look.fixedMs,
      lookbackMs: this.#options.lookbackMs,
      wantsVector: false,
      aggregates: [],
      statsOnly: this.#wantsStats && this.#needsBuckets === 0,
      features: this.#features,
      sameName: expr.matchers.some((m) => m.name === metricNameLabel && m.kind === '=' && m.value !== ''),
      span: expr.span,
    }
  }

  #lookOf(expr: VectorSelector, grid: Grid): Look {
    const offset = expr.offset === null ? 0 : this.#durations.ms(expr.offset, true)
    return this.#look(expr.at, offset, grid)
  }

  #look(at: AtModifier | null, offset: number, grid: Grid): Look {
    if (at !== null) {
      const fixed = this.#atTime(at) - offset
      return { shiftMs: 0, fixedMs: fixed, firstMs: fixed, lastMs: fixed }
    }
    const firstMs = grid.startMs - offset
    return { shiftMs: offset, fixedMs: null, firstMs, lastMs: firstMs + Math.max(0, grid.steps - 1) * grid.stepMs }
  }

  #atTime(at: AtModifier): number {
    return at.kind === 'time' ? at.timeMs : at.kind === 'start' ? this.#options.startMs : this.#queryEnd()
  }

  #queryEnd(): number {
    return this.#options.stepMs === 0 ? this.#options.startMs : this.#options.endMs
  }

  #leafNode(type: ValueType, params: readonly Node[], leaf: Leaf): Node {
    const key = leafKey(leaf, params)
    let index = this.#leafOf.get(key)
    if (index === undefined) {
      let stage = 0
      for (const param of params) stage = Math.max(stage, this.#stageOfNode.get(param)!)
      index = this.#leaves.push({ leaf, params, stage }) - 1
      this.#leafOf.set(key, index)
    } else {
      const planned = this.#leaves[index]!
      planned.leaf = { ...planned.leaf, span: leaf.span, work: leaf.work } // the last position counts
    }
    return this.#node(leaf.grid, type, { kind: 'leaf', leaf: index, part: -1 }, `${index} -1`)
  }

  // ── calls ──

  #call(expr: Call, grid: Grid): Node {
    const { func } = expr
    const args = expr.args.map(withoutParens)
    if (contextFunctions.has(func)) return this.#number(this.#contextValue(func), grid)
    if (func === 'time') return this.#node(grid, 'scalar', { kind: 'time' }, '')
    const first = args[0]
    if ((func === 'timestamp' || func === 'start_timestamp') && first !== undefined && first.kind === 'selector') {
      if (func === 'start_timestamp' && !this.#features.useStartTimestamps) return this.#plainCall(expr, args, grid)
      return this.#checked(this.#lookback(first, grid, func === 'timestamp' ? 'time' : 'startTime'), 'merged')
    }
    const rangeAt = args.findIndex((arg) => arg.kind === 'matrix' || arg.kind === 'subquery')
    const wantedStats = this.#wantsStats
    const needsBuckets = bucketFunctions.has(func) ? 1 : 0
    if (statsFunctions.has(func)) this.#wantsStats = true
    this.#needsBuckets += needsBuckets
    const node = rangeAt < 0 ? this.#plainCall(expr, args, grid) : this.#rangeCall(expr, args, rangeAt, grid)
    this.#needsBuckets -= needsBuckets
    this.#wantsStats = wantedStats
    return node
  }

  #contextValue(func: string): number {
    const { startMs } = this.#options
    const endMs = this.#queryEnd()
    if (func === 'start') return startMs / 1000
    if (func === 'end') return endMs / 1000
    if (func === 'range') return (endMs - startMs) / 1000
    return startMs === endMs ? 0 : this.#options.stepMs / 1000
  }

  #plainCall(expr: Call, args: readonly Expr[], grid: Grid): Node {
    const { func } = expr
    const strings = args.flatMap((arg) => (arg.kind === 'string' ? [arg.value] : []))
    let matchers: readonly Matcher[] = []
    let nodes: Node[]
    if (func === 'info') {
      const labels = args[1]
      const data = labels === undefined || labels.kind !== 'selector' ? null : labels.matchers
      matchers = data ?? [{ name: metricNameLabel, kind: '=', value: 'target_info' }]
      nodes = [this.build(args[0]!, grid), this.#infoSeries(args[0]!, matchers, expr.span, grid)]
      if (data === null) matchers = []
    } else {
      if (func === 'absent' && args[0]!.kind === 'selector') matchers = args[0].matchers
      nodes = args.filter((arg) => arg.kind !== 'string').map((arg) => this.build(arg, grid))
      if (nodes.length === 0 && stepDependent.has(func)) nodes = [this.#node(grid, 'scalar', { kind: 'time' }, '')]
    }
    const spans = { list: [expr.span, ...args.map((arg) => arg.span)] }
    const key = JSON.stringify([func, nodes.map((node) => node.id), strings, matchers])
    return this.#node(grid, valueType(expr), { kind: 'call', func, args: nodes, strings, matchers, spans }, key)
  }

  /**
   * Results that may have lost what tells series apart are looked at once, by a call node of their own: `distinct` refuses equal series,
   * `merged` makes them one where they are never there together.
   */
  #checked(node: Node, func: 'distinct' | 'merged'): Node {
    return this.#node(
      node.grid,
      'vector',
      { kind: 'call', func, args: [node], strings: [], matchers: [], spans: { list: [] } },
      `${func} ${node.id}`,
    )
  }

  #rangeCall(expr: Call, args: readonly Expr[], rangeAt: number, grid: Grid): Node {
    const { func } = expr
    const range = args[rangeAt] as MatrixSelector | Subquery
    const others = args.filter((_, i) => i !== rangeAt)
    const params = others.map((arg) => this.build(arg, grid))
    const call: Omit<RangeCall, 'rangeMs' | 'params'> = {
      func,
      anchored: range.kind === 'matrix' && range.selector.anchored,
      smoothed: range.kind === 'matrix' && range.selector.smoothed,
      lookbackMs: this.#options.lookbackMs,
      span: range.span,
      firstArgSpan: args[0]!.span,
    }
    const node = range.kind === 'matrix' ? this.#selectorCall(call, range, params, grid) : this.#subqueryCall(call, range, params, grid)
    if (func !== 'absent_over_time') return this.#checked(node, 'distinct')
    const matchers = range.kind === 'matrix' ? range.selector.matchers : []
    return this.#node(
      grid,
      'vector',
      { kind: 'call', func, args: [node], strings: [], matchers, spans: { list: [expr.span, range.span] } },
      `${func} ${node.id}`,
    )
  }

  #selectorCall(call: Omit<RangeCall, 'rangeMs' | 'params'>, range: MatrixSelector, params: readonly Node[], grid: Grid): Node {
    const rangeMs = this.#durations.ms(range.range, false)
    const { selector } = range
    const look = this.#lookOf(selector, grid)
    const back = selector.anchored || selector.smoothed ? this.#options.lookbackMs : 0
    return this.#leafNode('vector', params, {
      ...this.#leafBase(selector, grid, look),
      startMs: look.firstMs - rangeMs - back + 1,
      endMs: look.lastMs + (selector.smoothed ? back : 0),
      work: { kind: 'range', call: { ...call, rangeMs, params: [] } },
    })
  }

  #subqueryCall(call: Omit<RangeCall, 'rangeMs' | 'params'>, range: Subquery, params: readonly Node[], grid: Grid): Node {
    const { of, rangeMs, look, offsetMs } = this.#subquery(range, grid)
    const stepMs = look.fixedMs === null ? grid.stepMs : 0
    const spans = { list: [call.span] }
    return this.#node(
      grid,
      'vector',
      { kind: 'subqueryCall', call: { ...call, rangeMs, params: [] }, params, of, firstEndMs: look.firstMs, stepMs, offsetMs, spans },
      JSON.stringify([call.func, rangeMs, of.id, params.map((param) => param.id), look.firstMs, stepMs]),
    )
  }

  #subquery(expr: Subquery, grid: Grid): { of: Node; rangeMs: number; look: Look; offsetMs: number } {
    const rangeMs = this.#durations.ms(expr.range, false)
    const offsetMs = expr.offset === null ? 0 : this.#durations.ms(expr.offset, true)
    const written = expr.step === null ? 0 : this.#durations.ms(expr.step, false)
    const { defaultSubqueryStepMs } = this.#options
    const fallback = typeof defaultSubqueryStepMs === 'number' ? defaultSubqueryStepMs : defaultSubqueryStepMs(rangeMs)
    const stepMs = written > 0 ? written : Math.max(1, fallback)
    const look = this.#look(expr.at, offsetMs, grid)
    // steps are multiples of the step, the first one within the left-open range
    const low = look.firstMs - rangeMs
    let startMs = stepMs * Math.trunc(low / stepMs) + 0
    if (startMs <= low) startMs += stepMs
    const inner = gridOf(startMs, grid.steps === 0 ? startMs - 1 : look.lastMs, stepMs)
    this.#needsBuckets++ // resets are found among all samples, not only those the subquery gives
    const invariant = inner.steps > 1 && this.#invariance.of(expr.expr).invariant
    const of = invariant ? this.#constant(withoutParens(expr.expr), inner) : this.build(expr.expr, inner)
    this.#needsBuckets--
    return { of, rangeMs, look, offsetMs }
  }

  #subqueryResult(expr: Subquery, grid: Grid): Node {
    const { of } = this.#subquery(expr, grid)
    return this.#node(grid, 'matrix', { kind: 'subquery', of }, `${of.id}`)
  }

  /** info(): the info series, with the time of their sample as value. They are looked up where the first argument's selector looks. */
  #infoSeries(expr: Expr, matchers: readonly Matcher[], span: Span, grid: Grid): Node {
    const names = matchers.filter((m) => m.name === metricNameLabel)
    const positive = names.some((m) => m.kind === '=' || m.kind === '=~')
    const all: Matcher[] = matchers.filter((m) => m.name !== metricNameLabel)
    if (names.length === 0) all.push({ name: metricNameLabel, kind: '=', value: 'target_info' })
    else {
      if (!positive) all.push({ name: metricNameLabel, kind: '=~', value: '.+_info' })
      all.push(...names)
    }
    const place = this.#firstSelector(expr, [])
    const look = this.#look(place.at, place.offsetMs, grid)
    return this.#leafNode('vector', [], {
      matchers: all,
      grid,
      shiftMs: look.shiftMs,
      fixedMs: look.fixedMs,
      lookbackMs: this.#options.lookbackMs,
      wantsVector: false,
      aggregates: [],
      statsOnly: false,
      features: this.#features,
      sameName: false,
      span,
      startMs: look.firstMs - this.#options.lookbackMs + 1,
      endMs: look.lastMs,
      work: { kind: 'lookback', mode: 'info' },
    })
  }

  /** Where the first selector of an expression looks, subqueries around it taken into account. */
  #firstSelector(expr: Expr, around: readonly Subquery[]): { found: boolean; at: AtModifier | null; offsetMs: number } {
    if (expr.kind === 'selector') {
      let at = expr.at
      let offsetMs = expr.offset === null ? 0 : this.#durations.ms(expr.offset, true)
      for (let i = around.length - 1; at === null && i >= 0; i--) {
        offsetMs += around[i]!.offset === null ? 0 : this.#durations.ms(around[i]!.offset!, true)
        at = around[i]!.at
      }
      return { found: true, at, offsetMs }
    }
    for (const child of subExpressions(expr)) {
      const found = this.#firstSelector(child, expr.kind === 'subquery' ? [...around, expr] : around)
      if (found.found) return found
    }
    return { found: false, at: null, offsetMs: 0 }
  }

  // ── operators ──

  #aggregate(expr: Aggregate, grid: Grid): Node {
    const { op, without } = expr
    const inner = withoutParens(expr.expr)
    const grouping = [...expr.grouping].sort()
    let label = ''
    let param: Node | null = null
    if (expr.param !== null) {
      const written = withoutParens(expr.param)
      if (written.kind === 'string') {
        label = written.value
        if (!isUtf8Name(label)) throw executionError(`invalid label name ${quote(label)}`)
      } else param = this.build(written, grid)
    }
    const of = this.build(inner, grid)
    const spans = { list: [expr.span, inner.span, param === null ? expr.span : withoutParens(expr.param!).span] }
    const folded = this.#foldAggregate(expr, op, grouping, param, of, spans)
    if (folded !== null) return folded
    return this.#node(
      grid,
      'vector',
      { kind: 'aggregate', op, of, param, label, grouping, without, spans },
      JSON.stringify([op, of.id, param === null ? -1 : param.id, label, grouping, without]),
    )
  }

  /** Aggregations that decompose are done by the leaf they aggregate. */
  #foldAggregate(expr: Aggregate, op: AggregateOp, grouping: readonly string[], param: Node | null, of: Node, spans: Spans): Node | null {
    let source = of
    if (source.kind === 'call' && (source.func === 'distinct' || source.func === 'merged')) source = source.args[0]!
    if (source.kind !== 'leaf' || source.part >= 0) return null
    const planned = this.#leaves[source.leaf]!
    const { leaf } = planned
    if (leaf.work.kind === 'raw') return null
    const dropsNames = leaf.work.kind === 'range' || leaf.work.mode === 'time' || leaf.work.mode === 'startTime'
    // series that may turn out equal without their names have to be looked at first
    if (dropsNames && !leaf.sameName && !this.#features.delayedNameRemoval) return null
    let k = 0
    if (op === 'topk' || op === 'bottomk') {
      if (param === null || param.kind !== 'number' || !(param.value >= 1 && param.value < 2 ** 31)) return null
      k = param.value
    } else if (!foldedOps.has(op)) return null
    // pending names count as absent, but topk and bottomk keep the labels
    if (grouping.some((name) => name === '__name__' || name === '__type__' || name === '__unit__')) return null
    const aggregate: LeafAggregate = {
      op: op as LeafAggregate['op'],
      grouping,
      without: expr.without,
      k,
      exprSpan: spans.list[1]!,
      span: spans.list[0]!,
    }
    const same = leaf.aggregates.findIndex(
      (known) =>
        known.op === op && known.k === k && known.without === expr.without && known.grouping.join('\xff') === grouping.join('\xff'),
    )
    const part = same >= 0 ? same : leaf.aggregates.length
    const aggregates = [...leaf.aggregates]
    aggregates[part] = aggregate
    planned.leaf = { ...leaf, aggregates }
    return this.#node(of.grid, 'vector', { kind: 'leaf', leaf: source.leaf, part }, `${source.leaf} ${part}`)
  }

  #binary(expr: Binary, grid: Grid): Node {
    const trims = expr.op === '</' || expr.op === '>/' ? 1 : 0
    this.#needsBuckets += trims
    const left = this.build(expr.left, grid)
    const right = this.build(expr.right, grid)
    this.#needsBuckets -= trims
    const { op, returnBool, matching } = expr
    return this.#node(
      grid,
      valueType(expr),
      { kind: 'binary', op, left, right, returnBool, matching, spans: { list: [expr.span] } },
      JSON.stringify([op, left.id, right.id, returnBool, matching], nonFinite),
    )
  }
}

type Look = Readonly<{ shiftMs: number; fixedMs: number | null; firstMs: number; lastMs: number }>

function subExpressions(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'matrix':
      return [expr.selector]
    case 'subquery':
    case 'unary':
    case 'paren':
      return [expr.expr]
    case 'call':
      return expr.args
    case 'aggregate':
      return expr.param === null ? [expr.expr] : [expr.expr, expr.param]
    case 'binary':
      return [expr.left, expr.right]
    default:
      return []
  }
}

/** The same where leaves do the same: positions don't make them different. */
function leafKey({ matchers, grid, startMs, endMs, shiftMs, fixedMs, lookbackMs, statsOnly, work }: Leaf, params: readonly Node[]): string {
  let key = `${grid.startMs} ${grid.stepMs} ${grid.steps} ${startMs} ${endMs} ${shiftMs} ${fixedMs} ${lookbackMs} ${statsOnly} ${work.kind}`
  if (work.kind === 'lookback') key += ` ${work.mode}`
  else {
    const { rangeMs, anchored, smoothed } = work.kind === 'range' ? work.call : work
    key += ` ${rangeMs} ${anchored} ${smoothed}`
    if (work.kind === 'range') key += ` ${work.call.func} ${work.call.lookbackMs}`
  }
  for (const param of params) key += ` ${param.id}`
  for (const { name, kind, value } of matchers) key += ` ${name.length} ${name}${kind}${value.length} ${value}`
  return key
}

/** JSON has no NaN and infinities; fill values and numbers do. */
function nonFinite(_name: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}
