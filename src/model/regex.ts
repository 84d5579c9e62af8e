// Regular expressions with RE2's syntax and linear-time matching (re2js), as Go's regexp package shows them to Prometheus' users:
// the words of its errors, `.` across lines, and its replacement templates. Used by matchers, relabelling, label_replace and templates.

import { RE2JS } from 're2js'
import { PromhiveError, messageOf } from '../base/errors.ts'

/** Longest pattern, in UTF-16 units. A query or a rule file may be as long, so nothing that fits there is refused here. */
export const regexLengthMax = 1 << 20

export type RegexMatch = Readonly<{
  /** Half-open UTF-16 range of the whole match. */
  start: number
  end: number
  /** groups[0] is the whole match; undefined where a group took no part. */
  groups: readonly (string | undefined)[]
}>

export interface Regex {
  readonly source: string
  readonly anchored: boolean
  /** Whether the pattern matches: all of the text where anchored, anywhere in it otherwise. */
  test(text: string): boolean
  /** The leftmost match, or null. */
  match(text: string): RegexMatch | null
  /** Go's Regexp.ExpandString: fills `$1`, `${1}`, `$name`, `${name}` and `$$` of a template. Unknown groups are empty. */
  expand(template: string, match: RegexMatch): string
  /** Go's Regexp.ReplaceAllString: every match replaced by the expanded template. */
  replaceAll(text: string, template: string): string
}

/**
 * Compiles a pattern. Small patterns are remembered, so that the same matcher in every query costs one compilation.
 * @param options.anchored the whole text must match and `.` matches line ends too, `^(?s:…)$`, as matchers, relabelling and label_replace do.
 * @throws PromhiveError BAD_REQUEST, worded as Go does: error parsing regexp: missing closing ): `(a`
 * @see Go regexp.Compile, RE2's syntax page
 */
export function compileRegex(source: string, options: Readonly<{ anchored?: boolean }> = {}): Regex {
  const anchored = options.anchored === true
  const key = (anchored ? '^' : ' ') + source
  const known = remembered.get(key)
  if (known !== undefined) return known
  const made = new Re2Regex(source, anchored, compilePattern(anchored ? `^(?s:${source})$` : source, source))
  if (source.length <= rememberedLengthMax) {
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!)
    remembered.set(key, made)
  }
  return made
}

/** What is wrong with a pattern, or null. The text is the one `compileRegex` throws. */
export function regexProblem(source: string, options: Readonly<{ anchored?: boolean }> = {}): string | null {
  if (plain.test(source)) return null
  try {
    compileRegex(source, options)
    return null
  } catch (thrown) {
    return messageOf(thrown)
  }
}

/** Nothing can be wrong with these, and compiling takes milliseconds while its code is new: a start has many such patterns. */
const plain = /^(?:[\w:/ -]|\.[*+?]?){0,200}$/

/** A pattern that matches exactly this text. @see Go regexp.QuoteMeta */
export function quoteRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
}

/** Compiled patterns by source: a bounded memo, oldest out first. It never changes an answer. */
const remembered = new Map<string, Regex>()
const rememberedMax = 512
const rememberedLengthMax = 4096

function compilePattern(pattern: string, source: string): RE2JS {
  if (source.length > regexLengthMax) {
    const start = source.slice(0, 60)
    throw new PromhiveError('BAD_REQUEST', `error parsing regexp: expression too large: \`${start}\`… (${source.length} characters)`)
  }
  try {
    return RE2JS.compile(pattern)
  } catch (thrown) {
    const message = messageOf(thrown)
    // Go always quotes what it stumbled over, even where that is nothing
    throw new PromhiveError('BAD_REQUEST', message.endsWith('`') ? message : `${message}: \`\``, { source }, thrown)
  }
}

class Re2Regex implements Regex {
  readonly source: string
  readonly anchored: boolean
  readonly #compiled: RE2JS
  #names: Record<string, number> | null = null
  constructor(source: string, anchored: boolean, compiled: RE2JS) {
    this.source = source
    this.anchored = anchored
    this.#compiled = compiled
  }
  test(text: string): boolean {
    return this.#compiled.test(text)
  }
  match(text: string): RegexMatch | null {
    return this.#matchFrom(text, 0)
  }
  #matchFrom(text: string, from: number): RegexMatch | null {
    const matcher = this.#compiled.matcher(text)
    if (!matcher.find(from)) return null
    const groups: (string | undefined)[] = []
    for (let i = 0; i <= matcher.groupCount(); i++) groups.push(matcher.group(i) ?? undefined)
    return { start: matcher.start(), end: matcher.end(), groups }
  }
  expand(template: string, match: RegexMatch): string {
    if (!template.includes('$')) return template
    let out = ''
    let at = 0
    for (;;) {
      const dollar = template.indexOf('$', at)
      if (dollar < 0) return out + template.slice(at)
      out += template.slice(at, dollar)
      if (template[dollar + 1] === '$') {
        out += '$'
        at = dollar + 2
        continue
      }
      reference.lastIndex = dollar
      const found = reference.exec(template)
      if (found === null) {
        out += '$' // not a reference: the sign stands for itself
        at = dollar + 1
        continue
      }
      out += this.#group(found[1] ?? found[2]!, match)
      at = reference.lastIndex
    }
  }
  #group(name: string, match: RegexMatch): string {
    if (/^(0|[1-9][0-9]{0,8})$/.test(name)) return match.groups[Number(name)] ?? ''
    this.#names ??= this.#compiled.namedGroups()
    const index = Object.hasOwn(this.#names, name) ? this.#names[name] : undefined
    return index === undefined ? '' : (match.groups[index] ?? '')
  }
  replaceAll(text: string, template: string): string {
    let out = ''
    let copied = 0
    let from = 0
    while (from <= text.length) {
      const match = this.#matchFrom(text, from)
      if (match === null) break
      out += text.slice(copied, match.start)
      // an empty match right behind the one before is not replaced
      if (match.end > copied || match.start === 0) out += this.expand(template, match)
      copied = match.end
      const width = from < text.length && text.codePointAt(from)! > 0xffff ? 2 : 1
      from = Math.max(from + width, match.end)
    }
    return out + text.slice(copied)
  }
}

/** `${name}` or the longest `$name`; names are letters, digits and _. */
const reference = /\$(?:\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/uy
