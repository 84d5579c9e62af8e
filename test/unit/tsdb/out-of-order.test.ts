// Late samples of the head against a plain map: floats, staleness markers and native histograms, snapshots, deletions, freezing.
import { describe, expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { counterReset, type Histogram } from '../../../src/model/histogram.ts'
import { labelBytes } from '../../../src/model/label-bytes.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import { SampleColumns } from '../../../src/model/samples.ts'
import { isStaleAt, staleHigh, staleLow } from '../../../src/model/staleness.ts'
import { simulatedDisk } from '../../../src/ports/simulated/disk.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'
import { Head, outcome } from '../../../src/tsdb/head/head.ts'
import { overlaps } from '../../../src/tsdb/head/metadata.ts'
import { readSeries } from '../../../src/tsdb/head/read.ts'
import { restoreSnapshot } from '../../../src/tsdb/head/snapshot.ts'
import { snapshotBytes } from '../../support/tsdb/snapshot-bytes.ts'
import { truncate } from '../../support/tsdb/truncate.ts'
import { appendFloat } from '../../support/tsdb/floats.ts'

const scratch = new Float64Array(1)
const halves = new Uint32Array(scratch.buffer)
function bitsOf(value: number): { high: number; low: number } {
  scratch[0] = value
  return { high: halves[1]!, low: halves[0]! }
}
function histogramOf(count: number): Histogram {
  return {
    isFloat: false,
    schema: 0,
    zeroThreshold: 0.001,
    zeroCount: 0,
    count,
    sum: count * 2,
    positiveSpans: [{ offset: 0, length: 1 }],
    negativeSpans: [],
    positiveBuckets: Float64Array.of(count),
    negativeBuckets: new Float64Array(0),
    customBounds: null,
    counterReset: counterReset.unknown,
  }
}
type Kind = 'float' | 'stale' | 'histogram'
/** Text of every sample, so that kinds compare. */
function read(head: Head, series: number, from = -Infinity, to = Infinity): string[] {
  const into = new SampleColumns()
  readSeries(head, series, from, to, into)
  return Array.from({ length: into.length }, (_, i) => {
    const histogram = into.histograms?.[i] ?? null
    if (histogram !== null) {
      expect([counterReset.unknown, counterReset.reset, counterReset.notReset]).toContain(histogram.counterReset)
      return `${into.times[i]} h${histogram.count}`
    }
    return `${into.times[i]} ${isStaleAt(into.bits, i) ? 'stale' : into.values[i]}`
  })
}
function newHead(disk = simulatedDisk(seededRng(1))): Head {
  return new Head(new ChunkStore(disk, (shard) => `/chunks/${shard}`, 8 << 20), { samplesPerChunk: 10, chunkRangeMs: 100_000 })
}

/** Samples in order at multiples of 10, late ones in between. */
function fill(head: Head, seed: number): { series: number; model: Map<number, string> } {
  const rng = seededRng(seed)
  const labels = labelBytes(labelsFromObject({ __name__: 'late', seed: String(seed) }))
  const series = head.series(labels, 0, labels.length, 0)
  const model = new Map<number, string>()
  const histograms = seed % 3 === 0
  for (let i = 0; i < 200; i++) {
    const time = 1_000_000 + i * 10
    if (histograms) expect(head.appendHistogram(series, time, histogramOf(i + 1), -Infinity)).toBe(outcome.appended)
    else {
      const { high, low } = bitsOf(i)
      expect(appendFloat(head, series, time, [high, low])).toBe(outcome.appended)
    }
    model.set(time, histograms ? `${time} h${i + 1}` : `${time} ${i}`)
    for (let late = rng.below(3); late > 0; late--) {
      const at = time - 1 - rng.below(400)
      if (at % 10 === 0) continue
      const kind: Kind = rng.chance(0.1) ? 'stale' : histograms && rng.chance(0.7) ? 'histogram' : 'float'
      const value = at % 1000
      const given =
        kind === 'stale'
          ? { high: staleHigh, low: staleLow, histogram: null }
          : kind === 'float'
            ? { ...bitsOf(value), histogram: null }
            : { high: 0, low: 0, histogram: histogramOf(value + 1) }
      const text = `${at} ${kind === 'stale' ? 'stale' : kind === 'float' ? value : `h${value + 1}`}`
      // a time that another late sample has: the open chunk refuses it, a closed one wins or loses by age
      if (model.has(at)) continue
      expect(head.outOfOrder.insert(0, series, at, given)).toBe(true)
      expect(head.outOfOrder.insert(0, series, at, given)).toBe(false)
      model.set(at, text)
    }
  }
  return { series, model }
}
function wanted(model: ReadonlyMap<number, string>, from = -Infinity, to = Infinity): string[] {
  return [...model.keys()]
    .filter((time) => time >= from && time <= to)
    .sort((a, b) => a - b)
    .map((time) => model.get(time)!)
}

describe.each([1, 2, 3, 4, 5, 6, 9, 12])('late samples, seed %i', (seed) => {
  it('are read in order with the others, in any range', () => {
    const head = newHead()
    const { series, model } = fill(head, seed)
    expect(read(head, series)).toEqual(wanted(model))
    const rng = seededRng(seed)
    for (let i = 0; i < 30; i++) {
      const from = 999_500 + rng.below(2_600)
      const to = from + rng.below(600)
      expect(read(head, series, from, to)).toEqual(wanted(model, from, to))
      if (wanted(model, from, to).length > 0) expect(overlaps(head, series, from, to)).toBe(true)
    }
  })

  it('come back from a snapshot', () => {
    const disk = simulatedDisk(seededRng(seed))
    const head = newHead(disk)
    const { series, model } = fill(head, seed)
    const rest = { shard: 0, applied: 1, minTime: 0, maxTime: 1, cutUntil: 0, totals: [], publishers: [], exemplars: [] }
    const bytes = snapshotBytes(head, rest)
    const again = newHead(disk)
    restoreSnapshot(again, bytes)
    again.index()
    const labels = head.labels(series)
    const same = labelBytes(labels)
    expect(read(again, again.series(same, 0, same.length, 0))).toEqual(wanted(model))
  })

  it('go where they are deleted, cut or dropped', () => {
    const head = newHead()
    const { series, model } = fill(head, seed)
    expect(head.outOfOrder.delete(series, 1_000_500, 1_000_900)).toBe(true)
    for (const time of model.keys()) if (time % 10 !== 0 && time >= 1_000_500 && time <= 1_000_900) model.delete(time)
    expect(read(head, series)).toEqual(wanted(model))
    // what comes after freezing stays when the frozen part is dropped
    const frozen = head.outOfOrder.freeze(0)
    const columns = head.outOfOrder.frozen(frozen.get(series)!, { startMs: -Infinity, endMs: Infinity })
    const late = [...model.keys()].filter((time) => time % 10 !== 0)
    expect(columns.length).toBe(late.length)
    expect(head.outOfOrder.windowsOf(frozen, 1000)).toEqual(
      [...new Set(late.map((time) => Math.floor(time / 1000) * 1000))].sort((a, b) => a - b),
    )
    for (let i = 0; i < 70; i++) head.outOfOrder.insert(0, series, 900_001 + i * 10, { ...bitsOf(i), histogram: null })
    head.outOfOrder.drop(frozen)
    for (const time of late) model.delete(time)
    for (let i = 0; i < 70; i++) model.set(900_001 + i * 10, `${900_001 + i * 10} ${i}`)
    expect(read(head, series)).toEqual(wanted(model))
    // a series with late samples alone is not collected
    truncate(head, 0, Infinity)
    expect(head.live).toBe(1)
    head.outOfOrder.drop(head.outOfOrder.freeze(0))
    expect(head.outOfOrder.size).toBe(0)
    expect(truncate(head, 0, Infinity).size).toBe(1)
    expect(head.chunks.live).toBe(0)
  })
})
