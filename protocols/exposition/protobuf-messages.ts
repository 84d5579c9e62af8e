// The messages within a MetricFamily, read field by field with protobufjs' reader. Field numbers: client_model metrics.proto.
// Broken messages throw RangeError; the place is added by the caller (protobuf.ts).
import protobuf from 'protobufjs/minimal.js'
import type { Reader } from 'protobufjs'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { Span } from '../../src/model/histogram.ts'
import { sortedLabels, type Exemplar } from './entries.ts'

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** For exemplars: a broken one is no reason to fail a scrape. */
const lenientUtf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const latin1 = new TextDecoder('latin1')

export type MetricMessage = {
  labelKey: string
  labels: () => readonly string[]
  values: { counter: number; gauge: number; untyped: number }
  exemplar: Exemplar | null
  summary: SummaryMessage | null
  histogram: HistogramMessage | null
  timeMs: number
  startTimeMs: number
}
export type SummaryMessage = { count: number; sum: number; quantiles: number[] }
export type BucketMessage = { count: number; upperBound: number; exemplar: Exemplar | null }
export type HistogramMessage = {
  count: number
  countFloat: number
  sum: number
  buckets: BucketMessage[]
  schema: number
  zeroThreshold: number
  zeroCount: number
  zeroCountFloat: number
  negativeSpans: Span[]
  negativeDeltas: number[]
  negativeCounts: number[]
  positiveSpans: Span[]
  positiveDeltas: number[]
  positiveCounts: number[]
  exemplars: Exemplar[]
}

export const emptySummary: SummaryMessage = { count: 0, sum: 0, quantiles: [] }
export function emptyHistogram(): HistogramMessage {
  return {
    count: 0,
    countFloat: 0,
    sum: 0,
    buckets: [],
    schema: 0,
    zeroThreshold: 0,
    zeroCount: 0,
    zeroCountFloat: 0,
    negativeSpans: [],
    negativeDeltas: [],
    negativeCounts: [],
    positiveSpans: [],
    positiveDeltas: [],
    positiveCounts: [],
    exemplars: [],
  }
}

/** The Metric message in bytes[start, end). Throws RangeError where it is broken. */
export function readMetricMessage(body: Uint8Array, start: number, end: number): MetricMessage {
  const reader = protobuf.Reader.create(body)
  reader.pos = start
  const ranges: number[] = []
  const metric: MetricMessage = {
    labelKey: '',
    labels: () => readLabelPairs(body, ranges),
    values: { counter: 0, gauge: 0, untyped: 0 },
    exemplar: null,
    summary: null,
    histogram: null,
    timeMs: 0,
    startTimeMs: 0,
  }
  while (reader.pos < end) {
    const tag = reader.uint32()
    switch (tag) {
      case 10: {
        const labelEnd = messageEnd(reader, end)
        if (ranges.length >= limits.labelsPerSeriesMax * 2) throw new RangeError(`more than ${limits.labelsPerSeriesMax} labels`)
        ranges.push(reader.pos, labelEnd)
        reader.pos = labelEnd
        break
      }
      case 18:
        metric.values.gauge = readValue(reader, messageEnd(reader, end), metric)
        break
      case 26:
        metric.values.counter = readValue(reader, messageEnd(reader, end), metric)
        break
      case 34:
        metric.summary = readSummary(reader, messageEnd(reader, end), metric)
        break
      case 42:
        metric.values.untyped = readValue(reader, messageEnd(reader, end), metric)
        break
      case 48:
        metric.timeMs = toNumber(reader.int64())
        break
      case 58:
        metric.histogram = readHistogram(reader, messageEnd(reader, end), metric)
        break
      default:
        skip(reader, tag, end, 7)
    }
  }
  // the raw bytes of the pairs: equal label sets in another order would be another key, which is harmless
  for (let i = 0; i < ranges.length; i += 2) metric.labelKey += `${latin1.decode(body.subarray(ranges[i], ranges[i + 1]))}\xff`
  return metric
}

/** Gauge, Counter and Untyped: the value is field 1 in each; an exemplar and a start time only a Counter has. */
function readValue(reader: Reader, end: number, metric: MetricMessage): number {
  let value = 0
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 9) value = reader.double()
    else if (tag === 18) metric.exemplar = readExemplarMessage(reader, messageEnd(reader, end))
    else if (tag === 26) metric.startTimeMs = readTimestamp(reader, messageEnd(reader, end))
    else skip(reader, tag, end, 3)
  }
  return value
}

