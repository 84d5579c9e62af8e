import type { Logger } from '../../src/base/logger.ts'
import type { MetricsRegistry } from '../../src/base/metrics.ts'
import type { Appender } from '../../src/model/appender.ts'
import { compareText } from '../../src/model/labels.ts'
import type { Clock, Timer } from '../../src/ports/clock.ts'
import type { PromqlFeatures } from '../../src/promql/ast.ts'
import type { OutgoingAlert } from '../../src/alerting/alert.ts'
import type { Alert } from '../../src/rules/alerting-rule.ts'
import type { RuleEnvironment } from '../../src/rules/group.ts'
import { EvaluationPlaces, GroupState, groupKey, ruleSettings } from '../../src/rules/group.ts'
import type { RuleFlags, RuleGroup, RuleManagerOptions } from '../../src/rules/options.ts'
import type { QueryFunction, SelectLastFunction } from '../../src/rules/querying.ts'
import { RuleMetrics } from '../../src/rules/rule-metrics.ts'
import { groupPhaseMs } from '../../src/rules/slots.ts'
import type { RuleGroupStatus } from '../../protocols/bus/status.ts'
import { escapeQuery } from '../../src/template/escape-text.ts'
import type { ActorRuntime } from '../runtime/runtime.ts'
import type { ActorHandle } from '../runtime/supervised.ts'
import { ruleGroup } from './machine.ts'

export type RuleManagerParts = Readonly<{
  runtime: ActorRuntime
  query: QueryFunction
  selectLast: SelectLastFunction
  appender: Appender
  /** Takes alerts to the notifier. */
  send: (alerts: readonly OutgoingAlert[]) => void
  clock: Clock
  logger: Logger
  metrics: MetricsRegistry
  flags: RuleFlags
  features: PromqlFeatures
}>

/** `actor` is null before the manager starts: slots count from the start. A failed machine starts again with another state. */
type Running = { state: GroupState; readonly definition: string; actor: ActorHandle<typeof ruleGroup> | null }

/**
 * All rule groups of one configuration. A reload keeps groups that did not change running as they are, hands the state of changed ones over to
 * their successors, and ends the series of those that are gone after two of their intervals.
 * Source: prometheus rules/manager.go.
 */
export class RuleManager {
  readonly #parts: RuleManagerParts
  readonly #environment: RuleEnvironment
  readonly #groups = new Map<string, Running>()
  readonly #leaving = new Set<Timer>()
  /** Reloads and the stop follow one another. */
  #turn: Promise<void> = Promise.resolve()
  #applied = false
  #started = false
  #stopped = false

