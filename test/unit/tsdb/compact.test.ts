import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PromhiveError } from '../../../src/base/errors.ts'
import { SampleColumns } from '../../../src/model/samples.ts'
import type { Disk } from '../../../src/ports/disk.ts'
import { deleteBlock, openBlocks, sweepUnfinished } from '../../../src/tsdb/block/directory.ts'
import { type Interval, withInterval } from '../../../src/tsdb/block/intervals.ts'
import { type BlockMeta, newCompaction, noStats } from '../../../src/tsdb/block/meta.ts'
import { PageCache } from '../../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../../src/tsdb/block/reader.ts'
import { repairIndexVersion } from '../../../src/tsdb/block/repair.ts'
import { isUlid, ulidFrom, ulidTimeMs } from '../../../src/tsdb/block/ulid.ts'
import { encodeChunks } from '../../../src/tsdb/chunks/encode.ts'
import { decodeChunk } from '../../../src/tsdb/chunks/decode.ts'
import { compactBlocks } from '../../../src/tsdb/compact/merge.ts'
import {
  blockGroups,
  blockRanges,
  mergedDescription,
  planCompaction,
  planRetention,
  retentionBytes,
} from '../../../src/tsdb/compact/plan.ts'
import { readAll, writeBlock, type Row, type Sample } from '../../support/tsdb/blocks.ts'
import { essence, histogramRunArbitrary } from '../../support/tsdb/histograms.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'
import { finishSteps } from '../../../src/base/steps.ts'

const hour = 3_600_000

function meta(from: number, to: number, over: Partial<BlockMeta> = {}): BlockMeta {
  const ulid = ulidFrom(to * hour, `${from} ${to} ${JSON.stringify(over)}`)
  return {
    ulid,
    minTime: from * hour,
    maxTime: to * hour,
    stats: { ...noStats, numSeries: 100 },
    compaction: newCompaction(ulid),
    shard: null,
    ...over,
  }
}

function hours(plan: readonly BlockMeta[]): [number, number][] {
  return plan.map(({ minTime, maxTime }) => [minTime / hour, maxTime / hour])
}

