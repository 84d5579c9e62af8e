/**
 * Undoes the value encoding of names (`U__` in front, `_xHEX_` for other characters, `__` for an underscore), as label names in a path carry it.
 * Text that is not well encoded comes back unchanged.
 * @see prometheus/common model.UnescapeName
 */
export function unescapeName(name: string): string {
  if (!name.startsWith('U__')) return name
  const body = name.slice(3)
  let out = ''
  for (let i = 0; i < body.length; i++) {
    const char = body[i]!
    if (char !== '_') {
      out += char
      continue
    }
    if (body[i + 1] === '_') {
      out += '_'
      i++
      continue
    }
    const end = body.indexOf('_', i + 1)
    const digits = end < 0 ? '' : body.slice(i + 1, end)
    if (!/^[0-9a-fA-F]{1,6}$/.test(digits)) return name
    const code = Number.parseInt(digits, 16)
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return name
    out += String.fromCodePoint(code)
    i = end
  }
  return out
}
