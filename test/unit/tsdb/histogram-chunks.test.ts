import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { counterReset, type Histogram } from '../../../src/model/histogram.ts'
import { SampleColumns } from '../../../src/model/samples.ts'
import { isStale, staleNaN } from '../../../src/model/staleness.ts'
import { decodeChunk, sampleCount } from '../../../src/tsdb/chunks/decode.ts'
import { bucketIndices, spansOf } from '../../../src/tsdb/chunks/histogram-layout.ts'
import { histogramHeader, resetHeader } from '../../../src/tsdb/chunks/histogram.ts'
import { OpenHistogramChunk } from '../../../src/tsdb/chunks/open-histogram.ts'
import { essence, histogramRunArbitrary } from '../../support/tsdb/histograms.ts'

function chunksOf(run: readonly Histogram[], times: readonly number[]): OpenHistogramChunk[] {
  const chunks: OpenHistogramChunk[] = []
  run.forEach((histogram, i) => {
    const open = chunks.at(-1)
    const next = open === undefined ? OpenHistogramChunk.start(times[i]!, histogram, null) : open.append(times[i]!, histogram)
    if (next !== open) chunks.push(next)
  })
  return chunks
}

function read(chunk: OpenHistogramChunk): SampleColumns {
  const into = new SampleColumns()
  decodeChunk(chunk.encoding, chunk.bytes(), -Infinity, Infinity, into)
  return into
}

function simple(over: Partial<Histogram>): Histogram {
  return {
    isFloat: false,
    schema: 0,
    zeroThreshold: 0.001,
    zeroCount: 1,
    count: 10,
    sum: 5,
    positiveSpans: [{ offset: 0, length: 2 }],
    negativeSpans: [],
    positiveBuckets: Float64Array.of(4, 5),
    negativeBuckets: new Float64Array(0),
    customBounds: null,
    counterReset: counterReset.unknown,
    ...over,
  }
}

for (const isFloat of [false, true]) {
  const name = isFloat ? 'float histogram chunks' : 'integer histogram chunks'
  describe(name, () => {
    it('hold any run of histograms; the hints are right', () => {
      fc.assert(
        fc.property(
          histogramRunArbitrary(isFloat),
          fc.array(fc.integer({ min: 1, max: 2 ** 35 }), { minLength: 40, maxLength: 40 }),
          (run, steps) => {
            let time = 1_700_000_000_000
            const times = run.map((_, i) => (time += steps[i]!))
            const found: unknown[] = []
            const foundTimes: number[] = []
            for (const chunk of chunksOf(run, times)) {
              const columns = read(chunk)
              expect(sampleCount(chunk.encoding, chunk.bytes())).toBe(columns.length)
              expect(chunk.byteLength).toBe(chunk.bytes().length)
              expect([chunk.minTime, chunk.maxTime]).toEqual([columns.times[0], columns.times[columns.length - 1]])
              const gauge = histogramHeader(chunk.bytes(), false).reset === resetHeader.gauge
              for (let i = 0; i < columns.length; i++) {
                const histogram = columns.histograms![i]!
                found.push(essence(histogram))
                foundTimes.push(columns.times[i]!)
                if (isStale(histogram.sum)) continue
                expect(histogram.counterReset).toBe(gauge ? counterReset.gauge : i > 0 ? counterReset.notReset : counterReset.unknown)
              }
              // a chunk that is opened again goes on as if it had never been closed
              const resumed = OpenHistogramChunk.resume(isFloat, chunk.bytes())
              expect(resumed.bytes()).toEqual(chunk.bytes())
            }
            expect(found).toEqual(run.map(essence))
            expect(foundTimes).toEqual(times)
          },
        ),
        { numRuns: 200 },
      )
    })

    it('never yield a wrong sample when cut short', () => {
      const run = fc.sample(histogramRunArbitrary(isFloat), { numRuns: 5, seed: 3 })
      for (const histograms of run) {
        const [chunk] = chunksOf(
          histograms,
          histograms.map((_, i) => i * 15_000),
        )
        const bytes = chunk!.bytes()
        for (let length = 0; length < bytes.length; length++) {
          const into = new SampleColumns()
          into.push(1, 2)
          expect(() => decodeChunk(chunk!.encoding, bytes.subarray(0, length), -Infinity, Infinity, into)).toThrow(/cannot decode/)
          expect(into.length).toBe(1)
        }
      }
    })

    it('start anew or go on as upstream does', () => {
      const first = simple({ isFloat })
      const rows: [string, Partial<Histogram>, boolean, number?][] = [
        ['same again', {}, false],
        ['more of everything', { count: 12, zeroCount: 2, positiveBuckets: Float64Array.of(5, 5) }, false],
        ['another bucket', { count: 11, positiveSpans: [{ offset: 0, length: 3 }], positiveBuckets: Float64Array.of(4, 5, 1) }, false],
        ['stale', { sum: staleNaN }, false],
        ['count fell', { count: 9 }, true, resetHeader.reset],
        ['zero count fell', { zeroCount: 0 }, true, resetHeader.reset],
        ['a bucket fell', { positiveBuckets: Float64Array.of(3, 6) }, true, resetHeader.reset],
        [
          'a used bucket is gone',
          { positiveSpans: [{ offset: 0, length: 1 }], positiveBuckets: Float64Array.of(10) },
          true,
          resetHeader.reset,
        ],
        ['other schema', { schema: 1 }, true, resetHeader.unknown],
        ['other zero threshold', { zeroThreshold: 0.01 }, true, resetHeader.unknown],
        ['hinted reset', { counterReset: counterReset.reset }, true, resetHeader.reset],
        ['a gauge', { counterReset: counterReset.gauge }, true, resetHeader.gauge],
      ]
      for (const [why, change, cut, header] of rows) {
        const open = OpenHistogramChunk.start(0, first, null)
        const next = open.append(1, { ...first, ...change })
        expect(next !== open, why).toBe(cut)
        if (header !== undefined) expect(histogramHeader(next.bytes(), false).reset, why).toBe(header)
      }
    })

    it('know the chunk before when one is cut by size', () => {
      const before = OpenHistogramChunk.start(0, simple({ isFloat }), null)
      const header = (change: Partial<Histogram>): number =>
        histogramHeader(OpenHistogramChunk.start(1, simple({ isFloat, ...change }), before).bytes(), false).reset
      expect(header({})).toBe(resetHeader.notReset)
      expect(header({ count: 3 })).toBe(resetHeader.reset)
      expect(header({ schema: 2 })).toBe(isFloat ? resetHeader.notReset : resetHeader.unknown)
      expect(header({ counterReset: counterReset.gauge })).toBe(resetHeader.gauge)
    })
  })
}

describe('spans', () => {
  it('are the shortest for their indices', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: -50, max: 50 })), (list) => {
        const indices = list.sort((a, b) => a - b)
        const spans = spansOf(indices)
        expect([...bucketIndices(spans)]).toEqual(indices)
        spans.forEach((span, i) => expect(i === 0 || span.offset > 0).toBe(true))
      }),
    )
  })
})
