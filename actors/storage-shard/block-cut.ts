// Turning what a head holds into blocks, in steps: first the window that has passed, then what came out of order, a block per window.
//
//   window passed ─▶ steps: series by series into ‹ULID›.tmp-for-creation ─▶ visible ─▶ dropped from the head ─▶ snapshot
//
// What lies in a window that has passed does not change any more, but for deletions: when one comes, the block is begun anew. The name of a block
// follows from what it holds, so a cut that is repeated after a crash finds that its block is there already, or has gone into another.
import { sortSteps, stepsWhile, type Steps } from '../../src/base/steps.ts'
import { compareLabels, type Labels } from '../../src/model/labels.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { blockHints, newCompaction } from '../../src/tsdb/block/meta.ts'
import { blockUlid } from '../../src/tsdb/block/ulid.ts'
import { BlockWriter } from '../../src/tsdb/block/writer.ts'
import { encodeChunks, type ChunkData } from '../../src/tsdb/chunks/encode.ts'
import { joinChunks } from '../../src/tsdb/chunks/join.ts'
import { SampleColumns } from '../../src/model/samples.ts'
import { readSeries } from '../../src/tsdb/head/read.ts'
import { headChunks } from '../../src/tsdb/head/chunks.ts'
import type { FrozenChunks } from '../../src/tsdb/head/out-of-order.ts'
import type { BlockMetrics } from './block-metrics.ts'
import type { Shard } from './shard.ts'

/** Shards of one number of shards are one generation; blocks say which they are from. */
export const generation = 1

/** Series written between two pauses. */
const seriesPerStep = 32
const labelsPerStep = 1024

type Member = Readonly<{ member: number; labels: Labels }>
type Bounds = Readonly<{ minTime: number; maxTime: number }>
/** `bounds` are asked for when everything is written. */
type Target = Readonly<{ directory: string; ulid: string; bounds: () => Bounds; hints: readonly string[] }>

export type BlockCutParts = Readonly<{ disk: Disk; clock: Clock; metrics: BlockMetrics; segmentBytesMax: number }>

export class BlockCut {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #metrics: BlockMetrics
  readonly #segmentBytesMax: number
  constructor({ disk, clock, metrics, segmentBytesMax }: BlockCutParts) {
    this.#disk = disk
    this.#clock = clock
    this.#metrics = metrics
    this.#segmentBytesMax = segmentBytesMax
  }

  /**
   * Writes the shard's oldest window, and late samples, into blocks; `present` tells whether a block need not be written, `written` is called when one is
   * visible. Then both are dropped from the head.
   */
  *oldestWindow(
    shard: Shard,
    given: Readonly<{ directory: string; chunkRangeMs: number; present: (ulid: string) => boolean; written: (ulid: string) => void }>,
  ): Steps {
    const { directory, chunkRangeMs, present, written } = given
    const start = shard.windowStart
    const end = start + chunkRangeMs
    const ulid = blockUlid(shard.id, start, end, 'head', 0)
    for (;;) {
      const version = versionOf(shard)
      if (!present(ulid)) {
        const target: Target = { directory, ulid, bounds: () => ({ minTime: start, maxTime: end }), hints: [] }
        const mine = yield* members(shard)
        const whole = yield* this.#write(shard, target, mine, (series) => this.#inOrder(shard, series, start, end))
        if (!whole) continue
        written(ulid)
      }
      yield
      if (versionOf(shard) === version) break
    }
    yield* this.#collect(shard.dropUntil(end))
    this.#metrics.cuts++
    yield
    yield* this.#outOfOrder(shard, given)
  }

  /**
   * Writes the series in the shard's `retiring` into blocks, one per window, and drops them from the head; those that are announced again in the meantime
   * stay. `offset` is that of the record that asked for it.
   */
  *staleSeries(
    shard: Shard,
    offset: number,
    { directory, chunkRangeMs, present, written }: Parameters<BlockCut['oldestWindow']>[1],
  ): Steps {
    const retiring = shard.retiring!
    for (;;) {
      const version = versionOf(shard)
      const mine = (yield* members(shard)).filter(({ member }) => retiring.has(member))
      let oldest = Infinity
      let newest = -Infinity
      for (const { member } of mine) {
        oldest = Math.min(oldest, shard.head.oldestTime(member))
        newest = Math.max(newest, shard.head.xor.times[member]!)
      }
      let whole = true
      for (let start = Math.floor(oldest / chunkRangeMs) * chunkRangeMs; start <= newest && whole; start += chunkRangeMs) {
        yield
        const end = start + chunkRangeMs
        const ulid = blockUlid(shard.id, start, end, 'stale series', offset)
        if (present(ulid)) continue
        const target: Target = { directory, ulid, bounds: () => ({ minTime: start, maxTime: end }), hints: [blockHints.staleSeries] }
        whole = yield* this.#write(shard, target, mine, (series) => (retiring.has(series) ? this.#inOrder(shard, series, start, end) : []))
        if (whole) written(ulid)
      }
      yield
      if (whole && versionOf(shard) === version) break
    }
    yield* this.#collect(shard.dropRetiring())
  }

