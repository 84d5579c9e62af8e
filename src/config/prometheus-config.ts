// prometheus.yml as one frozen value (FEATURES 1.10–1.47). Text in, value or problems out: files, globs and the environment are handed in.
//
//   text ──yaml-tree──▶ nodes with places ──schema──▶ values named as in the file ──finish…──▶ options named as in the program
//                                                             └──dump──▶ the redacted YAML of /api/v1/status/config
import { messageOf } from '../base/errors.ts'
import type { AlertingOptions } from '../alerting/options.ts'
import { quote } from '../model/labels.ts'
import type { Labels } from '../model/labels.ts'
import type { NameValidation, RelabelRule } from '../relabel/rule.ts'
import { alertingConfig, finishAlerting } from './alerting-config.ts'
import type { AlertmanagerDiscovery } from './alerting-config.ts'
import { printYaml } from './dump.ts'
import { finishGlobal, globalConfig, runtimeConfig } from './global-config.ts'
import type { ConfigFeatures, GlobalDefaults } from './global-config.ts'
import type { ConfigProblem } from './problem.ts'
import { checkUniqueNames, finishRemoteRead, finishRemoteWrite, remoteReadList, remoteWriteList } from './remote-config.ts'
import type { RemoteReadOptions, RemoteWriteOptions } from './remote-config.ts'
import { Reader, always, field, filePath, list, struct } from './schema.ts'
import type { ValueOf } from './schema.ts'
import { finishScrapeConfig, globalEscapingProblem, scrapeConfigList } from './scrape-config.ts'
import type { ScrapeJob, ScrapeValue } from './scrape-config.ts'
import { sectionsInUse } from './section-use.ts'
import type { SectionUse } from './section-use.ts'
import { finishOtlp, finishStorage, finishTracing, otlpConfig, storageConfig, tracingConfig, translationProblem } from './storage-config.ts'
import type { OtlpOptions, RetentionDefault, StorageOptions, TracingOptions } from './storage-config.ts'
import { isNull, parseYaml } from './yaml-tree.ts'

/** Only the last segment may hold a *, and only one. */
const globPath = /^[^*]*(\*[^/]*)?$/

const prometheusConfig = struct('config.plain', {
  global: always(globalConfig),
  runtime: field(runtimeConfig),
  alerting: field(alertingConfig),
  rule_files: field(list(filePath({ check: (path) => (globPath.test(path) ? null : `invalid rule file path ${quote(path)}`) }))),
  scrape_config_files: field(
    list(filePath({ check: (path) => (globPath.test(path) ? null : `invalid scrape config file path ${quote(path)}`) })),
  ),
  scrape_configs: field(scrapeConfigList),
  storage: field(storageConfig),
  tracing: field(tracingConfig),
  remote_write: field(remoteWriteList),
  remote_read: field(remoteReadList),
  otlp: field(otlpConfig, otlpConfig.defaults()),
})

const scrapeConfigFile = struct('config.ScrapeConfigs', { scrape_configs: field(scrapeConfigList) })

/** A loaded configuration. Nothing in it changes; a reload makes a new one. */
export type PrometheusConfig = Readonly<{
  file: string
  global: Readonly<{
    scrapeIntervalMs: number
    scrapeTimeoutMs: number
    evaluationIntervalMs: number
    ruleQueryOffsetMs: number
    externalLabels: Labels
    metricNameValidationScheme: NameValidation
    /** Absolute, '' = none. */
    queryLogFile: string
  }>
  /** Target percentage of Go's garbage collector: kept for the API, nothing acts on it. */
  gogc: number
  /** Globs, absolute or as relative as the configuration's own path is. */
  ruleFiles: readonly string[]
  scrapeConfigFiles: readonly string[]
  /** Those of the file, then those of scrape_config_files. */
  scrapeJobs: readonly ScrapeJob[]
  alerting: AlertingOptions<RelabelRule>
  alertmanagers: readonly AlertmanagerDiscovery[]
  remoteWrite: readonly RemoteWriteOptions[]
  remoteRead: readonly RemoteReadOptions[]
  storage: StorageOptions
  tracing: TracingOptions | null
  otlp: OtlpOptions
  /** The configuration with its defaults, secrets as `<secret>`, as /api/v1/status/config shows it. */
  yaml: string
  /** Every file that was read, for the checksum of --config.auto-reload. */
  files: readonly string[]
  /** Worth a line in the log: environment variables that are not set. */
  warnings: readonly string[]
  /** What the configuration asks for that not every program can do; see unsupportedSections. */
  uses: readonly SectionUse[]
}>

