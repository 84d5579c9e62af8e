import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeSnappy, unsnappy } from '../../../protocols/remote/snappy.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { silentLogger, type Logger } from '../../../src/base/logger.ts'
import { printLabels, type Labels } from '../../../src/model/labels.ts'
import { staleHigh, staleLow } from '../../../src/model/staleness.ts'
import { hasHead, importHead, type HeadImport, type ImportOptions } from '../../../src/tsdb/wal-import/import-head.ts'
import { takeOver, type TakeoverAppender } from '../../../src/cli/serve/takeover.ts'
import type { Decompressors } from '../../../src/tsdb/wal-import/log.ts'
import { xorChunks, type Sample } from '../../support/tsdb/blocks.ts'
import { essence, histogramArbitrary } from '../../support/tsdb/histograms.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'
import {
  deletionRecord,
  exemplarRecord,
  headChunksFile,
  histogramRecord,
  logSegment,
  metadataRecord,
  samplesRecord,
  seriesRecord,
  type LogSample,
} from '../../support/tsdb/prometheus-log.ts'

const decompress: Decompressors = {
  snappy: (bytes, bytesMax) => unsnappy(bytes, bytesMax),
  zstd: (bytes, bytesMax) => new Uint8Array(zstdDecompressSync(bytes, { maxOutputLength: bytesMax })),
}

interface Imported {
  result: HeadImport
  series: Record<string, [number, unknown][]>
  startTimes: number[]
  exemplars: unknown[]
  metadata: unknown[]
}

function run(disk: MemoryDisk, options: ImportOptions = {}): Imported {
  const names: string[] = []
  const out: Omit<Imported, 'result'> = { series: {}, startTimes: [], exemplars: [], metadata: [] }
  const steps = importHead(
    disk,
    '/data',
    decompress,
    {
      series: (series, labels) => {
        expect(series).toBe(names.length)
        names.push(printLabels(labels))
        out.series[names[series]!] = []
      },
      samples: (series, columns) => {
        for (let i = 0; i < columns.length; i++) {
          const histogram = columns.histograms?.[i] ?? null
          out.series[names[series]!]!.push([columns.times[i]!, histogram === null ? columns.values[i]! : essence(histogram)])
          out.startTimes.push(columns.startTimes?.[i] ?? 0)
        }
      },
      exemplar: (series, time, value, labels) => out.exemplars.push([names[series], time, value, labels]),
      metadata: (series, metadata) => out.metadata.push([names[series], metadata]),
    },
    options,
  )
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return { ...out, result: value }
  }
}

const a: Labels = ['__name__', 'a']
const b: Labels = ['__name__', 'b', 'x', 'ünï']

function diskWith(files: Readonly<Record<string, Uint8Array>>): MemoryDisk {
  const disk = new MemoryDisk()
  for (const [path, bytes] of Object.entries(files)) disk.write(`/data/${path}`, bytes)
  return disk
}

