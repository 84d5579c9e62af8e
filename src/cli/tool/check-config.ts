// `check config` (FEATURES 9.02). Source: prometheus cmd/promtool.
import { loadConfig } from '../../config/prometheus-config.ts'
import type { PrometheusConfig } from '../../config/prometheus-config.ts'
import { printProblem } from '../../config/problem.ts'
import { parseTargetGroups } from '../../discovery/target-file.ts'
import type { DiscoveryConfig } from '../../discovery/options.ts'
import { messageOf } from '../../base/errors.ts'
import { printDuration } from '../../model/duration.ts'
import type { HttpClientOptions } from '../../model/http-options.ts'
import { labelPairs, labelsFrom, labelValue, quote } from '../../model/labels.ts'
import type { TargetGroup } from '../../model/target-group.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import { compileRelabel } from '../../relabel/relabel.ts'
import { populateGroup } from '../../scrape/target.ts'
import type { CheckIo, ExitCode } from './check-io.ts'
import { checkRuleFiles, exitCodeOf, readRulesLint } from './check-rules.ts'

export type CheckConfigOptions = Readonly<{
  /** --syntax-only: nothing the configuration names is looked at. */
  syntaxOnly: boolean
  /** --lint: names separated by commas: all, none, duplicate-rules, too-long-scrape-interval. */
  lint: string
  lintFatal: boolean
  /** In rule files. */
  ignoreUnknownFields: boolean
  agent: boolean
  /** --query.lookback-delta of `check`. */
  lookbackDeltaMs: number
  features: PromqlFeatures
}>

/** Checks configuration files and what they name: rule files, credential files, target files. */
export function checkConfig(files: readonly string[], options: CheckConfigOptions, io: CheckIo): ExitCode {
  const lints = options.lint.split(',')
  const none = lints.includes('none')
  const checksInterval = !none && (lints.includes('all') || lints.includes('too-long-scrape-interval'))
  const rulesLint = readRulesLint(none ? '' : lints.filter((name) => name !== 'too-long-scrape-interval').join(','), io)
  let failed = false
  let broken = false
  for (const file of files) {
    io.print(`Checking ${file}`)
    const { config, ruleFiles, problems } = checkOne(file, options, io)
    if (problems.length > 0) {
      failed = broken = true
      io.printError(`  FAILED: ${problems[0]}`)
      for (const problem of problems.slice(1)) io.printError(`          ${problem}`)
    } else {
      if (ruleFiles.length > 0) io.print(`  SUCCESS: ${ruleFiles.length} rule files found`)
      io.print(` SUCCESS: ${file} is valid prometheus config file syntax`)
    }
    io.print('')
    if (options.syntaxOnly || config === null) continue
    if (checksInterval) {
      const slow = config.scrapeJobs.find((job) => job.options.intervalMs >= options.lookbackDeltaMs)
      if (slow !== undefined) {
        failed = true
        const { jobName, intervalMs } = slow.options
        io.printError(
          `  FAILED: too long scrape interval found, data point will be marked as stale - job: ${jobName}, interval: ${printDuration(intervalMs)}`,
        )
      }
    }
    const outcome = checkRuleFiles(ruleFiles, options, rulesLint, io)
    failed ||= outcome.failed
    broken ||= outcome.broken
  }
  return exitCodeOf({ failed, broken }, options.lintFatal)
}

type Checked = Readonly<{ config: PrometheusConfig | null; ruleFiles: readonly string[]; problems: readonly string[] }>

