// Tables that say what a section of YAML holds: how a value is read (with a position for every problem), defaulted, and printed back.
// Values keep the names of the file (`scrape_interval`); the sections turn them into the options the rest of the program takes.
//
//   const retention = struct('config.plain', { time: field(duration()), percentage: field(float()) }, { check })
//
// Null in the file is the zero value, an absent key the default: as Prometheus' own decoder does it.
import { Secret } from '../base/secret.ts'
import { parseDuration, printDuration } from '../model/duration.ts'
import { quote } from '../model/labels.ts'
import { DumpMap } from './dump.ts'
import type { Dump } from './dump.ts'
import { nearestName } from './problem.ts'
import type { ConfigProblem } from './problem.ts'
import { printSize, readSize } from './quantity.ts'
import { parseGoUrl, redactUrl } from './url.ts'
import { isNull, resolveScalar } from './yaml-tree.ts'
import type { YamlNode, YamlPair, YamlTree } from './yaml-tree.ts'

/** One kind of value. `T` is what the program sees. */
export interface Schema<T> {
  /** The value; undefined where it is broken, and then a problem says why. */
  read(node: YamlNode, reader: Reader, path: string): T | undefined
  zero(): T
  isZero(value: T): boolean
  print(value: T): Dump
}

export interface Field<T> {
  readonly schema: Schema<T>
  /** The value where the key is absent. */
  initial(): T
  /** Printed even where it is zero. */
  readonly always: boolean
}

export type Fields = Readonly<Record<string, Field<unknown>>>
export type FieldsValue<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }
export type ValueOf<S> = S extends Schema<infer T> ? T : never

/** What a problem of a struct is about: the struct (null), one of its keys, or a way down: `['queue_config', 'max_shards']`. */
export type Where = string | null | readonly (string | number)[]
export type Report = (where: Where, message: string) => void

/** Reads one file: its name, its directory for relative paths, what went wrong, and where every struct stands. */
export class Reader {
  readonly file: string
  /** '' leaves relative paths as they are. */
  readonly directory: string
  readonly tree: YamlTree
  readonly problems: ConfigProblem[] = []
  /** Unknown keys are not problems (promtool --ignore-unknown-fields). */
  readonly ignoreUnknown: boolean
  readonly yamlVersion: 2 | 3
  readonly #places = new WeakMap<object, { node: YamlNode; path: string; broken: boolean }>()

