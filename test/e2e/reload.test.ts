// The life of a server: configurations come and go while it runs, and what must not start does not.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import bcrypt from 'bcryptjs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { labelsFromObject, printLabels } from '../../src/model/labels.ts'
import { caCertificate, serverCertificate, serverKey } from '../support/certificates.ts'
import { Exporter } from '../support/exporter.ts'
import { until } from '../support/processes.ts'
import { ServerHome, type Server, type ServerOptions } from '../support/server.ts'

const intervalMs = 500
const homes: ServerHome[] = []
const servers: Server[] = []
const home = (options: ServerOptions): ServerHome => {
  const made = new ServerHome(options)
  homes.push(made)
  return made
}
const start = async (from: ServerHome, ...flags: string[]): Promise<Server> => {
  const server = await from.start(...flags)
  servers.push(server)
  return server
}
afterEach(async () => {
  for (const server of servers.splice(0)) if (!server.process.ended) await server.stop()
})
afterAll(() => homes.forEach((one) => one.remove()))

let a: Exporter
let b: Exporter
let c: Exporter
beforeAll(async () => {
  const body = 'm 1\n'
  ;[a, b, c] = [await Exporter.text(() => body), await Exporter.text(() => body), await Exporter.text(() => body)]
})
afterAll(() => Promise.all([a.stop(), b.stop(), c.stop()]))

const config = (jobs: Readonly<Record<string, string>>, more = ''): string => `
global: { scrape_interval: ${intervalMs}ms, evaluation_interval: ${intervalMs}ms }
${more}
scrape_configs:
${Object.entries(jobs).map(([job, target]) => `  - { job_name: ${job}, static_configs: [{ targets: ['${target}'] }] }`).join('\n')}
` // prettier-ignore

const rule = (name: string, expr = 'vector(1)'): string => `groups: [{ name: ${name}, rules: [{ record: ${name}, expr: '${expr}' }] }]\n`
const reloadSuccessful = 'prometheus_config_last_reload_successful'
const jobsOf = async (server: Server): Promise<string[]> => (await server.query('up')).map(({ metric }) => metric['job']!).sort()

