// Which blocks to compact next, and which to delete. Pure: from descriptions of blocks to lists of names. Source: prometheus tsdb/compact.go, tsdb/db.go.
import { type BlockMeta, blockHints } from '../block/meta.ts'

/** Block lengths: the first, and each next one three times as long, up to the longest allowed. */
export function blockRanges(minRangeMs: number, maxRangeMs: number): number[] {
  const ranges: number[] = []
  for (let i = 0, range = minRangeMs; i < 10 && (i === 0 || range <= maxRangeMs); i++, range *= 3) ranges.push(range)
  return ranges
}

/**
 * Blocks that may be compacted with each other: those of one shard of one generation; blocks of other programs are a group of their own.
 * Blocks of different shards share their time range and no series, so they must never be taken for overlapping.
 */
export function blockGroups(metas: readonly BlockMeta[]): BlockMeta[][] {
  const groups = new Map<string, BlockMeta[]>()
  for (const meta of metas) {
    const key = meta.shard === null ? '' : `${meta.shard.generation}/${meta.shard.shard}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [meta])
    else group.push(meta)
  }
  return [...groups.keys()].sort().map((key) => groups.get(key)!)
}

/**
 * The blocks of one group to compact into one now, oldest first; [] where nothing is to be done. Blocks made of a part of the head (stale or
 * selected series) are only compacted among themselves, so that their hint survives.
 * @param overlapping false: blocks that overlap are left to others.
 */
export function planCompaction(group: readonly BlockMeta[], ranges: readonly number[], overlapping = true): BlockMeta[] {
  const stale = group.filter(({ compaction }) => compaction.hints.includes(blockHints.staleSeries))
  const selected = group.filter((meta) => !stale.includes(meta) && meta.compaction.hints.includes(blockHints.selectedSeries))
  const rest = group.filter((meta) => !stale.includes(meta) && !selected.includes(meta))
  for (const part of [rest, stale, selected]) {
    const plan = planClass(part, ranges, overlapping)
    if (plan.length > 0) return plan
  }
  return []
}

function planClass(metas: readonly BlockMeta[], ranges: readonly number[], merges: boolean): BlockMeta[] {
  const sorted = [...metas].sort(byStart)
  const overlapping = merges ? firstOverlap(sorted) : []
  if (overlapping.length > 0) return overlapping
  // the newest block stays as it is for a while: data may still be added beside it
  const settled = sorted.slice(0, -1)
  const leveled = leveledPlan(settled, ranges)
  if (leveled.length > 0) return leveled
  for (const meta of settled.toReversed()) {
    const { numTombstones, numSeries } = meta.stats
    if (meta.maxTime - meta.minTime < ranges[Math.floor(ranges.length / 2)]!) {
      if (numTombstones > 0 && numTombstones >= numSeries) return [meta]
      break
    }
    if (numTombstones / (numSeries + 1) > 0.05) return [meta]
  }
  return []
}

function byStart(a: BlockMeta, b: BlockMeta): number {
  return a.minTime - b.minTime || (a.ulid < b.ulid ? -1 : 1)
}

/** The first run of blocks in which each overlaps what came before. */
function firstOverlap(sorted: readonly BlockMeta[]): BlockMeta[] {
  const run: BlockMeta[] = []
  let end = sorted[0]?.maxTime ?? 0
  for (let i = 1; i < sorted.length; i++) {
    const meta = sorted[i]!
    if (meta.minTime < end) {
      if (run.length === 0) run.push(sorted[i - 1]!)
      run.push(meta)
    } else if (run.length > 0) break
    end = Math.max(end, meta.maxTime)
  }
  return run
}

/** Blocks that fill a longer range, or will not get company in it any more. */
function leveledPlan(sorted: readonly BlockMeta[], ranges: readonly number[]): BlockMeta[] {
  const newest = sorted.at(-1)
  if (newest === undefined) return []
  for (const range of ranges.slice(1)) {
    for (const part of partsOf(sorted, range)) {
      if (part.length < 2 || part.some((meta) => meta.compaction.failed)) continue
      const start = part[0]!.minTime
      const end = part.at(-1)!.maxTime
      if (end - start === range || end <= newest.minTime) return part
    }
  }
  return []
}

/** Blocks by the aligned range of this length they lie in; blocks that lie across a boundary are left out. */
function partsOf(sorted: readonly BlockMeta[], range: number): BlockMeta[][] {
  const parts: BlockMeta[][] = []
  for (let i = 0; i < sorted.length;) {
    const end = (Math.floor(sorted[i]!.minTime / range) + 1) * range
    if (sorted[i]!.maxTime > end) {
      i++
      continue
    }
    const part: BlockMeta[] = []
    while (i < sorted.length && sorted[i]!.maxTime <= end) part.push(sorted[i++]!)
    parts.push(part)
  }
  return parts
}

/** What the block made from these will say of itself, but for its name and numbers. */
export function mergedDescription(parents: readonly BlockMeta[]): Pick<BlockMeta, 'minTime' | 'maxTime' | 'compaction' | 'shard'> {
  const has = (hint: string) => (meta: BlockMeta) => meta.compaction.hints.includes(hint)
  const hints: string[] = []
  // a mixture with in-order data is in-order data; the other hints stay whatever they are mixed with
  if (parents.every(has(blockHints.outOfOrder))) hints.push(blockHints.outOfOrder)
  for (const hint of [blockHints.selectedSeries, blockHints.staleSeries]) if (parents.some(has(hint))) hints.push(hint)
  const [first] = parents
  const sameShard = parents.every(({ shard }) => shard?.shard === first?.shard?.shard && shard?.generation === first?.shard?.generation)
  return {
    minTime: Math.min(...parents.map((meta) => meta.minTime)),
    maxTime: Math.max(...parents.map((meta) => meta.maxTime)),
    shard: sameShard ? (first?.shard ?? null) : null,
    compaction: {
      level: Math.max(...parents.map((meta) => meta.compaction.level)) + 1,
      sources: [...new Set(parents.flatMap((meta) => meta.compaction.sources))].sort(),
      deletable: false,
      failed: false,
      parents: parents.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime })),
      hints: hints.sort(),
    },
  }
}

export type RetentionLimits = Readonly<{
  /** 0 = for ever. */
  retentionMs: number
  /** 0 = no limit. */
  maxBytes: number
  /** What the head and its log take; counted before any block. */
  headBytes: number
}>

/**
 * Blocks to delete. Time counts back from the end of the newest block, not from now; size from the newest block to the oldest.
 * Blocks marked deletable go in any case.
 */
export function planRetention(
  blocks: readonly Readonly<{ meta: BlockMeta; sizeBytes: number }>[],
  limits: RetentionLimits,
): { deletable: string[]; beyondTime: string[]; beyondSize: string[] } {
  const sorted = [...blocks].sort((a, b) => b.meta.maxTime - a.meta.maxTime || (a.meta.ulid < b.meta.ulid ? -1 : 1))
  const deletable = sorted.filter(({ meta }) => meta.compaction.deletable).map(({ meta }) => meta.ulid)
  const newest = sorted[0]?.meta.maxTime ?? 0
  const { retentionMs, maxBytes, headBytes } = limits
  const beyondTime =
    retentionMs <= 0 ? [] : sorted.filter(({ meta }, i) => i > 0 && newest - meta.maxTime >= retentionMs).map(({ meta }) => meta.ulid)
  const beyondSize: string[] = []
  let bytes = headBytes
  for (const { meta, sizeBytes } of maxBytes <= 0 ? [] : sorted) {
    bytes += sizeBytes
    if (bytes > maxBytes) beyondSize.push(meta.ulid)
  }
  return { deletable, beyondTime, beyondSize }
}

/** Bytes for `retention.percentage`, which wins over `retention.size` where it is set. */
export function retentionBytes(maxBytes: number, percentage: number, diskBytes: number): number {
  return percentage > 0 && diskBytes > 0 ? Math.floor((diskBytes * percentage) / 100) : maxBytes
}
