import { describe, expect, it } from 'vitest'
import { exprToJson } from '../../../src/promql/ast-json.ts'
import { promqlFeatureFlags, promqlFeatures } from '../../../src/promql/features.ts'
import { deleteMatchers, selectorsOf, setMatcher } from '../../../src/promql/parse-edit.ts'
import { allFeatures, parseExpr } from '../../../src/promql/parse.ts'
import { prettyExpr } from '../../../src/promql/pretty.ts'
import { printExpr } from '../../../src/promql/print.ts'

const tree = (text: string) => parseExpr(text, allFeatures).expr!

describe('pretty', () => {
  const x = 'a_metric_with_a_rather_long_name_for_tests{instance="some-instance:9090",job="some-job"}'
  const rows: [what: string, text: string, lines: string[]][] = [
    ['short', 'sum(foo)by(a)', ['sum by (a) (foo)']],
    ['selectors are never split', `${x}[5m]`, [`${x}[5m]`]],
    ['aggregation', `sum(rate(${x}[5m]))by(a)`, ['sum by (a) (', `  rate(${x}[5m])`, ')']],
    ['parameter', `topk(5,rate(${x}[5m]))`, ['topk(', '  5,', `  rate(${x}[5m])`, ')']],
    ['binary', `${x}/on(a)group_left ${x}`, [`  ${x}`, '/ on (a) group_left ()', `  ${x}`]],
    ['bool and fill', `${x}>bool fill(1) ${x}`, [`  ${x}`, '> bool fill (1)', `  ${x}`]],
    ['parentheses', `(${x}+1000000000)`, ['(', `    ${x}`, '  +', '    1000000000', ')']],
    ['call', `label_replace(${x},"a","$1","b","c")`, ['label_replace(', `  ${x},`, '  "a",', '  "$1",', '  "b",', '  "c"', ')']],
    ['sign', `-sum(rate(${x}[5m]))`, ['-sum(', `  rate(${x}[5m])`, ')']],
    ['subquery', `max_over_time(sum(rate(${x}[5m]))[1h:5m]@12 offset 1m)`, ['max_over_time(', '  sum(', `    rate(${x}[5m])`, '  )[1h:5m] @ 12.000 offset 1m', ')']], // prettier-ignore
    ['columns are bytes', 'foo{a="' + 'é'.repeat(45) + '"} + 1', ['  foo{a="' + 'é'.repeat(45) + '"}', '+', '  1']],
  ]
  it.each(rows)('%s', (_, text, lines) => {
    expect(prettyExpr(tree(text))).toBe(lines.join('\n'))
    expect(printExpr(tree(lines.join('\n')))).toBe(printExpr(tree(text)))
  })
})

