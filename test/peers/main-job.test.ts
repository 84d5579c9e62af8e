// The main job with real peers: a node exporter and an instrumented program are scraped, promtool asks, an alert reaches the real
// Alertmanager, which calls a webhook when it fires and when it is over. LONG=1 runs it for ten minutes.
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Exporter } from '../support/exporter.ts'
import { freePort, missingPrograms, Process, until } from '../support/processes.ts'
import { node, program, ServerHome, type Server } from '../support/server.ts'

const missing = missingPrograms('promtool', 'prometheus-alertmanager', 'prometheus-node-exporter')
const long = process.env['LONG'] === '1'
const worker = fileURLToPath(new URL('../support/instrumented-program.ts', import.meta.url))

const rules = `
groups:
  - name: worker
    interval: 1s
    rules:
      - record: job:jobs:rate5s
        expr: sum by (job) (rate(jobs_total[5s]))
      - alert: QueueLong
        expr: queue_length > 10
        for: 2s
        labels: { severity: page }
        annotations: { summary: 'queue of {{ $labels.instance }} is {{ $value }}' }
`

type Notice = Readonly<{
  receiver: string
  status: string
  alerts: readonly Readonly<{ status: string; labels: Record<string, string>; annotations: Record<string, string>; generatorURL: string }>[]
}>

