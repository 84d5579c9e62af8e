// What the main thread and a storage worker (a lane) say to each other. Records flow down in log order; answers and progress flow up.
import type { ErrorCode } from '../../src/base/errors.ts'
import type { BlockMeta } from '../../src/tsdb/block/meta.ts'
import type { MetricFamily } from '../../src/base/metrics.ts'
import type { HeadMemory } from '../../src/tsdb/head/head.ts'

export type LaneSetup = Readonly<{
  lane: number
  dataDirectory: string
  shards: readonly number[]
  shardsTotal: number
  samplesPerChunk: number
  chunkRangeMs: number
  /** Of a file of chunks in a block. */
  blockSegmentBytesMax: number
  /** Chunk bytes of the head kept in memory. */
  residentBytesMax: number
  /** Of a segment of them; default: a mebibyte. */
  headSegmentBytes?: number
  exemplarsMax: number
  snapshotEveryMs: number
  /** Replaying so much of a shard's log, in µs, is worth a snapshot before its time. */
  snapshotTailUs: number
  /** Long work pauses after this time for records and requests; 0: after every step. */
  sliceMs: number
  /** Int32 per slot: not 0 = the request with this slot is no longer wanted. */
  cancelFlags: SharedArrayBuffer
  /** Int32 per lane: another number whenever the lane may have got or lost a label, or the time a part of its data covers has changed. */
  labelStamps: SharedArrayBuffer
  blocks: BlockOptions
}>

export type BlockOptions = Readonly<{
  /** 0 = none. */
  retentionMs: number
  retentionBytes: number
  /** Of the disk, 0–100; wins over `retentionBytes` where it is not 0. */
  retentionPercentage: number
  maxBlockMs: number
  /** Whether blocks that overlap are merged. */
  mergeOverlapping: boolean
}>

/** A block, as retention looks at it. */
export type BlockSize = Readonly<{ meta: BlockMeta; sizeBytes: number }>
export type MaintainAnswer = Readonly<{
  blocks: readonly BlockSize[]
  headBytes: number
  series: number
  /** Those that have ended and can be cut into blocks of their own. */
  staleSeries: number
  /** A window of a shard will have passed within the next minutes. */
  cutIsNear: boolean
}>

export type LaneRecord = Readonly<{ shard: number; offset: number; publisher: number; sequence: number; bytes: Uint8Array }>

export type ToLane =
  | Readonly<{ kind: 'records'; records: readonly LaneRecord[] }>
  /** Records up to and with `until` are lost to damage of the log: the shard goes on behind them. */
  | Readonly<{ kind: 'skip'; shard: number; until: number }>
  /** The log ends before what the shard has applied: its records are numbered from `last` on again. */
  | Readonly<{ kind: 'regressed'; shard: number; last: number }>
  /** Everything the log held at start has been sent. */
  | Readonly<{ kind: 'caughtUp'; shard: number }>
  | Readonly<{ kind: 'request'; id: number; slot: number; op: string; body: unknown }>

export type FromLane =
  /** The shard's snapshot is loaded: replay it from behind `applied`. `publisher` is the newest epoch it has seen. */
  | Readonly<{ kind: 'opened'; shard: number; applied: number; publisher: number }>
  /** (shard, offset) of applied records, in order; refusals of records that had any. */
  | Readonly<{ kind: 'applied'; offsets: Float64Array; refusals: ReadonlyMap<number, Uint32Array> | null }>
  /** A snapshot is durable: the log below `trimBefore` is not needed any more. */
  | Readonly<{ kind: 'snapshot'; shard: number; trimBefore: number }>
  | Readonly<{ kind: 'answer'; id: number; body: unknown }>
  | Readonly<{ kind: 'failure'; id: number; code: ErrorCode; message: string; detail: Readonly<Record<string, unknown>> }>
  | Readonly<{ kind: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; fields: Readonly<Record<string, unknown>>; message: string }>

/** Numbers of a lane that /metrics and /status show; sums over lanes are made on the main thread. */
export type LaneStatus = Readonly<{
  series: number
  seriesCreated: number
  seriesRemoved: number
  staleSeries: number
  /** Of series whose newest sample is a native histogram, and the buckets of those samples. */
  histogramSeries: number
  histogramBuckets: number
  chunks: number
  chunksCreated: number
  chunksRemoved: number
  minTime: number
  maxTime: number
  totals: readonly number[]
  histogramsAppended: number
  headMemory: HeadMemory
  chunkBytes: number
  labelPairs: number
  exemplars: number
  exemplarSeries: number
  exemplarsAppended: number
  exemplarsOutOfOrder: number
  exemplarCapacity: number
  /** Time of the oldest exemplar; Infinity where there is none. */
  exemplarsFromMs: number
  applied: readonly Readonly<{ shard: number; applied: number }>[]
  /** Files found damaged that have no metric of their own. */
  filesDamaged: number
  families: readonly MetricFamily[]
}>

export const cancelSlots = 1024
