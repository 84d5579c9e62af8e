// One target's scrapes: fetch, ingest, report series, append, and what the API wants to know of it. The target actor says when.
//
//   fetch ──▶ ingest into the shared batch ──▶ staleness markers, report series ──▶ append
//     └─ failed ──▶ staleness markers for everything, `up` 0
//
// From the first sample put into the batch to the call of `append` nothing is awaited, so one batch and one set of buffers serve all targets.
import type { Cancellation } from '../base/cancel.ts'
import { messageOf, PromhiveError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { AppendResult, Appender, SeriesHandle } from '../model/appender.ts'
import type { BodyBuffer, BodyMemory } from '../ports/body-buffer.ts'
import type { Clock } from '../ports/clock.ts'
import type { HttpAnswer, HttpClient } from '../ports/http.ts'
import { compileRelabel, type Relabeling } from '../relabel/relabel.ts'
import { acceptHeader, formatOf, type ExpositionFormat } from '../../protocols/exposition/formats.ts'
import type { BatchBuilder } from './batch.ts'
import { schemaOfFactor } from './histogram-limits.ts'
import { KeyedScrape } from './keyed-scrape.ts'
import { LayoutScrape, type LayoutScratch } from './layout-scrape.ts'
import type { ScrapeMetrics } from './metrics.ts'
import type { ScrapeFeatures, ScrapeOptions } from './options.ts'
import { reportLabels, SampleLabels } from './sample-labels.ts'
import type { FamilyMetadata, MetadataSize, ScrapeCounts, SeriesCache } from './series-cache.ts'
import { statusText } from './status-text.ts'
import type { Target } from './target.ts'

/** Where failed scrapes are logged (`scrape_failure_log_file`); the adapter writes JSON lines with the time. */
export interface FailureLog {
  write(record: Readonly<Record<string, unknown>>): void
}

/** What all targets of a thread share. */
export type ScrapeSupplies = Readonly<{
  appender: Appender
  clock: Clock
  metrics: ScrapeMetrics
  features: ScrapeFeatures
  batch: BatchBuilder
  /** Zero samples at start times. */
  starts: BatchBuilder
  scratch: LayoutScratch
  /** What bodies are read into; given back when a body was parsed. */
  bodies: BodyMemory
  userAgent: string
}>

/** What all targets of a job share. */
export type JobSupplies = Readonly<{
  options: ScrapeOptions
  relabeling: Relabeling
  /** Compiled `metric_relabel_configs`. */
  sampleRelabeling: Relabeling
  client: HttpClient
  failureLog: FailureLog | null
  logger: Logger
}>

export function jobSupplies(options: ScrapeOptions, client: HttpClient, failureLog: FailureLog | null, logger: Logger): JobSupplies {
  return {
    options,
    relabeling: compileRelabel(options.relabelRules),
    sampleRelabeling: compileRelabel(options.metricRelabelRules),
    client,
    failureLog,
    logger,
  }
}

type CacheKind = 'layout' | 'keyed' | 'protobuf'

export type TargetHealth = 'up' | 'down' | 'unknown'
export type ScrapeOutcome = Readonly<{ ok: boolean; durationMs: number; error: string }>

const reportNames = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
] as const
const extraReportNames = ['scrape_timeout_seconds', 'scrape_sample_limit', 'scrape_body_size_bytes'] as const

export class TargetScrape {
  readonly #supplies: ScrapeSupplies
  #job: JobSupplies
  #target: Target
  #headers: Readonly<Record<string, string>>
  #cache: SeriesCache
  #cacheKind: CacheKind = 'layout'
  #cacheRules: string
  /** Caches whose series end with the next scrape, where that doesn't have them. */
  #retiring: SeriesCache[] = []
  #reports: SeriesHandle[] = []
  /** What the last answer's Content-Type meant. */
  #format: Readonly<{ contentType: string; fallback: string; format: ExpositionFormat }> | null = null
  #reported = false
  /** Not '': every scrape fails with it (target limit). */
  #forcedError = ''
  #released = false