export type ConfigFiles = Readonly<{
  /** The text of a file. Throws where it cannot be read. */
  readFile: (path: string) => string
  /** Files that match, sorted. */
  glob: (pattern: string) => readonly string[]
}>
export type LoadOptions = ConfigFiles &
  Readonly<{
    env: (name: string) => string | undefined
    features?: ConfigFeatures
    /** What --storage.tsdb.retention.time and .size say, for files without a `retention` section. */
    retention?: RetentionDefault
    /** Refuses what agents have no use for. */
    agent?: boolean
    /** Unknown keys are no problem. */
    ignoreUnknownFields?: boolean
  }>
export type LoadResult =
  Readonly<{ config: PrometheusConfig; problems: readonly [] }> | Readonly<{ config: null; problems: readonly ConfigProblem[] }>

/** Reads a configuration file and what it includes. All problems are found at once. */
export function loadConfig(path: string, options: LoadOptions): LoadResult {
  const problems: ConfigProblem[] = []
  const text = readText(path, options, problems)
  return text === null ? { config: null, problems } : parseConfig(text, path, options)
}

/** The same, from the text of the file. */
export function parseConfig(source: string, path: string, options: LoadOptions): LoadResult {
  const tree = parseYaml(source, path)
  const ignoreUnknown = options.ignoreUnknownFields ?? false
  const reader = new Reader(tree, { file: path, directory: directoryOf(path), ignoreUnknown })
  if (tree.problems.length > 0) return { config: null, problems: tree.problems }
  const value = isNull(tree.root) ? prometheusConfig.defaults() : prometheusConfig.read(tree.root, reader, '')
  if (value === undefined) return { config: null, problems: reader.problems }

  const warnings: string[] = []
  const global = finishGlobal(value.global, reader, {
    features: options.features ?? {},
    env: options.env,
    warn: (message) => warnings.push(message),
  })
  const escaping = globalEscapingProblem(global.value.metric_name_escaping_scheme)
  if (escaping !== null) reader.problemIn(value.global, 'metric_name_escaping_scheme', escaping)

  const own = value.scrape_configs.map((job) => finishScrapeConfig(job, global, reader))
  const jobNames = new Map<string, string>()
  for (const { value: job } of own) {
    if (jobNames.has(job.job_name) && job.job_name !== '') {
      reader.problemIn(job, 'job_name', `found multiple scrape configs with job name ${quote(job.job_name)}`)
    }
    jobNames.set(job.job_name, 'main config file')
  }
  const included = includeScrapeConfigs(value.scrape_config_files, global, jobNames, options)

  const alerting = finishAlerting(value.alerting, global.externalLabels, global.validation, reader)
  const remoteWrite = value.remote_write.map((entry) => finishRemoteWrite(entry, global.validation, reader))
  const remoteRead = value.remote_read.map(finishRemoteRead)
  checkUniqueNames(value.remote_write, 'remote write', reader)
  checkUniqueNames(value.remote_read, 'remote read', reader)
  const storage = finishStorage(value.storage, options.retention ?? { timeMs: 0, sizeBytes: 0 })
  const translation = translationProblem(value.otlp.translation_strategy, global.validation)
  if (translation !== null) reader.problemIn(value.otlp, 'translation_strategy', translation)
  if (options.agent === true) checkAgent(value, reader)

  const problems = [...reader.problems, ...included.problems].sort(
    (a, b) =>
      Number(a.file !== path) - Number(b.file !== path) ||
      (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column),
  )
  if (problems.length > 0) return { config: null, problems }

  const gogc = value.runtime.gogc === 0 ? goGc(options.env('GOGC')) : value.runtime.gogc
  // Without a section upstream prints its default; with one, the empty scheme is found out job by job
  const hasGlobal = tree.root.kind === 'map' && tree.root.pairs.some((pair) => pair.key.text === 'global' && !isNull(pair.value))
  const printed: ValueOf<typeof prometheusConfig> = {
    ...value,
    global: hasGlobal ? global.value : { ...global.value, metric_name_escaping_scheme: 'allow-utf-8' },
    runtime: { gogc },
    scrape_configs: own.map(({ value: job }) => job),
    storage: storage.value,
  }
  const config: PrometheusConfig = freezeDeep({
    file: path,
    global: Object.freeze({
      scrapeIntervalMs: global.value.scrape_interval,
      scrapeTimeoutMs: global.value.scrape_timeout,
      evaluationIntervalMs: global.value.evaluation_interval,
      ruleQueryOffsetMs: global.value.rule_query_offset,
      externalLabels: global.externalLabels,
      metricNameValidationScheme: global.validation,
      queryLogFile: global.value.query_log_file,
    }),
    gogc,
    ruleFiles: value.rule_files,
    scrapeConfigFiles: value.scrape_config_files,
    scrapeJobs: Object.freeze([...own.map(({ job }) => job), ...included.jobs]),
    alerting: alerting.alerting,
    alertmanagers: alerting.discovery,
    remoteWrite: Object.freeze(remoteWrite),
    remoteRead: Object.freeze(remoteRead),
    storage: storage.options,
    tracing: finishTracing(value.tracing),
    otlp: finishOtlp(value.otlp),
    yaml: printYaml(prometheusConfig.print(printed)),
    files: Object.freeze([path, ...included.files]),
    warnings: Object.freeze(warnings),
    uses: Object.freeze([...sectionsInUse(value, reader), ...included.uses]),
  })
  return { config, problems: [] }
}
/** Freezes a value and all it holds. */
function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const inner of Object.values(value)) freezeDeep(inner)
  return Object.freeze(value)
}

