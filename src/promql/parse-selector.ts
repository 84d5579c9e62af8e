// Selectors and label lists: `name{a="b", "quoted.name"=~"x"}`, `by (a, "b.c")`.

import { quote } from '../model/labels.ts'
import type { MatchKind, Matcher } from '../model/matcher.ts'
import { compileMatcher } from '../model/matching.ts'
import { messageOf } from '../base/errors.ts'
import { unquoteString } from './lex-string.ts'
import { canBeLabelName, type Token } from './lex-token.ts'
import type { VectorSelector } from './ast.ts'
import type { TokenStream } from './parse-tokens.ts'

const nameLabel = '__name__'

/** A selector that starts with a name (already taken) or with braces. The matcher of a name in front comes last. */
export function parseSelector(tokens: TokenStream, name: Token | null): VectorSelector {
  const matchers: Matcher[] = []
  const from = name?.from ?? tokens.peek().from
  let to = name?.to ?? from
  if (tokens.peek().kind === '{') to = parseMatchers(tokens, matchers)
  if (name !== null) matchers.push({ name: nameLabel, kind: '=', value: name.text })
  return {
    kind: 'selector',
    span: { from, to },
    name: name?.text ?? '',
    matchers,
    offset: null,
    at: null,
    anchored: false,
    smoothed: false,
  }
}

/** @returns the offset behind the closing brace. */
function parseMatchers(tokens: TokenStream, into: Matcher[]): number {
  tokens.expect('{')
  const empty = tokens.takeIf('}')
  if (empty !== null) return empty.to
  for (;;) {
    const matcher = parseMatcher(tokens)
    if (matcher !== null) into.push(matcher)
    const comma = tokens.takeIf(',')
    const close = tokens.takeIf('}')
    if (close !== null) return close.to
    if (comma === null) tokens.unexpected('label matching', '"," or "}"')
  }
}

/** Null where its pattern is wrong; the problem is noted. */
function parseMatcher(tokens: TokenStream): Matcher | null {
  const label = tokens.takeIf('identifier') ?? tokens.takeIf('string') ?? tokens.unexpected('label matching', 'identifier or "}"')
  const name = label.kind === 'string' ? unquoteString(label.text) : label.text
  const sign = tokens.peek()
  if (!isMatchKind(sign.kind)) {
    if (label.kind === 'string') return { name: nameLabel, kind: '=', value: name }
    return tokens.unexpected('label matching', 'label matching operator')
  }
  tokens.take()
  const value = tokens.expect('string', 'label matching', 'string')
  const matcher = { name, kind: sign.kind, value: unquoteString(value.text) }
  if (matcher.kind === '=' || matcher.kind === '!=') return matcher
  try {
    compileMatcher(matcher)
    return matcher
  } catch (thrown) {
    tokens.problem({ from: label.from, to: value.to }, messageOf(thrown))
    return null
  }
}

function isMatchKind(kind: string): kind is MatchKind {
  return kind === '=' || kind === '!=' || kind === '=~' || kind === '!~'
}

/** `(a, "b.c")` behind by, without, on, ignoring, group_left or group_right; a trailing comma is fine. */
export function parseGrouping(tokens: TokenStream): { labels: string[]; to: number } {
  tokens.expect('(', 'grouping opts', '"("')
  const labels: string[] = []
  const empty = tokens.takeIf(')')
  if (empty !== null) return { labels, to: empty.to }
  for (;;) {
    labels.push(parseGroupingLabel(tokens))
    const comma = tokens.takeIf(',')
    const close = tokens.takeIf(')')
    if (close !== null) return { labels, to: close.to }
    if (comma === null) tokens.unexpected('grouping opts', '"," or ")"')
  }
}

function parseGroupingLabel(tokens: TokenStream): string {
  const token = tokens.peek()
  if (token.kind !== 'string' && !canBeLabelName(token.kind)) tokens.unexpected('grouping opts', 'label')
  tokens.take()
  const label = token.kind === 'string' ? unquoteString(token.text) : token.text
  if (label === '' || !label.isWellFormed()) {
    tokens.problem({ from: token.from, to: token.to }, `invalid label name for grouping: ${quote(label)}`)
  }
  return label
}
