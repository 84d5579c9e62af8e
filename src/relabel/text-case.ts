// Lower and upper case as Go's strings.ToLower and ToUpper do it: one code point for one code point, whatever stands around it.
// JavaScript's own functions write several letters for one (ß → SS) and look at the end of words (Σ → ς).

export function toLowerText(text: string): string {
  if (ascii.test(text)) return text.toLowerCase()
  let out = ''
  for (const letter of text) out += letter === '\u0130' ? 'i' : single(letter, letter.toLowerCase())
  return out
}

export function toUpperText(text: string): string {
  if (ascii.test(text)) return text.toUpperCase()
  let out = ''
  for (const letter of text) out += upperOfOne(letter)
  return out
}

const ascii = /^[\x00-\x7f]*$/

function single(letter: string, changed: string): string {
  return changed.length === letter.length || Array.from(changed).length === 1 ? changed : letter
}

/** Greek letters with iota below have a capital of their own, which JavaScript spells as two letters. */
function upperOfOne(letter: string): string {
  const code = letter.codePointAt(0)!
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8)
  if (code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3) return String.fromCodePoint(code + 9)
  return single(letter, letter.toUpperCase())
}
