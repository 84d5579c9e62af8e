// The PromQL engine.
//
//   text ─parse─▶ syntax tree ─plan─▶ plan ──leaves──▶ runLeaf next to the data, one per shard ──results──▶ Evaluation ─▶ QueryResult
//
// A plan is a graph of nodes, each with its own grid of evaluation times (subqueries have theirs), and a list of leaves. A leaf is a selector
// with what can be done to each of its series on the spot: lookback or a range function over windows, and aggregations that decompose
// (sum, avg, min, max, count, group, topk, bottomk). Leaves and their results are plain data in typed columns, so they can cross threads;
// `packLeafResult` keeps the label strings from being copied once per series.
//
// A vector is n series × K steps in one Float64Array and one byte of presence per cell; native histograms lie beside it, sparse. Every
// function is a loop over columns; nothing is allocated per sample, no node is evaluated step by step.
//
// What must hold:
//   - a leaf's result depends on the leaf and the source alone; merging the results of several sources gives what one source with all their
//     series would give, but for the last bits of floating-point sums and the order of series;
//   - floats are computed in Prometheus' order of operations; texts of errors and annotations are Prometheus';
//   - every loop that grows with the data reports to the budget, so that cancelling takes milliseconds, and long work pauses for others.
import type { SeriesSource } from '../model/samples.ts'
import type { Labels } from '../model/labels.ts'
import { packLabels, unpackLabels, type PackedLabels } from '../model/packed-labels.ts'
import type { Budget } from './budget.ts'
import { Evaluation } from './evaluate.ts'
import { leafSteps, runLeaf, type LeafResult } from './leaf.ts'
import type { Plan } from './plan-node.ts'
import type { QueryResult } from './result.ts'
import { finished, type Steps } from './steps.ts'

export { Annotations } from './annotations.ts'
export { Budget, type BudgetOptions } from './budget.ts'
export { Evaluation } from './evaluate.ts'
export { leafSteps, runLeaf, type EvaluationFeatures, type Leaf, type LeafResult } from './leaf.ts'
export { finished, type Steps } from './steps.ts'
export { plan, type PlanOptions } from './plan.ts'
export type { Plan } from './plan-node.ts'
export { matrixSeries, vectorSamplesOf, type QueryResult, type QueryStats, type QueryValue, type VectorSample } from './result.ts'

/** Everything in one thread over one source. */
export function runQuery(plan: Plan, source: SeriesSource, budget: Budget): QueryResult {
  const evaluation = new Evaluation(plan, budget)
  finished(leavesSteps(plan, evaluation, source, budget))
  return evaluation.result()
}

/** All leaves over one source, with pauses: an evaluation has what it needs then. */
export function* leavesSteps(plan: Plan, evaluation: Evaluation, source: SeriesSource, budget: Budget): Steps<void> {
  for (const stage of plan.stages)
    for (const index of stage) evaluation.provide(index, [yield* leafSteps(evaluation.leaf(index), source, budget)])
}

/** The same over several sources, each with its own series: what a coordinator does with shards, in one thread. */
export function runQuerySharded(plan: Plan, sources: readonly SeriesSource[], budget: Budget): QueryResult {
  const evaluation = new Evaluation(plan, budget)
  for (const stage of plan.stages)
    for (const index of stage) {
      const leaf = evaluation.leaf(index)
      evaluation.provide(
        index,
        sources.map((source) => unpackLeafResult(packLeafResult(runLeaf(leaf, source, budget)).message)),
      )
    }
  return evaluation.result()
}

/** A leaf result ready for structured cloning; unpack it on the other side. */
export type PackedLeafResult = Readonly<{ result: LeafResult; labels: readonly PackedLabels[] }>

/** @returns the message and the buffers to transfer with it. The result must not be used afterwards. */
export function packLeafResult(result: LeafResult): { message: PackedLeafResult; transfer: ArrayBuffer[] } {
  const labels: PackedLabels[] = []
  const buffers = new Set<ArrayBuffer>()
  const give = (...arrays: (Float64Array | Uint8Array | null)[]): void => {
    for (const array of arrays) if (array !== null && array.byteLength > 0 && array.buffer instanceof ArrayBuffer) buffers.add(array.buffer)
  }
  const without = <T extends { labels: Labels[] }>(part: T): T => {
    labels.push(packLabels(part.labels))
    return { ...part, labels: [] }
  }
  const vectors = (vector: LeafResult['vector']): LeafResult['vector'] => {
    if (vector === null) return null
    const cells = vector.length * vector.steps
    // a column with much room to spare is cut before it travels
    const trimmed =
      vector.values.length > cells * 2 + 1024
        ? { ...vector, values: vector.values.slice(0, cells), presence: vector.presence.slice(0, cells) }
        : vector
    give(trimmed.values, trimmed.presence, trimmed.dropNames)
    return without(trimmed)
  }
  const message: PackedLeafResult = {
    result: {
      vector: vectors(result.vector),
      parts: result.parts.map((part) => {
        if (part === null) return null
        give(part.state, part.sum, part.rest, part.count, part.mean, part.dropNames)
        return without(part)
      }),
      kept: result.kept.map(vectors),
      raw: result.raw,
      annotations: result.annotations,
      stats: result.stats,
    },
    labels,
  }
  if (result.raw !== null) for (const series of result.raw) give(series.times, series.values, series.histogramTimes)
  return { message, transfer: [...buffers] }
}

export function unpackLeafResult({ result, labels }: PackedLeafResult): LeafResult {
  let next = 0
  const withLabels = <T extends { labels: Labels[] } | null>(part: T): T =>
    part === null ? part : { ...part, labels: unpackLabels(labels[next++]!) }
  return {
    ...result,
    vector: withLabels(result.vector),
    parts: result.parts.map(withLabels),
    kept: result.kept.map(withLabels),
  }
}
