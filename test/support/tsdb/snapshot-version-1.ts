// Writes head snapshots of version 1, which are read and not written any more: the encoder as it was.
import { ByteWriter } from '../../../src/base/bytes.ts'
import { crc32c } from '../../../src/base/crc32c.ts'
import { finishSteps } from '../../../src/base/steps.ts'
import type { Head } from '../../../src/tsdb/head/head.ts'
import { snapshotCodec, snapshotMagic, type LateSnapshot, type ShardState, type SnapshotMeta } from '../../../src/tsdb/head/snapshot.ts'

/** The file's bytes. Segments of the chunk store are saved first, so that what the snapshot names is on disk. */
export function encodeSnapshotVersion1(head: Head, state: ShardState): Uint8Array {
  const segments = finishSteps(head.chunks.save(state.shard))
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
  const histograms: SnapshotMeta['histograms'][number][] = []
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
  const meta: SnapshotMeta = {
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
  out.u32(snapshotMagic)
  out.u32(1)
  section(out, snapshotCodec.pack(meta))
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
