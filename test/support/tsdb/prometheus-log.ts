// Writes a Prometheus write-ahead log, for tests of what reads one. Layouts: src/tsdb/wal-import/log.ts and records.ts.
import { ByteWriter } from '../../../src/base/bytes.ts'
import { crc32c } from '../../../src/base/crc32c.ts'
import type { Histogram } from '../../../src/model/histogram.ts'
import type { Labels } from '../../../src/model/labels.ts'

const pageBytes = 32 << 10

/** One segment with these records; `pack` compresses a record and says with which flag. */
export function logSegment(
  records: readonly Uint8Array[],
  pack: (record: Uint8Array) => { bytes: Uint8Array; flag: number } = (bytes) => ({ bytes, flag: 0 }),
): Uint8Array {
  const out = new ByteWriter()
  for (const record of records) {
    const { bytes, flag } = pack(record)
    let at = 0
    for (let part = 0; part === 0 || at < bytes.length; part++) {
      let room = pageBytes - (out.length % pageBytes)
      if (room <= 7) {
        out.align(pageBytes)
        room = pageBytes
      }
      const piece = bytes.subarray(at, at + room - 7)
      at += piece.length
      const last = at === bytes.length
      const type = part === 0 ? (last ? 1 : 2) : last ? 4 : 3
      out.u8(type | flag)
      out.u8(piece.length >>> 8)
      out.u8(piece.length)
      out.u32be(crc32c(piece))
      out.raw(piece)
    }
  }
  return out.written().slice()
}

export function putU64(out: ByteWriter, value: number): void {
  out.u32be(Math.floor(value / 4294967296) >>> 0)
  out.u32be(value >>> 0)
}

function putF64(out: ByteWriter, value: number): void {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  out.raw(new Uint8Array(view.buffer))
}

function putLabels(out: ByteWriter, labels: Labels): void {
  out.uvarint(labels.length / 2)
  for (const text of labels) out.text(text)
}

export function seriesRecord(list: readonly (readonly [ref: number, labels: Labels])[]): Uint8Array {
  const out = new ByteWriter()
  out.u8(1)
  for (const [ref, labels] of list) {
    putU64(out, ref)
    putLabels(out, labels)
  }
  return out.written().slice()
}

export type LogSample = readonly [ref: number, time: number, value: number, startTime?: number]

/** Type 2, or 11 where start times are wanted. */
export function samplesRecord(samples: readonly LogSample[], newer = false): Uint8Array {
  const out = new ByteWriter()
  out.u8(newer ? 11 : 2)
  const [firstRef, firstTime, , firstStart = 0] = samples[0]!
  if (!newer) {
    putU64(out, firstRef)
    putU64(out, firstTime)
  }
  samples.forEach(([ref, time, value, start = 0], i) => {
    const [refBefore, , , startBefore = 0] = i === 0 || !newer ? ([newer ? 0 : firstRef, 0, 0, 0] as LogSample) : samples[i - 1]!
    out.varint(ref - refBefore)
    out.varint(newer && i === 0 ? time : time - firstTime)
    if (newer) {
      if (i === 0) out.varint(start)
      else if (start === 0) out.u8(0)
      else if (start === startBefore) out.u8(1)
      else {
        out.u8(2)
        out.varint(start - firstStart)
      }
    }
    putF64(out, value)
  })
  return out.written().slice()
}

export function histogramRecord(ref: number, time: number, histogram: Histogram): Uint8Array {
  const out = new ByteWriter()
  const custom = histogram.customBounds !== null
  out.u8((histogram.isFloat ? 8 : 7) + (custom ? 2 : 0))
  putU64(out, ref)
  putU64(out, time)
  out.varint(0)
  out.varint(0)
  out.u8(histogram.counterReset)
  out.varint(histogram.schema)
  putF64(out, histogram.zeroThreshold)
  const put = histogram.isFloat ? (value: number) => putF64(out, value) : (value: number) => out.uvarint(value)
  put(histogram.zeroCount)
  put(histogram.count)
  putF64(out, histogram.sum)
  for (const spans of [histogram.positiveSpans, histogram.negativeSpans]) {
    out.uvarint(spans.length)
    for (const span of spans) {
      out.varint(span.offset)
      out.uvarint(span.length)
    }
  }
  for (const buckets of [histogram.positiveBuckets, histogram.negativeBuckets]) {
    out.uvarint(buckets.length)
    let before = 0
    for (const bucket of buckets) {
      if (histogram.isFloat) putF64(out, bucket)
      else out.varint(bucket - before)
      before = bucket
    }
  }
  if (histogram.customBounds !== null) {
    out.uvarint(histogram.customBounds.length)
    for (const bound of histogram.customBounds) putF64(out, bound)
  }
  return out.written().slice()
}

export function deletionRecord(ref: number, minTime: number, maxTime: number): Uint8Array {
  const out = new ByteWriter()
  out.u8(3)
  putU64(out, ref)
  out.varint(minTime)
  out.varint(maxTime)
  return out.written().slice()
}

export function exemplarRecord(ref: number, time: number, value: number, labels: Labels): Uint8Array {
  const out = new ByteWriter()
  out.u8(4)
  putU64(out, ref)
  putU64(out, time)
  out.varint(0)
  out.varint(0)
  putF64(out, value)
  putLabels(out, labels)
  return out.written().slice()
}

export function metadataRecord(ref: number, type: number, fields: readonly (readonly [string, string])[]): Uint8Array {
  const out = new ByteWriter()
  out.u8(6)
  out.uvarint(ref)
  out.u8(type)
  out.uvarint(fields.length)
  for (const [name, value] of fields) {
    out.text(name)
    out.text(value)
  }
  return out.written().slice()
}

/** A file of chunks_head/, with `zeros` bytes behind, as a preallocated one has. */
export function headChunksFile(
  chunks: readonly Readonly<{ ref: number; minTime: number; maxTime: number; encoding: number; bytes: Uint8Array }>[],
  zeros = 0,
): Uint8Array {
  const out = new ByteWriter()
  out.u32be(0x0130bc91)
  out.raw(Uint8Array.of(1, 0, 0, 0))
  for (const { ref, minTime, maxTime, encoding, bytes } of chunks) {
    const start = out.length
    putU64(out, ref)
    putU64(out, minTime)
    putU64(out, maxTime)
    out.u8(encoding)
    out.uvarint(bytes.length)
    out.raw(bytes)
    out.u32be(crc32c(out.written(), start))
  }
  out.raw(new Uint8Array(zeros))
  return out.written().slice()
}
