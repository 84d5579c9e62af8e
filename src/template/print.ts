import { compareText, quote } from '../model/labels.ts'
import { formatFloat } from './float-text.ts'
import { printDuration, printTime } from './time.ts'
import {
  DurationValue,
  FunctionError,
  ListValue,
  MapValue,
  PrintedValue,
  SafeText,
  StructValue,
  TimeValue,
  stringOf,
  typeName,
} from './value.ts'

/** Go's fmt: Sprint, Sprintln and Sprintf over template values. */

/** A width or precision beyond this is refused, as in Go. */
const widthMax = 1_000_000
const addressOfEverything = '0xc000000000'

/** `%v`. */
export function printValue(value: unknown): string {
  return typeof value === 'string' ? value : printVerb(value, plain, 'v', 0)
}

/** fmt.Sprint: a space between two operands where neither is a string. */
export function sprint(args: readonly unknown[]): string {
  let out = ''
  args.forEach((arg, i) => {
    if (i > 0 && stringOf(arg) === null && stringOf(args[i - 1]) === null) out += ' '
    out += printValue(arg)
  })
  return out
}

export function sprintln(args: readonly unknown[]): string {
  return `${args.map(printValue).join(' ')}\n`
}

type Flags = Readonly<{
  plus: boolean
  minus: boolean
  sharp: boolean
  space: boolean
  zero: boolean
  width: number | null
  precision: number | null
}>
const plain: Flags = { plus: false, minus: false, sharp: false, space: false, zero: false, width: null, precision: null }

/** fmt.Sprintf, with its complaints (`%!d(string=x)`, `%!d(MISSING)`, `%!(EXTRA …)`) in the text. */
export function sprintf(format: string, args: readonly unknown[]): string {
  let out = ''
  let next = 0
  let reordered = false
  for (let i = 0; i < format.length;) {
    const percent = format.indexOf('%', i)
    if (percent === -1) {
      out += format.slice(i)
      break
    }
    out += format.slice(i, percent)
    i = percent + 1
    let plus = false
    let minus = false
    let sharp = false
    let space = false
    let zero = false
    for (; i < format.length; i++) {
      const char = format[i]
      if (char === '+') plus = true
      else if (char === '-') minus = true
      else if (char === '#') sharp = true
      else if (char === ' ') space = true
      else if (char === '0') zero = true
      else break
    }
    let badIndex = false
    let afterIndex = false
    const readIndex = (): void => {
      const match = /\[([^\]]*)\]/y
      match.lastIndex = i
      const found = match.exec(format)
      if (found === null) {
        if (format[i] === '[') {
          badIndex = true
          reordered = true
          i++
        }
        return
      }
      i = match.lastIndex
      reordered = true
      afterIndex = true
      const index = /^\d+$/.test(found[1]!) ? Number(found[1]) : 0
      if (index < 1 || index > args.length) badIndex = true
      else next = index - 1
    }
    readIndex()
    let width: number | null = null
    let precision: number | null = null
    const fromArgument = (): number | null => {
      const value = args[next++]
      return typeof value === 'bigint' && value >= -widthMax && value <= widthMax ? Number(value) : null
    }
    if (format[i] === '*') {
      i++
      width = fromArgument()
      if (width === null) out += '%!(BADWIDTH)'
      else if (width < 0) {
        minus = true
        width = -width
      }
      afterIndex = false
    } else {
      const digits = /\d+/y
      digits.lastIndex = i
      const found = digits.exec(format)
      if (found !== null) {
        i = digits.lastIndex
        width = Number(found[0])
        if (width > widthMax) {
          out += '%!(BADWIDTH)'
          width = null
        }
        if (afterIndex) badIndex = true // "%[3]2d"
      }
    }
    if (format[i] === '.') {
      i++
      if (afterIndex) badIndex = true // "%[3].2d"
      readIndex()
      if (format[i] === '*') {
        i++
        precision = fromArgument()
        if (precision !== null && precision < 0) precision = null
        if (precision === null) out += '%!(BADPREC)'
        afterIndex = false
      } else {
        const digits = /\d*/y
        digits.lastIndex = i
        const found = digits.exec(format)![0]
        i = digits.lastIndex
        precision = found === '' ? 0 : Number(found)
        if (precision > widthMax) {
          out += '%!(BADPREC)'
          precision = null
        }
      }
    }
    if (!afterIndex) readIndex()
    if (i >= format.length) {
      out += '%!(NOVERB)'
      break
    }
    const verb = String.fromCodePoint(format.codePointAt(i)!)
    i += verb.length
    if (verb === '%') out += '%'
    else if (badIndex) out += `%!${verb}(BADINDEX)`
    else if (next >= args.length) out += `%!${verb}(MISSING)`
    else out += printVerb(args[next++], { plus, minus, sharp, space, zero: zero && !minus, width, precision }, verb, 0)
  }
  if (!reordered && next < args.length) {
    const extra = args.slice(next).map((arg) => (arg === null || arg === undefined ? '<nil>' : `${typeName(arg)}=${printValue(arg)}`))
    out += `%!(EXTRA ${extra.join(', ')})`
  }
  return out
}

