import type { Rng } from '../base/rng.ts'

/** Randomness. node/random.ts seeds from the operating system, simulated/random.ts from the simulation's seed. */
export interface Random extends Rng {
  /** Unpredictable bytes where the adapter is node's. */
  bytes(count: number): Uint8Array
}
