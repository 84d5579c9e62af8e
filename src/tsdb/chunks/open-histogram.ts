// A histogram chunk that is being filled, and the rules for what may follow in it. Source: chunkenc/histogram.go and float_histogram.go.
//
//   sample fits ────────────────────────▶ appended
//   sample has buckets the chunk lacks ─▶ the chunk is written anew with them (recoded), then appended
//   chunk has buckets the sample lacks ─▶ if they are 0 so far (or gauge): the sample is widened, then appended; else a counter reset
//   counter reset, other schema, zero threshold or bounds, gauge ⇄ counter, fresh after stale ─▶ a new chunk, its header says why
import { assert } from '../../base/assert.ts'
import { counterReset, customBucketsSchema, type Histogram, type Span } from '../../model/histogram.ts'
import { SampleColumns } from '../../model/samples.ts'
import { isStale } from '../../model/staleness.ts'
import { decodeFloatHistogram, FloatHistogramSamples } from './float-histogram.ts'
import { bucketIndices, emptyLayout, layoutOf, spansOf, type HistogramLayout } from './histogram-layout.ts'
import { decodeHistogram, histogramHeader, HistogramSamples, resetHeader, type ResetHeader } from './histogram.ts'
import { StartTimesWriter } from './start-times.ts'

/** Integer chunks hold counts up to 2^53 exactly; anything larger is kept as floats, which is what PromQL makes of it anyway. */
export function isFloatChunk(histogram: Histogram): boolean {
  return histogram.isFloat || histogram.count > Number.MAX_SAFE_INTEGER
}

/** How a histogram relates to a chunk: merged indices and which side lacks some; null where it cannot follow in the chunk. */
type Fit = Readonly<{ positive: Union; negative: Union }>
type Union = Readonly<{ indices: readonly number[]; chunkLacks: boolean; sampleLacks: boolean }>

export class OpenHistogramChunk {
  readonly isFloat: boolean
  count = 0
  minTime = 0
  maxTime = 0
  #header: ResetHeader = resetHeader.unknown
  #layout: HistogramLayout = emptyLayout
  #last: Histogram | null = null
  #lastStale = false
  #samples: HistogramSamples | FloatHistogramSamples
  /** Null: the chunk has no start times. */
  #starts: StartTimesWriter | null

  private constructor(isFloat: boolean, withStarts: boolean) {
    this.isFloat = isFloat
    this.#samples = isFloat ? new FloatHistogramSamples() : new HistogramSamples()
    this.#starts = withStarts ? new StartTimesWriter() : null
  }

  /**
   * A chunk with one sample. `before` is the chunk the series had until now, for the reset header; null where there is none or it held floats.
   * @param startTime null: a chunk without start times; else ms, 0 = unknown.
   */
  static start(time: number, histogram: Histogram, before: OpenHistogramChunk | null, startTime: number | null = null): OpenHistogramChunk {
    const chunk = new OpenHistogramChunk(isFloatChunk(histogram), startTime !== null)
    chunk.#add(time, histogram, startTime ?? 0)
    if (histogram.counterReset === counterReset.gauge) chunk.#header = resetHeader.gauge
    else if (histogram.counterReset === counterReset.reset) chunk.#header = resetHeader.reset
    else if (before !== null && before.isFloat === chunk.isFloat) {
      const { header } = before.#compare(histogram)
      chunk.#header = !chunk.isFloat || header === resetHeader.reset ? header : resetHeader.notReset
    }
    return chunk
  }

  /** Opens a chunk again, to append to it. Throws PromhiveError DECODE. */
  static resume(isFloat: boolean, bytes: Uint8Array, withStarts = false): OpenHistogramChunk {
    const chunk = new OpenHistogramChunk(isFloat, withStarts)
    chunk.#rewrite(bytes, null)
    return chunk
  }

