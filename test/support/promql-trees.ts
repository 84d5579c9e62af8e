// Random well-typed PromQL trees for property tests, as fast-check arbitraries. Spans are empty.

import fc from 'fast-check'
import type { Matcher } from '../../src/model/matcher.ts'
import type { AggregateOp, AtModifier, BinaryOp, DurationExpr, Expr, VectorMatching, VectorSelector } from '../../src/promql/ast.ts'
import { functionSignatures, type FunctionSignature } from '../../src/promql/functions/signatures.ts'

const span = { from: 0, to: 0 }
const text = fc.oneof(fc.constantFrom('', 'a', 'b c', '"', "'", '\\', '\n', 'é', '😀', '\x00', '$1', '\udcff'), fc.string({ maxLength: 6 }))
const wellFormed = text.filter((value) => value.isWellFormed() && !value.includes('\ufffd'))
const labelName = fc.oneof(fc.constantFrom('a', 'job', 'le', 'by', 'sum', 'on', '__name__x', 'a.b', 'é', '1a', 'a:b'), wellFormed.filter((value) => value !== '' && value !== '__name__')) // prettier-ignore
const metric = fc.constantFrom('foo', 'a:b', 'sum', 'by', 'start', 'step', 'fill', 'offset', 'up', 'anchored')

const matcher = fc.oneof(
  fc.record({ name: labelName, kind: fc.constantFrom('=' as const, '!=' as const), value: wellFormed }),
  fc.record({
    name: labelName,
    kind: fc.constantFrom('=~' as const, '!~' as const),
    value: fc.constantFrom('a.*', '', '[0-9]+|x', '\\d', '.+', '(a|b)c'),
  }),
)

/** Milliseconds that are whole in every unit, and odd ones. */
const ms = fc.oneof(
  fc.integer({ min: 1, max: 100 }).map((n) => n * 60_000),
  fc.integer({ min: 1, max: 10_000_000_000 }),
)

const durationTerm: fc.Memo<DurationExpr> = fc.memo((depth) => {
  const constant = fc.oneof(
    ms.map((value): DurationExpr => ({ kind: 'constant', span, ms: value, seconds: value / 1000, isDuration: true })),
    fc.integer({ min: 1, max: 100 }).map((s): DurationExpr => ({ kind: 'constant', span, ms: s * 1000, seconds: s, isDuration: false })),
  )
  const call = fc.constantFrom<DurationExpr>({ kind: 'step', span }, { kind: 'range', span })
  if (depth <= 1) return fc.oneof(constant, call)
  const inner = durationTerm(depth - 1)
  const operand = inner.map(asOperand)
  const op = fc.constantFrom('+' as const, '-' as const, '*' as const, '/' as const, '%' as const, '^' as const)
  return fc.oneof(
    constant,
    call,
    fc.tuple(op, operand, operand).map(([o, left, right]): DurationExpr => ({ kind: 'binary', span, op: o, left, right })),
    fc.tuple(inner, inner).map(([left, right]): DurationExpr => ({ kind: 'minOf', span, left, right })),
    fc.tuple(inner, inner).map(([left, right]): DurationExpr => ({ kind: 'maxOf', span, left, right })),
    inner.map((value): DurationExpr => (value.kind === 'paren' ? value : { kind: 'paren', span, inner: value })),
  )
})

/** In parentheses where it would be read another way without. */
function asOperand(term: DurationExpr): DurationExpr {
  return term.kind === 'binary' || term.kind === 'unary' ? { kind: 'paren', span, inner: term } : term
}

/** A constant, or an expression that is not one. */
const duration = fc.oneof(
  {
    weight: 3,
    arbitrary: ms.map((value): DurationExpr => ({ kind: 'constant', span, ms: value, seconds: value / 1000, isDuration: true })),
  },
  {
    weight: 1,
    arbitrary: durationTerm(3).map((term) => (term.kind === 'constant' ? { ...term, seconds: term.ms / 1000, isDuration: true } : term)),
  },
)
/** Offsets: signs on constants, parentheses around sums. */
const offset = fc.oneof(
  fc.constant(null),
  fc.tuple(duration, fc.boolean()).map(([value, negative]): DurationExpr => {
    if (value.kind === 'constant') return negative ? { ...value, ms: -value.ms, seconds: -value.seconds } : value
    const operand = asOperand(value)
    return negative ? { kind: 'unary', span, op: '-', operand } : operand
  }),
)
const at: fc.Arbitrary<AtModifier | null> = fc.oneof(
  fc.constantFrom<AtModifier | null>(null, null, { kind: 'start' }, { kind: 'end' }),
  fc.integer({ min: -5_000_000, max: 2_000_000_000_000 }).map((timeMs): AtModifier => ({ kind: 'time', timeMs })),
)

