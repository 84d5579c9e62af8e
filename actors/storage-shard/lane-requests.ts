// What a storage worker can be asked, by name. Bodies are plain data. A handler that is a function looks at one consistent state, because records are
// applied between requests; one that is a generator pauses for them, and holds a view.
import { compareLabels, compareText, labelsKey, type Labels } from '../../src/model/labels.ts'
import type { JsonBytes } from '../../src/model/json-bytes.ts'
import { packLabels } from '../../src/model/packed-labels.ts'
import { compileMatchers, type CompiledMatcher } from '../../src/model/matching.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import { SampleColumns, type SeriesSource } from '../../src/model/samples.ts'
import type { Histogram } from '../../src/model/histogram.ts'
import { isStale, isStaleAt, staleNaN } from '../../src/model/staleness.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { cardinality, labelNames, labelValues, seriesLabels, writeSeriesJson } from '../../src/tsdb/head/metadata.ts'
import { selectSeries } from '../../src/tsdb/head/select.ts'
import { mergedSource } from '../../src/tsdb/query/merged-source.ts'
import type { Steps } from '../../src/promql/steps.ts'
import { WrittenAnswer } from './lane-answer.ts'
import type { LaneState } from './lane.ts'
import type { LaneStatus, MaintainAnswer } from './lane-protocol.ts'
import { queryRequests } from '../query/lane-query.ts'

export type RequestContext = Readonly<{
  /** True once nobody wants the answer any more. */
  cancelled: () => boolean
  monotonicMs: () => number
  /**
   * To be asked every few milliseconds. False while the request has time left in its slice. Else `freeze` is called and the worker applies records and
   * works for others in between; the request should then pause where it can (a `yield`). What it reads must bear that (src/tsdb/head/read-view.ts).
   */
  pause: (freeze: () => void) => boolean
}>
export type Answer = Readonly<{ body: unknown; transfer?: readonly ArrayBuffer[] }>
/** Long work is a generator that pauses at every `yield`. */
export type RequestHandler = (body: unknown, context: RequestContext) => Answer | Promise<Answer> | Steps<Answer>

export type SelectRequest = Readonly<{ matchers: readonly (readonly Matcher[])[]; startMs: number; endMs: number; limit: number }>
/** Label names, values of the label `name`, or label sets as a JSON array, at most `limit` of them. */
export type ListRequest = SelectRequest & Readonly<{ kind: 'labelNames' | 'labelValues' | 'series'; name: string }>
export type ListAnswer = Readonly<{
  data: readonly Uint8Array[]
  truncated: boolean
  warnings: readonly string[]
  infos: readonly string[]
  /** Null: for this request alone. */
  holds: Holds | null
}>
/** The answer is the same for other ranges, startAfter < start ≤ startUntil and endFrom ≤ end < endBefore, while the lane's stamp is the same. */
export type Holds = Readonly<{ stamp: number; startAfter: number; startUntil: number; endFrom: number; endBefore: number }>
export type LatestAnswer = Readonly<{
  labels: readonly Labels[]
  times: Float64Array
  values: Float64Array
  histograms: readonly (Histogram | null)[] | null
}>
export type SamplesRequest = Readonly<{ matchers: readonly Matcher[]; startMs: number; endMs: number; samplesMax: number }>

export function laneRequests(state: LaneState): Readonly<Record<string, RequestHandler>> {
  const source = mergedSource(state.head, () => state.blocks.parts())
  return { ...queryRequests(state), ...seriesRequests(state, source), ...adminRequests(state) }
}

