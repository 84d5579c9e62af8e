// The server's own actors when their machines fail: who starts again, with what, and who does not notice.
import { describe, expect, it } from 'vitest'
import { assign, fromCallback, setup } from 'xstate'
import { ScrapeManager } from '../../../actors/scrape-pool/manager.ts'
import { RuleManager } from '../../../actors/rule-group/manager.ts'
import { sendLoop } from '../../../actors/notifier/machine.ts'
import { storageShard } from '../../../actors/storage-shard/machine.ts'
import { silentLogger, type Logger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import type { HttpAnswer } from '../../../src/ports/http.ts'
import { simulatedClock, type SimulatedClock } from '../../../src/ports/simulated/clock.ts'
import { allFeatures } from '../../../src/promql/parse.ts'
import { defaultRuleFlags, type RuleGroup } from '../../../src/rules/options.ts'
import { groupPhaseMs } from '../../../src/rules/slots.ts'
import { defaultScrapeFeatures, defaultScrapeOptions } from '../../../src/scrape/options.ts'
import { MemoryAppender } from '../../support/memory-appender.ts'
import { RecordingAppender, vectorOf } from '../../support/rules.ts'
import { testRuntime } from '../../support/runtime.ts'

async function restarts(metrics: MetricsRegistry): Promise<Record<string, number>> {
  const family = (await metrics.gather()).find(({ name }) => name === 'promhive_actor_restarts_total')
  return Object.fromEntries(family!.samples.map(({ labels, value }) => [labels[1]!, value]))
}

describe('any actor', () => {
  /** Says what becomes of the callback it invokes; breaks on demand. */
  const frail = setup({
    types: {
      input: {} as { said: string[]; count: number },
      context: {} as { said: string[]; count: number },
      events: {} as { type: 'boom' } | { type: 'count' } | { type: 'stop' },
    },
    actors: {
      hum: fromCallback<{ type: 'x' }, string[]>(({ input }) => {
        input.push('child starts')
        return () => void input.push('child ends')
      }),
    },
    actions: {
      boom: () => {
        throw new Error('boom')
      },
    },
  }).createMachine({
    context: ({ input }) => ({ ...input }),
    invoke: { src: 'hum', input: ({ context }) => context.said },
    on: {
      boom: { actions: 'boom' },
      count: { actions: assign({ count: ({ context }) => context.count + 1 }) },
      stop: '.over',
    },
    initial: 'here',
    states: { here: {}, over: { type: 'final', entry: ({ context }) => void context.said.push(`over at ${context.count}`) } },
  })
  function rig(finishes = false) {
    const clock = simulatedClock()
    const said: string[] = []
    const actor = testRuntime(clock).start({
      id: 'frail',
      kind: 'frail',
      machine: frail,
      input: (failed) => ({ said, count: failed === null || failed.again ? 0 : failed.snapshot.context.count }),
      stopEvent: { type: 'stop' },
      messagesMax: 2,
      finishes,
      onFailure: (thrown) => void said.push(String(thrown)),
      onEnd: (how) => void said.push(how),
    })
    return { clock, said, actor }
  }

  it('ends what the failed machine had invoked, and starts from the state it failed in, once', async () => {
    const { clock, said, actor } = rig()
    actor.send({ type: 'count' })
    actor.send({ type: 'boom' })
    expect([actor.status, actor.state, said]).toEqual(['waiting', '', ['child starts', 'child ends', 'Error: boom']])
    await clock.advance(250)
    expect([actor.status, actor.state, actor.snapshot()!.context.count]).toEqual(['running', 'here', 1])
    actor.send({ type: 'boom' })
    await clock.advance(500)
    expect(actor.snapshot()!.context.count).toBe(0)
    expect(said.slice(3)).toEqual(['child starts', 'child ends', 'Error: boom', 'child starts'])
  })

  it('keeps as many events as its mailbox holds during the back-off, and says which it refuses', async () => {
    const { clock, actor } = rig()
    actor.send({ type: 'boom' })
    expect([1, 2, 3].map(() => actor.send({ type: 'count' }))).toEqual([true, true, false])
    await clock.advance(250)
    expect([actor.snapshot()!.context.count, actor.waitingMessages]).toEqual([2, 0])
    await actor.stop(0)
    expect(actor.send({ type: 'count' })).toBe(false)
  })

  it('stopped during the back-off, it is started once more where it has something to finish', async () => {
    for (const [finishes, last] of [
      [false, ['Error: boom', 'stopped']],
      [true, ['child starts', 'over at 0', 'child ends', 'done']],
    ] as const) {
      const { clock, said, actor } = rig(finishes)
      actor.send({ type: 'boom' })
      const stopped = actor.stop(Infinity)
      await clock.settle()
      expect(await stopped).toBe(finishes)
      expect(said.slice(-last.length)).toEqual(last)
      await clock.advance(100_000)
      expect(said.slice(-last.length)).toEqual(last)
    }
  })
})

describe('targets and pools', () => {
  const intervalMs = 1000
  function rig() {
    const clock = simulatedClock(1_000_000)
    const appender = new MemoryAppender()
    const metrics = new MetricsRegistry()
    const failures: string[] = []
    const broken = new Set<string>()
    const asked: string[] = []
    const manager = new ScrapeManager({
      runtime: testRuntime(clock, metrics, failures),
      appender,
      clock,
      logger: silentLogger,
      metrics,
      features: defaultScrapeFeatures,
      offsetSeed: 0n,
      hashSeed: 1,
      userAgent: 'test',
      discoveryReloadIntervalMs: 10,
      openFailureLog: () => ({ write: () => {}, close: () => {} }),
      http: {
        client: () => ({
          request: async ({ url }): Promise<HttpAnswer> => {
            asked.push(url)
            const body = new TextEncoder().encode('a 1\n')
            // an answer without headers breaks the reading of it, as a bug would
            const headers = broken.has(url) ? (undefined as never) : { 'content-type': 'text/plain' }
            return { status: 200, headers, body, wireBytes: body.length }
          },
          close: async () => {},
        }),
      },
    })
    manager.applyConfig([{ ...defaultScrapeOptions, jobName: 'j', intervalMs, timeoutMs: 500 }])
    const health = (): Record<string, string> =>
      Object.fromEntries(manager.activeTargets().map((target) => [target.scrapeUrl, `${target.health} ${target.lastError}`]))
    const count = (url: string): number => asked.filter((each) => each === url).length
    return { clock, appender, metrics, failures, broken, manager, health, count }
  }
  const group = (...addresses: string[]): TargetGroup => ({
    source: 's',
    targets: addresses.map((address) => ['__address__', address]),
    labels: [],
  })
  const [a, b] = ['http://a:1/metrics', 'http://b:1/metrics']

  it('a target whose scrape throws starts again with nothing, ever more seldom; its neighbour is scraped at every slot', async () => {
    const { clock, metrics, failures, broken, manager, health, count } = rig()
    manager.updateTargets('j', [group('a:1', 'b:1')])
    await clock.advance(2 * intervalMs)
    expect(health()).toEqual({ [a]: 'up ', [b]: 'up ' })
    broken.add(a)
    await clock.advance(30 * intervalMs)
    expect(count(b)).toBe(32)
    expect(health()[b]).toBe('up ')
    expect(health()[a]).toMatch(/^down BUG: Cannot read properties of undefined .*; scraping starts again$/)
    // 0.25, 0.5, 1, 2, 4, 8, 16 s of back-off, each with the wait for a slot
    expect(count(a)).toBeGreaterThan(6)
    expect(count(a)).toBeLessThan(13)
    expect((await restarts(metrics))['target']).toBe(failures.length)
    expect(failures[0]).toMatch(/^http:\/\/a:1\/metrics: Actor failed: Cannot read/)
    broken.clear()
    await clock.advance(60 * intervalMs)
    expect(health()[a]).toBe('up ')
  })

  it('a target that fails while it leaves, or leaves during the back-off, is not scraped again', async () => {
    const { clock, broken, manager, metrics, count } = rig()
    manager.updateTargets('j', [group('a:1', 'b:1')])
    await clock.advance(2 * intervalMs)
    broken.add(a)
    await clock.advance(intervalMs)
    const before = count(a)
    manager.updateTargets('j', [group('b:1')])
    await clock.advance(60 * intervalMs)
    expect(count(a)).toBe(before)
    const running = (await metrics.gather()).find(({ name }) => name === 'promhive_actors')!
    expect(running.samples.map(({ labels, value }) => [labels[1], value])).toEqual([['scrape-pool', 1], ['target', 1]]) // prettier-ignore
  })

  it('a pool that throws starts again with what discovery says then; its targets are scraped meanwhile', async () => {
    const { clock, metrics, manager, failures, count } = rig()
    manager.updateTargets('j', [group('a:1')])
    await clock.advance(intervalMs)
    const poison: TargetGroup = {
      source: 's',
      labels: [],
      get targets(): never {
        throw new Error('no targets')
      },
    }
    manager.updateTargets('j', [poison])
    await clock.advance(5 * intervalMs)
    expect(count(a)).toBe(6)
    expect(failures.length).toBeGreaterThan(2)
    manager.updateTargets('j', [group('b:1')])
    await clock.advance(10 * intervalMs)
    expect(manager.activeTargets().map(({ scrapeUrl }) => scrapeUrl)).toEqual([b])
    expect((await restarts(metrics))['scrape-pool']).toBe(failures.length)
    await manager.stop()
    const [stoppedA, stoppedB] = [count(a), count(b)]
    await clock.advance(5 * intervalMs)
    expect([count(a), count(b)]).toEqual([stoppedA, stoppedB])
  })
})

describe('rule groups', () => {
  const startMs = 1_700_000_000_000
  const position = { line: 1, column: 1 }
  const group = (name: string): RuleGroup => ({
    name, file: '/r.yml', intervalMs: null, queryOffsetMs: null, limit: 0, labels: [],
    rules: [
      { kind: 'alert', name: 'A', expr: 'up', forMs: 60_000, keepFiringForMs: 0, labels: [], annotations: [], position },
      { kind: 'record', name: 'r', expr: name, labels: [], position },
    ],
  }) // prettier-ignore
  function rig() {
    const clock = simulatedClock(startMs - (startMs % 10_000) + groupPhaseMs('/r.yml', 'g', 10_000) - 1)
    const metrics = new MetricsRegistry()
    const failures: string[] = []
    const state = { broken: false }
    const appender = new RecordingAppender()
    // what cannot even be logged fails the group
    const logger: Logger = {
      ...silentLogger,
      warn: () => {
        throw new Error('no log')
      },
      child: () => logger,
    }
    const manager = new RuleManager({
      runtime: testRuntime(clock, metrics, failures),
      query: async (expr) => {
        if (expr === 'g' && state.broken) throw new Error('storage is down')
        return vectorOf([{ job: 'x' }, 1])
      },
      selectLast: () => Promise.resolve({ labels: [], times: new Float64Array(0), values: new Float64Array(0) }),
      appender,
      send: () => {},
      clock,
      logger,
      metrics,
      flags: defaultRuleFlags,
      features: allFeatures,
    })
    const alert = (): string => {
      const rule = manager.groups()[0]!.rules[0]!
      if (rule.kind !== 'alerting') throw new Error('not an alert')
      return rule.alerts.map(({ state: at, activeAtMs }) => `${at} for ${clock.nowMs() - activeAtMs}`).join()
    }
    const value = async (name: string): Promise<unknown> =>
      (await metrics.gather()).find((family) => family.name === name)!.samples.map((sample) => `${sample.labels[1]} ${sample.value}`)
    return { clock, metrics, failures, state, manager, alert, value }
  }
  async function apply({ manager, clock }: ReturnType<typeof rig>): Promise<void> {
    const applied = manager.apply({ groups: [group('g'), group('h')], intervalMs: 10_000, queryOffsetMs: 0, externalLabels: [] })
    await clock.settle()
    await applied
    manager.start()
  }

  it('a group that throws goes on with its pending alerts at its next slot; others do not notice', async () => {
    const world = rig()
    const { clock, failures, state, alert, value, metrics } = world
    await apply(world)
    await clock.advance(1)
    expect(alert()).toBe('pending for 0')
    await clock.advance(39_000)
    state.broken = true
    await clock.advance(1_000)
    expect(failures).toEqual(['/r.yml;g: Actor failed: no log'])
    state.broken = false
    await clock.advance(10_000)
    expect(alert()).toBe('pending for 50000')
    await clock.advance(10_001) // back-offs end between milliseconds
    expect(alert()).toBe('firing for 60001')
    expect(await restarts(metrics)).toMatchObject({ 'rule-group': 1 })
    expect(await value('prometheus_rule_group_iterations_total')).toEqual(['/r.yml;g 7', '/r.yml;h 6'])
    expect(await value('prometheus_rule_group_iterations_missed_total')).toEqual(['/r.yml;g 0', '/r.yml;h 0'])
  })

  it('a group that goes on failing counts the slots it missed, and does not keep the manager from a reload or its end', async () => {
    const world = rig()
    const { clock, failures, state, value, manager } = world
    await apply(world)
    state.broken = true
    await clock.advance(400_001)
    expect(failures.length).toBeGreaterThan(5)
    const [missed] = (await value('prometheus_rule_group_iterations_missed_total')) as string[]
    expect(Number(missed!.split(' ')[1])).toBeGreaterThan(2)
    await apply(world)
    const stopped = manager.stop()
    await clock.settle()
    await stopped
    const before = failures.length
    await clock.advance(120_000)
    expect(failures.length).toBe(before)
  })
})

describe('other machines', () => {
  async function failing(clock: SimulatedClock, failures: string[], work: () => Promise<void>): Promise<void> {
    await work()
    expect(failures).toHaveLength(1)
    await clock.advance(300)
  }

  it('a send loop that throws sends what is queued after its restart', async () => {
    const clock = simulatedClock()
    const failures: string[] = []
    const sent: number[] = []
    let queued = 3
    let fails = true
    const work = {
      hasAlerts: () => queued > 0,
      sendBatch: async () => {
        if (fails) throw new Error('no batch')
        sent.push(queued--)
      },
      drop: () => {},
    }
    const actor = testRuntime(clock, new MetricsRegistry(), failures).start({
      id: 'am',
      kind: 'notifier',
      machine: sendLoop,
      input: () => ({ work, drain: true }),
      stopEvent: { type: 'stop' },
    })
    await failing(clock, failures, () => clock.settle())
    fails = false
    await clock.advance(1000)
    expect([sent, actor.status, actor.state]).toEqual([[3, 2, 1], 'running', 'idle'])
  })

  it('a shard whose cut throws is ready after its restart, and cuts again', async () => {
    const clock = simulatedClock()
    const failures: string[] = []
    let cuts = 0
    let isReplaying = true
    const actor = testRuntime(clock, new MetricsRegistry(), failures).start({
      id: 'shard 0',
      kind: 'storage-shard',
      machine: storageShard,
      input: () => ({
        nowMs: () => clock.nowMs(),
        snapshotEveryMs: 60_000,
        snapshotOffsetMs: 0,
        isReplaying,
        snapshot: () => {},
        giveUpSnapshot: () => {},
        lastSnapshot: () => {},
        isFarBehind: () => false,
        cut: () => {
          if (cuts++ === 0) throw new Error('no cut')
        },
      }),
    })
    expect(actor.state).toBe('replaying')
    isReplaying = false
    actor.send({ type: 'caughtUp' })
    await failing(clock, failures, async () => void actor.send({ type: 'windowPassed' }))
    expect(actor.state).toBe('ready')
    actor.send({ type: 'windowPassed' })
    expect([actor.state, cuts]).toEqual(['cutting', 2])
  })
})
