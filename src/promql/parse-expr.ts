// The grammar of expressions: binary operators by precedence, signs, modifiers, calls, aggregations, literals.
//
//   or < and unless < == != < <= > >= </ >/ < + - < * / % atan2 < ^ (from the right) < what stands behind: [ ] offset @ anchored smoothed
//   A sign binds like *, so that -2^2 is -(2^2).

import { quote } from '../model/labels.ts'
import type { Aggregate, AggregateOp, Binary, BinaryOp, Call, Expr, PromqlFeatures, VectorMatching } from './ast.ts'
import { functionSignatures } from './functions/signatures.ts'
import { unquoteString } from './lex-string.ts'
import { canBeMetricName, isAggregate, type Token, type TokenKind } from './lex-token.ts'
import { numberLiteral } from './parse-duration.ts'
import { parseAt, parseBrackets, parseExtension, parseOffset } from './parse-modifier.ts'
import { parseGrouping, parseSelector } from './parse-selector.ts'
import type { TokenStream } from './parse-tokens.ts'

const levels: ReadonlyMap<TokenKind, number> = new Map<TokenKind, number>([
  ['or', 1], ['and', 2], ['unless', 2],
  ['==', 3], ['!=', 3], ['<', 3], ['<=', 3], ['>', 3], ['>=', 3], ['</', 3], ['>/', 3],
  ['+', 4], ['-', 4], ['*', 5], ['/', 5], ['%', 5], ['atan2', 5], ['^', 6],
]) // prettier-ignore
const signLevel = 5

const withParam: ReadonlySet<string> = new Set(['topk', 'bottomk', 'count_values', 'quantile', 'limitk', 'limit_ratio'])
const experimentalAggregates: ReadonlySet<string> = new Set(['limitk', 'limit_ratio'])

export class ExprParser {
  readonly #tokens: TokenStream
  readonly #features: PromqlFeatures
  /** How many aggregations are open: a problem inside the innermost is said to be in it. */
  #aggregations = 0

  constructor(tokens: TokenStream, features: PromqlFeatures) {
    this.#tokens = tokens
    this.#features = features
  }

  /** An expression of operators that bind closer than `above`; 0 takes them all. */
  parse(above = 0): Expr {
    let left = this.#operand()
    for (;;) {
      const operator = this.#tokens.peek()
      const level = levels.get(operator.kind)
      if (level === undefined || level <= above) return left
      this.#tokens.take()
      const { returnBool, matching } = this.#modifiers()
      const right = this.#tokens.nested(() => this.parse(operator.kind === '^' ? level - 1 : level))
      left = this.#binary(operator, left, right, returnBool, matching)
    }
  }

