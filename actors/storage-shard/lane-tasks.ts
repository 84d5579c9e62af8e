// Requests that take long share a storage worker in time slices: records and short requests come in between. A request that ends within its first slice
// never waits; what goes on longer sinks to a level where fewer of its kind are under way at a time, so that memory stays that of a few.
//
//   request ──first slice──▶ answer
//                 └─▶ level 0, round robin ──64 ms of work──▶ level 1, one after the other ──1 s──▶ level 2, one after the other
//
// Of eight turns one belongs to level 2 and one to level 1 where they have work: nobody starves.
import type { Clock } from '../../src/ports/clock.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import type { Steps } from '../../src/promql/steps.ts'

/** Work after which a task sinks to the next level, ms. */
const levelMs = [64, 1_000, Infinity]

interface Task {
  readonly steps: Steps<unknown>
  readonly cancelled: () => boolean
  readonly resolve: (value: unknown) => void
  readonly reject: (thrown: unknown) => void
  workedMs: number
}

export class LaneTasks {
  readonly #clock: Clock
  readonly #sliceMs: number
  readonly #nextTurn: (task: () => void) => void
  readonly #levels: Task[][] = levelMs.map(() => [])
  #sliceEndMs = Infinity
  #isScheduled = false
  #turns = 0

  /** @param sliceMs 0: a task pauses whenever it can. @param nextTurn runs a function after messages that wait. */
  constructor(clock: Clock, sliceMs: number, nextTurn: (task: () => void) => void) {
    this.#clock = clock
    this.#sliceMs = sliceMs
    this.#nextTurn = nextTurn
  }

  /** Tasks that have paused. */
  get paused(): number {
    return this.#levels.reduce((sum, level) => sum + level.length, 0)
  }

  /** True once the task that runs has had its slice. */
  isSliceOver(): boolean {
    return this.#clock.monotonicMs() >= this.#sliceEndMs
  }

  /** Runs the first slice now. A task that is cancelled while it pauses is given up, its `finally` included. */
  run<T>(steps: Steps<T>, cancelled: () => boolean): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const task: Task = { steps, cancelled, resolve: resolve as (value: unknown) => void, reject, workedMs: 0 }
      if (!this.#slice(task)) this.#queue(task)
    })
  }

  /** Gives up everything. */
  stop(): void {
    for (const level of this.#levels)
      for (const task of level.splice(0)) giveUp(task, new PromhiveError('UNAVAILABLE', 'the storage is closing'))
  }

  /** True where the task has ended. */
  #slice(task: Task): boolean {
    const started = this.#clock.monotonicMs()
    this.#sliceEndMs = started + this.#sliceMs
    try {
      const step = task.steps.next()
      if (step.done === true) {
        task.resolve(step.value)
        return true
      }
    } catch (thrown) {
      task.reject(thrown)
      return true
    } finally {
      this.#sliceEndMs = Infinity
    }
    task.workedMs += this.#clock.monotonicMs() - started
    return false
  }

  #queue(task: Task): void {
    this.#levels[levelMs.findIndex((limit) => task.workedMs < limit)]!.push(task)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.paused === 0) return
    this.#isScheduled = true
    this.#nextTurn(() => {
      this.#isScheduled = false
      this.#turn()
      this.#schedule()
    })
  }

  #turn(): void {
    for (const level of this.#levels) {
      for (const task of level.filter(({ cancelled }) => cancelled())) {
        level.splice(level.indexOf(task), 1)
        giveUp(task, new PromhiveError('QUERY_CANCELED', 'query was canceled in expression evaluation'))
      }
    }
    const at = this.#levelOfTurn()
    const level = this.#levels[at]
    const task = level?.[0]
    if (level === undefined || task === undefined) return
    if (this.#slice(task)) {
      level.splice(level.indexOf(task), 1)
      return
    }
    // the lower levels go on with the one they have begun
    if (at > 0 && task.workedMs < levelMs[at]!) return
    level.splice(level.indexOf(task), 1)
    this.#queue(task)
  }

  /** −1: there is none. */
  #levelOfTurn(): number {
    const turn = this.#turns++ % 8
    const order = turn === 7 ? [2, 1, 0] : turn === 3 ? [1, 2, 0] : [0, 1, 2]
    return order.find((level) => this.#levels[level]!.length > 0) ?? -1
  }
}

function giveUp(task: Task, why: PromhiveError): void {
  try {
    task.steps.return(undefined)
  } finally {
    task.reject(why)
  }
}
