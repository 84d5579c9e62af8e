// Appending to open XOR chunks: explicit state in columns, so that a head with a million series keeps no object per series.
//
//   state of chunk i   counts u16 │ positions u32 (bits from the chunk's start) │ times f64 │ deltas f64 │ values u32 high, low │ windows u16 (leading << 8 | trailing)
import { assert } from '../../base/assert.ts'
import { highAt } from '../../model/staleness.ts'
import { highHalf, putBits, putBits64, putUvarint64, putVarint64 } from './bits.ts'

/** The most bytes one sample may take: 4 + 64 bits of time and 13 + 64 of value. */
export const xorSampleBytesMax = 20
/** Times lie within ± this: then their differences' differences are exact. 2^51 ms are 71,000 years. */
export const chunkTimeMax = 2 ** 51
const noWindow = 0xffff

export class XorStates {
  counts: Uint16Array
  positions: Uint32Array
  times: Float64Array
  deltas: Float64Array
  /** Two per chunk: high, low. */
  values: Uint32Array
  windows: Uint16Array
  constructor(capacity: number) {
    this.counts = new Uint16Array(capacity)
    this.positions = new Uint32Array(capacity)
    this.times = new Float64Array(capacity)
    this.deltas = new Float64Array(capacity)
    this.values = new Uint32Array(capacity * 2)
    this.windows = new Uint16Array(capacity)
  }
  /** Room for more chunks; what there is stays. */
  grow(capacity: number): void {
    const { counts, positions, times, deltas, values, windows } = this
    ;(this.counts = new Uint16Array(capacity)).set(counts)
    ;(this.positions = new Uint32Array(capacity)).set(positions)
    ;(this.times = new Float64Array(capacity)).set(times)
    ;(this.deltas = new Float64Array(capacity)).set(deltas)
    ;(this.values = new Uint32Array(capacity * 2)).set(values)
    ;(this.windows = new Uint16Array(capacity)).set(windows)
  }
  /** Starts chunk i anew. */
  clear(i: number): void {
    this.counts[i] = 0
    this.positions[i] = 0
    this.times[i] = 0
    this.deltas[i] = 0
    this.values[i * 2] = 0
    this.values[i * 2 + 1] = 0
    this.windows[i] = noWindow
  }
  /** Bytes of chunk i, header included. */
  byteLength(i: number): number {
    return Math.max(2, (this.positions[i]! + 7) >>> 3)
  }
}

/**
 * Appends the sample at `index` of columns to chunk i, which lies in `bytes` from `base` on: zeroed ahead, with room for xorSampleBytesMax more (2 more at the first).
 * The header's count is kept up to date. Bit-exact with Prometheus' appender; the staleness marker gets its exact bits.
 * @param times ms, integers within ±chunkTimeMax. @param bits two per value, low half first.
 */
export function appendXor(
  states: XorStates,
  i: number,
  bytes: Uint8Array,
  base: number,
  times: Float64Array,
  bits: Uint32Array,
  index: number,
): void {
  const count = states.counts[i]!
  const time = times[index]!
  assert(count < 0xffff, 'XOR chunk is full')
  assert(time <= chunkTimeMax && time >= -chunkTimeMax, 'time is too large for a chunk')
  const valueHigh = highAt(bits, index)
  const low = bits[index * 2]!
  const start = base * 8
  let at = start + states.positions[i]!
  if (count > 1) {
    const delta = time - states.times[i]!
    const change = delta - states.deltas[i]!
    if (change === 0) at++
    else if (change >= -0x1fff && change <= 0x2000) at = putBits(bytes, at, 0x8000 | (change & 0x3fff), 16)
    else if (change >= -0xffff && change <= 0x10000) at = putBits(bytes, at, 0xc0000 | (change & 0x1ffff), 20)
    else if (change >= -0x7ffff && change <= 0x80000) at = putBits(bytes, at, 0xe00000 | (change & 0xfffff), 24)
    else at = putBits64(bytes, putBits(bytes, at, 15, 4), highHalf(change), change >>> 0, 64)
    states.deltas[i] = delta
  } else if (count === 0) {
    at = putVarint64(bytes, start + 16, highHalf(time), time >>> 0)
    at = putBits64(bytes, at, valueHigh, low, 64)
  } else {
    const delta = time - states.times[i]!
    at = putUvarint64(bytes, at, highHalf(delta), delta >>> 0)
    states.deltas[i] = delta
  }
  if (count > 0) {
    const changeHigh = states.values[i * 2]! ^ valueHigh
    const changeLow = states.values[i * 2 + 1]! ^ low
    if ((changeHigh | changeLow) === 0) at++
    else {
      const leading = Math.min(31, Math.clz32(changeHigh))
      const trailing = changeLow !== 0 ? trailingZeros(changeLow) : 32 + trailingZeros(changeHigh)
      const window = states.windows[i]!
      const windowLeading = window >>> 8
      const windowTrailing = window & 0xff
      if (window !== noWindow && leading >= windowLeading && trailing >= windowTrailing) {
        at = putBits(bytes, at, 2, 2)
        at = putWindow(bytes, at, changeHigh, changeLow, windowTrailing, 64 - windowLeading - windowTrailing)
      } else {
        const size = 64 - leading - trailing
        at = putBits(bytes, at, 0x1800 | (leading << 6) | (size & 63), 13)
        at = putWindow(bytes, at, changeHigh, changeLow, trailing, size)
        states.windows[i] = (leading << 8) | trailing
      }
    }
  }
  states.positions[i] = at - start
  states.times[i] = time
  states.values[i * 2] = valueHigh
  states.values[i * 2 + 1] = low
  const next = count + 1
  states.counts[i] = next
  bytes[base] = next >>> 8
  bytes[base + 1] = next & 0xff
}

/** `size` bits of (high, low) >> trailing. */
export function putWindow(bytes: Uint8Array, at: number, high: number, low: number, trailing: number, size: number): number {
  if (trailing === 0) return putBits64(bytes, at, high, low, size)
  if (trailing >= 32) return putBits(bytes, at, high >>> (trailing - 32), size)
  return putBits64(bytes, at, high >>> trailing, (low >>> trailing) | (high << (32 - trailing)), size)
}

/** Of a non-zero 32-bit number. */
export function trailingZeros(value: number): number {
  return 31 - Math.clz32(value & -value)
}
