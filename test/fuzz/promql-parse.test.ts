import fc from 'fast-check'
import { expect, it } from 'vitest'
import { allFeatures, parseExpr, parseMetricSelector, printProblem, stableFeatures } from '../../src/promql/parse.ts'
import { prettyExpr } from '../../src/promql/pretty.ts'
import { printExpr } from '../../src/promql/print.ts'

const words = 'foo a:b sum topk rate by without on ignoring group_left group_right offset bool and or unless atan2 fill fill_left anchored smoothed start end step range max_of inf NaN 5m 1h30m 1 0x1f 1_0 .5 "x" \'y\' `z` {a="b"} [5m] [5m:1m] start() step() ( ) { } [ ] , : = =~ !~ != == < <= >/ </ @ + - * / % ^ # \n é 😀 \\ $ \ud800'.split(' ') // prettier-ignore
const soup = fc
  .array(fc.oneof(fc.constantFrom(...words), fc.constantFrom(' ', ' ', '\n')), { maxLength: 14 })
  .map((parts) => parts.join(''))
const seeds = [
  'sum by (a, "b.c") (rate(foo{a="b",c=~"d.*"}[5m] offset -1h @ start())) / on (a) group_left (x) bar > bool 0.5',
  'max_over_time(label_replace(foo, "a", "$1", "b", "(.*)")[1h:5m] @ 12 offset min_of(step(), 5m)) or -topk(2, {"é"}) ^ 2',
  'histogram_quantile(0.9, foo[5m + range() * 2] smoothed) unless ignoring (a) fill_left (0) count_values without () ("x", bar)',
]
const mutated = fc
  .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(200), fc.nat(6), fc.constantFrom(...words)), { minLength: 1, maxLength: 5 }))
  .map(([seed, edits]) =>
    edits.reduce((text, [at, cut, word]) => text.slice(0, at) + (cut % 2 === 0 ? word : '') + text.slice(at + cut), seed),
  )

/** Whatever it is given: no exception, problems that lie in the text, or a tree that prints and reads back. */
function holds(text: string): void {
  for (const features of [allFeatures, stableFeatures]) {
    const { expr, problems } = parseExpr(text, features)
    expect(expr === null).toBe(problems.length > 0)
    for (const problem of problems) {
      expect(problem.span.from).toBeGreaterThanOrEqual(0)
      expect(problem.span.from).toBeLessThanOrEqual(text.length)
      expect(problem.message).not.toBe('')
      expect(printProblem(text, problem)).toMatch(/^(\d+:\d+|unknown position): parse error: /)
    }
    if (expr !== null) {
      const printed = printExpr(expr)
      const again = parseExpr(printed, features)
      // as in Prometheus, a range below a millisecond prints as nothing and infinity with a sign that binds looser than ^
      if (!/\[0s|:0s\]|\+Inf \^/.test(printed))
        expect([text, printed, again.expr && printExpr(again.expr)]).toEqual([text, printed, printed])
      expect(prettyExpr(expr)).not.toBe('')
    }
  }
  const { matchers, problems } = parseMetricSelector(text)
  expect(matchers === null).toBe(problems.length > 0)
}

it('any text', () => fc.assert(fc.property(fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 20 })), holds), { numRuns: 5000 })) // prettier-ignore
it('words of the language in any order', () => fc.assert(fc.property(soup, holds), { numRuns: 10_000 }))
it('good queries with holes and insertions', () => fc.assert(fc.property(mutated, holds), { numRuns: 10_000 }))
