// Names outside the legacy alphabet, written in it (FEATURES 1.19). Source: prometheus/common model EscapeName and UnescapeName.
import { isLegacyMetricName } from '../../src/model/labels.ts'

export type NameEscaping = 'allow-utf-8' | 'underscores' | 'dots' | 'values'

/** A metric or label name under a scheme; legacy names stay as they are, but `dots` doubles underscores everywhere. */
export function escapeName(name: string, scheme: NameEscaping): string {
  if (name === '' || scheme === 'allow-utf-8' || (scheme !== 'dots' && isLegacyMetricName(name))) return name
  let out = scheme === 'values' ? 'U__' : ''
  let first = true
  for (const char of name) {
    const legal = /[a-zA-Z_:]/.test(char) || (!first && /[0-9]/.test(char))
    first = false
    if (scheme === 'underscores') out += legal ? char : '_'
    else if (char === '_') out += '__'
    else if (scheme === 'dots') out += char === '.' ? '_dot_' : legal ? char : '__'
    else if (legal) out += char
    else out += `_${(char.isWellFormed() ? char.codePointAt(0)! : 0xfffd).toString(16)}_`
  }
  return out
}

/** Undoes escapeName where the scheme allows it; the name itself where it is not a well-formed escape. */
export function unescapeName(name: string, scheme: NameEscaping): string {
  if (scheme === 'dots') return name.replaceAll('_dot_', '.').replaceAll('__', '_')
  if (scheme !== 'values' || !name.startsWith('U__')) return name
  let out = ''
  const escaped = name.slice(3)
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] !== '_') {
      out += escaped[i]
      continue
    }
    if (escaped[i + 1] === '_') {
      out += '_'
      i++
      continue
    }
    const close = escaped.indexOf('_', i + 1)
    const digits = close < 0 ? '' : escaped.slice(i + 1, close)
    const code = parseInt(digits, 16)
    if (!/^[0-9a-fA-F]{1,6}$/.test(digits) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return name
    out += String.fromCodePoint(code)
    i = close
  }
  return out
}
