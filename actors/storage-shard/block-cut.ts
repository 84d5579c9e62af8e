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
import type { Head } from '../../src/tsdb/head/head.ts'
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
    given: Readonly<{
      directory: string
      chunkRangeMs: number
      present: (ulid: string) => boolean
      written: (ulid: string) => void
      /** Called when the window has left the head. Late samples stay there where it returns false. */
      dropped: () => boolean
    }>,
  ): Steps {
    const { directory, chunkRangeMs, present, written } = given
    const start = shard.windowStart
    const end = start + chunkRangeMs
    const ulid = blockUlid(shard.id, start, end, 'head', 0)
    for (;;) {
      const version = versionOf([shard])
      if (!present(ulid)) {
        const target: Target = { directory, ulid, bounds: () => ({ minTime: start, maxTime: end }), hints: [] }
        const mine = yield* members([shard])
        const whole = yield* this.#write([shard], target, mine, (series) => this.#inOrder(shard, series, start, end))
        if (!whole) continue
        written(ulid)
      }
      yield
      if (versionOf([shard]) === version) break
    }
    yield* this.#collect(shard.dropUntil(end))
    this.#metrics.cuts++
    yield
    if (given.dropped()) yield* this.#outOfOrder(shard, given)
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
      const version = versionOf([shard])
      const mine = (yield* members([shard])).filter(({ member }) => retiring.has(member))
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
        whole = yield* this.#write([shard], target, mine, (series) =>
          retiring.has(series) ? this.#inOrder(shard, series, start, end) : [],
        )
        if (whole) written(ulid)
      }
      yield
      if (whole && versionOf([shard]) === version) break
    }
    yield* this.#collect(shard.dropRetiring())
  }

  *#collect(drop: Steps): Steps {
    const started = this.#clock.monotonicMs()
    yield* drop
    this.#metrics.collection.observe((this.#clock.monotonicMs() - started) / 1000)
  }

  /**
   * The whole head of some shards as one block somewhere else, with what comes while it is written as far as that is reached: for snapshots, where nothing is
   * gained by a block per shard.
   */
  *whole(shards: readonly Shard[], directory: string): Steps {
    const [first] = shards
    if (first === undefined) return
    const { head } = first
    const late = head.outOfOrder
    const columns = new SampleColumns()
    const bounds = (): Bounds => ({
      minTime: Math.min(...shards.map((shard) => Math.min(shard.minTime, late.oldestTime(shard.id)))),
      maxTime: Math.max(...shards.map((shard) => shard.maxTime)) + 1,
    })
    const chunksOf = (series: number): ChunkData[] => {
      if (!late.has(series)) return packed(head, headChunks(head, series, -Infinity, Infinity))
      columns.clear()
      readSeries(head, series, -Infinity, Infinity, columns)
      return packed(head, encodeChunks(columns))
    }
    for (;;) {
      const { minTime, maxTime } = bounds()
      if (!(maxTime > minTime)) return
      const ulid = blockUlid(first.id, minTime, maxTime, 'snapshot', Math.max(...shards.map(({ applied }) => applied)))
      const version = versionOf(shards)
      const mine = yield* members(shards)
      if (versionOf(shards) !== version) continue
      if (yield* this.#write(shards, { directory, ulid, bounds, hints: [] }, mine, chunksOf)) return
    }
  }

  #inOrder(shard: Shard, series: number, start: number, end: number): ChunkData[] {
    const { head } = shard
    if (head.openFrom(series) < end) head.closeChunk(series)
    const chunks = packed(shard.head, headChunks(head, series, start, end - 1))
    for (const chunk of chunks) this.#metrics.firstCut(chunk)
    return chunks
  }

  *#outOfOrder(shard: Shard, { directory, chunkRangeMs, present, written }: Parameters<BlockCut['oldestWindow']>[1]): Steps {
    const late = shard.head.outOfOrder
    for (;;) {
      const { applied } = shard
      const version = versionOf([shard])
      const frozen: FrozenChunks = late.freeze(shard.id)
      if (frozen.size === 0) return
      const mine = (yield* members([shard])).filter(({ member }) => frozen.has(member))
      let whole = true
      for (const start of late.windowsOf(frozen, chunkRangeMs)) {
        const end = start + chunkRangeMs
        const ulid = blockUlid(shard.id, start, end, 'out of order', applied)
        if (present(ulid)) continue
        const target: Target = { directory, ulid, bounds: () => ({ minTime: start, maxTime: end }), hints: [blockHints.outOfOrder] }
        const range = { startMs: start, endMs: end - 1 }
        const chunksOf = (series: number): ChunkData[] => packed(shard.head, encodeChunks(late.frozen(frozen.get(series)!, range)))
        whole = yield* this.#write([shard], target, mine, chunksOf)
        if (!whole) break
        written(ulid)
        yield
      }
      // a block that was written before a deletion came holds what was deleted: deletions in blocks go to it as well
      if (!whole || versionOf([shard]) !== version) continue
      shard.head.views.beforeRemoval()
      late.drop(frozen)
      return
    }
  }

  /** False where a deletion came in between, or series have left the head: then nothing is written. */
  *#write(
    shards: readonly Shard[],
    { directory, ulid, bounds, hints }: Target,
    series: readonly Member[],
    chunksOf: (series: number) => ChunkData[],
  ): Steps<boolean> {
    const version = versionOf(shards)
    const isSame = (): boolean => versionOf(shards) === version
    const [first] = shards
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
      const shard = shards.length === 1 && first !== undefined ? { shard: first.id, generation } : null
      const description = { compaction: newCompaction(ulid, hints), shard }
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
function versionOf(shards: readonly Shard[]): number {
  return shards.reduce((sum, { deletions, collections }) => sum + deletions + collections, 0)
}

/** As chunks go into a block: full, and as small as they can be made. */
function packed(head: Head, chunks: readonly ChunkData[]): ChunkData[] {
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
function* members(shards: readonly Shard[]): Steps<Member[]> {
  const out: Member[] = []
  for (const shard of shards) {
    const numbers = shard.members()
    yield
    for (const member of numbers) {
      out.push({ member, labels: shard.head.labels(member) })
      if (out.length % labelsPerStep === 0) yield
    }
  }
  yield* sortSteps(out, (a, b) => compareLabels(a.labels, b.labels))
  return out
}
