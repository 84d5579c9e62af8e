// meta.json of a block, as Prometheus writes it, with one key of our own that Prometheus and Thanos skip:
//
//   "promhive": { "shard": 3, "generation": 1, "check": 123 }
//
// `check` is a CRC32C of everything else in the file. A file rewritten by another program lacks our key and is then not checked.
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { messageOf } from '../../base/errors.ts'
import { count, fail, flag, integer, list, object, text, textOf, withDefault } from '../../base/shape.ts'
import type { Disk } from '../../ports/disk.ts'
import { corrupt } from './corrupt.ts'
import { isUlid } from './ulid.ts'

export const metaFile = 'meta.json'
export const blockHints = {
  outOfOrder: 'from-out-of-order',
  staleSeries: 'from-stale-series',
  selectedSeries: 'from-selected-series',
} as const

export type BlockStats = Readonly<{
  numSamples: number
  numFloatSamples: number
  numHistogramSamples: number
  numSeries: number
  numChunks: number
  numTombstones: number
}>

export type BlockDescription = Readonly<{ ulid: string; minTime: number; maxTime: number }>

export type BlockCompaction = Readonly<{
  level: number
  /** The blocks cut from a head that went into this one. */
  sources: readonly string[]
  /** Holds nothing: to be removed. */
  deletable: boolean
  parents: readonly BlockDescription[]
  /** A compaction of it went wrong: it is left alone. */
  failed: boolean
  hints: readonly string[]
}>

/** Samples lie in [minTime, maxTime), ms. */
export type BlockMeta = Readonly<{
  ulid: string
  minTime: number
  maxTime: number
  stats: BlockStats
  compaction: BlockCompaction
  /** Which shard of which generation wrote it; null for blocks of others. */
  shard: BlockShard | null
}>
export type BlockShard = Readonly<{ shard: number; generation: number }>

/** Made of a part of what there was for its time: late samples, or some series. */
export function isPartOfWindow({ compaction }: BlockMeta): boolean {
  return Object.values(blockHints).some((hint) => compaction.hints.includes(hint))
}

export const noStats: BlockStats = {
  numSamples: 0,
  numFloatSamples: 0,
  numHistogramSamples: 0,
  numSeries: 0,
  numChunks: 0,
  numTombstones: 0,
}

/** A block cut from a head: level 1, its own source. */
export function newCompaction(ulid: string, hints: readonly string[] = []): BlockCompaction {
  return { level: 1, sources: [ulid], deletable: false, parents: [], failed: false, hints: [...hints].sort() }
}

const ulidText = textOf(isUlid, 'a ULID')
const zeroCount = withDefault(count, 0)
const metaShape = object({
  ulid: ulidText,
  minTime: integer,
  maxTime: integer,
  stats: withDefault(
    object({
      numSamples: zeroCount,
      numFloatSamples: zeroCount,
      numHistogramSamples: zeroCount,
      numSeries: zeroCount,
      numChunks: zeroCount,
      numTombstones: zeroCount,
    }),
    noStats,
  ),
  compaction: object({
    level: integer,
    sources: withDefault(list(ulidText), []),
    deletable: withDefault(flag, false),
    parents: withDefault(list(object({ ulid: ulidText, minTime: integer, maxTime: integer })), []),
    failed: withDefault(flag, false),
    hints: withDefault(list(text), []),
  }),
  version: (value, path) => (value === 1 ? 1 : fail(path, `${JSON.stringify(value)} is not supported`)),
  promhive: withDefault<{ shard: number; generation: number; check: number } | undefined>(
    object({ shard: count, generation: count, check: integer }),
    undefined,
  ),
})

/** Tabs and key order as Prometheus; zero counts, false flags and empty lists are left out. */
export function encodeMeta(meta: BlockMeta): Uint8Array {
  const plain = withoutDefaults(meta)
  if (meta.shard === null) return utf8Bytes(JSON.stringify(plain, null, '\t'))
  const check = checkOf(plain, meta.shard)
  return utf8Bytes(JSON.stringify({ ...plain, promhive: { ...shardOf(meta.shard), check } }, null, '\t'))
}

function shardOf({ shard, generation }: BlockShard): BlockShard {
  return { shard, generation }
}

function checkOf(plain: object, shard: BlockShard): number {
  return crc32c(utf8Bytes(JSON.stringify([plain, shardOf(shard)])))
}

function withoutDefaults({ ulid, minTime, maxTime, stats, compaction }: BlockMeta): object {
  const { level, sources, deletable, parents, failed, hints } = compaction
  const nonZero = (Object.keys(noStats) as (keyof BlockStats)[]).filter((key) => stats[key] > 0)
  return {
    ulid,
    minTime,
    maxTime,
    stats: Object.fromEntries(nonZero.map((key) => [key, stats[key]])),
    compaction: {
      level,
      ...(sources.length > 0 && { sources }),
      ...(deletable && { deletable }),
      ...(parents.length > 0 && { parents: parents.map((p) => ({ ulid: p.ulid, minTime: p.minTime, maxTime: p.maxTime })) }),
      ...(failed && { failed }),
      ...(hints.length > 0 && { hints }),
    },
    version: 1,
  }
}

/** Throws STORAGE_CORRUPT, NOT_FOUND where there is no such file. */
export function readMeta(disk: Disk, block: string): BlockMeta {
  const path = `${block}/${metaFile}`
  const bytes = disk.read(path)
  let json: unknown
  try {
    json = JSON.parse(utf8Text(bytes))
  } catch (thrown) {
    throw corrupt(path, 0, messageOf(thrown), thrown)
  }
  let checked: ReturnType<typeof metaShape>
  try {
    checked = metaShape(json, '')
  } catch (thrown) {
    throw corrupt(path, 0, messageOf(thrown), thrown)
  }
  const { promhive, version: _, ...rest } = checked
  if (rest.maxTime < rest.minTime) throw corrupt(path, 0, `maxTime ${rest.maxTime} is before minTime ${rest.minTime}`)
  const meta: BlockMeta = { ...rest, shard: promhive === undefined ? null : shardOf(promhive) }
  if (promhive !== undefined && promhive.check !== checkOf(withoutDefaults(meta), promhive)) {
    throw corrupt(path, 0, 'checksum of the block description does not match')
  }
  return meta
}

/** Replaces the file atomically and makes it durable. */
export function writeMeta(disk: Disk, block: string, meta: BlockMeta): void {
  const path = `${block}/${metaFile}`
  disk.write(`${path}.tmp`, encodeMeta(meta))
  const file = disk.open(`${path}.tmp`, 'append')
  file.syncNow()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(block)
}
