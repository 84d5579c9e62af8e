// A write batch: what one publisher appends to one shard's log, and all that ever changes a shard. Little-endian.
//
//   ┌ header 64 B ┬ values ┬ times ┬ refs ┬ released u32[] ┬ announcements ┬ histograms ┬ exemplars ┬ deletions ┐
//
//   header   0 u32 magic "PWB2"   4 u32 flags (1: times are plain f64[n], 2: refs are plain u32[n], 4: stale series are to be cut)   8 u32 samples n
//           12 u32 value bytes   16 f64 appendedMs   24 u32 announcement bytes   28 u32 histogram bytes   32 u32 exemplar bytes   36 u32 0
//           40 u32 deletion bytes   44 u32 released refs   48 u32 time bytes   52 u32 ref bytes   56 f64 out-of-order window
//   values, times, refs   packed, see batch-columns.ts
//   released refs the publisher will not use again (they may be announced anew later)
//   announcements  of series: varint ref − (ref before + 1), uvarint a, uvarint b, uvarint length, bytes: canonical label bytes of which the first a and
//                  the last b are those of the announcement before. A ref means nothing before its announcement
//   histograms, exemplars, deletions: msgpack arrays, rare enough not to want columns
//
// Batches of the first version ("PWB1") have plain columns; they are read, and not written any more (write-batch-plain.ts).
import { assert } from '../../src/base/assert.ts'
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts'
import { limits } from '../../src/base/limits.ts'
import { corrupt, packRuns, packValues, unpackRuns, unpackValues } from './batch-columns.ts'
import { packed, unpacked, type BatchDeletion, type BatchExemplar, type BatchHistogram } from './batch-parts.ts'
import { decodePlainBatch, isPlainBatch } from './write-batch-plain.ts'

const magic = 0x32425750
const headerBytes = 64
const timesArePlain = 1
const refsArePlain = 2
const cutsStaleSeries = 4

/** A decoded batch. The columns are views: of the record, or of the BatchColumns it was decoded into, and then only valid until those are used again. */
export type WriteBatch = Readonly<{
  appendedMs: number
  /** How far behind the newest sample a late one may lie; 0 = late ones are refused. In the record, so that every reader decides alike. */
  outOfOrderWindowMs: number
  length: number
  refs: Uint32Array
  values: Float64Array
  /** Over the same memory as `values`: staleness is told by bits. */
  bits: Uint32Array
  times: Float64Array
  /** For readAnnouncements. */
  announcements: Announcements
  released: Uint32Array
  histograms: readonly BatchHistogram[]
  exemplars: readonly BatchExemplar[]
  deletions: readonly BatchDeletion[]
  /** Series that have ended by now become blocks of their own and leave the head. */
  cutStaleSeries: boolean
}>

/** `frontCoded`: what an announcement shares with the one before is not repeated. */
export type Announcements = Readonly<{ bytes: Uint8Array; frontCoded: boolean }>

/** Memory for the columns of one batch after the other. */
export class BatchColumns {
  refs = new Uint32Array(0)
  values = new Float64Array(0)
  bits = new Uint32Array(0)
  times = new Float64Array(0)
  reserve(samples: number): void {
    if (samples <= this.refs.length) return
    const capacity = Math.max(samples, this.refs.length * 2)
    this.refs = new Uint32Array(capacity)
    this.bits = new Uint32Array(capacity * 2)
    this.values = new Float64Array(this.bits.buffer)
    this.times = new Float64Array(capacity)
  }
}

/** What columns are packed into before a record of the right size is made: one for all builders, for packing is never interrupted. */
const packing = new ByteWriter(4096)

/** Collects what goes into one record; reused after `encode`. */
export class WriteBatchBuilder {
  length = 0
  #refs = new Uint32Array(1024)
  #values = new Float64Array(1024)
  #bits = new Uint32Array(this.#values.buffer)
  #times = new Float64Array(1024)
  #announcements = new ByteWriter(1024)
  /** Of the last announcement: its ref and its label bytes. */
  #lastRef = -1
  #lastLabels = new Uint8Array(256)
  #lastLength = 0
  #released: number[] = []
  #histograms: BatchHistogram[] = []
  #exemplars: BatchExemplar[] = []
  #deletions: BatchDeletion[] = []
  #cutStaleSeries = false
  /** Parts other than float samples: they count towards `empty` and the size. */
  #others = 0

