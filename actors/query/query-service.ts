// Queries of this node: a bounded number at a time, each with a deadline, run by the storage workers next to the data.
//
//   query ─▶ gate (--query.max-concurrency) ─▶ storage worker: parse, plan, leaves, evaluate, write JSON ─▶ bytes
import { Cancel, type Cancellation } from '../../src/base/cancel.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { releasePages } from '../../src/base/shared-pages.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { HistogramMetric, MetricsRegistry, Numbers, SummaryMetric } from '../../src/base/metrics.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { PromqlFeatures } from '../../src/promql/ast.ts'
import type { LastSamples, QueryOrigin, QueryVector } from '../../src/rules/querying.ts'
import type { Lanes } from '../storage-shard/lanes.ts'
import type { PackedLeafResult } from '../../src/promql/engine.ts'
import type { ActiveQueries } from './active-queries.ts'
import type { LoggedQuery, QueryLog } from './query-log.ts'
import type { LeavesRequest, QueryRequest, QueryResponse, SampleCounts, StageResponse, VectorResponse } from './query-protocol.ts'

export type QueryServiceOptions = Readonly<{
  lanes: Lanes
  clock: Clock
  logger: Logger
  metrics: MetricsRegistry
  log: QueryLog
  /** Its slots are the gate. */
  active: ActiveQueries
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
  origin: Readonly<{ clientIp: string; method: string; path: string }>
}>

/** One part of a query's time, in both metrics that show it; the histogram's series appears with the first query. */
class Slice {
  readonly #duration: ReturnType<SummaryMetric['labels']>
  readonly #histograms: HistogramMetric
  readonly #name: string
  #histogram: ReturnType<HistogramMetric['labels']> | null = null
  constructor(durations: SummaryMetric, histograms: HistogramMetric, name: string) {
    this.#duration = durations.labels(name)
    this.#histograms = histograms
    this.#name = name
  }
  observe(ms: number): void {
    this.#duration.observe(ms / 1000)
    this.#histogram ??= this.#histograms.labels(this.#name)
    this.#histogram.observe(ms / 1000)
  }
}

export class QueryService {
  readonly #options: QueryServiceOptions
  readonly #waiting: (() => void)[] = []
  #turn = 0
  readonly #active: Numbers
  readonly #queued: Slice
  readonly #prepared: Slice
  readonly #evaluated: Slice
  readonly #sorted: Slice
  readonly #samplesTotal: Numbers
  readonly #samplesRead: Numbers

