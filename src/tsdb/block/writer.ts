// Writes a block: ‹directory›/‹ULID›/{chunks/000001…, index, meta.json, tombstones}. It grows in ‹ULID›.tmp-for-creation and is renamed when everything
// is durable, so that a crash leaves either a whole block or a directory that is swept away at the next start.
import { assert } from '../../base/assert.ts'
import { finishSteps, type Steps } from '../../base/steps.ts'
import type { Labels } from '../../model/labels.ts'
import type { Disk } from '../../ports/disk.ts'
import { holdsFloats, sampleCount } from '../chunks/decode.ts'
import { type ChunkPlace, IndexWriter } from '../index/writer.ts'
import type { ChunkData } from '../chunks/encode.ts'
import { ChunkSegmentsWriter, segmentBytesDefault } from './chunk-segments.ts'
import { type BlockCompaction, type BlockMeta, type BlockShard, writeMeta } from './meta.ts'
import { Tombstones, writeTombstones } from './tombstones.ts'

export const creationSuffix = '.tmp-for-creation'
export const deletionSuffix = '.tmp-for-deletion'

export type BlockDescriptionToWrite = Readonly<{
  minTime: number
  maxTime: number
  compaction: BlockCompaction
  shard: BlockShard | null
}>

export class BlockWriter {
  readonly ulid: string
  readonly #disk: Disk
  readonly #parent: string
  readonly #directory: string
  readonly #index: IndexWriter
  readonly #chunks: ChunkSegmentsWriter
  #floats = 0
  #histograms = 0
  #series = 0
  #chunkCount = 0
  #done = false

  constructor(disk: Disk, parent: string, ulid: string, segmentBytesMax = segmentBytesDefault) {
    this.ulid = ulid
    this.#disk = disk
    this.#parent = parent
    this.#directory = `${parent}/${ulid}${creationSuffix}`
    disk.remove(this.#directory)
    disk.makeDirectory(this.#directory)
    this.#index = new IndexWriter(disk, `${this.#directory}/index`)
    this.#chunks = new ChunkSegmentsWriter(disk, `${this.#directory}/chunks`, segmentBytesMax)
  }

  /** Series in rising label order; chunks in rising time, not overlapping, none empty. A series without chunks is left out. */
  add(labels: Labels, chunks: readonly ChunkData[]): void {
    assert(!this.#done, 'block is finished')
    if (chunks.length === 0) return
    const places: ChunkPlace[] = []
    for (const { encoding, minTime, maxTime, bytes } of chunks) {
      places.push({ minTime, maxTime, ref: this.#chunks.add(encoding, bytes) })
      const count = sampleCount(encoding, bytes)
      if (holdsFloats(encoding)) this.#floats += count
      else this.#histograms += count
    }
    this.#index.add(labels, places)
    this.#series++
    this.#chunkCount += chunks.length
  }

  /** As `finishing`, at once. */
  finish(description: BlockDescriptionToWrite): BlockMeta | null {
    return finishSteps(this.finishing(() => description))
  }

  /** Writes the rest, makes it durable and visible. Null where nothing was added: then no block is left. On an error, call `abort`. */
  *finishing(describe: () => BlockDescriptionToWrite): Steps<BlockMeta | null> {
    this.#done = true
    if (this.#series === 0) {
      this.abort()
      return null
    }
    yield* this.#chunks.finish()
    yield
    yield* this.#index.finish()
    yield
    const meta: BlockMeta = {
      ulid: this.ulid,
      ...describe(),
      stats: {
        numSamples: this.#floats + this.#histograms,
        numFloatSamples: this.#floats,
        numHistogramSamples: this.#histograms,
        numSeries: this.#series,
        numChunks: this.#chunkCount,
        numTombstones: 0,
      },
    }
    writeMeta(this.#disk, this.#directory, meta)
    writeTombstones(this.#disk, this.#directory, new Tombstones())
    const place = `${this.#parent}/${this.ulid}`
    this.#disk.remove(place)
    this.#disk.rename(this.#directory, place)
    this.#disk.syncDirectory(this.#parent)
    return meta
  }

  /** Removes what was written so far. */
  abort(): void {
    this.#done = true
    this.#chunks.abort()
    this.#index.abort()
    this.#disk.remove(this.#directory)
  }
}
