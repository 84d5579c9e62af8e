// The part of a plan that does not lie next to the data: merging what leaves gave, functions, operators, aggregations that don't decompose.
// A node is evaluated once for all its steps; its value is dropped as soon as nobody needs it any more.
import { multiply } from '../model/histogram-arithmetic.ts'
import { orderOf } from '../model/label-order.ts'
import { compareLabels } from '../model/labels.ts'
import { SampleColumns } from '../model/samples.ts'
import { nativeVariance } from './functions/quantile.ts'
import { Accumulator, aggregateVector, Grouping, type AccumulatedOp, type PartialAggregate } from './aggregation.ts'
import { Annotations } from './annotations.ts'
import type { AggregateOp } from './ast.ts'
import { executionError, type Budget } from './budget.ts'
import { histogramFraction, histogramQuantile, histogramQuantiles } from './functions/histogram.ts'
import { addInfo } from './functions/info.ts'
import {
  absentSteps,
  clamp,
  evaluationTimes,
  floatFunction,
  goMax,
  goMin,
  labelJoin,
  labelReplace,
  mapFloats,
  mapHistograms,
  round,
  sortByLabel,
  sortByValue,
  toScalar,
  toVector,
  type FunctionContext,
} from './functions/instant.ts'
import { keepsName, RangeRunner } from './functions/range.ts'
import type { Leaf, LeafResult, RawSeries } from './leaf.ts'
import { addTo, mergeLeafResults } from './leaf-merge.ts'
import { scalarVectorOperation, setOperation, vectorOperation, type BinaryContext } from './matching.ts'
import { scalarOperation } from './operators.ts'
import { childrenOf, type Node, type Plan } from './plan-node.ts'
import { countValues, groupQuantile, keepExtremes, keepFirst, keepRatio } from './ranking.ts'
import { finished, type Steps } from './steps.ts'
import { columnsOfRow, mergeSubqueryRead } from './subquery.ts'
import { rowSeries, type QueryResult, type QueryValue } from './result.ts'
import {
  dropsName,
  duplicateText,
  emptyVector,
  hasDuplicates,
  histogramSample,
  mergeDuplicates,
  nextRow,
  pushRow,
  rowHasSamples,
  settleNames,
  startVector,
  vectorSamples,
  withoutMetadata,
  type HistogramRow,
  type Vector,
} from './vector.ts'

type Value =
  | Readonly<{ kind: 'scalar'; values: Float64Array }>
  | Readonly<{ kind: 'string'; value: string }>
  | Readonly<{ kind: 'vector'; vector: Vector }>
  | Readonly<{ kind: 'raw'; series: RawSeries[] }>

type StepStats = { samples: Float64Array; read: Float64Array }

type Evaluated = { value: Value; samples: number; stats: StepStats; uses: number }

/**
 * One evaluation of a plan:
 *
 *   for each stage of plan.stages:  leaf(i) → run it somewhere, on every shard → provide(i, results)
 *   result()
 */
