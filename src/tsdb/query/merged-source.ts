// One source over the head and the blocks of a worker: series with the same labels are one series, samples with the same time are one sample.
import { forgetResets } from '../../model/histogram-reset.ts'
import type { CompiledMatcher } from '../../model/matching.ts'
import { compileMatchers } from '../../model/matching.ts'
import { SampleColumns, type SelectQuery, type SeriesSet, type SeriesSource } from '../../model/samples.ts'
import { growTo } from '../../base/grow-column.ts'
import type { Head } from '../head/head.ts'
import { readNewest, readSeries } from '../head/read.ts'
import type { ReadView } from '../head/read-view.ts'
import { selectSeries } from '../head/select.ts'
import { IdList, LabelIds, type PartSet } from '../../model/label-ids.ts'
import { LabelSets } from '../../model/label-sets.ts'

/** Part of the data with its own index: a block. Like SeriesSource, but over compiled matchers. */
export interface SeriesPart {
  /** Closed range, ms. */
  readonly minTime: number
  readonly maxTime: number
  select(matchers: readonly CompiledMatcher[], startMs: number, endMs: number, newestOnly?: boolean): PartSet
}

/** The head as a part, as far as a view sees it. */
export function headPart(head: Head, view: ReadView | null = null): SeriesPart {
  return {
    get minTime() {
      return head.minTime
    },
    get maxTime() {
      return head.maxTime
    },
    select: (matchers, startMs, endMs, newestOnly = false) => {
      const read = newestOnly ? readNewest : readSeries
      const found = selectSeries(head, matchers, null)
      return {
        length: found.length,
        labels: (index) => head.labels(found[index]!),
        idReader: (ids) => headIds(head, found, ids),
        read: (index, into) => {
          into.clear()
          const series = found[index]!
          const caps = view === null ? null : view.caps
          // a series that is not in the copy is newer than the view
          read(head, series, startMs, endMs, into, caps === null ? Infinity : series < caps.length ? caps[series]! : -Infinity)
        },
      }
    },
  }
}

/** Every name and value is looked up once for all series that have it. */
function headIds(head: Head, found: Uint32Array, ids: LabelIds): (index: number, into: IdList) => void {
  const { pairs } = head
  const names = new Uint32Array(pairs.nameCount)
  const values = new Uint32Array(pairs.count)
  return (index, into) => {
    for (const pair of head.pairsOf(found[index]!)) {
      const name = pairs.nameId(pair)
      into.push((names[name] ||= ids.of(pairs.name(pair))))
      into.push((values[pair] ||= ids.of(pairs.value(pair))))
    }
  }
}

/**
 * `parts` is asked at every select, so that it follows cuts and compactions. Older parts come first. With a view the source may be read over a
 * long time, with records applied in between.
 */
export function mergedSource(head: Head, parts: () => readonly SeriesPart[], view: ReadView | null = null): SeriesSource {
  const live = headPart(head, view)
  const select = (compiled: readonly CompiledMatcher[], startMs: number, endMs: number, newestOnly: boolean): PartSet => {
    const sets: PartSet[] = []
    for (const part of [...parts(), live]) {
      if (part.minTime > endMs || part.maxTime < startMs) continue
      const set = part.select(compiled, startMs, endMs, newestOnly)
      if (set.length > 0) sets.push(set)
    }
    return sets.length === 1 ? sets[0]! : mergeSets(sets)
  }
  return {
    select: ({ matchers, startMs, endMs, newestOnly = false }: SelectQuery): SeriesSet => {
      const compiled = compileMatchers(matchers)
      return view === null ? select(compiled, startMs, endMs, newestOnly) : view.hold(() => select(compiled, startMs, endMs, newestOnly))
    },
  }
}

/** Sets in time order as far as they have one; a later set's sample replaces an earlier one's at the same time. */
export function mergeSets(sets: readonly PartSet[]): PartSet {
  let total = 0
  for (const set of sets) total += set.length
  const ids = new LabelIds()
  const merged = new LabelSets(ids)
  /** Entry k is series k − starts[s] of set s; per merged series its entries are linked, oldest set first. */
  const starts = new Uint32Array(sets.length)
  const next = new Uint32Array(total)
  let first = new Uint32Array(256)
  let last = new Uint32Array(256)
  const list = new IdList()
  let entry = 0
  sets.forEach((set, s) => {
    starts[s] = entry
    const reader = set.idReader(ids)
    for (let i = 0; i < set.length; i++, entry++) {
      list.length = 0
      reader(i, list)
      const known = merged.count
      const series = merged.add(list)
      if (series < known) next[last[series]!] = entry
      else {
        if (series === first.length) {
          first = growTo(first, series * 2)
          last = growTo(last, series * 2)
        }
        first[series] = entry
      }
      last[series] = entry
    }
  })
  const part = new SampleColumns()
  const read = (s: number, at: number, into: SampleColumns): void => sets[s]!.read(at - starts[s]!, into)
  return {
    length: merged.count,
    labels: (index) => merged.labels(index),
    idReader: (others) => {
      const known = new Uint32Array(ids.count + 1)
      return (index, into) => {
        for (const id of merged.idsOf(index)) into.push((known[id] ||= others.of(ids.text(id))))
      }
    },
    read: (index, into) => {
      let at = first[index]!
      let s = setOf(starts, at, 0)
      read(s, at, into)
      while (at !== last[index]!) {
        at = next[at]!
        s = setOf(starts, at, s + 1)
        read(s, at, part)
        mergeInto(into, part)
      }
    },
  }
}

/** The set an entry belongs to: it is not before `from`. */
function setOf(starts: Uint32Array, entry: number, from: number): number {
  let low = from
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (starts[middle]! <= entry) low = middle
    else high = middle - 1
  }
  return low
}

/** Adds the samples of `more`, which are usually all later, to `into`; where both have a time, they replace what is there. */
export function mergeInto(into: SampleColumns, more: SampleColumns): void {
  if (more.length === 0) return
  if (into.length === 0 || more.times[0]! > into.times[into.length - 1]!) {
    appendAll(into, more, 0)
    return
  }
  const before = new SampleColumns(into.length + more.length)
  appendAll(before, into, 0)
  into.clear()
  let i = 0
  let j = 0
  while (i < before.length || j < more.length) {
    const a = i < before.length ? before.times[i]! : Infinity
    const b = j < more.length ? more.times[j]! : Infinity
    if (b <= a) {
      copySample(into, more, j++)
      if (a === b) i++
    } else copySample(into, before, i++)
  }
  forgetResets(into, 0)
}

function appendAll(into: SampleColumns, more: SampleColumns, from: number): void {
  if (more.histograms === null && into.histograms === null && more.startTimes === null && into.startTimes === null) {
    into.reserve(more.length - from)
    into.times.set(more.times.subarray(from, more.length), into.length)
    into.bits.set(more.bits.subarray(from * 2, more.length * 2), into.length * 2)
    into.length += more.length - from
    return
  }
  for (let i = from; i < more.length; i++) copySample(into, more, i)
}

function copySample(into: SampleColumns, from: SampleColumns, i: number): void {
  into.push(from.times[i]!, from.values[i]!, from.histograms?.[i] ?? null, from.startTimes?.[i] ?? 0)
  // by bits: the staleness marker
  const at = (into.length - 1) * 2
  into.bits[at] = from.bits[i * 2]!
  into.bits[at + 1] = from.bits[i * 2 + 1]!
}
