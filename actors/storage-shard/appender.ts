// The publisher of one node: everything that is written goes through it into the logs of the shards.
//
//   append ─▶ split by shard into builders ─▶ record ─▶ Log ─▶ durable ─▶ applied by the shard ─▶ the caller's promise
//
// One record is under way per shard at a time, so order holds and load makes records larger instead of latency longer. What was refused is
// told back by index, so that each caller learns of its own samples even where one record carries several callers'.
import { appendAll } from '../../src/base/append-all.ts'
import { assert } from '../../src/base/assert.ts'
import { ByteWriter } from '../../src/base/bytes.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { AppendResult, Appender, SampleBatch, SeriesHandle } from '../../src/model/appender.ts'
import { encodeLabels, placementHash } from '../../src/model/label-bytes.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import { formatFloatG } from '../../src/model/number-text.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { outcome } from '../../src/tsdb/head/head.ts'
import type { AppendOutcome, Log } from '../../cluster/ports.ts'
import { readRefusals, type Refusal } from './shard.ts'
import { decodeWriteBatch, WriteBatchBuilder } from '../../protocols/bus/write-batch.ts'

export type AppenderOptions = Readonly<{
  log: Log
  clock: Clock
  /** A power of two. */
  shards: number
  publisher: number
  /** How long a lingering append may wait for company. */
  lingerMs: number
  /** How long an append waits to be applied once it is durable. */
  appliedWaitMs: number
  /** Bytes in records that are not applied yet before appends are refused. */
  outstandingBytesMax: number
}>

/** One call of `append`, until all its records are applied. */
class Pending {
  parts = 0
  sealed = false
  appended = 0
  outOfOrder = 0
  duplicate = 0
  outOfBounds = 0
  tooOld = 0
  exemplarsOutOfOrder = 0
  pending = false
  firstError = ''
  failure: unknown = null
  readonly resolve: (result: AppendResult) => void
  readonly reject: (thrown: unknown) => void
  readonly #settled: () => void
  constructor(resolve: (result: AppendResult) => void, reject: (thrown: unknown) => void, settled: () => void) {
    this.resolve = resolve
    this.reject = reject
    this.#settled = settled
  }
  refuse(reason: number, why: () => Refusal): void {
    this.appended--
    if (reason === outcome.outOfOrder) this.outOfOrder++
    else if (reason === outcome.duplicate) this.duplicate++
    else if (reason === outcome.outOfBounds) this.outOfBounds++
    else this.tooOld++
    if (this.firstError === '') this.firstError = refusalText(why())
  }
  settle(): void {
    if (!this.sealed || this.parts > 0) return
    this.#settled()
    if (this.failure !== null) this.reject(this.failure)
    else this.resolve(this)
  }
}

const refusalTexts: Readonly<Record<number, string>> = {
  [outcome.outOfOrder]: 'out of order sample',
  [outcome.duplicate]: 'duplicate sample for timestamp',
  [outcome.outOfBounds]: 'out of bounds',
  [outcome.tooOld]: 'too old sample',
}

/** As Prometheus says it. Source: prometheus storage/interface.go. */
function refusalText({ outcome: reason, duplicate }: Refusal): string {
  const text = refusalTexts[reason] ?? 'unknown'
  if (duplicate === null) return text
  const { timeMs, existing, given } = duplicate
  const before = existing === null ? 'is a histogram' : formatFloatG(existing)
  return `${text} ${timeMs}; overrides not allowed: existing ${before}, new value ${formatFloatG(given)}`
}

/** Samples [from, to) of a record's floats or, behind them, of its histograms belong to one append. */
type Part = { readonly owner: Pending; readonly from: number; to: number; readonly histogramFrom: number; histogramTo: number }
/** A durable record until it is applied; its callers may have stopped waiting (parts empty). */
type RecordWaiter = { parts: readonly Part[]; readonly floats: number; readonly size: number; readonly sinceMs: number }
type Sealed = Readonly<{ bytes: Uint8Array; sequence: number; parts: readonly Part[]; floats: number; released: readonly number[] }>

