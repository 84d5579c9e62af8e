// Writing a shard's snapshot (layout: snapshot.ts) in steps, while records go on being applied: what is written is the shard as it was at the first step.
//
//   first step   members, their columns and refs are copied, late samples too
//   later        labels and lists of full chunks, which only a removal changes: the caller gives up where there is one
//                open XOR chunks: bits up to the position that was copied stay what they are, and their room is held
//                open histogram chunks: encoded now, or before the next sample goes in
import { ByteWriter } from '../../base/bytes.ts'
import type { Steps } from '../../base/steps.ts'
import type { OpenHistogramChunk } from '../chunks/open-histogram.ts'
import type { Head } from './head.ts'
import {
  FullChunkColumns,
  LabelColumns,
  localNumbers,
  membersOf,
  OpenChunkBytes,
  renumberRefs,
  SeriesColumns,
  type MemberColumns,
} from './snapshot-columns.ts'
import {
  snapshotCodec,
  snapshotHeadBytes,
  snapshotMagic,
  snapshotVersion,
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
  const columns = new SeriesColumns(head, members)
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
    const localOf = localNumbers(members, count)
    yield
    const segmentOf = new Map(segments.map((segment, i) => [segment.index, i]))
    const chunks = new FullChunkColumns(head.chunks, columns.newest, segmentOf)
    yield* inSteps(n, chunks.counter)
    chunks.counted()
    yield* inSteps(n, chunks)
    const start = new ByteWriter(snapshotHeadBytes)
    for (const word of [snapshotMagic, snapshotVersion, n, chunks.times.length]) start.u32(word)
    put(start.written())
    const labels = new LabelColumns(head, members)
    yield* inSteps(n, labels)
    yield* section(labels.pairs.written(), put)
    yield* section(labels.lists, put)
    const { hashes, firstTimes, counts, positions, times, deltas, windows, values } = columns
    for (const column of [hashes, firstTimes, counts, positions, times, deltas, windows, values]) yield* section(column, put)
    const open = new OpenChunkBytes(head.arena, columns)
    yield* inSteps(n, open)
    yield* section(open.words, put)
    yield* section(chunks.counts, put)
    yield* section(chunks.times, put)
    yield* section(chunks.places, put)
    for (const { refs } of publishers) {
      renumberRefs(refs, localOf)
      yield* section(refs, put)
    }
    for (const [series, histogram] of waiting) {
      encodeHistogram(series, histogram)
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
      pairs: labels.pairCount,
    }
    yield* section(snapshotCodec.pack(meta), put)
    return n
  } finally {
    head.beforeHistogram.delete(encodeHistogram)
    release()
  }
}

/** Adds members 0 … n − 1. */
function* inSteps(n: number, to: MemberColumns): Steps {
  for (let from = 0; from < n; from += seriesPerStep) {
    if (from > 0) yield
    addRange(to, from, Math.min(n, from + seriesPerStep))
  }
}

function addRange(to: MemberColumns, from: number, end: number): void {
  for (let i = from; i < end; i++) to.add(i)
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
