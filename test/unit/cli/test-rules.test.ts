import { expect, it } from 'vitest'
import type { CheckIo } from '../../../src/cli/tool/check-io.ts'
import { differingLines } from '../../../src/cli/tool/differing-lines.ts'
import { junitCase, junitSuite, printJunit } from '../../../src/cli/tool/junit.ts'
import type { TestRulesOptions } from '../../../src/cli/tool/test-rules.ts'
import { testRules } from '../../../src/cli/tool/test-rules.ts'
import { readStart } from '../../../src/cli/tool/test-rules-file.ts'
import { stableFeatures } from '../../../src/promql/parse.ts'

// What the command prints is what promtool 3.14 prints for the same files.

const rules = `
groups:
  - name: second
    labels: {team: x}
    rules:
      - record: job:sum
        expr: sum by (job) (inst)
        labels: {job: renamed, team: y}
      - alert: High
        expr: job:sum > 3
        for: 2m
        keep_firing_for: 3m
        labels:
          severity: '{{ if gt $value 5.0 }}crit{{ else }}warn{{ end }}'
        annotations:
          v: 'v={{ $value | humanize }} {{ $labels.job }} {{ $externalLabels.dc }} {{ $externalURL }}'
          q: '{{ with query "count(inst)" }}{{ . | first | value }}{{ end }}'
          t: '{{ now }}'
  - name: first
    rules:
      - record: late
        expr: job:sum offset 1m
      - alert: Hist
        expr: h
        annotations: {x: '{{ $value }}'}
  - name: third
    query_offset: 30s
    rules:
      - record: off
        expr: timestamp(inst)
`
const head = `
rule_files: ["ok*.yml"]
evaluation_interval: 30s
group_eval_order: [first, second]
fuzzy_compare: true
tests:
  - interval: 1m
    name: main
    external_labels: {dc: eu}
    external_url: http://x/y
    input_series:
      - {series: 'inst{job="a",i="1"}', values: '1+1x10 _x3 stale'}
      - {series: 'inst{job="a",i="2"}', values: '1+1x10'}
      - {series: 'h{a="b"}', values: '{{schema:0 sum:5 count:4 buckets:[1 2 1]}}x10'}
`

async function run(files: Record<string, string>, more: Partial<TestRulesOptions> = {}): Promise<{ code: number; text: string }> {
  const lines: string[] = []
  const io: CheckIo = {
    print: (line) => void lines.push(line),
    printError: (line) => void lines.push(line),
    readFile(path) {
      const found = files[path]
      if (found === undefined) throw new Error(`open ${path}: no such file or directory`)
      return found
    },
    glob: (pattern) => Object.keys(files).filter((path) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(path)),
    exists: (path) => path in files,
    readStdin: () => Promise.resolve(new Uint8Array()),
  }
  const options = { run: [], diff: false, debug: false, ignoreUnknownFields: false, features: stableFeatures, junit: null, nowMs: () => 0, monotonicMs: () => 0, ...more } // prettier-ignore
  const code = await testRules(['/d/test.yml'], options, io)
  return { code, text: lines.join('\n') }
}

it('passes where everything is as expected', async () => {
  const test = `${head}
    alert_rule_test:
      - {eval_time: 1m, alertname: High, exp_alerts: []}
      - eval_time: 4m
        alertname: High
        exp_alerts:
          - exp_labels: {job: renamed, severity: crit, team: x}
            exp_annotations: {q: "2", t: "240", v: "v=10 renamed eu http://x/y"}
      - {eval_time: 4m15s, alertname: Hist, exp_alerts: [{exp_labels: {a: b}, exp_annotations: {x: "{count:4, sum:5, (0.5,1]:1, (1,2]:2, (2,4]:1}"}}]}
      - {eval_time: 18m, alertname: High}
    promql_expr_test:
      - {expr: late, eval_time: 5m, exp_samples: [{labels: 'late{job="renamed",team="y"}', value: 10}]}
      - {expr: 'ALERTS{alertname="High"}', eval_time: 7m, exp_samples: [{labels: 'ALERTS{alertname="High",alertstate="firing",job="renamed",severity="crit",team="x"}', value: 1}]}
      - {expr: 'ALERTS_FOR_STATE{alertname="High"}', eval_time: 7m, exp_samples: [{labels: 'ALERTS_FOR_STATE{alertname="High",job="renamed",severity="crit",team="x"}', value: 120}]}
      - {expr: 'timestamp(off{i="1"})', eval_time: 7m, exp_samples: [{labels: '{i="1",job="a"}', value: 420}]}
      - {expr: 'h', eval_time: 7m, exp_samples: [{labels: 'h{a="b"}', histogram: '{{schema:0 sum:5 count:4 buckets:[1 2 1] counter_reset_hint:not_reset}}'}]}
      - {expr: '1/3', eval_time: 7m, exp_samples: [{value: 0.33333333333333337}]}
`
  expect(await run({ '/d/test.yml': test, '/d/ok.yml': rules })).toEqual({ code: 0, text: '  SUCCESS\n' })
})

