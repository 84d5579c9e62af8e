// Native histograms as remote write carries them (prometheus.Histogram and io.prometheus.write.v2.Histogram have the same fields), read into
// the model's form: bucket counts absolute. Checks and their texts follow Prometheus' model/histogram Validate.
import { customBucketsSchema, type CounterReset, type Histogram, type Span } from '../../src/model/histogram.ts'
import type { ProtoReader } from './protobuf.ts'

/** Buckets one side may have: a hostile message cannot ask for more memory than it pays for in bytes, this bounds the work of what follows. */
const bucketsMax = 100_000

export type WireHistogram = Readonly<{ histogram: Histogram; timeMs: number; startTimeMs: number }>

const no: Float64Array = new Float64Array(0)
const noSpans: readonly Span[] = []

/** Reads a histogram message from the reader's position up to `end`. Throws PromhiveError DECODE. */
export function readHistogram(reader: ProtoReader, end: number): WireHistogram {
  let isFloat = false
  let count = 0
  let sum = 0
  let schema = 0
  let zeroThreshold = 0
  let zeroCount = 0
  let negativeSpans: Span[] | null = null
  let positiveSpans: Span[] | null = null
  const negativeDeltas: number[] = []
  const negativeCounts: number[] = []
  const positiveDeltas: number[] = []
  const positiveCounts: number[] = []
  const bounds: number[] = []
  let reset = 0
  let timeMs = 0
  let startTimeMs = 0
  const outer = reader.end
  reader.end = end
  while (reader.at < end) {
    const tag = reader.tag()
    switch (tag) {
      case 8:
        count = reader.uint64()
        isFloat = false
        break
      case 17:
        count = reader.double()
        isFloat = true
        break
      case 25:
        sum = reader.double()
        break
      case 32:
        schema = reader.sint32()
        break
      case 41:
        zeroThreshold = reader.double()
        break
      case 48:
        zeroCount = reader.uint64()
        break
      case 57:
        zeroCount = reader.double()
        break
      case 66:
        readSpan(reader, (negativeSpans ??= []))
        break
      case 72:
      case 74:
        readNumbers(reader, tag, negativeDeltas, true)
        break
      case 81:
      case 82:
        readNumbers(reader, tag, negativeCounts, false)
        break
      case 90:
        readSpan(reader, (positiveSpans ??= []))
        break
      case 96:
      case 98:
        readNumbers(reader, tag, positiveDeltas, true)
        break
      case 105:
      case 106:
        readNumbers(reader, tag, positiveCounts, false)
        break
      case 112:
        reset = reader.uint32()
        break
      case 120:
        timeMs = reader.int64()
        break
      case 129:
      case 130:
        readNumbers(reader, tag, bounds, false)
        break
      case 136:
        startTimeMs = reader.int64()
        break
      default:
        if (tag >>> 3 <= 17) throw reader.wrongType(tag)
        reader.skip(tag)
    }
  }
  reader.end = outer
  const histogram: Histogram = {
    isFloat,
    schema,
    zeroThreshold,
    zeroCount,
    count,
    sum,
    positiveSpans: positiveSpans ?? noSpans,
    negativeSpans: negativeSpans ?? noSpans,
    positiveBuckets: isFloat ? column(positiveCounts) : absolute(positiveDeltas),
    negativeBuckets: isFloat ? column(negativeCounts) : absolute(negativeDeltas),
    customBounds: bounds.length > 0 || schema === customBucketsSchema ? Float64Array.from(bounds) : null,
    counterReset: (reset <= 3 ? reset : 0) as CounterReset,
  }
  return { histogram, timeMs, startTimeMs }
}

function readSpan(reader: ProtoReader, into: Span[]): void {
  const stop = reader.span()
  let offset = 0
  let length = 0
  while (reader.at < stop) {
    const tag = reader.tag()
    if (tag === 8) offset = reader.sint32()
    else if (tag === 16) length = reader.uint32()
    else reader.skip(tag)
  }
  if (reader.at !== stop) throw reader.short()
  if (into.length >= bucketsMax) throw reader.problem(`more than ${bucketsMax} bucket spans`, 0)
  into.push({ offset, length })
}

/** A repeated field, packed or one by one. */
function readNumbers(reader: ProtoReader, tag: number, into: number[], zigzag: boolean): void {
  const packed = (tag & 7) === 2
  const stop = packed ? reader.span() : reader.at + 1
  do {
    if (packed && reader.at >= stop) break
    if (into.length >= bucketsMax) throw reader.problem(`more than ${bucketsMax} buckets`, 0)
    into.push(zigzag ? reader.sint64() : reader.double())
  } while (packed)
  if (packed && reader.at !== stop) throw reader.short()
}

function column(values: number[]): Float64Array {
  return values.length === 0 ? no : Float64Array.from(values)
}
function absolute(deltas: number[]): Float64Array {
  if (deltas.length === 0) return no
  const out = new Float64Array(deltas.length)
  let current = 0
  for (let i = 0; i < deltas.length; i++) out[i] = current += deltas[i]!
  return out
}

