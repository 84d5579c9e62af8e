// A write batch: what one publisher appends to one shard's log, and all that ever changes a shard.
// Little-endian; columns start at multiples of 8, so that a reader lays typed arrays over the record without copying.
//
//   ┌ header 48 B ┬ out-of-order window f64, where flag 2 is set ┬ values f64[n] ┬ times f64[n] or runs ┬ refs u32[n] ┬ announcements ┬ histograms ┬ exemplars ┬ metadata ┬ deletions ┐
//
//   header   0 u32 magic "PWB1"   4 u32 flags (1: times are runs, 2: a window, 4: stale series are to be cut)   8 u32 samples n   12 u32 runs   16 f64 appendedMs
//           24 u32 announcement bytes   28 u32 histogram bytes   32 u32 exemplar bytes   36 u32 metadata bytes   40 u32 deletion bytes   44 u32 released refs
//   runs     (f64 timeMs, f64 count) each: samples that share a timestamp, as a scrape's do
//   released u32 each, after the refs: refs the publisher will not use again (they may be announced anew later)
//   announcements  uvarint ref, uvarint length, canonical label bytes      a ref means nothing before its announcement
//   histograms, exemplars, metadata, deletions: msgpack arrays, rare enough not to want columns
import { Packr } from 'msgpackr/pack'
import { assert } from '../../src/base/assert.ts'
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import type { Histogram } from '../../src/model/histogram.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import type { Metadata } from '../../src/model/metadata.ts'

const magic = 0x31425750
const headerBytes = 48
const timesAreRuns = 1
const hasOutOfOrderWindow = 2
const cutsStaleSeries = 4

export type BatchHistogram = Readonly<{ ref: number; timeMs: number; startTimeMs: number; histogram: Histogram }>
export type BatchExemplar = Readonly<{ ref: number; labels: readonly string[]; value: number; timeMs: number; hasTime: boolean }>
export type BatchMetadata = Readonly<{ ref: number; metadata: Metadata }>
/** Samples of matching series within [startMs, endMs] are deleted. */
export type BatchDeletion = Readonly<{ matchers: readonly Matcher[]; startMs: number; endMs: number }>

/** A decoded batch; the columns are views of the record. */
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
  announcements: Uint8Array
  released: Uint32Array
  histograms: readonly BatchHistogram[]
  exemplars: readonly BatchExemplar[]
  metadata: readonly BatchMetadata[]
  deletions: readonly BatchDeletion[]
  /** Series that have ended by now become blocks of their own and leave the head. */
  cutStaleSeries: boolean
}>

