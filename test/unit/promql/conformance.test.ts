import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { promqlFeatureFlags, promqlFeatures } from '../../../src/promql/features.ts'
import { allFeatures, parseExpr, printProblem } from '../../../src/promql/parse.ts'
import { prettyExpr } from '../../../src/promql/pretty.ts'
import { printExpr } from '../../../src/promql/print.ts'

const folder = join(import.meta.dirname, '../../../../shared/conformance')
const scripts = join(folder, 'promql')
const present = existsSync(scripts)
if (!present) console.warn(`${folder} is absent: upstream's PromQL cases are skipped`)

/** The expressions of `eval` lines, with what is expected of each. */
function evals(text: string): { query: string; fails: boolean; message: string | null }[] {
  const out: { query: string; fails: boolean; message: string | null }[] = []
  for (const line of text.split('\n')) {
    const found = /^eval(_fail)?\s+(?:instant\s+at\s+\S+|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+)\s+(.*)$/.exec(line)
    if (found !== null) out.push({ query: found[2]!, fails: found[1] !== undefined, message: null })
    const expected = /^\s+expect\s+fail(?:\s+msg:\s*(.*))?$/.exec(line)
    if (expected !== null) Object.assign(out.at(-1)!, { fails: true, message: expected[1] ?? null })
  }
  return out
}

describe.skipIf(!present)("upstream's PromQL cases", () => {
  const files = present ? readdirSync(scripts).filter((name) => name.endsWith('.test')) : []
  it('are there', () => expect(files.length).toBeGreaterThan(10))
  it.each(files)('%s: every query is read, and reads back as printed', (file) => {
    const cases = evals(readFileSync(join(scripts, file), 'utf8'))
    for (const { query, fails, message } of cases) {
      const { expr, problems } = parseExpr(query, allFeatures)
      if (expr === null) {
        const got = printProblem(query, problems[0]!)
        expect([query, fails, got]).toEqual([query, true, message ?? got])
        continue
      }
      for (const printed of [printExpr(expr), prettyExpr(expr)]) {
        const again = parseExpr(printed, allFeatures)
        expect([printed, again.problems]).toEqual([printed, []])
        expect(printExpr(again.expr!)).toBe(printExpr(expr))
      }
    }
  })
  it('the lists of functions, operators and keywords are the ones Prometheus shows', () => {
    const wanted = JSON.parse(readFileSync(join(folder, 'api/features.json'), 'utf8')) as Record<string, Record<string, boolean>>
    const got = promqlFeatureFlags(promqlFeatures([]), { perStepStats: false, typeAndUnitLabels: false })
    expect({ promql: got.promql, promql_operators: got.operators, promql_functions: got.functions }).toEqual({
      promql: wanted['promql'],
      promql_operators: wanted['promql_operators'],
      promql_functions: wanted['promql_functions'],
    })
  })
})
