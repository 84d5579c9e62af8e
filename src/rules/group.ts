import { appendAll } from '../base/append-all.ts'
import { PromhiveError, messageOf } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { pathOf } from '../base/url-path.ts'
import type { Appender } from '../model/appender.ts'
import type { PromqlFeatures } from '../promql/ast.ts'
import { labelsMap } from '../template/alert-template.ts'
import type { MapValue } from '../template/value.ts'
import type { Alert } from './alerting-rule.ts'
import { AlertingRule } from './alerting-rule.ts'
import { ruleBatches } from './dependencies.ts'
import type { Expression } from './expression.ts'
import { readExpression } from './expression.ts'
import type { RecordingRuleOptions, RuleFlags, RuleGroup, RulePairs } from './options.ts'
import type { QueryFunction, SelectLastFunction } from './querying.ts'
import { recordSamples } from './recording-rule.ts'
import { restoreRule } from './restore.ts'
import type { RuleMetrics } from './rule-metrics.ts'
import { mergePairs } from './samples.ts'
import type { AlertStatus, RuleGroupStatus, RuleHealth, RuleStatus } from '../../protocols/bus/status.ts'
import type { WrittenSeries } from './written-series.ts'
import { WrittenSeriesSet, writeStale } from './written-series.ts'

/** Alerts of one rule that should go out now; `expr` is the rule's expression. */
export type NotifyFunction = (expr: string, alerts: readonly Alert[]) => void

/** What the groups of one manager share. The settings change with the configuration. */
export type RuleEnvironment = Readonly<{
  query: QueryFunction
  selectLast: SelectLastFunction
  appender: Appender
  notify: NotifyFunction
  nowMs: () => number
  monotonicMs: () => number
  logger: Logger
  metrics: RuleMetrics
  flags: RuleFlags
  features: PromqlFeatures
  settings: RuleSettings
  /** Places for rules that run beside others. */
  places: EvaluationPlaces
}>
export type RuleSettings = { externalLabels: MapValue; queryOffsetMs: number }

export function ruleSettings(externalLabels: readonly string[], queryOffsetMs: number): RuleSettings {
  return { externalLabels: labelsMap(externalLabels), queryOffsetMs }
}

/** Counts rules evaluated beside others, over all groups: --rules.max-concurrent-evals. */
export class EvaluationPlaces {
  #free: number
  constructor(places: number) {
    this.#free = places
  }
  take(): boolean {
    if (this.#free <= 0) return false
    this.#free--
    return true
  }
  giveBack(): void {
    this.#free++
  }
}

type Rule = {
  readonly options: RecordingRuleOptions | AlertingRule['options']
  /** Null for a recording rule. */
  readonly alerting: AlertingRule | null
  readonly labels: RulePairs
  readonly expression: Expression
  written: WrittenSeriesSet
  health: RuleHealth
  lastError: string
  evaluationMs: number
  lastEvaluationMs: number
}

/** `file;name`: how metrics, paging and reloads know a group. */
export function groupKey(group: Readonly<{ file: string; name: string }>): string {
  return `${group.file};${group.name}`
}

/**
 * The rules of one group with all they remember. `evaluate` runs one slot; the actor around it knows when. Evaluations must not overlap.
 * Source: prometheus rules/group.go.
 */
export class GroupState {
  readonly options: RuleGroup
  readonly intervalMs: number
  readonly key: string
  /** Whether `for` state is to be restored after the second evaluation. */
  shouldRestore: boolean
  readonly #environment: RuleEnvironment
  readonly #query: QueryFunction
  readonly #rules: readonly Rule[]
  readonly #batches: readonly (readonly number[])[] | null
  readonly #logger: Logger
  #stale: WrittenSeries[] = []
  #evaluationMs = 0
  #lastEvaluationMs = 0
  #stopped = false
  readonly #abort = new AbortController()

