// Blocks for tests: written from plain rows, read back into plain rows.
import { labelsFromObject, printLabels, type Labels } from '../../../src/model/labels.ts'
import { SampleColumns, type SeriesSet } from '../../../src/model/samples.ts'
import type { Disk } from '../../../src/ports/disk.ts'
import type { ChunkData } from '../../../src/tsdb/chunks/encode.ts'
import { newCompaction, type BlockMeta } from '../../../src/tsdb/block/meta.ts'
import { ulidFrom } from '../../../src/tsdb/block/ulid.ts'
import { BlockWriter } from '../../../src/tsdb/block/writer.ts'
import { encodeXor } from '../../../src/tsdb/chunks/xor.ts'
import { compareLabels } from '../../../src/model/labels.ts'

export type Sample = readonly [time: number, value: number]
export type Row = Readonly<{ labels: Readonly<Record<string, string>>; samples: readonly Sample[]; perChunk?: number }>

export function xorChunks(samples: readonly Sample[], perChunk = 120): ChunkData[] {
  const out: ChunkData[] = []
  for (let from = 0; from < samples.length; from += perChunk) {
    const part = samples.slice(from, from + perChunk)
    const times = Float64Array.from(part, ([time]) => time)
    const values = Float64Array.from(part, ([, value]) => value)
    const bytes = encodeXor(times, new Uint32Array(values.buffer), 0, part.length)
    out.push({ encoding: 1, minTime: part[0]![0], maxTime: part.at(-1)![0], bytes })
  }
  return out
}

export function writeBlock(disk: Disk, parent: string, rows: readonly Row[], over: Partial<BlockMeta> = {}): BlockMeta {
  const ulid = over.ulid ?? ulidFrom(1_700_000_000_000, JSON.stringify([rows.length, over]))
  const writer = new BlockWriter(disk, parent, ulid)
  const sorted = rows.map((row) => ({ ...row, labels: labelsFromObject(row.labels) })).sort((a, b) => compareLabels(a.labels, b.labels))
  for (const { labels, samples, perChunk } of sorted) writer.add(labels, xorChunks(samples, perChunk))
  const times = rows.flatMap((row) => row.samples.map(([time]) => time))
  return writer.finish({
    minTime: over.minTime ?? Math.min(...times),
    maxTime: over.maxTime ?? Math.max(...times) + 1,
    compaction: over.compaction ?? newCompaction(ulid),
    shard: over.shard ?? null,
  })!
}

/** Every series with its samples, by its printed labels. */
export function readAll(set: SeriesSet): Record<string, Sample[]> {
  const out: Record<string, Sample[]> = {}
  const columns = new SampleColumns()
  for (let i = 0; i < set.length; i++) {
    set.read(i, columns)
    out[printLabels(set.labels(i))] = Array.from({ length: columns.length }, (_, k) => [columns.times[k]!, columns.values[k]!])
  }
  return out
}

export function labelsText(labels: Labels): string {
  return printLabels(labels)
}
