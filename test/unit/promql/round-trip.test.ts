import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allFeatures, parseExpr } from '../../../src/promql/parse.ts'
import { prettyExpr } from '../../../src/promql/pretty.ts'
import { printExpr } from '../../../src/promql/print.ts'
import { promqlTree, withoutSpans } from '../../support/promql-trees.ts'

describe('what is printed reads back as the same tree', () => {
  it('on one line and on many', () => {
    fc.assert(
      fc.property(promqlTree(4), (tree) => {
        for (const text of [printExpr(tree), prettyExpr(tree)]) {
          const { expr, problems } = parseExpr(text, allFeatures)
          expect([text, problems]).toEqual([text, []])
          expect(withoutSpans(expr!)).toEqual(withoutSpans(tree))
        }
      }),
      { numRuns: 1500 },
    )
  })
})
