// Scraping's own metrics, by Prometheus' names (FEATURES 13.17–13.23, 13.37).
import type { MetricsRegistry } from '../base/metrics.ts'

const quantiles = [0.01, 0.05, 0.5, 0.9, 0.99]
const lengths = [0.01, 0.1, 1, 10]

type Observer = Readonly<{ observe: (value: number) => void }>

export type ScrapeMetrics = ReturnType<typeof scrapeMetrics>

/** Registers them. Once a process: one for all jobs. */
export function scrapeMetrics(registry: MetricsRegistry) {
  const intervalLength = registry.summary('prometheus_target_interval_length_seconds', 'Actual intervals between scrapes.', quantiles, [
    'interval',
  ])
  const intervalLengthHistogram = registry.histogram(
    'prometheus_target_interval_length_histogram_seconds',
    'Actual intervals between scrapes.',
    lengths,
    ['interval'],
  )
  const intervals = new Map<number, Readonly<{ lengths: Observer; lengthHistogram: Observer }>>()
  return {
    scrapePools: registry.counter('prometheus_target_scrape_pools_total', 'Total number of scrape pool creation attempts.'),
    scrapePoolsFailed: registry.counter(
      'prometheus_target_scrape_pools_failed_total',
      'Total number of scrape pool creations that failed.',
    ),
    poolReloads: registry.counter('prometheus_target_scrape_pool_reloads_total', 'Total number of scrape pool reloads.'),
    poolReloadsFailed: registry.counter(
      'prometheus_target_scrape_pool_reloads_failed_total',
      'Total number of failed scrape pool reloads.',
    ),
    exceededTargetLimit: registry.counter(
      'prometheus_target_scrape_pool_exceeded_target_limit_total',
      'Total number of times scrape pools hit the target limit, during sync or config reload.',
    ),
    exceededLabelLimits: registry.counter(
      'prometheus_target_scrape_pool_exceeded_label_limits_total',
      'Total number of times scrape pools hit the label limits, during sync or config reload.',
    ),
    poolTargetLimit: registry.gauge(
      'prometheus_target_scrape_pool_target_limit',
      'Maximum number of targets allowed in this scrape pool.',
      ['scrape_job'],
    ),
    poolTargets: registry.gauge('prometheus_target_scrape_pool_targets', 'Current number of targets in this scrape pool.', ['scrape_job']),
    poolSymbols: registry.gauge(
      'prometheus_target_scrape_pool_symboltable_items',
      'Current number of symbols in table for this scrape pool.',
      ['scrape_job'],
    ),
    poolSyncs: registry.counter('prometheus_target_scrape_pool_sync_total', 'Total number of syncs that were executed on a scrape pool.', [
      'scrape_job',
    ]),
    syncFailed: registry.counter('prometheus_target_sync_failed_total', 'Total number of target sync failures.', ['scrape_job']),
    syncLength: registry.summary('prometheus_target_sync_length_seconds', 'Actual interval to sync the scrape pool.', quantiles, [
      'scrape_job',
    ]),
    syncLengthHistogram: registry.histogram(
      'prometheus_target_sync_length_histogram_seconds',
      'Actual interval to sync the scrape pool.',
      lengths,
      ['scrape_job'],
    ),
    reloadLength: registry.summary(
      'prometheus_target_reload_length_seconds',
      'Actual interval to reload the scrape pool with a given configuration.',
      quantiles,
      ['interval'],
    ),
    /** Actual lengths of an interval, by what it should be: where they are observed. */
    interval(intervalMs: number): Readonly<{ lengths: Observer; lengthHistogram: Observer }> {
      let known = intervals.get(intervalMs)
      if (known === undefined) {
        const label = labelOfInterval(intervalMs)
        known = { lengths: intervalLength.labels(label), lengthHistogram: intervalLengthHistogram.labels(label) }
        intervals.set(intervalMs, known)
      }
      return known
    },
    scrapeDuration: registry.histogram(
      'prometheus_target_scrape_duration_seconds',
      'Total duration of the scrape from start to commit completion in seconds.',
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    ),
    exceededBodySizeLimit: registry.counter(
      'prometheus_target_scrapes_exceeded_body_size_limit_total',
      'Total number of scrapes that hit the body size limit',
    ),
    exceededSampleLimit: registry.counter(
      'prometheus_target_scrapes_exceeded_sample_limit_total',
      'Total number of scrapes that hit the sample limit and were rejected.',
    ),
    exceededBucketLimit: registry.counter(
      'prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total',
      'Total number of scrapes that hit the native histogram bucket limit and were rejected.',
    ),
    duplicates: registry.counter(
      'prometheus_target_scrapes_sample_duplicate_timestamp_total',
      'Total number of samples rejected due to duplicate timestamps but different values.',
    ),
    outOfOrder: registry.counter(
      'prometheus_target_scrapes_sample_out_of_order_total',
      'Total number of samples rejected due to not being out of the expected order.',
    ),
    outOfBounds: registry.counter(
      'prometheus_target_scrapes_sample_out_of_bounds_total',
      'Total number of samples rejected due to timestamp falling outside of the time bounds.',
    ),
    exemplarsOutOfOrder: registry.counter(
      'prometheus_target_scrapes_exemplar_out_of_order_total',
      'Total number of exemplar rejected due to not being out of the expected order.',
    ),
    cacheFlushForced: registry.counter(
      'prometheus_target_scrapes_cache_flush_forced_total',
      'How many times a scrape cache was flushed due to getting big while scrapes are failing.',
    ),
  }
}

/** Go prints the duration: 15s, 1m0s, 1h30m0s, 1.5s, 500ms. */
export function labelOfInterval(intervalMs: number): string {
  if (intervalMs < 1000) return `${intervalMs}ms`
  const hours = Math.floor(intervalMs / 3_600_000)
  const minutes = Math.floor((intervalMs % 3_600_000) / 60_000)
  const seconds = (intervalMs % 60_000) / 1000
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`
}
