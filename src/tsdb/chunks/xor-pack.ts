// XOR chunks (encoding 1) in fewer bits, for chunks that are written once: in blocks. The format is the one of src/tsdb/chunks/xor.ts; any reader of it
// takes them. What differs is when a value begins a new window of significant bits. An appender cannot know what comes and keeps a window for as long as
// values fit it; here all values are known, so that they are parted into the runs that cost least.
//
//   a run of k changed values under one window of w bits   11 + 11 bits + w for the first, 10 + w for each other: 11 + k × (2 + w) bits
import { assert } from '../../base/assert.ts'
import { staleHigh, staleLow } from '../../model/staleness.ts'
import { highHalf, putBits, putBits64, putUvarint64, putVarint64 } from './bits.ts'
import { chunkTimeMax, putWindow, trailingZeros, xorSampleBytesMax } from './xor-append.ts'

/** Longer runs are not looked for: what they would save is little. */
const runMax = 12
const windowBits = 11

/** Of every value that differs from the one before it: its difference, zeros around it, and the best way to end a run there. */
let capacity = 512
let highs = new Uint32Array(capacity)
let lows = new Uint32Array(capacity)
let leading = new Uint8Array(capacity)
let trailing = new Uint8Array(capacity)
let costs = new Int32Array(capacity + 1)
let runs = new Uint8Array(capacity + 1)
let output = new Uint8Array(4096)

/**
 * Encodes samples [from, to) of columns as one chunk: at most 65,535 samples. The staleness marker is written with its exact bits. The bytes depend on
 * the samples alone.
 *   times  Float64Array  ms, rising integers      bits  Uint32Array over the buffer of the values column
 */
export function packXor(times: Float64Array, bits: Uint32Array, from: number, to: number): Uint8Array {
  const count = to - from
  assert(count > 0 && count <= 0xffff, 'an XOR chunk holds 1 to 65535 samples')
  assert(times[to - 1]! <= chunkTimeMax && times[from]! >= -chunkTimeMax, 'time is too large for a chunk')
  reserve(count)
  planRuns(gather(bits, from, to))
  const out = output
  out[0] = count >>> 8
  out[1] = count & 0xff
  let at = putVarint64(out, 16, highHalf(times[from]!), times[from]! >>> 0)
  at = putBits64(out, at, exactHigh(bits, from), bits[from * 2]!, 64)
  let delta = 0
  let changed = 0
  /** Changed values left in the run. */
  let left = 0
  let windowLeading = 0
  let windowTrailing = 0
  for (let i = from + 1; i < to; i++) {
    const next = times[i]! - times[i - 1]!
    if (i === from + 1) at = putUvarint64(out, at, highHalf(next), next >>> 0)
    else at = putDelta(out, at, next - delta)
    delta = next
    if (bits[i * 2] === bits[i * 2 - 2] && exactHigh(bits, i) === exactHigh(bits, i - 1)) {
      at++
      continue
    }
    if (left === 0) {
      left = runs[changed]!
      windowLeading = 31
      windowTrailing = 63
      for (let k = changed; k < changed + left; k++) {
        windowLeading = Math.min(windowLeading, leading[k]!)
        windowTrailing = Math.min(windowTrailing, trailing[k]!)
      }
      const size = 64 - windowLeading - windowTrailing
      at = putBits(out, at, 0x1800 | (windowLeading << 6) | (size & 63), 13)
    } else at = putBits(out, at, 2, 2)
    at = putWindow(out, at, highs[changed]!, lows[changed]!, windowTrailing, 64 - windowLeading - windowTrailing)
    changed++
    left--
  }
  const length = (at + 7) >>> 3
  const chunk = out.slice(0, length)
  out.fill(0, 0, length)
  return chunk
}

function reserve(count: number): void {
  if (count > capacity) {
    capacity = count * 2
    highs = new Uint32Array(capacity)
    lows = new Uint32Array(capacity)
    leading = new Uint8Array(capacity)
    trailing = new Uint8Array(capacity)
    costs = new Int32Array(capacity + 1)
    runs = new Uint8Array(capacity + 1)
  }
  const need = count * xorSampleBytesMax + 2
  if (output.length < need) output = new Uint8Array(need)
}

/** Notes every changed value; returns how many there are. */
function gather(bits: Uint32Array, from: number, to: number): number {
  let n = 0
  let highBefore = exactHigh(bits, from)
  for (let i = from + 1; i < to; i++) {
    const valueHigh = exactHigh(bits, i)
    const high = (highBefore ^ valueHigh) >>> 0
    const low = (bits[i * 2 - 2]! ^ bits[i * 2]!) >>> 0
    highBefore = valueHigh
    if ((high | low) === 0) continue
    highs[n] = high
    lows[n] = low
    leading[n] = Math.min(31, Math.clz32(high))
    trailing[n] = low !== 0 ? trailingZeros(low) : 32 + trailingZeros(high)
    n++
  }
  return n
}

/** Parts n changed values into runs: `runs[i]` is the length of the run that begins at i. From the end, so that the plan is read from the start. */
function planRuns(n: number): void {
  const costOf = costs
  const lead = leading
  const trail = trailing
  costOf[n] = 0
  for (let i = n - 1; i >= 0; i--) {
    let zeros = lead[i]!
    let zerosBehind = trail[i]!
    /** Of the run so far, at its end's window: 2 + size bits a value. */
    let each = 66 - zeros - zerosBehind
    let best = windowBits + each + costOf[i + 1]!
    let run = 1
    const last = i + runMax < n ? i + runMax : n
    for (let end = i + 1; end < last; end++) {
      if (lead[end]! < zeros) zeros = lead[end]!
      if (trail[end]! < zerosBehind) zerosBehind = trail[end]!
      each = 66 - zeros - zerosBehind
      const cost = windowBits + (end + 1 - i) * each + costOf[end + 1]!
      if (cost < best) {
        best = cost
        run = end + 1 - i
      }
    }
    costOf[i] = best
    runs[i] = run
  }
}

function putDelta(bytes: Uint8Array, at: number, change: number): number {
  if (change === 0) return at + 1
  if (change >= -0x1fff && change <= 0x2000) return putBits(bytes, at, 0x8000 | (change & 0x3fff), 16)
  if (change >= -0xffff && change <= 0x10000) return putBits(bytes, at, 0xc0000 | (change & 0x1ffff), 20)
  if (change >= -0x7ffff && change <= 0x80000) return putBits(bytes, at, 0xe00000 | (change & 0xfffff), 24)
  return putBits64(bytes, putBits(bytes, at, 15, 4), highHalf(change), change >>> 0, 64)
}

/** The upper half of a value's bits; the quiet form of the staleness marker becomes the marker. */
function exactHigh(bits: Uint32Array, i: number): number {
  const high = bits[i * 2 + 1]!
  return bits[i * 2] === staleLow && (high & ~0x00080000) >>> 0 === staleHigh ? staleHigh : high
}