describe.skipIf(missing !== '')(`the main job with real peers${missing === '' ? '' : ` (${missing})`}`, () => {
  const children: Process[] = []
  const notices: Notice[] = []
  const homes: ServerHome[] = []
  let webhook: Exporter
  let workerAddress = ''
  let exporterAddress = ''
  let server: Server

  beforeAll(async () => {
    webhook = await Exporter.start((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        notices.push(JSON.parse(body) as Notice)
        response.end()
      })
    })
    const run = (command: string, ...args: string[]): Process => {
      const child = new Process(command, args)
      children.push(child)
      return child
    }
    const instrumented = run(node, worker)
    const [exporterPort, alertmanagerPort] = [await freePort(), await freePort()]
    exporterAddress = `127.0.0.1:${exporterPort}`
    run('prometheus-node-exporter', `--web.listen-address=${exporterAddress}`)
    workerAddress = await until('the worker runs', () => /address=(\S+)/.exec(instrumented.log)?.[1])
    const home = new ServerHome({
      config: `
global: { scrape_interval: 1s, evaluation_interval: 1s, external_labels: { site: test } }
rule_files: ['rules/*.yml']
alerting:
  alertmanagers:
    - static_configs: [{ targets: ['127.0.0.1:${alertmanagerPort}'] }]
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ['${exporterAddress}'] }]
  - job_name: worker
    static_configs: [{ targets: ['${workerAddress}'] }]
`,
      files: {
        'rules/worker.yml': rules,
        'alertmanager.yml': `
route: { receiver: hook, group_by: [alertname], group_wait: 200ms, group_interval: 1s, repeat_interval: 1h }
receivers: [{ name: hook, webhook_configs: [{ url: 'http://${webhook.address}/', send_resolved: true }] }]
`,
      },
    })
    homes.push(home)
    run(
      'prometheus-alertmanager',
      `--config.file=${join(home.path, 'alertmanager.yml')}`,
      `--storage.path=${join(home.path, 'alertmanager')}`,
      `--web.listen-address=127.0.0.1:${alertmanagerPort}`,
      '--cluster.listen-address=',
    )
    await until('the Alertmanager runs', async () => (await fetch(`http://127.0.0.1:${alertmanagerPort}/-/ready`)).ok, 20_000)
    await until('the exporter runs', async () => (await fetch(`http://${exporterAddress}/`)).ok, 20_000)
    server = await home.start()
  })
  afterAll(async () => {
    await server?.stop()
    for (const child of children) await child.stop()
    await webhook?.stop()
    for (const home of homes) home.remove()
  })

  const order = async (path: string): Promise<void> => void (await (await fetch(`http://${workerAddress}${path}`)).text())
  const promtool = (...args: string[]): string => execFileSync('promtool', args, { encoding: 'utf8' }).trimEnd()
  const lines = (text: string): string[] => text.split('\n')

  it('scrapes what the targets expose, every second', { timeout: 40_000 }, async () => {
    await order('/work?jobs=30&outcome=ok')
    await order('/work?jobs=12&outcome=failed')
    await until('both targets are up', async () => (await server.value('sum(up)')) === 2)
    await until('the jobs are seen', async () => (await server.value('sum(jobs_total)')) === 42)
    await sleep(3000)
    for (const { metric, values } of await server.samples('up[10s]')) {
      expect(values.every(([, value]) => value === 1)).toBe(true)
      const times = values.map(([timeMs]) => timeMs)
      expect(times.length).toBeGreaterThanOrEqual(3)
      // slots lie a whole number of intervals apart
      expect([metric['job'], times.filter((timeMs) => (timeMs - times[0]!) % 1000 !== 0)]).toEqual([metric['job'], []])
    }
    // what the node exporter says to everyone, it said to the server too
    const text = await (await fetch(`http://${exporterAddress}/metrics`)).text()
    const exposed = new Set(Array.from(text.matchAll(/^([a-z_]+)[ {]/gm), (match) => match[1]!))
    const names = new Set(await server.api<string[]>('label/__name__/values', { 'match[]': '{job="node"}' }))
    expect([...exposed].filter((name) => !names.has(name))).toEqual([])
  })

  it('promtool query instant gives what the program counted', () => {
    const instance = `instance="${workerAddress}", job="worker"`
    const strip = (text: string): string[] => lines(text).map((line) => line.replace(/ @\[[\d.]+\]$/, ''))
    expect(strip(promtool('query', 'instant', server.url, 'jobs_total')).sort()).toEqual([
      `jobs_total{${instance}, outcome="failed", service="worker"} => 12`,
      `jobs_total{${instance}, outcome="ok", service="worker"} => 30`,
    ])
    expect(strip(promtool('query', 'instant', server.url, 'sum by (outcome) (jobs_total) / ignoring(outcome) group_left sum(jobs_total) > 0.5'))) // prettier-ignore
      .toEqual([`{outcome="ok"} => ${30 / 42}`])
    expect(strip(promtool('query', 'instant', server.url, 'histogram_quantile(0.5, job_duration_seconds_bucket)'))).toEqual([
      `{${instance}, service="worker"} => 0.175`,
    ])
    expect(strip(promtool('query', 'instant', server.url, 'count(job_size_bytes{quantile=~"0.5|0.9"})'))).toEqual(['{} => 2'])
    expect(strip(promtool('query', 'instant', server.url, '1 + 1'))).toEqual(['scalar: 2'])
    expect(JSON.parse(promtool('query', '-o', 'json', 'instant', server.url, 'count(up)'))).toMatchObject([{ metric: {}, value: [expect.any(Number), '2'] }]) // prettier-ignore
  })

  it('promtool query range, series and labels', () => {
    const now = Math.floor(Date.now() / 1000)
    const range = lines(promtool('query', 'range', `--start=${now - 2}`, `--end=${now - 1}`, '--step=1s', server.url, 'sum(jobs_total)'))
    expect(range).toEqual(['{} =>', ...[2, 1].map((ago) => `42 @[${now - ago}]`)])
    expect(lines(promtool('query', 'series', '--match=up', server.url)).sort()).toEqual(
      [`{__name__="up", instance="${exporterAddress}", job="node"}`, `{__name__="up", instance="${workerAddress}", job="worker"}`].sort(),
    )
    expect(lines(promtool('query', 'labels', server.url, 'job'))).toEqual(['node', 'worker'])
    expect(lines(promtool('query', 'labels', '--match=jobs_total', server.url, 'outcome'))).toEqual(['failed', 'ok'])
    expect(() => execFileSync('promtool', ['query', 'instant', server.url, 'up{'], { stdio: 'pipe' })).toThrow(/parse error/)
  })

  it('promhive tool query prints what promtool prints', { timeout: 60_000 }, () => {
    const now = Math.floor(Date.now() / 1000) - 1
    const commands: string[][] = [
      ['query', 'instant', `--time=${now}`, server.url, 'label_replace(jobs_total, "odd", "<&> \\"ü", "", "")'],
      ['query', 'instant', `--time=${now}.5`, server.url, 'sum by (job) (up) / 3'],
      ['query', 'instant', `--time=${now}`, server.url, 'vector(1e-9) or vector(-Inf)'],
      ['query', 'instant', server.url, 'no_such_metric'],
      ['query', 'instant', `--time=${now}`, server.url, 'jobs_total[2s]'],
      ['query', 'range', `--start=${now - 2}`, `--end=${now}`, '--step=1s', server.url, 'job_duration_seconds_bucket'],
      ['query', 'range', `--start=${now - 2}`, `--end=${now}`, '--step=500ms', server.url, 'sum(up)'],
      ['query', 'series', '--match=up', '--match=jobs_total', server.url],
      ['query', 'labels', server.url, '__name__'],
      ['query', 'labels', '--match=jobs_total', server.url, 'outcome'],
      ['query', 'instant', server.url, 'up{'],
      ['query', 'instant', '--time=noon', server.url, 'up'],
      ['query', 'range', '--start=5', '--end=4', server.url, 'up'],
    ]
    for (const command of commands) {
      for (const format of ['promql', 'json']) {
        const args = ['query', '-o', format, ...command.slice(1)]
        const theirs = spawnSync('promtool', args, { encoding: 'utf8' })
        const ours = spawnSync(node, [program, 'tool', ...args], { encoding: 'utf8' })
        expect([args, ours.status, ours.stdout, ours.stderr]).toEqual([args, theirs.status, theirs.stdout, theirs.stderr])
      }
    }
  })

  it('records a rule', async () => {
    await order('/work?jobs=20')
    const rate = await until('the rate is seen', () => server.value('job:jobs:rate5s{job="worker"} > 0'))
    expect(rate).toBeGreaterThan(0)
    expect(rate).toBeLessThanOrEqual(20)
  })

  async function alertOnce(): Promise<void> {
    notices.length = 0
    await order('/queue?length=12')
    await until('the alert is pending', async () => (await server.value('ALERTS{alertname="QueueLong",alertstate="pending"}')) === 1)
    await until('the alert fires', async () => (await server.value('ALERTS{alertname="QueueLong",alertstate="firing"}')) === 1, 10_000)
    const fired = await until('the webhook is told that it fires', () => notices.find(({ status }) => status === 'firing'), 15_000)
    expect(fired).toMatchObject({
      receiver: 'hook',
      alerts: [
        {
          status: 'firing',
          labels: { alertname: 'QueueLong', instance: workerAddress, job: 'worker', service: 'worker', severity: 'page', site: 'test' },
          annotations: { summary: `queue of ${workerAddress} is 12` },
        },
      ],
    })
    expect(fired.alerts[0]!.generatorURL).toContain('/graph?g0.expr=queue_length+%3E+10&g0.tab=1')
    await order('/queue?length=0')
    const over = await until('the webhook is told that it is over', () => notices.find(({ status }) => status === 'resolved'), 15_000)
    expect(over.alerts).toMatchObject([{ status: 'resolved', labels: { alertname: 'QueueLong' } }])
    await until('no alert is left', async () => (await server.query('ALERTS')).length === 0)
  }

  it('an alert reaches the Alertmanager and its webhook, and so does its end', { timeout: 60_000 }, () => alertOnce())

  it.runIf(long)('ten minutes of it: no slot is missed, alerts come and go, memory stays in bounds', { timeout: 700_000 }, async () => {
    const started = Date.now()
    let jobs = (await server.value('sum(jobs_total)'))!
    const memory: number[] = []
    let alerts = 0
    while (Date.now() - started < 600_000) {
      await order('/work?jobs=7')
      jobs += 7
      await until('the jobs are seen', async () => (await server.value('sum(jobs_total)')) === jobs)
      if (Date.now() - started > alerts * 60_000) {
        await alertOnce()
        alerts++
        memory.push((await server.metric('process_resident_memory_bytes'))!)
      }
      await sleep(2000)
    }
    const seconds = Math.floor((Date.now() - started) / 1000)
    const slots = await server.query(`count_over_time(up[${seconds}s])`)
    expect(slots.length).toBe(2)
    for (const { metric, value } of slots) {
      expect([metric['job'], value >= seconds * 0.98 && value <= seconds + 1, value]).toEqual([metric['job'], true, value])
    }
    expect(await server.value(`sum(count_over_time((up == 0)[${seconds}s:1s]))`)).toBeNull()
    expect(alerts).toBeGreaterThanOrEqual(9)
    // after the first minute everything has its size
    expect(memory.at(-1)!).toBeLessThan(memory[1]! * 1.3 + (32 << 20))
    console.log(
      `slots ${slots.map(({ value }) => value).join(', ')} of ${seconds}; resident MiB ${memory.map((bytes) => bytes >> 20).join(' ')}`,
    )
    expect(server.log).not.toMatch(/level=ERROR/)
  })

  it('ends in order', async () => {
    expect(server.log).not.toMatch(/level=ERROR/)
    expect(await server.stop()).toBe(0)
  })
})
