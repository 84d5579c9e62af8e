import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { labelBytes, placementHash } from '../../../src/model/label-bytes.ts'
import { labelsFromObject, type Labels } from '../../../src/model/labels.ts'
import { compileMatchers } from '../../../src/model/matching.ts'
import { SampleColumns } from '../../../src/model/samples.ts'
import { staleHigh, staleLow, staleNaN } from '../../../src/model/staleness.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'
import { ExemplarRing } from '../../../src/tsdb/head/exemplars.ts'
import { Head, outcome } from '../../../src/tsdb/head/head.ts'
import { readNewest, readSeries } from '../../../src/tsdb/head/read.ts'
import { selectSeries } from '../../../src/tsdb/head/select.ts'
import { checkSnapshot, restoreSnapshot } from '../../../src/tsdb/head/snapshot.ts'
import { snapshotBytes } from '../../support/tsdb/snapshot-bytes.ts'
import { nodeDisk } from '../../../src/ports/node/disk.ts'
import { appendFloat, halves } from '../../support/tsdb/floats.ts'
import { truncate } from '../../support/tsdb/truncate.ts'

function append(head: Head, series: number, time: number, value: number): number {
  return appendFloat(head, series, time, Number.isNaN(value) ? [staleHigh, staleLow] : halves(value))
}
const made: string[] = []
function freshDirectory(): string {
  made.push(mkdtempSync(join(tmpdir(), 'promhive-head-')))
  return made.at(-1)!
}
afterAll(() => made.forEach((path) => rmSync(path, { recursive: true })))
function newHead(directory = freshDirectory(), residentBytes = 8 << 20): Head {
  return new Head(new ChunkStore(nodeDisk(), (shard) => join(directory, String(shard)), residentBytes), {
    samplesPerChunk: 120,
    chunkRangeMs: 7_200_000,
  })
}
function seriesOf(head: Head, labels: Labels, shard = 0): number {
  const bytes = labelBytes(labels)
  return head.series(bytes, 0, bytes.length, shard)
}
function read(head: Head, series: number, from = -Infinity, to = Infinity): [number, number][] {
  const into = new SampleColumns()
  readSeries(head, series, from, to, into)
  return Array.from({ length: into.length }, (_, i) => [into.times[i]!, into.values[i]!])
}

/** Random series: some constant, some counters, some noise, with gaps and staleness markers; the model is a plain list. */
function fill(head: Head, seed: number, seriesCount: number, samples: number): Map<number, [number, number][]> {
  const rng = seededRng(seed)
  const model = new Map<number, [number, number][]>()
  for (let s = 0; s < seriesCount; s++) {
    const series = seriesOf(head, labelsFromObject({ __name__: `m${s % 7}`, job: `j${s % 3}`, instance: String(s) }), s % 2)
    const list: [number, number][] = []
    let time = 1_700_000_000_000 + rng.below(100_000)
    let value = rng.below(1000)
    for (let i = 0; i < samples; i++) {
      time += s % 3 === 0 ? 15_000 : 1 + rng.below(rng.chance(0.01) ? 4_000_000 : 30_000)
      if (s % 4 === 1) value += rng.below(100)
      else if (s % 4 === 2) value = (rng.next() - 0.5) * 10 ** rng.below(20)
      const given = rng.chance(0.01) ? staleNaN : value
      expect(append(head, series, time, given)).toBe(outcome.appended)
      list.push([time, given])
    }
    model.set(series, list)
  }
  return model
}

