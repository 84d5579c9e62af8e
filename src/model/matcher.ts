/** A label matcher as written; compile it with compileMatcher (src/model/matching.ts) to use it. */
export type MatchKind = '=' | '!=' | '=~' | '!~'
export type Matcher = Readonly<{ name: string; kind: MatchKind; value: string }>

export function equals(name: string, value: string): Matcher {
  return { name, kind: '=', value }
}