/** Collects what goes into one record; reused after `encode`. */
export class WriteBatchBuilder {
  length = 0
  #refs = new Uint32Array(1024)
  #values = new Float64Array(1024)
  #times = new Float64Array(1024)
  #announcements = new ByteWriter(1024)
  #released: number[] = []
  #histograms: BatchHistogram[] = []
  #exemplars: BatchExemplar[] = []
  #metadata: BatchMetadata[] = []
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
    const out = this.#announcements
    out.uvarint(ref)
    out.uvarint(labelBytes.length)
    out.raw(labelBytes)
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
  addMetadata(metadata: BatchMetadata): void {
    this.#metadata.push(metadata)
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
    const later = this.#announcements
    this.#announcements = new ByteWriter(failed.announcements.length + later.length + 256)
    this.#announcements.raw(failed.announcements)
    this.#announcements.raw(later.written())
    this.#released = Array.from(failed.released).concat(this.#released)
  }
  #grow(): void {
    const size = this.#refs.length * 2
    const refs = new Uint32Array(size)
    refs.set(this.#refs)
    const values = new Float64Array(size)
    values.set(this.#values)
    const times = new Float64Array(size)
    times.set(this.#times)
    this.#refs = refs
    this.#values = values
    this.#times = times
  }

  /** The record, in a buffer of its own that the caller may give away; the builder is empty afterwards. */
  encode(appendedMs: number, outOfOrderWindowMs = 0): Uint8Array {
    const n = this.length
    const times = this.#times
    let runs = n === 0 ? 0 : 1
    for (let i = 1; i < n; i++) if (times[i] !== times[i - 1]) runs++
    const inRuns = runs * 2 <= n
    const announcements = this.#announcements.length
    const released = this.#released.length
    const histograms = packed(this.#histograms)
    const exemplars = packed(this.#exemplars)
    const metadata = packed(this.#metadata)
    const deletions = packed(this.#deletions)
    const valuesAt = headerBytes + (outOfOrderWindowMs > 0 ? 8 : 0)
    const timesAt = valuesAt + n * 8
    const refsAt = timesAt + (inRuns ? runs * 16 : n * 8)
    const tailAt = refsAt + (n + released) * 4
    const record = new Uint8Array(tailAt + announcements + histograms.length + exemplars.length + metadata.length + deletions.length)
    const view = new DataView(record.buffer)
    view.setUint32(0, magic, true)
    const flags = (inRuns ? timesAreRuns : 0) | (outOfOrderWindowMs > 0 ? hasOutOfOrderWindow : 0)
    view.setUint32(4, flags | (this.#cutStaleSeries ? cutsStaleSeries : 0), true)
    if (outOfOrderWindowMs > 0) view.setFloat64(headerBytes, outOfOrderWindowMs, true)
    view.setUint32(8, n, true)
    view.setUint32(12, inRuns ? runs : 0, true)
    view.setFloat64(16, appendedMs, true)
    view.setUint32(24, announcements, true)
    view.setUint32(28, histograms.length, true)
    view.setUint32(32, exemplars.length, true)
    view.setUint32(36, metadata.length, true)
    view.setUint32(40, deletions.length, true)
    view.setUint32(44, released, true)
    // as bytes: the staleness marker must not pass through a number
    record.set(new Uint8Array(this.#values.buffer, 0, n * 8), valuesAt)
    if (inRuns) {
      const out = new Float64Array(record.buffer, timesAt, runs * 2)
      for (let i = 0, r = 0; i < n; r += 2) {
        const time = times[i]!
        const from = i
        while (i < n && times[i] === time) i++
        out[r] = time
        out[r + 1] = i - from
      }
    } else {
      record.set(new Uint8Array(times.buffer, 0, n * 8), timesAt)
    }
    record.set(new Uint8Array(this.#refs.buffer, 0, n * 4), refsAt)
    for (let i = 0; i < released; i++) view.setUint32(refsAt + (n + i) * 4, this.#released[i]!, true)
    let at = tailAt
    for (const part of [this.#announcements.written(), histograms, exemplars, metadata, deletions]) {
      record.set(part, at)
      at += part.length
    }
    assert(at === record.length, 'write batch parts do not add up')
    this.length = 0
    this.#announcements.length = 0
    this.#others = 0
    this.#cutStaleSeries = false
    if (released > 0) this.#released = []
    if (this.#histograms.length > 0) this.#histograms = []
    if (this.#exemplars.length > 0) this.#exemplars = []
    if (this.#metadata.length > 0) this.#metadata = []
    if (this.#deletions.length > 0) this.#deletions = []
    return record
  }
}

const nothing = new Uint8Array(0)
/** With its types, or the buckets of a histogram would be written as bytes, a byte each. */
const codec = new Packr({ useRecords: false, moreTypes: true })

function packed(items: readonly unknown[]): Uint8Array {
  return items.length === 0 ? nothing : codec.pack(items)
}
function unpacked<T>(bytes: Uint8Array): readonly T[] {
  if (bytes.length === 0) return []
  const items: unknown = codec.unpack(bytes)
  if (!Array.isArray(items)) throw new PromhiveError('STORAGE_CORRUPT', 'cannot decode write batch: a section is not a list')
  return items as T[]
}

/**
 * Lays a batch over a record. The record is copied only where it does not start at a multiple of 8.
 * Throws PromhiveError STORAGE_CORRUPT where lengths do not add up; the log's checksum has vouched for the bytes, so this is our bug or a foreign writer.
 */
export function decodeWriteBatch(bytes: Uint8Array): WriteBatch {
  const record = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  if (record.length < headerBytes || view.getUint32(0, true) !== magic) {
    throw new PromhiveError('STORAGE_CORRUPT', `cannot decode write batch: ${record.length} bytes without its header`)
  }
  const flags = view.getUint32(4, true)
  const n = view.getUint32(8, true)
  const runs = view.getUint32(12, true)
  const announcements = view.getUint32(24, true)
  const sizes = [view.getUint32(28, true), view.getUint32(32, true), view.getUint32(36, true), view.getUint32(40, true)] as const
  const released = view.getUint32(44, true)
  const valuesAt = headerBytes + (flags & hasOutOfOrderWindow ? 8 : 0)
  const timesAt = valuesAt + n * 8
  const refsAt = timesAt + (flags & timesAreRuns ? runs * 16 : n * 8)
  const tailAt = refsAt + (n + released) * 4
  if (tailAt + announcements + sizes[0] + sizes[1] + sizes[2] + sizes[3] !== record.length) {
    throw new PromhiveError('STORAGE_CORRUPT', `cannot decode write batch: parts do not add up to ${record.length} bytes`)
  }
  const buffer = record.buffer
  const base = record.byteOffset
  let times: Float64Array
  if (flags & timesAreRuns) {
    times = new Float64Array(n)
    const from = new Float64Array(buffer, base + timesAt, runs * 2)
    let i = 0
    for (let r = 0; r < runs * 2; r += 2) {
      const next = Math.min(n, i + from[r + 1]!)
      times.fill(from[r]!, i, next)
      i = next
    }
  } else {
    times = new Float64Array(buffer, base + timesAt, n)
  }
  let at = tailAt
  const part = (length: number): Uint8Array => record.subarray(at, (at += length))
  return {
    appendedMs: view.getFloat64(16, true),
    length: n,
    outOfOrderWindowMs: flags & hasOutOfOrderWindow ? view.getFloat64(headerBytes, true) : 0,
    values: new Float64Array(buffer, base + valuesAt, n),
    bits: new Uint32Array(buffer, base + valuesAt, n * 2),
    times,
    refs: new Uint32Array(buffer, base + refsAt, n),
    released: new Uint32Array(buffer, base + refsAt + n * 4, released),
    announcements: part(announcements),
    histograms: unpacked<BatchHistogram>(part(sizes[0])),
    exemplars: unpacked<BatchExemplar>(part(sizes[1])),
    metadata: unpacked<BatchMetadata>(part(sizes[2])),
    deletions: unpacked<BatchDeletion>(part(sizes[3])),
    cutStaleSeries: (flags & cutsStaleSeries) !== 0,
  }
}

/** Calls `each` for every announced ref; the label bytes are a view. */
export function readAnnouncements(bytes: Uint8Array, each: (ref: number, from: number, to: number) => void): void {
  const reader = new ByteReader(bytes)
  while (reader.remaining() > 0) {
    const ref = reader.uvarint()
    const length = reader.uvarint()
    reader.need(length)
    each(ref, reader.position, reader.position + length)
    reader.position += length
  }
}
