import { expect, it } from 'vitest'
import { labelsFromObject, labelsToObject, printSeries } from '../../../src/model/labels.ts'
import { staleNaN } from '../../../src/model/staleness.ts'
import { allFeatures } from '../../../src/promql/parse.ts'
import type { AlertEvaluation } from '../../../src/rules/alerting-rule.ts'
import { AlertingRule, needsSending, resolvedRetentionMs } from '../../../src/rules/alerting-rule.ts'
import { ruleBatches, ruleDependencies } from '../../../src/rules/dependencies.ts'
import { readExpression } from '../../../src/rules/expression.ts'
import type { AlertingRuleOptions } from '../../../src/rules/options.ts'
import type { QueryVector } from '../../../src/rules/querying.ts'
import { recordSamples } from '../../../src/rules/recording-rule.ts'
import { applyForState, forStateMatchers, restoreRule, restoredActiveAt } from '../../../src/rules/restore.ts'
import { overrideLabels } from '../../../src/rules/samples.ts'
import { groupPhaseMs, slotBefore, xxhash64 } from '../../../src/rules/slots.ts'
import { labelsMap } from '../../../src/template/alert-template.ts'
import { vectorOf } from '../../support/rules.ts'

const minute = 60_000
const position = { line: 1, column: 1 }

it.each([
  // file, interval, the slot Prometheus takes at or before 1700000000000 for a group called node
  ['/etc/prometheus/rules/alerts.yml', minute, 1699999964244],
  ['/etc/prometheus/rules/alerts.yml', 15_000, 1699999994244],
  ['a', minute, 1699999960536],
  ['', 100, 1699999999930],
])('slots are those of Prometheus: %s %d', (file, intervalMs, slotMs) => {
  expect(slotBefore(1_700_000_000_000, intervalMs, groupPhaseMs(file, 'node', intervalMs))).toBe(slotMs)
})

it('xxhash64', () => {
  expect(xxhash64(new Uint8Array()).toString(16)).toBe('ef46db3751d8e999')
  expect(xxhash64(new TextEncoder().encode('abc')).toString(16)).toBe('44bc2cf5ad770999')
})

it.each([
  [{ a: '1', c: '3' }, ['b', '2'], { a: '1', b: '2', c: '3' }],
  [{ a: '1', c: '3' }, ['a', '', 'c', '4', 'd', '5'], { c: '4', d: '5' }],
  [{}, ['x', '', 'y', '1'], { y: '1' }],
])('overrides labels: %j + %j', (labels, changes, want) => {
  expect(labelsToObject(overrideLabels(labelsFromObject(labels as Record<string, string>), changes))).toEqual(want)
})

it('records under the rule name and labels', () => {
  const samples = recordSamples('job:up', ['job', 'api', 'old', ''], vectorOf([{ __name__: 'up', job: 'x', old: '1', z: '1' }, 5]), 0)
  expect(samples.labels.map(printSeries)).toEqual(['job:up{job="api", z="1"}'])
  expect([...samples.values]).toEqual([5])
})

it('refuses samples that become the same, and too many', () => {
  const vector = vectorOf([{ a: '1' }, 1], [{ a: '2' }, 2])
  expect(() => recordSamples('r', ['a', '3'], vector, 0)).toThrow(
    'vector contains metrics with the same labelset after applying rule labels',
  )
  expect(() => recordSamples('r', [], vector, 1)).toThrow('exceeded limit of 1 with 2 series')
  expect(recordSamples('r', [], vector, 2).labels).toHaveLength(2)
})

function alert(options: Partial<AlertingRuleOptions> = {}, restored = true): AlertingRule {
  const full: AlertingRuleOptions = {
    kind: 'alert',
    name: 'Down',
    expr: 'up == 0',
    forMs: 0,
    keepFiringForMs: 0,
    labels: [],
    annotations: [],
    position,
    ...options,
  }
  return new AlertingRule(full, [], restored)
}

