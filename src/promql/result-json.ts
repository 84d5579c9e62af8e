// A query's result as the JSON of the HTTP API, written straight into bytes:
//
//   {"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1435781430.781,"1"],…]}]}
//
// Numbers, times, histograms and escapes are written as prometheus web/api/v1/json_codec.go and util/jsonutil do, byte for byte.
import type { Histogram } from '../model/histogram.ts'
import { BucketList } from '../model/histogram-buckets.ts'
import { JsonBytes, sampleBytesMax, writeSample } from '../model/json-bytes.ts'
import { formatFloatF } from '../model/number-text.ts'
import type { Budget } from './budget.ts'
import type { QueryValue } from './result.ts'
import type { RawSeries } from './leaf.ts'
import { finished, type Steps } from './steps.ts'
import { absent, floatSample, histogramSample, type Vector } from './vector.ts'

/** `{"resultType":…,"result":…}`. */
export function encodeQueryValue(value: QueryValue): Uint8Array {
  const out = new JsonBytes()
  writeQueryValue(value, out)
  return out.copy()
}

/** Work of a written series and of a written value, in samples touched. */
const seriesWork = 64
const valueWork = 4

export function writeQueryValue(value: QueryValue, out: JsonBytes): void {
  finished(queryValueSteps(value, out, null))
}

/** The same within a budget: its deadline holds, and it pauses between series. */
export function* queryValueSteps(value: QueryValue, out: JsonBytes, budget: Budget | null): Steps<void> {
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
      yield* vectorSteps(value.vector, value.timeMs, out, budget)
      break
    case 'matrix':
      yield* matrixSteps(value, out, budget)
      break
    case 'samples':
      yield* samplesSteps(value.series, out, budget)
  }
  out.byte(125)
}

/** Go's encoding/json escapes what HTML could trip over; only string results go through it. */
function writeHtmlSafe(text: string, out: JsonBytes): void {
  if (!/[<>&\u2028\u2029]/.test(text)) {
    out.string(text)
    return
  }
  const inner = new JsonBytes()
  inner.string(text)
  const escaped = new TextDecoder()
    .decode(inner.copy())
    .replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const bytes = new TextEncoder().encode(escaped)
  out.raw(bytes, 0, bytes.length)
}

function* vectorSteps(vector: Vector, timeMs: number, out: JsonBytes, budget: Budget | null): Steps<void> {
  out.byte(91)
  for (let i = 0; i < vector.length; i++) {
    if (budget !== null) {
      budget.tick(seriesWork + valueWork)
      budget.answerBytes(out.length)
      if (budget.takePause()) yield
    }
    if (i > 0) out.byte(44)
    out.ascii('{"metric":')
    out.labels(vector.labels[i]!)
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

function* matrixSteps({ vector, grid, order }: QueryValue & { kind: 'matrix' }, out: JsonBytes, budget: Budget | null): Steps<void> {
  const { steps, presence } = vector
  const openings = new PointOpenings(grid.startMs, grid.stepMs, steps)
  out.byte(91)
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!
    const base = row * steps
    if (budget !== null) {
      budget.tick(seriesWork + steps * valueWork)
      budget.answerBytes(out.length)
      if (budget.takePause()) yield
    }
    if (i > 0) out.byte(44)
    out.ascii('{"metric":')
    out.labels(vector.labels[row]!)
    if (writeFloats(vector, base, openings, out)) {
      let first = true
      for (let k = 0; k < steps; k++) {
        if (presence[base + k] !== histogramSample) continue
        if (first) out.ascii(',"histograms":[')
        else out.byte(44)
        first = false
        out.raw(openings.bytes, openings.ends[k]!, openings.ends[k + 1]!)
        writeHistogram(vector.histograms![row]![k]!, out)
        out.byte(93)
      }
      out.byte(93)
    }
    out.byte(125)
  }
  out.byte(93)
}

/** `,"values":[[1435781430.781,"1"],…]`, nothing where a row has no floats; true where it has histograms. */
function writeFloats({ steps, values, presence }: Vector, base: number, openings: PointOpenings, out: JsonBytes): boolean {
  const { view: opening, ends } = openings
  const pointBytesMax = openings.bytesMax + sampleBytesMax + 2 + 3
  let hasHistogram = false
  let first = true
  let { bytes, view, at } = out
  // series that stay the same for a while are many: a value's text is copied where it repeats
  let before = NaN
  let textAt = 0
  let textEnd = 0
  for (let k = 0; k < steps; k++) {
    const kind = presence[base + k]!
    if (kind === absent) continue
    if (kind !== floatSample) {
      hasHistogram = true
      continue
    }
    if (first) {
      out.at = at
      out.ascii(',"values":[')
      ;({ bytes, view, at } = out)
    }
    if (at + pointBytesMax > bytes.length) {
      out.at = at
      out.room(pointBytesMax)
      ;({ bytes, view, at } = out)
      before = NaN
    }
    if (first) first = false
    else bytes[at++] = 44
    // four bytes at a time: up to three too many, which what follows replaces
    const from = ends[k]!
    const length = ends[k + 1]! - from
    for (let i = 0; i < length; i += 4) view.setInt32(at + i, opening.getInt32(from + i))
    at += length
    const value = values[base + k]!
    if (value === before && value !== 0) {
      const size = textEnd - textAt
      for (let i = 0; i < size; i += 4) view.setInt32(at + i, view.getInt32(textAt + i))
      at += size
    } else {
      before = value
      textAt = at
      textEnd = at = writeSample(bytes, at, value)
    }
    bytes[at++] = 93
  }
  out.at = at
  if (!first) out.byte(93)
  return hasHistogram
}

/** `[1435781430.781,` for every step, the same in all series: step k lies in bytes[ends[k], ends[k + 1]). */
class PointOpenings {
  readonly bytes: Uint8Array
  /** Three bytes longer. */
  readonly view: DataView
  readonly ends: Int32Array
  readonly bytesMax: number
  constructor(startMs: number, stepMs: number, steps: number) {
    const scratch = new JsonBytes()
    this.ends = new Int32Array(steps + 1)
    let most = 0
    for (let k = 0; k < steps; k++) {
      scratch.byte(91)
      scratch.timestamp(startMs + k * stepMs)
      scratch.byte(44)
      this.ends[k + 1] = scratch.length
      most = Math.max(most, scratch.length - this.ends[k]!)
    }
    this.bytes = new Uint8Array(scratch.length + 3)
    this.bytes.set(scratch.copy())
    this.view = new DataView(this.bytes.buffer)
    this.bytesMax = most
  }
}

function* samplesSteps(all: readonly RawSeries[], out: JsonBytes, budget: Budget | null): Steps<void> {
  out.byte(91)
  for (const [i, series] of all.entries()) {
    if (budget !== null) {
      budget.tick(seriesWork + series.times.length * valueWork)
      budget.answerBytes(out.length)
      if (budget.takePause()) yield
    }
    if (i > 0) out.byte(44)
    out.ascii('{"metric":')
    out.labels(series.labels)
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
  }
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
