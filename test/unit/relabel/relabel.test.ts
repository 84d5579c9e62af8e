import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { labelsFromObject, labelsToObject } from '../../../src/model/labels.ts'
import { compileRelabel } from '../../../src/relabel/relabel.ts'
import { relabelRule } from '../../../src/relabel/rule.ts'
import type { RelabelRule } from '../../../src/relabel/rule.ts'

type Row = [name: string, before: Record<string, string>, rules: Partial<RelabelRule>[], after: Record<string, string> | null]

const md5Mod = (text: string, modulus: bigint): string => String(createHash('md5').update(text).digest().readBigUInt64BE(8) % modulus)

const rows: Row[] = [
  ['no rule', { a: '1' }, [], { a: '1' }],
  [
    'replace with a group',
    { a: 'foo', b: 'bar' },
    [{ sourceLabels: ['a'], regex: 'f(.*)', targetLabel: 'd', replacement: 'ch${1}-ch${1}' }],
    { a: 'foo', b: 'bar', d: 'choo-choo' },
  ],
  ['source labels are joined', { a: 'x', b: 'y' }, [{ sourceLabels: ['a', 'b', 'none'], targetLabel: 'c' }], { a: 'x', b: 'y', c: 'x;y;' }],
  ['own separator', { a: 'x', b: 'y' }, [{ sourceLabels: ['a', 'b'], separator: '', targetLabel: 'c' }], { a: 'x', b: 'y', c: 'xy' }],
  ['no match, no change', { a: 'x' }, [{ sourceLabels: ['a'], regex: 'y', targetLabel: 'c', replacement: 'z' }], { a: 'x' }],
  ['matching is anchored', { a: 'xyz' }, [{ sourceLabels: ['a'], regex: 'y', targetLabel: 'c', replacement: 'z' }], { a: 'xyz' }],
  ['anchored alternatives', { a: 'xb' }, [{ sourceLabels: ['a'], regex: 'a|b', action: 'drop' }], { a: 'xb' }],
  ['dot matches newlines', { a: 'x\ny' }, [{ sourceLabels: ['a'], regex: 'x.y', action: 'drop' }], null],
  ['empty result deletes', { a: 'x', b: 'y' }, [{ sourceLabels: ['a'], targetLabel: 'b', replacement: '' }], { a: 'x' }],
  ['empty group deletes', { a: 'x', b: 'y' }, [{ sourceLabels: ['none'], targetLabel: 'b' }], { a: 'x' }],
  ['constant without source', { a: 'x' }, [{ targetLabel: 'c', replacement: 'k' }], { a: 'x', c: 'k' }],
  [
    'named group and template in the target',
    { a: 'some-7-thing' },
    [{ sourceLabels: ['a'], regex: 'some-(?P<n>[0-9]+)-(.*)', targetLabel: 'n_${n}', replacement: '$2' }],
    { a: 'some-7-thing', n_7: 'thing' },
  ],
  [
    'a target that is no name changes nothing',
    { a: 'some-name' },
    [{ sourceLabels: ['a'], regex: '(.*)', targetLabel: '${1}', replacement: 'v', nameValidation: 'legacy' }],
    { a: 'some-name' },
  ],
  ['the same target under utf8', { a: 'x-y' }, [{ sourceLabels: ['a'], targetLabel: '${1}', replacement: 'v' }], { a: 'x-y', 'x-y': 'v' }],
  ['keep', { a: 'x' }, [{ sourceLabels: ['a'], regex: 'x|y', action: 'keep' }], { a: 'x' }],
  ['keep drops', { a: 'z' }, [{ sourceLabels: ['a'], regex: 'x|y', action: 'keep' }], null],
  ['keep of an absent label', {}, [{ sourceLabels: ['a'], regex: '.+', action: 'keep' }], null],
  ['drop', { a: 'xyz' }, [{ sourceLabels: ['a'], regex: 'x.*', action: 'drop' }], null],
  ['drop .* drops the absent too', {}, [{ sourceLabels: ['a'], regex: '.*', action: 'drop' }], null],
  ['keepequal', { a: 'x', b: 'x' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'keepequal' }], { a: 'x', b: 'x' }],
  ['keepequal drops', { a: 'x', b: 'y' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'keepequal' }], null],
  ['dropequal', { a: 'x', b: 'y' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'dropequal' }], { a: 'x', b: 'y' }],
  ['dropequal drops', { a: 'x', b: 'x' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'dropequal' }], null],
  [
    'hashmod',
    { a: 'foo', b: 'bar' },
    [{ sourceLabels: ['a', 'b'], targetLabel: 'd', action: 'hashmod', modulus: 1000 }],
    { a: 'foo', b: 'bar', d: md5Mod('foo;bar', 1000n) },
  ],
  [
    'labelmap',
    { a: 'foo', b1: 'bar', b2: 'baz' },
    [{ regex: 'b(.*)', replacement: 'bar_${1}', action: 'labelmap' }],
    { a: 'foo', b1: 'bar', b2: 'baz', bar_1: 'bar', bar_2: 'baz' },
  ],
  [
    'labelmap onto one name: the last wins',
    { x1: '1', x2: '2' },
    [{ regex: 'x.', replacement: 'y', action: 'labelmap' }],
    { x1: '1', x2: '2', y: '2' },
  ],
  [
    'labelmap after a replace: set labels come last',
    { x2: '2', x1: '1' },
    [
      { targetLabel: 'x1', replacement: 'new' },
      { regex: 'x.', replacement: 'y', action: 'labelmap' },
    ],
    { x1: 'new', x2: '2', y: 'new' },
  ],
  ['labeldrop', { a: '1', b1: '2', b2: '3' }, [{ regex: 'b.*', action: 'labeldrop' }], { a: '1' }],
  ['labelkeep', { a: '1', b1: '2', b2: '3' }, [{ regex: 'b.*', action: 'labelkeep' }], { b1: '2', b2: '3' }],
  ['lowercase', { a: 'BaR' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'lowercase' }], { a: 'BaR', b: 'bar' }],
  ['uppercase', { a: 'baR' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'uppercase' }], { a: 'baR', b: 'BAR' }],
  [
    'one letter for one letter',
    { a: 'straße' },
    [{ sourceLabels: ['a'], targetLabel: 'b', action: 'uppercase' }],
    { a: 'straße', b: 'STRAßE' },
  ],
  ['no final sigma', { a: 'ΟΔΟΣ' }, [{ sourceLabels: ['a'], targetLabel: 'b', action: 'lowercase' }], { a: 'ΟΔΟΣ', b: 'οδοσ' }],
  [
    'deleted and set again',
    { a: '1', m: 'x' },
    [
      { targetLabel: 'm', replacement: '' },
      { targetLabel: 'm', replacement: 'y' },
    ],
    { a: '1', m: 'y' },
  ],
  [
    'rules see what rules before them did',
    { a: 'x' },
    [
      { sourceLabels: ['a'], targetLabel: 'b' },
      { sourceLabels: ['b'], regex: 'x', action: 'drop' },
    ],
    null,
  ],
]

describe('relabel', () => {
  it.each(rows)('%s', (_, before, rules, after) => {
    const labels = labelsFromObject(before)
    const result = compileRelabel(rules.map(relabelRule)).apply(labels)
    expect(result === null ? null : labelsToObject(result)).toEqual(after)
    if (result !== null) expect(result).toEqual(labelsFromObject(labelsToObject(result))) // still sorted
  })

  it('gives the same array where nothing changed', () => {
    const labels = labelsFromObject({ a: '1' })
    expect(compileRelabel([relabelRule({ sourceLabels: ['a'], regex: '1', action: 'keep' })]).apply(labels)).toBe(labels)
  })

  it('shows every step until a drop', () => {
    const rules = [
      { sourceLabels: ['a'], targetLabel: 'b' },
      { sourceLabels: ['b'], regex: 'x', action: 'drop' },
      { targetLabel: 'c', replacement: 'never' },
    ] as const
    const steps = compileRelabel(rules.map(relabelRule)).steps(labelsFromObject({ a: 'x' }))
    expect(steps.map(({ labels, keep }) => [keep, labels])).toEqual([
      [true, ['a', 'x', 'b', 'x']],
      [false, []],
    ])
  })
})