const extension = fc.constantFrom(
  { anchored: false, smoothed: false },
  { anchored: true, smoothed: false },
  { anchored: false, smoothed: true },
)
const selector: fc.Arbitrary<VectorSelector> = fc
  .tuple(fc.oneof(metric, fc.constant('')), fc.array(matcher, { maxLength: 3 }), offset, at, extension)
  .map(([name, others, offsetValue, atValue, extended]) => {
    // a name in front is the last matcher; without one some matcher must select
    const last = { name: '__name__', kind: '=' as const, value: name === '' ? 'some metric' : name }
    return { kind: 'selector', span, name, matchers: [...others, last], offset: offsetValue, at: atValue, ...extended }
  })

const number = fc.oneof(
  fc
    .constantFrom(0, 1, 1.5, 1e-7, 1e21, 123456789, Infinity, NaN)
    .map((value): Expr => ({ kind: 'number', span, value, isDuration: false })),
  ms.map((value): Expr => ({ kind: 'number', span, value: value / 1000, isDuration: true })),
)
const stringLiteral = text
  .filter((value) => !value.includes('\ufffd'))
  .filter(printable)
  .map((value): Expr => ({ kind: 'string', span, value }))

/** Lone surrogates other than those that stand for odd bytes have no PromQL spelling. */
function printable(value: string): boolean {
  return value.replace(/[\udc80-\udcff]/g, '').isWellFormed()
}

const aggregates: readonly AggregateOp[] = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar']
const scalarAggregates: readonly AggregateOp[] = ['topk', 'bottomk', 'quantile', 'limitk', 'limit_ratio']
const arithmetic: readonly BinaryOp[] = ['+', '-', '*', '/', '%', '^', 'atan2']
const comparisons: readonly BinaryOp[] = ['==', '!=', '<', '<=', '>', '>=']
const functionsTo = (type: string): FunctionSignature[] =>
  [...functionSignatures.values()].filter(({ returnType, name }) => returnType === type && name !== 'info')

/**
 * Operands are put in parentheses, so that precedence is not what is tested here; also those that end in `offset (…)`, because an operator
 * behind that would belong to the offset.
 */
function operandOf(expr: Expr): Expr {
  const timed = expr.kind === 'matrix' ? expr.selector : expr
  const ends = (timed.kind === 'selector' || timed.kind === 'subquery') && timed.offset?.kind === 'paren'
  const signed = expr.kind === 'number' && expr.value === Infinity // printed +Inf, and the sign binds looser than ^
  return ends || signed || expr.kind === 'binary' || expr.kind === 'unary' ? { kind: 'paren', span, expr } : expr
}

function callOf(signature: FunctionSignature, depth: number): fc.Arbitrary<Expr> {
  const types = signature.variadic === 0 ? signature.argTypes : signature.argTypes.slice(0, -1)
  return fc.tuple(...types.map((type) => exprOf(type, depth - 1))).map((args): Expr => ({ kind: 'call', span, func: signature.name, args }))
}

const fill = fc.constantFrom(null, null, 0, -1.5, Infinity)
const matching: fc.Arbitrary<VectorMatching> = fc
  .tuple(
    fc.uniqueArray(labelName, { maxLength: 2 }),
    fc.boolean(),
    fc.constantFrom('one-to-one' as const, 'many-to-one' as const, 'one-to-many' as const),
    fc.uniqueArray(labelName, { maxLength: 2 }),
    fill,
    fill,
  )
  .map(([labels, on, cardinality, include, fillLeft, fillRight]) => ({
    labels,
    on,
    cardinality,
    include: cardinality === 'one-to-one' ? [] : include.filter((label) => !labels.includes(label)),
    fillLeft,
    fillRight,
  }))
const noMatching: VectorMatching = { cardinality: 'many-to-many', labels: [], on: false, include: [], fillLeft: null, fillRight: null }

