// Series of several blocks and the head as one set, against a plain map.
import { expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { labelBytes } from '../../../src/model/label-bytes.ts'
import { labelsFromObject, printLabels } from '../../../src/model/labels.ts'
import { PageCache } from '../../../src/tsdb/block/pages.ts'
import { BlockReader } from '../../../src/tsdb/block/reader.ts'
import { ulidFrom } from '../../../src/tsdb/block/ulid.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'
import { Head } from '../../../src/tsdb/head/head.ts'
import { IdList, LabelIds } from '../../../src/model/label-ids.ts'
import { LabelSets } from '../../../src/model/label-sets.ts'
import { mergedSource, type SeriesPart } from '../../../src/tsdb/query/merged-source.ts'
import { readAll, writeBlock, type Row, type Sample } from '../../support/tsdb/blocks.ts'
import { MemoryDisk } from '../../support/tsdb/memory-disk.ts'
import { appendFloat, halves } from '../../support/tsdb/floats.ts'

const windowMs = 1000

it.each(Array.from({ length: 30 }, (_, seed) => seed))('seed %i', (seed) => {
  const rng = seededRng(seed)
  const disk = new MemoryDisk()
  const cache = new PageCache(1 << 20)
  const head = new Head(new ChunkStore(disk, () => '/chunks', 1 << 20), { samplesPerChunk: 4, chunkRangeMs: windowMs })
  const parts: SeriesPart[] = []
  const expected = new Map<string, Map<number, number>>()
  // label sets that are alike: the same texts under other names, one more label, one less
  const texts = ['a', 'b', 'ab', 'ä', '']
  const pick = (list: readonly string[]): string => list[rng.below(list.length)]!
  const labelSet = (): Record<string, string> => ({ __name__: 'm', a: pick(texts), b: pick(texts), ab: pick(texts) })
  const windows = 1 + rng.below(5)
  for (let window = 0; window < windows; window++) {
    const rows = new Map<string, Row>()
    for (let k = rng.below(25); k >= 0; k--) {
      const labels = labelSet()
      const times = [...new Set(Array.from({ length: 1 + rng.below(5) }, () => window * windowMs + rng.below(windowMs)))].sort(
        (x, y) => x - y,
      )
      const samples = times.map((time): Sample => [time, rng.below(1000)])
      rows.set(printLabels(labelsFromObject(labels)), { labels, samples })
    }
    const isHead = window === windows - 1
    for (const [key, { labels, samples }] of rows) {
      const known = expected.get(key) ?? new Map<number, number>()
      expected.set(key, known)
      const bytes = labelBytes(labelsFromObject(labels))
      for (const [time, value] of samples) {
        known.set(time, value)
        if (!isHead) continue
        appendFloat(head, head.series(bytes, 0, bytes.length, 0), time, halves(value))
      }
    }
    if (isHead) continue
    // some blocks say more time than they have samples for, some are told of twice (an overlap)
    const range = rng.chance(0.5) ? { minTime: window * windowMs, maxTime: (window + 1) * windowMs } : {}
    for (let copy = rng.below(2); copy >= 0; copy--) {
      const meta = writeBlock(disk, '/data', [...rows.values()], { ...range, ulid: ulidFrom(window, `${copy}`) })
      const block = BlockReader.open(disk, cache, `/data/${meta.ulid}`)
      parts.push({
        minTime: meta.minTime,
        maxTime: meta.maxTime - 1,
        select: (matchers, startMs, endMs) => block.selectCompiled(matchers, startMs, endMs),
      })
    }
  }
  const source = mergedSource(head, () => parts)
  for (const [startMs, endMs] of [
    [-1e9, 1e9],
    [0, windowMs * windows],
    [rng.below(windowMs), windowMs * (1 + rng.below(windows))],
  ] as const) {
    const found = readAll(source.select({ matchers: [{ name: '__name__', kind: '=', value: 'm' }], startMs, endMs }))
    const wanted = Object.fromEntries(
      Array.from(expected, ([key, samples]) => [
        key,
        [...samples].filter(([time]) => time >= startMs && time <= endMs).sort(([x], [y]) => x - y),
      ]),
    )
    for (const [key, samples] of Object.entries(found)) expect([key, samples]).toEqual([key, wanted[key]])
    for (const [key, samples] of Object.entries(wanted)) if (samples.length > 0) expect(found[key]).toEqual(samples)
  }
})

it('numbers label sets, each once', () => {
  const ids = new LabelIds()
  const sets = new LabelSets(ids)
  const list = new IdList()
  const known = new Map<string, number>()
  const rng = seededRng(7)
  for (let i = 0; i < 20_000; i++) {
    const labels = Array.from({ length: rng.below(6) * 2 }, () => String(rng.below(12)))
    list.length = 0
    for (const text of labels) list.push(ids.of(text))
    const key = JSON.stringify(labels)
    const number = sets.add(list)
    expect(number).toBe(known.get(key) ?? known.size)
    known.set(key, number)
    expect(sets.labels(number)).toEqual(labels)
  }
  expect(sets.count).toBe(known.size)
})
