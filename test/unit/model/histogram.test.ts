import { expect, it } from 'vitest'
import { add, compact, copyToSchema, equals, subtract } from '../../../src/model/histogram-arithmetic.ts'
import { addToSum, finishSum, startSum } from '../../../src/model/histogram-sum.ts'
import { detectReset } from '../../../src/model/histogram-reset.ts'
import { exponentialBound } from '../../../src/model/histogram-bounds.ts'
import { checkHistogram } from '../../../src/model/histogram-check.ts'
import { ClassicHistogram } from '../../../src/model/histogram-classic.ts'
import { printHistogram, printTestHistogram } from '../../../src/model/histogram-text.ts'
import { trimHistogram } from '../../../src/model/histogram-trim.ts'
import type { Histogram } from '../../../src/model/histogram.ts'
import { parseTestHistogram } from '../../../src/promql/promqltest/series-description.ts'
import { seededRng } from '../../../src/base/rng.ts'

function h(fields: string): Histogram {
  const parsed = parseTestHistogram(`{{${fields}}}`)
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed.histogram
}

const sums: [a: string, b: string, sum: string, difference: string][] = [
  ['count:3 sum:3 buckets:[1 2]', 'count:3 sum:3 buckets:[1 2]', '{{count:6 sum:6 buckets:[2 4]}}', '{{buckets:[0 0]}}'],
  ['buckets:[1 2]', 'offset:3 buckets:[5]', '{{buckets:[1 2 0 5]}}', '{{buckets:[1 2 0 -5]}}'],
  ['schema:1 offset:1 buckets:[1 2 3 4]', 'buckets:[0 5]', '{{offset:1 buckets:[8 7]}}', '{{offset:1 buckets:[-2 7]}}'],
  [
    'z_bucket:1 z_bucket_w:2 offset:2 buckets:[4]',
    'z_bucket:1 buckets:[2 3]',
    '{{z_bucket:7 z_bucket_w:2 offset:2 buckets:[4]}}',
    '{{z_bucket:-5 z_bucket_w:2 offset:2 buckets:[4]}}',
  ],
  [
    'z_bucket:1 z_bucket_w:1.5 offset:2 buckets:[4]',
    'offset:1 buckets:[3]',
    '{{z_bucket:4 z_bucket_w:2 offset:2 buckets:[4]}}',
    '{{z_bucket:-2 z_bucket_w:2 offset:2 buckets:[4]}}',
  ],
  [
    'schema:-53 custom_values:[1 2 3] buckets:[1 1 1 1]',
    'schema:-53 custom_values:[1 3] buckets:[1 1 1]',
    '{{schema:-53 custom_values:[1 3] buckets:[2 3 2]}}',
    '{{schema:-53 custom_values:[1 3] offset:1 buckets:[1]}}',
  ],
  ['n_buckets:[1 1]', 'n_offset:1 n_buckets:[2]', '{{n_buckets:[1 3]}}', '{{n_buckets:[1 -1]}}'],
]
it.each(sums)('%s and %s', (a, b, sum, difference) => {
  expect(printTestHistogram(add(h(a), h(b))!.result)).toBe(sum)
  expect(printTestHistogram(subtract(h(a), h(b))!.result)).toBe(difference.replace('{{buckets:[0 0]}}', '{{}}'))
  expect(printTestHistogram(finishSum(addToSum(startSum(h(a)), h(b))!.result))).toBe(sum)
})

it('does not mix exponential with custom buckets', () => {
  expect(add(h('buckets:[1]'), h('schema:-53 custom_values:[1] buckets:[1]'))).toBeNull()
})

it('says when hints contradict each other', () => {
  const reset = h('count:1 counter_reset_hint:reset')
  const notReset = h('count:1 counter_reset_hint:not_reset')
  expect(add(reset, notReset)).toMatchObject({ resetCollision: true, result: { counterReset: 0 } })
  expect(add(h('count:1 counter_reset_hint:gauge'), reset)).toMatchObject({ resetCollision: false, result: { counterReset: 3 } })
})

it('compensated sums keep what plain ones lose', () => {
  let sum = startSum(h('count:1e16 sum:1 buckets:[1e16]'))
  for (let i = 0; i < 10; i++) sum = addToSum(sum, h('count:1 sum:1 buckets:[1]'))!.result
  expect(finishSum(sum).positiveBuckets[0]).toBe(1e16 + 10)
})

