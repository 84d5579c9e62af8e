// The blocks of one storage worker: those its shards have cut, and in the first worker also those that a Prometheus left in the directory.
// Windows of the head are cut into blocks and blocks are compacted in steps between records and requests; what appears in the directory or goes from it
// is noticed by `maintain`. Which blocks are too old or too many is decided for all workers together (src/cli/serve/storage.ts).
import type { Logger } from '../../src/base/logger.ts'
import type { MetricFamily } from '../../src/base/metrics.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { stepsWhile, type Steps } from '../../src/base/steps.ts'
import { utf8Text } from '../../src/base/bytes.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { CompiledMatcher } from '../../src/model/matching.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { blockNames, deleteBlock, linkBlock } from '../../src/tsdb/block/directory.ts'
import { encodeMeta, isPartOfWindow, readMeta, type BlockMeta } from '../../src/tsdb/block/meta.ts'
import { PageCache } from '../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../src/tsdb/block/reader.ts'
import { repairIndexVersion } from '../../src/tsdb/block/repair.ts'
import { compactBlocks } from '../../src/tsdb/compact/merge.ts'
import { blockGroups, blockRanges, planCompaction } from '../../src/tsdb/compact/plan.ts'
import type { ReadViews } from '../../src/tsdb/head/read-view.ts'
import type { SeriesPart } from '../../src/tsdb/query/merged-source.ts'
import { BlockCut, generation } from './block-cut.ts'
import { BlockDeletions } from './block-deletions.ts'
import { BlockMetrics } from './block-metrics.ts'
import type { LaneJobs } from './lane-jobs.ts'
import type { BlockOptions, BlockSize, LaneSetup } from './lane-protocol.ts'
import type { Shard } from './shard.ts'

const pageCacheBytes = 64 << 20
const compactionJob = 'compaction'
const cleaningJob = 'clean tombstones'
const damagedPrefix = 'damaged-'
/** After a cut has failed, e.g. because the disk is full. */
const cutRetryMs = 60_000
/** A cut that has fallen behind by more windows than this runs to its end at once: memory is bounded. */
const windowsBehindMax = 4

export type LaneBlocksParts = Readonly<{
  disk: Disk
  clock: Clock
  jobs: LaneJobs
  views: ReadViews
  setup: LaneSetup
  log: Logger
  shards: ReadonlyMap<number, Shard>
  /** Whether any shard still replays its log. */
  isReplaying: () => boolean
  /** Called when a block has come or gone. */
  onChange: () => void
}>

export class LaneBlocks {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #jobs: LaneJobs
  readonly #views: ReadViews
  readonly #setup: LaneSetup
  readonly #log: Logger
  readonly #isReplaying: () => boolean
  readonly #onChange: () => void
  readonly #cache = new PageCache(pageCacheBytes)
  readonly #metrics = new BlockMetrics()
  readonly #cut: BlockCut
  /** Deletions of the log, in blocks. */
  readonly deletions: BlockDeletions
  #options: BlockOptions
  readonly #blocks = new Map<string, BlockReader>()
  #parts: readonly SeriesPart[] | null = null
  /** Directories that could not be opened, with what is wrong: told once. */
  readonly #broken = new Map<string, string>()
  /** Offset of the last record in blocks that were cut since the start. */
  readonly #cutAt = new WeakMap<BlockReader, number>()
  /** When a cut that failed may be tried again, by shard. */
  readonly #cutAfterMs = new Map<number, number>()
  /** Blocks that a compaction reads now. */
  #compacting: readonly BlockReader[] = []

