// Integer histogram chunks (encodings 2 and 5). Source: prometheus tsdb/docs/format/chunks.md, chunkenc/histogram.go, histogram_st.go.
//
//   2   ┌ samples <u16 BE> │ counter reset <2 bits>, 0 <6 bits> │ layout │ samples … ┐
//   5   ┌ counter reset <2 bits>, samples <14 bits> │ start time header <u8> │ layout │ samples … ┐
//
//   first sample   time <varbit int> │ count, zero count <varbit uint> │ sum <f64> │ buckets <varbit int>
//   later ones     ΔΔtime, ΔΔcount, ΔΔzero count <varbit int> │ sum <xor> │ ΔΔbuckets <varbit int>; a stale one ends after its sum
//
// Buckets are stored as differences between neighbours; Histogram holds absolute counts. Counts are exact up to 2^53.
import { counterReset, type CounterReset, type Histogram } from '../../model/histogram.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { isStaleAt } from '../../model/staleness.ts'
import { PromhiveError } from '../../base/errors.ts'
import { BitReader, BitWriter } from './bits.ts'
import { bucketCount, emptyLayout, layoutOf, putLayout, readLayout, withKnownSchema, type HistogramLayout } from './histogram-layout.ts'
import { StartTimes } from './start-times.ts'
import { putVarbitInt, putVarbitUint, readVarbitInt, readVarbitUint } from './varbit.ts'
import { chunkTimeMax } from './xor-append.ts'
import { XorValues } from './xor-values.ts'

export const histogramHeaderBytes = 3

/** What a chunk says about its first sample, in the top two bits of its header. */
export const resetHeader = { unknown: 0x00, notReset: 0x40, reset: 0x80, gauge: 0xc0 } as const
export type ResetHeader = (typeof resetHeader)[keyof typeof resetHeader]

export const staleHistogram = {
  schema: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 0,
  positiveSpans: [],
  negativeSpans: [],
  positiveBuckets: new Float64Array(0),
  negativeBuckets: new Float64Array(0),
  customBounds: null,
  counterReset: counterReset.unknown,
} as const

/** Number of samples, reset header and start time header of a histogram chunk of either form. */
export function histogramHeader(chunk: Uint8Array, withStart: boolean): { count: number; reset: ResetHeader; start: number } {
  if (chunk.length < histogramHeaderBytes) {
    throw new PromhiveError('DECODE', `cannot decode histogram chunk: it has ${chunk.length} bytes`)
  }
  const first = chunk[0]!
  if (withStart) return { count: ((first & 0x3f) << 8) | chunk[1]!, reset: (first & 0xc0) as ResetHeader, start: chunk[2]! }
  return { count: (first << 8) | chunk[1]!, reset: (chunk[2]! & 0xc0) as ResetHeader, start: 0 }
}

/** The hint of the i-th sample of a chunk. The first of a counter chunk is unknown whatever the header says: the chunk before may be gone. */
export function resetHint(header: ResetHeader, index: number): CounterReset {
  if (header === resetHeader.gauge) return counterReset.gauge
  return index > 0 ? counterReset.notReset : counterReset.unknown
}

const reader = new BitReader()
const starts = new StartTimes()

/** Appends the histograms with times in [startMs, endMs]; `into` keeps what it had where PromhiveError DECODE is thrown. */
export function decodeHistogram(chunk: Uint8Array, startMs: number, endMs: number, into: SampleColumns, withStart = false): void {
  const header = histogramHeader(chunk, withStart)
  if (header.count === 0) return
  const lengthBefore = into.length
  try {
    decode(chunk, header, startMs, endMs, into)
  } catch (error) {
    into.length = lengthBefore
    if (into.histograms !== null) into.histograms.length = lengthBefore
    throw error
  }
}

function decode(chunk: Uint8Array, header: ReturnType<typeof histogramHeader>, startMs: number, endMs: number, into: SampleColumns): void {
  reader.reset(chunk, histogramHeaderBytes)
  starts.reset(header.start)
  const layout = readLayout(reader)
  const positive = new Float64Array(bucketCount(layout.positiveSpans))
  const negative = new Float64Array(bucketCount(layout.negativeSpans))
  const positiveDeltas = new Float64Array(positive.length)
  const negativeDeltas = new Float64Array(negative.length)
  const sum = new XorValues(1, true)
  let time = 0
  let delta = 0
  let count = 0
  let countDelta = 0
  let zeroCount = 0
  let zeroDelta = 0
  for (let i = 0; i < header.count; i++) {
    const timeBefore = time
    let stale = false
    if (i === 0) {
      time = readVarbitInt(reader)
      count = readVarbitUint(reader)
      zeroCount = readVarbitUint(reader)
      sum.readFirst(reader, 0)
      for (let b = 0; b < positive.length; b++) positive[b] = readVarbitInt(reader)
      for (let b = 0; b < negative.length; b++) negative[b] = readVarbitInt(reader)
      stale = isStaleAt(sum.bits, 0)
    } else {
      delta += readVarbitInt(reader)
      time += delta
      countDelta += readVarbitInt(reader)
      count += countDelta
      zeroDelta += readVarbitInt(reader)
      zeroCount += zeroDelta
      sum.read(reader, 0)
      stale = isStaleAt(sum.bits, 0)
      if (!stale) {
        readBuckets(positive, positiveDeltas)
        readBuckets(negative, negativeDeltas)
      }
    }
    if (time > chunkTimeMax || time < -chunkTimeMax)
      throw new PromhiveError('DECODE', `cannot decode histogram chunk: time ${time} of sample ${i}`)
    starts.read(reader, i, time, timeBefore)
    if (time > endMs) return
    if (time < startMs) continue
    into.push(
      time,
      sum.numbers[0]!,
      intHistogram(layout, stale, count, zeroCount, sum.numbers[0]!, positive, negative, resetHint(header.reset, i)),
      starts.value,
    )
  }
}

