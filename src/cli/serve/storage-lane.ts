import type { LaneEntry } from '../../ports/compute.ts'

/** The storage worker's program. It is loaded here only where a lane runs inline; a thread loads it by itself. */
export const storageLane: LaneEntry = {
  module: new URL('../lane.ts', import.meta.url),
  inline: async (port, setup) => (await import('../lane.ts')).lane(port, setup),
}