describe('a compaction plan', () => {
  const ranges = blockRanges(2 * hour, 31 * 24 * hour)
  it('has ranges of two hours times three', () => {
    expect(ranges.map((range) => range / hour)).toEqual([2, 6, 18, 54, 162, 486])
    expect(blockRanges(2 * hour, hour)).toEqual([2 * hour])
  })
  const rows: [string, [number, number][], [number, number][]][] = [
    ['nothing', [], []],
    ['one block', [[0, 2]], []],
    [
      'a full range, but its last block is the newest',
      [
        [0, 2],
        [2, 4],
        [4, 6],
      ],
      [],
    ],
    [
      'a full range',
      [
        [0, 2],
        [2, 4],
        [4, 6],
        [6, 8],
      ],
      [
        [0, 2],
        [2, 4],
        [4, 6],
      ],
    ],
    [
      'a range with a gap that is past',
      [
        [0, 2],
        [4, 6],
        [6, 8],
        [8, 10],
      ],
      [
        [0, 2],
        [4, 6],
      ],
    ],
    [
      'a range that may still be filled',
      [
        [6, 8],
        [8, 10],
        [10, 12],
      ],
      [],
    ],
    [
      'not across a boundary',
      [
        [4, 6],
        [6, 8],
        [12, 14],
        [14, 16],
      ],
      [],
    ],
    [
      'next level',
      [
        [0, 6],
        [6, 12],
        [12, 18],
        [18, 20],
        [20, 22],
      ],
      [
        [0, 6],
        [6, 12],
        [12, 18],
      ],
    ],
    [
      'lower level first',
      [
        [0, 6],
        [6, 12],
        [12, 14],
        [14, 16],
        [16, 18],
        [18, 20],
      ],
      [
        [12, 14],
        [14, 16],
        [16, 18],
      ],
    ],
    [
      'overlapping, even the newest',
      [
        [0, 2],
        [2, 4],
        [3, 5],
      ],
      [
        [2, 4],
        [3, 5],
      ],
    ],
    [
      'a run of overlapping ones',
      [
        [0, 6],
        [1, 2],
        [3, 4],
        [5, 7],
        [8, 10],
      ],
      [
        [0, 6],
        [1, 2],
        [3, 4],
        [5, 7],
      ],
    ],
    [
      'negative times',
      [
        [-6, -4],
        [-4, -2],
        [-2, 0],
        [0, 2],
        [2, 4],
      ],
      [
        [-6, -4],
        [-4, -2],
        [-2, 0],
      ],
    ],
  ]
  for (const [name, blocks, expected] of rows) {
    it(name, () => expect(hours(planCompaction(blocks.map(([from, to]) => meta(from, to)).reverse(), ranges))).toEqual(expected))
  }
  it('leaves blocks that overlap to others where it is told to', () => {
    const blocks = [meta(0, 2), meta(2, 4), meta(3, 4), meta(4, 6), meta(6, 8)]
    expect(hours(planCompaction(blocks, ranges))).toEqual([
      [2, 4],
      [3, 4],
    ])
    // lying in one range, they go into the longer block as in Prometheus
    expect(hours(planCompaction(blocks, ranges, false))).toEqual([
      [0, 2],
      [2, 4],
      [3, 4],
      [4, 6],
    ])
    expect(planCompaction([meta(0, 2), meta(1, 2), meta(2, 4)], ranges, false)).toEqual([])
  })
  it('leaves blocks alone that failed before', () => {
    const blocks = [meta(0, 2), meta(2, 4), meta(4, 6), meta(6, 8)]
    blocks[1] = { ...blocks[1]!, compaction: { ...blocks[1]!.compaction, failed: true } }
    expect(planCompaction(blocks, ranges)).toEqual([])
  })
  it('rewrites a long block with many tombstones, and a short one that is gone altogether', () => {
    const stats = (numTombstones: number) => ({ ...noStats, numSeries: 100, numTombstones })
    expect(hours(planCompaction([meta(0, 162, { stats: stats(6) }), meta(162, 164)], ranges))).toEqual([[0, 162]])
    expect(planCompaction([meta(0, 162, { stats: stats(5) }), meta(162, 164)], ranges)).toEqual([])
    expect(planCompaction([meta(0, 2, { stats: stats(50) }), meta(162, 164)], ranges)).toEqual([])
    expect(hours(planCompaction([meta(0, 2, { stats: stats(100) }), meta(162, 164)], ranges))).toEqual([[0, 2]])
  })
  it('keeps shards and stale series apart', () => {
    const shard = (n: number) => ({ shard: { shard: n, generation: 1 } })
    const blocks = [meta(0, 2, shard(0)), meta(0, 2, shard(1)), meta(2, 4, shard(0)), meta(2, 4)]
    expect(blockGroups(blocks).map(hours)).toEqual([
      [[2, 4]],
      [
        [0, 2],
        [2, 4],
      ],
      [[0, 2]],
    ])
    const stale = { compaction: { ...newCompaction('x'), hints: ['from-stale-series'] } }
    expect(planCompaction([meta(0, 2), meta(1, 2, stale), meta(2, 4)], ranges)).toEqual([])
    const two = [meta(0, 2, stale), meta(1, 2, stale)]
    expect(planCompaction([meta(0, 2), ...two], ranges)).toEqual(two)
    expect(mergedDescription(two).compaction.hints).toEqual(['from-stale-series'])
    const late = { compaction: { ...newCompaction('x'), hints: ['from-out-of-order'] } }
    expect(mergedDescription([meta(0, 2, late), meta(0, 2)]).compaction.hints).toEqual([])
    expect(mergedDescription([meta(0, 2, late), meta(1, 2, late)]).compaction.hints).toEqual(['from-out-of-order'])
  })
})