it('prints what differs', async () => {
  const test = `${head}
    alert_rule_test:
      - {eval_time: 4m15s, alertname: Hist, exp_alerts: [{exp_labels: {a: c}, exp_annotations: {x: "1"}}]}
    promql_expr_test:
      - {expr: 'job:sum', eval_time: 5m20s}
      - {expr: '"x"', eval_time: 7m}
      - {expr: 'sum(', eval_time: 7m}
      - {expr: '1/3', eval_time: 7m, exp_samples: [{value: 0.3333333333333338}]}
      - {expr: 'inst', eval_time: 7m, exp_samples: [{labels: 'inst{a="b"', value: 1}]}
`
  const want = `  FAILED:
    name: main,
    alertname: Hist, time: 4m15s,${' '}
        exp:[
            0:
              Labels:{a="c", alertname="Hist"}
              Annotations:{x="1"}
            ],${' '}
        got:[
            0:
              Labels:{a="b", alertname="Hist"}
              Annotations:{x="{count:4, sum:5, (0.5,1]:1, (1,2]:2, (2,4]:1}"}
            ]

    expr: "job:sum", time: 5m20s,
        exp: nil
        got: {__name__="job:sum", job="renamed", team="y"} 1.2E+01

    expr: "\\"x\\"", time: 7m, err: rule result is not a vector or scalar

    expr: "sum(", time: 7m, err: 1:5: parse error: unclosed left parenthesis

    expr: "1/3", time: 7m,
        exp: {} 3.333333333333338E-01
        got: {} 3.333333333333333E-01

    expr: "inst", time: 7m, err: labels "inst{a=\\"b\\"": 1:11: parse error: unexpected end of input inside braces

`
  expect(await run({ '/d/test.yml': test, '/d/ok.yml': rules })).toEqual({ code: 1, text: want })
})

it('ends where a rule fails, and says which', async () => {
  const limited = 'groups: [{name: g, limit: 1, rules: [{record: many, expr: inst}]}]'
  const test = `${head}    promql_expr_test: [{expr: many, eval_time: 5m}]`
  const { code, text } = await run({ '/d/test.yml': test, '/d/ok.yml': limited })
  expect(code).toBe(1)
  expect(text).toBe('  FAILED:\n    rule: many, time: 0s, err: exceeded limit of 1 with 2 series\n\n')
})

it.each([
  ['a missing alertname', `${head}    alert_rule_test: [{eval_time: 4m}]`, 'an item under alert_rule_test misses required attribute alertname at eval_time 4m (in TestGroup main)'],
  ['a group named twice', 'group_eval_order: [a, a]\ntests: []', 'group name repeated in evaluation order: a'],
  ['an unknown field', 'testz: []', 'field testz not found in type main.unitTestFile'],
  ['a bad start', 'tests: [{start_timestamp: soon}]', 'cannot parse "soon" to a valid timestamp'],
  ['a bad series', `tests: [{input_series: [{series: 'up{a="b" c}', values: '1'}]}]`, '2:10: parse error: unexpected identifier "c" in label matching, expected "," or "}"'],
  ['no such rule file', 'rule_files: [none.yml]\ntests: []', '  WARNING: no file match pattern /d/none.yml'],
])('%s', async (_, test, message) => {
  expect((await run({ '/d/test.yml': test, '/d/ok.yml': rules })).text).toContain(message)
}) // prettier-ignore

it('runs only the groups asked for, shows a difference by lines, and writes JUnit', async () => {
  const test = `
tests:
  - {name: one, promql_expr_test: [{expr: '1', eval_time: 0, exp_samples: [{value: 2}]}]}
  - {name: two, promql_expr_test: [{expr: '1', eval_time: 0, exp_samples: [{value: 1}]}]}
`
  let xml = ''
  const { code } = await run({ '/d/test.yml': test }, { run: ['tw', 'zzz'], junit: (text) => (xml = text) })
  expect(code).toBe(0)
  expect(xml).toBe('<testsuites><testsuite name="/d/test.yml" tests="1" failures="0" errors="0" skipped="0" timestamp="1970-01-01T00:00:00"><testcase name="two"></testcase></testsuite></testsuites>') // prettier-ignore
  const failing = await run({ '/d/test.yml': test }, { junit: (text) => (xml = text), debug: true })
  expect(failing.text).toContain('DEBUG: Starting test one')
  expect(xml).toContain('failures="1"')
  expect(xml).toContain('<failure>    expr: &#34;1&#34;, time: 0s,&#xA;        exp: {} 2E+00&#xA;        got: {} 1E+00</failure>')
  const alerts = `${head}    alert_rule_test: [{eval_time: 4m, alertname: Hist, exp_alerts: [{exp_labels: {a: c}}]}]`
  const { text } = await run({ '/d/test.yml': alerts, '/d/ok.yml': rules }, { diff: true })
  expect(text).toContain('-   Labels:{a="c", alertname="Hist"}')
  expect(text).toContain('+   Labels:{a="b", alertname="Hist"}')
})

it('differing lines', () => {
  expect(differingLines('a\nb\nc', 'a\nx\nc\nd')).toBe('  a\n- b\n+ x\n  c\n+ d')
})

it('JUnit escapes what XML cannot hold', () => {
  const suite = junitSuite('a<b>&"\u0001')
  junitCase(suite, 'n', false).error = "it's\nbad"
  expect(printJunit([suite])).toBe('<testsuites><testsuite name="a&lt;b&gt;&amp;&#34;\ufffd" tests="0" failures="0" errors="0" skipped="0" timestamp=""><testcase name="n"><error>it&#39;s&#xA;bad</error></testcase></testsuite></testsuites>') // prettier-ignore
})

it.each([
  ['', 0],
  ['1609459200', 1_609_459_200_000],
  ['1.5', 1500],
  ['2024-01-01T00:00:00Z', 1_704_067_200_000],
  ['soon', null],
])('start %j is %s', (text, ms) => expect(readStart(text)).toBe(ms))
