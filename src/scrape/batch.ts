// The columns one scrape fills. One builder serves all targets of a thread: the appender copies a batch before `append` returns.
import type { ExemplarSample, HistogramSample, SampleBatch, SeriesHandle } from '../model/appender.ts'
import { staleHigh, staleLow } from '../model/staleness.ts'

export class BatchBuilder {
  length = 0
  handles = new Uint32Array(1024)
  values = new Float64Array(1024)
  bits = new Uint32Array(this.values.buffer)
  timeMs = 0
  /** Per sample, once one of them has a time of its own. */
  times: Float64Array | null = null
  #timesKept = new Float64Array(0)
  histograms: HistogramSample[] = []
  exemplars: ExemplarSample[] = []

  begin(timeMs: number): void {
    this.timeMs = timeMs
    this.truncate()
  }

  /** Forgets everything but the time. */
  truncate(): void {
    this.length = 0
    this.times = null
    this.histograms = []
    this.exemplars = []
  }

  reserve(more: number): void {
    const need = this.length + more
    if (need <= this.handles.length) return
    const capacity = Math.max(need, this.handles.length * 2)
    const handles = new Uint32Array(capacity)
    handles.set(this.handles.subarray(0, this.length))
    const bits = new Uint32Array(capacity * 2)
    bits.set(this.bits.subarray(0, this.length * 2))
    this.handles = handles
    this.bits = bits
    this.values = new Float64Array(bits.buffer)
    if (this.times !== null) {
      const times = new Float64Array(capacity)
      times.set(this.times.subarray(0, this.length))
      this.times = this.#timesKept = times
    }
  }

  push(handle: SeriesHandle, value: number): void {
    if (this.length === this.handles.length) this.reserve(1)
    const i = this.length++
    this.handles[i] = handle
    this.values[i] = value
    if (this.times !== null) this.times[i] = this.timeMs
  }

  pushAt(handle: SeriesHandle, value: number, timeMs: number): void {
    if (this.length === this.handles.length) this.reserve(1)
    if (this.times === null) {
      if (this.#timesKept.length < this.handles.length) this.#timesKept = new Float64Array(this.handles.length)
      this.times = this.#timesKept
      this.times.fill(this.timeMs, 0, this.length)
    }
    const i = this.length++
    this.handles[i] = handle
    this.values[i] = value
    this.times[i] = timeMs
  }

  /** The marker that ends a series, bit by bit. */
  pushStale(handle: SeriesHandle): void {
    if (this.length === this.handles.length) this.reserve(1)
    const i = this.length++
    this.handles[i] = handle
    this.bits[i * 2] = staleLow
    this.bits[i * 2 + 1] = staleHigh
    if (this.times !== null) this.times[i] = this.timeMs
  }

  /** Views of the columns: valid until the next `begin`. */
  batch(): SampleBatch {
    return {
      length: this.length,
      handles: this.handles.subarray(0, this.length),
      values: this.values.subarray(0, this.length),
      times: this.times === null ? null : this.times.subarray(0, this.length),
      timeMs: this.timeMs,
      ...(this.histograms.length > 0 && { histograms: this.histograms }),
      ...(this.exemplars.length > 0 && { exemplars: this.exemplars }),
    }
  }
}
