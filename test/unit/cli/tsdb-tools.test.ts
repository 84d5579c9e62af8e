import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { utf8Bytes } from '../../../src/base/bytes.ts'
import { labelsFromObject, printLabels } from '../../../src/model/labels.ts'
import type { RuleGroup } from '../../../src/rules/options.ts'
import { progressEvery } from '../../../src/cli/tool/progress.ts'
import { analyzeTsdb } from '../../../src/cli/tool/tsdb-analyze.ts'
import { readBenchSeries } from '../../../src/cli/tool/tsdb-bench.ts'
import { textOf } from '../../../protocols/exposition/pieces.ts'
import { compatibleBlockMs, createBlocksFromOpenMetrics, readLabelFlag } from '../../../src/cli/tool/tsdb-create-blocks.ts'
import { createBlocksFromRules } from '../../../src/cli/tool/tsdb-create-rules.ts'
import { dumpOpenMetrics, dumpTsdb, type DumpOptions } from '../../../src/cli/tool/tsdb-dump.ts'
import { listBlocks } from '../../../src/cli/tool/tsdb-list.ts'
import { alignColumns, bytesText, timeText } from '../../../src/cli/tool/tsdb-table.ts'
import { ulidFrom } from '../../../src/tsdb/block/ulid.ts'
import { groupPhaseMs } from '../../../src/rules/slots.ts'
import { writeBlock, type Row } from '../../support/tsdb/blocks.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'
import { logSegment, samplesRecord, seriesRecord } from '../../support/tsdb/prometheus-log.ts'

const cases = new URL('../../../../shared/conformance/promtool/', import.meta.url)
const decompress = {
  snappy: (bytes: Uint8Array) => bytes,
  zstd: (bytes: Uint8Array) => bytes,
}
const everything = { minTimeMs: -Infinity, maxTimeMs: Infinity, match: [] }

function lines(run: (print: (line: string) => void) => void): string[] {
  const out: string[] = []
  run((line) => out.push(line))
  return out
}

async function dump(disk: MemoryDisk, over: Partial<DumpOptions> = {}, path = '/data'): Promise<string[]> {
  const out: string[] = []
  const print = (line: string): void => void out.push(line)
  await dumpTsdb(disk, path, { ...everything, format: 'prom', ...over }, decompress, print, print)
  return out
}

function names(): () => string {
  let n = 0
  return () => ulidFrom(1_700_000_000_000 + n, String(n++))
}

const minutes = (values: readonly number[]): (readonly [number, number])[] => values.map((value, i) => [i * 60_000, value] as const)
const rows: Row[] = [
  { labels: { __name__: 'metric', foo: 'bar', baz: 'abc' }, samples: minutes([1, 2, 3, 4, 5]) },
  { labels: { __name__: 'heavy_metric', foo: 'bar' }, samples: minutes([5, 4, 3, 2, 1]) },
  { labels: { __name__: 'heavy_metric', foo: 'foo' }, samples: minutes([5, 4, 3, 2, 1]) },
]

