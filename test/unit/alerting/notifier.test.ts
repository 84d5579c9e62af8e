import { expect, it } from 'vitest'
import { Notifier } from '../../../actors/notifier/notifier.ts'
import { AlertQueue } from '../../../src/alerting/alert-queue.ts'
import type { OutgoingAlert } from '../../../src/alerting/alert.ts'
import { alertmanagerTargets, alertsPath } from '../../../src/alerting/alertmanager-targets.ts'
import type { AlertingOptions, AlertmanagerOptions, NotifierFlags } from '../../../src/alerting/options.ts'
import { defaultAlertmanagerOptions, defaultNotifierFlags } from '../../../src/alerting/options.ts'
import { alertTimeText, encodeAlerts } from '../../../src/alerting/payload.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import { seededRng } from '../../../src/base/rng.ts'
import { defaultHttpClientOptions } from '../../../src/model/http-options.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import type { SimulatedClock } from '../../../src/ports/simulated/clock.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'
import type { ServedRequest, SimulatedNetwork } from '../../../src/ports/simulated/http.ts'
import { simulatedNetwork } from '../../../src/ports/simulated/http.ts'
import { compileRelabel } from '../../../src/relabel/relabel.ts'
import type { RelabelRule } from '../../../src/relabel/rule.ts'
import { relabelRule } from '../../../src/relabel/rule.ts'
import { testRuntime } from '../../support/runtime.ts'

// The notifier over a virtual network and clock.

const alert = (name: string, more: Record<string, string> = {}): OutgoingAlert => ({
  labels: labelsFromObject({ alertname: name, ...more }),
  annotations: ['summary', 'it is down'],
  startsAtMs: 1_700_000_000_123,
  endsAtMs: 1_700_000_240_000,
  generatorUrl: 'http://prom/graph?g0.expr=up&g0.tab=1',
})
const entry = (key: string, more: Partial<AlertmanagerOptions<RelabelRule>> = {}): AlertmanagerOptions<RelabelRule> => ({
  ...defaultAlertmanagerOptions,
  key,
  http: defaultHttpClientOptions,
  ...more,
})
const targets = (...addresses: string[]): TargetGroup[] => [
  { source: 's', targets: addresses.map((address) => ['__address__', address]), labels: [] },
]
const alerting = (...alertmanagers: AlertmanagerOptions<RelabelRule>[]): AlertingOptions<RelabelRule> => ({
  alertmanagers,
  alertRelabelConfigs: [],
  externalLabels: [],
})
type Received = { path: string; names: string[]; labels: Record<string, string>[]; request: ServedRequest }

type Setup = {
  clock: SimulatedClock
  network: SimulatedNetwork
  notifier: Notifier<RelabelRule>
  registry: MetricsRegistry
  /** A host that keeps what it is sent. `status` may be changed. */
  receiver: (host: string) => { received: Received[]; status: number; delayMs: number }
  metric: (name: string) => Promise<Record<string, number>>
}

function setUp(flags: Partial<NotifierFlags> = {}): Setup {
  const clock = simulatedClock(1_700_000_000_000)
  const network = simulatedNetwork(clock, seededRng(1))
  const registry = new MetricsRegistry()
  const notifier = new Notifier<RelabelRule>({
    runtime: testRuntime(clock, registry),
    http: network.http('prom'),
    clock,
    logger: silentLogger,
    metrics: registry,
    flags: { ...defaultNotifierFlags, ...flags },
    compileRelabel: (configs) => {
      const compiled = compileRelabel(configs)
      return (labels) => compiled.apply(labels)
    },
    userAgent: 'Promhive/test',
  })
  return {
    clock,
    network,
    notifier,
    registry,
    receiver(host) {
      const state = { received: [] as Received[], status: 200, delayMs: 0 }
      network.serve(host, async (request) => {
        const body = JSON.parse(new TextDecoder().decode(request.body)) as { labels: Record<string, string> }[]
        const labels = body.map((each) => each.labels)
        state.received.push({ path: request.url.pathname, names: labels.map((each) => each['alertname']!), labels, request })
        if (state.delayMs > 0) await clock.sleep(state.delayMs)
        return { status: state.status }
      })
      return state
    },
    async metric(name) {
      const family = (await registry.gather()).find((each) => each.name === name)
      return Object.fromEntries(
        (family?.samples ?? []).map(({ suffix, labels, value }) => [[suffix, ...labels.filter((_, i) => i % 2 === 1)].join(''), value]),
      )
    },
  }
}

it('encodes alerts as Alertmanager expects them', () => {
  expect(JSON.parse(new TextDecoder().decode(encodeAlerts([alert('A', { __proto__x: '1' })])))).toEqual([
    {
      labels: { alertname: 'A', __proto__x: '1' },
      annotations: { summary: 'it is down' },
      startsAt: '2023-11-14T22:13:20.123Z',
      endsAt: '2023-11-14T22:17:20.000Z',
      generatorURL: 'http://prom/graph?g0.expr=up&g0.tab=1',
    },
  ])
})

