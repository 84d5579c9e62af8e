// Beside a real Prometheus: it writes into Promhive, reads from it, federates it, and starts on what Promhive stored.
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labelsFromObject, printLabels } from '../../src/model/labels.ts'
import { Exporter } from '../support/exporter.ts'
import { freePort, missingPrograms, Process, temporaryDirectory, until } from '../support/processes.ts'
import { Server, ServerHome, type MatrixSeries } from '../support/server.ts'

const missing = missingPrograms('prometheus')

describe.skipIf(missing !== '')(`beside a real Prometheus${missing === '' ? '' : ` (${missing})`}`, () => {
  const prometheuses: Process[] = []
  const directories: { path: string; remove(): void }[] = []
  let exporter: Exporter
  let ours: Server
  let theirs: Server
  let home: ServerHome

  async function prometheus(config: string, ...flags: string[]): Promise<Server> {
    const directory = temporaryDirectory()
    directories.push(directory)
    const port = await freePort()
    const file = new ServerHome({ config })
    directories.push(file)
    const child = new Process('prometheus', [
      `--config.file=${join(file.path, 'prometheus.yml')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      ...(flags.some((flag) => flag.startsWith('--storage.tsdb.path')) ? [] : [`--storage.tsdb.path=${directory.path}/data`]),
      ...flags,
    ])
    prometheuses.push(child)
    const url = `http://127.0.0.1:${port}`
    await until('Prometheus is ready', async () => (await fetch(`${url}/-/ready`)).ok, 20_000)
    return new Server(child, url)
  }

  beforeAll(async () => {
    let scrapes = 0
    exporter = await Exporter.text(() => {
      scrapes++
      const buckets = [0.1, 1, '+Inf'].map((le, i) => `latency_bucket{le="${le}"} ${scrapes * (i + 1)}\n`).join('')
      return `# TYPE hits_total counter\nhits_total{path="/a\\"b"} ${scrapes * 7}\n# TYPE latency histogram\n${buckets}latency_sum ${scrapes / 3}\nlatency_count ${scrapes * 3}\nodd NaN\n`
    })
    home = new ServerHome({ config: 'global: {}\n', flags: ['--web.enable-remote-write-receiver', '--web.enable-admin-api'] })
    ours = await home.start()
    theirs = await prometheus(`
global: { scrape_interval: 500ms, scrape_timeout: 400ms }
scrape_configs: [{ job_name: app, static_configs: [{ targets: ['${exporter.address}'] }] }]
remote_write: [{ url: '${ours.url}/api/v1/write', queue_config: { batch_send_deadline: 100ms } }]
`)
    await until('Prometheus has scraped', async () => ((await theirs.value('min(count_over_time(up[1m]))')) ?? 0) >= 8, 20_000)
  })
  afterAll(async () => {
    for (const child of prometheuses) if (!child.ended) await child.stop('SIGKILL')
    if (!ours.process.ended) await ours.stop()
    await exporter.stop()
    home.remove()
    for (const directory of directories) directory.remove()
  })

  const lines = (series: readonly MatrixSeries[]): string[] =>
    series.map(({ metric, values }) => `${printLabels(labelsFromObject(metric))} ${values.map((pair) => pair.join('@')).join(' ')}`).sort()

  it('what it writes is what it has', async () => {
    const time = Date.now()
    const expected = lines(await theirs.samples('{job="app"}[1m]', time))
    expect(expected.length).toBe(12)
    await until('all of it has come', async () => {
      const got = lines(await ours.samples('{job="app"}[1m]', time))
      return got.length === 12 && got.every((line, i) => line.length >= expected[i]!.length)
    })
    expect(lines(await ours.samples('{job="app"}[1m]', time))).toEqual(expected)
    // and the same questions get the same answers
    for (const query of [
      'histogram_quantile(0.9, sum by (le) (rate(latency_bucket[3s])))',
      'increase(hits_total[2s])',
      'sum without (instance, path) (hits_total) / on (job) latency_count',
      'odd',
      'topk(1, latency_bucket)',
    ]) {
      const [a, b] = await Promise.all([theirs.query(query, time), ours.query(query, time)])
      expect([query, b]).toEqual([query, a])
    }
  })

  it('reads from it what it does not have', async () => {
    const reader = await prometheus(`
remote_read: [{ url: '${ours.url}/api/v1/read', read_recent: true }]
`)
    const time = Date.now() - 500
    expect(lines(await reader.samples('{job="app"}[1m]', time))).toEqual(lines(await ours.samples('{job="app"}[1m]', time)))
    await reader.stop()
  })

  it('federates it', async () => {
    const federating = await prometheus(`
scrape_configs: [{ job_name: f, scrape_interval: 500ms, honor_labels: true, metrics_path: /federate, params: { 'match[]': ['{job="app"}'] }, static_configs: [{ targets: ['${ours.address}'] }] }]
`)
    await until('a scrape has come', async () => ((await federating.value('count({job="app"})')) ?? 0) === 12, 15_000)
    const [federated] = await federating.query('hits_total')
    expect(federated!.metric).toEqual({ __name__: 'hits_total', instance: exporter.address, job: 'app', path: '/a"b' })
    await federating.stop()
  })

  it('starts on a snapshot of what was stored here', { timeout: 60_000 }, async () => {
    await theirs.stop() // nothing new is to come
    const time = Date.now()
    const expected = lines(await ours.samples('{job="app"}[5m]', time))
    const { name } = await ours.api<{ name: string }>('admin/tsdb/snapshot', {}, { method: 'POST' })
    const on = await prometheus('global: {}\n', `--storage.tsdb.path=${join(home.dataDirectory, 'snapshots', name)}`)
    expect(lines(await on.samples('{job="app"}[5m]', time))).toEqual(expected)
    await on.stop()
  })
})
