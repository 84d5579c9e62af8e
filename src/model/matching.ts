// Label matchers made ready to use: string operations where the pattern is plain, RE2 where it is not, and what an index can use of it.

import type { Matcher, MatchKind } from './matcher.ts'
import { compileRegex, type Regex } from './regex.ts'
import { regexPrefix, regexShape, type Glob } from './regex-shape.ts'

export interface CompiledMatcher {
  readonly name: string
  readonly kind: MatchKind
  /** The value or pattern as written. */
  readonly value: string
  /** Whether a label value passes; '' stands for an absent label. */
  matches(value: string): boolean
  /**
   * The finite set behind the matcher, or null. For `=` and `=~` exactly these values pass; for `!=` and `!~` exactly these do not.
   * Distinct, in the order written; '' may be among them.
   */
  readonly setMatches: readonly string[] | null
  /** For `=~` every passing value starts with it; for `!~` every value that does not is let through. '' where nothing is known. */
  readonly prefix: string
  /** Whether an absent label passes. */
  readonly isEmptyMatch: boolean
  /** Every value passes (`=~".*"`), so that the matcher selects nothing away. */
  readonly isAllMatch: boolean
  /** `!=` or `!~`. */
  readonly isNegative: boolean
}

/**
 * @throws PromhiveError BAD_REQUEST where the pattern of `=~` or `!~` is wrong: error parsing regexp: missing closing ): `(a`
 */
export function compileMatcher(matcher: Matcher): CompiledMatcher {
  const { name, kind, value } = matcher
  if (kind === '=') return new ReadyMatcher(matcher, (text) => text === value, [value], value, false)
  if (kind === '!=') return new ReadyMatcher(matcher, (text) => text !== value, [value], value, false)
  const key = kind + name + '\xff' + value
  const known = remembered.get(key)
  if (known !== undefined) return known
  const made = compilePattern(matcher)
  if (value.length <= rememberedLengthMax) {
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!)
    remembered.set(key, made)
  }
  return made
}

/** Compiles all; throws as compileMatcher does. */
export function compileMatchers(matchers: readonly Matcher[]): CompiledMatcher[] {
  return matchers.map(compileMatcher)
}

/** Pattern matchers by text, with what they remember of values: the same rules and dashboards ask again and again. Oldest out first. */
const remembered = new Map<string, CompiledMatcher>()
const rememberedMax = 256
const rememberedLengthMax = 4096

type Test = (text: string) => boolean

class ReadyMatcher implements CompiledMatcher {
  readonly name: string
  readonly kind: MatchKind
  readonly value: string
  readonly matches: Test
  readonly setMatches: readonly string[] | null
  readonly prefix: string
  readonly isEmptyMatch: boolean
  readonly isAllMatch: boolean
  readonly isNegative: boolean
  constructor(matcher: Matcher, matches: Test, setMatches: readonly string[] | null, prefix: string, isAllMatch: boolean) {
    this.name = matcher.name
    this.kind = matcher.kind
    this.value = matcher.value
    this.matches = matches
    this.setMatches = setMatches
    this.prefix = prefix
    this.isEmptyMatch = matches('')
    this.isAllMatch = isAllMatch
    this.isNegative = matcher.kind === '!=' || matcher.kind === '!~'
  }
}

function compilePattern(matcher: Matcher): CompiledMatcher {
  const source = matcher.value
  const negative = matcher.kind === '!~'
  const ready = (test: Test, set: readonly string[] | null, prefix: string, all = false): CompiledMatcher =>
    new ReadyMatcher(matcher, negative ? (text) => !test(text) : test, set, prefix, all && !negative)

  const shape = regexShape(source)
  if (shape === null) {
    compileRegex(source) // by itself first: its error must not name the anchors
    const prefix = regexPrefix(source)
    return ready(slowTest(compileRegex(source, { anchored: true }), prefix), null, prefix)
  }
  if (shape.foldCase) {
    const folded = anyOf(shape.literals, shape.globs)
    let exact: Test | null = null
    // beyond ASCII there are letters that fold to ASCII ones (the Kelvin sign): RE2 knows them
    return ready(
      (text) => {
        if (isAscii(text)) return folded(text.toLowerCase())
        exact ??= slowTest(compileRegex(source, { anchored: true }), '')
        return exact(text)
      },
      null,
      '',
    )
  }
  const literals = [...new Set(shape.literals)]
  const others = shape.globs.filter(({ literals: parts, gaps }) => parts.length !== 1 || gaps[0] !== 'none')
  if (others.length > manyGlobs) {
    const prefix = regexPrefix(source)
    return ready(slowTest(compileRegex(source, { anchored: true }), prefix), null, prefix)
  }
  if (shape.globs.length === 0) return ready(anyOf(literals, []), literals, commonPrefix(literals))
  const starts = [...literals, ...shape.globs.map((glob) => (glob.gaps[0] === 'none' ? (glob.literals[0] ?? '') : ''))]
  const all = shape.globs.some((glob) => glob.literals.length === 0 && glob.gaps[0] === 'any')
  return ready(all ? () => true : anyOf(literals, shape.globs), null, all ? '' : commonPrefix(starts), all)
}

