// Snapshots of a shard's head: in steps while it goes on, of an older version, and with parts that do not fit.
import { describe, expect, it } from 'vitest'
import { crc32 } from '../../../src/base/crc32.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { seededRng, type Rng } from '../../../src/base/rng.ts'
import { labelBytes } from '../../../src/model/label-bytes.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import { SampleColumns } from '../../../src/model/samples.ts'
import { simulatedDisk, type SimulatedDisk } from '../../../src/ports/simulated/disk.ts'
import type { Histogram } from '../../../src/model/histogram.ts'
import { staleHistogram } from '../../../src/tsdb/chunks/histogram.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'
import { Head } from '../../../src/tsdb/head/head.ts'
import { readSeries } from '../../../src/tsdb/head/read.ts'
import { checkSnapshot, restoreSnapshot, snapshotCodec, snapshotHeadBytes, type ShardState } from '../../../src/tsdb/head/snapshot.ts'
import { snapshotBytes, snapshotSteps } from '../../support/tsdb/snapshot-bytes.ts'
import { encodeSnapshotVersion1 } from '../../support/tsdb/snapshot-version-1.ts'
import { appendFloat } from '../../support/tsdb/floats.ts'

function newHead(disk: SimulatedDisk): Head {
  const chunks = new ChunkStore(disk, (shard) => `/data/${shard}`, 8 << 20)
  return new Head(chunks, { samplesPerChunk: 20, chunkRangeMs: 7_200_000 })
}

/** Mostly growing from one to the next, sometimes with another bucket or of the other kind. */
function randomHistogram(time: number, rng: Rng): Histogram {
  const buckets = Float64Array.from({ length: 2 + rng.below(2) }, (_, i) => Math.floor(time / (i + 1)) % 1e9)
  const count = buckets.reduce((sum, bucket) => sum + bucket, 0)
  const positiveSpans = [{ offset: 0, length: buckets.length }]
  return { ...staleHistogram, isFloat: rng.chance(0.1), count, sum: time, positiveSpans, positiveBuckets: buckets }
}

/** A head of two shards that gets all kinds of samples, and the state of shard 0. */
class Rig {
  readonly disk: SimulatedDisk
  readonly head: Head
  readonly rng: Rng
  readonly refs = new Uint32Array(400)
  #time = 1_700_000_000_000
  constructor(seed: number) {
    this.rng = seededRng(seed)
    this.disk = simulatedDisk(this.rng)
    this.head = newHead(this.disk)
    for (let i = 0; i < 1_500; i++) this.next()
  }

  /** One sample more: a float, a histogram or a late one, now and then of a series that is new. */
  next(): void {
    const { head, rng } = this
    const time = (this.#time += rng.below(400))
    const n = rng.below(60)
    const bytes = labelBytes(labelsFromObject({ __name__: `m${n % 7}`, n: String(n), ...(rng.chance(0.005) && { more: String(time) }) }))
    const shard = n % 2
    const series = head.series(bytes, 0, bytes.length, shard)
    this.refs[rng.below(400)] = shard === 0 && rng.chance(0.9) ? series + 1 : 0
    if (n % 10 < 2) head.appendHistogram(series, time, randomHistogram(time, rng), -Infinity)
    else if (n % 10 < 4 && rng.chance(0.3))
      head.outOfOrder.insert(shard, series, time - 100_000, { high: rng.below(1 << 30), low: 7, histogram: null })
    else appendFloat(head, series, time, n % 3 === 0 ? [7, 7] : [rng.below(1 << 30), rng.below(1 << 30)])
  }

  get state(): ShardState {
    const { minTime, maxTime } = this.head
    const exemplars = [{ series: 0, exemplar: { labels: ['t', '1'], value: 1, timeMs: 5, hasTime: true } }]
    const publishers = [{ id: 9, lastSequence: 4, refs: this.refs }]
    return { shard: 0, applied: 7, minTime, maxTime, cutUntil: -Infinity, totals: [1, 2], publishers, exemplars }
  }

  restored(...files: readonly Uint8Array[]): { head: Head; states: ShardState[] } {
    const head = newHead(this.disk)
    const states = files.map((file) => {
      expect(checkSnapshot(file)).toBeNull()
      return restoreSnapshot(head, file)
    })
    head.index()
    return { head, states }
  }
}

/** Of shard 0, by labels. */
function samplesOf(head: Head): Map<string, unknown[]> {
  const out = new Map<string, unknown[]>()
  for (let series = 0; series < head.count; series++) {
    if (head.shards[series] !== 0) continue
    const into = new SampleColumns()
    readSeries(head, series, -Infinity, Infinity, into)
    const sums = Array.from({ length: into.length }, (_, i) => into.histograms?.[i]?.sum ?? into.bits.slice(i * 2, i * 2 + 2).join())
    out.set(head.labels(series).join(), [...into.times.slice(0, into.length), ...sums])
  }
  return out
}

const seeds = [1, 2, 3, 4, 5, 6, 7, 8]

describe('a snapshot', () => {
  it.each(seeds)('written in steps is of the first one, whatever comes between them, seed %i', (seed) => {
    const rig = new Rig(seed)
    const twin = new Rig(seed)
    const { head } = rig
    const expected = snapshotBytes(twin.head, twin.state)
    const steps = snapshotSteps(head, rig.state)
    for (let paused = 0; ; paused++) {
      const { done, value } = steps.next()
      if (done === true) {
        expect(paused).toBeGreaterThan(15)
        expect(value).toEqual(expected)
        break
      }
      for (let i = rig.rng.below(80); i > 0; i--) rig.next()
    }
    // nothing is held any more
    expect(head.beforeHistogram.size).toBe(0)
    const back = rig.restored(expected)
    expect(samplesOf(back.head)).toEqual(samplesOf(twin.head))
    expect(snapshotBytes(back.head, back.states[0]!)).toEqual(expected)
  })

  it('that is given up holds nothing', () => {
    const rig = new Rig(1)
    const steps = snapshotSteps(rig.head, rig.state)
    for (let i = 0; i < 10; i++) steps.next()
    steps.return(new Uint8Array(0))
    expect(rig.head.beforeHistogram.size).toBe(0)
    const { open_chunks: before } = rig.head.memory
    for (let i = 0; i < 5_000; i++) rig.next()
    expect(rig.head.memory.open_chunks).toBe(before)
  })

  it.each(seeds)('of version 1 is read, seed %i', (seed) => {
    const rig = new Rig(seed)
    const old = encodeSnapshotVersion1(rig.head, rig.state).slice()
    expect(old[4]).toBe(1)
    const before = rig.restored(old)
    const now = rig.restored(snapshotBytes(rig.head, rig.state))
    expect(before.states).toEqual(now.states)
    expect(snapshotBytes(before.head, before.states[0]!)).toEqual(snapshotBytes(now.head, now.states[0]!))
    old[old.length >> 1]! ^= 1
    expect(checkSnapshot(old)).toBe('checksum does not match')
  })
})

/** The parts of a file, to be changed and put together again. */
function sectionsOf(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset)
  const sections: Uint8Array[] = []
  for (let at = snapshotHeadBytes; at < file.length - 4;) {
    const length = view.getUint32(at, true)
    sections.push(file.slice(at + 8, at + 8 + length))
    at += 8 + ((length + 7) & ~7)
  }
  return sections
}
function fileOf(head: Uint8Array, sections: readonly Uint8Array[]): Uint8Array {
  const parts = sections.flatMap((bytes) => [Uint32Array.of(bytes.length, 0), bytes, new Uint8Array(-bytes.length & 7)])
  const file = Buffer.concat([head.subarray(0, snapshotHeadBytes), ...parts.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength))]) // prettier-ignore
  return new Uint8Array(Buffer.concat([file, new Uint8Array(Uint32Array.of(crc32(file)).buffer)]))
}

