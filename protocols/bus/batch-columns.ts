// How the columns of a write batch are packed: a scrape's sample takes some five bytes instead of twenty, which is less to check, to write and to keep.
//
//   runs     a column of integers as arithmetic sequences: uvarint count, varint (first − last of the run before), and varint step where count > 1.
//            The refs of a scrape are one run, for they were given out one after the other; so are its times, and those of a series in a backfill.
//   values   a tag of four bits a value, two to a byte, then what the tags call for (little-endian, whole numbers signed):
//
//     0       the bits of the value before (of 0.0 at the start)
//     1 … 5   whole number, as the difference from the value before where that is whole, too, else from 0:      1, 2, 3, 4, 6 bytes
//     6 … 10  whole number:                                                                                     1, 2, 3, 4, 6 bytes
//     11, 12  hundredths, as the difference from the value before in hundredths:                                2, 4 bytes
//     13      hundredths:                                                                                       4 bytes
//     14      thousandths:                                                                                      4 bytes
//     15      the bits:                                                                                         8 bytes
//
// Every value comes back with the same bits: what would not is written as it is.
import { unZigZag, type ByteWriter } from '../../src/base/bytes.ts'
import { PromhiveError } from '../../src/base/errors.ts'

/** Whole numbers up to here, and differences of two of them, are exact; zig-zag doubles them once more. */
const wholeMax = 2 ** 50

/**
 * Appends column[0, n) as runs. @returns false, with nothing appended, where it holds numbers that are not whole or runs would take more than
 * `bytesMax`.
 */
export function packRuns(column: Uint32Array | Float64Array, n: number, out: ByteWriter, bytesMax: number): boolean {
  const start = out.length
  let before = 0
  for (let i = 0; i < n;) {
    const first = column[i]!
    let step = 0
    let end = i + 1
    if (end < n) {
      step = column[end]! - first
      let last = column[end]!
      end++
      while (end < n && column[end]! - last === step) last = column[end++]!
      // two that belong to the next run: cheaper to leave the second one to it
      if (end === i + 2 && end < n) {
        end = i + 1
        step = 0
      }
    }
    const difference = first - before
    if (!isWhole(first) || !isWhole(step) || !isWhole(column[end - 1]!) || out.length - start > bytesMax) {
      out.length = start
      return false
    }
    out.uvarint(end - i)
    out.varint(difference)
    if (end - i > 1) out.varint(step)
    before = column[end - 1]!
    i = end
  }
  if (out.length - start <= bytesMax) return true
  out.length = start
  return false
}

function isWhole(value: number): boolean {
  return Math.trunc(value) === value && value <= wholeMax && value >= -wholeMax && !Object.is(value, -0)
}

/** Fills column[0, n) from runs in bytes[at, end). Throws PromhiveError STORAGE_CORRUPT where they are not exactly that. */
export function unpackRuns(bytes: Uint8Array, at: number, end: number, column: Uint32Array | Float64Array, n: number): void {
  const reader = { bytes, at, end }
  let before = 0
  for (let i = 0; i < n;) {
    const count = readUvarint(reader)
    let value = before + readVarint(reader)
    const step = count > 1 ? readVarint(reader) : 0
    if (count < 1 || count > n - i) throw corrupt('a run is longer than its column')
    for (const to = i + count; i < to; i++) {
      column[i] = value
      value += step
    }
    before = value - step
  }
  if (reader.at !== end) throw corrupt(`${end - reader.at} bytes behind the runs`)
}

export type VarintReader = { readonly bytes: Uint8Array; at: number; readonly end: number }

