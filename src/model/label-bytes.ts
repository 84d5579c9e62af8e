// Canonical label bytes: a label set as one byte string, equal exactly where the label sets are equal.
//
//   ┌ name length <uvarint> │ name <UTF-8> │ value length <uvarint> │ value <UTF-8> ┐ … per label, in byte order of the names
//
// Series are announced to the storage in this form, found by a hash of it, and placed on a shard by a hash of it, so that neither scraping
// nor remote write needs a JavaScript string for a series it has seen before.
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { PromhiveError } from '../base/errors.ts'
import type { Labels } from './labels.ts'

/** Appends the canonical bytes of a label set. */
export function encodeLabels(labels: Labels, into: ByteWriter): void {
  for (const part of labels) into.text(part)
}

export function labelBytes(labels: Labels): Uint8Array {
  const writer = new ByteWriter(labels.length * 16)
  encodeLabels(labels, writer)
  return writer.written()
}

/** Throws PromhiveError DECODE where the bytes are not canonical label bytes within the limits. */
export function decodeLabels(bytes: Uint8Array): Labels {
  if (bytes.length > limits.labelBytesPerSeriesMax) {
    throw new PromhiveError('DECODE', `cannot decode labels: ${bytes.length} bytes, limit ${limits.labelBytesPerSeriesMax}`)
  }
  const reader = new ByteReader(bytes)
  const out: string[] = []
  while (reader.remaining() > 0) out.push(reader.text())
  if (out.length % 2 !== 0) throw new PromhiveError('DECODE', 'cannot decode labels: a name without a value')
  return out
}

/**
 * MurmurHash3 (x86, 32 bits) of bytes[start, end). Source: Austin Appleby's public-domain MurmurHash3.
 * @returns an unsigned 32-bit number.
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let h = seed | 0
  let i = start
  for (const last = end - 4; i <= last; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    k = Math.imul(k, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let k = 0
  for (let shift = 0; i < end; i++, shift += 8) k |= bytes[i]! << shift
  k = Math.imul(k, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, 0x1b873593)
  h ^= end - start
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/**
 * The hash that places a series on a shard: over all labels but `le` and `quantile`, so that a classic histogram or summary never straddles shards.
 * The bytes must be canonical.
 */
export function placementHash(bytes: Uint8Array): number {
  let h = 0
  let i = 0
  while (i < bytes.length) {
    const labelStart = i
    let length = bytes[i++]!
    if (length >= 0x80) {
      const more = readUvarintTail(bytes, i, length)
      length = more.value
      i = more.position
    }
    const nameStart = i
    const skip =
      (length === 2 && bytes[nameStart] === 0x6c && bytes[nameStart + 1] === 0x65) || (length === 8 && isQuantile(bytes, nameStart))
    i += length
    length = bytes[i++]!
    if (length >= 0x80) {
      const more = readUvarintTail(bytes, i, length)
      length = more.value
      i = more.position
    }
    i += length
    if (!skip) h = hashBytes(bytes, labelStart, i, h)
  }
  return h
}

function isQuantile(bytes: Uint8Array, at: number): boolean {
  for (let k = 0; k < 8; k++) if (bytes[at + k] !== quantile.charCodeAt(k)) return false
  return true
}
const quantile = 'quantile'

/** The rest of a uvarint whose first byte said there is more. */
function readUvarintTail(bytes: Uint8Array, at: number, first: number): { value: number; position: number } {
  let value = first & 0x7f
  let scale = 128
  let position = at
  for (;;) {
    const byte = bytes[position++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80 || position >= bytes.length) return { value, position }
    scale *= 128
  }
}

/** Where the label that starts at `at` ends. */
export function labelEnd(bytes: Uint8Array, at: number): number {
  let i = at
  for (let part = 0; part < 2; part++) {
    let length = 0
    let scale = 1
    for (;;) {
      const byte = bytes[i++]!
      length += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 128
    }
    i += length
  }
  return i
}
