// The delimited protobuf exposition: io.prometheus.client.MetricFamily messages, each behind its length as a varint. Read field by field from the
// bytes; labels become strings only for series somebody asks about.
// Source: prometheus client_model metrics.proto; model/textparse/protobufparse.go for what becomes of it.
import protobuf from 'protobufjs/minimal.js'
import type { Reader } from 'protobufjs'
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { counterReset, type Histogram, type Span } from '../../src/model/histogram.ts'
import { compact } from '../../src/model/histogram-arithmetic.ts'
import { ClassicHistogram } from '../../src/model/histogram-classic.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import { sortedLabels, type Exemplar, type HistogramEntry, type MetricEntry, type ReadOptions, type SampleEntry } from './entries.ts'
import { printBoundLabel } from './numbers.ts'

const wireTypes = ['counter', 'gauge', 'summary', 'untyped', 'histogram', 'gaugehistogram'] as const
type WireType = (typeof wireTypes)[number]

/** All entries of a body. Throws PromhiveError SCRAPE, with the offset, where it is broken; entries before that are yielded. */
export function* readProtobufEntries(body: Uint8Array, options: ReadOptions): Generator<MetricEntry> {
  const reader = protobuf.Reader.create(body)
  const family = new Family(options)
  while (reader.pos < body.length) {
    const at = reader.pos
    try {
      const length = uvarint(reader)
      if (length > body.length - reader.pos) throw new RangeError(`message of ${length} bytes, ${body.length - reader.pos} left`)
      family.read(reader, reader.pos + length)
    } catch (thrown) {
      throw broken(thrown, at, reader.pos)
    }
    if (family.metricCount === 0) continue
    yield { kind: 'help', family: family.name, help: family.help }
    if (family.unit !== '') yield { kind: 'unit', family: family.name, unit: family.unit }
    yield { kind: 'type', family: family.name, type: family.type }
    for (let i = 0; i < family.metricCount; i++) {
      const out: (SampleEntry | HistogramEntry)[] = []
      try {
        family.readMetric(body, i, out)
      } catch (thrown) {
        throw broken(thrown, at, family.metrics[i * 2]!)
      }
      yield* out
    }
  }
}

