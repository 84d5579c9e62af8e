// Durations in ranges, steps and offsets: literals, arithmetic on them, step(), range(), min_of() and max_of().

import { parseDuration } from '../model/duration.ts'
import { goFloatProblem, parseGoFloat, parseGoInteger } from '../model/number-text.ts'
import type { DurationExpr, NumberLiteral, Span } from './ast.ts'
import type { Token } from './lex-token.ts'
import type { TokenStream } from './parse-tokens.ts'

type Constant = Extract<DurationExpr, { kind: 'constant' }>

/** A NUMBER or DURATION token as a literal; the problem, if there is one, is noted. */
export function numberLiteral(tokens: TokenStream, token: Token): NumberLiteral {
  const span = { from: token.from, to: token.to }
  if (token.kind === 'duration') {
    const { ms, problem } = parseDuration(token.text)
    if (problem !== null) tokens.problem(span, problem)
    return { kind: 'number', span, value: ms / 1000, isDuration: true }
  }
  const value = parseGoInteger(token.text) ?? parseGoFloat(token.text)
  if (value === null) tokens.problem(span, `error parsing number: ${goFloatProblem(token.text)}`)
  return { kind: 'number', span, value: value ?? 0, isDuration: false }
}

/** What may stand in brackets. A constant must be above zero. */
export function parsePositiveDuration(tokens: TokenStream): DurationExpr {
  const duration = parseSum(tokens, 0)
  if (duration.kind === 'constant' && !(duration.seconds > 0)) {
    tokens.problem(duration.span, 'duration must be greater than 0')
    return { ...duration, seconds: 0, ms: 0 }
  }
  return duration
}

/**
 * What may stand behind `offset`. A sign belongs to the one literal, call or parenthesis behind it: `foo offset -2^2` is `(foo offset -2)^2`.
 * A parenthesis without a sign goes on as an expression, as Prometheus' grammar has it: in `foo offset (5m) + x` the plus belongs to the offset.
 */
export function parseOffsetDuration(tokens: TokenStream): DurationExpr {
  const first = tokens.peek()
  switch (first.kind) {
    case 'number':
    case 'duration':
      return literal(tokens)
    case 'step()':
    case 'range()':
    case 'min_of()':
    case 'max_of()':
      return parseCall(tokens)
    case '+':
    case '-': {
      tokens.take()
      const next = tokens.peek()
      if (next.kind === '(') return signed(tokens, first, parseParen(tokens))
      if (next.kind === 'number' || next.kind === 'duration') return signedLiteral(tokens, first)
      if (isCall(next)) {
        const operand = parseCall(tokens)
        return { kind: 'unary', span: { from: first.from, to: operand.span.to }, op: first.kind, operand }
      }
      return continueSum(tokens, signed(tokens, first, parseFactor(tokens)), 0)
    }
    case '(':
      return parseSum(tokens, 0)
    default:
      return giveUp(tokens)
  }
}

const levels: Readonly<Record<string, number>> = { '+': 1, '-': 1, '*': 2, '/': 2, '%': 2, '^': 3 }
type Operator = '+' | '-' | '*' | '/' | '%' | '^'

function parseSum(tokens: TokenStream, above: number): DurationExpr {
  return continueSum(tokens, parseFactor(tokens), above)
}

/** Takes operators that bind closer than `above`. */
function continueSum(tokens: TokenStream, first: DurationExpr, above: number): DurationExpr {
  let left = first
  for (;;) {
    const sign = tokens.peek()
    const level = levels[sign.kind]
    if (level === undefined || level <= above) return left
    tokens.take()
    // ^ is right-associative
    const right = tokens.nested(() => parseSum(tokens, sign.kind === '^' ? level - 1 : level))
    left = combine(tokens, sign, left, right)
  }
}

function combine(tokens: TokenStream, sign: Token, left: DurationExpr, right: DurationExpr): DurationExpr {
  const op = sign.kind as Operator
  if ((op === '/' || op === '%') && right.kind === 'constant' && right.seconds === 0) {
    tokens.problem({ from: sign.from, to: sign.to }, op === '/' ? 'division by zero' : 'modulo by zero')
  }
  return { kind: 'binary', span: { from: left.span.from, to: right.span.to }, op, left, right }
}

