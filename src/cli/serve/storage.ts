// The storage of one machine: lock, layout, log, storage workers, appender; opened in this order and closed in reverse.
//
//   ‹data›/promhive/layout.json   how many shards there are, in which generation        ‹data›/promhive/log/      the write-ahead log
//   ‹data›/promhive/shards/       snapshots and chunks of the heads                      ‹data›/‹ULID›/            blocks
import { z } from 'zod'
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import { PromhiveError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Compute, LanePort } from '../../ports/compute.ts'
import type { Disk } from '../../ports/disk.ts'
import { openEmbeddedLog, type EmbeddedLog } from '../../../cluster/embedded/log.ts'
import { LogAppender } from '../../../actors/storage-shard/appender.ts'
import { Lanes } from '../../../actors/storage-shard/lanes.ts'
import type { BlockOptions } from '../../../actors/storage-shard/lane-protocol.ts'
import { publisherEpochs } from '../../../actors/storage-shard/shard.ts'
import { lane } from '../lane.ts'

export type StorageOptions = Readonly<{
  dataDirectory: string
  /** For a new directory; an existing one keeps what it has. */
  shards: number
  lanes: number
  samplesPerChunk: number
  chunkRangeMs: number
  exemplarsMax: number
  lockFile: boolean
  walSegmentBytes: number
  blocks: BlockOptions
}>
export type StorageParts = Readonly<{
  disk: Disk
  clock: Clock
  compute: Compute
  logger: Logger
  onReplay?: (done: number, total: number) => void
  /** The storage workers' program where it is not node's: a simulation runs it inline over its own disk and clock. */
  laneProgram?: (port: LanePort, setup: unknown) => void
}>

export interface Storage {
  readonly log: EmbeddedLog
  readonly lanes: Lanes
  readonly appender: LogAppender
  readonly shards: number
  /** True where the last run ended in order. */
  readonly cleanStart: boolean
  close(): Promise<void>
}

const layoutSchema = z.object({
  version: z.literal(1),
  shards: z.number().int().positive(),
  generation: z.number().int(),
  clean: z.boolean(),
})
type Layout = z.infer<typeof layoutSchema>

const snapshotEveryMs = 5 * 60_000
const lingerMs = 50
const appliedWaitMs = 5_000
const outstandingBytesMax = 256 << 20
const residentBytesMax = 256 << 20

export async function openStorage(options: StorageOptions, parts: StorageParts): Promise<Storage> {
  const { disk, clock, compute, logger } = parts
  const { dataDirectory } = options
  const own = `${dataDirectory}/promhive`
  disk.makeDirectory(own)
  const lock = options.lockFile ? disk.lock(`${dataDirectory}/lock`) : null
  try {
    const layout = readLayout(disk, `${own}/layout.json`) ?? { version: 1, shards: options.shards, generation: 1, clean: true }
    if ((layout.shards & (layout.shards - 1)) !== 0)
      throw new PromhiveError('STORAGE_CORRUPT', `cannot open ${own}/layout.json: ${layout.shards} shards`)
    const cleanStart = layout.clean
    writeLayout(disk, own, { ...layout, clean: false })
    const log = await openEmbeddedLog({ disk, directory: `${own}/log`, segmentBytes: options.walSegmentBytes })
    if (log.tornBytes > 0) logger.info({ bytes: log.tornBytes }, 'a torn write at the end of the log was cut off')
    for (const damage of log.damage) logger.error({ damage }, 'the log is damaged')
    let appender: LogAppender | null = null
    const lanes = new Lanes({
      compute,
      entry: { module: new URL('../lane.ts', import.meta.url), inline: parts.laneProgram ?? lane },
      clock,
      log,
      logger,
      lanes: Math.min(options.lanes, layout.shards),
      setup: {
        dataDirectory,
        shardsTotal: layout.shards,
        samplesPerChunk: options.samplesPerChunk,
        chunkRangeMs: options.chunkRangeMs,
        residentBytesMax: Math.floor(residentBytesMax / options.lanes),
        exemplarsMax: Math.floor(options.exemplarsMax / options.lanes),
        snapshotEveryMs,
        blocks: options.blocks,
      },
      onApplied: (shard, offset, refusals) => appender?.applied(shard, offset, refusals),
    })
    await lanes.start()
    // one machine is node 0; every start is a new epoch, so that what it announces starts from nothing
    const publisher = (lanes.publisher + 1) % publisherEpochs
    appender = new LogAppender({ log, clock, shards: layout.shards, publisher, lingerMs, appliedWaitMs, outstandingBytesMax })
    const opened = appender
    return {
      log,
      lanes,
      appender: opened,
      shards: layout.shards,
      cleanStart,
      async close() {
        await opened.drain()
        await lanes.stop()
        await log.close()
        writeLayout(disk, own, { ...layout, clean: true })
        lock?.release()
      },
    }
  } catch (thrown) {
    lock?.release()
    throw thrown
  }
}

function readLayout(disk: Disk, path: string): Layout | null {
  if (!disk.exists(path)) return null
  const parsed = layoutSchema.safeParse(JSON.parse(utf8Text(disk.read(path))))
  if (!parsed.success) throw new PromhiveError('STORAGE_CORRUPT', `cannot read ${path}: ${parsed.error.message}`)
  return parsed.data
}

function writeLayout(disk: Disk, directory: string, layout: Layout): void {
  const path = `${directory}/layout.json`
  disk.write(`${path}.tmp`, utf8Bytes(JSON.stringify(layout) + '\n'))
  const file = disk.open(`${path}.tmp`, 'append')
  file.syncNow()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(directory)
}
