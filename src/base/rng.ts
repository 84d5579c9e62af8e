/** Seeded random numbers. Same seed, same sequence, on every machine. */
export interface Rng {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, below). */
  below(below: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** A new generator, independent of what this one yields later. */
  fork(): Rng
}

/** sfc32 (PractRand's small fast counter): 128 bits of state, passes BigCrush, a handful of adds per number. */
export function seededRng(seed: number): Rng {
  let a = seed >>> 0
  let b = 0x9e3779b9
  let c = 0x243f6a88 ^ Math.floor(seed / 4294967296)
  let counter = 1
  const step = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 15; i++) step()
  return {
    next: () => (step() * 2097152 + (step() >>> 11)) / 9007199254740992,
    below: (below) => Math.floor((step() / 4294967296) * below),
    chance: (probability) => step() / 4294967296 < probability,
    fork: () => seededRng(step() * 4294967296 + step()),
  }
}