/** One operand, signs included; they bind closer than * but looser than ^. */
function parseFactor(tokens: TokenStream): DurationExpr {
  const first = tokens.peek()
  if (first.kind === '+' || first.kind === '-') {
    tokens.take()
    return signed(
      tokens,
      first,
      tokens.nested(() => parseSum(tokens, 2)),
    )
  }
  if (first.kind === '(') return parseParen(tokens)
  if (first.kind === 'number' || first.kind === 'duration') return literal(tokens)
  return isCall(first) ? parseCall(tokens) : giveUp(tokens)
}

function parseParen(tokens: TokenStream): DurationExpr {
  const open = tokens.expect('(')
  const inner = tokens.nested(() => parseSum(tokens, 0))
  const close = tokens.takeIf(')') ?? giveUp(tokens)
  const span = { from: open.from, to: close.to }
  return inner.kind === 'paren' ? { ...inner, span } : { kind: 'paren', span, inner }
}

function isCall({ kind }: Token): boolean {
  return kind === 'step()' || kind === 'range()' || kind === 'min_of()' || kind === 'max_of()'
}

function parseCall(tokens: TokenStream): DurationExpr {
  const name = tokens.take()
  if (tokens.takeIf('(') === null) giveUp(tokens)
  const end = (): Span => ({ from: name.from, to: (tokens.takeIf(')') ?? giveUp(tokens)).to })
  if (name.kind === 'step()') return { kind: 'step', span: end() }
  if (name.kind === 'range()') return { kind: 'range', span: end() }
  const left = tokens.nested(() => parseSum(tokens, 0))
  if (tokens.takeIf(',') === null) giveUp(tokens)
  const right = tokens.nested(() => parseSum(tokens, 0))
  return { kind: name.kind === 'min_of()' ? 'minOf' : 'maxOf', span: end(), left, right }
}

function literal(tokens: TokenStream): Constant {
  const number = numberLiteral(tokens, tokens.take())
  return constant(tokens, number.span, number.span, number.value, number.isDuration)
}

/** The sign and the number are one: what is out of range is blamed on the sign. */
function signedLiteral(tokens: TokenStream, sign: Token): Constant {
  const { span, value, isDuration } = numberLiteral(tokens, tokens.take())
  const seconds = sign.kind === '-' ? -value : value
  return constant(tokens, { from: sign.from, to: span.to }, { from: sign.from, to: sign.to }, seconds, isDuration)
}

/** More than Go's time.Duration holds is a problem. */
function constant(tokens: TokenStream, span: Span, blamed: Span, seconds: number, isDuration: boolean): Constant {
  if (Math.abs(seconds) > durationSecondsMax) {
    tokens.problem(blamed, 'duration out of range')
    return { kind: 'constant', span, ms: 0, seconds: 0, isDuration: false }
  }
  return { kind: 'constant', span, ms: wholeMs(seconds), seconds, isDuration }
}

const durationSecondsMax = 2 ** 63 / 1e9

/** A fraction of a millisecond is cut off, as Prometheus does it; what was written in whole ones stays so. A NaN is no time at all. */
function wholeMs(seconds: number): number {
  const size = Math.abs(seconds)
  const nearest = Math.round(size * 1000)
  const ms = nearest / 1000 === size ? nearest : Math.trunc(Math.round(size * 1e9) / 1e6)
  return ms > 0 ? (seconds < 0 ? -ms : ms) : 0
}

function signed(tokens: TokenStream, sign: Token, operand: DurationExpr): DurationExpr {
  const span = { from: sign.from, to: operand.span.to }
  if (operand.kind === 'constant') {
    const seconds = sign.kind === '-' ? -operand.seconds : operand.seconds
    return constant(tokens, span, { from: sign.from, to: sign.to }, seconds, operand.isDuration)
  }
  return sign.kind === '-' ? { kind: 'unary', span, op: '-', operand } : operand
}

/** The caller knows where it is: in brackets or behind an offset. */
function giveUp(tokens: TokenStream): never {
  const [context, expected] = tokens.durationContext
  return tokens.unexpected(context, expected)
}