export function readUvarint(reader: VarintReader): number {
  const { bytes, end } = reader
  let value = 0
  let scale = 1
  while (reader.at < end && scale <= 2 ** 49) {
    const byte = bytes[reader.at++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
  throw corrupt('a number does not end')
}

function readVarint(reader: VarintReader): number {
  return unZigZag(readUvarint(reader))
}

const wholeBytes = [1, 2, 3, 4, 6] as const
const payloadBytes = Uint8Array.of(0, ...wholeBytes, ...wholeBytes, 2, 4, 4, 4, 8)

/** Appends the tags and what belongs to them for values[0, n). `bits` is the same memory. */
export function packValues(values: Float64Array, bits: Uint32Array, n: number, out: ByteWriter): void {
  const tagBytes = (n + 1) >> 1
  out.reserve(tagBytes + n * 8 + 8)
  const { bytes, view } = out
  const tagsAt = out.length
  bytes.fill(0, tagsAt, tagsAt + tagBytes)
  let at = tagsAt + tagBytes
  let before = 0
  let beforeWhole = 0
  let lowBefore = 0
  let highBefore = 0
  for (let i = 0; i < n; i++) {
    const low = bits[i * 2]!
    const high = bits[i * 2 + 1]!
    if (low === lowBefore && high === highBefore) continue
    lowBefore = low
    highBefore = high
    const value = values[i]!
    let tag = 15
    if (Math.floor(value) === value && value <= wholeMax && value >= -wholeMax && high !== 0x80000000) {
      let number = value - beforeWhole
      tag = 1
      if ((value < 0 ? -value : value) <= (number < 0 ? -number : number)) {
        number = value
        tag = 6
      }
      beforeWhole = value
      if (number >= -0x80 && number < 0x80) bytes[at++] = number
      else if (number >= -0x8000 && number < 0x8000) {
        view.setInt16(at, number, true)
        at += 2
        tag += 1
      } else if (number >= -0x800000 && number < 0x800000) {
        view.setInt32(at, number, true) // the fourth byte is written over
        at += 3
        tag += 2
      } else if (number >= -0x80000000 && number < 0x80000000) {
        view.setInt32(at, number, true)
        at += 4
        tag += 3
      } else if (number >= -0x800000000000 && number < 0x800000000000) {
        const upper = Math.floor(number / 0x100000000)
        view.setUint32(at, number - upper * 0x100000000, true)
        view.setInt16(at + 4, upper, true)
        at += 6
        tag += 4
      } else tag = 15
    } else {
      beforeWhole = 0
      const hundredths = Math.round(value * 100)
      if (hundredths / 100 === value && hundredths <= wholeMax && hundredths >= -wholeMax && hundredths !== 0) {
        const difference = hundredths - hundredthsOf(before)
        if (difference >= -0x8000 && difference < 0x8000) {
          view.setInt16(at, difference, true)
          at += 2
          tag = 11
        } else if (hundredths >= -0x80000000 && hundredths < 0x80000000) {
          view.setInt32(at, hundredths, true)
          at += 4
          tag = 13
        } else if (difference >= -0x80000000 && difference < 0x80000000) {
          view.setInt32(at, difference, true)
          at += 4
          tag = 12
        }
      } else {
        const thousandths = Math.round(value * 1000)
        if (thousandths / 1000 === value && thousandths !== 0 && thousandths >= -0x80000000 && thousandths < 0x80000000) {
          view.setInt32(at, thousandths, true)
          at += 4
          tag = 14
        }
      }
    }
    if (tag === 15) {
      view.setUint32(at, low, true)
      view.setUint32(at + 4, high, true)
      at += 8
    }
    before = value
    bytes[tagsAt + (i >> 1)]! |= tag << ((i & 1) << 2)
  }
  out.length = at
}

/** What a value is as hundredths; 0 for those that are too large or no numbers. */
function hundredthsOf(value: number): number {
  const hundredths = Math.round(value * 100)
  return hundredths <= wholeMax && hundredths >= -wholeMax ? hundredths : 0
}

/** Fills values[0, n) from bytes[at, end); `bits` is the same memory as `values`. Throws PromhiveError STORAGE_CORRUPT where they are not exactly that. */
export function unpackValues(bytes: Uint8Array, from: number, end: number, values: Float64Array, bits: Uint32Array, n: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tagBytes = (n + 1) >> 1
  if (from + tagBytes > end) throw corrupt('values without tags')
  let at = from + tagBytes
  let payload = 0
  for (let i = 0; i < n; i++) payload += payloadBytes[(bytes[from + (i >> 1)]! >> ((i & 1) << 2)) & 15]!
  if (at + payload !== end) throw corrupt(`values take ${payload} bytes, not ${end - at}`)
  let before = 0
  let low = 0
  let high = 0
  for (let i = 0; i < n; i++) {
    const tag = (bytes[from + (i >> 1)]! >> ((i & 1) << 2)) & 15
    if (tag === 0) {
      // as bits: a staleness marker must not pass through a number
      bits[i * 2] = low
      bits[i * 2 + 1] = high
      continue
    }
    if (tag === 15) {
      low = bits[i * 2] = view.getUint32(at, true)
      high = bits[i * 2 + 1] = view.getUint32(at + 4, true)
      at += 8
      before = values[i]!
      continue
    }
    let value: number
    if (tag <= 10) {
      const size = payloadBytes[tag]!
      if (size === 1) value = view.getInt8(at)
      else if (size === 2) value = view.getInt16(at, true)
      else if (size === 3) value = view.getUint16(at, true) + view.getInt8(at + 2) * 0x10000
      else if (size === 4) value = view.getInt32(at, true)
      else value = view.getUint32(at, true) + view.getInt16(at + 4, true) * 0x100000000
      at += size
      if (tag <= 5) value += Math.floor(before) === before && before <= wholeMax && before >= -wholeMax ? before : 0
    } else if (tag === 11) {
      value = (hundredthsOf(before) + view.getInt16(at, true)) / 100
      at += 2
    } else {
      const number = view.getInt32(at, true)
      at += 4
      value = tag === 14 ? number / 1000 : (tag === 12 ? hundredthsOf(before) + number : number) / 100
    }
    before = values[i] = value
    low = bits[i * 2]!
    high = bits[i * 2 + 1]!
  }
}

export function corrupt(why: string): PromhiveError {
  return new PromhiveError('STORAGE_CORRUPT', `cannot decode write batch: ${why}`)
}