it('adding is the same in every order of schemas, spans and zero buckets', () => {
  const rng = seededRng(5)
  const random = (): Histogram =>
    h(
      `schema:${rng.below(4)} z_bucket:${rng.below(5)} z_bucket_w:${[0, 0.5, 1][rng.below(3)]} offset:${1 + rng.below(5)} buckets:[${Array.from({ length: 1 + rng.below(6) }, () => rng.below(4)).join(' ')}]`,
    )
  for (let round = 0; round < 300; round++) {
    const a = random()
    const b = random()
    expect(equals(compact(add(a, b)!.result), compact(add(b, a)!.result))).toBe(true)
  }
})

const resets: [current: string, previous: string, reset: boolean][] = [
  ['count:3 buckets:[1 2]', 'count:3 buckets:[1 2]', false],
  ['count:4 buckets:[1 3]', 'count:4 buckets:[2 2]', true],
  ['count:2', 'count:3', true],
  ['count:4 buckets:[4]', 'count:3 buckets:[2 1]', true],
  ['count:4 buckets:[4]', 'count:3 buckets:[3 0]', false],
  ['schema:1 count:4 buckets:[4]', 'count:3 buckets:[3]', true],
  ['count:6 offset:1 buckets:[6]', 'schema:1 count:3 offset:1 buckets:[1 2]', false],
  ['count:6 z_bucket:6 z_bucket_w:2', 'count:3 offset:1 buckets:[3]', false],
  ['count:6 z_bucket:2 z_bucket_w:2', 'count:3 offset:1 buckets:[3]', true],
  ['count:1 counter_reset_hint:not_reset', 'count:3', false],
  ['count:9 counter_reset_hint:reset', 'count:3', true],
  ['schema:-53 count:4 custom_values:[1 2] buckets:[1 3]', 'schema:-53 count:3 custom_values:[2] buckets:[3]', false],
  ['schema:-53 count:4 custom_values:[1 2] buckets:[1 1 2]', 'schema:-53 count:3 custom_values:[2] buckets:[3]', true],
]
it.each(resets)('%s after %s: reset %s', (current, previous, reset) => {
  expect(detectReset(h(current), h(previous))).toBe(reset)
})

it('bucket boundaries are powers of the base, digit for digit as Prometheus has them', () => {
  expect([0, 1].map((i) => exponentialBound(i, 0))).toEqual([1, 2])
  expect(`${exponentialBound(-1, 1)} ${exponentialBound(1, 8)}`).toBe('0.7071067811865475 1.0027112750502025')
  expect([exponentialBound(1024, 0), exponentialBound(1025, 0), exponentialBound(64, -4)]).toEqual([
    Number.MAX_VALUE,
    Infinity,
    Number.MAX_VALUE,
  ])
})

it('prints, trims and lowers the resolution', () => {
  expect(printHistogram(h('count:4 sum:5 z_bucket:1 z_bucket_w:0.5 buckets:[1 0 2] n_buckets:[1]'))).toBe(
    '{count:4, sum:5, [-1,-0.5):1, [-0.5,0.5]:1, (0.5,1]:1, (2,4]:2}',
  )
  expect(printTestHistogram(trimHistogram(h('count:3 sum:4 offset:1 buckets:[1 2]'), 2, true))).toBe(
    '{{count:1 sum:1.4142135623730951 offset:1 buckets:[1]}}',
  )
  expect(printTestHistogram(copyToSchema(h('schema:2 offset:1 buckets:[1 1 1 1 1]'), 0))).toBe('{{offset:1 buckets:[4 1]}}')
})

it('classic histograms become native ones', () => {
  const classic = new ClassicHistogram()
  for (const [le, count] of [
    [2, 3],
    [1, 1],
    [Infinity, 5],
    [1, 9],
  ] as const)
    classic.addBucket(le, count)
  classic.setSum(7)
  expect(printTestHistogram(classic.convert() as Histogram)).toBe('{{schema:-53 count:5 sum:7 custom_values:[1 2] buckets:[1 2 2]}}')
  classic.addBucket(3, 9)
  expect(classic.convert()).toBe('count is not cumulative: 9 > 5')
})

it('finds what is wrong with a histogram', () => {
  expect(checkHistogram(h('count:1 buckets:[-1]'))).toBe(
    'positive side: bucket number 1 has observation count of -1: histogram has a bucket whose observation count is negative',
  )
  expect(checkHistogram(h('schema:-53 custom_values:[2 1]'))).toMatch(/strictly increasing/)
  expect(checkHistogram(h('schema:9'))).toMatch(/invalid schema/)
  expect(checkHistogram(h('count:3 buckets:[1 2]'))).toBeNull()
})
