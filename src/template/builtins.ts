import { compareText, quote } from '../model/labels.ts'
import { escapeHtml, escapeJs, escapeQuery, textOfArguments } from './escape-text.ts'
import { printValue, sprint, sprintf, sprintln } from './print.ts'
import type { TemplateFunction } from './value.ts'
import {
  FunctionError,
  ListValue,
  MapValue,
  SafeText,
  StructValue,
  TimeValue,
  integerOf,
  isTrue,
  lengthOf,
  stringOf,
  typeName,
  withoutInterface,
} from './value.ts'

/** The functions every Go template has. `and`, `or` and `call` are evaluated by the executor; their rows here only hold the parameters. */

const any = 'reflect.Value'
const empty = 'interface {}'

function builtin(params: readonly string[], variadic: boolean, call: (args: readonly unknown[]) => unknown): TemplateFunction<unknown> {
  return { params, variadic, call }
}

export const builtins: ReadonlyMap<string, TemplateFunction<unknown>> = new Map([
  ['and', builtin([any, any], true, () => undefined)],
  ['or', builtin([any, any], true, () => undefined)],
  ['call', builtin([any, any], true, () => undefined)],
  ['not', builtin([any], false, ([value]) => !isTrue(value))],
  ['len', builtin([any], false, ([value]) => length(value))],
  ['index', builtin([any, any], true, ([item, ...indexes]) => indexes.reduce(index, requireItem(item, 'index')))],
  ['slice', builtin([any, any], true, ([item, ...indexes]) => slice(item, indexes))],
  ['html', builtin([empty], true, (args) => escapeHtml(textOfArguments(args)))],
  ['js', builtin([empty], true, (args) => escapeJs(textOfArguments(args)))],
  ['urlquery', builtin([empty], true, (args) => escapeQuery(textOfArguments(args)))],
  ['print', builtin([empty], true, sprint)],
  ['println', builtin([empty], true, sprintln)],
  ['printf', builtin(['string', empty], true, ([format, ...args]) => sprintf(format as string, args))],
  ['eq', builtin([any, any], true, ([first, ...others]) => equalsAny(first, others))],
  ['ne', builtin([any, any], false, ([a, b]) => !equalsAny(a, [b]))],
  ['lt', builtin([any, any], false, ([a, b]) => less(a, b))],
  ['le', builtin([any, any], false, ([a, b]) => less(a, b) || equalsAny(a, [b]))],
  ['gt', builtin([any, any], false, ([a, b]) => !(less(a, b) || equalsAny(a, [b])))],
  ['ge', builtin([any, any], false, ([a, b]) => !less(a, b))],
])

function requireItem(item: unknown, verb: string): unknown {
  if (item === null || item === undefined) throw new FunctionError(`${verb} of untyped nil`)
  return item
}

function length(value: unknown): bigint {
  if (value === undefined) throw new FunctionError('reflect: call of reflect.Value.Type on zero Value')
  if (value === null) throw new FunctionError('len of nil pointer')
  const found = lengthOf(value)
  if (found === null) throw new FunctionError(`len of type ${typeName(value)}`)
  return BigInt(found)
}

/** An index as a number from 0 to `max`. */
function position(at: unknown, max: number): number {
  if (at === null || at === undefined) throw new FunctionError('cannot index slice/array with nil')
  const whole = integerOf(at)
  if (whole === null) throw new FunctionError(`cannot index slice/array with type ${typeName(at)}`)
  if (whole < 0n || whole > BigInt(max)) throw new FunctionError(`index out of range: ${whole}`)
  return Number(whole)
}

function index(item: unknown, at: unknown): unknown {
  if (item === null || item === undefined) throw new FunctionError('index of nil pointer')
  if (item instanceof MapValue) {
    if (at === null || at === undefined) throw new FunctionError('value is nil; should be of type string')
    if (typeof at !== 'string') throw new FunctionError(`value has type ${typeName(at)}; should be string`)
    return item.entries.has(at) ? item.entries.get(at) : item.missing
  }
  if (item instanceof ListValue) {
    const i = position(at, item.items.length)
    if (i === item.items.length) throw new FunctionError('reflect: slice index out of range')
    return item.items[i]
  }
  const text = stringOf(item)
  if (text === null) throw new FunctionError(`can't index item of type ${typeName(item)}`)
  const bytes = new TextEncoder().encode(text)
  const i = position(at, bytes.length)
  if (i === bytes.length) throw new FunctionError('reflect: string index out of range')
  return BigInt(bytes[i]!)
}

