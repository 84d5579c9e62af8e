// PromQL texts for the HTTP edge.
import { PromhiveError } from '../../base/errors.ts'
import type { Matcher } from '../../model/matcher.ts'
import type { Expr, PromqlFeatures } from '../../promql/ast.ts'
import { exprToJson } from '../../promql/ast-json.ts'
import { parseExpr, parseMetricSelector, printProblem } from '../../promql/parse.ts'
import { prettyExpr } from '../../promql/pretty.ts'
import type { QueryLanguage } from '../../api/backend.ts'

export function queryLanguage(features: PromqlFeatures): QueryLanguage {
  const parse = (query: string): Expr => parsed(query, features)
  return {
    selector(text) {
      const { matchers, problems } = parseMetricSelector(text)
      if (matchers === null || problems.length > 0) throw new PromhiveError('PROMQL_PARSE', printProblem(text, problems[0]!))
      return matchers
    },
    selectorsOf(query) {
      const found: (readonly Matcher[])[] = []
      collectSelectors(parse(query), found)
      return found
    },
    format: (query) => prettyExpr(parse(query)),
    tree: (query) => exprToJson(parse(query)),
  }
}

/** @throws PromhiveError PROMQL_PARSE: `1:5: parse error: …`. */
export function parsed(query: string, features: PromqlFeatures): Expr {
  const { expr, problems } = parseExpr(query, features)
  if (expr === null || problems.length > 0) throw new PromhiveError('PROMQL_PARSE', printProblem(query, problems[0]!))
  return expr
}

function collectSelectors(expr: Expr, into: (readonly Matcher[])[]): void {
  switch (expr.kind) {
    case 'selector':
      into.push(expr.matchers)
      return
    case 'matrix':
      into.push(expr.selector.matchers)
      return
    case 'subquery':
    case 'unary':
    case 'paren':
      return collectSelectors(expr.expr, into)
    case 'aggregate':
      if (expr.param !== null) collectSelectors(expr.param, into)
      return collectSelectors(expr.expr, into)
    case 'call':
      for (const arg of expr.args) collectSelectors(arg, into)
      return
    case 'binary':
      collectSelectors(expr.left, into)
      return collectSelectors(expr.right, into)
    case 'number':
    case 'string':
      return
  }
}
