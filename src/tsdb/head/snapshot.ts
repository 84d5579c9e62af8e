// A shard's state at one log offset, in one file: recovery loads it and replays the log from there. Written by snapshot-write.ts.
//
//   ┌ magic "PHSN" u32 │ version 2 u32 │ series u32 │ full chunks u32 │ section* │ CRC-32 of all before, u32 ┐
//   section   length u32 │ 0 u32 │ bytes │ zeroes to a multiple of 8
//
//   pairs     canonical bytes of the label pairs its series use, each with a length <uvarint>, by local number
//   labels    u32: per series the count of its pairs and their local numbers
//   columns   hashes u32 │ firstTimes f64 │ xor: counts u16, positions u32, times f64, deltas f64, windows u16, values u32×2
//   open      bytes of the open XOR chunks, one after the other, each filled up to a multiple of 4 (their lengths follow from the positions)
//   chunks    u32 per series: how many full chunks, oldest first; then per chunk minTime f64, and span u32, segment u32, unit u32
//   refs      per publisher u32: ref → local series + 1
//   meta      msgpack: shard, applied, times, publishers' ids and sequences, segments, open histograms, exemplars
//
// Version 1 is read as well: magic, version, sections with meta first and the bytes behind `length u32 │ zeroes to a multiple of 8`, open chunks that
// follow each other without gaps, CRC-32C.
import { Packr } from 'msgpackr/pack'
import { ByteReader } from '../../base/bytes.ts'
import { crc32 } from '../../base/crc32.ts'
import { crc32c } from '../../base/crc32c.ts'
import { PromhiveError } from '../../base/errors.ts'
import { OpenHistogramChunk } from '../chunks/open-histogram.ts'
import { arenaBytesMax } from './columns.ts'
import type { Exemplar } from './exemplars.ts'
import type { Head } from './head.ts'
import { labelPageEntries } from './label-lists.ts'
import type { LateState } from './out-of-order.ts'

/** With its types: the buckets of late histograms are numbers, not bytes. */
export const snapshotCodec = new Packr({ useRecords: false, moreTypes: true })

export const snapshotMagic = 0x4e534850
export const snapshotVersion = 2
export const snapshotHeadBytes = 16
const columnSections = 14

export type PublisherState = Readonly<{ id: number; lastSequence: number; refs: Uint32Array }>
/** What a shard adds to what the head knows. */
export type ShardState = Readonly<{
  shard: number
  applied: number
  minTime: number
  maxTime: number
  cutUntil: number
  totals: readonly number[]
  /** Refs hold series + 1, as the head numbers them. */
  publishers: readonly PublisherState[]
  exemplars: readonly Readonly<{ series: number; exemplar: Exemplar }>[]
}>

export type SnapshotMeta = Omit<ShardState, 'publishers'> &
  Readonly<{
    publishers: readonly Readonly<{ id: number; lastSequence: number; refs: number }>[]
    segments: readonly Readonly<{ file: number; used: number }>[]
    histograms: readonly Readonly<{ series: number; isFloat: boolean; bytes: Uint8Array }>[]
    /** Missing where the shard has no late samples. */
    outOfOrder?: readonly LateSnapshot[]
    series: number
    pairs: number
  }>

/** Series by local number; chunks oldest first: minTime, span, segment, unit of each. */
export type LateSnapshot = LateState & Readonly<{ chunks: readonly number[] }>

/** What the file's first bytes say of its size, before anything is checked; null where they say nothing. */
export function snapshotSize(head: Uint8Array): Readonly<{ series: number; chunks: number }> | null {
  if (head.length < snapshotHeadBytes) return null
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (view.getUint32(0, true) !== snapshotMagic || view.getUint32(4, true) !== snapshotVersion) return null
  return { series: view.getUint32(8, true), chunks: view.getUint32(12, true) }
}

/** Null where the bytes are a whole snapshot, else what is wrong with them. */
export function checkSnapshot(bytes: Uint8Array): string | null {
  if (bytes.length < snapshotHeadBytes) return `it has ${bytes.length} bytes`
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== snapshotMagic) return 'it is not a snapshot'
  const version = view.getUint32(4, true)
  if (version !== 1 && version !== snapshotVersion) return `version ${version} is not supported`
  const end = bytes.length - 4
  const expected = version === 1 ? crc32c(bytes, 0, end) : crc32(bytes.subarray(0, end))
  return view.getUint32(end, true) === expected ? null : 'checksum does not match'
}

/** What lies where in a snapshot: views of it, and nothing said about their lengths. */
type Parts = Readonly<{ meta: SnapshotMeta; sections: readonly Uint8Array[]; packed: boolean }>

