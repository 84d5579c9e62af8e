import { expect, it } from 'vitest'
import { RuleManager } from '../../../actors/rule-group/manager.ts'
import type { OutgoingAlert } from '../../../src/alerting/alert.ts'
import { PromhiveError } from '../../../src/base/errors.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import type { Labels } from '../../../src/model/labels.ts'
import { labelsFromObject, labelsToObject } from '../../../src/model/labels.ts'
import type { SimulatedClock } from '../../../src/ports/simulated/clock.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'
import { allFeatures } from '../../../src/promql/parse.ts'
import type { AlertingRuleOptions, RuleFlags, RuleGroup, RuleManagerOptions, RuleOptions } from '../../../src/rules/options.ts'
import { defaultRuleFlags } from '../../../src/rules/options.ts'
import type { LastSamples, QueryVector } from '../../../src/rules/querying.ts'
import { groupPhaseMs } from '../../../src/rules/slots.ts'
import { RecordingAppender, vectorOf } from '../../support/rules.ts'
import { testRuntime } from '../../support/runtime.ts'

// Groups under a virtual clock: slots, reloads, staleness, restore, sending.

const position = { line: 1, column: 1 }
const record = (name: string, expr: string, labels: string[] = []): RuleOptions => ({ kind: 'record', name, expr, labels, position })
const alert = (name: string, expr: string, more: Partial<AlertingRuleOptions> = {}): RuleOptions => ({
  kind: 'alert', name, expr, forMs: 0, keepFiringForMs: 0, labels: [], annotations: [], position, ...more,
}) // prettier-ignore
const group = (name: string, rules: RuleOptions[], more: Partial<RuleGroup> = {}): RuleGroup => ({
  name, file: '/rules.yml', intervalMs: null, queryOffsetMs: null, limit: 0, labels: [], rules, ...more,
}) // prettier-ignore
const options = (...groups: RuleGroup[]): RuleManagerOptions => ({ groups, intervalMs: 10_000, queryOffsetMs: 0, externalLabels: [] })

const startMs = 1_700_000_000_000
const phaseMs = groupPhaseMs('/rules.yml', 'g', 10_000)
/** The first slot after the start, for a group called g. */
const firstMs = startMs - ((startMs - phaseMs) % 10_000) + 10_000

type Setup = {
  clock: SimulatedClock
  appender: RecordingAppender
  answers: Map<string, QueryVector | Error>
  asked: [expr: string, timeMs: number][]
  sent: OutgoingAlert[][]
  manager: RuleManager
  registry: MetricsRegistry
  /** How long queries take. */
  slow: { ms: number }
  last: LastSamples
  failures: string[]
}

function setUp(flags: Partial<RuleFlags> = {}, logger = silentLogger): Setup {
  const failures: string[] = []
  const clock = simulatedClock(startMs)
  const appender = new RecordingAppender()
  const answers = new Map<string, QueryVector | Error>()
  const asked: [string, number][] = []
  const sent: OutgoingAlert[][] = []
  const registry = new MetricsRegistry()
  const slow = { ms: 0 }
  const last: { labels: Labels[]; times: Float64Array; values: Float64Array } = {
    labels: [],
    times: new Float64Array(0),
    values: new Float64Array(0),
  }
  const manager = new RuleManager({
    runtime: testRuntime(clock, registry, failures),
    logger,
    async query(expr, timeMs, signal) {
      asked.push([expr, timeMs])
      if (slow.ms > 0) await clock.sleep(slow.ms)
      if (signal.aborted) throw new PromhiveError('QUERY_CANCELED', 'query was canceled')
      const answer = answers.get(expr) ?? vectorOf()
      if (answer instanceof Error) throw answer
      return answer
    },
    selectLast: () => Promise.resolve(last),
    appender,
    send: (alerts) => void sent.push([...alerts]),
    clock,
    metrics: registry,
    flags: { ...defaultRuleFlags, externalUrl: 'http://prom', ...flags },
    features: allFeatures,
  })
  return { clock, appender, answers, asked, sent, manager, registry, slow, last, failures }
}

