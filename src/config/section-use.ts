// What a configuration asks for beyond the core, and where: so that a program that cannot do it refuses to start and says so.
import type { ConfigProblem } from './problem.ts'
import { discoverySections } from './discovery/sections.ts'
import type { HttpClientValue } from './http-client.ts'
import type { PrometheusValue } from './prometheus-config.ts'
import type { Reader } from './schema.ts'

/** `consul_sd_configs`, `remote_write`, `oauth2`, `storage.tsdb.retention.percentage`, … with the place of its first use. */
export type SectionUse = Readonly<{ name: string; problem: Omit<ConfigProblem, 'message'> }>

/** Everything that can be in `uses`, discovery sections aside. */
export const sectionNames = [
  'remote_write',
  'remote_read',
  'tracing',
  'sigv4',
  'azuread',
  'google_iam',
  'oauth2',
  'scrape_failure_log_file',
  'query_log_file',
  'runtime.gogc',
  'storage.tsdb.chunk_encoding.floats',
  'storage.tsdb.out_of_order_time_window',
  'storage.tsdb.retention.percentage',
  'storage.tsdb.stale_series_compaction_threshold',
] as const
export type SectionName = (typeof sectionNames)[number] | (string & {})

/**
 * Problems for what a configuration uses and `supported` does not name. Names are those of discovery sections (`dns_sd_configs`) and sectionNames.
 * Serve refuses to start with them; checking tools don't ask.
 */
export function unsupportedSections(config: { readonly uses: readonly SectionUse[] }, supported: ReadonlySet<string>): ConfigProblem[] {
  return config.uses
    .filter(({ name }) => !supported.has(name))
    .map(({ name, problem }) => ({ ...problem, message: `${name} is not supported yet by this program: remove it to go on without it` }))
}

/** Looks through a configuration as read. */
export function sectionsInUse(value: Partial<PrometheusValue>, reader: Reader): SectionUse[] {
  const seen = new Set<string>()
  const uses: SectionUse[] = []
  const note = (inside: object, key: string, name = key): void => {
    if (seen.has(name)) return
    seen.add(name)
    uses.push({ name, problem: { file: reader.file, ...reader.placeIn(inside, key), path: name } })
  }
  const noteClient = (inside: object & HttpClientValue): void => {
    if (inside.oauth2 !== null) note(inside, 'oauth2')
  }
  const noteDiscovery = (inside: object): void => {
    for (const { key } of discoverySections) {
      const written = (inside as Readonly<Record<string, readonly object[] | undefined>>)[key] ?? []
      if (written.length === 0) continue
      note(inside, key)
      for (const section of written) if ('oauth2' in section && section.oauth2 !== null) note(section, 'oauth2')
    }
  }
  for (const job of value.scrape_configs ?? []) {
    noteDiscovery(job)
    noteClient(job)
    if (job.scrape_failure_log_file !== '') note(job, 'scrape_failure_log_file')
  }
  for (const alertmanager of value.alerting?.alertmanagers ?? []) {
    noteDiscovery(alertmanager)
    noteClient(alertmanager)
    if (alertmanager.sigv4 !== null) note(alertmanager, 'sigv4')
  }
  for (const remote of value.remote_write ?? []) {
    note(value, 'remote_write')
    noteClient(remote)
    for (const key of ['sigv4', 'azuread', 'google_iam'] as const) if (remote[key] !== null) note(remote, key)
  }
  for (const remote of value.remote_read ?? []) {
    note(value, 'remote_read')
    noteClient(remote)
  }
  const { global, runtime, storage, tracing } = value
  if (global !== undefined && global.query_log_file !== '') note(global, 'query_log_file')
  if (global !== undefined && global.scrape_failure_log_file !== '') note(global, 'scrape_failure_log_file')
  if (runtime !== undefined && runtime.gogc !== 0) note(runtime, 'gogc', 'runtime.gogc')
  if (tracing !== undefined && tracing.endpoint !== '') note(value, 'tracing')
  const tsdb = storage?.tsdb ?? null
  if (tsdb !== null) {
    if (tsdb.out_of_order_time_window !== 0) note(tsdb, 'out_of_order_time_window', 'storage.tsdb.out_of_order_time_window')
    if (tsdb.stale_series_compaction_threshold !== 0) {
      note(tsdb, 'stale_series_compaction_threshold', 'storage.tsdb.stale_series_compaction_threshold')
    }
    if (tsdb.chunk_encoding.floats !== '') note(tsdb.chunk_encoding, 'floats', 'storage.tsdb.chunk_encoding.floats')
    if (tsdb.retention !== null && tsdb.retention.percentage !== 0) {
      note(tsdb.retention, 'percentage', 'storage.tsdb.retention.percentage')
    }
  }
  return uses
}
