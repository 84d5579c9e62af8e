/** How a histogram relates to the one before it in the series. */
export const counterReset = { unknown: 0, reset: 1, notReset: 2, gauge: 3 } as const
export type CounterReset = (typeof counterReset)[keyof typeof counterReset]

/** Schema of histograms with custom bucket bounds (NHCB); exponential schemas are −4 … 8. */
export const customBucketsSchema = -53

/** `offset` buckets are skipped, then `length` buckets follow. */
export type Span = Readonly<{ offset: number; length: number }>

/**
 * A native histogram. Bucket counts are absolute, never deltas, whatever the wire or the disk holds.
 * An exponential bucket i of schema s is (2^(2^-s)^(i-1), 2^(2^-s)^i]; with custom buckets i is (bounds[i-1], bounds[i]].
 */
export type Histogram = Readonly<{
  /** Integer histograms keep their chunk encoding and wire form; PromQL treats both alike. */
  isFloat: boolean
  schema: number
  zeroThreshold: number
  zeroCount: number
  count: number
  /** StaleNaN here marks the end of the series. */
  sum: number
  positiveSpans: readonly Span[]
  negativeSpans: readonly Span[]
  positiveBuckets: Float64Array
  negativeBuckets: Float64Array
  /** Ascending upper bounds, only with customBucketsSchema; the +Inf bound is implied. */
  customBounds: Float64Array | null
  counterReset: CounterReset
}>
