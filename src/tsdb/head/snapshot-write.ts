// Writing a shard's snapshot (layout: snapshot.ts) in steps, while records go on being applied: what is written is the shard as it was at the first step.
//
//   first step   members, their columns and refs are copied, late samples too
//   later        labels and lists of full chunks, which only a removal changes: the caller gives up where there is one
//                open XOR chunks: bits up to the position that was copied stay what they are, and their room is held
//                open histogram chunks: encoded now, or before the next sample goes in
import { ByteWriter } from '../../base/bytes.ts'
import { growTo } from '../../base/grow-column.ts'
import type { Steps } from '../../base/steps.ts'
import type { OpenHistogramChunk } from '../chunks/open-histogram.ts'
import type { Head } from './head.ts'
import {
  snapshotCodec,
  snapshotHeadBytes,
  snapshotMagic,
  snapshotVersion,
  xorBytes,
  type LateSnapshot,
  type ShardState,
  type SnapshotMeta,
} from './snapshot.ts'

/** Series looked at, and bytes written, between two pauses. */
const seriesPerStep = 4096
const bytesPerStep = 1 << 20

/**
 * Calls `put` with the file's bytes but for the checksum, part by part; a part is good during the call. Segments of the chunk store are saved on the way,
 * so that what the snapshot names is on disk. Gives how many series there are. No sample or series of the shard may be removed between two steps.
 */
export function* encodeSnapshot(head: Head, state: ShardState, put: (bytes: Uint8Array) => void): Steps<number> {
  const { shard } = state
  const members = membersOf(head, shard)
  const n = members.length
  const { xor } = head
  const pick = <T extends Uint16Array | Uint32Array | Float64Array>(from: T, to: T): T => {
    for (let i = 0; i < n; i++) to[i] = from[members[i]!]!
    return to
  }
  const counts = pick(xor.counts, new Uint16Array(n))
  const positions = pick(xor.positions, new Uint32Array(n))
  const columns = [
    pick(head.firstTimes, new Float64Array(n)),
    counts,
    positions,
    pick(xor.times, new Float64Array(n)),
    pick(xor.deltas, new Float64Array(n)),
    pick(xor.windows, new Uint16Array(n)),
    valuesOf(xor.values, members),
  ]
  const newest = pick(head.newestChunk, new Uint32Array(n))
  const places = new Uint32Array(n)
  for (let i = 0; i < n; i++) places[i] = head.openChunkAt(members[i]!)
  const publishers = state.publishers.map((publisher) => ({ ...publisher, refs: publisher.refs.slice() }))
  const late = [...head.outOfOrder.entries(shard)]
  const waiting = new Map<number, OpenHistogramChunk>()
  for (const [series, open] of head.openHistograms) if (head.shards[series] === shard) waiting.set(series, open)
  const histograms: { series: number; isFloat: boolean; bytes: Uint8Array }[] = []
  const encodeHistogram = (series: number, open: OpenHistogramChunk): void => {
    if (waiting.get(series) !== open) return
    waiting.delete(series)
    histograms.push({ series, isFloat: open.isFloat, bytes: open.bytes() })
  }
  head.beforeHistogram.add(encodeHistogram)
  const release = head.holdOpenChunks()
  const { count } = head
  try {
    const segments = yield* head.chunks.save(shard)
    yield
    const localOf = new Uint32Array(count)
    for (let i = 0; i < n; i++) localOf[members[i]!] = i + 1
    yield
    const segmentOf = new Map(segments.map((segment, i) => [segment.index, i]))
    const chunks = yield* fullChunks(head, newest, segmentOf)
    const start = new ByteWriter(snapshotHeadBytes)
    for (const word of [snapshotMagic, snapshotVersion, n, chunks.times.length]) start.u32(word)
    put(start.written())
    const pairCount = yield* labelSections(head, members, put)
    // the one column that stays as it is
    yield* section(pick(head.hashes, new Uint32Array(n)), put)
    for (const column of columns) yield* section(column, put)
    yield* openChunks(head, { counts, positions, places }, put)
    yield* section(chunks.counts, put)
    yield* section(chunks.times, put)
    yield* section(chunks.places, put)
    for (const { refs } of publishers) {
      for (let i = 0; i < refs.length; i++) if (refs[i] !== 0) refs[i] = localOf[refs[i]! - 1]!
      yield* section(refs, put)
    }
    for (const [series, open] of waiting) {
      encodeHistogram(series, open)
      if (histograms.length % 256 === 0) yield
    }
    const outOfOrder = late.map(({ newest: link, state: kept }): LateSnapshot => {
      const list: number[] = []
      for (let at = link; at !== 0; at = head.chunks.previous[at - 1]!) {
        const place = head.chunks.places[at - 1]!
        const segment = segmentOf.get(place >>> 16)
        if (segment !== undefined) list.unshift(head.chunks.minTimes[at - 1]!, head.chunks.spans[at - 1]!, segment, place & 0xffff)
      }
      return { ...kept, series: localOf[kept.series]! - 1, chunks: list }
    })
    const meta: SnapshotMeta = {
      ...state,
      ...(outOfOrder.length > 0 && { outOfOrder }),
      publishers: publishers.map(({ id, lastSequence, refs }) => ({ id, lastSequence, refs: refs.length })),
      exemplars: state.exemplars.flatMap(({ series, exemplar }) =>
        localOf[series]! > 0 ? [{ series: localOf[series]! - 1, exemplar }] : [],
      ),
      segments: segments.map(({ file, used }) => ({ file, used })),
      // the same file whenever they were encoded
      histograms: histograms.map((one) => ({ ...one, series: localOf[one.series]! - 1 })).sort((a, b) => a.series - b.series),
      series: n,
      pairs: pairCount,
    }
    yield* section(snapshotCodec.pack(meta), put)
    return n
  } finally {
    head.beforeHistogram.delete(encodeHistogram)
    release()
  }
}

