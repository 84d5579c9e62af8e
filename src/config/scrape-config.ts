// One entry of `scrape_configs` (FEATURES 1.10–1.21): its table, what it inherits from `global`, and the options of its scrape job.
// Source: prometheus config.ScrapeConfig.
import type { DiscoveryConfig } from '../discovery/options.ts'
import { quote } from '../model/labels.ts'
import type { NameValidation } from '../relabel/rule.ts'
import { defaultScrapeProtocols, escapingSchemes, protoFirstScrapeProtocols } from '../scrape/options.ts'
import type { EscapingScheme, ScrapeOptions, ScrapeProtocol } from '../scrape/options.ts'
import { discoveryFields, toDiscovery } from './discovery/sections.ts'
import type { StaticGroup } from './discovery/static.ts'
import { limitFields, nameValidation, protocolProblem, protocolsProblem, scrapeProtocolList } from './global-config.ts'
import type { GlobalDefaults } from './global-config.ts'
import { checkHttpClient, httpClientFields, toHttpClientOptions } from './http-client.ts'
import { relabelConfigs, toRelabelRules } from './relabel-config.ts'
import { always, bool, duration, field, filePath, float, list, map, optional, struct, text, uint } from './schema.ts'
import type { Reader, Report, ValueOf } from './schema.ts'

const emptyTargetRule = 'empty or null target relabeling rule in scrape config'
const emptyMetricRule = 'empty or null metric relabeling rule in scrape config'
export const emptyScrapeConfig = 'empty or null scrape config section'

export const scrapeConfig = struct(
  'config.ScrapeConfig',
  {
    job_name: always(text()),
    honor_labels: field(bool()),
    honor_timestamps: always(bool(), true),
    track_timestamps_staleness: always(bool()),
    params: field(map(list(text()), 'url.Values')),
    scrape_interval: field(duration()),
    scrape_timeout: field(duration()),
    scrape_protocols: field(scrapeProtocolList),
    fallback_scrape_protocol: field(text({ into: 'config.ScrapeProtocol' })),
    scrape_native_histograms: field(optional(bool())),
    always_scrape_classic_histograms: field(optional(bool())),
    convert_classic_histograms_to_nhcb: field(optional(bool())),
    scrape_failure_log_file: field(filePath()),
    metrics_path: field(text(), '/metrics'),
    scheme: field(text(), 'http'),
    enable_compression: always(bool(), true),
    ...limitFields,
    native_histogram_bucket_limit: field(uint()),
    native_histogram_min_bucket_factor: field(float()),
    keep_dropped_targets: field(uint()),
    metric_name_validation_scheme: field(nameValidation),
    metric_name_escaping_scheme: field(text()),
    extra_scrape_metrics: field(optional(bool())),
    ...httpClientFields(),
    relabel_configs: field(relabelConfigs(emptyTargetRule)),
    metric_relabel_configs: field(relabelConfigs(emptyMetricRule)),
    ...discoveryFields,
  },
  {
    check(value, report) {
      if (value.job_name === '') report('job_name', 'job_name is empty')
      if (value.scheme !== 'http' && value.scheme !== 'https')
        report('scheme', `unsupported scheme ${quote(value.scheme)}, must be http or https`)
      checkStaticTargets(value, report)
      return checkHttpClient(value, report)
    },
  },
)
export type ScrapeValue = ValueOf<typeof scrapeConfig>

export const scrapeConfigList = list(scrapeConfig, '[]*config.ScrapeConfig', emptyScrapeConfig)

/** URLs are not addresses, unless relabelling makes something of them. */
export function checkStaticTargets(value: { readonly relabel_configs: readonly unknown[] }, report: Report): void {
  if (value.relabel_configs.length > 0) return
  const groups = (value as unknown as { static_configs: readonly StaticGroup[] }).static_configs
  groups.forEach(({ targets }, i) =>
    targets.forEach((target, k) => {
      if (target.includes('/')) report(['static_configs', i, 'targets', k], `${quote(target)} is not a valid hostname`)
    }),
  )
}

/** A scrape job with its discovery. */
export type ScrapeJob = Readonly<{ options: ScrapeOptions; discovery: readonly DiscoveryConfig[] }>

