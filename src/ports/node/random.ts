// Randomness seeded by the operating system: the sequence is ours (src/base/rng.ts), the seed and `bytes` are the kernel's.
import { seededRng, type Rng } from '../../base/rng.ts'
import type { Random } from '../random.ts'

export function nodeRandom(): Random {
  // node:crypto takes milliseconds to load, and storage workers hardly ever need it
  const bytes = (count: number): Buffer => process.getBuiltinModule('node:crypto').randomBytes(count)
  let seeded: Rng | null = null
  const rng = (): Rng => (seeded ??= seededRng(Number(bytes(8).readBigUInt64LE() >> 11n)))
  return {
    next: () => rng().next(),
    below: (n) => rng().below(n),
    chance: (probability) => rng().chance(probability),
    fork: () => rng().fork(),
    bytes: (count) => new Uint8Array(bytes(count)),
  }
}
