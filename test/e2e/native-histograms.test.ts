// Native histograms through the whole server: written, queried, and there again with every bucket after kill -9 and after an orderly end.
import { afterAll, expect, it } from 'vitest'
import { compressed, encodeV1, encodeV2, type WireHistogramFields, type WireSeries } from '../support/remote-write.ts'
import { ServerHome, type Server } from '../support/server.ts'

const home = new ServerHome({
  config: 'storage: { tsdb: { out_of_order_time_window: 10m } }\n',
  flags: ['--web.enable-remote-write-receiver'],
})
afterAll(() => home.remove())

const startMs = Date.now() - 60_000
type Shown = Readonly<{ count: string; sum: string; buckets: readonly (readonly [boundaries: number, lower: string, upper: string, count: string])[] }> // prettier-ignore

/** Histograms as they grow over three samples, and how the API shows the last one. */
const cases: readonly (readonly [name: string, at: (i: number) => Omit<WireHistogramFields, 'timeMs'>, shown: Shown])[] = [
  [
    'whole', // counts over a byte, negative and zero buckets, a gap
    (i) => ({
      countInt: 100_303 + 4 * i, sum: -4.5, schema: 0, zeroThreshold: 0.001, zeroCountInt: 3,
      positiveSpans: [[0, 2], [1, 1]], positiveDeltas: [300 + i, -299, 99_299 + i], negativeSpans: [[0, 1]], negativeDeltas: [699],
    }),
    {
      count: '100311', sum: '-4.5',
      buckets: [[1, '-1', '-0.5', '699'], [3, '-0.001', '0.001', '3'], [0, '0.5', '1', '302'], [0, '1', '2', '3'], [0, '4', '8', '99304']],
    },
  ],
  [
    'fractional',
    (i) => ({ countFloat: 3.25 + i, sum: 1e300, schema: 1, zeroThreshold: 0, zeroCountFloat: 0, positiveSpans: [[2, 2]], positiveCounts: [0.25, 3 + i] }),
    { count: '5.25', sum: '1e+300', buckets: [[0, '1.414213562373095', '2', '0.25'], [0, '2', '2.82842712474619', '5']] },
  ],
  [
    'custom',
    (i) => ({ countInt: 1006 + i, sum: 12, schema: -53, positiveSpans: [[0, 3]], positiveDeltas: [1, 999 + i, -995 - i], customValues: [0.1, 2.5] }),
    { count: '1008', sum: '12', buckets: [[3, '-Inf', '0.1', '1'], [0, '0.1', '2.5', '1002'], [0, '2.5', '+Inf', '5']] },
  ],
] // prettier-ignore

async function write(server: Server, version: 1 | 2, series: readonly WireSeries[]): Promise<void> {
  const response = await fetch(`${server.url}/api/v1/write`, {
    method: 'POST',
    headers: {
      'Content-Encoding': 'snappy',
      'Content-Type': version === 2 ? 'application/x-protobuf;proto=io.prometheus.write.v2.Request' : 'application/x-protobuf',
    },
    body: new Uint8Array(compressed(version === 2 ? encodeV2(series) : encodeV1(series))),
  })
  expect([response.status, await response.text()]).toEqual([204, ''])
}

async function shown(server: Server, query: string, timeMs: number): Promise<unknown[]> {
  const { result } = await server.api<{ result: { histogram?: [number, Shown]; histograms?: [number, Shown][] }[] }>('query', {
    query,
    time: String(timeMs / 1000),
  })
  return result.flatMap(({ histogram, histograms }) => histograms ?? [histogram!]).map(([, one]) => one)
}

/** The count, the number of samples and every bucket of every series. */
async function check(server: Server, late: boolean): Promise<void> {
  for (const version of [1, 2]) {
    for (const [name, , expected] of cases) {
      const selector = `{__name__="${name}",version="${version}"}`
      expect([name, await shown(server, selector, startMs + 2000)]).toEqual([name, [expected]])
      expect(await shown(server, `${selector}[1m]`, startMs + 2000)).toHaveLength(late ? 4 : 3)
      expect((await server.value(`histogram_count(${selector})`, startMs + 2000))!).toBe(Number(expected.count))
    }
  }
}

it('every bucket survives', { timeout: 60_000 }, async () => {
  const first = await home.start()
  for (const version of [1, 2] as const) {
    for (let i = 0; i < 3; i++) {
      await write(first, version, cases.map(([name, at]) => ({ labels: [['__name__', name], ['version', String(version)]], histograms: [{ ...at(i), timeMs: startMs + i * 1000 }] }))) // prettier-ignore
    }
  }
  await check(first, false)
  await first.stop('SIGKILL') // from the log
  const second = await home.start()
  await check(second, false)
  for (const version of [1, 2] as const) {
    await write(second, version, cases.map(([name, at]) => ({ labels: [['__name__', name], ['version', String(version)]], histograms: [{ ...at(0), timeMs: startMs - 10_000 }] }))) // prettier-ignore
  }
  await check(second, true)
  const late = await shown(second, '{version="1"}', startMs - 10_000)
  expect(late).toHaveLength(3)
  expect(await second.stop()).toBe(0) // from snapshots
  const third = await home.start()
  await check(third, true)
  expect(await shown(third, '{version="1"}', startMs - 10_000)).toEqual(late)
  expect(await third.stop()).toBe(0)
})