export class Evaluation {
  readonly #plan: Plan
  readonly #budget: Budget
  readonly #annotations = new Annotations()
  readonly #leafResults = new Map<number, LeafResult>()
  readonly #evaluated = new Map<Node, Evaluated>()
  readonly #uses = new Map<Node, number>()
  constructor(plan: Plan, budget: Budget) {
    this.#plan = plan
    this.#budget = budget
    this.#countUses(plan.root)
    for (const { params } of plan.leaves) for (const param of params) this.#countUses(param)
  }
  #countUses(node: Node): void {
    const uses = this.#uses.get(node)
    this.#uses.set(node, (uses ?? 0) + 1)
    if (uses === undefined) for (const child of childrenOf(node)) this.#countUses(child)
  }

  /** A leaf with its scalar arguments filled in; the leaves of earlier stages must have been provided. */
  leaf(index: number): Leaf {
    const planned = this.#plan.leaves[index]!
    const { leaf, params } = planned
    if (params.length === 0 || leaf.work.kind !== 'range') return leaf
    const values = params.map((param) => this.#scalar(param))
    return { ...leaf, work: { ...leaf.work, call: { ...leaf.work.call, params: values } } }
  }

  /** What a leaf gave, on every shard it ran on. */
  provide(index: number, results: readonly LeafResult[]): void {
    const leaf = this.#plan.leaves[index]!.leaf
    const merged = mergeLeafResults(leaf, results, this.#budget)
    this.#leafResults.set(index, merged)
  }

  result(): QueryResult {
    return finished(this.resultSteps())
  }

  /** The same with pauses between nodes. */
  *resultSteps(): Steps<QueryResult> {
    yield* this.#childrenFirst(this.#plan.root)
    return this.#result()
  }

  /** Evaluates what a node needs, one after the other; what is then asked for is there. The budget counts as if each were asked for in its turn. */
  *#childrenFirst(node: Node): Steps<void> {
    for (const child of childrenOf(node)) {
      if (this.#evaluated.has(child)) continue
      yield* this.#childrenFirst(child)
      const evaluated = this.#evaluate(child)
      if (evaluated.uses === 1) {
        this.#budget.give(evaluated.samples)
        evaluated.samples = 0
      }
      if (this.#budget.takePause()) yield
    }
  }

  #result(): QueryResult {
    const { root, grid, isInstant, type, features } = this.#plan
    const evaluated = this.#evaluate(root)
    const { value } = evaluated
    let shown: QueryValue
    if (value.kind === 'string') shown = { kind: 'string', timeMs: grid.startMs, value: value.value }
    else if (value.kind === 'raw') {
      let { series } = value
      series = series.toSorted((a, b) => compareLabels(a.labels, b.labels))
      shown = { kind: 'samples', series }
    } else if (isInstant && value.kind === 'scalar') shown = { kind: 'scalar', timeMs: grid.startMs, value: value.values[0]! }
    else {
      let vector = value.kind === 'scalar' ? toVector(value.values, this.#context()) : settleNames(value.vector)
      if (features.delayedNameRemoval) vector = this.#dropDelayed(vector)
      if (isInstant && type === 'vector') shown = { kind: 'vector', timeMs: grid.startMs, vector }
      else shown = { kind: 'matrix', grid, vector, order: sortedRows(vector, this.#budget) }
    }
    const { samples, read } = evaluated.stats
    const sum = (of: Float64Array): number => of.reduce((a, b) => a + b, 0)
    return {
      value: shown,
      annotations: this.#annotations,
      stats: {
        totalQueryableSamples: sum(samples),
        samplesRead: sum(read),
        peakSamples: this.#budget.peak,
        totalQueryableSamplesPerStep: samples,
        samplesReadPerStep: read,
        grid,
      },
    }
  }

  /** Delayed name removal happens here, at the end of the query. */
  #dropDelayed(vector: Vector): Vector {
    const { dropNames } = vector
    if (dropNames === null) return mergeDuplicates(vector, this.#budget)
    const labels = vector.labels.map((own, i) => (dropNames[i] === 1 ? withoutMetadata(own) : own))
    return mergeDuplicates({ ...vector, labels, dropNames: null }, this.#budget)
  }

  #context(): FunctionContext {
    return { delayed: this.#plan.features.delayedNameRemoval, budget: this.#budget }
  }

  #evaluate(node: Node): Evaluated {
    const known = this.#evaluated.get(node)
    if (known !== undefined) return known
    this.#budget.tick(64)
    const stats: StepStats = { samples: new Float64Array(node.grid.steps), read: new Float64Array(node.grid.steps) }
    const value = this.#compute(node, stats)
    const samples = value.kind === 'vector' ? vectorSamples(value.vector) : value.kind === 'scalar' ? value.values.length : 0
    this.#budget.take(samples)
    const evaluated = { value, samples, stats, uses: this.#uses.get(node)! }
    this.#evaluated.set(node, evaluated)
    return evaluated
  }

  /** The value of a child. The last time it is asked for, its samples no longer count and its memory goes with it. */
  #use(node: Node, stats: StepStats | null): Value {
    const evaluated = this.#evaluate(node)
    if (stats !== null && stats.samples.length === evaluated.stats.samples.length) {
      addTo(stats.samples, evaluated.stats.samples)
      addTo(stats.read, evaluated.stats.read)
    }
    if (--evaluated.uses === 0) {
      this.#budget.give(evaluated.samples)
      this.#evaluated.delete(node)
      this.#uses.set(node, 1) // should anybody ask again it is evaluated again
    }
    return evaluated.value
  }
  #vector(node: Node, stats: StepStats | null): Vector {
    const value = this.#use(node, stats)
    if (value.kind !== 'vector') throw new Error(`BUG: ${node.kind} gives a ${value.kind}, not a vector`)
    return value.vector
  }
  #scalar(node: Node, stats: StepStats | null = null): Float64Array {
    const value = this.#use(node, stats)
    if (value.kind !== 'scalar') throw new Error(`BUG: ${node.kind} gives a ${value.kind}, not a scalar`)
    return value.values
  }

  #compute(node: Node, stats: StepStats): Value {
    const { grid } = node
    switch (node.kind) {
      case 'number':
        return { kind: 'scalar', values: new Float64Array(grid.steps).fill(node.value) }
      case 'time': {
        const values = new Float64Array(grid.steps)
        for (let k = 0; k < values.length; k++) values[k] = (grid.startMs + k * grid.stepMs) / 1000
        return { kind: 'scalar', values }
      }
      case 'string':
        return { kind: 'string', value: node.value }
      case 'leaf':
        return this.#leafValue(node, stats)
      case 'constant':
        return this.#constant(node, stats)
      case 'subqueryCall':
        return { kind: 'vector', vector: this.#subqueryCall(node, stats) }
      case 'subquery':
        return this.#subquery(node, stats)
      case 'aggregate':
        return { kind: 'vector', vector: this.#aggregate(node, stats) }
      case 'negate':
        return this.#negate(node, stats)
      case 'binary':
        return this.#binary(node, stats)
      case 'call':
        return this.#call(node, stats)
    }
  }

  #leafValue(node: Node & { kind: 'leaf' }, stats: StepStats): Value {
    const result = this.#leafResults.get(node.leaf)
    if (result === undefined) throw new Error(`BUG: leaf ${node.leaf} was not provided`)
    addTo(stats.samples, result.stats.samples)
    addTo(stats.read, result.stats.read)
    if (node.part <= 0) for (const annotation of result.annotations) this.#annotations.add(annotation)
    if (result.raw !== null) return { kind: 'raw', series: result.raw }
    if (node.part < 0) return { kind: 'vector', vector: result.vector! }
    const aggregate = this.#plan.leaves[node.leaf]!.leaf.aggregates[node.part]!
    if (node.part > 0) for (const annotation of result.annotations) this.#annotations.add(annotation)
    const kept = result.kept[node.part]!
    if (kept !== null) return { kind: 'vector', vector: kept }
    const accumulator = this.#accumulator(aggregate.op as AccumulatedOp, grid(node), aggregate, result.parts[node.part]!)
    return { kind: 'vector', vector: accumulator.finish() }
  }
  #accumulator(op: AccumulatedOp, steps: number, aggregate: Leaf['aggregates'][number], part: PartialAggregate): Accumulator {
    const grouping = new Grouping(aggregate.grouping, aggregate.without)
    const accumulator = new Accumulator(op, steps, grouping, aggregate.exprSpan, this.#annotations, this.#budget)
    accumulator.merge(part)
    return accumulator
  }

  /** One step's value at every step. */
  #constant(node: Node & { kind: 'constant' }, stats: StepStats): Value {
    const inner = this.#evaluate(node.of)
    const sum = inner.stats.samples[0] ?? 0
    stats.samples.fill(sum)
    if (stats.read.length > 0) stats.read[0] = inner.stats.read[0] ?? 0
    const value = this.#use(node.of, null)
    const { steps } = node.grid
    if (value.kind === 'scalar') return { kind: 'scalar', values: new Float64Array(steps).fill(value.values[0]!) }
    if (value.kind !== 'vector') return value
    const one = value.vector
    const out = startVector(steps, one.length, this.#budget)
    out.namesPending = one.namesPending
    out.distinctWithoutNames = one.distinctWithoutNames
    for (let i = 0; i < one.length; i++) {
      this.#budget.tick(steps)
      const base = nextRow(out, this.#budget)
      out.values.fill(one.values[i]!, base, base + steps)
      out.presence.fill(one.presence[i]!, base, base + steps)
      const histogram = one.presence[i] === histogramSample ? one.histograms![i]![0]! : null
      const row: HistogramRow | null = histogram === null ? null : new Array<typeof histogram>(steps).fill(histogram)
      pushRow(out, one.labels[i]!, row, dropsName(one, i))
    }
    return { kind: 'vector', vector: out }
  }

  #subqueryCall(node: Node & { kind: 'subqueryCall' }, stats: StepStats): Vector {
    const { grid: own } = node
    const params = node.params.map((param) => this.#scalar(param, stats))
    const inner = this.#evaluate(node.of)
    mergeSubqueryRead(stats.read, own, inner.stats.read, node.of.grid, node.offsetMs, node.call.rangeMs)
    const input = settleNames(this.#vector(node.of, null))
    const times = {
      firstEndMs: node.firstEndMs,
      stepMs: node.stepMs,
      evalStartMs: own.startMs,
      evalStepMs: own.stepMs,
      steps: own.steps,
    }
    const { delayedNameRemoval, typeAndUnitLabels } = this.#plan.features
    const span = node.spans.list[0]!
    const runner = new RangeRunner(
      { ...node.call, params, span },
      times,
      { useStartTimestamps: false, typeAndUnitLabels },
      this.#annotations,
      this.#budget,
    )
    const drops = !keepsName(node.call.func)
    const out = startVector(own.steps, input.length, this.#budget)
    out.namesPending = drops && !delayedNameRemoval
    out.distinctWithoutNames = input.distinctWithoutNames
    const columns = new SampleColumns(Math.max(16, input.steps))
    for (let i = 0; i < input.length; i++) {
      columnsOfRow(input, i, node.of.grid, columns)
      const base = nextRow(out, this.#budget)
      const row = runner.run(columns, input.labels[i]!, out.values, out.presence, base)
      if (!rowHasSamples(out.presence, base, own.steps)) continue
      pushRow(out, input.labels[i]!, row, dropsName(input, i) || (drops && delayedNameRemoval))
    }
    addTo(stats.samples, runner.samples)
    return out
  }

  #subquery(node: Node & { kind: 'subquery' }, stats: StepStats): Value {
    const inner = this.#evaluate(node.of)
    let total = 0
    for (const samples of inner.stats.samples) total += samples
    if (stats.samples.length > 0) stats.samples[stats.samples.length - 1]! += total
    mergeSubqueryRead(stats.read, node.grid, inner.stats.read, node.of.grid, 0, 0)
    const value = this.#use(node.of, null)
    if (value.kind === 'raw' || value.kind === 'string') throw new Error('BUG: a subquery over a range vector')
    const { delayedNameRemoval } = this.#plan.features
    let vector = value.kind === 'scalar' ? toVector(value.values, this.#context()) : settleNames(value.vector)
    if (delayedNameRemoval) vector = this.#dropDelayed(vector)
    const series: RawSeries[] = []
    for (let i = 0; i < vector.length; i++) {
      this.#budget.tick(vector.steps)
      series.push(rowSeries(vector, i, node.of.grid))
    }
    return { kind: 'raw', series }
  }

  #negate(node: Node & { kind: 'negate' }, stats: StepStats): Value {
    const value = this.#use(node.of, stats)
    if (value.kind === 'scalar') return { kind: 'scalar', values: value.values.map((x) => -x) }
    if (value.kind !== 'vector') throw new Error(`BUG: cannot negate a ${value.kind}`)
    const input = value.vector
    const { delayedNameRemoval } = this.#plan.features
    const histograms =
      input.histograms === null
        ? null
        : input.histograms.map((row) => (row === null ? null : row.map((h) => (h === undefined ? undefined : multiply(h, -1)))))
    const vector: Vector = {
      ...input,
      labels: delayedNameRemoval ? input.labels : input.labels.slice(),
      values: input.values.map((x) => -x),
      histograms,
      namesPending: input.namesPending || !delayedNameRemoval,
      dropNames: delayedNameRemoval ? new Uint8Array(input.length).fill(1) : null,
    }
    return { kind: 'vector', vector: delayedNameRemoval || vector.distinctWithoutNames ? vector : mergeDuplicates(vector, this.#budget) }
  }

  #binary(node: Node & { kind: 'binary' }, stats: StepStats): Value {
    const { op, returnBool, matching, spans } = node
    const left = this.#use(node.left, stats)
    const right = this.#use(node.right, stats)
    if (left.kind === 'scalar' && right.kind === 'scalar') {
      const operation = scalarOperation(op)
      return { kind: 'scalar', values: left.values.map((x, k) => operation(x, right.values[k]!)) }
    }
    const context: BinaryContext = {
      op,
      returnBool,
      span: spans.list[0]!,
      delayed: this.#plan.features.delayedNameRemoval,
      annotations: this.#annotations,
      budget: this.#budget,
    }
    if (left.kind === 'vector' && right.kind === 'vector') {
      const sets = op === 'and' || op === 'or' || op === 'unless'
      const operation = sets ? setOperation : vectorOperation
      return { kind: 'vector', vector: this.#distinct(operation(left.vector, right.vector, matching!, context), sets) }
    }
    if (left.kind === 'vector' && right.kind === 'scalar')
      return { kind: 'vector', vector: this.#distinct(scalarVectorOperation(left.vector, right.values, false, context), false) }
    if (left.kind === 'scalar' && right.kind === 'vector')
      return { kind: 'vector', vector: this.#distinct(scalarVectorOperation(right.vector, left.values, true, context), false) }
    throw new Error(`BUG: operator ${op} between a ${left.kind} and a ${right.kind}`)
  }

  /**
   * Results of an operation that took names away must still be distinct, step by step; series that are never there together become one.
   * Whoever kept names, or delays their removal, has nothing to check here but rows that were never merged.
   */
  #distinct(vector: Vector, known: boolean): Vector {
    if (known || this.#plan.features.delayedNameRemoval) return vector
    if (!vector.namesPending || vector.distinctWithoutNames) return vector
    return this.#failOrMerge(vector)
  }
  #failOrMerge(vector: Vector): Vector {
    settleNames(vector)
    if (vector.steps === 1 && hasDuplicates(vector, this.#budget)) throw executionError(duplicateText)
    return mergeDuplicates(vector, this.#budget)
  }

  // ── aggregations ──

  #aggregate(node: Node & { kind: 'aggregate' }, stats: StepStats): Vector {
    const { op, grouping, without, spans, param, label } = node
    const span = spans.list[0]!
    const exprSpan = spans.list[1]!
    const params = param === null ? null : this.#scalar(param, stats)
    const input = this.#vector(node.of, stats)
    const aggregation = { op, grouping, without, span, exprSpan }
    const budget = this.#budget
    if (isAccumulated(op)) return aggregateVector(op, input, grouping, without, exprSpan, this.#annotations, budget)
    if (op === 'count_values') return countValues(input, aggregation, label, budget)
    const values = params!
    let max = -Number.MAX_VALUE
    let min = Number.MAX_VALUE
    let hasNaN = false
    for (const value of values) {
      max = Math.max(max, value)
      min = Math.min(min, value)
      hasNaN ||= value !== value
    }
    const paramSpan = spans.list[2]!
    if (op === 'topk' || op === 'bottomk' || op === 'limitk') {
      if (max < 1) return emptyVector(input.steps)
      if (hasNaN) throw executionError('Parameter value is NaN')
      if (min <= -9223372036854775808) throw executionError(`Scalar value ${min} underflows int64`)
      if (max >= 9223372036854774784) throw executionError(`Scalar value ${max} overflows int64`)
      if (op === 'limitk') return keepFirst(input, aggregation, values, budget)
      return keepExtremes(input, aggregation, 0, this.#annotations, budget, values)
    }
    if (op === 'limit_ratio') {
      if (max === 0 && min === 0) return emptyVector(input.steps)
      if (hasNaN) throw executionError('Ratio value is NaN')
      if (max > 1) this.#annotations.invalidRatio(max, 1, paramSpan)
      if (min < -1) this.#annotations.invalidRatio(min, -1, paramSpan)
      return keepRatio(input, values, budget)
    }
    if (hasNaN) this.#annotations.invalidQuantile(NaN, paramSpan)
    if (max > 1) this.#annotations.invalidQuantile(max, paramSpan)
    if (min < 0) this.#annotations.invalidQuantile(min, paramSpan)
    return groupQuantile(input, aggregation, values, this.#annotations, budget)
  }

  // ── functions ──

  #call(node: Node & { kind: 'call' }, stats: StepStats): Value {
    const { func, args } = node
    const context = this.#context()
    if (func === 'scalar') return { kind: 'scalar', values: toScalar(this.#vector(args[0]!, stats)) }
    if (func === 'pi') return { kind: 'scalar', values: new Float64Array(node.grid.steps).fill(Math.PI) }
    if (func === 'max_of' || func === 'min_of') {
      const a = this.#scalar(args[0]!, stats)
      const b = this.#scalar(args[1]!, stats)
      const pick = func === 'max_of' ? goMax : goMin
      return { kind: 'scalar', values: a.map((x, k) => pick(x, b[k]!)) }
    }
    const vector = this.#vectorCall(node, stats, context)
    if (!vector.namesPending || vector.distinctWithoutNames) return { kind: 'vector', vector }
    if (func === 'distinct' && hasDuplicates(settleNames(vector), this.#budget)) throw executionError(duplicateText)
    return { kind: 'vector', vector: this.#failOrMerge(vector) }
  }

  #vectorCall(node: Node & { kind: 'call' }, stats: StepStats, context: FunctionContext): Vector {
    const { func, args, strings, matchers, spans, grid: own } = node
    const scalarAt = (i: number): Float64Array => this.#scalar(args[i]!, stats)
    if (func === 'vector') return toVector(scalarAt(0), context)
    if (func === 'histogram_quantile') {
      const phis = scalarAt(0)
      const input = this.#vector(args[1]!, stats)
      return histogramQuantile(phis, input, [spans.list[1]!, spans.list[2]!], timeOf(node), this.#annotations, context)
    }
    if (func === 'histogram_fraction') {
      const lower = scalarAt(0)
      const upper = scalarAt(1)
      return histogramFraction(lower, upper, this.#vector(args[2]!, stats), spans.list[3]!, this.#annotations, context)
    }
    const first = this.#use(args[0]!, stats)
    const each = floatFunction(func)
    if (first.kind === 'scalar') {
      // a calendar function without an argument: of the evaluation time
      const out = toVector(
        first.values.map((x) => each!(x)),
        context,
      )
      return out
    }
    if (first.kind !== 'vector') throw new Error(`BUG: ${func} of a ${first.kind}`)
    const input = first.vector
    if (each !== undefined) return mapFloats(input, context, each)
    switch (func) {
      case 'distinct':
      case 'merged':
        return input
      case 'absent':
      case 'absent_over_time':
        return absentSteps(input, matchers, this.#budget)
      case 'clamp':
        return clamp(input, scalarAt(1), scalarAt(2), context)
      case 'clamp_min':
        return clamp(input, scalarAt(1), null, context)
      case 'clamp_max':
        return clamp(input, null, scalarAt(1), context)
      case 'round':
        return round(input, args.length > 1 ? scalarAt(1) : null, context)
      case 'sort':
      case 'sort_desc':
      case 'sort_by_label':
      case 'sort_by_label_desc':
        if (own.steps > 1) this.#annotations.sortInRange(spans.list[0]!)
        return func === 'sort' || func === 'sort_desc'
          ? sortByValue(input, func === 'sort_desc', this.#budget)
          : sortByLabel(input, strings, func === 'sort_by_label_desc', this.#budget)
      case 'label_replace':
        return labelReplace(input, strings, context)
      case 'label_join':
        return labelJoin(input, strings, context)
      case 'timestamp':
        return evaluationTimes(input, own.startMs, own.stepMs, context)
      case 'start_timestamp':
        return emptyVector(own.steps)
      case 'info':
        return addInfo(input, this.#vector(args[1]!, stats), matchers, context)
      case 'histogram_count':
        return mapHistograms(input, context, (h) => h.count)
      case 'histogram_sum':
        return mapHistograms(input, context, (h) => h.sum)
      case 'histogram_avg':
        return mapHistograms(input, context, (h) => h.sum / h.count)
      case 'histogram_stdvar':
        return mapHistograms(input, context, nativeVariance)
      case 'histogram_stddev':
        return mapHistograms(input, context, (h) => Math.sqrt(nativeVariance(h)))
      case 'histogram_quantiles': {
        const quantiles = args.slice(1).map((_, i) => scalarAt(i + 1))
        const quantileSpans = [spans.list[1]!, ...spans.list.slice(3)]
        return histogramQuantiles(input, strings[0]!, quantiles, quantileSpans, timeOf(node), this.#annotations, context)
      }
      default:
        throw new Error(`BUG: function ${func} is not implemented`)
    }
  }
}

function grid(node: Node): number {
  return node.grid.steps
}

function timeOf(node: Node): (step: number) => number {
  const { startMs, stepMs } = node.grid
  return (step) => startMs + step * stepMs
}

function isAccumulated(op: AggregateOp): op is AccumulatedOp {
  return (
    op === 'sum' || op === 'avg' || op === 'count' || op === 'group' || op === 'min' || op === 'max' || op === 'stddev' || op === 'stdvar'
  )
}

/** Row numbers in the order of labels. */
function sortedRows(vector: Vector, budget: Budget): Int32Array {
  budget.tick(vector.length * 32)
  return orderOf(vector.labels.slice(0, vector.length))
}
