// Numbers as Go's strconv writes and reads them: what Prometheus' API, text exposition, PromQL printer and configuration use.
// JavaScript and Go agree on the shortest digits of a float64; they differ in where an exponent starts and how it looks.

import { quote } from './labels.ts'

/** `NaN`, `+Inf`, `-Inf`, or null for a finite number. */
function printSpecial(value: number): string | null {
  if (value !== value) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : null
}

/** Shortest digits and the decimal point's place: value = ±0.digits × 10^point. Finite values only. */
function shortest(value: number): { sign: string; digits: string; point: number } {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const text = Math.abs(value).toExponential()
  const e = text.indexOf('e')
  const digits = text[0]! + text.slice(2, e)
  return { sign, digits, point: value === 0 ? 1 : Number(text.slice(e + 1)) + 1 }
}

function writeExponent(sign: string, digits: string, point: number): string {
  const exponent = point - 1
  const size = Math.abs(exponent)
  const fraction = digits.length > 1 ? '.' + digits.slice(1) : ''
  return `${sign}${digits[0]!}${fraction}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`
}

/** strconv.FormatFloat(value, 'f', -1, 64): the shortest digits that read back, never an exponent. `+Inf`, `-Inf`, `NaN`. */
export function formatFloatF(value: number): string {
  const special = printSpecial(value)
  if (special !== null) return special
  const plain = String(value)
  if (!plain.includes('e')) return Object.is(value, -0) ? '-0' : plain
  const { sign, digits, point } = shortest(value)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (digits.length <= point) return sign + digits + '0'.repeat(point - digits.length)
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}

/** strconv.FormatFloat(value, 'e', -1, 64): `1e+06`, `1.5e-07`. */
export function formatFloatE(value: number): string {
  const special = printSpecial(value)
  if (special !== null) return special
  const { sign, digits, point } = shortest(value)
  return writeExponent(sign, digits, point)
}

/** strconv.FormatFloat(value, 'g', -1, 64), fmt's `%v` and `%g`, the text exposition: an exponent below 1e-4 and from 1e6 on, `1e+06`. */
export function formatFloatG(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e-4 && size < 1e6) return String(value)
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  return formatFloatE(value)
}

/**
 * A sample value in the JSON of the query API: `f`, with an exponent below 1e-6 and from 1e21 on.
 * @see prometheus/util/jsonutil MarshalFloat
 */
export function formatSampleValue(value: number): string {
  const special = printSpecial(value)
  if (special !== null) return special
  const size = Math.abs(value)
  if (size === 0 || (size >= 1e-6 && size < 1e21)) return formatFloatF(value)
  return formatFloatE(value)
}

/**
 * strconv.ParseFloat(text, 64): decimal, hexadecimal with a `p` exponent, underscores between digits, `Inf`, `Infinity` and `NaN` in any case.
 * No spaces. @returns null where Go gives an error: bad syntax, or a number too large for a float64.
 */
export function parseGoFloat(text: string): number | null {
  if (plainDecimal.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : null
  }
  if (/^[+-]?inf(inity)?$/i.test(text)) return text[0] === '-' ? -Infinity : Infinity
  if (/^nan$/i.test(text)) return NaN
  const bare = text.includes('_') ? withoutUnderscores(text) : text
  if (bare === null) return null
  if (plainDecimal.test(bare)) return parseGoFloat(bare)
  const value = parseHexFloat(bare)
  return value === null || !Number.isFinite(value) ? null : value
}
const plainDecimal = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/

/** Go's error for a text `parseGoFloat` refuses, e.g. strconv.ParseFloat: parsing "x": invalid syntax; null where it is a number. */
export function goFloatProblem(text: string): string | null {
  if (parseGoFloat(text) !== null) return null
  const bare = text.includes('_') ? withoutUnderscores(text) : text
  const tooLarge = bare !== null && (plainDecimal.test(bare) || parseHexFloat(bare) !== null)
  return `strconv.ParseFloat: parsing ${quote(text)}: ${tooLarge ? 'value out of range' : 'invalid syntax'}`
}

/**
 * strconv.ParseInt(text, 0, 64) as a float64: decimal, `0x`, `0o`, `0b`, a leading 0 for octal, underscores between digits or after the prefix.
 * @returns null for bad syntax or a number outside of int64.
 */
export function parseGoInteger(text: string): number | null {
  const found = /^([+-]?)(0[xX]_?|0[bB]_?|0[oO]_?|0_?(?=[0-9]))?([0-9a-fA-F_]+)$/.exec(text)
  if (found === null) return null
  const [, sign, prefix = '', digits] = found
  if (/^_|__|_$/.test(digits!)) return null
  const kind = prefix.charAt(1).toLowerCase()
  const base = prefix === '' ? '' : kind === 'x' ? '0x' : kind === 'b' ? '0b' : '0o'
  const allowed = { '': /^[0-9_]+$/, '0x': /^[0-9a-fA-F_]+$/, '0b': /^[01_]+$/, '0o': /^[0-7_]+$/ }[base]
  if (!allowed.test(digits!) || digits!.length > 400) return null
  const size = BigInt(base + digits!.replaceAll('_', ''))
  if (size > (sign === '-' ? 1n << 63n : (1n << 63n) - 1n)) return null
  return sign === '-' ? -Number(size) : Number(size)
}

/** Null where an underscore is not between digits (a base prefix counts as one). */
function withoutUnderscores(text: string): string | null {
  const hex = /^[+-]?0x/i.test(text)
  const digit = hex ? '[0-9a-fA-F]' : '[0-9]'
  const loose = hex ? /^([+-]?0x)_/i : null
  const joined = loose === null ? text : text.replace(loose, '$1')
  const rest = joined.replace(new RegExp(`(?<=${digit})_(?=${digit})`, 'g'), '')
  return rest.includes('_') ? null : rest
}

/** `0x1.8p3`; the exponent is required. The mantissa is rounded once, to even. */
function parseHexFloat(text: string): number | null {
  const found = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/.exec(text)
  if (found === null) return null
  const [, sign, whole, fraction, power] = found
  const digits = whole! + fraction!
  if (digits === '') return null
  let value = Number(BigInt('0x' + digits))
  let exponent = Math.max(-10_000, Math.min(10_000, Number(power))) - 4 * fraction!.length
  // in steps, so that 2 ** exponent itself neither overflows nor vanishes
  while (exponent !== 0 && value !== 0 && value !== Infinity) {
    const step = Math.max(-512, Math.min(512, exponent))
    value *= 2 ** step
    exponent -= step
  }
  return sign === '-' ? -value : value
}