async function metric(registry: MetricsRegistry, name: string): Promise<Record<string, number>> {
  const family = (await registry.gather()).find((each) => each.name === name)
  return Object.fromEntries((family?.samples ?? []).map(({ labels, value }) => [labels.join(), value]))
}

it('evaluates at the slots of the group, in order, and writes at the slot', async () => {
  const { clock, appender, answers, asked, manager, registry } = setUp()
  answers.set('up', vectorOf([{ __name__: 'up', job: 'a' }, 1]))
  await manager.apply(options(group('g', [record('r', 'up', ['x', 'y']), record('s', 'r')])))
  await clock.advance(30_000)
  expect(asked).toEqual([]) // not started
  manager.start()
  await clock.advance(30_000)
  const slots = [firstMs + 30_000, firstMs + 40_000, firstMs + 50_000]
  expect(asked).toEqual(slots.flatMap((slot) => [['up', slot], ['r', slot]])) // prettier-ignore
  expect(appender.take()).toEqual(slots.map((slot) => `${slot} r{job="a", x="y"} 1`))
  expect(appender.opened).toBe(1)
  const [status] = manager.groups()
  expect(status).toMatchObject({ name: 'g', file: '/rules.yml', intervalMs: 10_000, lastEvaluationMs: slots[2] })
  expect(status!.rules).toMatchObject([
    { kind: 'recording', name: 'r', query: 'up', health: 'ok', lastError: '', lastEvaluationMs: slots[2] },
    { kind: 'recording', name: 's', health: 'ok' },
  ])
  const key = 'rule_group,/rules.yml;g'
  expect(await metric(registry, 'prometheus_rule_group_iterations_total')).toEqual({ [key]: 3 })
  expect(await metric(registry, 'prometheus_rule_evaluations_total')).toEqual({ [key]: 6 })
  expect(await metric(registry, 'prometheus_rule_group_rules')).toEqual({ [key]: 2 })
  expect(await metric(registry, 'prometheus_rule_group_interval_seconds')).toEqual({ [key]: 10 })
  expect(await metric(registry, 'prometheus_rule_group_last_evaluation_samples')).toEqual({ [key]: 1 })
  await manager.stop()
  await clock.advance(30_000)
  expect(asked).toHaveLength(6)
})

it('asks and writes before the slot by the query offset of the group or of all', async () => {
  const { clock, appender, answers, asked, manager } = setUp()
  answers.set('up', vectorOf([{}, 1]))
  manager.start()
  await manager.apply({ ...options(group('g', [record('r', 'up')])), queryOffsetMs: 3_000 })
  await clock.advance(10_000)
  expect(asked).toEqual([['up', firstMs - 3_000]])
  expect(appender.take()).toEqual([`${firstMs - 3_000} r 1`])
  await manager.apply({ ...options(group('g', [record('r', 'up')], { queryOffsetMs: 5_000 })), queryOffsetMs: 3_000 })
  await clock.advance(10_000)
  expect(asked[1]).toEqual(['up', firstMs + 5_000])
  await manager.stop()
})

it('marks series stale that vanish, and again when the rule or the group is gone', async () => {
  const { clock, appender, answers, manager } = setUp()
  manager.start()
  answers.set('up', vectorOf([{ i: '1' }, 1], [{ i: '2' }, 1]))
  const other = record('other', 'up')
  await manager.apply(options(group('g', [record('r', 'up'), other])))
  await clock.advance(10_000)
  expect(appender.take()).toHaveLength(4)
  answers.set('up', vectorOf([{ i: '2' }, 1]))
  await clock.advance(10_000)
  expect(appender.take()).toEqual([
    `${firstMs + 10_000} r{i="2"} 1`,
    `${firstMs + 10_000} r{i="1"} stale`,
    `${firstMs + 10_000} other{i="2"} 1`,
    `${firstMs + 10_000} other{i="1"} stale`,
  ])
  // the rule goes: its series end with the next evaluation
  await manager.apply(options(group('g', [other])))
  await clock.advance(10_000)
  expect(appender.take()).toEqual([`${firstMs + 20_000} other{i="2"} 1`, `${firstMs + 20_000} r{i="2"} stale`])
  // the group goes: after two intervals, at the time it went
  const goneMs = clock.nowMs()
  await manager.apply(options())
  await clock.advance(19_999)
  expect(appender.take()).toEqual([])
  await clock.advance(1)
  expect(appender.take()).toEqual([`${goneMs} other{i="2"} stale`])
  expect(appender.open_.size).toBe(0)
  await manager.stop()
})