function readSummary(reader: Reader, end: number, metric: MetricMessage): SummaryMessage {
  const summary: SummaryMessage = { count: 0, sum: 0, quantiles: [] }
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 8) summary.count = uvarint(reader)
    else if (tag === 17) summary.sum = reader.double()
    else if (tag === 26) {
      const quantileEnd = messageEnd(reader, end)
      let quantile = 0
      let value = 0
      while (reader.pos < quantileEnd) {
        const field = reader.uint32()
        if (field === 9) quantile = reader.double()
        else if (field === 17) value = reader.double()
        else skip(reader, field, quantileEnd, 2)
      }
      summary.quantiles.push(quantile, value)
    } else if (tag === 34) metric.startTimeMs = readTimestamp(reader, messageEnd(reader, end))
    else skip(reader, tag, end, 4)
  }
  return summary
}

function readHistogram(reader: Reader, end: number, metric: MetricMessage): HistogramMessage {
  const out = emptyHistogram()
  while (reader.pos < end) {
    const tag = reader.uint32()
    switch (tag) {
      case 8:
        out.count = uvarint(reader)
        break
      case 33:
        out.countFloat = reader.double()
        break
      case 17:
        out.sum = reader.double()
        break
      case 26:
        out.buckets.push(readBucket(reader, messageEnd(reader, end)))
        break
      case 40:
        out.schema = reader.sint32()
        break
      case 49:
        out.zeroThreshold = reader.double()
        break
      case 56:
        out.zeroCount = uvarint(reader)
        break
      case 65:
        out.zeroCountFloat = reader.double()
        break
      case 74:
        out.negativeSpans.push(readSpan(reader, messageEnd(reader, end)))
        break
      case 80:
      case 82:
        readDeltas(reader, tag, end, out.negativeDeltas)
        break
      case 89:
      case 90:
        readDoubles(reader, tag, end, out.negativeCounts)
        break
      case 98:
        out.positiveSpans.push(readSpan(reader, messageEnd(reader, end)))
        break
      case 104:
      case 106:
        readDeltas(reader, tag, end, out.positiveDeltas)
        break
      case 113:
      case 114:
        readDoubles(reader, tag, end, out.positiveCounts)
        break
      case 122:
        metric.startTimeMs = readTimestamp(reader, messageEnd(reader, end))
        break
      case 130:
        out.exemplars.push(readExemplarMessage(reader, messageEnd(reader, end)))
        break
      default:
        skip(reader, tag, end, 16)
    }
  }
  return out
}

function readBucket(reader: Reader, end: number): BucketMessage {
  let count = 0
  let countFloat = 0
  let upperBound = 0
  let exemplar: Exemplar | null = null
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 8) count = uvarint(reader)
    else if (tag === 17) upperBound = reader.double()
    else if (tag === 26) exemplar = readExemplarMessage(reader, messageEnd(reader, end))
    else if (tag === 33) countFloat = reader.double()
    else skip(reader, tag, end, 4)
  }
  return { count: countFloat === 0 ? count : countFloat, upperBound, exemplar }
}

function readSpan(reader: Reader, end: number): Span {
  let offset = 0
  let length = 0
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 8) offset = reader.sint32()
    else if (tag === 16) length = reader.uint32()
    else skip(reader, tag, end, 2)
  }
  return { offset, length }
}

function readDeltas(reader: Reader, tag: number, end: number, into: number[]): void {
  const packedEnd = (tag & 7) === 2 ? messageEnd(reader, end) : reader.pos + 1
  do {
    if (reader.pos >= packedEnd && (tag & 7) === 2) return
    const zigzag = uvarint(reader)
    into.push(zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2)
  } while (reader.pos < packedEnd && (tag & 7) === 2)
}

function readDoubles(reader: Reader, tag: number, end: number, into: number[]): void {
  if ((tag & 7) !== 2) {
    into.push(reader.double())
    return
  }
  const packedEnd = messageEnd(reader, end)
  while (reader.pos < packedEnd) into.push(reader.double())
}

