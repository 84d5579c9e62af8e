// Label sets, newest samples, exemplars and the storage's own figures: asked of every storage worker, merged here.
import { PromhiveError } from '../../base/errors.ts'
import { compareLabels, compareText, labelsKey, type Labels } from '../../model/labels.ts'
import type { Histogram } from '../../model/histogram.ts'
import { JsonBytes } from '../../model/json-bytes.ts'
import { unpackLabels, type PackedLabels } from '../../model/packed-labels.ts'
import {
  maxTimeMs,
  minTimeMs,
  type AdminBackend,
  type LatestSamples,
  type QueryBackend,
  type SeriesBackend,
  type SeriesExemplars,
  type SeriesSamples,
  type TsdbStatus,
} from '../../api/backend.ts'
import { LabelLists } from '../../../actors/query/label-lists.ts'
import type { LogAppender } from '../../../actors/storage-shard/appender.ts'
import type { Lanes } from '../../../actors/storage-shard/lanes.ts'
import type { LaneStatus } from '../../../actors/storage-shard/lane-protocol.ts'
import { writeLabelSets, type LatestAnswer } from '../../../actors/storage-shard/lane-requests.ts'
import { largest, type Cardinality, type NameCount } from '../../tsdb/head/metadata.ts'
import type { Clock } from '../../ports/clock.ts'
import { makeDurableDirectory, type Disk } from '../../ports/disk.ts'
import type { Random } from '../../ports/random.ts'

export function seriesBackend(lanes: Lanes): SeriesBackend {
  const lists = new LabelLists(lanes)
  return {
    async labelNames(query, signal) {
      return { values: mergeTexts(await lanes.askAll<string[]>('labelNames', query, signal)), warnings: [] }
    },
    async labelValues(name, query, signal) {
      return { values: mergeTexts(await lanes.askAll<string[]>('labelValues', { ...query, name }, signal)), warnings: [] }
    },
    async listed(query, signal) {
      const { kind, limit } = query
      if (lanes.count === 1) return lists.ask(query, signal)
      const out = new JsonBytes()
      let count: number
      if (kind === 'series') {
        const sets = distinct((await lanes.askAll<PackedLabels>('series', query, signal)).flatMap(unpackLabels))
        count = sets.length
        writeLabelSets(sets, limit, out)
      } else {
        const texts = mergeTexts(await lanes.askAll<string[]>(kind, query, signal))
        count = texts.length
        out.strings(limit > 0 ? texts.slice(0, limit) : texts)
      }
      return { data: out.parts(), truncated: limit > 0 && count > limit, warnings: [], infos: [] }
    },
    async latest(query, signal) {
      return { ...mergeLatest(await lanes.askAll<LatestAnswer>('latest', query, signal)), warnings: [] }
    },
    async samples(query, signal) {
      const answers = await lanes.askAll<SeriesSamples[]>('samples', query, signal)
      return answers.flat().sort((a, b) => compareLabels(a.labels, b.labels))
    },
  }
}

export async function selectExemplars(
  lanes: Lanes,
  query: Parameters<QueryBackend['exemplars']>[0],
  signal: AbortSignal,
): Promise<SeriesExemplars[]> {
  const { selectors: matchers, startMs, endMs } = query
  const answers = await lanes.askAll<SeriesExemplars[]>('exemplars', { matchers, startMs, endMs, limit: 0 }, signal)
  return answers.flat().sort((a, b) => compareLabels(a.seriesLabels, b.seriesLabels))
}

export async function tsdbStatus(lanes: Lanes, limit: number): Promise<TsdbStatus> {
  const [statuses, lists] = await Promise.all([
    lanes.askAll<LaneStatus>('status', null),
    lanes.askAll<Cardinality>('cardinality', { limit: 1 << 20 }),
  ])
  const minTime = Math.min(...statuses.map((status) => status.minTime))
  const maxTime = Math.max(...statuses.map((status) => status.maxTime))
  return {
    numSeries: sum(statuses, (status) => status.series),
    numLabelPairs: sum(statuses, (status) => status.labelPairs),
    chunkCount: sum(statuses, (status) => status.chunks),
    minTimeMs: Number.isFinite(minTime) ? minTime : maxTimeMs,
    maxTimeMs: Number.isFinite(maxTime) ? maxTime : minTimeMs,
    seriesCountByMetricName: mergeCounts(
      lists.map((list) => list.seriesCountByMetricName),
      limit,
    ),
    labelValueCountByLabelName: mergeCounts(
      lists.map((list) => list.labelValueCountByLabelName),
      limit,
      Math.max,
    ),
    memoryInBytesByLabelName: mergeCounts(
      lists.map((list) => list.memoryInBytesByLabelName),
      limit,
    ),
    seriesCountByLabelValuePair: mergeCounts(
      lists.map((list) => list.seriesCountByLabelValuePair),
      limit,
    ),
  }
}

export function adminBackend(
  lanes: Lanes,
  appender: LogAppender,
  parts: Readonly<{ disk: Disk; clock: Clock; random: Random; dataDirectory: string }>,
): AdminBackend {
  return {
    async deleteSeries(matchers, startMs, endMs) {
      await appender.deleteSeries(matchers, startMs, endMs)
    },
    async cleanTombstones() {
      await lanes.askAll('cleanTombstones', null)
    },
    async snapshot(skipHead) {
      const { disk, clock, random, dataDirectory } = parts
      const time = new Date(clock.nowMs())
        .toISOString()
        .replace(/[-:]/g, '')
        .replace(/\.\d+Z$/, 'Z')
      const tail = Array.from(random.bytes(8), (byte) => byte.toString(16).padStart(2, '0')).join('')
      const name = `${time}-${tail}`
      const directory = `${dataDirectory}/snapshots/${name}`
      if (disk.exists(directory)) throw new PromhiveError('INTERNAL', `cannot create snapshot ${name}: it exists`)
      makeDurableDirectory(disk, directory)
      await appender.drain()
      await lanes.askAll('snapshotTo', { directory, skipHead })
      return name
    },
  }
}

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0)
}

function mergeTexts(answers: readonly (readonly string[])[]): readonly string[] {
  return answers.length === 1 ? answers[0]! : [...new Set(answers.flat())].sort(compareText)
}

function distinct(list: readonly Labels[]): Labels[] {
  return [...new Map(list.map((labels) => [labelsKey(labels), labels])).values()].sort(compareLabels)
}

function mergeLatest(answers: readonly LatestAnswer[]): Omit<LatestSamples, 'warnings'> {
  if (answers.length === 1) return answers[0]!
  const histograms = answers.flatMap((answer) => answer.histograms ?? new Array<Histogram | null>(answer.labels.length).fill(null))
  return {
    labels: answers.flatMap((answer) => answer.labels),
    times: Float64Array.from(answers.flatMap((answer) => [...answer.times])),
    values: Float64Array.from(answers.flatMap((answer) => [...answer.values])),
    histograms: histograms.some((histogram) => histogram !== null) ? histograms : null,
  }
}

function mergeCounts(
  lists: readonly (readonly NameCount[])[],
  limit: number,
  merge = (a: number, b: number): number => a + b,
): NameCount[] {
  const byName = new Map<string, number>()
  for (const { name, value } of lists.flat()) {
    const known = byName.get(name)
    byName.set(name, known === undefined ? value : merge(known, value))
  }
  return largest(
    Array.from(byName, ([name, value]) => ({ name, value })),
    limit,
  )
}