describe('head', () => {
  it('reads back what was appended, chunk by chunk, also when segments are on disk', () => {
    const head = newHead(freshDirectory(), 1 << 20)
    const model = fill(head, 1, 40, 700)
    expect(head.chunksCreated).toBeGreaterThan(100)
    for (const [series, list] of model) {
      expect(read(head, series)).toEqual(list)
      const from = list[100]![0]
      const to = list[300]![0]
      expect(read(head, series, from, to)).toEqual(list.slice(100, 301))
    }
  })

  it('the newest sample of a range is the last of all in it, by bits', () => {
    const head = newHead()
    const model = fill(head, 3, 30, 400)
    const all = new SampleColumns()
    const newest = new SampleColumns()
    const last = ({ times, bits, length }: SampleColumns): unknown =>
      length === 0 ? null : [times[length - 1], bits[length * 2 - 2], bits[length * 2 - 1]]
    for (const [series, list] of model) {
      const end = list.at(-1)![0]
      if (series % 5 === 0) head.closeChunk(series)
      const ranges = [
        [-Infinity, Infinity],
        [end, end],
        [end + 1, end + 9],
        [end - 300_000, end - 1],
        [list[10]![0], list[200]![0]],
        [list[10]![0] + 1, list[10]![0] + 1],
      ]
      for (const [from, to] of ranges) {
        all.clear()
        newest.clear()
        readSeries(head, series, from!, to!, all)
        readNewest(head, series, from!, to!, newest)
        expect(last(newest)).toEqual(last(all))
      }
    }
  })

  it('finds the same series by the same labels and selects by matchers', () => {
    const head = newHead()
    for (let i = 0; i < 500; i++)
      seriesOf(head, labelsFromObject({ __name__: 'up', job: `j${i % 5}`, instance: `i${i}`, ...(i % 2 ? { odd: 'yes' } : {}) }), i % 4)
    expect(head.live).toBe(500)
    for (let i = 0; i < 500; i++)
      seriesOf(head, labelsFromObject({ __name__: 'up', job: `j${i % 5}`, instance: `i${i}`, ...(i % 2 ? { odd: 'yes' } : {}) }), i % 4)
    expect(head.live).toBe(500)
    const rows: [Parameters<typeof compileMatchers>[0], number][] = [
      [[{ name: '__name__', kind: '=', value: 'up' }], 500],
      [[{ name: 'job', kind: '=', value: 'j1' }], 100],
      [[{ name: 'job', kind: '=~', value: 'j1|j2' }], 200],
      [
        [
          { name: 'job', kind: '=~', value: 'j[1-3]' },
          { name: 'odd', kind: '=', value: '' },
        ],
        150,
      ],
      [[{ name: 'odd', kind: '!=', value: '' }], 250],
      [[{ name: 'odd', kind: '!=', value: 'yes' }], 250],
      [
        [
          { name: '__name__', kind: '=', value: 'up' },
          { name: 'instance', kind: '!~', value: 'i1.*' },
        ],
        500 - 111,
      ],
      [[{ name: 'nothing', kind: '=', value: 'x' }], 0],
      [
        [
          { name: 'nothing', kind: '=', value: '' },
          { name: 'job', kind: '=', value: 'j0' },
        ],
        100,
      ],
      [
        [
          { name: '__name__', kind: '=~', value: '.+' },
          { name: 'instance', kind: '=~', value: 'i(1|2|3)' },
        ],
        3,
      ],
    ]
    for (const [matchers, count] of rows)
      expect([matchers, selectSeries(head, compileMatchers(matchers), null).length]).toEqual([matchers, count])
    expect(selectSeries(head, [], Uint8Array.of(0, 1, 0, 0)).length).toBe(125)
  })

  it('refuses what is old, out of order or repeated, and takes an exact repeat as seen', () => {
    const head = newHead()
    const series = seriesOf(head, labelsFromObject({ a: 'b' }))
    expect(append(head, series, 1000, 1)).toBe(outcome.appended)
    expect(append(head, series, 1000, 1)).toBe(outcome.unchanged)
    expect(append(head, series, 1000, 2)).toBe(outcome.duplicate)
    expect(append(head, series, 999, 2)).toBe(outcome.outOfOrder)
    expect(appendFloat(head, series, 1500, halves(5), 2000)).toBe(outcome.outOfBounds)
    expect(appendFloat(head, series, 2 ** 52, halves(5), 2000)).toBe(outcome.outOfBounds)
  })

  it('comes back from a snapshot and goes on as if nothing had happened', () => {
    const disk = freshDirectory()
    const head = newHead(disk)
    const model = fill(head, 2, 30, 400)
    const exemplars = new ExemplarRing(10)
    exemplars.add(3, { labels: ['t', '1'], value: 1, timeMs: 5, hasTime: true }, 0)
    const refs = Uint32Array.from(model.keys(), (series) => (head.shards[series] === 0 ? series + 1 : 0))
    const state = (shard: number) => ({
      shard,
      applied: 7,
      minTime: head.minTime,
      maxTime: head.maxTime,
      cutUntil: -Infinity,
      totals: [1, 2],
      publishers: [{ id: 9, lastSequence: 4, refs: shard === 0 ? refs : new Uint32Array(0) }],
      exemplars: [...exemplars.entries()],
    })
    const files = [0, 1].map((shard) => snapshotBytes(head, state(shard)))
    const again = newHead(disk)
    const back = files.map((file) => {
      expect(checkSnapshot(file)).toBeNull()
      return restoreSnapshot(again, file)
    })
    again.index()
    expect(again.live).toBe(head.live)
    expect(back[0]!.publishers[0]).toMatchObject({ id: 9, lastSequence: 4 })
    expect(back[1]!.exemplars).toHaveLength(1)
    for (const [series, list] of model) {
      const same = seriesOf(again, head.labels(series), head.shards[series]!)
      expect(read(again, same)).toEqual(list)
      const next = list.at(-1)![0] + 15_000
      expect(append(again, same, next, 42)).toBe(outcome.appended)
      expect(read(again, same)).toEqual([...list, [next, 42]])
    }
    files[0]![files[0]!.length >> 1]! ^= 1
    expect(checkSnapshot(files[0]!)).toBe('checksum does not match')
  })

  it('drops chunks before a time, and series that hold nothing and that nobody holds', () => {
    const head = newHead()
    const model = fill(head, 3, 20, 300)
    const held = [...model.keys()][0]!
    head.holders[held] = 1
    expect(truncate(head, head.shards[held]!, Infinity).size).toBe(9)
    expect(truncate(head, 1 - head.shards[held]!, Infinity).size).toBe(10)
    expect(head.live).toBe(1)
    expect(head.chunks.live).toBe(0)
    expect(selectSeries(head, compileMatchers([{ name: 'job', kind: '=~', value: 'j.' }]), null)).toHaveLength(1)
    // freed numbers are used again and lists stay ascending
    truncate(head, head.shards[held]!, Infinity)
    expect(head.live).toBe(1)
    for (let i = 0; i < 20; i++) append(head, seriesOf(head, labelsFromObject({ __name__: 'new', job: 'j9', n: String(i) })), 1000, i)
    const all = selectSeries(head, compileMatchers([{ name: 'job', kind: '=~', value: 'j.' }]), null)
    expect([...all]).toEqual([...all].sort((a, b) => a - b))
    expect(all).toHaveLength(21)
  })

  it('gives back what series that come and go have brought: values, names, places of labels', () => {
    const head = newHead()
    const sizes: number[] = []
    const perRound = 1500
    const labels = (round: number, i: number): Labels =>
      labelsFromObject({
        __name__: 'm',
        always: 'here',
        pod: `pod-${round}-${i}-with-a-long-tail`,
        // a name of its own now and then, and label sets of several lengths
        ...(i % 500 === 0 ? { [`only_${round}_${i}`]: 'x' } : {}),
        ...((round + i) % 3 === 0 ? { extra: String(i % 7) } : {}),
      })
    for (let round = 0; round < 30; round++) {
      const time = 1_700_000_000_000 + round * 60_000
      for (let i = 0; i < perRound; i++) append(head, seriesOf(head, labels(round, i)), time, i)
      const removed = truncate(head, 0, time)
      expect(removed.size).toBe(round === 0 ? 0 : perRound)
      expect([...head.pairs.names()].sort()).toEqual(
        ['__name__', 'always', 'extra', 'pod', ...[0, 500, 1000].map((i) => `only_${round}_${i}`)].sort(),
      )
      for (const i of [0, 7, perRound - 1]) {
        const matchers = (of: number) => compileMatchers([{ name: 'pod', kind: '=', value: `pod-${of}-${i}-with-a-long-tail` }])
        const [found, ...more] = selectSeries(head, matchers(round), null)
        expect(more).toEqual([])
        expect(head.labels(found!)).toEqual(labels(round, i))
        expect(read(head, found!)).toEqual([[time, i]])
        expect(selectSeries(head, matchers(round - 1), null).length).toBe(0)
      }
      expect(selectSeries(head, compileMatchers([{ name: 'always', kind: '=', value: 'here' }]), null).length).toBe(perRound)
      sizes.push(Object.values(head.memory).reduce((sum, bytes) => sum + bytes, 0))
    }
    expect(Math.max(...sizes.slice(5))).toBe(Math.max(...sizes.slice(0, 5)))
  })

  it('places all series of a classic histogram on one shard', () => {
    const hashes = ['0.1', '1', '+Inf'].map((le) => placementHash(labelBytes(labelsFromObject({ __name__: 'x_bucket', le, job: 'a' }))))
    expect(new Set(hashes).size).toBe(1)
    expect(placementHash(labelBytes(labelsFromObject({ __name__: 'x_bucket', job: 'a' })))).toBe(hashes[0])
    expect(placementHash(labelBytes(labelsFromObject({ __name__: 'x_bucket', job: 'b' })))).not.toBe(hashes[0])
  })
})
