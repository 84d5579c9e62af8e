// Rule files: groups of recording and alerting rules (FEATURES 5.01–5.05). Source: prometheus model/rulefmt.
// Expressions and templates are checked by functions that are handed in, so that this folder knows neither PromQL nor templates.
import { isLegacyLabelName, isLegacyMetricName, metricNameLabel, compareText, quote } from '../model/labels.ts'
import type { NameValidation } from '../relabel/rule.ts'
import type { RuleGroup, RuleOptions, RulePairs } from '../rules/options.ts'
import type { ConfigProblem } from './problem.ts'
import { readText } from './prometheus-config.ts'
import type { ConfigFiles } from './prometheus-config.ts'
import { Reader, always, duration, field, int, isValidName, list, map, optional, struct, text } from './schema.ts'
import type { ValueOf, Where } from './schema.ts'
import { isNull, parseYaml } from './yaml-tree.ts'

const rule = struct('rulefmt.Rule', {
  record: field(text()),
  alert: field(text()),
  expr: always(text()),
  for: field(duration()),
  keep_firing_for: field(duration()),
  labels: field(map(text())),
  annotations: field(map(text())),
})
const group = struct('rulefmt.RuleGroup', {
  name: always(text()),
  interval: field(duration()),
  query_offset: field(optional(duration())),
  limit: field(int()),
  rules: always(list(rule, '[]rulefmt.Rule')),
  labels: field(map(text())),
})
const ruleFile = struct('rulefmt.RuleGroups', { groups: always(list(group, '[]rulefmt.RuleGroup')) })

type RuleValue = ValueOf<typeof rule>

export type RuleChecks = Readonly<{
  /** What is wrong with an expression, in PromQL's words, or null. */
  checkExpr: (expr: string) => string | null
  /** What is wrong with a template of an alert's labels or annotations, or null. */
  checkTemplate: (template: string, alert: string) => string | null
  nameValidation?: NameValidation
  /** Unknown keys are no problem. */
  ignoreUnknownFields?: boolean
}>

export type RuleFilesResult = Readonly<{
  groups: readonly RuleGroup[]
  problems: readonly ConfigProblem[]
  /** Second documents, which are not read. */
  warnings: readonly string[]
  /** Every file that was read. */
  files: readonly string[]
}>

/** Reads all files the globs match, each once. The groups are only of use where there are no problems. */
export function loadRuleFiles(globs: readonly string[], options: ConfigFiles & RuleChecks): RuleFilesResult {
  const groups: RuleGroup[] = []
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  const files = new Set(globs.flatMap((pattern) => options.glob(pattern)))
  for (const file of files) {
    const source = readText(file, options, problems)
    if (source === null) continue
    const result = parseRuleFile(source, file, options)
    groups.push(...result.groups)
    problems.push(...result.problems)
    warnings.push(...result.warnings)
  }
  return { groups: Object.freeze(groups), problems, warnings, files: [...files] }
}

/** Reads the text of one rule file; only its first document. */
export function parseRuleFile(source: string, file: string, checks: RuleChecks): RuleFilesResult {
  const tree = parseYaml(source, file, 3)
  const reader = new Reader(tree, { file, ignoreUnknown: checks.ignoreUnknownFields ?? false, yamlVersion: 3 })
  const warnings =
    tree.documents > 1 ? [`${file}: Multiple document yaml rules files are not supported, only the first document is processed`] : []
  if (tree.problems.length > 0) return { groups: [], problems: tree.problems, warnings, files: [file] }
  const value = isNull(tree.root) ? ruleFile.defaults() : ruleFile.read(tree.root, reader, '')
  const names = new Set<string>()
  const groups = (value?.groups ?? []).map((written): RuleGroup => {
    if (written.name === '') reader.problemIn(written, 'name', 'Groupname must not be empty')
    else if (names.has(written.name)) {
      reader.problemIn(written, 'name', `groupname: "${written.name}" is repeated in the same file`)
    }
    names.add(written.name)
    checkLabels(written.labels, checks, (where, message) => reader.problemIn(written, where, message))
    const rules = written.rules.map((one, i) => {
      if (!reader.isBroken(one)) checkRule(one, written.name, i, checks, reader)
      return toRule(one, reader)
    })
    return Object.freeze({
      name: written.name,
      file,
      intervalMs: written.interval === 0 ? null : written.interval,
      queryOffsetMs: written.query_offset,
      limit: written.limit,
      labels: toPairs(written.labels),
      rules: Object.freeze(rules),
    })
  })
  const problems = reader.problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  return { groups: Object.freeze(groups), problems, warnings, files: [file] }
}

