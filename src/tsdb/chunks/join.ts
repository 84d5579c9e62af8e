// Fuller chunks for blocks: neighbours of one series become one, because what is read with a block is mostly read whole, and every chunk costs a head,
// a checksum, an entry in the index, and a value and a time in full.
import { SampleColumns } from '../../model/samples.ts'
import { chunkEncoding, decodeChunk } from './decode.ts'
import { type ChunkData, samplesPerChunk } from './encode.ts'
import { chunkSampleCount } from './xor.ts'
import { packXor } from './xor-pack.ts'

/** How many chunks of a head, where they are full, may go into one of a block: two hours at a sample every 15 seconds. A reader decodes half of it for one sample. */
export const chunksPerJoin = 4
/** A chunk of about a kibibyte comes with one read; in larger ones there is little to win. */
const joinedBytesMax = 1024
/** What the format's count of samples can say. */
const chunkSamplesMax = 0xffff

const columns = new SampleColumns()

/**
 * Chunks in rising time that do not overlap: the same samples in fewer chunks. Neighbours that hold floats become one within bounds of samples and bytes,
 * packed (xor-pack.ts); chunks with start times or histograms stay as they are. The result depends on the chunks alone. Throws DECODE where one is broken.
 * @param perChunk samples of a full chunk before; `packAll`: chunks that stay alone are packed as well.
 */
export function joinChunks(chunks: readonly ChunkData[], perChunk = samplesPerChunk, packAll = false): ChunkData[] {
  const samplesMax = Math.min(chunkSamplesMax, perChunk * chunksPerJoin)
  const out: ChunkData[] = []
  for (let i = 0; i < chunks.length;) {
    let end = i + 1
    if (isFloats(chunks[i]!)) {
      let samples = chunkSampleCount(chunks[i]!.bytes)
      let bytes = chunks[i]!.bytes.length
      for (; end < chunks.length && isFloats(chunks[end]!); end++) {
        samples += chunkSampleCount(chunks[end]!.bytes)
        bytes += chunks[end]!.bytes.length
        if (samples > samplesMax || bytes > joinedBytesMax) break
      }
      out.push(end > i + 1 || packAll ? joined(chunks, i, end) : chunks[i]!)
    } else out.push(chunks[i]!)
    i = end
  }
  return out
}

function isFloats({ encoding, bytes }: ChunkData): boolean {
  return encoding === chunkEncoding.xor && chunkSampleCount(bytes) > 0
}

function joined(chunks: readonly ChunkData[], from: number, to: number): ChunkData {
  columns.clear()
  for (let i = from; i < to; i++) decodeChunk(chunks[i]!.encoding, chunks[i]!.bytes, -Infinity, Infinity, columns)
  const { times, bits, length } = columns
  return { encoding: chunkEncoding.xor, minTime: times[0]!, maxTime: times[length - 1]!, bytes: packXor(times, bits, 0, length) }
}
