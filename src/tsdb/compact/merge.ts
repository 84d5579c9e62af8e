// Several blocks into one, series by series: memory is bounded by one series and the label strings of the new block.
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Steps } from '../../base/steps.ts'
import { compareLabels, type Labels } from '../../model/labels.ts'
import type { Disk } from '../../ports/disk.ts'
import type { Interval } from '../block/intervals.ts'
import { segmentBytesDefault } from '../block/chunk-segments.ts'
import { decodeAt } from '../block/corrupt.ts'
import type { BlockMeta } from '../block/meta.ts'
import type { BlockReader } from '../block/reader.ts'
import { compactedUlid } from '../block/ulid.ts'
import { BlockWriter } from '../block/writer.ts'
import type { ChunkData } from '../chunks/encode.ts'
import { joinChunks } from '../chunks/join.ts'
import { mergeChunks, withoutDeleted } from './merge-chunks.ts'
import { mergedDescription } from './plan.ts'

/** Series written between two yields: a step is short enough not to be noticed by queries of the same worker. */
const seriesPerStep = 64

/**
 * Compacts blocks into a new one in `parent`, a step per `next()`. The parents stay; the caller deletes them when the new block is open. Where no sample
 * is left, no block is written, the parents are marked deletable and null is returned. Where it fails, the parents are marked failed, so that they are
 * not tried again, and the error is thrown; a full disk is not the blocks' fault and marks nothing. `return()` gives up and removes what was written.
 * @returns description of the new block, whose name follows from its parents: replicas make the same block.
 */
export function* compactBlocks(
  disk: Disk,
  parent: string,
  blocks: readonly BlockReader[],
  segmentBytesMax = segmentBytesDefault,
): Steps<BlockMeta | null> {
  const sorted = [...blocks].sort((a, b) => a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1))
  const metas = sorted.map((block) => block.meta)
  const description = mergedDescription(metas)
  const ulid = compactedUlid(
    description.maxTime,
    metas.map((meta) => `${meta.ulid}+${meta.stats.numTombstones}`),
  )
  const writer = new BlockWriter(disk, parent, ulid, segmentBytesMax)
  let finished = false
  try {
    let series = 0
    for (const { labels, chunks } of mergedSeries(sorted, description.minTime, description.maxTime)) {
      writer.add(labels, joinChunks(chunks))
      if (++series % seriesPerStep === 0) yield
    }
    const meta = yield* writer.finishing(() => description)
    finished = true
    if (meta === null) {
      for (const block of sorted) block.rewriteMeta({ ...block.meta, compaction: { ...block.meta.compaction, deletable: true } })
    }
    return meta
  } catch (thrown) {
    const passing = thrown instanceof PromhiveError && (thrown.code === 'STORAGE_FULL' || thrown.code === 'UNAVAILABLE')
    if (!passing) for (const block of sorted) block.rewriteMeta({ ...block.meta, compaction: { ...block.meta.compaction, failed: true } })
    const code = thrown instanceof PromhiveError ? thrown.code : 'INTERNAL'
    const names = metas.map((meta) => meta.ulid)
    throw new PromhiveError(code, `cannot compact blocks ${names.join(', ')}: ${messageOf(thrown)}`, { blocks: names }, thrown)
  } finally {
    if (!finished) writer.abort()
  }
}

/** Every series of the blocks once, in label order, with its chunks in [minTime, maxTime), deleted samples left out. */
export function* mergedSeries(
  blocks: readonly BlockReader[],
  minTime: number,
  maxTime: number,
): Generator<{ labels: Labels; chunks: ChunkData[] }> {
  const cursors = blocks.map((block) => new SeriesCursor(block))
  for (;;) {
    let labels: Labels | null = null
    for (const { current } of cursors) {
      if (current !== null && (labels === null || compareLabels(current, labels) < 0)) labels = current
    }
    if (labels === null) return
    const chunks: ChunkData[] = []
    let sources = 0
    for (const cursor of cursors) {
      if (cursor.current === null || compareLabels(cursor.current, labels) !== 0) continue
      sources++
      chunks.push(...cursor.chunks(minTime, maxTime))
      cursor.advance()
    }
    if (chunks.length > 0) yield { labels, chunks: sources === 1 ? chunks : mergeChunks(chunks) }
  }
}

/** Goes through all series of a block in label order. */
class SeriesCursor {
  current: Labels | null = null
  readonly #block: BlockReader
  readonly #refs: Uint32Array
  #at = -1
  constructor(block: BlockReader) {
    this.#block = block
    this.#refs = block.index.allPostings()
    this.advance()
  }
  advance(): void {
    this.#at++
    this.current = this.#at < this.#refs.length ? this.#block.labelsOf(this.#refs[this.#at]!) : null
  }
  chunks(minTime: number, maxTime: number): ChunkData[] {
    const block = this.#block
    const ref = this.#refs[this.#at]!
    const deleted: readonly Interval[] = block.tombstones.of(ref)
    const outside: Interval[] = [
      { minTime: -Infinity, maxTime: minTime - 1 },
      { minTime: maxTime, maxTime: Infinity },
    ]
    const without = deleted.length === 0 ? outside : [...outside, ...deleted]
    return decodeAt(`${block.path}/chunks`, 0, () =>
      block.chunksOf(ref, minTime, maxTime - 1).flatMap((chunk) => withoutDeleted(chunk, without)),
    )
  }
}
