// The chunks of one series from several blocks as one row of chunks. Chunks that overlap no other and lost no sample pass through as they are.
import { forgetResets } from '../../model/histogram-reset.ts'
import { SampleColumns } from '../../model/samples.ts'
import { covers, type Interval, overlapsAny } from '../block/intervals.ts'
import { dropDeleted } from '../block/reader.ts'
import { type ChunkData, copySample, encodeChunks } from '../chunks/encode.ts'
import { decodeChunk } from '../chunks/decode.ts'

const decoded = new SampleColumns()
const merged = new SampleColumns()

/**
 * @param chunks of all blocks, in the order in which blocks win where two have a sample for the same time
 * @returns chunks in rising time that do not overlap
 */
export function mergeChunks(chunks: readonly ChunkData[]): ChunkData[] {
  const order = chunks.map((chunk, rank) => ({ chunk, rank }))
  order.sort((a, b) => a.chunk.minTime - b.chunk.minTime || a.chunk.maxTime - b.chunk.maxTime || a.rank - b.rank)
  const out: ChunkData[] = []
  for (let i = 0; i < order.length;) {
    const group = [order[i]!]
    let end = order[i]!.chunk.maxTime
    let next = i + 1
    for (; next < order.length && order[next]!.chunk.minTime <= end; next++) {
      const item = order[next]!
      if (group.some(({ chunk }) => sameChunk(chunk, item.chunk))) continue
      group.push(item)
      end = Math.max(end, item.chunk.maxTime)
    }
    if (group.length === 1) out.push(group[0]!.chunk)
    else {
      group.sort((a, b) => a.rank - b.rank)
      mergeSamples(group.map(({ chunk }) => chunk))
      out.push(...encodeChunks(merged))
    }
    i = next
  }
  return out
}

/** A chunk without its samples in deleted intervals: itself where none is, [] where all are. */
export function withoutDeleted(chunk: ChunkData, deleted: readonly Interval[]): readonly ChunkData[] {
  if (deleted.length === 0 || !overlapsAny(deleted, chunk.minTime, chunk.maxTime)) return [chunk]
  if (covers(deleted, chunk.minTime, chunk.maxTime)) return []
  decoded.clear()
  decodeChunk(chunk.encoding, chunk.bytes, -Infinity, Infinity, decoded)
  const before = decoded.length
  dropDeleted(decoded, 0, deleted)
  return decoded.length === before ? [chunk] : encodeChunks(decoded)
}

function sameChunk(a: ChunkData, b: ChunkData): boolean {
  if (a.encoding !== b.encoding || a.minTime !== b.minTime || a.maxTime !== b.maxTime || a.bytes.length !== b.bytes.length) return false
  for (let i = 0; i < a.bytes.length; i++) if (a.bytes[i] !== b.bytes[i]) return false
  return true
}

/** All samples by time into `merged`; of several for one time the first chunk's. */
function mergeSamples(chunks: readonly ChunkData[]): void {
  decoded.clear()
  for (const chunk of chunks) decodeChunk(chunk.encoding, chunk.bytes, -Infinity, Infinity, decoded)
  const { times } = decoded
  const order = Uint32Array.from({ length: decoded.length }, (_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b)
  merged.clear()
  for (const i of order) {
    if (merged.length > 0 && merged.times[merged.length - 1] === times[i]) continue
    copySample(decoded, i, merged)
  }
  forgetResets(merged, 0)
}
