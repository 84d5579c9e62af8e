// Randomness from the simulation's seed: the same seed gives the same bytes, so a run can be replayed.
import { seededRng } from '../../base/rng.ts'
import type { Random } from '../random.ts'

export function simulatedRandom(seed: number): Random {
  const rng = seededRng(seed)
  return {
    next: rng.next,
    below: rng.below,
    chance: rng.chance,
    fork: rng.fork,
    bytes: (count) => Uint8Array.from({ length: count }, () => rng.below(256)),
  }
}
