// Native histograms as remote write carries them (prometheus.Histogram and io.prometheus.write.v2.Histogram have the same fields), read into
// the model's form: bucket counts absolute. Not checked here: src/model/histogram-check.ts does.
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