describe('the head of a Prometheus directory', () => {
  const records = [
    seriesRecord([
      [1, a],
      [2, b],
    ]),
    samplesRecord([
      [1, 1000, 1],
      [2, 1000, -2],
      [1, 2000, NaN],
    ]),
    samplesRecord(
      [
        [1, 3000, 5, 500],
        [2, 3000, 6],
        [1, 4000, 7, 500],
        [2, 4000, 8, 600],
      ],
      true,
    ),
    exemplarRecord(2, 2500, 0.5, ['trace_id', 'abc']),
    metadataRecord(1, 1, [
      ['UNIT', 'bytes'],
      ['HELP', 'What it is.'],
      ['NEW', 'skipped'],
    ]),
    Uint8Array.of(200, 1, 2, 3),
    samplesRecord([[9, 1, 1]]),
  ]
  const packs = {
    plain: undefined,
    snappy: (bytes: Uint8Array) => ({ bytes: encodeSnappy(bytes), flag: 8 }),
    zstd: (bytes: Uint8Array) => ({ bytes: new Uint8Array(zstdCompressSync(bytes)), flag: 16 }),
  }
  for (const [name, pack] of Object.entries(packs)) {
    it(`is read from a ${name} log`, () => {
      const disk = diskWith({ 'wal/00000000': logSegment(records, pack) })
      expect(hasHead(disk, '/data')).toBe(true)
      const got = run(disk)
      expect(got.series).toEqual({
        '{__name__="a"}': [
          [1000, 1],
          [2000, NaN],
          [3000, 5],
          [4000, 7],
        ],
        '{__name__="b", x="ünï"}': [
          [1000, -2],
          [3000, 6],
          [4000, 8],
        ],
      })
      expect(got.startTimes.filter((time) => time !== 0)).toEqual([500, 500, 600])
      expect(got.exemplars).toEqual([['{__name__="b", x="ünï"}', 2500, 0.5, ['trace_id', 'abc']]])
      expect(got.metadata).toEqual([['{__name__="a"}', { type: 'counter', unit: 'bytes', help: 'What it is.' }]])
      const { damages, ...counts } = got.result
      expect(counts).toEqual({ series: 2, samples: 7, exemplars: 1, orphans: 1 })
      // it is skipped, as Prometheus does, and not in silence
      expect(damages.map(({ message }) => message.replace(/\d+:/, 'n:'))).toEqual([
        'cannot read /data/wal/00000000 at byte n: records of the unknown type 200 are skipped',
      ])
    })
  }

  it('begins at the last checkpoint, then the log, then what came out of order', () => {
    const got = run(
      diskWith({
        'wal/00000003': logSegment([samplesRecord([[1, 1, 1]])]),
        'wal/checkpoint.00000003/00000000': logSegment([seriesRecord([[1, a]]), samplesRecord([[1, 10, 10]])]),
        'wal/checkpoint.00000002/00000000': logSegment([seriesRecord([[5, b]])]),
        'wal/00000004': logSegment([samplesRecord([[1, 20, 20]])]),
        'wal/00000005': logSegment([seriesRecord([[7, a]]), samplesRecord([[7, 30, 30]])]),
        'wbl/00000000': logSegment([samplesRecord([[7, 15, 15]])]),
      }),
    )
    expect(got.series).toEqual({
      '{__name__="a"}': [
        [10, 10],
        [20, 20],
        [30, 30],
        [15, 15],
      ],
    })
    // the last page of one that was closed is full: this one, whose last record is whole, was cut
    expect(got.result.damages.map(({ message }) => message)).toEqual([
      'cannot read /data/wal/checkpoint.00000003/00000000 at byte 62: a segment of a checkpoint ends within a page',
    ])
  })

  it('has full chunks before the log', () => {
    const samples: Sample[] = [
      [1000, 1],
      [2000, 2],
      [3000, 3],
    ]
    const [chunk] = xorChunks(samples)
    const disk = diskWith({
      'wal/00000000': logSegment([
        seriesRecord([
          [1, a],
          [2, b],
        ]),
        samplesRecord([
          [1, 3000, 3],
          [1, 4000, 4],
          [2, 5, 5],
        ]),
      ]),
      'chunks_head/000001': headChunksFile([{ ref: 1, ...chunk! }], 5000),
      'chunks_head/000002': new Uint8Array(100),
    })
    expect(run(disk).series['{__name__="a"}']).toEqual([
      [1000, 1],
      [2000, 2],
      [3000, 3],
      [4000, 4],
    ])
    expect(run(disk, { fromMs: 2500 }).series).toEqual({
      '{__name__="a"}': [
        [3000, 3],
        [4000, 4],
      ],
      '{__name__="b", x="ünï"}': [],
    })
  })

  it('lacks what was deleted', () => {
    const record = samplesRecord([
      [1, 10, 1],
      [1, 20, 2],
      [1, 30, 3],
    ])
    const got = run(diskWith({ 'wal/00000000': logSegment([seriesRecord([[1, a]]), record, deletionRecord(1, 15, 25)]) }))
    expect(got.series).toEqual({
      '{__name__="a"}': [
        [10, 1],
        [30, 3],
      ],
    })
  })

  it('has every kind of histogram', () => {
    fc.assert(
      fc.property(fc.oneof(histogramArbitrary(false), histogramArbitrary(true)), (histogram) => {
        const got = run(diskWith({ 'wal/00000000': logSegment([seriesRecord([[1, a]]), histogramRecord(1, 77, histogram)]) }))
        expect(got.series['{__name__="a"}']).toEqual([[77, essence(histogram)]])
      }),
    )
  })

  it('keeps the bits of staleness markers', () => {
    const values = new Float64Array(1)
    const disk = diskWith({ 'wal/00000000': logSegment([seriesRecord([[1, a]]), samplesRecord([[1, 10, NaN]])]) })
    const bytes = disk.files.get('/data/wal/00000000')!
    const record = samplesRecord([[1, 10, NaN]])
    new DataView(record.buffer).setUint32(record.length - 8, staleHigh)
    new DataView(record.buffer).setUint32(record.length - 4, staleLow)
    disk.write('/data/wal/00000000', logSegment([seriesRecord([[1, a]]), record]))
    expect(bytes.length).toBe(disk.files.get('/data/wal/00000000')!.length)
    let bits: number[] = []
    const steps = importHead(disk, '/data', decompress, {
      series: () => {},
      samples: (_, columns) => {
        bits = [...columns.bits.subarray(0, 2)]
        values[0] = columns.values[0]!
      },
    })
    while (steps.next().done !== true);
    expect(bits).toEqual([staleLow, staleHigh])
    expect(values[0]).toBeNaN()
  })

  it('is empty where there is none', () => {
    expect(hasHead(new MemoryDisk(), '/data')).toBe(false)
    expect(run(new MemoryDisk()).result).toEqual({ series: 0, samples: 0, exemplars: 0, orphans: 0, damages: [] })
  })
})

