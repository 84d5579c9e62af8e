// XOR2 chunks (encoding 4): XOR with one prefix for time and value, staleness markers in a few bits, and optional start times.
// Source: prometheus tsdb/docs/format/chunks.md, chunkenc/xor2.go.
//
//   ┌ samples <u16 BE> │ start time header <u8> │ t0 <varint> │ v0 <f64 BE> │ Δt1 <uvarint> │ v1 <value> │ samples … ┐
//
//   sample   0 as before   10 ΔΔt = 0, changed value   110 ΔΔt <13>, value   1110 ΔΔt <20>, value   11110 ΔΔt <64>, value   11111 ΔΔt = 0, stale
//   value    0 as before   10 window as before   110 new window   111 stale          changed value   0 window as before   1 new window
import { PromhiveError } from '../../base/errors.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { isStaleAt, staleHigh, staleLow } from '../../model/staleness.ts'
import { BitReader, BitWriter, highHalf } from './bits.ts'
import { StartTimes, StartTimesWriter } from './start-times.ts'
import { chunkTimeMax, putWindow, trailingZeros } from './xor-append.ts'
import { readWindow, readWithin } from './xor-values.ts'
import { chunkSampleCount } from './xor.ts'

const headerBytes = 3
const reader = new BitReader()
const starts = new StartTimes()
/** The last value that was no staleness marker: what the next one is compared with. */
const base = new Uint32Array(2)
const leading = new Uint8Array(1)
const trailing = new Uint8Array(1)

/** Appends the samples with times in [startMs, endMs]; `into` keeps what it had where PromhiveError DECODE is thrown. */
export function decodeXor2(chunk: Uint8Array, startMs: number, endMs: number, into: SampleColumns): void {
  const count = chunkSampleCount(chunk)
  if (count === 0) return
  reader.reset(chunk, headerBytes)
  starts.reset(chunk[2]!)
  base.fill(0)
  leading[0] = 0
  trailing[0] = 0
  const lengthBefore = into.length
  into.reserve(count)
  let time = 0
  let delta = 0
  try {
    for (let i = 0; i < count; i++) {
      const timeBefore = time
      let stale = false
      if (i === 0) {
        reader.varint64()
        time = reader.signed()
        reader.bits64(64)
        const first = Uint32Array.of(reader.low, reader.high)
        stale = isStaleAt(first, 0)
        if (!stale) base.set(first)
      } else if (i === 1) {
        reader.uvarint64()
        delta = reader.signed()
        time += delta
        stale = readValue()
      } else {
        let ones = 0
        while (ones < 5 && reader.bit() === 1) ones++
        if (ones === 2) delta += readSigned(13)
        else if (ones === 3) delta += readSigned(20)
        else if (ones === 4) {
          reader.bits64(64)
          delta += reader.signed()
        }
        time += delta
        if (ones === 1) {
          if (reader.bit() === 1) readWindow(reader, leading, trailing, 0)
          readWithin(reader, base, leading[0]!, trailing[0]!, 0)
        } else if (ones === 5) stale = true
        else if (ones > 1) stale = readValue()
      }
      if (time > chunkTimeMax || time < -chunkTimeMax)
        throw new PromhiveError('DECODE', `cannot decode XOR2 chunk: time ${time} of sample ${i}`)
      starts.read(reader, i, time, timeBefore)
      if (time > endMs) return
      if (time < startMs) continue
      const n = into.length
      into.push(time, 0, null, starts.value)
      into.bits[n * 2] = stale ? staleLow : base[0]!
      into.bits[n * 2 + 1] = stale ? staleHigh : base[1]!
    }
  } catch (error) {
    into.length = lengthBefore
    if (into.histograms !== null) into.histograms.length = lengthBefore
    throw error
  }
}

function readSigned(width: number): number {
  const value = reader.bits(width)
  return value >= 2 ** (width - 1) ? value - 2 ** width : value
}

/** Returns whether it is the staleness marker, which leaves `base` as it is. */
function readValue(): boolean {
  if (reader.bit() === 0) return false
  if (reader.bit() === 1) {
    if (reader.bit() === 1) return true
    readWindow(reader, leading, trailing, 0)
  }
  readWithin(reader, base, leading[0]!, trailing[0]!, 0)
  return false
}

