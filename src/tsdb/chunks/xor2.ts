// XOR2 chunks (encoding 4), read only: XOR with one prefix for time and value, staleness markers in a few bits, and optional start times.
// Source: prometheus tsdb/docs/format/chunks.md, chunkenc/xor2.go.
//
//   ┌ samples <u16 BE> │ start time header <u8> │ t0 <varint> │ v0 <f64 BE> │ Δt1 <uvarint> │ v1 <value> │ samples … ┐
//
//   sample   0 as before   10 ΔΔt = 0, changed value   110 ΔΔt <13>, value   1110 ΔΔt <20>, value   11110 ΔΔt <64>, value   11111 ΔΔt = 0, stale
//   value    0 as before   10 window as before   110 new window   111 stale          changed value   0 window as before   1 new window
import { PromhiveError } from '../../base/errors.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { isStaleAt, staleHigh, staleLow } from '../../model/staleness.ts'
import { BitReader } from './bits.ts'
import { StartTimes } from './start-times.ts'
import { chunkTimeMax } from './xor-append.ts'
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