describe('a head in slices', () => {
  const records = [
    seriesRecord([
      [1, a],
      [2, b],
    ]),
    ...Array.from({ length: 10 }, (_, i) =>
      samplesRecord([
        [1, i * 100, i],
        [2, i * 100 + 50, i],
      ]),
    ),
    exemplarRecord(1, 250, 1, ['x', 'y']),
    samplesRecord([[9, 1, 1]]),
  ]
  const [chunk] = xorChunks(Array.from({ length: 5 }, (_, i): Sample => [i * 100, i]))
  const disk = diskWith({
    'wal/00000000': logSegment(records),
    'chunks_head/000001': headChunksFile([{ ref: 1, ...chunk! }]),
    'wbl/00000000': logSegment([
      samplesRecord([
        [2, 20, -1],
        [2, 10, -2],
      ]),
    ]),
  })
  it('is the same as at once, each slice after the one before', () => {
    const whole = run(disk)
    const sorted = (imported: Imported): unknown =>
      Object.entries(imported.series).map(([name, list]) => [name, [...list].sort(([x], [y]) => x - y)])
    for (const sliceMs of [30, 100, 333, 5000]) {
      const sliced = run(disk, { sliceMs })
      expect(sorted(sliced)).toEqual(sorted(whole))
      expect(sliced.result).toEqual(whole.result)
      expect(sliced.exemplars).toEqual(whole.exemplars)
    }
    const order: number[] = []
    let inOrder = -1
    const steps = importHead(
      disk,
      '/data',
      decompress,
      {
        series: () => {},
        samples: (_, columns) => order.push(...columns.times.subarray(0, columns.length)),
        late: () => (inOrder = order.length),
      },
      { sliceMs: 300 },
    )
    while (steps.next().done !== true);
    expect(order.splice(inOrder)).toEqual([20, 10])
    order.forEach((time, i) => expect(time).toBeGreaterThan(Math.max(...order.slice(0, i + 1)) - 300))
  })
  it('lacks what lies before a time, but for what came late', () => {
    for (const sliceMs of [undefined, 300]) {
      const { series } = run(disk, { fromMs: 800, ...(sliceMs !== undefined && { sliceMs }) })
      expect(Object.values(series)).toEqual([
        [
          [800, 8],
          [900, 9],
        ],
        [
          [850, 8],
          [950, 9],
          [20, -1],
          [10, -2],
        ],
      ])
    }
  })
  it('is taken over through an appender', async () => {
    const got: unknown[] = []
    let handles = 0
    let released = 0
    const windows: number[] = []
    const appender: TakeoverAppender = {
      outOfOrderWindowMs: 7,
      open: () => 100 + handles++,
      openBytes: () => 0,
      release: () => void released++,
      append: async (batch) => {
        windows.push(appender.outOfOrderWindowMs)
        const { length, times, values, exemplars } = batch
        for (let i = 0; i < length; i++) got.push([batch.handles[i], times![i], values[i]])
        for (const exemplar of exemplars ?? []) got.push([exemplar.handle, 'exemplar', exemplar.value])
        return {
          appended: length,
          outOfOrder: 1,
          duplicate: 0,
          outOfBounds: 0,
          tooOld: 0,
          exemplarsOutOfOrder: 0,
          pending: false,
          firstError: 'late',
        }
      },
    }
    const warnings: string[] = []
    const logger: Logger = { ...silentLogger, warn: (_, message) => void warnings.push(message), child: () => logger }
    const done = await takeOver('/data', { disk, appender, decompress, logger, chunkRangeMs: 7_200_000 })
    expect(done).toEqual({ series: 2, samples: 22, refused: 1, damages: 0 })
    expect(warnings).toEqual(['Samples of the head are of series that its log does not name: they are left out'])
    expect(got.length).toBe(23)
    expect(got).toContainEqual([100, 'exemplar', 1])
    expect(got).toContainEqual([101, 950, 9])
    expect([handles, released]).toEqual([2, 2])
    // late is what the log of late samples has, however late, and nothing else
    expect([windows, appender.outOfOrderWindowMs]).toEqual([[0, Infinity], 7])
    expect(got.slice(-2)).toEqual([
      [101, 20, -1],
      [101, 10, -2],
    ])
  })
})

