import { messageOf } from '../base/errors.ts'
import { parseSignedDuration } from '../model/duration.ts'
import { compareText } from '../model/labels.ts'
import { compileRegex } from '../model/regex.ts'
import { escapeQuery } from './escape-text.ts'
import { humanize, humanize1024, humanizeDuration, humanizePercentage, humanizeTimestamp, timeOf, toFloat } from './humanize.ts'
import type { FunctionContext, FunctionTable, GoType, TemplateFunction } from './value.ts'
import { DurationValue, FunctionError, ListValue, MapValue, SafeText, StructValue, textMax } from './value.ts'

/** The functions Prometheus gives to alert templates and consoles. Source: prometheus template/template.go. */

/** What the functions know of the world. */
export type TemplateEnv = Readonly<{
  /** The evaluation's time. */
  nowMs: number
  /** --web.external-url as given. */
  externalUrl: string
  /** Its path. */
  pathPrefix: string
}>

const sampleType = '*template.sample'
const resultType = 'template.queryResult'

/** One row of a query's answer. `value` is a number or a PrintedValue. */
export type TemplateSample = Readonly<{ labels: ReadonlyMap<string, string>; value: unknown }>

type Call = (args: readonly unknown[], context: FunctionContext<TemplateEnv>) => unknown
const row = (params: readonly GoType[], call: Call): TemplateFunction<TemplateEnv> => ({ params, call })
const onText = (change: (text: string) => unknown): TemplateFunction<TemplateEnv> => row(['string'], ([text]) => change(text as string))
const onNumber = (change: (value: number) => unknown): TemplateFunction<TemplateEnv> =>
  row(['interface {}'], ([value]) => change(toFloat(value)))

/** In `query`, the question is the expression and the answer a list of TemplateSample. */
export const prometheusFunctions: FunctionTable<TemplateEnv> = new Map<string, TemplateFunction<TemplateEnv>>([
  ['query', row(['string'], ([expr], { ask }) => toResult(ask(expr as string) as readonly TemplateSample[]))],
  ['first', row([resultType], ([result]) => first(result))],
  ['label', row(['string', sampleType], ([name, sample]) => labelsOf(sample).get(name as string) ?? '')],
  ['value', row([sampleType], ([sample]) => fieldsOf(sample).get('Value'))],
  ['strvalue', row([sampleType], ([sample]) => labelsOf(sample).get('__value__') ?? '')],
  ['sortByLabel', row(['string', resultType], ([name, result]) => sortByLabel(name as string, result))],
  ['args', { params: ['interface {}'], variadic: true, call: (args) => argsMap(args) }],
  ['reReplaceAll', row(['string', 'string', 'string'], (args) => replaceAll(args[0] as string, args[1] as string, args[2] as string))],
  ['match', row(['string', 'string'], ([pattern, text]) => matches(pattern as string, text as string))],
  ['safeHtml', onText((text) => new SafeText('HTML', text))],
  ['title', onText(title)],
  ['toUpper', onText((text) => mapCase(text, (char) => char.toUpperCase()))],
  ['toLower', onText((text) => mapCase(text, (char) => char.toLowerCase()))],
  ['graphLink', onText((expr) => `/graph?g0.expr=${escapeQuery(expr)}&g0.tab=0`)],
  ['tableLink', onText((expr) => `/graph?g0.expr=${escapeQuery(expr)}&g0.tab=1`)],
  ['stripPort', onText((text) => splitHostPort(text)?.host ?? text)],
  ['stripDomain', onText(stripDomain)],
  ['humanize', onNumber(humanize)],
  ['humanize1024', onNumber(humanize1024)],
  ['humanizeDuration', onNumber(humanizeDuration)],
  ['humanizePercentage', onNumber(humanizePercentage)],
  ['humanizeTimestamp', onNumber(humanizeTimestamp)],
  ['toTime', onNumber(timeOf)],
  ['toDuration', onNumber((seconds) => new DurationValue(wholeNanos(seconds * 1e9), true))],
  ['now', row([], (_, { env }) => env.nowMs / 1000)],
  ['pathPrefix', row([], (_, { env }) => env.pathPrefix)],
  ['externalURL', row([], (_, { env }) => env.externalUrl)],
  ['parseDuration', onText(parseSeconds)],
  ['urlQueryEscape', onText(escapeQuery)],
])

/** The same and `tmpl`, which only consoles have. */
export const consoleFunctions: FunctionTable<TemplateEnv> = new Map<string, TemplateFunction<TemplateEnv>>([
  ...prometheusFunctions,
  ['tmpl', row(['string', 'interface {}'], ([name, data], { execute }) => new SafeText('HTML', execute(name as string, data)))],
])

const sampleInterfaces = new Set(['Value'])

function toResult(rows: readonly TemplateSample[]): ListValue {
  const items = rows.map(({ labels, value }) => {
    const fields = new Map<string, unknown>([
      ['Labels', new MapValue(labels)],
      ['Value', value],
    ])
    return new StructValue(fields, 'template.sample', { pointer: true, interfaceFields: sampleInterfaces })
  })
  return new ListValue(items, resultType)
}

function itemsOf(result: unknown): readonly unknown[] {
  return result instanceof ListValue ? result.items : []
}

function first(result: unknown): unknown {
  const items = itemsOf(result)
  if (items.length === 0) throw new FunctionError('first() called on vector with no elements')
  return items[0]
}