describe('reload', () => {
  it('by SIGHUP: what stays the same keeps its slots, what changed switches', async () => {
    const dir = home({ config: config({ same: a.address, changed: b.address }) })
    const server = await start(dir)
    await until('both are up', async () => (await server.value('sum(up)')) === 2)
    const started = Date.now()
    for (let i = 0; i < 6; i++) {
      dir.write('prometheus.yml', config({ same: a.address, changed: i % 2 === 0 ? c.address : b.address, [`extra${i}`]: c.address }))
      server.process.signal('SIGHUP')
      await until('it was reloaded', () => server.log.split('Completed loading of configuration file').length === i + 2)
      await sleep(300)
    }
    dir.write('prometheus.yml', config({ same: a.address, changed: c.address }))
    server.process.signal('SIGHUP')
    const now = await until('only the last configuration is scraped', async () => {
      const up = await server.query('up')
      const instances = up.map(({ metric }) => `${metric['job']} ${metric['instance']}`).sort()
      return instances.length === 2 && instances[0] === `changed ${c.address}` && instances[1] === `same ${a.address}` ? up : null
    })
    expect(now.map(({ value }) => value)).toEqual([1, 1])
    await sleep(2 * intervalMs)
    const [same] = await server.samples(`up{job="same"}[${Date.now() - started + 2000}ms]`)
    const times = same!.values.map(([timeMs]) => timeMs)
    expect(times.length).toBeGreaterThan(5)
    expect(times.slice(1).map((timeMs, i) => timeMs - times[i]!)).toEqual(times.slice(1).map(() => intervalMs))
    expect(same!.values.every(([, value]) => value === 1)).toBe(true)
  })

  it('a bad configuration keeps the old one running and says why', async () => {
    const good = config({ same: a.address }, 'rule_files: [rules.yml]')
    const dir = home({ config: good, files: { 'rules.yml': rule('one') }, flags: ['--web.enable-lifecycle'] })
    const server = await start(dir)
    const reload = async (): Promise<[number, string]> => {
      const response = await fetch(`${server.url}/-/reload`, { method: 'POST' })
      return [response.status, await response.text()]
    }
    const bad: [file: string, text: string, message: RegExp][] = [
      ['prometheus.yml', 'global: { scrape_interval: fast }\n', /prometheus\.yml:1:\d+.*not a valid duration/],
      ['prometheus.yml', 'scrape_configs: [\n', /prometheus\.yml:\d+/],
      ['prometheus.yml', `${good}remote_write: [{ url: 'http://x/' }]\n`, /remote_write is not supported yet/],
      ['rules.yml', rule('one', 'sum('), /rules\.yml:1:\d+.*could not parse expression/s],
      ['rules.yml', 'groups: [{ name: g, rulez: [] }]\n', /rules\.yml:1:\d+.*rulez/],
    ]
    for (const [file, text, message] of bad) {
      dir.write(file, text)
      const [status, answer] = await reload()
      expect([text, status]).toEqual([text, 500])
      expect(answer).toMatch(message)
      expect(await server.metric(reloadSuccessful)).toBe(0)
      expect(server.log.split('\n').findLast((line) => line.includes('Error reloading config'))).toMatch(/level=ERROR/)
      expect((await server.api<{ reloadConfigSuccess: boolean }>('status/runtimeinfo')).reloadConfigSuccess).toBe(false)
      dir.write('prometheus.yml', good)
      dir.write('rules.yml', rule('one'))
    }
    const scrapesBefore = a.scrapes
    await until('the old configuration is still scraped', () => a.scrapes > scrapesBefore + 1)
    await until('the old rule still runs', async () => (await server.value('one')) === 1)
    expect(await reload()).toEqual([200, ''])
    expect(await server.metric(reloadSuccessful)).toBe(1)
    expect((await fetch(`${server.url}/-/reload`)).status).toBe(405)
  })

  it('by itself: rule files that a glob finds come and go', async () => {
    const dir = home({ config: config({ same: a.address }, 'rule_files: ["rules/*.yml"]'), files: { 'rules/one.yml': rule('one') } })
    const server = await start(dir, '--config.auto-reload', '--config.auto-reload-interval=1s')
    const groups = async (): Promise<string[]> =>
      (await server.api<{ groups: { name: string }[] }>('rules')).groups.map(({ name }) => name).sort()
    expect(await groups()).toEqual(['one'])
    dir.write('rules/two.yml', rule('two'))
    await until('the new file is found', async () => (await groups()).join() === 'one,two')
    await until('its rule runs', async () => (await server.value('two')) === 1)
    dir.write('rules/two.yml', 'groups: {}')
    await until('the failure is seen', async () => (await server.metric(reloadSuccessful)) === 0)
    expect(await groups()).toEqual(['one', 'two'])
    dir.write('rules/two.yml', rule('three'))
    await until('the next change is taken', async () => (await groups()).join() === 'one,three')
    expect(await server.metric(reloadSuccessful)).toBe(1)
    await until('the rule that is gone is stale', async () => (await server.value('two')) === null)
  })
})

