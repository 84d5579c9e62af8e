// Questions about label sets rather than samples: names, values, series, and what takes the most room.
import type { CompiledMatcher } from '../../model/matching.ts'
import type { JsonBytes } from '../../model/json-bytes.ts'
import type { Labels } from '../../model/labels.ts'
import type { Head } from './head.ts'
import { selectSeries } from './select.ts'

export type NameCount = { name: string; value: number }

/** True where the series has a chunk that overlaps [startMs, endMs]. */
export function overlaps(head: Head, series: number, startMs: number, endMs: number): boolean {
  const open = head.openHistogram(series)
  if (open !== undefined && open.maxTime >= startMs && open.minTime <= endMs) return true
  if (head.xor.counts[series]! > 0 && head.xor.times[series]! >= startMs && head.firstTimes[series]! <= endMs) return true
  for (let link = head.newestChunk[series]!; link !== 0; link = head.chunks.previous[link - 1]!) {
    if (head.chunks.maxTime(link - 1) < startMs) break
    if (head.chunks.minTimes[link - 1]! <= endMs) return true
  }
  return head.outOfOrder.overlaps(series, startMs, endMs)
}

/** Series that any of the selectors picks and that have samples in the range; no selectors = all. Ascending, each once. */
export function seriesInRange(head: Head, selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): Uint32Array {
  if (head.minTime > endMs || head.maxTime < startMs) return none
  const one = selectSeries(head, selectors[0] ?? [], null)
  let n = 0
  for (let i = 0; i < one.length; i++) if (overlaps(head, one[i]!, startMs, endMs)) one[n++] = one[i]!
  const first = one.subarray(0, n)
  if (selectors.length < 2) return first
  const picked = new Set(first)
  for (const matchers of selectors.slice(1)) {
    for (const series of selectSeries(head, matchers, null)) {
      if (!picked.has(series) && overlaps(head, series, startMs, endMs)) picked.add(series)
    }
  }
  return Uint32Array.from(picked).sort()
}

const none = new Uint32Array(0)

export function labelNames(head: Head, selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): Set<string> {
  const names = new Set<string>()
  if (head.minTime > endMs || head.maxTime < startMs) return names
  if (selectors.length === 0) {
    for (const name of head.pairs.names()) if (head.pairs.pairsOf(name).some((pair) => head.postings.count(pair) > 0)) names.add(name)
    return names
  }
  const ids = new Set<number>()
  for (const series of seriesInRange(head, selectors, startMs, endMs)) {
    for (const pair of head.pairsOf(series)) {
      const id = head.pairs.nameId(pair)
      if (ids.has(id)) continue
      ids.add(id)
      names.add(head.pairs.name(pair))
    }
  }
  return names
}

export function labelValues(
  head: Head,
  name: string,
  selectors: readonly (readonly CompiledMatcher[])[],
  startMs: number,
  endMs: number,
): Set<string> {
  const values = new Set<string>()
  if (head.minTime > endMs || head.maxTime < startMs) return values
  if (selectors.length === 0) {
    for (const pair of head.pairs.pairsOf(name)) if (head.postings.count(pair) > 0) values.add(head.pairs.value(pair))
    return values
  }
  const nameId = head.pairs.findName(name)
  const pairs = new Set<number>()
  for (const series of seriesInRange(head, selectors, startMs, endMs)) {
    for (const pair of head.pairsOf(series)) if (head.pairs.nameId(pair) === nameId) pairs.add(pair)
  }
  for (const pair of pairs) values.add(head.pairs.value(pair))
  return values
}

export function seriesLabels(head: Head, selectors: readonly (readonly CompiledMatcher[])[], startMs: number, endMs: number): Labels[] {
  return Array.from(seriesInRange(head, selectors, startMs, endMs), (series) => head.labels(series))
}

/** The same as JSON, at most `limit` of them (0 = all). @returns whether there were more. */
export function writeSeriesJson(
  head: Head,
  selectors: readonly (readonly CompiledMatcher[])[],
  { startMs, endMs, limit }: Readonly<{ startMs: number; endMs: number; limit: number }>,
  into: JsonBytes,
): boolean {
  const found = seriesInRange(head, selectors, startMs, endMs)
  const shown = limit > 0 ? Math.min(limit, found.length) : found.length
  into.byte(91)
  for (let i = 0; i < shown; i++) {
    if (i > 0) into.byte(44)
    head.writeLabelsJson(found[i]!, into)
  }
  into.byte(93)
  return shown < found.length
}

export type Cardinality = Readonly<{
  seriesCountByMetricName: readonly NameCount[]
  labelValueCountByLabelName: readonly NameCount[]
  memoryInBytesByLabelName: readonly NameCount[]
  seriesCountByLabelValuePair: readonly NameCount[]
}>

/** The four lists of /api/v1/status/tsdb, each by falling value and at most `limit` long. */
export function cardinality(head: Head, limit: number): Cardinality {
  const metrics: NameCount[] = []
  const valueCounts: NameCount[] = []
  const memory: NameCount[] = []
  const pairs: NameCount[] = []
  for (const name of head.pairs.names()) {
    let values = 0
    let bytes = 0
    for (const pair of head.pairs.pairsOf(name)) {
      const count = head.postings.count(pair)
      if (count === 0) continue
      const value = head.pairs.value(pair)
      values++
      bytes += value.length * count
      pairs.push({ name: `${name}=${value}`, value: count })
      if (name === '__name__') metrics.push({ name: value, value: count })
    }
    if (values === 0) continue
    valueCounts.push({ name, value: values })
    memory.push({ name, value: bytes })
  }
  return {
    seriesCountByMetricName: largest(metrics, limit),
    labelValueCountByLabelName: largest(valueCounts, limit),
    memoryInBytesByLabelName: largest(memory, limit),
    seriesCountByLabelValuePair: largest(pairs, limit),
  }
}

export function largest(list: NameCount[], limit: number): NameCount[] {
  return list.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1)).slice(0, limit)
}
