import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PromhiveError } from '../../../src/base/errors.ts'
import { compareText, labelsFromObject, printLabels } from '../../../src/model/labels.ts'
import type { Matcher } from '../../../src/model/matcher.ts'
import { compileMatchers } from '../../../src/model/matching.ts'
import { PageCache } from '../../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../../src/tsdb/block/reader.ts'
import { BlockWriter } from '../../../src/tsdb/block/writer.ts'
import { newCompaction } from '../../../src/tsdb/block/meta.ts'
import { readAll, writeBlock, xorChunks, type Row, type Sample } from '../../support/tsdb/blocks.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'

const text = fc.oneof(
  fc.constantFrom('a', 'b', 'job', '__name__', 'ünï', '𝄞', '￿'),
  fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme' }),
)
const rowsArbitrary: fc.Arbitrary<Row[]> = fc.uniqueArray(
  fc.record({
    labels: fc.dictionary(text, text, { minKeys: 1, maxKeys: 4 }),
    samples: fc
      .uniqueArray(fc.integer({ min: -1e6, max: 1e6 }), { minLength: 1, maxLength: 30 })
      .map((times) => times.sort((a, b) => a - b).map((time): Sample => [time, time / 7])),
    perChunk: fc.integer({ min: 1, max: 10 }),
  }),
  { minLength: 1, maxLength: 30, selector: ({ labels }) => printLabels(labelsFromObject(labels)) },
)
const matcherArbitrary: fc.Arbitrary<Matcher> = fc.record({
  name: text,
  kind: fc.constantFrom('=', '!='),
  value: fc.oneof(text, fc.constant('')),
})
const patternArbitrary: fc.Arbitrary<Matcher> = fc.record({
  name: fc.constantFrom('a', 'b', 'job', '__name__'),
  kind: fc.constantFrom('=~', '!~'),
  value: fc.constantFrom('a|b', '.*', '.+', '', 'a?', 'j.b', '[a-z]+', 'b|'),
})

function open(disk: MemoryDisk, ulid: string, budget = 1 << 20): BlockReader {
  return BlockReader.open(disk, new PageCache(budget), `/data/${ulid}`)
}