function readBuckets(buckets: Float64Array, deltas: Float64Array): void {
  for (let b = 0; b < buckets.length; b++) {
    deltas[b] = deltas[b]! + readVarbitInt(reader)
    buckets[b] = buckets[b]! + deltas[b]!
  }
}

function intHistogram(
  layout: HistogramLayout,
  stale: boolean,
  count: number,
  zeroCount: number,
  sum: number,
  positive: Float64Array,
  negative: Float64Array,
  hint: CounterReset,
): Histogram {
  if (stale) return { isFloat: false, ...staleHistogram, sum }
  return withKnownSchema({
    isFloat: false,
    ...layout,
    zeroCount,
    count,
    sum,
    positiveBuckets: absolute(positive),
    negativeBuckets: absolute(negative),
    counterReset: hint,
  })
}

function absolute(differences: Float64Array): Float64Array {
  const out = new Float64Array(differences.length)
  let sum = 0
  for (let b = 0; b < out.length; b++) out[b] = sum += differences[b]!
  return out
}

/** Writes samples of one layout behind each other; what may share a chunk is decided in open-histogram.ts. */
export class HistogramSamples {
  readonly writer = new BitWriter(histogramHeaderBytes)
  readonly #sum = new XorValues(1, false)
  #time = 0
  #delta = 0
  #count = 0
  #countDelta = 0
  #zeroCount = 0
  #zeroDelta = 0
  #positive: Float64Array = new Float64Array(0)
  #negative: Float64Array = new Float64Array(0)
  #positiveDeltas = new Float64Array(0)
  #negativeDeltas = new Float64Array(0)

  first(time: number, histogram: Histogram, stale: boolean): void {
    putLayout(this.writer, stale ? emptyLayout : layoutOf(histogram))
    this.#time = time
    this.#count = stale ? 0 : histogram.count
    this.#zeroCount = stale ? 0 : histogram.zeroCount
    this.#positive = stale ? new Float64Array(0) : differences(histogram.positiveBuckets)
    this.#negative = stale ? new Float64Array(0) : differences(histogram.negativeBuckets)
    this.#positiveDeltas = new Float64Array(this.#positive.length)
    this.#negativeDeltas = new Float64Array(this.#negative.length)
    putVarbitInt(this.writer, time)
    putVarbitUint(this.writer, this.#count)
    putVarbitUint(this.writer, this.#zeroCount)
    this.#sum.putFirst(this.writer, 0, histogram.sum)
    for (const bucket of this.#positive) putVarbitInt(this.writer, bucket)
    for (const bucket of this.#negative) putVarbitInt(this.writer, bucket)
  }

  next(time: number, histogram: Histogram, stale: boolean): void {
    const delta = time - this.#time
    putVarbitInt(this.writer, delta - this.#delta)
    this.#delta = delta
    this.#time = time
    if (stale) {
      putVarbitInt(this.writer, 0)
      putVarbitInt(this.writer, 0)
      this.#sum.put(this.writer, 0, histogram.sum)
      return
    }
    const countDelta = histogram.count - this.#count
    const zeroDelta = histogram.zeroCount - this.#zeroCount
    putVarbitInt(this.writer, countDelta - this.#countDelta)
    putVarbitInt(this.writer, zeroDelta - this.#zeroDelta)
    this.#countDelta = countDelta
    this.#zeroDelta = zeroDelta
    this.#count = histogram.count
    this.#zeroCount = histogram.zeroCount
    this.#sum.put(this.writer, 0, histogram.sum)
    this.#put(differences(histogram.positiveBuckets), this.#positive, this.#positiveDeltas)
    this.#put(differences(histogram.negativeBuckets), this.#negative, this.#negativeDeltas)
  }

  #put(next: Float64Array, before: Float64Array, deltas: Float64Array): void {
    for (let b = 0; b < next.length; b++) {
      const delta = next[b]! - before[b]!
      putVarbitInt(this.writer, delta - deltas[b]!)
      deltas[b] = delta
      before[b] = next[b]!
    }
  }
}

function differences(buckets: Float64Array): Float64Array {
  const out = new Float64Array(buckets.length)
  let before = 0
  for (let b = 0; b < out.length; b++) {
    out[b] = buckets[b]! - before
    before = buckets[b]!
  }
  return out
}