describe('tsdb dump', () => {
  const disk = new MemoryDisk()
  writeBlock(disk, '/data', rows)
  const runs: [file: string, over: Partial<DumpOptions>][] = [
    ['dump-test-1.prom', {}],
    ['dump-test-2.prom', { match: ['{foo="foo"}', 'metric', '{baz="abc"}'] }],
    ['dump-test-3.prom', { match: ['metric'], minTimeMs: 60_000, maxTimeMs: 120_000 }],
    ['dump-series-1.prom', { format: 'seriesjson' }],
    ['dump-series-2.prom', { format: 'seriesjson', match: ['{foo="foo"}', 'metric'] }],
    ['dump-series-3.prom', { format: 'seriesjson', match: ['metric'], minTimeMs: 60_000, maxTimeMs: 120_000 }],
  ]
  for (const [file, over] of runs) {
    it.skipIf(!existsSync(cases))(`prints what upstream expects in ${file} (skipped without the conformance data)`, async () => {
      expect(await dump(disk, over)).toEqual(readFileSync(new URL(file, cases), 'utf8').trimEnd().split('\n'))
    })
  }

  it('puts blocks and the head of a Prometheus together', async () => {
    const two = new MemoryDisk()
    writeBlock(
      two,
      '/data',
      [
        {
          labels: { a: 'x' },
          samples: [
            [0, 1],
            [10, 2],
          ],
        },
      ],
      { ulid: ulidFrom(1, '') },
    )
    writeBlock(
      two,
      '/data',
      [
        {
          labels: { a: 'x' },
          samples: [
            [5, 1.5],
            [10, 9],
            [20, 3],
          ],
        },
      ],
      { ulid: ulidFrom(2, '') },
    )
    two.write(
      '/data/wal/00000000',
      logSegment([
        seriesRecord([
          [1, ['a', 'x']],
          [2, ['a', 'w']],
        ]),
        samplesRecord([
          [1, 20, 8],
          [1, 30, 4],
          [2, 31, 1e6],
        ]),
      ]),
    )
    expect(await dump(two)).toEqual(['{a="w"} 1e+06 31', '{a="x"} 1 0', '{a="x"} 1.5 5', '{a="x"} 2 10', '{a="x"} 3 20', '{a="x"} 4 30'])
  })

  it('leaves out the head of a Prometheus that has been taken over', async () => {
    const taken = new MemoryDisk()
    const segment = logSegment([seriesRecord([[1, ['a', 'x']]]), samplesRecord([[1, 20, 8]])])
    taken.write('/data/wal/00000000', segment)
    const record = (sizeBytes: number): void =>
      taken.write('/data/promhive/takeover.json', utf8Bytes(JSON.stringify({ version: 1, head: `wal/00000000:${sizeBytes}` })))
    record(segment.length)
    expect(await dump(taken)).toEqual([])
    // a Prometheus has run on it since
    record(segment.length - 1)
    expect(await dump(taken)).toEqual(['{a="x"} 8 20'])
  })

  it('says what is wrong', async () => {
    await expect(dump(disk, {}, '/nowhere')).rejects.toThrow('opening the db dir: stat /nowhere: no such file or directory')
    await expect(dump(disk, { match: ['{'] })).rejects.toThrow(/^1:2: parse error: /)
    const broken = new MemoryDisk()
    const { ulid } = writeBlock(broken, '/data', rows)
    broken.write(`/data/${ulid}/index`, new Uint8Array(3))
    await expect(dump(broken)).rejects.toThrow(`corrupted block ${ulid}: cannot read /data/${ulid}/index at byte 0: the file has 3 bytes`)
  })
})