/** What is wrong with a histogram, in Prometheus' words; null where nothing is. */
export function checkHistogram(h: Histogram): string | null {
  if (h.schema === customBucketsSchema) {
    const bounds = checkCustomBounds(h)
    if (bounds !== null) return `custom buckets: ${bounds}`
    if (h.zeroCount !== 0) return 'custom buckets: must have zero count of 0'
    if (h.zeroThreshold !== 0) return 'custom buckets: must have zero threshold of 0'
    if (h.negativeSpans.length > 0) return 'custom buckets: must not have negative spans'
    if (h.negativeBuckets.length > 0) return 'custom buckets: must not have negative buckets'
  } else if (h.schema >= -4 && h.schema <= 8) {
    const positive = checkSpans(h.positiveSpans, h.positiveBuckets.length)
    if (positive !== null) return `positive side: ${positive}`
    const negative = checkSpans(h.negativeSpans, h.negativeBuckets.length) ?? checkBuckets(h.negativeBuckets)
    if (negative !== null) return `negative side: ${negative}`
    if (h.isFloat && h.zeroCount < 0) return `zero bucket has observation count of ${h.zeroCount}: ${negativeBucket}`
    if (h.customBounds !== null) return 'histogram with exponential schema must not have custom bounds'
  } else {
    return `histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema ${h.schema}`
  }
  if (h.isFloat && h.count < 0) return `observation count is  ${h.count}: histogram's observation count is negative`
  const positive = checkBuckets(h.positiveBuckets)
  if (positive !== null) return `positive side: ${positive}`
  if (h.isFloat) return null
  let inBuckets = h.zeroCount
  for (const n of h.positiveBuckets) inBuckets += n
  for (const n of h.negativeBuckets) inBuckets += n
  if (Number.isNaN(h.sum)) {
    if (inBuckets > h.count) {
      return `${inBuckets} observations found in buckets, but the Count field is ${h.count}: histogram's observation count should be at least the number of observations found in the buckets`
    }
  } else if (inBuckets !== h.count) {
    return `${inBuckets} observations found in buckets, but the Count field is ${h.count}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)`
  }
  return null
}

const negativeBucket = 'histogram has a bucket whose observation count is negative'
const mismatch = 'histogram spans specify different number of buckets than provided'
const negativeOffset = 'histogram has a span whose offset is negative'

function checkSpans(spans: readonly Span[], buckets: number): string | null {
  let needed = 0
  for (let n = 0; n < spans.length; n++) {
    if (n > 0 && spans[n]!.offset < 0) return `span number ${n + 1} with offset ${spans[n]!.offset}: ${negativeOffset}`
    needed += spans[n]!.length
  }
  return needed === buckets ? null : `spans need ${needed} buckets, have ${buckets} buckets: ${mismatch}`
}

function checkBuckets(buckets: Float64Array): string | null {
  for (let i = 0; i < buckets.length; i++) {
    if (buckets[i]! < 0) return `bucket number ${i + 1} has observation count of ${buckets[i]}: ${negativeBucket}`
  }
  return null
}

function checkCustomBounds(h: Histogram): string | null {
  const bounds = h.customBounds ?? no
  let previous = -Infinity
  for (let i = 0; i < bounds.length; i++) {
    const bound = bounds[i]!
    if (Number.isNaN(bound)) return 'histogram custom bounds must not be NaN'
    if (i > 0 && bound <= previous) {
      return `previous bound is ${previous.toFixed(6)} and current is ${bound.toFixed(6)}: histogram custom bounds must be in strictly increasing order`
    }
    previous = bound
  }
  if (previous === Infinity) return 'last +Inf bound must not be explicitly defined: histogram custom bounds must be finite'
  let needed = 0
  let total = 0
  for (let n = 0; n < h.positiveSpans.length; n++) {
    const span = h.positiveSpans[n]!
    if (span.offset < 0) return `span number ${n + 1} with offset ${span.offset}: ${negativeOffset}`
    needed += span.length
    total += span.length + span.offset
  }
  if (needed !== h.positiveBuckets.length) return `spans need ${needed} buckets, have ${h.positiveBuckets.length} buckets: ${mismatch}`
  if (bounds.length + 1 < total) {
    return `only ${bounds.length} custom bounds defined which is insufficient to cover total span length of ${total}: histogram custom bounds are too few`
  }
  return null
}

/** Schemas 9 … 52 are reserved for finer buckets: they are merged down to 8, the finest the storage keeps. Spans and buckets must agree. */
export function coarsen(h: Histogram): Histogram {
  const by = h.schema - 8
  if (h.schema <= 8 || h.schema > 52) return h
  const positive = mergeBuckets(h.positiveSpans, h.positiveBuckets, by)
  const negative = mergeBuckets(h.negativeSpans, h.negativeBuckets, by)
  return {
    ...h,
    schema: 8,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
  }
}

function mergeBuckets(spans: readonly Span[], buckets: Float64Array, by: number): { spans: Span[]; buckets: Float64Array } {
  const outSpans: { offset: number; length: number }[] = []
  const out: number[] = []
  let index = 0
  let read = 0
  let previous = 0
  for (const span of spans) {
    index += span.offset
    for (let k = 0; k < span.length && read < buckets.length; k++, index++) {
      const merged = Math.ceil(index / 2 ** by)
      if (out.length > 0 && merged === previous) out[out.length - 1]! += buckets[read++]!
      else {
        if (out.length > 0 && merged === previous + 1) outSpans.at(-1)!.length++
        else outSpans.push({ offset: out.length === 0 ? merged : merged - previous - 1, length: 1 })
        out.push(buckets[read++]!)
        previous = merged
      }
    }
  }
  return { spans: outSpans, buckets: Float64Array.from(out) }
}
