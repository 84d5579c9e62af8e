// A day of samples on the virtual clock, with cuts, late samples, compaction and retention: memory stays flat, every answer
// over the whole range is right: samples one by one, and PromQL beside values from the generator alone.
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import { expect, it } from 'vitest'
import { releasePages } from '../../src/base/shared-pages.ts'
import { promqlFeatures } from '../../src/promql/features.ts'
import { labelsFromObject } from '../../src/model/labels.ts'
import { seededRng } from '../../src/base/rng.ts'
import { simulatedDisk, type SimulatedDisk } from '../../src/ports/simulated/disk.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import type { QueryRequest, QueryResponse } from '../../actors/query/query-protocol.ts'
import type { LaneStatus } from '../../actors/storage-shard/lane-protocol.ts'
import { StorageWorld, type WorldOptions } from '../support/storage-world.ts'

const long = process.env['LONG'] === '1'
const hourMs = 3_600_000
const stepMs = 15_000
const seriesCount = long ? 10_000 : 200
const hours = 24
const retentionMs = 10 * hourMs
const startMs = Math.ceil(1_700_000_000_000 / (6 * hourMs)) * 6 * hourMs
const lateWindowMs = hourMs
const options: WorldOptions = {
  shards: 4,
  lanes: 1,
  samplesPerChunk: 120,
  chunkRangeMs: 2 * hourMs,
  walSegmentBytes: 1 << 20,
  exemplarsMax: 10,
  blocks: { retentionMs, retentionBytes: 0, retentionPercentage: 0, maxBlockMs: 6 * hourMs, mergeOverlapping: true },
  outOfOrderTimeWindowMs: lateWindowMs,
  blockSegmentBytesMax: 512 << 20,
  staleSeriesCompactionThreshold: 0,
  sliceMs: 8,
  snapshotTailUs: 4_000,
}

/** Counters, constants and noise. */
function valueOf(series: number, timeMs: number): number {
  const step = Math.floor((timeMs - startMs) / 1000)
  switch (series % 4) {
    case 0:
      return step * (series + 1)
    case 1:
      return series
    case 2:
      return ((step * 2654435761 + series) % 4096) / 16
    default:
      return Math.floor(step / 900) * 0.1
  }
}

type Answer = Readonly<{ labels: readonly string[]; times: Float64Array; values: Float64Array }>

type Late = ReadonlyMap<number, ReadonlySet<number>>
type Matrix = readonly Readonly<{ metric: Readonly<Record<string, string>>; values: readonly (readonly [number, string])[] }>[]

/** A range query as the API asks a worker for it: values by `by` and time. */
async function rangeQuery(
  world: StorageWorld,
  storage: Storage,
  { query, startMs: fromMs, endMs, stepMs: everyMs }: Readonly<{ query: string; startMs: number; endMs: number; stepMs: number }>,
): Promise<Map<string, number>> {
  const request: QueryRequest = {
    query,
    startMs: fromMs,
    endMs,
    stepMs: everyMs,
    form: 'json',
    limit: 0,
    stats: 'none',
    perStepStats: false,
    lookbackMs: 300_000,
    timeoutMs: 120_000,
    samplesMax: 50_000_000,
    defaultSubqueryStepMs: 60_000,
    promql: promqlFeatures([]),
    useStartTimestamps: false,
    typeAndUnitLabels: false,
    queuedMs: 0,
  }
  const { data, warnings } = (await world.run(storage.lanes.ask<QueryResponse>(0, 'query', request)))!
  const text = Buffer.concat(data).toString()
  releasePages(data)
  if (warnings.length > 0) throw new Error(`${query}: ${warnings.join()}`)
  const { result } = JSON.parse(text) as { result: Matrix }
  const out = new Map<string, number>()
  for (const { metric, values } of result)
    for (const [seconds, value] of values) out.set(`${metric['job'] ?? ''} ${Math.round(seconds * 1000)}`, Number(value))
  return out
}

