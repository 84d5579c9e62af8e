import { expect, it } from 'vitest'
import { ruleChecks } from '../../../src/cli/tool/rule-checks.ts'
import { printProblem } from '../../../src/config/problem.ts'
import { loadRuleFiles, parseRuleFile } from '../../../src/config/rule-files.ts'
import { stableFeatures } from '../../../src/promql/parse.ts'
import { memoryFiles } from '../../support/config-files.ts'

const checks = ruleChecks(stableFeatures)

it('reads groups and rules', () => {
  const source = `groups:
- name: g
  interval: 30s
  query_offset: 0s
  limit: 5
  labels: {team: x, a: y}
  rules:
  - record: b:rate
    expr: rate(x[5m])
    labels: {z: "1", drop: ""}
  - alert: Down
    expr: up == 0
    for: 5m
    keep_firing_for: 1m
    annotations: {summary: "{{ $labels.job }}"}
`
  const { groups, problems } = parseRuleFile(source, '/r.yml', checks)
  expect(problems).toEqual([])
  expect(groups).toEqual([
    {
      name: 'g',
      file: '/r.yml',
      intervalMs: 30_000,
      queryOffsetMs: 0,
      limit: 5,
      labels: ['a', 'y', 'team', 'x'],
      rules: [
        { kind: 'record', name: 'b:rate', expr: 'rate(x[5m])', labels: ['drop', '', 'z', '1'], position: { line: 8, column: 5 } },
        {
          kind: 'alert',
          name: 'Down',
          expr: 'up == 0',
          labels: [],
          forMs: 300_000,
          keepFiringForMs: 60_000,
          annotations: ['summary', '{{ $labels.job }}'],
          position: { line: 11, column: 5 },
        },
      ],
    },
  ])
})

const rule = (text: string): string => `groups:\n- name: g\n  rules:\n  - ${text}\n`
it.each([
  ['no name', 'groups:\n- rules: []\n', ['r:2:3: groups[0].name: Groupname must not be empty']],
  ['a name twice', 'groups:\n- name: g\n- name: g\n', ['r:3:3: groups[1].name: groupname: "g" is repeated in the same file']],
  [
    'unknown key',
    rule('{alert: a, expr: 1, anotations: {}}'),
    ['r:4:25: groups[0].rules[0].anotations: field anotations not found in type rulefmt.Rule, did you mean annotations?'],
  ],
  ['key twice', rule('{alert: a, expr: 1, expr: 2}'), ['r:4:25: groups[0].rules[0].expr: mapping key "expr" already defined at line 4']],
  ['neither', rule('{expr: 1}'), [`r:4:5: groups[0].rules[0]: group "g", rule 1, "": one of 'record' or 'alert' must be set`]],
  [
    'both',
    rule('{record: r, alert: a, expr: 1}'),
    [`r:4:6: groups[0].rules[0].record: group "g", rule 1, "a": only one of 'record' and 'alert' must be set`],
  ],
  ['no expression', rule('{record: r}'), [`r:4:5: groups[0].rules[0].expr: group "g", rule 1, "r": field 'expr' must be set in rule`]],
  [
    'a broken expression',
    rule('{record: r, expr: "sum("}'),
    ['r:4:17: groups[0].rules[0].expr: group "g", rule 1, "r": could not parse expression: 1:5: parse error: unclosed left parenthesis'],
  ],
  [
    'for in a recording rule',
    rule('{record: r, expr: 1, for: 1m}'),
    [`r:4:26: groups[0].rules[0].for: group "g", rule 1, "r": invalid field 'for' in recording rule`],
  ],
  [
    'an expression as a name',
    rule('{record: "r{a=1}", expr: 1}'),
    [
      'r:4:6: groups[0].rules[0].record: group "g", rule 1, "r{a=1}": braces present in the recording rule name; should it be in expr?: r{a=1}',
    ],
  ],
  [
    'a label called __name__',
    rule('{record: r, expr: 1, labels: {__name__: x}}'),
    ['r:4:35: groups[0].rules[0].labels.__name__: group "g", rule 1, "r": invalid label name: __name__'],
  ],
  [
    'a broken template',
    rule('{alert: a, expr: 1, annotations: {s: "{{ $x }}"}}'),
    ['r:4:39: groups[0].rules[0].annotations.s: group "g", rule 1, "a": annotation "s": template: __alert_a:1: undefined variable "$x"'],
  ],
])('%s', (_, source, problems) => {
  expect(parseRuleFile(source, 'r', checks).problems.map(printProblem)).toEqual(problems)
})

it('legacy names', () => {
  const source = rule('{alert: a, expr: 1, labels: {"a-b": x}, annotations: {"c-d": y}}')
  expect(parseRuleFile(source, 'r', checks).problems).toEqual([])
  expect(parseRuleFile(source, 'r', { ...checks, nameValidation: 'legacy' }).problems.map(({ path }) => path)).toEqual([
    'groups[0].rules[0].labels.a-b',
    'groups[0].rules[0].annotations.c-d',
  ])
})

it('reads every file once, says what it left, and goes on after a broken one', () => {
  const files = memoryFiles({ '/a.yml': rule('{record: r, expr: 1}') + '---\ngroups: []\n', '/b.yml': 'groups: 1\n' })
  const result = loadRuleFiles(['/*.yml', '/a.yml', '/none.yml'], { ...files, ...checks })
  expect(result.files).toEqual(['/a.yml', '/b.yml'])
  expect(result.groups).toHaveLength(1)
  expect(result.warnings).toHaveLength(1)
  expect(result.problems.map(printProblem)).toEqual(['/b.yml:1:9: groups: cannot unmarshal !!int `1` into []rulefmt.RuleGroup'])
})
