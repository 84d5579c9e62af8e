// XOR chunks (encoding 1): Gorilla compression of float samples with millisecond times. Source: prometheus tsdb/docs/format/chunks.md, chunkenc/xor.go.
//
//   ┌ samples <u16 BE> │ t0 <varint> │ v0 <f64 BE> │ Δt1 <uvarint> │ v1 <xor> │ ΔΔt2 <varbit> │ v2 <xor> │ … │ zero bits up to a whole byte ┐
//
//   ΔΔt   0  none     10 + 14 bits     110 + 17     1110 + 20     1111 + 64
//   xor   0  same value     10 + bits within the window before     11 + leading zeros <5> + bit count <6> (0 = 64) + bits
import { PromhiveError } from '../../base/errors.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { appendXor, chunkTimeMax, XorStates, xorSampleBytesMax } from './xor-append.ts'

/** Chunks are copied here before decoding, so that the loop may look past their end without a check: one sample has 145 bits at most. */
let scratch = new Uint8Array(4096)
let scratchView = new DataView(scratch.buffer)
const lookAheadBytes = 32

function intoScratch(chunk: Uint8Array): void {
  if (chunk.length + lookAheadBytes > scratch.length) {
    scratch = new Uint8Array(chunk.length * 2 + lookAheadBytes)
    scratchView = new DataView(scratch.buffer)
  }
  scratch.set(chunk)
  scratch.fill(0, chunk.length, chunk.length + lookAheadBytes)
}

/** Times within ±2^51 take 8 bytes at most. */
const timeBytesMax = 8

/** Samples in a chunk of any encoding but the two histogram ones with start times (5, 6). */
export function chunkSampleCount(chunk: Uint8Array): number {
  if (chunk.length < 2) throw new PromhiveError('DECODE', `cannot decode chunk: it has ${chunk.length} bytes`)
  return (chunk[0]! << 8) | chunk[1]!
}

/**
 * Appends the samples of a chunk with times in [startMs, endMs] to `into`. Stops at the first sample behind endMs.
 * Throws PromhiveError DECODE where the chunk ends early or holds a time beyond ±2^51. `into` then keeps what it had.
 * @param chunk the data alone: no length, encoding byte or checksum.
 */