/** Values printed in one call from the outside: data may hold itself many times over. */
let printed = 0
const printedMax = 200_000

function printVerb(value: unknown, flags: Flags, verb: string, depth: number): string {
  if (depth === 0) printed = 0
  if (++printed > printedMax) throw new FunctionError(`value of more than ${printedMax} parts is too large to print`)
  if (value === null || value === undefined) return verb === 'v' || verb === 'T' ? pad('<nil>', flags) : bad(value, verb)
  if (verb === 'T') return pad(typeName(value), flags)
  if (depth > 50) return '...'
  switch (typeof value) {
    case 'boolean':
      return verb === 'v' || verb === 't' ? pad(String(value), flags) : bad(value, verb)
    case 'bigint':
      return printInteger(value, flags, verb)
    case 'number':
      return printFloat(value, flags, verb)
    case 'string':
      return printText(value, flags, verb)
  }
  const text = stringForm(value)
  if (text !== null && 'vsxXq'.includes(verb)) return verb === 'v' && !flags.sharp ? pad(text, flags) : printText(text, flags, verb)
  if (value instanceof SafeText) return printText(value.text, flags, verb)
  if (value instanceof DurationValue) return printInteger(value.nanos, flags, verb)
  if (verb === 'p') return bad(value, verb)
  const inner = (item: unknown): string => printVerb(item, flags, verb, depth + 1)
  if (value instanceof ListValue) return `[${value.items.map(inner).join(' ')}]`
  if (value instanceof MapValue) {
    const open = flags.sharp && verb === 'v' ? `${value.goType}{` : 'map['
    const separator = flags.sharp && verb === 'v' ? ', ' : ' '
    return `${open}${sortedKeys(value).map((key) => `${inner(key)}:${inner(value.entries.get(key))}`).join(separator)}${open.endsWith('{') ? '}' : ']'}` // prettier-ignore
  }
  if (value instanceof StructValue) {
    // below the top Go prints where a pointer points; there is no such place here, so all share one
    if (value.pointer && depth > 0) return verb === 'v' ? addressOfEverything : bad(value, verb)
    const named = flags.plus || flags.sharp
    const fields = [...value.fields].map(([name, field]) => (named && verb === 'v' ? `${name}:${inner(field)}` : inner(field)))
    return `${value.pointer ? '&' : ''}${flags.sharp && verb === 'v' ? value.goType : ''}{${fields.join(flags.sharp ? ', ' : ' ')}}`
  }
  return bad(value, verb)
}

/** What Go's String method gives, for the types that have one. */
function stringForm(value: object): string | null {
  if (value instanceof TimeValue) return printTime(value.nanos)
  if (value instanceof DurationValue) return printDuration(value.nanos)
  if (value instanceof PrintedValue) return value.text
  return null
}

function bad(value: unknown, verb: string): string {
  if (value === null || value === undefined) return `%!${verb}(<nil>)`
  return `%!${verb}(${typeName(value)}=${printVerb(value, plain, 'v', 0)})`
}

function pad(text: string, flags: Flags, zeros = false): string {
  if (flags.width === null) return text
  const missing = flags.width - Array.from(text).length
  if (missing <= 0) return text
  if (flags.minus) return text + ' '.repeat(missing)
  return (zeros ? '0' : ' ').repeat(missing) + text
}