interface ShardLane {
  readonly shard: number
  builder: WriteBatchBuilder
  parts: Part[]
  /** Whose part the last one is. */
  owner: Pending | null
  histograms: number
  released: number[]
  readonly queue: Sealed[]
  sending: boolean
  sequence: number
  nextRef: number
  readonly freeRefs: number[]
  /** Durable, not yet applied: by offset, in order. */
  readonly waiting: Map<number, RecordWaiter>
  /** Offset of the newest record whose promise was heard. */
  durable: number
  /** Applied before the log's promise was heard. */
  readonly early: Map<number, Uint32Array | null>
}

const sealBytes = limits.batchBytes * 4

export class LogAppender implements Appender {
  readonly #options: AppenderOptions
  readonly #lanes: readonly ShardLane[]
  readonly #shardBits: number
  readonly #labels = new ByteWriter(1024)
  #outstandingBytes = 0
  #flushAt: 'none' | 'linger' | 'now' = 'none'
  #sweeping = false
  /** Goes with every record: how far behind a shard's newest sample a late one may lie; 0 refuses late ones. */
  outOfOrderWindowMs = 0
  /** For metrics. */
  recordsAppended = 0
  bytesAppended = 0
  appendsRefused = 0
  appends = 0
  activeAppends = 0
  readonly #settled = (): void => void this.activeAppends--