function vector(depth: number): fc.Arbitrary<Expr> {
  if (depth <= 1) return selector
  const inner = fc.memo(() => vector(depth - 1))(1)
  const operand = inner.map(operandOf)
  const scalarOperand = scalar(depth - 1).map(operandOf)
  const grouping = fc.tuple(fc.uniqueArray(labelName, { maxLength: 2 }), fc.boolean())
  return fc.oneof(
    selector,
    inner.map((expr): Expr => ({ kind: 'paren', span, expr })),
    operand.map((expr): Expr => ({ kind: 'unary', span, op: '-', expr })),
    fc.tuple(fc.constantFrom(...aggregates), inner, grouping).map(([op, expr, [labels, without]]): Expr => ({ kind: 'aggregate', span, op, param: null, expr, grouping: labels, without })), // prettier-ignore
    fc.tuple(fc.constantFrom(...scalarAggregates), scalarOperand, inner, grouping).map(([op, param, expr, [labels, without]]): Expr => ({ kind: 'aggregate', span, op, param, expr, grouping: labels, without })), // prettier-ignore
    fc.tuple(fc.constantFrom(...functionsTo('vector'))).chain(([signature]) => callOf(signature, depth)),
    fc.tuple(fc.constantFrom(...arithmetic, ...comparisons), operand, operand, matching).map(([op, left, right, m]): Expr => ({ kind: 'binary', span, op, left, right, returnBool: false, matching: m })), // prettier-ignore
    fc.tuple(fc.constantFrom(...comparisons), operand, scalarOperand, fc.boolean()).map(([op, left, right, returnBool]): Expr => ({ kind: 'binary', span, op, left, right, returnBool, matching: null })), // prettier-ignore
    fc.tuple(fc.constantFrom('and' as const, 'or' as const, 'unless' as const), operand, operand, matching).map(([op, left, right, m]): Expr => ({ kind: 'binary', span, op, left, right, returnBool: false, matching: { ...noMatching, labels: m.labels, on: m.on } })), // prettier-ignore
  )
}

function scalar(depth: number): fc.Arbitrary<Expr> {
  if (depth <= 1) return number
  const operand = scalar(depth - 1).map(operandOf)
  return fc.oneof(
    number,
    fc.tuple(fc.constantFrom(...functionsTo('scalar'))).chain(([signature]) => callOf(signature, depth)),
    fc.tuple(fc.constantFrom(...arithmetic), operand, operand).map(([op, left, right]): Expr => ({ kind: 'binary', span, op, left, right, returnBool: false, matching: null })), // prettier-ignore
    fc.tuple(fc.constantFrom(...comparisons), operand, operand).map(([op, left, right]): Expr => ({ kind: 'binary', span, op, left, right, returnBool: true, matching: null })), // prettier-ignore
  )
}

function matrix(depth: number): fc.Arbitrary<Expr> {
  const range = fc.tuple(selector, duration).map(([s, r]): Expr => ({ kind: 'matrix', span, selector: s, range: r }))
  if (depth <= 1) return range
  const subquery = fc
    .tuple(vector(depth - 1), duration, fc.oneof(fc.constant(null), duration), offset, at)
    .map(([expr, r, step, offsetValue, atValue]): Expr => ({ kind: 'subquery', span, expr: operandOf(expr), range: r, step, offset: offsetValue, at: atValue })) // prettier-ignore
  return fc.oneof(range, subquery)
}

function exprOf(type: string, depth: number): fc.Arbitrary<Expr> {
  if (type === 'vector') return vector(depth)
  if (type === 'matrix') return matrix(depth)
  return type === 'scalar' ? scalar(depth) : stringLiteral
}

/** A tree of any type, up to `depth` levels of expressions. */
export function promqlTree(depth: number): fc.Arbitrary<Expr> {
  return fc.oneof(
    { weight: 6, arbitrary: vector(depth) },
    { weight: 1, arbitrary: scalar(depth) },
    { weight: 1, arbitrary: matrix(depth) },
    stringLiteral,
  )
}

/** The tree without spans and with matchers in one order (they are printed sorted), for comparing. */
export function withoutSpans(expr: Expr): unknown {
  return JSON.parse(
    JSON.stringify(expr, (key, value: unknown) => {
      if (key === 'span') return undefined
      if (key === 'matchers') return (value as Matcher[]).map(({ name, kind, value: text }) => [name, kind, text].join('\x01')).sort()
      return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
    }),
  ) as unknown
}
