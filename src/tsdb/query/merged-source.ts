// One source over the head and the blocks of a worker: series with the same labels are one series, samples with the same time are one sample.
import { forgetResets } from '../../model/histogram-reset.ts'
import { labelsKey, type Labels } from '../../model/labels.ts'
import type { CompiledMatcher } from '../../model/matching.ts'
import { compileMatchers } from '../../model/matching.ts'
import { SampleColumns, type SelectQuery, type SeriesSet, type SeriesSource } from '../../model/samples.ts'
import type { Head } from '../head/head.ts'
import { readNewest, readSeries } from '../head/read.ts'
import type { ReadView } from '../head/read-view.ts'
import { selectSeries } from '../head/select.ts'

/** Part of the data with its own index: a block. Like SeriesSource, but over compiled matchers. */
export interface SeriesPart {
  /** Closed range, ms. */
  readonly minTime: number
  readonly maxTime: number
  select(matchers: readonly CompiledMatcher[], startMs: number, endMs: number, newestOnly?: boolean): SeriesSet
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

/**
 * `parts` is asked at every select, so that it follows cuts and compactions. Older parts come first. With a view the source may be read over a
 * long time, with records applied in between.
 */
export function mergedSource(head: Head, parts: () => readonly SeriesPart[], view: ReadView | null = null): SeriesSource {
  const live = headPart(head, view)
  const select = (compiled: readonly CompiledMatcher[], startMs: number, endMs: number, newestOnly: boolean): SeriesSet => {
    const sets: SeriesSet[] = []
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
export function mergeSets(sets: readonly SeriesSet[]): SeriesSet {
  const labels: Labels[] = []
  /** Per series: which sets have it, and where, as set, index, set, index … */
  const places: number[][] = []
  const byKey = new Map<string, number>()
  sets.forEach((set, s) => {
    for (let i = 0; i < set.length; i++) {
      const own = set.labels(i)
      const key = labelsKey(own)
      const known = byKey.get(key)
      if (known !== undefined) places[known]!.push(s, i)
      else {
        byKey.set(key, labels.length)
        labels.push(own)
        places.push([s, i])
      }
    }
  })
  const part = new SampleColumns()
  return {
    length: labels.length,
    labels: (index) => labels[index]!,
    read: (index, into) => {
      const place = places[index]!
      sets[place[0]!]!.read(place[1]!, into)
      for (let k = 2; k < place.length; k += 2) {
        sets[place[k]!]!.read(place[k + 1]!, part)
        mergeInto(into, part)
      }
    },
  }
}

/** Adds the samples of `more`, which are usually all later, to `into`. */
function mergeInto(into: SampleColumns, more: SampleColumns): void {
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
