// One load of everything the configuration names: prometheus.yml, scrape config files, rule files. Either all of it is good, or nothing changes.
import { existsSync } from 'node:fs'
import { crc32c } from '../../base/crc32c.ts'
import { utf8Bytes } from '../../base/bytes.ts'
import { PromhiveError } from '../../base/errors.ts'
import { printProblem } from '../../config/problem.ts'
import { loadConfig, type ConfigFiles, type PrometheusConfig } from '../../config/prometheus-config.ts'
import { loadRuleFiles } from '../../config/rule-files.ts'
import { unsupportedSections } from '../../config/section-use.ts'
import type { FeatureName } from '../../config/serve-flags.ts'
import { supportedDiscovery } from '../../discovery/manager.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import type { RuleGroup } from '../../rules/options.ts'
import { nodeConfigFiles } from '../config-files.ts'
import { ruleChecks } from '../tool/rule-checks.ts'

export type Loaded = Readonly<{
  config: PrometheusConfig
  groups: readonly RuleGroup[]
  warnings: readonly string[]
  files: readonly string[]
}>

export type LoadSettings = Readonly<{
  configFile: string
  features: ReadonlySet<FeatureName>
  promql: PromqlFeatures
  retentionDefault: Readonly<{ timeMs: number; sizeBytes: number }>
}>

/** What serve acts on, besides what every configuration has. Anything else in a configuration is refused by name. */
const supportedSections: ReadonlySet<string> = new Set([
  ...supportedDiscovery.filter((kind) => kind !== 'static').map((kind) => `${kind}_sd_configs`),
  'static_configs',
  'oauth2',
  'query_log_file',
  'scrape_failure_log_file',
  'runtime.gogc',
  'storage.tsdb.out_of_order_time_window',
  'storage.tsdb.retention.percentage',
  'storage.tsdb.stale_series_compaction_threshold',
])

/** @throws PromhiveError CONFIG_INVALID with every problem on a line of its own. */
export function loadConfiguration(settings: LoadSettings, files: ConfigFiles = nodeConfigFiles): Loaded {
  const { config, problems } = loadConfig(settings.configFile, {
    ...files,
    env: (name) => process.env[name],
    features: {
      extraScrapeMetrics: settings.features.has('extra-scrape-metrics'),
      protoFirst: settings.features.has('created-timestamp-zero-ingestion') || settings.features.has('st-storage'),
    },
    retention: settings.retentionDefault,
  })
  if (config === null) throw invalid(settings.configFile, problems.map(printProblem))
  const unsupported = unsupportedSections(config, supportedSections)
  if (unsupported.length > 0) throw invalid(settings.configFile, unsupported.map(printProblem))
  const rules = loadRuleFiles(config.ruleFiles, {
    ...files,
    ...ruleChecks(settings.promql),
    nameValidation: config.global.metricNameValidationScheme,
  })
  if (rules.problems.length > 0) throw invalid(settings.configFile, rules.problems.map(printProblem))
  return { config, groups: rules.groups, warnings: [...config.warnings, ...rules.warnings], files: [...config.files, ...rules.files] }
}

function invalid(path: string, lines: readonly string[]): PromhiveError {
  return new PromhiveError(
    'CONFIG_INVALID',
    `cannot load ${path}: ${lines.length} problem${lines.length === 1 ? '' : 's'}\n${lines.join('\n')}`,
    { problems: lines },
  )
}

/** Changes when any file of a load, or the set of files its globs match, changes. */
export function checksumOf(loaded: Loaded): number {
  const globs = [...loaded.config.ruleFiles, ...loaded.config.scrapeConfigFiles].flatMap((pattern) => nodeConfigFiles.glob(pattern))
  let crc = 0
  for (const path of new Set([...loaded.files, ...globs])) {
    let text = ''
    try {
      text = existsSync(path) ? nodeConfigFiles.readFile(path) : '\0missing'
    } catch (thrown) {
      text = `\0${String(thrown)}`
    }
    const bytes = utf8Bytes(`${path}\0${text}\0`)
    crc = crc32c(bytes, 0, bytes.length, crc)
  }
  return crc
}
