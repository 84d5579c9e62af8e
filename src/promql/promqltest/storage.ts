// Series in memory: what promqltest loads into and queries read from. Also good for unit tests of rules.
import type { Histogram } from '../../model/histogram.ts'
import { compareLabels, labelsKey, labelValue, type Labels } from '../../model/labels.ts'
import { compileMatchers } from '../../model/matching.ts'
import type { SampleColumns, SelectQuery, SeriesSet, SeriesSource } from '../../model/samples.ts'

type StoredSeries = {
  labels: Labels
  times: number[]
  /** Staleness markers are kept by `bits`: see model/staleness.ts. */
  values: number[]
  histograms: (Histogram | null)[]
  startTimes: number[]
  hasHistograms: boolean
  hasStarts: boolean
}

export class MemoryStorage implements SeriesSource {
  readonly #series = new Map<string, StoredSeries>()
  clear(): void {
    this.#series.clear()
  }
  get seriesCount(): number {
    return this.#series.size
  }
  /** Samples of a series come in any order; the last one of equal times counts. */
  append(labels: Labels, timeMs: number, value: number, histogram: Histogram | null = null, startTimeMs = 0): void {
    const key = labelsKey(labels)
    let series = this.#series.get(key)
    if (series === undefined) {
      series = { labels, times: [], values: [], histograms: [], startTimes: [], hasHistograms: false, hasStarts: false }
      this.#series.set(key, series)
    }
    let at = series.times.length
    while (at > 0 && series.times[at - 1]! >= timeMs) at--
    const replaced = series.times[at] === timeMs ? 1 : 0
    series.times.splice(at, replaced, timeMs)
    series.values.splice(at, replaced, value)
    series.histograms.splice(at, replaced, histogram)
    series.startTimes.splice(at, replaced, startTimeMs)
    series.hasHistograms ||= histogram !== null
    series.hasStarts ||= startTimeMs !== 0
  }
  /** Series in label order. */
  select({ matchers, startMs, endMs }: SelectQuery): SeriesSet {
    const compiled = compileMatchers(matchers)
    const found = [...this.#series.values()]
      .filter((series) => compiled.every((m) => m.matches(labelValue(series.labels, m.name))))
      .sort((a, b) => compareLabels(a.labels, b.labels))
    return {
      length: found.length,
      labels: (index) => found[index]!.labels,
      read: (index, into) => {
        into.clear()
        copySamples(found[index]!, startMs, endMs, into)
      },
    }
  }
}

function copySamples(series: StoredSeries, startMs: number, endMs: number, into: SampleColumns): void {
  for (let i = 0; i < series.times.length; i++) {
    const time = series.times[i]!
    if (time < startMs || time > endMs) continue
    into.push(time, series.values[i]!, series.hasHistograms ? series.histograms[i]! : null, series.startTimes[i]!)
  }
}
