import { parseGoFloat } from '../model/number-text.ts'
import type { NumberConstant } from './ast.ts'

/** Go literals: strings, characters and numbers. */

const simple: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, "'": 39, '"': 34 }
const decoder = new TextDecoder()
const encoder = new TextEncoder()

/** The value of a quoted Go string or character (quotes included), or null where it is malformed. Bytes that are not UTF-8 become U+FFFD. */
export function unquote(text: string): string | null {
  const mark = text[0]!
  const body = text.slice(1, -1)
  if (mark === '`') return body.replaceAll('\r', '')
  if (!body.includes('\\')) return body
  const bytes: number[] = []
  for (let i = 0; i < body.length;) {
    if (body[i] !== '\\') {
      const next = body.indexOf('\\', i)
      const end = next === -1 ? body.length : next
      for (const byte of encoder.encode(body.slice(i, end))) bytes.push(byte)
      i = end
      continue
    }
    const kind = body[i + 1]
    if (kind === undefined) return null
    const known = simple[kind]
    if (known !== undefined) {
      if ((kind === "'" || kind === '"') && kind !== mark) return null
      bytes.push(known)
      i += 2
      continue
    }
    const escape = /\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y
    escape.lastIndex = i
    const match = escape.exec(body)
    if (match === null) return null
    i = escape.lastIndex
    if (match[1] !== undefined) {
      const octal = parseInt(match[1], 8)
      if (octal > 255) return null
      bytes.push(octal)
    } else if (match[2] !== undefined) bytes.push(parseInt(match[2], 16))
    else {
      const code = parseInt((match[3] ?? match[4])!, 16)
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return null
      for (const byte of encoder.encode(String.fromCodePoint(code))) bytes.push(byte)
    }
  }
  return decoder.decode(Uint8Array.from(bytes))
}

const int64Min = -(1n << 63n)
const int64Max = (1n << 63n) - 1n
const uint64Max = (1n << 64n) - 1n

/** A number or character literal, or the message of what is wrong with it. */
export function readNumber(text: string, from: number, kind: 'charConstant' | 'complex' | 'number'): NumberConstant | string {
  if (kind === 'charConstant') {
    const value = unquote(text)
    if (value === null || value === '') return 'invalid syntax'
    const code = value.codePointAt(0)!
    if (String.fromCodePoint(code) !== value) return `malformed character constant: ${text}`
    return { kind: 'number', from, text, int: BigInt(code), uint: BigInt(code), float: code, isComplex: false }
  }
  if (kind === 'complex') return { kind: 'number', from, text, isComplex: true }
  if (text.endsWith('i')) {
    const imaginary = parseGoFloat(text.slice(0, -1))
    if (imaginary !== null)
      return { kind: 'number', from, text, isComplex: true, ...(imaginary === 0 ? { int: 0n, uint: 0n, float: 0 } : {}) }
  }
  const whole = parseGoInt(text)
  const int = whole !== null && whole >= int64Min && whole <= int64Max ? whole : undefined
  // an unsigned literal has no sign; only zero is forgiven
  const uint = whole !== null && ((whole >= 0n && whole <= uint64Max && !/^[+-]/.test(text)) || whole === 0n) ? whole : undefined
  if (int !== undefined || uint !== undefined) {
    const float = Number(int ?? uint)
    return {
      kind: 'number',
      from,
      text,
      ...(int === undefined ? {} : { int }),
      ...(uint === undefined ? {} : { uint }),
      float,
      isComplex: false,
    }
  }
  const float = parseGoFloat(text)
  if (float === null) return `illegal number syntax: "${text}"`
  if (!/[.eEpP]/.test(text)) return `integer overflow: "${text}"`
  if (!Number.isFinite(float)) return `illegal number syntax: "${text}"`
  const asInt = Number.isInteger(float) && Math.abs(float) < 2 ** 63 ? { int: BigInt(float) } : {}
  const asUint = Number.isInteger(float) && float >= 0 && float < 2 ** 64 ? { uint: BigInt(float) } : {}
  return { kind: 'number', from, text, ...asInt, ...asUint, float, isComplex: false }
}

/** strconv.ParseInt(text, 0, …) without a range: prefixes 0x 0o 0b 0, underscores between digits. Null where malformed. */
function parseGoInt(text: string): bigint | null {
  const match = /^([+-]?)(?:0[xX](_?[0-9a-fA-F](?:_?[0-9a-fA-F])*)|0[oO](_?[0-7](?:_?[0-7])*)|0[bB](_?[01](?:_?[01])*)|0((?:_?[0-7])+)|([1-9](?:_?[0-9])*|0))$/.exec(text) // prettier-ignore
  if (match === null) return null
  const digits = (part: string): string => part.replaceAll('_', '')
  let value: bigint
  if (match[2] !== undefined) value = BigInt(`0x${digits(match[2])}`)
  else if (match[3] !== undefined) value = BigInt(`0o${digits(match[3])}`)
  else if (match[4] !== undefined) value = BigInt(`0b${digits(match[4])}`)
  else if (match[5] !== undefined) value = BigInt(`0o${digits(match[5])}`)
  else value = BigInt(digits(match[6]!))
  return match[1] === '-' ? -value : value
}
