import { expect, it } from 'vitest'
import {
  Budget,
  Evaluation,
  matrixSeries,
  plan,
  runLeaf,
  runQuery,
  runQuerySharded,
  vectorSamplesOf,
  type BudgetOptions,
  type QueryResult,
} from '../../../src/promql/engine.ts'
import { allFeatures, parseExpr } from '../../../src/promql/parse.ts'
import { MemoryStorage } from '../../../src/promql/promqltest/storage.ts'
import { encodeQueryValue } from '../../../src/promql/result-json.ts'
import { labelsFromObject, printLabels } from '../../../src/model/labels.ts'
import { parseTestHistogram } from '../../../src/promql/promqltest/series-description.ts'
import { seededRng } from '../../../src/base/rng.ts'
import { PromhiveError } from '../../../src/base/errors.ts'

const rng = seededRng(11)

/** 24 counters and 12 native histograms in one storage, and the same spread over three. */
function storages(): { one: MemoryStorage; three: MemoryStorage[] } {
  const one = new MemoryStorage()
  const three = [new MemoryStorage(), new MemoryStorage(), new MemoryStorage()]
  for (let n = 0; n < 36; n++) {
    const labels = labelsFromObject({ __name__: n < 24 ? 'c_total' : 'h', job: `j${n % 4}`, n: String(n) })
    let value = 0
    for (let i = 0; i < 60; i++) {
      value = rng.chance(0.03) ? 0 : value + rng.next()
      const h = parseTestHistogram(`{{schema:${n % 3} count:${i * 3} sum:${i} buckets:[${i} ${i} ${i}]}}`)
      if (typeof h === 'string') throw new Error(h)
      for (const to of [one, three[n % 3]!]) to.append(labels, i * 15_000, value, n < 24 ? null : h.histogram)
    }
  }
  return { one, three }
}
const { one, three } = storages()

const times = { startMs: 300_000, endMs: 840_000, stepMs: 30_000, lookbackMs: 300_000, defaultSubqueryStepMs: 60_000 }
const instant = { ...times, startMs: 840_000, stepMs: 0 }

function planned(query: string, options = times): ReturnType<typeof plan> {
  const { expr, problems } = parseExpr(query, allFeatures)
  if (expr === null) throw new Error(problems[0]!.message)
  return plan(expr, options)
}

function run(query: string, options = times, budget: BudgetOptions = { samplesMax: 1e6 }): QueryResult {
  return runQuery(planned(query, options), one, new Budget(budget))
}

/** Every series with its samples to nine digits, sorted: what two ways of adding may not change. */
function shown(result: QueryResult): string[] {
  return matrixSeries(result.value).map(
    ({ labels, values, times: at, histograms }) =>
      `${printLabels(labels)} ${Array.from(values, (v, i) => `${v.toPrecision(9)}@${at[i]}`).join(' ')} ${histograms.map((h) => `${h.count.toPrecision(9)}/${h.sum.toPrecision(9)}`).join(' ')}`,
  )
}

it.each([
  'sum by (job) (rate(c_total[1m]))',
  'avg(c_total)',
  'avg without (n) (h)',
  'sum(rate(h[2m]))',
  'min by (job) (c_total) + max by (job) (c_total)',
  'topk(3, c_total)',
  'bottomk by (job) (1, rate(c_total[1m]))',
  'stddev(c_total)',
  'quantile(0.7, c_total)',
  'count_values("v", floor(c_total))',
  'c_total / on (job) group_left sum by (job) (c_total)',
  'quantile_over_time(scalar(max(c_total)) / 100, c_total[2m])',
  'max_over_time(sum(rate(c_total[1m]))[5m:30s])',
  'histogram_quantile(0.9, sum(h))',
  'count(c_total) == bool count(c_total @ end())',
])('%s: three shards give what one gives', (query) => {
  expect(shown(runQuerySharded(planned(query), three, new Budget({ samplesMax: 1e6 })))).toEqual(shown(run(query)))
})

it('reads and decodes a selector once, whatever is made of it', () => {
  const shared = planned('sum(rate(c_total[1m])) / count(rate(c_total[1m])) + on () group_right () rate(c_total[1m])')
  expect(shared.leaves).toHaveLength(1)
  expect(shared.leaves[0]!.leaf.aggregates.map((a) => a.op)).toEqual(['sum', 'count'])
  expect(shared.leaves[0]!.leaf.wantsVector).toBe(true)
})

it('runs leaves in stages where a scalar argument needs another leaf', () => {
  const staged = planned('quantile_over_time(scalar(sum(h_total)), c_total[2m])')
  expect(staged.stages).toEqual([[0], [1]])
  const evaluation = new Evaluation(staged, new Budget({ samplesMax: 1e6 }))
  for (const stage of staged.stages)
    for (const leaf of stage)
      evaluation.provide(leaf, [runLeaf(structuredClone(evaluation.leaf(leaf)), one, new Budget({ samplesMax: 1e6 }))])
  expect(matrixSeries(evaluation.result().value)[0]!.values[0]).toBeNaN()
})