describe('end and start', () => {
  it('SIGTERM keeps everything', async () => {
    const dir = home({ config: config({ a: a.address, b: b.address }) })
    const first = await start(dir)
    await until('some scrapes were stored', async () => ((await first.value('min(count_over_time(up[1m]))')) ?? 0) >= 4)
    const before = await first.samples('{job=~".+"}[1m]')
    expect(await first.stop()).toBe(0)
    expect(first.log).toMatch(/See you next time!/)
    expect(first.log).not.toMatch(/level=ERROR/)
    const second = await start(dir)
    const key = (metric: Readonly<Record<string, string>>): string => printLabels(labelsFromObject(metric))
    const after = new Map((await second.samples('{job=~".+"}[5m]')).map(({ metric, values }) => [key(metric), values]))
    expect(before.length).toBeGreaterThanOrEqual(10)
    for (const { metric, values } of before) {
      const [firstTime, lastTime] = [values[0]![0], values.at(-1)![0]]
      expect([metric, after.get(key(metric))?.filter(([timeMs]) => timeMs >= firstTime && timeMs <= lastTime)]).toEqual([metric, values])
    }
    expect(await jobsOf(second)).toEqual(['a', 'b'])
  })

  it('a data directory is one server at a time', async () => {
    const dir = home({ config: config({ a: a.address }) })
    const first = await start(dir)
    const second = dir.spawn()
    expect(await second.exited).toBe(1)
    expect(second.log).toMatch(new RegExp(`lock.*${first.process.pid}`))
    expect((await fetch(`${first.url}/-/ready`)).status).toBe(200)
    await first.stop('SIGKILL')
    const third = await start(dir) // a lock does not outlive its holder
    expect(await third.stop()).toBe(0)
  })

  const job = (section: string): string => `scrape_configs: [{ job_name: j, ${section} }]\n`
  const refused: [what: string, config: string, flags: string[], message: RegExp, exitCode?: number][] = [
    ['remote_write', `remote_write: [{ url: 'http://x/' }]\n`, [], /prometheus\.yml:1:\d+: remote_write: remote_write is not supported yet by this program/],
    ['remote_read', `remote_read: [{ url: 'http://x/' }]\n`, [], /remote_read is not supported yet/],
    ['tracing', `tracing: { endpoint: 'x:4317' }\n`, [], /tracing is not supported yet/],
    ['a discovery', job('consul_sd_configs: [{}]'), [], /consul_sd_configs is not supported yet/],
    ['another discovery', job('kubernetes_sd_configs: [{ role: pod }]'), [], /kubernetes_sd_configs is not supported yet/],
    ['agent mode', '', ['--config.file=prometheus.yml', '--agent'], /agent/],
    ['a flag of another mode', '', ['--agent'], /can not be used in agent mode: .*--storage\.tsdb\.path/, 3],
    ['OTLP', '', ['--web.enable-otlp-receiver'], /--web\.enable-otlp-receiver/],
    ['a flag nobody knows', '', ['--storage.tsdb.retention.tim=1d'], /unknown long flag '--storage\.tsdb\.retention\.tim', did you mean '--storage\.tsdb\.retention\.time'/], // prettier-ignore
    ['a bad value', '', ['--query.timeout=soon'], /not a valid duration string: "?\\?"?soon/],
    ['broken YAML', 'global: [\n', [], /prometheus\.yml:\d+:\d+/],
    ['an unknown key', 'globl: {}\n', [], /prometheus\.yml:1:\d+.*globl/],
    ['a broken rule', 'rule_files: [rules.yml]\n', [], /rules\.yml:1:\d+.*parse error/s],
    ['no configuration', '', ['--config.file=/nowhere/prometheus.yml'], /cannot .*\/nowhere\/prometheus\.yml.*no such file/s],
    ['a broken web configuration', '', ['--web.config.file=/nowhere/web.yml'], /\/nowhere\/web\.yml/, 1],
  ] // prettier-ignore
  it.each(refused)('refuses to start with %s', async (_, text, flags, message, exitCode = 2) => {
    const dir = home({ config: text, files: { 'rules.yml': rule('one', 'sum(') } })
    const bare = flags.some((flag) => flag.startsWith('--config.file'))
    const child = bare ? dir.spawnBare(...flags) : dir.spawn(...flags)
    expect(await child.exited).toBe(exitCode)
    expect(child.log).toMatch(message)
    expect(child.log).not.toMatch(/BUG|\n\s+at /)
  })
})

describe('--web.config.file', () => {
  it('TLS and basic auth', async () => {
    const dir = home({
      config: config({ a: a.address }),
      web: `
tls_server_config: { cert_file: server.pem, key_file: server.key }
basic_auth_users: { alice: ${bcrypt.hashSync('secret', 4)} }
`,
      files: { 'server.pem': serverCertificate, 'server.key': serverKey },
      scheme: 'https',
    })
    const server = await start(dir)
    const get = (path: string, auth?: string, method = 'GET'): Promise<[number, string]> =>
      new Promise((resolve, reject) => {
        const url = new URL(path, server.url)
        request(url, { ca: caCertificate, servername: 'localhost', method, ...(auth === undefined ? {} : { auth }) }, (response) => {
          let body = ''
          response.on('data', (chunk: Buffer) => (body += chunk.toString()))
          response.on('end', () => resolve([response.statusCode!, body]))
        })
          .on('error', reject)
          .end()
      })
    expect(await get('/-/ready')).toEqual([401, expect.stringContaining('Unauthorized')])
    expect((await get('/api/v1/query?query=up', 'alice:wrong'))[0]).toBe(401)
    expect((await get('/api/v1/query?query=up', 'bob:secret'))[0]).toBe(401)
    const [status, body] = await until('a good password gets in', async () => {
      const answer = await get('/api/v1/query?query=up', 'alice:secret')
      return answer[1].includes('"1"') ? answer : null
    })
    expect([status, (JSON.parse(body) as { status: string }).status]).toEqual([200, 'success'])
    await expect(fetch(server.url.replace('https', 'http'))).rejects.toThrow()
    expect(readFileSync(join(dir.path, 'web.yml'), 'utf8')).not.toContain('secret')
  })
})