describe('JSON', () => {
  const vector = {
    type: 'vectorSelector', name: 'foo', offset: 0, offsetExpr: null, timestamp: null, startOrEnd: null, anchored: false, smoothed: false,
    matchers: [{ name: '__name__', type: '=', value: 'foo' }],
  } // prettier-ignore
  const rows: [text: string, json: unknown][] = [
    ['foo offset 1m @ 12 anchored', { ...vector, offset: 60_000, timestamp: 12_000, anchored: true }],
    ['foo[5m] @ end()', { ...vector, type: 'matrixSelector', range: 300_000, rangeExpr: null, startOrEnd: 'end' }],
    [
      'foo[(5m)]',
      {
        ...vector,
        type: 'matrixSelector',
        range: 0,
        rangeExpr: {
          type: 'durationExpr',
          op: '+',
          lhs: null,
          rhs: { type: 'numberLiteral', val: '300', duration: true },
          wrapped: true,
        },
      },
    ],
    [
      'foo offset (min_of(step(), 2) * 3)',
      {
        ...vector,
        offsetExpr: {
          type: 'durationExpr',
          op: '*',
          lhs: {
            type: 'durationExpr',
            op: 'min_of',
            lhs: { type: 'durationExpr', op: 'step', lhs: null, rhs: null, wrapped: false },
            rhs: { type: 'numberLiteral', val: '2', duration: false },
            wrapped: false,
          },
          rhs: { type: 'numberLiteral', val: '3', duration: false },
          wrapped: true,
        },
      },
    ],
    [
      'foo[1h:5m]',
      { type: 'subquery', expr: vector, range: 3_600_000, rangeExpr: null, offset: 0, offsetExpr: null, step: 300_000, stepExpr: null, timestamp: null, startOrEnd: null }, // prettier-ignore
    ],
    ['topk by (a) (1e-7, foo)', { type: 'aggregation', op: 'topk', expr: vector, param: { type: 'numberLiteral', val: '0.0000001' }, grouping: ['a'], without: false }], // prettier-ignore
    ['sum(foo)', { type: 'aggregation', op: 'sum', expr: vector, param: null, grouping: [], without: false }],
    [
      'foo == bool on (a) group_right (b) fill_left (1) foo',
      {
        type: 'binaryExpr', op: '==', lhs: vector, rhs: vector, bool: true,
        matching: { card: 'one-to-many', labels: ['a'], on: true, include: ['b'], fillValues: { lhs: 1, rhs: null } },
      },
    ], // prettier-ignore
    ['-(foo)', { type: 'unaryExpr', op: '-', expr: { type: 'parenExpr', expr: vector } }],
    [
      'round(foo)',
      { type: 'call', func: { name: 'round', argTypes: ['vector', 'scalar'], variadic: 1, returnType: 'vector' }, args: [vector] },
    ],
    ['"a\\xff"', { type: 'stringLiteral', val: 'a\ufffd' }],
  ]
  it.each(rows)('%j', (text, json) => expect(exprToJson(tree(text))).toEqual(json))
})

describe('edits', () => {
  it('sets and deletes the matchers of every selector', () => {
    const expr = tree('sum(rate(foo{a="1",b="2"}[5m])) + topk(scalar(bar), {a=~"x"}[5m:] offset 1m)'.replace('[5m:] offset 1m', ''))
    expect(printExpr(setMatcher(expr, { name: 'a', kind: '!=', value: 'z' }))).toBe(
      'sum(rate(foo{a!="z",b="2"}[5m])) + topk(scalar(bar{a!="z"}), {a!="z"})',
    )
    expect(printExpr(deleteMatchers(expr, 'a'))).toBe('sum(rate(foo{b="2"}[5m])) + topk(scalar(bar), {})')
    expect(selectorsOf(expr).map((matchers) => matchers.map(({ name }) => name))).toEqual([['a', 'b', '__name__'], ['__name__'], ['a']])
    expect(printExpr(setMatcher(tree('-max_over_time((foo)[5m:])'), { name: 'é', kind: '=', value: '' }))).toBe(
      '-max_over_time((foo{"é"=""})[5m:])',
    )
  })
})

describe('feature flags', () => {
  it('are read by name', () => {
    expect(promqlFeatures(['promql-binop-fill-modifiers', 'exemplar-storage'])).toEqual({
      experimentalFunctions: false, extendedRangeSelectors: false, binopFillModifiers: true, delayedNameRemoval: false,
    }) // prettier-ignore
  })
  it('show in the lists', () => {
    const off = promqlFeatureFlags(promqlFeatures([]), { perStepStats: false, typeAndUnitLabels: false })
    const on = promqlFeatureFlags(allFeatures, { perStepStats: true, typeAndUnitLabels: false })
    expect([off.promql['fill'], on.promql['fill'], off.promql['by'], on.promql['per_step_stats']]).toEqual([false, true, true, true])
    expect([off.operators['limitk'], on.operators['limitk'], off.operators['</']]).toEqual([false, true, true])
    expect([off.functions['info'], on.functions['info'], off.functions['rate']]).toEqual([false, true, true])
  })
})
