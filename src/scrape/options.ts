// What one scrape job asks for, as the configuration hands it over: validated, global settings merged in, every key present, frozen.
import type { HttpClientOptions } from '../model/http-options.ts'
import type { NameValidation, RelabelRule } from '../relabel/rule.ts'

export const scrapeProtocols = [
  'PrometheusProto',
  'PrometheusText0.0.4',
  'PrometheusText1.0.0',
  'OpenMetricsText0.0.1',
  'OpenMetricsText1.0.0',
] as const
export type ScrapeProtocol = (typeof scrapeProtocols)[number]

/** How a target is asked to write names outside the legacy alphabet (FEATURES 1.19). */
export const escapingSchemes = ['allow-utf-8', 'underscores', 'dots', 'values'] as const
export type EscapingScheme = (typeof escapingSchemes)[number]

/** One entry of `scrape_configs`, without its discovery sections. 0 means "no limit" in every limit. */
export type ScrapeOptions = Readonly<{
  jobName: string
  intervalMs: number
  timeoutMs: number
  metricsPath: string
  scheme: 'http' | 'https'
  params: Readonly<Record<string, readonly string[]>>
  enableCompression: boolean
  /** In order of preference; never empty, no duplicates. Defaults: defaultScrapeProtocols / protoFirstScrapeProtocols. */
  scrapeProtocols: readonly ScrapeProtocol[]
  /** '' = none: a target without a usable Content-Type fails. */
  fallbackScrapeProtocol: ScrapeProtocol | ''
  honorLabels: boolean
  honorTimestamps: boolean
  trackTimestampsStaleness: boolean
  scrapeNativeHistograms: boolean
  alwaysScrapeClassicHistograms: boolean
  convertClassicHistogramsToNhcb: boolean
  /** Bytes after decompression. */
  bodySizeLimit: number
  sampleLimit: number
  targetLimit: number
  labelLimit: number
  labelNameLengthLimit: number
  labelValueLengthLimit: number
  keepDroppedTargets: number
  nativeHistogramBucketLimit: number
  nativeHistogramMinBucketFactor: number
  metricNameValidationScheme: NameValidation
  metricNameEscapingScheme: EscapingScheme
  extraScrapeMetrics: boolean
  /** Absolute path, '' = none. */
  scrapeFailureLogFile: string
  relabelRules: readonly RelabelRule[]
  metricRelabelRules: readonly RelabelRule[]
  http: HttpClientOptions
}>

export const defaultScrapeProtocols: readonly ScrapeProtocol[] = Object.freeze([
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
] as const)
export const protoFirstScrapeProtocols: readonly ScrapeProtocol[] = Object.freeze(['PrometheusProto', ...defaultScrapeProtocols] as const)

/** Everything but the name: what a job gets that says nothing, under a `global` section that says nothing. */
export const defaultScrapeOptions: Omit<ScrapeOptions, 'jobName'> = Object.freeze({
  intervalMs: 60_000,
  timeoutMs: 10_000,
  metricsPath: '/metrics',
  scheme: 'http',
  params: Object.freeze({}),
  enableCompression: true,
  scrapeProtocols: defaultScrapeProtocols,
  fallbackScrapeProtocol: '',
  honorLabels: false,
  honorTimestamps: true,
  trackTimestampsStaleness: false,
  scrapeNativeHistograms: false,
  alwaysScrapeClassicHistograms: false,
  convertClassicHistogramsToNhcb: false,
  bodySizeLimit: 0,
  sampleLimit: 0,
  targetLimit: 0,
  labelLimit: 0,
  labelNameLengthLimit: 0,
  labelValueLengthLimit: 0,
  keepDroppedTargets: 0,
  nativeHistogramBucketLimit: 0,
  nativeHistogramMinBucketFactor: 0,
  metricNameValidationScheme: 'utf8',
  metricNameEscapingScheme: 'allow-utf-8',
  extraScrapeMetrics: false,
  scrapeFailureLogFile: '',
  relabelRules: Object.freeze([]),
  metricRelabelRules: Object.freeze([]),
  http: Object.freeze({ followRedirects: true, enableHttp2: true }),
})

/** Feature flags and hidden flags that bear on all jobs (FEATURES 1.22, 1.27, 1.46). */
export type ScrapeFeatures = Readonly<{
  /** `created-timestamp-zero-ingestion`: a 0 at the start timestamp of a counter, histogram or summary. */
  createdTimestampZeroIngestion: boolean
  /** `type-and-unit-labels`: `__type__` and `__unit__` labels from # TYPE and # UNIT. */
  typeAndUnitLabels: boolean
  /** `exemplar-storage`: without it exemplars are not looked at. */
  exemplarStorage: boolean
}>

export const defaultScrapeFeatures: ScrapeFeatures = Object.freeze({
  createdTimestampZeroIngestion: false,
  typeAndUnitLabels: false,
  exemplarStorage: false,
})
