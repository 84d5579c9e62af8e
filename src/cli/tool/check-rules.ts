// `check rules` (FEATURES 9.03), and the part of `check config` that looks into rule files. Source: prometheus cmd/promtool.
import type { ConfigProblem } from '../../config/problem.ts'
import { printProblem } from '../../config/problem.ts'
import { readText } from '../../config/prometheus-config.ts'
import { parseRuleFile } from '../../config/rule-files.ts'
import type { RuleFilesResult } from '../../config/rule-files.ts'
import { compareLabels, compareText, labelPairs, labelsFrom } from '../../model/labels.ts'
import type { Labels } from '../../model/labels.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import type { RuleGroup } from '../../rules/options.ts'
import { exitCodes } from './check-io.ts'
import type { CheckIo, ExitCode } from './check-io.ts'
import { ruleChecks } from './rule-checks.ts'

export type CheckRulesOptions = Readonly<{
  /** --lint: names separated by commas: all, none, duplicate-rules. */
  lint: string
  lintFatal: boolean
  ignoreUnknownFields: boolean
  features: PromqlFeatures
}>

/** Checks rule files, or standard input where none are named. */
export async function checkRules(files: readonly string[], options: CheckRulesOptions, io: CheckIo): Promise<ExitCode> {
  const lint = readRulesLint(options.lint, io)
  let outcome: Outcome
  if (files.length === 0) {
    io.print('Checking standard input')
    const source = new TextDecoder().decode(await io.readStdin())
    outcome = report(parse(source, 'standard input', options), lint, io)
  } else {
    outcome = checkRuleFiles(files, options, lint, io)
  }
  return exitCodeOf(outcome, options.lintFatal)
}

/** `failed` with `broken` is an error, without it a lint finding. */
export type Outcome = Readonly<{ failed: boolean; broken: boolean }>

export function exitCodeOf({ failed, broken }: Outcome, lintFatal: boolean): ExitCode {
  return failed && broken ? exitCodes.failure : failed && lintFatal ? exitCodes.lint : exitCodes.success
}

export type RulesLint = Readonly<{ duplicateRules: boolean }>

export function readRulesLint(option: string, io: CheckIo): RulesLint {
  let duplicateRules = false
  for (const name of option === '' ? [] : option.split(',')) {
    if (name === 'all' || name === 'duplicate-rules') duplicateRules = true
    else if (name !== 'none') io.print(`WARNING: unknown lint option: ${JSON.stringify(name)}`)
  }
  return { duplicateRules }
}

export function checkRuleFiles(
  files: readonly string[],
  options: Pick<CheckRulesOptions, 'features' | 'ignoreUnknownFields'>,
  lint: RulesLint,
  io: CheckIo,
): Outcome {
  let failed = false
  let broken = false
  for (const file of files) {
    io.print(`Checking ${file}`)
    const problems: ConfigProblem[] = []
    const source = readText(file, io, problems)
    const outcome = report(source === null ? { groups: [], problems, warnings: [], files: [] } : parse(source, file, options), lint, io)
    failed ||= outcome.failed
    broken ||= outcome.broken
  }
  return { failed, broken }
}

function parse(source: string, file: string, options: Pick<CheckRulesOptions, 'features' | 'ignoreUnknownFields'>): RuleFilesResult {
  return parseRuleFile(source, file, { ...ruleChecks(options.features), ignoreUnknownFields: options.ignoreUnknownFields })
}

function report(result: RuleFilesResult, lint: RulesLint, io: CheckIo): Outcome {
  for (const warning of result.warnings) io.printError(`  WARNING: ${warning}`)
  if (result.problems.length > 0) {
    io.printError('  FAILED:')
    for (const problem of result.problems) io.printError(printProblem(problem))
    return { failed: true, broken: true }
  }
  const duplicates = lint.duplicateRules ? findDuplicates(result.groups) : []
  if (duplicates.length > 0) {
    io.printError('  FAILED:')
    io.printError(`lint error ${duplicates.length} duplicate rule(s) found.`)
    for (const { name, labels } of duplicates) {
      io.printError(`Metric: ${name}`)
      io.printError('Label(s):')
      for (const [label, value] of labelPairs(labels)) io.printError(`\t${label}: ${value}`)
    }
    io.printError('Might cause inconsistency while recording expressions')
  } else {
    io.print(`  SUCCESS: ${result.groups.reduce((sum, { rules }) => sum + rules.length, 0)} rules found`)
  }
  io.print('')
  return { failed: duplicates.length > 0, broken: false }
}

type RuleIdentity = Readonly<{ name: string; labels: Labels }>

/** Rules with the same name and labels, each once, sorted. */
function findDuplicates(groups: readonly RuleGroup[]): RuleIdentity[] {
  const all = groups
    .flatMap((group) =>
      group.rules.map(({ name, labels }) => ({ name, labels: labelsFrom([...labelPairs(group.labels), ...labelPairs(labels)]) })),
    )
    .sort(compare)
  const twice = all.filter((rule, i) => i > 0 && compare(all[i - 1]!, rule) === 0)
  return twice.filter((rule, i) => i === 0 || compare(twice[i - 1]!, rule) !== 0)
}

function compare(a: RuleIdentity, b: RuleIdentity): number {
  return compareText(a.name, b.name) || compareLabels(a.labels, b.labels)
}