function printInteger(value: bigint, flags: Flags, verb: string): string {
  const size = value < 0n ? -value : value
  let digits: string
  let prefix = ''
  switch (verb) {
    case 'v':
    case 'd':
      digits = size.toString()
      break
    case 'b':
      digits = size.toString(2)
      if (flags.sharp) prefix = '0b'
      break
    case 'o':
      digits = size.toString(8)
      if (flags.sharp) prefix = '0'
      break
    case 'O':
      digits = size.toString(8)
      prefix = '0o'
      break
    case 'x':
      digits = size.toString(16)
      if (flags.sharp) prefix = '0x'
      break
    case 'X':
      digits = size.toString(16).toUpperCase()
      if (flags.sharp) prefix = '0X'
      break
    case 'c':
      return pad(characterOf(value), flags)
    case 'q':
      return pad(quoteCharacter(characterOf(value)), flags)
    case 'U': {
      const hex = `U+${size
        .toString(16)
        .toUpperCase()
        .padStart(Math.max(4, flags.precision ?? 0), '0')}`
      return pad(flags.sharp ? `${hex} '${characterOf(value)}'` : hex, flags)
    }
    default:
      return bad(value, verb)
  }
  const sign = value < 0n ? '-' : flags.plus && verb !== 'v' ? '+' : flags.space ? ' ' : ''
  if (flags.precision !== null) digits = flags.precision === 0 && value === 0n ? '' : digits.padStart(flags.precision, '0')
  else if (flags.zero && flags.width !== null) digits = digits.padStart(flags.width - sign.length - prefix.length, '0')
  return pad(sign + prefix + digits, flags)
}

function characterOf(value: bigint): string {
  return value < 0n || value > 0x10ffffn || (value >= 0xd800n && value < 0xe000n) ? '\ufffd' : String.fromCodePoint(Number(value))
}

function quoteCharacter(char: string): string {
  if (char === "'") return "'\\''"
  if (char === '"') return `'"'`
  return `'${quote(char).slice(1, -1)}'`
}

function printFloat(value: number, flags: Flags, verb: string): string {
  let text: string
  switch (verb) {
    case 'v':
      if (flags.plus) return printFloat(value, { ...flags, plus: false }, verb) // %+v asks for field names
      text = formatFloat(value, 'g', flags.precision ?? -1)
      break
    case 'e':
    case 'E':
      text = formatFloat(value, 'e', flags.precision ?? 6)
      break
    case 'f':
    case 'F':
      text = formatFloat(value, 'f', flags.precision ?? 6)
      break
    case 'g':
    case 'G':
      text = formatFloat(value, 'g', flags.precision ?? (flags.sharp ? 6 : -1), flags.sharp)
      if (flags.sharp && flags.precision === null && formatFloat(value, 'g', -1).replace(/[^0-9]/g, '').length > 6) text = formatFloat(value, 'g', -1) // prettier-ignore
      break
    default:
      return bad(value, verb)
  }
  if (verb === 'E' || verb === 'G') text = text.replace('e', 'E')
  const negative = text.startsWith('-')
  let digits = text.replace(/^[+-]/, '')
  const sign = negative ? '-' : flags.plus ? '+' : flags.space ? ' ' : digits === 'Inf' ? '+' : ''
  if (flags.zero && flags.width !== null && Number.isFinite(value)) digits = digits.padStart(flags.width - sign.length, '0')
  return pad(sign + digits, flags)
}

function printText(value: string, flags: Flags, verb: string): string {
  let text = value
  if (flags.precision !== null && verb !== 'x' && verb !== 'X') text = Array.from(text).slice(0, flags.precision).join('')
  switch (verb) {
    case 'v':
      return pad(flags.sharp ? quote(text) : text, flags, flags.zero)
    case 's':
      return pad(text, flags, flags.zero)
    case 'q': {
      if (flags.sharp && !/[`\x00-\x08\x0a-\x1f\x7f\ufeff]/.test(text)) return pad(`\`${text}\``, flags)
      const quoted = quote(text)
      return pad(flags.plus ? quoted.replace(/[^\x00-\x7f]/gu, escapeUnicode) : quoted, flags)
    }
    case 'x':
    case 'X': {
      let bytes = new TextEncoder().encode(text)
      if (flags.precision !== null) bytes = bytes.subarray(0, flags.precision)
      const prefix = flags.sharp && bytes.length > 0 ? '0x' : ''
      const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(flags.space ? (flags.sharp ? ' 0x' : ' ') : '')
      return pad(verb === 'X' ? (prefix + hex).toUpperCase() : prefix + hex, flags, flags.zero)
    }
    default:
      return bad(value, verb)
  }
}

function escapeUnicode(char: string): string {
  const code = char.codePointAt(0)!
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
}

/** Keys in the order Go prints and ranges over them. */
export function sortedKeys(map: MapValue): string[] {
  return [...map.entries.keys()].sort(compareText)
}
