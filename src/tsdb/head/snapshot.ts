// A shard's state at one log offset, in one file: recovery loads it and replays the log from there.
//
//   ┌ magic "PHSN" u32 │ version u32 │ section* │ CRC32C of all before, u32 ┐      section   length u32 │ zeroes to a multiple of 8 │ bytes
//
//   meta      msgpack: shard, applied, times, publishers' ids and sequences, segments, open histograms, exemplars
//   pairs     canonical bytes of the label pairs its series use, each with a length <uvarint>, by local number
//   labels    u32: per series the count of its pairs and their local numbers
//   columns   hashes u32 │ firstTimes f64 │ xor: counts u16, positions u32, times f64, deltas f64, values u32×2, windows u16
//   open      bytes of the open XOR chunks, one after the other (their lengths follow from the positions)
//   chunks    u32 per series: how many full chunks, oldest first; then per chunk minTime f64, and span u32, segment u32, unit u32
//   refs      per publisher u32: ref → local series + 1
import { Packr } from 'msgpackr/pack'
import { ByteReader, ByteWriter } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { PromhiveError } from '../../base/errors.ts'
import { OpenHistogramChunk } from '../chunks/open-histogram.ts'
import type { Exemplar } from './exemplars.ts'
import type { Head } from './head.ts'
import type { LateState } from './out-of-order.ts'

/** With its types: the buckets of late histograms are numbers, not bytes. */
const codec = new Packr({ useRecords: false, moreTypes: true })

const magic = 0x4e534850
const version = 1

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

type Meta = Omit<ShardState, 'publishers'> &
  Readonly<{
    publishers: readonly Readonly<{ id: number; lastSequence: number; refs: number }>[]
    segments: readonly Readonly<{ index: number; file: number; used: number }>[]
    histograms: readonly Readonly<{ series: number; isFloat: boolean; bytes: Uint8Array }>[]
    /** Missing where the shard has no late samples. */
    outOfOrder?: readonly LateSnapshot[]
    series: number
    pairs: number
  }>

/** Series by local number; chunks oldest first: minTime, span, segment, unit of each. */
type LateSnapshot = LateState & Readonly<{ chunks: readonly number[] }>

