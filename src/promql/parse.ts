// The door of the PromQL parser: text in, a tree or problems with their places out. Nothing it is given makes it throw.

import { limits } from '../base/limits.ts'
import type { Matcher } from '../model/matcher.ts'
import type { DurationExpr, Expr, Problem, PromqlFeatures } from './ast.ts'
import { checkExpr } from './check.ts'
import { canBeMetricName } from './lex-token.ts'
import { ExprParser } from './parse-expr.ts'
import { parseSelector } from './parse-selector.ts'
import { ParseAbort, TokenStream } from './parse-tokens.ts'

/** Everything off, as Prometheus starts. */
export const stableFeatures: PromqlFeatures = Object.freeze({
  experimentalFunctions: false,
  extendedRangeSelectors: false,
  binopFillModifiers: false,
  delayedNameRemoval: false,
})

/** Everything on, as Prometheus' own tests run. */
export const allFeatures: PromqlFeatures = Object.freeze({
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  binopFillModifiers: true,
  delayedNameRemoval: true,
})

/**
 * Reads an expression and checks its types.
 * @returns the tree, or null and at least one problem; the first is the one Prometheus reports.
 * @see prometheus/promql/parser ParseExpr
 */
export function parseExpr(text: string, features: PromqlFeatures): { expr: Expr | null; problems: readonly Problem[] } {
  return parseWith(text, (tokens) => {
    if (tokens.peek().kind === 'end') {
      tokens.problem({ from: 0, to: 0 }, 'no expression found in input')
      throw new ParseAbort()
    }
    const expr = new ExprParser(tokens, features).parse()
    if (tokens.peek().kind !== 'end') tokens.unexpected()
    if (tokens.problems.length === 0) {
      const height = heightOf(expr)
      if (height > limits.queryHeightMax) {
        tokens.problem(expr.span, `query is ${height} levels deep, limit is ${limits.queryHeightMax}`)
      } else tokens.problems.push(...checkExpr(text, expr))
    }
    return expr
  })
}

/**
 * Reads one selector without modifiers, such as a `match[]` parameter: `up{job="x"}`. Its matchers may all match nothing; that is for the caller.
 * @see prometheus/promql/parser ParseMetricSelector
 */
export function parseMetricSelector(text: string): { matchers: readonly Matcher[] | null; problems: readonly Problem[] } {
  const { expr, problems } = parseWith(text, (tokens) => {
    const first = tokens.peek()
    if (first.kind !== '{' && !canBeMetricName(first.kind)) tokens.unexpected()
    const selector = parseSelector(tokens, first.kind === '{' ? null : tokens.take())
    if (tokens.peek().kind !== 'end') tokens.unexpected()
    return selector
  })
  return { matchers: expr?.matchers ?? null, problems }
}

function parseWith<T>(text: string, parse: (tokens: TokenStream) => T): { expr: T | null; problems: readonly Problem[] } {
  const tokens = new TokenStream(text)
  const bytes = text.length * 3 <= limits.queryBytesMax ? 0 : utf8Length(text)
  if (bytes > limits.queryBytesMax) {
    tokens.problem({ from: 0, to: text.length }, `query has ${bytes} bytes, limit is ${limits.queryBytesMax}`)
    return { expr: null, problems: tokens.problems }
  }
  let expr: T | null = null
  try {
    expr = parse(tokens)
  } catch (thrown) {
    if (!(thrown instanceof ParseAbort)) throw thrown
  }
  return { expr: tokens.problems.length === 0 ? expr : null, problems: tokens.problems }
}

/** Levels of the tree, found without recursion. */
function heightOf(root: Expr): number {
  let height = 0
  const stack: [node: Expr | DurationExpr, depth: number][] = [[root, 1]]
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const [node, depth] = top
    if (depth > height) height = depth
    for (const child of childrenOf(node)) stack.push([child, depth + 1])
  }
  return height
}

function childrenOf(node: Expr | DurationExpr): readonly (Expr | DurationExpr)[] {
  switch (node.kind) {
    case 'binary':
    case 'minOf':
    case 'maxOf':
      return [node.left, node.right]
    case 'unary':
      return ['operand' in node ? node.operand : node.expr]
    case 'paren':
      return ['inner' in node ? node.inner : node.expr]
    case 'call':
      return node.args
    case 'aggregate':
      return node.param === null ? [node.expr] : [node.param, node.expr]
    case 'subquery':
      return [node.expr, node.range, node.step, node.offset].filter((child) => child !== null)
    case 'matrix':
      return [node.selector, node.range]
    case 'selector':
      return node.offset === null ? [] : [node.offset]
    default:
      return []
  }
}

/** `1:5: parse error: unexpected <op:*>`: lines and columns from 1, columns in UTF-8 bytes, as Prometheus prints them. */
export function printProblem(text: string, problem: Problem): string {
  return `${printPosition(text, problem.span.from)}: parse error: ${problem.message}`
}

/** `line:column` of an offset into a query, or what Prometheus says where there is none. @see promql/parser/posrange */
export function printPosition(text: string, offset: number): string {
  if (text === '') return 'unknown position'
  if (offset < 0 || offset > text.length) return 'invalid position'
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  const line = before.split('\n').length
  return `${line}:${utf8Length(before.slice(lineStart)) + 1}`
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length
}