  /** Chunk encoding. */
  get encoding(): 2 | 3 | 5 | 6 {
    if (this.#starts !== null) return this.isFloat ? 6 : 5
    return this.isFloat ? 3 : 2
  }

  /** Buckets of the newest sample. */
  get lastBuckets(): number {
    return this.#last === null ? 0 : this.#last.positiveBuckets.length + this.#last.negativeBuckets.length
  }

  get byteLength(): number {
    return (this.#samples.writer.position + 7) >>> 3
  }

  /** The chunk's data; a copy. */
  bytes(): Uint8Array {
    const out = this.#samples.writer.written()
    out[0] = this.count >>> 8
    out[1] = this.count & 0xff
    if (this.#starts === null) out[2] = this.#header
    else {
      out[0] |= this.#header
      out[2] = this.#starts.header
    }
    return out
  }

  /**
   * Appends, recoding where needed. `time` must be later than the last. The caller starts a new chunk where it changes between floats and integers.
   * @returns this chunk, or the new one that holds the sample: this one is then complete.
   */
  append(time: number, histogram: Histogram, startTime = 0): OpenHistogramChunk {
    assert(this.isFloat === isFloatChunk(histogram), 'histogram of the other kind appended to a chunk')
    assert(this.count < (this.#starts === null ? 0xffff : 0x3fff), 'histogram chunk is full')
    const gauge = histogram.counterReset === counterReset.gauge
    const { fit, header } = gauge ? this.#compareGauge(histogram) : this.#compare(histogram)
    if (fit === null || header === resetHeader.reset) {
      const next = new OpenHistogramChunk(this.isFloat, this.#starts !== null)
      next.#add(time, histogram, startTime)
      if (gauge) next.#header = resetHeader.gauge
      else if (!this.isFloat || header === resetHeader.reset) next.#header = header
      return next
    }
    if (fit === 'stale') {
      this.#add(time, histogram, startTime)
      return this
    }
    const { positive, negative } = fit
    let sample = histogram
    if (positive.sampleLacks || negative.sampleLacks) {
      let spans: { positiveSpans: readonly Span[]; negativeSpans: readonly Span[] }
      if (gauge) spans = { positiveSpans: spansOf(positive.indices), negativeSpans: spansOf(negative.indices) }
      else if (!positive.chunkLacks && !negative.chunkLacks) spans = this.#layout
      else {
        spans = {
          positiveSpans: positive.sampleLacks ? spansOf(positive.indices) : histogram.positiveSpans,
          negativeSpans: negative.sampleLacks ? spansOf(negative.indices) : histogram.negativeSpans,
        }
      }
      sample = widen(histogram, spans.positiveSpans, spans.negativeSpans)
    }
    if (positive.chunkLacks || negative.chunkLacks) this.#rewrite(this.bytes(), sample)
    this.#add(time, sample, startTime)
    return this
  }

  #add(time: number, histogram: Histogram, startTime: number): void {
    const stale = isStale(histogram.sum)
    if (this.count === 0) {
      this.#layout = stale ? emptyLayout : layoutOf(histogram)
      this.minTime = time
      this.#samples.first(time, histogram, stale)
    } else this.#samples.next(time, histogram, stale)
    this.#starts?.put(this.#samples.writer, this.count, time, this.maxTime, startTime)
    this.count++
    this.maxTime = time
    this.#last = histogram
    this.#lastStale = stale
  }

  /** Fills this chunk from `bytes`, every sample widened to the spans of `wider` where it is given. */
  #rewrite(bytes: Uint8Array, wider: Histogram | null): void {
    const columns = new SampleColumns()
    const withStarts = this.#starts !== null
    if (this.isFloat) decodeFloatHistogram(bytes, -Infinity, Infinity, columns, withStarts)
    else decodeHistogram(bytes, -Infinity, Infinity, columns, withStarts)
    if (withStarts) this.#starts = new StartTimesWriter()
    this.#samples = this.isFloat ? new FloatHistogramSamples() : new HistogramSamples()
    this.count = 0
    for (let i = 0; i < columns.length; i++) {
      const histogram = columns.histograms![i]!
      const sample = wider === null ? histogram : widen(histogram, wider.positiveSpans, wider.negativeSpans)
      this.#add(columns.times[i]!, sample, columns.startTimes?.[i] ?? 0)
    }
    this.#header = histogramHeader(bytes, withStarts).reset
  }

  #sameShape(histogram: Histogram): boolean {
    return histogram.schema === this.#layout.schema && histogram.zeroThreshold === this.#layout.zeroThreshold
  }

  #sameBounds(histogram: Histogram): boolean {
    if (histogram.schema !== customBucketsSchema) return true
    const a = this.#layout.customBounds!
    const b = histogram.customBounds ?? new Float64Array(0)
    return a.length === b.length && a.every((bound, i) => bound === b[i])
  }

  #compare(histogram: Histogram): { fit: Fit | 'stale' | null; header: ResetHeader } {
    const { notReset, reset, unknown, gauge } = resetHeader
    if (this.count > 0 && this.#header === gauge) return { fit: null, header: this.isFloat ? unknown : notReset }
    if (histogram.counterReset === counterReset.reset) return { fit: null, header: reset }
    if (isStale(histogram.sum)) return { fit: 'stale', header: notReset }
    if (this.#lastStale) return { fit: null, header: unknown }
    const last = this.#last!
    if (histogram.count < last.count) return { fit: null, header: reset }
    if (!this.#sameShape(histogram)) return { fit: null, header: unknown }
    if (!this.#sameBounds(histogram) || histogram.zeroCount < last.zeroCount) return { fit: null, header: reset }
    const positive = follow(last.positiveSpans, last.positiveBuckets, histogram.positiveSpans, histogram.positiveBuckets)
    const negative = follow(last.negativeSpans, last.negativeBuckets, histogram.negativeSpans, histogram.negativeBuckets)
    if (positive === null || negative === null) return { fit: null, header: reset }
    return { fit: { positive, negative }, header: notReset }
  }

  #compareGauge(histogram: Histogram): { fit: Fit | 'stale' | null; header: ResetHeader } {
    const header = resetHeader.gauge
    if (this.count > 0 && this.#header !== resetHeader.gauge) return { fit: null, header }
    if (isStale(histogram.sum)) return { fit: 'stale', header }
    if (this.#lastStale || !this.#sameShape(histogram) || !this.#sameBounds(histogram)) return { fit: null, header }
    const last = this.#last!
    const positive = union(bucketIndices(last.positiveSpans), bucketIndices(histogram.positiveSpans))
    const negative = union(bucketIndices(last.negativeSpans), bucketIndices(histogram.negativeSpans))
    return { fit: { positive, negative }, header }
  }
}

function union(chunk: Int32Array, sample: Int32Array): Union {
  const indices: number[] = []
  let chunkLacks = false
  let sampleLacks = false
  let a = 0
  let b = 0
  while (a < chunk.length || b < sample.length) {
    const left = a < chunk.length ? chunk[a]! : Infinity
    const right = b < sample.length ? sample[b]! : Infinity
    indices.push(Math.min(left, right))
    if (left < right) sampleLacks = true
    if (right < left) chunkLacks = true
    if (left <= right) a++
    if (right <= left) b++
  }
  return { indices, chunkLacks, sampleLacks }
}

/** The union, or null where a bucket that was in use has shrunk or is gone. */
function follow(spansBefore: readonly Span[], before: Float64Array, spans: readonly Span[], buckets: Float64Array): Union | null {
  if (sameSpans(spansBefore, spans)) {
    for (let i = 0; i < before.length; i++) if (before[i]! > buckets[i]!) return null
    return { indices: [], chunkLacks: false, sampleLacks: false }
  }
  const from = bucketIndices(spansBefore)
  const to = bucketIndices(spans)
  let b = 0
  for (let a = 0; a < from.length; a++) {
    while (b < to.length && to[b]! < from[a]!) b++
    const count = to[b] === from[a] ? buckets[b]! : 0
    if (before[a]! > count || (to[b] !== from[a] && before[a] !== 0)) return null
  }
  return union(from, to)
}

function sameSpans(a: readonly Span[], b: readonly Span[]): boolean {
  return a.length === b.length && a.every((span, i) => span.offset === b[i]!.offset && span.length === b[i]!.length)
}

/** The same histogram laid out in spans that cover all of its buckets and more; the others are 0. */
function widen(histogram: Histogram, positiveSpans: readonly Span[], negativeSpans: readonly Span[]): Histogram {
  if (isStale(histogram.sum)) return histogram
  return {
    ...histogram,
    positiveSpans,
    negativeSpans,
    positiveBuckets: spread(bucketIndices(histogram.positiveSpans), histogram.positiveBuckets, bucketIndices(positiveSpans)),
    negativeBuckets: spread(bucketIndices(histogram.negativeSpans), histogram.negativeBuckets, bucketIndices(negativeSpans)),
  }
}

function spread(from: Int32Array, buckets: Float64Array, to: Int32Array): Float64Array {
  const out = new Float64Array(to.length)
  let a = 0
  for (let b = 0; b < to.length && a < from.length; b++) if (to[b] === from[a]) out[b] = buckets[a++]!
  assert(a === from.length, 'a bucket has no place in the wider spans')
  return out
}
