// Snappy block format, as remote write and remote read use it: no framing, no checksum.
//
//   ┌ uncompressed length <uvarint, 32 bits> │ element … ┐
//   element: tag byte, low 2 bits its kind
//     00 literal   length−1 in the upper 6 bits; 60..63: in the next 1..4 bytes (little-endian); then the bytes
//     01 copy      length 4..11 in bits 2..4, offset 11 bits: bits 5..7 and the next byte
//     10 copy      length 1..64 in the upper 6 bits, offset in the next 2 bytes
//     11 copy      the same with 4 bytes
//
// Source: google/snappy format_description.txt. snappyjs allocates every answer, so both directions are our own;
// test/unit/remote/snappy.test.ts compares them with it.
import { PromhiveError } from '../../src/base/errors.ts'

/** Bytes after the length prefix that one output byte needs at least: a 3-byte copy makes 64. Claims beyond that are lies. */
const outputPerInputMax = 64 / 3

/**
 * The length the block claims to have, checked against the limit and against what its size can hold, so that nothing is allocated for a lie.
 * @returns length: bytes after decoding; body: offset of the first element. Throws PromhiveError DECODE, or TOO_LARGE over `bytesMax`.
 */
export function snappyLength(block: Uint8Array, bytesMax: number): { length: number; body: number } {
  let length = 0
  let scale = 1
  let at = 0
  for (;;) {
    if (at === block.length) throw corrupt(`ends inside its length, after ${at} bytes`)
    const byte = block[at++]!
    length += (byte & 0x7f) * scale
    if (byte < 0x80) break
    scale *= 128
    if (at === 5) throw corrupt('length is more than 32 bits')
  }
  if (length > 0xffffffff) throw corrupt('length is more than 32 bits')
  if (length > bytesMax) {
    throw new PromhiveError('TOO_LARGE', `snappy: decoded length ${length} exceeds limit ${bytesMax}`, { length, bytesMax })
  }
  if (length > (block.length - at) * outputPerInputMax) {
    throw corrupt(`claims ${length} bytes, which ${block.length - at} bytes cannot hold`)
  }
  return { length, body: at }
}

/** Bytes that `out` should have behind the claimed length, so that eight of them can be copied at a time up to the end. */
export const decodeSlackBytes = 7

/**
 * Decodes a block into `out` from offset 0; `out` must hold the claimed length and must not share memory with `block`. Bytes of `out` behind
 * the length may be overwritten.
 * @returns the number of bytes written, always the claimed length. Throws PromhiveError DECODE where the block is corrupt.
 */
export function decodeSnappy(block: Uint8Array, body: number, length: number, out: Uint8Array): number {
  const end = block.length
  const from = new DataView(block.buffer, block.byteOffset, end)
  const to = new DataView(out.buffer, out.byteOffset, out.length)
  const wideSource = end - decodeSlackBytes // eight bytes may be read up to here …
  const wideTarget = out.length - decodeSlackBytes // … and written up to here
  let s = body
  let d = 0
  while (s < end) {
    const tag = block[s++]!
    const kind = tag & 3
    let count: number
    let offset: number
    if (kind === 2) {
      if (s + 2 > end) throw corrupt(`ends inside a copy at offset ${s}`)
      count = (tag >>> 2) + 1
      offset = from.getUint16(s, true)
      s += 2
    } else if (kind === 0) {
      count = tag >>> 2
      if (count >= 60) {
        const extra = count - 59
        if (s + extra > end) throw corrupt(`ends inside a literal's length at offset ${s}`)
        count = 0
        for (let k = 0; k < extra; k++) count += block[s + k]! * 2 ** (8 * k)
        s += extra
      }
      count++
      if (count > end - s || count > length - d) {
        throw corrupt(`literal of ${count} bytes at offset ${s}: ${end - s} left, room for ${length - d}`)
      }
      if (count > 64) out.set(block.subarray(s, s + count), d)
      else if (s + count <= wideSource && d + count <= wideTarget) {
        for (let k = 0; k < count; k += 8) to.setBigInt64(d + k, from.getBigInt64(s + k, true), true)
      } else for (let k = 0; k < count; k++) out[d + k] = block[s + k]!
      s += count
      d += count
      continue
    } else if (kind === 1) {
      if (s >= end) throw corrupt(`ends inside a copy at offset ${s}`)
      count = ((tag >>> 2) & 7) + 4
      offset = ((tag >>> 5) << 8) | block[s++]!
    } else {
      if (s + 4 > end) throw corrupt(`ends inside a copy at offset ${s}`)
      count = (tag >>> 2) + 1
      offset = from.getUint32(s, true)
      s += 4
    }
    if (offset === 0 || offset > d || count > length - d) {
      throw corrupt(`copy of ${count} bytes from ${offset} back at offset ${s}: ${d} bytes so far, room for ${length - d}`)
    }
    // what a word repeats must have been written: where the offset is shorter, only so many bytes of each are good, and the next word begins there
    if (d + count <= wideTarget) {
      const step = Math.min(offset, 8)
      for (let k = 0; k < count; k += step) to.setBigInt64(d + k, to.getBigInt64(d - offset + k, true), true)
    } else for (let k = 0; k < count; k++) out[d + k] = out[d - offset + k]!
    d += count
  }
  if (d !== length) throw corrupt(`holds ${d} bytes and claims ${length}`)
  return d
}