function checkRule(value: RuleValue, groupName: string, index: number, checks: RuleChecks, reader: Reader): void {
  const name = value.alert === '' ? value.record : value.alert
  const report = (where: Where, message: string): void =>
    reader.problemIn(value, where, `group ${quote(groupName)}, rule ${index + 1}, ${quote(name)}: ${message}`)
  const { record, alert, expr } = value
  if (record !== '' && alert !== '') report('record', "only one of 'record' and 'alert' must be set")
  if (record === '' && alert === '') report(null, "one of 'record' or 'alert' must be set")
  const exprWrong = expr === '' ? null : checks.checkExpr(expr)
  if (expr === '') report('expr', "field 'expr' must be set in rule")
  else if (exprWrong !== null) report('expr', `could not parse expression: ${exprWrong}`)
  if (record !== '') {
    if (Object.keys(value.annotations).length > 0) report('annotations', "invalid field 'annotations' in recording rule")
    if (value.for !== 0) report('for', "invalid field 'for' in recording rule")
    if (value.keep_firing_for !== 0) report('keep_firing_for', "invalid field 'keep_firing_for' in recording rule")
    const isName = checks.nameValidation === 'legacy' ? isLegacyMetricName(record) : isValidName(record)
    if (!isName) report('record', `invalid recording rule name: ${record}`)
    if (/[{}]/.test(record)) report('record', `braces present in the recording rule name; should it be in expr?: ${record}`)
  }
  checkLabels(value.labels, checks, report)
  for (const annotation of Object.keys(value.annotations)) {
    if (!isLabelName(annotation, checks)) report(['annotations', annotation], `invalid annotation name: ${annotation}`)
  }
  if (alert === '') return
  for (const [kind, pairs] of [
    ['label', value.labels],
    ['annotation', value.annotations],
  ] as const) {
    for (const [key, template] of Object.entries(pairs)) {
      const why = checks.checkTemplate(template, alert)
      if (why !== null) report([`${kind}s`, key], `${kind} ${quote(key)}: ${why}`)
    }
  }
}

function checkLabels(labels: Readonly<Record<string, string>>, checks: RuleChecks, report: (where: Where, message: string) => void): void {
  for (const [name, value] of Object.entries(labels)) {
    if (!isLabelName(name, checks) || name === metricNameLabel) report(['labels', name], `invalid label name: ${name}`)
    if (!value.isWellFormed()) report(['labels', name], `invalid label value: ${value}`)
  }
}

function isLabelName(name: string, checks: RuleChecks): boolean {
  return checks.nameValidation === 'legacy' ? isLegacyLabelName(name) : isValidName(name)
}

function toRule(value: RuleValue, reader: Reader): RuleOptions {
  const shared = { expr: value.expr, labels: toPairs(value.labels), position: reader.placeOf(value) }
  if (value.alert === '') return Object.freeze({ kind: 'record', name: value.record, ...shared })
  return Object.freeze({
    kind: 'alert',
    name: value.alert,
    ...shared,
    forMs: value.for,
    keepFiringForMs: value.keep_firing_for,
    annotations: toPairs(value.annotations),
  })
}

function toPairs(object: Readonly<Record<string, string>>): RulePairs {
  return Object.freeze(
    Object.entries(object)
      .sort(([a], [b]) => compareText(a, b))
      .flat(),
  )
}