function broken(thrown: unknown, familyAt: number, at: number): PromhiveError {
  if (thrown instanceof PromhiveError) return thrown
  return new PromhiveError(
    'SCRAPE',
    `cannot parse protobuf: ${messageOf(thrown)} (metric family at offset ${familyAt}, offset ${at})`,
    { offset: at },
    thrown,
  )
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const latin1 = new TextDecoder('latin1')

class Family {
  name = ''
  help = ''
  unit = ''
  type: MetricType = 'unknown'
  wireType: WireType = 'counter'
  /** Pairs of start and end offset. */
  metrics = new Int32Array(64)
  metricCount = 0
  readonly #options: ReadOptions
  readonly #classic = new ClassicHistogram()

  constructor(options: ReadOptions) {
    this.#options = options
  }

  read(reader: Reader, end: number): void {
    this.name = this.help = this.unit = ''
    this.metricCount = 0
    let wireType = 0
    while (reader.pos < end) {
      const tag = reader.uint32()
      switch (tag) {
        case 10:
          this.name = text(reader, end)
          break
        case 18:
          this.help = text(reader, end)
          break
        case 24:
          wireType = reader.uint32()
          break
        case 34: {
          const metricEnd = messageEnd(reader, end)
          const i = this.metricCount++ * 2
          if (i === this.metrics.length) {
            const grown = new Int32Array(i * 2)
            grown.set(this.metrics)
            this.metrics = grown
          }
          this.metrics[i] = reader.pos
          this.metrics[i + 1] = metricEnd
          reader.pos = metricEnd
          break
        }
        case 42:
          this.unit = text(reader, end)
          break
        default:
          skip(reader, tag, end)
      }
    }
    if (reader.pos !== end) throw new RangeError('field reaches over the end of its message')
    if (this.metricCount === 0) return
    if (this.name === '') throw new RangeError('invalid metric name: empty')
    const known = wireTypes[wireType]
    if (known === undefined) throw new RangeError(`unknown metric type for metric "${this.name}": ${wireType}`)
    this.wireType = known
    this.type = known === 'untyped' ? 'unknown' : known
  }

  readMetric(body: Uint8Array, index: number, out: (SampleEntry | HistogramEntry)[]): void {
    const metric = readMetricMessage(body, this.metrics[index * 2]!, this.metrics[index * 2 + 1]!)
    const { wireType } = this
    const timeMs = metric.timeMs === 0 ? null : metric.timeMs // proto3 here cannot tell 0 from nothing
    const sample = (suffix: string, value: number, exemplar: Exemplar | null, bound = '', boundLabel = ''): void => {
      out.push(new ProtobufSample(this, metric, suffix, boundLabel, bound, value, timeMs, exemplar, this.#options.typeAndUnitLabels))
    }
    if (wireType === 'summary') {
      const summary = metric.summary ?? emptySummary
      sample('_count', summary.count, null)
      sample('_sum', summary.sum, null)
      for (let i = 0; i < summary.quantiles.length; i += 2) {
        sample('', summary.quantiles[i + 1]!, null, printBoundLabel(summary.quantiles[i]!), 'quantile')
      }
      return
    }
    if (wireType !== 'histogram' && wireType !== 'gaugehistogram') {
      sample('', metric.values[wireType], wireType === 'counter' ? metric.exemplar : null)
      return
    }
    const histogram = metric.histogram ?? emptyHistogram()
    const { nativeHistograms, keepClassic, convertClassic, typeAndUnitLabels } = this.#options
    const native = nativeHistograms && isNative(histogram)
    const push = (value: Histogram): void => {
      out.push(new ProtobufHistogram(this, metric, value, timeMs, nativeExemplars(histogram), typeAndUnitLabels))
    }
    if (native) push(toHistogram(histogram, wireType, this.name))
    if (native ? keepClassic && histogram.buckets.length > 0 : keepClassic || !convertClassic) this.#classicSeries(histogram, sample)
    if (!native && convertClassic) push(this.#convert(histogram, wireType))
  }

  #classicSeries(
    histogram: HistogramMessage,
    sample: (suffix: string, value: number, exemplar: Exemplar | null, bound?: string, label?: string) => void,
  ): void {
    const count = histogram.countFloat === 0 ? histogram.count : histogram.countFloat
    sample('_count', count, null)
    sample('_sum', histogram.sum, null)
    let last = NaN
    for (const bucket of histogram.buckets) {
      last = bucket.upperBound
      sample('_bucket', bucket.count, bucket.exemplar, printBoundLabel(last), 'le')
      if (last === Infinity) return
    }
    sample('_bucket', count, null, '+Inf', 'le')
  }

  #convert(histogram: HistogramMessage, wireType: WireType): Histogram {
    const classic = this.#classic
    classic.clear()
    classic.setCount(histogram.countFloat === 0 ? histogram.count : histogram.countFloat)
    classic.setSum(histogram.sum)
    for (const bucket of histogram.buckets) classic.addBucket(bucket.upperBound, bucket.count)
    const converted = classic.convert()
    if (typeof converted === 'string') throw new RangeError(`histogram "${this.name}": ${converted}`)
    return wireType === 'gaugehistogram' ? { ...converted, counterReset: counterReset.gauge } : converted
  }
}

/** Labels as they lie in the body; strings are made when they are asked for. */
class SeriesBase {
  readonly key: string
  readonly timeMs: number | null
  readonly startTimeMs: number
  readonly #metric: MetricMessage
  readonly #name: string
  readonly #boundLabel: string
  readonly #bound: string
  readonly #extra: readonly string[]
  #labels: Labels | null = null
  constructor(
    family: Family,
    metric: MetricMessage,
    suffix: string,
    boundLabel: string,
    bound: string,
    timeMs: number | null,
    typeAndUnit: boolean,
  ) {
    this.#metric = metric
    this.#name = family.name + suffix
    this.#boundLabel = boundLabel
    this.#bound = bound
    this.timeMs = timeMs
    this.startTimeMs = metric.startTimeMs
    this.key = `${this.#name}\xff${bound}\xff${metric.labelKey}`
    const extra: string[] = []
    if (typeAndUnit && family.type !== 'unknown') extra.push('__type__', family.type)
    if (typeAndUnit && family.unit !== '') extra.push('__unit__', family.unit)
    this.#extra = extra
  }
  get labels(): Labels {
    if (this.#labels !== null) return this.#labels
    const pairs = ['__name__', this.#name, ...this.#extra]
    const own = this.#metric.labels()
    for (let i = 0; i < own.length; i += 2) {
      if (this.#extra.length > 0 && (own[i] === '__name__' || this.#extra[0] === own[i] || this.#extra[2] === own[i])) continue
      pairs.push(own[i]!, own[i + 1]!)
    }
    if (this.#boundLabel !== '') pairs.push(this.#boundLabel, this.#bound)
    return (this.#labels = sortedLabels(pairs))
  }
}

class ProtobufSample extends SeriesBase implements SampleEntry {
  readonly kind = 'sample'
  readonly value: number
  readonly exemplars: readonly Exemplar[]
  constructor(
    family: Family,
    metric: MetricMessage,
    suffix: string,
    boundLabel: string,
    bound: string,
    value: number,
    timeMs: number | null,
    exemplar: Exemplar | null,
    typeAndUnit: boolean,
  ) {
    super(family, metric, suffix, boundLabel, bound, timeMs, typeAndUnit)
    this.value = value
    this.exemplars = exemplar === null ? noExemplars : [exemplar]
  }
}
const noExemplars: readonly Exemplar[] = []

class ProtobufHistogram extends SeriesBase implements HistogramEntry {
  readonly kind = 'histogram'
  readonly histogram: Histogram
  readonly exemplars: readonly Exemplar[]
  constructor(
    family: Family,
    metric: MetricMessage,
    histogram: Histogram,
    timeMs: number | null,
    exemplars: readonly Exemplar[],
    typeAndUnit: boolean,
  ) {
    super(family, metric, '', '', '', timeMs, typeAndUnit)
    this.histogram = histogram
    this.exemplars = exemplars
  }
}

// ---- messages ----

type MetricMessage = {
  labelKey: string
  labels: () => readonly string[]
  values: { counter: number; gauge: number; untyped: number }
  exemplar: Exemplar | null
  summary: SummaryMessage | null
  histogram: HistogramMessage | null
  timeMs: number
  startTimeMs: number
}
type SummaryMessage = { count: number; sum: number; quantiles: number[] }
type BucketMessage = { count: number; upperBound: number; exemplar: Exemplar | null }
type HistogramMessage = {
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

const emptySummary: SummaryMessage = { count: 0, sum: 0, quantiles: [] }
function emptyHistogram(): HistogramMessage {
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

function readMetricMessage(body: Uint8Array, start: number, end: number): MetricMessage {
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
        skip(reader, tag, end)
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
    else skip(reader, tag, end)
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
        else skip(reader, field, quantileEnd)
      }
      summary.quantiles.push(quantile, value)
    } else if (tag === 34) metric.startTimeMs = readTimestamp(reader, messageEnd(reader, end))
    else skip(reader, tag, end)
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
        skip(reader, tag, end)
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
    else skip(reader, tag, end)
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
    else skip(reader, tag, end)
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
    else skip(reader, tag, end)
  }
  return { labels: sortedLabels(readLabelPairs(reader.buf, ranges)), value, timeMs }
}

/** google.protobuf.Timestamp in ms, the rest cut off. */
function readTimestamp(reader: Reader, end: number): number {
  let seconds = 0
  let nanos = 0
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === 8) seconds = toNumber(reader.int64())
    else if (tag === 16) nanos = reader.int32()
    else skip(reader, tag, end)
  }
  return seconds * 1000 + Math.trunc(nanos / 1e6)
}

function readLabelPairs(body: Uint8Array, ranges: readonly number[]): string[] {
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
        if (tag === 10) name = text(reader, end)
        else if (tag === 18) value = text(reader, end)
        else skip(reader, tag, end)
      }
    } catch (thrown) {
      throw broken(thrown, ranges[i]!, reader.pos)
    }
    pairs.push(name, value)
  }
  return pairs
}

// ---- native histograms ----

/** No span, no zero threshold and no zero count: a classic one. A histogram without observations says it is native by a span of length 0. */
function isNative(histogram: HistogramMessage): boolean {
  return histogram.positiveSpans.length > 0 || histogram.negativeSpans.length > 0 || histogram.zeroThreshold > 0 || histogram.zeroCount > 0
}

function toHistogram(message: HistogramMessage, wireType: WireType, name: string): Histogram {
  const isFloat = message.countFloat > 0 || message.zeroCountFloat > 0
  const positive = isFloat ? message.positiveCounts : message.positiveDeltas
  const negative = isFloat ? message.negativeCounts : message.negativeDeltas
  for (const [side, spans, buckets] of [
    ['positive', message.positiveSpans, positive],
    ['negative', message.negativeSpans, negative],
  ] as const) {
    let total = 0
    for (const span of spans) total += span.length
    if (total !== buckets.length)
      throw new RangeError(`histogram "${name}": ${side} side: spans require ${total} buckets, have ${buckets.length}`)
  }
  return compact({
    isFloat,
    schema: message.schema,
    zeroThreshold: message.zeroThreshold,
    zeroCount: isFloat ? message.zeroCountFloat : message.zeroCount,
    count: isFloat ? message.countFloat : message.count,
    sum: message.sum,
    positiveSpans: message.positiveSpans,
    negativeSpans: message.negativeSpans,
    positiveBuckets: isFloat ? Float64Array.from(positive) : fromDeltas(positive),
    negativeBuckets: isFloat ? Float64Array.from(negative) : fromDeltas(negative),
    customBounds: null,
    counterReset: wireType === 'gaugehistogram' ? counterReset.gauge : counterReset.unknown,
  })
}

function fromDeltas(deltas: readonly number[]): Float64Array {
  const out = new Float64Array(deltas.length)
  let count = 0
  for (let i = 0; i < deltas.length; i++) out[i] = count += deltas[i]!
  return out
}

/** Those of the native part, else those of its buckets; without a time they are not taken. */
function nativeExemplars(histogram: HistogramMessage): readonly Exemplar[] {
  const all: readonly (Exemplar | null)[] = histogram.exemplars.length > 0 ? histogram.exemplars : histogram.buckets.map((b) => b.exemplar)
  return all.filter((exemplar): exemplar is Exemplar => exemplar !== null && exemplar.timeMs !== null)
}

// ---- wire ----

/** Unsigned varint of at most 10 bytes as a double: exact up to 2^53. */
function uvarint(reader: Reader): number {
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
function messageEnd(reader: Reader, end: number): number {
  const length = uvarint(reader)
  if (length > end - reader.pos) throw new RangeError(`field of ${length} bytes, ${end - reader.pos} left`)
  return reader.pos + length
}

function text(reader: Reader, end: number): string {
  const start = reader.pos
  const textEnd = messageEnd(reader, end)
  const from = reader.pos
  reader.pos = textEnd
  try {
    return strictUtf8.decode(reader.buf.subarray(from, textEnd))
  } catch {
    reader.pos = start
    throw new RangeError('text is not valid UTF-8')
  }
}

function skip(reader: Reader, tag: number, end: number): void {
  const wire = tag & 7
  if (tag >>> 3 === 0 || wire === 3 || wire === 4 || wire > 5) throw new RangeError(`invalid tag ${tag}`)
  if (wire === 2) reader.pos = messageEnd(reader, end)
  else reader.skipType(wire)
  if (reader.pos > end) throw new RangeError('field reaches over the end of its message')
}

function toNumber(value: number | { low: number; high: number }): number {
  return typeof value === 'number' ? value : value.high * 4294967296 + (value.low >>> 0)
}