/** The file's bytes. Segments of the chunk store are saved first, so that what the snapshot names is on disk. */
export function encodeSnapshot(head: Head, state: ShardState): Uint8Array {
  const segments = head.chunks.save(state.shard)
  const segmentOf = new Map(segments.map((segment, i) => [segment.index, i]))
  const members: number[] = []
  const localOf = new Uint32Array(head.count)
  for (let series = 0; series < head.count; series++) {
    if (head.alive[series] === 1 && head.shards[series] === state.shard) localOf[series] = members.push(series)
  }
  const n = members.length
  const localPair = new Uint32Array(head.pairs.count)
  let pairCount = 0
  const pairBytes = new ByteWriter(1 << 16)
  const labels = new ByteWriter(n * 40)
  const open = new ByteWriter(n * 48)
  const histograms: Meta['histograms'][number][] = []
  const counts = new Uint32Array(n)
  const chunkTimes: number[] = []
  const chunkPlaces: number[] = []
  const entries: number[] = []
  const { xor } = head
  members.forEach((series, local) => {
    const pairs = head.pairsOf(series)
    labels.u32(pairs.length)
    for (let k = 0; k < pairs.length; k++) {
      const pair = pairs[k]!
      if (localPair[pair] === 0) {
        localPair[pair] = ++pairCount
        pairBytes.uvarint(head.pairs.bytesOf(pair))
        head.pairs.write(pair, pairBytes)
      }
      labels.u32(localPair[pair]! - 1)
    }
    if (xor.counts[series]! > 0) open.raw(head.openChunk(series))
    const histogram = head.openHistogram(series)
    if (histogram !== undefined) histograms.push({ series: local, isFloat: histogram.isFloat, bytes: histogram.bytes() })
    entries.length = 0
    for (let link = head.newestChunk[series]!; link !== 0; link = head.chunks.previous[link - 1]!) {
      // chunks whose segment was lost to damage end here
      if (segmentOf.has(head.chunks.places[link - 1]! >>> 16)) entries.push(link - 1)
    }
    counts[local] = entries.length
    for (let i = entries.length - 1; i >= 0; i--) {
      const entry = entries[i]!
      const place = head.chunks.places[entry]!
      chunkTimes.push(head.chunks.minTimes[entry]!)
      chunkPlaces.push(head.chunks.spans[entry]!, segmentOf.get(place >>> 16)!, place & 0xffff)
    }
  })
  const outOfOrder: LateSnapshot[] = []
  for (const { newest, state: late } of head.outOfOrder.entries(state.shard)) {
    const chunks: number[] = []
    for (let link = newest; link !== 0; link = head.chunks.previous[link - 1]!) {
      const place = head.chunks.places[link - 1]!
      const segment = segmentOf.get(place >>> 16)
      if (segment !== undefined) chunks.unshift(head.chunks.minTimes[link - 1]!, head.chunks.spans[link - 1]!, segment, place & 0xffff)
    }
    outOfOrder.push({ ...late, series: localOf[late.series]! - 1, chunks })
  }
  const meta: Meta = {
    ...state,
    ...(outOfOrder.length > 0 && { outOfOrder }),
    publishers: state.publishers.map(({ id, lastSequence, refs }) => ({ id, lastSequence, refs: refs.length })),
    exemplars: state.exemplars.flatMap(({ series, exemplar }) =>
      localOf[series]! > 0 ? [{ series: localOf[series]! - 1, exemplar }] : [],
    ),
    segments,
    histograms,
    series: n,
    pairs: pairCount,
  }
  const out = new ByteWriter(pairBytes.length + labels.length + open.length + n * 64 + chunkTimes.length * 24 + 4096)
  out.u32(magic)
  out.u32(version)
  section(out, codec.pack(meta))
  section(out, pairBytes.written())
  section(out, labels.written())
  const picked = <T extends Uint16Array | Uint32Array | Float64Array>(from: T, to: T): Uint8Array => {
    for (let i = 0; i < n; i++) to[i] = from[members[i]!]!
    return new Uint8Array(to.buffer)
  }
  section(out, picked(head.hashes, new Uint32Array(n)))
  section(out, picked(head.firstTimes, new Float64Array(n)))
  section(out, picked(xor.counts, new Uint16Array(n)))
  section(out, picked(xor.positions, new Uint32Array(n)))
  section(out, picked(xor.times, new Float64Array(n)))
  section(out, picked(xor.deltas, new Float64Array(n)))
  section(out, picked(xor.windows, new Uint16Array(n)))
  const values = new Uint32Array(n * 2)
  for (let i = 0; i < n; i++) {
    values[i * 2] = xor.values[members[i]! * 2]!
    values[i * 2 + 1] = xor.values[members[i]! * 2 + 1]!
  }
  section(out, new Uint8Array(values.buffer))
  section(out, open.written())
  section(out, new Uint8Array(counts.buffer))
  section(out, new Uint8Array(Float64Array.from(chunkTimes).buffer))
  section(out, new Uint8Array(Uint32Array.from(chunkPlaces).buffer))
  for (const { refs } of state.publishers) {
    section(out, new Uint8Array(refs.map((entry) => (entry === 0 ? 0 : localOf[entry - 1]!)).buffer))
  }
  out.u32(crc32c(out.bytes, 0, out.length))
  return out.written()
}

function section(out: ByteWriter, bytes: Uint8Array): void {
  out.u32(bytes.length)
  out.align(8)
  out.raw(bytes)
}

/** Null where the bytes are a whole snapshot, else what is wrong with them. */
export function checkSnapshot(bytes: Uint8Array): string | null {
  if (bytes.length < 12) return `it has ${bytes.length} bytes`
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== magic) return 'it is not a snapshot'
  if (view.getUint32(4, true) !== version) return `version ${view.getUint32(4, true)} is not supported`
  if (view.getUint32(bytes.length - 4, true) !== crc32c(bytes, 0, bytes.length - 4)) return 'checksum does not match'
  return null
}

