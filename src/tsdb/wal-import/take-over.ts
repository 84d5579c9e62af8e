// Brings the head of a Prometheus directory into our own storage, through the one door all samples take. Done once, at the first start on the directory.
import type { Appender, AppendResult, ExemplarSample, HistogramSample, SampleBatch, SeriesHandle } from '../../model/appender.ts'
import type { Labels } from '../../model/labels.ts'
import type { Metadata } from '../../model/metadata.ts'
import type { SampleColumns } from '../../model/samples.ts'
import type { Disk } from '../../ports/disk.ts'
import { type HeadImport, type HeadSink, importHead, type ImportOptions } from './import-head.ts'
import type { Decompressors } from './log.ts'

const samplesPerBatch = 16_384

export type TakeOver = HeadImport &
  Readonly<{
    appended: number
    /** Refused: out of order, too old, out of bounds. */
    refused: number
    /** Text of the first refusal, '' where there is none. */
    firstError: string
  }>

/**
 * Appends what lies in wal/, chunks_head/ and wbl/ and, from `fromMs` on, in no block. `sliceMs` is half a block range: then nothing comes too late for the
 * window it belongs to. Resolves when all of it is durable; rejects as the appender does.
 * The files are left as they are: the caller moves them away once this has resolved, so that a crash in between only means doing it again.
 */
export async function takeOverHead(
  disk: Disk,
  dataDirectory: string,
  decompress: Decompressors,
  appender: Appender,
  options: ImportOptions = {},
): Promise<TakeOver> {
  const batches = new Batches(appender)
  const totals = { appended: 0, refused: 0, firstError: '' }
  const steps = importHead(disk, dataDirectory, decompress, batches, options)
  try {
    for (;;) {
      const step = steps.next()
      for (const batch of batches.take(step.done === true)) add(totals, await appender.append(batch))
      if (step.done === true) return { ...step.value, ...totals }
    }
  } finally {
    batches.release()
  }
}

function add(totals: { appended: number; refused: number; firstError: string }, result: AppendResult): void {
  totals.appended += result.appended
  totals.refused += result.outOfOrder + result.outOfBounds + result.tooOld
  if (totals.firstError === '') totals.firstError = result.firstError
}

/** Gathers what is given until it is taken as batches. */
class Batches implements HeadSink {
  readonly #appender: Appender
  readonly #handles: SeriesHandle[] = []
  #length = 0
  #seriesOf = new Uint32Array(samplesPerBatch)
  #times = new Float64Array(samplesPerBatch)
  #bits = new Uint32Array(samplesPerBatch * 2)
  #histograms: HistogramSample[] = []
  #exemplars: ExemplarSample[] = []
  #metadata: { handle: SeriesHandle; metadata: Metadata }[] = []

  constructor(appender: Appender) {
    this.#appender = appender
  }

  series(series: number, labels: Labels): void {
    this.#handles[series] = this.#appender.open(labels)
  }

  samples(series: number, columns: SampleColumns): void {
    const handle = this.#handles[series]!
    for (let i = 0; i < columns.length; i++) {
      const histogram = columns.histograms?.[i] ?? null
      if (histogram !== null) {
        this.#histograms.push({ handle, timeMs: columns.times[i]!, histogram, startTimeMs: columns.startTimes?.[i] ?? 0 })
        continue
      }
      if (this.#length === this.#times.length) this.#grow()
      const at = this.#length++
      this.#seriesOf[at] = handle
      this.#times[at] = columns.times[i]!
      this.#bits[at * 2] = columns.bits[i * 2]!
      this.#bits[at * 2 + 1] = columns.bits[i * 2 + 1]!
    }
  }

  exemplar(series: number, timeMs: number, value: number, labels: Labels): void {
    this.#exemplars.push({ handle: this.#handles[series]!, labels, value, timeMs, hasTime: true })
  }

  metadata(series: number, metadata: Metadata): void {
    this.#metadata.push({ handle: this.#handles[series]!, metadata })
  }

  /** Whole batches; with `all`, the rest too. A batch is good until the next is asked for. */
  *take(all: boolean): Generator<SampleBatch> {
    if (!all && this.#length + this.#histograms.length < samplesPerBatch) return
    const values = new Float64Array(this.#bits.buffer)
    for (let from = 0; from < this.#length; from += samplesPerBatch) {
      const to = Math.min(this.#length, from + samplesPerBatch)
      yield {
        length: to - from,
        handles: this.#seriesOf.subarray(from, to),
        values: values.subarray(from, to),
        times: this.#times.subarray(from, to),
        timeMs: 0,
      }
    }
    this.#length = 0
    const histograms = this.#histograms.splice(0)
    for (let from = 0; from < histograms.length; from += 1024) yield { ...noFloats, histograms: histograms.slice(from, from + 1024) }
    // behind their samples: an exemplar of a series without any would be refused
    const exemplars = this.#exemplars.splice(0)
    const metadata = this.#metadata.splice(0)
    if (exemplars.length > 0 || metadata.length > 0) yield { ...noFloats, exemplars, metadata }
  }

  release(): void {
    for (const handle of this.#handles) this.#appender.release(handle)
  }

  #grow(): void {
    const capacity = this.#times.length * 2
    const seriesOf = new Uint32Array(capacity)
    seriesOf.set(this.#seriesOf)
    const times = new Float64Array(capacity)
    times.set(this.#times)
    const bits = new Uint32Array(capacity * 2)
    bits.set(this.#bits)
    this.#seriesOf = seriesOf
    this.#times = times
    this.#bits = bits
  }
}

const noFloats = { length: 0, handles: new Uint32Array(0), values: new Float64Array(0), times: null, timeMs: 0 } as const
