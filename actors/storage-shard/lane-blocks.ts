// The blocks of one storage worker: those its shards have cut, and in the first worker also those that a Prometheus left in the directory.
// Cutting turns a window of the head into a block; `maintain` applies retention and notices blocks that others put there or took away.
import type { Logger } from '../../src/base/logger.ts'
import type { MetricFamily } from '../../src/base/metrics.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { utf8Text } from '../../src/base/bytes.ts'
import { compareLabels, type Labels } from '../../src/model/labels.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import type { CompiledMatcher } from '../../src/model/matching.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { encodeMeta, newCompaction } from '../../src/tsdb/block/meta.ts'
import type { ChunkData } from '../../src/tsdb/chunks/encode.ts'
import { PageCache } from '../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../src/tsdb/block/reader.ts'
import { blockUlid, isUlid } from '../../src/tsdb/block/ulid.ts'
import { BlockWriter, deletionSuffix } from '../../src/tsdb/block/writer.ts'
import { headChunks } from '../../src/tsdb/head/chunks.ts'
import type { SeriesPart } from '../../src/tsdb/query/merged-source.ts'
import type { BlockOptions, LaneSetup } from './lane-protocol.ts'
import type { Shard } from './shard.ts'

/** Shards of one number of shards are one generation; blocks say which they are from. */
const generation = 1
const pageCacheBytes = 64 << 20

export class LaneBlocks {
  readonly #disk: Disk
  readonly #setup: LaneSetup
  readonly #log: Logger
  readonly #cache = new PageCache(pageCacheBytes)
  #options: BlockOptions
  readonly #blocks = new Map<string, BlockReader>()
  #parts: readonly SeriesPart[] | null = null
  /** Directories that could not be opened, with what is wrong: told once. */
  readonly #broken = new Map<string, string>()
  #counts = { cuts: 0, cutFailures: 0, reloads: 0, reloadFailures: 0, timeRetentions: 0, sizeRetentions: 0 }

  constructor(disk: Disk, setup: LaneSetup, log: Logger) {
    this.#disk = disk
    this.#setup = setup
    this.#log = log
    this.#options = setup.blocks
  }

  /** Opens what is there. */
  open(): void {
    this.#reload()
  }

