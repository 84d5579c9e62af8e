// What all samples of a histogram chunk share, written before the first one. Source: prometheus tsdb/docs/format/chunks.md, chunkenc/histogram_meta.go.
//
//   ┌ zero threshold <1 or 9 bytes> │ schema <varbit int> │ positive spans │ negative spans │ custom bounds, only with schema −53 ┐
//   spans   ┌ count <varbit uint> │ (length <varbit uint> │ offset <varbit int>) … ┐
import { PromhiveError } from '../../base/errors.ts'
import { customBucketsSchema, type Histogram, type Span } from '../../model/histogram.ts'
import type { BitReader, BitWriter } from './bits.ts'
import { putVarbitInt, putVarbitUint, readVarbitInt, readVarbitUint } from './varbit.ts'

export type HistogramLayout = Readonly<{
  schema: number
  zeroThreshold: number
  positiveSpans: readonly Span[]
  negativeSpans: readonly Span[]
  customBounds: Float64Array | null
}>

export const emptyLayout: HistogramLayout = { schema: 0, zeroThreshold: 0, positiveSpans: [], negativeSpans: [], customBounds: null }

/** The finest schema PromQL knows; finer ones up to 52 are brought down to it when read. */
const schemaMax = 8
const schemaReservedMax = 52
const schemaMin = -4

export function layoutOf(histogram: Histogram): HistogramLayout {
  const { schema, zeroThreshold, positiveSpans, negativeSpans } = histogram
  const customBounds = schema === customBucketsSchema ? (histogram.customBounds ?? new Float64Array(0)) : null
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customBounds }
}

export function bucketCount(spans: readonly Span[]): number {
  let count = 0
  for (const span of spans) count += span.length
  return count
}

/** The index of every bucket the spans cover, ascending. */
export function bucketIndices(spans: readonly Span[]): Int32Array {
  const out = new Int32Array(bucketCount(spans))
  let n = 0
  let index = 0
  for (const span of spans) {
    index += span.offset
    for (let i = 0; i < span.length; i++) out[n++] = index++
  }
  return out
}

/** The shortest spans that cover exactly these ascending indices. */
export function spansOf(indices: ArrayLike<number>): Span[] {
  const spans: { offset: number; length: number }[] = []
  let next = 0
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!
    const last = spans.at(-1)
    if (last !== undefined && index === next) last.length++
    else spans.push({ offset: index - next, length: 1 })
    next = index + 1
  }
  return spans
}

export function putLayout(writer: BitWriter, layout: HistogramLayout): void {
  putZeroThreshold(writer, layout.zeroThreshold)
  putVarbitInt(writer, layout.schema)
  putSpans(writer, layout.positiveSpans)
  putSpans(writer, layout.negativeSpans)
  if (layout.schema !== customBucketsSchema) return
  const bounds = layout.customBounds ?? new Float64Array(0)
  putVarbitUint(writer, bounds.length)
  for (const bound of bounds) {
    const thousandths = Math.round(bound * 1000)
    if (bound * 1000 >= 0 && bound * 1000 <= 33_554_430 && thousandths / 1000 === bound) putVarbitUint(writer, thousandths + 1)
    else {
      writer.put(0, 1)
      putFloat(writer, bound)
    }
  }
}

/** Throws PromhiveError DECODE where the layout is cut short, of an unknown schema, or larger than the bits behind it allow. */
export function readLayout(reader: BitReader): HistogramLayout {
  const zeroThreshold = readZeroThreshold(reader)
  const schema = readVarbitInt(reader)
  const known = schema === customBucketsSchema || (schema >= schemaMin && schema <= schemaReservedMax)
  if (!known) throw new PromhiveError('DECODE', `cannot decode histogram chunk: unknown schema ${schema}`, { schema })
  const positiveSpans = readSpans(reader)
  const negativeSpans = readSpans(reader)
  let customBounds: Float64Array | null = null
  if (schema === customBucketsSchema) {
    customBounds = new Float64Array(boundedCount(reader, readVarbitUint(reader), 'custom bounds'))
    for (let i = 0; i < customBounds.length; i++) {
      const stored = readVarbitUint(reader)
      customBounds[i] = stored === 0 ? readFloat(reader) : (stored - 1) / 1000
    }
  }
  boundedCount(reader, bucketCount(positiveSpans) + bucketCount(negativeSpans), 'buckets')
  return { schema, zeroThreshold, positiveSpans, negativeSpans, customBounds }
}

