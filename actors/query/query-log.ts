// The query log (`global.query_log_file`): a JSON line for every query that was evaluated, in the form of Prometheus 3 (FEATURES 4.40).
// A reload opens the file anew, so that rotated files work; writing never holds up a query, and what the disk cannot take is counted.
import type { Logger } from '../../src/base/logger.ts'
import type { MetricsRegistry, Numbers } from '../../src/base/metrics.ts'
import { alertTimeText } from '../../src/alerting/payload.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { LineFile, OpenLineFile } from '../../src/ports/line-file.ts'
import type { QueryOrigin } from '../../src/rules/querying.ts'
import type { SampleCounts } from './query-protocol.ts'

export type QueryLogParts = Readonly<{ clock: Clock; logger: Logger; metrics: MetricsRegistry; open: OpenLineFile }>

/** One query that has ended. */
export type LoggedQuery = Readonly<{
  query: string
  startMs: number
  endMs: number
  /** 0: an instant query. */
  stepMs: number
  /** Null: it gave an answer. */
  error: string | null
  timings: Readonly<{ queuedMs: number; prepareMs: number; evalMs: number; sortMs: number }>
  samples: SampleCounts
  origin: QueryOrigin | null
}>

/** Between two lines in the program's own log about lines that were lost. */
const toldEveryMs = 60_000

export class QueryLog {
  readonly #parts: QueryLogParts
  readonly #enabled: Numbers
  readonly #failures: Numbers
  #file: LineFile | null = null
  #toldAtMs = -Infinity

  constructor(parts: QueryLogParts) {
    this.#parts = parts
    this.#enabled = parts.metrics.gauge('prometheus_engine_query_log_enabled', 'State of the query log.')
    this.#failures = parts.metrics.counter('prometheus_engine_query_log_failures_total', 'The number of query log failures.')
  }

  get isOn(): boolean {
    return this.#file !== null
  }

  /** Opens a file without using it yet, so that a configuration that names a bad one can be refused whole. Null for ''. Throws as OpenLineFile. */
  open(path: string): LineFile | null {
    return path === '' ? null : this.#parts.open(path, (lines, why) => this.#lost(lines, why))
  }

  /** Uses this file from now on; null: none. The one before is closed when its lines are written. */
  async use(file: LineFile | null): Promise<void> {
    const before = this.#file
    this.#file = file
    this.#enabled.set(file === null ? 0 : 1)
    await before?.close()
  }

  write(logged: LoggedQuery): void {
    this.#file?.write(lineOf(logged, this.#parts.clock.nowMs()))
  }

  #lost(lines: number, why: string): void {
    this.#failures.inc(lines)
    const now = this.#parts.clock.monotonicMs()
    if (now - this.#toldAtMs < toldEveryMs) return
    this.#toldAtMs = now
    this.#parts.logger.warn({ lines, err: why }, 'lines of the query log are lost')
  }
}

/** The members in Prometheus' order. There is no tracing here: its identifiers are the zeros that Prometheus writes without it. */
function lineOf({ query, startMs, endMs, stepMs, error, timings, samples, origin }: LoggedQuery, nowMs: number): string {
  const { queuedMs, prepareMs, evalMs, sortMs } = timings
  const evaluatedMs = prepareMs + evalMs + sortMs
  const { total, read, peak, perStep } = samples
  const points = (counts: Float64Array): [number, number][] => Array.from(counts, (count, k) => [(startMs + k * stepMs) / 1000, count])
  return JSON.stringify({
    time: alertTimeText(nowMs).replace(/\.?0+Z$/, 'Z'),
    level: 'INFO',
    source: 'query-log.ts',
    msg: 'promql query logged',
    params: { end: alertTimeText(endMs), query, start: alertTimeText(startMs), step: Math.trunc(stepMs / 1000) },
    ...(error === null ? {} : { error }),
    stats: {
      timings: {
        evalTotalTime: evaluatedMs / 1000,
        resultSortTime: sortMs / 1000,
        queryPreparationTime: prepareMs / 1000,
        innerEvalTime: evalMs / 1000,
        execQueueTime: queuedMs / 1000,
        execTotalTime: (queuedMs + evaluatedMs) / 1000,
      },
      samples: {
        ...(perStep === null ? {} : { totalQueryableSamplesPerStep: points(perStep.total) }),
        totalQueryableSamples: total,
        ...(perStep === null ? {} : { samplesReadPerStep: points(perStep.read) }),
        samplesRead: read,
        peakSamples: peak,
      },
    },
    spanID: '0000000000000000',
    traceID: '00000000000000000000000000000000',
    ...origin,
  })
}
