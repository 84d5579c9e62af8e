// Requests that take long share a storage worker in time slices: records and other requests come in between. A request that ends within its first slice
// never waits; what goes on longer sinks to a level where fewer of its kind are under way at a time, so that memory stays that of a few.
//
//   request ──first slice──▶ answer
//                 └─▶ level 0 ──32 ms of work──▶ level 1 ──128 ms──▶ level 2 ──1 s──▶ level 3
//                     round robin                round robin          one after the other, the oldest first
//
// Where they have work, one of eight turns belongs to level 3, one to level 2, two to level 1 and the rest to level 0: nobody starves. A task whose slice is over in the middle of something
// it cannot leave serves the others from there (`serveOthers`), new requests and lower levels, a slice at a time, and goes on.
import type { Clock } from '../../src/ports/clock.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import type { Steps } from '../../src/promql/steps.ts'

/** Work after which a task sinks to the next level, ms. */
const levelMs = [32, 128, 1_000, Infinity]
/** Levels that let every task on them have a slice in its turn. */
const roundRobin = 2
/** Which level a turn belongs to; where it has no work, the lowest level that has. */
const turnLevels = [0, 1, 0, 2, 0, 1, 0, 3]

interface Task {
  readonly steps: Steps<unknown>
  readonly cancelled: () => boolean
  readonly done: (value: unknown) => void
  readonly failed: (thrown: unknown) => void
  workedMs: number
  /** Of the slice it has now. */
  startedMs: number
}

export class LaneTasks {
  readonly #clock: Clock
  readonly #sliceMs: number
  readonly #nextTurn: (task: () => void) => void
  /** Begins a request that waits; false where there is none. */
  readonly #beginNext: () => boolean
  readonly #levels: Task[][] = levelMs.map(() => [])
  /** Tasks that run now: at most one, and one it serves. */
  readonly #running: Task[] = []
  #sliceEndMs = Infinity
  #isScheduled = false
  #turns = 0

  /** @param sliceMs 0: a task pauses whenever it can. @param nextTurn runs a function after messages that wait. */
  constructor(clock: Clock, sliceMs: number, nextTurn: (task: () => void) => void, beginNext: () => boolean) {
    this.#clock = clock
    this.#sliceMs = sliceMs
    this.#nextTurn = nextTurn
    this.#beginNext = beginNext
  }

  /** Tasks that have paused. */
  get paused(): number {
    return this.#levels.reduce((sum, level) => sum + level.length, 0)
  }

  /** True once the task that runs has had its slice. */
  isSliceOver(): boolean {
    return this.#clock.monotonicMs() >= this.#sliceEndMs
  }

  /**
   * Runs the first slice now; `done` or `failed` is called where the task ends, which may be within the call. A task that is cancelled while it pauses is
   * given up, its `finally` included.
   */
  run<T>(steps: Steps<T>, cancelled: () => boolean, done: (value: T) => void, failed: (thrown: unknown) => void): void {
    const task: Task = { steps, cancelled, done: done as (value: unknown) => void, failed, workedMs: 0, startedMs: 0 }
    if (!this.#slice(task)) this.#queue(task, false)
  }

  /** For the task that runs, between two of its loops: a slice for a new request, a slice for a task of a lower level, then one of its own. */
  serveOthers(): void {
    const task = this.#running[0]
    if (task === undefined || this.#running.length > 1) return
    const paused = this.#clock.monotonicMs()
    task.workedMs += paused - task.startedMs
    this.#beginNext()
    this.#giveUpCancelled()
    this.#turn(levelOf(task))
    task.startedMs = this.#clock.monotonicMs()
    this.#sliceEndMs = task.startedMs + this.#sliceMs
  }

  /** Gives up everything that has paused. */
  stop(): void {
    for (const level of this.#levels)
      for (const task of level.splice(0)) giveUp(task, new PromhiveError('UNAVAILABLE', 'the storage is closing'))
  }

  /** True where the task has ended. */
  #slice(task: Task): boolean {
    task.startedMs = this.#clock.monotonicMs()
    const outerEndMs = this.#sliceEndMs
    this.#sliceEndMs = task.startedMs + this.#sliceMs
    this.#running.push(task)
    let step: IteratorResult<void, unknown>
    try {
      step = task.steps.next()
    } catch (thrown) {
      this.#leave(outerEndMs)
      task.failed(thrown)
      return true
    }
    this.#leave(outerEndMs)
    task.workedMs += this.#clock.monotonicMs() - task.startedMs
    if (step.done === true) task.done(step.value)
    return step.done === true
  }

  #leave(outerEndMs: number): void {
    this.#running.pop()
    this.#sliceEndMs = outerEndMs
  }

  #queue(task: Task, first: boolean): void {
    const level = this.#levels[levelOf(task)]!
    if (first) level.unshift(task)
    else level.push(task)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.paused === 0) return
    this.#isScheduled = true
    this.#nextTurn(() => {
      this.#isScheduled = false
      this.#giveUpCancelled()
      this.#turn(levelMs.length)
      this.#schedule()
    })
  }

  #giveUpCancelled(): void {
    for (const level of this.#levels) {
      for (const task of level.filter(({ cancelled }) => cancelled())) {
        level.splice(level.indexOf(task), 1)
        giveUp(task, new PromhiveError('QUERY_CANCELED', 'query was canceled in expression evaluation'))
      }
    }
  }

  /** One slice for a task of a level below `levels`. */
  #turn(levels: number): void {
    const own = turnLevels[this.#turns++ % turnLevels.length]!
    const hasWork = (level: number): boolean => level < levels && this.#levels[level]!.length > 0
    const at = hasWork(own) ? own : this.#levels.findIndex((_, level) => hasWork(level))
    if (at === -1) return
    const task = this.#levels[at]!.shift()!
    if (!this.#slice(task)) this.#queue(task, at >= roundRobin && levelOf(task) === at)
  }
}

function levelOf({ workedMs }: Task): number {
  return levelMs.findIndex((limit) => workedMs < limit)
}

function giveUp(task: Task, why: PromhiveError): void {
  try {
    task.steps.return(undefined)
  } finally {
    task.failed(why)
  }
}