function putZeroThreshold(writer: BitWriter, threshold: number): void {
  scratch[0] = threshold
  const exponent = ((scratchBits[1]! >>> 20) & 0x7ff) - 1023
  if (threshold === 0) writer.put(0, 8)
  else if (threshold > 0 && scratchBits[0] === 0 && (scratchBits[1]! & 0xfffff) === 0 && exponent >= -243 && exponent <= 10) {
    writer.put(exponent + 244, 8)
  } else {
    writer.put(255, 8)
    putFloat(writer, threshold)
  }
}

function readZeroThreshold(reader: BitReader): number {
  const code = reader.bits(8)
  if (code === 0) return 0
  return code === 255 ? readFloat(reader) : 2 ** (code - 244)
}

function putSpans(writer: BitWriter, spans: readonly Span[]): void {
  putVarbitUint(writer, spans.length)
  for (const span of spans) {
    putVarbitUint(writer, span.length)
    putVarbitInt(writer, span.offset)
  }
}

function readSpans(reader: BitReader): Span[] {
  const count = boundedCount(reader, readVarbitUint(reader), 'spans')
  const spans: Span[] = []
  let index = 0
  for (let i = 0; i < count; i++) {
    const length = readVarbitUint(reader)
    const offset = readVarbitInt(reader)
    index += offset + length
    if (length > 0x7fffffff || Math.abs(index) > 0x7fffffff) {
      throw new PromhiveError('DECODE', `cannot decode histogram chunk: span ${i} reaches bucket ${index}`)
    }
    spans.push({ offset, length })
  }
  return spans
}

/** Nothing takes less than a bit, so a count over the bits that are left is broken: never allocate for it. */
function boundedCount(reader: BitReader, count: number, what: string): number {
  if (count <= reader.end - reader.position) return count
  throw new PromhiveError('DECODE', `cannot decode histogram chunk: ${count} ${what} in ${reader.end - reader.position} bits`)
}

const scratch = new Float64Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

function putFloat(writer: BitWriter, value: number): void {
  scratch[0] = value
  writer.put64(scratchBits[1]!, scratchBits[0]!, 64)
}

function readFloat(reader: BitReader): number {
  reader.bits64(64)
  scratchBits[0] = reader.low
  scratchBits[1] = reader.high
  return scratch[0]!
}

/** Brings a histogram of a schema over 8 (written by a newer Prometheus) down to 8 by adding neighbouring buckets. Others are returned as they are. */
export function withKnownSchema(histogram: Histogram): Histogram {
  if (histogram.schema <= schemaMax) return histogram
  const by = histogram.schema - schemaMax
  const positive = coarser(histogram.positiveSpans, histogram.positiveBuckets, by)
  const negative = coarser(histogram.negativeSpans, histogram.negativeBuckets, by)
  return {
    ...histogram,
    schema: schemaMax,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
  }
}

function coarser(spans: readonly Span[], buckets: Float64Array, by: number): { spans: Span[]; buckets: Float64Array } {
  const sums = new Map<number, number>()
  bucketIndices(spans).forEach((index, i) => {
    const target = Math.ceil(index / 2 ** by) // bucket i ends at base^i: it lies in the coarse bucket that ends at or behind it
    sums.set(target, (sums.get(target) ?? 0) + buckets[i]!)
  })
  return { spans: spansOf([...sums.keys()]), buckets: Float64Array.from(sums.values()) }
}
