import { expect, it } from 'vitest'
import { parseTargetGroups } from '../../../src/discovery/target-file.ts'
import { targetsOf } from '../../support/discovery.ts'

type Row = [format: 'json' | 'yaml', text: string, targets: string[] | string]

// Expected are the targets, or what the error says.
const rows: Row[] = [
  ['json', '[{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}]', ['a:1{env=x}', 'b:2{env=x}']],
  ['json', '[]', []],
  ['json', 'null', []],
  ['json', '[{}]', []],
  ['json', '[{"targets": null, "labels": null}]', []],
  ['json', '[{"targets": ["a:1"], "labels": {"gone": null, "empty": ""}}]', ['a:1{}']],
  ['json', '[{"Targets": ["a:1"], "LABELS": {"Env": "x"}}]', ['a:1{Env=x}']],
  ['json', '[{"targets": ["a:1"], "labels": {"__proto__": "x", "with.dot": "y"}}]', ['a:1{__proto__=x,with.dot=y}']],
  ['json', '[null]', 'nil target group item found (index 0)'],
  ['json', '{"targets": []}', 'expected a list of target groups'],
  ['json', '["a:1"]', 'group 0: expected a map'],
  ['json', '[{"targets": []}, {"target": ["a:1"]}]', 'group 1: unknown field "target"'],
  ['json', '[{"targets": "a:1"}]', 'group 0: targets is not a list'],
  ['json', '[{"targets": [1]}]', 'group 0: target 0 is not a string'],
  ['json', '[{"targets": ["a:1"], "labels": ["x"]}]', 'group 0: labels is not a map'],
  ['json', '[{"targets": ["a:1"], "labels": {"n": 1}}]', 'group 0: label n is not a string'],
  ['json', '[{"targets": ["a:1"], "labels": {"": "x"}}]', 'group 0: "" is not a valid label name'],
  ['json', '[{"targets": ["a:1"]}', 'cannot read target groups: '],
  ['json', '', 'cannot read target groups: '],
  ['yaml', '- targets: [a:1, "b:2"]\n  labels: {env: x}', ['a:1{env=x}', 'b:2{env=x}']],
  ['yaml', '', []],
  ['yaml', '# nothing yet\n', []],
  ['yaml', '- targets:\n  labels:\n', []],
  [
    'yaml',
    '- targets: [10.0.0.1]\n  labels: {port: 9100, up: yes, on: true, ratio: 1.50}',
    ['10.0.0.1{on=true,port=9100,ratio=1.50,up=yes}'],
  ],
  ['yaml', '- targets: [a:1]\n  labels: {none: null, tilde: ~, text: "null"}', ['a:1{text=null}']],
  ['yaml', '- &x\n  targets: [a:1]\n  labels: &l {a: b}\n- targets: [b:1]\n  labels: {<<: *l, c: d}', ['a:1{a=b}', 'b:1{a=b,c=d}']],
  ['yaml', '- targets: [a:1]\n---\n- targets: [b:1]\n', ['a:1{}']],
  ['yaml', '- targets: [a:1]\n  Labels: {}', 'unknown field "Labels"'],
  ['yaml', '- targets: [a:1]\n  targets: [b:1]', 'cannot read target groups: '],
  ['yaml', '- targets: [{a: 1}]', 'group 0: target 0 is not a string'],
  ['yaml', '-\n', 'nil target group item found (index 0)'],
  ['yaml', 'targets: [a:1]', 'expected a list of target groups'],
  ['yaml', '- targets: [a:1', 'cannot read target groups: '],
  ['yaml', '- targets: [*nowhere]', 'cannot read target groups: '],
]

it.each(rows)('%s %j', (format, text, expected) => {
  const parse = () => parseTargetGroups(text, format, (i) => `f:${i}`)
  if (typeof expected === 'string') expect(parse).toThrow(expected)
  else expect(targetsOf(parse())).toEqual(expected)
})

it('groups are named by their place', () => {
  const groups = parseTargetGroups('[{"targets": ["a:1"]}, {"targets": []}]', 'json', (i) => `f:${i}`)
  expect(groups.map(({ source }) => source)).toEqual(['f:0', 'f:1'])
})

it('aliases that multiply and documents without end are errors, not memory', () => {
  const laughs = `- &a {labels: {x: y}}\n${Array.from({ length: 9 }, (_, i) => `- &b${i} [${`*${i === 0 ? 'a' : `b${i - 1}`},`.repeat(10)}]`).join('\n')}`
  expect(() => parseTargetGroups(laughs, 'yaml', String)).toThrow(/cannot read target groups/)
  expect(() => parseTargetGroups('['.repeat(1e5), 'yaml', String)).toThrow(/cannot read target groups/)
  expect(() => parseTargetGroups('['.repeat(1e5), 'json', String)).toThrow(/cannot read target groups/)
})
