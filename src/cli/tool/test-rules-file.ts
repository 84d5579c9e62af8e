// Files of rule unit tests (FEATURES 5.24): YAML → values, with a place for every problem. Source: prometheus cmd/promtool/unittest.go.
import { parseRfc3339 } from '../../api/time-text.ts'
import type { ConfigProblem } from '../../config/problem.ts'
import { Reader, bool, duration, field, float, labelSet, list, map, struct, text } from '../../config/schema.ts'
import type { ValueOf } from '../../config/schema.ts'
import { isNull, parseYaml } from '../../config/yaml-tree.ts'
import { quote } from '../../model/labels.ts'
import { parseGoFloat } from '../../model/number-text.ts'

const inputSeries = struct('main.series', { series: field(text()), values: field(text()) })
const expectedAlert = struct('main.alert', {
  exp_labels: field(map(text(), 'map[string]string')),
  exp_annotations: field(map(text(), 'map[string]string')),
})
const alertTest = struct('main.alertTestCase', {
  eval_time: field(duration()),
  alertname: field(text()),
  exp_alerts: field(list(expectedAlert, '[]main.alert')),
})
const expectedSample = struct('main.sample', { labels: field(text()), value: field(float()), histogram: field(text()) })
const exprTest = struct('main.promqlTestCase', {
  expr: field(text()),
  eval_time: field(duration()),
  exp_samples: field(list(expectedSample, '[]main.sample')),
})
const testGroup = struct('main.testGroup', {
  interval: field(duration()),
  input_series: field(list(inputSeries, '[]main.series')),
  alert_rule_test: field(list(alertTest, '[]main.alertTestCase')),
  promql_expr_test: field(list(exprTest, '[]main.promqlTestCase')),
  external_labels: field(labelSet('labels.Labels')),
  external_url: field(text()),
  name: field(text()),
  start_timestamp: field(
    text({ check: (value) => (readStart(value) === null ? `cannot parse ${quote(value)} to a valid timestamp` : null) }),
  ),
})
const testFile = struct('main.unitTestFile', {
  rule_files: field(list(text())),
  evaluation_interval: field(duration()),
  group_eval_order: field(list(text())),
  tests: field(list(testGroup, '[]main.testGroup')),
  fuzzy_compare: field(bool()),
})

export type RuleTestFile = ValueOf<typeof testFile>
export type RuleTestGroup = ValueOf<typeof testGroup>
export type AlertTest = ValueOf<typeof alertTest>
export type ExprTest = ValueOf<typeof exprTest>

/** The file, or what is wrong with it. */
export function parseRuleTestFile(source: string, file: string): RuleTestFile | readonly ConfigProblem[] {
  const tree = parseYaml(source, file)
  if (tree.problems.length > 0) return tree.problems
  const reader = new Reader(tree, { file })
  const value = isNull(tree.root) ? testFile.defaults() : testFile.read(tree.root, reader, '')
  return reader.problems.length > 0 || value === undefined ? reader.problems : value
}

/** Seconds since the epoch or RFC 3339, in ms; 0 where nothing is written; null where it is neither. */
export function readStart(value: string): number | null {
  if (value === '') return 0
  const seconds = parseGoFloat(value)
  return seconds !== null && Number.isFinite(seconds) ? Math.round(seconds * 1000) : parseRfc3339(value)
}
