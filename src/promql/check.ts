// Types: what may stand where, once the text is a tree.

import { quote } from '../model/labels.ts'
import { compileMatcher } from '../model/matching.ts'
import type { Aggregate, Binary, Call, Expr, Problem, Span, ValueType, VectorMatching, VectorSelector } from './ast.ts'
import { functionSignatures } from './functions/signatures.ts'

/** The type an expression has. @throws BUG where a call's function is unknown: the parser lets none through. */
export function valueType(expr: Expr): ValueType {
  switch (expr.kind) {
    case 'aggregate':
    case 'selector':
      return 'vector'
    case 'matrix':
    case 'subquery':
      return 'matrix'
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'paren':
    case 'unary':
      return valueType(expr.expr)
    case 'call':
      return functionSignatures.get(expr.func)!.returnType
    case 'binary':
      return valueType(expr.left) === 'scalar' && valueType(expr.right) === 'scalar' ? 'scalar' : 'vector'
  }
}

/** A type as the documentation calls it: `instant vector`, `range vector`, `scalar`, `string`. */
export function documentedType(type: ValueType): string {
  return type === 'vector' ? 'instant vector' : type === 'matrix' ? 'range vector' : type
}

/**
 * Checks a tree the parser has just built and settles the vector matching of its binary operators, in place.
 * @param text the query, to place the problems of operators.
 * @see prometheus/promql/parser/parse.go checkAST: the same order of problems, the same words
 */
export function checkExpr(text: string, expr: Expr): Problem[] {
  const checker = new Checker(text)
  checker.check(expr)
  return checker.problems
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const comparisons: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])
const setOperators: ReadonlySet<string> = new Set(['and', 'or', 'unless'])
const scalarParams: ReadonlySet<string> = new Set(['topk', 'bottomk', 'quantile', 'limitk', 'limit_ratio'])