function evaluation(timeMs: number, more: Partial<AlertEvaluation> = {}): AlertEvaluation {
  return {
    timeMs,
    queryOffsetMs: 0,
    limit: 0,
    externalLabels: labelsMap(['dc', 'eu']),
    externalUrl: 'http://prom/x',
    pathPrefix: '/x',
    query: () => Promise.resolve(vectorOf()),
    signal: new AbortController().signal,
    monotonicMs: () => 0,
    expanded: () => {},
    ...more,
  }
}

const down = vectorOf([{ __name__: 'up', job: 'a' }, 0])
const nothing = vectorOf()

/** States after each step of `minutes: vector`. */
async function states(rule: AlertingRule, steps: readonly (readonly [minutes: number, vector: QueryVector])[]): Promise<string[]> {
  const out: string[] = []
  for (const [minutes, vector] of steps) {
    await rule.evaluate(vector, evaluation(minutes * minute))
    out.push([...rule.active.values()].map(({ state }) => state).join() || '-')
  }
  return out
}

it.each<[string, Partial<AlertingRuleOptions>, [number, QueryVector][], string[]]>([
  ['fires at once without for', {}, [[0, down]], ['firing']],
  ['waits for `for`', { forMs: 2 * minute }, [[0, down], [1, down], [2, down]], ['pending', 'pending', 'firing']],
  ['forgets what was pending', { forMs: 2 * minute }, [[0, down], [1, nothing], [2, down]], ['pending', '-', 'pending']],
  ['keeps what is resolved for 15 minutes', {}, [[0, down], [1, nothing], [16, nothing], [17, nothing]], ['firing', 'inactive', 'inactive', '-']],
  ['fires anew after it was resolved', {}, [[0, down], [1, nothing], [2, down]], ['firing', 'inactive', 'firing']],
  ['keeps firing', { keepFiringForMs: 2 * minute }, [[0, down], [1, nothing], [2, nothing], [3, nothing]], ['firing', 'firing', 'firing', 'inactive']],
  ['a return resets keep_firing_for', { keepFiringForMs: 2 * minute }, [[0, down], [1, nothing], [2, down], [3, nothing], [4, nothing], [5, nothing]], ['firing', 'firing', 'firing', 'firing', 'firing', 'inactive']],
  ['pending is not kept', { forMs: 5 * minute, keepFiringForMs: 5 * minute }, [[0, down], [1, nothing]], ['pending', '-']],
])('%s', async (_, options, steps, want) => {
  expect(await states(alert(options), steps)).toEqual(want)
}) // prettier-ignore

it('the retention is longer than 15 minutes after resolution, not after firing', async () => {
  const rule = alert()
  await rule.evaluate(down, evaluation(0))
  await rule.evaluate(nothing, evaluation(minute))
  await rule.evaluate(nothing, evaluation(minute + resolvedRetentionMs))
  expect(rule.active.size).toBe(1)
  await rule.evaluate(nothing, evaluation(minute + resolvedRetentionMs + 1))
  expect(rule.active.size).toBe(0)
})

it('goes back to pending where the hold time has grown', async () => {
  const before = alert({ forMs: minute })
  await states(before, [[0, down], [1, down]]) // prettier-ignore
  const after = alert({ forMs: 5 * minute })
  for (const [key, each] of before.active) after.active.set(key, each)
  expect(await states(after, [[2, down], [5, down]])).toEqual(['pending', 'firing']) // prettier-ignore
})

it('writes ALERTS and ALERTS_FOR_STATE with expanded labels', async () => {
  const rule = alert({ labels: ['gone', '{{ $labels.nope }}', 'severity', '{{ if eq $value 0.0 }}page{{ end }}'], forMs: minute })
  const samples = await rule.evaluate(down, evaluation(90_500))
  expect(samples.labels.map((labels, i) => `${printSeries(labels)} ${samples.values[i]}`)).toEqual([
    'ALERTS{alertname="Down", alertstate="pending", job="a", severity="page"} 1',
    'ALERTS_FOR_STATE{alertname="Down", job="a", severity="page"} 90',
  ])
})

it('writes nothing before `for` state was restored', async () => {
  const rule = alert({}, false)
  expect((await rule.evaluate(down, evaluation(0))).labels).toEqual([])
  expect(rule.state()).toBe('firing')
})

