// The `stats` member of a query's answer (FEATURES 4.38).
import type { JsonBytes } from '../../src/model/json-bytes.ts'
import { formatFloatF } from '../../src/model/number-text.ts'
import type { QueryStats } from '../../src/promql/engine.ts'

type Timings = Readonly<{ queuedMs: number; prepareMs: number; evalMs: number; sortMs: number }>

/** Appends `,"stats":{…}`. Steps one by one only where they were asked for and the feature promql-per-step-stats is on. */
export function writeStats(
  out: JsonBytes,
  stats: QueryStats,
  { queuedMs, prepareMs, evalMs, sortMs }: Timings,
  request: Readonly<{ stats: 'none' | 'basic' | 'all'; perStepStats: boolean }>,
): void {
  const seconds = (ms: number): string => formatFloatF(ms / 1000)
  const timings = {
    evalTotalTime: seconds(prepareMs + evalMs + sortMs),
    resultSortTime: seconds(sortMs),
    queryPreparationTime: seconds(prepareMs),
    innerEvalTime: seconds(evalMs),
    execQueueTime: seconds(queuedMs),
    execTotalTime: seconds(queuedMs + prepareMs + evalMs + sortMs),
  }
  const samples = [
    `"totalQueryableSamples":${stats.totalQueryableSamples}`,
    `"samplesRead":${stats.samplesRead}`,
    `"peakSamples":${stats.peakSamples}`,
  ]
  if (request.stats === 'all' && request.perStepStats) {
    samples.splice(0, 0, `"totalQueryableSamplesPerStep":${perStep(stats, stats.totalQueryableSamplesPerStep)}`)
    samples.splice(2, 0, `"samplesReadPerStep":${perStep(stats, stats.samplesReadPerStep)}`)
  }
  const members = Object.entries(timings).map(([name, value]) => `"${name}":${value}`)
  out.ascii(`,"stats":{"timings":{${members.join(',')}},"samples":{${samples.join(',')}}}`)
}

function perStep({ grid }: QueryStats, counts: Float64Array): string {
  return `[${Array.from(counts, (count, k) => `[${(grid.startMs + k * grid.stepMs) / 1000},${count}]`).join(',')}]`
}
