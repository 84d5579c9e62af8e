// What one query may cost, and whether it should still go on.
import { PromhiveError } from '../base/errors.ts'

export type BudgetOptions = Readonly<{
  /** --query.max-samples: samples in memory at one time. */
  samplesMax: number
  /** The query is given up at this time; needs `nowMs`. */
  deadlineMs?: number
  nowMs?: () => number
  /** Looked at every few milliseconds of work, e.g. over a SharedArrayBuffer. */
  isCanceled?: () => boolean
  /** Asked as often, other work may be done in it; true: the work has had its time slice and pauses where it next can (`takePause`). */
  pause?: () => boolean
}>

/** Units of work between two looks at clock and cancellation: about as many touched samples, so 1–3 ms. */
const workBetweenPolls = 1 << 17

/** Bytes an answer may have for every sample of --query.max-samples, and may have in any case: labels of a few thousand series. */
const answerBytesPerSample = 40
const answerBytesMin = 16 << 20

/**
 * Counts samples and work. One per query and thread. Throws PromhiveError QUERY_LIMIT, QUERY_CANCELED or QUERY_TIMEOUT with Prometheus' texts.
 */
export class Budget {
  readonly #options: BudgetOptions
  #work = 0
  #current = 0
  #peak = 0
  #pauses = false
  constructor(options: BudgetOptions) {
    this.#options = options
  }
  /** Samples held now, and the most ever held. */
  get current(): number {
    return this.#current
  }
  get peak(): number {
    return this.#peak
  }
  take(samples: number): void {
    this.#current += samples
    if (this.#current > this.#peak) this.#peak = this.#current
    if (this.#current > this.#options.samplesMax) throw tooManySamples()
  }
  give(samples: number): void {
    this.#current -= samples
  }
  /** Sparse series in dense columns may take a multiple of their samples' memory; this bounds the cells of one column. */
  cells(count: number): void {
    if (count > Math.max(this.#options.samplesMax * 4, 1 << 20)) throw tooManySamples()
  }
  /** Bytes of the answer written so far: an answer may not take more than its samples would, at the size of a long number each. */
  answerBytes(count: number): void {
    if (count > Math.max(this.#options.samplesMax * answerBytesPerSample, answerBytesMin)) throw tooManySamples()
  }
  /** A peak that another thread had while this one held what it holds. */
  notePeak(samples: number): void {
    if (samples > this.#peak) this.#peak = samples
  }
  /** Call in every long loop with about the count of samples touched since the last call. */
  tick(work: number): void {
    this.#work += work
    if (this.#work >= workBetweenPolls) this.poll()
  }
  poll(): void {
    this.#work = 0
    const { isCanceled, deadlineMs, nowMs, pause } = this.#options
    if (isCanceled !== undefined && isCanceled()) throw new PromhiveError('QUERY_CANCELED', 'query was canceled in expression evaluation')
    if (deadlineMs !== undefined && nowMs !== undefined && nowMs() >= deadlineMs)
      throw new PromhiveError('QUERY_TIMEOUT', 'query timed out in expression evaluation')
    if (pause !== undefined && pause()) this.#pauses = true
  }
  /** True once for every time slice that has ended: the work should pause here. */
  takePause(): boolean {
    if (!this.#pauses) return false
    this.#pauses = false
    return true
  }
}

function tooManySamples(): PromhiveError {
  return new PromhiveError('QUERY_LIMIT', 'query processing would load too many samples into memory in query execution')
}

/** The query is sound but cannot be evaluated with these samples. The text is Prometheus' own. */
export function executionError(text: string): PromhiveError {
  return new PromhiveError('PROMQL_EXECUTION', text)
}
