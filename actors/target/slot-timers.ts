// Scrapes that begin together: a process that is woken once for ten targets spends over a third less on each than one
// that is woken for each of them.
//
//   SlotSteps   how coarse the slots of new targets are: some ten targets share one, and never more than half a second lies between two
//   SlotTimers  one timer for all cycles that wait for the same slot
import type { Clock, Timer } from '../../src/ports/clock.ts'

/** Steps between slots, ms: all go into a second. */
const steps = [500, 250, 200, 100, 50, 20, 10, 5, 2, 1] as const
const sharing = 10
/** Slots an interval has at least: short intervals are spread, too. */
const slotsPerInterval = 10
/** A clock that is off by less was not set. */
const clockSetMs = 250

/** The scrape rates of a process' pools, and what follows from them for slots. */
export class SlotSteps {
  readonly #perMs = new Map<object, number>()

  /** Scrapes a millisecond of a pool; 0 forgets it. */
  set(pool: object, perMs: number): void {
    if (perMs > 0) this.#perMs.set(pool, perMs)
    else this.#perMs.delete(pool)
  }

  /** Offsets of targets that start now are multiples of it. */
  stepMs(intervalMs: number): number {
    let perMs = 0
    for (const each of this.#perMs.values()) perMs += each
    const most = Math.min(intervalMs / slotsPerInterval, perMs > 0 ? sharing / perMs : Infinity)
    return steps.find((step) => step <= most) ?? 1
  }
}

type Shared = { readonly tasks: Set<() => void>; readonly dueMs: number; readonly timer: Timer }

export class SlotTimers {
  readonly #clock: Clock
  readonly #waiting = new Map<number, Shared>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  nowMs(): number {
    return this.#clock.nowMs()
  }

  /** Runs the task at a time of the wall clock, behind those that wait for it already; soon where it is over. A task must not throw. */
  at(slotMs: number, task: () => void): Timer {
    const delayMs = Math.max(0, slotMs - this.#clock.nowMs())
    const dueMs = this.#clock.monotonicMs() + delayMs
    const known = this.#waiting.get(slotMs)
    if (known === undefined) return this.#join(slotMs, this.#begin(slotMs, delayMs, dueMs), task)
    // where the wall clock was set meanwhile, the same slot is due at another moment
    if (Math.abs(known.dueMs - dueMs) < clockSetMs) return this.#join(slotMs, known, task)
    return this.#clock.after(delayMs, task)
  }

  #begin(slotMs: number, delayMs: number, dueMs: number): Shared {
    const tasks = new Set<() => void>()
    const timer = this.#clock.after(delayMs, () => {
      this.#waiting.delete(slotMs)
      for (const task of tasks) task()
    })
    const made: Shared = { tasks, dueMs, timer }
    this.#waiting.set(slotMs, made)
    return made
  }

  #join(slotMs: number, shared: Shared, task: () => void): Timer {
    const { tasks, timer } = shared
    tasks.add(task)
    return {
      cancel: () => {
        if (!tasks.delete(task) || tasks.size > 0) return
        timer.cancel()
        if (this.#waiting.get(slotMs) === shared) this.#waiting.delete(slotMs)
      },
    }
  }
}
