// Queries of this node: a bounded number at a time, each with a deadline, run by the storage workers next to the data.
//
//   query ─▶ gate (--query.max-concurrency) ─▶ storage worker: parse, plan, leaves, evaluate, write JSON ─▶ bytes
import { PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { HistogramMetric, MetricsRegistry, Numbers, SummaryMetric } from '../../src/base/metrics.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { PromqlFeatures } from '../../src/promql/ast.ts'
import type { LastSamples, QueryVector } from '../../src/rules/querying.ts'
import type { Lanes } from '../storage-shard/lanes.ts'
import type { PackedLeafResult } from '../../src/promql/engine.ts'
import type { LeavesRequest, QueryRequest, QueryResponse, StageResponse, VectorResponse } from './query-protocol.ts'

export type QueryServiceOptions = Readonly<{
  lanes: Lanes
  clock: Clock
  logger: Logger
  metrics: MetricsRegistry
  promql: PromqlFeatures
  useStartTimestamps: boolean
  typeAndUnitLabels: boolean
  perStepStats: boolean
  timeoutMs: number
  concurrencyMax: number
  samplesMax: number
  lookbackMs: number
  /** `global.evaluation_interval`: the step of subqueries that name none. */
  evaluationIntervalMs: () => number
}>

export type QueryAnswer = Readonly<{
  data: readonly Uint8Array[]
  truncated: boolean
  warnings: readonly string[]
  infos: readonly string[]
}>
export type QueryInput = Readonly<{
  query: string
  timeoutMs: number | null
  limit: number
  lookbackMs: number | null
  stats: 'none' | 'basic' | 'all'
}>

export class QueryService {
  readonly #options: QueryServiceOptions
  readonly #waiting: (() => void)[] = []
  #running = 0
  #turn = 0
  readonly #active: Numbers
  readonly #durations: SummaryMetric
  readonly #histograms: HistogramMetric

  constructor(options: QueryServiceOptions) {
    this.#options = options
    const { metrics } = options
    this.#active = metrics.gauge('prometheus_engine_queries', 'The current number of queries being executed or waiting.')
    metrics.gauge('prometheus_engine_queries_concurrent_max', 'The max number of concurrent queries.').set(options.concurrencyMax)
    this.#durations = metrics.summary('prometheus_engine_query_duration_seconds', 'Query timings', [0.5, 0.9, 0.99], ['slice'])
    this.#histograms = metrics.histogram(
      'prometheus_engine_query_duration_histogram_seconds',
      'The duration of various parts of PromQL query execution.',
      [0.01, 0.1, 1, 10],
      ['slice'],
    )
    for (const slice of ['queue_time', 'prepare_time', 'inner_eval', 'result_sort']) this.#durations.labels(slice)
  }

  async instant(query: QueryInput & Readonly<{ timeMs: number }>, signal: AbortSignal): Promise<QueryAnswer> {
    return this.#json(this.#request(query, { startMs: query.timeMs, endMs: query.timeMs, stepMs: 0 }, 'json'), signal)
  }

  async range(query: QueryInput & Readonly<{ startMs: number; endMs: number; stepMs: number }>, signal: AbortSignal): Promise<QueryAnswer> {
    return this.#json(this.#request(query, query, 'json'), signal)
  }

  /** For rules: an instant vector, a scalar as one sample without labels. */
  async ruleQuery(expr: string, timeMs: number, signal: AbortSignal): Promise<QueryVector> {
    const input: QueryInput = { query: expr, timeoutMs: null, limit: 0, lookbackMs: null, stats: 'none' }
    const request = this.#request(input, { startMs: timeMs, endMs: timeMs, stepMs: 0 }, 'vector')
    const answer = await this.#run<VectorResponse>(request, signal)
    return {
      labels: answer.labels,
      values: answer.values,
      ...(answer.histograms === null ? {} : { histograms: answer.histograms }),
      warnings: answer.warnings,
    }
  }

  /** The newest float of every matching series in the range, staleness markers included. */
  async selectLast(matchers: readonly Matcher[], startMs: number, endMs: number, signal: AbortSignal): Promise<LastSamples> {
    const answers = await this.#options.lanes.askAll<LastSamples>('lastFloats', { matchers, startMs, endMs }, signal)
    if (answers.length === 1) return answers[0]!
    return {
      labels: answers.flatMap((answer) => answer.labels),
      times: Float64Array.from(answers.flatMap((answer) => [...answer.times])),
      values: Float64Array.from(answers.flatMap((answer) => [...answer.values])),
    }
  }

  #request(
    input: QueryInput,
    range: Readonly<{ startMs: number; endMs: number; stepMs: number }>,
    form: QueryRequest['form'],
  ): QueryRequest {
    const options = this.#options
    return {
      query: input.query,
      startMs: range.startMs,
      endMs: range.endMs,
      stepMs: range.stepMs,
      form,
      limit: input.limit,
      stats: input.stats,
      perStepStats: options.perStepStats,
      lookbackMs: input.lookbackMs ?? options.lookbackMs,
      timeoutMs: Math.min(options.timeoutMs, input.timeoutMs ?? Infinity),
      samplesMax: options.samplesMax,
      defaultSubqueryStepMs: options.evaluationIntervalMs(),
      promql: options.promql,
      useStartTimestamps: options.useStartTimestamps,
      typeAndUnitLabels: options.typeAndUnitLabels,
      queuedMs: 0,
    }
  }

  async #json(request: QueryRequest, signal: AbortSignal): Promise<QueryAnswer> {
    const { data, truncated, warnings, infos } = await this.#run<QueryResponse>(request, signal)
    return { data, truncated, warnings, infos }
  }

  async #run<T extends QueryResponse | VectorResponse>(request: QueryRequest, signal: AbortSignal): Promise<T> {
    const { clock } = this.#options
    const asked = clock.monotonicMs()
    this.#active.inc()
    try {
      await this.#enter(request.timeoutMs, signal)
      const queuedMs = clock.monotonicMs() - asked
      this.#observe('queue_time', queuedMs)
      // beyond its own deadline the worker may be busy with others: the caller is not kept waiting for that
      const over = new AbortController()
      const timer = clock.after(request.timeoutMs - queuedMs, () => over.abort('timeout'))
      try {
        const answer = await this.#untilAborted(
          this.#evaluate<T>({ ...request, queuedMs, timeoutMs: request.timeoutMs - queuedMs }, AbortSignal.any([signal, over.signal])),
          signal,
          over.signal,
        )
        this.#observe('prepare_time', answer.prepareMs)
        this.#observe('inner_eval', answer.evalMs)
        this.#observe('result_sort', answer.sortMs)
        return answer
      } finally {
        timer.cancel()
        this.#leave()
      }
    } finally {
      this.#active.inc(-1)
    }
  }

  /** In one worker whole; in several, stage by stage with one of them coordinating, each query another. */
  async #evaluate<T>(request: QueryRequest, signal: AbortSignal): Promise<T> {
    const { lanes } = this.#options
    if (lanes.count === 1) return lanes.ask<T>(0, 'query', request, signal)
    const coordinator = this.#turn++ % lanes.count
    let stage = await lanes.ask<StageResponse>(coordinator, 'queryStart', request, signal)
    let id: number | null = null
    try {
      while (stage.kind === 'leaves') {
        id = stage.id
        const leaves: LeavesRequest = { leaves: stage.leaves, request: { samplesMax: request.samplesMax, timeoutMs: request.timeoutMs } }
        const results = await lanes.askAll<readonly PackedLeafResult[]>('runLeaves', leaves, signal)
        stage = await lanes.ask<StageResponse>(coordinator, 'queryProvide', { id, results }, signal)
      }
      id = null
      return stage.answer as T
    } finally {
      if (id !== null) await lanes.ask(coordinator, 'queryDrop', { id }).catch(() => {})
    }
  }

  #observe(slice: string, ms: number): void {
    this.#durations.labels(slice).observe(ms / 1000)
    this.#histograms.labels(slice).observe(ms / 1000)
  }

  /** The answer, or the error for the abort that comes first; the work itself is told to stop by its flag. */
  #untilAborted<T>(answer: Promise<T>, client: AbortSignal, deadline: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const canceled = (): void => reject(new PromhiveError('QUERY_CANCELED', 'query was canceled in expression evaluation'))
      const timedOut = (): void => reject(new PromhiveError('QUERY_TIMEOUT', 'query timed out in expression evaluation'))
      client.addEventListener('abort', canceled, { once: true })
      deadline.addEventListener('abort', timedOut, { once: true })
      answer.then(resolve, reject).finally(() => {
        client.removeEventListener('abort', canceled)
        deadline.removeEventListener('abort', timedOut)
      })
    })
  }

  #enter(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#running < this.#options.concurrencyMax) {
      this.#running++
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        done()
        this.#running++
        resolve()
      }
      const fail = (thrown: PromhiveError): void => {
        done()
        this.#waiting.splice(this.#waiting.indexOf(turn), 1)
        reject(thrown)
      }
      const canceled = (): void => fail(new PromhiveError('QUERY_CANCELED', 'query was canceled in query queue'))
      const timer = this.#options.clock.after(timeoutMs, () => fail(new PromhiveError('QUERY_TIMEOUT', 'query timed out in query queue')))
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', canceled)
      }
      signal.addEventListener('abort', canceled, { once: true })
      this.#waiting.push(turn)
    })
  }

  #leave(): void {
    this.#running--
    this.#waiting.shift()?.()
  }
}
