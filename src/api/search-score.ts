// How well a name fits what someone typed (FEATURES 6.14): a score from 0 (not at all) to 1. Texts are compared by code points.
// Source: prometheus web/api/v1 search_filters.go, util/strutil.

export type Scorer = (value: string) => number | null
export type SearchTerms = Readonly<{
  terms: readonly string[]
  algorithm: 'subsequence' | 'jarowinkler'
  /** 0 … 1. */
  threshold: number
  caseSensitive: boolean
}>

/** The best score over all terms, null where no term takes the value. Without terms every value scores 1. */
export function scorerOf(search: SearchTerms): Scorer {
  const terms = search.terms.filter((term) => term !== '').map((term) => (search.caseSensitive ? term : term.toLowerCase()))
  if (terms.length === 0) return () => 1
  const { threshold } = search
  const scorers = terms.map((term): Scorer => {
    const points = Array.from(term)
    if (search.algorithm === 'subsequence') {
      return (value) => {
        if (value.startsWith(term)) return 1
        const score = subsequenceScore(points, value, Array.from(value))
        return score > 0 && score >= threshold ? score : null
      }
    }
    return (value) => {
      const at = substringScore(term, value)
      if (at !== null || threshold === 0) return at
      const score = jaroWinkler(points, Array.from(value))
      return score >= threshold ? score : null
    }
  })
  return (value) => {
    const folded = search.caseSensitive ? value : value.toLowerCase()
    let best: number | null = null
    for (const scorer of scorers) {
      const score = scorer(folded)
      if (score !== null && (best === null || score > best)) best = score
      if (best === 1) break
    }
    return best
  }
}

/** 1 at the start, down to 0.1 at the end; null where the term is not in it. */
function substringScore(term: string, value: string): number | null {
  const at = value.indexOf(term)
  if (at < 0) return null
  if (at === 0) return 1
  const position = Array.from(value.slice(0, at)).length
  const last = Array.from(value).length - Array.from(term).length
  return last <= 0 ? 1 : 1 - (0.9 * position) / last
}

/**
 * All characters of the pattern in order; runs count by their square, gaps cost their share of the text, what trails half of that.
 * Greedy from each start; below 1 for anything but the same text.
 */
export function subsequenceScore(pattern: readonly string[], value: string, text: readonly string[]): number {
  if (pattern.length === 0) return 1
  if (pattern.length > text.length) return 0
  if (pattern.length === text.length) return pattern.join('') === value ? 1 : 0
  let best = -1
  for (let start = 0; start <= text.length - pattern.length; start++) {
    if (text[start] !== pattern[0]) continue
    const score = scoreFrom(pattern, text, start)
    if (score === null) break // later starts have less to match
    if (score > best) best = score
  }
  return best < 0 ? 0 : (best / pattern.length ** 2) * 0.999
}

function scoreFrom(pattern: readonly string[], text: readonly string[], start: number): number | null {
  let score = 0
  let matched = 0
  let end = 0 // after the last run
  let i = start
  while (matched < pattern.length) {
    while (i < text.length && text[i] !== pattern[matched]) i++
    if (i === text.length) return null
    const from = i
    while (matched < pattern.length && i < text.length && text[i] === pattern[matched]) {
      matched++
      i++
    }
    score += (i - from) ** 2 - (from - end) / text.length
    end = i
  }
  return score - ((text.length - end) / text.length) * 0.5
}

/** Jaro similarity with Winkler's bonus for a common start of up to four characters. */
export function jaroWinkler(a: readonly string[], b: readonly string[]): number {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  if (short.length === 0) return long.length === 0 ? 1 : 0
  const reach = Math.max(Math.floor(long.length / 2) - 1, 0)
  const taken = new Uint8Array(long.length)
  const matches: string[] = []
  for (let i = 0; i < short.length; i++) {
    for (let j = Math.max(i - reach, 0); j < Math.min(i + reach + 1, long.length); j++) {
      if (taken[j] === 1 || short[i] !== long[j]) continue
      taken[j] = 1
      matches.push(short[i]!)
      break
    }
  }
  const count = matches.length
  if (count === 0) return 0
  let swapped = 0
  let k = 0
  for (let j = 0; j < long.length; j++) if (taken[j] === 1 && long[j] !== matches[k++]) swapped++
  const jaro = (count / short.length + count / long.length + (count - swapped / 2) / count) / 3
  let prefix = 0
  while (prefix < Math.min(4, short.length) && short[prefix] === long[prefix]) prefix++
  return jaro + prefix * 0.1 * (1 - jaro)
}
