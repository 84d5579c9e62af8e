// What queries may not do to a server: go on when nobody wants their answer any more, keep others waiting, cost scrapes their slots, take more memory than
// they are given. With BENCH=1 the bounds are those that hold on an idle machine, and everything runs longer.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, it } from 'vitest'
import { Exporter } from '../support/exporter.ts'
import { activeQueries, Asked, cpuMs, hostileQueries, writeHour } from '../support/hostile.ts'
import { until } from '../support/processes.ts'
import { ServerHome, type Server } from '../support/server.ts'

const isBench = process.env['BENCH'] === '1'
/** A machine that does other things as well gives a thread its turn late. */
const stoppedWithinMs = isBench ? 100 : 2_000
const homes: ServerHome[] = []
afterAll(() => homes.forEach((home) => home.remove()))

async function withHour(
  flags: readonly string[],
  run: (server: Server, home: ServerHome, hour: Readonly<{ start: string; end: string }>) => Promise<void>,
): Promise<void> {
  const home = new ServerHome({ config: 'global: {}\n', flags: ['--web.enable-remote-write-receiver', '--web.enable-lifecycle', ...flags] })
  homes.push(home)
  const server = await home.start()
  try {
    const { startMs, endMs } = await writeHour(server, Date.now())
    await run(server, home, { start: String(startMs / 1000), end: String(endMs / 1000) })
  } finally {
    await server.stop('SIGKILL')
  }
}

/** @returns milliseconds until the server has ended all queries. Then it must be idle: no CPU time goes to what nobody wants. */
async function ended(server: Server, home: ServerHome): Promise<number> {
  const started = performance.now()
  await until('no query is active', () => activeQueries(home.dataDirectory) === 0, 20_000, 1)
  const tookMs = performance.now() - started
  await sleep(100)
  const before = cpuMs(server.process.pid)
  await sleep(200)
  expect(cpuMs(server.process.pid) - before).toBeLessThan(120)
  return tookMs
}

for (const workers of [1, 2]) {
  it(`a query whose client goes is given up in every phase, and so is one that times out: ${workers} storage workers`, async () => {
    await withHour([`--storage.workers=${workers}`], async (server, home, hour) => {
      for (const { phase, query, stepMs } of hostileQueries) {
        const parameters = { query, ...hour, step: String(stepMs / 1000) }
        const took: number[] = []
        for (const afterMs of isBench ? [30, 100, 200, 300, 500, 800] : [50, 200]) {
          const asked = new Asked(server, 'query_range', parameters)
          await sleep(afterMs)
          if (activeQueries(home.dataDirectory) === 0) continue
          asked.abort()
          took.push(await ended(server, home))
        }
        expect(took.length, `${phase} is over too soon`).toBeGreaterThan(0)
        expect(Math.max(...took), phase).toBeLessThan(stoppedWithinMs)
        const started = performance.now()
        const answer = await new Asked(server, 'query_range', { ...parameters, timeout: '50ms' }).answered
        expect(performance.now() - started, phase).toBeLessThan(50 + stoppedWithinMs)
        expect([answer.status, answer.text], phase).toEqual([
          503,
          '{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}',
        ])
        const stoppedMs = await ended(server, home)
        expect(stoppedMs, phase).toBeLessThan(stoppedWithinMs)
        if (isBench) console.log(phase, 'aborted:', took.map(Math.round).join(' '), 'ms; timed out:', Math.round(stoppedMs), 'ms')
      }
    })
  })
}

it('hostile queries at full concurrency cost no scrape its slot, new samples their visibility, nor short queries their answer', async () => {
  const intervalMs = 500
  const text = Array.from({ length: 500 }, (_, i) => `s{i="${i}"} ${i}\n`).join('')
  const targets = await Promise.all(Array.from({ length: 20 }, () => Exporter.text(() => text, 'text/plain; version=0.0.4')))
  try {
    await withHour(['--storage.workers=1'], async (server, home, hour) => {
      const addresses = JSON.stringify(targets.map(({ address }) => address))
      home.write(
        'prometheus.yml',
        `global: {scrape_interval: ${intervalMs}ms, scrape_timeout: ${intervalMs}ms}\nscrape_configs: [{job_name: j, static_configs: [{targets: ${addresses}}]}]\n`,
      )
      expect((await fetch(`${server.url}/-/reload`, { method: 'POST' })).status).toBe(200)
      await until('all targets are scraped', async () => (await server.value('sum(up)')) === 20)

      let isOver = false
      const clients = Array.from({ length: 19 }, async (_, client) => {
        for (let k = client; !isOver; k++) {
          const { query, stepMs } = hostileQueries[k % hostileQueries.length]!
          await new Asked(server, 'query_range', { query, ...hour, step: String(stepMs / 1000) }).answered
        }
      })
      await until('all of them run', () => activeQueries(home.dataDirectory) >= 19)
      const scrapesBefore = targets.map(({ scrapes }) => scrapes)
      const started = performance.now()
      const answerMs: number[] = []
      const ageMs: number[] = []
      while (performance.now() - started < (isBench ? 30_000 : 8_000)) {
        const asked = performance.now()
        const newest = await server.value('max(timestamp(s))')
        answerMs.push(performance.now() - asked)
        ageMs.push(Date.now() - newest! * 1000)
        await sleep(50)
      }
      const slots = Math.floor((performance.now() - started) / intervalMs)
      const missed = targets.map(({ scrapes }, i) => slots - (scrapes - scrapesBefore[i]!))
      isOver = true
      const middle = (list: number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1]!
      const figures = `${slots} slots, most missed ${Math.max(...missed)}; short queries ${answerMs.length}, median ${Math.round(middle(answerMs))} ms, longest ${Math.round(Math.max(...answerMs))} ms; newest sample's age at most ${Math.round(Math.max(...ageMs))} ms`
      console.log(figures)
      // where a slot begins is the target's own: one may lie outside at either end
      expect(Math.max(...missed), figures).toBeLessThanOrEqual(isBench ? 0 : 1)
      expect(middle(answerMs), figures).toBeLessThan(isBench ? 50 : 1_000)
      expect(Math.max(...ageMs), figures).toBeLessThan(isBench ? 2 * intervalMs : 10_000)
      await server.stop('SIGKILL')
      await Promise.all(clients)
    })
  } finally {
    await Promise.all(targets.map((target) => target.stop()))
  }
})

it('a query over its budget fails alone', async () => {
  await withHour(['--query.max-samples=200000'], async (server, _home, hour) => {
    const tooMany = 'query processing would load too many samples into memory in query execution'
    const rows: readonly [query: string, stepS: string][] = [
      ['m', '1'],
      ['rate(m[5m])', '5'],
      ['m + on(i) m', '10'],
      ['sum by (i) (m)', '10'],
      ['max_over_time(m[10m:1s])', '10'],
      ['count_values by (i) ("value", m)', '5'],
    ]
    const bad = Promise.all(
      rows.map(async ([query, step]) => {
        const { status, text } = await new Asked(server, 'query_range', { query, ...hour, step }).answered
        return [query, status, text]
      }),
    )
    const good = Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        await sleep(i * 20)
        return server.value('count(m)', Number(hour.end) * 1000)
      }),
    )
    expect(await good).toEqual(Array<number>(30).fill(1000))
    expect(await bad).toEqual(rows.map(([query]) => [query, 422, `{"status":"error","errorType":"execution","error":"${tooMany}"}`]))
    expect(await server.value('count(rate(m[5m]))', Number(hour.end) * 1000)).toBe(1000)
  })
})
