// Queries over HTTP, from the request's first byte to the answer's last, against a whole server: one series, many series, label lists.
// Small by default; BENCH=1 for steadier figures (10 k series x 2 h at 15 s).
import { afterAll, beforeAll, expect, it } from 'vitest'
import { compressed, encodeV1, type WireSeries } from '../support/remote-write.ts'
import { ServerHome, type Server } from '../support/server.ts'

const large = process.env['BENCH'] === '1'
const instances = large ? 200 : 6
const samples = large ? 480 : 60
const stepMs = 15_000
const paths = 50
const seriesCount = instances * paths
const baseMs = Math.ceil(1_700_000_000_000 / 7_200_000) * 7_200_000
const lastMs = baseMs + (samples - 1) * stepMs
const endS = lastMs / 1000
const rounds = large ? 60 : 3

/** Series p of an instance rises by p + 1 a step; half of them have a fraction. */
function valueOf(path: number, k: number): number {
  return k * (path + 1) + (path % 2) / 4
}

const home = new ServerHome({
  config: 'global:\n  scrape_interval: 15s\n',
  flags: ['--web.enable-remote-write-receiver', '--storage.tsdb.retention.time=100y'],
})
let server: Server

beforeAll(async () => {
  server = await home.start()
  const perRequest = 20
  for (let from = 0; from < samples; from += perRequest) {
    for (let i = 0; i < instances; i++) {
      const series: WireSeries[] = Array.from({ length: paths }, (_, path) => ({
        labels: [
          ['__name__', 'bench_total'],
          ['instance', `node-${i}:9100`],
          ['job', 'bench'],
          ['path', `/api/v1/resource_${path}`],
        ],
        samples: Array.from(
          { length: Math.min(perRequest, samples - from) },
          (_, k) => [valueOf(path, from + k), baseMs + (from + k) * stepMs] as const,
        ),
      }))
      const response = await fetch(`${server.url}/api/v1/write`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
        body: Buffer.from(compressed(encodeV1(series))),
      })
      if (!response.ok) throw new Error(await response.text())
    }
  }
}, 120_000)
afterAll(async () => {
  server.process.signal('SIGTERM')
  await server.process.exited
  home.remove()
})

type Result = Readonly<{ metric: object; value?: [number, string]; values?: [number, string][] }>
const instant = (query: string): string => `query?${new URLSearchParams({ query, time: String(endS) })}`
const steps = large ? 61 : 5
const range = (query: string): string =>
  `query_range?${new URLSearchParams({ query, start: String(endS - (steps - 1) * 60), end: String(endS), step: '60' })}`
const last = (list: readonly Result[]): number[] => list.map(({ value, values }) => Number((value ?? values!.at(-1)!)[1]))
const total = (list: readonly Result[]): number => last(list).reduce((a, b) => a + b, 0)
/** Of one instance: paths rise by 1 … 50 every 15 s. */
const rateOfInstance = (paths * (paths + 1)) / 2 / 15

const rows: readonly (readonly [group: string, path: string, check: (data: unknown) => void])[] = [
  ['few series', instant('bench_total{instance="node-1:9100",path="/api/v1/resource_7"}'), (data) => expect(last(resultOf(data))).toEqual([valueOf(7, samples - 1)])],
  ['few series', instant('bench_total{instance="node-3:9100"}'), (data) => expect(resultOf(data).length).toBe(paths)],
  ['few series', instant('sum(rate(bench_total{instance="node-2:9100"}[5m]))'), (data) => expect(total(resultOf(data))).toBeCloseTo(rateOfInstance, 6)],
  ['few series', range('rate(bench_total{instance="node-4:9100"}[5m])'), (data) => expect(total(resultOf(data))).toBeCloseTo(rateOfInstance, 6)],
  ['many series', instant('count by (job) (bench_total)'), (data) => expect(last(resultOf(data))).toEqual([seriesCount])],
  ['many series', instant('sum(rate(bench_total[5m]))'), (data) => expect(total(resultOf(data))).toBeCloseTo(instances * rateOfInstance, 4)],
  ['many series', instant('topk(3, bench_total)'), (data) => expect(last(resultOf(data))).toEqual(new Array(3).fill(valueOf(49, samples - 1)))],
  ['many series', range('sum by (instance) (rate(bench_total[5m]))'), (data) => expect(total(resultOf(data))).toBeCloseTo(instances * rateOfInstance, 4)],
  ['many series', range('bench_total'), (data) => expect(resultOf(data).every(({ values }) => values!.length === steps)).toBe(true)],
  ['labels', 'labels', (data) => expect(data).toEqual(['__name__', 'instance', 'job', 'path'])],
  ['labels', 'label/path/values', (data) => expect((data as string[]).length).toBe(paths)],
  ['labels', `series?${new URLSearchParams({ 'match[]': 'bench_total' })}`, (data) => expect((data as object[]).length).toBe(seriesCount)],
] // prettier-ignore

function resultOf(data: unknown): readonly Result[] {
  return (data as { result: readonly Result[] }).result
}

it('answers over HTTP are right, in the time a busy machine needs', async () => {
  for (const [group, path, check] of rows) {
    const times: number[] = []
    let body = ''
    for (let round = 0; round < rounds; round++) {
      const begin = performance.now()
      const response = await fetch(`${server.url}/api/v1/${path}`)
      body = await response.text()
      times.push(performance.now() - begin)
    }
    check((JSON.parse(body) as { data: unknown }).data)
    const median = times.sort((a, b) => a - b)[times.length >> 1]!
    if (large)
      console.log(`${median.toFixed(2).padStart(8)} ms  ${String(body.length).padStart(9)} B  ${group}: ${decodeURIComponent(path)}`)
    expect(median).toBeLessThan(10_000)
  }
}, 120_000)