describe('retention', () => {
  const blocks = [meta(0, 2), meta(2, 4), meta(4, 6)].map((m) => ({ meta: m, sizeBytes: 100 }))
  const names = blocks.map((block) => block.meta.ulid)
  it('counts time back from the newest block', () => {
    expect(planRetention(blocks, { retentionMs: 4 * hour, maxBytes: 0, headBytes: 0 }).beyondTime).toEqual([names[0]])
    expect(planRetention(blocks, { retentionMs: 5 * hour, maxBytes: 0, headBytes: 0 }).beyondTime).toEqual([])
    expect(planRetention(blocks, { retentionMs: 1, maxBytes: 0, headBytes: 0 }).beyondTime).toEqual([names[1], names[0]])
    expect(planRetention(blocks, { retentionMs: 0, maxBytes: 0, headBytes: 0 }).beyondTime).toEqual([])
  })
  it('counts size from the newest block, the head first', () => {
    expect(planRetention(blocks, { retentionMs: 0, maxBytes: 300, headBytes: 0 }).beyondSize).toEqual([])
    expect(planRetention(blocks, { retentionMs: 0, maxBytes: 300, headBytes: 1 }).beyondSize).toEqual([names[0]])
    expect(planRetention(blocks, { retentionMs: 0, maxBytes: 50, headBytes: 0 }).beyondSize).toEqual([names[2], names[1], names[0]])
    expect(retentionBytes(7, 50, 1000)).toBe(500)
    expect(retentionBytes(7, 0, 1000)).toBe(7)
  })
})

describe('deleted intervals', () => {
  it('stay sorted, apart and complete', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(60), fc.nat(12))), (list) => {
        let intervals: readonly Interval[] = []
        const gone = new Set<number>()
        for (const [from, length] of list) {
          intervals = withInterval(intervals, { minTime: from, maxTime: from + length })
          for (let t = from; t <= from + length; t++) gone.add(t)
        }
        const covered = new Set(
          intervals.flatMap(({ minTime, maxTime }) => Array.from({ length: maxTime - minTime + 1 }, (_, i) => minTime + i)),
        )
        expect(covered).toEqual(gone)
        intervals.forEach(({ minTime }, i) => expect(i === 0 || minTime > intervals[i - 1]!.maxTime + 1).toBe(true))
      }),
    )
  })
})