export type PrometheusValue = ValueOf<typeof prometheusConfig>

/** Reads the files of scrape_config_files. Paths in them are relative to them. */
function includeScrapeConfigs(
  globs: readonly string[],
  global: GlobalDefaults,
  jobNames: Map<string, string>,
  options: LoadOptions,
): { jobs: ScrapeJob[]; files: string[]; problems: ConfigProblem[]; uses: SectionUse[] } {
  const jobs: ScrapeJob[] = []
  const files: string[] = []
  const problems: ConfigProblem[] = []
  const uses: SectionUse[] = []
  for (const pattern of globs) {
    for (const file of globFiles(pattern, options, problems)) {
      files.push(file)
      const text = readText(file, options, problems)
      if (text === null) continue
      const tree = parseYaml(text, file)
      problems.push(...tree.problems)
      const reader = new Reader(tree, { file, directory: directoryOf(file), ignoreUnknown: options.ignoreUnknownFields ?? false })
      const value = tree.problems.length > 0 ? undefined : scrapeConfigFile.read(tree.root, reader, '')
      for (const written of value?.scrape_configs ?? []) {
        jobs.push(finishScrapeConfig(written, global, reader).job)
        checkJobName(written, file, jobNames, reader)
      }
      if (value !== undefined) uses.push(...sectionsInUse({ scrape_configs: value.scrape_configs }, reader))
      problems.push(...reader.problems)
    }
  }
  return { jobs, files, problems, uses }
}

function checkJobName(job: ScrapeValue, file: string, jobNames: Map<string, string>, reader: Reader): void {
  const first = jobNames.get(job.job_name)
  if (first !== undefined && job.job_name !== '') {
    reader.problemIn(job, 'job_name', `found multiple scrape configs with job name ${quote(job.job_name)}, first found in ${first}`)
  }
  jobNames.set(job.job_name, quote(file))
}

/** Agents scrape and send, nothing else. */
function checkAgent(value: PrometheusValue, reader: Reader): void {
  const refuse = (key: string): void => reader.problemIn(value, key, `field ${key} is not allowed in agent mode`)
  if (value.alerting.alertmanagers.length > 0 || value.alerting.alert_relabel_configs.length > 0) refuse('alerting')
  if (value.rule_files.length > 0) refuse('rule_files')
  if (value.remote_read.length > 0) refuse('remote_read')
}

/** The text of a file, or null and a problem. */
export function readText(path: string, { readFile }: Pick<ConfigFiles, 'readFile'>, problems: ConfigProblem[]): string | null {
  try {
    return readFile(path)
  } catch (thrown) {
    problems.push({ file: path, line: 0, column: 0, path: '', message: messageOf(thrown) })
    return null
  }
}

function globFiles(pattern: string, { glob }: ConfigFiles, problems: ConfigProblem[]): readonly string[] {
  try {
    return glob(pattern)
  } catch (thrown) {
    const message = `error retrieving scrape config files for ${quote(pattern)}: ${messageOf(thrown)}`
    problems.push({ file: pattern, line: 0, column: 0, path: '', message })
    return []
  }
}

/** '' for a bare name, so that it stays one. */
export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : slash === 0 ? '/' : path.slice(0, slash)
}

function goGc(text: string | undefined): number {
  if (text?.toLowerCase() === 'off') return -1
  return text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : 75
}
