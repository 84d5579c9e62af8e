// The write-ahead log of one machine over the Disk port: one log for all shards, records tagged by shard (bytes: log-format.ts).
//
//   append ─▶ queue ─▶ batch ─▶ writeSynced ─▶ index ─▶ append resolves, followers get the very bytes that were appended
//               ▲        │                         what arrives meanwhile shares the next batch
//               └────────┘
//
// A batch that fails is cut off the file again before anything else is written, so a record that was not acknowledged as `ok` or `ambiguous` is
// not in the log. Offsets are given to records when their batch is written: a refused record leaves no gap.
import { assert } from '../../src/base/assert.ts'
import { crc32c } from '../../src/base/crc32c.ts'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { makeDurableDirectory, type Disk } from '../../src/ports/disk.ts'
import type { AppendOutcome, Log, LogReadFailure, LogRecord } from '../ports.ts'
import { readFailed } from '../read-failure.ts'
import {
  encodeRecordHead,
  encodeSegmentHead,
  encodeTable,
  kindRecord,
  kindTable,
  recordBytes,
  recordHeadBytes,
  segmentHeadBytes,
  segmentName,
  tableShard,
} from './log-format.ts'
import type { Segment, ShardIndex } from './log-index.ts'
import { openLog, shardIndex, type LogProgress } from './log-open.ts'
import { LogReader } from './log-read.ts'

export type EmbeddedLogOptions = Readonly<{
  disk: Disk
  /** Created where missing. Nobody else may write to it: the composition root holds a lock. */
  directory: string
  segmentBytes?: number
  /** While the log is opened. */
  onProgress?: (progress: LogProgress) => void
  /** After every commit: time it took in all and records it held. `nowMs` must be given too. */
  onCommit?: (durationMs: number, records: number) => void
  nowMs?: () => number
  /** Lets other work of the thread run while much is read: a turn of the event loop. Default: none. */
  pause?: () => Promise<void>
}>

export interface EmbeddedLog extends Log {
  /** What was found damaged when the log was opened; empty in good times. */
  readonly damage: readonly string[]
  /** Bytes of a torn write that were cut when the log was opened. */
  readonly tornBytes: number
  /** Bytes on disk, and numbers of the first and the last segment. */
  size(): { bytes: number; firstSegment: number; lastSegment: number }
  readonly failedWrites: number
}

/** Bytes and records of one commit; the record that crosses the line still goes along. */
const batchBytesMax = 8 << 20
const batchRecordsMax = 4096
/** Bytes waiting; more is refused. Publishers have one append under way per shard, so this is reached only by a bug or a hanging disk. */
const queuedBytesMax = 256 << 20
/** Records up to this size are copied into one buffer with their headers; larger ones are written from where they are. */
const copiedBytesMax = 8 << 10

type Waiting = {
  shard: number
  record: Uint8Array
  crc: number
  publisher: number
  sequence: number
  resolve: (outcome: AppendOutcome) => void
}

type Follower = { next: number; live: boolean; handler: (record: LogRecord) => void; failed: (why: LogReadFailure) => void }

