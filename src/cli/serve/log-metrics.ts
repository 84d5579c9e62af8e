// The log under the names of Prometheus' write-ahead log, and the names of things that Prometheus has and this storage does not: those stay at 0.
import { HistogramMetric, SummaryMetric, type MetricFamily, type MetricKind } from '../../base/metrics.ts'
import type { LogAppender } from '../../../actors/storage-shard/appender.ts'

export class LogMetrics {
  #commits = 0
  #truncations = 0
  #truncationFailures = 0
  readonly #sync = new SummaryMetric('prometheus_tsdb_wal_fsync_duration_seconds', 'Duration of write log fsync.', [0.5, 0.9, 0.99], [])
  readonly #truncation = new SummaryMetric('prometheus_tsdb_wal_truncate_duration_seconds', 'Duration of WAL truncation.', [], [])

  /** A batch of records has been written and synced. */
  committed(durationMs: number): void {
    this.#commits++
    this.#sync.observe(durationMs / 1000)
  }

  /** What no shard needs any more has been, or should have been, removed. */
  truncated(durationMs: number, failed: boolean): void {
    this.#truncations++
    if (failed) this.#truncationFailures++
    this.#truncation.observe(durationMs / 1000)
  }

  families(appender: LogAppender): MetricFamily[] {
    const row = (kind: MetricKind, name: string, help: string, value: number, labels: readonly string[] = []): MetricFamily => ({
      name: `prometheus_tsdb_${name}`,
      help,
      kind,
      samples: [{ suffix: '', labels, value }],
    })
    const counter = (name: string, help: string, value: number): MetricFamily => row('counter', name, help, value)
    const { recordsAppended, bytesAppended, recordsWaiting } = appender
    const noCompactions = new HistogramMetric(
      'prometheus_tsdb_selected_series_compaction_duration_seconds',
      'Duration of compactions triggered for an explicit caller-provided list of series references.',
      Array.from({ length: 14 }, (_, i) => 2 ** i),
      [],
    )
    return [
      ...[this.#sync, this.#truncation].map(familyOf),
      counter('wal_truncations_total', 'Total number of write log truncations attempted.', this.#truncations),
      counter('wal_truncations_failed_total', 'Total number of write log truncations that failed.', this.#truncationFailures),
      counter('wal_page_flushes_total', 'Total number of page flushes.', this.#commits),
      counter('wal_record_part_writes_total', 'Total number of record parts written before flushing.', recordsAppended),
      counter(
        'wal_record_parts_bytes_written_total',
        'Total number of record part bytes written before flushing, including CRC and compression headers.',
        bytesAppended,
      ),
      counter('head_appenders_created_total', 'Total number of appender transactions created.', appender.appends),
      row('gauge', 'head_active_appenders', 'Number of currently active appender transactions', appender.activeAppends),
      row('gauge', 'isolation_high_watermark', 'The highest TSDB append ID that has been given out.', recordsAppended),
      row('gauge', 'isolation_low_watermark', 'The lowest TSDB append ID that is still referenced.', recordsAppended - recordsWaiting),
      // there are no pages, records are not compressed, compaction cannot be switched off, and nobody may list series to compact
      counter('wal_completed_pages_total', 'Total number of completed pages.', 0),
      row(
        'counter',
        'wal_record_bytes_saved_total',
        'Total number of bytes saved by the optional record compression. Use this metric to learn about the effectiveness compression.',
        0,
        ['compression', 'none'],
      ),
      counter('compactions_skipped_total', 'Total number of skipped compactions due to disabled auto compaction.', 0),
      counter(
        'selected_series_compactions_triggered_total',
        'Total number of compactions triggered for an explicit caller-provided list of series references.',
        0,
      ),
      counter(
        'selected_series_compactions_failed_total',
        'Total number of compactions triggered for an explicit caller-provided list of series references that failed.',
        0,
      ),
      familyOf(noCompactions),
    ]
  }
}

function familyOf(metric: SummaryMetric | HistogramMetric): MetricFamily {
  return { name: metric.name, help: metric.help, kind: metric.kind, samples: metric.samples() }
}
