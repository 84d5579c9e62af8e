// Scraping by a map from exposed series to handle: for protobuf, for the conversion of classic histograms, and for the feature flags that look at more
// than one line (start timestamps, type and unit labels). An object a series; the plain formats go through LayoutScrape instead.
import { PromhiveError } from '../base/errors.ts'
import type { Appender, SeriesHandle } from '../model/appender.ts'
import type { Histogram } from '../model/histogram.ts'
import { checkHistogram } from '../model/histogram-check.ts'
import type { MetricType } from '../model/metadata.ts'
import { staleNaN } from '../model/staleness.ts'
import type { HistogramEntry, MetricEntry, ReadOptions, SampleEntry } from '../../protocols/exposition/entries.ts'
import type { ExpositionFormat } from '../../protocols/exposition/formats.ts'
import { readEntries } from '../../protocols/exposition/read.ts'
import type { BatchBuilder } from './batch.ts'
import { limitHistogram } from './histogram-limits.ts'
import type { SampleLabels } from './sample-labels.ts'
import { aheadMsMax, exemplarFits, type FamilyMetadata, type MetadataSize, type ScrapeCounts, type SeriesCache } from './series-cache.ts'

export type KeyedRules = Readonly<{
  honorTimestamps: boolean
  trackTimestampsStaleness: boolean
  sampleLimit: number
  exemplars: boolean
  /** Finest schema of native histograms. */
  schemaMax: number
  bucketLimit: number
  reading: ReadOptions
}>

type Series = {
  readonly handle: SeriesHandle
  readonly dropped: boolean
  /** The last scrape it was in. */
  round: number
  /** Its last sample had the scrape's own time. */
  tracked: boolean
  /** What `tracked` becomes where the scrape succeeds. */
  trackedNow: boolean
  histogram: boolean
  startTimeMs: number
  startTimeMsNow: number
}
type Family = { type: MetricType; help: string; unit: string; round: number }

/** Scrapes for which metadata outlives its family. */
const metadataRoundsMax = 10

const staleHistogram: Histogram = {
  isFloat: false,
  schema: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  count: 0,
  sum: staleNaN,
  positiveSpans: [],
  negativeSpans: [],
  positiveBuckets: new Float64Array(0),
  negativeBuckets: new Float64Array(0),
  customBounds: null,
  counterReset: 0,
}

export class KeyedScrape implements SeriesCache {
  readonly #labels: SampleLabels
  readonly #appender: Appender
  readonly #rules: KeyedRules
  readonly #starts: BatchBuilder | null
  readonly #series = new Map<string, Series>()
  readonly #families = new Map<string, Family>()
  #round = 0
  #live = false
  #vanished: SeriesHandle[] = []
  #taken = 0

  /** @param starts where zero samples at start times go; null: they are not made. */
  constructor(labels: SampleLabels, appender: Appender, rules: KeyedRules, starts: BatchBuilder | null) {
    this.#labels = labels
    this.#appender = appender
    this.#rules = rules
    this.#starts = starts
  }