describe('tsdb create-blocks-from openmetrics', () => {
  function create(
    text: string,
    over: { labels?: [string, string][]; quiet?: boolean; maxBlockMs?: number } = {},
  ): { disk: MemoryDisk; printed: string[] } {
    const disk = new MemoryDisk()
    const options = { outputDirectory: '/data', humanReadable: false, quiet: false, maxBlockMs: 0, labels: [], ...over }
    const printed = lines((print) => createBlocksFromOpenMetrics(textOf(utf8Bytes(text)), options, { disk, newUlid: names(), print }))
    return { disk, printed }
  }

  it('makes the same blocks of more samples than it may hold, reading the text again for a part of them', async () => {
    const lineOf = (i: number): string => `m{n="${i % 7}"} ${i} ${((i * 7919) % 3_000) * 60}`
    const text = `# TYPE m gauge\n${Array.from({ length: 3_000 }, (_, i) => lineOf(i)).join('\n')}\n# EOF\n`
    const made = async (samplesMax?: number): Promise<{ samples: string[]; blocks: number[][]; passes: number }> => {
      const disk = new MemoryDisk()
      const source = textOf(utf8Bytes(text))
      let passes = 0
      const read = (into: Uint8Array, position: number): number => {
        if (position === 0) passes++
        return source.read(into, position)
      }
      const options = { outputDirectory: '/data', humanReadable: false, quiet: true, maxBlockMs: 0, labels: [] }
      const blocks = createBlocksFromOpenMetrics({ ...source, read }, options, { disk, newUlid: names(), print: () => {} }, samplesMax)
      return {
        samples: await dump(disk),
        blocks: blocks.map(({ minTime, maxTime, stats }) => [minTime, maxTime, stats.numSamples]),
        passes,
      }
    }
    const atOnce = await made()
    expect([atOnce.samples.length, atOnce.blocks.length, atOnce.passes]).toEqual([3_000, 25, 1])
    // 120 samples a block: all, eight, one, and one that is more than is to be held
    for (const [samplesMax, passes] of [
      [3_000, 1],
      [999, 1 + 4],
      [239, 1 + 25],
      [10, 1 + 25],
    ] as const)
      expect(await made(samplesMax), String(samplesMax)).toEqual({ ...atOnce, passes })
  })

  it.skipIf(!existsSync(cases))('and dump-openmetrics give the text back (skipped without the conformance data)', async () => {
    for (const file of ['dump-openmetrics-roundtrip-test.prom', 'dump-openmetrics-test.prom']) {
      const text = readFileSync(new URL(file, cases), 'utf8')
      const { disk } = create(text)
      const out: string[] = []
      await dumpOpenMetrics(disk, '/data', everything, decompress, (line) => out.push(line), expect.unreachable)
      expect(out).toEqual(text.trimEnd().split('\n'))
    }
  })

  it('makes a block for each range that has samples, and prints it', async () => {
    const text = '# TYPE m gauge\nm{a="1"} 1 0\nm{a="2"} 2 7199.999\nm{a="1"} 3 7200\nm{a="1"} 4 36000\n# EOF\n'
    const { disk, printed } = create(text, {
      labels: [
        ['a', 'over'],
        ['new', 'x'],
      ],
    })
    expect(printed.map((line) => line.split(/ {2,}/).slice(1, 7))).toEqual([
      ['MIN TIME', 'MAX TIME', 'DURATION', 'NUM SAMPLES', 'NUM CHUNKS', 'NUM SERIES'],
      ['0', '7200000', '2h0m0s', '2', '1', '1'],
      ['7200000', '7200001', '1ms', '1', '1', '1'],
      ['36000000', '36000001', '1ms', '1', '1', '1'],
    ])
    expect(await dump(disk)).toEqual([
      '{__name__="m", a="over", new="x"} 1 0',
      '{__name__="m", a="over", new="x"} 2 7199999',
      '{__name__="m", a="over", new="x"} 3 7200000',
      '{__name__="m", a="over", new="x"} 4 36000000',
    ])
    expect(create(text, { quiet: true }).printed).toEqual([])
    expect(create(text, { maxBlockMs: 6 * 3_600_000 }).printed.length).toBe(3)
    const hours = (ms: number): number => compatibleBlockMs(ms) / 3_600_000
    expect([0, 1, 5, 6, 17, 18, 1e6].map((max) => hours(max * 3_600_000))).toEqual([2, 2, 2, 6, 6, 18, 39_366])
  })

  it('refuses what cannot be imported', () => {
    expect(() => create('m 1 20\nm 2\n# EOF\n')).toThrow('getting min and max timestamp: expected timestamp for series got none')
    expect(() => create('m 1 99999999999999999\n# EOF\n')).toThrow(
      'getting min and max timestamp: timestamp 100000000000000000 is out of range',
    )
    expect(() => create('m 1 20\nm x\n# EOF\n')).toThrow(/^getting min and max timestamp: next: /)
    expect(create('# EOF\n').printed).toEqual([])
    expect(readLabelFlag('a=b=c')).toEqual(['a', 'b=c'])
    expect(() => readLabelFlag('a')).toThrow("expected KEY=VALUE got 'a'")
  })
})

