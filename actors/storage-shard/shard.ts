// One storage shard: what the log's batches make of it. Applying is a pure function of the log: the same records give the same series, the same
// refusals and the same blocks on every replica. The head is shared with the other shards of the worker; series carry their shard.
import { messageOf } from '../../src/base/errors.ts'
import type { Steps } from '../../src/base/steps.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { Histogram } from '../../src/model/histogram.ts'
import { compileMatchers } from '../../src/model/matching.ts'
import { SampleColumns } from '../../src/model/samples.ts'
import { isStaleAt, staleNaN } from '../../src/model/staleness.ts'
import { staleHistogram } from '../../src/tsdb/chunks/histogram.ts'
import { chunkTimeMax } from '../../src/tsdb/chunks/xor-append.ts'
import type { ExemplarRing } from '../../src/tsdb/head/exemplars.ts'
import { growTo } from '../../src/base/grow-column.ts'
import { nextCapacity } from '../../src/tsdb/head/columns.ts'
import { outcome, type Head } from '../../src/tsdb/head/head.ts'
import { readInOrder } from '../../src/tsdb/head/read.ts'
import type { ShardState } from '../../src/tsdb/head/snapshot.ts'
import { selectSeries } from '../../src/tsdb/head/select.ts'
import { BatchColumns, decodeWriteBatch, readAnnouncements, type Announcements, type WriteBatch } from '../../protocols/bus/write-batch.ts'
import type { BatchDeletion } from '../../protocols/bus/batch-parts.ts'

/**
 * Counts of one applied batch, by outcome (src/tsdb/head/head.ts), then exemplars out of order, samples of refs nobody announced, and how many of the
 * appended ones came out of order.
 */
export const countFields = [
  'appended',
  'duplicate',
  'outOfOrder',
  'outOfBounds',
  'tooOld',
  'unchanged',
  'exemplarsOutOfOrder',
  'unknownRef',
  'appendedOutOfOrder',
] as const

/** Floats that came for a time that had another value; outcomes go up to 5. */
const refusedBesideFloat = 16
const refusedBesideHistogram = 17
const detailWords = 6
const detail = new Float64Array(1)
const detailBits = new Uint32Array(detail.buffer)

function refuseDuplicate(
  refusals: number[],
  index: number,
  code: number,
  time: number,
  { bits }: WriteBatch,
  high: number,
  low: number,
): void {
  detail[0] = time
  refusals.push(index, code, detailBits[0]!, detailBits[1]!, low, high, bits[index * 2]!, bits[index * 2 + 1]!)
}

/** Why a sample was refused. `existing` null: a histogram, or it is not known. */
export type Refusal = Readonly<{ outcome: number; duplicate: Readonly<{ timeMs: number; existing: number | null; given: number }> | null }>

/**
 * Calls `each` for every refused sample. In the array: index, outcome; for a float beside another value instead of the outcome 16 or 17, where that
 * is a histogram, then the bits of time, existing value and new value.
 */
export function readRefusals(refusals: Uint32Array, each: (index: number, outcome: number, why: () => Refusal) => void): void {
  const double = (at: number): number => {
    detailBits[0] = refusals[at]!
    detailBits[1] = refusals[at + 1]!
    return detail[0]!
  }
  for (let at = 0; at < refusals.length;) {
    const from = at + 2
    const code = refusals[at + 1]!
    const isDetailed = code === refusedBesideFloat || code === refusedBesideHistogram
    const result = isDetailed ? outcome.duplicate : code
    each(refusals[at]!, result, () => ({
      outcome: result,
      duplicate: isDetailed
        ? { timeMs: double(from), existing: code === refusedBesideFloat ? double(from + 2) : null, given: double(from + 4) }
        : null,
    }))
    at = from + (isDetailed ? detailWords : 0)
  }
}

/** The end of a histogram series. */
const staleMarker = { ...staleHistogram, isFloat: false, sum: staleNaN }