/** Decodes a whole block into memory of its own. */
export function unsnappy(block: Uint8Array, bytesMax: number): Uint8Array {
  const { length, body } = snappyLength(block, bytesMax)
  const out = new Uint8Array(length + decodeSlackBytes)
  decodeSnappy(block, body, length, out)
  return out.subarray(0, length)
}

function corrupt(why: string): PromhiveError {
  return new PromhiveError('DECODE', `snappy: corrupt input: block ${why}`)
}

const fragmentBytes = 65_536
const tableBits = 14
const table = new Uint16Array(1 << tableBits)

/**
 * Encodes as the reference encoder does: fragments of 64 KiB, greedy matches through a table of 4-byte hashes. O(n); the answer owns its memory.
 */
export function encodeSnappy(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(32 + bytes.length + Math.ceil(bytes.length / 6))
  let d = 0
  let n = bytes.length
  while (n >= 0x80) {
    out[d++] = (n & 0x7f) | 0x80
    n = Math.floor(n / 128)
  }
  out[d++] = n
  for (let from = 0; from < bytes.length; from += fragmentBytes) {
    d = encodeFragment(bytes, from, Math.min(bytes.length, from + fragmentBytes), out, d)
  }
  return out.subarray(0, d)
}

function encodeFragment(src: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  if (to - from < 17) return putLiteral(src, from, to, out, at)
  table.fill(0)
  let d = at
  let literal = from
  let s = from + 1
  const last = to - 15 // so that 4-byte loads and the next probe stay inside
  let skip = 32
  while (s <= last) {
    const word = load(src, s)
    const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - tableBits)
    const candidate = from + table[slot]!
    table[slot] = s - from
    if (candidate >= s || load(src, candidate) !== word) {
      s += skip++ >>> 5 // the longer nothing matches, the larger the steps
      continue
    }
    d = putLiteral(src, literal, s, out, d)
    let length = 4
    while (s + length < to && src[s + length] === src[candidate + length]) length++
    d = putCopy(s - candidate, length, out, d)
    s += length
    literal = s
    skip = 32
    if (s <= last) table[Math.imul(load(src, s - 1), 0x1e35a7bd) >>> (32 - tableBits)] = s - 1 - from
  }
  return putLiteral(src, literal, to, out, d)
}

function load(src: Uint8Array, i: number): number {
  return src[i]! | (src[i + 1]! << 8) | (src[i + 2]! << 16) | (src[i + 3]! << 24)
}

function putLiteral(src: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  const n = to - from - 1
  let d = at
  if (n < 0) return d
  if (n < 60) out[d++] = n << 2
  else if (n < 256) {
    out[d++] = 60 << 2
    out[d++] = n
  } else {
    out[d++] = 61 << 2
    out[d++] = n & 0xff
    out[d++] = n >>> 8
  }
  out.set(src.subarray(from, to), d)
  return d + n + 1
}

function putCopy(offset: number, length: number, out: Uint8Array, at: number): number {
  let d = at
  let left = length
  while (left > 0) {
    // never leave a rest below 4: the short form cannot say it
    const n = left > 68 ? 64 : left > 64 ? left - 4 : left
    if (n >= 4 && n < 12 && offset < 2048) {
      out[d++] = ((offset >>> 8) << 5) | ((n - 4) << 2) | 1
      out[d++] = offset & 0xff
    } else {
      out[d++] = ((n - 1) << 2) | 2
      out[d++] = offset & 0xff
      out[d++] = offset >>> 8
    }
    left -= n
  }
  return d
}