function checkOne(file: string, options: CheckConfigOptions, io: CheckIo): Checked {
  const loaded = loadConfig(file, {
    readFile: (path) => io.readFile(path),
    glob: (pattern) => (options.syntaxOnly ? [] : io.glob(pattern)),
    env: () => undefined,
    agent: options.agent,
  })
  if (loaded.config === null) return { config: null, ruleFiles: [], problems: loaded.problems.map(printProblem) }
  const { config } = loaded
  if (options.syntaxOnly) return { config, ruleFiles: [], problems: [...staticProblems(config)] }
  const problems: string[] = []
  const ruleFiles = config.ruleFiles.flatMap((pattern) => {
    const matches = io.glob(pattern)
    if (matches.length === 0 && !pattern.includes('*'))
      problems.push(`${file}: rule_files: ${quote(pattern)} does not point to an existing file`)
    return matches
  })
  for (const { options: job, discovery } of config.scrapeJobs) {
    problems.push(...credentialProblems(job.http, `job ${quote(job.jobName)}`, io))
    for (const section of discovery) {
      if (section.kind === 'kubernetes') problems.push(...credentialProblems(section.http, `job ${quote(job.jobName)}`, io))
      problems.push(...targetFileProblems(section, `scrape job ${quote(job.jobName)}`, (group) => jobProblems(job, group), io))
    }
  }
  config.alertmanagers.forEach(({ discovery }, i) => {
    const check = (group: TargetGroup): string[] => alertmanagerProblems(config.alerting.alertmanagers[i]!, group)
    for (const section of discovery) problems.push(...targetFileProblems(section, 'alertmanager config', check, io))
  })
  return { config, ruleFiles, problems: [...problems, ...staticProblems(config)] }
}

/** Targets written down must give a target or be dropped. */
function* staticProblems(config: PrometheusConfig): Generator<string> {
  for (const { options, discovery } of config.scrapeJobs) {
    for (const section of discovery) {
      if (section.kind !== 'static') continue
      for (const group of section.groups) for (const why of jobProblems(options, group)) yield `job ${quote(options.jobName)}: ${why}`
    }
  }
  for (const [i, { discovery }] of config.alertmanagers.entries()) {
    for (const section of discovery) {
      if (section.kind !== 'static') continue
      for (const group of section.groups) yield* alertmanagerProblems(config.alerting.alertmanagers[i]!, group)
    }
  }
}

/** Addresses that are URLs after relabelling. */
function alertmanagerProblems(options: PrometheusConfig['alerting']['alertmanagers'][number], group: TargetGroup): string[] {
  const relabeling = compileRelabel(options.relabelConfigs)
  return group.targets.flatMap((own) => {
    const fixed: [string, string][] = [
      ['__scheme__', options.scheme],
      ['__alerts_path__', `${options.pathPrefix}/api/v2/alerts`],
    ]
    const relabeled = relabeling.apply(labelsFrom([...fixed, ...labelPairs(group.labels), ...labelPairs(own)]))
    const address = relabeled === null ? '' : labelValue(relabeled, '__address__')
    return address.includes('/') ? [`${quote(address)} is not a valid hostname`] : []
  })
}

type JobOptions = PrometheusConfig['scrapeJobs'][number]['options']

function jobProblems(options: JobOptions, group: TargetGroup): readonly string[] {
  return populateGroup(options, compileRelabel(options.relabelRules), group).problems
}

function credentialProblems(http: HttpClientOptions, of: string, io: CheckIo): string[] {
  const named: (readonly [string, string | undefined])[] = [
    ['authorization credentials or bearer token', http.authorization?.credentialsFile],
    ['client cert', http.tls?.certFile],
    ['client key', http.tls?.keyFile],
  ]
  return named.flatMap(([what, path]) =>
    path === undefined || path === '' || io.exists(path)
      ? []
      : [`${of}: error checking ${what} file ${quote(path)}: no such file or directory`],
  )
}

function targetFileProblems(section: DiscoveryConfig, of: string, check: (group: TargetGroup) => readonly string[], io: CheckIo): string[] {
  if (section.kind !== 'file') return []
  return section.files.flatMap((pattern) => {
    const matches = io.glob(pattern)
    if (matches.length === 0) io.print(`  WARNING: file ${quote(pattern)} for file_sd in ${of} does not exist`)
    return matches.flatMap((file) => {
      try {
        const groups = parseTargetGroups(io.readFile(file), /\.json$/i.test(file) ? 'json' : 'yaml', (i) => `${file}:${i}`)
        return groups.flatMap(check).map((why) => `${of}: ${file}: ${why}`)
      } catch (thrown) {
        return [`checking SD file ${quote(file)}: ${messageOf(thrown)}`]
      }
    })
  })
}