describe('columns in chunks', () => {
  it('come back, floats and histograms mixed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.array(fc.double(), { maxLength: 200 }), histogramRunArbitrary(false), histogramRunArbitrary(true)), {
          maxLength: 5,
        }),
        (parts) => {
          const columns = new SampleColumns()
          let time = 0
          for (const value of parts.flat()) {
            if (typeof value === 'number') columns.push((time += 15_000), value)
            else columns.push((time += 15_000), value.sum, value)
          }
          const into = new SampleColumns()
          for (const chunk of encodeChunks(columns)) {
            const from = into.length
            decodeChunk(chunk.encoding, chunk.bytes, -Infinity, Infinity, into)
            expect(into.length - from).toBeLessThanOrEqual(120)
            expect([chunk.minTime, chunk.maxTime]).toEqual([into.times[from], into.times[into.length - 1]])
          }
          expect(into.times.subarray(0, into.length)).toEqual(columns.times.subarray(0, columns.length))
          for (let i = 0; i < into.length; i++) {
            const [got, wanted] = [into.histograms?.[i] ?? null, columns.histograms?.[i] ?? null]
            expect(got === null ? into.values[i] : essence(got)).toEqual(wanted === null ? columns.values[i] : essence(wanted))
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('start times', () => {
  it('survive being put in chunks again', () => {
    const runs = fc.oneof(
      fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 150 }),
      histogramRunArbitrary(false),
      histogramRunArbitrary(true),
    )
    fc.assert(
      fc.property(runs, fc.array(fc.constantFrom(0, 5, 77_000), { minLength: 150, maxLength: 150 }), (run, starts) => {
        const columns = new SampleColumns()
        run.forEach((value, i) => {
          const time = 1_000_000 + i * 15_000
          if (typeof value === 'number') columns.push(time, value, null, starts[i])
          else columns.push(time, value.sum, value, starts[i])
        })
        const into = new SampleColumns()
        for (const chunk of encodeChunks(columns)) {
          const known = columns.startTimes !== null
          if (!known) expect(chunk.encoding).toBeLessThan(4)
          decodeChunk(chunk.encoding, chunk.bytes, -Infinity, Infinity, into)
        }
        expect(run.map((_, i) => into.startTimes?.[i] ?? 0)).toEqual(run.map((_, i) => starts[i]))
        expect(run.map((value, i) => (typeof value === 'number' ? into.values[i] : essence(into.histograms![i]!)))).toEqual(
          run.map((value) => (typeof value === 'number' ? value : essence(value))),
        )
      }),
      { numRuns: 60 },
    )
  })
})

describe('compacting blocks', () => {
  const rowsArbitrary = (from: number): fc.Arbitrary<Row[]> =>
    fc.uniqueArray(
      fc.record({
        labels: fc.record({ a: fc.constantFrom('1', '2', '3', '4', '5'), b: fc.constantFrom('x', 'y') }),
        samples: fc
          .uniqueArray(fc.nat(400), { minLength: 1, maxLength: 60 })
          .map((times) => times.sort((x, y) => x - y).map((time): Sample => [from + time, from * 1000 + time])),
        perChunk: fc.integer({ min: 1, max: 30 }),
      }),
      { minLength: 1, maxLength: 8, selector: ({ labels }) => labels.a + labels.b },
    )

  function openAll(disk: Disk): BlockReader[] {
    return openBlocks(disk, new PageCache(1 << 20), '/data').blocks
  }
  const everything = { matchers: [], startMs: -Infinity, endMs: Infinity }

  it('keeps every sample once, deleted ones excepted, in any mixture of overlaps', () => {
    const inputs = fc.array(fc.integer({ min: 0, max: 600 }).chain(rowsArbitrary), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(inputs, fc.option(fc.tuple(fc.nat(900), fc.nat(300))), (blocks, deletion) => {
        const disk = new MemoryDisk()
        const expected = new Map<string, Map<number, number>>()
        blocks.forEach((rows, i) =>
          writeBlock(disk, '/data', rows, {
            ulid: ulidFrom(i, String(i)),
            minTime: Math.min(...rows.flatMap((row) => row.samples.map(([t]) => t))),
          }),
        )
        const readers = openAll(disk)
        if (deletion !== null)
          for (const reader of readers) reader.delete([{ name: 'a', kind: '=~', value: '1|2' }], deletion[0], deletion[0] + deletion[1])
        for (const reader of readers) {
          for (const [series, samples] of Object.entries(readAll(reader.select(everything)))) {
            const known = expected.get(series) ?? new Map<number, number>()
            // the block that starts first wins
            for (const [time, value] of samples) if (!known.has(time)) known.set(time, value)
            expected.set(series, known)
          }
        }
        const done = finishSteps(compactBlocks(disk, '/data', readers))
        for (const samples of [...expected].filter(([, list]) => list.size === 0)) expected.delete(samples[0])
        if (done === null) {
          expect(expected.size).toBe(0)
          expect(openBlocks(disk, new PageCache(1 << 20), '/data').obsolete.length).toBe(readers.length)
          return
        }
        expect(disk.list('/data')).toEqual([...readers.map((reader) => reader.meta.ulid), done.ulid].sort())
        const merged = BlockReader.open(disk, new PageCache(1 << 20), `/data/${done.ulid}`)
        const got = readAll(merged.select(everything))
        expect(got).toEqual(
          Object.fromEntries(
            [...expected].map(([series, samples]): [string, Sample[]] => [series, [...samples].sort(([x], [y]) => x - y)]),
          ),
        )
        expect(done.stats.numSamples).toBe([...expected.values()].reduce((sum, samples) => sum + samples.size, 0))
        expect(merged.meta).toEqual(done)
        expect(done.compaction.level).toBe(2)
        expect(done.compaction.parents.length).toBe(readers.length)
        // opened again, the parents are obsolete
        const again = openBlocks(disk, new PageCache(1 << 20), '/data')
        expect(again.blocks.map((block) => block.meta.ulid)).toEqual([done.ulid])
        expect(again.obsolete.sort()).toEqual(readers.map((reader) => reader.meta.ulid).sort())
        for (const ulid of again.obsolete) deleteBlock(disk, '/data', ulid)
        expect(disk.list('/data')).toEqual([done.ulid])
      }),
      { numRuns: 60 },
    )
  })

  it('passes full chunks through that overlap nothing, and joins small ones', () => {
    const disk = new MemoryDisk()
    const rows = (from: number): Parameters<typeof writeBlock>[2] => [
      { labels: { a: 'full' }, samples: Array.from({ length: 240 }, (_, i): Sample => [from + i, Math.sin(from + i)]), perChunk: 120 },
      { labels: { a: 'small' }, samples: Array.from({ length: 50 }, (_, i): Sample => [from + i, Math.sqrt(i)]), perChunk: 7 },
    ]
    writeBlock(disk, '/data', rows(0), { ulid: ulidFrom(0, 'a'), shard: { shard: 2, generation: 1 } })
    writeBlock(disk, '/data', rows(500), { ulid: ulidFrom(0, 'b'), shard: { shard: 2, generation: 1 } })
    const readers = openAll(disk)
    const done = finishSteps(compactBlocks(disk, '/data', readers))!
    expect(done.stats).toEqual({ ...noStats, numSamples: 580, numFloatSamples: 580, numSeries: 2, numChunks: 4 + 1 })
    expect(done.shard).toEqual({ shard: 2, generation: 1 })
    const merged = BlockReader.open(disk, new PageCache(1 << 20), `/data/${done.ulid}`)
    const [full, small] = merged.index.allPostings()
    const chunks = readers.flatMap((reader) => reader.chunksOf(reader.index.allPostings()[0]!, -Infinity, Infinity))
    expect(merged.chunksOf(full!, -Infinity, Infinity)).toEqual(chunks)
    const samples = new SampleColumns()
    merged.readSeries(small!, -Infinity, Infinity, samples)
    expect([...samples.times.subarray(0, samples.length)]).toEqual(
      [0, 500].flatMap((from) => Array.from({ length: 50 }, (_, i) => from + i)),
    )
    expect([...samples.values.subarray(0, samples.length)]).toEqual(
      [0, 0].flatMap(() => Array.from({ length: 50 }, (_, i) => Math.sqrt(i))),
    )
  })

  it('makes the same block wherever it runs', () => {
    const disks = [new MemoryDisk(), new MemoryDisk()]
    const made = disks.map((disk) => {
      for (const [i, from] of [0, 100, 200].entries()) {
        writeBlock(
          disk,
          '/data',
          [
            {
              labels: { a: 'x' },
              samples: [
                [from, 1],
                [from + 150, 2],
              ],
            },
          ],
          { ulid: ulidFrom(i, 'x') },
        )
      }
      return finishSteps(compactBlocks(disk, '/data', openAll(disk)))!
    })
    expect(made[0]).toEqual(made[1])
    expect(disks[0]!.files).toEqual(disks[1]!.files)
  })

  it('marks its parents where they are broken, and leaves nothing half done', () => {
    const disk = new MemoryDisk()
    const { ulid } = writeBlock(disk, '/data', [
      {
        labels: { a: 'x' },
        samples: [
          [0, 1],
          [1, 2],
        ],
      },
    ])
    const path = `/data/${ulid}/chunks/000001`
    const bytes = disk.files.get(path)!
    bytes[12] = bytes[12]! ^ 4
    const readers = openAll(disk)
    expect(() => finishSteps(compactBlocks(disk, '/data', readers))).toThrow(`cannot compact blocks ${ulid}: cannot read ${path} at byte 8`)
    expect(disk.list('/data')).toEqual([ulid])
    expect(openAll(disk)[0]!.meta.compaction.failed).toBe(true)
  })

  it('tries again after a full disk', () => {
    const disk = new MemoryDisk()
    const { ulid } = writeBlock(disk, '/data', [
      {
        labels: { a: 'x' },
        samples: [
          [0, 1],
          [1, 2],
        ],
      },
    ])
    const readers = openAll(disk)
    const full: Disk = Object.create(disk, {
      rename: {
        value: () => {
          throw new PromhiveError('STORAGE_FULL', 'no space left on device')
        },
      },
    }) as Disk
    expect(() => finishSteps(compactBlocks(full, '/data', readers))).toThrow('no space left')
    expect(disk.list('/data')).toEqual([ulid])
    expect(openAll(disk)[0]!.meta.compaction.failed).toBe(false)
    expect(finishSteps(compactBlocks(disk, '/data', openAll(disk)))!.stats.numSamples).toBe(2)
  })

  it('stops when it is told to', () => {
    const disk = new MemoryDisk()
    const rows = Array.from({ length: 1500 }, (_, i): Row => ({ labels: { a: String(i) }, samples: [[0, i]] }))
    const { ulid } = writeBlock(disk, '/data', rows)
    const steps = compactBlocks(disk, '/data', openAll(disk))
    expect(steps.next().done).toBe(false)
    steps.return(null)
    expect(disk.list('/data')).toEqual([ulid])
    expect(openAll(disk)[0]!.meta.compaction.failed).toBe(false)
  })
})

describe('a data directory', () => {
  it('is opened without what is broken, and swept', () => {
    const disk = new MemoryDisk()
    const good = writeBlock(disk, '/data', [{ labels: { a: 'x' }, samples: [[0, 1]] }], { ulid: ulidFrom(1, 'good') })
    const bad = writeBlock(disk, '/data', [{ labels: { a: 'x' }, samples: [[0, 1]] }], { ulid: ulidFrom(2, 'bad') })
    disk.write(`/data/${bad.ulid}/index`, new Uint8Array(100))
    disk.write(`/data/${ulidFrom(3, '')}.tmp-for-creation/index`, new Uint8Array(1))
    disk.write(`/data/${ulidFrom(4, '')}.tmp-for-deletion/index`, new Uint8Array(1))
    disk.write('/data/wal/00000000', new Uint8Array(1))
    expect(sweepUnfinished(disk, '/data').length).toBe(2)
    const first = openBlocks(disk, new PageCache(1 << 20), '/data')
    expect(first.blocks.map((block) => block.meta.ulid)).toEqual([good.ulid])
    expect(first.broken.map(({ ulid, error }) => [ulid, error.message])).toEqual([
      [bad.ulid, `cannot read /data/${bad.ulid}/index at byte 0: magic is 0x0`],
    ])
    const second = openBlocks(disk, new PageCache(1 << 20), '/data', first.blocks)
    expect(second.blocks[0]).toBe(first.blocks[0])
    deleteBlock(disk, '/data', good.ulid)
    expect(openBlocks(disk, new PageCache(1 << 20), '/data', second.blocks).blocks).toEqual([])
    expect(disk.list('/data')).toEqual([bad.ulid, 'wal'].sort())
  })
})

describe('a block of Prometheus 2.1', () => {
  it('is put right', () => {
    const disk = new MemoryDisk()
    const { ulid } = writeBlock(disk, '/data', [{ labels: { a: 'x' }, samples: [[0, 1]] }])
    writeBlock(disk, '/data', [{ labels: { a: 'y' }, samples: [[0, 1]] }], { ulid: ulidFrom(5, 'healthy') })
    const whole = new Map([...disk.files].map(([path, bytes]) => [path, bytes.slice()]))
    disk.files.get(`/data/${ulid}/index`)![4] = 1
    const meta = JSON.parse(Buffer.from(disk.files.get(`/data/${ulid}/meta.json`)!).toString()) as object
    disk.write(`/data/${ulid}/meta.json`, Buffer.from(JSON.stringify({ ...meta, version: 2 })))
    disk.write('/data/01HF00000000000000000000ZZ/meta.json', Buffer.from('{'))
    expect(() => BlockReader.open(disk, new PageCache(1 << 20), `/data/${ulid}`)).toThrow(
      `cannot read /data/${ulid}/meta.json at byte 0: version: `,
    )
    expect(repairIndexVersion(disk, `/data/${ulid}`)).toBe(true)
    expect(repairIndexVersion(disk, `/data/${ulid}`)).toBe(false)
    disk.remove('/data/01HF00000000000000000000ZZ')
    expect(disk.files).toEqual(whole)
  })
})

describe('block names', () => {
  it('are ULIDs that keep their time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.string(), (time, identity) => {
        const ulid = ulidFrom(time, identity)
        expect(isUlid(ulid)).toBe(true)
        expect(ulidTimeMs(ulid)).toBe(time)
      }),
    )
  })
})
