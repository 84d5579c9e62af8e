// The storage's metrics with Prometheus' names (FEATURES 13.11–13.16, 13.36), from what the storage workers report and the log counts.
import type { MetricFamily, MetricKind, MetricSample } from '../../base/metrics.ts'
import type { LaneStatus } from '../../../actors/storage-shard/lane-protocol.ts'
import type { Storage } from './storage.ts'

type Row = readonly [kind: MetricKind, name: string, help: string, value: number | readonly MetricSample[]]

const headParts = ['full_chunks', 'labels', 'open_chunks', 'postings', 'series'] as const

export async function storageMetrics(storage: Storage): Promise<MetricFamily[]> {
  const { blocks: retention } = storage.settings
  const lanes = await storage.lanes.askAll<LaneStatus>('status', null)
  const sum = (of: (lane: LaneStatus) => number): number => lanes.reduce((total, lane) => total + of(lane), 0)
  const total = (field: number): number => sum((lane) => lane.totals[field] ?? 0)
  const histograms = sum((lane) => lane.histogramsAppended)
  const minTime = Math.min(...lanes.map((lane) => lane.minTime))
  const maxTime = Math.max(...lanes.map((lane) => lane.maxTime))
  const log = storage.log.size()
  const byType = (floats: number, native: number): MetricSample[] => [
    { suffix: '', labels: ['type', 'float'], value: floats },
    { suffix: '', labels: ['type', 'histogram'], value: native },
  ]
  const rows: Row[] = [
    ['gauge', 'prometheus_tsdb_head_series', 'Total number of series in the head block.', sum((lane) => lane.series)],
    [
      'counter',
      'prometheus_tsdb_head_series_created_total',
      'Total number of series created in the head',
      sum((lane) => lane.seriesCreated),
    ],
    [
      'counter',
      'prometheus_tsdb_head_series_removed_total',
      'Total number of series removed in the head',
      sum((lane) => lane.seriesRemoved),
    ],
    ['gauge', 'prometheus_tsdb_head_stale_series', 'Total number of stale series in the head block.', sum((lane) => lane.staleSeries)],
    [
      'counter',
      'prometheus_tsdb_stale_series_compactions_triggered_total',
      'Total number of triggered stale series compactions.',
      storage.staleSeriesCompactions,
    ],
    ['gauge', 'prometheus_tsdb_head_chunks', 'Total number of chunks in the head block.', sum((lane) => lane.chunks)],
    [
      'counter',
      'prometheus_tsdb_head_chunks_created_total',
      'Total number of chunks created in the head',
      sum((lane) => lane.chunksCreated),
    ],
    [
      'counter',
      'prometheus_tsdb_head_chunks_removed_total',
      'Total number of chunks removed in the head',
      sum((lane) => lane.chunksRemoved),
    ],
    ['gauge', 'prometheus_tsdb_head_chunks_storage_size_bytes', 'Size of the chunks_head directory.', sum((lane) => lane.chunkBytes)],
    [
      'gauge',
      'prometheus_tsdb_head_min_time',
      'Minimum time bound of the head block. The unit is decided by the library consumer.',
      finite(minTime),
    ],
    [
      'gauge',
      'prometheus_tsdb_head_max_time',
      'Maximum timestamp of the head block. The unit is decided by the library consumer.',
      finite(maxTime),
    ],
    ['gauge', 'prometheus_tsdb_head_min_time_seconds', 'Minimum time bound of the head block.', finite(minTime) / 1000],
    ['gauge', 'prometheus_tsdb_head_max_time_seconds', 'Maximum timestamp of the head block.', finite(maxTime) / 1000],
    ['gauge', 'prometheus_tsdb_lowest_timestamp_seconds', 'Lowest timestamp value stored in the database.', finite(minTime) / 1000],
    [
      'gauge',
      'prometheus_tsdb_lowest_timestamp',
      'Lowest timestamp value stored in the database. The unit is decided by the library consumer.',
      finite(minTime),
    ],
    [
      'gauge',
      'prometheus_tsdb_symbol_table_size_bytes',
      'Size of symbol table in memory for loaded blocks',
      sum((lane) => lane.labelPairs * 8),
    ],
    [
      'counter',
      'prometheus_tsdb_head_samples_appended_total',
      'Total number of appended samples.',
      byType(total(0) - histograms, histograms),
    ],
    [
      'counter',
      'prometheus_tsdb_head_out_of_order_samples_appended_total',
      'Total number of appended out of order samples.',
      byType(total(8), 0),
    ],
    [
      'counter',
      'prometheus_tsdb_out_of_order_samples_total',
      'Total number of out of order samples ingestion failed attempts due to out of order being disabled.',
      byType(total(2), 0),
    ],
    [
      'counter',
      'prometheus_tsdb_out_of_bound_samples_total',
      'Total number of out of bound samples ingestion failed attempts with out of order support disabled.',
      byType(total(3), 0),
    ],
    [
      'counter',
      'prometheus_tsdb_too_old_samples_total',
      'Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.',
      byType(total(4), 0),
    ],
    [
      'counter',
      'prometheus_tsdb_exemplar_exemplars_appended_total',
      'Total number of appended exemplars.',
      sum((lane) => lane.exemplarsAppended),
    ],
    [
      'gauge',
      'prometheus_tsdb_exemplar_exemplars_in_storage',
      'Number of exemplars currently in circular storage.',
      sum((lane) => lane.exemplars),
    ],
    [
      'gauge',
      'prometheus_tsdb_exemplar_series_with_exemplars_in_storage',
      'Number of series with exemplars currently in circular storage.',
      sum((lane) => lane.exemplarSeries),
    ],
    [
      'counter',
      'prometheus_tsdb_exemplar_out_of_order_exemplars_total',
      'Total number of out of order exemplar ingestion failed attempts.',
      sum((lane) => lane.exemplarsOutOfOrder),
    ],
    [
      'gauge',
      'prometheus_tsdb_exemplar_max_exemplars',
      'Total number of exemplars the exemplar storage can store, resizeable.',
      sum((lane) => lane.exemplarCapacity),
    ],
    ['counter', 'prometheus_tsdb_head_series_not_found_total', 'Total number of requests for series that were not found.', total(7)],
    ['counter', 'prometheus_tsdb_mmap_chunks_total', 'Total number of chunks that were memory-mapped.', sum((lane) => lane.chunksCreated)],
    [
      'gauge',
      'prometheus_tsdb_head_native_histogram_series',
      'Number of series whose most recent in-order sample is a native histogram.',
      sum((lane) => lane.histogramSeries),
    ],
    [
      'gauge',
      'prometheus_tsdb_head_native_histogram_buckets',
      'Number of positive and negative bucket entries in the most recent in-order native histogram sample of each series, including entries carried by staleness markers.',
      sum((lane) => lane.histogramBuckets),
    ],
    [
      'gauge',
      'prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds',
      'The timestamp of the oldest exemplar stored in circular storage. Useful to check for what timerange the current exemplar buffer limit allows. This usually means the last timestampfor all exemplars for a typical setup. This is not true though if one of the series timestamp is in future compared to rest series.',
      finite(Math.min(...lanes.map((lane) => lane.exemplarsFromMs))) / 1000,
    ],
    ['gauge', 'prometheus_tsdb_data_replay_duration_seconds', 'Time taken to replay the data on disk.', storage.openedMs / 1000],
    ['gauge', 'prometheus_tsdb_wal_segment_current', 'Write log segment index that TSDB is currently writing to.', log.lastSegment],
    ['gauge', 'prometheus_tsdb_wal_storage_size_bytes', 'Size of the write log directory.', log.bytes],
    ['counter', 'prometheus_tsdb_wal_writes_failed_total', 'Total number of write log writes that failed.', storage.log.failedWrites],
    [
      'counter',
      'prometheus_tsdb_wal_corruptions_total',
      'Total number of WAL corruptions.',
      storage.log.damage.length + storage.lanes.recordsCorrupt,
    ],
    [
      'gauge',
      'prometheus_tsdb_clean_start',
      '-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean',
      storage.cleanStart ? 1 : 0,
    ],
    [
      'gauge',
      'prometheus_tsdb_retention_limit_bytes',
      'Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled',
      retention.retentionBytes,
    ],
    ['gauge', 'prometheus_tsdb_retention_limit_seconds', 'How long to retain samples in storage.', retention.retentionMs / 1000],
    [
      'gauge',
      'prometheus_tsdb_retention_limit_percentage',
      'Max percentage of total storage space to be retained in the tsdb blocks, configured 0 means disabled',
      retention.retentionPercentage,
    ],
    [
      'counter',
      'promhive_log_records_lost_total',
      'Records of the log that shards had to do without, because it was damaged.',
      storage.lanes.recordsLost,
    ],
    [
      'counter',
      'promhive_storage_files_damaged_total',
      'Files found damaged that no other metric counts: of blocks when they are read, layout, progress of deletions, the head of a Prometheus.',
      storage.filesDamaged + sum((lane) => lane.filesDamaged),
    ],
    ['counter', 'promhive_storage_worker_restarts_total', 'Starts of storage workers that had ended.', storage.lanes.restarts],
    [
      'gauge',
      'promhive_head_memory_bytes',
      'Bytes the heads hold outside the JavaScript heap, by what they are for.',
      headParts.map((part) => ({ suffix: '', labels: ['part', part], value: sum((lane) => lane.headMemory[part]) })),
    ],
    ['counter', 'promhive_log_records_total', 'Records this node has appended to the logs of shards.', storage.appender.recordsAppended],
    ['counter', 'promhive_log_bytes_total', 'Bytes this node has appended to the logs of shards.', storage.appender.bytesAppended],
    [
      'counter',
      'promhive_appends_refused_total',
      'Appends refused because too much was waiting for the log.',
      storage.appender.appendsRefused,
    ],
  ]
  const families = rows.map(([kind, name, help, value]): MetricFamily => ({
    name,
    help,
    kind,
    samples: typeof value === 'number' ? [{ suffix: '', labels: [], value }] : value,
  }))
  return [...families, ...storage.logMetrics.families(storage.appender), ...added(lanes.map((lane) => lane.families))]
}

function finite(ms: number): number {
  return Number.isFinite(ms) ? ms : 0
}

/** The families every worker reports, added up. */
function added(all: readonly (readonly MetricFamily[])[]): MetricFamily[] {
  const byName = new Map<string, MetricFamily>()
  for (const family of all.flat()) {
    const known = byName.get(family.name)
    const samples = family.samples.map((sample, i) => ({ ...sample, value: sample.value + (known?.samples[i]?.value ?? 0) }))
    byName.set(family.name, { ...family, samples })
  }
  return [...byName.values()]
}
