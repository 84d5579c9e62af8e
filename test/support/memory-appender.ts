// An appender that keeps everything in memory, for tests that look at what was stored.
import type { Appender, AppendResult, SampleBatch, SeriesHandle } from '../../src/model/appender.ts'
import { decodeLabels } from '../../src/model/label-bytes.ts'
import { printSeries, type Labels } from '../../src/model/labels.ts'
import { isStale } from '../../src/model/staleness.ts'

export type Stored = { series: string; timeMs: number; value: number | 'stale' }

export const appended: AppendResult = {
  appended: 0,
  outOfOrder: 0,
  duplicate: 0,
  outOfBounds: 0,
  tooOld: 0,
  exemplarsOutOfOrder: 0,
  pending: false,
  firstError: '',
}

export class MemoryAppender implements Appender {
  readonly open_ = new Map<SeriesHandle, Labels>()
  readonly batches: Stored[][] = []
  readonly histograms: { series: string; timeMs: number; sum: number; count: number; stale: boolean; startTimeMs: number }[] = []
  readonly exemplars: { series: string; labels: Labels; value: number; timeMs: number; hasTime: boolean }[] = []
  opened = 0
  released = 0
  /** What `append` answers; a test may change it. */
  answer: (batch: SampleBatch) => AppendResult | Error = (batch) => ({ ...appended, appended: batch.length })
  #next = 1

  open(labels: Labels): SeriesHandle {
    this.opened++
    const handle = this.#next++
    this.open_.set(handle, labels)
    return handle
  }
  openBytes(labels: Uint8Array): SeriesHandle {
    return this.open(decodeLabels(labels))
  }
  release(handle: SeriesHandle): void {
    if (!this.open_.delete(handle)) throw new Error(`handle ${handle} released twice`)
    this.released++
  }
  #series(handle: SeriesHandle): string {
    const labels = this.open_.get(handle)
    if (labels === undefined) throw new Error(`handle ${handle} is not open`)
    return printSeries(labels)
  }
  append(batch: SampleBatch): Promise<AppendResult> {
    const stored: Stored[] = []
    for (let i = 0; i < batch.length; i++) {
      const value = batch.values[i]!
      stored.push({
        series: this.#series(batch.handles[i]!),
        timeMs: batch.times === null ? batch.timeMs : batch.times[i]!,
        value: isStale(value) ? 'stale' : value,
      })
    }
    this.batches.push(stored)
    for (const { handle, timeMs, histogram, startTimeMs } of batch.histograms ?? []) {
      const stale = isStale(histogram.sum)
      this.histograms.push({
        series: this.#series(handle),
        timeMs,
        sum: histogram.sum,
        count: histogram.count,
        stale,
        startTimeMs: startTimeMs ?? 0,
      })
    }
    for (const { handle, ...exemplar } of batch.exemplars ?? []) this.exemplars.push({ series: this.#series(handle), ...exemplar })
    const answer = this.answer(batch)
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }
  /** The last batch as `series value[@time]` lines, sorted. */
  last(): string[] {
    return (this.batches.at(-1) ?? []).map(({ series, value, timeMs }) => `${series} ${value}@${timeMs}`).sort()
  }
}
