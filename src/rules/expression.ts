import { PromhiveError } from '../base/errors.ts'
import type { Expr, PromqlFeatures, VectorSelector } from '../promql/ast.ts'
import { parseExpr, printProblem } from '../promql/parse.ts'
import { printExpr } from '../promql/print.ts'

/** A rule's expression: the tree, and the text it is asked with and shown as. */
export type Expression = Readonly<{ expr: Expr; text: string }>

/** Throws PromhiveError PROMQL_PARSE; rules from a checked configuration never do. */
export function readExpression(text: string, features: PromqlFeatures): Expression {
  const { expr, problems } = parseExpr(text, features)
  if (expr === null)
    throw new PromhiveError(
      'PROMQL_PARSE',
      `cannot parse rule expression: ${problems[0] === undefined ? 'no expression' : printProblem(text, problems[0])}`,
      { text },
    )
  return { expr, text: printExpr(expr) }
}

/** All selectors below a node, in the order of the text. */
export function selectorsOf(expr: Expr): VectorSelector[] {
  switch (expr.kind) {
    case 'selector':
      return [expr]
    case 'matrix':
      return [expr.selector]
    case 'subquery':
    case 'unary':
    case 'paren':
      return selectorsOf(expr.expr)
    case 'call':
      return expr.args.flatMap(selectorsOf)
    case 'aggregate':
      return [...(expr.param === null ? [] : selectorsOf(expr.param)), ...selectorsOf(expr.expr)]
    case 'binary':
      return [...selectorsOf(expr.left), ...selectorsOf(expr.right)]
    case 'number':
    case 'string':
      return []
  }
}
