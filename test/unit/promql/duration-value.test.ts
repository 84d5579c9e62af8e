import { expect, it } from 'vitest'
import { durationValue } from '../../../src/promql/duration-value.ts'
import { allFeatures, parseExpr } from '../../../src/promql/parse.ts'

// step 15 s, range 1 h
const rows: [text: string, range: number | string, offset?: number | string][] = [
  ['5m', 300_000, 300_000],
  ['5m + 3m * 2', 660_000],
  ['(5m + 3m) * 2', 960_000],
  ['5m * 1.5', 450_000],
  ['2 ^ 3 ^ 2', 512_000],
  ['5m % 2m', 60_000],
  ['step()', 15_000, 15_000],
  ['step() * 4', 60_000],
  ['range() / 10', 360_000],
  ['min_of(step(), 10s)', 10_000, 10_000],
  ['max_of(range(), 10s) - 1', 3_599_000],
  ['-(-5m)', 300_000],
  ['1 / 3', 333],
  ['5m - 10m', '4:12: duration must be greater than 0'],
  ['5m / (step() - 15s)', '4:23: division by zero'],
  ['5m % (step() - 15s)', '4:23: modulo by zero'],
  ['2 ^ 70', '4:10: duration is out of range'],
  ['2 ^ 2000', '4:12: duration is NaN or infinite'],
]
it.each(rows)('[%s]', (text, want) => {
  const expr = parseExpr(`foo[${text}]`, allFeatures).expr!
  const { ms, problem } = durationValue(expr.kind === 'matrix' ? expr.range : never(), { stepMs: 15_000, rangeMs: 3_600_000 }, false)
  expect(problem ?? ms).toBe(want)
})

it('an offset may be negative or nothing', () => {
  const offset = (text: string): unknown => {
    const expr = parseExpr(`foo offset (${text})`, allFeatures).expr!
    return durationValue((expr.kind === 'selector' ? expr.offset : null) ?? never(), { stepMs: 15_000, rangeMs: 0 }, true)
  }
  expect(offset('1m - 3m')).toEqual({ ms: -120_000, problem: null })
  expect(offset('step() - 15')).toEqual({ ms: 0, problem: null })
  expect(offset('-range()')).toEqual({ ms: 0, problem: null })
})

function never(): never {
  throw new Error('another tree')
}