it('leaves unchanged groups alone and hands alerts of changed ones over', async () => {
  const { clock, answers, manager, sent } = setUp()
  manager.start()
  answers.set('up == 0', vectorOf([{ job: 'a' }, 0]))
  const rule = alert('Down', 'up == 0', { forMs: 15_000 })
  await manager.apply(options(group('g', [rule])))
  await clock.advance(10_000)
  const activeAt = (): number | undefined => {
    const first = manager.groups()[0]!.rules.find((each) => each.kind === 'alerting')
    return first?.kind === 'alerting' ? first.alerts[0]?.activeAtMs : undefined
  }
  expect(activeAt()).toBe(firstMs)
  await manager.apply(options(group('g', [{ ...rule, position: { line: 9, column: 9 } }])))
  await clock.advance(10_000)
  expect(activeAt()).toBe(firstMs)
  await manager.apply(options(group('g', [record('new', 'x'), rule])))
  expect(activeAt()).toBe(firstMs)
  await clock.advance(10_000)
  expect(sent).toHaveLength(1)
  expect(sent[0]![0]).toMatchObject({ startsAtMs: firstMs + 20_000, generatorUrl: 'http://prom/graph?g0.expr=up+%3D%3D+0&g0.tab=1' })
  await manager.stop()
})

it('takes the latest slot after an evaluation that was too slow, and counts the others', async () => {
  const { clock, asked, manager, registry, slow } = setUp()
  manager.start()
  slow.ms = 35_000
  await manager.apply(options(group('g', [record('r', 'up')])))
  await clock.advance(firstMs - startMs)
  slow.ms = 0
  await clock.advance(45_000)
  expect(asked.map(([, timeMs]) => timeMs - firstMs)).toEqual([0, 30_000, 40_000])
  expect(await metric(registry, 'prometheus_rule_group_iterations_missed_total')).toEqual({ 'rule_group,/rules.yml;g': 2 })
  expect(await metric(registry, 'prometheus_rule_group_iterations_total')).toEqual({ 'rule_group,/rules.yml;g': 5 })
  await manager.stop()
})

it('shows failures of queries, limits and appends as the health of the rule', async () => {
  const { clock, appender, answers, manager, registry } = setUp()
  manager.start()
  answers.set('bad', new PromhiveError('PROMQL_EXECUTION', 'found duplicate series'))
  answers.set('two', vectorOf([{ a: '1' }, 1], [{ a: '2' }, 2]))
  answers.set('one', vectorOf([{}, 1]))
  await manager.apply(options(group('g', [record('r', 'bad'), record('s', 'two'), record('t', 'one')], { limit: 1 })))
  await clock.advance(10_000)
  const health = (): unknown => manager.groups()[0]!.rules.map((rule) => [rule.health, rule.lastError])
  expect(health()).toEqual([
    ['err', 'found duplicate series'],
    ['err', 'exceeded limit of 1 with 2 series'],
    ['ok', ''],
  ])
  expect(await metric(registry, 'prometheus_rule_evaluation_failures_total')).toEqual({ 'rule_group,/rules.yml;g': 2 })
  appender.refusal = 'duplicate sample for timestamp'
  await clock.advance(10_000)
  expect(health()).toContainEqual(['err', 'duplicate sample for timestamp'])
  appender.refusal = ''
  appender.failure = new PromhiveError('STORAGE_FULL', 'no space left')
  await clock.advance(10_000)
  expect(health()).toContainEqual(['err', 'no space left'])
  appender.failure = null
  await clock.advance(10_000)
  expect(health()).toContainEqual(['ok', ''])
  await manager.stop()
})

