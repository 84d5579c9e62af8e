// A query that pauses sees what was there at its first pause, whatever is appended, cut into blocks, removed or numbered anew meanwhile.
import { expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { labelBytes } from '../../../src/model/label-bytes.ts'
import { compareLabels, labelsFromObject, labelsKey, type Labels } from '../../../src/model/labels.ts'
import type { CompiledMatcher } from '../../../src/model/matching.ts'
import { SampleColumns, type SeriesSet } from '../../../src/model/samples.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'
import { Head } from '../../../src/tsdb/head/head.ts'
import { readSeries } from '../../../src/tsdb/head/read.ts'
import type { PartSet } from '../../../src/model/label-ids.ts'
import { mergedSource, type SeriesPart } from '../../../src/tsdb/query/merged-source.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'
import { truncate } from '../../support/tsdb/truncate.ts'
import { appendFloat } from '../../support/tsdb/floats.ts'

type Samples = [time: number, value: number][]

/** What was cut from the head, as a block would hold it. */
function partOf(series: ReadonlyMap<string, { labels: Labels; samples: Samples }>): SeriesPart {
  const all = [...series.values()]
  return {
    minTime: -Infinity,
    maxTime: Infinity,
    select: (_matchers: readonly CompiledMatcher[], startMs, endMs): PartSet => ({
      length: all.length,
      labels: (i) => all[i]!.labels,
      idReader: (ids) => (i, into) => all[i]!.labels.forEach((text) => into.push(ids.of(text))),
      read: (i, into) => {
        into.clear()
        for (const [time, value] of all[i]!.samples) if (time >= startMs && time <= endMs) into.push(time, value)
      },
    }),
  }
}

const read = (set: SeriesSet, i: number): [string, Samples] => {
  const columns = new SampleColumns()
  const key = labelsKey(set.labels(i))
  set.read(i, columns)
  return [key, Array.from({ length: columns.length }, (_, k) => [columns.times[k]!, columns.values[k]!])]
}

it.each(Array.from({ length: 40 }, (_, seed) => seed))('seed %i', (seed) => {
  const rng = seededRng(seed)
  const head = new Head(
    new ChunkStore(
      new MemoryDisk(),
      () => '/chunks',
      1 << 20,
      () => {},
    ),
    { samplesPerChunk: 4, chunkRangeMs: 1000 },
  )
  const blocks = new Map<string, { labels: Labels; samples: Samples }>()
  const parts = (): SeriesPart[] => (blocks.size === 0 ? [] : [partOf(blocks)])
  let names = 0
  let time = 0
  let frozenAt = Infinity
  const live: number[] = []
  const append = (): void => {
    time += 1 + rng.below(100)
    if (live.length === 0 || rng.chance(0.2)) {
      const bytes = labelBytes(labelsFromObject({ __name__: 'm', i: String(names++) }))
      live.push(head.series(bytes, 0, bytes.length, 0))
    }
    const series = live[rng.below(live.length)]!
    appendFloat(head, series, time, [0, rng.below(1000)])
    head.views.advance()
  }
  const cut = (): void => {
    // a window becomes a block long after its samples came: none of them is newer than the view
    const until = Math.min(time - rng.below(1500), frozenAt)
    const columns = new SampleColumns()
    for (const series of live) {
      columns.clear()
      readSeries(head, series, -Infinity, until - 1, columns)
      const labels = head.labels(series)
      const own = blocks.get(labelsKey(labels)) ?? { labels, samples: [] }
      const known = new Set(own.samples.map(([at]) => at))
      for (let k = 0; k < columns.length; k++) if (!known.has(columns.times[k]!)) own.samples.push([columns.times[k]!, columns.values[k]!])
      if (own.samples.length > 0) blocks.set(labelsKey(labels), own)
    }
    for (const removed of truncate(head, 0, until)) live.splice(live.indexOf(removed), 1)
  }
  for (let i = 0; i < 60; i++) append()
  if (rng.chance(0.5)) cut()
  const range = { matchers: [{ name: '__name__', kind: '=' as const, value: 'm' }], startMs: 0, endMs: Infinity }
  const view = head.views.open()
  const source = mergedSource(head, parts, view)
  // what an undisturbed query sees
  const before = mergedSource(head, parts).select(range)
  const expected = new Map(Array.from({ length: before.length }, (_, i) => read(before, i)))

  let set = source.select(range)
  const seen = new Map<string, Samples>()
  expect(set.length).toBe(before.length)
  view.freeze()
  frozenAt = time
  for (let i = 0; i < set.length; i++) {
    seen.set(...read(set, i))
    for (let k = rng.below(12); k > 0; k--) {
      if (rng.chance(0.1)) cut()
      else append()
    }
  }
  expect(seen).toEqual(expected)
  // another leaf of the same query: series that are new have nothing in the view
  set = source.select(range)
  const filled = (all: ReadonlyMap<string, Samples>): Record<string, Samples> =>
    Object.fromEntries([...all].filter(([, samples]) => samples.length > 0))
  expect(filled(new Map(Array.from({ length: set.length }, (_, i) => read(set, i))))).toEqual(filled(expected))
  view.close()
  const after = mergedSource(head, parts).select(range)
  expect(after.length).toBeGreaterThanOrEqual(before.length)
  const labels = Array.from({ length: after.length }, (_, i) => after.labels(i)).sort(compareLabels)
  expect(new Set(labels.map(labelsKey)).size).toBe(after.length)
})