  health: TargetHealth = 'unknown'
  lastError = ''
  /** 0: never. */
  lastScrapeMs = 0
  lastDurationMs = 0
  #lastStartMs = -1
  /** Of the scrape under way. */
  readonly #counts: ScrapeCounts = { scraped: 0, kept: 0, added: 0, duplicates: 0, outOfBounds: 0 }

  constructor(supplies: ScrapeSupplies, job: JobSupplies, target: Target) {
    this.#supplies = supplies
    this.#job = job
    this.#target = target
    this.#headers = requestHeaders(job.options, target, supplies.userAgent)
    this.#cacheRules = this.#rulesText('layout')
    this.#cache = this.#newCache('layout')
  }

  get target(): Target {
    return this.#target
  }

  forceError(error: string): void {
    this.#forcedError = error
  }

  /** Another configuration of the job, or a target that differs in nothing but what was discovered. Known series go on without a gap. */
  reconfigure(job: JobSupplies, target: Target): void {
    this.#job = job
    this.#target = target
    this.#headers = requestHeaders(job.options, target, this.#supplies.userAgent)
    if (!job.options.extraScrapeMetrics && this.#reports.length > reportNames.length) {
      for (const handle of this.#reports.splice(reportNames.length)) this.#supplies.appender.release(handle)
    }
    if (this.#rulesText(this.#cacheKind) !== this.#cacheRules) this.#replaceCache(this.#cacheKind)
  }

  metadata(): readonly FamilyMetadata[] {
    return this.#cache.metadata()
  }

  metadataSize(): MetadataSize {
    return this.#cache.metadataSize()
  }

  /** Bytes held from scrape to scrape. */
  get cacheBytes(): number {
    return this.#cache.bytes
  }

  /**
   * One scrape. Samples get the slot's time, so a target scraped twice for a slot makes the same samples. Never rejects.
   * @param signal ends the request early: then nothing is written at all.
   */
  async scrape(slotMs: number, signal?: Cancellation): Promise<ScrapeOutcome> {
    const { clock, metrics, bodies } = this.#supplies
    const startMs = clock.monotonicMs()
    this.#observeInterval(startMs)
    const into = bodies.buffer()
    let answer: HttpAnswer | null = null
    let error = this.#forcedError
    let bodyBytes = 0
    if (error === '') {
      try {
        answer = await this.#request(into, signal)
        bodyBytes = answer.body.length
      } catch (thrown) {
        into.free()
        if (signal?.aborted === true || this.#released)
          return { ok: false, durationMs: clock.monotonicMs() - startMs, error: 'scrape was ended' }
        error = this.#fetchError(thrown)
        if (isCode(thrown, 'TOO_LARGE')) {
          bodyBytes = -1
          metrics.exceededBodySizeLimit.inc()
        }
        this.#job.failureLog?.write({
          timeMs: clock.nowMs(),
          level: 'ERROR',
          msg: error,
          job_name: this.#job.options.jobName,
          target: this.#target.url,
        })
      }
    }
    try {
      if (this.#released) return { ok: false, durationMs: clock.monotonicMs() - startMs, error: 'scrape was ended' }
      error = this.#ingest(slotMs, answer, error)
    } finally {
      // Whoever keeps something of the body has copied it.
      into.free()
    }
    return this.#store(slotMs, startMs, error, bodyBytes)
  }

  /** Ends all series, at this time. For a target that is gone for good. */
  async end(timeMs: number): Promise<void> {
    if (this.#released) return
    const { batch, appender } = this.#supplies
    batch.begin(timeMs)
    for (const cache of [this.#cache, ...this.#retiring]) cache.markStale(batch)
    if (this.#reported) for (const handle of this.#reports) batch.pushStale(handle)
    this.#reported = false
    try {
      if (batch.length > 0 || batch.histograms.length > 0) await appender.append(batch.batch())
    } catch (thrown) {
      this.#job.logger.warn({ target: this.#target.url, err: messageOf(thrown) }, 'Stale append failed')
    }
  }

  /** Gives back all handles. Nothing may be called after it. */
  release(): void {
    if (this.#released) return
    this.#released = true
    for (const cache of [this.#cache, ...this.#retiring]) cache.release()
    this.#retiring = []
    for (const handle of this.#reports) this.#supplies.appender.release(handle)
    this.#reports = []
  }

  async #request(into: BodyBuffer, signal: Cancellation | undefined): Promise<HttpAnswer> {
    const { client, options } = this.#job
    const answer = await client.request({
      method: 'GET',
      url: this.#target.url,
      headers: this.#headers,
      timeoutMs: this.#target.timeoutMs,
      bodyBytesMax: options.bodySizeLimit > 0 ? options.bodySizeLimit : limits.scrapeBodyBytesMax,
      compression: options.enableCompression,
      into,
      signal,
      unixSocket: this.#target.unixSocket === '' ? undefined : this.#target.unixSocket,
    })
    if (answer.status !== 200)
      throw new PromhiveError('SCRAPE', `server returned HTTP status ${statusText(answer.status)}`, { status: answer.status })
    return answer
  }

  #fetchError(thrown: unknown): string {
    if (isCode(thrown, 'TOO_LARGE')) return 'body size limit exceeded'
    if (isCode(thrown, 'SCRAPE')) return messageOf(thrown)
    const message = messageOf(thrown)
    if (message.startsWith('Get "')) return message
    return `Get "${this.#target.url}": ${isCode(thrown, 'QUERY_TIMEOUT') ? 'context deadline exceeded' : message}`
  }

  /** A target says the same from scrape to scrape. */
  #formatOf(contentType: string): ExpositionFormat {
    const fallback = this.#job.options.fallbackScrapeProtocol
    if (contentType !== this.#format?.contentType || fallback !== this.#format.fallback)
      this.#format = { contentType, fallback, format: formatOf(contentType, fallback) }
    return this.#format.format
  }

  /** Fills the batch from the answer. @returns why the scrape failed, '' where it didn't. */
  #ingest(slotMs: number, answer: HttpAnswer | null, fetchError: string): string {
    const { batch, starts, clock, metrics } = this.#supplies
    const counts = this.#counts
    counts.scraped = counts.kept = counts.added = counts.duplicates = counts.outOfBounds = 0
    batch.begin(slotMs)
    starts.begin(slotMs)
    if (answer === null || answer.body.length === 0) {
      this.#cache.markStale(batch)
      return fetchError
    }
    try {
      const format = this.#formatOf(answer.headers['content-type'] ?? '')
      const kind = this.#cacheKindFor(format)
      if (kind !== this.#cacheKind) this.#replaceCache(kind)
      this.#cache.ingest(answer.body, format, batch, clock.nowMs(), counts)
      return fetchError
    } catch (thrown) {
      if (!(thrown instanceof PromhiveError)) throw thrown
      const error = thrown.message
      if (error === 'sample limit exceeded') metrics.exceededSampleLimit.inc()
      else if (error === 'histogram bucket limit exceeded') metrics.exceededBucketLimit.inc()
      this.#job.logger.debug({ target: this.#target.url, err: error }, 'Append failed')
      this.#cache.markStale(batch)
      return error
    }
  }

  #store(slotMs: number, startMs: number, error: string, bodyBytes: number): Promise<ScrapeOutcome> {
    const durationMs = this.#supplies.clock.monotonicMs() - startMs
    this.health = error === '' ? 'up' : 'down'
    this.lastError = error
    this.lastScrapeMs = slotMs
    this.lastDurationMs = durationMs
    this.#report(error === '', durationMs, this.#counts, bodyBytes)
    return this.#append(slotMs, startMs, this.#counts, error)
  }

  async #append(slotMs: number, startMs: number, counts: ScrapeCounts, error: string): Promise<ScrapeOutcome> {
    const { batch, starts, appender, clock, metrics } = this.#supplies
    const { logger } = this.#job
    const appends: Promise<AppendResult | null>[] = []
    const quietly = (what: Promise<AppendResult>): Promise<null> =>
      what.then(
        () => null,
        (thrown: unknown) => {
          logger.debug({ target: this.#target.url, err: messageOf(thrown) }, 'Append of markers failed')
          return null
        },
      )
    // what the storage makes of samples at start times is nobody's fault, so they are not counted; they come first, for they are older
    if (starts.length > 0 || starts.histograms.length > 0) appends.push(quietly(appender.append(starts.batch())))
    appends.push(appender.append(batch.batch()))
    this.#cache.releaseVanished()
    if (this.#retiring.length > 0) {
      batch.begin(slotMs)
      for (const cache of this.#retiring) cache.markStale(batch)
      // series that the new cache has, too, have a sample at this time already: their markers are refused
      if (batch.length > 0 || batch.histograms.length > 0) appends.push(quietly(appender.append(batch.batch())))
      for (const cache of this.#retiring) cache.release()
      this.#retiring = []
    }
    // not waited for: a storage that is busy with a query must not cost the next scrape. The appender bounds what may be under way.
    const { duplicates, outOfBounds } = counts
    const appended =
      appends.length === 1 ? appends[0]! : Promise.all(appends).then((results) => results.findLast((result) => result !== null) ?? null)
    appended.then(
      (result) => this.#count(result, { duplicates, outOfBounds }),
      (thrown: unknown) => {
        this.#count(null, { duplicates, outOfBounds })
        logger.error({ target: this.#target.url, err: messageOf(thrown) }, 'Scrape commit failed')
      },
    )
    // a storage that answers at once has been heard when the scrape is over
    await Promise.resolve()
    const durationMs = clock.monotonicMs() - startMs
    if (this.#job.options.extraScrapeMetrics) metrics.scrapeDuration.observe(durationMs / 1000)
    return { ok: error === '', durationMs, error }
  }

  #count(result: AppendResult | null, counts: Pick<ScrapeCounts, 'duplicates' | 'outOfBounds'>): void {
    const { metrics } = this.#supplies
    const { logger } = this.#job
    const target = this.#target.url
    const outOfOrder = (result?.outOfOrder ?? 0) + (result?.tooOld ?? 0)
    const duplicates = (result?.duplicate ?? 0) + counts.duplicates
    const outOfBounds = (result?.outOfBounds ?? 0) + counts.outOfBounds
    const exemplars = result?.exemplarsOutOfOrder ?? 0
    if (outOfOrder > 0) {
      metrics.outOfOrder.inc(outOfOrder)
      logger.warn({ target, num_dropped: outOfOrder }, 'Error on ingesting out-of-order samples')
    }
    if (duplicates > 0) {
      metrics.duplicates.inc(duplicates)
      logger.warn({ target, num_dropped: duplicates }, 'Error on ingesting samples with different value but same timestamp')
    }
    if (outOfBounds > 0) {
      metrics.outOfBounds.inc(outOfBounds)
      logger.warn({ target, num_dropped: outOfBounds }, 'Error on ingesting samples that are too old or are too far into the future')
    }
    if (exemplars > 0) {
      metrics.exemplarsOutOfOrder.inc(exemplars)
      logger.warn({ target, num_dropped: exemplars }, 'Error on ingesting out-of-order exemplars')
    }
  }

  #report(ok: boolean, durationMs: number, counts: ScrapeCounts, bodyBytes: number): void {
    const { batch, appender } = this.#supplies
    const { options } = this.#job
    const names = options.extraScrapeMetrics ? [...reportNames, ...extraReportNames] : reportNames
    while (this.#reports.length < names.length) {
      this.#reports.push(appender.open(reportLabels(names[this.#reports.length]!, this.#target.labels)))
    }
    const [up, duration, scraped, kept, added, timeout, sampleLimit, body] = this.#reports
    batch.push(up!, ok ? 1 : 0)
    batch.push(duration!, durationMs / 1000)
    batch.push(scraped!, counts.scraped)
    batch.push(kept!, counts.kept)
    batch.push(added!, counts.added)
    if (options.extraScrapeMetrics) {
      batch.push(timeout!, this.#target.timeoutMs / 1000)
      batch.push(sampleLimit!, options.sampleLimit)
      batch.push(body!, bodyBytes)
    }
    this.#reported = true
  }

  #observeInterval(startMs: number): void {
    if (this.#lastStartMs >= 0) {
      const seconds = (startMs - this.#lastStartMs) / 1000
      const { lengths, lengthHistogram } = this.#supplies.metrics.interval(this.#target.intervalMs)
      lengths.observe(seconds)
      lengthHistogram.observe(seconds)
    }
    this.#lastStartMs = startMs
  }

  /** The plain way where it will do. Protobuf names series differently than text, so it has a cache of its own. */
  #cacheKindFor(format: ExpositionFormat): CacheKind {
    const { features } = this.#supplies
    if (format === 'protobuf') return 'protobuf'
    const keyed =
      this.#target.convertClassicHistogramsToNhcb ||
      features.typeAndUnitLabels ||
      (format === 'openmetrics' && features.createdTimestampZeroIngestion)
    return keyed ? 'keyed' : 'layout'
  }

  #replaceCache(kind: CacheKind): void {
    this.#retiring.push(this.#cache)
    this.#cacheKind = kind
    this.#cacheRules = this.#rulesText(kind)
    this.#cache = this.#newCache(kind)
  }

  /** All that a cache was made from: where it is the same, the cache can stay. */
  #rulesText(kind: CacheKind): string {
    const { options } = this.#job
    return JSON.stringify([
      kind,
      this.#target.labels,
      options.honorLabels,
      options.honorTimestamps,
      options.trackTimestampsStaleness,
      options.sampleLimit,
      options.labelLimit,
      options.labelNameLengthLimit,
      options.labelValueLengthLimit,
      options.metricNameValidationScheme,
      options.metricRelabelRules,
      kind !== 'layout' && [
        options.nativeHistogramBucketLimit,
        options.nativeHistogramMinBucketFactor,
        this.#target.scrapeNativeHistograms,
        this.#target.alwaysScrapeClassicHistograms,
        this.#target.convertClassicHistogramsToNhcb,
      ],
    ])
  }

  #newCache(kind: CacheKind): SeriesCache {
    const { appender, features, starts, scratch, metrics } = this.#supplies
    const { options, sampleRelabeling } = this.#job
    const labels = new SampleLabels(this.#target.labels, options, sampleRelabeling, () => metrics.exceededLabelLimits.inc())
    const rules = {
      honorTimestamps: options.honorTimestamps,
      trackTimestampsStaleness: options.trackTimestampsStaleness,
      sampleLimit: options.sampleLimit,
      exemplars: features.exemplarStorage,
    }
    if (kind === 'layout') return new LayoutScrape(labels, appender, rules, scratch)
    const reading = {
      nativeHistograms: this.#target.scrapeNativeHistograms,
      keepClassic: this.#target.alwaysScrapeClassicHistograms,
      convertClassic: this.#target.convertClassicHistogramsToNhcb,
      startTimes: features.createdTimestampZeroIngestion,
      typeAndUnitLabels: features.typeAndUnitLabels,
    }
    return new KeyedScrape(
      labels,
      appender,
      {
        ...rules,
        schemaMax: schemaOfFactor(options.nativeHistogramMinBucketFactor),
        bucketLimit: options.nativeHistogramBucketLimit,
        reading,
      },
      features.createdTimestampZeroIngestion ? starts : null,
    )
  }
}

function requestHeaders(options: ScrapeOptions, target: Target, userAgent: string): Readonly<Record<string, string>> {
  return {
    accept: acceptHeader(options.scrapeProtocols, options.metricNameEscapingScheme),
    'accept-encoding': options.enableCompression ? 'gzip' : 'identity',
    'user-agent': userAgent,
    'x-prometheus-scrape-timeout-seconds': String(target.timeoutMs / 1000),
  }
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof PromhiveError && thrown.code === code
}
