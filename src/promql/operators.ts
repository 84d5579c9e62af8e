// Binary operators on single samples. Source: prometheus promql/engine.go scalarBinop and vectorElemBinop.
import { counterReset, type Histogram } from '../model/histogram.ts'
import { add, compact, divide, equals, multiply, subtract, withCounterReset } from '../model/histogram-arithmetic.ts'
import { trimHistogram } from '../model/histogram-trim.ts'
import type { Annotations } from './annotations.ts'
import type { BinaryOp, Span } from './ast.ts'

/** Go's math.Pow: 1 to any power and −1 to ±Inf are 1, where JavaScript says NaN. */
export function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && (exponent === Infinity || exponent === -Infinity))) return 1
  return base ** exponent
}

const comparisonOps: ReadonlySet<string> = new Set(['==', '!=', '>', '<', '>=', '<='])

export function isComparison(op: BinaryOp): boolean {
  return comparisonOps.has(op)
}

/** Whether the result is another quantity than the operands, so that it loses its name. */
export function changesMetric(op: BinaryOp): boolean {
  return op === '+' || op === '-' || op === '*' || op === '/' || op === '%' || op === '^' || op === 'atan2'
}

/** Comparisons give 0 or 1. */
export function scalarOperation(op: BinaryOp): (a: number, b: number) => number {
  switch (op) {
    case '+':
      return (a, b) => a + b
    case '-':
      return (a, b) => a - b
    case '*':
      return (a, b) => a * b
    case '/':
      return (a, b) => a / b
    case '%':
      return (a, b) => a % b
    case '^':
      return power
    case 'atan2':
      return Math.atan2
    case '==':
      return (a, b) => (a === b ? 1 : 0)
    case '!=':
      return (a, b) => (a !== b ? 1 : 0)
    case '>':
      return (a, b) => (a > b ? 1 : 0)
    case '<':
      return (a, b) => (a < b ? 1 : 0)
    case '>=':
      return (a, b) => (a >= b ? 1 : 0)
    case '<=':
      return (a, b) => (a <= b ? 1 : 0)
    default:
      throw new Error(`BUG: operator ${op} is not for scalars`)
  }
}

/** What an operation with a histogram gives: a histogram, whether a comparison holds, or nothing. */
export type HistogramOutcome = Readonly<{ histogram: Histogram; keep: boolean }> | null

/**
 * One operation where at least one side is a histogram; `a` and `b` are null where that side is the float beside it.
 * Incompatible types give nothing and an info, incompatible buckets a warning.
 */
export function histogramOperation(
  op: BinaryOp,
  aFloat: number,
  a: Histogram | null,
  bFloat: number,
  b: Histogram | null,
  span: Span,
  annotations: Annotations,
): HistogramOutcome {
  if (a !== null && b !== null) {
    switch (op) {
      case '+':
      case '-': {
        const operation = op === '+' ? 'addition' : 'subtraction'
        const combined = op === '+' ? add(a, b) : subtract(a, b)
        if (combined === null) {
          annotations.incompatibleBuckets(op, span)
          return null
        }
        if (combined.resetCollision) {
          annotations.resetCollision(operation, span) // and, as upstream, no result
          return null
        }
        if (combined.boundsReconciled) annotations.boundsReconciled(operation, span)
        const result = compact(combined.result)
        return { histogram: op === '+' ? result : withCounterReset(result, counterReset.gauge), keep: true }
      }
      case '==':
        return { histogram: a, keep: equals(a, b) }
      case '!=':
        return { histogram: a, keep: !equals(a, b) }
      default:
        annotations.incompatibleTypes('histogram', op, 'histogram', span)
        return null
    }
  }
  if (a !== null) {
    switch (op) {
      case '*':
        return { histogram: compact(multiply(a, bFloat)), keep: true }
      case '/':
        return { histogram: compact(divide(a, bFloat)), keep: true }
      case '</':
      case '>/':
        return { histogram: trimHistogram(a, bFloat, op === '</'), keep: true }
      default:
        annotations.incompatibleTypes('histogram', op, 'float', span)
        return null
    }
  }
  if (op === '*') return { histogram: compact(multiply(b!, aFloat)), keep: true }
  annotations.incompatibleTypes('float', op, 'histogram', span)
  return null
}
