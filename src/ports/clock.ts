/** Time. Adapters: node/clock.ts (the machine's), simulated/clock.ts (virtual). test/conformance/clock.ts is the contract. */
export interface Clock {
  /** Wall clock: milliseconds since the epoch, may jump. */
  nowMs(): number
  /** Milliseconds since an arbitrary start, never goes back; fractions are meaningful. */
  monotonicMs(): number
  /** Runs `task` once after `delayMs`. Timers never keep the process alive by themselves. */
  after(delayMs: number, task: () => void): Timer
  sleep(delayMs: number): Promise<void>
}
export interface Timer {
  /** Harmless after the task has run. */
  cancel(): void
}