  constructor({ disk, clock, jobs, views, setup, log, shards, isReplaying, onChange }: LaneBlocksParts) {
    this.#disk = disk
    this.#clock = clock
    this.#jobs = jobs
    this.#views = views
    this.#setup = setup
    this.#log = log
    this.#isReplaying = isReplaying
    this.#onChange = onChange
    this.#options = setup.blocks
    this.#cut = new BlockCut({ disk, clock, metrics: this.#metrics, segmentBytesMax: setup.blockSegmentBytesMax })
    this.deletions = new BlockDeletions({
      disk,
      dataDirectory: setup.dataDirectory,
      log,
      blocksOf: (shard) => this.#blocksOf(shard),
      cutAt: (block) => this.#cutAt.get(block),
      hasCutsAhead: (shard) => shards.get(shard)!.windowPassed || shards.get(shard)!.retiring !== null,
    })
  }

  /** Opens what is there. */
  open(): void {
    this.#reload()
  }

  close(): void {
    this.#views.beforeRemoval()
    for (const block of this.#blocks.values()) block.close()
    this.#blocks.clear()
    this.#changed()
  }

  setOptions(options: BlockOptions): void {
    this.#options = options
  }

  /** Oldest first. */
  parts(): readonly SeriesPart[] {
    this.#parts ??= this.#inOrder().map((block): SeriesPart => ({
      minTime: block.meta.minTime,
      maxTime: block.meta.maxTime - 1,
      select: (matchers, startMs, endMs) => block.selectCompiled(matchers, startMs, endMs),
    }))
    return this.#parts
  }

  #changed(): void {
    this.#parts = null
    this.#onChange()
  }

  /** Whether any block has samples in the closed range. */
  overlap(startMs: number, endMs: number): boolean {
    return this.parts().some((part) => part.minTime <= endMs && part.maxTime >= startMs)
  }

  /** End of the newest window that is already a block of this shard: for a shard whose own state is lost. */
  cutUntil(shard: number): number {
    return cutUntil(this.#blocks.values(), shard)
  }

  /** The log has lost its end: what is appended from now on is numbered from `last` on, and comes after all that is in blocks. */
  regressed(shard: number, last: number): void {
    for (const block of this.#blocksOf(shard)) if ((this.#cutAt.get(block) ?? last) > last) this.#cutAt.set(block, last)
    this.deletions.regress(shard, last)
  }

  /** True where the oldest window of the shard can be cut now. */
  canCut(shard: Shard): boolean {
    return shard.windowPassed && this.#clock.monotonicMs() >= (this.#cutAfterMs.get(shard.id) ?? -Infinity)
  }

  /**
   * Begins to turn the windows of a shard that have passed into blocks, with what came out of order; `done` is called when that has ended, well or not.
   * What could not be written stays in the head and is tried again.
   */
  startCut(shard: Shard, done: () => void): void {
    const name = `cut ${shard.id}`
    this.#metrics.compactionsTriggered++
    this.#jobs.start(name, this.#cutSteps(shard), { urgent: true, done })
    this.catchUp(shard)
  }

  /** Finishes the cut of a shard now where too much has come in the meantime. */
  catchUp(shard: Shard): void {
    if (this.isFarBehind(shard)) this.#jobs.finish(`cut ${shard.id}`)
  }

  /** True where the head must not grow before its windows are cut. */
  isFarBehind(shard: Shard): boolean {
    return shard.maxTime - shard.windowStart > this.#setup.chunkRangeMs * windowsBehindMax
  }

  /**
   * Begins to turn the series that have ended by record `offset` into blocks of their own and to drop them from the head. In a replay it is done when this
   * returns: what was accepted after it, when the record was new, is accepted again.
   */
  startStaleCut(shard: Shard, offset: number, replaying: boolean): void {
    const name = `stale cut ${shard.id}`
    if (this.#jobs.has(name)) return
    // its lists of series must not be about others in the end
    if (replaying) this.#jobs.finish(`cut ${shard.id}`)
    const stale = shard.endedSeries()
    if (stale.length === 0) return
    shard.retiring = new Set(stale)
    this.#jobs.start(name, this.#staleCutSteps(shard, offset), { urgent: true, done: () => (shard.retiring = null) })
    if (replaying) this.#jobs.finish(name)
  }

  *#staleCutSteps(shard: Shard, offset: number): Steps {
    const started = this.#clock.monotonicMs()
    const count = shard.retiring!.size
    try {
      yield* this.#cut.staleSeries(shard, offset, this.#cutTarget(shard))
      const seconds = (this.#clock.monotonicMs() - started) / 1000
      this.#metrics.staleDuration.observe(seconds)
      this.#log.info({ shard: shard.id, series: count, seconds }, 'stale series are cut into blocks')
    } catch (thrown) {
      this.#metrics.staleFailures++
      this.#log.error({ shard: shard.id, series: count, err: messageOf(thrown) }, 'cannot cut stale series: they stay in the head')
    }
  }

  #cutTarget(shard: Shard): Parameters<BlockCut['oldestWindow']>[1] {
    const { dataDirectory, chunkRangeMs } = this.#setup
    return {
      directory: dataDirectory,
      chunkRangeMs,
      present: (ulid) => this.#isPresent(ulid),
      written: (ulid) => {
        this.#openBlock(ulid)
        const block = this.#blocks.get(ulid)
        if (block !== undefined) this.#cutAt.set(block, shard.applied)
      },
      dropped: () => this.deletions.retry(shard.id),
    }
  }

  *#cutSteps(shard: Shard): Steps {
    while (this.canCut(shard)) {
      const started = this.#clock.monotonicMs()
      try {
        yield* this.#cut.oldestWindow(shard, this.#cutTarget(shard))
        this.#cutAfterMs.delete(shard.id)
        this.#metrics.duration.observe((this.#clock.monotonicMs() - started) / 1000)
      } catch (thrown) {
        this.#metrics.compactionFailures++
        this.#metrics.truncationFailures++
        this.#cutAfterMs.set(shard.id, this.#clock.monotonicMs() + cutRetryMs)
        this.#log.error(
          { shard: shard.id, err: messageOf(thrown) },
          'cannot cut a block: the samples stay in the head, it is tried again in a minute',
        )
      }
    }
    this.#startCompaction()
  }

  /** True where the block is served, or another one that was made from it; a damaged one is set aside, since the head still has its samples. */
  #isPresent(ulid: string): boolean {
    for (const { meta } of this.#blocks.values()) if (meta.ulid === ulid || meta.compaction.sources.includes(ulid)) return true
    const path = `${this.#setup.dataDirectory}/${ulid}`
    if (!this.#disk.exists(path)) return false
    this.#openBlock(ulid)
    if (this.#blocks.has(ulid)) return true
    this.#disk.remove(`${this.#setup.dataDirectory}/${damagedPrefix}${ulid}`)
    this.#disk.rename(path, `${this.#setup.dataDirectory}/${damagedPrefix}${ulid}`)
    this.#log.error({ block: ulid }, 'a damaged block is set aside and cut anew from the head')
    return false
  }

  /** Notices what has appeared or gone in the directory and begins to compact. Returns the size of every block. */
  maintain(): BlockSize[] {
    this.#reload()
    for (const shard of this.#setup.shards) this.deletions.retry(shard)
    this.#startCompaction()
    return this.#inOrder().map(({ meta, sizeBytes }) => ({ meta, sizeBytes }))
  }

  /** Deletes blocks that retention does not keep. */
  drop(ulids: readonly string[], reason: 'time' | 'size'): void {
    for (const ulid of ulids) {
      const block = this.#blocks.get(ulid)
      if (block === undefined) continue
      this.#remove(block)
      if (reason === 'time') this.#metrics.timeRetentions++
      else this.#metrics.sizeRetentions++
    }
  }

  #remove(block: BlockReader): void {
    const { ulid } = block.meta
    this.#forget(block)
    try {
      deleteBlock(this.#disk, this.#setup.dataDirectory, ulid)
      this.#log.info({ block: ulid }, 'Deleting obsolete block')
    } catch (thrown) {
      this.#log.error({ block: ulid, err: messageOf(thrown) }, 'cannot delete a block: it is tried again')
    }
  }

  /** Stops serving a block. */
  #forget(block: BlockReader): void {
    if (this.#compacting.includes(block)) {
      this.#jobs.cancel(compactionJob)
      this.#jobs.cancel(cleaningJob)
    }
    this.#views.beforeRemoval()
    block.close()
    this.#blocks.delete(block.meta.ulid)
    this.#changed()
  }

  // ---- compaction

  #startCompaction(): void {
    this.#jobs.start(compactionJob, this.#compactionSteps(), { urgent: false })
  }

  *#compactionSteps(): Steps {
    for (;;) {
      // a deletion that is still to come to blocks must not find them in one with others
      if (this.#isReplaying() || !this.deletions.areWritten) return
      const plan = this.#plan()
      if (plan.length === 0) return
      this.#metrics.compactionsTriggered++
      const made = yield* this.#compact(plan)
      if (made === 'failed') return
      if (made === 'done' && plan.length > 1 && overlap(plan)) this.#metrics.verticalCompactions++
    }
  }

  #plan(): BlockReader[] {
    const ranges = blockRanges(this.#setup.chunkRangeMs, Math.max(this.#setup.chunkRangeMs, this.#options.maxBlockMs))
    for (const group of blockGroups(this.#inOrder().map(({ meta }) => meta))) {
      const plan = planCompaction(group, ranges, this.#options.mergeOverlapping)
      // a block whose compaction failed is left alone: as part of an overlap it would be tried for ever
      if (plan.length > 0 && !plan.some(({ compaction }) => compaction.failed)) return plan.map(({ ulid }) => this.#blocks.get(ulid)!)
    }
    return []
  }

  /** Makes one block of some. Their tombstones must not change in between: then it is given up, and planned anew. */
  *#compact(plan: readonly BlockReader[]): Steps<'done' | 'failed' | 'changed'> {
    const started = this.#clock.monotonicMs()
    const tombstones = plan.map((block) => block.tombstones)
    const steps = compactBlocks(this.#disk, this.#setup.dataDirectory, plan, this.#setup.blockSegmentBytesMax)
    this.#compacting = plan
    this.#metrics.writing++
    try {
      const made = yield* stepsWhile(steps, () => plan.every((block, i) => block.tombstones === tombstones[i]))
      if (made === null) return 'changed'
      this.#compacting = []
      const { value: meta } = made
      if (meta !== null) {
        this.#openBlock(meta.ulid)
        if (!this.#blocks.has(meta.ulid)) throw new PromhiveError('INTERNAL', `block ${meta.ulid} does not open`)
      }
      for (const block of plan) this.#remove(block)
      this.#metrics.compactions++
      this.#metrics.duration.observe((this.#clock.monotonicMs() - started) / 1000)
      this.#log.info({ parents: plan.map(({ meta: { ulid } }) => ulid), block: meta?.ulid ?? null }, 'compact blocks')
      return 'done'
    } catch (thrown) {
      this.#metrics.compactionFailures++
      this.#log.error({ err: messageOf(thrown) }, 'compaction failed: the blocks stay as they are')
      return 'failed'
    } finally {
      this.#compacting = []
      this.#metrics.writing--
    }
  }

  /** Writes every block that has deleted samples anew without them. Resolves when that is done. */
  cleanTombstones(): Promise<void> {
    const done = Promise.withResolvers<void>()
    if (this.#jobs.has(cleaningJob)) return Promise.reject(new PromhiveError('UNAVAILABLE', 'cannot clean tombstones: it is under way'))
    const outcome = { failure: new PromhiveError('UNAVAILABLE', 'cannot clean tombstones: the storage is closing') as PromhiveError | null }
    this.#jobs.start(cleaningJob, this.#cleanSteps(outcome), {
      urgent: false,
      done: () => (outcome.failure === null ? done.resolve() : done.reject(outcome.failure)),
    })
    return done.promise
  }

  *#cleanSteps(outcome: { failure: PromhiveError | null }): Steps {
    const started = this.#clock.monotonicMs()
    const seen = new Set<string>()
    for (;;) {
      const block = this.#inOrder().find(({ meta, tombstones }) => tombstones.count > 0 && !seen.has(meta.ulid))
      if (block === undefined) break
      const made = yield* this.#compact([block])
      if (made === 'changed') continue
      seen.add(block.meta.ulid)
      if (made === 'failed') {
        outcome.failure = new PromhiveError('INTERNAL', `cannot clean tombstones of block ${block.meta.ulid}`)
        return
      }
    }
    outcome.failure = null
    this.#metrics.cleanup.observe((this.#clock.monotonicMs() - started) / 1000)
  }

  labelNames(selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): Iterable<string> {
    return this.#collect(startMs, endMs, selectors, (block, matchers) => block.labelNames(matchers))
  }

  labelValues(name: string, selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): Iterable<string> {
    return this.#collect(startMs, endMs, selectors, (block, matchers) => block.labelValues(name, matchers))
  }

  series(selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): Labels[] {
    return this.#collect(startMs, endMs, selectors, (block, matchers) => {
      const set = block.selectCompiled(matchers, startMs, endMs)
      return Array.from({ length: set.length }, (_, i) => set.labels(i))
    })
  }

  #collect<T>(
    startMs: number,
    endMs: number,
    selectors: readonly (readonly CompiledMatcher[])[],
    each: (block: BlockReader, matchers: readonly CompiledMatcher[]) => readonly T[],
  ): T[] {
    const out: T[] = []
    for (const block of this.#blocks.values()) {
      if (endMs < block.meta.minTime || startMs >= block.meta.maxTime) continue
      for (const matchers of selectors.length === 0 ? [[]] : selectors) for (const found of each(block, matchers)) out.push(found)
    }
    return out
  }

  /** meta.json of every block, oldest first. */
  metas(): Readonly<Record<string, unknown>>[] {
    return this.#inOrder().map(({ meta }) => JSON.parse(utf8Text(encodeMeta(meta))) as Record<string, unknown>)
  }

  /**
   * Hard links of every block in another directory, and the heads of the shards as one more there. What becomes a block in the meantime is linked as well:
   * nothing is missing, and what is there twice is the same.
   */
  snapshotTo(directory: string, heads: readonly Shard[]): Promise<void> {
    const closing = new PromhiveError('UNAVAILABLE', 'cannot make a snapshot: the storage is closing')
    return this.#promised(`snapshot ${directory}`, closing, this.#snapshotSteps(directory, heads))
  }

  *#snapshotSteps(directory: string, heads: readonly Shard[]): Steps {
    yield* this.#cut.whole(heads, directory)
    const linked = new Set<string>()
    for (;;) {
      const block = [...this.#blocks.values()].find(({ meta }) => !linked.has(meta.ulid))
      if (block === undefined) break
      linked.add(block.meta.ulid)
      linkBlock(this.#disk, block.path, `${directory}/${block.meta.ulid}`)
      yield
    }
    this.#disk.syncDirectory(directory)
  }

  /** Runs a job before others; rejects with what it throws, or with `closing` where it is given up. */
  #promised(name: string, closing: PromhiveError, steps: Steps): Promise<void> {
    const done = Promise.withResolvers<void>()
    let outcome: { failure: unknown } | null = { failure: closing }
    const guarded = function* (): Steps {
      try {
        yield* steps
        outcome = null
      } catch (thrown) {
        outcome = { failure: thrown }
      }
    }
    const settle = (): void => {
      if (outcome === null) done.resolve()
      else done.reject(outcome.failure instanceof Error ? outcome.failure : closing)
    }
    this.#jobs.start(name, guarded(), { urgent: true, done: settle })
    return done.promise
  }

  metrics(): MetricFamily[] {
    let bytes = 0
    for (const block of this.#blocks.values()) bytes += block.sizeBytes
    return this.#metrics.families(this.#blocks.size, bytes)
  }

  *#blocksOf(shard: number): Generator<BlockReader> {
    for (const block of this.#blocks.values()) if (shardOf(block.meta) === shard) yield block
  }

  #inOrder(): BlockReader[] {
    return [...this.#blocks.values()].sort((a, b) => a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1))
  }

  #reload(): void {
    this.#metrics.reloads++
    const present = new Set(blockNames(this.#disk, this.#setup.dataDirectory))
    for (const [ulid, block] of this.#blocks) if (!present.has(ulid)) this.#forget(block)
    for (const ulid of present) if (!this.#blocks.has(ulid)) this.#openBlock(ulid)
    for (const ulid of this.#broken.keys()) if (!present.has(ulid)) this.#broken.delete(ulid)
    // a crash may have left blocks beside the one they were compacted into
    const parents = new Set([...this.#blocks.values()].flatMap(({ meta }) => meta.compaction.parents.map(({ ulid }) => ulid)))
    for (const block of this.#blocks.values()) {
      if (parents.has(block.meta.ulid) || block.meta.compaction.deletable) this.#remove(block)
    }
    for (const ulid of this.#broken.keys()) {
      if (!parents.has(ulid)) continue
      deleteBlock(this.#disk, this.#setup.dataDirectory, ulid)
      this.#broken.delete(ulid)
    }
  }

  /** Null where another worker will say what is wrong with it: the first one looks after blocks of others. */
  #metaOf(path: string): BlockMeta | null {
    try {
      return readMeta(this.#disk, path)
    } catch (thrown) {
      if (this.#setup.lane > 0) return null
      if (!repairIndexVersion(this.#disk, path)) throw thrown
      this.#log.warn({ path }, 'the versions in a block of an old Prometheus are put right')
      return readMeta(this.#disk, path)
    }
  }

  /** A block that cannot be read is left alone and named in the log; everything else goes on being served. */
  #openBlock(ulid: string): void {
    if (this.#blocks.has(ulid)) return
    const path = `${this.#setup.dataDirectory}/${ulid}`
    try {
      const meta = this.#metaOf(path)
      if (meta === null || !this.#setup.shards.includes(shardOf(meta))) return
      const block = BlockReader.open(this.#disk, this.#cache, path)
      this.#blocks.set(ulid, block)
      this.#changed()
      this.#broken.delete(ulid)
    } catch (thrown) {
      const why = messageOf(thrown)
      if (thrown instanceof PromhiveError && thrown.code === 'NOT_FOUND' && !this.#disk.exists(path)) return
      this.#metrics.reloadFailures++
      if (this.#broken.get(ulid) !== why) this.#log.error({ block: ulid, err: why }, 'cannot open a block: it is left alone and not served')
      this.#broken.set(ulid, why)
    }
  }
}

/** End of the newest window that is among the blocks of a shard. */
export function cutUntil(blocks: Iterable<BlockReader>, shard: number): number {
  let until = -Infinity
  for (const { meta } of blocks) if (meta.shard?.shard === shard && !isPartOfWindow(meta)) until = Math.max(until, meta.maxTime)
  return until
}

/** Whose block it is: blocks of others belong to the first shard. */
export function shardOf({ shard }: BlockMeta): number {
  return shard === null || shard.generation !== generation ? 0 : shard.shard
}

function overlap(blocks: readonly BlockReader[]): boolean {
  const metas = blocks.map(({ meta }): BlockMeta => meta).sort((a, b) => a.minTime - b.minTime)
  return metas.some((meta, i) => i > 0 && meta.minTime < metas[i - 1]!.maxTime)
}