  constructor(options: QueryServiceOptions) {
    this.#options = options
    const { metrics } = options
    this.#active = metrics.gauge('prometheus_engine_queries', 'The current number of queries being executed or waiting.')
    metrics.gauge('prometheus_engine_queries_concurrent_max', 'The max number of concurrent queries.').set(options.concurrencyMax)
    const durations = metrics.summary('prometheus_engine_query_duration_seconds', 'Query timings', [0.5, 0.9, 0.99], ['slice'])
    const histograms = metrics.histogram(
      'prometheus_engine_query_duration_histogram_seconds',
      'The duration of various parts of PromQL query execution.',
      [0.01, 0.1, 1, 10],
      ['slice'],
    )
    this.#samplesTotal = metrics.counter(
      'prometheus_engine_query_samples_total',
      'The total number of samples loaded by all queries (full window per step for range-vector).',
    )
    this.#samplesRead = metrics.counter(
      'prometheus_engine_query_samples_read_total',
      'The total number of samples read by all queries (only new points per step for range-vector).',
    )
    const slice = (name: string): Slice => new Slice(durations, histograms, name)
    this.#queued = slice('queue_time')
    this.#prepared = slice('prepare_time')
    this.#evaluated = slice('inner_eval')
    this.#sorted = slice('result_sort')
  }

  async instant(query: QueryInput & Readonly<{ timeMs: number }>, signal: Cancellation): Promise<QueryAnswer> {
    return this.#json(this.#request(query, { startMs: query.timeMs, endMs: query.timeMs, stepMs: 0 }, 'json'), query, signal)
  }

  async range(
    query: QueryInput & Readonly<{ startMs: number; endMs: number; stepMs: number }>,
    signal: Cancellation,
  ): Promise<QueryAnswer> {
    return this.#json(this.#request(query, query, 'json'), query, signal)
  }

  /** For rules: an instant vector, a scalar as one sample without labels. */
  async ruleQuery(expr: string, timeMs: number, signal: Cancellation, origin: QueryOrigin | null = null): Promise<QueryVector> {
    const input = { query: expr, timeoutMs: null, limit: 0, lookbackMs: null, stats: 'none' } as const
    const request = this.#request(input, { startMs: timeMs, endMs: timeMs, stepMs: 0 }, 'vector')
    const answer = await this.#run<VectorResponse>(request, origin, signal)
    return {
      labels: answer.labels,
      values: answer.values,
      ...(answer.histograms === null ? {} : { histograms: answer.histograms }),
      warnings: answer.warnings,
    }
  }

  /** The newest float of every matching series in the range, staleness markers included. */
  async selectLast(matchers: readonly Matcher[], startMs: number, endMs: number, signal: Cancellation): Promise<LastSamples> {
    const answers = await this.#options.lanes.askAll<LastSamples>('lastFloats', { matchers, startMs, endMs }, signal)
    if (answers.length === 1) return answers[0]!
    return {
      labels: answers.flatMap((answer) => answer.labels),
      times: Float64Array.from(answers.flatMap((answer) => [...answer.times])),
      values: Float64Array.from(answers.flatMap((answer) => [...answer.values])),
    }
  }

  #request(
    input: Omit<QueryInput, 'origin'>,
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

  #json(request: QueryRequest, { origin }: QueryInput, signal: Cancellation): Promise<QueryAnswer> {
    const { clientIp: clientIP, method, path } = origin
    return this.#run<QueryResponse>(request, { httpRequest: { clientIP, method, path } }, signal)
  }

  /** Lets the query in, answers or fails as soon as that is known, and lets the next one in when no worker is busy with it any more. */
  async #run<T extends QueryResponse | VectorResponse>(
    request: QueryRequest,
    origin: QueryOrigin | null,
    signal: Cancellation,
  ): Promise<T> {
    const { clock } = this.#options
    const asked = clock.monotonicMs()
    this.#active.inc()
    let slot: number
    try {
      slot = this.#options.active.insert(request.query) ?? (await this.#turnOf(request.query, request.timeoutMs, signal))
    } catch (thrown) {
      this.#active.inc(-1)
      throw thrown
    }
    const entered = clock.monotonicMs()
    const queuedMs = entered - asked
    this.#queued.observe(queuedMs)
    const timeoutMs = request.timeoutMs - queuedMs
    try {
      const answer = await this.#answered<T>({ ...request, queuedMs, timeoutMs }, slot, signal)
      this.#prepared.observe(answer.prepareMs)
      this.#evaluated.observe(answer.evalMs)
      this.#sorted.observe(answer.sortMs)
      this.#samplesTotal.inc(answer.samples.total)
      this.#samplesRead.inc(answer.samples.read)
      if (this.#options.log.isOn) this.#log(request, origin, null, { queuedMs, ...answer }, answer.samples)
      return answer
    } catch (thrown) {
      // as in Prometheus, what does not parse was never a query
      if (!(thrown instanceof PromhiveError && thrown.code === 'PROMQL_PARSE')) {
        const evalMs = clock.monotonicMs() - entered
        this.#log(request, origin, messageOf(thrown), { queuedMs, prepareMs: 0, evalMs, sortMs: 0 }, noSamples)
      }
      throw thrown
    }
  }

  /** The answer, or the error for what comes first: the client goes, or time is over. The work is then told to stop, and its slot is free when it has. */
  #answered<T extends QueryResponse | VectorResponse>(request: QueryRequest, slot: number, signal: Cancellation): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = new Cancel()
      let gone = false
      const fail = (thrown: PromhiveError): void => {
        gone = true
        reject(thrown)
        stop.cancel()
      }
      const canceled = (): void => fail(new PromhiveError('QUERY_CANCELED', 'query was canceled in expression evaluation'))
      // beyond its own deadline the worker may be busy with others: the caller is not kept waiting for that
      const timer = this.#options.clock.after(request.timeoutMs, () =>
        fail(new PromhiveError('QUERY_TIMEOUT', 'query timed out in expression evaluation')),
      )
      const end = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', canceled)
        this.#leave(slot)
        this.#active.inc(-1)
      }
      if (signal.aborted) canceled()
      else signal.addEventListener('abort', canceled, { once: true })
      this.#evaluate<T>(request, stop).then(
        (answer) => {
          end()
          if (!gone) resolve(answer)
          else if ('data' in answer) releasePages(answer.data)
        },
        (thrown: unknown) => {
          end()
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
        },
      )
    })
  }

  #log(
    { query, startMs, endMs, stepMs }: QueryRequest,
    origin: QueryOrigin | null,
    error: string | null,
    timings: LoggedQuery['timings'],
    samples: SampleCounts,
  ): void {
    const { log } = this.#options
    if (log.isOn) log.write({ query, startMs, endMs, stepMs, error, timings, samples, origin })
  }

  /** In one worker whole; in several, stage by stage with one of them coordinating, each query another. */
  #evaluate<T>(request: QueryRequest, signal: Cancellation): Promise<T> {
    const { lanes } = this.#options
    return lanes.count === 1 ? lanes.ask<T>(0, 'query', request, signal) : this.#inStages<T>(request, signal)
  }

  async #inStages<T>(request: QueryRequest, signal: Cancellation): Promise<T> {
    const { lanes } = this.#options
    const coordinator = this.#turn++ % lanes.count
    let stage = await lanes.ask<StageResponse>(coordinator, 'queryStart', request, signal)
    let id: number | null = null
    try {
      while (stage.kind === 'leaves') {
        id = stage.id
        const leaves: LeavesRequest = { leaves: stage.leaves, request: { samplesMax: request.samplesMax, timeoutMs: request.timeoutMs } }
        const results = await lanes.askAll<readonly PackedLeafResult[]>('runLeaves', leaves, signal)
        if (signal.aborted) throw new PromhiveError('QUERY_CANCELED', 'query was canceled in expression evaluation')
        stage = await lanes.ask<StageResponse>(coordinator, 'queryProvide', { id, results }, signal)
      }
      id = null
      return stage.answer as T
    } finally {
      if (id !== null) await lanes.ask(coordinator, 'queryDrop', { id }).catch(() => {})
    }
  }

  /** Waits for a slot of the active queries. */
  #turnOf(query: string, timeoutMs: number, signal: Cancellation): Promise<number> {
    const { active, clock } = this.#options
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        done()
        resolve(active.insert(query)!)
      }
      const fail = (thrown: PromhiveError): void => {
        done()
        this.#waiting.splice(this.#waiting.indexOf(turn), 1)
        reject(thrown)
      }
      const canceled = (): void => fail(new PromhiveError('QUERY_CANCELED', 'query was canceled in query queue'))
      const timer = clock.after(timeoutMs, () => fail(new PromhiveError('QUERY_TIMEOUT', 'query timed out in query queue')))
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', canceled)
      }
      signal.addEventListener('abort', canceled, { once: true })
      this.#waiting.push(turn)
    })
  }

  #leave(slot: number): void {
    this.#options.active.remove(slot)
    this.#waiting.shift()?.()
  }
}

const noSamples: SampleCounts = { total: 0, read: 0, peak: 0, perStep: null }