export function decodeXor(chunk: Uint8Array, startMs: number, endMs: number, into: SampleColumns): void {
  const count = chunkSampleCount(chunk)
  if (count === 0) return
  into.reserve(count)
  const lengthBefore = into.length
  const { times, bits } = into
  let n = lengthBefore

  const end = chunk.length * 8
  intoScratch(chunk)
  const bytes = scratch
  const view = scratchView
  // the first sample and the first delta lie on whole bytes
  let at = 2
  let zigzag = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++]!
    zigzag += (byte & 0x7f) * scale
    if (byte < 128) break
    if (at === 2 + timeBytesMax) throw broken('the first time is out of range')
  }
  const half = Math.floor(zigzag / 2)
  let time = zigzag === half * 2 ? half : -half - 1
  let high = view.getInt32(at)
  let low = view.getInt32(at + 4)
  at += 8
  let position = at * 8
  if (position > end) throw broken(`sample 0 of ${count} ends at bit ${position} of ${end}`)
  times[n] = time
  bits[n * 2] = low
  bits[n * 2 + 1] = high
  if (time > endMs) return
  if (time >= startMs) n++
  let delta = 0
  // the window of significant bits; 0 and 0 until the first one is read, as upstream's reader starts
  let leading = 0
  let trailing = 0

  samples: for (let i = 1; i < count; i++) {
    // the next bits, at the top: 25 of them are good, of which the times' part takes 24 at most where the value's part (13) is not read anew
    let window: number
    if (i === 1) {
      const from = at
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++]!
        delta += (byte & 0x7f) * scale
        if (byte < 128) break
        if (at === from + timeBytesMax) throw broken('the second time is out of range')
      }
      position = at * 8
      window = view.getInt32(position >>> 3) << (position & 7)
    } else {
      window = view.getInt32(position >>> 3) << (position & 7)
      if (window >>> 30 === 0) {
        // a steady series: two bits a sample, and as many samples at once as the window shows
        const last = Math.min(count, i + Math.min(12, Math.clz32(window) >>> 1))
        position += (last - i) * 2
        if (position > end) throw broken(`sample ${last - 1} of ${count} ends at bit ${position} of ${end}`)
        for (; i < last; i++) {
          time += delta
          if (time > endMs) break samples
          times[n] = time
          bits[n * 2] = low
          bits[n * 2 + 1] = high
          if (time >= startMs) n++
        }
        i--
        continue
      }
      if (window >= 0) {
        position++
        window <<= 1
      } else {
        if ((window & 0x40000000) === 0) {
          const raw = (window << 2) >>> 18
          delta += raw > 0x2000 ? raw - 0x4000 : raw
          position += 16
        } else if ((window & 0x20000000) === 0) {
          const raw = (window << 3) >>> 15
          delta += raw > 0x10000 ? raw - 0x20000 : raw
          position += 20
        } else if ((window & 0x10000000) === 0) {
          const raw = (window << 4) >>> 12
          delta += raw > 0x80000 ? raw - 0x100000 : raw
          position += 24
        } else {
          position += 4
          at = position >>> 3
          const shift = position & 7
          const upper = (view.getInt32(at) << shift) | (bytes[at + 4]! >>> (8 - shift))
          const lower = (view.getInt32(at + 4) << shift) | (bytes[at + 8]! >>> (8 - shift))
          delta += upper * 4294967296 + (lower >>> 0)
          position += 64
        }
        window = view.getInt32(position >>> 3) << (position & 7)
      }
    }
    time += delta

    if (window >= 0) position++
    else {
      let size: number
      if ((window & 0x40000000) === 0) {
        position += 2
        size = 64 - leading - trailing
      } else {
        leading = (window >>> 25) & 31
        size = (window >>> 19) & 63
        if (size === 0) size = 64
        trailing = 64 - leading - size
        if (trailing < 0) throw broken(`value ${i} has ${leading} leading zeros and ${size} bits`)
        position += 13
      }
      at = position >>> 3
      const shift = position & 7
      let first = view.getInt32(at) << shift
      if (size > 25) first |= bytes[at + 4]! >>> (8 - shift)
      if (size <= 32) {
        const part = first >>> (32 - size)
        if (trailing >= 32) high ^= part << (trailing - 32)
        else {
          low ^= part << trailing
          if (trailing > 0) high ^= part >>> (32 - trailing)
        }
      } else {
        const second = (view.getInt32(at + 4) << shift) | (bytes[at + 8]! >>> (8 - shift))
        // the bits as a 64-bit number starting at its top, moved right by the leading zeros: what is below them is cut by the window's end
        const upper = leading === 0 ? first : first >>> leading
        let lower = leading === 0 ? second : (second >>> leading) | (first << (32 - leading))
        if (trailing > 0) lower = (lower >>> trailing) << trailing
        high ^= upper
        low ^= lower
      }
      position += size
    }
    if (position > end) throw broken(`sample ${i} of ${count} ends at bit ${position} of ${end}`)
    if (time > endMs) break
    times[n] = time
    bits[n * 2] = low
    bits[n * 2 + 1] = high
    if (time >= startMs) n++
  }
  if (time > chunkTimeMax || time < -chunkTimeMax || delta > 2 * chunkTimeMax || delta < -2 * chunkTimeMax)
    throw broken(`time ${time} is out of range`)
  into.length = n
  if (into.histograms !== null) for (let i = lengthBefore; i < n; i++) into.histograms[i] = null
  if (into.startTimes !== null) into.startTimes.fill(0, lengthBefore, n)
}

function broken(why: string): PromhiveError {
  return new PromhiveError('DECODE', `cannot decode XOR chunk: ${why}`)
}

const encoding = new XorStates(1)
let output = new Uint8Array(4096)

/**
 * Encodes samples [from, to) of columns as one chunk: at most 65,535 samples. The staleness marker is written with its exact bits.
 *   times  Float64Array  ms, integers      bits  Uint32Array over the buffer of the values column
 */
export function encodeXor(times: Float64Array, bits: Uint32Array, from: number, to: number): Uint8Array {
  const need = (to - from) * xorSampleBytesMax + 2
  if (output.length < need) output = new Uint8Array(need)
  encoding.clear(0)
  for (let i = from; i < to; i++) appendXor(encoding, 0, output, 0, times, bits, i)
  const length = encoding.byteLength(0)
  const chunk = output.slice(0, length)
  output.fill(0, 0, length)
  return chunk
}