/** Times of a series in a window that is open on the left, late ones among them. */
function timesIn(series: number, afterMs: number, untilMs: number, late: Late): number[] {
  const times: number[] = []
  for (let time = Math.floor((afterMs - startMs) / stepMs) * stepMs + startMs + stepMs; time <= untilMs; time += stepMs) times.push(time)
  const extra = [...(late.get(series) ?? [])].filter((time) => time > afterMs && time <= untilMs)
  return extra.length === 0 ? times : [...times, ...extra].sort((a, b) => a - b)
}

/** prometheus promql/functions.go (extrapolatedRate), for counters. NaN where there are less than two samples. */
function rateOf(series: number, times: readonly number[], afterMs: number, untilMs: number): number {
  if (times.length < 2) return NaN
  const values = times.map((time) => valueOf(series, time))
  let grown = values.at(-1)! - values[0]!
  for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]!) grown += values[i - 1]!
  const sampledS = (times.at(-1)! - times[0]!) / 1000
  const between = sampledS / (times.length - 1)
  let toStart = (times[0]! - afterMs) / 1000
  let toEnd = (untilMs - times.at(-1)!) / 1000
  if (toStart >= between * 1.1) toStart = between / 2
  // a counter is not extrapolated below zero
  if (grown > 0 && values[0]! >= 0) toStart = Math.min(toStart, sampledS * (values[0]! / grown))
  if (toEnd >= between * 1.1) toEnd = between / 2
  return (grown * ((sampledS + toStart + toEnd) / sampledS)) / ((untilMs - afterMs) / 1000)
}

type Question = Readonly<{
  query: string
  windowMs: number
  /** Of one series at one time; NaN where it has none. */
  each: (series: number, times: readonly number[], afterMs: number, untilMs: number) => number
  fold: (a: number, b: number) => number
}>
const add = (a: number, b: number): number => a + b
/** What is asked over the whole range, and the same from the generator alone. */
const questions: readonly Question[] = [
  { query: 'sum by (job) (rate(soak[5m]))', windowMs: 300_000, each: rateOf, fold: add },
  { query: 'sum by (job) (count_over_time(soak[1h]))', windowMs: hourMs, each: (_, times) => times.length || NaN, fold: add },
  {
    query: 'max by (job) (max_over_time(soak[30m]))',
    windowMs: 1_800_000,
    each: (series, times) => times.reduce((most, time) => Math.max(most, valueOf(series, time)), -Infinity),
    fold: Math.max,
  },
  {
    query: 'sum by (job) (soak)',
    windowMs: 300_000,
    each: (series, times) => (times.length === 0 ? NaN : valueOf(series, times.at(-1)!)),
    fold: add,
  },
]

