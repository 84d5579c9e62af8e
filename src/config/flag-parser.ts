// Command lines in kingpin's dialect, as Prometheus' programs take them: `--flag=value`, `--flag value`, `--flag` and `--no-flag` for booleans.
// Data in, values or a problem out. Tables of flags are data; serve's own is in serve-flags.ts.
import { parseDuration, printDuration } from '../model/duration.ts'
import { quote } from '../model/labels.ts'
import { nearestName } from './problem.ts'
import { printGoDuration, printSize, readGoDuration, readSize } from './quantity.ts'

/** What a flag's value is: durations in ms, sizes in bytes, `texts` may be repeated, `words` are split at commas and may be repeated. */
export type FlagKind = 'text' | 'texts' | 'words' | 'bool' | 'int' | 'float' | 'duration' | 'goDuration' | 'size' | 'choice'

export type FlagSpec = Readonly<{
  name: string
  kind: FlagKind
  /** As written on the command line; undefined: none, the value is the zero value. */
  initial?: string | readonly string[]
  /** Shown in the help instead of the default. */
  placeholder?: string
  help: string
  /** Left out of the help. */
  hidden?: boolean
  /** Only allowed in this mode. */
  mode?: 'server' | 'agent'
  /** For `choice` and `words`: what is allowed. */
  values?: readonly string[]
  /** For `choice` and `words`: words the refusal. */
  refusal?: (value: string) => string
}>

type KindValue<K extends FlagKind> = K extends 'bool'
  ? boolean
  : K extends 'int' | 'float' | 'duration' | 'goDuration' | 'size'
    ? number
    : K extends 'texts' | 'words'
      ? readonly string[]
      : string
/** The values of a table by flag name. */
export type FlagValues<T extends readonly FlagSpec[]> = { readonly [S in T[number] as S['name']]: KindValue<S['kind']> }

export type ParsedFlags<T extends readonly FlagSpec[]> =
  | Readonly<{ kind: 'flags'; flags: FlagValues<T>; given: ReadonlySet<string> }>
  | Readonly<{ kind: 'help' }>
  | Readonly<{ kind: 'version' }>
  | Readonly<{ kind: 'problem'; message: string }>

type Value = string | number | boolean | readonly string[]

/** Reads a command line, program name excluded. The first problem ends it, in kingpin's words. */
export function parseFlags<const T extends readonly FlagSpec[]>(table: T, argv: readonly string[]): ParsedFlags<T> {
  const byName = new Map(table.map((spec) => [spec.name, spec]))
  const given = new Map<string, string[]>()
  const fail = (message: string): ParsedFlags<T> => ({ kind: 'problem', message })
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    if (word === '-h') return { kind: 'help' }
    if (!word.startsWith('--') || word === '--') {
      if (word === '--') return i + 1 < argv.length ? fail(`unexpected ${argv[i + 1]}`) : finish(table, given)
      return fail(/^-./.test(word) ? `unknown short flag '${word.slice(0, 2)}'` : `unexpected ${word}`)
    }
    const equals = word.indexOf('=')
    const written = equals < 0 ? word.slice(2) : word.slice(2, equals)
    if (written === 'help' || written === 'help-long' || written === 'help-man') return { kind: 'help' }
    if (written === 'version') return { kind: 'version' }
    const negated = !byName.has(written) && written.startsWith('no-') && byName.get(written.slice(3))?.kind === 'bool'
    const spec = byName.get(negated ? written.slice(3) : written)
    if (spec === undefined) {
      const near = nearestName(written, byName.keys())
      return fail(`unknown long flag '--${written}'${near === null ? '' : `, did you mean '--${near}'?`}`)
    }
    let value: string
    if (spec.kind === 'bool') {
      if (equals >= 0) return fail(`unexpected ${word.slice(equals + 1)}`)
      value = negated ? 'false' : 'true'
    } else if (equals >= 0) {
      value = word.slice(equals + 1)
    } else {
      const next = argv[++i]
      if (next === undefined || (next.startsWith('-') && next.length > 1 && !/^-\.?\d/.test(next))) {
        return fail(`expected argument for flag '--${spec.name}'`)
      }
      value = next
    }
    const before = given.get(spec.name)
    if (before === undefined) given.set(spec.name, [value])
    else if (spec.kind === 'texts' || spec.kind === 'words') before.push(value)
    else return fail(`flag '${spec.name}' cannot be repeated`)
  }
  return finish(table, given)
}

