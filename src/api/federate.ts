// GET /federate: the newest sample of the selected series in an exposition format (FEATURES 6.43). Floats are untyped, native histograms only
// go over protobuf, histograms with custom buckets go as classic ones. Source: prometheus web/federate.go.
import { PromhiveError } from '../base/errors.ts'
import { utf8Bytes } from '../base/bytes.ts'
import type { Numbers } from '../base/metrics.ts'
import { compareText, labelPairs, labelValue, metricName, metricNameLabel, type Labels } from '../model/labels.ts'
import { customBucketsSchema, counterReset, type Histogram, type Span } from '../model/histogram.ts'
import { formatFloatG } from '../model/number-text.ts'
import { escapeName } from '../../protocols/exposition/names.ts'
import { ProtoWriter } from '../../protocols/remote/protobuf.ts'
import type { LatestSamples } from './backend.ts'
import { plainError, type Answer } from './envelope.ts'
import { negotiate, seriesText, type MetricFormat } from './metric-format.ts'
import type { Edge, Route } from './routes.ts'

export function federateRoute(edge: Edge): Route {
  const { backend, clock, metrics, logger } = edge
  const errors = metrics.counter(
    'prometheus_web_federation_errors_total',
    'Total number of errors that occurred while sending federation responses.',
  )
  const warnings = metrics.counter(
    'prometheus_web_federation_warnings_total',
    'Total number of warnings that occurred while sending federation responses.',
  )
  return {
    methods: ['GET'],
    path: '/federate',
    compress: true,
    handler: async ({ form, header, signal }): Promise<Answer> => {
      if (form.problem !== null) return plainError(400, `error parsing form values: ${form.problem}`)
      let matchers
      try {
        matchers = form.all('match[]').map((text) => backend.language.selector(text))
      } catch (thrown) {
        if (thrown instanceof PromhiveError) return plainError(400, thrown.message)
        throw thrown
      }
      const format = negotiate(header('accept'))
      if (matchers.length === 0) return { status: 200, contentType: format.contentType, body: '' }
      const endMs = clock.nowMs()
      let found: LatestSamples
      try {
        found = await backend.series.latest({ matchers, startMs: endMs - backend.queries.lookbackMs, endMs, limit: 0 }, signal)
      } catch (thrown) {
        errors.inc()
        if (thrown instanceof PromhiveError) return plainError(thrown.code === 'UNAVAILABLE' ? 503 : 500, thrown.message)
        throw thrown
      }
      countWarnings(warnings, found)
      const body = writeFederation(found, backend.status.externalLabels(), format, (labels) =>
        logger.warn({ metric: [...labelPairs(labels)] }, 'Ignoring nameless metric during federation'),
      )
      return { status: 200, contentType: format.contentType, body: [body] }
    },
  }
}

function countWarnings(counter: Numbers, found: LatestSamples): void {
  if (found.warnings.length > 0) counter.inc(found.warnings.length)
}

/** One exposition: families in name order, their series in the order found, external labels added where a series lacks them. */
export function writeFederation(
  found: LatestSamples,
  external: Labels,
  format: MetricFormat,
  nameless: (labels: Labels) => void,
): Uint8Array {
  const added = [...labelPairs(external)]
  if (labelValue(external, 'instance') === '') added.push(['instance', ''])
  added.sort(([a], [b]) => compareText(a, b))
  const names = found.labels.map(metricName)
  const order = Uint32Array.from(names.keys()).sort((a, b) => compareText(names[a]!, names[b]!) || a - b)
  const families: Family[] = []
  let current: Family | null = null
  for (const i of order) {
    const histogram = found.histograms?.[i] ?? null
    const custom = histogram?.schema === customBucketsSchema
    if (histogram !== null && !custom && format.kind !== 'protobuf') continue // no text format carries it
    const labels = found.labels[i]!
    const name = names[i]!
    if (name === '') {
      nameless(labels)
      continue
    }
    const type = histogram === null ? 'untyped' : histogram.counterReset === counterReset.gauge ? 'gaugehistogram' : 'histogram'
    if (current === null || current.name !== name || current.type !== type) families.push((current = { name, type, rows: [] }))
    const pairs: string[] = []
    for (const [label, value] of labelPairs(labels)) if (label !== metricNameLabel) pairs.push(escapeName(label, format.escaping), value)
    for (const [label, value] of added) if (labelValue(labels, label) === '') pairs.push(escapeName(label, format.escaping), value)
    current.rows.push({ pairs, timeMs: found.times[i]!, value: found.values[i]!, histogram })
  }
  return format.kind === 'protobuf' ? familiesProto(families, format) : utf8Bytes(familiesText(families, format))
}

