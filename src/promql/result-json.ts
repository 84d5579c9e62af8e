// A query's result as the JSON of the HTTP API, written straight into bytes:
//
//   {"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1435781430.781,"1"],…]}]}
//
// Numbers, times, histograms and escapes are written as prometheus web/api/v1/json_codec.go and util/jsonutil do, byte for byte.
import type { Histogram } from '../model/histogram.ts'
import { BucketList } from '../model/histogram-buckets.ts'
import type { Labels } from '../model/labels.ts'
import { formatFloatE, formatFloatF } from '../model/number-text.ts'
import type { QueryValue } from './result.ts'
import type { RawSeries } from './leaf.ts'
import { absent, floatSample, histogramSample, type Vector } from './vector.ts'

/** `{"resultType":…,"result":…}`. */
export function encodeQueryValue(value: QueryValue): Uint8Array {
  const out = new JsonBytes(1024)
  writeQueryValue(value, out)
  return out.written()
}

/** Bytes that grow as they are written. */
export class JsonBytes {
  #bytes: Uint8Array
  #at = 0
  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity)
  }
  get length(): number {
    return this.#at
  }
  /** What was written, without a copy; good until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }
  #need(count: number): void {
    const need = this.#at + count
    if (need <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = grown
  }
  byte(code: number): void {
    if (this.#at === this.#bytes.length) this.#need(1)
    this.#bytes[this.#at++] = code
  }
  /** Text of ASCII characters only. */
  ascii(text: string): void {
    const { length } = text
    this.#need(length)
    const bytes = this.#bytes
    let at = this.#at
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i)
    this.#at = at
  }
  raw(from: Uint8Array): void {
    this.#need(from.length)
    const bytes = this.#bytes
    let at = this.#at
    for (let i = 0; i < from.length; i++) bytes[at++] = from[i]!
    this.#at = at
  }
  /** A JSON string. */
  string(text: string): void {
    const { length } = text
    this.#need(length + 2)
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = 34
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code < 32 || code > 126 || code === 34 || code === 92) {
        this.#escaped(text)
        return
      }
      bytes[at++] = code
    }
    bytes[at++] = 34
    this.#at = at
  }
  #escaped(text: string): void {
    const quoted = JSON.stringify(text).replaceAll('\\b', '\\u0008').replaceAll('\\f', '\\u000c')
    this.#need(quoted.length * 3)
    this.#at += encoder.encodeInto(quoted, this.#bytes.subarray(this.#at)).written
  }
  /** Milliseconds as seconds: `1435781430.781`, `-0.05`, `5`. */
  timestamp(timeMs: number): void {
    let ms = timeMs
    if (ms < 0) {
      this.byte(45)
      ms = -ms
    }
    const seconds = Math.floor(ms / 1000)
    const fraction = ms - seconds * 1000
    this.digits(seconds)
    if (fraction === 0) return
    this.byte(46)
    if (fraction < 100) this.byte(48)
    if (fraction < 10) this.byte(48)
    this.digits(fraction)
  }
  /** A whole number ≥ 0 below 2^53. */
  digits(value: number): void {
    this.#need(16)
    const bytes = this.#bytes
    let length = 1
    for (let limit = 10; value >= limit; limit *= 10) length++
    let at = this.#at + length
    this.#at = at
    let rest = value
    // 32-bit division is much faster than that of doubles
    while (rest > 999_999_999) {
      const tenth = Math.floor(rest / 10)
      bytes[--at] = 48 + (rest - tenth * 10)
      rest = tenth
    }
    let small = rest | 0
    do {
      const tenth = (small / 10) | 0
      bytes[--at] = 48 + (small - tenth * 10)
      small = tenth
    } while (small > 0)
  }
  /** A sample value in quotes: plain digits, an exponent below 1e-6 and from 1e21 on. */
  sample(value: number): void {
    this.byte(34)
    const size = Math.abs(value)
    if (size < 1e15 && Math.floor(value) === value && (value !== 0 || 1 / value > 0)) {
      if (value < 0) this.byte(45)
      this.digits(size)
    } else if (size >= 1e-6 && size < 1e21)
      this.ascii(String(value)) // here JavaScript and Go write the same
    else this.ascii(size === 0 || !Number.isFinite(value) ? formatFloatF(value) : formatFloatE(value))
    this.byte(34)
  }
}

const encoder = new TextEncoder()

export function writeQueryValue(value: QueryValue, out: JsonBytes): void {
  out.ascii(`{"resultType":"${value.kind === 'samples' ? 'matrix' : value.kind}","result":`)
  switch (value.kind) {
    case 'scalar':
      out.ascii(`[${value.timeMs / 1000},"${formatFloatF(value.value)}"]`)
      break
    case 'string':
      out.ascii(`[${value.timeMs / 1000},`)
      writeHtmlSafe(value.value, out)
      out.byte(93)
      break
    case 'vector':
      writeVector(value.vector, value.timeMs, out)
      break
    case 'matrix':
      writeMatrix(value, out)
      break
    case 'samples':
      writeSamples(value.series, out)
  }
  out.byte(125)
}

