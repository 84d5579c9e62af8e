// What a plan has to know about time before it can place anything: durations in ms, and which expressions are the same at every step.
// Source of the rules: prometheus promql/durations.go, promql/engine.go preprocessExprHelper.
import { PromhiveError } from '../base/errors.ts'
import type { DurationExpr, Expr } from './ast.ts'

/** Functions whose result depends on the evaluation time even where their arguments do not. */
export const stepDependent: ReadonlySet<string> = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'hour',
  'minute',
  'month',
  'year',
  'predict_linear',
  'time',
  'timestamp',
])

/** Functions that PromQL folds into numbers once the query's times are known. */
export const contextFunctions: ReadonlySet<string> = new Set(['start', 'end', 'range', 'step'])

export function withoutParens(expr: Expr): Expr {
  while (expr.kind === 'paren') expr = expr.expr
  return expr
}

/** invariant: the same at every step. wrap: worth evaluating once (numbers are not, range vectors are looked at by their function). */
export type Invariance = Readonly<{ invariant: boolean; wrap: boolean }>

/** Remembers what it found for every expression of one query. */
export class InvarianceFinder {
  readonly #known = new Map<Expr, Invariance>()
  of(expr: Expr): Invariance {
    const known = this.#known.get(expr)
    if (known !== undefined) return known
    const found = this.#find(expr)
    this.#known.set(expr, found)
    return found
  }

  #find(expr: Expr): Invariance {
    switch (expr.kind) {
      case 'selector':
        return { invariant: expr.at !== null, wrap: expr.at !== null }
      case 'matrix':
        return { invariant: expr.selector.at !== null, wrap: false }
      case 'subquery':
        return { invariant: expr.at !== null, wrap: false }
      case 'aggregate': {
        const inner = this.of(expr.expr)
        const param = expr.param === null || this.of(expr.param).invariant
        return { invariant: inner.invariant && param, wrap: inner.wrap }
      }
      case 'binary': {
        const both = this.of(expr.left).invariant && this.of(expr.right).invariant
        return { invariant: both, wrap: both }
      }
      case 'call': {
        if (contextFunctions.has(expr.func)) return { invariant: true, wrap: false }
        const args = expr.args.map(withoutParens)
        const all = args.every((arg) => this.of(arg).invariant)
        const safe = !stepDependent.has(expr.func) || (expr.func === 'timestamp' && args.every((arg) => arg.kind === 'selector'))
        return { invariant: all && safe, wrap: all && safe }
      }
      case 'paren':
      case 'unary':
        return this.of(expr.expr)
      case 'string':
      case 'number':
        return { invariant: true, wrap: false }
    }
  }
}

/** Durations that may depend on the query's step and range. */
export class Durations {
  readonly #stepMs: number
  readonly #rangeMs: number
  constructor(stepMs: number, rangeMs: number) {
    this.#stepMs = stepMs
    this.#rangeMs = rangeMs
  }
  /** A duration in whole ms. Throws PROMQL_PARSE with its offsets, as Prometheus does. */
  ms(expr: DurationExpr, mayBeNegative: boolean): number {
    if (expr.kind === 'constant') return expr.ms
    const seconds = this.#seconds(expr)
    const { from, to } = expr.span
    const refuse = (why: string): never => {
      throw new PromhiveError('PROMQL_PARSE', `${from}:${to}: ${why}`)
    }
    if (!Number.isFinite(seconds)) refuse('duration is NaN or infinite')
    if (seconds <= 0 && !mayBeNegative) refuse('duration must be greater than 0')
    if (Math.abs(seconds) > 2 ** 63 / 1e9) refuse('duration is out of range')
    return Math.trunc(seconds * 1000)
  }

  #seconds(expr: DurationExpr): number {
    switch (expr.kind) {
      case 'constant':
        return expr.ms / 1000
      case 'step':
        return this.#stepMs / 1000
      case 'range':
        return this.#rangeMs / 1000
      case 'unary':
        return expr.op === '-' ? -this.#seconds(expr.operand) : this.#seconds(expr.operand)
      case 'paren':
        return this.#seconds(expr.inner)
      case 'minOf':
        return Math.min(this.#seconds(expr.left), this.#seconds(expr.right))
      case 'maxOf':
        return Math.max(this.#seconds(expr.left), this.#seconds(expr.right))
      case 'binary': {
        const left = this.#seconds(expr.left)
        const right = this.#seconds(expr.right)
        if (right === 0 && (expr.op === '/' || expr.op === '%'))
          throw new PromhiveError(
            'PROMQL_PARSE',
            `${expr.span.from}:${expr.span.to}: ${expr.op === '/' ? 'division by zero' : 'modulo by zero'}`,
          )
        switch (expr.op) {
          case '+':
            return left + right
          case '-':
            return left - right
          case '*':
            return left * right
          case '/':
            return left / right
          case '%':
            return left % right
          case '^':
            return left ** right
        }
      }
    }
  }
}