/** PromQL over all that retention keeps for certain, at times that are no sample's. */
async function checkQueries(
  world: StorageWorld,
  storage: Storage,
  { late, sinceMs, endMs }: Readonly<{ late: Late; sinceMs: number; endMs: number }>,
): Promise<void> {
  for (const { query, windowMs, each, fold } of questions) {
    const everyMs = long ? 1_740_000 : 2_940_000
    const first = Math.max(startMs, sinceMs) + windowMs + 7_001
    if (first > endMs) continue
    const got = await rangeQuery(world, storage, { query, startMs: first, endMs, stepMs: everyMs })
    const expected = new Map<string, number>()
    for (let time = first; time <= endMs; time += everyMs) {
      for (let n = 0; n < seriesCount; n++) {
        const value = each(n, timesIn(n, time - windowMs, time, late), time - windowMs, time)
        if (Number.isNaN(value)) continue
        const key = `j${n % 7} ${time}`
        const before = expected.get(key)
        expected.set(key, before === undefined ? value : fold(before, value))
      }
    }
    if (got.size !== expected.size) throw new Error(`${query}: ${got.size} points, not ${expected.size}`)
    for (const [key, value] of expected) {
      // sums are in another order
      const error = Math.abs(got.get(key)! - value)
      if (!(error <= Math.abs(value) * 1e-9)) throw new Error(`${query} at ${key}: ${got.get(key)}, not ${value}`)
    }
  }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
/** What the process takes, without the simulated disk: on a machine that is none of its memory. */
function memory(disk: SimulatedDisk): Readonly<{ usedBytes: number; rssBytes: number; heldBytes: number }> {
  collectGarbage()
  collectGarbage()
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  const heldBytes = disk.heldBytes()
  return { usedBytes: heapUsed + arrayBuffers - heldBytes, rssBytes: rss - heldBytes, heldBytes }
}

/** Every sample in the range is one that was sent; from `sinceMs` on all of them are there. Returns the oldest one. */
async function check(
  world: StorageWorld,
  storage: Storage,
  given: Readonly<{ late: Late; sinceMs: number; endMs: number; matcher: string }>,
): Promise<number> {
  const { late, sinceMs, endMs, matcher } = given
  const matchers = [{ name: 'n', kind: '=~' as const, value: matcher }]
  const answers = await world.run(
    storage.lanes.askAll<Answer[]>('samples', { matchers, startMs: startMs - hourMs, endMs, samplesMax: 1e9 }),
  )
  let oldest = Infinity
  for (const { labels, times, values } of answers!.flat()) {
    const series = Number(labels[labels.indexOf('n') + 1])
    const own = late.get(series)
    let regular = 0
    let extra = 0
    for (let i = 0; i < times.length; i++) {
      const time = times[i]!
      if (i > 0 && !(time > times[i - 1]!)) throw new Error(`series ${series}: ${time} behind ${times[i - 1]}`)
      if (values[i] !== valueOf(series, time)) throw new Error(`series ${series} at ${time}: ${values[i]}, not ${valueOf(series, time)}`)
      if ((time - startMs) % stepMs === 0) regular += time >= sinceMs ? 1 : 0
      else if (own?.has(time) === true) extra += time >= sinceMs ? 1 : 0
      else throw new Error(`series ${series} at ${time}: invented`)
    }
    oldest = Math.min(oldest, times[0] ?? Infinity)
    const first = Math.max(startMs, Math.ceil((sinceMs - startMs) / stepMs) * stepMs + startMs)
    const wantedExtra = own === undefined ? 0 : [...own].filter((time) => time >= sinceMs && time <= endMs).length
    if (regular !== Math.floor((endMs - first) / stepMs) + 1) throw new Error(`series ${series}: ${regular} samples since ${sinceMs}`)
    if (extra !== wantedExtra) throw new Error(`series ${series}: ${extra} of ${wantedExtra} late samples`)
  }
  return oldest
}

it(`${hours} hours of ${seriesCount} series`, { timeout: 3_600_000 }, async () => {
  const disk = simulatedDisk(seededRng(1))
  const world = new StorageWorld(disk, startMs, options)
  const rng = seededRng(2)
  let storage = (await world.open())!
  const open = (): Uint32Array =>
    Uint32Array.from({ length: seriesCount }, (_, n) =>
      storage.appender.open(labelsFromObject({ __name__: 'soak', n: String(n), job: `j${n % 7}` })),
    )
  let handles = open()
  const values = new Float64Array(seriesCount)
  const late = new Map<number, Set<number>>()
  const sizes: { headBytes: number; chunkBytes: number; logBytes: number; files: number; diskBytes: number }[] = []
  const memories: ReturnType<typeof memory>[] = []
  let time = startMs
  for (let step = 0; step < (hours * hourMs) / stepMs; step++, time += stepMs) {
    for (let n = 0; n < seriesCount; n++) values[n] = valueOf(n, time)
    const result = await world.run(storage.appender.append({ length: seriesCount, handles, values, times: null, timeMs: time }))
    if (result!.appended !== seriesCount) throw new Error(`at step ${step} ${JSON.stringify(result)}`)
    if (step % 20 === 7) {
      const n = rng.below(Math.min(seriesCount, 50))
      const at = time - rng.below(Math.min(lateWindowMs, time - startMs) / stepMs) * stepMs - 1000
      const value = Float64Array.of(valueOf(n, at))
      const taken = late.get(n)?.has(at) === true
      const one = await world.run(
        storage.appender.append({ length: 1, handles: Uint32Array.of(handles[n]!), values: value, times: null, timeMs: at }),
      )
      if (one!.appended === 1) late.set(n, (late.get(n) ?? new Set()).add(at))
      else if (!taken && at > time - lateWindowMs) throw new Error(`late sample refused: ${JSON.stringify(one)}`)
    }
    if (step % 4 === 0) await world.run(storage.maintain())
    await world.clock.advance(stepMs - (world.clock.nowMs() - time))
    if (step % 240 === 239) {
      const hour = (step + 1) / 240
      // before this test reads all there is
      if (long) memories.push(memory(disk))
      // retention counts from the end of the newest block, which may be one of late samples in the window of now
      const newest = Math.ceil(time / options.chunkRangeMs) * options.chunkRangeMs
      const since = Math.max(startMs - hourMs, newest - retentionMs)
      const oldest = await check(world, storage, { late, sinceMs: since, endMs: time, matcher: hour % 8 === 0 ? '.+' : `.*${hour % 10}` })
      if (hour % (long ? 4 : 6) === 0 || hour === hours - 1) await checkQueries(world, storage, { late, sinceMs: since, endMs: time })
      // a block goes when all of it is too old
      if (hour > 22) expect(oldest).toBeGreaterThan(time - retentionMs - 8 * hourMs)
      const status = (await world.run(storage.lanes.askAll<LaneStatus>('status', null)))![0]!
      const files = world.files()
      const diskBytes = files.reduce((sum, path) => sum + disk.stat(path).sizeBytes, 0)
      const { headMemory, chunkBytes } = status
      const headBytes = Object.values(headMemory).reduce((sum, bytes) => sum + bytes, 0)
      sizes.push({ headBytes, chunkBytes, logBytes: storage.log.size().bytes, files: files.length, diskBytes })
    }
    if (step === 3000) {
      // a restart in the middle of a day
      await world.run(storage.close())
      world.crash()
      storage = (await world.open())!
      handles = open()
    }
  }
  expect(world.errors).toEqual([])
  // from hour 8 on nothing grows but what the retention lets grow
  const worst = (of: (size: (typeof sizes)[number]) => number, from: number, to: number): number =>
    Math.max(...sizes.slice(from, to).map(of))
  for (const of of [
    (s: (typeof sizes)[number]) => s.headBytes,
    (s: (typeof sizes)[number]) => s.chunkBytes,
    (s: (typeof sizes)[number]) => s.logBytes,
  ])
    expect(worst(of, 16, 24)).toBeLessThan(worst(of, 6, 14) * 1.25 + 300_000)
  expect(worst((s) => s.diskBytes, 20, 24)).toBeLessThan(worst((s) => s.diskBytes, 14, 20) * 1.3)
  expect(worst((s) => s.files, 20, 24)).toBeLessThan(250)
  if (process.env['SHOW'] === '1' || long) console.table(sizes.map((size, i) => ({ ...size, ...memories[i] })))
  if (long) {
    // the second half of the day: its last third takes no more than its first
    const most = (of: keyof (typeof memories)[number], from: number, to: number): number =>
      Math.max(...memories.slice(from, to).map((one) => one[of]))
    for (const of of ['usedBytes', 'rssBytes'] as const)
      expect(most(of, 20, 24), of).toBeLessThan(most(of, 12, 16) * 1.1 + (of === 'rssBytes' ? 64 << 20 : 8 << 20))
  }
  await world.run(storage.close())
})
