// The storage of `tsdb bench write`, on node's own ports and threads.
import { silentLogger } from '../../base/logger.ts'
import { nodeCompute } from '../../ports/node/compute.ts'
import { nodeRandom } from '../../ports/node/random.ts'
import { openStorage, type Storage } from '../serve/storage.ts'
import { toolPorts } from './tool-io.ts'

const hourMs = 3_600_000

/** An empty storage in `‹out›/storage`. */
export function openBenchStorage(out: string): Promise<Storage> {
  const { disk, clock } = toolPorts
  const dataDirectory = `${out}/storage`
  disk.remove(dataDirectory)
  return openStorage(
    {
      dataDirectory,
      shards: 1,
      lanes: 1,
      samplesPerChunk: 120,
      chunkRangeMs: 2 * hourMs,
      exemplarsMax: 0,
      blockSegmentBytesMax: 512 << 20,
      lockFile: false,
      walSegmentBytes: 128 << 20,
      blocks: { retentionMs: 0, retentionBytes: 0, retentionPercentage: 0, maxBlockMs: 2 * hourMs, mergeOverlapping: true },
      outOfOrderTimeWindowMs: 0,
      staleSeriesCompactionThreshold: 0,
    },
    { disk, clock, random: nodeRandom(), compute: nodeCompute({ lanes: 1 }), logger: silentLogger },
  )
}