describe('a block', () => {
  it('gives back every series and sample, for any matchers and range', () => {
    fc.assert(
      fc.property(
        rowsArbitrary,
        fc.array(fc.oneof(matcherArbitrary, patternArbitrary), { maxLength: 3 }),
        fc.tuple(fc.nat(), fc.nat()),
        (rows, matchers, [a, b]) => {
          const disk = new MemoryDisk()
          const { ulid, stats } = writeBlock(disk, '/data', rows)
          expect(disk.list('/data')).toEqual([ulid])
          expect(disk.list(`/data/${ulid}`)).toEqual(['chunks', 'index', 'meta.json', 'tombstones'])
          expect(stats.numSamples).toBe(rows.reduce((sum, row) => sum + row.samples.length, 0))
          const block = open(disk, ulid)
          const start = (Math.min(a, b) % 2e6) - 1e6
          const end = start + (Math.max(a, b) % 1e6)
          const compiled = compileMatchers(matchers)
          const expected: Record<string, Sample[]> = {}
          for (const { labels, samples } of rows) {
            if (!compiled.every((matcher) => matcher.matches(labels[matcher.name] ?? ''))) continue
            const found = samples.filter(([time]) => time >= start && time <= end)
            if (found.length > 0) expected[printLabels(labelsFromObject(labels))] = found
          }
          const got = readAll(block.select({ matchers, startMs: start, endMs: end }))
          // a chunk may overlap the range without a sample in it
          for (const [series, samples] of Object.entries(got)) if (samples.length === 0) delete got[series]
          expect(got).toEqual(expected)

          const passing = rows.filter(({ labels }) => compiled.every((matcher) => matcher.matches(labels[matcher.name] ?? '')))
          const names = [...new Set(passing.flatMap(({ labels }) => Object.keys(labels)))].sort(compareText)
          expect(block.labelNames(matchers)).toEqual(names)
          for (const name of names) {
            const values = [...new Set(passing.flatMap(({ labels }) => labels[name] ?? []))].sort(compareText)
            expect(block.labelValues(name, matchers)).toEqual(values)
            expect(block.labelValues(name, matchers, 2)).toEqual(values.slice(0, 2))
          }
        },
      ),
    )
  })

  it('is selected in label order', () => {
    const disk = new MemoryDisk()
    const rows = ['b', 'a', '￿', '𝄞', 'c'].map((a): Row => ({ labels: { a }, samples: [[0, 1]] }))
    const block = open(disk, writeBlock(disk, '/data', rows).ulid)
    const set = block.select({ matchers: [], startMs: 0, endMs: 0 })
    expect(Array.from({ length: set.length }, (_, i) => set.labels(i)[1])).toEqual(['a', 'b', 'c', '￿', '𝄞'])
  })

  it('is read in bounded memory', () => {
    const disk = new MemoryDisk()
    const rows = Array.from({ length: 4000 }, (_, i): Row => {
      const samples = Array.from({ length: 20 }, (_, k): Sample => [k * 15_000, Math.sin(i + k)])
      return { labels: { __name__: 'm', instance: `host-${i}.example:9100`, job: `j${i % 7}` }, samples }
    })
    const { ulid } = writeBlock(disk, '/data', rows)
    const cache = new PageCache(128 << 10)
    const block = BlockReader.open(disk, cache, `/data/${ulid}`)
    const all = readAll(block.select({ matchers: [{ name: '__name__', kind: '=', value: 'm' }], startMs: 0, endMs: 1e9 }))
    expect(Object.keys(all).length).toBe(4000)
    expect(Object.values(all).every((samples) => samples.length === 20)).toBe(true)
    expect(cache.residentBytes).toBeLessThanOrEqual(128 << 10)
    // one series out of many is found without reading the block
    const before = disk.bytesRead
    const one = readAll(
      block.select({ matchers: [{ name: 'instance', kind: '=', value: 'host-77.example:9100' }], startMs: 0, endMs: 1e9 }),
    )
    expect(Object.keys(one)).toEqual(['{__name__="m", instance="host-77.example:9100", job="j0"}'])
    expect(disk.bytesRead - before).toBeLessThan(512 << 10)
    block.close()
    expect(cache.residentBytes).toBe(0)
  })

  it('cuts chunk segments at their size', () => {
    const disk = new MemoryDisk()
    const writer = new BlockWriter(disk, '/data', '01HF00000000000000000000AA', 200)
    for (const a of ['1', '2', '3'])
      writer.add(
        ['a', a],
        xorChunks(
          Array.from({ length: 60 }, (_, k): Sample => [k * 1000, Math.sqrt(k)]),
          12,
        ),
      )
    writer.finish({ minTime: 0, maxTime: 60_000, compaction: newCompaction(writer.ulid), shard: null })
    expect(disk.list(`/data/${writer.ulid}/chunks`).length).toBeGreaterThan(3)
    const all = readAll(open(disk, writer.ulid).select({ matchers: [], startMs: 0, endMs: 1e9 }))
    expect(Object.values(all).map((samples) => samples.length)).toEqual([60, 60, 60])
  })

  it('leaves nothing behind where it is empty or given up', () => {
    const disk = new MemoryDisk()
    const empty = new BlockWriter(disk, '/data', '01HF00000000000000000000AB')
    expect(empty.finish({ minTime: 0, maxTime: 1, compaction: newCompaction(empty.ulid), shard: null })).toBeNull()
    const given = new BlockWriter(disk, '/data', '01HF00000000000000000000AC')
    given.add(['a', 'b'], xorChunks([[0, 1]]))
    given.abort()
    expect(disk.list('/data')).toEqual([])
  })

  it('is written the same from the same input', () => {
    const rows: Row[] = [
      { labels: { a: 'b' }, samples: [[0, 1]] },
      { labels: { a: 'c' }, samples: [[5, 1]] },
    ]
    const [one, two] = [new MemoryDisk(), new MemoryDisk()]
    writeBlock(one, '/data', rows, { shard: { shard: 3, generation: 1 } })
    writeBlock(two, '/data', rows, { shard: { shard: 3, generation: 1 } })
    expect(two.files).toEqual(one.files)
  })
})