/** Inherits from `global`, checks, and gives the section as it is printed with the job it stands for. */
export function finishScrapeConfig(written: ScrapeValue, global: GlobalDefaults, reader: Reader): { value: ScrapeValue; job: ScrapeJob } {
  const report: Report = (where, message) => reader.problemIn(written, where, message)
  const ofJob = `for scrape config with job name ${quote(written.job_name)}`
  const base = global.value
  const scrape_interval = written.scrape_interval || base.scrape_interval
  if (written.scrape_timeout > scrape_interval) report('scrape_timeout', `scrape timeout greater than scrape interval ${ofJob}`)
  const native = written.scrape_native_histograms ?? base.scrape_native_histograms ?? false
  const protocols = written.scrape_protocols ?? base.scrape_protocols ?? (native ? protoFirstScrapeProtocols : defaultScrapeProtocols)
  const protocolsWrong = written.scrape_protocols === null ? null : protocolsProblem(written.scrape_protocols)
  if (protocolsWrong !== null) report('scrape_protocols', `${protocolsWrong} ${ofJob}`)
  const fallback = written.fallback_scrape_protocol
  const fallbackWrong = fallback === '' ? null : protocolProblem(fallback)
  if (fallbackWrong !== null) report('fallback_scrape_protocol', `invalid fallback_scrape_protocol ${ofJob}: ${fallbackWrong}`)

  const ownValidation = written.metric_name_validation_scheme
  const validation: NameValidation = ownValidation === '' ? global.validation : ownValidation
  const escaping = resolveEscaping(written, ownValidation, validation, global, report)

  const value: ScrapeValue = {
    ...written,
    scrape_interval,
    scrape_timeout: written.scrape_timeout || Math.min(base.scrape_timeout, scrape_interval),
    body_size_limit: written.body_size_limit || base.body_size_limit,
    sample_limit: written.sample_limit || base.sample_limit,
    target_limit: written.target_limit || base.target_limit,
    label_limit: written.label_limit || base.label_limit,
    label_name_length_limit: written.label_name_length_limit || base.label_name_length_limit,
    label_value_length_limit: written.label_value_length_limit || base.label_value_length_limit,
    keep_dropped_targets: written.keep_dropped_targets || base.keep_dropped_targets,
    scrape_failure_log_file: written.scrape_failure_log_file || base.scrape_failure_log_file,
    scrape_native_histograms: native,
    extra_scrape_metrics: written.extra_scrape_metrics ?? base.extra_scrape_metrics,
    scrape_protocols: protocols,
    metric_name_validation_scheme: validation,
    metric_name_escaping_scheme: escaping,
    convert_classic_histograms_to_nhcb: written.convert_classic_histograms_to_nhcb ?? base.convert_classic_histograms_to_nhcb,
    always_scrape_classic_histograms: written.always_scrape_classic_histograms ?? base.always_scrape_classic_histograms,
  }
  const options: ScrapeOptions = Object.freeze({
    jobName: value.job_name,
    intervalMs: value.scrape_interval,
    timeoutMs: value.scrape_timeout,
    metricsPath: value.metrics_path,
    scheme: value.scheme === 'https' ? 'https' : 'http',
    params: value.params,
    enableCompression: value.enable_compression,
    scrapeProtocols: protocols as readonly ScrapeProtocol[],
    fallbackScrapeProtocol: fallback as ScrapeProtocol | '',
    honorLabels: value.honor_labels,
    honorTimestamps: value.honor_timestamps,
    trackTimestampsStaleness: value.track_timestamps_staleness,
    scrapeNativeHistograms: native,
    alwaysScrapeClassicHistograms: value.always_scrape_classic_histograms ?? false,
    convertClassicHistogramsToNhcb: value.convert_classic_histograms_to_nhcb ?? false,
    bodySizeLimit: value.body_size_limit,
    sampleLimit: value.sample_limit,
    targetLimit: value.target_limit,
    labelLimit: value.label_limit,
    labelNameLengthLimit: value.label_name_length_limit,
    labelValueLengthLimit: value.label_value_length_limit,
    keepDroppedTargets: value.keep_dropped_targets,
    nativeHistogramBucketLimit: value.native_histogram_bucket_limit,
    nativeHistogramMinBucketFactor: value.native_histogram_min_bucket_factor,
    metricNameValidationScheme: validation,
    metricNameEscapingScheme: escaping,
    extraScrapeMetrics: value.extra_scrape_metrics ?? false,
    scrapeFailureLogFile: value.scrape_failure_log_file,
    relabelRules: toRelabelRules(value.relabel_configs, validation, reader),
    metricRelabelRules: toRelabelRules(value.metric_relabel_configs, validation, reader),
    http: toHttpClientOptions(value),
  })
  return {
    value: reader.moved(written, Object.freeze(value)),
    job: Object.freeze({ options, discovery: toDiscovery(value) }),
  }
}

const schemes = escapingSchemes as readonly string[]
const schemeNames = "'allow-utf-8', 'underscores', 'dots', or 'values'"

/**
 * How names are asked for: the job's own scheme, else what fits the job's own validation, else the global one, else what fits the global
 * validation. A job that says only `legacy` must not inherit allow-utf-8.
 */
function resolveEscaping(
  job: ScrapeValue,
  ownValidation: NameValidation | '',
  validation: NameValidation,
  global: GlobalDefaults,
  report: Report,
): EscapingScheme {
  const fitting = (scheme: NameValidation): EscapingScheme => (scheme === 'legacy' ? 'underscores' : 'allow-utf-8')
  const globalEscaping = global.value.metric_name_escaping_scheme || fitting(global.validation)
  const escaping = job.metric_name_escaping_scheme || (ownValidation === '' ? globalEscaping : fitting(ownValidation))
  if (!schemes.includes(globalEscaping)) return fitting(validation) // said once, at the global section
  if (!schemes.includes(escaping)) {
    report(
      'metric_name_escaping_scheme',
      `unknown scrape config name escaping method specified, must be one of ${schemeNames}, got ${quote(escaping)}`,
    )
  } else if (escaping === 'allow-utf-8' && validation !== 'utf8') {
    report('metric_name_escaping_scheme', 'utf8 metric names requested but validation scheme is not set to UTF8')
  }
  return escaping as EscapingScheme
}

/** What is wrong with the global escaping scheme; upstream says it where the first job uses it. */
export function globalEscapingProblem(scheme: string): string | null {
  return scheme === '' || schemes.includes(scheme)
    ? null
    : `unknown global name escaping method specified, must be one of ${schemeNames}, got ${quote(scheme)}`
}