const noWindow = 0xff

/**
 * Encodes samples [from, to) of columns as one chunk, with their start times: at most 65,535 samples. Bit-exact with Prometheus.
 * Shapes as for encodeXor; startTimes null: none is known.
 */
export function encodeXor2(times: Float64Array, bits: Uint32Array, startTimes: Float64Array | null, from: number, to: number): Uint8Array {
  const writer = new BitWriter(headerBytes)
  const starting = new StartTimesWriter()
  const window = new ValueWindow(writer)
  let delta = 0
  for (let i = from; i < to; i++) {
    const index = i - from
    const time = times[i]!
    const timeBefore = index === 0 ? 0 : times[i - 1]!
    const stale = isStaleAt(bits, i)
    const high = stale ? staleHigh : bits[i * 2 + 1]!
    const low = bits[i * 2]!
    if (index === 0) {
      writer.varint64(highHalf(time), time >>> 0)
      writer.put64(high, low, 64)
    } else if (index === 1) {
      delta = time - timeBefore
      writer.uvarint64(highHalf(delta), delta >>> 0)
      window.put(stale, high, low)
    } else {
      const change = time - timeBefore - delta
      delta += change
      if (change === 0) window.putSteady(stale, high, low)
      else {
        if (change >= -4096 && change <= 4095) writer.put(0xc000 | (change & 0x1fff), 16)
        else if (change >= -524_288 && change <= 524_287) writer.put(0xe00000 | (change & 0xfffff), 24)
        else {
          writer.put(0x1e, 5)
          writer.put64(highHalf(change), change >>> 0, 64)
        }
        window.put(stale, high, low)
      }
    }
    if (!stale) window.keep(high, low)
    starting.put(writer, index, time, timeBefore, startTimes === null ? 0 : startTimes[i]!)
  }
  const chunk = writer.written()
  chunk[0] = (to - from) >>> 8
  chunk[1] = (to - from) & 0xff
  chunk[2] = starting.header
  return chunk
}

/** The value before and the window of bits that changed last. */
class ValueWindow {
  readonly #writer: BitWriter
  #high = 0
  #low = 0
  #leading = noWindow
  #trailing = 0
  constructor(writer: BitWriter) {
    this.#writer = writer
  }
  keep(high: number, low: number): void {
    this.#high = high
    this.#low = low
  }
  /** Behind a time of its own. */
  put(stale: boolean, high: number, low: number): void {
    if (stale) this.#writer.put(7, 3)
    else if (high >>> 0 === this.#high >>> 0 && low >>> 0 === this.#low >>> 0) this.#writer.put(0, 1)
    else this.#change(high, low, 2, 2, 6, 3)
  }
  /** Where the time goes on as before: one prefix for both. */
  putSteady(stale: boolean, high: number, low: number): void {
    if (stale) this.#writer.put(31, 5)
    else if (high >>> 0 === this.#high >>> 0 && low >>> 0 === this.#low >>> 0) this.#writer.put(0, 1)
    else this.#change(high, low, 4, 3, 5, 3)
  }
  #change(high: number, low: number, reuse: number, reuseBits: number, fresh: number, freshBits: number): void {
    const changeHigh = high ^ this.#high
    const changeLow = low ^ this.#low
    const leading = Math.min(31, Math.clz32(changeHigh))
    const trailing = changeLow !== 0 ? trailingZeros(changeLow) : 32 + trailingZeros(changeHigh)
    const writer = this.#writer
    if (this.#leading !== noWindow && leading >= this.#leading && trailing >= this.#trailing) writer.put(reuse, reuseBits)
    else {
      writer.put(fresh, freshBits)
      writer.put((leading << 6) | ((64 - leading - trailing) & 63), 11)
      this.#leading = leading
      this.#trailing = trailing
    }
    writer.reserve(12)
    writer.position = putWindow(writer.bytes, writer.position, changeHigh, changeLow, this.#trailing, 64 - this.#leading - this.#trailing)
  }
}
