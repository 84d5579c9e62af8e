// The Clock port as the clock XState machines run on: `createActor(machine, { clock: xstateClock(clock) })`.
// Every `after` of a machine then follows the injected time, virtual in tests and in the simulator.
import type { Clock, Timer } from '../../src/ports/clock.ts'

/** What XState asks of a clock (its `Clock` interface); the id it is given back is our Timer. */
export interface MachineClock {
  setTimeout: (task: () => void, delayMs: number) => Timer
  clearTimeout: (timer: Timer | undefined) => void
}

/** Keeps no state of its own: one may be shared by any number of actors. A negative or missing delay counts as 0. */
export function xstateClock(clock: Clock): MachineClock {
  return {
    setTimeout: (task, delayMs) => clock.after(delayMs > 0 ? delayMs : 0, task),
    clearTimeout: (timer) => timer?.cancel(),
  }
}