/** Its series, ascending. */
function membersOf(head: Head, shard: number): Uint32Array {
  const { alive, shards, count } = head
  const members = new Uint32Array(head.live)
  let n = 0
  for (let series = 0; series < count; series++) if (shards[series] === shard && alive[series] === 1) members[n++] = series
  return members.subarray(0, n)
}

function valuesOf(values: Uint32Array, members: Uint32Array): Uint32Array {
  const out = new Uint32Array(members.length * 2)
  for (let i = 0; i < members.length; i++) {
    out[i * 2] = values[members[i]! * 2]!
    out[i * 2 + 1] = values[members[i]! * 2 + 1]!
  }
  return out
}

type FullChunks = Readonly<{ counts: Uint32Array; times: Float64Array; places: Uint32Array }>

/** Full chunks of series, oldest first. @param newest entry + 1 of each series' newest. */
function* fullChunks({ chunks }: Head, newest: Uint32Array, segmentOf: ReadonlyMap<number, number>): Steps<FullChunks> {
  const counts = new Uint32Array(newest.length)
  let total = 0
  for (let i = 0; i < newest.length; i++) {
    if (i % seriesPerStep === seriesPerStep - 1) yield
    let count = 0
    // chunks whose segment was lost to damage are left out
    for (let link = newest[i]!; link !== 0; link = chunks.previous[link - 1]!) if (segmentOf.has(chunks.places[link - 1]! >>> 16)) count++
    counts[i] = count
    total += count
  }
  const times = new Float64Array(total)
  const places = new Uint32Array(total * 3)
  for (let i = 0, end = 0; i < newest.length; i++) {
    if (i % seriesPerStep === seriesPerStep - 1) yield
    end += counts[i]!
    let at = end
    for (let link = newest[i]!; link !== 0; link = chunks.previous[link - 1]!) {
      const place = chunks.places[link - 1]!
      const segment = segmentOf.get(place >>> 16)
      if (segment === undefined) continue
      at--
      times[at] = chunks.minTimes[link - 1]!
      places[at * 3] = chunks.spans[link - 1]!
      places[at * 3 + 1] = segment
      places[at * 3 + 2] = place & 0xffff
    }
  }
  return { counts, times, places }
}

/** Pairs and labels; gives how many pairs there are. */
function* labelSections(head: Head, members: Uint32Array, put: (bytes: Uint8Array) => void): Steps<number> {
  const localPair = new Uint32Array(head.pairs.count)
  const pairBytes = new ByteWriter(1 << 16)
  let pairs = 0
  let labels: Uint32Array = new Uint32Array(members.length * 8 + 256)
  let length = 0
  for (let i = 0; i < members.length; i++) {
    if (i % seriesPerStep === seriesPerStep - 1) yield
    const page = head.labelLists.page(members[i]!)
    const start = head.labelLists.start(members[i]!)
    const count = page[start]!
    if (length + count >= labels.length) labels = growTo(labels, Math.ceil((length + count + 1) * 1.5))
    labels[length++] = count
    for (let k = start + 1; k <= start + count; k++) {
      const pair = page[k]!
      let local = localPair[pair]!
      if (local === 0) {
        localPair[pair] = local = ++pairs
        pairBytes.uvarint(head.pairs.bytesOf(pair))
        head.pairs.write(pair, pairBytes)
      }
      labels[length++] = local - 1
    }
  }
  yield* section(pairBytes.written(), put)
  yield* section(labels.subarray(0, length), put)
  return pairs
}

type OpenChunks = Readonly<{ counts: Uint16Array; positions: Uint32Array; places: Uint32Array }>

/** The open chunks as they were: what has been appended since is behind their positions, but for the count in their first two bytes. */
function* openChunks({ arena }: Head, { counts, positions, places }: OpenChunks, put: (bytes: Uint8Array) => void): Steps {
  let words = 0
  for (let i = 0; i < counts.length; i++) if (counts[i]! > 0) words += (xorBytes(positions[i]!) + 3) >>> 2
  const out = new Uint32Array(words)
  const bytes = new Uint8Array(out.buffer)
  for (let i = 0, to = 0; i < counts.length; i++) {
    if (i % seriesPerStep === seriesPerStep - 1) yield
    if (counts[i] === 0) continue
    const page = arena.words(places[i]!)
    const from = arena.offset(places[i]!) >>> 2
    const first = to * 4
    const length = xorBytes(positions[i]!)
    const end = from + ((length + 3) >>> 2)
    for (let at = from; at < end; at++) out[to++] = page[at]!
    bytes[first] = counts[i]! >>> 8
    bytes[first + 1] = counts[i]! & 0xff
    const spare = length * 8 - positions[i]!
    if (spare > 0 && spare < 8) bytes[first + length - 1]! &= 0xff << spare
    bytes.fill(0, first + length, to * 4)
  }
  yield* section(out, put)
}

function* section(column: Uint8Array | Uint16Array | Uint32Array | Float64Array, put: (bytes: Uint8Array) => void): Steps {
  const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
  const frame = new Uint32Array(2)
  frame[0] = bytes.length
  put(new Uint8Array(frame.buffer))
  for (let from = 0; from < bytes.length; from += bytesPerStep) {
    put(bytes.subarray(from, from + bytesPerStep))
    yield
  }
  if (bytes.length % 8 !== 0) put(new Uint8Array(8 - (bytes.length % 8)))
}
