import { utf8Bytes } from '../base/bytes.ts'
import { formatSampleValue } from '../model/number-text.ts'
import { escapeHtml, textOfArguments } from './escape-text.ts'
import { contextAfter, attrContent, decodeCss, textContext } from './html-context.ts'
import { printValue, sortedKeys } from './print.ts'
import { formatTime } from './time.ts'
import type { SafeKind } from './value.ts'
import { DurationValue, ListValue, MapValue, PrintedValue, SafeText, StructValue, TimeValue } from './value.ts'

/**
 * A value → text that is safe in one place of an HTML document. Source: Go's html/template (html.go, js.go, css.go, url.go).
 */

/** What stands for a value that is not let through. */
const filtered = 'ZgotmplZ'

export type EscaperName =
  | 'html' | 'urlquery' | 'htmlEscaper' | 'rcdataEscaper' | 'attrEscaper' | 'nospaceEscaper' | 'htmlNameFilter' | 'commentEscaper' | 'srcsetEscaper' | 'urlFilter'
  | 'urlEscaper' | 'urlNormalizer' | 'jsValEscaper' | 'jsStrEscaper' | 'jsTmplLitEscaper' | 'jsRegexpEscaper' | 'cssEscaper' | 'cssValueFilter' // prettier-ignore

export const escapers: Readonly<Record<EscaperName, (value: unknown) => string>> = {
  html: (value) => escapeHtml(textOfArguments([value])),
  urlquery: (value) =>
    encodeURIComponent(textOfArguments([value]).toWellFormed())
      .replace(/[!'()*]/g, percent)
      .replaceAll('%20', '+'),
  htmlEscaper: (value) => (kindOf(value) === 'HTML' ? textOf(value) : replace(textOf(value), htmlForms)),
  rcdataEscaper: (value) => replace(textOf(value), kindOf(value) === 'HTML' ? htmlFormsNoAmp : htmlForms),
  attrEscaper: (value) =>
    kindOf(value) === 'HTML' ? replace(stripTags(textOf(value)), htmlFormsNoAmp) : replace(textOf(value), htmlForms),
  nospaceEscaper(value) {
    const text = textOf(value)
    if (text === '') return filtered
    return replace(kindOf(value) === 'HTML' ? stripTags(text) : text, kindOf(value) === 'HTML' ? nospaceFormsNoAmp : nospaceForms)
  },
  htmlNameFilter(value) {
    const text = textOf(value)
    if (kindOf(value) === 'HTMLAttr') return text
    const name = text.toLowerCase()
    return /^[0-9a-z]+$/.test(name) && attrContent(name) === 'plain' ? name : filtered
  },
  commentEscaper: () => '',
  srcsetEscaper(value) {
    const text = textOf(value)
    if (kindOf(value) === 'Srcset') return text
    if (kindOf(value) === 'URL') return processUrl(text, true).replaceAll(',', '%2c')
    return text.split(',').map(srcsetElement).join(',')
  },
  urlFilter(value) {
    const text = textOf(value)
    return kindOf(value) === 'URL' || isSafeUrl(text) ? text : `#${filtered}`
  },
  urlEscaper: (value) => processUrl(textOf(value), kindOf(value) === 'URL'),
  urlNormalizer: (value) => processUrl(textOf(value), true),
  jsValEscaper: jsValue,
  jsStrEscaper: (value) => replace(textOf(value), kindOf(value) === 'JSStr' ? jsFormsNoBackslash : jsForms),
  jsTmplLitEscaper: (value) => replace(textOf(value), jsTemplateForms),
  jsRegexpEscaper: (value) => replace(textOf(value), jsRegexpForms) || '(?:)',
  cssEscaper(value) {
    const text = textOf(value)
    return text.replace(/[\0\t\n\f\r"&'()+/:;<>\\{}]/g, (char, at: number) => {
      if (char === '\\') return '\\\\'
      // a space ends the escape where what follows could belong to it
      return `\\${char.charCodeAt(0).toString(16)}${/^(?:$|[0-9a-fA-F\t\n\f\r ])/.test(text.slice(at + 1, at + 2)) ? ' ' : ''}`
    })
  },
  cssValueFilter(value) {
    if (kindOf(value) === 'CSS') return textOf(value)
    const decoded = decodeCss(textOf(value))
    if (/[\0"'()/;@[\\\]`{}<>]|--/.test(decoded)) return filtered
    const word = decoded.replace(/[^-\w]/g, '').toLowerCase()
    return word.includes('expression') || word.includes('mozbinding') ? filtered : decoded
  },
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
}

function kindOf(value: unknown): SafeKind | null {
  return value instanceof SafeText ? value.kind : null
}

/** No value at all is no text here. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  return value instanceof SafeText ? value.text : printValue(value)
}

type Forms = Readonly<{ chars: RegExp; form: (char: string) => string }>

function forms(
  table: Readonly<Record<string, string>>,
  others: RegExp | null = null,
  other: (char: string) => string = (char) => char,
): Forms {
  const listed = Object.keys(table)
    .map((char) => `\\u{${char.codePointAt(0)!.toString(16)}}`)
    .join('')
  const chars = new RegExp(others === null ? `[${listed}]` : `[${listed}]|${others.source}`, 'gu')
  return { chars, form: (char) => table[char] ?? other(char) }
}

function replace(text: string, { chars, form }: Forms): string {
  return text.replace(chars, form)
}

const htmlTable = { '\0': '\ufffd', '"': '&#34;', "'": '&#39;', '+': '&#43;', '<': '&lt;', '>': '&gt;' }
const htmlForms = forms({ ...htmlTable, '&': '&amp;' })
const htmlFormsNoAmp = forms(htmlTable)
const nospaceTable = { ...htmlTable, '\0': '&#xfffd;', '\t': '&#9;', '\n': '&#10;', '\v': '&#11;', '\f': '&#12;', '\r': '&#13;', ' ': '&#32;', '=': '&#61;', '`': '&#96;' } // prettier-ignore
const nonCharacter = /[\ufdd0-\ufdef\ufff0-\uffff]/
const asEntity = (char: string): string => `&#x${char.codePointAt(0)!.toString(16)};`
const nospaceForms = forms({ ...nospaceTable, '&': '&amp;' }, nonCharacter, asEntity)
const nospaceFormsNoAmp = forms(nospaceTable, nonCharacter, asEntity)

const asUnicode = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
const controls = /[\x00-\x1f\u2028\u2029]/
const jsNoBackslashTable = { '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r', '"': '\\u0022', '`': '\\u0060', '&': '\\u0026', "'": '\\u0027', '+': '\\u002b', '/': '\\/', '<': '\\u003c', '>': '\\u003e' } // prettier-ignore
const jsTable = { ...jsNoBackslashTable, '\\': '\\\\' }
const jsForms = forms(jsTable, controls, asUnicode)
const jsFormsNoBackslash = forms(jsNoBackslashTable, controls, asUnicode)
const jsTemplateForms = forms({ ...jsTable, $: '\\u0024', '{': '\\u007b', '}': '\\u007d' }, controls, asUnicode)
const jsRegexpForms = forms(
  { '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r', '"': '\\u0022', $: '\\$', '&': '\\u0026', "'": '\\u0027', '(': '\\(', ')': '\\)', '*': '\\*', '+': '\\u002b', '-': '\\-', '.': '\\.', '/': '\\/', '<': '\\u003c', '>': '\\u003e', '?': '\\?', '[': '\\[', '\\': '\\\\', ']': '\\]', '^': '\\^', '{': '\\{', '|': '\\|', '}': '\\}' }, // prettier-ignore
  controls,
  asUnicode,
)

/** The text of an HTML fragment, without its tags. */
function stripTags(html: string): string {
  if (!/[<]/.test(html)) return html
  let out = ''
  let c = textContext
  let sawTag = false
  for (let i = 0; i < html.length;) {
    const { context, read } = contextAfter(c, html.slice(i))
    const end = i + read
    if (c.state === 'text' || c.state === 'rcdata') {
      const open = context.state === c.state ? -1 : html.lastIndexOf('<', end - 1)
      out += html.slice(i, open < i ? end : open)
    } else sawTag = true
    if (context.state === 'error') break
    c = context
    i = end
  }
  return sawTag ? out : html
}

export function isSafeUrl(text: string): boolean {
  const colon = text.indexOf(':')
  const scheme = text.slice(0, colon)
  return colon === -1 || scheme.includes('/') || /^(?:http|https|mailto)$/i.test(scheme)
}

/** Percent-encodes what a URL cannot hold; `keepReserved` leaves its punctuation and what is encoded already. */
function processUrl(text: string, keepReserved: boolean): string {
  const kept = keepReserved ? /[!#$&*+,/:;=?@[\]\-._~a-zA-Z0-9]/ : /[-._~a-zA-Z0-9]/
  if (!/[^-._~a-zA-Z0-9]/.test(text)) return text
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (kept.test(char) || (keepReserved && /^%[0-9a-fA-F]{2}/.test(text.slice(i, i + 3)))) {
      out += char
      continue
    }
    const whole = String.fromCodePoint(text.codePointAt(i)!)
    for (const byte of utf8Bytes(whole)) out += `%${byte.toString(16).padStart(2, '0')}`
    i += whole.length - 1
  }
  return out
}

function srcsetElement(text: string): string {
  const found = /^([\t\n\f\r ]*)([^\t\n\f\r ]*)([\t\n\f\r a-zA-Z0-9]*)$/.exec(text)
  if (found === null || !isSafeUrl(found[2]!)) return `#${filtered}`
  return found[1]! + processUrl(found[2]!, true) + found[3]!
}

/** A JavaScript expression for the value: JSON, with spaces where it could run into a word beside it. */
function jsValue(value: unknown): string {
  if (value instanceof SafeText && value.kind === 'JS') return value.text
  if (value instanceof SafeText && value.kind === 'JSStr') return `"${value.text}"`
  const json = goJson(value)
  if (typeof json !== 'string') return ` /* ${json.error} */null `
  const text = json.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
  return /^[$\w]|[$\w]$/.test(text) ? ` ${text} ` : text
}

type Unsupported = Readonly<{ error: string }>

/** encoding/json.Marshal, or why it cannot. */
function goJson(value: unknown, depth = 0): string | Unsupported {
  if (depth > 50) return { error: 'json: unsupported value: nested too deep' }
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { error: `json: unsupported value: ${printValue(value)}` }
    return formatSampleValue(value).replace(/e-0([1-9])$/, 'e-$1')
  }
  if (typeof value === 'string') return quoteJson(value)
  if (value instanceof SafeText) return quoteJson(value.text)
  if (value instanceof TimeValue) return quoteJson(formatTime(value.nanos, '2006-01-02T15:04:05.999999999Z07:00'))
  if (value instanceof DurationValue) return depth === 0 ? quoteJson(printValue(value)) : String(value.nanos)
  if (value instanceof PrintedValue) return quoteJson(value.text)
  if (value instanceof ListValue) {
    const parts = value.items.map((item) => goJson(item, depth + 1))
    return parts.find((part) => typeof part !== 'string') ?? `[${parts.join(',')}]`
  }
  const fields: [string, unknown][] =
    value instanceof MapValue
      ? sortedKeys(value).map((key) => [key, value.entries.get(key)])
      : value instanceof StructValue
        ? [...value.fields]
        : []
  const parts = fields.map(([name, field]) => ({ name, text: goJson(field, depth + 1) }))
  const bad = parts.find(({ text }) => typeof text !== 'string')
  return bad === undefined ? `{${parts.map(({ name, text }) => `${quoteJson(name)}:${text as string}`).join(',')}}` : bad.text
}

function quoteJson(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(/[<>&\u2028\u2029]/g, asUnicode)
}