/** Reads what is there; throws PromhiveError where the directory cannot be used. Damage is not fatal: see `damage`. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { disk, directory } = options
  const pause = options.pause ?? (() => Promise.resolve())
  makeDurableDirectory(disk, directory)
  const opened = await openLog(disk, directory, pause, options.onProgress ?? (() => {}))
  return new DiskLog(options, opened, pause)
}

class DiskLog implements EmbeddedLog {
  readonly damage: readonly string[]
  readonly tornBytes: number
  failedWrites = 0
  readonly #options: EmbeddedLogOptions
  readonly #segmentBytes: number
  readonly #segments: Segment[]
  readonly #shards: Map<number, ShardIndex>
  readonly #followers = new Map<number, Set<Follower>>()
  readonly #reader: LogReader
  readonly #pause: () => Promise<void>
  #batch: number
  #queue: Waiting[] = []
  #queuedBytes = 0
  #committing: Promise<void> | null = null
  /** Set when a failed batch could not be cut off: nothing is written before that has worked. */
  #unrepaired = false
  #closed = false
  #staging = new Uint8Array(256 << 10)
  #stagingView = new DataView(this.#staging.buffer)

  constructor(options: EmbeddedLogOptions, opened: Awaited<ReturnType<typeof openLog>>, pause: () => Promise<void>) {
    this.#options = options
    this.#segmentBytes = options.segmentBytes ?? limits.walSegmentBytes
    this.#segments = opened.segments
    this.#shards = opened.shards
    this.#batch = opened.batch
    this.damage = opened.damage
    this.tornBytes = opened.tornBytes
    this.#pause = pause
    this.#reader = new LogReader(this.#shards)
  }

  append(shard: number, record: Uint8Array, id: Readonly<{ publisher: number; sequence: number }>): Promise<AppendOutcome> {
    assert(Number.isInteger(shard) && shard >= 0 && shard < tableShard, `shard ${shard}`)
    if (record.length > limits.walRecordBytesMax) return Promise.resolve({ kind: 'tooBig', bytesMax: limits.walRecordBytesMax })
    if (this.#closed) return Promise.resolve({ kind: 'unavailable', why: 'the log is closed' })
    if (this.#queuedBytes > queuedBytesMax)
      return Promise.resolve({ kind: 'unavailable', why: `${this.#queuedBytes} bytes are waiting for the disk` })
    return new Promise((resolve) => {
      this.#queue.push({ shard, record, crc: crc32c(record), publisher: id.publisher, sequence: id.sequence, resolve })
      this.#queuedBytes += record.length
      // In a microtask: appends of one turn share a commit.
      this.#committing ??= Promise.resolve().then(() => this.#commitAll())
    })
  }

  read(shard: number, from: number): AsyncIterable<LogRecord> {
    return this.#read(shard, from, this.end(shard))
  }

  async *#read(shard: number, from: number, end: number): AsyncGenerator<LogRecord, void, undefined> {
    if (from > end + 1) throw readFailed(shard, from, { kind: 'regressed', last: end })
    for (let next = from; next <= end;) {
      const span = this.#reader.span(shard, next, end)
      if ('failure' in span) throw readFailed(shard, from, span.failure)
      yield* span.records
      next += span.records.length
      await this.#pause()
    }
  }

  follow(shard: number, from: number, handler: (record: LogRecord) => void, failed: (why: LogReadFailure) => void): () => void {
    const follower: Follower = { next: from, live: false, handler, failed }
    let followers = this.#followers.get(shard)
    if (followers === undefined) this.#followers.set(shard, (followers = new Set()))
    followers.add(follower)
    void this.#catchUp(shard, follower, followers)
    return () => void followers.delete(follower)
  }

  /** Reads from the disk until the follower is level with the log, then leaves it to the commits. */
  async #catchUp(shard: number, follower: Follower, followers: Set<Follower>): Promise<void> {
    await Promise.resolve()
    while (followers.has(follower) && !this.#closed) {
      const end = this.end(shard)
      if (follower.next === end + 1) {
        follower.live = true
        return
      }
      const span =
        follower.next > end ? ({ failure: { kind: 'regressed', last: end } } as const) : this.#reader.span(shard, follower.next, end)
      if ('failure' in span) {
        followers.delete(follower)
        follower.failed(span.failure)
        return
      }
      for (const record of span.records) {
        if (!followers.has(follower)) return
        follower.next++
        follower.handler(record)
      }
      await this.#pause()
    }
  }

  end(shard: number): number {
    return this.#shards.get(shard)?.last ?? 0
  }

  first(shard: number): number {
    return this.#shards.get(shard)?.first ?? 1
  }

  async trim(shard: number, before: number): Promise<void> {
    const index = this.#shards.get(shard)
    if (index === undefined) return
    index.trimmed = Math.max(index.trimmed, Math.min(before, index.last + 1))
    const { disk, directory } = this.#options
    while (this.#segments.length > 1 && this.#trimmedAway(this.#segments[0]!)) {
      const segment = this.#segments[0]!
      disk.remove(`${directory}/${segmentName(segment.number)}`)
      this.#segments.shift()
      segment.file.close()
      for (const [id, last] of segment.lastWithin) this.#shards.get(id)!.drop(segment, last + 1)
      // One by one, oldest first: a crash never leaves a gap between segments. One that comes back is dropped by the next trim.
      disk.syncDirectory(directory)
    }
  }

  #trimmedAway(segment: Segment): boolean {
    for (const [shard, last] of segment.lastWithin) if (this.#shards.get(shard)!.trimmed <= last) return false
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#committing
    for (const followers of this.#followers.values()) followers.clear()
    for (const segment of this.#segments) segment.file.close()
  }

  size(): { bytes: number; firstSegment: number; lastSegment: number } {
    let bytes = 0
    for (const segment of this.#segments) bytes += segment.size
    return { bytes, firstSegment: this.#segments[0]?.number ?? 0, lastSegment: this.#segments.at(-1)?.number ?? 0 }
  }

  async #commitAll(): Promise<void> {
    while (this.#queue.length > 0) {
      let bytes = 0
      let count = 0
      while (count < this.#queue.length && count < batchRecordsMax && bytes < batchBytesMax) bytes += this.#queue[count++]!.record.length
      const batch = this.#queue.splice(0, count)
      this.#queuedBytes -= bytes
      const startMs = this.#options.nowMs?.() ?? 0
      const outcome = await this.#commit(batch)
      if (outcome !== null) for (const item of batch) item.resolve(outcome)
      else if (this.#options.onCommit !== undefined) this.#options.onCommit((this.#options.nowMs?.() ?? 0) - startMs, count)
    }
    this.#committing = null
  }

  /** Null where the batch is durable and has been answered; else why none of it is. */
  async #commit(batch: readonly Waiting[]): Promise<AppendOutcome | null> {
    try {
      if (this.#unrepaired) await this.#repair()
      const bytes = batch.reduce((sum, item) => sum + recordBytes(item.record.length), 0)
      let segment = this.#segments.at(-1)
      if (segment === undefined || (segment.size + bytes > this.#segmentBytes && segment.lastWithin.size > 0)) segment = this.#begin()
      const placed = this.#place(batch, segment)
      try {
        await segment.file.writeSynced(placed.parts, segment.size)
      } catch (thrown) {
        this.failedWrites++
        this.#unrepaired = true
        try {
          await this.#repair()
        } catch (again) {
          return { kind: 'ambiguous', why: `${messageOf(thrown)}; ${messageOf(again)}` }
        }
        throw thrown
      }
      this.#publish(batch, segment, placed.offsets)
      segment.size += placed.bytes
      return null
    } catch (thrown) {
      const full = thrown instanceof PromhiveError && thrown.code === 'STORAGE_FULL'
      return { kind: full ? 'full' : 'unavailable', why: messageOf(thrown) }
    }
  }

  /** Cuts what a failed batch may have left. Throws where that fails. */
  async #repair(): Promise<void> {
    const segment = this.#segments.at(-1)!
    segment.file.truncate(segment.size)
    await segment.file.sync()
    this.#unrepaired = false
  }

  /** A new segment: head and table are durable, and so is its name, before the first record goes in. */
  #begin(): Segment {
    const { disk, directory } = this.#options
    const number = (this.#segments.at(-1)?.number ?? 0) + 1
    const path = `${directory}/${segmentName(number)}`
    const rows = Array.from(this.#shards, ([shard, index]) => ({ shard, first: index.first, last: index.last }))
    const table = encodeTable(rows)
    const bytes = new Uint8Array(segmentHeadBytes + recordBytes(table.length))
    bytes.set(encodeSegmentHead(number))
    bytes.set(table, segmentHeadBytes + recordHeadBytes)
    encodeRecordHead(bytes, new DataView(bytes.buffer), segmentHeadBytes, {
      bodyBytes: table.length,
      bodyCrc: crc32c(table),
      shard: tableShard,
      kind: kindTable,
      batch: ++this.#batch,
      publisher: 0,
      sequence: 0,
      offset: 0,
      batchStart: segmentHeadBytes,
      position: segmentHeadBytes,
    })
    const file = disk.open(path, 'create')
    try {
      file.write(bytes, 0)
      file.syncNow()
      disk.syncDirectory(directory)
    } catch (thrown) {
      this.failedWrites++
      file.close()
      try {
        disk.remove(path)
      } catch {
        // It has no record, so it is dropped when it is found, or replaced by the next attempt.
      }
      throw thrown
    }
    const segment: Segment = {
      number,
      file,
      size: bytes.length,
      lastWithin: new Map(),
    }
    this.#segments.push(segment)
    return segment
  }

  /** Headers, small records and padding into the staging buffer, with the large records in between as they are. */
  #place(batch: readonly Waiting[], segment: Segment): { parts: Uint8Array[]; offsets: number[]; bytes: number } {
    const number = ++this.#batch
    const parts: Uint8Array[] = []
    const offsets: number[] = []
    const lasts = new Map<number, number>()
    let staged = 0
    for (const { record } of batch) staged += record.length > copiedBytesMax ? recordHeadBytes + 8 : recordBytes(record.length)
    if (staged > this.#staging.length) {
      this.#staging = new Uint8Array(staged * 2)
      this.#stagingView = new DataView(this.#staging.buffer)
    }
    const staging = this.#staging
    let from = 0
    let at = 0
    let position = segment.size
    for (const item of batch) {
      const length = item.record.length
      const offset = (lasts.get(item.shard) ?? this.end(item.shard)) + 1
      lasts.set(item.shard, offset)
      offsets.push(offset)
      encodeRecordHead(staging, this.#stagingView, at, {
        bodyBytes: length,
        bodyCrc: item.crc,
        shard: item.shard,
        kind: kindRecord,
        batch: number,
        publisher: item.publisher,
        sequence: item.sequence,
        offset,
        batchStart: segment.size,
        position,
      })
      at += recordHeadBytes
      const padding = recordBytes(length) - recordHeadBytes - length
      if (length > copiedBytesMax) {
        parts.push(staging.subarray(from, at), item.record)
        // The padding starts the next piece of staging; the piece after it must be aligned for its header.
        from = at + 8 - padding
        staging.fill(0, from, at + 8)
        if (padding === 0) from = at
        else at += 8
      } else {
        staging.set(item.record, at)
        staging.fill(0, at + length, at + length + padding)
        at += length + padding
      }
      position += recordBytes(length)
    }
    if (at > from) parts.push(staging.subarray(from, at))
    return { parts, offsets, bytes: position - segment.size }
  }

  /** The batch is durable: it becomes visible, its publishers and followers learn of it. */
  #publish(batch: readonly Waiting[], segment: Segment, offsets: readonly number[]): void {
    let position = segment.size
    batch.forEach((item, i) => {
      const offset = offsets[i]!
      shardIndex(this.#shards, item.shard).add(segment, offset, position, item.record.length)
      position += recordBytes(item.record.length)
      item.resolve({ kind: 'ok', offset })
    })
    batch.forEach((item, i) => {
      const followers = this.#followers.get(item.shard)
      if (followers === undefined) return
      const record: LogRecord = { offset: offsets[i]!, publisher: item.publisher, sequence: item.sequence, bytes: item.record }
      for (const follower of followers) {
        if (!follower.live || follower.next !== record.offset) continue
        follower.next++
        try {
          follower.handler(record)
        } catch (thrown) {
          // A follower's bug must not stop the log: it ends that follower, and shows as the uncaught error it is.
          followers.delete(follower)
          queueMicrotask(() => {
            throw thrown
          })
        }
      }
    })
  }
}
