// What stands behind a selector or subquery: `offset`, `@`, `anchored`, `smoothed`, and the brackets that make a range or subquery.

import type { AtModifier, DurationExpr, Expr, MatrixSelector, PromqlFeatures, Span, Subquery, VectorSelector } from './ast.ts'
import { numberLiteral, parseOffsetDuration, parsePositiveDuration } from './parse-duration.ts'
import type { TokenStream } from './parse-tokens.ts'

const durationWanted = 'number, duration, step(), or range()'

/** `expr[5m]` or `expr[1h:5m]`; the bracket is next. */
export function parseBrackets(tokens: TokenStream, expr: Expr): Expr {
  const open = tokens.expect('[')
  tokens.durationContext = ['subquery or range selector', durationWanted]
  const range = parsePositiveDuration(tokens)
  if (tokens.takeIf(':') !== null) return parseSubquery(tokens, expr, range)
  const close = tokens.expect(']', 'subquery or range', '":" or "]"')
  const problem = rangeProblem(expr)
  if (problem !== null) tokens.problem({ from: open.from, to: close.to }, problem)
  const span = { from: expr.span.from, to: close.to }
  return { kind: 'matrix', span, selector: expr.kind === 'selector' ? expr : nothing(expr.span), range }
}

function rangeProblem(expr: Expr): string | null {
  if (expr.kind !== 'selector') return 'ranges only allowed for vector selectors'
  if (expr.offset !== null) return 'no offset modifiers allowed before range'
  return expr.at === null ? null : 'no @ modifiers allowed before range'
}

/** In place of what can't have a range; the problem is noted. */
function nothing(span: Span): VectorSelector {
  return { kind: 'selector', span, name: '', matchers: [], offset: null, at: null, anchored: false, smoothed: false }
}

function parseSubquery(tokens: TokenStream, expr: Expr, range: DurationExpr): Subquery {
  tokens.durationContext = ['subquery selector', `number, duration, step(), range(), or "]"`]
  const step = tokens.peek().kind === ']' ? null : parsePositiveDuration(tokens)
  const close = tokens.expect(']', 'subquery selector', '"]"')
  return { kind: 'subquery', span: { from: expr.span.from, to: close.to }, expr, range, step, offset: null, at: null }
}

const modifiable = 'must be preceded by an instant vector selector or range vector selector or a subquery'

/** `offset 5m`; the keyword is next. */
export function parseOffset(tokens: TokenStream, expr: Expr): Expr {
  tokens.expect('offset')
  tokens.durationContext = ['offset', durationWanted]
  const written = parseOffsetDuration(tokens)
  const before = timed(expr)
  if (before === null) {
    tokens.problem(expr.span, `offset modifier ${modifiable}`)
    return expr
  }
  if (before.offset !== null) tokens.problem(expr.span, 'offset may not be set multiple times')
  // no offset at all and an offset of nothing are the same
  const offset = written.kind === 'constant' && written.seconds === 0 ? null : written
  return withTime(expr, { offset, at: before.at }, written.span.to)
}

/** `@ 1609746000`, `@ start()`, `@ end()`; the sign is next. */
export function parseAt(tokens: TokenStream, expr: Expr): Expr {
  tokens.expect('@')
  const { at, to } = parseAtTime(tokens, expr)
  const before = timed(expr)
  if (before === null) {
    tokens.problem(expr.span, `@ modifier ${modifiable}`)
    return expr
  }
  if (before.at !== null) {
    tokens.problem(expr.span, '@ <timestamp> may not be set multiple times')
    return expr
  }
  return withTime(expr, { offset: before.offset, at }, to)
}

function parseAtTime(tokens: TokenStream, expr: Expr): { at: AtModifier; to: number } {
  const first = tokens.peek()
  if (first.kind === 'start()' || first.kind === 'end()') {
    tokens.take()
    tokens.expect('(', '@', 'timestamp')
    const close = tokens.expect(')', '@', 'timestamp')
    return { at: { kind: first.kind === 'start()' ? 'start' : 'end' }, to: close.to }
  }
  const sign = tokens.takeIf('-') ?? tokens.takeIf('+')
  const number = tokens.peek()
  if (number.kind !== 'number' && number.kind !== 'duration') tokens.unexpected('@', 'timestamp')
  const { value } = numberLiteral(tokens, tokens.take())
  const seconds = sign?.kind === '-' ? -value : value
  if (!(Math.abs(seconds) < 2 ** 63)) {
    const text = Number.isFinite(seconds)
      ? BigInt(seconds).toString() + '.000000'
      : seconds !== seconds
        ? 'NaN'
        : seconds > 0
          ? '+Inf'
          : '-Inf'
    tokens.problem(expr.span, `timestamp out of bounds for @ modifier: ${text}`)
  }
  const size = Math.round(Math.abs(seconds) * 1000) // half away from zero
  return { at: { kind: 'time', timeMs: size === 0 ? 0 : seconds < 0 ? -size : size }, to: number.to }
}

type Timed = Readonly<{ offset: DurationExpr | null; at: AtModifier | null }>

/** The time modifiers of what can have them, else null. */
function timed(expr: Expr): Timed | null {
  if (expr.kind === 'selector' || expr.kind === 'subquery') return expr
  return expr.kind === 'matrix' ? expr.selector : null
}

function withTime(expr: Expr, time: Timed, to: number): Expr {
  const span = { from: expr.span.from, to }
  if (expr.kind === 'matrix') return { ...expr, span, selector: { ...expr.selector, ...time } }
  return { ...(expr as VectorSelector | Subquery), span, ...time }
}

/** `anchored` or `smoothed`; the keyword is next. Needs its flag. */
export function parseExtension(tokens: TokenStream, expr: Expr, features: PromqlFeatures): Expr {
  const word = tokens.take()
  const kind = word.kind as 'anchored' | 'smoothed'
  if (!features.extendedRangeSelectors) tokens.problem(expr.span, `${kind} modifier is experimental and not enabled`)
  else if (expr.kind === 'subquery') tokens.problem(expr.span, `${kind} modifier is not supported for subqueries`)
  else if (expr.kind !== 'selector' && expr.kind !== 'matrix') tokens.problem(expr.span, `${kind} modifier not implemented`)
  else {
    const selector = expr.kind === 'matrix' ? expr.selector : expr
    if (kind === 'anchored' ? selector.smoothed : selector.anchored) {
      tokens.problem(expr.span, 'anchored and smoothed modifiers cannot be used together')
    }
    return extended(expr, { ...selector, [kind]: true }, word.to)
  }
  return expr
}

function extended(expr: VectorSelector | MatrixSelector, selector: VectorSelector, to: number): Expr {
  const span = { from: expr.span.from, to }
  return expr.kind === 'matrix' ? { ...expr, span, selector } : { ...selector, span }
}
