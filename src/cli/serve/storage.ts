// The storage of one machine: lock, layout, log, storage workers, appender; opened in this order and closed in reverse.
//
//   ‹data›/promhive/layout.json   how many shards there are, in which generation        ‹data›/promhive/log/      the write-ahead log
//   ‹data›/promhive/shards/       snapshots and chunks of the heads                      ‹data›/‹ULID›/            blocks
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { count, fail, flag, integer, object, withDefault } from '../../base/shape.ts'
import type { Logger } from '../../base/logger.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Compute, LanePort } from '../../ports/compute.ts'
import { makeDurableDirectory, type Disk } from '../../ports/disk.ts'
import type { Random } from '../../ports/random.ts'
import { planRetention, retentionBytes } from '../../tsdb/compact/plan.ts'
import { sweepBlockFiles, sweepUnfinished } from '../../tsdb/block/directory.ts'
import { segmentName } from '../../../cluster/embedded/log-format.ts'
import { openEmbeddedLog, type EmbeddedLog } from '../../../cluster/embedded/log.ts'
import { LogAppender } from '../../../actors/storage-shard/appender.ts'
import { Lanes, type ReplayProgress } from '../../../actors/storage-shard/lanes.ts'
import type { BlockOptions, MaintainAnswer } from '../../../actors/storage-shard/lane-protocol.ts'
import { publisherEpochs } from '../../../actors/storage-shard/shard.ts'
import { LogMetrics } from './log-metrics.ts'
import { storageLane } from './storage-lane.ts'

export type StorageOptions = Readonly<{
  dataDirectory: string
  /** For a new directory; an existing one keeps what it has. */
  shards: number
  lanes: number
  samplesPerChunk: number
  chunkRangeMs: number
  exemplarsMax: number
  /** Of a file of chunks in a block. */
  blockSegmentBytesMax: number
  lockFile: boolean
  walSegmentBytes: number
  blocks: BlockOptions
  /** How far behind a shard's newest sample a late one may lie; 0 refuses late samples. */
  outOfOrderTimeWindowMs: number
  /** Share of stale series in the heads from which on they are cut into blocks of their own; 0 = never. */
  staleSeriesCompactionThreshold: number
  /** How long a storage worker may work on blocks before it looks at records and requests; 0: a step. */
  sliceMs?: number
  /** Replaying so much of a shard's log, in µs, is worth a snapshot before its time. */
  snapshotTailUs?: number
  /** Chunk bytes of the heads kept in memory, and of a segment of them. */
  headResidentBytes?: number
  headSegmentBytes?: number
}>
/** What a new configuration may change while the storage runs. */
export type StorageSettings = Pick<StorageOptions, 'blocks' | 'outOfOrderTimeWindowMs' | 'staleSeriesCompactionThreshold'>
export type StorageParts = Readonly<{
  disk: Disk
  clock: Clock
  random: Random
  compute: Compute
  logger: Logger
  /** Kept up to date from before anything is opened. */
  replay?: ReplayProgress
  /** The log is open, and the storage workers have been told to recover: this thread has little to do from now on. */
  onRecovering?: () => void
  /** The storage workers' program where it is not node's: a simulation runs it inline over its own disk and clock. */
  laneProgram?: (port: LanePort, setup: unknown) => void
}>

export interface Storage {
  readonly log: EmbeddedLog
  readonly logMetrics: LogMetrics
  readonly lanes: Lanes
  readonly appender: LogAppender
  readonly shards: number
  /** Length of the windows that are cut into blocks. */
  readonly chunkRangeMs: number
  /** How long opening took. */
  readonly openedMs: number
  /** True where the last run ended in order. */
  readonly cleanStart: boolean
  /** In force now. */
  readonly settings: StorageSettings
  /** Files found damaged that have no metric of their own: the layout, the head of a Prometheus. */
  filesDamaged: number
  /** How often stale series were to be cut. */
  readonly staleSeriesCompactions: number
  configure(settings: StorageSettings): Promise<void>
  /** Retention over all workers, compaction, and blocks that others put into the directory or took away: to be called about once a minute. */
  maintain(): Promise<void>
  close(): Promise<void>
}

const layoutShape = object({
  version: (value, path): 1 => (value === 1 ? 1 : fail(path, `${JSON.stringify(value)} is not supported`)),
  shards: count,
  generation: integer,
  clean: flag,
  /** CRC32C of the others. */
  check: withDefault<number | undefined>(integer, undefined),
})
type Layout = Omit<ReturnType<typeof layoutShape>, 'check'>

