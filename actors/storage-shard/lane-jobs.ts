// Long work of a storage worker in slices: records and requests are served between them. Jobs run one at a time, urgent ones first; one that waits for the
// disk lets the others go on.
import type { Pause, Steps } from '../../src/base/steps.ts'
import type { Clock } from '../../src/ports/clock.ts'

/** It handles its own errors. */
type Job = {
  readonly name: string
  readonly steps: Steps
  readonly urgent: boolean
  readonly done: () => void
  /** Waits for what a step asked for. */
  waiting: boolean
}

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
    this.#jobs.push({ name, steps, urgent: given.urgent, done: given.done ?? (() => {}), waiting: false })
    this.#schedule()
  }

  /** Runs a job to its end now, without waiting for anything. */
  finish(name: string): void {
    const job = this.#jobs.find((one) => one.name === name)
    if (job === undefined) return
    while (this.#jobs.includes(job)) {
      if (job.steps.next().done === true) this.#end(job)
    }
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

  /** The first urgent one, or the first other one while that waits: of each kind they come one after the other. */
  #next(): Job | undefined {
    const urgent = this.#jobs.find((job) => job.urgent)
    if (urgent !== undefined && !urgent.waiting) return urgent
    const other = this.#jobs.find((job) => !job.urgent)
    return other?.waiting === false ? other : undefined
  }

  #schedule(): void {
    if (this.#scheduled || this.#next() === undefined) return
    this.#scheduled = true
    this.#clock.after(1, () => {
      this.#scheduled = false
      this.#slice()
      this.#schedule()
    })
  }

  #slice(): void {
    const until = this.#clock.monotonicMs() + this.#sliceMs
    for (let job = this.#next(); job !== undefined; job = this.#next()) {
      this.#took(job, job.steps.next())
      if (this.#clock.monotonicMs() >= until) return
    }
  }

  #took(job: Job, { done, value: pause }: IteratorResult<Pause, void>): void {
    if (done === true) return this.#end(job)
    if (pause === undefined) return
    job.waiting = true
    pause().then(
      () => this.#resume(job, () => job.steps.next(true)),
      (thrown: unknown) => this.#resume(job, () => job.steps.throw(thrown)),
    )
  }

  /** A job that was finished or given up in the meantime is gone. */
  #resume(job: Job, go: () => IteratorResult<Pause, void>): void {
    if (!job.waiting || !this.#jobs.includes(job)) return
    job.waiting = false
    this.#took(job, go())
    this.#schedule()
  }

  #end(job: Job): void {
    this.#jobs = this.#jobs.filter((one) => one !== job)
    job.done()
  }
}
