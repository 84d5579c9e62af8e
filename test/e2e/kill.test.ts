// kill -9 under load, again and again on one data directory: what was acknowledged is answered afterwards.
//
//   writers ──remote write──▶ server ✗ kill -9      a sample is: acknowledged (must be there), in flight at the kill (may be), or never sent
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { compressed, encodeV1, encodeV2, type WireSeries } from '../support/remote-write.ts'
import { until } from '../support/processes.ts'
import { ServerHome, type Server } from '../support/server.ts'

const long = process.env['LONG'] === '1'
const writers = 4
const seriesPerWriter = 25

/** Of one series: time → value. */
type Written = { acknowledged: Map<number, number>; inFlight: Map<number, number> }
const keyOf = (writer: number | string, n: number | string): string => `${writer}/${n}`

/** What was sent to one data directory over all lives of its server. */
class Load {
  readonly #written = new Map<string, Written>()
  readonly #startMs = Date.now() - 600_000
  #clockMs = this.#startMs
  /** Batches that were acknowledged. */
  batches = 0

  constructor() {
    for (let writer = 0; writer < writers; writer++) {
      for (let n = 0; n < seriesPerWriter; n++) this.#written.set(keyOf(writer, n), { acknowledged: new Map(), inFlight: new Map() })
    }
  }

  /** Sends batches until the server is gone. @returns how many were acknowledged. */
  async write(server: Server, writer: number, rng: Rng): Promise<number> {
    const version2 = writer % 2 === 1
    for (let batches = 0; ; batches++) {
      const samples = new Map<string, [value: number, timeMs: number][]>()
      const series: WireSeries[] = []
      for (let n = 0; n < seriesPerWriter; n++) {
        const list = Array.from({ length: 1 + rng.below(3) }, (): [number, number] => [rng.below(1_000_000), this.#clockMs++])
        samples.set(keyOf(writer, n), list)
        series.push({ labels: [['__name__', 'm'], ['n', String(n)], ['writer', String(writer)]], samples: list }) // prettier-ignore
      }
      const into = (kind: keyof Written): void => {
        for (const [key, list] of samples) for (const [value, timeMs] of list) this.#written.get(key)![kind].set(timeMs, value)
      }
      let status: number
      try {
        const response = await fetch(`${server.url}/api/v1/write`, {
          method: 'POST',
          headers: {
            'Content-Encoding': 'snappy',
            'Content-Type': version2 ? 'application/x-protobuf;proto=io.prometheus.write.v2.Request' : 'application/x-protobuf',
          },
          body: new Uint8Array(compressed(version2 ? encodeV2(series) : encodeV1(series))),
        })
        status = response.status
        await response.arrayBuffer().catch(() => {}) // the status is the acknowledgement
      } catch {
        into('inFlight')
        return batches
      }
      if (status !== 204) throw new Error(`remote write answered ${status}\n${server.log}`)
      into('acknowledged')
      this.batches++
    }
  }

  /** Everything acknowledged is there with its value, and nothing is there that was never sent. */
  async check(server: Server): Promise<number> {
    const nowMs = this.#clockMs
    const range = `${nowMs - this.#startMs + 60_000}ms`
    const [series, counts, sums] = await Promise.all([
      server.samples(`m[${range}]`, nowMs),
      server.query(`count_over_time(m[${range}])`, nowMs),
      server.query(`sum_over_time(m[${range}])`, nowMs),
    ])
    const countOf = new Map(counts.map(({ metric, value }) => [keyOf(metric['writer']!, metric['n']!), value]))
    const sumOf = new Map(sums.map(({ metric, value }) => [keyOf(metric['writer']!, metric['n']!), value]))
    const found = new Map(series.map(({ metric, values }) => [keyOf(metric['writer']!, metric['n']!), new Map(values)]))
    const lost: string[] = []
    const foreign: string[] = []
    let acknowledged = 0
    for (const [key, { acknowledged: sure, inFlight }] of this.#written) {
      const stored = found.get(key) ?? new Map<number, number>()
      acknowledged += sure.size
      for (const [timeMs, value] of sure) if (stored.get(timeMs) !== value) lost.push(`${key} @${timeMs} ${value} is ${stored.get(timeMs)}`)
      for (const [timeMs, value] of stored) {
        if (sure.get(timeMs) !== value && inFlight.get(timeMs) !== value) foreign.push(`${key} @${timeMs} ${value}`)
      }
      // the engine's own view of the same series
      if (stored.size > 0) {
        expect(countOf.get(key)).toBe(stored.size)
        expect(sumOf.get(key)).toBe([...stored.values()].reduce((sum, value) => sum + value, 0))
      }
    }
    expect({ lost: lost.slice(0, 5), lostCount: lost.length, foreign: foreign.slice(0, 5) }).toEqual({
      lost: [],
      lostCount: 0,
      foreign: [],
    })
    return acknowledged
  }
}

const lives: readonly (readonly [what: string, flags: readonly string[], kills: number])[] = [
  ['', [], 12],
  [
    ' while blocks are cut and compacted',
    ['--storage.tsdb.min-block-duration=10s', '--storage.tsdb.max-block-duration=1m', '--storage.tsdb.block-reload-interval=1s'],
    12,
  ],
]
it.for(lives)('loses no acknowledged sample%s', { timeout: long ? 1_800_000 : 180_000 }, async ([, flags, few]) => {
  const kills = long ? few * 10 : few
  const rng = seededRng(20_260_101)
  const load = new Load()
  const home = new ServerHome({ config: 'global: {}\n', flags: ['--web.enable-remote-write-receiver', ...flags] })
  onTestFinished(() => home.remove())
  let last = 0
  for (let round = 0; round < kills; round++) {
    if (round % 4 === 1) {
      // a kill while it is starting and reading its log
      const starting = home.spawn()
      await sleep(50 + rng.below(400))
      await starting.stop('SIGKILL')
    }
    const server = await home.start()
    if (round > 0) {
      const acknowledged = await load.check(server)
      expect(acknowledged).toBeGreaterThan(last)
      last = acknowledged
      // what a start has replayed stays to be seen, however much comes after it
      const { min, max, current } = await server.api<{ min: number; max: number; current: number }>('status/walreplay')
      expect({ min, current }).toEqual({ min: 0, current: max })
      // a start before it may have come to a snapshot
      if (round % 4 !== 1) expect(max).toBeGreaterThan(0)
    }
    const loads = Array.from({ length: writers }, (_, writer) => load.write(server, writer, rng))
    const before = load.batches
    await until('the load is real', () => load.batches > before)
    await sleep(rng.below(400))
    await server.stop('SIGKILL')
    await Promise.all(loads)
    expect(server.log).not.toMatch(/level=ERROR/)
  }
  const server = await home.start()
  const total = await load.check(server)
  expect(await server.stop()).toBe(0)
  // ended in order, it is all there again
  const again = await home.start()
  expect(await load.check(again)).toBe(total)
  const { blocks } = await again.api<{ blocks: unknown[] }>('status/tsdb/blocks')
  expect(blocks.length > 0).toBe(flags.length > 0)
  expect(await again.stop()).toBe(0)
  expect(total).toBeGreaterThan(kills * writers * seriesPerWriter)
  console.log(`${kills} kills under load, ${Math.ceil((kills - 1) / 4)} at start: ${total} acknowledged samples, ${blocks.length} blocks`)
})