type LateSample = Readonly<{
  series: number
  time: number
  /** The window's start. */
  oldestMs: number
  given: Readonly<{ high: number; low: number; histogram: Histogram | null }>
}>

interface Publisher {
  /** Ref → series + 1; 0 = not announced. */
  refs: Uint32Array
  lastSequence: number
}

/** Publishers are numbered node × 2^20 + epoch: a node's newer epoch retires its older ones. */
export const publisherEpochs = 1 << 20

/** The batch being applied: one for all shards of a thread, for applying is never interrupted. */
const columns = new BatchColumns()
const retiredPerStep = 16_384

export class Shard {
  readonly id: number
  readonly head: Head
  readonly publishers = new Map<number, Publisher>()
  /** Offset of the last record applied. */
  applied = 0
  /** Newest sample, ms. */
  maxTime = -Infinity
  minTime = Infinity
  /** End of the newest window that has been cut into a block: older samples are out of bounds. */
  cutUntil = -Infinity
  readonly totals = new Float64Array(countFields.length)
  histogramsAppended = 0
  /** Deletions applied: a block that is being cut when one comes is begun anew. */
  deletions = 0
  /** Times series have left the head, or were about to. */
  collections = 0
  /** Told how far behind the head's newest sample one lay that could not go behind its series' newest one, ms. */
  onLate: ((behindMs: number) => void) | null = null
  /** Told of the deletions of a record, which concern blocks as well. */
  onDeletions: ((offset: number, deletions: readonly BatchDeletion[]) => void) | null = null
  /** Told of records that ask for stale series to be cut. */
  onCutStaleSeries: ((offset: number) => void) | null = null
  /** Stale series that are being cut: they leave the head when that is done, but for those that are announced again in the meantime. */
  retiring: Set<number> | null = null
  /** Offset of the last record that was there. */
  #lastRecord = 0
  /** Records of this life are missing: refs may have been announced in them. */
  #hasSkipped = false
  /** Records that were no batches. */
  undecodable = 0
  readonly #exemplars: ExemplarRing
  readonly #log: Logger

  constructor(id: number, head: Head, exemplars: ExemplarRing, log: Logger) {
    this.id = id
    this.head = head
    this.#exemplars = exemplars
    this.#log = log
  }

