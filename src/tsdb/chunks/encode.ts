// Columns of samples into chunks: for blocks that are merged, backfilled or cut from data that came out of order.
import type { SampleColumns } from '../../model/samples.ts'
import { chunkEncoding } from './decode.ts'
import { isFloatChunk, OpenHistogramChunk } from './open-histogram.ts'
import { encodeXor } from './xor.ts'
import { encodeXor2 } from './xor2.ts'

/** A chunk with its data: what block writers take and block readers give. Times are those of its first and last sample. */
export type ChunkData = Readonly<{ encoding: number; minTime: number; maxTime: number; bytes: Uint8Array }>

/** As many samples as Prometheus puts in a chunk. */
export const samplesPerChunk = 120

/** Samples [from, to) of columns in chunks. A new chunk begins every 120 samples, where the kind of sample changes, and where histograms demand it. */
export function encodeChunks(columns: SampleColumns, from = 0, to = columns.length): ChunkData[] {
  const out: ChunkData[] = []
  const { times, bits, histograms } = columns
  let i = from
  while (i < to) {
    const kind = kindAt(columns, i)
    let end = i + 1
    while (end < to && kindAt(columns, end) === kind) end++
    if (kind === 'float') {
      for (let at = i; at < end; at += samplesPerChunk) {
        const last = Math.min(end, at + samplesPerChunk)
        const withStarts = hasStarts(columns, at, last)
        const bytes = withStarts ? encodeXor2(times, bits, columns.startTimes, at, last) : encodeXor(times, bits, at, last)
        const encoding = withStarts ? chunkEncoding.xor2 : chunkEncoding.xor
        out.push({ encoding, minTime: times[at]!, maxTime: times[last - 1]!, bytes })
      }
    } else {
      const withStarts = hasStarts(columns, i, end)
      const startAt = (at: number): number => columns.startTimes?.[at] ?? 0
      const begin = (at: number): OpenHistogramChunk =>
        OpenHistogramChunk.start(times[at]!, histograms![at]!, null, withStarts ? startAt(at) : null)
      let open = begin(i)
      for (let at = i + 1; at < end; at++) {
        const next = open.count < samplesPerChunk ? open.append(times[at]!, histograms![at]!, startAt(at)) : begin(at)
        if (next !== open) out.push(chunkOf(open))
        open = next
      }
      out.push(chunkOf(open))
    }
    i = end
  }
  return out
}

function chunkOf(open: OpenHistogramChunk): ChunkData {
  return { encoding: open.encoding, minTime: open.minTime, maxTime: open.maxTime, bytes: open.bytes() }
}

/** Start times are kept where there are any: such samples need the encodings that Prometheus 3 introduced. */
function hasStarts({ startTimes }: SampleColumns, from: number, to: number): boolean {
  if (startTimes === null) return false
  for (let i = from; i < to; i++) if (startTimes[i] !== 0) return true
  return false
}

function kindAt(columns: SampleColumns, i: number): 'float' | 'histogram' | 'floatHistogram' {
  const histogram = columns.histograms?.[i] ?? null
  if (histogram === null) return 'float'
  return isFloatChunk(histogram) ? 'floatHistogram' : 'histogram'
}

/** Copies sample i of one set of columns behind the last of another, bit for bit. */
export function copySample(from: SampleColumns, i: number, into: SampleColumns): void {
  const at = into.length
  into.push(from.times[i]!, 0, from.histograms?.[i] ?? null, from.startTimes?.[i] ?? 0)
  into.bits[at * 2] = from.bits[i * 2]!
  into.bits[at * 2 + 1] = from.bits[i * 2 + 1]!
}
