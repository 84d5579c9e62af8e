// The storage as the flags and the configuration want it, on node's own ports.
import type { Logger } from '../../base/logger.ts'
import type { Compute } from '../../ports/compute.ts'
import { nodeClock } from '../../ports/node/clock.ts'
import { nodeDisk } from '../../ports/node/disk.ts'
import { nodeRandom } from '../../ports/node/random.ts'
import type { Loaded } from './configuration.ts'
import type { Settings } from './settings.ts'
import type { ReplayProgress } from '../../../actors/storage-shard/lanes.ts'
import { openStorage, type Storage, type StorageSettings } from './storage.ts'

export type Workers = Readonly<{ compute: Compute; lanes: number }>

/** A storage that is being opened. */
export type OpeningStorage = Readonly<{
  /** Resolves when everything that was acknowledged is there again. */
  storage: Promise<Storage>
  /** Resolves when the workers recover and this thread has little to do, or when opening has failed. */
  recovering: Promise<void>
  replay: Readonly<ReplayProgress>
}>

export function openNodeStorage(settings: Settings, loaded: Loaded, { compute, lanes }: Workers, logger: Logger): OpeningStorage {
  const { flags, dataDirectory, features } = settings
  const replay: ReplayProgress = { total: 0, done: 0 }
  const recovering = Promise.withResolvers<void>()
  const storage = openStorage(
    {
      dataDirectory,
      shards: flags['storage.shards'],
      lanes,
      samplesPerChunk: flags['storage.tsdb.samples-per-chunk'],
      chunkRangeMs: flags['storage.tsdb.min-block-duration'],
      exemplarsMax: features.has('exemplar-storage') ? Math.max(0, loaded.config.storage.exemplarsMax) : 0,
      lockFile: !flags['storage.tsdb.no-lockfile'],
      blockSegmentBytesMax: flags['storage.tsdb.max-block-chunk-segment-size'] || 512 << 20,
      walSegmentBytes: flags['storage.tsdb.wal-segment-size'] || 128 << 20,
      ...storageSettings(settings, loaded),
    },
    { disk: nodeDisk(), clock: nodeClock(), random: nodeRandom(), compute, logger, replay, onRecovering: recovering.resolve },
  )
  storage.catch(() => recovering.resolve()) // the server's start hears of it
  return { storage, recovering: recovering.promise, replay }
}

/** What a configuration says of the storage and may change while it runs. */
export function storageSettings({ flags }: Settings, { config }: Loaded): StorageSettings {
  const { retentionTimeMs, retentionSizeBytes, retentionPercentage, outOfOrderTimeWindowMs, staleSeriesCompactionThreshold } =
    config.storage
  const month = 31 * 86_400_000
  const longest = retentionTimeMs > 0 ? Math.min(month, retentionTimeMs / 10) : month
  return {
    blocks: {
      retentionMs: retentionTimeMs,
      retentionBytes: retentionSizeBytes,
      retentionPercentage,
      maxBlockMs: Math.max(flags['storage.tsdb.min-block-duration'], flags['storage.tsdb.max-block-duration'] || longest),
      mergeOverlapping: flags['storage.tsdb.allow-overlapping-compaction'],
    },
    outOfOrderTimeWindowMs,
    staleSeriesCompactionThreshold,
  }
}
