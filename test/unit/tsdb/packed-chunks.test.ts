// Chunks as they go into blocks: packed, and joined where they are small.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { SampleColumns } from '../../../src/model/samples.ts'
import { chunkEncoding, decodeChunk } from '../../../src/tsdb/chunks/decode.ts'
import type { ChunkData } from '../../../src/tsdb/chunks/encode.ts'
import { joinChunks } from '../../../src/tsdb/chunks/join.ts'
import { chunkSampleCount, decodeXor, encodeXor } from '../../../src/tsdb/chunks/xor.ts'
import { packXor } from '../../../src/tsdb/chunks/xor-pack.ts'
import { columnsOf, halves, samplesArbitrary } from '../../support/tsdb/floats.ts'

function samplesOf(chunks: readonly ChunkData[]): { times: Float64Array; bits: Uint32Array } {
  const into = new SampleColumns(1)
  for (const { encoding, bytes } of chunks) decodeChunk(encoding, bytes, -Infinity, Infinity, into)
  return { times: into.times.slice(0, into.length), bits: into.bits.slice(0, into.length * 2) }
}

describe('packed XOR chunks', () => {
  it('come back as they were, bit for bit, and are never larger than appended ones', () => {
    fc.assert(
      fc.property(samplesArbitrary, (samples) => {
        const { times, bits } = columnsOf(samples)
        fc.pre(times.length > 0)
        const packed = packXor(times, bits, 0, times.length)
        const into = new SampleColumns(1)
        decodeXor(packed, -Infinity, Infinity, into)
        expect(into.times.subarray(0, into.length)).toEqual(times)
        expect(into.bits.subarray(0, into.length * 2)).toEqual(bits)
        expect(packed.length).toBeLessThanOrEqual(encodeXor(times, bits, 0, times.length).length)
        // nothing of one chunk is left for the next
        expect(packXor(times, bits, 0, times.length)).toEqual(packed)
      }),
    )
  })

  it('take fewer bits where values differ in how many of their bits change', () => {
    const rng = seededRng(3)
    const n = 400
    const times = Float64Array.from({ length: n }, (_, i) => i * 15_000)
    const bits = new Uint32Array(n * 2)
    let counter = 1e6
    for (let i = 0; i < n; i++) {
      counter += i % 20 === 0 ? rng.next() * 1e5 : Math.floor(rng.next() * 8)
      const [high, low] = halves(counter)
      bits[i * 2] = low
      bits[i * 2 + 1] = high
    }
    expect(packXor(times, bits, 0, n).length).toBeLessThan(encodeXor(times, bits, 0, n).length * 0.6)
  })
})

describe('joined chunks', () => {
  const chunk = (from: number, count: number, value: (i: number) => number = (i) => i): ChunkData => {
    const times = Float64Array.from({ length: count }, (_, i) => (from + i) * 1000)
    const values = Float64Array.from({ length: count }, (_, i) => value(from + i))
    const bytes = encodeXor(times, new Uint32Array(values.buffer), 0, count)
    return { encoding: chunkEncoding.xor, minTime: times[0]!, maxTime: times[count - 1]!, bytes }
  }
  const noise = (i: number): number => Math.sin(i * 7919) * 1e9
  const empty: ChunkData = { encoding: chunkEncoding.xor, minTime: 0, maxTime: 0, bytes: new Uint8Array(2) }
  const other: ChunkData = { ...chunk(240, 5), encoding: chunkEncoding.xor2 }
  const rows: [string, ChunkData[], number, number[]][] = [
    ['nothing', [], 120, []],
    ['one stays', [chunk(0, 120)], 120, [120]],
    ['four full ones become one', [0, 1, 2, 3].map((k) => chunk(k * 120, 120)), 120, [480]],
    ['a fifth begins another', [0, 1, 2, 3, 4].map((k) => chunk(k * 120, 120)), 120, [480, 120]],
    ['the bound follows the samples of a full chunk', [0, 1, 2].map((k) => chunk(k * 20, 20)), 10, [40, 20]],
    ['large ones are left alone', [0, 1, 2].map((k) => chunk(k * 120, 120, noise)), 120, [120, 120, 120]],
    ['what holds nothing is passed by', [empty, chunk(0, 3), chunk(3, 3)], 120, [0, 6]],
    ['other encodings part them', [chunk(0, 120), chunk(120, 120), other, chunk(300, 5), chunk(310, 5)], 120, [240, 5, 10]],
  ]
  it.each(rows)('%s', (_, chunks, perChunk, counts) => {
    for (const packAll of [false, true]) {
      const joined = joinChunks(chunks, perChunk, packAll)
      expect(joined.map(({ bytes }) => chunkSampleCount(bytes))).toEqual(counts)
      const plain = (list: ChunkData[]): ChunkData[] =>
        list.filter(({ bytes, encoding }) => bytes.length > 2 && encoding === chunkEncoding.xor)
      expect(samplesOf(plain(joined))).toEqual(samplesOf(plain(chunks)))
      for (const one of plain(joined)) {
        const { times } = samplesOf([one])
        expect([one.minTime, one.maxTime]).toEqual([times[0], times.at(-1)])
      }
    }
  })
})