/** Go's encoding/json escapes what HTML could trip over; only string results go through it. */
function writeHtmlSafe(text: string, out: JsonBytes): void {
  if (!/[<>&\u2028\u2029]/.test(text)) {
    out.string(text)
    return
  }
  const inner = new JsonBytes(text.length * 2)
  inner.string(text)
  const escaped = new TextDecoder()
    .decode(inner.written())
    .replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  out.raw(encoder.encode(escaped))
}

/** `{"name":"value",…}` */
export function writeLabels(labels: Labels, out: JsonBytes): void {
  out.byte(123)
  for (let i = 0; i < labels.length; i += 2) {
    if (i > 0) out.byte(44)
    out.string(labels[i]!)
    out.byte(58)
    out.string(labels[i + 1]!)
  }
  out.byte(125)
}

function writeVector(vector: Vector, timeMs: number, out: JsonBytes): void {
  out.byte(91)
  for (let i = 0; i < vector.length; i++) {
    if (i > 0) out.byte(44)
    out.ascii('{"metric":')
    writeLabels(vector.labels[i]!, out)
    const isHistogram = vector.presence[i] === histogramSample
    out.ascii(isHistogram ? ',"histogram":[' : ',"value":[')
    out.timestamp(timeMs)
    out.byte(44)
    if (isHistogram) writeHistogram(vector.histograms![i]![0]!, out)
    else out.sample(vector.values[i]!)
    out.ascii(']}')
  }
  out.byte(93)
}

function writeMatrix({ vector, grid, order }: QueryValue & { kind: 'matrix' }, out: JsonBytes): void {
  const { steps, presence, values } = vector
  const opens = pointOpenings(grid.startMs, grid.stepMs, steps)
  out.byte(91)
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!
    const base = row * steps
    if (i > 0) out.byte(44)
    out.ascii('{"metric":')
    writeLabels(vector.labels[row]!, out)
    let first = true
    let hasHistogram = false
    for (let k = 0; k < steps; k++) {
      const kind = presence[base + k]!
      if (kind === absent) continue
      if (kind !== floatSample) {
        hasHistogram = true
        continue
      }
      if (first) out.ascii(',"values":[')
      else out.byte(44)
      first = false
      out.raw(opens[k]!)
      out.sample(values[base + k]!)
      out.byte(93)
    }
    if (!first) out.byte(93)
    if (hasHistogram) {
      first = true
      for (let k = 0; k < steps; k++) {
        if (presence[base + k] !== histogramSample) continue
        if (first) out.ascii(',"histograms":[')
        else out.byte(44)
        first = false
        out.raw(opens[k]!)
        writeHistogram(vector.histograms![row]![k]!, out)
        out.byte(93)
      }
      out.byte(93)
    }
    out.byte(125)
  }
  out.byte(93)
}

/** `[1435781430.781,` for every step: the same in all series. */
function pointOpenings(startMs: number, stepMs: number, steps: number): Uint8Array[] {
  const scratch = new JsonBytes(32 * Math.max(1, steps))
  const ends: number[] = []
  for (let k = 0; k < steps; k++) {
    scratch.byte(91)
    scratch.timestamp(startMs + k * stepMs)
    scratch.byte(44)
    ends.push(scratch.length)
  }
  const all = scratch.written()
  return ends.map((end, k) => all.subarray(k === 0 ? 0 : ends[k - 1]!, end))
}

function writeSamples(all: readonly RawSeries[], out: JsonBytes): void {
  out.byte(91)
  all.forEach((series, i) => {
    if (i > 0) out.byte(44)
    out.ascii('{"metric":')
    writeLabels(series.labels, out)
    for (let k = 0; k < series.times.length; k++) {
      out.ascii(k === 0 ? ',"values":[[' : ',[')
      out.timestamp(series.times[k]!)
      out.byte(44)
      out.sample(series.values[k]!)
      out.byte(93)
    }
    if (series.times.length > 0) out.byte(93)
    series.histograms.forEach((histogram, k) => {
      out.ascii(k === 0 ? ',"histograms":[[' : ',[')
      out.timestamp(series.histogramTimes[k]!)
      out.byte(44)
      writeHistogram(histogram, out)
      out.byte(93)
    })
    if (series.histograms.length > 0) out.byte(93)
    out.byte(125)
  })
  out.byte(93)
}

const buckets = new BucketList()

/** `{"count":"3","sum":"6","buckets":[[0,"1","2","3"]]}`: kind, lower, upper, count; empty buckets are left out. */
export function writeHistogram(histogram: Histogram, out: JsonBytes): void {
  out.ascii('{"count":')
  out.sample(histogram.count)
  out.ascii(',"sum":')
  out.sample(histogram.sum)
  buckets.fill(histogram)
  let first = true
  for (let i = 0; i < buckets.length; i++) {
    if (buckets.counts[i] === 0) continue
    out.ascii(first ? ',"buckets":[[' : ',[')
    first = false
    out.digits(buckets.inclusive[i]!)
    out.byte(44)
    out.sample(buckets.lower[i]!)
    out.byte(44)
    out.sample(buckets.upper[i]!)
    out.byte(44)
    out.sample(buckets.counts[i]!)
    out.byte(93)
  }
  if (!first) out.byte(93)
  out.byte(125)
}
