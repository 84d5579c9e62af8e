// The tokens of PromQL and how problems name them.

import { quote } from '../model/labels.ts'

/**
 * A token kind: `keyword` words carry their own name as kind (`sum`, `by`, `and`), signs are themselves, the rest is listed here.
 * `error` ends the stream; its text is the message.
 */
export type TokenKind =
  | 'identifier'
  | 'metric identifier'
  | 'number'
  | 'duration'
  | 'string'
  | 'end'
  | 'error'
  | Keyword
  | '(' | ')' | '{' | '}' | '[' | ']' | ',' | ':' | '=' | '=~' | '!~' | '@'
  | '+' | '-' | '*' | '/' | '%' | '^' | '==' | '!=' | '<' | '>' | '<=' | '>=' | '</' | '>/' // prettier-ignore

export type Token = Readonly<{ kind: TokenKind; from: number; to: number; text: string }>

const operatorWords = ['and', 'or', 'unless', 'atan2'] as const
export const aggregateWords = ['sum', 'avg', 'count', 'min', 'max', 'group', 'stddev', 'stdvar', 'topk', 'bottomk', 'count_values', 'quantile', 'limitk', 'limit_ratio'] as const // prettier-ignore
export const modifierWords = ['offset', 'smoothed', 'anchored', 'by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'fill', 'fill_left', 'fill_right', 'bool'] as const // prettier-ignore
const preprocessorWords = ['start', 'end', 'step', 'range', 'max_of', 'min_of'] as const
export type Keyword =
  | (typeof operatorWords)[number]
  | (typeof aggregateWords)[number]
  | (typeof modifierWords)[number]
  | `${(typeof preprocessorWords)[number]}()`

/** Keywords in lower case; they are recognised in any case. The preprocessors' kinds end in `()`, because `end` is taken. */
export const keywords: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ...[...operatorWords, ...aggregateWords, ...modifierWords].map((word) => [word, word] as const),
  ...preprocessorWords.map((word) => [word, `${word}()`] as const),
])

const signs: ReadonlySet<string> = new Set('(){}[],:=')
const operators: ReadonlySet<string> = new Set([...operatorWords, '+', '-', '*', '/', '%', '^', '==', '!=', '<', '>', '<=', '>=', '</', '>/', '=~', '!~', '@']) // prettier-ignore
const aggregates: ReadonlySet<string> = new Set(aggregateWords)
const modifiers: ReadonlySet<string> = new Set(modifierWords)
const preprocessors: ReadonlySet<string> = new Set(preprocessorWords.map((word) => `${word}()`))

export function isAggregate(kind: TokenKind): boolean {
  return aggregates.has(kind)
}

/** Keywords that can still be the name of a metric where one is expected. */
const neverMetrics: ReadonlySet<string> = new Set(['bool', 'on', 'ignoring', 'group_left', 'group_right', 'atan2'])
export function canBeMetricName(kind: TokenKind): boolean {
  return kind === 'identifier' || kind === 'metric identifier' || (isKeyword(kind) && !neverMetrics.has(kind))
}

/** All keywords but `without` can name a label in `by (…)` and its like. */
export function canBeLabelName(kind: TokenKind): boolean {
  return kind === 'identifier' || kind === 'metric identifier' || (isKeyword(kind) && kind !== 'without')
}

function isKeyword(kind: TokenKind): kind is Keyword {
  return aggregates.has(kind) || modifiers.has(kind) || preprocessors.has(kind) || (operatorWords as readonly string[]).includes(kind)
}

/** How a problem names a token: `identifier "foo"`, `<op:+>`, `"("`, `end of input`. @see prometheus/promql/parser/lex.go Item.desc */
export function describeToken({ kind, text }: Token): string {
  if (kind === 'end') return 'end of input'
  if (signs.has(kind) || preprocessors.has(kind)) return abridged(text)
  if (modifiers.has(kind)) return `<${text}>`
  if (operators.has(kind)) return `<op:${text}>`
  if (aggregates.has(kind)) return `<aggr:${text}>`
  if (kind === 'identifier' || kind === 'metric identifier') return `${kind} ${quote(text)}`
  return `${kind} ${abridged(text)}`
}

/** Long texts are cut after ten characters. */
function abridged(text: string): string {
  return new TextEncoder().encode(text).length > 10 ? `${quote(Array.from(text).slice(0, 10).join(''))}...` : quote(text)
}
