import type { ExemplarSample, HistogramSample, SampleBatch } from '../../src/model/appender.ts'

/** A batch being filled; the same columns serve every request. Sample i belongs to handles[i]. */
export class WriteColumns {
  length = 0
  handles = new Uint32Array(4096)
  values = new Float64Array(4096)
  times = new Float64Array(4096)
  histograms: HistogramSample[] = []
  exemplars: ExemplarSample[] = []

  clear(): void {
    this.length = 0
    if (this.histograms.length > 0) this.histograms = []
    if (this.exemplars.length > 0) this.exemplars = []
    // one huge request must not hold memory for ever
    if (this.handles.length > 1 << 20) {
      this.handles = new Uint32Array(4096)
      this.values = new Float64Array(4096)
      this.times = new Float64Array(4096)
    }
  }
  grow(): void {
    const capacity = this.handles.length * 2
    const handles = new Uint32Array(capacity)
    handles.set(this.handles)
    // by bits: see src/model/staleness.ts
    const values = new Float64Array(capacity)
    new Uint32Array(values.buffer).set(new Uint32Array(this.values.buffer))
    const times = new Float64Array(capacity)
    times.set(this.times)
    this.handles = handles
    this.values = values
    this.times = times
  }
  floats(): SampleBatch {
    const batch: SampleBatch = { length: this.length, handles: this.handles, values: this.values, times: this.times, timeMs: 0 }
    return {
      ...batch,
      ...(this.exemplars.length > 0 && { exemplars: this.exemplars }),
    }
  }
}
