// Randomness seeded by the operating system: the sequence is ours (src/base/rng.ts), the seed and `bytes` are the kernel's.
import { randomBytes } from 'node:crypto'
import { seededRng } from '../../base/rng.ts'
import type { Random } from '../random.ts'

export function nodeRandom(): Random {
  const rng = seededRng(Number(randomBytes(8).readBigUInt64LE() >> 11n))
  return {
    next: rng.next,
    below: rng.below,
    chance: rng.chance,
    fork: rng.fork,
    bytes: (count) => new Uint8Array(randomBytes(count)),
  }
}