function slice(item: unknown, indexes: readonly unknown[]): unknown {
  requireItem(item, 'slice')
  if (indexes.length > 3) throw new FunctionError(`too many slice indexes: ${indexes.length}`)
  const text = stringOf(item)
  if (text !== null && indexes.length === 3) throw new FunctionError('cannot 3-index slice a string')
  if (text === null && !(item instanceof ListValue)) throw new FunctionError(`can't slice item of type ${typeName(item)}`)
  const bytes = text === null ? null : new TextEncoder().encode(text)
  const size = bytes === null ? (item as ListValue).items.length : bytes.length
  const [from = 0, to = size, cap = size] = indexes.map((at) => position(at, size))
  if (from > to) throw new FunctionError(`invalid slice index: ${from} > ${to}`)
  if (to > cap) throw new FunctionError(`invalid slice index: ${to} > ${cap}`)
  if (bytes === null) {
    const list = item as ListValue
    return new ListValue(list.items.slice(from, to), list.goType, list.methods)
  }
  const part = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(from, to))
  return item instanceof SafeText ? new SafeText(item.kind, part) : part
}

type BasicKind = 'bool' | 'int' | 'float' | 'string' | null

function basicKind(value: unknown): BasicKind {
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'float'
  if (integerOf(value) !== null) return 'int'
  return stringOf(value) === null ? null : 'string'
}

function equalsAny(first: unknown, others: readonly unknown[]): boolean {
  if (others.length === 0) throw new FunctionError('missing argument for comparison')
  const a = withoutInterface(first)
  const kind = basicKind(a)
  for (const other of others) {
    const b = withoutInterface(other)
    if (basicKind(b) !== kind) {
      if (a !== undefined && b !== undefined)
        throw new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
      continue
    }
    if (kind === 'string' ? stringOf(a) === stringOf(b) : kind === 'int' ? integerOf(a) === integerOf(b) : kind !== null && a === b)
      return true
    if (kind === null && sameOther(a, b)) return true
  }
  return false
}

/** Equality of what is neither text, number nor bool. */
function sameOther(a: unknown, b: unknown): boolean {
  if (a === undefined || b === undefined || a === null || b === null) return a === b
  if (a.constructor !== b.constructor)
    throw new FunctionError(`non-comparable types ${printValue(a)}: ${typeName(a)}, ${typeName(b)}: ${printValue(b)}`)
  if (a instanceof TimeValue && b instanceof TimeValue && !a.pointer && !b.pointer) return a.nanos === b.nanos
  if (b instanceof StructValue && b.pointer) return a === b
  if (b instanceof MapValue || b instanceof ListValue || b instanceof StructValue) {
    throw new FunctionError(`non-comparable type ${printValue(b)}: ${typeName(b)}`)
  }
  return a === b
}

function less(first: unknown, second: unknown): boolean {
  const a = withoutInterface(first)
  const b = withoutInterface(second)
  const kind = basicKind(a)
  const other = basicKind(b)
  if (kind === null || other === null) throw new FunctionError('invalid type for comparison')
  if (kind !== other) throw new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
  switch (kind) {
    case 'bool':
      throw new FunctionError('invalid type for comparison')
    case 'float':
      return (a as number) < (b as number)
    case 'int':
      return integerOf(a)! < integerOf(b)!
    case 'string':
      return compareText(stringOf(a)!, stringOf(b)!) < 0
  }
}

/** `call` on something that is no function. Data given to templates here holds none. */
export function callOf(name: string, fn: unknown): never {
  if (fn === null || fn === undefined) throw new FunctionError('call of nil')
  throw new FunctionError(`non-function ${name.startsWith('"') ? name : quote(name).slice(1, -1)} of type ${typeName(fn)}`)
}
