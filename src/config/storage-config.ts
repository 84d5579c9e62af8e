// `storage`, `tracing` and `otlp` (FEATURES 1.37, 1.47, 7.15). Source: prometheus config.TSDBConfig, TracingConfig, OTLPConfig.
import type { TlsOptions } from '../model/http-options.ts'
import { quote } from '../model/labels.ts'
import { printSize } from './quantity.ts'
import { tlsConfig, toTlsOptions } from './http-client.ts'
import { checkHeaders } from './remote-config.ts'
import { always, bool, duration, field, float, int, list, map, oneOf, optional, size, struct, text } from './schema.ts'
import type { ValueOf } from './schema.ts'

const retentionConfig = struct(
  'config.plain',
  { time: field(duration()), size: field(size()), percentage: field(float()) },
  {
    check(value, report) {
      if (value.size < 0) {
        report('size', `'storage.tsdb.retention.size' must be greater than or equal to 0, got ${printSize(value.size)}`)
      }
      if (!(value.percentage >= 0 && value.percentage <= 100)) {
        report('percentage', `'storage.tsdb.retention.percentage' must be in the range [0, 100], got ${value.percentage}`)
      }
    },
  },
)

const tsdbConfig = struct(
  'config.plain',
  {
    // Upstream's own milliseconds, which it prints and reads by accident
    outofordertimewindow: always(int('int64')),
    out_of_order_time_window: field(duration()),
    stale_series_compaction_threshold: field(float()),
    chunk_encoding: field(struct('config.ChunkEncodingConfig', { floats: field(text()) })),
    retention: field(optional(retentionConfig)),
  },
  {
    check(value, report) {
      const { floats } = value.chunk_encoding
      if (!['', 'xor', 'xor2'].includes(floats)) {
        report(
          ['chunk_encoding', 'floats'],
          `'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got ${quote(floats)}`,
        )
      }
      return {
        ...value,
        outofordertimewindow: value.out_of_order_time_window,
      }
    },
  },
)

export const storageConfig = struct('config.StorageConfig', {
  tsdb: field(optional(tsdbConfig)),
  exemplars: field(optional(struct('config.ExemplarsConfig', { max_exemplars: field(int('int64')) }))),
})
export type StorageValue = ValueOf<typeof storageConfig>

export type StorageOptions = Readonly<{
  /** How far behind the newest sample others are still taken; 0 = not at all. */
  outOfOrderTimeWindowMs: number
  /** Share of stale series in the head that starts a compaction, 0 = off. */
  staleSeriesCompactionThreshold: number
  /** '' = what the feature flag xor2-encoding says. */
  floatChunkEncoding: '' | 'xor' | 'xor2'
  /** 0 = no limit. Where the file has no `retention` section, what the flags say. */
  retentionTimeMs: number
  /** 0 = no limit. */
  retentionSizeBytes: number
  /** Of the disk, 0–100; 0 = not used. */
  retentionPercentage: number
  /** Of the circular buffer, ≤ 0 = none. Used with the feature exemplar-storage. */
  exemplarsMax: number
}>

/** Retention by the flags, for files that say nothing. */
export type RetentionDefault = Readonly<{ timeMs: number; sizeBytes: number }>

/** The section with the parts upstream adds where they are missing. */
export function finishStorage(written: StorageValue, byFlags: RetentionDefault): { value: StorageValue; options: StorageOptions } {
  const tsdb = written.tsdb ?? tsdbConfig.defaults()
  const retention = tsdb.retention ?? { time: byFlags.timeMs, size: byFlags.sizeBytes, percentage: 0 }
  const value = Object.freeze({ ...written, tsdb: { ...tsdb, retention } })
  return {
    value,
    options: Object.freeze({
      outOfOrderTimeWindowMs: tsdb.out_of_order_time_window,
      staleSeriesCompactionThreshold: tsdb.stale_series_compaction_threshold,
      floatChunkEncoding: tsdb.chunk_encoding.floats as StorageOptions['floatChunkEncoding'],
      retentionTimeMs: retention.time,
      retentionSizeBytes: retention.size,
      retentionPercentage: retention.percentage,
      exemplarsMax: written.exemplars === null ? 100_000 : written.exemplars.max_exemplars,
    }),
  }
}

export const tracingConfig = struct(
  'config.plain',
  {
    client_type: field(
      oneOf(['http', 'grpc'], (type) => `expected tracing client type to be to be http or grpc, but got ${type}`),
      'grpc',
    ),
    endpoint: field(text()),
    sampling_fraction: field(float()),
    insecure: field(bool()),
    tls_config: field(tlsConfig),
    headers: field(map(text())),
    compression: field(text()),
    timeout: field(duration()),
  },
  {
    check(value, report) {
      checkHeaders(value.headers, 'custom authorization header configuration is not yet supported', report)
      if (value.endpoint === '') report('endpoint', 'tracing endpoint must be set')
      if (value.compression !== '' && value.compression !== 'gzip') {
        report('compression', `invalid compression type ${value.compression} provided, valid options: gzip`)
      }
    },
  },
)

