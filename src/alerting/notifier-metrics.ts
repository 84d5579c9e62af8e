import type { HistogramMetric, MetricsRegistry, Numbers, SummaryMetric } from '../base/metrics.ts'

/** The notifier's own metrics, by Prometheus' names. Source: prometheus notifier/metric.go. */
export class NotifierMetrics {
  readonly errors: Numbers
  readonly sent: Numbers
  readonly dropped: Numbers
  readonly queueLength: Numbers
  readonly discovered: Numbers
  readonly #summary: SummaryMetric
  readonly #histogram: HistogramMetric

  constructor(registry: MetricsRegistry, queueCapacity: number) {
    const byUrl = ['alertmanager']
    this.errors = registry.counter('prometheus_notifications_errors_total', 'Total number of sent alerts affected by errors.', byUrl)
    this.sent = registry.counter('prometheus_notifications_sent_total', 'Total number of alerts sent.', byUrl)
    this.dropped = registry.counter('prometheus_notifications_dropped_total', 'Total number of alerts dropped due to errors when sending to Alertmanager.', byUrl) // prettier-ignore
    this.queueLength = registry.gauge('prometheus_notifications_queue_length', 'The number of alert notifications in the queue.', byUrl)
    this.discovered = registry.gauge('prometheus_notifications_alertmanagers_discovered', 'The number of alertmanagers discovered and active.') // prettier-ignore
    registry.gauge('prometheus_notifications_queue_capacity', 'The capacity of the alert notifications queue.').set(queueCapacity)
    this.#summary = registry.summary('prometheus_notifications_latency_seconds', 'Latency quantiles for sending alert notifications.', [0.5, 0.9, 0.99], byUrl) // prettier-ignore
    this.#histogram = registry.histogram('prometheus_notifications_latency_histogram_seconds', 'Latency histogram for sending alert notifications.', [0.01, 0.1, 1, 10], byUrl) // prettier-ignore
  }

  observeLatency(url: string, seconds: number): void {
    this.#summary.labels(url).observe(seconds)
    this.#histogram.labels(url).observe(seconds)
  }

  /** Rows of an Alertmanager exist from its discovery, at 0. */
  add(url: string): void {
    for (const metric of [this.errors, this.sent, this.dropped, this.queueLength]) metric.labels(url)
  }

  remove(url: string): void {
    for (const metric of [this.errors, this.sent, this.dropped, this.queueLength]) metric.remove(url)
    this.#summary.remove(url)
    this.#histogram.remove(url)
  }
}
