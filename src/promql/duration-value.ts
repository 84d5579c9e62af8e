// What a duration of a query comes to once the query's step and range are known.

import type { DurationExpr } from './ast.ts'
import { durationMsMax } from '../model/duration.ts'

/** The query a duration stands in: 0 ms of step and range for an instant query. */
export type DurationContext = Readonly<{ stepMs: number; rangeMs: number }>

/**
 * @param allowNegative true for an offset; ranges and steps must be above zero.
 * @returns whole milliseconds, a fraction cut off; and a problem with the span in front, as Prometheus words it, or null.
 * @see prometheus/promql/durations.go
 */
export function durationValue(
  duration: DurationExpr,
  context: DurationContext,
  allowNegative: boolean,
): { ms: number; problem: string | null } {
  if (duration.kind === 'constant') return { ms: duration.ms, problem: null } // the parser has looked at it
  const failed = (why: string, { from, to } = duration.span): { ms: number; problem: string } => ({
    ms: 0,
    problem: `${from}:${to}: ${why}`,
  })
  const value = seconds(duration, context)
  if (typeof value !== 'number') return failed(value.why, value.span)
  if (!Number.isFinite(value)) return failed('duration is NaN or infinite')
  if (value <= 0 && !allowNegative) return failed('duration must be greater than 0')
  if (Math.abs(value) * 1000 > durationMsMax) return failed('duration is out of range')
  const ms = Math.trunc(value * 1000)
  return { ms: ms === 0 ? 0 : ms, problem: null }
}

type Failure = Readonly<{ why: string; span: DurationExpr['span'] }>

function seconds(term: DurationExpr, context: DurationContext): number | Failure {
  switch (term.kind) {
    case 'constant':
      return term.seconds
    case 'step':
      return context.stepMs / 1000
    case 'range':
      return context.rangeMs / 1000
    case 'paren':
      return seconds(term.inner, context)
    case 'unary': {
      const value = seconds(term.operand, context)
      return typeof value === 'number' && term.op === '-' ? -value : value
    }
    default:
      break
  }
  const left = seconds(term.left, context)
  const right = seconds(term.right, context)
  if (typeof left !== 'number') return left
  if (typeof right !== 'number') return right
  if (term.kind !== 'binary') return term.kind === 'minOf' ? Math.min(left, right) : Math.max(left, right)
  switch (term.op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return right === 0 ? { why: 'division by zero', span: term.span } : left / right
    case '%':
      return right === 0 ? { why: 'modulo by zero', span: term.span } : left % right
    case '^':
      // 1 to any power is 1 in Go, also where JavaScript says NaN
      return left === 1 || (left === -1 && Math.abs(right) === Infinity) ? 1 : left ** right
  }
}
