// A small whole server on simulated ports: it scrapes two hosts, one of which comes and goes, evaluates an alert on them and sends it to an
// Alertmanager that fails now and then; it crashes once on the way. Everything it did, to the millisecond, is a function of the seed.
import { expect, it } from 'vitest'
import { seededRng } from '../../src/base/rng.ts'
import type { Logger } from '../../src/base/logger.ts'
import { MetricsRegistry } from '../../src/base/metrics.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { simulatedNetwork } from '../../src/ports/simulated/http.ts'
import { simulatedRandom } from '../../src/ports/simulated/random.ts'
import { loadConfiguration, type Loaded } from '../../src/cli/serve/configuration.ts'
import { Roles } from '../../src/cli/serve/roles.ts'
import { settingsOf } from '../../src/cli/serve/settings.ts'
import { parseServeFlags } from '../../src/config/serve-flags.ts'
import { questions } from '../../protocols/bus/control.ts'
import { memoryFiles } from '../support/config-files.ts'
import { smallWorld, StorageWorld } from '../support/storage-world.ts'

const parsed = parseServeFlags(['--config.file=/prometheus.yml', '--storage.tsdb.path=/data'], { program: 'p', version: 'v' })
if (parsed.kind !== 'flags') throw new Error('flags')
const settings = settingsOf(parsed)

function configuration(forText: string): Loaded {
  return loadConfiguration(
    settings,
    memoryFiles({
      '/prometheus.yml': `
global: {scrape_interval: 5s, scrape_timeout: 2s, evaluation_interval: 10s, external_labels: {site: x}}
rule_files: [/rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['am:9093']}]}]}
scrape_configs:
- job_name: hosts
  static_configs: [{targets: ['steady:80', 'shaky:80']}]
`,
      '/rules.yml': `
groups:
- name: g
  rules:
  - record: hosts:up:sum
    expr: sum(up)
  - alert: HostDown
    expr: up == 0
    for: ${forText}
    annotations: {summary: "{{ $labels.instance }} is down"}
`,
    }),
  )
}

type Trace = Readonly<{ lines: readonly string[]; alerts: readonly string[]; problems: readonly string[] }>

/** Twelve minutes of a server's life, as others saw it. */
async function life(seed: number): Promise<Trace> {
  const rng = seededRng(seed)
  const lines: string[] = []
  const alerts: string[] = []
  const problems: string[] = []
  const world = new StorageWorld(simulatedDisk(rng.fork()), 1_700_000_000_000, { ...smallWorld, shards: 2 })
  let shakyUp = true
  let now = (): number => world.clock.nowMs()
  const say = (text: string): void => void lines.push(`${now()} ${text}`)
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (fields, message) => say(`warn ${message} ${JSON.stringify(fields)}`),
    error: (fields, message) => {
      say(`error ${message} ${JSON.stringify(fields)}`)
      if (/BUG|Actor failed/.test(`${message} ${JSON.stringify(fields)}`)) problems.push(message)
    },
    child: () => logger,
  }
  const boot = async () => {
    const { clock, disk } = world
    now = () => clock.nowMs()
    const random = simulatedRandom(rng.below(1 << 30))
    const network = simulatedNetwork(clock, rng.fork())
    Object.assign(network.faults, { latencyMs: [1, 40], lostAnswer: 0.02 })
    for (const host of ['steady', 'shaky']) {
      network.serve(host, ({ url }) => {
        say(`scrape ${url.host}`)
        if (host === 'shaky' && !shakyUp) return { status: 503 }
        return { status: 200, headers: { 'content-type': 'text/plain' }, body: new TextEncoder().encode(`load ${rng.below(100)}\n`) }
      })
    }
    network.serve('am:9093', ({ body }) => {
      const sent = JSON.parse(new TextDecoder().decode(body)) as { labels: Record<string, string>; endsAt: string; startsAt: string }[]
      for (const { labels, startsAt, endsAt } of sent) {
        const isResolved = Date.parse(endsAt) <= now()
        alerts.push(`${labels['alertname']} ${labels['instance']} ${isResolved ? 'resolved' : 'firing'} since ${startsAt}`)
        say(alerts.at(-1)!)
      }
      return { status: rng.chance(0.1) ? 500 : 200 }
    })
    const storage = (await world.open())!
    const metrics = new MetricsRegistry()
    const loaded = configuration('30s')
    const roles = new Roles(settings, storage, loaded, {
      clock, disk, random, http: network.http('server'), hostname: 'server', metrics, logger,
      resolver: { resolve: async () => [] },
      watcher: { watch: () => ({ close: () => {} }) },
      openLineFile: () => ({ write: () => {}, close: async () => {} }),
    }) // prettier-ignore
    await world.run(roles.apply(loaded))
    roles.start()
    return { storage, roles, metrics }
  }
  let { storage, roles, metrics } = await boot()
  await world.clock.advance(60_000)
  shakyUp = false
  await world.clock.advance(120_000)
  // the power goes and comes back; the alert is pending or firing then
  world.crash()
  ;({ storage, roles, metrics } = await boot())
  await world.clock.advance(120_000)
  shakyUp = true
  await world.clock.advance(120_000)
  // a reload that changes the group under way
  shakyUp = false
  await world.clock.advance(20_000)
  await world.run(roles.apply(configuration('1m')))
  await world.clock.advance(160_000)
  const ask = (what: typeof questions.ruleGroups | typeof questions.activeTargets): Promise<unknown> =>
    world.run(roles.control.ask(what as never, null))
  lines.push(JSON.stringify(await ask(questions.ruleGroups)), JSON.stringify(await ask(questions.activeTargets)))
  for (const { name, samples } of (await metrics.gather()).filter((family) => family.kind === 'counter'))
    lines.push(`${name} ${samples.map(({ labels, value }) => `${labels.join()} ${value}`).join('; ')}`)
  const all = { matchers: [{ name: '__name__', kind: '=~' as const, value: '.+' }], startMs: 0, endMs: 2e12, samplesMax: 1e6 }
  const stored = await world.run(storage.lanes.askAll<{ labels: string[]; times: Float64Array; values: Float64Array }[]>('samples', all))
  for (const { labels, times, values } of stored!.flat()) lines.push(`${labels.join()} ${times.join()} ${values.join()}`)
  await world.run(roles.stop())
  expect(roles.runtime.list()).toEqual([])
  await world.run(storage.close())
  await roles.close()
  expect(world.errors).toEqual([])
  return { lines, alerts, problems }
}

it('does the same for the same seed, and the right thing for any', async () => {
  for (const seed of [1, 2, 3]) {
    const first = await life(seed)
    expect((await life(seed)).lines).toEqual(first.lines)
    expect(first.problems).toEqual([])
    // nothing but the one host: before the crash, after it (`for` is shorter than --rules.alert.for-grace-period), and the second time it was down
    expect(first.alerts.filter((line) => !line.startsWith('HostDown shaky:80 '))).toEqual([])
    const firing = [...new Set(first.alerts.filter((line) => line.includes('firing')))]
    expect(firing.length, firing.join('\n')).toBe(3)
    expect(first.alerts.some((line) => line.includes('resolved'))).toBe(true)
    expect(first.lines.join('\n')).toMatch(/hosts:up:sum/)
  }
  expect((await life(4)).lines).not.toEqual((await life(5)).lines)
}, 120_000)