  /**
   * Applies one record and adds what became of its samples to `counts` (one entry per field of countFields). The samples that were refused are
   * appended to `refusals`, see readRefusals; histograms are indexed behind the floats. A record that is no batch is counted and passed over.
   */
  apply(offset: number, publisherId: number, sequence: number, bytes: Uint8Array, counts: Float64Array, refusals: number[]): void {
    this.applied = offset
    this.#lastRecord = offset
    const publisher = this.#publisher(publisherId)
    if (publisher === null || sequence <= publisher.lastSequence) return
    publisher.lastSequence = sequence
    let batch: WriteBatch
    try {
      batch = decodeWriteBatch(bytes, columns)
      if (batch.announcements.bytes.length > 0) this.#announce(publisher, batch.announcements)
    } catch (thrown) {
      // the log's checksum has vouched for the bytes: a bug or a foreign writer. Every replica passes over it in the same way
      this.undecodable++
      this.#log.error({ shard: this.id, offset, bytes: bytes.length, err: messageOf(thrown) }, 'BUG: a record of the log is no write batch')
      return
    }
    const before = counts.slice()
    this.#floats(publisher, batch, counts, refusals)
    if (batch.histograms.length > 0) this.#histograms(publisher, batch, counts, refusals)
    for (const exemplar of batch.exemplars) {
      const series = (publisher.refs[exemplar.ref] ?? 0) - 1
      if (series >= 0 && !this.#exemplars.add(series, exemplar, batch.appendedMs)) counts[6]!++
    }
    for (const deletion of batch.deletions) this.#delete(deletion)
    if (batch.deletions.length > 0) {
      this.deletions += batch.deletions.length
      this.onDeletions?.(offset, batch.deletions)
    }
    for (const ref of batch.released) this.#release(publisher, ref)
    if (batch.cutStaleSeries) this.onCutStaleSeries?.(offset)
    for (let i = 0; i < counts.length; i++) this.totals[i]! += counts[i]! - before[i]!
    const unknown = counts[7]! - before[7]!
    if (unknown > 0) {
      const why = this.#hasSkipped
        ? 'samples are dropped whose series were announced in records that are damaged'
        : 'BUG: samples of a ref that was not announced were dropped'
      this.#log.error({ shard: this.id, offset, samples: unknown }, why)
    }
  }

  /**
   * Goes on behind records that the log has lost. One lost record may have announced refs, whose samples are then unknown; two may have given a ref
   * to another series, so that no ref can be trusted until it is announced again.
   */
  skip(until: number): void {
    this.applied = until
    this.#hasSkipped = true
    if (until - this.#lastRecord < 2) return
    for (const publisher of this.publishers.values()) {
      for (const entry of publisher.refs) if (entry > 0) this.head.holders[entry - 1]!--
      publisher.refs = new Uint32Array(1024)
    }
  }

  /** The log ends at `last`, before what was applied: what is appended from now on is numbered from there. */
  regress(last: number): void {
    this.applied = last
    this.#lastRecord = last
    // its publishers are of earlier lives, and what they sent is not in the log any more
    this.skip(last)
  }

  /** Puts back what a snapshot kept; its series are in the head already. */
  restore(state: ShardState): void {
    this.applied = state.applied
    this.#lastRecord = state.applied
    this.minTime = state.minTime
    this.maxTime = state.maxTime
    this.cutUntil = state.cutUntil
    this.totals.set(state.totals)
    for (const { id, lastSequence, refs } of state.publishers) this.publishers.set(id, { refs, lastSequence })
    for (const { series, exemplar } of state.exemplars) this.#exemplars.add(series, { ...exemplar, hasTime: true }, exemplar.timeMs)
  }

  /** What a snapshot keeps of the shard. */
  state(): Readonly<{ head: Head; state: ShardState }> {
    const { id, applied, minTime, maxTime, cutUntil, head } = this
    const exemplars = [...this.#exemplars.entries()].filter(({ series }) => head.shards[series] === id)
    const publishers = Array.from(this.publishers, ([publisher, { refs, lastSequence }]) => ({ id: publisher, lastSequence, refs }))
    return { head, state: { shard: id, applied, minTime, maxTime, cutUntil, totals: [...this.totals], publishers, exemplars } }
  }

  /** Its series, as the head numbers them. */
  members(): number[] {
    const { head, id } = this
    const out: number[] = []
    for (let series = 0; series < head.count; series++) if (head.alive[series] === 1 && head.shards[series] === id) out.push(series)
    return out
  }

  /** Series that have ended, that nobody holds and that have no late samples. They follow from the log alone. */
  endedSeries(): number[] {
    return this.members().filter((series) => this.head.hasEnded(series))
  }

  /** Forgets everything before a time that has become a block. */
  *dropUntil(endMs: number): Steps {
    this.cutUntil = Math.max(this.cutUntil, endMs)
    yield* this.head.dropChunks(this.id, endMs)
    this.#forget(this.head.removeUnused(this.id))
  }

  /** Drops the series in `retiring`, which have become blocks. */
  *dropRetiring(): Steps {
    const stale = [...this.retiring!]
    for (let from = 0; from < stale.length; from += retiredPerStep) {
      // those that have been announced again since are not in the set any more
      const removed = new Set(stale.slice(from, from + retiredPerStep).filter((series) => this.retiring!.has(series)))
      this.head.removeSeries(removed)
      this.#forget(removed)
      yield
    }
  }

  #forget(removed: ReadonlySet<number>): void {
    this.collections++
    if (removed.size > 0) this.#exemplars.forget(removed)
    // their numbers will be used again
    for (const series of removed) this.retiring?.delete(series)
    let oldest = Infinity
    for (const series of this.members()) oldest = Math.min(oldest, this.head.oldestTime(series))
    this.minTime = oldest
  }

  /** Start of the oldest window that is not cut yet. */
  get windowStart(): number {
    const range = this.head.options.chunkRangeMs
    return Math.floor(this.minTime / range) * range
  }

  /** True once samples span one and a half windows, as in Prometheus: the oldest window can be cut. */
  get windowPassed(): boolean {
    return this.maxTime - this.minTime > this.head.options.chunkRangeMs * 1.5
  }

  /** True where that will be so within ten minutes: a twelfth of the usual window. */
  get cutIsNear(): boolean {
    const { chunkRangeMs } = this.head.options
    return this.maxTime - this.minTime > chunkRangeMs * (1.5 - 1 / 12)
  }

  /** Samples older than this are refused. */
  get minValidMs(): number {
    return Math.max(this.cutUntil, this.maxTime - this.head.options.chunkRangeMs / 2)
  }

  #floats(publisher: Publisher, batch: WriteBatch, counts: Float64Array, refusals: number[]): void {
    const { head } = this
    const { refs, bits, times, length } = batch
    const known = publisher.refs
    const range = head.options.chunkRangeMs / 2
    const window = batch.outOfOrderWindowMs
    const { cutUntil } = this
    let { maxTime, minTime } = this
    for (let i = 0; i < length; i++) {
      const series = (known[refs[i]!] ?? 0) - 1
      if (series < 0) {
        counts[7]!++
        continue
      }
      const time = times[i]!
      const minValid = Math.max(cutUntil, maxTime - range)
      let result: number
      if (isStaleAt(bits, i) && head.isHistogram(series)) result = head.appendHistogram(series, time, staleMarker, minValid)
      else result = head.append(series, times, bits, i, time >= minValid)
      if (result === outcome.appended) {
        counts[0]!++
        if (time > maxTime) maxTime = time
        if (time < minTime) minTime = time
        continue
      }
      if (result === outcome.outOfOrder || result === outcome.outOfBounds) this.#noteLate(time)
      if (window > 0) {
        const given = { high: bits[i * 2 + 1]!, low: bits[i * 2]!, histogram: null }
        result = this.#late(result, { series, time, oldestMs: maxTime - window, given }, counts)
      }
      counts[result]!++
      if (result === outcome.unchanged || result === outcome.appended) continue
      if (result !== outcome.duplicate) refusals.push(i, result)
      else if (head.isHistogram(series)) refuseDuplicate(refusals, i, refusedBesideHistogram, time, batch, 0, 0)
      else refuseDuplicate(refusals, i, refusedBesideFloat, time, batch, head.xor.values[series * 2]!, head.xor.values[series * 2 + 1]!)
    }
    this.maxTime = maxTime
    this.minTime = minTime
  }

  #histograms(publisher: Publisher, batch: WriteBatch, counts: Float64Array, refusals: number[]): void {
    for (const [index, sample] of batch.histograms.entries()) {
      const series = (publisher.refs[sample.ref] ?? 0) - 1
      if (series < 0) {
        counts[7]!++
        continue
      }
      const { timeMs: time, histogram } = sample
      const window = batch.outOfOrderWindowMs
      let result: number = this.head.appendHistogram(series, time, histogram, this.minValidMs)
      if (result === outcome.appended) {
        this.histogramsAppended++
        this.maxTime = Math.max(this.maxTime, time)
        this.minTime = Math.min(this.minTime, time)
        counts[result]!++
        continue
      }
      if (result === outcome.outOfOrder || result === outcome.outOfBounds) this.#noteLate(time)
      if (window > 0) {
        result = this.#late(result, { series, time, oldestMs: this.maxTime - window, given: { high: 0, low: 0, histogram } }, counts)
        if (result === outcome.appended) this.histogramsAppended++
      }
      counts[result]!++
      if (result !== outcome.unchanged && result !== outcome.appended) refusals.push(batch.length + index, result)
    }
  }

