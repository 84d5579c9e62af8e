// The machine's clock. Timers are Node's, unreferenced: a program that only waits for a timer may end.
import type { Clock, Timer } from '../clock.ts'

/** setTimeout counts in a signed 32-bit number of milliseconds; longer delays are waited for in pieces. */
const nodeDelayMsMax = 2 ** 31 - 1

export function nodeClock(): Clock {
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after,
    sleep: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
  }
}

function after(delayMs: number, task: () => void): Timer {
  if (!(delayMs > nodeDelayMsMax)) {
    const timeout = setTimeout(task, delayMs > 0 ? delayMs : 0)
    timeout.unref()
    return { cancel: () => clearTimeout(timeout) }
  }
  let piece: Timer
  const wait = (leftMs: number): void => {
    const nowMs = Math.min(leftMs, nodeDelayMsMax)
    piece = after(nowMs, () => (leftMs > nowMs ? wait(leftMs - nowMs) : task()))
  }
  wait(delayMs)
  return { cancel: () => piece.cancel() }
}
