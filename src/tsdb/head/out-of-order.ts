// Samples that came too late for their series' open chunk, within the out-of-order window. Only series that have any are here.
//
//   series ─▶ open samples, sorted as they come, at most 32 ─▶ chunks in the chunk store, a list of their own, newest first
//
// Chunks of one series may overlap each other and the in-order ones: readers sort. Where two samples share a time, the one that came first in order
// wins, then the later-closed chunk. Cutting freezes what is there and drops it when it has become blocks. Source: prometheus tsdb/ooo_head.go.
import type { Histogram } from '../../model/histogram.ts'
import { forgetResets } from '../../model/histogram-reset.ts'
import { SampleColumns } from '../../model/samples.ts'
import { decodeChunk } from '../chunks/decode.ts'
import { copySample, encodeChunks } from '../chunks/encode.ts'
import type { ChunkStore } from './chunk-store.ts'

/** As many as Prometheus keeps open. */
export const outOfOrderSamplesMax = 32

type Late = { readonly shard: number; readonly open: SampleColumns; newest: number }

/** Chunks a cut turns into blocks: by series, the newest of them (entry + 1). */
export type FrozenChunks = ReadonlyMap<number, number>

/** What a snapshot keeps of one series. */
export type LateState = Readonly<{
  series: number
  times: readonly number[]
  /** Low and high half of each value. */
  bits: readonly number[]
  histograms: readonly (Histogram | null)[] | null
}>

export class OutOfOrder {
  readonly #chunks: ChunkStore
  readonly #series = new Map<number, Late>()
  readonly #scratch = new SampleColumns()
  readonly #sorted = new SampleColumns()
  readonly #before = new SampleColumns()

  constructor(chunks: ChunkStore) {
    this.#chunks = chunks
  }

  /** Series that hold late samples. */
  get size(): number {
    return this.#series.size
  }

  has(series: number): boolean {
    return this.#series.has(series)
  }

  /** False where a sample with this time is among the open ones: it is dropped as seen. */
  insert(
    shard: number,
    series: number,
    time: number,
    given: Readonly<{ high: number; low: number; histogram: Histogram | null }>,
  ): boolean {
    let late = this.#series.get(series)
    if (late === undefined) this.#series.set(series, (late = { shard, open: new SampleColumns(4), newest: 0 }))
    const { open } = late
    let at = open.length
    while (at > 0 && open.times[at - 1]! > time) at--
    if (at > 0 && open.times[at - 1] === time) return false
    if (open.length >= outOfOrderSamplesMax) {
      this.#close(late)
      at = 0
    }
    open.push(time, 0, given.histogram)
    // by bits, so that the staleness marker survives
    const { times, bits, histograms } = open
    const end = open.length - 1
    times.copyWithin(at + 1, at, end)
    bits.copyWithin((at + 1) * 2, at * 2, end * 2)
    times[at] = time
    bits[at * 2] = given.low
    bits[at * 2 + 1] = given.high
    if (histograms !== null) {
      histograms.copyWithin(at + 1, at, end)
      histograms[at] = given.histogram
    }
    return true
  }

