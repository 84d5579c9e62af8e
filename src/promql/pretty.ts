// A tree over several lines: what is longer than a line is split, its parts indented by two spaces.

import type { Expr } from './ast.ts'
import { printAggregateHead, printExpr, printOperator, printSubquerySuffix } from './print.ts'

/** Longest line that is left alone, in UTF-8 bytes. */
const lineBytesMax = 100

/** @see prometheus/promql/parser/prettier.go, prettier_rules.md */
export function prettyExpr(expr: Expr): string {
  return prettyAt(expr, 0)
}

/** @param level 0 where the parent has not begun a new line. */
function prettyAt(expr: Expr, level: number): string {
  const indent = '  '.repeat(level)
  switch (expr.kind) {
    case 'number':
    case 'string':
    case 'selector':
    case 'matrix':
      return indent + printExpr(expr)
    case 'unary':
      // the indent belongs before the sign
      return indent + expr.op + prettyAt(expr.expr, level).trim()
    default:
      break
  }
  const line = printExpr(expr)
  const isSubquery = expr.kind === 'subquery'
  if (fits(line)) return isSubquery ? line : indent + line // Prometheus does not indent a short subquery
  switch (expr.kind) {
    case 'subquery':
      return prettyAt(expr.expr, level) + printSubquerySuffix(expr)
    case 'binary':
      return `${prettyAt(expr.left, level + 1)}\n${indent}${printOperator(expr)}\n${prettyAt(expr.right, level + 1)}`
    case 'paren':
      return `${indent}(\n${prettyAt(expr.expr, level + 1)}\n${indent})`
    case 'call':
      return `${indent}${expr.func}(\n${expr.args.map((arg) => prettyAt(arg, level + 1)).join(',\n')}\n${indent})`
    case 'aggregate': {
      const param = expr.param === null ? '' : `${prettyAt(expr.param, level + 1)},\n`
      return `${indent}${printAggregateHead(expr)}(\n${param}${prettyAt(expr.expr, level + 1)}\n${indent})`
    }
  }
}

function fits(line: string): boolean {
  return line.length <= lineBytesMax && new TextEncoder().encode(line).length <= lineBytesMax
}