describe('a snapshot whose checksum is good and whose parts do not fit', () => {
  const names = ['pairs', 'labels', 'hashes', 'firstTimes', 'counts', 'positions', 'times', 'deltas', 'windows', 'values', 'open', 'chunk counts', 'chunk times', 'chunk places', 'refs', 'meta'] // prettier-ignore
  const rig = new Rig(3)
  const whole = snapshotBytes(rig.head, rig.state)
  const sections = sectionsOf(whole)

  function refuses(changed: readonly Uint8Array[]): void {
    const file = fileOf(whole, changed)
    expect(checkSnapshot(file)).toBeNull()
    const head = newHead(rig.disk)
    expect(() => restoreSnapshot(head, file)).toThrow(Error)
    expect([head.live, head.count, head.pairs.count, head.chunks.live, head.outOfOrder.size]).toEqual([0, 0, 0, 0, 0])
  }

  it('is what it is where nothing is changed', () => {
    expect(sections).toHaveLength(names.length)
    expect(fileOf(whole, sections)).toEqual(whole)
  })

  it.each(names.filter((name) => name !== 'refs').map((name, i) => [name, name === 'meta' ? names.length - 1 : i] as const))('%s: too short, too long, missing', (_, at) => {
    refuses(sections.map((bytes, i) => (i === at ? bytes.subarray(0, bytes.length - 8) : bytes)))
    if (at < names.length - 1) refuses(sections.map((bytes, i) => (i === at ? new Uint8Array([...bytes, ...new Uint8Array(8)]) : bytes)))
    refuses(sections.filter((__, i) => i !== at))
  }) // prettier-ignore

  it.each([
    ['a label pair that is not there', 1, 1],
    ['a series with more pairs than there are numbers', 1, 0],
    ['a position behind the bytes', 5, 0],
    ['more chunks than there are', 11, 0],
    ['a chunk in no segment', 13, 1],
    ['a chunk behind any segment', 13, 2],
    ['a ref to no series', 14, 0],
  ])('%s', (_, at, word) => {
    refuses(
      sections.map((bytes, i) => {
        if (i !== at) return bytes
        const changed = new Uint32Array(bytes.slice().buffer)
        changed[word] = 0x7fffffff
        return new Uint8Array(changed.buffer)
      }),
    )
  })

  it('numbers in its meta that are none of its series', () => {
    const meta = snapshotCodec.unpack(sections.at(-1)!) as Record<string, unknown>
    const with_ = (more: Record<string, unknown>): void => refuses([...sections.slice(0, -1), snapshotCodec.pack({ ...meta, ...more })])
    for (const series of [-1, 0.5, 1e9, null]) {
      with_({ exemplars: [{ series, exemplar: {} }] })
      with_({ histograms: [{ series, isFloat: false, bytes: new Uint8Array(0) }] })
      with_({ series })
    }
    with_({ publishers: [] })
    with_({ segments: [] })
    with_({ pairs: 1 })
  })

  it('is an error with a code', () => {
    expect(() => restoreSnapshot(newHead(rig.disk), fileOf(whole, sections.slice(1)))).toThrow(PromhiveError)
  })
})
