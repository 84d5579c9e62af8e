// `test rules` (FEATURES 5.24): runs rules over made-up series and compares alerts and query answers. Source: prometheus cmd/promtool/unittest.go.
import { messageOf } from '../../base/errors.ts'
import { silentLogger } from '../../base/logger.ts'
import { MetricsRegistry } from '../../base/metrics.ts'
import { printProblem } from '../../config/problem.ts'
import { joinDirectory } from '../../config/schema.ts'
import { parseRuleFile } from '../../config/rule-files.ts'
import { printDuration } from '../../model/duration.ts'
import { printTestHistogram } from '../../model/histogram-text.ts'
import { compareLabels, labelsEqual, labelsFrom, labelsFromObject, labelsKey, printLabels, quote } from '../../model/labels.ts'
import type { Labels } from '../../model/labels.ts'
import { formatFloatE } from '../../model/number-text.ts'
import { compileRegex } from '../../model/regex.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import { parseMetricSelector, printProblem as printQueryProblem } from '../../promql/parse.ts'
import { EvaluationPlaces, GroupState, groupKey, ruleSettings } from '../../rules/group.ts'
import { defaultRuleFlags } from '../../rules/options.ts'
import type { RuleGroup } from '../../rules/options.ts'
import type { QueryFunction } from '../../rules/querying.ts'
import { RuleMetrics } from '../../rules/rule-metrics.ts'
import { printDuration as printGoDuration } from '../../template/time.ts'
import type { CheckIo, ExitCode } from './check-io.ts'
import { exitCodes } from './check-io.ts'
import { differingLines } from './differing-lines.ts'
import type { JunitSuite } from './junit.ts'
import { junitCase, junitSuite, printJunit } from './junit.ts'
import { ruleChecks } from './rule-checks.ts'
import type { RuleTestStorage } from './rule-test-storage.ts'
import { openRuleTestStorage, parseExpectedHistogram } from './rule-test-storage.ts'
import type { AlertTest, ExprTest, RuleTestFile, RuleTestGroup } from './test-rules-file.ts'
import { parseRuleTestFile, readStart } from './test-rules-file.ts'

export type TestRulesOptions = Readonly<{
  /** --run: patterns of test group names; none: all. */
  run: readonly string[]
  diff: boolean
  debug: boolean
  ignoreUnknownFields: boolean
  features: PromqlFeatures
  /** Called with the JUnit document where --junit is given. */
  junit: ((xml: string) => void) | null
  nowMs: () => number
  monotonicMs: () => number
}>

/** Runs test files one after the other. */
export async function testRules(files: readonly string[], options: TestRulesOptions, io: CheckIo): Promise<ExitCode> {
  const suites: JunitSuite[] = []
  let failed = false
  for (const file of files) {
    const suite = junitSuite(file)
    suites.push(suite)
    const errors = await testFile(file, suite, options, io)
    if (errors.length === 0) io.print('  SUCCESS')
    else {
      failed = true
      io.printError('  FAILED:')
      for (const error of errors) {
        io.printError(error)
        io.print('')
      }
    }
    io.print('')
  }
  options.junit?.(printJunit(suites))
  return failed ? exitCodes.failure : exitCodes.success
}

