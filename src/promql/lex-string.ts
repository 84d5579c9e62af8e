// Quoted strings of PromQL: what escapes mean.

import { quote } from '../model/labels.ts'

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', "'": "'", '"': '"',
} // prettier-ignore

/**
 * The value of a string literal the lexer accepted, quotes included: '…', "…" with escapes or `…` as it stands.
 * `\xff` and `\377` are bytes: together they may spell UTF-8, what they don't becomes U+FFFD.
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
    if (bytes.length > 0) out += new TextDecoder().decode(Uint8Array.from(bytes))
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
