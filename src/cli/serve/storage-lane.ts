import type { LaneEntry } from '../../ports/compute.ts'

/** The storage worker's program. It is loaded here only where a lane runs inline; a thread loads it by itself. */
export const storageLane: LaneEntry = {
  // what is built lies as the sources do, as CommonJS
  module: new URL(import.meta.url.endsWith('.ts') ? '../lane.ts' : '../lane.cjs', import.meta.url),
  inline: async (port, setup) => (await import('../lane.ts')).lane(port, setup),
}
