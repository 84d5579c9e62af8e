// How long to wait before something that failed is started again: the wait doubles from failure to failure up to a cap, with jitter, so that
// what failed together does not start together.
import type { Rng } from '../../src/base/rng.ts'

/** After `quietMs` without a failure the next one counts as the first. */
export type RestartPolicy = Readonly<{ firstMs: number; maxMs: number; quietMs: number }>
export const restartDefault: RestartPolicy = { firstMs: 250, maxMs: 60_000, quietMs: 60_000 }

/** @param failures failures in a row before this one. Between half and all of the doubled wait. */
export function backOffMs(policy: RestartPolicy, failures: number, random: Pick<Rng, 'next'>): number {
  return Math.min(policy.maxMs, policy.firstMs * 2 ** failures) * (0.5 + random.next() / 2)
}