  close(): void {
    for (const block of this.#blocks.values()) block.close()
    this.#blocks.clear()
    this.#parts = null
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

  /** End of the newest window that is already a block of this shard. */
  cutUntil(shard: number): number {
    let until = -Infinity
    for (const { meta } of this.#blocks.values()) if (meta.shard?.shard === shard) until = Math.max(until, meta.maxTime)
    return until
  }

  /** Turns the shard's oldest window into a block and drops it from the head. On failure the window stays in the head and is tried again. */
  cut(shard: Shard): void {
    const { chunkRangeMs } = this.#setup
    const start = shard.windowStart
    const end = start + chunkRangeMs
    const ulid = blockUlid(shard.id, start, end, 'head', 0)
    try {
      if (!this.#disk.exists(`${this.#setup.dataDirectory}/${ulid}`)) {
        for (const series of shard.members()) if (shard.head.openFrom(series) < end) shard.head.closeChunk(series)
        this.#write(this.#setup.dataDirectory, ulid, shard, start, end)
      }
      this.#openBlock(ulid)
      shard.dropUntil(end)
      this.#counts.cuts++
    } catch (thrown) {
      this.#counts.cutFailures++
      this.#log.error({ shard: shard.id, ulid, err: messageOf(thrown) }, 'cannot cut a block: the samples stay in the head')
    }
  }

  /** The whole head of a shard as a block somewhere else: for snapshots. */
  writeHeadTo(directory: string, shard: Shard): void {
    if (shard.maxTime === -Infinity) return
    const ulid = blockUlid(shard.id, shard.minTime, shard.maxTime + 1, 'snapshot', shard.applied)
    this.#write(directory, ulid, shard, shard.minTime, shard.maxTime + 1)
  }

  #write(directory: string, ulid: string, shard: Shard, start: number, end: number): void {
    const series = shard.members().map((member) => ({ member, labels: shard.head.labels(member) }))
    series.sort((a, b) => compareLabels(a.labels, b.labels))
    const writer = new BlockWriter(this.#disk, directory, ulid)
    try {
      for (const { member, labels } of series) {
        const chunks: ChunkData[] = headChunks(shard.head, member, start, end - 1)
        writer.add(labels, chunks)
      }
      writer.finish({ minTime: start, maxTime: end, compaction: newCompaction(ulid), shard: { shard: shard.id, generation } })
    } catch (thrown) {
      writer.abort()
      throw thrown
    }
  }

  /** Retention, then what has appeared or gone in the directory. Returns the bytes all blocks take. */
  maintain(): number {
    this.#retain()
    this.#reload()
    let bytes = 0
    for (const block of this.#blocks.values()) bytes += block.sizeBytes
    return bytes
  }

  #retain(): void {
    const { retentionMs, retentionBytes } = this.#options
    const blocks = this.#inOrder()
    const newest = blocks.reduce((max, { meta }) => Math.max(max, meta.maxTime), -Infinity)
    const remove = (block: BlockReader): void => {
      this.#log.info({ block: block.meta.ulid }, 'Deleting obsolete block')
      block.close()
      this.#blocks.delete(block.meta.ulid)
      this.#parts = null
      const doomed = `${block.path}${deletionSuffix}`
      this.#disk.rename(block.path, doomed)
      this.#disk.remove(doomed)
    }
    if (retentionMs > 0) {
      for (const block of blocks) {
        if (newest - block.meta.maxTime < retentionMs) continue
        this.#counts.timeRetentions++
        remove(block)
      }
    }
    if (retentionBytes > 0) {
      let bytes = 0
      for (const block of this.#inOrder().reverse()) {
        bytes += block.sizeBytes
        if (bytes <= retentionBytes) continue
        this.#counts.sizeRetentions++
        remove(block)
      }
    }
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

  /** Marks samples as deleted; returns the series touched. */
  deleteSeries(matchers: readonly Matcher[], startMs: number, endMs: number): number {
    let touched = 0
    for (const block of this.#blocks.values()) {
      if (endMs < block.meta.minTime || startMs >= block.meta.maxTime) continue
      touched += block.delete(matchers, startMs, endMs)
    }
    return touched
  }

  /** Hard links of every block in another directory. */
  snapshotTo(directory: string): void {
    for (const block of this.#blocks.values()) linkTree(this.#disk, block.path, `${directory}/${block.meta.ulid}`)
  }

  metrics(): MetricFamily[] {
    const { cuts, cutFailures, reloads, reloadFailures, timeRetentions, sizeRetentions } = this.#counts
    const blocks = this.#inOrder()
    const bytes = blocks.reduce((sum, block) => sum + block.sizeBytes, 0)
    const rows: [MetricFamily['kind'], string, string, number][] = [
      ['gauge', 'prometheus_tsdb_blocks_loaded', 'Number of currently loaded data blocks', blocks.length],
      [
        'gauge',
        'prometheus_tsdb_storage_blocks_bytes',
        'The number of bytes that are currently used for local storage by all blocks.',
        bytes,
      ],
      ['counter', 'prometheus_tsdb_compactions_total', 'Total number of compactions that were executed for the partition.', cuts],
      ['counter', 'prometheus_tsdb_compactions_failed_total', 'Total number of compactions that failed for the partition.', cutFailures],
      [
        'counter',
        'prometheus_tsdb_compactions_triggered_total',
        'Total number of triggered compactions for the partition.',
        cuts + cutFailures,
      ],
      ['counter', 'prometheus_tsdb_reloads_total', 'Number of times the database reloaded block data from disk.', reloads],
      [
        'counter',
        'prometheus_tsdb_reloads_failures_total',
        'Number of times the database failed to reloadBlocks block data from disk.',
        reloadFailures,
      ],
      [
        'counter',
        'prometheus_tsdb_time_retentions_total',
        'The number of times that blocks were deleted because the maximum time limit was exceeded.',
        timeRetentions,
      ],
      [
        'counter',
        'prometheus_tsdb_size_retentions_total',
        'The number of times that blocks were deleted because the maximum number of bytes was exceeded.',
        sizeRetentions,
      ],
    ]
    return rows.map(([kind, name, help, value]) => ({ name, help, kind, samples: [{ suffix: '', labels: [], value }] }))
  }

  #inOrder(): BlockReader[] {
    return [...this.#blocks.values()].sort((a, b) => a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1))
  }

  #reload(): void {
    this.#counts.reloads++
    const present = new Set(this.#disk.list(this.#setup.dataDirectory).filter(isUlid))
    for (const [ulid, block] of this.#blocks) {
      if (present.has(ulid)) continue
      block.close()
      this.#blocks.delete(ulid)
      this.#parts = null
    }
    for (const ulid of present) if (!this.#blocks.has(ulid)) this.#openBlock(ulid)
  }

  /** A block that cannot be read is left alone and named in the log; everything else goes on being served. */
  #openBlock(ulid: string): void {
    if (this.#blocks.has(ulid)) return
    const path = `${this.#setup.dataDirectory}/${ulid}`
    try {
      const block = BlockReader.open(this.#disk, this.#cache, path)
      const { shard } = block.meta
      const mine = shard === null || shard.generation !== generation ? this.#setup.lane === 0 : this.#setup.shards.includes(shard.shard)
      if (!mine) return block.close()
      this.#blocks.set(ulid, block)
      this.#parts = null
      this.#broken.delete(ulid)
    } catch (thrown) {
      const why = messageOf(thrown)
      if (thrown instanceof PromhiveError && thrown.code === 'NOT_FOUND' && !this.#disk.exists(path)) return
      this.#counts.reloadFailures++
      if (this.#broken.get(ulid) !== why) this.#log.error({ block: ulid, err: why }, 'cannot open a block: it is left alone and not served')
      this.#broken.set(ulid, why)
    }
  }
}

function linkTree(disk: Disk, from: string, to: string): void {
  disk.makeDirectory(to)
  for (const name of disk.list(from)) {
    const source = `${from}/${name}`
    if (disk.stat(source).isDirectory) linkTree(disk, source, `${to}/${name}`)
    else disk.link(source, `${to}/${name}`)
  }
  disk.syncDirectory(to)
}