/** Puts the series of a checked snapshot into the head. Throws PromhiveError STORAGE_CORRUPT where its parts do not fit. */
export function restoreSnapshot(head: Head, bytes: Uint8Array): ShardState {
  const reader = new ByteReader(bytes, 8, bytes.length - 4)
  const next = (): Uint8Array => {
    const length = reader.u32()
    reader.align(8)
    return reader.raw(length)
  }
  const meta = codec.unpack(next()) as Meta
  const { shard, series: n } = meta
  const pairReader = new ByteReader(next())
  const pairs = new Uint32Array(meta.pairs)
  for (let i = 0; i < meta.pairs; i++) {
    const length = pairReader.uvarint()
    pairReader.need(length)
    pairs[i] = head.pairs.intern(pairReader.bytes, pairReader.position, pairReader.position + length)
    pairReader.position += length
  }
  const labels = uint32s(next())
  const hashes = uint32s(next())
  const firstTimes = float64s(next())
  const counts = uint16s(next())
  const positions = uint32s(next())
  const times = float64s(next())
  const deltas = float64s(next())
  const windows = uint16s(next())
  const values = uint32s(next())
  const openBytes = next()
  const chunkCounts = uint32s(next())
  const chunkTimes = float64s(next())
  const chunkPlaces = uint32s(next())
  const refsOf = meta.publishers.map(() => uint32s(next()))
  const histograms = meta.histograms.map(({ series, isFloat, bytes: data }) => ({
    series,
    chunk: OpenHistogramChunk.resume(isFloat, data),
  }))
  // everything is looked at before anything goes into the head: half a shard would be a wrong answer
  const columns = [hashes, firstTimes, counts, positions, times, deltas, windows, chunkCounts]
  const segmentsOk = chunkTimes.every((_, chunk) => chunkPlaces[chunk * 3 + 1]! < meta.segments.length)
  if (
    columns.some((column) => column.length !== n) ||
    values.length !== n * 2 ||
    chunkPlaces.length !== chunkTimes.length * 3 ||
    chunkCounts.reduce((sum, count) => sum + count, 0) !== chunkTimes.length ||
    !segmentsOk ||
    !labelsFit(labels, n, meta.pairs) ||
    histograms.some(({ series }) => series >= n) ||
    (meta.outOfOrder ?? []).some(({ series, chunks }) => series >= n || chunks.some((x, i) => i % 4 === 2 && x >= meta.segments.length)) ||
    refsOf.some((refs) => refs.some((entry) => entry > n)) ||
    openLength(counts, positions) !== openBytes.length
  ) {
    throw new PromhiveError('STORAGE_CORRUPT', `cannot restore snapshot of shard ${shard}: its parts do not fit`)
  }
  const segments = meta.segments.map(({ file, used }) => head.chunks.adopt(shard, file, used))
  const first = head.restoreSeries(shard, hashes, labels, pairs)
  const { xor } = head
  head.firstTimes.set(firstTimes, first)
  xor.counts.set(counts, first)
  xor.positions.set(positions, first)
  xor.times.set(times, first)
  xor.deltas.set(deltas, first)
  xor.windows.set(windows, first)
  xor.values.set(values, first * 2)
  for (let i = 0, at = 0, chunk = 0; i < n; i++) {
    if (counts[i]! > 0) head.restoreOpenChunk(first + i, openBytes, at, (at += xorBytes(positions[i]!)))
    let newest = 0
    for (let k = 0; k < chunkCounts[i]!; k++, chunk++) {
      newest = head.chunks.restore(
        segments[chunkPlaces[chunk * 3 + 1]!]!,
        chunkPlaces[chunk * 3 + 2]!,
        chunkTimes[chunk]!,
        chunkPlaces[chunk * 3]!,
        newest,
      )
    }
    head.newestChunk[first + i] = newest
  }
  for (const { series, chunk: histogram } of histograms) head.restoreHistogram(first + series, histogram)
  for (const { chunks, ...late } of meta.outOfOrder ?? []) {
    let newest = 0
    for (let i = 0; i < chunks.length; i += 4) {
      newest = head.chunks.restore(segments[chunks[i + 2]!]!, chunks[i + 3]!, chunks[i]!, chunks[i + 1]!, newest)
      head.minTime = Math.min(head.minTime, chunks[i]!)
    }
    head.minTime = Math.min(head.minTime, late.times[0] ?? Infinity)
    head.outOfOrder.restore(shard, { ...late, series: first + late.series }, newest)
  }
  head.minTime = Math.min(head.minTime, meta.minTime)
  head.maxTime = Math.max(head.maxTime, meta.maxTime)
  const publishers = meta.publishers.map(({ id, lastSequence }, i) => {
    const refs = refsOf[i]!.slice()
    for (let ref = 0; ref < refs.length; ref++) {
      if (refs[ref] === 0) continue
      refs[ref]! += first
      head.holders[refs[ref]! - 1]!++
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

/** Whether the list is `n` times a count and that many pair numbers. */
function labelsFit(labels: Uint32Array, n: number, pairs: number): boolean {
  let at = 0
  for (let i = 0; i < n; i++) {
    const count = labels[at++] ?? labels.length
    if (at + count > labels.length) return false
    for (const end = at + count; at < end; at++) if (labels[at]! >= pairs) return false
  }
  return at === labels.length
}

/** Bytes of the open chunks of all series. */
function openLength(counts: Uint16Array, positions: Uint32Array): number {
  let bytes = 0
  for (let i = 0; i < counts.length; i++) if (counts[i]! > 0) bytes += xorBytes(positions[i]!)
  return bytes
}

function xorBytes(position: number): number {
  return Math.max(2, (position + 7) >>> 3)
}

function uint32s(bytes: Uint8Array): Uint32Array {
  return bytes.byteOffset % 4 === 0
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
    : new Uint32Array(bytes.slice().buffer)
}
function uint16s(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.slice().buffer)
}
function float64s(bytes: Uint8Array): Float64Array {
  return bytes.byteOffset % 8 === 0
    ? new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3)
    : new Float64Array(bytes.slice().buffer)
}