describe('deleted samples', () => {
  const matchers: Matcher[] = [{ name: 'a', kind: '=', value: 'x' }]
  function setUp(): { disk: MemoryDisk; block: BlockReader } {
    const disk = new MemoryDisk()
    const samples = Array.from({ length: 20 }, (_, i): Sample => [i * 10, i])
    const { ulid } = writeBlock(disk, '/data', [
      { labels: { a: 'x' }, samples, perChunk: 5 },
      { labels: { a: 'y' }, samples, perChunk: 5 },
    ])
    return { disk, block: open(disk, ulid) }
  }
  it('are gone at once and after opening again', () => {
    const { disk, block } = setUp()
    expect(block.delete(matchers, 35, 120)).toBe(1)
    for (const reader of [block, open(disk, block.meta.ulid)]) {
      const all = readAll(reader.select({ matchers: [], startMs: 0, endMs: 1000 }))
      expect(all['{a="x"}']!.map(([time]) => time)).toEqual([0, 10, 20, 30, 130, 140, 150, 160, 170, 180, 190])
      expect(all['{a="y"}']!.length).toBe(20)
      expect(reader.meta.stats.numTombstones).toBe(1)
    }
    expect(block.delete(matchers, 100, 140)).toBe(1)
    expect(block.meta.stats.numTombstones).toBe(1)
    expect(block.delete(matchers, 1000, 2000)).toBe(0)
  })
  it('take the whole series with them', () => {
    const { block } = setUp()
    block.delete(matchers, -Infinity, Infinity)
    expect(Object.keys(readAll(block.select({ matchers: [], startMs: 0, endMs: 1000 })))).toEqual(['{a="y"}'])
  })
})

describe('a damaged block', () => {
  const rows = Array.from({ length: 40 }, (_, i): Row => {
    const samples = Array.from({ length: 15 }, (_, k): Sample => [k * 15_000, i * k])
    return { labels: { __name__: 'm', i: String(i), job: `j${i % 3}` }, samples, perChunk: 6 }
  })
  const matchers: Matcher[] = [{ name: 'job', kind: '=~', value: 'j[01]' }]

  function answer(disk: MemoryDisk, ulid: string): unknown {
    const block = open(disk, ulid)
    // a damaged name of our own key makes it someone else's block: that changes no answer
    return [
      { ...block.meta, shard: null },
      readAll(block.select({ matchers: [], startMs: 0, endMs: 1e9 })),
      readAll(block.select({ matchers, startMs: 0, endMs: 1e9 })),
      block.labelNames(),
      block.labelValues('job'),
    ]
  }

  for (const file of ['index', 'meta.json', 'tombstones', 'chunks/000001']) {
    it(`answers as before or with an error that names ${file}`, () => {
      const disk = new MemoryDisk()
      const { ulid } = writeBlock(disk, '/data', rows, { shard: { shard: 1, generation: 1 } })
      open(disk, ulid).delete([{ name: 'i', kind: '=', value: '7' }], 0, 60_000)
      const path = `/data/${ulid}/${file}`
      const intact = disk.files.get(path)!
      const expected = answer(disk, ulid)
      const seen = { errors: 0, same: 0 }
      const check = (bytes: Uint8Array, what: string): void => {
        disk.files.set(path, bytes)
        let got: unknown
        try {
          got = answer(disk, ulid)
        } catch (thrown) {
          expect(thrown, what).toBeInstanceOf(PromhiveError)
          expect((thrown as PromhiveError).code, what).toBe('STORAGE_CORRUPT')
          expect((thrown as PromhiveError).message, what).toContain(path)
          expect((thrown as PromhiveError).message, what).toMatch(/at byte \d+/)
          seen.errors++
          return
        }
        expect(got, what).toEqual(expected)
        seen.same++
      }
      for (let at = 0; at < intact.length; at += Math.max(1, Math.floor(intact.length / 150))) {
        const bytes = intact.slice()
        bytes[at] = bytes[at]! ^ (1 << (at % 8))
        check(bytes, `bit ${at % 8} of byte ${at} flipped`)
        check(intact.slice(0, at), `cut to ${at} bytes`)
      }
      // some bytes are padding and may change; most must not
      expect(seen.errors).toBeGreaterThan(seen.same * 3)
    })
  }

  it('names a chunk segment that is missing', () => {
    const disk = new MemoryDisk()
    const { ulid } = writeBlock(disk, '/data', rows)
    disk.remove(`/data/${ulid}/chunks/000001`)
    expect(() => answer(disk, ulid)).toThrow(`cannot read /data/${ulid}/chunks/000001 at byte 8: the segment is missing`)
  })
})