it('expands annotations, asks queries, and says where a template is at fault', async () => {
  const failures: (string | null)[] = []
  const rule = alert({
    annotations: [
      'a',
      'value {{ $value }} of {{ $labels.job }} in {{ $externalLabels.dc }} at {{ $externalURL }} {{ pathPrefix }}',
      'b',
      '{{ with query "count(up)" }}{{ . | first | value }}{{ end }} of {{ .ExternalURL }}',
      'c',
      '{{ $labels.job.x }}',
      'd',
      '{{ nope }}',
      'e',
      'plain',
    ],
  })
  const asked: unknown[] = []
  await rule.evaluate(
    vectorOf([{ job: 'a' }, 1.5]),
    evaluation(minute, {
      expanded: (failure) => void failures.push(failure),
      query: (expr, timeMs) => {
        asked.push([expr, timeMs])
        return Promise.resolve(vectorOf([{}, 42]))
      },
    }),
  )
  const [only] = rule.active.values()
  expect(labelsToObject(only!.annotations)).toEqual({
    a: 'value 1.5 of a in eu at http://prom/x /x',
    b: '42 of http://prom/x',
    c: '<error expanding template: error executing template __alert_Down: template: __alert_Down:1:122: executing "__alert_Down" at <$labels.job.x>: can\'t evaluate field x in type string>',
    d: '<error expanding template: error parsing template __alert_Down: template: __alert_Down:1: function "nope" not defined>',
    e: 'plain',
  })
  expect(asked).toEqual([['count(up)', minute]])
  expect(failures.filter((failure) => failure !== null)).toHaveLength(2)
  expect(failures).toHaveLength(5)
})

it('refuses equal label sets and too many alerts', async () => {
  const rule = alert({ labels: ['job', 'same'] })
  const two = vectorOf([{ job: 'a' }, 1], [{ job: 'b' }, 1])
  await expect(rule.evaluate(two, evaluation(0))).rejects.toThrow(
    'vector contains metrics with the same labelset after applying alert labels',
  )
  const limited = alert()
  await expect(limited.evaluate(two, evaluation(0, { limit: 1 }))).rejects.toThrow('exceeded limit of 1 with 2 alerts')
  expect(limited.active.size).toBe(0)
})

it('sends firing alerts again after the delay and resolved ones at once', async () => {
  const rule = alert()
  await rule.evaluate(down, evaluation(0))
  const sent = (timeMs: number): string[] => rule.takeUnsent(timeMs, minute, 15_000).map((each) => `${each.state} ${each.validUntilMs}`)
  expect(sent(0)).toEqual(['firing 240000'])
  expect(sent(minute)).toEqual([])
  expect(sent(minute + 1)).toEqual(['firing 300001'])
  await rule.evaluate(nothing, evaluation(minute + 2))
  expect(sent(minute + 2)).toEqual(['inactive 300002'])
  expect(sent(minute + 3)).toEqual([])
  const [resolved] = rule.active.values()
  expect(needsSending({ ...resolved!, state: 'pending' }, 1e9, 0)).toBe(false)
})

it.each([
  // active, down, now, for, grace → active
  ['was firing', 0, 600_000, 900_000, 600_000, 600_000, 0],
  ['less than the grace period was missing', 0, 900_000, 1_000_000, 1_200_000, 600_000, 1_000_000 + 600_000 - 1_200_000],
  ['more was missing: the pause does not count', 0, 300_000, 1_000_000, 1_200_000, 600_000, 700_000],
  ['exactly the grace period was missing', 0, 600_000, 1_000_000, 1_200_000, 600_000, 400_000],
])('restores: %s', (_, activeAtMs, downAtMs, nowMs, forMs, graceMs, want) => {
  expect(restoredActiveAt(activeAtMs, downAtMs, nowMs, forMs, graceMs)).toBe(want)
})

