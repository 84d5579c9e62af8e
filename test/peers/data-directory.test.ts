// A data directory changes hands: what a real Prometheus stored, in blocks and in its write-ahead log, is answered the same after a move.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { labelsFromObject, printLabels } from '../../src/model/labels.ts'
import { Exporter } from '../support/exporter.ts'
import { freePort, missingPrograms, Process, until } from '../support/processes.ts'
import { Server, ServerHome, type MatrixSeries } from '../support/server.ts'

const missing = missingPrograms('prometheus', 'promtool')
const hour = 3_600_000
const dayAgo = Math.floor((Date.now() - 24 * hour) / (2 * hour)) * 2 * hour

describe.skipIf(missing !== '')(`a Prometheus' data directory${missing === '' ? '' : ` (${missing})`}`, () => {
  const homes: ServerHome[] = []
  const children: Process[] = []
  const exporters: Exporter[] = []
  afterAll(async () => {
    for (const child of children) if (!child.ended) await child.stop('SIGKILL')
    for (const exporter of exporters) await exporter.stop()
    for (const home of homes) home.remove()
  })

  const lines = (series: readonly MatrixSeries[]): string[] =>
    series.map(({ metric, values }) => `${printLabels(labelsFromObject(metric))} ${JSON.stringify(values)}`).sort()

  /** The first line that is not the same, cut short: whole ones are thousands of samples. */
  const difference = (got: readonly string[], expected: readonly string[]): string | null => {
    const at = expected.findIndex((line, i) => line !== got[i])
    if (at < 0 && got.length === expected.length) return null
    return `line ${at}: got ${got[at]?.slice(0, 300)} (${got[at]?.length}), expected ${expected[at]?.slice(0, 300)} (${expected[at]?.length})`
  }

  it('blocks and head are read', { timeout: 60_000 }, async () => {
    let scrapes = 0
    const exporter = await Exporter.text(() => `# TYPE requests_total counter\nrequests_total{code="200"} ${scrapes++ * 3}\nrequests_total{code="500"} ${scrapes}\ntemperature ${Math.sin(scrapes)}\n`) // prettier-ignore
    exporters.push(exporter)
    const home = new ServerHome({ config: `scrape_configs: [{ job_name: j, scrape_interval: 250ms, scrape_timeout: 200ms, static_configs: [{ targets: ['${exporter.address}'] }] }]\n` }) // prettier-ignore
    homes.push(home)
    mkdirSync(home.dataDirectory)
    const openMetrics = ['# TYPE old gauge']
    for (let i = 0; i < 1000; i++)
      openMetrics.push(`old{n="${i % 4}"} ${Math.round(Math.cos(i) * 1e6) / 7} ${(dayAgo + i * 15_000) / 1000}`)
    writeFileSync(join(home.path, 'old.om'), `${openMetrics.join('\n')}\n# EOF\n`)
    execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', join(home.path, 'old.om'), home.dataDirectory])

    const port = await freePort()
    const prometheus = new Process('prometheus', [
      `--config.file=${join(home.path, 'prometheus.yml')}`,
      `--storage.tsdb.path=${home.dataDirectory}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ])
    children.push(prometheus)
    const theirs = new Server(prometheus, `http://127.0.0.1:${port}`)
    await until('Prometheus has scraped', async () => ((await theirs.value('min(count_over_time(requests_total[1m]))')) ?? 0) >= 12, 20_000)
    const time = Date.now() - 500
    const queries: [query: string, timeMs: number][] = [
      ['{job="j"}[1h]', time],
      ['old[6h]', dayAgo + 5 * hour],
    ]
    const before = await Promise.all(queries.map(async ([query, timeMs]) => lines(await theirs.samples(query, timeMs))))
    expect(before.map(({ length }) => length)).toEqual([8, 4])
    await prometheus.stop('SIGTERM')
    expect(readdirSync(join(home.dataDirectory, 'wal')).length).toBeGreaterThan(0)

    const ours = await home.start()
    children.push(ours.process)
    for (const [i, [query, timeMs]] of queries.entries()) {
      expect(difference(lines(await ours.samples(query, timeMs)), before[i]!)).toBeNull()
    }
    expect(ours.log).not.toMatch(/level=ERROR/)
    expect(await ours.stop()).toBe(0)
    // it is all there after another start, and the head is not read again
    const again = await home.start()
    children.push(again.process)
    for (const [i, [query, timeMs]] of queries.entries())
      expect(difference(lines(await again.samples(query, timeMs)), before[i]!)).toBeNull()
    expect([ours.log.includes('was taken over'), again.log.includes('was taken over')]).toEqual([true, false])
    expect(await again.stop()).toBe(0)
  })

  it.skipIf(missingPrograms('flock') !== '')('is used by one program at a time', { timeout: 30_000 }, async () => {
    const home = new ServerHome({ config: 'global: {}\n' })
    homes.push(home)
    // Debian's takes no lock unless it is told to
    const { stderr, stdout } = spawnSync('prometheus', ['--help'], { encoding: 'utf8' })
    const locking = `${stderr}${stdout}`.includes('tsdb.use-lockfile') ? ['--storage.tsdb.use-lockfile'] : []
    const start = async (): Promise<Process> => {
      const child = new Process('prometheus', [
        `--config.file=${join(home.path, 'prometheus.yml')}`,
        `--storage.tsdb.path=${home.dataDirectory}`,
        `--web.listen-address=127.0.0.1:${await freePort()}`,
        ...locking,
      ])
      children.push(child)
      return child
    }
    const ours = await home.start()
    children.push(ours.process)
    const refused = await start()
    expect(await refused.exited).toBe(1)
    expect(refused.log).toContain('lock DB directory: resource temporarily unavailable')
    expect(await ours.value('vector(1)')).toBe(1)
    expect(await ours.stop()).toBe(0)
    const theirs = await start()
    await until('Prometheus is ready', () => theirs.log.includes('Server is ready'), 15_000)
    const second = home.spawn()
    children.push(second)
    expect(await second.exited).toBe(1)
    expect(second.log).toMatch(/cannot lock .*: held by process \d+/)
    await theirs.stop('SIGTERM')
  })
})