function partsOf(bytes: Uint8Array): Parts {
  const packed = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) === 1
  const reader = new ByteReader(bytes, packed ? 8 : snapshotHeadBytes, bytes.length - 4)
  const sections: Uint8Array[] = []
  while (reader.remaining() > 0) {
    const length = reader.u32()
    reader.align(8)
    sections.push(reader.raw(length))
    if (!packed) reader.align(8)
  }
  const meta = packed ? sections.shift() : sections.pop()
  if (meta === undefined) throw new PromhiveError('STORAGE_CORRUPT', 'cannot restore a snapshot: it has no sections')
  // the bytes belong to the caller, what is unpacked is kept
  return { meta: snapshotCodec.unpack(meta.slice()) as SnapshotMeta, sections, packed }
}

/**
 * Puts the series of a checked snapshot into the head; `index` of the head is to be called when all are in. Nothing of `bytes` is kept.
 * Throws PromhiveError STORAGE_CORRUPT where its parts do not fit.
 */
export function restoreSnapshot(head: Head, bytes: Uint8Array): ShardState {
  const { meta, sections, packed } = partsOf(bytes)
  const { shard, series: n } = meta
  const unfit = (what: string): PromhiveError =>
    new PromhiveError('STORAGE_CORRUPT', `cannot restore snapshot of shard ${shard}: its parts do not fit (${what})`)
  if (sections.length !== columnSections + meta.publishers.length) throw unfit(`${sections.length} sections`)
  const [pairBytes, labelBytes, hashBytes, firstBytes, countBytes, positionBytes, timeBytes, deltaBytes, windowBytes, valueBytes] = sections
  const [openBytes, chunkCountBytes, chunkTimeBytes, chunkPlaceBytes, ...refBytes] = sections.slice(10)
  const labels = uint32s(labelBytes!)
  const hashes = uint32s(hashBytes!)
  const firstTimes = float64s(firstBytes!)
  const counts = uint16s(countBytes!)
  const positions = uint32s(positionBytes!)
  const times = float64s(timeBytes!)
  const deltas = float64s(deltaBytes!)
  const windows = uint16s(windowBytes!)
  const values = uint32s(valueBytes!)
  const chunkCounts = uint32s(chunkCountBytes!)
  const chunkTimes = float64s(chunkTimeBytes!)
  const chunkPlaces = uint32s(chunkPlaceBytes!)
  const refsOf = refBytes.map(uint32s)
  // everything is looked at before anything goes into the head: half a shard would be a wrong answer
  for (const column of [hashes, firstTimes, counts, positions, times, deltas, windows, chunkCounts])
    if (column.length !== n) throw unfit(`${column.length} entries for ${n} series`)
  if (values.length !== n * 2) throw unfit('values')
  if (!chunksFit(chunkCounts, chunkTimes, chunkPlaces, meta.segments.length)) throw unfit('full chunks')
  const uses = pairUses(labels, n, meta.pairs)
  if (uses === null) throw unfit('labels')
  if (!openFit(counts, positions, openBytes!.length, packed ? 1 : 4)) throw unfit('open chunks')
  if (!pairsFit(pairBytes!, meta.pairs)) throw unfit('label pairs')
  for (const refs of refsOf) if (!allBelow(refs, n + 1)) throw unfit('refs')
  const isMember = (series: number): boolean => Number.isInteger(series) && series >= 0 && series < n
  const late = meta.outOfOrder ?? []
  if (![...meta.histograms, ...late, ...meta.exemplars].every(({ series }) => isMember(series))) throw unfit('numbers of series')
  if (late.some(({ chunks }) => chunks.some((x, i) => i % 4 === 2 && !(x >= 0 && x < meta.segments.length)))) throw unfit('late chunks')
  const histograms = meta.histograms.map(({ series, isFloat, bytes: data }) => ({
    series,
    chunk: OpenHistogramChunk.resume(isFloat, data),
  }))

  const pairs = internPairs(head, pairBytes!, meta.pairs)
  const segments = meta.segments.map(({ file, used }) => head.chunks.adopt(shard, file, used))
  const first = head.restoreSeries(shard, hashes, labels, pairs, uses)
  const { xor } = head
  head.firstTimes.set(firstTimes, first)
  xor.counts.set(counts, first)
  xor.positions.set(positions, first)
  xor.times.set(times, first)
  xor.deltas.set(deltas, first)
  xor.windows.set(windows, first)
  xor.values.set(values, first * 2)
  head.restoreOpenChunks(first, packed ? unpackedOpen(counts, positions, openBytes!) : uint32s(openBytes!))
  head.chunks.restoreAll({ counts: chunkCounts, times: chunkTimes, places: chunkPlaces, segments, newest: head.newestChunk, first })
  for (const { series, chunk: histogram } of histograms) head.restoreHistogram(first + series, histogram)
  for (const { chunks, ...state } of late) {
    let newest = 0
    for (let i = 0; i < chunks.length; i += 4) {
      newest = head.chunks.restore(segments[chunks[i + 2]!]!, chunks[i + 3]!, chunks[i]!, chunks[i + 1]!, newest)
      head.minTime = Math.min(head.minTime, chunks[i]!)
    }
    head.minTime = Math.min(head.minTime, state.times[0] ?? Infinity)
    head.outOfOrder.restore(shard, { ...state, series: first + state.series }, newest)
  }
  head.minTime = Math.min(head.minTime, meta.minTime)
  head.maxTime = Math.max(head.maxTime, meta.maxTime)
  const publishers = meta.publishers.map(({ id, lastSequence }, i) => {
    const refs = refsOf[i]!.slice()
    const { holders } = head
    for (let ref = 0; ref < refs.length; ref++) {
      if (refs[ref] === 0) continue
      refs[ref]! += first
      holders[refs[ref]! - 1]!++
    }
    return { id, lastSequence, refs }
  })
  return {
    shard,
    applied: meta.applied,
    minTime: meta.minTime,
    maxTime: meta.maxTime,
    cutUntil: meta.cutUntil,
    totals: meta.totals,
    publishers,
    exemplars: meta.exemplars.map(({ series, exemplar }) => ({ series: first + series, exemplar })),
  }
}

