// The chunk encodings by number, and the one way to read any of them.
import { PromhiveError } from '../../base/errors.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { decodeFloatHistogram } from './float-histogram.ts'
import { decodeHistogram, histogramHeader } from './histogram.ts'
import { chunkSampleCount, decodeXor } from './xor.ts'
import { decodeXor2 } from './xor2.ts'

export const chunkEncoding = { xor: 1, histogram: 2, floatHistogram: 3, xor2: 4, histogramSt: 5, floatHistogramSt: 6 } as const
export type ChunkEncoding = (typeof chunkEncoding)[keyof typeof chunkEncoding]

export function isChunkEncoding(code: number): code is ChunkEncoding {
  return code >= 1 && code <= 6
}

/** 1 and 4: plain floats. The others hold native histograms. */
export function holdsFloats(encoding: number): boolean {
  return encoding === chunkEncoding.xor || encoding === chunkEncoding.xor2
}

export function sampleCount(encoding: number, chunk: Uint8Array): number {
  if (encoding === chunkEncoding.histogramSt || encoding === chunkEncoding.floatHistogramSt) return histogramHeader(chunk, true).count
  return chunkSampleCount(chunk)
}

/** Appends the samples with times in [startMs, endMs]. Throws PromhiveError DECODE and then leaves `into` as it was. */
export function decodeChunk(encoding: number, chunk: Uint8Array, startMs: number, endMs: number, into: SampleColumns): void {
  switch (encoding) {
    case chunkEncoding.xor:
      return decodeXor(chunk, startMs, endMs, into)
    case chunkEncoding.xor2:
      return decodeXor2(chunk, startMs, endMs, into)
    case chunkEncoding.histogram:
      return decodeHistogram(chunk, startMs, endMs, into)
    case chunkEncoding.histogramSt:
      return decodeHistogram(chunk, startMs, endMs, into, true)
    case chunkEncoding.floatHistogram:
      return decodeFloatHistogram(chunk, startMs, endMs, into)
    case chunkEncoding.floatHistogramSt:
      return decodeFloatHistogram(chunk, startMs, endMs, into, true)
    default:
      throw new PromhiveError('DECODE', `cannot decode chunk: encoding ${encoding} is unknown`, { encoding })
  }
}
