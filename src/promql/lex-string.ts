// Quoted strings of PromQL: what escapes mean.

import { quote } from '../model/labels.ts'

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', "'": "'", '"': '"',
} // prettier-ignore

/**
 * The value of a string literal the lexer accepted, quotes included: '…', "…" with escapes or `…` as it stands.
 * `\xff` and `\377` are bytes: together they may spell UTF-8. A byte that does not becomes the lone surrogate U+DC80…U+DCFF, so that the value
 * is not well-formed (no valid label name or value) and prints as `\xff` again.
 * @see prometheus/util/strutil Unquote
 */
export function unquoteString(literal: string): string {
  const inner = literal.slice(1, -1)
  if (literal[0] === '`' || !inner.includes('\\')) return inner
  const escape = /\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))/g
  let bytes: number[] = []
  let out = ''
  let at = 0
  const flush = (): void => {
    if (bytes.length > 0) out += decodeBytes(bytes)
    bytes = []
  }
  for (let found = escape.exec(inner); found !== null; found = escape.exec(inner)) {
    const [, hex, octal, short, long, simple] = found
    // bytes that stand side by side may belong together
    if (found.index > at || (hex ?? octal) === undefined) flush()
    out += inner.slice(at, found.index)
    at = escape.lastIndex
    if (hex !== undefined) bytes.push(parseInt(hex, 16))
    else if (octal !== undefined) bytes.push(parseInt(octal, 8) & 0xff)
    else if (simple !== undefined) out += simpleEscapes[simple] ?? simple
    else out += String.fromCodePoint(parseInt(short ?? long!, 16))
  }
  flush()
  return out + inner.slice(at)
}

function decodeBytes(bytes: readonly number[]): string {
  let out = ''
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at]!)
    const char = length === 0 ? null : decodeSequence(bytes.slice(at, at + length))
    out += char ?? String.fromCharCode(0xdc00 + bytes[at]!)
    at += char === null ? 1 : length
  }
  return out
}

/** Bytes of the character a first byte announces, 0 where none does. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1
  if (first < 0xc2) return 0
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
}

function decodeSequence(bytes: readonly number[]): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
  } catch {
    return null
  }
}

/** A character as Go's %q prints it: `'a'`, `'\''`, `'\n'`, `'�'` for the end of the text (null). */
export function quoteChar(char: string | null): string {
  if (char === null) return "'\ufffd'"
  if (char === "'") return "'\\''"
  if (char === '"') return `'"'`
  return `'${quote(char).slice(1, -1)}'`
}

/** A character as Go's %#U prints it: `U+0027 '''`. */
export function describeCodePoint(char: string): string {
  const code = char.codePointAt(0)!
  const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
  return isPrintable(char) ? `${name} '${char}'` : name
}

function isPrintable(char: string): boolean {
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(char)
}
