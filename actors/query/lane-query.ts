// Queries in a storage worker. With one worker a query is one request; with several, one of them coordinates:
//
//   main ─queryStart─▶ coordinator: plan ─leaves─▶ main ─runLeaves─▶ every worker ─results─▶ main ─queryProvide─▶ coordinator ─▶ … ─▶ answer
import { PromhiveError } from '../../src/base/errors.ts'
import type { SharedPages } from '../../src/base/shared-pages.ts'
import type { Histogram } from '../../src/model/histogram.ts'
import type { Expr } from '../../src/promql/ast.ts'
import {
  Budget,
  Evaluation,
  leafSteps,
  leavesSteps,
  packLeafResult,
  plan,
  unpackLeafResult,
  vectorSamplesOf,
  type Leaf,
  type PackedLeafResult,
  type Plan,
  type QueryResult,
  type QueryValue,
  type Steps,
} from '../../src/promql/engine.ts'
import { parseExpr, printProblem } from '../../src/promql/parse.ts'
import { queryValueSteps } from '../../src/promql/result-json.ts'
import type { ReadView } from '../../src/tsdb/head/read-view.ts'
import { mergedSource } from '../../src/tsdb/query/merged-source.ts'
import type { LaneState } from '../storage-shard/lane.ts'
import { WrittenAnswer } from '../storage-shard/lane-answer.ts'
import type { Answer, RequestContext, RequestHandler } from '../storage-shard/lane-requests.ts'
import type { LeavesRequest, QueryRequest, QueryResponse, SampleCounts, StageResponse, VectorResponse } from './query-protocol.ts'
import { writeStats } from './stats-json.ts'

/** Annotations of one level an answer shows. */
const annotationsMax = 10

type Timing = { startedMs: number; preparedMs: number; evaluatedMs: number }
type Coordinated = {
  request: QueryRequest
  planned: Plan
  evaluation: Evaluation
  budget: Budget
  stage: number
  timing: Timing
  context: RequestContext
}

export function queryRequests({ head, blocks, pages }: LaneState): Record<string, RequestHandler> {
  const coordinated = new Map<number, Coordinated>()
  let nextId = 1
  const sourceOf = (view: ReadView): ReturnType<typeof mergedSource> => mergedSource(head, () => blocks.parts(), view)
  return {
    *query(body, context): Steps<Answer> {
      const request = body as QueryRequest
      const timing = { startedMs: context.monotonicMs(), preparedMs: 0, evaluatedMs: 0 }
      const planned = planOf(request)
      timing.preparedMs = context.monotonicMs()
      const view = head.views.open()
      const budget = budgetOf(request, context, view)
      const evaluation = new Evaluation(planned, budget)
      try {
        yield* leavesSteps(planned, evaluation, sourceOf(view), budget)
      } finally {
        view.close()
      }
      const result = yield* evaluation.resultSteps()
      timing.evaluatedMs = context.monotonicMs()
      return yield* answerSteps(request, result, timing, budget, context, pages)
    },
    *queryStart(body, context): Steps<Answer> {
      const request = body as QueryRequest
      const timing = { startedMs: context.monotonicMs(), preparedMs: 0, evaluatedMs: 0 }
      const planned = planOf(request)
      timing.preparedMs = context.monotonicMs()
      const budget = budgetOf(request, context, null, () => started.context)
      const started: Coordinated = { request, planned, evaluation: new Evaluation(planned, budget), budget, stage: 0, timing, context }
      const id = nextId++
      coordinated.set(id, started)
      return yield* nextSteps(id, started, context)
    },
    *runLeaves(body, context): Steps<Answer> {
      const { leaves, request } = body as LeavesRequest
      const view = head.views.open()
      try {
        const budget = budgetOf(request, context, view)
        const packed: ReturnType<typeof packLeafResult>[] = []
        for (const leaf of leaves) {
          packed.push(packLeafResult(yield* leafSteps(leaf, sourceOf(view), budget)))
          if (budget.takePause()) yield
        }
        return { body: packed.map(({ message }) => message), transfer: packed.flatMap(({ transfer }) => transfer) }
      } finally {
        view.close()
      }
    },
    *queryProvide(body, context): Steps<Answer> {
      const { id, results } = body as { id: number; results: readonly (readonly PackedLeafResult[])[] }
      const going = coordinated.get(id)
      if (going === undefined) throw new Error(`BUG: query ${id} is not known`)
      going.context = context
      for (const [i, leaf] of going.planned.stages[going.stage]!.entries()) {
        going.budget.poll()
        if (going.budget.takePause()) yield
        const ofLeaf = results.map((of) => unpackLeafResult(of[i]!))
        going.evaluation.provide(leaf, ofLeaf)
      }
      going.stage++
      return yield* nextSteps(id, going, context)
    },
    queryDrop(body) {
      coordinated.delete((body as { id: number }).id)
      return { body: null }
    },
  }

  /** The leaves of the next stage, or the answer. */
  function* nextSteps(
    id: number,
    { request, planned, evaluation, budget, stage, timing }: Coordinated,
    context: RequestContext,
  ): Steps<Answer> {
    const leaves = planned.stages[stage]
    if (leaves !== undefined) {
      return { body: { kind: 'leaves', id, leaves: leaves.map((leaf): Leaf => evaluation.leaf(leaf)) } satisfies StageResponse }
    }
    coordinated.delete(id)
    const result = yield* evaluation.resultSteps()
    timing.evaluatedMs = context.monotonicMs()
    const { body, transfer } = yield* answerSteps(request, result, timing, budget, context, pages)
    return {
      body: { kind: 'answer', answer: body as QueryResponse | VectorResponse } satisfies StageResponse,
      ...(transfer === undefined ? {} : { transfer }),
    }
  }
}

