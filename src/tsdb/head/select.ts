// From matchers to series of the head: the shortest posting lists first, what is left is tested series by series on pair ids.
import type { CompiledMatcher } from '../../model/matching.ts'
import type { Head } from './head.ts'
import { intersect } from './postings.ts'

/** The series that pass all matchers, ascending: a list of its own. `shards`: only series of these shards (a bit set by shard), null = all. */
export function selectSeries(head: Head, matchers: readonly CompiledMatcher[], shards: Uint8Array | null): Uint32Array {
  const exact: { pairs: readonly number[]; count: number }[] = []
  const tests: { nameId: number; passes: Uint8Array; absent: boolean }[] = []
  for (const matcher of matchers) {
    if (matcher.isAllMatch) continue
    if (!matcher.isEmptyMatch && !matcher.isNegative) {
      const pairs = passingPairs(head, matcher)
      exact.push({ pairs, count: pairs.reduce((sum, pair) => sum + head.postings.count(pair), 0) })
      continue
    }
    const nameId = head.pairs.findName(matcher.name)
    if (nameId === -1) {
      if (!matcher.isEmptyMatch) return none
      continue
    }
    const passes = new Uint8Array(head.pairs.count)
    for (const pair of head.pairs.pairsOf(matcher.name)) if (matcher.matches(head.pairs.value(pair))) passes[pair] = 1
    tests.push({ nameId, passes, absent: matcher.isEmptyMatch })
  }
  exact.sort((a, b) => a.count - b.count)
  let found: Uint32Array
  const first = exact[0]
  if (first === undefined) found = allSeries(head)
  else {
    found = union(head, first.pairs, first.count)
    for (let k = 1; k < exact.length && found.length > 0; k++) found = narrow(head, found, exact[k]!)
  }
  let n = 0
  outer: for (let i = 0; i < found.length; i++) {
    const series = found[i]!
    if (shards !== null && shards[head.shards[series]!] !== 1) continue
    if (tests.length > 0) {
      const pairs = head.pairsOf(series)
      for (const test of tests) {
        let passes = test.absent
        for (let k = 0; k < pairs.length; k++) {
          const pair = pairs[k]!
          if (head.pairs.nameId(pair) === test.nameId) {
            passes = test.passes[pair] === 1
            break
          }
        }
        if (!passes) continue outer
      }
    }
    found[n++] = series
  }
  return found.subarray(0, n)
}

const none = new Uint32Array(0)

function passingPairs(head: Head, matcher: CompiledMatcher): readonly number[] {
  const { pairs } = head
  if (matcher.setMatches !== null) {
    const out: number[] = []
    for (const value of matcher.setMatches) {
      const pair = value === '' ? -1 : pairs.find(matcher.name, value)
      if (pair !== -1) out.push(pair)
    }
    return out
  }
  const { prefix } = matcher
  return pairs.pairsOf(matcher.name).filter((pair) => {
    if (head.postings.count(pair) === 0) return false
    const value = pairs.value(pair)
    return value.startsWith(prefix) && matcher.matches(value)
  })
}

/** All series of some pairs of one name: no series has two of them, so the lists are disjoint. A copy. */
function union(head: Head, pairs: readonly number[], count: number): Uint32Array {
  const out = new Uint32Array(count)
  let n = 0
  for (const pair of pairs) {
    const list = head.postings.list(pair)
    out.set(list, n)
    n += list.length
  }
  if (pairs.length > 1) out.sort()
  return out
}

function narrow(head: Head, found: Uint32Array, by: { pairs: readonly number[]; count: number }): Uint32Array {
  if (by.pairs.length === 1) return found.subarray(0, intersect(found, head.postings.list(by.pairs[0]!), found))
  if (by.count <= found.length * 8) return found.subarray(0, intersect(found, union(head, by.pairs, by.count), found))
  // far more candidates than series left: look at the series instead
  const wanted = new Set(by.pairs)
  let n = 0
  for (let i = 0; i < found.length; i++) {
    const pairs = head.pairsOf(found[i]!)
    for (let k = 0; k < pairs.length; k++) {
      if (wanted.has(pairs[k]!)) {
        found[n++] = found[i]!
        break
      }
    }
  }
  return found.subarray(0, n)
}

function allSeries(head: Head): Uint32Array {
  const out = new Uint32Array(head.live)
  let n = 0
  for (let series = 0; series < head.count; series++) if (head.alive[series] === 1) out[n++] = series
  return out
}
