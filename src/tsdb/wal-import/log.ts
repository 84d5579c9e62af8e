// Records of a Prometheus write-ahead log: wal/, its checkpoints, and wbl/. Source: prometheus tsdb/docs/format/wal.md, tsdb/wlog.
//
//   segment   pages of 32 KiB, each ┌ fragments … │ 0 up to the page's end ┐
//   fragment  ┌ type <3 bits>, 8 snappy, 16 zstd <u8> │ length <u16 BE> │ CRC32C <u32 BE> │ data ┐   types: 1 whole, 2 first, 3 middle, 4 last
//
// A record is compressed as a whole, and never lies across segments.
import { crc32c } from '../../base/crc32c.ts'
import { messageOf, type PromhiveError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Disk } from '../../ports/disk.ts'
import { corrupt } from '../block/corrupt.ts'

const pageBytes = 32 << 10
const headerBytes = 7
const fragment = { end: 0, whole: 1, first: 2, middle: 3, last: 4 } as const
const snappyFlag = 8
const zstdFlag = 16

/** Whole-buffer decompression, bounded; throws where the input is broken or longer than `bytesMax` when decompressed. */
export interface Decompressors {
  snappy(bytes: Uint8Array, bytesMax: number): Uint8Array
  zstd(bytes: Uint8Array, bytesMax: number): Uint8Array
}

/** Where the log could not be read on, and why: a crash leaves a torn end. Everything before it was read. */
export type LogDamage = PromhiveError

/** Segment files of a directory, by number. */
export function segmentPaths(disk: Disk, directory: string, from = 0): string[] {
  const names = disk.list(directory).filter((name) => /^\d+$/.test(name) && Number(name) >= from)
  return names.sort((a, b) => Number(a) - Number(b)).map((name) => `${directory}/${name}`)
}

/** Segments to read for the present state: those of the last checkpoint, then those behind it. */
export function logSegments(disk: Disk, directory: string): string[] {
  const checkpoints = disk.list(directory).flatMap((name) => (/^checkpoint\.\d+$/.test(name) ? [Number(name.slice(11))] : []))
  if (checkpoints.length === 0) return segmentPaths(disk, directory)
  const last = Math.max(...checkpoints)
  const name = disk.list(directory).find((entry) => /^checkpoint\.\d+$/.test(entry) && Number(entry.slice(11)) === last)!
  return [...segmentPaths(disk, `${directory}/${name}`), ...segmentPaths(disk, directory, last + 1)]
}

/**
 * Null, or that a segment of a checkpoint was cut off: those are closed before they get their name, and closing fills up the last page. What is left of it
 * is read as it is, and the log behind it, as Prometheus does.
 */
export function checkpointCut(disk: Disk, path: string): LogDamage | null {
  const { sizeBytes } = disk.stat(path)
  if (sizeBytes % pageBytes === 0 || !/\/checkpoint\.\d+\/\d+$/.test(path)) return null
  return corrupt(path, sizeBytes, 'a segment of a checkpoint ends within a page')
}

/** Good until the next record is asked for. `offset` is where its last fragment begins. */
export type LogEntry = Readonly<{ path: string; offset: number; bytes: Uint8Array }>

/**
 * All records of the segments.
 * @returns what stopped it before the end, or null. A segment with nothing after its last whole record is not damaged.
 */
export function* readLog(disk: Disk, segments: readonly string[], decompress: Decompressors): Generator<LogEntry, LogDamage | null> {
  for (const path of segments) {
    const damage = yield* readSegment(path, disk.read(path), decompress)
    if (damage !== null) return damage
  }
  return null
}

function* readSegment(path: string, bytes: Uint8Array, decompress: Decompressors): Generator<LogEntry, LogDamage | null> {
  let parts: Uint8Array[] = []
  let partBytes = 0
  let at = 0
  while (at < bytes.length) {
    const start = at
    const head = bytes[at]!
    const type = head & 7
    if (type === fragment.end) {
      const pageEnd = Math.min(bytes.length, (Math.floor(at / pageBytes) + 1) * pageBytes)
      for (let i = at; i < pageEnd; i++) if (bytes[i] !== 0) return corrupt(path, i, 'a byte in the padding of a page is not zero')
      at = pageEnd
      continue
    }
    if (at + headerBytes > bytes.length) return corrupt(path, start, 'the segment ends within a record header')
    const length = (bytes[at + 1]! << 8) | bytes[at + 2]!
    const stored = ((bytes[at + 3]! << 24) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!) >>> 0
    at += headerBytes
    if (length > pageBytes - headerBytes) return corrupt(path, start, `a fragment of ${length} bytes`)
    if (at + length > bytes.length) return corrupt(path, start, 'the segment ends within a record')
    if (crc32c(bytes, at, at + length) !== stored) return corrupt(path, start, 'checksum of the record does not match')
    const begins = type === fragment.whole || type === fragment.first
    if (type > fragment.last || begins !== (parts.length === 0)) return corrupt(path, start, `a fragment of type ${type} out of place`)
    parts.push(bytes.subarray(at, at + length))
    partBytes += length
    at += length
    if (partBytes > limits.remoteWriteDecompressedBytesMax) return corrupt(path, start, `a record of more than ${partBytes} bytes`)
    if (type === fragment.first || type === fragment.middle) continue
    let record: Uint8Array
    try {
      record = unpack(parts, partBytes, head, decompress)
    } catch (thrown) {
      return corrupt(path, start, messageOf(thrown), thrown)
    }
    parts = []
    partBytes = 0
    yield { path, offset: start, bytes: record }
  }
  return parts.length === 0 ? null : corrupt(path, at, 'the last record is torn')
}

function unpack(parts: readonly Uint8Array[], length: number, head: number, decompress: Decompressors): Uint8Array {
  let whole = parts[0]!
  if (parts.length > 1) {
    whole = new Uint8Array(length)
    let at = 0
    for (const part of parts) {
      whole.set(part, at)
      at += part.length
    }
  }
  if ((head & snappyFlag) !== 0) return decompress.snappy(whole, limits.remoteWriteDecompressedBytesMax)
  return (head & zstdFlag) !== 0 ? decompress.zstd(whole, limits.remoteWriteDecompressedBytesMax) : whole
}