describe('tsdb create-blocks-from rules', () => {
  const hour = 3_600_000
  const group = (over: Partial<RuleGroup>): RuleGroup => ({
    name: 'g',
    file: '/rules.yml',
    intervalMs: null,
    queryOffsetMs: null,
    limit: 0,
    labels: ['team', 'a', 'x', 'group'],
    rules: [
      { kind: 'record', name: 'r', expr: 'up', labels: ['x', 'rule'], position: { line: 1, column: 1 } },
      { kind: 'alert', name: 'A', expr: 'up', labels: [], annotations: [], forMs: 0, keepFiringForMs: 0, position: { line: 2, column: 1 } },
    ],
    ...over,
  })
  const options = { outputDirectory: '/data', humanReadable: false, quiet: false, maxBlockMs: 0, labels: [], evalIntervalMs: 60_000 }

  it('asks for each block at the slots of the group, and records under the names of the rule', async () => {
    const disk = new MemoryDisk()
    const asked: [string, number, number, number][] = []
    const done = await createBlocksFromRules(
      [group({})],
      { ...options, startMs: hour, endMs: 5 * hour },
      {
        disk,
        newUlid: names(),
        print: () => {},
        printError: () => {},
        queryRange: async (expr, startMs, endMs, stepMs) => {
          asked.push([expr, startMs, endMs, stepMs])
          const labels = labelsFromObject({ __name__: 'up', job: 'j', x: 'query' })
          return { series: [{ labels, times: Float64Array.of(startMs, startMs + stepMs), values: Float64Array.of(1, 2) }], warnings: [] }
        },
      },
    )
    expect(done).toBe(true)
    const phase = groupPhaseMs('/rules.yml', 'g', 60_000)
    const slot = (from: number): number => from + ((((phase - from) % 60_000) + 60_000) % 60_000)
    expect(asked).toEqual([
      ['up', slot(hour), 2 * hour - 1000, 60_000],
      ['up', slot(2 * hour), 4 * hour - 1000, 60_000],
      ['up', slot(4 * hour), 5 * hour, 60_000],
    ])
    expect(await dump(disk)).toEqual(
      asked.flatMap(([, start]) => [
        `{__name__="r", job="j", team="a", x="rule"} 1 ${start}`,
        `{__name__="r", job="j", team="a", x="rule"} 2 ${start + 60_000}`,
      ]),
    )
  })

  it('goes on after a failure and says so', async () => {
    const errors: string[] = []
    const io = {
      disk: new MemoryDisk(),
      newUlid: names(),
      print: () => {},
      printError: (line: string) => errors.push(line),
      queryRange: async () => Promise.reject(new Error('connection refused')),
    }
    expect(await createBlocksFromRules([group({})], { ...options, startMs: 0, endMs: hour }, io)).toBe(false)
    expect(errors).toEqual([
      'processing group /rules.yml;g',
      'processing rule 0 r',
      'rule importer error: query range: connection refused',
      'error importing rules',
    ])
    await expect(createBlocksFromRules([], { ...options, startMs: 5, endMs: 5 }, io)).rejects.toThrow('start time is not before end time')
  })
})