async function testFile(file: string, suite: JunitSuite, options: TestRulesOptions, io: CheckIo): Promise<readonly string[]> {
  const abort = (...errors: string[]): string[] => {
    suite.errors++
    junitCase(suite, 'unknown', false).error = errors.join('\n')
    return errors
  }
  let source: string
  try {
    source = io.readFile(file)
  } catch (thrown) {
    return abort(messageOf(thrown))
  }
  const parsed = parseRuleTestFile(source, file)
  if (isProblems(parsed)) return abort(...parsed.map(printProblem))
  const order = new Map<string, number>()
  for (const [i, name] of parsed.group_eval_order.entries()) {
    if (order.has(name)) return abort(`group name repeated in evaluation order: ${name}`)
    order.set(name, i)
  }
  const intervalMs = parsed.evaluation_interval === 0 ? 60_000 : parsed.evaluation_interval
  const slash = file.lastIndexOf('/')
  const directory = slash === -1 ? '' : file.slice(0, Math.max(1, slash))
  const ruleFiles = parsed.rule_files.flatMap((pattern) => {
    const path = joinDirectory(directory, pattern)
    const found = io.glob(path)
    if (found.length === 0) io.printError(`  WARNING: no file match pattern ${path}`)
    return found
  })
  suite.timestamp = new Date(options.nowMs()).toISOString().slice(0, 19)
  const run = options.run.length === 0 ? null : compileRegex(options.run.join('|'))
  const errors: string[] = []
  for (const [i, test] of parsed.tests.entries()) {
    if (run !== null && !run.test(test.name)) continue
    const name = test.name === '' ? `unnamed#${i}` : test.name
    const testCase = junitCase(suite, name, true)
    const started = options.monotonicMs()
    if (options.debug) io.printError(`DEBUG: Starting test ${name}`)
    const found = await new GroupTest(test, { ...options, intervalMs, order, ruleFiles, fuzzy: parsed.fuzzy_compare }, io).run()
    if (options.debug) io.printError(`DEBUG: Test ${name} finished, took ${(options.monotonicMs() - started).toFixed(3)}ms`)
    suite.failures += found.length
    testCase.failures.push(...found)
    errors.push(...found)
  }
  return errors
}

function isProblems(parsed: RuleTestFile | readonly unknown[]): parsed is Extract<typeof parsed, readonly unknown[]> {
  return Array.isArray(parsed)
}

type GroupTestOptions = TestRulesOptions &
  Readonly<{
    /** How often rules are evaluated, whatever their groups say. */
    intervalMs: number
    order: ReadonlyMap<string, number>
    ruleFiles: readonly string[]
    fuzzy: boolean
  }>

type SeenAlert = Readonly<{ labels: Labels; annotations: Labels }>

/** One entry under `tests:`. */
class GroupTest {
  readonly #test: RuleTestGroup
  readonly #options: GroupTestOptions
  readonly #io: CheckIo
  readonly #errors: string[] = []

  constructor(test: RuleTestGroup, options: GroupTestOptions, io: CheckIo) {
    this.#test = test
    this.#options = options
    this.#io = io
  }

