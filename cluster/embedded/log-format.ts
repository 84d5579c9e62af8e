// The bytes of the write-ahead log. All numbers little-endian; a 64-bit number is a safe integer ≥ 0 in two halves, low first.
//
// Segment file NNNNNNNN.log, at most limits.walSegmentBytes:
//   magic 'PHLG' <4b> | version 1 <4b> | segment number <8b> | CRC-32C of the 16 bytes before <4b> | zeros <4b> | records …
//
// Record, starting at a multiple of 8:
//   0   header CRC      u32   CRC-32C of bytes 4 to 64
//   4   magic 'PHRC'    u32   lets a reader find the next record behind damaged bytes
//   8   body length     u32
//   12  body CRC        u32   CRC-32C of the body
//   16  shard           u32
//   20  kind            u32   1 record, 2 table
//   24  batch           u64   number of the commit that wrote it, one more per commit
//   32  publisher       u64
//   40  sequence        u64
//   48  offset          u64
//   56  batch start     u32   file position of the first record of the batch
//   60  position        u32   of this header in the file: bytes that look like a record inside a body are told apart
//   64  body, then zeros to a multiple of 8
//
// The header has a checksum of its own so that a damaged body costs one record and not the way to those behind it.
// A batch is begun only when the one before is on the disk: a record of a later batch proves that everything before that batch was synced.
// So damage with a later batch behind it is damage, and damage within the last batch is a torn write that nobody was promised.
//
// The first record of a segment is a table (shard 0xFFFFFFFF): per shard the state of the log when the segment was begun.
//   shards u32 | zeros u32 | per shard: shard u32 | zeros u32 | first offset u64 | last offset u64
import { assert } from '../../src/base/assert.ts'
import { crc32c } from '../../src/base/crc32c.ts'

export const segmentHeadBytes = 24
export const recordHeadBytes = 64
export const recordMagic = 0x43524850
export const kindRecord = 1
export const kindTable = 2
export const tableShard = 0xffffffff
const segmentMagic = 0x474c4850
const version = 1

export type RecordHead = {
  bodyBytes: number
  bodyCrc: number
  shard: number
  kind: number
  batch: number
  publisher: number
  sequence: number
  offset: number
  batchStart: number
  position: number
}

/** Bytes of a record in the file, padding included. */
export function recordBytes(bodyBytes: number): number {
  return recordHeadBytes + ((bodyBytes + 7) & ~7)
}

export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.log`
}

/** The number in a segment's file name; null for other files. */
export function segmentNumber(name: string): number | null {
  const match = /^(\d{8,})\.log$/.exec(name)
  return match === null ? null : Number(match[1])
}

export function encodeSegmentHead(number: number): Uint8Array {
  const bytes = new Uint8Array(segmentHeadBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, segmentMagic, true)
  view.setUint32(4, version, true)
  setU64(view, 8, number)
  view.setUint32(16, crc32c(bytes, 0, 16), true)
  return bytes
}

/** Null where good, else what is wrong. */
export function checkSegmentHead(bytes: Uint8Array, number: number): string | null {
  if (bytes.length < segmentHeadBytes) return `file ends after ${bytes.length} bytes`
  const view = viewOf(bytes)
  if (view.getUint32(0, true) !== segmentMagic) return `magic is 0x${view.getUint32(0, true).toString(16)}`
  if (view.getUint32(16, true) !== crc32c(bytes, 0, 16)) return 'checksum of the segment head does not match'
  if (view.getUint32(4, true) !== version) return `version ${view.getUint32(4, true)} is not supported`
  return getU64(view, 8) === number ? null : `segment number is ${getU64(view, 8)}`
}

/** Writes the header at `at`; `bytes` and `view` are the same memory. */
export function encodeRecordHead(bytes: Uint8Array, view: DataView, at: number, head: RecordHead): void {
  assert(at % 8 === 0, 'record not aligned')
  view.setUint32(at + 4, recordMagic, true)
  view.setUint32(at + 8, head.bodyBytes, true)
  view.setUint32(at + 12, head.bodyCrc, true)
  view.setUint32(at + 16, head.shard, true)
  view.setUint32(at + 20, head.kind, true)
  setU64(view, at + 24, head.batch)
  setU64(view, at + 32, head.publisher)
  setU64(view, at + 40, head.sequence)
  setU64(view, at + 48, head.offset)
  view.setUint32(at + 56, head.batchStart, true)
  view.setUint32(at + 60, head.position, true)
  view.setUint32(at, crc32c(bytes, at + 4, at + recordHeadBytes), true)
}

/** Null where there is no whole, undamaged header of `position` at `at`. Says nothing about the body. */
export function decodeRecordHead(bytes: Uint8Array, view: DataView, at: number, end: number, position: number): RecordHead | null {
  if (at + recordHeadBytes > end || view.getUint32(at + 4, true) !== recordMagic || view.getUint32(at + 60, true) !== position) return null
  if (view.getUint32(at, true) !== crc32c(bytes, at + 4, at + recordHeadBytes)) return null
  return {
    bodyBytes: view.getUint32(at + 8, true),
    bodyCrc: view.getUint32(at + 12, true),
    shard: view.getUint32(at + 16, true),
    kind: view.getUint32(at + 20, true),
    batch: getU64(view, at + 24),
    publisher: getU64(view, at + 32),
    sequence: getU64(view, at + 40),
    offset: getU64(view, at + 48),
    batchStart: view.getUint32(at + 56, true),
    position,
  }
}

export type TableRow = Readonly<{ shard: number; first: number; last: number }>

export function encodeTable(rows: readonly TableRow[]): Uint8Array {
  const bytes = new Uint8Array(8 + 24 * rows.length)
  const view = viewOf(bytes)
  view.setUint32(0, rows.length, true)
  rows.forEach((row, i) => {
    view.setUint32(8 + 24 * i, row.shard, true)
    setU64(view, 16 + 24 * i, row.first)
    setU64(view, 24 + 24 * i, row.last)
  })
  return bytes
}

/** The bytes have passed their checksum; null where the length does not fit all the same. */
export function decodeTable(bytes: Uint8Array): TableRow[] | null {
  if (bytes.length < 8) return null
  const view = viewOf(bytes)
  const count = view.getUint32(0, true)
  if (bytes.length !== 8 + 24 * count) return null
  return Array.from({ length: count }, (_, i) => ({
    shard: view.getUint32(8 + 24 * i, true),
    first: getU64(view, 16 + 24 * i),
    last: getU64(view, 24 + 24 * i),
  }))
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function setU64(view: DataView, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, `${value} does not fit the log`)
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 4294967296), true)
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 4294967296
}