  constructor(tree: YamlTree, options: { file: string; directory?: string; ignoreUnknown?: boolean; yamlVersion?: 2 | 3 }) {
    this.tree = tree
    this.file = options.file
    this.directory = options.directory ?? ''
    this.ignoreUnknown = options.ignoreUnknown ?? false
    this.yamlVersion = options.yamlVersion ?? 2
  }
  /** A key that stands twice in a map, in the words of the go-yaml version that reads such files upstream. */
  alreadySet(name: string, typeName: string, firstAt: number): string {
    if (this.yamlVersion === 3) return `mapping key ${quote(name)} already defined at line ${this.tree.place(firstAt).line}`
    return typeName === '' ? `key ${quote(name)} already set in map` : `field ${name} already set in type ${typeName}`
  }
  problem(at: number, path: string, message: string): undefined {
    if (this.problems.length < problemsMax) this.problems.push({ file: this.file, ...this.tree.place(at), path, message })
    return undefined
  }
  remember(value: object, node: YamlNode, path: string, broken: boolean): void {
    this.#places.set(value, { node, path, broken })
  }
  /** A changed copy of a struct stands where the struct stood. */
  moved<T extends object>(from: object, to: T): T {
    const place = this.#places.get(from)
    if (place !== undefined) this.#places.set(to, place)
    return to
  }
  /** A problem of a struct read before: at what `where` names as far as it is written, else at the struct. */
  problemIn(value: object, where: Where, message: string): void {
    const place = this.#places.get(value)
    const steps = where === null ? [] : Array.isArray(where) ? (where as readonly (string | number)[]) : [where as string]
    let node: YamlNode | undefined = place?.node
    let at = node?.at ?? 0
    let path = place?.path ?? ''
    for (const step of steps) {
      path = typeof step === 'number' ? `${path}[${step}]` : joinPath(path, step)
      if (typeof step === 'number') {
        node = node?.kind === 'list' ? node.items[step] : undefined
        at = node?.at ?? at
      } else {
        const pair: YamlPair | undefined = node?.kind === 'map' ? node.pairs.find((p) => p.key.text === step) : undefined
        node = pair?.value
        at = pair?.key.at ?? at
      }
    }
    this.problem(at, path, message)
  }
  /** Line and column of a struct read before. */
  placeOf(value: object): { line: number; column: number } {
    return this.tree.place(this.#places.get(value)?.node.at ?? 0)
  }
  /** The same of one of its keys, or of the value behind the key. */
  placeIn(value: object, key: string, what: 'key' | 'value' = 'key'): { line: number; column: number } {
    const node = this.#places.get(value)?.node
    const pair = node?.kind === 'map' ? node.pairs.find((p) => p.key.text === key) : undefined
    return this.tree.place(pair === undefined ? (node?.at ?? 0) : what === 'key' ? pair.key.at : pair.value.at)
  }
  /** Whether a value of the struct itself could not be read: checks on it would only repeat that. */
  isBroken(value: object): boolean {
    return this.#places.get(value)?.broken ?? false
  }
  /** Whether the key is written in the struct, null or not. */
  hasKey(value: object, key: string): boolean {
    const node = this.#places.get(value)?.node
    return node?.kind === 'map' && node.pairs.some((p) => p.key.text === key)
  }
}

const problemsMax = 1000

export function joinPath(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

/** "cannot unmarshal !!str `abc` into int", as go-yaml says it. */
function mismatch(node: YamlNode, reader: Reader, path: string, into: string): undefined {
  const tag = node.tag !== '' ? node.tag : node.kind === 'map' ? '!!map' : node.kind === 'list' ? '!!seq' : resolveScalar(node).tag
  const text = node.kind !== 'scalar' ? '' : node.text.length > 10 ? ` \`${node.text.slice(0, 7)}...\`` : ` \`${node.text}\``
  return reader.problem(node.at, path, `cannot unmarshal ${tag}${text} into ${into}`)
}

/** The default is the zero value unless given; zero values are not printed. */
export function field<T>(schema: Schema<T>, initial?: T): Field<T> {
  return { schema, initial: () => (initial === undefined ? schema.zero() : initial), always: false }
}

/** The same, but printed always. */
export function always<T>(schema: Schema<T>, initial?: T): Field<T> {
  return { ...field(schema, initial), always: true }
}

type TextOptions = {
  /** What is wrong with the text, or null. Not asked about null. */
  check?: (text: string) => string | null
  /** The Go type named where it is no text. */
  into?: string
}

export function text(options: TextOptions = {}): Schema<string> {
  return {
    read(node, reader, path) {
      if (isNull(node)) return ''
      if (node.kind !== 'scalar') return mismatch(node, reader, path, options.into ?? 'string')
      const why = options.check?.(node.text) ?? null
      return why === null ? node.text : reader.problem(node.at, path, why)
    },
    zero: () => '',
    isZero: (value) => value === '',
    print: (value) => value,
  }
}

/** A path, joined with the directory of the file where it is relative. */
export function filePath(options: TextOptions = {}): Schema<string> {
  const inner = text(options)
  return {
    ...inner,
    read(node, reader, path) {
      const value = inner.read(node, reader, path)
      return value === undefined ? undefined : joinDirectory(reader.directory, value)
    },
  }
}

/** @see Go filepath.Join: `..` and doubled slashes are taken out of what was joined. */
export function joinDirectory(directory: string, path: string): string {
  if (path === '' || path.startsWith('/') || directory === '') return path
  const rooted = directory.startsWith('/')
  const parts: string[] = []
  for (const part of `${directory}/${path}`.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (!rooted) parts.push(part)
  }
  return (rooted ? '/' : '') + parts.join('/') || '.'
}

/** Text that is one of a few. `why` words the problem. */
export function oneOf<const T extends string>(values: readonly T[], why: (text: string) => string): Schema<T | ''> {
  const inner = text({ check: (value) => (values.includes(value as T) ? null : why(value)) })
  return inner as Schema<T | ''>
}

export function secret(): Schema<Secret> {
  const empty = new Secret('')
  return {
    read(node, reader, path) {
      if (isNull(node)) return empty
      return node.kind === 'scalar' ? new Secret(node.text) : mismatch(node, reader, path, 'string')
    },
    zero: () => empty,
    isZero: (value) => value.isEmpty,
    print: (value) => (value.isEmpty ? null : '<secret>'),
  }
}

/** A URL Go can parse, relative ones too; '' where none is given. Passwords in it are not printed. */
export function url(): Schema<string> {
  const inner = text({ check: (value) => parseGoUrl(value).problem })
  return { ...inner, print: redactUrl }
}

export function bool(): Schema<boolean> {
  return {
    read(node, reader, path) {
      if (isNull(node)) return false
      const resolved = node.kind === 'scalar' ? resolveScalar(node) : null
      return resolved?.tag === '!!bool' ? resolved.value : mismatch(node, reader, path, 'bool')
    },
    zero: () => false,
    isZero: (value) => !value,
    print: (value) => value,
  }
}

function number(into: string, fits: (value: number) => number | null): Schema<number> {
  return {
    read(node, reader, path) {
      if (isNull(node)) return 0
      const resolved = node.kind === 'scalar' ? resolveScalar(node) : null
      const value = resolved?.tag === '!!int' || resolved?.tag === '!!float' ? fits(Number(resolved.value)) : null
      return value ?? mismatch(node, reader, path, into)
    },
    zero: () => 0,
    isZero: (value) => value === 0,
    print: (value) => value,
  }
}

export function float(): Schema<number> {
  return number('float64', (value) => value)
}
export function int(into = 'int'): Schema<number> {
  return number(into, (value) => (Math.abs(value) <= 2 ** 63 ? Math.trunc(value) : null))
}
export function uint(into = 'uint'): Schema<number> {
  return number(into, (value) => (value >= 0 && value <= 2 ** 64 ? Math.trunc(value) : null))
}

/** Milliseconds. */
export function duration(): Schema<number> {
  return measure((text) => {
    const { ms, problem } = parseDuration(text)
    return problem === null ? ms : { problem }
  }, printDuration)
}
/** Bytes. Bare numbers lack a unit and are refused. */
export function size(): Schema<number> {
  return measure(readSize, printSize)
}
function measure(parse: (text: string) => number | { problem: string }, print: (value: number) => string): Schema<number> {
  return {
    read(node, reader, path) {
      if (isNull(node)) return 0
      if (node.kind !== 'scalar') return mismatch(node, reader, path, 'string')
      const value = parse(node.text)
      return typeof value === 'number' ? value : reader.problem(node.at, path, value.problem)
    },
    zero: () => 0,
    isZero: (value) => value === 0,
    print,
  }
}

/** Null where absent or null in the file; printed whenever it is there. */
export function optional<T>(schema: Schema<T>): Schema<T | null> {
  return {
    read: (node, reader, path) => (isNull(node) ? null : schema.read(node, reader, path)),
    zero: () => null,
    isZero: (value) => value === null,
    print: (value) => (value === null ? null : schema.print(value)),
  }
}

/**
 * A list. `nullItem` words the problem of an item that is null; without it such an item is the zero value.
 * The list itself is null where absent or null in the file, for those who tell that from an empty one.
 */
export function nullableList<T>(item: Schema<T>, into: string, nullItem: string | null = null): Schema<readonly T[] | null> {
  return {
    read(node, reader, path) {
      if (isNull(node)) return null
      if (node.kind !== 'list') return mismatch(node, reader, path, into)
      const out: T[] = []
      let broken = false
      node.items.forEach((child, i) => {
        const itemPath = `${path}[${i}]`
        if (nullItem !== null && isNull(child)) {
          reader.problem(child.at, itemPath, nullItem)
          broken = true
          return
        }
        const value = item.read(child, reader, itemPath)
        if (value === undefined) broken = true
        else out.push(value)
      })
      return broken && out.length === 0 && node.items.length > 0 ? undefined : Object.freeze(out)
    },
    zero: () => null,
    isZero: (value) => value === null || value.length === 0,
    print: (value) => (value ?? []).map((entry) => item.print(entry)),
  }
}

export function list<T>(item: Schema<T>, into = '[]string', nullItem: string | null = null): Schema<readonly T[]> {
  const inner = nullableList(item, into, nullItem)
  return {
    ...inner,
    read(node, reader, path) {
      const value = inner.read(node, reader, path)
      return value === null ? Object.freeze([]) : value
    },
    zero: () => Object.freeze([]),
    isZero: (value) => value.length === 0,
    print: (value) => inner.print(value),
  }
}

/** Keys of one kind to values of another, in the order written; printed by key. */
export function map<T>(
  item: Schema<T>,
  into = 'map[string]string',
  options: { key?: (name: string) => string | null } = {},
): Schema<Readonly<Record<string, T>>> {
  return {
    read(node, reader, path) {
      if (isNull(node)) return Object.freeze({})
      if (node.kind !== 'map') return mismatch(node, reader, path, into)
      const entries: [string, T][] = []
      const seen = new Map<string, number>()
      let broken = false
      for (const { key, value } of node.pairs) {
        const name = key.text
        const itemPath = joinPath(path, name)
        const firstAt = seen.get(name)
        const why = firstAt !== undefined ? reader.alreadySet(name, '', firstAt) : (options.key?.(name) ?? null)
        seen.set(name, key.at)
        if (why !== null) {
          reader.problem(key.at, itemPath, why)
          broken = true
          continue
        }
        const read = item.read(value, reader, itemPath)
        if (read === undefined) broken = true
        else entries.push([name, read])
      }
      if (broken) return undefined
      const out = Object.freeze(Object.fromEntries(entries))
      reader.remember(out, node, path, false)
      return out
    },
    zero: () => Object.freeze({}),
    isZero: (value) => Object.keys(value).length === 0,
    print: (value) =>
      new DumpMap(
        Object.keys(value)
          .sort(byYamlKey)
          .map((key) => [key, item.print(value[key]!)] as const),
      ),
  }
}

/** `{name: value}` whose names may be any UTF-8, as all names may in the file itself. */
export function labelSet(into = 'map[model.LabelName]model.LabelValue'): Schema<Readonly<Record<string, string>>> {
  return map(text(), into, { key: (name) => (isValidName(name) ? null : `${quote(name)} is not a valid label name`) })
}

export function isValidName(name: string): boolean {
  return name !== '' && name.isWellFormed()
}

/** Numbers in keys sort as numbers. @see go-yaml keyList */
function byYamlKey(a: string, b: string): number {
  const x = a.match(/\d+|\D/g) ?? []
  const y = b.match(/\d+|\D/g) ?? []
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    if (x[i] === y[i]) continue
    const left = /^\d/.test(x[i]!)
    const right = /^\d/.test(y[i]!)
    if (left && right && Number(x[i]) !== Number(y[i])) return Number(x[i]) - Number(y[i])
    const leftLetter = /\p{L}/u.test(x[i]!)
    const rightLetter = /\p{L}/u.test(y[i]!)
    if (leftLetter !== rightLetter) return leftLetter ? 1 : -1
    return x[i]! < y[i]! ? -1 : 1
  }
  return x.length - y.length
}

/** Values of any shape, for what is handed on as it is. */
export function anything(): Schema<unknown> {
  const read = (node: YamlNode): unknown => {
    if (node.kind === 'list') return Object.freeze(node.items.map(read))
    if (node.kind === 'map') return Object.freeze(Object.fromEntries(node.pairs.map(({ key, value }) => [key.text, read(value)])))
    const resolved = resolveScalar(node)
    return resolved.tag === '!!null' ? null : resolved.tag === '!!int' ? Number(resolved.value) : resolved.value
  }
  const print = (value: unknown): Dump => {
    if (Array.isArray(value)) return value.map(print)
    if (typeof value === 'object' && value !== null) return new DumpMap(Object.entries(value).map(([key, inner]) => [key, print(inner)]))
    return value as string | number | boolean | null
  }
  return { read, zero: () => null, isZero: (value) => value === null, print }
}

export type StructSchema<F extends Fields> = Schema<FieldsValue<F>> & {
  readonly fields: F
  /** What an empty map is. */
  defaults(): FieldsValue<F>
}
export type Check<V> = (value: V, report: Report) => V | void

/**
 * A map with known keys. `typeName` is the Go type upstream's messages name. `check` runs where all its own values could be read; it reports
 * at a key or, with null, at the struct, and may give a changed value.
 */
export function struct<F extends Fields>(typeName: string, fields: F, options: { check?: Check<FieldsValue<F>> } = {}): StructSchema<F> {
  const names = Object.keys(fields)
  const known = new Map(Object.entries(fields))
  type Value = FieldsValue<F>
  const at = (value: Value, name: string): unknown => (value as Record<string, unknown>)[name]
  return {
    fields,
    defaults: () => Object.freeze(Object.fromEntries(names.map((name) => [name, fields[name]!.initial()]))) as Value,
    read(node, reader, path) {
      if (isNull(node)) {
        const zero = this.zero()
        reader.remember(zero, node, path, false)
        return zero
      }
      if (node.kind !== 'map') return mismatch(node, reader, path, typeName)
      const out: Record<string, unknown> = {}
      let broken = false
      const seen = new Set<string>()
      for (const { key, value } of node.pairs) {
        const name = key.text
        const member = known.get(name)
        if (member === undefined) {
          if (!reader.ignoreUnknown) {
            reader.problem(key.at, joinPath(path, name), unknownField(name, typeName, names))
          }
          continue
        }
        if (seen.has(name)) {
          const first = node.pairs.find((pair) => pair.key.text === name)!
          reader.problem(key.at, joinPath(path, name), reader.alreadySet(name, typeName, first.key.at))
          continue
        }
        seen.add(name)
        const read = member.schema.read(value, reader, joinPath(path, name))
        if (read === undefined) broken = true
        out[name] = read === undefined ? member.initial() : read
      }
      for (const name of names) if (!seen.has(name)) out[name] = fields[name]!.initial()
      let made = out as Value
      reader.remember(made, node, path, broken)
      if (!broken && options.check !== undefined) {
        const before = reader.problems.length
        const changed = options.check(made, (key, message) => reader.problemIn(made, key, message))
        const failed = reader.problems.length > before
        if (changed !== undefined && changed !== made) made = reader.moved(made, changed as Value)
        if (failed) reader.remember(made, node, path, true)
      }
      return Object.freeze(made)
    },
    zero: () => Object.freeze(Object.fromEntries(names.map((name) => [name, fields[name]!.schema.zero()]))) as Value,
    isZero: (value) => names.every((name) => fields[name]!.schema.isZero(at(value, name))),
    print: (value) =>
      new DumpMap(
        names
          .filter((name) => fields[name]!.always || !fields[name]!.schema.isZero(at(value, name)))
          .map((name) => [name, fields[name]!.schema.print(at(value, name))] as const),
      ),
  }
}

export function unknownField(name: string, typeName: string, names: Iterable<string>): string {
  const near = nearestName(name, names)
  return `field ${name} not found in type ${typeName}${near === null ? '' : `, did you mean ${near}?`}`
}