type Row = Readonly<{ pairs: readonly string[]; timeMs: number; value: number; histogram: Histogram | null }>
type Family = { name: string; type: 'untyped' | 'histogram' | 'gaugehistogram'; rows: Row[] }

function familiesText(families: readonly Family[], format: MetricFormat): string {
  const parts: string[] = []
  for (const family of families) {
    const name = escapeName(family.name, format.escaping)
    parts.push(`# TYPE ${name} ${family.type === 'gaugehistogram' ? 'histogram' : family.type}\n`)
    for (const { pairs, timeMs, value, histogram } of family.rows) {
      if (histogram === null) {
        parts.push(`${seriesText(name, pairs)} ${formatFloatG(value)} ${timeMs}\n`)
        continue
      }
      const line = (suffix: string, more: readonly string[], n: number): void => {
        parts.push(`${seriesText(name + suffix, [...pairs, ...more])} ${formatFloatG(n)} ${timeMs}\n`)
      }
      for (const [bound, count] of classicBuckets(histogram)) line('_bucket', ['le', formatFloatG(bound)], count)
      line('_bucket', ['le', '+Inf'], histogram.count)
      line('_sum', [], histogram.sum)
      line('_count', [], histogram.count)
    }
  }
  return parts.join('')
}

/** Upper bounds and cumulative counts of a histogram with custom buckets, without +Inf. */
function classicBuckets(histogram: Histogram): [bound: number, count: number][] {
  const bounds = histogram.customBounds ?? new Float64Array(0)
  const counts = new Float64Array(bounds.length + 1)
  let index = 0
  let bucket = 0
  for (const { offset, length } of histogram.positiveSpans) {
    index += offset
    for (let k = 0; k < length; k++, index++) if (index < counts.length) counts[index] = histogram.positiveBuckets[bucket++]!
  }
  let total = 0
  return Array.from(bounds, (bound, i) => [bound, (total += counts[i]!)])
}

const familyTypes = { untyped: 3, histogram: 4, gaugehistogram: 5 } as const

/** io.prometheus.client.MetricFamily messages, each with its length in front. */
function familiesProto(families: readonly Family[], format: MetricFormat): Uint8Array {
  const out = new ProtoWriter(1 << 14)
  const w = new ProtoWriter(1 << 14)
  for (const family of families) {
    w.length = 0
    w.string(1, escapeName(family.name, format.escaping))
    w.int64(3, familyTypes[family.type])
    for (const { pairs, timeMs, value, histogram } of family.rows) {
      w.message(4, () => {
        for (let i = 0; i < pairs.length; i += 2) {
          w.message(1, () => {
            w.string(1, pairs[i]!)
            w.data(2, utf8Bytes(pairs[i + 1]!))
          })
        }
        if (histogram === null) w.message(5, () => w.doubleAlways(1, value))
        else w.message(7, () => putHistogram(w, histogram))
        w.uvarint(6 * 8)
        w.varint64(timeMs)
      })
    }
    out.uvarint(w.length)
    out.raw(w.written())
  }
  return out.written()
}

function putHistogram(w: ProtoWriter, h: Histogram): void {
  w.doubleAlways(2, h.sum)
  w.doubleAlways(4, h.count)
  if (h.schema === customBucketsSchema) {
    for (const [bound, count] of classicBuckets(h)) {
      w.message(3, () => {
        w.doubleAlways(2, bound)
        w.doubleAlways(4, count)
      })
    }
    return
  }
  w.uvarint(5 * 8)
  w.varint(h.schema)
  w.doubleAlways(6, h.zeroThreshold)
  w.doubleAlways(8, h.zeroCount)
  putSide(w, 9, 11, h.negativeSpans, h.negativeBuckets)
  putSide(w, 12, 14, h.positiveSpans, h.positiveBuckets)
}

function putSide(w: ProtoWriter, spanField: number, countField: number, spans: readonly Span[], buckets: Float64Array): void {
  for (const { offset, length } of spans) {
    w.message(spanField, () => {
      w.sint64(1, offset)
      w.int64(2, length)
    })
  }
  // client_model is proto2: repeated numbers are not packed
  for (const count of buckets) w.doubleAlways(countField, count)
}
