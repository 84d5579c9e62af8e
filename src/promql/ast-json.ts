// A tree as the JSON of /api/v1/parse_query, for tree views and editors.

import type { Matcher } from '../model/matcher.ts'
import { formatFloatF } from '../model/number-text.ts'
import type { AtModifier, DurationExpr, Expr, VectorSelector } from './ast.ts'
import { functionSignatures } from './functions/signatures.ts'

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** @see prometheus/web/api/v1/translate_ast.go: the same keys and values */
export function exprToJson(expr: Expr): JsonValue {
  switch (expr.kind) {
    case 'aggregate': {
      const { op, param, grouping, without } = expr
      return { type: 'aggregation', op, expr: exprToJson(expr.expr), param: param === null ? null : exprToJson(param), grouping, without }
    }
    case 'binary': {
      const { op, left, right, matching, returnBool } = expr
      return {
        type: 'binaryExpr',
        op,
        lhs: exprToJson(left),
        rhs: exprToJson(right),
        matching:
          matching === null
            ? null
            : {
                card: matching.cardinality,
                labels: matching.labels,
                on: matching.on,
                include: matching.include,
                fillValues: { lhs: matching.fillLeft, rhs: matching.fillRight },
              },
        bool: returnBool,
      }
    }
    case 'call': {
      const { argTypes, variadic, returnType } = functionSignatures.get(expr.func)!
      return { type: 'call', func: { name: expr.func, argTypes, variadic, returnType }, args: expr.args.map(exprToJson) }
    }
    case 'matrix':
      return { ...selectorToJson(expr.selector), type: 'matrixSelector', ...durationToJson('range', expr.range) }
    case 'subquery':
      return {
        type: 'subquery',
        expr: exprToJson(expr.expr),
        ...durationToJson('range', expr.range),
        ...durationToJson('offset', expr.offset),
        ...durationToJson('step', expr.step),
        ...atToJson(expr.at),
      }
    case 'number':
      return { type: 'numberLiteral', val: formatFloatF(expr.value) }
    case 'paren':
      return { type: 'parenExpr', expr: exprToJson(expr.expr) }
    case 'string':
      return { type: 'stringLiteral', val: expr.value.toWellFormed() }
    case 'unary':
      return { type: 'unaryExpr', op: expr.op, expr: exprToJson(expr.expr) }
    case 'selector':
      return selectorToJson(expr)
  }
}

type JsonObject = { readonly [key: string]: JsonValue }

function selectorToJson({ name, offset, matchers, at, anchored, smoothed }: VectorSelector): JsonObject {
  return {
    type: 'vectorSelector',
    name,
    ...durationToJson('offset', offset),
    matchers: matchers.map(({ name: label, value, kind }: Matcher) => ({
      name: label.toWellFormed(),
      value: value.toWellFormed(),
      type: kind,
    })),
    ...atToJson(at),
    anchored,
    smoothed,
  }
}

function atToJson(at: AtModifier | null): JsonObject {
  if (at === null) return { timestamp: null, startOrEnd: null }
  return at.kind === 'time' ? { timestamp: at.timeMs, startOrEnd: null } : { timestamp: null, startOrEnd: at.kind }
}

/** A constant is milliseconds under `name`; an expression is a tree under `<name>Expr`, and 0 milliseconds. */
function durationToJson(name: string, duration: DurationExpr | null): JsonObject {
  if (duration === null) return { [name]: 0, [`${name}Expr`]: null }
  if (duration.kind === 'constant') return { [name]: duration.ms, [`${name}Expr`]: null }
  return { [name]: 0, [`${name}Expr`]: termToJson(duration) }
}

function termToJson(term: DurationExpr): JsonValue {
  switch (term.kind) {
    case 'constant':
      return { type: 'numberLiteral', val: formatFloatF(term.seconds), duration: term.isDuration }
    case 'paren': {
      // Prometheus flags the inner node; a bare number gets a plus around it to carry the flag
      const inner = termToJson(term.inner) as JsonObject
      return term.inner.kind === 'constant' ? durationNode('+', null, inner, true) : { ...inner, wrapped: true }
    }
    case 'step':
    case 'range':
      return durationNode(term.kind, null, null, false)
    case 'unary':
      return durationNode(term.op, null, termToJson(term.operand), false)
    case 'minOf':
    case 'maxOf':
      return durationNode(term.kind === 'minOf' ? 'min_of' : 'max_of', termToJson(term.left), termToJson(term.right), false)
    case 'binary':
      return durationNode(term.op, termToJson(term.left), termToJson(term.right), false)
  }
}

function durationNode(op: string, lhs: JsonValue, rhs: JsonValue, wrapped: boolean): JsonObject {
  return { type: 'durationExpr', op, lhs, rhs, wrapped }
}