it('restores by labels, leaves stale series alone, and asks only for what the rule wrote', async () => {
  const rule = alert({ forMs: 20 * minute, labels: ['severity', 'page', 'who', '{{ $labels.job }}'] }, false)
  const both = vectorOf([{ job: 'a' }, 0], [{ job: 'b' }, 0])
  await rule.evaluate(both, evaluation(60 * minute))
  expect(forStateMatchers(rule)).toEqual([
    { name: '__name__', kind: '=', value: 'ALERTS_FOR_STATE' },
    { name: 'alertname', kind: '=', value: 'Down' },
    { name: 'severity', kind: '=', value: 'page' },
  ])
  const series = (job: string): Record<string, string> => ({
    __name__: 'ALERTS_FOR_STATE',
    alertname: 'Down',
    job,
    severity: 'page',
    who: job,
  })
  const found = {
    labels: [labelsFromObject(series('a')), labelsFromObject(series('b'))],
    times: Float64Array.of(50 * minute, 50 * minute),
    values: Float64Array.of(49 * 60, staleNaN),
  }
  const ranges: number[][] = []
  await restoreRule(
    rule,
    60 * minute,
    { outageToleranceMs: 60 * minute, forGracePeriodMs: 10 * minute },
    (_, startMs, endMs) => {
      ranges.push([startMs, endMs])
      return Promise.resolve(found)
    },
    new AbortController().signal,
  )
  expect(ranges).toEqual([[0, 60 * minute]])
  expect([...rule.active.values()].map(({ activeAtMs }) => activeAtMs / minute)).toEqual([59, 60])
  expect(rule.restored).toBe(true)
  applyForState(rule, { labels: [], times: new Float64Array(0), values: new Float64Array(0) }, 0, 0)
})

it('does not restore rules with a `for` below the grace period, and is restored even after a failure', async () => {
  const short = alert({ forMs: minute }, false)
  const options = { outageToleranceMs: minute, forGracePeriodMs: 10 * minute }
  const { signal } = new AbortController()
  await restoreRule(short, 0, options, () => Promise.reject(new Error('never asked')), signal)
  expect(short.restored).toBe(true)
  const long = alert({ forMs: 30 * minute }, false)
  await expect(restoreRule(long, 0, options, () => Promise.reject(new Error('gone')), signal)).rejects.toThrow('gone')
  expect(long.restored).toBe(true)
})

const dependent = (kind: 'record' | 'alert', name: string, expr: string) => ({ kind, name, expr: readExpression(expr, allFeatures).expr })

it.each([
  ['independent', [dependent('record', 'a', 'x'), dependent('record', 'b', 'y')], [[0, 1]]],
  ['a chain', [dependent('record', 'a', 'x'), dependent('record', 'b', 'a'), dependent('record', 'c', 'b')], [[0], [1], [2]]],
  ['many on one', [dependent('record', 'a', 'x'), dependent('record', 'b', 'sum(a)'), dependent('record', 'c', 'rate(a[5m])')], [[0], [1, 2]]],
  ['a wildcard', [dependent('record', 'a', 'x'), dependent('record', 'b', '{job="x"}')], [[0], [1]]],
  ['a pattern', [dependent('record', 'ab', 'x'), dependent('record', 'b', '{__name__=~"a.*"}')], [[0], [1]]],
  ['alerts', [dependent('alert', 'A', 'x'), dependent('alert', 'B', 'ALERTS{alertname="A"}'), dependent('alert', 'C', 'ALERTS{alertname="Z"}')], [[0, 2], [1]]],
  ['all alerts', [dependent('alert', 'A', 'x'), dependent('record', 'b', 'count(ALERTS)')], [[0], [1]]],
  ['a later rule is no dependency', [dependent('record', 'a', 'b'), dependent('record', 'b', 'x')], [[0, 1]]],
  ['one rule', [dependent('record', 'a', '{x="1"}')], [[0]]],
])('batches: %s', (_, rules, want) => {
  expect(ruleBatches(rules)).toEqual(want)
}) // prettier-ignore

it('knows dependencies inside subqueries, calls and parameters', () => {
  const rules = [dependent('record', 'a', 'x'), dependent('record', 'b', 'topk(scalar(a), max_over_time((-y)[5m:1m])) + on() z')]
  expect(ruleDependencies(rules)).toEqual([new Set(), new Set([0])])
})
