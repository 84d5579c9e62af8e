// A Kv over a network that is slow and loses requests and answers, by seed. After a lost answer the change has happened: the hard case.
import { PromhiveError } from '../../src/base/errors.ts'
import type { Rng } from '../../src/base/rng.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Kv } from '../ports.ts'

/** Probabilities per call, and the delay before each and before each told change, drawn evenly. */
export type KvFaults = { lostReply: number; lostRequest: number; delayMs: readonly [number, number] }

/** @param faults may be changed during a run. */
export function simulatedKv(inner: Kv, clock: Clock, rng: Rng, faults: Readonly<KvFaults>): Kv {
  const delay = async (): Promise<void> => {
    const ms = faults.delayMs[0] + rng.next() * (faults.delayMs[1] - faults.delayMs[0])
    if (ms > 0) await clock.sleep(ms)
  }
  const change = async <T>(apply: () => Promise<T>): Promise<T> => {
    await delay()
    if (rng.chance(faults.lostRequest)) throw new PromhiveError('UNAVAILABLE', 'simulated: request lost')
    const result = await apply()
    if (rng.chance(faults.lostReply)) throw new PromhiveError('UNAVAILABLE', 'simulated: reply lost')
    return result
  }
  return {
    get: (key) => change(() => inner.get(key)),
    put: (key, value, expected) => {
      const copy = value.slice() // it is on its way: later changes by the caller are not seen
      return change(() => inner.put(key, copy, expected))
    },
    create: (key, value, ttlMs) => {
      const copy = value.slice()
      return change(() => inner.create(key, copy, ttlMs))
    },
    delete: (key, expected) => change(() => inner.delete(key, expected)),
    watch(prefix, version, handler) {
      let cancelled = false
      let queue = Promise.resolve()
      const cancel = inner.watch(prefix, version, (told) => {
        // Late, but in order.
        queue = queue.then(delay).then(() => {
          if (!cancelled) handler(told)
        })
      })
      return () => {
        cancelled = true
        cancel()
      }
    },
  }
}
