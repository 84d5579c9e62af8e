// Long work of a storage worker in slices: records and requests are served between them. Jobs run one at a time, urgent ones first.
import type { Clock } from '../../src/ports/clock.ts'

/** Work that pauses at every `yield`. It handles its own errors; `return()` gives it up, and its `finally` tidies up. */
export type Steps = Generator<void, void>
type Job = { readonly name: string; readonly steps: Steps; readonly urgent: boolean; readonly done: () => void }

export class LaneJobs {
  readonly #clock: Clock
  readonly #sliceMs: number
  #jobs: Job[] = []
  #scheduled = false

  /** @param sliceMs how long a slice may take before the next step waits for the next one; 0: one step a slice. */
  constructor(clock: Clock, sliceMs: number) {
    this.#clock = clock
    this.#sliceMs = sliceMs
  }

  has(name: string): boolean {
    return this.#jobs.some((job) => job.name === name)
  }

  /** Starts a job unless one of this name is there. Urgent ones go before others. */
  start(name: string, steps: Steps, given: Readonly<{ urgent: boolean; done?: () => void }>): void {
    if (this.has(name)) return
    this.#jobs.push({ name, steps, urgent: given.urgent, done: given.done ?? (() => {}) })
    this.#schedule()
  }

  /** Runs a job to its end now. */
  finish(name: string): void {
    const job = this.#jobs.find((one) => one.name === name)
    if (job !== undefined) while (!this.#step(job));
  }

  /** Gives up all jobs; what they had begun is tidied away. */
  stop(): void {
    const jobs = this.#jobs
    this.#jobs = []
    for (const job of jobs) {
      job.steps.return()
      job.done()
    }
  }

  /** Gives up one job. */
  cancel(name: string): void {
    const job = this.#jobs.find((one) => one.name === name)
    if (job === undefined) return
    this.#jobs = this.#jobs.filter((one) => one !== job)
    job.steps.return()
    job.done()
  }

  #schedule(): void {
    if (this.#scheduled || this.#jobs.length === 0) return
    this.#scheduled = true
    this.#clock.after(1, () => {
      this.#scheduled = false
      this.#slice()
      this.#schedule()
    })
  }

  #slice(): void {
    const until = this.#clock.monotonicMs() + this.#sliceMs
    for (;;) {
      const job = this.#jobs.find(({ urgent }) => urgent) ?? this.#jobs[0]
      if (job === undefined) return
      this.#step(job)
      if (this.#clock.monotonicMs() >= until) return
    }
  }

  /** True where the job has ended. */
  #step(job: Job): boolean {
    if (job.steps.next().done !== true) return false
    this.#jobs = this.#jobs.filter((one) => one !== job)
    job.done()
    return true
  }
}