function readExemplarMessage(reader: Reader, end: number): Exemplar {
  const ranges: number[] = []
  let value = 0
  let timeMs: number | null = null
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 10) {
      const labelEnd = messageEnd(reader, end)
      if (ranges.length >= limits.labelsPerSeriesMax * 2) throw new RangeError(`more than ${limits.labelsPerSeriesMax} exemplar labels`)
      ranges.push(reader.pos, labelEnd)
      reader.pos = labelEnd
    } else if (tag === 17) value = reader.double()
    else if (tag === 26) timeMs = readTimestamp(reader, messageEnd(reader, end))
    else skip(reader, tag, end, 3)
  }
  return { labels: sortedLabels(readLabelPairs(reader.buf, ranges, lenientUtf8)), value, timeMs }
}

/** google.protobuf.Timestamp in ms, the rest cut off. */
function readTimestamp(reader: Reader, end: number): number {
  let seconds = 0
  let nanos = 0
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 8) seconds = toNumber(reader.int64())
    else if (tag === 16) nanos = reader.int32()
    else skip(reader, tag, end, 2)
  }
  return seconds * 1000 + Math.trunc(nanos / 1e6)
}

/** @param decode how bytes become text. */
function readLabelPairs(body: Uint8Array, ranges: readonly number[], decode = strictUtf8): string[] {
  const reader = protobuf.Reader.create(body)
  const pairs: string[] = []
  for (let i = 0; i < ranges.length; i += 2) {
    reader.pos = ranges[i]!
    const end = ranges[i + 1]!
    let name = ''
    let value = ''
    try {
      while (reader.pos < end) {
        const tag = reader.uint32()
        if (tag === 10) name = text(reader, end, decode)
        else if (tag === 18) value = text(reader, end, decode)
        else skip(reader, tag, end, 2)
      }
    } catch (thrown) {
      throw broken(thrown, ranges[i]!, reader.pos)
    }
    pairs.push(name, value)
  }
  return pairs
}

/** A scrape error with the place. */
export function broken(thrown: unknown, familyAt: number, at: number): PromhiveError {
  if (thrown instanceof PromhiveError) return thrown
  return new PromhiveError(
    'SCRAPE',
    `cannot parse protobuf: ${messageOf(thrown)} (metric family at offset ${familyAt}, offset ${at})`,
    { offset: at },
    thrown,
  )
}

/** Unsigned varint of at most 10 bytes as a double: exact up to 2^53. */
export function uvarint(reader: Reader): number {
  const { buf, len } = reader
  let value = 0
  let scale = 1
  for (let i = 0; i < 10; i++) {
    if (reader.pos >= len) throw new RangeError('varint reaches over the end')
    const byte = buf[reader.pos++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value
    scale *= 128
  }
  throw new RangeError('varint of more than 10 bytes')
}

/** Reads a length and checks it against the message around. */
export function messageEnd(reader: Reader, end: number): number {
  const length = uvarint(reader)
  if (length > end - reader.pos) throw new RangeError(`field of ${length} bytes, ${end - reader.pos} left`)
  return reader.pos + length
}

export function text(reader: Reader, end: number, decode = strictUtf8): string {
  const start = reader.pos
  const textEnd = messageEnd(reader, end)
  const from = reader.pos
  reader.pos = textEnd
  try {
    return decode.decode(reader.buf.subarray(from, textEnd))
  } catch {
    reader.pos = start
    throw new RangeError('text is not valid UTF-8')
  }
}

/** Skips a field that is not known. One of the known numbers, 1 … `known`, is here only where its wire type is wrong. */
export function skip(reader: Reader, tag: number, end: number, known: number): void {
  if (tag >>> 3 <= known) throw new RangeError(tag >>> 3 === 0 ? `invalid tag ${tag}` : `wrong wire type ${tag & 7} for field ${tag >>> 3}`)
  const wire = tag & 7
  if (wire === 3 || wire === 4 || wire > 5) throw new RangeError(`invalid tag ${tag}`)
  if (wire === 2) reader.pos = messageEnd(reader, end)
  else reader.skipType(wire)
  if (reader.pos > end) throw new RangeError('field reaches over the end of its message')
}

function toNumber(value: number | { low: number; high: number }): number {
  return typeof value === 'number' ? value : value.high * 4294967296 + (value.low >>> 0)
}
