// A Log whose answers get lost, by seed: appends that are stored and said to be ambiguous, appends that are refused, slow ones.
// Torn writes and lost syncs are the simulated disk's matter, below the embedded log.
import type { Rng } from '../../src/base/rng.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Log } from '../ports.ts'

/** Probabilities per append, and the delay before each, drawn evenly. */
export type LogFaults = {
  /** Stored, but the answer is lost. */
  lostReply: number
  /** Not stored, and that cannot be told either. */
  lostRequest: number
  unavailable: number
  full: number
  delayMs: readonly [number, number]
}

/** @param faults may be changed during a run. */
export function simulatedLog(inner: Log, clock: Clock, rng: Rng, faults: Readonly<LogFaults>): Log {
  return {
    async append(shard, record, id) {
      const ms = faults.delayMs[0] + rng.next() * (faults.delayMs[1] - faults.delayMs[0])
      if (ms > 0) await clock.sleep(ms)
      if (rng.chance(faults.unavailable)) return { kind: 'unavailable', why: 'simulated: unavailable' }
      if (rng.chance(faults.full)) return { kind: 'full', why: 'simulated: full' }
      if (rng.chance(faults.lostRequest)) return { kind: 'ambiguous', why: 'simulated: request lost' }
      const outcome = await inner.append(shard, record, id)
      return outcome.kind === 'ok' && rng.chance(faults.lostReply) ? { kind: 'ambiguous', why: 'simulated: reply lost' } : outcome
    },
    read: (shard, from) => inner.read(shard, from),
    follow: (shard, from, handler, failed) => inner.follow(shard, from, handler, failed),
    end: (shard) => inner.end(shard),
    first: (shard) => inner.first(shard),
    trim: (shard, before) => inner.trim(shard, before),
    close: () => inner.close(),
  }
}
