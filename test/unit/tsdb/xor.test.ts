import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SampleColumns } from '../../../src/model/samples.ts'
import { chunkSampleCount, decodeXor, encodeXor } from '../../../src/tsdb/chunks/xor.ts'
import { decodeXor2, encodeXor2 } from '../../../src/tsdb/chunks/xor2.ts'
import { appendXor, XorStates } from '../../../src/tsdb/chunks/xor-append.ts'
import { columnsOf, samplesArbitrary } from '../../support/tsdb/floats.ts'

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

describe('XOR2 chunks', () => {
  const starts = fc.array(fc.oneof(fc.constant(0), fc.constant(1000), fc.integer({ min: 1, max: 2 ** 41 })), {
    minLength: 150,
    maxLength: 150,
  })
  it('come back as they were, bit for bit, with their start times', () => {
    fc.assert(
      fc.property(samplesArbitrary, fc.option(starts), (samples, startList) => {
        const { times, bits } = columnsOf(samples)
        const startTimes = startList === null ? null : Float64Array.from(times, (_, i) => startList[i]!)
        const into = new SampleColumns(1)
        decodeXor2(encodeXor2(times, bits, startTimes, 0, times.length), -Infinity, Infinity, into)
        expect(into.times.subarray(0, into.length)).toEqual(times)
        expect(hex(new Uint8Array(into.bits.buffer, 0, into.length * 8))).toBe(hex(new Uint8Array(bits.buffer)))
        expect(Array.from(times, (_, i) => into.startTimes?.[i] ?? 0)).toEqual(Array.from(times, (_, i) => startTimes?.[i] ?? 0))
      }),
    )
  })
})

describe('XOR chunks', () => {
  it('come back as they were, bit for bit', () => {
    fc.assert(
      fc.property(samplesArbitrary, (samples) => {
        const { times, bits } = columnsOf(samples)
        const into = new SampleColumns(1)
        decodeXor(encodeXor(times, bits, 0, times.length), -Infinity, Infinity, into)
        expect(into.length).toBe(times.length)
        expect(into.times.subarray(0, into.length)).toEqual(times)
        expect(hex(new Uint8Array(into.bits.buffer, 0, into.length * 8))).toBe(hex(new Uint8Array(bits.buffer)))
      }),
    )
  })

  it('equal what upstream wrote', () => {
    // the chunk in a block that promtool 2.42 created from these samples
    const times = Float64Array.of(0, 15_000, 30_001, 45_000, 60_000, 180_000, 7_000_000)
    const values = Float64Array.of(1, 1, 2.5, -3, Infinity, 0, 0)
    const bits = new Uint32Array(values.buffer)
    bits[10] = 1
    bits[11] = 0x7ff80000
    expect(hex(encodeXor(times, bits, 0, 7))).toBe(upstreamChunk)
  })

  it('steady runs of any length are read within any range', () => {
    for (const length of [1, 2, 3, 13, 14, 15, 16, 17, 18, 40, 120]) {
      const times = Float64Array.from({ length }, (_, i) => 1_700_000_000_000 + i * 15_000 + (i > 50 ? 7 : 0))
      const values = Float64Array.from({ length }, (_, i) => (i < 30 ? 4 : i % 20 === 0 ? i : 5))
      const chunk = encodeXor(times, new Uint32Array(values.buffer), 0, length)
      for (let from = 0; from < length; from += 3) {
        for (let to = from; to < length; to += 5) {
          const into = new SampleColumns(1)
          decodeXor(chunk, times[from]! - 1, times[to]! + 1, into)
          expect([...into.times.subarray(0, into.length)]).toEqual([...times.subarray(from, to + 1)])
          expect([...into.values.subarray(0, into.length)]).toEqual([...values.subarray(from, to + 1)])
        }
      }
      expect(() => decodeXor(chunk.subarray(0, chunk.length - 1), 0, Infinity, new SampleColumns())).toThrow(/^cannot decode /)
    }
  })

  it('are read within a closed range', () => {
    const times = Float64Array.from({ length: 50 }, (_, i) => i * 10)
    const values = Float64Array.from({ length: 50 }, (_, i) => i)
    const chunk = encodeXor(times, new Uint32Array(values.buffer), 0, 50)
    const rows: [number, number, number, number][] = [
      [0, 490, 0, 50],
      [10, 20, 1, 2],
      [11, 19, 0, 0],
      [490, 1000, 49, 1],
      [491, 1000, 0, 0],
      [-10, -1, 0, 0],
      [-10, 0, 0, 1],
    ]
    for (const [start, end, first, length] of rows) {
      const into = new SampleColumns()
      into.push(-1, -1)
      decodeXor(chunk, start, end, into)
      expect(into.length).toBe(length + 1)
      expect(into.values[0]).toBe(-1)
      if (length > 0) expect(into.values[1]).toBe(first)
    }
  })

  it('never yield a wrong sample when cut short', () => {
    const { times, bits } = columnsOf(fc.sample(samplesArbitrary, { numRuns: 1, seed: 7 })[0]!)
    const chunk = encodeXor(times, bits, 0, times.length)
    for (let length = 0; length < chunk.length; length++) {
      const into = new SampleColumns()
      expect(() => decodeXor(chunk.subarray(0, length), -Infinity, Infinity, into)).toThrow(/cannot decode/)
      expect(into.length).toBe(0)
    }
  })

  it('append step by step, side by side in one arena', () => {
    fc.assert(
      fc.property(fc.array(samplesArbitrary, { minLength: 2, maxLength: 4 }), (many) => {
        const all = many.map(columnsOf)
        const states = new XorStates(all.length)
        const arena = new Uint8Array(all.length * 4000)
        all.forEach((_, i) => states.clear(i))
        for (let k = 0; k < 150; k++) {
          all.forEach(({ times, bits }, i) => {
            if (k < times.length) appendXor(states, i, arena, i * 4000, times, bits, k)
          })
        }
        all.forEach(({ times, bits }, i) => {
          const chunk = arena.subarray(i * 4000, i * 4000 + states.byteLength(i))
          expect(hex(chunk)).toBe(hex(encodeXor(times, bits, 0, times.length)))
          expect(chunkSampleCount(chunk)).toBe(times.length)
        })
      }),
      { numRuns: 30 },
    )
  })
})

const upstreamChunk = '0007003ff000000000000098754000e137ffb7ffd80e800e0006bffb8668a36690000000000003e0000000000cc77c187ffff0000000000002'
