// Blocks to and from the real thing: promtool reads what is written here, and what promtool wrote is read here.
// PROMTOOL names the program; without it, the one in PATH. Skipped where there is none.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { Histogram } from '../../src/model/histogram.ts'
import { printHistogram } from '../../src/model/histogram-text.ts'
import { printLabels, type Labels } from '../../src/model/labels.ts'
import { SampleColumns } from '../../src/model/samples.ts'
import { isStaleAt, staleNaN } from '../../src/model/staleness.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import type { ChunkData } from '../../src/tsdb/chunks/encode.ts'
import { joinChunks } from '../../src/tsdb/chunks/join.ts'
import { newCompaction } from '../../src/tsdb/block/meta.ts'
import { PageCache } from '../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../src/tsdb/block/reader.ts'
import { BlockWriter } from '../../src/tsdb/block/writer.ts'
import { blockUlid } from '../../src/tsdb/block/ulid.ts'
import { OpenHistogramChunk } from '../../src/tsdb/chunks/open-histogram.ts'
import { xorChunks, type Sample } from '../support/tsdb/blocks.ts'
import { histogramRunArbitrary } from '../support/tsdb/histograms.ts'

const promtool = process.env['PROMTOOL'] ?? 'promtool'

function works(): boolean {
  try {
    execFileSync(promtool, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function run(...args: string[]): string {
  return execFileSync(promtool, args, { encoding: 'utf8', maxBuffer: 1 << 28 })
}

const hour = 3_600_000
const start = Math.floor(1_700_000_000_000 / (2 * hour)) * 2 * hour

/** The first of each kind that is no mixture: promtool prints a stale histogram as an empty one. */
function runs(isFloat: boolean): Histogram[][] {
  return fc
    .sample(histogramRunArbitrary(isFloat), { numRuns: 12, seed: 11 })
    .map((list) => list.filter((histogram) => !Number.isNaN(histogram.sum)))
    .filter((list) => list.length > 0)
}

function histogramChunks(list: readonly Histogram[]): ChunkData[] {
  const chunks: OpenHistogramChunk[] = []
  list.forEach((histogram, i) => {
    const open = chunks.at(-1)
    const next =
      open === undefined ? OpenHistogramChunk.start(start + i * 15_000, histogram, null) : open.append(start + i * 15_000, histogram)
    if (next !== open) chunks.push(next)
  })
  return chunks.map((chunk) => ({ encoding: chunk.encoding, minTime: chunk.minTime, maxTime: chunk.maxTime, bytes: chunk.bytes() }))
}

/** One line per sample, sorted, values as the shortest text that reads back. */
function ourDump(directory: string, ulid: string): string[] {
  const block = BlockReader.open(nodeDisk(), new PageCache(1 << 20), `${directory}/${ulid}`)
  const set = block.select({ matchers: [], startMs: -Infinity, endMs: Infinity })
  const columns = new SampleColumns()
  const lines: string[] = []
  for (let i = 0; i < set.length; i++) {
    set.read(i, columns)
    const labels = printLabels(set.labels(i))
    for (let k = 0; k < columns.length; k++) {
      const histogram = columns.histograms?.[k] ?? null
      const value = histogram === null ? valueText(columns, k) : plainNumbers(printHistogram(histogram))
      lines.push(`${labels} ${value} ${columns.times[k]}`)
    }
  }
  return lines.sort()
}

/** Versions differ in how they write large counts. */
function plainNumbers(text: string): string {
  return text.replaceAll(/\d[\d.]*(e[+-]?\d+)?/g, (number) => String(Number(number)))
}

function valueText(columns: SampleColumns, k: number): string {
  const value = columns.values[k]!
  return isStaleAt(columns.bits, k) || Number.isNaN(value) ? 'NaN' : Object.is(value, -0) ? '-0' : String(value)
}

function theirDump(directory: string): string[] {
  return run('tsdb', 'dump', directory)
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [, labels, value, time] = /^(\{.*?\}) (.*) (-?\d+)$/.exec(line)!
      if (value!.startsWith('{')) return `${labels} ${plainNumbers(value!)} ${time}`
      const number =
        value === '+Inf'
          ? 'Infinity'
          : value === '-Inf'
            ? '-Infinity'
            : value === 'NaN'
              ? 'NaN'
              : value === '-0'
                ? '-0'
                : String(Number(value))
      return `${labels} ${number} ${time}`
    })
    .sort()
}

describe.skipIf(!works())('blocks and promtool (skipped where it is not installed)', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'promhive-blocks-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  function write(name: string, series: readonly (readonly [Labels, ChunkData[]])[]): { path: string; ulid: string } {
    const path = join(directory, name)
    mkdirSync(join(path, 'wal'), { recursive: true })
    const writer = new BlockWriter(nodeDisk(), path, blockUlid(3, start, start + 2 * hour, 'head', 0))
    for (const [labels, chunks] of series) writer.add(labels, chunks)
    const meta = writer.finish({
      minTime: start,
      maxTime: start + 2 * hour,
      compaction: newCompaction(writer.ulid),
      shard: { shard: 3, generation: 1 },
    })!
    return { path, ulid: meta.ulid }
  }

  it('floats written here are listed and dumped there', () => {
    const odd: Sample[] = [1, -0, Infinity, -Infinity, NaN, staleNaN, 5e-324, 1.7976931348623157e308, 0.1 + 0.2].map((v, i) => [
      start + i * 15_000,
      v,
    ])
    const many: Sample[] = Array.from({ length: 400 }, (_, i) => [start + i * 15_000 + (i % 7), i % 90 === 0 ? 0 : Math.round(i * 1.7)])
    const { path, ulid } = write('floats', [
      [['__name__', 'm', 'a', 'ünï"\\'], xorChunks(odd)],
      [['__name__', 'n'], xorChunks(many)],
      ...Array.from({ length: 200 }, (_, i) => [['__name__', 'o', 'i', String(1000 + i)], xorChunks(many.slice(i, i + 3))] as const),
    ])
    expect(run('tsdb', 'list', path)).toContain(ulid)
    expect(run('tsdb', 'list', path)).toMatch(/1009 +/)
    const dump = theirDump(path)
    expect(dump.length).toBe(1009)
    expect(dump).toEqual(ourDump(path, ulid))
    expect(run('tsdb', 'analyze', path)).toMatch(/Series: 202/)
  })

  it('packed and joined chunks are dumped there as the samples they were made of', () => {
    const kinds: ((i: number) => number)[] = [
      (i) => i * 3,
      (i) => Math.round(Math.sin(i) * 1e6) / 16,
      (i) => (i % 50 === 0 ? NaN : i / 3),
      () => 7,
    ]
    const list = kinds.map((value): Sample[] => Array.from({ length: 700 }, (_, i) => [start + i * 10_000 + (i % 3), value(i)]))
    const series = (name: string, chunks: (samples: Sample[]) => ChunkData[]): [Labels, ChunkData[]][] =>
      list.map((samples, i) => [['__name__', name, 'i', String(i)], chunks(samples)])
    const plain = write('plain', series('m', xorChunks))
    const packed = write(
      'packed',
      series('m', (samples) => joinChunks(xorChunks(samples), 120, true)),
    )
    const dump = theirDump(packed.path)
    expect(dump.length).toBe(2800)
    expect(dump).toEqual(theirDump(plain.path))
    expect(dump).toEqual(ourDump(packed.path, packed.ulid))
    expect(run('tsdb', 'analyze', packed.path)).toMatch(/Series: 4/)
  })

  it('histograms written here are dumped there', ({ skip }) => {
    // older versions list float samples alone
    if (!run('tsdb', '--help').includes('dump-openmetrics')) skip('this promtool does not dump histograms')
    const lists = [...runs(false), ...runs(true)]
    const { path, ulid } = write(
      'histograms',
      lists.map((list, i) => [['__name__', 'h', 'i', String(100 + i)], histogramChunks(list)] as const),
    )
    const dump = theirDump(path)
    expect(dump.length).toBe(lists.reduce((sum, list) => sum + list.length, 0))
    expect(dump).toEqual(ourDump(path, ulid))
  })

  it('blocks created there read equal here', () => {
    const lines = ['# TYPE m gauge']
    for (let i = 0; i < 500; i++) {
      lines.push(`m{a="${i % 5}"} ${i % 11 === 0 ? 'NaN' : Math.sqrt(i)} ${start / 1000 + Math.floor(i / 5) * 15}.${100 + (i % 3)}`)
    }
    const input = join(directory, 'in.om')
    writeFileSync(input, `${lines.join('\n')}\n# EOF\n`)
    const path = join(directory, 'theirs')
    run('tsdb', 'create-blocks-from', 'openmetrics', input, path)
    mkdirSync(join(path, 'wal'), { recursive: true })
    const [ulid] = nodeDisk()
      .list(path)
      .filter((name) => name.length === 26)
    expect(ourDump(path, ulid!)).toEqual(theirDump(path))
    // the same series written again give the same bytes in index and chunks
    const block = BlockReader.open(nodeDisk(), new PageCache(1 << 20), join(path, ulid!))
    const again = new BlockWriter(nodeDisk(), join(directory, 'again'), ulid!)
    for (const ref of block.select({ matchers: [], startMs: -Infinity, endMs: Infinity }).refs) {
      again.add(block.labelsOf(ref), block.chunksOf(ref, -Infinity, Infinity))
    }
    again.finish(block.meta)
    // older versions still write label indices, which nothing reads
    const files = run('tsdb', '--help').includes('dump-openmetrics')
      ? ['chunks/000001', 'index', 'tombstones']
      : ['chunks/000001', 'tombstones']
    for (const file of files) {
      expect(readFileSync(join(directory, 'again', ulid!, file))).toEqual(readFileSync(join(path, ulid!, file)))
    }
  })
})
