// A tree as text, in Prometheus' one way of writing it. What it prints reads back as the same tree.

import { compareText, isLegacyLabelName, quote } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'
import { formatFloatF, formatFloatG } from '../model/number-text.ts'
import { printDuration } from '../model/duration.ts'
import type { Aggregate, AtModifier, Binary, DurationExpr, Expr, Subquery, VectorSelector } from './ast.ts'

/** The expression on one line. @see prometheus/promql/parser/printer.go */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'number':
      return printNumber(expr.value, expr.isDuration)
    case 'string':
      return quote(expr.value)
    case 'selector':
      return printSelector(expr)
    case 'matrix': {
      const { selector, range } = expr
      const bare = printSelector({ ...selector, offset: null, at: null, anchored: false, smoothed: false })
      const extension = selector.anchored ? ' anchored' : selector.smoothed ? ' smoothed' : ''
      return `${bare}[${printDurationExpr(range)}]${extension}${printAt(selector.at)}${printOffset(selector.offset)}`
    }
    case 'subquery':
      return printExpr(expr.expr) + printSubquerySuffix(expr)
    case 'call':
      return `${expr.func}(${expr.args.map(printExpr).join(', ')})`
    case 'aggregate': {
      const param = expr.param === null ? '' : `${printExpr(expr.param)}, `
      return `${printAggregateHead(expr)}(${param}${printExpr(expr.expr)})`
    }
    case 'binary':
      return `${printExpr(expr.left)} ${printOperator(expr)} ${printExpr(expr.right)}`
    case 'unary':
      return expr.op + printExpr(expr.expr)
    case 'paren':
      return `(${printExpr(expr.expr)})`
  }
}

/** `sum by (a, b) `: what stands before an aggregation's parenthesis. */
export function printAggregateHead({ op, grouping, without }: Aggregate): string {
  if (without) return `${op} without (${printLabelNames(grouping)}) `
  return grouping.length > 0 ? `${op} by (${printLabelNames(grouping)}) ` : op
}

/** `== bool on (a) group_left (b) fill (0)`: an operator with its modifiers. */
export function printOperator({ op, returnBool, matching }: Binary): string {
  let out = returnBool ? `${op} bool` : op
  if (matching === null) return out
  const { cardinality, labels, on, include, fillLeft, fillRight } = matching
  const isGrouped = cardinality === 'many-to-one' || cardinality === 'one-to-many'
  if (labels.length > 0 || on || isGrouped) out += ` ${on ? 'on' : 'ignoring'} (${printLabelNames(labels)})`
  if (isGrouped) out += ` group_${cardinality === 'many-to-one' ? 'left' : 'right'} (${printLabelNames(include)})`
  if (fillLeft !== null && fillLeft === fillRight) return `${out} fill (${formatFloatG(fillLeft)})`
  if (fillLeft !== null) out += ` fill_left (${formatFloatG(fillLeft)})`
  if (fillRight !== null) out += ` fill_right (${formatFloatG(fillRight)})`
  return out
}

/** `[1h:5m] @ 12.000 offset 1m`: what stands behind a subquery's expression. */
export function printSubquerySuffix({ range, step, at, offset }: Subquery): string {
  return `[${printDurationExpr(range)}:${step === null ? '' : printDurationExpr(step)}]${printAt(at)}${printOffset(offset)}`
}

/** `a="b"`; odd names are quoted. @see prometheus/model/labels Matcher.String */
export function printMatcher({ name, kind, value }: Matcher): string {
  return `${isLegacyLabelName(name) ? name : quote(name)}${kind}${quote(value)}`
}

function printLabelNames(names: readonly string[]): string {
  return names.map((name) => (isLegacyLabelName(name) ? name : quote(name))).join(', ')
}

function printSelector({ name, matchers, at, offset, anchored, smoothed }: VectorSelector): string {
  const shown = matchers.filter((m) => !(m.name === '__name__' && m.kind === '=' && m.value === name && name !== ''))
  // info(x, {}) may select by nothing at all
  const braces = shown.length === 0 ? (name === '' ? '{}' : '') : `{${shown.map(printMatcher).sort(compareText).join(',')}}`
  const extension = anchored ? ' anchored' : smoothed ? ' smoothed' : ''
  return name + braces + printAt(at) + extension + printOffset(offset)
}

function printAt(at: AtModifier | null): string {
  if (at === null) return ''
  if (at.kind !== 'time') return ` @ ${at.kind}()`
  return ` @ ${at.timeMs < 0 ? '-' : ''}${printThousandths(Math.abs(at.timeMs))}`
}

/** Whole milliseconds as seconds with three decimals, however many there are. */
function printThousandths(ms: number): string {
  const digits = formatFloatF(ms).padStart(4, '0')
  return `${digits.slice(0, -3)}.${digits.slice(-3)}`
}

function printOffset(offset: DurationExpr | null): string {
  if (offset === null || (offset.kind === 'constant' && offset.ms === 0)) return ''
  return ` offset ${printDurationExpr(offset)}`
}

/** A duration where it stands by itself: a constant is always written with units there. */
export function printDurationExpr(duration: DurationExpr): string {
  return duration.kind === 'constant' ? printDuration(duration.ms) : printDurationTerm(duration)
}

function printDurationTerm(term: DurationExpr): string {
  switch (term.kind) {
    case 'constant':
      return printNumber(term.seconds, term.isDuration)
    case 'step':
    case 'range':
      return `${term.kind}()`
    case 'minOf':
    case 'maxOf':
      return `${term.kind === 'minOf' ? 'min_of' : 'max_of'}(${printDurationTerm(term.left)}, ${printDurationTerm(term.right)})`
    case 'unary':
      return (term.op === '-' ? '-' : '') + printDurationTerm(term.operand)
    case 'binary':
      return `${printDurationTerm(term.left)} ${term.op} ${printDurationTerm(term.right)}`
    case 'paren':
      return `(${printDurationTerm(term.inner)})`
  }
}

/** Prometheus loses a millisecond of some literals (`1s1ms` prints as `1s`); here they read back as they were. */
function printNumber(value: number, isDuration: boolean): string {
  return isDuration ? printDuration(Math.round(value * 1000)) : formatFloatF(value)
}
