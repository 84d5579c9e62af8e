// Writes delimited MetricFamily messages from plain objects, for tests of the protobuf exposition.
import protobuf from 'protobufjs/minimal.js'
import type { Writer } from 'protobufjs'

type Pairs = Readonly<Record<string, string>>
export type ProtoExemplar = { labels: Pairs; value: number; timeMs?: number }
export type ProtoHistogram = {
  count?: number
  countFloat?: number
  sum?: number
  buckets?: readonly { count: number; upperBound: number; exemplar?: ProtoExemplar }[]
  schema?: number
  zeroThreshold?: number
  zeroCount?: number
  zeroCountFloat?: number
  negativeSpans?: readonly [number, number][]
  negativeDeltas?: readonly number[]
  positiveSpans?: readonly [number, number][]
  positiveDeltas?: readonly number[]
  positiveCounts?: readonly number[]
  exemplars?: readonly ProtoExemplar[]
  startMs?: number
}
export type ProtoMetric = {
  labels?: Pairs
  value?: number
  timeMs?: number
  startMs?: number
  exemplar?: ProtoExemplar
  summary?: { count: number; sum: number; quantiles: readonly [number, number][] }
  histogram?: ProtoHistogram
}
export type ProtoFamily = { name: string; help?: string; unit?: string; type: number; metrics: readonly ProtoMetric[] }
export const protoTypes = { counter: 0, gauge: 1, summary: 2, untyped: 3, histogram: 4, gaugehistogram: 5 } as const

function message(out: Writer, field: number, fill: (inner: Writer) => void): void {
  out.uint32(field * 8 + 2).fork()
  fill(out)
  out.ldelim()
}

function pairs(out: Writer, labels: Pairs): void {
  for (const [name, value] of Object.entries(labels)) message(out, 1, () => void out.uint32(10).string(name).uint32(18).string(value))
}

function timestamp(out: Writer, field: number, ms: number): void {
  message(
    out,
    field,
    () =>
      void out
        .uint32(8)
        .int64(Math.floor(ms / 1000))
        .uint32(16)
        .int32((ms - Math.floor(ms / 1000) * 1000) * 1e6),
  )
}

function exemplar(out: Writer, field: number, { labels, value, timeMs }: ProtoExemplar): void {
  message(out, field, () => {
    pairs(out, labels)
    out.uint32(17).double(value)
    if (timeMs !== undefined) timestamp(out, 3, timeMs)
  })
}

function histogramFields(out: Writer, h: ProtoHistogram): void {
  if (h.count !== undefined) out.uint32(8).uint64(h.count)
  if (h.countFloat !== undefined) out.uint32(33).double(h.countFloat)
  if (h.sum !== undefined) out.uint32(17).double(h.sum)
  for (const bucket of h.buckets ?? []) {
    message(out, 3, () => {
      out.uint32(8).uint64(bucket.count).uint32(17).double(bucket.upperBound)
      if (bucket.exemplar !== undefined) exemplar(out, 3, bucket.exemplar)
    })
  }
  if (h.schema !== undefined) out.uint32(40).sint32(h.schema)
  if (h.zeroThreshold !== undefined) out.uint32(49).double(h.zeroThreshold)
  if (h.zeroCount !== undefined) out.uint32(56).uint64(h.zeroCount)
  if (h.zeroCountFloat !== undefined) out.uint32(65).double(h.zeroCountFloat)
  for (const [offset, length] of h.negativeSpans ?? []) message(out, 9, () => void out.uint32(8).sint32(offset).uint32(16).uint32(length))
  if (h.negativeDeltas !== undefined) message(out, 10, () => h.negativeDeltas!.forEach((delta) => out.sint64(delta)))
  for (const [offset, length] of h.positiveSpans ?? []) message(out, 12, () => void out.uint32(8).sint32(offset).uint32(16).uint32(length))
  for (const delta of h.positiveDeltas ?? []) out.uint32(104).sint64(delta) // not packed: both forms must be read
  if (h.positiveCounts !== undefined) message(out, 14, () => h.positiveCounts!.forEach((count) => out.double(count)))
  if (h.startMs !== undefined) timestamp(out, 15, h.startMs)
  for (const each of h.exemplars ?? []) exemplar(out, 16, each)
}

const valueFields: Readonly<Record<number, number>> = { 0: 3, 1: 2, 3: 5 }

export function encodeFamilies(families: readonly ProtoFamily[]): Uint8Array {
  const out = protobuf.Writer.create()
  for (const family of families) {
    out.fork()
    out.uint32(10).string(family.name)
    if (family.help !== undefined) out.uint32(18).string(family.help)
    out.uint32(24).uint32(family.type)
    for (const metric of family.metrics) {
      message(out, 4, () => {
        pairs(out, metric.labels ?? {})
        const field = valueFields[family.type]
        if (field !== undefined) {
          message(out, field, () => {
            out.uint32(9).double(metric.value ?? 0)
            if (metric.exemplar !== undefined) exemplar(out, 2, metric.exemplar)
            if (metric.startMs !== undefined) timestamp(out, 3, metric.startMs)
          })
        }
        if (metric.summary !== undefined) {
          const { count, sum, quantiles } = metric.summary
          message(out, 4, () => {
            out.uint32(8).uint64(count).uint32(17).double(sum)
            for (const [quantile, value] of quantiles) message(out, 3, () => void out.uint32(9).double(quantile).uint32(17).double(value))
            if (metric.startMs !== undefined) timestamp(out, 4, metric.startMs)
          })
        }
        if (metric.histogram !== undefined) message(out, 7, () => histogramFields(out, metric.histogram!))
        if (metric.timeMs !== undefined) out.uint32(48).int64(metric.timeMs)
      })
    }
    if (family.unit !== undefined) out.uint32(42).string(family.unit)
    out.ldelim()
  }
  return out.finish()
}