function seriesRequests(state: LaneState, source: SeriesSource): Record<string, RequestHandler> {
  const { head, blocks, pages } = state
  const compiled = ({ matchers }: SelectRequest): CompiledMatcher[][] => matchers.map(compileMatchers)
  const names = (request: SelectRequest): string[] => {
    const found = labelNames(head, compiled(request), request.startMs, request.endMs)
    for (const name of blocks.labelNames(compiled(request), request.startMs, request.endMs)) found.add(name)
    return [...found].sort(compareText)
  }
  const values = (request: SelectRequest & { name: string }): string[] => {
    const found = labelValues(head, request.name, compiled(request), request.startMs, request.endMs)
    for (const value of blocks.labelValues(request.name, compiled(request), request.startMs, request.endMs)) found.add(value)
    return [...found].sort(compareText)
  }
  const series = (request: SelectRequest): Labels[] => {
    let found = seriesLabels(head, compiled(request), request.startMs, request.endMs)
    const inBlocks = blocks.series(compiled(request), request.startMs, request.endMs)
    if (inBlocks.length > 0) found = [...new Map([...found, ...inBlocks].map((labels) => [labelsKey(labels), labels])).values()]
    return found.sort(compareLabels)
  }
  return {
    labelNames: (body) => {
      const request = body as SelectRequest
      return { body: cut(names(request), request.limit) }
    },
    labelValues: (body) => {
      const request = body as SelectRequest & { name: string }
      return { body: cut(values(request), request.limit) }
    },
    series: (body) => {
      const request = body as SelectRequest
      return { body: packLabels(cut(series(request), request.limit)) }
    },
    listed: (body) => {
      const request = body as ListRequest
      const { kind, limit } = request
      const written = new WrittenAnswer(pages)
      const { out } = written
      let truncated: boolean
      try {
        if (kind !== 'series') {
          const list = kind === 'labelNames' ? names(request) : values(request)
          truncated = limit > 0 && list.length > limit
          out.strings(truncated ? list.slice(0, limit) : list)
        } else if (blocks.overlap(request.startMs, request.endMs)) truncated = writeLabelSets(series(request), limit, out)
        else truncated = writeSeriesJson(head, compiled(request), request, out)
      } catch (thrown) {
        written.drop()
        throw thrown
      }
      const { data, transfer } = written.finish()
      const holds = kind === 'series' || request.matchers.length > 0 ? null : holdsFor(state, request)
      return { body: { data, truncated, warnings: [], infos: [], holds } satisfies ListAnswer, transfer }
    },
    latest: (body) => ({ body: latest(source, body as SelectRequest) }),
    lastFloats: (body) => ({ body: lastFloats(source, body as Omit<SamplesRequest, 'samplesMax'>) }),
    samples: (body, context) => ({ body: samples(source, body as SamplesRequest, context) }),
    exemplars: (body) => ({ body: exemplars(state, body as SelectRequest) }),
  }
}

function cut<T>(list: T[], limit: number): T[] {
  return limit > 0 && list.length > limit + 1 ? list.slice(0, limit + 1) : list
}

/** Labels without selectors depend on which parts of the data a range meets: the head, which only grows to its end, and blocks. */
function holdsFor({ setup, head, blocks }: LaneState, { startMs, endMs }: SelectRequest): Holds | null {
  if (head.minTime > endMs || head.maxTime < startMs || startMs > endMs) return null
  const stamp = Atomics.load(new Int32Array(setup.labelStamps), setup.lane)
  let startAfter = -Infinity
  let startUntil = head.maxTime
  let endFrom = head.minTime
  let endBefore = Infinity
  for (const { minTime, maxTime } of blocks.parts()) {
    if (maxTime < startMs) startAfter = Math.max(startAfter, maxTime)
    else startUntil = Math.min(startUntil, maxTime)
    if (minTime <= endMs) endFrom = Math.max(endFrom, minTime)
    else endBefore = Math.min(endBefore, minTime)
  }
  return { stamp, startAfter, startUntil, endFrom, endBefore }
}

/** As a JSON array, at most `limit` of them (0 = all). @returns whether there were more. */
export function writeLabelSets(sets: readonly Labels[], limit: number, into: JsonBytes): boolean {
  const shown = limit > 0 ? Math.min(limit, sets.length) : sets.length
  into.byte(91)
  for (let i = 0; i < shown; i++) {
    if (i > 0) into.byte(44)
    into.labels(sets[i]!)
  }
  into.byte(93)
  return shown < sets.length
}

/** The newest sample of every series in the range, unless the series has ended. */
function latest(source: SeriesSource, { matchers, startMs, endMs }: SelectRequest): LatestAnswer {
  const labels: Labels[] = []
  const times: number[] = []
  const values: number[] = []
  const histograms: (Histogram | null)[] = []
  const seen = new Set<string>()
  const columns = new SampleColumns()
  for (const selector of matchers) {
    const set = source.select({ matchers: selector, startMs, endMs })
    for (let i = 0; i < set.length; i++) {
      set.read(i, columns)
      const last = columns.length - 1
      if (last < 0 || isStaleAt(columns.bits, last)) continue
      const own = set.labels(i)
      const key = labelsKey(own)
      if (seen.has(key)) continue
      const histogram = columns.histograms?.[last] ?? null
      if (histogram !== null && isStale(histogram.sum)) continue
      seen.add(key)
      labels.push(own)
      times.push(columns.times[last]!)
      values.push(columns.values[last]!)
      histograms.push(histogram)
    }
  }
  return {
    labels,
    times: Float64Array.from(times),
    values: Float64Array.from(values),
    histograms: histograms.some((histogram) => histogram !== null) ? histograms : null,
  }
}

/** The newest float of every series in the range, also where it is a staleness marker. */
function lastFloats(source: SeriesSource, { matchers, startMs, endMs }: Omit<SamplesRequest, 'samplesMax'>): unknown {
  const set = source.select({ matchers, startMs, endMs })
  const labels: Labels[] = []
  const times: number[] = []
  const values: number[] = []
  const columns = new SampleColumns()
  for (let i = 0; i < set.length; i++) {
    set.read(i, columns)
    let last = columns.length - 1
    while (last >= 0 && columns.histograms !== null && columns.histograms[last] !== null) last--
    if (last < 0) continue
    labels.push(set.labels(i))
    times.push(columns.times[last]!)
    values.push(isStaleAt(columns.bits, last) ? staleNaN : columns.values[last]!)
  }
  return { labels, times: Float64Array.from(times), values: Float64Array.from(values) }
}