  get empty(): boolean {
    return this.length === 0 && this.#announcements.length === 0 && this.#released.length === 0 && this.#others === 0
  }
  /** About the size of the record. */
  get byteLength(): number {
    return headerBytes + this.length * 16 + this.#announcements.length + this.#released.length * 4 + this.#others * 200
  }
  announce(ref: number, labelBytes: Uint8Array): void {
    const last = this.#lastLabels
    const length = labelBytes.length
    const most = Math.min(length, this.#lastLength)
    let prefix = 0
    while (prefix < most && last[prefix] === labelBytes[prefix]) prefix++
    let suffix = 0
    while (suffix < most - prefix && last[this.#lastLength - 1 - suffix] === labelBytes[length - 1 - suffix]) suffix++
    const out = this.#announcements
    out.varint(ref - this.#lastRef - 1)
    out.uvarint(prefix)
    out.uvarint(suffix)
    out.uvarint(length - prefix - suffix)
    out.raw(labelBytes.subarray(prefix, length - suffix))
    this.#lastRef = ref
    this.#lastLength = length
    if (length > last.length) this.#lastLabels = new Uint8Array(length * 2)
    this.#lastLabels.set(labelBytes)
  }
  #clearAnnouncements(): void {
    this.#announcements.length = 0
    this.#lastRef = -1
    this.#lastLength = 0
  }
  release(ref: number): void {
    this.#released.push(ref)
  }
  add(ref: number, timeMs: number, value: number): void {
    const i = this.length
    if (i === this.#refs.length) this.#grow()
    this.#refs[i] = ref
    this.#values[i] = value
    this.#times[i] = timeMs
    this.length = i + 1
  }
  addHistogram(sample: BatchHistogram): void {
    this.#histograms.push(sample)
    this.#others += 1 + ((sample.histogram.positiveBuckets.length + sample.histogram.negativeBuckets.length) >> 4)
  }
  addExemplar(exemplar: BatchExemplar): void {
    this.#exemplars.push(exemplar)
    this.#others++
  }
  addDeletion(deletion: BatchDeletion): void {
    this.#deletions.push(deletion)
    this.#others++
  }
  /** Asks that series that have ended before this record be cut into blocks. */
  cutStaleSeries(): void {
    this.#cutStaleSeries = true
    this.#others++
  }
  /** Takes over the announcements and releases of a batch that was not stored: later samples need them. They come before what is here. */
  carryOver(failed: WriteBatch): void {
    const later = this.#announcements.written().slice()
    this.#clearAnnouncements()
    const again = (ref: number, bytes: Uint8Array, from: number, to: number): void => this.announce(ref, bytes.subarray(from, to))
    readAnnouncements(failed.announcements, again)
    readAnnouncements({ bytes: later, frontCoded: true }, again)
    this.#released = Array.from(failed.released).concat(this.#released)
  }
  #grow(): void {
    const size = this.#refs.length * 2
    const refs = new Uint32Array(size)
    refs.set(this.#refs)
    // as bits: the staleness marker must not pass through a number
    const bits = new Uint32Array(size * 2)
    bits.set(this.#bits)
    const times = new Float64Array(size)
    times.set(this.#times)
    this.#refs = refs
    this.#bits = bits
    this.#values = new Float64Array(bits.buffer)
    this.#times = times
  }

  /** The record, in a buffer of its own that the caller may give away; the builder is empty afterwards. */
  encode(appendedMs: number, outOfOrderWindowMs = 0): Uint8Array {
    const n = this.length
    packing.length = 0
    packValues(this.#values, this.#bits, n, packing)
    const valueBytes = packing.length
    const plainTimes = !packRuns(this.#times, n, packing, n * 8)
    const timeBytes = plainTimes ? n * 8 : packing.length - valueBytes
    const refsFrom = packing.length
    const plainRefs = !packRuns(this.#refs, n, packing, n * 4)
    const refBytes = plainRefs ? n * 4 : packing.length - refsFrom
    const announcements = this.#announcements.length
    const released = this.#released.length
    const histograms = packed(this.#histograms)
    const exemplars = packed(this.#exemplars)
    const deletions = packed(this.#deletions)
    const timesAt = headerBytes + valueBytes
    const refsAt = timesAt + timeBytes
    const releasedAt = refsAt + refBytes
    const tailAt = releasedAt + released * 4
    const record = new Uint8Array(tailAt + announcements + histograms.length + exemplars.length + deletions.length)
    const view = new DataView(record.buffer)
    view.setUint32(0, magic, true)
    const flags = (plainTimes ? timesArePlain : 0) | (plainRefs ? refsArePlain : 0) | (this.#cutStaleSeries ? cutsStaleSeries : 0)
    view.setUint32(4, flags, true)
    view.setUint32(8, n, true)
    view.setUint32(12, valueBytes, true)
    view.setFloat64(16, appendedMs, true)
    view.setUint32(24, announcements, true)
    view.setUint32(28, histograms.length, true)
    view.setUint32(32, exemplars.length, true)
    view.setUint32(40, deletions.length, true)
    view.setUint32(44, released, true)
    view.setUint32(48, timeBytes, true)
    view.setUint32(52, refBytes, true)
    view.setFloat64(56, outOfOrderWindowMs, true)
    const { bytes } = packing
    record.set(bytes.subarray(0, valueBytes), headerBytes)
    record.set(plainTimes ? bytesOf(this.#times, n) : bytes.subarray(valueBytes, refsFrom), timesAt)
    record.set(plainRefs ? bytesOf(this.#refs, n) : bytes.subarray(refsFrom, packing.length), refsAt)
    for (let i = 0; i < released; i++) view.setUint32(releasedAt + i * 4, this.#released[i]!, true)
    let at = tailAt
    for (const part of [this.#announcements.written(), histograms, exemplars, deletions]) {
      record.set(part, at)
      at += part.length
    }
    assert(at === record.length, 'write batch parts do not add up')
    this.length = 0
    this.#clearAnnouncements()
    this.#others = 0
    this.#cutStaleSeries = false
    if (released > 0) this.#released = []
    if (this.#histograms.length > 0) this.#histograms = []
    if (this.#exemplars.length > 0) this.#exemplars = []
    if (this.#deletions.length > 0) this.#deletions = []
    return record
  }
}

function bytesOf(column: Float64Array | Uint32Array, n: number): Uint8Array {
  return new Uint8Array(column.buffer, 0, n * column.BYTES_PER_ELEMENT)
}
/**
 * Reads a record.
 * @param columns takes the samples; without it the batch has memory of its own.
 * Throws PromhiveError STORAGE_CORRUPT where lengths do not add up; the log's checksum has vouched for the bytes, so this is our bug or a foreign writer.
 */
export function decodeWriteBatch(record: Uint8Array, columns = new BatchColumns()): WriteBatch {
  if (isPlainBatch(record)) return decodePlainBatch(record)
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  if (record.length < headerBytes || view.getUint32(0, true) !== magic) throw corrupt(`${record.length} bytes without its header`)
  const flags = view.getUint32(4, true)
  const n = view.getUint32(8, true)
  const size = (at: number): number => view.getUint32(at, true)
  const released = size(44)
  const timesAt = headerBytes + size(12)
  const refsAt = timesAt + size(48)
  const releasedAt = refsAt + size(52)
  let at = releasedAt + released * 4
  if (at + size(24) + size(28) + size(32) + size(40) !== record.length || n > size(12) * 2)
    throw corrupt(`parts do not add up to ${record.length} bytes`)
  columns.reserve(n)
  const { values, bits, times, refs } = columns
  unpackValues(record, headerBytes, timesAt, values, bits, n)
  if ((flags & timesArePlain) === 0) unpackRuns(record, timesAt, refsAt, times, n)
  else plainColumn(record, timesAt, refsAt, times, n)
  if ((flags & refsArePlain) === 0) unpackRuns(record, refsAt, releasedAt, refs, n)
  else plainColumn(record, refsAt, releasedAt, refs, n)
  const part = (length: number): Uint8Array => record.subarray(at, (at += length))
  return {
    appendedMs: view.getFloat64(16, true),
    length: n,
    outOfOrderWindowMs: view.getFloat64(56, true),
    values: values.subarray(0, n),
    bits: bits.subarray(0, n * 2),
    times: times.subarray(0, n),
    refs: refs.subarray(0, n),
    released: Uint32Array.from({ length: released }, (_, i) => size(releasedAt + i * 4)),
    announcements: { bytes: part(size(24)), frontCoded: true },
    histograms: unpacked<BatchHistogram>(part(size(28))),
    exemplars: unpacked<BatchExemplar>(part(size(32))),
    deletions: unpacked<BatchDeletion>(part(size(40))),
    cutStaleSeries: (flags & cutsStaleSeries) !== 0,
  }
}

function plainColumn(record: Uint8Array, from: number, to: number, column: Float64Array | Uint32Array, n: number): void {
  if (to - from !== n * column.BYTES_PER_ELEMENT) throw corrupt(`a plain column takes ${to - from} bytes`)
  bytesOf(column, n).set(record.subarray(from, to))
}

/** Calls `each` for every announced ref, with where its label bytes lie: they are only valid during the call. */
export function readAnnouncements(
  { bytes, frontCoded }: Announcements,
  each: (ref: number, bytes: Uint8Array, from: number, to: number) => void,
): void {
  const reader = new ByteReader(bytes)
  if (!frontCoded) {
    while (reader.remaining() > 0) {
      const ref = reader.uvarint()
      const length = reader.uvarint()
      reader.need(length)
      each(ref, bytes, reader.position, reader.position + length)
      reader.position += length
    }
    return
  }
  let labels = new Uint8Array(1024)
  let length = 0
  let ref = -1
  while (reader.remaining() > 0) {
    ref += reader.varint() + 1
    const prefix = reader.uvarint()
    const suffix = reader.uvarint()
    const middle = reader.uvarint()
    reader.need(middle)
    if (prefix + suffix > length || ref < 0) throw corrupt('an announcement repeats more than there was')
    const next = prefix + middle + suffix
    if (next > limits.labelBytesPerSeriesMax) throw corrupt(`labels of ${next} bytes`)
    if (next > labels.length) {
      const grown = new Uint8Array(next * 2)
      grown.set(labels)
      labels = grown
    }
    labels.copyWithin(next - suffix, length - suffix, length)
    for (let i = 0; i < middle; i++) labels[prefix + i] = bytes[reader.position + i]!
    reader.position += middle
    length = next
    each(ref, labels, 0, length)
  }
}