it.each([
  [0, '1970-01-01T00:00:00.000Z'],
  [951_782_400_001, '2000-02-29T00:00:00.001Z'],
  [-1, '1969-12-31T23:59:59.999Z'],
])('time %d is %s', (ms, text) => expect(alertTimeText(ms)).toBe(text))

it.each([
  ['', '/api/v2/alerts'],
  ['/am', '/am/api/v2/alerts'],
  ['am/', '/am/api/v2/alerts'],
  ['/a/../b//c', '/b/c/api/v2/alerts'],
])('path under prefix %j is %s', (prefix, path) => expect(alertsPath(prefix, 'v2')).toBe(path))

it('finds Alertmanagers in target groups', () => {
  const groups: TargetGroup[] = [
    {
      source: 'a',
      targets: [['__address__', 'one:9093'], ['__address__', 'two:9093', 'env', 'dev'], ['__address__', 'one:9093']],
      labels: ['env', 'prod'],
    },
    { source: 'b', targets: [['__address__', 'x/y:1']], labels: [] },
    { source: 'c', targets: [['__address__', 'three:9093']], labels: ['__alerts_path__', '/custom path', '__scheme__', 'http'] },
  ] // prettier-ignore
  const options = entry('config-0', { scheme: 'https', pathPrefix: '/am' })
  const relabel = compileRelabel([relabelRule({ action: 'drop', sourceLabels: ['env'], regex: 'dev' })])
  expect(alertmanagerTargets(groups, options, (labels) => relabel.apply(labels))).toEqual({
    active: ['https://one:9093/am/api/v2/alerts', 'http://three:9093/custom%20path'],
    dropped: ['https://two:9093/am/api/v2/alerts'],
    problems: ['cannot use target group b: "x/y:1" is not a valid hostname'],
  })
})

it('a full queue gives up the oldest', () => {
  const queue = new AlertQueue(3)
  const names = (alerts: readonly OutgoingAlert[]): string => alerts.map((each) => each.labels[1]).join('')
  expect(queue.add([alert('a'), alert('b')])).toBe(0)
  expect(queue.add([alert('c'), alert('d')])).toBe(1)
  expect(names(queue.take(2))).toBe('bc')
  expect(queue.add(['e', 'f', 'g', 'h', 'i'].map((name) => alert(name)))).toBe(3)
  expect(queue.length).toBe(3)
  expect(names(queue.take(10))).toBe('ghi')
  expect(queue.length).toBe(0)
  const many = new AlertQueue(1000)
  for (let i = 0; i < 500; i++) {
    many.add([alert(`${i}`), alert('x')])
    many.take(2)
  }
  expect(many.length).toBe(0)
})

it('sends to every Alertmanager in batches', async () => {
  const { clock, notifier, receiver, metric } = setUp({ batchSize: 2 })
  const one = receiver('one:9093')
  const two = receiver('two:9093')
  notifier.apply(alerting(entry('config-0'), entry('config-1', { pathPrefix: '/am' })))
  notifier.setTargets('config-0', targets('one:9093'))
  notifier.setTargets('config-1', targets('two:9093'))
  notifier.setTargets('config-9', targets('three:9093'))
  notifier.send([alert('a'), alert('b'), alert('c')])
  await clock.advance(10)
  expect(one.received.map(({ names }) => names)).toEqual([['a', 'b'], ['c']])
  expect(two.received.map(({ path }) => path)).toEqual(['/am/api/v2/alerts', '/am/api/v2/alerts'])
  expect(one.received[0]!.request).toMatchObject({
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'Promhive/test' },
  })
  const urls = ['http://one:9093/api/v2/alerts', 'http://two:9093/am/api/v2/alerts']
  expect(notifier.alertmanagers()).toEqual({ active: urls, dropped: [] })
  expect(await metric('prometheus_notifications_sent_total')).toEqual({ [urls[0]!]: 3, [urls[1]!]: 3 })
  expect(await metric('prometheus_notifications_alertmanagers_discovered')).toEqual({ '': 2 })
  expect(await metric('prometheus_notifications_queue_capacity')).toEqual({ '': 10_000 })
  expect(await metric('prometheus_notifications_latency_histogram_seconds')).toMatchObject({ [`_count${urls[0]}`]: 2 })
  await notifier.stop()
  expect(await metric('prometheus_notifications_sent_total')).toEqual({})
})

it('adds external labels, relabels for all, then for one entry', async () => {
  const { clock, notifier, receiver } = setUp()
  const one = receiver('one:9093')
  const two = receiver('two:9093')
  const dropPages = relabelRule({ action: 'drop', sourceLabels: ['severity'], regex: 'page' })
  notifier.apply({
    alertmanagers: [entry('config-0'), entry('config-1', { alertRelabelConfigs: [dropPages] })],
    externalLabels: ['dc', 'eu', 'own', 'no'],
    alertRelabelConfigs: [
      relabelRule({ action: 'drop', sourceLabels: ['alertname'], regex: 'Hidden' }),
      relabelRule({ sourceLabels: ['dc'], targetLabel: 'site', replacement: 'dc-$1' }),
    ],
  })
  notifier.setTargets('config-0', targets('one:9093'))
  notifier.setTargets('config-1', targets('two:9093'))
  notifier.send([alert('A', { severity: 'page', own: 'yes' }), alert('Hidden'), alert('B')])
  notifier.send([alert('Hidden')])
  await clock.advance(10)
  expect(one.received.flatMap(({ labels }) => labels)).toEqual([
    { alertname: 'A', dc: 'eu', own: 'yes', severity: 'page', site: 'dc-eu' },
    { alertname: 'B', dc: 'eu', own: 'no', site: 'dc-eu' },
  ])
  expect(two.received.map(({ names }) => names)).toEqual([['B']])
  await notifier.stop()
})

