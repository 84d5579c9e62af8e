// Series in memory: what promqltest loads into and queries read from. Also good for unit tests of rules.
import { counterReset, type CounterReset, type Histogram } from '../../model/histogram.ts'
import { boundsMatch, withCounterReset } from '../../model/histogram-arithmetic.ts'
import { detectReset } from '../../model/histogram-reset.ts'
import { compareLabels, labelsKey, labelValue, type Labels } from '../../model/labels.ts'
import { compileMatchers } from '../../model/matching.ts'
import type { SampleColumns, SelectQuery, SeriesSet, SeriesSource } from '../../model/samples.ts'
import { isStale } from '../../model/staleness.ts'

type StoredSeries = {
  labels: Labels
  times: number[]
  /** Staleness markers are kept by `bits`: see model/staleness.ts. */
  values: number[]
  histograms: (Histogram | null)[]
  startTimes: number[]
  hasHistograms: boolean
  hasStarts: boolean
  /** Histograms with the hints a storage would give them; null where samples were added since. */
  hinted: (Histogram | null)[] | null
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
      series = { labels, times: [], values: [], histograms: [], startTimes: [], hasHistograms: false, hasStarts: false, hinted: null }
      this.#series.set(key, series)
    }
    let at = series.times.length
    while (at > 0 && series.times[at - 1]! >= timeMs) at--
    const replaced = series.times[at] === timeMs ? 1 : 0
    series.times.splice(at, replaced, timeMs)
    series.values.splice(at, replaced, value)
    series.histograms.splice(at, replaced, histogram)
    series.startTimes.splice(at, replaced, startTimeMs)
    series.hinted = null
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
  if (series.hasHistograms) series.hinted ??= withHints(series)
  for (let i = 0; i < series.times.length; i++) {
    const time = series.times[i]!
    if (time < startMs || time > endMs) continue
    into.push(time, series.values[i]!, series.hasHistograms ? series.hinted![i]! : null, series.startTimes[i]!)
  }
}

/** A chunk of the head ends at the latest here. */
const chunkRangeMs = 7_200_000

/**
 * Hints as chunks give them back: within a chunk there is no reset, what comes first in one is unknown, gauges have chunks of their own.
 * A new chunk begins after floats and staleness markers, at resets, where the layout changes, and with every chunk range.
 */
function withHints(series: StoredSeries): (Histogram | null)[] {
  let before: Histogram | null = null
  let timeBefore = 0
  return series.histograms.map((histogram, i) => {
    const time = series.times[i]!
    if (histogram === null) {
      before = null
      return null
    }
    if (isStale(histogram.sum)) {
      before = null
      return histogram
    }
    let hint: CounterReset
    if (histogram.counterReset === counterReset.gauge) hint = counterReset.gauge
    else {
      const continues =
        before !== null &&
        before.counterReset !== counterReset.gauge &&
        histogram.counterReset !== counterReset.reset &&
        Math.floor(time / chunkRangeMs) === Math.floor(timeBefore / chunkRangeMs) &&
        histogram.schema === before.schema &&
        histogram.zeroThreshold === before.zeroThreshold &&
        !detectReset(withCounterReset(histogram, counterReset.unknown), before) &&
        (histogram.customBounds === null || boundsMatch(histogram.customBounds, before.customBounds))
      hint = continues ? counterReset.notReset : counterReset.unknown
    }
    before = histogram
    timeBefore = time
    return withCounterReset(histogram, hint)
  })
}