class Checker {
  readonly problems: Problem[] = []
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }

  #problem(span: Span, message: string): void {
    this.problems.push({ span, message })
  }

  check(expr: Expr): ValueType {
    switch (expr.kind) {
      case 'aggregate':
        this.#aggregate(expr)
        return 'vector'
      case 'binary':
        return this.#binary(expr)
      case 'call':
        return this.#call(expr)
      case 'paren':
        return this.check(expr.expr)
      case 'unary': {
        const type = this.check(expr.expr)
        if (type !== 'scalar' && type !== 'vector') {
          const got = quote(documentedType(type))
          this.#problem(expr.span, `unary expression only allowed on expressions of type scalar or instant vector, got ${got}`)
        }
        return type
      }
      case 'subquery': {
        const type = this.check(expr.expr)
        if (type !== 'vector') this.#problem(expr.span, `subquery is only allowed on instant vector, got ${type} instead`)
        return 'matrix'
      }
      case 'matrix':
        this.#selector(expr.selector)
        return 'matrix'
      case 'selector':
        this.#selector(expr)
        return 'vector'
      case 'number':
        return 'scalar'
      case 'string':
        return 'string'
    }
  }

  #expectType(expr: Expr, wanted: ValueType, context: string): void {
    const type = this.check(expr)
    if (type !== wanted) {
      this.#problem(expr.span, `expected type ${documentedType(wanted)} in ${context}, got ${documentedType(type)}`)
    }
  }

  #aggregate({ op, expr, param }: Aggregate): void {
    this.#expectType(expr, 'vector', 'aggregation expression')
    if (param === null) return
    if (scalarParams.has(op)) this.#expectType(param, 'scalar', 'aggregation parameter')
    if (op === 'count_values') this.#expectType(param, 'string', 'aggregation parameter')
  }

  #binary(expr: Binary): ValueType {
    const { op, left, right, span } = expr
    const leftType = this.check(left)
    const rightType = this.check(right)
    const matching = expr.matching!
    const isSet = setOperators.has(op)
    const scalars = leftType === 'scalar' && rightType === 'scalar'
    if (expr.returnBool && !comparisons.has(op)) {
      this.#problem(this.#operatorSpan(expr), 'bool modifier can only be used on comparison operators')
    }
    if (comparisons.has(op) && !expr.returnBool && scalars) {
      this.#problem(this.#operatorSpan(expr), 'comparisons between scalars must use BOOL modifier')
    }
    for (const label of matching.labels) {
      if (matching.on && matching.include.includes(label)) {
        this.#problem(this.#operatorSpan(expr), `label ${quote(label)} must not occur in ON and GROUP clause at once`)
      }
    }
    for (const [side, type] of [[left, leftType], [right, rightType]] as const) {
      if (type !== 'scalar' && type !== 'vector') {
        this.#problem(side.span, 'binary expression must contain only scalar and instant vector types')
      }
    } // prettier-ignore
    const mutable = expr as Mutable<Binary>
    if (leftType !== 'vector' || rightType !== 'vector') {
      if (matching.labels.length > 0) this.#problem(span, 'vector matching only allowed between instant vectors')
      if (hasFill(matching)) this.#problem(span, 'filling in missing series only allowed between instant vectors')
      mutable.matching = null
    } else if (isSet) {
      if (matching.cardinality !== 'one-to-one') {
        this.#problem(span, `no grouping allowed for ${quote(op)} operation`)
        this.#problem(span, 'set operations must always be many-to-many')
      }
      if (hasFill(matching)) this.#problem(span, 'filling in missing series not allowed for set operators')
      mutable.matching = { ...matching, cardinality: 'many-to-many' }
    }
    if (isSet && (leftType === 'scalar' || rightType === 'scalar')) {
      this.#problem(span, `set operator ${quote(op)} not allowed in binary scalar expression`)
    }
    return scalars ? 'scalar' : 'vector'
  }

  /** Where the operator and its modifiers stand: between the two sides, spaces left out. */
  #operatorSpan({ left, right }: Binary): Span {
    const between = this.#text.slice(left.span.to, right.span.from)
    const from = left.span.to + (between.length - between.trimStart().length)
    return { from, to: from + between.trim().length }
  }

  #call(call: Call): ValueType {
    const { args, span, func } = call
    const { argTypes, variadic, returnType } = functionSignatures.get(func)!
    const name = quote(func)
    if (variadic === 0) {
      if (args.length !== argTypes.length) {
        this.#problem(span, `expected ${argTypes.length} argument(s) in call to ${name}, got ${args.length}`)
      }
    } else {
      const least = argTypes.length - 1
      const most = least + variadic
      if (args.length < least) this.#problem(span, `expected at least ${least} argument(s) in call to ${name}, got ${args.length}`)
      else if (variadic > 0 && args.length > most) {
        this.#problem(span, `expected at most ${most} argument(s) in call to ${name}, got ${args.length}`)
      }
    }
    const selectorOfInfo = func === 'info' && args.length > 1 ? this.#infoSelector(call) : null
    for (const [i, arg] of args.entries()) {
      if (i >= argTypes.length && variadic === 0) break
      const wanted = argTypes[Math.min(i, argTypes.length - 1)]!
      const type = arg === selectorOfInfo ? 'vector' : this.check(arg)
      if (type !== wanted) {
        this.#problem(arg.span, `expected type ${documentedType(wanted)} in call to function ${name}, got ${documentedType(type)}`)
      }
    }
    return returnType
  }

  /** The second argument of info(): label matchers only, of which all may match nothing. @returns it where it is good. */
  #infoSelector({ args, span }: Call): Expr | null {
    const second = args[1]!
    const type = valueType(second)
    if (type !== 'vector') {
      this.#problem(span, `expected type instant vector in call to function "info", got ${documentedType(type)}`)
    }
    if (second.kind === 'selector' && second.name === '') return second
    const got = second.kind === 'selector' ? ', got vector selector instead' : ''
    this.#problem(second.span, `expected label selectors only${got}`)
    return null
  }

  #selector({ name, matchers, span }: VectorSelector): void {
    if (name !== '') {
      for (const matcher of matchers.slice(0, -1)) {
        if (matcher.name !== '__name__') continue
        this.#problem(span, `metric name must not be set twice: ${quote(name)} or ${quote(matcher.value)}`)
      }
      return
    }
    // so that a typo does not select every series there is
    if (matchers.every((matcher) => compileMatcher(matcher).isEmptyMatch)) {
      this.#problem(span, 'vector selector must contain at least one non-empty matcher')
    }
  }
}

function hasFill({ fillLeft, fillRight }: VectorMatching): boolean {
  return fillLeft !== null || fillRight !== null
}
