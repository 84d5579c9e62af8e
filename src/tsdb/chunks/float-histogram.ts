// Float histogram chunks (encodings 3 and 6): as integer ones (histogram.ts), but counts and buckets are absolute floats, whole in the first sample
// and XOR-compressed after it. Source: prometheus tsdb/docs/format/chunks.md, chunkenc/float_histogram.go, float_histogram_st.go.
import type { Histogram } from '../../model/histogram.ts'
import type { SampleColumns } from '../../model/samples.ts'
import { isStaleAt } from '../../model/staleness.ts'
import { PromhiveError } from '../../base/errors.ts'
import { BitReader, BitWriter } from './bits.ts'
import { bucketCount, emptyLayout, layoutOf, putLayout, readLayout, withKnownSchema } from './histogram-layout.ts'
import { histogramHeader, histogramHeaderBytes, resetHint, staleHistogram } from './histogram.ts'
import { StartTimes } from './start-times.ts'
import { putVarbitInt, readVarbitInt } from './varbit.ts'
import { chunkTimeMax } from './xor-append.ts'
import { XorValues } from './xor-values.ts'

const reader = new BitReader()
const starts = new StartTimes()
// order of the floats of a sample
const atCount = 0
const atZeroCount = 1
const atSum = 2
const atBuckets = 3

/** Appends the histograms with times in [startMs, endMs]; `into` keeps what it had where PromhiveError DECODE is thrown. */
export function decodeFloatHistogram(chunk: Uint8Array, startMs: number, endMs: number, into: SampleColumns, withStart = false): void {
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
  const positives = bucketCount(layout.positiveSpans)
  const floats = atBuckets + positives + bucketCount(layout.negativeSpans)
  const values = new XorValues(floats, true)
  let time = 0
  let delta = 0
  for (let i = 0; i < header.count; i++) {
    const timeBefore = time
    if (i === 0) {
      time = readVarbitInt(reader)
      for (let k = 0; k < floats; k++) values.readFirst(reader, k)
    } else {
      delta += readVarbitInt(reader)
      time += delta
      for (let k = 0; k < atBuckets; k++) values.read(reader, k)
      if (!isStaleAt(values.bits, atSum)) for (let k = atBuckets; k < floats; k++) values.read(reader, k)
    }
    if (time > chunkTimeMax || time < -chunkTimeMax)
      throw new PromhiveError('DECODE', `cannot decode histogram chunk: time ${time} of sample ${i}`)
    starts.read(reader, i, time, timeBefore)
    if (time > endMs) return
    if (time < startMs) continue
    const sum = values.numbers[atSum]!
    const histogram: Histogram = isStaleAt(values.bits, atSum)
      ? { isFloat: true, ...staleHistogram, sum }
      : withKnownSchema({
          isFloat: true,
          ...layout,
          zeroCount: values.numbers[atZeroCount]!,
          count: values.numbers[atCount]!,
          sum,
          positiveBuckets: values.numbers.slice(atBuckets, atBuckets + positives),
          negativeBuckets: values.numbers.slice(atBuckets + positives),
          counterReset: resetHint(header.reset, i),
        })
    into.push(time, sum, histogram, starts.value)
  }
}

/** Writes samples of one layout behind each other; what may share a chunk is decided in open-histogram.ts. */
export class FloatHistogramSamples {
  readonly writer = new BitWriter(histogramHeaderBytes)
  #values = new XorValues(0, false)
  #positives = 0
  #time = 0
  #delta = 0

  first(time: number, histogram: Histogram, stale: boolean): void {
    const layout = stale ? emptyLayout : layoutOf(histogram)
    putLayout(this.writer, layout)
    this.#positives = bucketCount(layout.positiveSpans)
    this.#values = new XorValues(atBuckets + this.#positives + bucketCount(layout.negativeSpans), false)
    this.#time = time
    putVarbitInt(this.writer, time)
    this.#values.putFirst(this.writer, atCount, stale ? 0 : histogram.count)
    this.#values.putFirst(this.writer, atZeroCount, stale ? 0 : histogram.zeroCount)
    this.#values.putFirst(this.writer, atSum, histogram.sum)
    if (stale) return
    histogram.positiveBuckets.forEach((bucket, b) => this.#values.putFirst(this.writer, atBuckets + b, bucket))
    histogram.negativeBuckets.forEach((bucket, b) => this.#values.putFirst(this.writer, atBuckets + this.#positives + b, bucket))
  }

  next(time: number, histogram: Histogram, stale: boolean): void {
    const delta = time - this.#time
    putVarbitInt(this.writer, delta - this.#delta)
    this.#delta = delta
    this.#time = time
    this.#values.put(this.writer, atCount, stale ? 0 : histogram.count)
    this.#values.put(this.writer, atZeroCount, stale ? 0 : histogram.zeroCount)
    this.#values.put(this.writer, atSum, histogram.sum)
    if (stale) return
    histogram.positiveBuckets.forEach((bucket, b) => this.#values.put(this.writer, atBuckets + b, bucket))
    histogram.negativeBuckets.forEach((bucket, b) => this.#values.put(this.writer, atBuckets + this.#positives + b, bucket))
  }
}