  *#collect(drop: Steps): Steps {
    const started = this.#clock.monotonicMs()
    yield* drop
    this.#metrics.collection.observe((this.#clock.monotonicMs() - started) / 1000)
  }

  /** The whole head of a shard as a block somewhere else, with what comes while it is written as far as that is reached: for snapshots. */
  *whole(shard: Shard, directory: string): Steps {
    const late = shard.head.outOfOrder
    const columns = new SampleColumns()
    const bounds = (): Bounds => ({ minTime: Math.min(shard.minTime, late.oldestTime(shard.id)), maxTime: shard.maxTime + 1 })
    for (;;) {
      const { minTime, maxTime } = bounds()
      if (!(maxTime > minTime)) return
      const ulid = blockUlid(shard.id, minTime, maxTime, 'snapshot', shard.applied)
      const chunksOf = (series: number): ChunkData[] => {
        if (!late.has(series)) return packed(shard, headChunks(shard.head, series, -Infinity, Infinity))
        columns.clear()
        readSeries(shard.head, series, -Infinity, Infinity, columns)
        return packed(shard, encodeChunks(columns))
      }
      const version = versionOf(shard)
      const mine = yield* members(shard)
      if (versionOf(shard) !== version) continue
      if (yield* this.#write(shard, { directory, ulid, bounds, hints: [] }, mine, chunksOf)) return
    }
  }

  #inOrder(shard: Shard, series: number, start: number, end: number): ChunkData[] {
    const { head } = shard
    if (head.openFrom(series) < end) head.closeChunk(series)
    const chunks = packed(shard, headChunks(head, series, start, end - 1))
    for (const chunk of chunks) this.#metrics.firstCut(chunk)
    return chunks
  }

  *#outOfOrder(shard: Shard, { directory, chunkRangeMs, present, written }: Parameters<BlockCut['oldestWindow']>[1]): Steps {
    const late = shard.head.outOfOrder
    for (;;) {
      const { applied } = shard
      const version = versionOf(shard)
      const frozen: FrozenChunks = late.freeze(shard.id)
      if (frozen.size === 0) return
      const mine = (yield* members(shard)).filter(({ member }) => frozen.has(member))
      let whole = true
      for (const start of late.windowsOf(frozen, chunkRangeMs)) {
        const end = start + chunkRangeMs
        const ulid = blockUlid(shard.id, start, end, 'out of order', applied)
        if (present(ulid)) continue
        const target: Target = { directory, ulid, bounds: () => ({ minTime: start, maxTime: end }), hints: [blockHints.outOfOrder] }
        const range = { startMs: start, endMs: end - 1 }
        const chunksOf = (series: number): ChunkData[] => packed(shard, encodeChunks(late.frozen(frozen.get(series)!, range)))
        whole = yield* this.#write(shard, target, mine, chunksOf)
        if (!whole) break
        written(ulid)
        yield
      }
      // a block that was written before a deletion came holds what was deleted: deletions in blocks go to it as well
      if (!whole || versionOf(shard) !== version) continue
      shard.head.views.beforeRemoval()
      late.drop(frozen)
      return
    }
  }

  /** False where a deletion came in between, or series have left the head: then nothing is written. */
  *#write(
    shard: Shard,
    { directory, ulid, bounds, hints }: Target,
    series: readonly Member[],
    chunksOf: (series: number) => ChunkData[],
  ): Steps<boolean> {
    const version = versionOf(shard)
    const isSame = (): boolean => versionOf(shard) === version
    const writer = new BlockWriter(this.#disk, directory, ulid, this.#segmentBytesMax)
    let finished = false
    this.#metrics.writing++
    try {
      let steps = 0
      for (const { member, labels } of series) {
        writer.add(labels, chunksOf(member))
        if (++steps % seriesPerStep !== 0) continue
        yield
        if (!isSame()) return false
      }
      yield
      if (!isSame()) return false
      const description = { compaction: newCompaction(ulid, hints), shard: { shard: shard.id, generation } }
      finished =
        (yield* stepsWhile(
          writer.finishing(() => ({ ...bounds(), ...description })),
          isSame,
        )) !== null
      return finished
    } finally {
      this.#metrics.writing--
      if (!finished) abort(writer)
    }
  }
}

/** Changes with every deletion, and when series leave the head: lists of series and what was read of them are then out of date. */
function versionOf({ deletions, collections }: Shard): number {
  return deletions + collections
}

/** As chunks go into a block: full, and as small as they can be made. */
function packed({ head }: Shard, chunks: readonly ChunkData[]): ChunkData[] {
  return joinChunks(chunks, head.options.samplesPerChunk, true)
}

/** What cannot be removed now is swept away at the next start, or when the block is written again. */
function abort(writer: BlockWriter): void {
  try {
    writer.abort()
  } catch {
    // the error that led here is the one to tell
  }
}

/** In the order of their labels. A series that is created meanwhile has no sample in a window that has passed. */
function* members(shard: Shard): Steps<Member[]> {
  const numbers = shard.members()
  yield
  const out: Member[] = []
  for (const member of numbers) {
    out.push({ member, labels: shard.head.labels(member) })
    if (out.length % labelsPerStep === 0) yield
  }
  yield* sortSteps(out, (a, b) => compareLabels(a.labels, b.labels))
  return out
}
