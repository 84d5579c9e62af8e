// Reads the plain shapes most matcher patterns have (literals, alternations, `.*`, `.+`, small classes) without the RE2 engine, so that
// they can be tested with string operations and looked up in an index. Anything it is not sure of is "no shape": the engine decides.

/** One way a value can match: literals with wildcards between them. gaps[i] lies before literals[i], the last gap behind the last literal. */
export type Glob = Readonly<{
  literals: readonly string[]
  /** literals.length + 1 entries: `none` nothing, `any` is `.*`, `some` is `.+`. */
  gaps: readonly Gap[]
}>
export type Gap = 'none' | 'any' | 'some'

/** The alternatives of an anchored pattern: the value matches where one of them does. */
export type Shape = Readonly<{
  /** Whole values. */
  literals: readonly string[]
  globs: readonly Glob[]
  /** ASCII letters match in either case (the pattern starts with `(?i)`). Then every literal is lower-case ASCII. */
  foldCase: boolean
}>

const globsMax = 4096
/** Alternatives written one by one, those that come from multiplying groups, and parts of one of them. */
const alternativesMax = 100_000
const productMax = 1024
const partsMax = 64
const depthMax = 20

/** A concatenation: text and wildcards, in order. */
type Sequence = readonly (Readonly<{ text: string }> | Readonly<{ gap: 'any' | 'some' }>)[]

/** @returns the shape of `^(?s:source)$`, or null where it is not one of the plain ones. */
export function regexShape(source: string): Shape | null {
  if (source.length > 1 << 20 || !source.isWellFormed()) return null
  const plain = plainAlternatives(source)
  if (plain !== null) return { literals: plain, globs: [], foldCase: false }
  const flags = /^\(\?(s|i|si|is)\)/.exec(source)
  const foldCase = flags !== null && flags[1]!.includes('i')
  const reader = new ShapeReader(source, flags === null ? 0 : flags[0].length)
  const sequences = reader.alternation(0)
  if (sequences === null || reader.at !== source.length) return null
  const literals: string[] = []
  const globs: Glob[] = []
  for (const sequence of sequences) {
    if (foldCase && !sequence.every((part) => !('text' in part) || ascii.test(part.text))) return null
    const glob = toGlob(sequence, foldCase)
    if (glob === null) return null
    if (glob.gaps.every((gap) => gap === 'none')) literals.push(glob.literals.join(''))
    else globs.push(glob)
  }
  return globs.length > globsMax ? null : { literals, globs, foldCase }
}

/**
 * Text every matching value of an anchored pattern starts with, as far as it is plain to see; '' where nothing is known.
 * For patterns without a shape, such as `node-[0-9]+.*`.
 */
export function regexPrefix(source: string): string {
  if (hasTopLevelBar(source)) return ''
  let prefix = ''
  let last = ''
  let at = source.startsWith('^') ? 1 : 0
  for (;;) {
    const char = literalAt(source, at)
    if (char === null) break
    prefix += last
    last = char.text
    at = char.to
  }
  const next = source[at]
  const optional = next === '*' || next === '?' || next === '{'
  return optional ? prefix : prefix + last
}

/** `a|b|c` without a single special character: any number of alternatives. Null where something else. */
function plainAlternatives(source: string): string[] | null {
  return /[\\.+*?()[\]{}^$]/.test(source) ? null : source.split('|')
}

// oxlint-disable-next-line no-control-regex
const ascii = /^[\x00-\x7f]*$/
const special = '\\.+*?()|[]{}^$'