function finish<const T extends readonly FlagSpec[]>(table: T, given: ReadonlyMap<string, readonly string[]>): ParsedFlags<T> {
  const flags: Record<string, Value> = {}
  for (const spec of table) {
    const initial = spec.initial === undefined ? undefined : typeof spec.initial === 'string' ? [spec.initial] : spec.initial
    const written = given.get(spec.name) ?? initial
    const value = written === undefined ? zero(spec.kind) : readValue(spec, written)
    if (typeof value === 'object' && 'problem' in value) return { kind: 'problem', message: value.problem }
    flags[spec.name] = value
  }
  return { kind: 'flags', flags: Object.freeze(flags) as FlagValues<T>, given: new Set(given.keys()) }
}

function zero(kind: FlagKind): Value {
  return kind === 'bool' ? false : kind === 'texts' || kind === 'words' ? Object.freeze([]) : kind === 'text' || kind === 'choice' ? '' : 0
}

function readValue(spec: FlagSpec, written: readonly string[]): Value | { problem: string } {
  const text = written[0]!
  const refused = (value: string): { problem: string } => ({
    problem: spec.refusal?.(value) ?? `enum value must be one of ${(spec.values ?? []).join(',')}, got '${value}'`,
  })
  switch (spec.kind) {
    case 'text':
      return text
    case 'texts':
      return Object.freeze([...written])
    case 'words': {
      const words = written.flatMap((part) => part.split(','))
      const odd = spec.values === undefined ? undefined : words.find((word) => !spec.values!.includes(word))
      return odd === undefined ? Object.freeze(words) : refused(odd)
    }
    case 'bool':
      return text === 'true'
    case 'choice':
      return spec.values!.includes(text) ? text : refused(text)
    case 'int':
    case 'float': {
      const value = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text) ? Number(text) : NaN
      if (Number.isNaN(value)) return { problem: `strconv.ParseFloat: parsing ${quote(text)}: invalid syntax` }
      return spec.kind === 'int' ? Math.trunc(value) : value
    }
    case 'duration': {
      const { ms, problem } = parseDuration(text)
      return problem === null ? ms : { problem }
    }
    case 'goDuration':
      return readGoDuration(text)
    case 'size':
      return readSize(text)
  }
}

/** A value as /api/v1/status/flags shows it. */
export function printFlag(spec: FlagSpec, value: Value): string {
  switch (spec.kind) {
    case 'duration':
      return printDuration(value as number)
    case 'goDuration':
      return printGoDuration(value as number)
    case 'size':
      return printSize(value as number)
    default:
      return Array.isArray(value) ? value.join(',') : String(value)
  }
}

/** The text of --help: two columns on 80, as kingpin lays them out. */
export function printFlagHelp(program: string, about: string, table: readonly FlagSpec[]): string {
  const rows: [string, string][] = [
    ['-h, --[no-]help', 'Show this help.'],
    ['    --[no-]version', 'Show application version.'],
    ...table.filter(({ hidden }) => hidden !== true).map((spec): [string, string] => [`    ${synopsis(spec)}`, helpOf(spec)]),
  ]
  const left = Math.max(...rows.map(([flag]) => flag.length).filter((length) => length < 30))
  const out = [`usage: ${program} [<flags>]`, '', about, '', '', 'Flags:']
  for (const [flag, help] of rows) {
    const lines = wrap(help, 80 - left - 4)
    if (flag.length >= 30) out.push(`  ${flag}  `, ...lines.map((line) => ' '.repeat(left + 4) + line))
    else out.push(`  ${flag.padEnd(left)}  ${lines[0]}`, ...lines.slice(1).map((line) => ' '.repeat(left + 4) + line))
  }
  return `${out.join('\n')}\n`
}

function helpOf({ help, mode }: FlagSpec): string {
  return mode === undefined ? help : `${help} Use with ${mode} mode only.`
}

function synopsis(spec: FlagSpec): string {
  if (spec.kind === 'bool') return `--[no-]${spec.name}`
  const first = typeof spec.initial === 'string' ? spec.initial : spec.initial?.[0]
  const shown = spec.placeholder ?? (first === undefined ? spec.name.toUpperCase() : spec.kind === 'text' ? quote(first) : first)
  return `--${spec.name}=${shown}${spec.kind === 'texts' || spec.kind === 'words' ? ' ...' : ''}`
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines
}