  constructor(parts: RuleManagerParts) {
    this.#parts = parts
    const { query, selectLast, appender, clock, logger, flags, features } = parts
    this.#environment = {
      query,
      selectLast,
      appender,
      logger,
      flags,
      features,
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      metrics: new RuleMetrics(parts.metrics),
      settings: ruleSettings([], 0),
      places: new EvaluationPlaces(flags.maxConcurrentEvals),
      notify: (expr, alerts) => parts.send(alerts.map((alert) => outgoing(alert, expr, flags.externalUrl))),
    }
  }

  /**
   * Makes these the groups that run. Resolves when replaced and removed groups have stopped. Rejects with PROMQL_PARSE, and changes nothing,
   * where an expression does not parse. Before `start` groups are only prepared. After `stop` nothing happens.
   */
  apply(options: RuleManagerOptions): Promise<void> {
    return this.#inTurn(() => this.#apply(options))
  }

  /** Starts the evaluation: to be called when the storage can be read. */
  start(): void {
    this.#started = true
    for (const group of this.#groups.values()) this.#run(group)
  }

  /** Ends all groups; queries that run are given up. Series are left open, as a restart goes on writing them. */
  stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#leaving) timer.cancel()
    this.#leaving.clear()
    for (const { state } of this.#groups.values()) state.cancel()
    return this.#inTurn(async () => {
      await Promise.all(Array.from(this.#groups.values(), (group) => this.#end(group)))
    })
  }

  /** For the API: by file and name. */
  groups(): readonly RuleGroupStatus[] {
    const all = Array.from(this.#groups.values(), ({ state }) => state.status())
    return all.sort((a, b) => compareText(a.file, b.file) || compareText(a.name, b.name))
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(task)
    this.#turn = done.catch(() => {})
    return done
  }

  async #apply(options: RuleManagerOptions): Promise<void> {
    if (this.#stopped) return
    const shouldRestore = !this.#applied || this.#parts.flags.restoreNewRuleGroups
    const wanted = new Map<string, Readonly<{ definition: string; state: GroupState | null }>>()
    for (const group of options.groups) {
      const intervalMs = group.intervalMs ?? options.intervalMs
      const definition = definitionOf(group, intervalMs)
      const isSame = this.#groups.get(groupKey(group))?.definition === definition
      wanted.set(groupKey(group), {
        definition,
        state: isSame ? null : new GroupState(group, intervalMs, shouldRestore, this.#environment),
      })
    }
    this.#applied = true
    Object.assign(this.#environment.settings, ruleSettings(options.externalLabels, options.queryOffsetMs))
    const leaving = [...this.#groups].filter(([key]) => wanted.get(key)?.state !== null)
    await Promise.all(leaving.map(([, group]) => this.#end(group)))
    for (const [key, { state }] of leaving) {
      const successor = wanted.get(key)?.state
      if (successor !== undefined && successor !== null) successor.copyState(state)
      else this.#endSeriesLater(state)
      this.#groups.delete(key)
      if (successor === undefined) this.#environment.metrics.removeGroup(key)
    }
    for (const [key, { state, definition }] of wanted) {
      if (state === null) continue
      const group: Running = { state, definition, actor: null }
      this.#groups.set(key, group)
      if (this.#started) this.#run(group)
    }
  }

  #run(group: Running): void {
    if (group.actor !== null) return
    const { clock, runtime } = this.#parts
    const { intervalMs, options, key } = group.state
    const phaseMs = groupPhaseMs(options.file, options.name, intervalMs)
    group.actor = runtime.start({
      id: key,
      kind: 'rule-group',
      machine: ruleGroup,
      input: (failed) => {
        if (failed !== null) group.state = group.state.successor(this.#environment, !failed.again)
        return { work: group.state, intervalMs, phaseMs, nowMs: () => clock.nowMs(), before: failed?.snapshot.context ?? null }
      },
      stopEvent: { type: 'stop' },
      onFailure: () => group.state.cancel(),
    })
  }

  async #end({ actor }: Running): Promise<void> {
    await actor?.stop(Infinity)
  }

  /** Two intervals give a renamed group or rule time to write the same series again. */
  #endSeriesLater(state: GroupState): void {
    const { clock } = this.#parts
    const stoppedMs = clock.nowMs()
    const timer = clock.after(2 * state.intervalMs, () => {
      this.#leaving.delete(timer)
      void state.writeStaleForAll(stoppedMs)
    })
    this.#leaving.add(timer)
  }
}

/** Everything that makes a group the group it is; where it stands in the file does not. */
function definitionOf(group: RuleGroup, intervalMs: number): string {
  return JSON.stringify({ ...group, intervalMs, rules: group.rules.map((rule) => ({ ...rule, position: null })) })
}

function outgoing(alert: Alert, expr: string, externalUrl: string): OutgoingAlert {
  return {
    labels: alert.labels,
    annotations: alert.annotations,
    startsAtMs: alert.firedAtMs ?? alert.activeAtMs,
    endsAtMs: alert.resolvedAtMs ?? alert.validUntilMs ?? alert.activeAtMs,
    generatorUrl: `${externalUrl}/graph?g0.expr=${escapeQuery(expr)}&g0.tab=1`,
  }
}