const errors: [query: string, options: typeof times, budget: BudgetOptions, code: string, text: string][] = [
  ['c_total', times, { samplesMax: 100 }, 'QUERY_LIMIT', 'query processing would load too many samples into memory in query execution'],
  [
    'sum(rate(c_total[10m]))',
    times,
    { samplesMax: 10 },
    'QUERY_LIMIT',
    'query processing would load too many samples into memory in query execution',
  ],
  ['c_total', times, { samplesMax: 1e6, isCanceled: () => true }, 'QUERY_CANCELED', 'query was canceled in expression evaluation'],
  ['c_total', times, { samplesMax: 1e6, deadlineMs: 5, nowMs: () => 6 }, 'QUERY_TIMEOUT', 'query timed out in expression evaluation'],
  [
    'c_total[1m]',
    times,
    { samplesMax: 1e6 },
    'PROMQL_PARSE',
    'invalid expression type "range vector" for range query, must be Scalar or instant Vector',
  ],
  ['rate(c_total[1m-1m])', times, { samplesMax: 1e6 }, 'PROMQL_PARSE', '13:18: duration must be greater than 0'],
  ['c_total * on (job) c_total', times, { samplesMax: 1e6 }, 'PROMQL_EXECUTION', ''],
  [
    'label_replace(c_total, "a", "$1", "b", "(")',
    times,
    { samplesMax: 1e6 },
    'PROMQL_EXECUTION',
    'invalid regular expression in label_replace(): (',
  ],
]
it.each(errors)('%s with %o %o fails: %s', (query, options, budget, code, text) => {
  let thrown: unknown
  try {
    run(query, options, budget)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(PromhiveError)
  expect((thrown as PromhiveError).code).toBe(code)
  if (text !== '') expect((thrown as PromhiveError).message).toBe(text)
})

it('looks at cancellation while it works, not only between series', () => {
  const long = new MemoryStorage()
  for (let i = 0; i < 4_000; i++) long.append(['__name__', 'x'], i * 1_000, Math.random())
  let polls = 0
  const budget = new Budget({ samplesMax: 5e7, isCanceled: () => ++polls > 3 })
  const wide = { ...times, startMs: 0, endMs: 4_000_000, stepMs: 1_000 }
  expect(() => runQuery(planned('stddev_over_time(x[1h])', wide), long, budget)).toThrow('query was canceled')
})

it('counts samples as the API shows them', () => {
  const { stats } = run('sum(rate(c_total[1m]))')
  expect(stats.totalQueryableSamples).toBe(24 * 19 * 4)
  expect(stats.samplesRead).toBe(24 * (4 + 18 * 2))
  expect(stats.totalQueryableSamplesPerStep[0]).toBe(96)
  expect(run('c_total', instant).stats).toMatchObject({ totalQueryableSamples: 24, samplesRead: 24 })
  expect(run('c_total @ 600').stats).toMatchObject({ totalQueryableSamples: 24 * 19, samplesRead: 24 })
})

it('gives rules their samples one by one', () => {
  const samples = vectorSamplesOf(run('count by (job) (c_total)', instant).value)
  expect(samples.map(({ labels, value, timeMs }) => `${printLabels(labels)} ${value} ${timeMs}`)).toEqual(
    ['j0', 'j1', 'j2', 'j3'].map((job) => `{job="${job}"} 6 840000`),
  )
})

const json: [query: string, options: typeof times, text: string][] = [
  ['1', { ...instant, startMs: 1_435_781_451_781 }, '{"resultType":"scalar","result":[1435781451.781,"1"]}'],
  ['"a<b"', instant, '{"resultType":"string","result":[840,"a\\u003cb"]}'],
  ['vector(1e21)', instant, '{"resultType":"vector","result":[{"metric":{},"value":[840,"1e+21"]}]}'],
  ['vector(0.0000001)', instant, '{"resultType":"vector","result":[{"metric":{},"value":[840,"1e-07"]}]}'],
  ['vector(-0)', instant, '{"resultType":"vector","result":[{"metric":{},"value":[840,"-0"]}]}'],
  ['vector(-Inf)', { ...instant, startMs: 5 }, '{"resultType":"vector","result":[{"metric":{},"value":[0.005,"-Inf"]}]}'],
  [
    'label_replace(vector(123456789012), "l", "ä\\"\\n", "", "")',
    instant,
    '{"resultType":"vector","result":[{"metric":{"l":"ä\\"\\n"},"value":[840,"123456789012"]}]}',
  ],
  [
    'c_total{n="0"} * 0 + time()',
    { ...times, endMs: 330_500 },
    '{"resultType":"matrix","result":[{"metric":{"job":"j0","n":"0"},"values":[[300,"300"],[330,"330"]]}]}',
  ],
  [
    'h{n="24"}[16s]',
    { ...instant, startMs: 30_000 },
    '{"resultType":"matrix","result":[{"metric":{"__name__":"h","job":"j0","n":"24"},"histograms":[[15,{"count":"3","sum":"1","buckets":[[0,"0.5","1","1"],[0,"1","2","1"],[0,"2","4","1"]]}],[30,{"count":"6","sum":"2","buckets":[[0,"0.5","1","2"],[0,"1","2","2"],[0,"2","4","2"]]}]]}]}',
  ],
  ['c_total{n="none"}', times, '{"resultType":"matrix","result":[]}'],
]
it.each(json)('%s as JSON', (query, options, text) => {
  expect(new TextDecoder().decode(encodeQueryValue(run(query, options).value))).toBe(text)
})