describe('tsdb list and analyze', () => {
  it('align as promtool does', () => {
    const disk = new MemoryDisk()
    disk.makeDirectory('/data')
    const list = (humanReadable: boolean): string[] => lines((print) => listBlocks(disk, '/data', { humanReadable }, print))
    expect(list(false)).toEqual(['BLOCK ULID   MIN TIME     MAX TIME     DURATION     NUM SAMPLES  NUM CHUNKS   NUM SERIES   SIZE'])
    writeBlock(
      disk,
      '/data',
      [
        {
          labels: { a: 'x' },
          samples: [
            [0, 1],
            [7_000_000, 2],
          ],
        },
      ],
      { ulid: '01M83G1VZ52A0QCG0FDY5BVQMF' },
    )
    expect(list(true).map((line) => line.slice(0, -4))).toEqual([
      'BLOCK ULID                  MIN TIME                       MAX TIME                       DURATION      NUM SAMPLES  NUM CHUNKS   NUM SERIES   ',
      '01M83G1VZ52A0QCG0FDY5BVQMF  1970-01-01 00:00:00 +0000 UTC  1970-01-01 01:56:40 +0000 UTC  1h56m40.001s  2            1            1            ',
    ])
  })
  it('write times and sizes as Go does', () => {
    expect(bytesText(0, true)).toBe('0B')
    expect(bytesText(532, true)).toBe('532B')
    expect(bytesText(1024 * 1024 + 512, true)).toBe('1MiB512B')
    expect(bytesText(1536, false)).toBe('1536')
    expect(timeText(-1, true)).toBe('1969-12-31 23:59:59 +0000 UTC')
    expect(timeText(1_709_164_800_999, true)).toBe('2024-02-29 00:00:00 +0000 UTC')
    expect(
      alignColumns([
        ['a', 'b'],
        ['x'.repeat(20), 'y'],
      ]),
    ).toEqual(['a                     b', 'xxxxxxxxxxxxxxxxxxxx  y'])
  })
  it('count what is in a block', () => {
    const disk = new MemoryDisk()
    writeBlock(disk, '/data', [...rows, { labels: { __name__: 'short', foo: 'ü' }, samples: [[0, 1]] }], {
      maxTime: 240_000,
      ulid: '01M83G1VZ52A0QCG0FDY5BVQMF',
    })
    const run = (over: object): string =>
      lines((print) => analyzeTsdb(disk, '/data', { blockId: '', limit: 2, extended: false, match: '', ...over }, print)).join('\n')
    expect(run({})).toBe(
      [
        'Block ID: 01M83G1VZ52A0QCG0FDY5BVQMF\nDuration: 4m0s\nTotal Series: 4\nLabel names: 3',
        'Postings (unique label pairs): 7\nPostings entries (total label pairs): 9\n',
        'Label pairs most involved in churning:\n1 __name__=short\n1 foo=ü\n',
        'Label names most involved in churning:\n1 __name__\n1 foo\n',
        'Most common label pairs:\n2 __name__=heavy_metric\n2 foo=bar\n',
        'Label names with highest cumulative label value length:\n23 __name__\n8 foo\n',
        'Highest cardinality labels:\n3 __name__\n3 foo\n',
        'Highest cardinality metric names:\n2 heavy_metric\n1 metric',
      ].join('\n'),
    )
    expect(run({ match: '{foo="bar"}' })).toContain('Matcher: {foo="bar"}\nLabel names: 3\nMatched series: 2\n')
    expect(run({ extended: true })).toContain('samples per float chunk (min/avg/max): 1/4/5\n[ 1, 10]: 4 ')
    expect(run({ extended: true })).toContain('buckets per histogram chunk: N/A')
    expect(() => run({ blockId: 'XX' })).toThrow('invalid block ID XX')
  })
})

describe('progress', () => {
  it('is told now and then, and only asked for then', () => {
    let now = 0
    const lines: string[] = []
    const progress = progressEvery(
      2_000,
      () => now,
      (line) => lines.push(line),
    )
    for (; now < 7_000; now += 100) progress(() => `at ${now}`)
    expect(lines).toEqual(['at 2000', 'at 4000', 'at 6000'])
  })
  it('tells how much has been read and written', () => {
    const lines: string[] = []
    const text = Array.from({ length: 70_000 }, (_, i) => `m{n="${i % 7}"} 1 ${i}`).join('\n')
    const disk = new MemoryDisk()
    disk.makeDirectory('/data')
    const io = { disk, newUlid: () => ulidFrom(1, 'x'), print: () => {}, progress: (tell: () => string) => void lines.push(tell()) }
    createBlocksFromOpenMetrics(
      textOf(utf8Bytes(`${text}\n# EOF\n`)),
      { outputDirectory: '/data', humanReadable: false, quiet: true, maxBlockMs: 30 * 3_600_000, labels: [] },
      io,
    )
    expect(lines[0]).toBe('read 65536 samples of 7 series')
    expect(lines).toContain('writing the block from 1970-01-01 00:00:00 +0000 UTC on: series 7 of 7')
  })
})

describe('tsdb bench write', () => {
  it('reads each series once, and no more than it is told to', () => {
    const text = '{"__name__":"m","b":"1"}\n\n{"b":"1","__name__":"m"}\n{"__name__":"n"}\n{"__name__":"o"}\n'
    expect(readBenchSeries(text, 2).map(printLabels)).toEqual(['{__name__="m", b="1"}', '{__name__="n"}'])
    expect(() => readBenchSeries('{"a":"b"}\nx', 9)).toThrow('line 2 is no series')
  })
})