it('drops and counts a batch that fails; one slow Alertmanager does not hold up another', async () => {
  const { clock, notifier, receiver, metric } = setUp({ queueCapacity: 2 })
  const bad = receiver('bad:9093')
  bad.status = 500
  const slow = receiver('slow:9093')
  slow.delayMs = 60_000
  const good = receiver('good:9093')
  notifier.apply(alerting(entry('config-0', { timeoutMs: 5_000 })))
  notifier.setTargets('config-0', targets('bad:9093', 'slow:9093', 'good:9093', 'absent:9093'))
  notifier.send([alert('a')])
  await clock.advance(1_000)
  expect(good.received).toHaveLength(1)
  notifier.send([alert('b'), alert('c'), alert('d')]) // one more than a queue holds
  await clock.advance(1_000)
  const url = (host: string): string => `http://${host}:9093/api/v2/alerts`
  expect(good.received[1]!.names).toEqual(['c', 'd'])
  expect(await metric('prometheus_notifications_queue_length')).toMatchObject({ [url('slow')]: 2, [url('good')]: 0 })
  await clock.advance(20_000)
  expect(slow.received.map(({ names }) => names)).toEqual([['a'], ['c', 'd']])
  expect(await metric('prometheus_notifications_errors_total')).toEqual({ [url('bad')]: 3, [url('slow')]: 3, [url('good')]: 0, [url('absent')]: 3 })
  expect(await metric('prometheus_notifications_dropped_total')).toEqual({ [url('bad')]: 4, [url('slow')]: 4, [url('good')]: 1, [url('absent')]: 4 })
  expect(await metric('prometheus_notifications_sent_total')).toEqual({ [url('bad')]: 0, [url('slow')]: 0, [url('good')]: 3, [url('absent')]: 0 })
  await notifier.stop()
}) // prettier-ignore

it.each([
  [true, [['a'], ['b'], ['c']]],
  [false, [['a']]],
])('on stop drains the queue: %s', async (drainOnShutdown, want) => {
  const { clock, notifier, receiver } = setUp({ drainOnShutdown, batchSize: 1 })
  const one = receiver('one:9093')
  one.delayMs = 1_000
  notifier.apply(alerting(entry('config-0')))
  notifier.setTargets('config-0', targets('one:9093'))
  notifier.send([alert('a'), alert('b'), alert('c')])
  await clock.advance(100)
  let stopped = false
  const done = notifier.stop().then(() => (stopped = true))
  notifier.send([alert('late')])
  await clock.advance(500)
  expect(stopped).toBe(false)
  await clock.advance(5_000)
  await done
  expect(one.received.map(({ names }) => names)).toEqual(want)
})

it('keeps Alertmanagers and queues over a reload that does not change them', async () => {
  const { clock, notifier, receiver, metric } = setUp({ batchSize: 1 })
  const one = receiver('one:9093')
  one.delayMs = 1_000
  notifier.apply(alerting(entry('config-0'), entry('config-1', { pathPrefix: '/x' })))
  notifier.setTargets('config-0', targets('one:9093'))
  notifier.setTargets('config-1', targets('two:9093'))
  notifier.send([alert('a'), alert('b')])
  await clock.advance(100)
  notifier.apply(alerting(entry('config-0', { pathPrefix: '/y' }), entry('config-1')))
  // the entry is called config-1 now; the other is new and has found nothing yet
  expect(notifier.alertmanagers().active).toEqual(['http://one:9093/api/v2/alerts'])
  await clock.advance(10_000)
  expect(one.received.map(({ names }) => names)).toEqual([['a'], ['b']])
  notifier.setTargets('config-1', targets('three:9093'))
  await clock.advance(100)
  expect(notifier.alertmanagers().active).toEqual(['http://three:9093/api/v2/alerts'])
  expect(await metric('prometheus_notifications_sent_total')).toEqual({ 'http://three:9093/api/v2/alerts': 0 })
  await notifier.stop()
})

it('refuses sigv4 and keeps what it had', async () => {
  const { notifier } = setUp()
  notifier.apply(alerting(entry('config-0')))
  notifier.setTargets('config-0', targets('one:9093'))
  expect(() => notifier.apply(alerting(entry('config-0', { sigv4: true })))).toThrow('sigv4 is not supported')
  expect(notifier.alertmanagers().active).toHaveLength(1)
  await notifier.stop()
})
