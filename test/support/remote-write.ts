// Encoders for remote-write requests, and an Appender that remembers: for tests and benches.
import { encodeSnappy } from '../../protocols/remote/snappy.ts'
import { ProtoWriter } from '../../protocols/remote/protobuf.ts'
import type { AppendResult, Appender, SampleBatch } from '../../src/model/appender.ts'
import { decodeLabels } from '../../src/model/label-bytes.ts'
import { printLabels, type Labels } from '../../src/model/labels.ts'

export type WireSample = readonly [value: number, timeMs: number]
export type WireLabel = readonly [name: string, value: string]
export type WireHistogramFields = Readonly<{
  countInt?: number
  countFloat?: number
  sum?: number
  schema?: number
  zeroThreshold?: number
  zeroCountInt?: number
  zeroCountFloat?: number
  negativeSpans?: readonly (readonly [offset: number, length: number])[]
  negativeDeltas?: readonly number[]
  negativeCounts?: readonly number[]
  positiveSpans?: readonly (readonly [offset: number, length: number])[]
  positiveDeltas?: readonly number[]
  positiveCounts?: readonly number[]
  resetHint?: number
  timeMs: number
  customValues?: readonly number[]
  startTimeMs?: number
}>
export type WireExemplar = Readonly<{ labels: readonly WireLabel[]; value: number; timeMs: number }>
export type WireSeries = Readonly<{
  labels: readonly WireLabel[]
  samples?: readonly WireSample[]
  histograms?: readonly WireHistogramFields[]
  exemplars?: readonly WireExemplar[]
  /** Version 2 only. */
  metadata?: Readonly<{ type: number; help: string; unit: string }>
  startTimeMs?: number
}>

function putHistogram(w: ProtoWriter, h: WireHistogramFields): void {
  const spans = (field: number, list: readonly (readonly [number, number])[] = []): void => {
    for (const [offset, length] of list) {
      w.message(field, () => {
        w.sint64(1, offset)
        w.int64(2, length)
      })
    }
  }
  if (h.countFloat !== undefined) w.doubleAlways(2, h.countFloat)
  else {
    w.uvarint(8)
    w.uvarint(h.countInt ?? 0)
  }
  w.double(3, h.sum ?? 0)
  w.sint64(4, h.schema ?? 0)
  w.double(5, h.zeroThreshold ?? 0)
  if (h.zeroCountFloat !== undefined) w.doubleAlways(7, h.zeroCountFloat)
  else w.int64(6, h.zeroCountInt ?? 0)
  spans(8, h.negativeSpans)
  w.packedSint64(9, h.negativeDeltas ?? [])
  w.packedDoubles(10, h.negativeCounts ?? [])
  spans(11, h.positiveSpans)
  w.packedSint64(12, h.positiveDeltas ?? [])
  w.packedDoubles(13, h.positiveCounts ?? [])
  w.int64(14, h.resetHint ?? 0)
  w.int64(15, h.timeMs)
  w.packedDoubles(16, h.customValues ?? [])
  w.int64(17, h.startTimeMs ?? 0)
}

/** prometheus.WriteRequest, not compressed. */
export function encodeV1(series: readonly WireSeries[]): Uint8Array {
  const w = new ProtoWriter(1 << 12)
  const label = ([name, value]: WireLabel): void =>
    w.message(1, () => {
      w.string(1, name)
      w.string(2, value)
    })
  for (const s of series) {
    w.message(1, () => {
      s.labels.forEach(label)
      for (const [value, timeMs] of s.samples ?? []) {
        w.message(2, () => {
          w.double(1, value)
          w.int64(2, timeMs)
        })
      }
      for (const e of s.exemplars ?? []) {
        w.message(3, () => {
          e.labels.forEach(label)
          w.double(2, e.value)
          w.int64(3, e.timeMs)
        })
      }
      for (const h of s.histograms ?? []) w.message(4, () => putHistogram(w, h))
    })
  }
  return w.written()
}

/** io.prometheus.write.v2.Request, not compressed. */
export function encodeV2(series: readonly WireSeries[], symbolsFirst = true): Uint8Array {
  const symbols = new Map<string, number>([['', 0]])
  const ref = (text: string): number => {
    const known = symbols.get(text)
    if (known !== undefined) return known
    symbols.set(text, symbols.size)
    return symbols.size - 1
  }
  const refs = (labels: readonly WireLabel[]): number[] => labels.flatMap(([name, value]) => [ref(name), ref(value)])
  const body = new ProtoWriter(1 << 12)
  for (const s of series) {
    body.message(5, () => {
      body.packedUint32(1, refs(s.labels))
      for (const [value, timeMs] of s.samples ?? []) {
        body.message(2, () => {
          body.double(1, value)
          body.int64(2, timeMs)
          body.int64(3, s.startTimeMs ?? 0)
        })
      }
      for (const h of s.histograms ?? []) body.message(3, () => putHistogram(body, h))
      for (const e of s.exemplars ?? []) {
        body.message(4, () => {
          body.packedUint32(1, refs(e.labels))
          body.double(2, e.value)
          body.int64(3, e.timeMs)
        })
      }
      const { metadata } = s
      if (metadata !== undefined) {
        body.message(5, () => {
          body.int64(1, metadata.type)
          body.int64(3, ref(metadata.help))
          body.int64(4, ref(metadata.unit))
        })
      }
    })
  }
  const table = new ProtoWriter(1 << 12)
  for (const text of symbols.keys()) {
    table.uvarint(4 * 8 + 2)
    table.text(text)
  }
  const out = new ProtoWriter(1 << 12)
  out.raw(symbolsFirst ? table.written() : body.written())
  out.raw(symbolsFirst ? body.written() : table.written())
  return out.written()
}

export function compressed(message: Uint8Array): Uint8Array {
  return encodeSnappy(message)
}

const nothingRefused: AppendResult = {
  appended: 0,
  outOfOrder: 0,
  duplicate: 0,
  outOfBounds: 0,
  tooOld: 0,
  exemplarsOutOfOrder: 0,
  pending: false,
  firstError: '',
}

/** Remembers what it was given, as text. `result` is what the next append answers; an Error is thrown. */
export class RecordingAppender implements Appender {
  readonly series: Labels[] = []
  readonly released: number[] = []
  readonly samples: string[] = []
  readonly batches: SampleBatch[] = []
  result: Partial<AppendResult> | Error = {}
  opens = 0
  open(labels: Labels): number {
    this.opens++
    return this.series.push(labels) - 1
  }
  openBytes(bytes: Uint8Array): number {
    return this.open(decodeLabels(bytes.slice()))
  }
  release(handle: number): void {
    this.released.push(handle)
  }
  append(batch: SampleBatch): Promise<AppendResult> {
    if (this.result instanceof Error) return Promise.reject(this.result)
    this.batches.push({ ...batch, handles: batch.handles.slice(0, batch.length), values: batch.values.slice(0, batch.length) })
    for (let i = 0; i < batch.length; i++) {
      const handle = batch.handles[i]!
      if (this.released.includes(handle)) throw new Error(`BUG: handle ${handle} used after release`)
      this.samples.push(`${printLabels(this.series[handle]!)} ${batch.values[i]} @${batch.times?.[i] ?? batch.timeMs}`)
    }
    const count = batch.length + (batch.histograms?.length ?? 0)
    return Promise.resolve({ ...nothingRefused, appended: count, ...this.result })
  }
}
