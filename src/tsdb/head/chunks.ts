// Chunks of a head series as they go into a block.
import type { ChunkData } from '../chunks/encode.ts'
import { chunkEncoding } from '../chunks/decode.ts'
import type { Head } from './head.ts'

/** Chunks that overlap the closed range, oldest first, the open one included as far as it has come; the bytes are copies. */
export function headChunks(head: Head, series: number, startMs: number, endMs: number): ChunkData[] {
  const { chunks } = head
  const out: ChunkData[] = []
  const open = head.openHistogram(series)
  if (open !== undefined) {
    if (open.minTime <= endMs && open.maxTime >= startMs) {
      out.push({ encoding: open.encoding, minTime: open.minTime, maxTime: open.maxTime, bytes: open.bytes() })
    }
  } else if (head.xor.counts[series]! > 0 && head.firstTimes[series]! <= endMs && head.xor.times[series]! >= startMs) {
    out.push({
      encoding: chunkEncoding.xor,
      minTime: head.firstTimes[series]!,
      maxTime: head.xor.times[series]!,
      bytes: head.openChunk(series).slice(),
    })
  }
  for (let link = head.newestChunk[series]!; link !== 0; link = chunks.previous[link - 1]!) {
    const entry = link - 1
    const maxTime = chunks.maxTime(entry)
    if (maxTime < startMs) break
    const minTime = chunks.minTimes[entry]!
    if (minTime > endMs || chunks.isLost(entry)) continue
    out.push({ encoding: chunks.encoding(entry) as ChunkData['encoding'], minTime, maxTime, bytes: chunks.data(entry).slice() })
  }
  return out.reverse()
}
