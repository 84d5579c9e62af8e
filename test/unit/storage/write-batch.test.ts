// Write batches: what was collected comes back bit for bit, small where it can be, and broken records are refused.
import { describe, expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { labelBytes } from '../../../src/model/label-bytes.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import { staleHigh, staleLow } from '../../../src/model/staleness.ts'
import {
  BatchColumns,
  decodeWriteBatch,
  readAnnouncements,
  WriteBatchBuilder,
  type WriteBatch,
} from '../../../protocols/bus/write-batch.ts'

type Sample = readonly [ref: number, timeMs: number, value: number]

function encoded(samples: readonly Sample[]): Uint8Array {
  const builder = new WriteBatchBuilder()
  for (const [ref, timeMs, value] of samples) builder.add(ref, timeMs, value)
  return builder.encode(7, 11)
}
/** As text that tells −0 from 0 and one NaN from another. */
function samplesOf(batch: WriteBatch): string[] {
  return Array.from(
    batch.refs,
    (ref, i) => `${ref} ${batch.times[i]} ${batch.bits[i * 2 + 1]!.toString(16)}:${batch.bits[i * 2]!.toString(16)}`,
  )
}
function texts(samples: readonly Sample[]): string[] {
  const view = new DataView(new ArrayBuffer(8))
  return samples.map(([ref, timeMs, value]) => {
    view.setFloat64(0, value)
    return `${ref} ${timeMs} ${view.getUint32(0).toString(16)}:${view.getUint32(4).toString(16)}`
  })
}

describe('columns', () => {
  const special = [
    0,
    -0,
    1,
    -1,
    0.5,
    NaN,
    Infinity,
    -Infinity,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    2 ** 53,
    -(2 ** 53),
    0.1 + 0.2,
    1e-7,
  ]
  const edges = [7, 8, 15, 16, 23, 24, 31, 32, 47, 48, 49, 50, 51, 52, 53].flatMap((bits) =>
    [-1, 0, 1].flatMap((d) => [2 ** bits + d, -(2 ** bits) + d]),
  )
  const decimals = [
    0.01, 0.1, 1.01, -0.01, 327.67, 327.68, -327.69, 21474836.47, 21474836.48, 0.001, 1.005, -2147483.648, 2147483.647, 2147483.648,
    99999999999.99,
  ]
  const rows: readonly [what: string, values: readonly number[]][] = [
    ['nothing', []],
    ['one zero', [0]],
    ['one minus zero', [-0]],
    ['special values', special],
    ['special values, twice each', special.flatMap((value) => [value, value])],
    ['special values between whole numbers', special.flatMap((value) => [1000, value, 1001])],
    ['special values between decimals', special.flatMap((value) => [10.25, value, 10.26])],
    ['edges of whole numbers', edges],
    ['edges, as steps from zero', edges.flatMap((value) => [0, value])],
    ['edges, as steps from large ones', edges.flatMap((value) => [2 ** 40, 2 ** 40 + value])],
    ['decimals', decimals],
    ['decimals, from one another', decimals.flatMap((a) => decimals.flatMap((b) => [a, b]))],
  ]
  it.each(rows)('%s', (_, values) => {
    const samples = values.map((value, i): Sample => [i, 1000, value])
    const batch = decodeWriteBatch(encoded(samples))
    expect(samplesOf(batch)).toEqual(texts(samples))
    expect([batch.appendedMs, batch.outOfOrderWindowMs, batch.length]).toEqual([7, 11, values.length])
  })
  it('anything', () => {
    const random = seededRng(20_261)
    const columns = new BatchColumns()
    const pick = <T>(from: readonly T[]): T => from[random.below(from.length)]!
    const makers: readonly (() => number)[] = [
      () => pick(special),
      () => pick(edges),
      () => random.below(1000),
      () => random.below(100_000) / 100,
      () => random.below(100_000) / 1000,
      () => random.next() * 10 ** (random.below(40) - 20),
      () => Math.floor(random.next() * 2 ** random.below(60)),
    ]
    for (let round = 0; round < 400; round++) {
      const n = random.below(200)
      const kinds = [pick(makers), pick(makers)]
      const timeKind = random.below(4)
      const refKind = random.below(3)
      let value = 0
      const samples = Array.from({ length: n }, (_, i): Sample => {
        if (random.below(3) > 0) value = pick(kinds)()
        const timeMs = [5_000, 1e12 + (i % 20) * 15_000, random.below(1e6), random.next() * 1e6][timeKind]!
        const ref = [i + 5, Math.floor(i / 20), random.below(2 ** 31) * 2][refKind]!
        return [ref, timeMs, value]
      })
      expect(samplesOf(decodeWriteBatch(encoded(samples), columns))).toEqual(texts(samples))
    }
  })
  it('the marker that ends a series keeps its bits', () => {
    const builder = new WriteBatchBuilder()
    const marker = new Float64Array(1)
    new Uint32Array(marker.buffer).set([staleLow, staleHigh])
    for (let i = 0; i < 3000; i++) builder.add(i, 1, marker[0]!)
    const { bits } = decodeWriteBatch(builder.encode(0))
    expect(bits.every((half, i) => half === (i % 2 === 0 ? staleLow : staleHigh))).toBe(true)
  })
  it('small where it can be', () => {
    const scrape = Array.from({ length: 1000 }, (_, i): Sample => [i + 100, 1.8e12, i % 3 === 0 ? 0 : i])
    const backfill = Array.from({ length: 1000 }, (_, i): Sample => [Math.floor(i / 20), 1.8e12 + (i % 20) * 15_000, 1e9 + i * 250])
    const noise = Array.from({ length: 1000 }, (_, i): Sample => [(i * 2654435761) >>> 0, Math.sin(i) * 1e12, Math.cos(i)])
    expect(encoded(scrape).length).toBeLessThan(64 + 3 * 1000)
    expect(encoded(backfill).length).toBeLessThan(64 + 3.5 * 1000)
    expect(encoded(noise).length).toBeLessThan(64 + 20.6 * 1000)
  })
})

describe('announcements', () => {
  const series = [
    { __name__: 'up', instance: 'a:1', job: 'x' },
    { __name__: 'up', instance: 'a:2', job: 'x' },
    { __name__: 'up', instance: 'a:2', job: 'x' },
    { a: '' },
    { __name__: 'http_requests_total', code: '200', instance: 'a:1', job: 'x', path: '/'.repeat(3000) },
    { __name__: 'http_requests_total', code: '500', instance: 'a:1', job: 'x', path: '/'.repeat(2999) },
    { __name__: 'ü', instance: '世界' },
  ].map((labels) => labelBytes(labelsFromObject(labels)))
  const refs = [0, 1, 2, 9, 10, 3, 4_000_000]
  const read = (batch: WriteBatch): string[] => {
    const out: string[] = []
    readAnnouncements(batch.announcements, (ref, bytes, from, to) =>
      out.push(`${ref} ${Buffer.from(bytes.subarray(from, to)).toString('hex')}`),
    )
    return out
  }
  const expected = series.map((bytes, i) => `${refs[i]} ${Buffer.from(bytes).toString('hex')}`)

  it('come back, and share what they have in common', () => {
    const builder = new WriteBatchBuilder()
    series.forEach((bytes, i) => builder.announce(refs[i]!, bytes))
    const record = builder.encode(0)
    expect(read(decodeWriteBatch(record))).toEqual(expected)
    expect(record.length).toBeLessThan(64 + 3250)
  })
  it('every record stands for itself', () => {
    const builder = new WriteBatchBuilder()
    for (let round = 0; round < 3; round++) {
      series.forEach((bytes, i) => builder.announce(refs[i]!, bytes))
      expect(read(decodeWriteBatch(builder.encode(0)))).toEqual(expected)
    }
  })
  it('carried over from a record that was not stored, they come first', () => {
    const builder = new WriteBatchBuilder()
    series.slice(0, 4).forEach((bytes, i) => builder.announce(refs[i]!, bytes))
    builder.release(77)
    const failed = decodeWriteBatch(builder.encode(0))
    series.slice(4).forEach((bytes, i) => builder.announce(refs[i + 4]!, bytes))
    builder.release(78)
    builder.carryOver(failed)
    const batch = decodeWriteBatch(builder.encode(0))
    expect(read(batch)).toEqual(expected)
    expect([...batch.released]).toEqual([77, 78])
  })
})

it('reads batches of the first version', () => {
  // two samples in a run of one time, an announcement and a released ref
  const labels = labelBytes(labelsFromObject({ __name__: 'up' }))
  const bytes = new Uint8Array(48 + 8 + 16 + 16 + 12 + 2 + labels.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 0x31425750, true)
  view.setUint32(4, 1 | 2 | 4, true)
  view.setUint32(8, 2, true)
  view.setUint32(12, 1, true)
  view.setFloat64(16, 123, true)
  view.setUint32(24, 2 + labels.length, true)
  view.setUint32(44, 1, true)
  view.setFloat64(48, 60_000, true)
  view.setFloat64(56, 1.5, true)
  view.setFloat64(64, -2, true)
  view.setFloat64(72, 5_000, true)
  view.setFloat64(80, 2, true)
  view.setUint32(88, 3, true)
  view.setUint32(92, 4, true)
  view.setUint32(96, 9, true)
  bytes.set([3, labels.length], 100)
  bytes.set(labels, 102)
  for (const record of [bytes, new Uint8Array([0, ...bytes]).subarray(1)]) {
    const batch = decodeWriteBatch(record)
    expect(samplesOf(batch)).toEqual(texts([[3, 5000, 1.5], [4, 5000, -2]])) // prettier-ignore
    expect([batch.appendedMs, batch.outOfOrderWindowMs, batch.cutStaleSeries, ...batch.released]).toEqual([123, 60_000, true, 9])
    const announced: string[] = []
    readAnnouncements(batch.announcements, (ref, from, start, end) =>
      announced.push(`${ref} ${Buffer.from(from.subarray(start, end)).toString('hex')}`),
    )
    expect(announced).toEqual([`3 ${Buffer.from(labels).toString('hex')}`])
  }
})

describe('broken records', () => {
  const builder = new WriteBatchBuilder()
  for (let i = 0; i < 50; i++) builder.add(i * 3, 1000 + (i % 7) * 1000, i * i * 0.01)
  for (const i of [1, 2, 3]) builder.announce(i, labelBytes(labelsFromObject({ __name__: 'up', instance: `host-${i}`, job: 'x' })))
  builder.release(5)
  const record = builder.encode(1)
  const attempt = (bytes: Uint8Array): void => {
    try {
      readAnnouncements(decodeWriteBatch(bytes).announcements, () => {})
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(PromhiveError)
    }
  }
  it('cut anywhere, they are refused', () => {
    for (let length = 0; length < record.length; length++)
      expect(() => decodeWriteBatch(record.slice(0, length)), `${length}`).toThrow(/cannot decode write batch/)
  })
  it('with any bit turned, they are refused or mean something else', () => {
    for (let i = 0; i < record.length * 8; i++) {
      const bytes = record.slice()
      bytes[i >> 3]! ^= 1 << (i & 7)
      attempt(bytes)
    }
  })
})