function fieldsOf(sample: unknown): ReadonlyMap<string, unknown> {
  if (sample instanceof StructValue) return sample.fields
  throw new FunctionError('runtime error: invalid memory address or nil pointer dereference')
}

function labelsOf(sample: unknown): ReadonlyMap<string, unknown> {
  return (fieldsOf(sample).get('Labels') as MapValue).entries
}

function sortByLabel(name: string, result: unknown): ListValue {
  const of = (sample: unknown): string => (labelsOf(sample).get(name) as string | undefined) ?? ''
  return new ListValue(
    [...itemsOf(result)].sort((a, b) => compareText(of(a), of(b))),
    resultType,
  )
}

function argsMap(args: readonly unknown[]): MapValue {
  return new MapValue(new Map(args.map((arg, i) => [`arg${i}`, arg ?? null])), 'map[string]interface {}', null)
}

function replaceAll(pattern: string, replacement: string, text: string): string {
  try {
    const regex = compileRegex(pattern)
    const largest = (text.length + 1) * (replacement.length + 1)
    if (largest > textMax * 4)
      throw new FunctionError(`text of ${text.length} and replacement of ${replacement.length} characters are too large`)
    return regex.replaceAll(text, replacement)
  } catch (thrown) {
    if (thrown instanceof FunctionError) throw thrown
    throw new FunctionError(`regexp: Compile(${printPattern(pattern)}): ${messageOf(thrown)}`)
  }
}

/** strconv.CanBackquote decides between back and double quotes. */
function printPattern(pattern: string): string {
  return /[`\x00-\x08\x0a-\x1f\x7f\ufeff]/.test(pattern) ? JSON.stringify(pattern) : `\`${pattern}\``
}

function matches(pattern: string, text: string): boolean {
  try {
    return compileRegex(pattern).test(text)
  } catch (thrown) {
    throw new FunctionError(messageOf(thrown))
  }
}

/** Go's strings.ToUpper and ToLower: sign for sign, so that ß stays ß. */
function mapCase(text: string, change: (char: string) => string): string {
  // oxlint-disable-next-line no-control-regex
  if (/^[\x00-\x7f]*$/.test(text)) return change(text)
  let out = ''
  for (const char of text) {
    const [head = char, ...rest] = change(char)
    // where full case mapping gives several signs, Go has one: its own, or for İ the plain letter
    out += rest.length === 0 ? head : char === 'İ' ? 'i' : char
  }
  return out
}

/** Titles for letters whose title case is not their upper case. */
const digraphTitles: Readonly<Record<string, string>> = { ǆ: 'ǅ', Ǆ: 'ǅ', ǉ: 'ǈ', Ǉ: 'ǈ', ǌ: 'ǋ', Ǌ: 'ǋ', ǳ: 'ǲ', Ǳ: 'ǲ' }
const word = /[\p{L}\p{M}\p{N}\p{Pc}]+(?:[.'’:·․﹒'．](?=[\p{L}\p{M}\p{N}\p{Pc}])[\p{L}\p{M}\p{N}\p{Pc}]+)*/gu
const casedLetter = /[\p{Lu}\p{Ll}\p{Lt}]/u

/** The first letter of every word in title case, the rest as it is. Source: golang.org/x/text/cases Title with NoLower. */
function title(text: string): string {
  return text.replace(word, (found) => found.replace(casedLetter, titleLetter))
}

function titleLetter(letter: string): string {
  const known = digraphTitles[letter]
  if (known !== undefined) return known
  const [head = '', ...rest] = letter.toUpperCase()
  // ß → Ss, ﬀ → Ff; but ŉ → ʼN, whose first sign is no letter with case
  return casedLetter.test(head) ? head + rest.join('').toLowerCase() : head + rest.join('')
}

/** net.SplitHostPort; null where the text is not `host:port`. */
function splitHostPort(text: string): { host: string; port: string } | null {
  const bracketed = /^\[([^[\]]*)\]:([^:[\]]*)$/.exec(text)
  if (bracketed !== null) return { host: bracketed[1]!, port: bracketed[2]! }
  const plain = /^([^:[\]]*):([^:[\]]*)$/.exec(text)
  return plain === null ? null : { host: plain[1]!, port: plain[2]! }
}

function stripDomain(text: string): string {
  const parts = splitHostPort(text)
  const host = parts?.host ?? text
  if (isIp(host)) return text
  const short = host.split('.')[0]!
  if (parts === null || parts.port === '') return short
  return `${short.includes(':') ? `[${short}]` : short}:${parts.port}`
}

function isIp(text: string): boolean {
  if (/^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text)) return true
  if (!text.includes(':') || !/^[0-9a-fA-F:.]+$/.test(text)) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const v4 = /(?:^|:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (v4 !== null && !isIp(v4[1]!)) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  if (groups.some((group, i) => !/^[0-9a-fA-F]{1,4}$/.test(group) && !(v4 !== null && i === groups.length - 1))) return false
  const count = groups.length + (v4 === null ? 0 : 1)
  return halves.length === 2 ? count < 8 : count === 8
}

function wholeNanos(nanos: number): bigint {
  // Go's conversion of what does not fit an int64
  return Number.isFinite(nanos) && Math.abs(nanos) < 2 ** 63 ? BigInt(Math.trunc(nanos)) : -(1n << 63n)
}

function parseSeconds(text: string): number {
  const { ms, problem } = parseSignedDuration(text)
  if (problem !== null) throw new FunctionError(problem)
  return ms / 1000
}