/** Whether there are so many pairs, each with a name and a value. */
function pairsFit(bytes: Uint8Array, pairs: number): boolean {
  const reader = new ByteReader(bytes)
  for (let i = 0; i < pairs; i++) {
    const end = reader.uvarint() + reader.position
    reader.raw(reader.uvarint())
    reader.raw(reader.uvarint())
    if (reader.position !== end) return false
  }
  return reader.remaining() === 0
}

function internPairs(head: Head, bytes: Uint8Array, count: number): Uint32Array {
  const pairs = new Uint32Array(count)
  const reader = new ByteReader(bytes)
  for (let i = 0, at = 0; i < count; i++) {
    let length = bytes[at]!
    if (length < 128) at++
    else {
      reader.position = at
      length = reader.uvarint()
      at = reader.position
    }
    pairs[i] = head.pairs.intern(bytes, at, at + length)
    at += length
  }
  return pairs
}

/** How many series have each pair; null where the list is not `n` times a count and that many pair numbers. */
function pairUses(labels: Uint32Array, n: number, pairs: number): Uint32Array | null {
  const uses = new Uint32Array(pairs)
  const { length } = labels
  let at = 0
  for (let i = 0; i < n; i++) {
    if (at >= length) return null
    const count = labels[at]!
    const end = at + 1 + count
    if (end > length || count >= labelPageEntries) return null
    for (at++; at < end; at++) {
      const pair = labels[at]!
      if (pair >= pairs) return null
      uses[pair]!++
    }
  }
  return at === length ? uses : null
}

function chunksFit(counts: Uint32Array, times: Float64Array, places: Uint32Array, segments: number): boolean {
  let chunks = 0
  for (let i = 0; i < counts.length; i++) chunks += counts[i]!
  if (chunks !== times.length || places.length !== chunks * 3) return false
  for (let i = 0; i < places.length; i += 3) if (places[i + 1]! >= segments || places[i + 2]! > 0xffff) return false
  return true
}

/** Whether the open chunks of all series take so many bytes, each a multiple of `unit`. */
function openFit(counts: Uint16Array, positions: Uint32Array, length: number, unit: number): boolean {
  let bytes = 0
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue
    const own = xorBytes(positions[i]!)
    if (own > arenaBytesMax) return false
    bytes += (own + unit - 1) & -unit
  }
  return bytes === length
}

function allBelow(numbers: Uint32Array, end: number): boolean {
  for (let i = 0; i < numbers.length; i++) if (numbers[i]! >= end) return false
  return true
}

/** Open chunks of version 1 with the gaps between them that there are now. */
function unpackedOpen(counts: Uint16Array, positions: Uint32Array, packed: Uint8Array): Uint32Array {
  let words = 0
  for (let i = 0; i < counts.length; i++) if (counts[i]! > 0) words += (xorBytes(positions[i]!) + 3) >>> 2
  const out = new Uint8Array(words * 4)
  for (let i = 0, from = 0, to = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue
    const length = xorBytes(positions[i]!)
    for (let k = 0; k < length; k++) out[to + k] = packed[from + k]!
    from += length
    to += (length + 3) & -4
  }
  return new Uint32Array(out.buffer)
}

/** Bytes of an open chunk that ends at this bit. */
export function xorBytes(position: number): number {
  return Math.max(2, (position + 7) >>> 3)
}

function uint32s(bytes: Uint8Array): Uint32Array {
  const { buffer, byteOffset } = aligned(bytes, 4)
  return new Uint32Array(buffer, byteOffset, bytes.length >> 2)
}
function uint16s(bytes: Uint8Array): Uint16Array {
  const { buffer, byteOffset } = aligned(bytes, 2)
  return new Uint16Array(buffer, byteOffset, bytes.length >> 1)
}
function float64s(bytes: Uint8Array): Float64Array {
  const { buffer, byteOffset } = aligned(bytes, 8)
  return new Float64Array(buffer, byteOffset, bytes.length >> 3)
}
function aligned(bytes: Uint8Array, unit: number): Uint8Array {
  return bytes.byteOffset % unit === 0 ? bytes : bytes.slice()
}
