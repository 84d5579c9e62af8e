// The `global` and `runtime` sections (FEATURES 1.36, 1.37), and what jobs inherit from them.
// Source: prometheus config.GlobalConfig.
import { isLegacyLabelName, labelsFromObject, quote } from '../model/labels.ts'
import type { Labels } from '../model/labels.ts'
import type { NameValidation } from '../relabel/rule.ts'
import { protoFirstScrapeProtocols, scrapeProtocols } from '../scrape/options.ts'
import { bool, duration, field, filePath, int, isValidName, map, nullableList, optional, size, struct, text, uint } from './schema.ts'
import type { Reader, Report, Schema, ValueOf } from './schema.ts'

/** '' = not set. */
export const nameValidation: Schema<NameValidation | ''> = {
  ...text({ check: (name) => (['', 'legacy', 'utf8'].includes(name) ? null : `unrecognized ValidationScheme: ${quote(name)}`) }),
} as Schema<NameValidation | ''>

export const scrapeProtocolList = nullableList(text({ into: 'config.ScrapeProtocol' }), '[]config.ScrapeProtocol')

/** Limits that `global` and every job have; 0 = none. The job's own come first. */
export const limitFields = {
  body_size_limit: field(size()),
  sample_limit: field(uint()),
  target_limit: field(uint()),
  label_limit: field(uint()),
  label_name_length_limit: field(uint()),
  label_value_length_limit: field(uint()),
}

export const globalConfig = struct('config.plain', {
  scrape_interval: field(duration()),
  scrape_timeout: field(duration()),
  scrape_protocols: field(scrapeProtocolList),
  evaluation_interval: field(duration()),
  rule_query_offset: field(duration()),
  query_log_file: field(filePath()),
  scrape_failure_log_file: field(filePath()),
  external_labels: field(map(text())),
  ...limitFields,
  keep_dropped_targets: field(uint()),
  metric_name_validation_scheme: field(nameValidation),
  metric_name_escaping_scheme: field(text()),
  scrape_native_histograms: field(optional(bool())),
  convert_classic_histograms_to_nhcb: field(bool()),
  always_scrape_classic_histograms: field(bool()),
  extra_scrape_metrics: field(optional(bool())),
})
export type GlobalValue = ValueOf<typeof globalConfig>

export const runtimeConfig = struct('config.RuntimeConfig', { gogc: field(int()) })

/** Feature flags that change defaults. */
export type ConfigFeatures = Readonly<{
  /** created-timestamp-zero-ingestion or st-storage: protobuf is asked for first. */
  protoFirst?: boolean
  /** extra-scrape-metrics */
  extraScrapeMetrics?: boolean
}>

export type GlobalDefaults = Readonly<{ value: GlobalValue; externalLabels: Labels; validation: NameValidation }>

/** Fills what the section leaves open and checks it. `place` is the section as read, or null where there is none. */
export function finishGlobal(
  written: GlobalValue,
  reader: Reader,
  options: { features: ConfigFeatures; env: (name: string) => string | undefined; warn: (message: string) => void },
): GlobalDefaults {
  const report: Report = (where, message) => reader.problemIn(written, where, message)
  const validation: NameValidation = written.metric_name_validation_scheme === '' ? 'utf8' : written.metric_name_validation_scheme
  const scrape_interval = written.scrape_interval === 0 ? 60_000 : written.scrape_interval
  if (written.scrape_timeout > scrape_interval) report('scrape_timeout', 'global scrape timeout greater than scrape interval')
  for (const [name, value] of Object.entries(written.external_labels)) {
    const valid = validation === 'legacy' ? isLegacyLabelName(name) : isValidName(name)
    if (!valid) report(['external_labels', name], `${quote(name)} is not a valid label name`)
    if (!value.isWellFormed()) report(['external_labels', name], `${quote(value)} is not a valid label value`)
  }
  const protocols = written.scrape_protocols ?? (options.features.protoFirst === true ? protoFirstScrapeProtocols : null)
  if (protocols !== null) {
    const why = protocolsProblem(protocols)
    if (why !== null) report('scrape_protocols', `${why} for global config`)
  }
  const external = Object.entries(written.external_labels).map(([name, value]) => [name, expandVariables(value, options)] as const)
  const value: GlobalValue = {
    ...written,
    scrape_interval,
    scrape_timeout: written.scrape_timeout === 0 ? Math.min(10_000, scrape_interval) : written.scrape_timeout,
    scrape_protocols: protocols,
    evaluation_interval: written.evaluation_interval === 0 ? 60_000 : written.evaluation_interval,
    metric_name_validation_scheme: validation,
    scrape_native_histograms: written.scrape_native_histograms ?? false,
    extra_scrape_metrics: written.extra_scrape_metrics ?? options.features.extraScrapeMetrics ?? false,
    external_labels: Object.freeze(Object.fromEntries(external)),
  }
  return Object.freeze({
    value: reader.moved(written, Object.freeze(value)),
    externalLabels: labelsFromObject(value.external_labels),
    validation,
  })
}

/** What is wrong with a list of scrape protocols. */
export function protocolsProblem(protocols: readonly string[]): string | null {
  if (protocols.length === 0) return 'scrape_protocols cannot be empty'
  const seen = new Set<string>()
  for (const protocol of protocols) {
    if (seen.has(protocol.toLowerCase())) return `duplicated protocol in scrape_protocols, got [${protocols.join(' ')}]`
    const why = protocolProblem(protocol)
    if (why !== null) return `scrape_protocols: ${why}`
    seen.add(protocol.toLowerCase())
  }
  return null
}

export function protocolProblem(protocol: string): string | null {
  return (scrapeProtocols as readonly string[]).includes(protocol)
    ? null
    : `unknown scrape protocol ${protocol}, supported: [${[...scrapeProtocols].sort().join(' ')}]`
}

/** `${name}`, `$name` and `$$`. A variable that is not set or empty is nothing, and a warning. @see Go os.Expand */
export function expandVariables(
  value: string,
  options: { env: (name: string) => string | undefined; warn: (message: string) => void },
): string {
  const look = (name: string): string => {
    if (name === '$') return '$'
    const found = options.env(name) ?? ''
    if (found === '') options.warn(`Empty environment variable name=${name}`)
    return found
  }
  return value.replace(
    /\$(?:\{([^}]*)\}|([*#$@!?\-0-9])|([A-Za-z_][A-Za-z0-9_]*)|(\{[^}]*$))/g,
    (_, braced?: string, sign?: string, word?: string) => {
      const name = braced ?? sign ?? word
      return name === undefined || name === '' ? '' : look(name)
    },
  )
}