  #binary(operator: Token, left: Expr, right: Expr, returnBool: boolean, matching: VectorMatching): Binary {
    const span = { from: left.span.from, to: right.span.to }
    if (!this.#features.binopFillModifiers && (matching.fillLeft !== null || matching.fillRight !== null)) {
      this.#tokens.problem(span, 'binop fill modifiers are experimental and not enabled')
    }
    // checkExpr takes the matching away again where it means nothing
    return { kind: 'binary', span, op: operator.kind as BinaryOp, left, right, returnBool, matching }
  }

  /** `bool on (a) group_left (b) fill (0)` between an operator and its right side, in this order. */
  #modifiers(): { returnBool: boolean; matching: VectorMatching } {
    const tokens = this.#tokens
    const returnBool = tokens.takeIf('bool') !== null
    let cardinality: VectorMatching['cardinality'] = 'one-to-one'
    let labels: string[] = []
    let include: string[] = []
    const matchingWord = tokens.takeIf('on') ?? tokens.takeIf('ignoring')
    if (matchingWord !== null) {
      labels = parseGrouping(tokens).labels
      const group = tokens.takeIf('group_left') ?? tokens.takeIf('group_right')
      if (group !== null) {
        cardinality = group.kind === 'group_left' ? 'many-to-one' : 'one-to-many'
        if (tokens.peek().kind === '(' || !startsExpr(tokens.peek().kind)) include = parseGrouping(tokens).labels
      }
    }
    const fills = this.#fills()
    return { returnBool, matching: { cardinality, labels, on: matchingWord?.kind === 'on', include, ...fills } }
  }

  #fills(): { fillLeft: number | null; fillRight: number | null } {
    const tokens = this.#tokens
    if (tokens.takeIf('fill') !== null) {
      const value = this.#fillValue()
      return { fillLeft: value, fillRight: value }
    }
    let fillLeft: number | null = null
    let fillRight: number | null = null
    for (;;) {
      if (fillLeft === null && tokens.takeIf('fill_left') !== null) fillLeft = this.#fillValue()
      else if (fillRight === null && tokens.takeIf('fill_right') !== null) fillRight = this.#fillValue()
      else return { fillLeft, fillRight }
    }
  }

  #fillValue(): number {
    const tokens = this.#tokens
    this.#expect('(')
    const sign = tokens.takeIf('-') ?? tokens.takeIf('+')
    const number = tokens.takeIf('number') ?? this.#expect('duration')
    const { value } = numberLiteral(tokens, number)
    this.#expect(')')
    return sign?.kind === '-' ? -value : value
  }

  /** A primary expression with its signs in front and its modifiers behind. */
  #operand(): Expr {
    const tokens = this.#tokens
    const sign = tokens.takeIf('-') ?? tokens.takeIf('+')
    if (sign !== null) {
      const expr = tokens.nested(() => this.parse(signLevel))
      const span = { from: sign.from, to: expr.span.to }
      if (expr.kind === 'number') return { ...expr, span, value: sign.kind === '-' ? -expr.value : expr.value }
      return { kind: 'unary', span, op: sign.kind as '-' | '+', expr }
    }
    let expr = this.#primary()
    for (;;) {
      switch (tokens.peek().kind) {
        case '[':
          expr = parseBrackets(tokens, expr)
          break
        case 'offset':
          expr = parseOffset(tokens, expr)
          break
        case '@':
          expr = parseAt(tokens, expr)
          break
        case 'anchored':
        case 'smoothed':
          expr = parseExtension(tokens, expr, this.#features)
          break
        default:
          return expr
      }
    }
  }

  #primary(): Expr {
    const tokens = this.#tokens
    const first = tokens.peek()
    const span = { from: first.from, to: first.to }
    switch (first.kind) {
      case 'number':
      case 'duration':
        return numberLiteral(tokens, tokens.take())
      case 'string':
        return { kind: 'string', span, value: unquoteString(tokens.take().text) }
      case '{':
        return parseSelector(tokens, null)
      case '(': {
        tokens.take()
        const expr = tokens.nested(() => this.parse())
        const close = this.#expect(')')
        return { kind: 'paren', span: { from: first.from, to: close.to }, expr }
      }
      default:
        break
    }
    if (!canBeMetricName(first.kind)) return this.#unexpected()
    tokens.take()
    const next = tokens.peek().kind
    if (isAggregate(first.kind) && (next === '(' || next === 'by' || next === 'without')) return this.#aggregate(first)
    if (next === '(' && (first.kind === 'identifier' || first.kind.endsWith('()'))) return this.#call(first)
    return parseSelector(tokens, first)
  }

  #call(name: Token): Call {
    const span = { from: name.from, to: name.to }
    const { args, to } = this.#arguments()
    const signature = functionSignatures.get(name.text)
    if (signature === undefined) this.#tokens.problem(span, `unknown function with name ${quote(name.text)}`)
    else if (signature.experimental && !this.#features.experimentalFunctions) {
      this.#tokens.problem(span, `function ${quote(name.text)} is not enabled`)
    }
    return { kind: 'call', span: { from: name.from, to }, func: name.text, args }
  }

  #arguments(): { args: Expr[]; to: number } {
    const tokens = this.#tokens
    this.#expect('(')
    const args: Expr[] = []
    const empty = tokens.takeIf(')')
    if (empty !== null) return { args, to: empty.to }
    args.push(tokens.nested(() => this.parse()))
    for (;;) {
      const comma = tokens.takeIf(',')
      if (comma === null) return { args, to: this.#expect(')').to }
      if (startsExpr(tokens.peek().kind)) args.push(tokens.nested(() => this.parse()))
      else tokens.problem({ from: comma.from, to: comma.to }, 'trailing commas not allowed in function call args')
    }
  }

  /** `sum by (a) (x)`, `sum(x) by (a)`, `topk(5, x)`. */
  #aggregate(name: Token): Expr {
    const tokens = this.#tokens
    this.#aggregations++
    let grouping = this.#grouping()
    const { args, to } = this.#arguments()
    this.#aggregations--
    let end = to
    if (grouping === null) {
      grouping = this.#grouping()
      end = grouping?.to ?? to
    }
    const span = { from: name.from, to: end }
    const op = name.kind as AggregateOp
    const wanted = withParam.has(op) ? 2 : 1
    if (args.length === 0) tokens.problem(span, 'no arguments for aggregate expression provided')
    else if (experimentalAggregates.has(op) && !this.#features.experimentalFunctions) {
      tokens.problem(span, `${op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions`)
    } else if (args.length !== wanted) {
      const counts = `expected ${wanted}, got ${args.length}`
      tokens.problem(span, `wrong number of arguments for aggregate expression provided, ${counts}`)
    }
    const expr = args[wanted - 1] ?? { kind: 'number', span, value: NaN, isDuration: false } // a problem is noted
    const param = wanted === 2 ? (args[0] ?? expr) : null
    const node: Aggregate = {
      kind: 'aggregate',
      span,
      op,
      param,
      expr,
      grouping: grouping?.labels ?? [],
      without: grouping?.without ?? false,
    }
    return node
  }

  #grouping(): { labels: string[]; without: boolean; to: number } | null {
    const tokens = this.#tokens
    const word = tokens.takeIf('by') ?? tokens.takeIf('without')
    if (word === null) return null
    const { labels, to } = parseGrouping(tokens)
    return { labels, without: word.kind === 'without', to }
  }

  #expect(kind: TokenKind): Token {
    return this.#tokens.takeIf(kind) ?? this.#unexpected()
  }

  #unexpected(): never {
    return this.#tokens.unexpected(this.#aggregations > 0 ? 'aggregation' : '')
  }
}

/** Whether an expression can begin with it. */
function startsExpr(kind: TokenKind): boolean {
  return canBeMetricName(kind) || ['number', 'duration', 'string', '(', '{', '+', '-', 'error'].includes(kind)
}