/**
 * @param view of what is read; null where nothing is.
 * @param asking the request that works for the query now, where that changes: its flag tells when to stop.
 */
function budgetOf(
  { samplesMax, timeoutMs }: Pick<QueryRequest, 'samplesMax' | 'timeoutMs'>,
  context: RequestContext,
  view: ReadView | null,
  asking = (): RequestContext => context,
): Budget {
  const { monotonicMs } = context
  const freeze = (): void => view?.freeze()
  return new Budget({
    samplesMax,
    deadlineMs: monotonicMs() + timeoutMs,
    nowMs: monotonicMs,
    isCanceled: () => asking().cancelled(),
    pause: () => asking().pause(freeze),
  })
}

/** Dashboards and rules send the same texts again and again: their trees are kept, oldest out first. */
const trees = new Map<string, Expr>()
const treesMax = 256

function planOf(request: QueryRequest): Plan {
  const { query, promql } = request
  const key = `${Number(promql.experimentalFunctions)}${Number(promql.extendedRangeSelectors)}${Number(promql.binopFillModifiers)}${query}`
  let expr = trees.get(key)
  if (expr === undefined) {
    const parsed = parseExpr(query, promql)
    if (parsed.expr === null || parsed.problems.length > 0)
      throw new PromhiveError('PROMQL_PARSE', printProblem(query, parsed.problems[0]!))
    expr = parsed.expr
    if (trees.size >= treesMax) trees.delete(trees.keys().next().value!)
    if (query.length < 4096) trees.set(key, expr)
  }
  return plan(expr, {
    startMs: request.startMs,
    endMs: request.endMs,
    stepMs: request.stepMs,
    lookbackMs: request.lookbackMs,
    defaultSubqueryStepMs: request.defaultSubqueryStepMs,
    features: {
      delayedNameRemoval: promql.delayedNameRemoval,
      useStartTimestamps: request.useStartTimestamps,
      typeAndUnitLabels: request.typeAndUnitLabels,
    },
  })
}

function* answerSteps(
  request: QueryRequest,
  result: QueryResult,
  timing: Timing,
  budget: Budget,
  context: RequestContext,
  pages: SharedPages,
): Steps<Answer> {
  const { warnings, infos } = result.annotations.print(request.query, annotationsMax)
  const prepareMs = timing.preparedMs - timing.startedMs
  const evalMs = timing.evaluatedMs - timing.preparedMs
  if (request.form === 'vector') {
    const { value } = result
    if (value.kind !== 'vector' && value.kind !== 'scalar')
      throw new PromhiveError('PROMQL_EXECUTION', 'rule result is not a vector or scalar')
    const samples = vectorSamplesOf(value)
    const histograms = samples.map(({ histogram }) => histogram)
    const body: VectorResponse = {
      labels: samples.map(({ labels }) => labels),
      values: Float64Array.from(samples, ({ value: number }) => number),
      histograms: histograms.some((histogram: Histogram | null) => histogram !== null) ? histograms : null,
      warnings: [...warnings, ...infos],
      prepareMs,
      evalMs,
      sortMs: 0,
      samples: sampleCounts(request, result),
    }
    return { body }
  }
  const { value, truncated } = limited(result.value, request.limit)
  const samples = sampleCounts(request, result)
  const written = new WrittenAnswer(pages)
  let finished = false
  try {
    const { out } = written
    yield* queryValueSteps(value, out, budget)
    const sortMs = context.monotonicMs() - timing.evaluatedMs
    if (request.stats !== 'none') {
      // the object is opened again behind its last member
      out.unwriteByte()
      writeStats(out, result.stats, { queuedMs: request.queuedMs, prepareMs, evalMs, sortMs }, request)
      out.byte(125)
    }
    const { data, transfer } = written.finish()
    finished = true
    const body: QueryResponse = { data, truncated, warnings, infos, prepareMs, evalMs, sortMs, samples }
    return { body, transfer }
  } finally {
    if (!finished) written.drop()
  }
}

function sampleCounts({ stats: asked, perStepStats }: QueryRequest, { stats }: QueryResult): SampleCounts {
  const perStep = asked === 'all' && perStepStats
  return {
    total: stats.totalQueryableSamples,
    read: stats.samplesRead,
    peak: stats.peakSamples,
    perStep: perStep ? { total: stats.totalQueryableSamplesPerStep, read: stats.samplesReadPerStep } : null,
  }
}

/** At most `limit` series. */
function limited(value: QueryValue, limit: number): { value: QueryValue; truncated: boolean } {
  if (limit <= 0) return { value, truncated: false }
  switch (value.kind) {
    case 'vector':
      if (value.vector.length <= limit) break
      return { value: { ...value, vector: { ...value.vector, length: limit } }, truncated: true }
    case 'matrix':
      if (value.order.length <= limit) break
      return { value: { ...value, order: value.order.subarray(0, limit) }, truncated: true }
    case 'samples':
      if (value.series.length <= limit) break
      return { value: { ...value, series: value.series.slice(0, limit) }, truncated: true }
    case 'scalar':
    case 'string':
      break
  }
  return { value, truncated: false }
}
