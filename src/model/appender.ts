import type { Histogram } from './histogram.ts'
import type { Labels } from './labels.ts'

/** Stands for one series towards the storage: opened once by its labels, then used in columns. An unsigned 32-bit number. */
export type SeriesHandle = number

/** The one way into the storage. Scrapes, rules and remote write all end here; every sample goes through the log before it is applied. */
export interface Appender {
  /** A handle for this label set. Cheap enough for every new line of a scrape; opening the same labels twice gives two handles to one series. */
  open(labels: Labels): SeriesHandle
  /** The same from canonical label bytes (src/model/label-bytes.ts), for callers that never made strings. The bytes are copied. */
  openBytes(labels: Uint8Array): SeriesHandle
  /** The handle must not be used again. Samples appended before keep their place. */
  release(handle: SeriesHandle): void
  /**
   * Appends a batch: it is copied before the call returns, so the caller may reuse its columns at once. Resolves when the batch is durable and,
   * within a bounded wait, applied. Rejects with PromhiveError STORAGE_FULL or UNAVAILABLE: then nothing is promised about the batch.
   */
  append(batch: SampleBatch): Promise<AppendResult>
}

/** Samples in columns. The same handle may appear several times, in time order. */
export type SampleBatch = Readonly<{
  length: number
  handles: Uint32Array
  values: Float64Array
  /** Per sample, ms; null: all have `timeMs`. */
  times: Float64Array | null
  timeMs: number
  histograms?: readonly HistogramSample[]
  exemplars?: readonly ExemplarSample[]
}>
export type HistogramSample = Readonly<{ handle: SeriesHandle; timeMs: number; histogram: Histogram; startTimeMs?: number }>
export type ExemplarSample = Readonly<{ handle: SeriesHandle; labels: Labels; value: number; timeMs: number; hasTime: boolean }>

/** What became of a batch, in samples. Everything not `appended` is counted under exactly one reason. */
export type AppendResult = Readonly<{
  appended: number
  outOfOrder: number
  duplicate: number
  outOfBounds: number
  tooOld: number
  exemplarsOutOfOrder: number
  /** Durable, but not yet applied within the bounded wait: the counts are not known. */
  pending: boolean
  /** Text of the first refusal as Prometheus words it, '' where there is none. */
  firstError: string
}>
