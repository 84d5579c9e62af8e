import { expect, it } from 'vitest'
import { httpDiscovery } from '../../../src/discovery/http.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import { defaultHttpClientOptions } from '../../../src/model/http-options.ts'
import type { ServedAnswer, ServedRequest } from '../../../src/ports/simulated/http.ts'
import { discoveryBench, targetsOf, type DiscoveryBench } from '../../support/discovery.ts'

const url = 'http://sd:8080/targets'
const json = (value: unknown, type = 'application/json'): ServedAnswer => ({
  status: 200,
  headers: { 'Content-Type': type },
  body: new TextEncoder().encode(JSON.stringify(value)),
})

function run(bench: DiscoveryBench, http = defaultHttpClientOptions) {
  const groups = new Map<string, TargetGroup>()
  const mechanism = httpDiscovery({ kind: 'http', url, refreshIntervalMs: 60_000, http }, 'job', bench.ports)
  mechanism.start((changed) => {
    for (const group of changed) {
      if (group.targets.length === 0) groups.delete(group.source)
      else groups.set(group.source, group)
    }
  })
  return { found: () => targetsOf([...groups.values()]), stop: () => mechanism.stop() }
}

it('asks with the interval in a header and labels what it gets', async () => {
  const bench = discoveryBench()
  const requests: ServedRequest[] = []
  bench.network.serve('sd:8080', (request) => {
    requests.push(request)
    return json([{ targets: ['a:1', 'b:1'], labels: { x: 'y' } }])
  })
  const { found } = run(bench, {
    ...defaultHttpClientOptions,
    basicAuth: { username: 'u', usernameFile: '', password: 'p', passwordFile: '' },
  })
  await bench.clock.advance(0)
  expect(found()).toEqual([`a:1{__meta_url=${url},x=y}`, `b:1{__meta_url=${url},x=y}`])
  expect(requests[0]).toMatchObject({
    method: 'GET',
    headers: {
      accept: 'application/json',
      'x-prometheus-refresh-interval-seconds': '60',
      'user-agent': 'Prometheus/test',
      authorization: `Basic ${btoa('u:p')}`,
    },
  })
  await bench.clock.advance(180_000)
  expect(requests).toHaveLength(4)
})

const bad: [what: string, answer: ServedAnswer, why: string][] = [
  ['status', { status: 500 }, 'server returned HTTP status 500'],
  ['no content', { status: 204 }, 'server returned HTTP status 204'],
  ['content type', json([], 'text/json'), 'unsupported content type "text/json"'],
  ['no content type', { status: 200, body: new TextEncoder().encode('[]') }, 'unsupported content type ""'],
  ['charset', json([], 'application/json; charset=latin1'), 'unsupported content type'],
  ['body', { ...json([]), body: new TextEncoder().encode('[{') }, 'cannot read target groups'],
  ['null group', json([null]), 'nil target group item found'],
]
it.each(bad)('a bad answer keeps the old list: %s', async (_, answer, why) => {
  const bench = discoveryBench()
  let now: ServedAnswer = json([{ targets: ['a:1'] }, { targets: ['b:1'] }])
  bench.network.serve('sd:8080', () => now)
  const { found } = run(bench)
  await bench.clock.advance(1_000)
  now = answer
  await bench.clock.advance(60_000)
  expect(found()).toHaveLength(2)
  expect(bench.logged.at(-1)).toMatchObject({
    level: 'error',
    message: 'Unable to refresh target groups',
    fields: { discovery: 'http', config: 'job' },
  })
  expect(bench.logged.at(-1)!.fields['err']).toContain(why)
  expect(await bench.metric('prometheus_sd_http_failures_total')).toBe(1)
  expect(await bench.metric('prometheus_sd_refresh_failures_total', 'http', 'job')).toBe(1)
  now = json([{ targets: ['c:1'] }])
  await bench.clock.advance(60_000)
  expect(found()).toEqual([`c:1{__meta_url=${url}}`])
})

it.each(['application/json', 'Application/JSON;charset=UTF-8', ' application/json; charset="utf-8" '])(
  'content type %j is good',
  async (type) => {
    const bench = discoveryBench()
    bench.network.serve('sd:8080', () => json([{ targets: ['a:1'] }], type))
    const { found } = run(bench)
    await bench.clock.advance(0)
    expect(found()).toHaveLength(1)
  },
)

it('a server that does not answer is given up after the interval; refreshes do not pile up', async () => {
  const bench = discoveryBench()
  let asked = 0
  bench.network.serve('sd:8080', () => {
    asked++
    return new Promise(() => {})
  })
  run(bench)
  await bench.clock.advance(59_999)
  expect(asked).toBe(1)
  await bench.clock.advance(120_000)
  expect(asked).toBe(3)
  expect(await bench.metric('prometheus_sd_http_failures_total')).toBe(2)
})

it('slow answers do not stretch the interval', async () => {
  const bench = discoveryBench()
  const times: number[] = []
  bench.network.serve('sd:8080', async () => {
    times.push(bench.clock.monotonicMs())
    await bench.clock.sleep(20_000)
    return json([])
  })
  run(bench)
  await bench.clock.advance(150_000)
  expect(times).toEqual([0, 60_000, 120_000])
  expect(await bench.metric('prometheus_sd_refresh_duration_seconds_sum', 'http', 'job')).toBe(60)
  expect(await bench.metric('prometheus_sd_refresh_duration_histogram_seconds_count', 'http')).toBe(3)
})

it('stopped in the middle of a refresh: nothing more is said, asked or counted', async () => {
  const bench = discoveryBench()
  bench.network.serve('sd:8080', async () => {
    await bench.clock.sleep(1_000)
    return json([{ targets: ['a:1'] }])
  })
  const { found, stop } = run(bench)
  await bench.clock.advance(500)
  stop()
  await bench.clock.advance(600_000)
  expect(found()).toEqual([])
  expect(bench.logged).toEqual([])
  expect(await bench.metric('prometheus_sd_refresh_duration_seconds_count', 'http', 'job')).toBe(0)
  expect(bench.clock.pending).toBe(0)
})