function anyOf(literals: readonly string[], globs: readonly Glob[]): Test {
  const inSet = oneOf(literals)
  if (globs.length === 0) return inSet
  const isPrefix = ({ literals: parts, gaps }: Glob): boolean => parts.length === 1 && gaps[0] === 'none' && gaps[1] !== 'none'
  const prefixes = globs.length > fewGlobs ? globs.filter(isPrefix) : []
  const tests = (prefixes.length === 0 ? globs : globs.filter((glob) => !isPrefix(glob))).map(globTest)
  if (prefixes.length > 0) tests.push(prefixTest(prefixes))
  if (literals.length > 0) tests.push(inSet)
  if (tests.length === 1) return tests[0]!
  return (text) => {
    for (const test of tests) if (test(text)) return true
    return false
  }
}
const fewGlobs = 8
/** More of them than this are the engine's business: it looks at a value once, not once for each. */
const manyGlobs = 64

/** Many `literal.*` and `literal.+` at once: one look-up for every length there is. */
function prefixTest(globs: readonly Glob[]): Test {
  const byLength = new Map<number, { any: Set<string>; some: Set<string> }>()
  for (const { literals, gaps } of globs) {
    const prefix = literals[0]!
    const sets = byLength.get(prefix.length) ?? { any: new Set(), some: new Set() }
    byLength.set(prefix.length, sets)
    if (gaps[1] === 'any') sets.any.add(prefix)
    else sets.some.add(prefix)
  }
  const lengths = [...byLength]
  return (text) => {
    for (const [length, { any, some }] of lengths) {
      if (text.length < length) continue
      const prefix = text.slice(0, length)
      if (any.has(prefix) || (text.length > length && some.has(prefix))) return true
    }
    return false
  }
}

function oneOf(literals: readonly string[]): Test {
  if (literals.length === 0) return () => false
  if (literals.length === 1) {
    const only = literals[0]!
    return (text) => text === only
  }
  const set = new Set(literals)
  return (text) => set.has(text)
}

/** Literals with wildcards between them; the earliest place for each literal is the best one. */
function globTest({ literals, gaps }: Glob): Test {
  const count = literals.length
  if (count === 0) return gaps[0] === 'some' ? (text) => text !== '' : () => true
  const first = literals[0]!
  const last = literals[count - 1]!
  if (count === 1) {
    const [before, after] = gaps
    const lengthMin = first.length + (before === 'some' ? 1 : 0) + (after === 'some' ? 1 : 0)
    if (before === 'none') return (text) => text.length >= lengthMin && text.startsWith(first)
    if (after === 'none') return (text) => text.length >= lengthMin && text.endsWith(first)
    if (before === 'any' && after === 'any') return (text) => text.includes(first)
  }
  return (text) => {
    let at = 0
    for (let i = 0; i < count; i++) {
      const literal = literals[i]!
      const gap = gaps[i]!
      if (gap === 'none') {
        if (!text.startsWith(literal)) return false // only before the first literal
        at = literal.length
        continue
      }
      const from = gap === 'some' ? at + 1 : at
      if (i === count - 1 && gaps[count] === 'none') return text.length - last.length >= from && text.endsWith(last)
      const found = from > text.length ? -1 : text.indexOf(literal, from)
      if (found < 0) return false
      at = found + literal.length
    }
    return gaps[count] === 'any' || (gaps[count] === 'some' ? text.length > at : text.length === at)
  }
}

/** RE2, behind a test of the prefix and a bounded memory of values already judged: label values repeat from series to series. */
function slowTest(regex: Regex, prefix: string): Test {
  const judged = new Map<string, boolean>()
  return (text) => {
    if (prefix !== '' && !text.startsWith(prefix)) return false
    const known = judged.get(text)
    if (known !== undefined) return known
    const verdict = regex.test(text)
    if (text.length <= judgedLengthMax) {
      if (judged.size >= judgedMax) judged.clear()
      judged.set(text, verdict)
    }
    return verdict
  }
}
const judgedMax = 512
const judgedLengthMax = 256

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false
  return true
}

function commonPrefix(texts: readonly string[]): string {
  let prefix = texts[0] ?? ''
  for (const text of texts) {
    let n = 0
    while (n < prefix.length && prefix[n] === text[n]) n++
    prefix = prefix.slice(0, n)
  }
  // not in the middle of a surrogate pair
  return /[\ud800-\udbff]$/.test(prefix) ? prefix.slice(0, -1) : prefix
}