describe('a damaged log', () => {
  const samples = Array.from({ length: 300 }, (_, i): LogSample[] => [
    [1, i * 1000, i],
    [2, i * 1000, -i],
  ])
  const long = seriesRecord(Array.from({ length: 2000 }, (_, i) => [100 + i, ['__name__', `long_${i}`, 'filler', 'x'.repeat(20)]]))
  const intact = logSegment([
    seriesRecord([
      [1, a],
      [2, b],
    ]),
    long,
    ...samples.map((list) => samplesRecord(list)),
  ])
  const whole = run(diskWith({ 'wal/00000000': intact }))

  it('is read whole where it is whole, records over several pages too', () => {
    expect(whole.result).toMatchObject({ series: 2002, samples: 600, damages: [] })
  })

  it('gives what comes before the damage, and says where that is', () => {
    fc.assert(
      fc.property(fc.nat(intact.length - 1), fc.nat(7), fc.boolean(), (at, bit, cut) => {
        const bytes = cut ? intact.slice(0, at) : intact.slice()
        if (!cut) bytes[at] = bytes[at]! ^ (1 << bit)
        const { series, result } = run(diskWith({ 'wal/00000000': bytes }))
        for (const [name, list] of Object.entries(series)) expect(list).toEqual(whole.series[name]!.slice(0, list.length))
        // a cut between two records leaves a shorter, sound log
        if (result.damages.length === 0) {
          expect(cut || result.samples === 600).toBe(true)
          return
        }
        expect(result.damages.length).toBe(1)
        expect(result.damages[0]).toBeInstanceOf(PromhiveError)
        expect(result.damages[0]!.message).toMatch(/^cannot read \/data\/wal\/00000000 at byte \d+: /)
      }),
      { numRuns: 200 },
    )
  })

  it('names a broken file of head chunks and goes on with the log', () => {
    const [chunk] = xorChunks([
      [1, 1],
      [2, 2],
    ])
    const file = headChunksFile([{ ref: 1, ...chunk! }])
    for (let at = 0; at < file.length; at++) {
      const bytes = file.slice()
      bytes[at] = bytes[at]! ^ 1
      const got = run(
        diskWith({ 'wal/00000000': logSegment([seriesRecord([[1, a]]), samplesRecord([[1, 3, 3]])]), 'chunks_head/000001': bytes }),
      )
      const padding = at >= 5 && at < 8
      expect(got.series['{__name__="a"}']).toEqual(
        padding
          ? [
              [1, 1],
              [2, 2],
              [3, 3],
            ]
          : [[3, 3]],
      )
      expect(got.result.damages.map((damage) => damage.message.split(' at byte')[0])).toEqual(
        padding ? [] : ['cannot read /data/chunks_head/000001'],
      )
    }
  })
})
