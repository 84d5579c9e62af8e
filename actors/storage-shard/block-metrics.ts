// What a storage worker counts about its blocks, under Prometheus' names.
import { HistogramMetric, SummaryMetric, type MetricFamily, type MetricKind } from '../../src/base/metrics.ts'
import { sampleCount } from '../../src/tsdb/chunks/decode.ts'
import type { ChunkData } from '../../src/tsdb/chunks/encode.ts'

function exponential(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start * factor ** i)
}

export class BlockMetrics {
  cuts = 0
  truncationFailures = 0
  compactions = 0
  compactionFailures = 0
  compactionsTriggered = 0
  verticalCompactions = 0
  reloads = 0
  reloadFailures = 0
  timeRetentions = 0
  sizeRetentions = 0
  staleFailures = 0
  /** Compactions and cuts that are writing now. */
  writing = 0
  readonly duration = new HistogramMetric(
    'prometheus_tsdb_compaction_duration_seconds',
    'Duration of compaction runs',
    exponential(1, 2, 14),
    [],
  )
  readonly staleDuration = new HistogramMetric(
    'prometheus_tsdb_stale_series_compaction_duration_seconds',
    'Duration of stale series compaction runs.',
    exponential(1, 2, 14),
    [],
  )
  readonly cleanup = new HistogramMetric(
    'prometheus_tsdb_tombstone_cleanup_seconds',
    'The time taken to recompact blocks to remove tombstones.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    [],
  )
  /** Dropping from the head what has become a block. */
  readonly collection = new SummaryMetric(
    'prometheus_tsdb_head_gc_duration_seconds',
    'Runtime of garbage collection in the head block.',
    [],
    [],
  )
  readonly #chunkRange = new HistogramMetric(
    'prometheus_tsdb_compaction_chunk_range_seconds',
    'Final time range of chunks on their first compaction',
    exponential(100, 4, 10),
    [],
  )
  readonly #chunkSamples = new HistogramMetric(
    'prometheus_tsdb_compaction_chunk_samples',
    'Final number of samples on their first compaction',
    exponential(4, 1.5, 12),
    [],
  )
  readonly #chunkBytes = new HistogramMetric(
    'prometheus_tsdb_compaction_chunk_size_bytes',
    'Final size of chunks on their first compaction',
    exponential(32, 1.5, 12),
    [],
  )

  /** A chunk goes into a block for the first time. */
  firstCut({ encoding, bytes, minTime, maxTime }: ChunkData): void {
    this.#chunkRange.observe(maxTime - minTime)
    this.#chunkSamples.observe(sampleCount(encoding, bytes))
    this.#chunkBytes.observe(bytes.length)
  }

  families(blocks: number, blockBytes: number): MetricFamily[] {
    const row = (kind: MetricKind, name: string, help: string, value: number): MetricFamily => ({
      name: `prometheus_tsdb_${name}`,
      help,
      kind,
      samples: [{ suffix: '', labels: [], value }],
    })
    const counter = (name: string, help: string, value: number): MetricFamily => row('counter', name, help, value)
    const all = this.compactions + this.cuts
    return [
      row('gauge', 'blocks_loaded', 'Number of currently loaded data blocks', blocks),
      row('gauge', 'storage_blocks_bytes', 'The number of bytes that are currently used for local storage by all blocks.', blockBytes),
      counter('compactions_total', 'Total number of compactions that were executed for the partition.', all),
      counter('compactions_failed_total', 'Total number of compactions that failed for the partition.', this.compactionFailures),
      counter('compactions_triggered_total', 'Total number of triggered compactions for the partition.', this.compactionsTriggered),
      counter('vertical_compactions_total', 'Total number of compactions done on overlapping blocks.', this.verticalCompactions),
      row(
        'gauge',
        'compaction_populating_block',
        'Set to 1 when a block is currently being written to the disk.',
        this.writing > 0 ? 1 : 0,
      ),
      counter('head_truncations_total', 'Total number of head truncations attempted.', this.cuts + this.truncationFailures),
      counter('head_truncations_failed_total', 'Total number of head truncations that failed.', this.truncationFailures),
      counter('reloads_total', 'Number of times the database reloaded block data from disk.', this.reloads),
      counter('reloads_failures_total', 'Number of times the database failed to reloadBlocks block data from disk.', this.reloadFailures),
      counter(
        'time_retentions_total',
        'The number of times that blocks were deleted because the maximum time limit was exceeded.',
        this.timeRetentions,
      ),
      counter(
        'size_retentions_total',
        'The number of times that blocks were deleted because the maximum number of bytes was exceeded.',
        this.sizeRetentions,
      ),
      counter('stale_series_compactions_failed_total', 'Total number of stale series compactions that failed.', this.staleFailures),
      ...[this.duration, this.staleDuration, this.cleanup, this.#chunkRange, this.#chunkSamples, this.#chunkBytes, this.collection].map(
        familyOf,
      ),
    ]
  }
}

function familyOf(metric: HistogramMetric | SummaryMetric): MetricFamily {
  return { name: metric.name, help: metric.help, kind: metric.kind, samples: metric.samples() }
}
