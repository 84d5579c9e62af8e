import type { MetricsRegistry, Numbers, SummaryMetric, HistogramMetric } from '../base/metrics.ts'

/** Metrics all discovery shares (FEATURES 2.35, 13.05, 13.07), with Prometheus' names. */
export type DiscoveryMetrics = Readonly<{
  discoveredTargets: Numbers
  failedConfigs: Numbers
  receivedUpdates: Numbers
  updatesDelayed: Numbers
  updates: Numbers
  lastUpdate: Numbers
  refreshFailures: Numbers
  refreshDuration: SummaryMetric
  refreshDurationHistogram: HistogramMetric
  fileReadErrors: Numbers
  fileTimes: FileTimes
  fileWatcherErrors: Numbers
  fileScanDuration: SummaryMetric
  httpFailures: Numbers
  dnsLookups: Numbers
  dnsLookupFailures: Numbers
}>

/** When files were last changed: several sections may read one file, and it is listed until the last of them lets go. */
export class FileTimes {
  readonly #gauge: Numbers
  readonly #owners = new Map<string, Set<object>>()
  constructor(gauge: Numbers) {
    this.#gauge = gauge
  }
  set(owner: object, path: string, seconds: number): void {
    this.#gauge.labels(path).set(seconds)
    const owners = this.#owners.get(path)
    if (owners === undefined) this.#owners.set(path, new Set([owner]))
    else owners.add(owner)
  }
  remove(owner: object, path: string): void {
    const owners = this.#owners.get(path)
    if (owners?.delete(owner) !== true || owners.size > 0) return
    this.#owners.delete(path)
    this.#gauge.remove(path)
  }
  removeAll(owner: object): void {
    for (const path of this.#owners.keys()) this.remove(owner, path)
  }
}

export function discoveryMetrics(registry: MetricsRegistry): DiscoveryMetrics {
  return {
    discoveredTargets: registry.gauge('prometheus_sd_discovered_targets', 'Current number of discovered targets.', ['name', 'config']),
    failedConfigs: registry.gauge(
      'prometheus_sd_failed_configs',
      'Current number of service discovery configurations that failed to load.',
      ['name'],
    ),
    receivedUpdates: registry.counter(
      'prometheus_sd_received_updates_total',
      'Total number of update events received from the SD providers.',
      ['name'],
    ),
    updatesDelayed: registry.counter(
      'prometheus_sd_updates_delayed_total',
      "Total number of update events that couldn't be sent immediately.",
      ['name'],
    ),
    updates: registry.counter('prometheus_sd_updates_total', 'Total number of update events sent to the SD consumers.', ['name']),
    lastUpdate: registry.gauge('prometheus_sd_last_update_timestamp_seconds', 'Timestamp of the last update sent to the SD consumers.', [
      'name',
      'config',
    ]),
    refreshFailures: registry.counter('prometheus_sd_refresh_failures_total', 'Number of refresh failures for the given SD mechanism.', [
      'mechanism',
      'config',
    ]),
    refreshDuration: registry.summary(
      'prometheus_sd_refresh_duration_seconds',
      'The duration of a refresh in seconds for the given SD mechanism.',
      [0.5, 0.9, 0.99],
      ['mechanism', 'config'],
    ),
    refreshDurationHistogram: registry.histogram(
      'prometheus_sd_refresh_duration_histogram_seconds',
      'The duration of a refresh for the given SD mechanism.',
      [0.01, 0.1, 1, 10],
      ['mechanism'],
    ),
    fileReadErrors: registry.counter('prometheus_sd_file_read_errors_total', 'The number of File-SD read errors.'),
    fileTimes: new FileTimes(
      registry.gauge('prometheus_sd_file_mtime_seconds', 'Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.', [
        'filename',
      ]),
    ),
    fileWatcherErrors: registry.counter(
      'prometheus_sd_file_watcher_errors_total',
      'The number of File-SD errors caused by filesystem watch failures.',
    ),
    fileScanDuration: registry.summary(
      'prometheus_sd_file_scan_duration_seconds',
      'The duration of the File-SD scan in seconds.',
      [0.5, 0.9, 0.99],
    ),
    httpFailures: registry.counter('prometheus_sd_http_failures_total', 'Number of HTTP service discovery refresh failures.'),
    dnsLookups: registry.counter('prometheus_sd_dns_lookups_total', 'The number of DNS-SD lookups.'),
    dnsLookupFailures: registry.counter('prometheus_sd_dns_lookup_failures_total', 'The number of DNS-SD lookup failures.'),
  }
}
