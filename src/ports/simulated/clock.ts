// Virtual time. Nothing happens until `advance`: timers then run in order of their time, and of their creation where times are equal,
// and after each one every promise that can settle has settled.
import type { Clock, Timer } from '../clock.ts'
import { nextTurn } from '../node/turn.ts'

export interface SimulatedClock extends Clock {
  /** Lets `ms` pass: runs every timer that is due on the way, those that timers set included, and settles what they started. */
  advance(ms: number): Promise<void>
  /** Jumps to the next timer and runs it. False where there is none. */
  step(): Promise<boolean>
  /** Moves the wall clock alone (an NTP jump, skew); timers and monotonicMs do not notice. */
  jumpWall(byMs: number): void
  /** Lets promises and macrotasks that need no time settle. */
  settle(): Promise<void>
  /** Timers waiting. */
  readonly pending: number
}

type Waiting = { dueMs: number; order: number; task: () => void }

/** @param startMs the wall clock's first reading, milliseconds since the epoch. */
export function simulatedClock(startMs = 0): SimulatedClock {
  let elapsedMs = 0
  let wallMs = startMs
  let orders = 0
  // A binary heap: simulations hold thousands of timers.
  const heap: Waiting[] = []
  const live = new Set<Waiting>()

  const before = (a: Waiting, b: Waiting): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
  const push = (item: Waiting): void => {
    let at = heap.push(item) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!before(item, heap[up]!)) break
      heap[at] = heap[up]!
      at = up
    }
    heap[at] = item
  }
  const pop = (): void => {
    const item = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, item)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = item
  }
  /** The next timer due by `untilMs`, taken off the heap, the clock set to its time. */
  const next = (untilMs: number): Waiting | undefined => {
    while (heap.length > 0 && heap[0]!.dueMs <= untilMs) {
      const first = heap[0]!
      pop()
      if (!live.delete(first)) continue
      elapsedMs = Math.max(elapsedMs, first.dueMs)
      return first
    }
    return undefined
  }
  const after = (delayMs: number, task: () => void): Timer => {
    const item = { dueMs: elapsedMs + (delayMs > 0 ? delayMs : 0), order: orders++, task }
    push(item)
    live.add(item)
    return { cancel: () => void live.delete(item) }
  }

  return {
    nowMs: () => Math.floor(wallMs + elapsedMs),
    monotonicMs: () => elapsedMs,
    after,
    sleep: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
    async advance(ms) {
      const untilMs = elapsedMs + ms
      await settle()
      for (let due = next(untilMs); due !== undefined; due = next(untilMs)) {
        due.task()
        await settle()
      }
      elapsedMs = untilMs
    },
    async step() {
      await settle()
      const due = next(Infinity)
      due?.task()
      await settle()
      return due !== undefined
    },
    jumpWall: (byMs) => void (wallMs += byMs),
    settle,
    get pending() {
      return live.size
    },
  }
}

/** Two turns of the event loop: every chain of promises runs dry in the first, what used a message port or an immediate runs in the second. */
async function settle(): Promise<void> {
  await nextTurn()
  await nextTurn()
}