function samples(source: SeriesSource, { matchers, startMs, endMs, samplesMax }: SamplesRequest, context: RequestContext): unknown {
  const set = source.select({ matchers, startMs, endMs })
  const out: { labels: Labels; times: Float64Array; values: Float64Array; histograms: (Histogram | null)[] | null }[] = []
  const columns = new SampleColumns()
  let total = 0
  for (let i = 0; i < set.length; i++) {
    if ((i & 255) === 0 && context.cancelled()) throw new PromhiveError('QUERY_CANCELED', 'query was canceled in remote read')
    set.read(i, columns)
    if (columns.length === 0) continue
    total += columns.length
    if (total > samplesMax) throw new PromhiveError('TOO_LARGE', `exceeded sample limit (${samplesMax})`)
    out.push({
      labels: set.labels(i),
      times: columns.times.slice(0, columns.length),
      values: new Float64Array(columns.bits.slice(0, columns.length * 2).buffer),
      histograms: columns.histograms,
    })
  }
  return out.sort((a, b) => compareLabels(a.labels, b.labels))
}

function exemplars({ head, exemplars: ring }: LaneState, { matchers, startMs, endMs }: SelectRequest): unknown {
  const wanted = new Set<number>()
  for (const selector of matchers) for (const series of selectSeries(head, compileMatchers(selector), null)) wanted.add(series)
  return Array.from(ring.select(wanted, startMs, endMs), ([series, list]) => ({ seriesLabels: head.labels(series), exemplars: list })).sort(
    (a, b) => compareLabels(a.seriesLabels, b.seriesLabels),
  )
}

function adminRequests(state: LaneState): Record<string, RequestHandler> {
  const { head, blocks, shards } = state
  return {
    status: () => ({ body: status(state) }),
    cardinality: (body) => ({ body: cardinality(head, (body as { limit: number }).limit) }),
    blocks: () => ({ body: blocks.metas() }),
    resizeExemplars: (body) => {
      state.exemplars.resize((body as { capacity: number }).capacity)
      return { body: null }
    },
    setBlockOptions: (body) => {
      blocks.setOptions(body as Parameters<typeof blocks.setOptions>[0])
      return { body: null }
    },
    /** Hard links of the blocks, and the head as blocks unless it is skipped, in a directory of their own. */
    snapshotTo: async (body) => {
      const { directory, skipHead } = body as { directory: string; skipHead: boolean }
      await blocks.snapshotTo(directory, skipHead ? [] : [...shards.values()])
      return { body: null }
    },
    maintain: () => {
      state.pages.trim()
      const answer: MaintainAnswer = {
        blocks: blocks.maintain(),
        headBytes: head.chunks.chunkBytes,
        series: head.live,
        staleSeries: head.endedSeries,
        cutIsNear: [...shards.values()].some((shard) => shard.cutIsNear),
      }
      return { body: answer }
    },
    dropBlocks: (body) => {
      const { beyondTime, beyondSize } = body as { beyondTime: readonly string[]; beyondSize: readonly string[] }
      blocks.drop(beyondTime, 'time')
      blocks.drop(beyondSize, 'size')
      return { body: null }
    },
    cleanTombstones: async () => {
      await blocks.cleanTombstones()
      return { body: null }
    },
  }
}

function status(state: LaneState): LaneStatus {
  const { head, exemplars: ring, shards, blocks } = state
  const totals: number[] = []
  let histogramsAppended = 0
  for (const shard of shards.values()) {
    shard.totals.forEach((value, i) => (totals[i] = (totals[i] ?? 0) + value))
    histogramsAppended += shard.histogramsAppended
  }
  return {
    series: head.live,
    seriesCreated: head.seriesCreated,
    seriesRemoved: head.seriesRemoved,
    staleSeries: head.staleSeries,
    histogramSeries: head.histogramSeries,
    histogramBuckets: head.histogramBuckets,
    chunks: head.chunks.live + head.openChunks,
    chunksCreated: head.chunksCreated,
    chunksRemoved: head.chunksRemoved,
    minTime: Math.min(...Array.from(shards.values(), (shard) => shard.minTime)),
    maxTime: head.maxTime,
    totals,
    histogramsAppended,
    headMemory: head.memory,
    chunkBytes: head.chunks.chunkBytes,
    labelPairs: head.pairs.count,
    exemplars: ring.size,
    exemplarSeries: ring.series,
    exemplarsAppended: ring.appended,
    exemplarsOutOfOrder: ring.outOfOrder,
    exemplarCapacity: ring.capacity,
    exemplarsFromMs: ring.oldestMs,
    applied: Array.from(shards, ([shard, { applied }]) => ({ shard, applied })),
    filesDamaged: blocks.deletions.filesDamaged + state.damagedFiles.size,
    families: [...blocks.metrics(), ...state.families()],
  }
}
