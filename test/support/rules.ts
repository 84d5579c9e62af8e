import type { AppendResult, Appender, SampleBatch } from '../../src/model/appender.ts'
import type { Labels } from '../../src/model/labels.ts'
import { labelsFromObject, printSeries } from '../../src/model/labels.ts'
import { isStaleAt } from '../../src/model/staleness.ts'
import type { QueryVector } from '../../src/rules/querying.ts'

/** Remembers what is appended, as text: `time series value`. */
export class RecordingAppender implements Appender {
  readonly lines: string[] = []
  readonly open_ = new Map<number, Labels>()
  opened = 0
  /** Set to make the next appends fail or be refused. */
  failure: Error | null = null
  refusal = ''
  open(labels: Labels): number {
    this.open_.set(++this.opened, labels)
    return this.opened
  }
  openBytes(): number {
    throw new Error('not used')
  }
  release(handle: number): void {
    if (!this.open_.delete(handle)) throw new Error(`handle ${handle} is not open`)
  }
  append(batch: SampleBatch): Promise<AppendResult> {
    if (this.failure !== null) return Promise.reject(this.failure)
    const bits = new Uint32Array(batch.values.buffer, batch.values.byteOffset, batch.length * 2)
    const name = (handle: number): string => {
      const labels = this.open_.get(handle)
      if (labels === undefined) throw new Error(`handle ${handle} is not open`)
      return printSeries(labels)
    }
    for (let i = 0; i < batch.length; i++) {
      this.lines.push(`${batch.timeMs} ${name(batch.handles[i]!)} ${isStaleAt(bits, i) ? 'stale' : batch.values[i]}`)
    }
    for (const { handle, timeMs } of batch.histograms ?? []) this.lines.push(`${timeMs} ${name(handle)} histogram`)
    const count = batch.length + (batch.histograms?.length ?? 0)
    const refused = this.refusal === '' ? 0 : 1
    return Promise.resolve({
      appended: count - refused,
      outOfOrder: 0,
      duplicate: refused,
      outOfBounds: 0,
      tooOld: 0,
      exemplarsOutOfOrder: 0,
      pending: false,
      firstError: this.refusal,
    })
  }
  /** The lines since the last call. */
  take(): string[] {
    return this.lines.splice(0)
  }
}

/** A vector from label objects and values. */
export function vectorOf(...samples: readonly (readonly [labels: Record<string, string>, value: number])[]): QueryVector {
  return {
    labels: samples.map(([labels]) => labelsFromObject(labels)),
    values: Float64Array.from(samples, ([, value]) => value),
    warnings: [],
  }
}