export type TracingOptions = Readonly<{
  clientType: 'http' | 'grpc'
  endpoint: string
  samplingFraction: number
  insecure: boolean
  tls: TlsOptions | null
  headers: Readonly<Record<string, string>>
  compression: '' | 'gzip'
  timeoutMs: number
}>

/** Null where there is no section. */
export function finishTracing(value: ValueOf<typeof tracingConfig>): TracingOptions | null {
  if (tracingConfig.isZero(value)) return null
  return Object.freeze({
    clientType: value.client_type === 'http' ? 'http' : 'grpc',
    endpoint: value.endpoint,
    samplingFraction: value.sampling_fraction,
    insecure: value.insecure,
    tls: tlsConfig.isZero(value.tls_config) ? null : toTlsOptions(value.tls_config),
    headers: value.headers,
    compression: value.compression as TracingOptions['compression'],
    timeoutMs: value.timeout,
  })
}

const translationStrategies = [
  'UnderscoreEscapingWithSuffixes',
  'NoUTF8EscapingWithSuffixes',
  'UnderscoreEscapingWithoutSuffixes',
  'NoTranslation',
] as const

export const otlpConfig = struct(
  'config.plain',
  {
    promote_all_resource_attributes: field(bool()),
    promote_resource_attributes: field(list(text())),
    ignore_resource_attributes: field(list(text())),
    translation_strategy: field(text(), 'UnderscoreEscapingWithSuffixes'),
    keep_identifying_resource_attributes: field(bool()),
    convert_histograms_to_nhcb: field(bool()),
    promote_scope_metadata: field(bool()),
    label_name_underscore_sanitization: field(bool(), true),
    label_name_preserve_multiple_underscores: field(bool(), true),
  },
  {
    check(value, report) {
      const { promote_all_resource_attributes: all, promote_resource_attributes: promoted, ignore_resource_attributes: ignored } = value
      if (all && promoted.length > 0) {
        report(
          'promote_resource_attributes',
          "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously",
        )
      }
      if (!all && ignored.length > 0) {
        report(
          'ignore_resource_attributes',
          "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true",
        )
      }
      const clean = (key: 'promote_resource_attributes' | 'ignore_resource_attributes', adjective: string): readonly string[] => {
        const names = value[key].map((name) => name.trim())
        const whys = names.flatMap((name, i) =>
          name === ''
            ? [`empty ${adjective} OTel resource attribute`]
            : names.indexOf(name) < i
              ? [`duplicated ${adjective} OTel resource attribute ${quote(name)}`]
              : [],
        )
        for (const why of whys) report(key, `invalid '${key}': ${why}`)
        return Object.freeze(names)
      }
      return all
        ? { ...value, ignore_resource_attributes: clean('ignore_resource_attributes', 'ignored') }
        : { ...value, promote_resource_attributes: clean('promote_resource_attributes', 'promoted') }
    },
  },
)
export type OtlpValue = ValueOf<typeof otlpConfig>

export type OtlpOptions = Readonly<{
  promoteAllResourceAttributes: boolean
  promoteResourceAttributes: readonly string[]
  ignoreResourceAttributes: readonly string[]
  translationStrategy: (typeof translationStrategies)[number]
  keepIdentifyingResourceAttributes: boolean
  convertHistogramsToNhcb: boolean
  promoteScopeMetadata: boolean
  labelNameUnderscoreSanitization: boolean
  labelNamePreserveMultipleUnderscores: boolean
}>

/** What is wrong with the strategy, which depends on the global name validation. */
export function translationProblem(strategy: string, validation: 'legacy' | 'utf8'): string | null {
  if (strategy !== '' && !(translationStrategies as readonly string[]).includes(strategy)) {
    return `unsupported OTLP translation strategy ${quote(strategy)}`
  }
  return validation === 'legacy' && (strategy === 'NoTranslation' || strategy === 'NoUTF8EscapingWithSuffixes')
    ? `OTLP translation strategy ${quote(strategy)} is not allowed when UTF8 is disabled`
    : null
}

export function finishOtlp(value: OtlpValue): OtlpOptions {
  return Object.freeze({
    promoteAllResourceAttributes: value.promote_all_resource_attributes,
    promoteResourceAttributes: value.promote_resource_attributes,
    ignoreResourceAttributes: value.ignore_resource_attributes,
    translationStrategy: (value.translation_strategy || 'UnderscoreEscapingWithSuffixes') as OtlpOptions['translationStrategy'],
    keepIdentifyingResourceAttributes: value.keep_identifying_resource_attributes,
    convertHistogramsToNhcb: value.convert_histograms_to_nhcb,
    promoteScopeMetadata: value.promote_scope_metadata,
    labelNameUnderscoreSanitization: value.label_name_underscore_sanitization,
    labelNamePreserveMultipleUnderscores: value.label_name_preserve_multiple_underscores,
  })
}