  #noteLate(time: number): void {
    const behindMs = this.head.maxTime - time
    if (behindMs > 0 && behindMs < Infinity) this.onLate?.(behindMs)
  }

  /** What becomes of a sample that cannot go behind its series' newest one. Source: prometheus tsdb/head_append.go (appendable). */
  #late(refused: number, { series, time, oldestMs, given }: LateSample, counts: Float64Array): number {
    if ((refused !== outcome.outOfOrder && refused !== outcome.outOfBounds) || !(Math.abs(time) < chunkTimeMax)) return refused
    if (time < oldestMs) return outcome.tooOld
    const { head } = this
    if (!head.outOfOrder.insert(this.id, series, time, given)) return outcome.unchanged
    counts[8]!++
    if (time < head.minTime) head.minTime = time
    return outcome.appended
  }

  #publisher(id: number): Publisher | null {
    const known = this.publishers.get(id)
    if (known !== undefined) return known
    const node = Math.floor(id / publisherEpochs)
    for (const [other, publisher] of this.publishers) {
      if (Math.floor(other / publisherEpochs) !== node) continue
      if (other > id) return null
      for (const entry of publisher.refs) if (entry > 0) this.head.holders[entry - 1]!--
      this.publishers.delete(other)
    }
    const made: Publisher = { refs: new Uint32Array(1024), lastSequence: 0 }
    this.publishers.set(id, made)
    return made
  }

  #announce(publisher: Publisher, announcements: Announcements): void {
    readAnnouncements(announcements, (ref, bytes, from, to) => {
      if (ref >= publisher.refs.length) publisher.refs = growTo(publisher.refs, nextCapacity(publisher.refs.length, ref + 1))
      if (publisher.refs[ref] !== 0) this.#release(publisher, ref)
      const series = this.head.series(bytes, from, to, this.id)
      publisher.refs[ref] = series + 1
      this.head.holders[series]!++
      this.retiring?.delete(series)
    })
  }

  #release(publisher: Publisher, ref: number): void {
    const entry = publisher.refs[ref] ?? 0
    if (entry === 0) return
    publisher.refs[ref] = 0
    this.head.holders[entry - 1]!--
  }

  /** Samples in the range are taken out and the rest is written anew, so that nothing has to be filtered when it is read. */
  #delete(deletion: BatchDeletion): void {
    const { head } = this
    head.views.beforeRemoval()
    const mine = new Uint8Array(this.id + 1)
    mine[this.id] = 1
    const kept = new SampleColumns()
    for (const series of selectSeries(head, compileMatchers(deletion.matchers), mine).slice()) {
      head.outOfOrder.delete(series, deletion.startMs, deletion.endMs)
      kept.clear()
      readInOrder(head, series, -Infinity, Infinity, kept)
      let touched = false
      for (let i = 0; i < kept.length && !touched; i++) touched = kept.times[i]! >= deletion.startMs && kept.times[i]! <= deletion.endMs
      if (!touched) continue
      const last = head.xor.times[series]!
      head.clearSamples(series)
      for (let i = 0; i < kept.length; i++) {
        const time = kept.times[i]!
        if (time >= deletion.startMs && time <= deletion.endMs) continue
        const histogram = kept.histograms?.[i] ?? null
        if (histogram !== null) head.appendHistogram(series, time, histogram, -Infinity)
        else head.append(series, kept.times, kept.bits, i, true)
      }
      // what was deleted does not come back by being sent again; an open chunk counts from its own last time, so it ends here
      if (head.xor.times[series] !== last) {
        head.closeChunk(series)
        head.xor.times[series] = last
      }
    }
  }
}
