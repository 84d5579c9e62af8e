import { utf8Length } from './ast.ts'

/**
 * Go values as templates see them:
 *
 *   undefined   no value (prints `<no value>`)      string, boolean   themselves
 *   null        nil in an interface                 bigint            any integer type, shown as int
 *   number      float64                             the classes below: maps, slices, structs, times, durations, marked-safe text, others
 *
 * Every class can carry methods; `pointer` says that Go holds a pointer to it, which shows in type names.
 */

/** Methods by name; the receiver comes first. */
export type Methods<T> = Readonly<Record<string, Method<T>>>
export type Method<T> = Readonly<{
  params: readonly GoType[]
  variadic?: boolean
  call: (receiver: T, args: readonly unknown[]) => unknown
}>

/** A Go type as Go prints it, e.g. 'string', 'interface {}', '*template.sample'; 'reflect.Value' takes anything as it is. */
export type GoType = string

export class MapValue {
  readonly entries: ReadonlyMap<string, unknown>
  readonly goType: GoType
  /** What a missing key gives: '' for map[string]string, null for map[string]interface {}. */
  readonly missing: unknown
  readonly methods: Methods<MapValue>
  constructor(
    entries: ReadonlyMap<string, unknown>,
    goType: GoType = 'map[string]string',
    missing: unknown = '',
    methods: Methods<MapValue> = {},
  ) {
    this.entries = entries
    this.goType = goType
    this.missing = missing
    this.methods = methods
  }
}

export class ListValue {
  readonly items: readonly unknown[]
  readonly goType: GoType
  readonly methods: Methods<ListValue>
  constructor(items: readonly unknown[], goType: GoType = '[]interface {}', methods: Methods<ListValue> = {}) {
    this.items = items
    this.goType = goType
    this.methods = methods
  }
}

const noFields: ReadonlySet<string> = new Set()

export class StructValue {
  /** In the order Go declares them. */
  readonly fields: ReadonlyMap<string, unknown>
  /** Without the star. */
  readonly goType: GoType
  readonly pointer: boolean
  readonly methods: Methods<StructValue>
  /** Fields declared as interface {}: shows in messages only. */
  readonly interfaceFields: ReadonlySet<string>
  constructor(
    fields: ReadonlyMap<string, unknown>,
    goType: GoType,
    options: Readonly<{ pointer?: boolean; methods?: Methods<StructValue>; interfaceFields?: ReadonlySet<string> }> = {},
  ) {
    this.fields = fields
    this.goType = goType
    this.pointer = options.pointer ?? false
    this.methods = options.methods ?? {}
    this.interfaceFields = options.interfaceFields ?? noFields
  }
}

/** A value that only prints, such as a histogram. */
export class PrintedValue {
  readonly goType: GoType
  readonly text: string
  constructor(goType: GoType, text: string) {
    this.goType = goType
    this.text = text
  }
}

/** Text of html/template's trusted kinds. */
export type SafeKind = 'HTML' | 'HTMLAttr' | 'JS' | 'JSStr' | 'CSS' | 'URL' | 'Srcset'
export class SafeText {
  readonly kind: SafeKind
  readonly text: string
  constructor(kind: SafeKind, text: string) {
    this.kind = kind
    this.text = text
  }
}

/** A moment, in nanoseconds since the epoch, UTC. */
export class TimeValue {
  readonly nanos: bigint
  readonly pointer: boolean
  constructor(nanos: bigint, pointer = false) {
    this.nanos = nanos
    this.pointer = pointer
  }
}

export class DurationValue {
  readonly nanos: bigint
  readonly pointer: boolean
  constructor(nanos: bigint, pointer = false) {
    this.nanos = nanos
    this.pointer = pointer
  }
}

/** What templates can call. `E` is what the caller gives every expansion: the time, the external URL and so on. */
export type TemplateFunction<E> = Readonly<{
  /** With `variadic` the last one repeats, none included. */
  params: readonly GoType[]
  variadic?: boolean
  call: (args: readonly unknown[], context: FunctionContext<E>) => unknown
}>
export type FunctionTable<E> = ReadonlyMap<string, TemplateFunction<E>>

export type FunctionContext<E> = Readonly<{
  env: E
  /** The answer to a question only the outside can answer; see expand.ts. */
  ask: (question: string) => unknown
  /** Runs another body of the same set and gives its output. */
  execute: (name: string, data: unknown) => string
}>

/** The largest text one call may give, in UTF-16 units. */
export const textMax = 16 << 20

/** A function's refusal: reaches the user as `error calling <name>: <message>`. */
export class FunctionError extends Error {}

/** Any value → the same, with null (nil in an interface) become undefined. */
export function withoutInterface(value: unknown): unknown {
  return value === null ? undefined : value
}

export function typeName(value: unknown): GoType {
  switch (typeof value) {
    case 'string':
      return 'string'
    case 'number':
      return 'float64'
    case 'bigint':
      return 'int'
    case 'boolean':
      return 'bool'
  }
  if (value === null || value === undefined) return 'interface {}'
  if (value instanceof MapValue || value instanceof ListValue || value instanceof PrintedValue) return value.goType
  if (value instanceof StructValue) return value.pointer ? `*${value.goType}` : value.goType
  if (value instanceof SafeText) return `template.${value.kind}`
  if (value instanceof TimeValue) return value.pointer ? '*time.Time' : 'time.Time'
  if (value instanceof DurationValue) return value.pointer ? '*time.Duration' : 'time.Duration'
  return 'func'
}

/** Whether nil can stand for this type. */
export function canBeNil(type: GoType): boolean {
  return type === 'interface {}' || type === 'reflect.Value' || /^(?:\*|\[\]|map\[|func)/.test(type) || nilableNames.has(type)
}
const nilableNames = new Set(['template.queryResult', 'template.KV', 'template.Alerts', 'template.Pairs'])

/** Go's notion of a value that is not the zero of its type. */
export function isTrue(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      return value !== ''
    case 'number':
      return value !== 0 // NaN is true
    case 'bigint':
      return value !== 0n
    case 'boolean':
      return value
  }
  if (value === null || value === undefined) return false
  if (value instanceof MapValue) return value.entries.size > 0
  if (value instanceof ListValue) return value.items.length > 0
  if (value instanceof SafeText) return value.text !== ''
  if (value instanceof DurationValue) return value.pointer || value.nanos !== 0n
  return true
}

/** Values whose Go kind is string. */
export function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : value instanceof SafeText ? value.text : null
}

/** Values whose Go kind is an integer. */
export function integerOf(value: unknown): bigint | null {
  return typeof value === 'bigint' ? value : value instanceof DurationValue && !value.pointer ? value.nanos : null
}

/** Go's len, or null where there is none. */
export function lengthOf(value: unknown): number | null {
  const text = stringOf(value)
  if (text !== null) return utf8Length(text)
  if (value instanceof MapValue) return value.entries.size
  if (value instanceof ListValue) return value.items.length
  return null
}