  ingest(body: Uint8Array, format: ExpositionFormat, batch: BatchBuilder, nowMs: number, counts: ScrapeCounts): void {
    counts.scraped = counts.kept = counts.added = counts.duplicates = counts.outOfBounds = 0
    this.#round++
    this.#taken = 0
    const fresh: string[] = []
    try {
      this.#read(readEntries(body, format, this.#rules.reading), batch, nowMs, counts, fresh)
    } catch (thrown) {
      batch.truncate()
      this.#starts?.truncate()
      for (const key of fresh) {
        const series = this.#series.get(key)!
        if (!series.dropped) this.#appender.release(series.handle)
        this.#series.delete(key)
      }
      throw thrown
    }
    for (const [key, series] of this.#series) {
      if (series.round === this.#round) {
        if (series.tracked && !series.trackedNow && this.#live) this.#pushStale(batch, series)
        series.tracked = series.trackedNow
        series.startTimeMs = series.startTimeMsNow
        continue
      }
      this.#series.delete(key)
      if (series.dropped) continue
      if (this.#live && series.tracked) this.#pushStale(batch, series)
      this.#vanished.push(series.handle)
    }
    for (const [name, family] of this.#families) if (this.#round - family.round > metadataRoundsMax) this.#families.delete(name)
    this.#live = true
  }

  markStale(batch: BatchBuilder): void {
    if (!this.#live) return
    this.#live = false
    for (const series of this.#series.values()) if (series.tracked) this.#pushStale(batch, series)
  }

  releaseVanished(): void {
    for (const handle of this.#vanished) this.#appender.release(handle)
    this.#vanished = []
  }

  release(): void {
    for (const series of this.#series.values()) if (!series.dropped) this.#appender.release(series.handle)
    this.#series.clear()
    this.#families.clear()
    this.#live = false
  }

  metadata(): readonly FamilyMetadata[] {
    return Array.from(this.#families, ([family, { type, help, unit }]) => ({ family, type, help, unit }))
  }

  metadataSize(): MetadataSize {
    let bytes = 0
    for (const { type, help, unit } of this.#families.values()) bytes += type.length + help.length + unit.length
    return { entries: this.#families.size, bytes }
  }

  get bytes(): number {
    return this.#series.size * 300
  }

  #read(entries: Iterable<MetricEntry>, batch: BatchBuilder, nowMs: number, counts: ScrapeCounts, fresh: string[]): void {
    const { honorTimestamps, trackTimestampsStaleness, sampleLimit } = this.#rules
    const latestMs = nowMs + aheadMsMax
    let bucketLimitHit = false
    for (const item of entries) {
      if (item.kind !== 'sample' && item.kind !== 'histogram') {
        this.#describe(item)
        continue
      }
      counts.scraped++
      const own = honorTimestamps && item.timeMs !== null
      let series = this.#series.get(item.key)
      if (series === undefined) {
        const labels = this.#labels.of(item.labels)
        const overLimit = sampleLimit > 0 && this.#taken >= sampleLimit
        if (labels !== null && overLimit) {
          this.#taken++
          counts.kept++
          continue
        }
        series = {
          handle: labels === null ? 0 : this.#appender.open(labels),
          dropped: labels === null,
          round: 0,
          tracked: false,
          trackedNow: false,
          histogram: false,
          startTimeMs: 0,
          startTimeMsNow: 0,
        }
        this.#series.set(item.key, series)
        fresh.push(item.key)
        if (labels !== null) counts.added++
      }
      const again = series.round === this.#round
      series.round = this.#round
      if (series.dropped) continue
      counts.kept++
      if (again && !own) {
        counts.duplicates++
        continue
      }
      series.trackedNow = !own || trackTimestampsStaleness || (again && series.trackedNow)
      this.#taken++
      const timeMs = own ? item.timeMs! : batch.timeMs
      if (timeMs > latestMs) {
        counts.outOfBounds++
        continue
      }
      if (item.kind === 'sample') {
        series.histogram = false
        if (own) batch.pushAt(series.handle, item.value, timeMs)
        else batch.push(series.handle, item.value)
      } else if (!this.#pushHistogram(batch, series, item, timeMs)) bucketLimitHit = true
      this.#pushStart(series, item, timeMs)
      this.#pushExemplars(batch, series.handle, item, timeMs)
    }
    if (sampleLimit > 0 && this.#taken > sampleLimit)
      throw new PromhiveError('SCRAPE', 'sample limit exceeded', { limit: sampleLimit, samples: this.#taken })
    if (bucketLimitHit) throw new PromhiveError('SCRAPE', 'histogram bucket limit exceeded', { limit: this.#rules.bucketLimit })
  }

  /** @returns false where the bucket limit cannot be kept. */
  #pushHistogram(batch: BatchBuilder, series: Series, item: HistogramEntry, timeMs: number): boolean {
    const problem = checkHistogram(item.histogram)
    if (problem !== null) throw new PromhiveError('SCRAPE', problem)
    const histogram = limitHistogram(item.histogram, this.#rules.schemaMax, this.#rules.bucketLimit)
    if (histogram === null) return false
    series.histogram = true
    batch.histograms.push({ handle: series.handle, timeMs, histogram, ...(item.startTimeMs > 0 && { startTimeMs: item.startTimeMs }) })
    return true
  }

  /** A 0 where the counter began, once for each beginning. */
  #pushStart(series: Series, item: SampleEntry | HistogramEntry, timeMs: number): void {
    const { startTimeMs } = item
    series.startTimeMsNow = startTimeMs
    const starts = this.#starts
    if (starts === null || startTimeMs <= 0 || startTimeMs >= timeMs || startTimeMs === series.startTimeMs) return
    if (item.kind === 'sample') starts.pushAt(series.handle, 0, startTimeMs)
    else {
      const { isFloat, schema, zeroThreshold, customBounds, counterReset } = item.histogram
      const histogram = { ...staleHistogram, sum: 0, isFloat, schema, zeroThreshold, customBounds, counterReset }
      starts.histograms.push({ handle: series.handle, timeMs: startTimeMs, histogram })
    }
  }

  #pushExemplars(batch: BatchBuilder, handle: SeriesHandle, item: SampleEntry | HistogramEntry, timeMs: number): void {
    if (!this.#rules.exemplars || item.exemplars.length === 0) return
    const taken = item.exemplars
      .filter(({ labels }) => exemplarFits(labels))
      .map(({ labels, value, timeMs: at }) => ({ handle, labels, value, timeMs: at ?? timeMs, hasTime: at !== null }))
    for (const exemplar of taken.sort((a, b) => a.timeMs - b.timeMs || a.value - b.value)) batch.exemplars.push(exemplar)
  }

  #pushStale(batch: BatchBuilder, series: Series): void {
    if (series.histogram) batch.histograms.push({ handle: series.handle, timeMs: batch.timeMs, histogram: staleHistogram })
    else batch.pushStale(series.handle)
  }

  #describe(item: Exclude<MetricEntry, SampleEntry | HistogramEntry>): void {
    let family = this.#families.get(item.family)
    if (family === undefined) this.#families.set(item.family, (family = { type: 'unknown', help: '', unit: '', round: 0 }))
    family.round = this.#round
    if (item.kind === 'type') family.type = item.type
    else if (item.kind === 'help') family.help = item.help
    else family.unit = item.unit
  }
}