  constructor(options: RuleGroup, intervalMs: number, shouldRestore: boolean, environment: RuleEnvironment) {
    this.options = options
    this.intervalMs = intervalMs
    this.key = groupKey(options)
    this.shouldRestore = shouldRestore
    this.#environment = environment
    const origin = { ruleGroup: { file: options.file, name: options.name } }
    this.#query = (expr, timeMs, signal) => environment.query(expr, timeMs, signal, origin)
    this.#logger = environment.logger.child({ file: options.file, group: options.name })
    this.#rules = options.rules.map((rule) => {
      const alerting = rule.kind === 'alert' ? new AlertingRule(rule, options.labels, !shouldRestore) : null
      return {
        options: rule,
        alerting,
        labels: alerting?.labels ?? mergePairs(options.labels, rule.labels),
        expression: readExpression(rule.expr, environment.features),
        written: new WrittenSeriesSet(),
        health: 'unknown',
        lastError: '',
        evaluationMs: 0,
        lastEvaluationMs: 0,
      }
    })
    const { concurrentEvals } = environment.flags
    const dependent = this.#rules.map(({ options: { kind, name }, expression: { expr } }) => ({ kind, name, expr }))
    this.#batches = concurrentEvals ? ruleBatches(dependent) : null
    environment.metrics.addGroup(this.key, options.rules.length, intervalMs)
  }

  /** Runs every rule for the slot. Never rejects: what fails is the health of its rule. */
  async evaluate(slotMs: number): Promise<void> {
    const { metrics, nowMs, monotonicMs } = this.#environment
    metrics.iterations.labels(this.key).inc()
    const startMs = nowMs()
    const started = monotonicMs()
    const samples = await this.#evaluateRules(slotMs)
    if (samples !== null) {
      metrics.groupSamples.labels(this.key).set(samples)
      await this.#writeStale(slotMs)
    }
    this.#evaluationMs = monotonicMs() - started
    this.#lastEvaluationMs = startMs
    const seconds = this.#evaluationMs / 1000
    metrics.observeGroup(seconds)
    metrics.groupLastDuration.labels(this.key).set(seconds)
    metrics.groupLastEvaluation.labels(this.key).set(startMs / 1000)
    metrics.groupLastRuleDurationSum.labels(this.key).set(this.#rules.reduce((sum, rule) => sum + rule.evaluationMs, 0) / 1000)
  }

  missed(iterations: number): void {
    const { metrics } = this.#environment
    metrics.iterationsMissed.labels(this.key).inc(iterations)
    metrics.iterations.labels(this.key).inc(iterations)
  }

  /** Samples given; null where the group was stopped on the way. */
  async #evaluateRules(slotMs: number): Promise<number | null> {
    let samples = 0
    if (this.#batches === null) {
      for (const rule of this.#rules) {
        if (this.#stopped) return null
        samples += await this.#evaluateRule(rule, slotMs)
      }
      return samples
    }
    const { places } = this.#environment
    for (const batch of this.#batches) {
      const running: Promise<void>[] = []
      for (const index of batch) {
        if (this.#stopped) break
        const rule = this.#rules[index]!
        if (batch.length > 1 && places.take()) {
          running.push(
            this.#evaluateRule(rule, slotMs)
              .then((count) => void (samples += count))
              .finally(() => places.giveBack()),
          )
        } else samples += await this.#evaluateRule(rule, slotMs)
      }
      await Promise.all(running)
      if (this.#stopped) return null
    }
    return samples
  }

  /** Samples given. Never rejects. */
  async #evaluateRule(rule: Rule, slotMs: number): Promise<number> {
    const { metrics, nowMs, monotonicMs } = this.#environment
    const startMs = nowMs()
    const started = monotonicMs()
    metrics.evaluations.labels(this.key).inc()
    let samples = 0
    try {
      samples = await this.#runRule(rule, slotMs)
    } catch (thrown) {
      this.#failed(rule, messageOf(thrown))
      metrics.evaluationFailures.labels(this.key).inc()
      const isCanceled = thrown instanceof PromhiveError && thrown.code === 'QUERY_CANCELED'
      if (!isCanceled) this.#logger.warn({ name: rule.options.name, err: messageOf(thrown) }, 'Evaluating rule failed')
    }
    rule.evaluationMs = monotonicMs() - started
    rule.lastEvaluationMs = startMs
    metrics.observeEvaluation(rule.evaluationMs / 1000)
    return samples
  }

  #failed(rule: Rule, why: string): void {
    rule.health = 'err'
    rule.lastError = why
  }

  async #runRule(rule: Rule, slotMs: number): Promise<number> {
    const { appender, notify, flags, settings, metrics, monotonicMs } = this.#environment
    const query = this.#query
    const queryOffsetMs = this.#queryOffsetMs()
    const sampleMs = slotMs - queryOffsetMs
    const { signal } = this.#abort
    const { text } = rule.expression
    const { limit } = this.options
    const vector = await query(text, sampleMs, signal)
    const samples =
      rule.alerting === null
        ? recordSamples(rule.options.name, rule.labels, vector, limit)
        : await rule.alerting.evaluate(vector, {
            timeMs: slotMs,
            queryOffsetMs,
            limit,
            externalLabels: settings.externalLabels,
            externalUrl: flags.externalUrl,
            pathPrefix: pathOf(flags.externalUrl),
            query,
            signal,
            monotonicMs,
            expanded: (failure) => {
              metrics.templateExpansions.inc()
              if (failure === null) return
              metrics.templateExpansionFailures.inc()
              this.#logger.warn({ alert: rule.options.name, err: failure }, 'Expanding alert template failed')
            },
          })
    rule.health = 'ok'
    rule.lastError = ''
    if (rule.alerting !== null) {
      const unsent = rule.alerting.takeUnsent(slotMs, flags.resendDelayMs, this.intervalMs)
      if (unsent.length > 0) notify(text, unsent)
    }
    const { refused } = await rule.written.write(samples, sampleMs, appender)
    if (refused !== '') {
      this.#failed(rule, refused)
      this.#logger.warn({ name: rule.options.name, err: refused }, 'Rule evaluation result discarded')
    }
    return samples.labels.length
  }

  #queryOffsetMs(): number {
    return this.options.queryOffsetMs ?? this.#environment.settings.queryOffsetMs
  }

  /** Gives pending and firing alerts their times from before the restart. Never rejects. */
  async restore(): Promise<void> {
    const { flags, selectLast, nowMs, monotonicMs, metrics } = this.#environment
    const started = monotonicMs()
    const startMs = nowMs()
    for (const { alerting } of this.#rules) {
      if (alerting === null) continue
      try {
        await restoreRule(alerting, startMs, flags, selectLast, this.#abort.signal)
      } catch (thrown) {
        this.#logger.error({ alertname: alerting.options.name, err: messageOf(thrown) }, "Failed to restore 'for' state")
      }
    }
    this.shouldRestore = false
    metrics.groupLastRestoreDuration.labels(this.key).set((monotonicMs() - started) / 1000)
  }

  /** No further rule is started; the one that runs goes on. */
  stop(): void {
    this.#stopped = true
  }

  /** Queries that run are given up as well. */
  cancel(): void {
    this.#stopped = true
    this.#abort.abort()
  }

  /**
   * Takes over the alerts (where asked for) and the written series of the group this one replaces, which must have stopped. Rules are the same where name and labels
   * are; of several alike the first goes with the first. Series of rules that are gone get staleness markers at the next evaluation.
   */
  copyState(from: GroupState, withAlerts = true): void {
    this.#evaluationMs = from.#evaluationMs
    this.#lastEvaluationMs = from.#lastEvaluationMs
    const before = new Map<string, Rule[]>()
    for (const rule of from.#rules) {
      const identity = ruleIdentity(rule)
      const alike = before.get(identity)
      if (alike === undefined) before.set(identity, [rule])
      else alike.push(rule)
    }
    for (const rule of this.#rules) {
      const old = before.get(ruleIdentity(rule))?.shift()
      if (old === undefined) continue
      rule.written.adopt(old.written)
      if (withAlerts && rule.alerting !== null && old.alerting !== null)
        for (const [key, alert] of old.alerting.active) rule.alerting.active.set(key, alert)
    }
    this.#stale = [...from.#stale, ...[...before.values()].flat().flatMap((rule) => rule.written.takeAll())]
    from.#stale = []
  }

  /**
   * The same group once more, after this one failed in the middle of something. It goes on with the alerts as they are; without them, because
   * they may be what it fails of, it reads back their `for` state as after a restart of the program.
   */
  successor(environment: RuleEnvironment, withAlerts: boolean): GroupState {
    const next = new GroupState(this.options, this.intervalMs, this.shouldRestore || !withAlerts, environment)
    next.copyState(this, withAlerts)
    return next
  }

  /** Ends all series of a group that is configured no more, as of the time it stopped. Never rejects. */
  async writeStaleForAll(stoppedMs: number): Promise<void> {
    for (const rule of this.#rules) appendAll(this.#stale, rule.written.takeAll())
    await this.#writeStale(stoppedMs)
  }

  async #writeStale(timeMs: number): Promise<void> {
    if (this.#stale.length === 0) return
    try {
      await writeStale(this.#stale, timeMs - this.#queryOffsetMs(), this.#environment.appender)
      this.#stale = []
    } catch (thrown) {
      this.#logger.warn({ err: messageOf(thrown) }, 'Stale sample appending for previous configuration failed')
    }
  }

  status(): RuleGroupStatus {
    const { name, file, limit } = this.options
    return {
      name,
      file,
      intervalMs: this.intervalMs,
      limit,
      evaluationMs: this.#evaluationMs,
      lastEvaluationMs: this.#lastEvaluationMs,
      rules: this.#rules.map(statusOf),
    }
  }
}

function ruleIdentity(rule: Rule): string {
  return [rule.options.name, ...rule.labels].join('\xff')
}

function statusOf(rule: Rule): RuleStatus {
  const shared = {
    name: rule.options.name,
    query: rule.expression.text,
    labels: rule.labels,
    health: rule.health,
    lastError: rule.lastError,
    evaluationMs: rule.evaluationMs,
    lastEvaluationMs: rule.lastEvaluationMs,
  }
  const { alerting } = rule
  if (alerting === null) return { kind: 'recording', ...shared }
  const alerts: AlertStatus[] = []
  for (const alert of alerting.active.values()) {
    if (alert.resolvedAtMs !== null) continue
    const { labels, annotations, state, activeAtMs, keepFiringSinceMs, value } = alert
    alerts.push({ labels, annotations, state, activeAtMs, keepFiringSinceMs: keepFiringSinceMs ?? 0, value })
  }
  return {
    kind: 'alerting',
    ...shared,
    state: rule.lastEvaluationMs === 0 ? 'unknown' : alerting.state(),
    holdMs: alerting.options.forMs,
    keepFiringMs: alerting.options.keepFiringForMs,
    annotations: alerting.options.annotations,
    alerts,
  }
}