  async run(): Promise<readonly string[]> {
    const { features, intervalMs } = this.#options
    const startMs = readStart(this.#test.start_timestamp) ?? 0
    const storage = openRuleTestStorage(this.#script(), { startMs, defaultSubqueryStepMs: intervalMs, features })
    if (typeof storage === 'string') return [storage]
    try {
      const groups = this.#loadGroups(storage)
      if (groups === null) return this.#errors
      if (!(await this.#evaluate(groups, storage, startMs))) return this.#errors
      for (const test of this.#test.promql_expr_test) await this.#compareAnswer(test, startMs, storage.query)
      return this.#errors
    } finally {
      storage.close()
    }
  }

  #script(): string {
    const interval = this.#test.interval === 0 ? this.#options.intervalMs : this.#test.interval
    return `load ${printDuration(interval)}\n${this.#test.input_series.map(({ series, values }) => `  ${series} ${values}\n`).join('')}`
  }

  #loadGroups(storage: RuleTestStorage): GroupState[] | null {
    const { features, ignoreUnknownFields, ruleFiles, order, monotonicMs } = this.#options
    const found = new Map<string, RuleGroup>()
    for (const file of ruleFiles) {
      const { groups, problems } = parseRuleFile(this.#io.readFile(file), file, { ...ruleChecks(features), ignoreUnknownFields })
      if (problems.length > 0) {
        this.#errors.push(...problems.map(printProblem))
        return null
      }
      for (const group of groups) found.set(groupKey(group), group)
    }
    const environment = {
      query: storage.query,
      selectLast: () => Promise.reject(new Error('BUG: a rule test restores nothing')),
      appender: storage.appender,
      notify: () => {},
      nowMs: () => 0,
      monotonicMs,
      logger: silentLogger,
      metrics: new RuleMetrics(new MetricsRegistry()),
      flags: { ...defaultRuleFlags, externalUrl: this.#test.external_url },
      features,
      settings: ruleSettings(labelsFromObject(this.#test.external_labels), 0),
      places: new EvaluationPlaces(0),
    }
    const interval = this.#test.interval === 0 ? this.#options.intervalMs : this.#test.interval
    const rank = (group: GroupState): number => order.get(group.options.name) ?? 0
    return Array.from(found.values(), (group) => new GroupState(group, group.intervalMs ?? interval, false, environment)).sort(
      (a, b) => rank(a) - rank(b),
    )
  }

  /** Evaluates all groups up to the last time a test asks for, and compares alerts on the way. False where a rule failed. */
  async #evaluate(groups: readonly GroupState[], storage: RuleTestStorage, startMs: number): Promise<boolean> {
    const { intervalMs } = this.#options
    const { alert_rule_test: alertTests, promql_expr_test: exprTests, name } = this.#test
    for (const { alertname, eval_time: evalMs } of alertTests) {
      if (alertname !== '') continue
      const where = name === '' ? '' : ` (in TestGroup ${name})`
      this.#errors.push(`an item under alert_rule_test misses required attribute alertname at eval_time ${printDuration(evalMs)}${where}`)
      return false
    }
    const endMs = Math.max(0, ...alertTests.map((test) => test.eval_time), ...exprTests.map((test) => test.eval_time))
    const byTime = alertTests.toSorted((a, b) => a.eval_time - b.eval_time)
    let next = 0
    for (let offsetMs = 0; offsetMs <= endMs; offsetMs += intervalMs) {
      const timeMs = startMs + offsetMs
      const problem = storage.loadUntil(timeMs)
      if (problem !== null) this.#errors.push(problem)
      else {
        const failures: string[] = []
        for (const group of groups) {
          await group.evaluate(timeMs)
          for (const rule of group.status().rules) {
            if (rule.lastError === '') continue
            failures.push(`    rule: ${rule.name}, time: ${printGoDuration(BigInt(timeMs) * 1_000_000n)}, err: ${rule.lastError}`)
          }
        }
        this.#errors.push(...failures)
        if (failures.length > 0) return false
      }
      // a test between two evaluations looks at the earlier one
      for (; next < byTime.length && byTime[next]!.eval_time < offsetMs + intervalMs; next++) this.#compareAlerts(byTime[next]!, groups)
    }
    return true
  }

  #compareAlerts(test: AlertTest, groups: readonly GroupState[]): void {
    const got: SeenAlert[] = []
    for (const group of groups) {
      for (const rule of group.status().rules) {
        if (rule.kind !== 'alerting' || rule.name !== test.alertname) continue
        for (const { state, labels, annotations } of rule.alerts) if (state === 'firing') got.push({ labels, annotations })
      }
    }
    const expected = test.exp_alerts.map((alert): SeenAlert => ({
      labels: labelsFromObject({ ...alert.exp_labels, alertname: test.alertname }),
      annotations: labelsFromObject(alert.exp_annotations),
    }))
    for (const list of [got, expected]) {
      list.sort((a, b) => compareLabels(a.labels, b.labels) || compareLabels(a.annotations, b.annotations))
    }
    const same = (a: SeenAlert, b: SeenAlert | undefined): boolean =>
      b !== undefined && labelsEqual(a.labels, b.labels) && labelsEqual(a.annotations, b.annotations)
    if (expected.length === got.length && expected.every((alert, i) => same(alert, got[i]))) return
    const head = `${this.#test.name === '' ? '' : `    name: ${this.#test.name},\n`}    alertname: ${test.alertname}, time: ${printDuration(test.eval_time)}, \n`
    if (this.#options.diff) {
      this.#errors.push(`${head}        diff: ${indent(differingLines(printAlerts(expected), printAlerts(got)), '            ')}`)
    } else {
      const exp = indent(printAlerts(expected), '            ')
      this.#errors.push(`${head}        exp:${exp}, \n        got:${indent(printAlerts(got), '            ')}`)
    }
  }

  async #compareAnswer(test: ExprTest, startMs: number, query: QueryFunction): Promise<void> {
    const head = `    expr: ${quote(test.expr)}, time: ${printDuration(test.eval_time)},`
    const got: Sample[] = []
    try {
      const { labels, values, histograms } = await query(test.expr, startMs + test.eval_time, new AbortController().signal)
      labels.forEach((each, i) => {
        const histogram = histograms?.[i] ?? null
        got.push({
          labels: each,
          value: histogram === null ? values[i]! : 0,
          histogram: histogram === null ? '' : printTestHistogram(histogram),
        })
      })
    } catch (thrown) {
      this.#errors.push(`${head} err: ${messageOf(thrown)}`)
      return
    }
    const expected: Sample[] = []
    for (const sample of test.exp_samples) {
      const read = this.#readSample(sample)
      if (typeof read === 'string') {
        this.#errors.push(`${head} err: labels ${quote(sample.labels)}: ${read}`)
        return
      }
      expected.push(read)
    }
    const byLabels = (a: Sample, b: Sample): number => compareLabels(a.labels, b.labels)
    got.sort(byLabels)
    expected.sort(byLabels)
    const same = (a: Sample, b: Sample): boolean =>
      labelsKey(a.labels) === labelsKey(b.labels) && a.histogram === b.histogram && this.#sameValue(a.value, b.value)
    if (expected.length === got.length && expected.every((sample, i) => same(sample, got[i]!))) return
    this.#errors.push(`${head}\n        exp: ${printSamples(expected)}\n        got: ${printSamples(got)}`)
  }

  #readSample(sample: ExprTest['exp_samples'][number]): Sample | string {
    const labels = readMetric(sample.labels)
    if (typeof labels === 'string') return labels
    if (sample.histogram === '') return { labels, value: sample.value, histogram: '' }
    const histogram = parseExpectedHistogram(sample.histogram)
    return typeof histogram === 'string' ? histogram : { labels, value: sample.value, histogram: printTestHistogram(histogram) }
  }

  /** With fuzzy_compare, numbers next to each other are the same. */
  #sameValue(a: number, b: number): boolean {
    if (a === b) return true
    return this.#options.fuzzy && Number.isFinite(a) && Number.isFinite(b) && [1n, -1n].includes(ordinal(a) - ordinal(b))
  }
}

type Sample = Readonly<{ labels: Labels; value: number; histogram: string }>

const scratch = new DataView(new ArrayBuffer(8))

/** Floats in the order of their size, one apart where nothing lies between them. */
function ordinal(value: number): bigint {
  scratch.setFloat64(0, value)
  const bits = scratch.getBigInt64(0)
  return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits
}

/** `name{label="value"}`; nothing at all is the empty label set. */
function readMetric(text: string): Labels | string {
  if (text.trim() === '' || text.trim() === '{}') return []
  const { matchers, problems } = parseMetricSelector(text)
  if (matchers === null) return printQueryProblem(text, problems[0]!)
  const odd = matchers.find((matcher) => matcher.kind !== '=')
  if (odd !== undefined) return `unexpected label matching operator ${quote(odd.kind)}`
  return labelsFrom(matchers.map(({ name, value }) => [name, value] as const))
}

function printSamples(samples: readonly Sample[]): string {
  if (samples.length === 0) return 'nil'
  return samples
    .map(({ labels, value, histogram }) => `${printLabels(labels)} ${histogram === '' ? formatFloatE(value).replace('e', 'E') : histogram}`)
    .join(', ')
}

function printAlerts(alerts: readonly SeenAlert[]): string {
  if (alerts.length === 0) return '[]'
  const lines = alerts.map(
    ({ labels, annotations }, i) => `${i}:${indent(`\nLabels:${printLabels(labels)}\nAnnotations:${printLabels(annotations)}`, '  ')}`,
  )
  return `[\n${lines.join(',\n')}\n]`
}

/** All lines but the first. */
function indent(text: string, by: string): string {
  return text.replaceAll('\n', `\n${by}`)
}
