// The delimited protobuf exposition: io.prometheus.client.MetricFamily messages, each behind its length as a varint. Read field by field from the
// bytes; labels become strings only for series somebody asks about.
// Source: prometheus client_model metrics.proto; model/textparse/protobufparse.go for what becomes of it.
import protobuf from 'protobufjs/minimal.js'
import type { Reader } from 'protobufjs'
import { counterReset, type Histogram } from '../../src/model/histogram.ts'
import { compact } from '../../src/model/histogram-arithmetic.ts'
import { ClassicHistogram } from '../../src/model/histogram-classic.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import { sortedLabels, type Exemplar, type HistogramEntry, type MetricEntry, type ReadOptions, type SampleEntry } from './entries.ts'
import { printBoundLabel } from './numbers.ts'
import {
  broken,
  emptyHistogram,
  emptySummary,
  messageEnd,
  readMetricMessage,
  skip,
  text,
  uvarint,
  type HistogramMessage,
  type MetricMessage,
} from './protobuf-messages.ts'

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
          skip(reader, tag, end, 5)
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