  /** True where a late sample may lie in the closed range. */
  overlaps(series: number, startMs: number, endMs: number): boolean {
    const late = this.#series.get(series)
    if (late === undefined) return false
    const { open } = late
    if (open.length > 0 && open.times[0]! <= endMs && open.times[open.length - 1]! >= startMs) return true
    for (let link = late.newest; link !== 0; link = this.#chunks.previous[link - 1]!) {
      if (this.#chunks.minTimes[link - 1]! <= endMs && this.#chunks.maxTime(link - 1) >= startMs) return true
    }
    return false
  }

  /** Merges the late samples of a series in the closed range into what `into` holds from `from` on, which is in order. */
  mergeInto(series: number, range: Readonly<{ startMs: number; endMs: number }>, from: number, into: SampleColumns): void {
    const late = this.#series.get(series)
    if (late === undefined) return
    const more = this.#read(late.newest, late.open, range)
    if (more.length === 0) return
    const before = this.#before
    before.clear()
    for (let i = from; i < into.length; i++) copySample(into, i, before)
    into.length = from
    if (into.histograms !== null) into.histograms.length = from
    let i = 0
    let j = 0
    while (i < before.length || j < more.length) {
      const a = i < before.length ? before.times[i]! : Infinity
      const b = j < more.length ? more.times[j]! : Infinity
      if (a <= b) {
        copySample(before, i++, into)
        if (a === b) j++
      } else copySample(more, j++, into)
    }
    forgetResets(into, from)
  }

  /** Late samples of a series that are frozen, in the closed range, sorted, each time once. Good until the next call. */
  frozen(newest: number, range: Readonly<{ startMs: number; endMs: number }>): SampleColumns {
    return this.#read(newest, null, range)
  }

  /** Encodes what is open, and hands over all chunks of a shard to be cut. */
  freeze(shard: number): FrozenChunks {
    const out = new Map<number, number>()
    for (const [series, late] of this.#series) {
      if (late.shard !== shard) continue
      if (late.open.length > 0) this.#close(late)
      if (late.newest !== 0) out.set(series, late.newest)
    }
    return out
  }

  /** Starts of the aligned windows of this length that hold frozen samples, ascending. */
  windowsOf(frozen: FrozenChunks, windowMs: number): number[] {
    const starts = new Set<number>()
    const always = { startMs: -Infinity, endMs: Infinity }
    for (const newest of frozen.values()) {
      const { times, length } = this.#read(newest, null, always)
      let end = -Infinity
      for (let i = 0; i < length; i++) {
        if (times[i]! < end) continue
        const start = Math.floor(times[i]! / windowMs) * windowMs
        starts.add(start)
        end = start + windowMs
      }
    }
    return [...starts].sort((a, b) => a - b)
  }

  /** Oldest late sample of a shard; Infinity where it has none. */
  oldestTime(shard: number): number {
    let oldest = Infinity
    for (const { shard: own, open, newest } of this.#series.values()) {
      if (own !== shard) continue
      if (open.length > 0) oldest = Math.min(oldest, open.times[0]!)
      for (let link = newest; link !== 0; link = this.#chunks.previous[link - 1]!)
        oldest = Math.min(oldest, this.#chunks.minTimes[link - 1]!)
    }
    return oldest
  }

  /** Drops what has become blocks. */
  drop(frozen: FrozenChunks): void {
    for (const [series, newest] of frozen) {
      const late = this.#series.get(series)
      if (late === undefined) continue
      if (late.newest === newest) late.newest = 0
      else {
        let link = late.newest
        while (link !== 0 && this.#chunks.previous[link - 1] !== newest) link = this.#chunks.previous[link - 1]!
        if (link === 0) continue // deleted meanwhile
        this.#chunks.previous[link - 1] = 0
      }
      this.#release(newest)
      if (late.newest === 0 && late.open.length === 0) this.#series.delete(series)
    }
  }

  /** Deletes samples in the closed range; true where there were any. */
  delete(series: number, startMs: number, endMs: number): boolean {
    if (!this.overlaps(series, startMs, endMs)) return false
    const late = this.#series.get(series)!
    const all = this.#read(late.newest, late.open, { startMs: -Infinity, endMs: Infinity })
    const kept = new SampleColumns(all.length)
    for (let i = 0; i < all.length; i++) if (all.times[i]! < startMs || all.times[i]! > endMs) copySample(all, i, kept)
    if (kept.length === all.length) return false
    this.#release(late.newest)
    this.#series.delete(series)
    for (let i = 0; i < kept.length; i++) {
      const given = { high: kept.bits[i * 2 + 1]!, low: kept.bits[i * 2]!, histogram: kept.histograms?.[i] ?? null }
      this.insert(late.shard, series, kept.times[i]!, given)
    }
    return true
  }

  /** Series of a shard with the newest of their chunks: for snapshots. */
  *entries(shard: number): Generator<{ newest: number; state: LateState }> {
    for (const [series, { shard: own, open, newest }] of this.#series) {
      if (own !== shard) continue
      const times = [...open.times.subarray(0, open.length)]
      const bits = [...open.bits.subarray(0, open.length * 2)]
      const histograms = open.histograms === null ? null : open.histograms.slice(0, open.length)
      yield { newest, state: { series, times, bits, histograms } }
    }
  }

  /** Puts back what a snapshot kept. */
  restore(shard: number, { series, times, bits, histograms }: LateState, newest: number): void {
    this.#series.set(series, { shard, open: new SampleColumns(4), newest })
    times.forEach((time, i) =>
      this.insert(shard, series, time, { low: bits[i * 2]!, high: bits[i * 2 + 1]!, histogram: histograms?.[i] ?? null }),
    )
  }

  #close(late: Late): void {
    for (const { encoding, minTime, maxTime, bytes } of encodeChunks(late.open)) {
      late.newest = this.#chunks.add(late.shard, encoding, bytes, minTime, maxTime, late.newest)
    }
    late.open.clear()
  }

  #release(newest: number): void {
    for (let link = newest; link !== 0;) {
      const previous = this.#chunks.previous[link - 1]!
      this.#chunks.release(link - 1)
      link = previous
    }
  }

  #read(newest: number, open: SampleColumns | null, { startMs, endMs }: Readonly<{ startMs: number; endMs: number }>): SampleColumns {
    const all = this.#scratch
    all.clear()
    if (open !== null) {
      for (let i = 0; i < open.length; i++) if (open.times[i]! >= startMs && open.times[i]! <= endMs) copySample(open, i, all)
    }
    for (let link = newest; link !== 0; link = this.#chunks.previous[link - 1]!) {
      const entry = link - 1
      if (this.#chunks.minTimes[entry]! > endMs || this.#chunks.maxTime(entry) < startMs) continue
      decodeChunk(this.#chunks.encoding(entry), this.#chunks.data(entry), startMs, endMs, all)
    }
    const { times } = all
    let sorted = true
    for (let i = 1; i < all.length && sorted; i++) sorted = times[i]! > times[i - 1]!
    if (sorted) return all
    const order = Uint32Array.from({ length: all.length }, (_, i) => i).sort((a, b) => times[a]! - times[b]! || a - b)
    const out = this.#sorted
    out.clear()
    for (const i of order) if (out.length === 0 || out.times[out.length - 1] !== times[i]) copySample(all, i, out)
    forgetResets(out, 0)
    return out
  }
}