const snapshotEveryMs = 5 * 60_000
const snapshotTailUs = 10_000
/** A scrape does not need its samples at once: its batch waits for those of others, and the log is synced a few times a second at most for them. */
const lingerMs = 500
const appliedWaitMs = 5_000
const outstandingBytesMax = 256 << 20
const sliceMs = 8
const residentBytesMax = 256 << 20

export async function openStorage(options: StorageOptions, parts: StorageParts): Promise<Storage> {
  const { disk, clock, random, compute, logger } = parts
  const { dataDirectory } = options
  const own = `${dataDirectory}/promhive`
  const startedMs = clock.monotonicMs()
  makeDurableDirectory(disk, own)
  const lock = options.lockFile ? disk.lock(`${dataDirectory}/lock`) : null
  let workers: Lanes | null = null
  try {
    const { layout, damaged } = openLayout(disk, own, options.shards, logger)
    const cleanStart = layout.clean
    disk.remove(`${own}/layout.json.tmp`)
    // after an end without order it says so already
    if (layout.clean || !disk.exists(`${own}/layout.json`)) writeLayout(disk, own, { ...layout, clean: false })
    await lock?.settled // what was changed so far lies in promhive/
    // before any worker starts: one that starts again later must not take what another is writing
    sweepUnfinished(disk, dataDirectory)
    sweepBlockFiles(disk, dataDirectory)
    const logMetrics = new LogMetrics()
    let appender: LogAppender | null = null
    const lanes = new Lanes({
      compute,
      entry: parts.laneProgram === undefined ? storageLane : { ...storageLane, inline: parts.laneProgram },
      clock,
      random,
      logDirectory: `${own}/log`,
      logger,
      replay: parts.replay ?? { total: 0, done: 0 },
      lanes: Math.min(options.lanes, layout.shards),
      setup: {
        dataDirectory,
        shardsTotal: layout.shards,
        samplesPerChunk: options.samplesPerChunk,
        chunkRangeMs: options.chunkRangeMs,
        blockSegmentBytesMax: options.blockSegmentBytesMax,
        residentBytesMax: Math.floor((options.headResidentBytes ?? residentBytesMax) / options.lanes),
        ...(options.headSegmentBytes !== undefined && { headSegmentBytes: options.headSegmentBytes }),
        exemplarsMax: Math.floor(options.exemplarsMax / options.lanes),
        snapshotEveryMs,
        snapshotTailUs: options.snapshotTailUs ?? snapshotTailUs,
        sliceMs: options.sliceMs ?? sliceMs,
        blocks: options.blocks,
      },
      onTrimmed: (durationMs, failed) => logMetrics.truncated(durationMs, failed),
      onApplied: (shard, offset, refusals) => appender?.applied(shard, offset, refusals),
    })
    const opening = Promise.withResolvers<EmbeddedLog>()
    // the workers load their snapshots while the log is opened
    workers = lanes
    const recovered = lanes.start(opening.promise)
    recovered.catch(() => {}) // it is waited for below, unless the log does not open
    const log = await openEmbeddedLog({
      disk,
      directory: `${own}/log`,
      segmentBytes: options.walSegmentBytes,
      nowMs: () => clock.monotonicMs(),
      onCommit: (durationMs) => logMetrics.committed(durationMs),
    })
    if (log.tornBytes > 0)
      logger.info(
        { path: `${own}/log/${segmentName(log.size().lastSegment)}`, bytes: log.tornBytes },
        'a torn write at the end of the log was cut off',
      )
    for (const damage of log.damage) logger.error({ damage }, 'the log is damaged')
    opening.resolve(log)
    parts.onRecovering?.()
    await recovered
    // one machine is node 0; every start is a new epoch, so that what it announces starts from nothing
    const publisher = (lanes.publisher + 1) % publisherEpochs
    appender = new LogAppender({ log, clock, shards: layout.shards, publisher, lingerMs, appliedWaitMs, outstandingBytesMax })
    const opened = appender
    opened.outOfOrderWindowMs = options.outOfOrderTimeWindowMs
    let settings: StorageSettings = options
    let staleSeriesCompactions = 0
    const openedMs = clock.monotonicMs() - startedMs
    return {
      log,
      logMetrics,
      lanes,
      appender: opened,
      shards: layout.shards,
      chunkRangeMs: options.chunkRangeMs,
      openedMs,
      cleanStart,
      filesDamaged: damaged ? 1 : 0,
      get settings() {
        return settings
      },
      get staleSeriesCompactions() {
        return staleSeriesCompactions
      },
      async configure(next) {
        settings = next
        opened.outOfOrderWindowMs = next.outOfOrderTimeWindowMs
        await lanes.askAll('setBlockOptions', next.blocks)
      },
      async maintain() {
        const answers = await lanes.askAll<MaintainAnswer>('maintain', null)
        const { retentionMs, retentionBytes: bytes, retentionPercentage } = settings.blocks
        const maxBytes = retentionPercentage > 0 ? retentionBytes(bytes, retentionPercentage, disk.space(dataDirectory).totalBytes) : bytes
        const headBytes = log.size().bytes + answers.reduce((sum, answer) => sum + answer.headBytes, 0)
        const plan = planRetention(
          answers.flatMap(({ blocks }) => blocks),
          { retentionMs, maxBytes, headBytes },
        )
        if (plan.beyondTime.length > 0 || plan.beyondSize.length > 0) await lanes.askAll('dropBlocks', plan)
        const { staleSeriesCompactionThreshold: threshold } = settings
        const stale = answers.reduce((sum, answer) => sum + answer.staleSeries, 0)
        const series = answers.reduce((sum, answer) => sum + answer.series, 0)
        // the cut of a window that is near takes them along
        if (threshold > 0 && stale > 0 && stale >= threshold * series && !answers.some(({ cutIsNear }) => cutIsNear)) {
          staleSeriesCompactions++
          await opened.cutStaleSeries()
        }
      },
      async close() {
        await opened.drain()
        await lanes.stop()
        await log.close()
        writeLayout(disk, own, { ...layout, clean: true })
        lock?.release()
      },
    }
  } catch (thrown) {
    await workers?.giveUp()
    lock?.release()
    throw thrown
  }
}

