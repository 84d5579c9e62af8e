// Chunks that Prometheus 3.14 wrote while it scraped itself: XOR2 (4) and integer histograms with start times (5). Values, times and start times are
// what its promtool dumped and its scrape said.
import { describe, expect, it } from 'vitest'
import { SampleColumns } from '../../../src/model/samples.ts'
import { decodeChunk, sampleCount } from '../../../src/tsdb/chunks/decode.ts'
import { OpenHistogramChunk } from '../../../src/tsdb/chunks/open-histogram.ts'
import { encodeXor2 } from '../../../src/tsdb/chunks/xor2.ts'

type Row = Readonly<{
  what: string
  encoding: number
  hex: string
  /** The first times; the rest follow every second. */
  times: readonly number[]
  count: number
  values: readonly (readonly [value: number, times: number])[]
  startTimes: readonly (readonly [value: number, times: number])[]
}>

const rows: readonly Row[] = [
  {
    what: 'a counter with a start time',
    encoding: 4,
    hex: '002701ced8fff1c0680000000000000000ac2b3bfb8f305481023f815ac8000c7e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa1e3e878fa00',
    times: [1795415864871, 1795415870419],
    count: 39,
    values: [
      [0, 2],
      [547, 1],
      [576, 36],
    ],
    startTimes: [
      [0, 1],
      [1795415864871, 38],
    ],
  },
  {
    what: 'a counter without',
    encoding: 4,
    hex: '002600a6af80f2c0684039000000000000e8070ae06000000ad0fc20',
    times: [1795415870419],
    count: 38,
    values: [
      [25, 5],
      [27, 26],
      [28, 1],
      [29, 6],
    ],
    startTimes: [],
  },
  {
    what: 'an empty histogram',
    encoding: 5,
    hex: '0027017499fc0003440e3fea7200000000000000007c0b4d07df6a70f8169a0f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80f1f4078fa03c7d01e3e80',
    times: [1795415864633, 1795415870419],
    count: 39,
    values: [[0, 39]],
    startTimes: [
      [0, 1],
      [1795415864633, 38],
    ],
  },
  {
    what: 'a histogram with one bucket',
    encoding: 5,
    hex: '002701749c63da97f0000d1039004db00000000000000000f10ec58befd02a8c709137a062f0e5dcbf88741e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa01e3e8078fa0',
    times: [1795415869878, 1795415870419],
    count: 39,
    values: [
      [0, 1],
      [0.00050857, 38],
    ],
    startTimes: [
      [0, 1],
      [1795415869878, 38],
    ],
  },
]

function spread(list: readonly (readonly [number, number])[]): number[] {
  return list.flatMap(([value, times]) => Array.from({ length: times }, () => value))
}

describe('chunks of Prometheus 3.14', () => {
  for (const { what, encoding, hex, times, count, values, startTimes } of rows) {
    const chunk = new Uint8Array(Buffer.from(hex, 'hex'))
    const wanted = Array.from({ length: count }, (_, i) => times[i] ?? times.at(-1)! + (i - times.length + 1) * 1000)
    it(`are read: ${what}`, () => {
      const into = new SampleColumns(2)
      decodeChunk(encoding, chunk, -Infinity, Infinity, into)
      expect(sampleCount(encoding, chunk)).toBe(count)
      expect([...into.times.subarray(0, into.length)]).toEqual(wanted)
      expect([...into.values.subarray(0, into.length)]).toEqual(spread(values))
      expect(Array.from(into.startTimes?.subarray(0, into.length) ?? [])).toEqual(spread(startTimes))
      expect(into.histograms === null).toBe(encoding === 4)
      if (encoding === 5) expect(into.histograms!.slice(0, count).every((h) => h!.count === (h!.sum === 0 ? 0 : 1))).toBe(true)
    })
    it(`are written the same: ${what}`, () => {
      const columns = new SampleColumns(2)
      decodeChunk(encoding, chunk, -Infinity, Infinity, columns)
      if (encoding === 4) expect(encodeXor2(columns.times, columns.bits, columns.startTimes, 0, columns.length)).toEqual(chunk)
      else expect(OpenHistogramChunk.resume(false, chunk, true).bytes()).toEqual(chunk)
    })
    it(`are read within a range: ${what}`, () => {
      const into = new SampleColumns(2)
      decodeChunk(encoding, chunk, wanted[5]!, wanted[9]!, into)
      expect([...into.times.subarray(0, into.length)]).toEqual(wanted.slice(5, 10))
      expect([...into.values.subarray(0, into.length)]).toEqual(spread(values).slice(5, 10))
    })
    it(`never yield a wrong sample when cut short: ${what}`, () => {
      for (let length = 0; length < chunk.length; length++) {
        const into = new SampleColumns()
        expect(() => decodeChunk(encoding, chunk.subarray(0, length), -Infinity, Infinity, into)).toThrow(/cannot decode/)
        expect(into.length).toBe(0)
      }
    })
  }
})
