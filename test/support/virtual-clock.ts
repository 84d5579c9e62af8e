// A clock that stands still until a test moves it. Timers run in order of time, then of making; promises settle in between.
import type { Clock, Timer } from '../../src/ports/clock.ts'

export class VirtualClock implements Clock {
  #nowMs: number
  #made = 0
  #timers: { atMs: number; order: number; task: () => void }[] = []
  constructor(nowMs = 0) {
    this.#nowMs = nowMs
  }
  nowMs(): number {
    return this.#nowMs
  }
  monotonicMs(): number {
    return this.#nowMs
  }
  after(delayMs: number, task: () => void): Timer {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#made++, task }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve))
  }
  /** Runs everything that is due within so many milliseconds. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs
    for (;;) {
      await settle()
      const due = this.#timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.task()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Lets everything that waits only for promises run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve()
}
