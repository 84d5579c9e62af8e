// Latency of PromQL over columns in memory: 10k series x 2 h at 15 s with BENCH=1, a fiftieth of that in every run. The digest of every answer
// is compared, so that a faster answer is still the same answer.
import { expect, it } from 'vitest'
import { Budget, plan, runQuery } from '../../src/promql/engine.ts'
import { encodeQueryValue } from '../../src/promql/result-json.ts'
import { parseExpr, allFeatures } from '../../src/promql/parse.ts'
import { compileMatchers } from '../../src/model/matching.ts'
import { labelsFromObject, labelValue, type Labels } from '../../src/model/labels.ts'
import type { SeriesSource } from '../../src/model/samples.ts'
import { seededRng } from '../../src/base/rng.ts'
import { crc32c } from '../../src/base/crc32c.ts'

const large = process.env['BENCH'] === '1'
const instances = large ? 200 : 4
const samples = 480
const stepMs = 15_000

/** 50 series an instance: 20 counters, 20 gauges, one classic histogram of 10 buckets. */
function makeSource(): SeriesSource {
  const rng = seededRng(7)
  const all: { labels: Labels; values: Float64Array }[] = []
  const add = (labels: Record<string, string>, next: (before: number, i: number) => number): void => {
    const values = new Float64Array(samples)
    let value = 0
    for (let i = 0; i < samples; i++) values[i] = value = next(value, i)
    all.push({ labels: labelsFromObject(labels), values })
  }
  for (let n = 0; n < instances; n++) {
    const instance = `node-${n}:9100`
    const job = `job-${n % 5}`
    for (let c = 0; c < 20; c++) {
      const path = `/api/${c}`
      add({ __name__: 'requests_total', instance, job, path, code: c % 4 === 0 ? '500' : '200' }, (before) =>
        rng.chance(0.002) ? 0 : before + Math.floor(rng.next() * 50),
      )
      add({ __name__: 'temperature', instance, job, sensor: String(c) }, () => 20 + 5 * rng.next())
    }
    const shares = Array.from({ length: 10 }, () => 1 + rng.next())
    for (let b = 0; b < 10; b++) {
      const le = b === 9 ? '+Inf' : String(0.01 * 2 ** b)
      add({ __name__: 'latency_seconds_bucket', instance, job, le }, (_, i) =>
        Math.floor(i * 10 * shares.slice(0, b + 1).reduce((x, y) => x + y)),
      )
    }
  }
  const times = new Float64Array(samples)
  for (let i = 0; i < samples; i++) times[i] = i * stepMs
  return {
    select({ matchers, startMs, endMs }) {
      const compiled = compileMatchers(matchers)
      const found = all.filter(({ labels }) => compiled.every((m) => m.matches(labelValue(labels, m.name))))
      const from = Math.max(0, Math.ceil(startMs / stepMs))
      const to = Math.min(samples, Math.floor(endMs / stepMs) + 1)
      return {
        length: found.length,
        labels: (i) => found[i]!.labels,
        read(i, into) {
          into.clear()
          into.reserve(to - from)
          into.times.set(times.subarray(from, to))
          into.values.set(found[i]!.values.subarray(from, to))
          into.length = to - from
        },
      }
    },
  }
}

const rows: [query: string, smallDigest: number, largeDigest: number][] = [
  ['sum by (job) (rate(requests_total[5m]))', 3647304859, 445460355],
  ['requests_total', 2797157263, 1136930895],
  ['rate(requests_total[5m])', 2293975135, 3441642310],
  ['sum(requests_total)', 452473448, 3766157036],
  ['topk(5, rate(requests_total[5m]))', 2527646097, 3931489058],
  ['avg_over_time(temperature[10m])', 1396592668, 3435693660],
  ['quantile_over_time(0.9, temperature[10m])', 1062278994, 109955831],
  ['max_over_time(temperature[1h])', 4282421709, 515636743],
  ['stddev by (job) (temperature)', 4221264283, 3119010973],
  ['histogram_quantile(0.9, sum by (job, le) (rate(latency_seconds_bucket[5m])))', 2430382914, 921647112],
  ['histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))', 2090583923, 348423850],
  ['max_over_time(rate(requests_total[5m])[30m:1m])', 1642335694, 2629623297],
  ['sum by (instance) (rate(requests_total{code="500"}[5m])) / sum by (instance) (rate(requests_total[5m]))', 4031696141, 968528535],
  ['rate(requests_total[5m]) * on (instance) group_left sum by (instance) (temperature)', 1540978582, 2185339746],
  ['requests_total{path=~"/api/1.*"} > 100', 3675553043, 1960856481],
  ['count by (code) (requests_total) or sum by (job) (temperature)', 3591372823, 370510563],
  ['sum without (path, code) (increase(requests_total[15m]))', 4216389242, 623087243],
  ['abs(temperature - 22)', 1244288372, 1148479842],
]

it('answers range queries of 61 steps', () => {
  const source = makeSource()
  const endMs = (samples - 1) * stepMs
  const startMs = endMs - 3_600_000
  for (const [query, smallDigest, largeDigest] of rows) {
    const { expr } = parseExpr(query, allFeatures)
    const times: number[] = []
    let bytes: Uint8Array = new Uint8Array(0)
    for (let round = 0; round < (large ? 7 : 1); round++) {
      const begin = performance.now()
      const planned = plan(expr!, { startMs, endMs, stepMs: 60_000, lookbackMs: 300_000, defaultSubqueryStepMs: 60_000 })
      bytes = encodeQueryValue(runQuery(planned, source, new Budget({ samplesMax: 50_000_000 })).value)
      times.push(performance.now() - begin)
    }
    const digest = crc32c(bytes)
    if (large)
      console.log(
        `${times
          .sort((a, b) => a - b)
          [times.length >> 1]!.toFixed(1)
          .padStart(8)} ms  ${digest}  ${query}`,
      )
    expect([query, digest]).toEqual([query, large ? largeDigest : smallDigest])
  }
})