/** The literal character or escaped punctuation at an offset, or null. */
function literalAt(source: string, at: number): { text: string; to: number } | null {
  if (at >= source.length) return null
  if (source[at] === '\\') {
    const escaped = source[at + 1]
    // punctuation only: letters and digits after a backslash have meanings of their own
    return escaped !== undefined && /[!-/:-@[-`{-~]/.test(escaped) ? { text: escaped, to: at + 2 } : null
  }
  if (special.includes(source[at]!)) return null
  const text = String.fromCodePoint(source.codePointAt(at)!)
  return { text, to: at + text.length }
}

/** Whether there is a `|` outside all groups. True also where the pattern is too odd to tell. */
function hasTopLevelBar(source: string): boolean {
  let depth = 0
  for (let i = 0; i < source.length; i++) {
    const c = source[i]
    if (c === '\\') {
      if (source[i + 1] === 'Q') return true
      i++
    } else if (c === '[') {
      i++
      if (source[i] === '^') i++
      if (source[i] === ']') i++
      while (i < source.length && source[i] !== ']') {
        if (source[i] === '\\') i++
        else if (source[i] === '[' && source[i + 1] === ':') {
          const close = source.indexOf(':]', i + 2)
          if (close > 0) i = close + 1
        }
        i++
      }
    } else if (c === '(') {
      if (source[i + 1] === '?' && source[i + 2] !== ':' && source[i + 2] !== 'P') return true // flags
      depth++
    } else if (c === ')') depth--
    else if (c === '|' && depth === 0) return true
  }
  return false
}

class ShapeReader {
  readonly source: string
  at: number
  constructor(source: string, at: number) {
    this.source = source
    this.at = at
  }

  /** `a|b|c` up to a closing parenthesis or the end. Null: not plain. */
  alternation(depth: number): Sequence[] | null {
    const out: Sequence[] = []
    for (;;) {
      const branch = this.#concatenation(depth)
      if (branch === null) return null
      out.push(...branch)
      if (out.length > alternativesMax) return null
      if (this.source[this.at] !== '|') return out
      this.at++
    }
  }

  #concatenation(depth: number): Sequence[] | null {
    // the whole pattern is anchored, so these say nothing at the ends of a top-level branch
    if (depth === 0 && this.source[this.at] === '^') this.at++
    let sequences: Sequence[] = [[]]
    for (;;) {
      const c = this.source[this.at]
      if (c === undefined || c === '|' || c === ')') return sequences
      if (c === '$') {
        this.at++
        const next = this.source[this.at]
        return depth === 0 && (next === undefined || next === '|') ? sequences : null
      }
      const piece = this.#piece(depth)
      if (piece === null) return null
      if (sequences.length > 1 && piece.length > 1 && sequences.length * piece.length > productMax) return null
      const joined: Sequence[] = []
      for (const sequence of sequences) for (const more of piece) joined.push(join(sequence, more))
      if (joined.some(({ length }) => length > partsMax)) return null
      sequences = joined
    }
  }

  /** One atom with its repetition. */
  #piece(depth: number): Sequence[] | null {
    const c = this.source[this.at]!
    if (c === '.') {
      const repeat = this.source[this.at + 1]
      if (repeat !== '*' && repeat !== '+') return null
      this.at += 2
      if (this.source[this.at] === '?') this.at++ // lazy: the same values match
      return isRepeat(this.source[this.at]) ? null : [[{ gap: repeat === '*' ? 'any' : 'some' }]]
    }
    const atom = c === '(' ? this.#group(depth) : c === '[' ? this.#class() : this.#literal()
    if (atom === null) return null
    const repeat = this.source[this.at]
    if (repeat === '?') {
      this.at++
      if (this.source[this.at] === '?') this.at++
      return isRepeat(this.source[this.at]) ? null : [[], ...atom]
    }
    return isRepeat(repeat) ? null : atom
  }

  #group(depth: number): Sequence[] | null {
    if (depth >= depthMax) return null
    this.at++
    if (this.source[this.at] === '?') {
      if (this.source[this.at + 1] !== ':') return null
      this.at += 2
    }
    const inner = this.alternation(depth + 1)
    if (inner === null || this.source[this.at] !== ')') return null
    this.at++
    return inner
  }

  /** `[abc]`, `[a-c0-9]`: ASCII letters, digits and a few signs, not negated. */
  #class(): Sequence[] | null {
    const found = /\[([A-Za-z0-9_ .:/-]+)\]/y
    found.lastIndex = this.at
    const text = found.exec(this.source)?.[1]
    if (text === undefined) return null
    const chars = new Set<string>()
    for (let i = 0; i < text.length; i++) {
      if (text[i] === '-' && i > 0 && i < text.length - 1) return null
      if (text[i + 1] === '-' && i + 2 < text.length) {
        const from = text.charCodeAt(i)
        const to = text.charCodeAt(i + 2)
        if (to < from) return null
        for (let code = from; code <= to; code++) chars.add(String.fromCharCode(code))
        i += 2
      } else chars.add(text[i]!)
    }
    this.at = found.lastIndex
    return Array.from(chars, (char) => [{ text: char }])
  }

  /** Plain characters up to the next special one; the last is left alone where a repetition follows it. */
  #literal(): Sequence[] | null {
    let text = ''
    for (;;) {
      const char = literalAt(this.source, this.at)
      if (char === null || (text !== '' && isRepeat(this.source[char.to]))) break
      text += char.text
      this.at = char.to
    }
    return text === '' ? null : [[{ text }]]
  }
}

/** One behind the other; text that meets text becomes one. */
function join(first: Sequence, second: Sequence): Sequence {
  const last = first.at(-1)
  const next = second[0]
  if (last === undefined || next === undefined || !('text' in last) || !('text' in next)) return [...first, ...second]
  return [...first.slice(0, -1), { text: last.text + next.text }, ...second.slice(1)]
}

function isRepeat(c: string | undefined): boolean {
  return c === '*' || c === '+' || c === '?' || c === '{'
}

/** Joins neighbouring text and wildcards. Null where two `.+` meet: their least length is two characters, which string search can't count. */
function toGlob(sequence: Sequence, foldCase: boolean): Glob | null {
  const literals: string[] = []
  const gaps: Gap[] = ['none']
  for (const part of sequence) {
    const last = gaps.length - 1
    if ('gap' in part) {
      if (gaps[last] === 'some' && part.gap === 'some') return null
      if (gaps[last] !== 'some') gaps[last] = part.gap
    } else {
      const text = foldCase ? part.text.toLowerCase() : part.text
      if (gaps[last] === 'none' && literals.length > 0) literals[literals.length - 1] += text
      else {
        literals.push(text)
        gaps.push('none')
      }
    }
  }
  return { literals, gaps }
}
