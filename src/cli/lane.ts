// The program of a storage worker: node's adapters and the lane that runs on them. Started by node's Compute as a worker thread.
import type { LanePort } from '../ports/compute.ts'
import { nodeClock } from '../ports/node/clock.ts'
import { nodeDisk } from '../ports/node/disk.ts'
import { nodeRandom } from '../ports/node/random.ts'
import { inNextTurn } from '../ports/node/turn.ts'
import { startLane } from '../../actors/storage-shard/lane.ts'
import type { LaneSetup } from '../../actors/storage-shard/lane-protocol.ts'

export function lane(port: LanePort, setup: unknown): void {
  startLane(port, setup as LaneSetup, { disk: nodeDisk(), clock: nodeClock(), random: nodeRandom(), nextTurn: inNextTurn })
}