it('restores `for` state after the second evaluation of a first start', async () => {
  const { clock, appender, answers, manager, last } = setUp()
  answers.set('up == 0', vectorOf([{ job: 'a' }, 0]))
  const downAtMs = Math.floor((firstMs - 60_000) / 1000) * 1000
  Object.assign(last, {
    labels: [labelsFromObject({ __name__: 'ALERTS_FOR_STATE', alertname: 'Down', job: 'a' })],
    times: Float64Array.of(downAtMs),
    values: Float64Array.of(downAtMs / 1000 - 1800),
  })
  manager.start()
  await manager.apply(options(group('g', [alert('Down', 'up == 0', { forMs: 30 * 60_000 })])))
  const state = (): string => {
    const rule = manager.groups()[0]!.rules[0]!
    return rule.kind === 'alerting' ? rule.state : ''
  }
  expect(state()).toBe('unknown')
  await clock.advance(20_000)
  expect(state()).toBe('pending')
  expect(appender.take()).toEqual([]) // nothing that would hide what is to be restored
  await clock.advance(10_000)
  expect(state()).toBe('firing')
  expect(appender.take()).toEqual([
    `${firstMs + 20_000} ALERTS{alertname="Down", alertstate="firing", job="a"} 1`,
    `${firstMs + 20_000} ALERTS_FOR_STATE{alertname="Down", job="a"} ${downAtMs / 1000 - 1800}`,
  ])
  await manager.stop()
})

it('sends alerts with external time, and resolved ones with the time they ended', async () => {
  const { clock, answers, manager, sent } = setUp({ resendDelayMs: 15_000 })
  manager.start()
  answers.set('x', vectorOf([{ job: 'a' }, 1]))
  await manager.apply(options(group('g', [alert('X', 'x', { annotations: ['summary', '{{ $labels.job }}'] })])))
  await clock.advance(30_000)
  expect(sent.flat()).toMatchObject([
    { startsAtMs: firstMs, endsAtMs: firstMs + 60_000, annotations: ['summary', 'a'] },
    { startsAtMs: firstMs, endsAtMs: firstMs + 80_000 },
  ])
  expect(labelsToObject(sent[0]![0]!.labels)).toEqual({ alertname: 'X', job: 'a' })
  sent.length = 0
  answers.delete('x')
  await clock.advance(10_000)
  expect(sent.flat()).toMatchObject([{ startsAtMs: firstMs, endsAtMs: firstMs + 30_000 }])
  await manager.stop()
})

it('runs independent rules side by side up to the limit, dependent ones after', async () => {
  const { clock, asked, manager, slow } = setUp({ concurrentEvals: true, maxConcurrentEvals: 2 })
  manager.start()
  slow.ms = 1_000
  const rules = [record('a', 'x'), record('b', 'y'), record('c', 'z'), record('d', 'a + b')]
  await manager.apply(options(group('g', rules)))
  await clock.advance(firstMs - startMs)
  // two beside each other, the third takes the group's own place
  expect(asked.map(([expr]) => expr)).toEqual(['x', 'y', 'z'])
  await clock.advance(1_000)
  expect(asked.map(([expr]) => expr)).toEqual(['x', 'y', 'z', 'a + b'])
  await clock.advance(5_000)
  await manager.stop()
})

it('stops in the middle of an evaluation without starting another rule', async () => {
  const { clock, asked, manager, slow } = setUp()
  manager.start()
  slow.ms = 5_000
  await manager.apply(options(group('g', [record('a', 'x'), record('b', 'y')])))
  await clock.advance(firstMs - startMs + 1_000)
  const stopped = manager.stop()
  await clock.advance(10_000)
  await stopped
  expect(asked.map(([expr]) => expr)).toEqual(['x'])
})

it('refuses a configuration whose expressions do not parse, and keeps the old one', async () => {
  const { manager } = setUp()
  await manager.apply(options(group('g', [record('a', 'x')])))
  await expect(manager.apply(options(group('h', [record('a', 'x +')])))).rejects.toThrow('cannot parse rule expression')
  expect(manager.groups().map(({ name }) => name)).toEqual(['g'])
  await manager.stop()
})
