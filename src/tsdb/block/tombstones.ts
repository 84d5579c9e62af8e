// The tombstones file of a block: what was deleted and not yet compacted away. Source: prometheus tsdb/tombstones/tombstones.go.
//
//   ┌ magic 0x0130BA30 <u32> │ version 1 <u8> │ (series <uvarint> │ first ms <varint> │ last ms <varint>) … │ CRC <u32> ┐
//
// The CRC covers the entries alone. Times run over all of int64: no bound is ±2^63.
import { ByteWriter } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { Disk } from '../../ports/disk.ts'
import { BitReader, putVarint64 } from '../chunks/bits.ts'
import { corrupt } from './corrupt.ts'
import { type Interval, withInterval } from './intervals.ts'

const magic = 0x0130ba30
const headerBytes = 5
export const tombstonesFile = 'tombstones'

/** Deleted intervals by series reference. */
export class Tombstones {
  readonly #bySeries = new Map<number, readonly Interval[]>()
  add(series: number, interval: Interval): void {
    this.#bySeries.set(series, withInterval(this.of(series), interval))
  }
  /** Sorted and apart; the same empty array where there are none. */
  of(series: number): readonly Interval[] {
    return this.#bySeries.get(series) ?? none
  }
  copy(): Tombstones {
    const out = new Tombstones()
    for (const [series, intervals] of this.#bySeries) out.#bySeries.set(series, intervals)
    return out
  }
  /** Number of intervals. */
  get count(): number {
    let count = 0
    for (const intervals of this.#bySeries.values()) count += intervals.length
    return count
  }
  /** In order of series. */
  entries(): [series: number, intervals: readonly Interval[]][] {
    return [...this.#bySeries].sort(([a], [b]) => a - b)
  }
}
const none: readonly Interval[] = []

export function encodeTombstones(tombstones: Tombstones): Uint8Array {
  const out = new ByteWriter()
  out.u32be(magic)
  out.u8(1)
  for (const [series, intervals] of tombstones.entries()) {
    for (const { minTime, maxTime } of intervals) {
      out.uvarint(series)
      putTime(out, minTime)
      putTime(out, maxTime)
    }
  }
  out.u32be(crc32c(out.written(), headerBytes))
  return out.written()
}

/** Replaces the file of the block atomically and makes it durable. */
export function writeTombstones(disk: Disk, block: string, tombstones: Tombstones): void {
  const path = `${block}/${tombstonesFile}`
  disk.write(`${path}.tmp`, encodeTombstones(tombstones))
  const file = disk.open(`${path}.tmp`, 'append')
  file.syncNow()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(block)
}

/** Empty where the block has no such file. Throws STORAGE_CORRUPT. */
export function readTombstones(disk: Disk, block: string): Tombstones {
  const path = `${block}/${tombstonesFile}`
  const out = new Tombstones()
  if (!disk.exists(path)) return out
  const bytes = disk.read(path)
  const end = bytes.length - 4
  if (end < headerBytes) throw corrupt(path, 0, `the file has ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0) !== magic) throw corrupt(path, 0, `magic is 0x${view.getUint32(0).toString(16)}`)
  if (bytes[4] !== 1) throw corrupt(path, 4, `tombstones version ${bytes[4]} is not supported`)
  if (view.getUint32(end) !== crc32c(bytes, headerBytes, end)) throw corrupt(path, headerBytes, 'checksum of the tombstones does not match')
  const reader = new BitReader()
  reader.reset(bytes.subarray(0, end), headerBytes)
  try {
    while (reader.position < reader.end) {
      reader.uvarint64()
      const series = reader.unsigned()
      out.add(series, { minTime: readTime(reader), maxTime: readTime(reader) })
    }
  } catch (thrown) {
    throw corrupt(path, reader.position >>> 3, 'the last tombstone is cut short', thrown)
  }
  return out
}

function readTime(reader: BitReader): number {
  reader.varint64()
  const value = reader.high * 4294967296 + (reader.low >>> 0)
  return value > Number.MAX_SAFE_INTEGER ? Infinity : value < Number.MIN_SAFE_INTEGER ? -Infinity : value
}

function putTime(out: ByteWriter, time: number): void {
  if (Number.isSafeInteger(time)) return out.varint(time)
  const bytes = new Uint8Array(10)
  const bits = time > 0 ? putVarint64(bytes, 0, 0x7fffffff, 0xffffffff) : putVarint64(bytes, 0, 0x80000000 | 0, 0)
  out.raw(bytes.subarray(0, bits >>> 3))
}