/** A damaged layout is set aside: the directories of the shards say how many there are. Throws STORAGE_CORRUPT where they do not. */
function openLayout(disk: Disk, own: string, shardsWanted: number, logger: Logger): Readonly<{ layout: Layout; damaged: boolean }> {
  const path = `${own}/layout.json`
  const problem = disk.exists(path) ? readLayout(disk, path) : 'the file is missing'
  if (typeof problem !== 'string') return { layout: problem, damaged: false }
  const found = disk.list(`${own}/shards`)
  const written = disk.list(`${own}/log`).length > 0
  if (found.length === 0 && !written) return { layout: { version: 1, shards: shardsWanted, generation: 1, clean: true }, damaged: false }
  const numbers = new Set(found.map(Number))
  const whole = found.length > 0 && (found.length & (found.length - 1)) === 0 && found.every((_, shard) => numbers.has(shard))
  if (!whole)
    throw new PromhiveError('STORAGE_CORRUPT', `cannot open ${path}: ${problem}, and ${own}/shards has ${found.length} directories`, {
      path,
    })
  logger.error({ path, problem, shards: found.length }, 'the layout is damaged: the number of shards is taken from their directories')
  if (disk.exists(path)) disk.rename(path, `${own}/damaged-layout.json`)
  return { layout: { version: 1, shards: found.length, generation: 1, clean: false }, damaged: true }
}

/** The layout, or what is wrong with the file. */
function readLayout(disk: Disk, path: string): Layout | string {
  let parsed: ReturnType<typeof layoutShape>
  try {
    parsed = layoutShape(JSON.parse(utf8Text(disk.read(path))), '')
  } catch (thrown) {
    return messageOf(thrown)
  }
  const { check, ...layout } = parsed
  if (check !== undefined && check !== checkOf(layout)) return 'checksum does not match'
  if ((layout.shards & (layout.shards - 1)) !== 0) return `${layout.shards} shards are not a power of two`
  return layout
}

function checkOf({ version, shards, generation, clean }: Layout): number {
  return crc32c(utf8Bytes(JSON.stringify([version, shards, generation, clean])))
}

function writeLayout(disk: Disk, directory: string, layout: Layout): void {
  const path = `${directory}/layout.json`
  disk.write(`${path}.tmp`, utf8Bytes(JSON.stringify({ ...layout, check: checkOf(layout) }) + '\n'))
  const file = disk.open(`${path}.tmp`, 'append')
  file.syncNow()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(directory)
}
