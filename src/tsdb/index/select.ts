// From matchers to series of an index: the shortest posting lists first; what would cost more to look up than to test is tested on the series left.
import type { CompiledMatcher } from '../../model/matching.ts'
import { intersect } from '../head/postings.ts'
import { type IndexReader, SeriesEntry } from './reader.ts'

/** Reading one series costs about as much as going over this many values or posting entries. */
const entriesPerSeries = 8

/** References of the series that pass all matchers, ascending. Reads postings; series only where that is cheaper. */
export function selectPostings(index: IndexReader, matchers: readonly CompiledMatcher[]): Uint32Array {
  const lists: { offsets: number[]; count: number }[] = []
  const tests: CompiledMatcher[] = []
  for (const matcher of matchers) {
    if (matcher.isAllMatch) continue
    if (matcher.isEmptyMatch || matcher.isNegative || matcher.setMatches === null) {
      if (!matcher.isEmptyMatch && index.table.valueCount(matcher.name) === 0) return none
      tests.push(matcher)
      continue
    }
    const offsets = matcher.setMatches.map((value) => (value === '' ? -1 : index.table.find(matcher.name, value)))
    const found = offsets.filter((offset) => offset !== -1)
    if (found.length === 0) return none
    lists.push({ offsets: found, count: found.reduce((sum, offset) => sum + index.postingsCount(offset), 0) })
  }
  lists.sort((a, b) => a.count - b.count)
  // a pattern over few values narrows well; `a!=""` over all of them does not
  tests.sort((a, b) => cost(index, a) - cost(index, b))
  let series: Uint32Array
  if (lists.length > 0) {
    series = union(index, lists[0]!.offsets)
    for (let i = 1; i < lists.length && series.length > 0; i++) series = both(series, union(index, lists[i]!.offsets))
  } else {
    const first = tests.findIndex((test) => !test.isEmptyMatch)
    if (first === -1) series = index.allPostings()
    else series = union(index, passing(index, tests.splice(first, 1)[0]!))
  }
  const late: CompiledMatcher[] = []
  for (const test of tests) {
    if (series.length === 0) return none
    const values = index.table.valueCount(test.name)
    if (values > series.length * entriesPerSeries) {
      late.push(test)
      continue
    }
    if (test.isEmptyMatch) {
      const offsets = failing(index, test)
      if (total(index, offsets) > series.length * entriesPerSeries) late.push(test)
      else series = without(series, union(index, offsets))
    } else {
      const offsets = passing(index, test)
      if (total(index, offsets) > series.length * entriesPerSeries) late.push(test)
      else series = both(series, union(index, offsets))
    }
  }
  return late.length === 0 ? series : filterSeries(index, series, late)
}

const none = new Uint32Array(0)
const entry = new SeriesEntry()

function cost(index: IndexReader, matcher: CompiledMatcher): number {
  return index.table.valueCount(matcher.name)
}

function total(index: IndexReader, offsets: readonly number[]): number {
  let sum = 0
  for (const offset of offsets) sum += index.postingsCount(offset)
  return sum
}

function passing(index: IndexReader, matcher: CompiledMatcher): number[] {
  const out: number[] = []
  const { prefix } = matcher
  for (const [value, offset] of index.table.values(matcher.name)) {
    if (!matcher.isNegative && !value.startsWith(prefix)) continue
    if (matcher.matches(value)) out.push(offset)
  }
  return out
}

/** Lists of the values that do not pass, for a matcher that an absent label passes. */
function failing(index: IndexReader, matcher: CompiledMatcher): number[] {
  if (matcher.isNegative && matcher.setMatches !== null) {
    return matcher.setMatches.map((value) => (value === '' ? -1 : index.table.find(matcher.name, value))).filter((offset) => offset !== -1)
  }
  const out: number[] = []
  for (const [value, offset] of index.table.values(matcher.name)) if (!matcher.matches(value)) out.push(offset)
  return out
}

/** Lists of one name are disjoint. */
function union(index: IndexReader, offsets: readonly number[]): Uint32Array {
  if (offsets.length === 0) return none
  if (offsets.length === 1) return index.postings(offsets[0]!)
  const lists = offsets.map((offset) => index.postings(offset))
  const out = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0))
  let at = 0
  for (const list of lists) {
    out.set(list, at)
    at += list.length
  }
  return out.sort()
}

function both(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(Math.min(a.length, b.length))
  return out.subarray(0, intersect(a, b, out))
}

/** What is in `a` and not in `b`; both ascending. */
function without(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(a.length)
  let n = 0
  let j = 0
  for (const series of a) {
    while (j < b.length && b[j]! < series) j++
    if (b[j] !== series) out[n++] = series
  }
  return out.subarray(0, n)
}

/** Tests each series; a label value is tested once however many series have it. */
function filterSeries(index: IndexReader, series: Uint32Array, tests: readonly CompiledMatcher[]): Uint32Array {
  const verdicts = tests.map(() => new Map<number, boolean>())
  const out = new Uint32Array(series.length)
  let n = 0
  outer: for (const ref of series) {
    index.series(ref, entry)
    for (let t = 0; t < tests.length; t++) {
      if (!passes(index, tests[t]!, verdicts[t]!)) continue outer
    }
    out[n++] = ref
  }
  return out.subarray(0, n)
}

function passes(index: IndexReader, test: CompiledMatcher, verdicts: Map<number, boolean>): boolean {
  for (let k = 0; k < entry.labelCount * 2; k += 2) {
    if (index.symbols.lookup(entry.symbols[k]!) !== test.name) continue
    const symbol = entry.symbols[k + 1]!
    let verdict = verdicts.get(symbol)
    if (verdict === undefined) verdicts.set(symbol, (verdict = test.matches(index.symbols.lookup(symbol))))
    return verdict
  }
  return test.isEmptyMatch
}
