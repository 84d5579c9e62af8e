// Deletions of the log as tombstones of blocks. A deletion is a record like any other: it is durable before it is acknowledged, and what a crash keeps from
// the blocks is made up for when the log is replayed. It is not repeated for blocks that have it, or it would also take what was appended after it and has
// become a block since: ‹data›/promhive/shards/‹shard›/deletions says how far the blocks have come.
//
//   record n applied ─▶ tombstones of every block of the shard, durable ─▶ nothing that came before n is still to be cut ─▶ deletions: n
//
// A cut that a record before n has asked for has its block by then: a replay, which may come to it sooner than to n, does not cut anything from before n that
// is thought to be without what n deletes. Of blocks cut since the start it is known up to which record they go.
import { utf8Bytes, utf8Text } from '../../src/base/bytes.ts'
import { crc32c } from '../../src/base/crc32c.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import { count, integer, object } from '../../src/base/shape.ts'
import type { Disk } from '../../src/ports/disk.ts'
import type { BlockReader } from '../../src/tsdb/block/reader.ts'
import type { BatchDeletion } from '../../protocols/bus/batch-parts.ts'
import { shardDirectory } from './shard-files.ts'

export type BlockDeletionsParts = Readonly<{
  disk: Disk
  dataDirectory: string
  log: Logger
  /** Of a shard's blocks: those it has cut, or those of other programs where it is the one that looks after them. */
  blocksOf: (shard: number) => Iterable<BlockReader>
  /** Offset of the last record in a block that was cut since the start; undefined: it was there before. */
  cutAt: (block: BlockReader) => number | undefined
  /** Whether records of the past have asked for cuts that are still to come. */
  hasCutsAhead: (shard: number) => boolean
}>

/** `isNew`: blocks that were there at the start may lack it. `isWritten`: its tombstones are durable. */
type Waiting = { readonly offset: number; readonly deletions: readonly BatchDeletion[]; readonly isNew: boolean; isWritten: boolean }

const progressShape = object({ offset: count, check: integer })

export class BlockDeletions {
  readonly #parts: BlockDeletionsParts
  /** Offset of the last deletion that all blocks have durably, by shard. */
  readonly #done = new Map<number, number>()
  /** Deletions that are not noted yet, by shard, in their order. Readers do not see those samples any more. */
  readonly #waiting = new Map<number, Waiting[]>()

  filesDamaged = 0

  constructor(parts: BlockDeletionsParts) {
    this.#parts = parts
  }

  /** Takes the deletions of a record to the blocks, once. What cannot be written is tried again by `retry`. */
  apply(shard: number, offset: number, deletions: readonly BatchDeletion[]): void {
    const waiting = this.#waiting.get(shard) ?? []
    waiting.push({ offset, deletions, isNew: offset >= this.#offset(shard), isWritten: false })
    this.#waiting.set(shard, waiting)
    this.retry(shard)
  }

  /** True where the tombstones of all deletions are durable. */
  get areWritten(): boolean {
    return [...this.#waiting.values()].every((waiting) => waiting.every(({ isWritten }) => isWritten))
  }

  /** Makes durable what could not be made so before. True where nothing is left to do. */
  retry(shard: number): boolean {
    const waiting = this.#waiting.get(shard)
    if (waiting === undefined) return true
    try {
      // all of them are tried: what is in memory hides the samples at once
      let failure: unknown = null
      for (const one of waiting) if (!one.isWritten) failure = this.#write(shard, one) ?? failure
      if (failure !== null) throw failure
      if (this.#parts.hasCutsAhead(shard)) return false
      const newest = waiting.at(-1)!
      if (newest.isNew) this.#save(shard, newest.offset + 1)
    } catch (thrown) {
      this.#parts.log.error(
        { shard, deletions: waiting.length, err: messageOf(thrown) },
        'cannot write tombstones of blocks: it is tried again in a minute',
      )
      return false
    }
    this.#waiting.delete(shard)
    return true
  }

  /** The log ends at `last`: what is appended from now on is numbered from there. */
  regress(shard: number, last: number): void {
    this.#waiting.delete(shard)
    if (this.#offset(shard) > last + 1) this.#save(shard, last + 1)
  }

  /** What was thrown, or null where its tombstones are durable. */
  #write(shard: number, one: Waiting): unknown {
    let failure: unknown = null
    for (const block of this.#parts.blocksOf(shard)) {
      const cutAt = this.#parts.cutAt(block)
      if (cutAt === undefined ? !one.isNew : cutAt >= one.offset) continue
      for (const deletion of one.deletions) failure = this.#delete(block, deletion) ?? failure
    }
    one.isWritten = failure === null
    return failure
  }

  /** What is worth another try, or null. A block that is damaged or gone is served to nobody. */
  #delete(block: BlockReader, { matchers, startMs, endMs }: BatchDeletion): unknown {
    if (endMs < block.meta.minTime || startMs >= block.meta.maxTime) return null
    try {
      block.delete(matchers, startMs, endMs)
      return null
    } catch (thrown) {
      if (!(thrown instanceof PromhiveError) || (thrown.code !== 'STORAGE_CORRUPT' && thrown.code !== 'NOT_FOUND')) return thrown
      this.#parts.log.error({ block: block.meta.ulid, err: thrown.message }, 'cannot delete in a damaged block')
      return null
    }
  }

  /** The first offset whose deletions the blocks may lack. */
  #offset(shard: number): number {
    let offset = this.#done.get(shard)
    if (offset === undefined) this.#done.set(shard, (offset = this.#load(shard)))
    return offset
  }

  #load(shard: number): number {
    const { disk, dataDirectory, log } = this.#parts
    return readProgress(disk, dataDirectory, shard, (path, problem) => {
      this.filesDamaged++
      log.error({ path, problem }, 'the file is damaged: deletions that are still in the log are repeated in blocks')
    })
  }

  #save(shard: number, offset: number): void {
    const { disk, dataDirectory } = this.#parts
    const path = progressPath(dataDirectory, shard)
    disk.write(`${path}.tmp`, utf8Bytes(JSON.stringify({ offset, check: checkOf(offset) }) + '\n'))
    const file = disk.open(`${path}.tmp`, 'append')
    file.syncNow()
    file.close()
    disk.rename(`${path}.tmp`, path)
    disk.syncDirectory(shardDirectory(dataDirectory, shard))
    this.#done.set(shard, offset)
  }
}

function progressPath(dataDirectory: string, shard: number): string {
  return `${shardDirectory(dataDirectory, shard)}/deletions`
}

/** The first offset whose deletions the blocks of a shard may lack. `onDamaged` is told of a file that says nothing. */
export function readProgress(disk: Disk, dataDirectory: string, shard: number, onDamaged: (path: string, problem: string) => void): number {
  const path = progressPath(dataDirectory, shard)
  if (!disk.exists(path)) return 0
  let problem = 'checksum does not match'
  try {
    const { offset, check } = progressShape(JSON.parse(utf8Text(disk.read(path))), '')
    if (check === checkOf(offset)) return offset
  } catch (thrown) {
    problem = messageOf(thrown)
  }
  onDamaged(path, problem)
  return 0
}

function checkOf(offset: number): number {
  return crc32c(utf8Bytes(`deletions until ${offset}`))
}