  constructor(options: AppenderOptions) {
    assert((options.shards & (options.shards - 1)) === 0, `${options.shards} shards are not a power of two`)
    this.#options = options
    this.#shardBits = 31 - Math.clz32(options.shards)
    this.#lanes = Array.from({ length: options.shards }, (_, shard) => ({
      shard,
      builder: new WriteBatchBuilder(),
      parts: [],
      owner: null,
      histograms: 0,
      released: [],
      queue: [],
      sending: false,
      sequence: 0,
      nextRef: 0,
      freeRefs: [],
      waiting: new Map(),
      durable: 0,
      early: new Map(),
    }))
  }

  open(labels: Labels): SeriesHandle {
    this.#labels.length = 0
    encodeLabels(labels, this.#labels)
    return this.openBytes(this.#labels.written())
  }

  openBytes(labels: Uint8Array): SeriesHandle {
    const lane = this.#lanes[placementHash(labels) & (this.#options.shards - 1)]!
    const ref = lane.freeRefs.pop() ?? lane.nextRef++
    lane.builder.announce(ref, labels)
    if (lane.builder.byteLength > sealBytes) this.#seal(lane)
    return ((ref << this.#shardBits) | lane.shard) >>> 0
  }

  release(handle: SeriesHandle): void {
    const lane = this.#lanes[handle & (this.#options.shards - 1)]!
    const ref = handle >>> this.#shardBits
    lane.builder.release(ref)
    lane.released.push(ref)
  }

  append(batch: SampleBatch): Promise<AppendResult> {
    return this.#append(batch, false)
  }

  /** The same appender for callers that would rather wait a little for company than cost a sync of their own: scrapes. */
  lingering(): Appender {
    return {
      open: (labels) => this.open(labels),
      openBytes: (labels) => this.openBytes(labels),
      release: (handle) => this.release(handle),
      append: (batch) => this.#append(batch, true),
    }
  }

  /** Deletes samples of matching series on every shard; resolves when all shards have done so. */
  deleteSeries(matchers: readonly Matcher[], startMs: number, endMs: number): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const pending = this.#pending(resolve, reject)
      for (const lane of this.#lanes) {
        this.#part(lane, pending)
        lane.builder.addDeletion({ matchers, startMs, endMs })
      }
      pending.sealed = true
      this.#schedule(false)
    })
  }

  /** Has series that have ended cut into blocks, on every shard; resolves when the shards have begun. */
  cutStaleSeries(): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const pending = this.#pending(resolve, reject)
      for (const lane of this.#lanes) {
        this.#part(lane, pending)
        lane.builder.cutStaleSeries()
      }
      pending.sealed = true
      this.#schedule(false)
    })
  }

  #pending(resolve: (result: AppendResult) => void, reject: (thrown: unknown) => void): Pending {
    this.appends++
    this.activeAppends++
    return new Pending(resolve, reject, this.#settled)
  }

  /** Records that are durable and not applied yet. */
  get recordsWaiting(): number {
    return this.#lanes.reduce((sum, { waiting }) => sum + waiting.size, 0)
  }

  #append(batch: SampleBatch, linger: boolean): Promise<AppendResult> {
    if (this.#outstandingBytes > this.#options.outstandingBytesMax) {
      this.appendsRefused++
      return Promise.reject(
        new PromhiveError('UNAVAILABLE', `cannot append ${batch.length} samples: ${this.#outstandingBytes} bytes are waiting for the log`),
      )
    }
    return new Promise((resolve, reject) => {
      const pending = this.#pending(resolve, reject)
      this.#split(batch, pending)
      pending.sealed = true
      pending.settle()
      this.#schedule(linger)
    })
  }

  #split(batch: SampleBatch, pending: Pending): void {
    const lanes = this.#lanes
    const mask = this.#options.shards - 1
    const bits = this.#shardBits
    const { handles, values, times, timeMs, length } = batch
    for (let i = 0; i < length; i++) {
      const handle = handles[i]!
      const lane = lanes[handle & mask]!
      if (lane.owner !== pending) this.#part(lane, pending)
      lane.builder.add(handle >>> bits, times === null ? timeMs : times[i]!, values[i]!)
      if ((lane.builder.length & 0x3fff) === 0 && lane.builder.byteLength > sealBytes) this.#seal(lane)
    }
    pending.appended += length
    for (const { handle, timeMs: at, histogram, startTimeMs } of batch.histograms ?? []) {
      const lane = lanes[handle & mask]!
      this.#part(lane, pending)
      lane.builder.addHistogram({ ref: handle >>> bits, timeMs: at, startTimeMs: startTimeMs ?? 0, histogram })
      lane.histograms++
      pending.appended++
      if (lane.builder.byteLength > sealBytes) this.#seal(lane)
    }
    for (const { handle, ...exemplar } of batch.exemplars ?? []) {
      const lane = lanes[handle & mask]!
      this.#part(lane, pending)
      lane.builder.addExemplar({ ref: handle >>> bits, ...exemplar })
    }
  }

  /** Opens a part for this append in the record being built, where its last part is another's. */
  #part(lane: ShardLane, owner: Pending): void {
    if (lane.owner === owner) return
    lane.owner = owner
    const last = lane.parts.at(-1)
    if (last !== undefined) {
      last.to = lane.builder.length
      last.histogramTo = lane.histograms
    }
    lane.parts.push({ owner, from: lane.builder.length, to: -1, histogramFrom: lane.histograms, histogramTo: -1 })
    owner.parts++
  }

  #seal(lane: ShardLane): void {
    const last = lane.parts.at(-1)
    if (last !== undefined) {
      last.to = lane.builder.length
      last.histogramTo = lane.histograms
    }
    const floats = lane.builder.length
    const bytes = lane.builder.encode(this.#options.clock.nowMs(), this.outOfOrderWindowMs)
    lane.queue.push({ bytes, sequence: ++lane.sequence, parts: lane.parts, floats, released: lane.released })
    this.#outstandingBytes += bytes.length
    lane.parts = []
    lane.owner = null
    lane.histograms = 0
    lane.released = []
  }

  #schedule(linger: boolean): void {
    if (this.#flushAt === 'now' || (linger && this.#flushAt === 'linger')) return
    if (linger) {
      this.#flushAt = 'linger'
      this.#options.clock.after(this.#options.lingerMs, () => this.#flush())
    } else {
      this.#flushAt = 'now'
      queueMicrotask(() => this.#flush())
    }
  }

  #flush(): void {
    this.#flushAt = 'none'
    for (const lane of this.#lanes) if (!lane.sending) void this.#send(lane)
  }

  /** Sends what has gathered, record after record, until nothing is left. */
  async #send(lane: ShardLane): Promise<void> {
    lane.sending = true
    for (;;) {
      if (lane.queue.length === 0) {
        if (lane.builder.empty) break
        this.#seal(lane)
      }
      const record = lane.queue.shift()!
      const size = record.bytes.length
      const { publisher, log } = this.#options
      let result: AppendOutcome
      try {
        result = await log.append(lane.shard, record.bytes, { publisher, sequence: record.sequence })
        for (let tries = 0; result.kind === 'ambiguous' && tries < 5; tries++) {
          await this.#options.clock.sleep(100 << tries)
          result = await log.append(lane.shard, record.bytes, { publisher, sequence: record.sequence })
        }
      } catch (thrown) {
        result = { kind: 'unavailable', why: String(thrown) }
      }
      if (result.kind === 'ok') {
        this.recordsAppended++
        this.bytesAppended += size
        appendAll(lane.freeRefs, record.released)
        this.#durable(lane, result.offset, record, size)
      } else {
        this.#outstandingBytes -= size
        this.#failed(lane, record, result)
        // announcements that were carried over wait for the next append: sent again at once, they would fail again for ever
        if (lane.parts.length === 0) break
      }
    }
    lane.sending = false
  }

  #durable(lane: ShardLane, offset: number, record: Sealed, size: number): void {
    lane.durable = offset
    const waiter: RecordWaiter = { parts: record.parts, floats: record.floats, size, sinceMs: this.#options.clock.monotonicMs() }
    const early = lane.early.get(offset)
    if (early !== undefined) {
      lane.early.delete(offset)
      this.#finish(waiter, early)
      return
    }
    lane.waiting.set(offset, waiter)
    if (!this.#sweeping) this.#sweepLater()
  }

  /** To be called for every record that a shard has applied; `refusals` are for readRefusals, null where there are none. */
  applied(shard: number, offset: number, refusals: Uint32Array | null): void {
    const lane = this.#lanes[shard]!
    const waiter = lane.waiting.get(offset)
    if (waiter === undefined) {
      if (offset > lane.durable && lane.sending) lane.early.set(offset, refusals)
      return
    }
    lane.waiting.delete(offset)
    this.#finish(waiter, refusals)
  }

  #finish(waiter: RecordWaiter, refusals: Uint32Array | null): void {
    this.#outstandingBytes -= waiter.size
    if (refusals !== null) {
      readRefusals(refusals, (index, reason, why) => {
        const histogram = index - waiter.floats
        const part = waiter.parts.find((p) =>
          histogram >= 0 ? histogram >= p.histogramFrom && histogram < p.histogramTo : index >= p.from && index < p.to,
        )
        part?.owner.refuse(reason, why)
      })
    }
    for (const { owner } of waiter.parts) {
      owner.parts--
      owner.settle()
    }
  }

  #failed(lane: ShardLane, record: Sealed, result: Exclude<AppendOutcome, { kind: 'ok' }>): void {
    const why = result.kind === 'tooBig' ? `a record of ${record.bytes.length} bytes is over ${result.bytesMax}` : result.why
    const failure = new PromhiveError(
      result.kind === 'full' ? 'STORAGE_FULL' : 'UNAVAILABLE',
      `cannot append to shard ${lane.shard}: ${why}`,
    )
    // what follows may use refs that this record announced, so all that is queued fails with it and the announcements are made again
    const failing = [record, ...lane.queue.splice(0)]
    for (const later of failing.slice(1)) this.#outstandingBytes -= later.bytes.length
    for (const one of failing.reverse()) {
      lane.builder.carryOver(decodeWriteBatch(one.bytes))
      lane.released = one.released.concat(lane.released)
      for (const { owner } of one.parts) {
        owner.failure = failure
        owner.parts--
        owner.settle()
      }
    }
  }

  #sweepLater(): void {
    this.#sweeping = true
    this.#options.clock.after(this.#options.appliedWaitMs / 4, () => {
      this.#sweeping = false
      const before = this.#options.clock.monotonicMs() - this.#options.appliedWaitMs
      let left = false
      for (const lane of this.#lanes) {
        for (const waiter of lane.waiting.values()) {
          if (waiter.sinceMs > before) {
            left = true
            break
          }
          const { parts } = waiter
          waiter.parts = []
          for (const { owner } of parts) {
            owner.pending = true
            owner.parts--
            owner.settle()
          }
        }
      }
      if (left) this.#sweepLater()
    })
  }

  /** Resolves when everything appended so far is in the log. */
  async drain(): Promise<void> {
    this.#flush()
    while (this.#lanes.some((lane) => lane.sending)) await this.#options.clock.sleep(5)
  }
}
