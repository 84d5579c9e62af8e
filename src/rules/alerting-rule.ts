import { PromhiveError } from '../base/errors.ts'
import type { Labels } from '../model/labels.ts'
import { labelsKey, metricNameLabel } from '../model/labels.ts'
import { alertTemplateData, isPlain, parseAlertTemplate, templateSamples, templateValue } from '../template/alert-template.ts'
import type { Expansion, ParsedTemplate } from '../template/expand.ts'
import { expand, expandNow } from '../template/expand.ts'
import type { TemplateEnv } from '../template/functions.ts'
import type { MapValue } from '../template/value.ts'
import type { AlertingRuleOptions, RulePairs } from './options.ts'
import type { QueryFunction, QueryVector } from './querying.ts'
import type { RuleSamples } from './samples.ts'
import { mergePairs, overrideLabels } from './samples.ts'

/**
 * The alerts of one alerting rule.
 *
 *              in the answer              active for `for`
 *   (nothing) ──────────────▶ pending ─────────────────────▶ firing ──┐ not in the answer, within `keep_firing_for`
 *                                │                             │  ▲───┘
 *                 not in the answer: forgotten   not in the answer ▼
 *                                                           inactive: kept and sent as resolved for 15 minutes
 *
 * Source: prometheus rules/alerting.go.
 */

export type AlertState = 'inactive' | 'pending' | 'firing'

/** Times are ms since the epoch; null = not set. Only the rule changes it. */
export type Alert = {
  state: AlertState
  readonly labels: Labels
  annotations: Labels
  /** At the last evaluation that returned it; 0 for a histogram. */
  value: number
  activeAtMs: number
  firedAtMs: number | null
  resolvedAtMs: number | null
  lastSentAtMs: number | null
  validUntilMs: number | null
  keepFiringSinceMs: number | null
}

/** How long a resolved alert is kept, and sent again, so that a resolution is not lost on the way. */
export const resolvedRetentionMs = 15 * 60_000

/** What evaluation needs from around the rule. */
export type AlertEvaluation = Readonly<{
  /** The slot. */
  timeMs: number
  queryOffsetMs: number
  /** 0 = none. */
  limit: number
  externalLabels: MapValue
  externalUrl: string
  pathPrefix: string
  query: QueryFunction
  signal: AbortSignal
  monotonicMs: () => number
  /** Told about every expansion; `failure` null where it worked. */
  expanded: (failure: string | null) => void
}>

/** A label or annotation value: a fixed text or a template. */
type Text = string | ParsedTemplate<TemplateEnv>

export class AlertingRule {
  readonly options: AlertingRuleOptions
  /** The group's labels and the rule's. */
  readonly labels: RulePairs
  /** False until `for` state was restored: nothing is written that the restoration would read. */
  restored: boolean
  /** By labelsKey of the alert's labels. */
  readonly active = new Map<string, Alert>()
  readonly #labelTexts: readonly (readonly [name: string, text: Text])[]
  readonly #annotationTexts: readonly (readonly [name: string, text: Text])[]

  constructor(options: AlertingRuleOptions, groupLabels: RulePairs, restored: boolean) {
    this.options = options
    this.labels = mergePairs(groupLabels, options.labels)
    this.restored = restored
    const compile = (pairs: RulePairs): (readonly [string, Text])[] => {
      const out: (readonly [string, Text])[] = []
      for (let i = 0; i < pairs.length; i += 2) {
        const text = pairs[i + 1]!
        out.push([pairs[i]!, isPlain(text) ? text : parseAlertTemplate(options.name, text)])
      }
      return out
    }
    this.#labelTexts = compile(this.labels)
    this.#annotationTexts = compile(options.annotations)
  }

  /**
   * Moves every alert to where the answer puts it.
   * @returns the samples of ALERTS and ALERTS_FOR_STATE.
   * Throws PromhiveError PROMQL_EXECUTION where two elements end up with the same labels (nothing changes then), or over `limit` (all alerts are dropped).
   */
  async evaluate(vector: QueryVector, evaluation: AlertEvaluation): Promise<RuleSamples> {
    const { timeMs, limit } = evaluation
    const found = await this.#alertsOf(vector, evaluation)
    for (const [key, alert] of found) {
      const known = this.active.get(key)
      if (known !== undefined && known.state !== 'inactive') {
        known.value = alert.value
        known.annotations = alert.annotations
      } else this.active.set(key, alert)
    }
    const live: Alert[] = []
    for (const [key, alert] of this.active) {
      if (found.has(key)) alert.keepFiringSinceMs = null
      else if (!this.#isKeptFiring(alert, timeMs)) {
        if (alert.state === 'pending' || (alert.resolvedAtMs !== null && timeMs - alert.resolvedAtMs > resolvedRetentionMs)) {
          this.active.delete(key)
        }
        if (alert.state !== 'inactive') {
          alert.state = 'inactive'
          alert.resolvedAtMs = timeMs
        }
        continue
      }
      this.#age(alert, timeMs)
      live.push(alert)
    }
    if (limit > 0 && live.length > limit) {
      this.active.clear()
      throw new PromhiveError('PROMQL_EXECUTION', `exceeded limit of ${limit} with ${live.length} alerts`, { alert: this.options.name })
    }
    return this.restored ? this.#samples(live) : noSamples
  }

  /** pending ⇄ firing, by how long the alert has been active. The hold time may have grown by a reload. */
  #age(alert: Alert, timeMs: number): void {
    const isDue = timeMs - alert.activeAtMs >= this.options.forMs
    if (alert.state === 'pending' && isDue) {
      alert.state = 'firing'
      alert.firedAtMs = timeMs
    } else if (alert.state === 'firing' && !isDue) {
      alert.state = 'pending'
      alert.firedAtMs = null
      alert.lastSentAtMs = null
      alert.keepFiringSinceMs = null
    }
  }

  #isKeptFiring(alert: Alert, timeMs: number): boolean {
    const { keepFiringForMs } = this.options
    if (alert.state !== 'firing' || keepFiringForMs === 0) return false
    alert.keepFiringSinceMs ??= timeMs
    return timeMs - alert.keepFiringSinceMs < keepFiringForMs
  }

  async #alertsOf(vector: QueryVector, evaluation: AlertEvaluation): Promise<Map<string, Alert>> {
    const { timeMs, externalLabels, externalUrl, pathPrefix } = evaluation
    const found = new Map<string, Alert>()
    const env: TemplateEnv = { nowMs: timeMs, externalUrl, pathPrefix }
    for (let i = 0; i < vector.labels.length; i++) {
      const histogram = vector.histograms?.[i] ?? null
      const value = histogram === null ? vector.values[i]! : 0
      const data = alertTemplateData(vector.labels[i]!, externalLabels, externalUrl, templateValue(value, histogram))
      const changes = [metricNameLabel, '']
      for (const [name, text] of this.#labelTexts) {
        const value = this.#expand(text, data, env, evaluation)
        changes.push(name, typeof value === 'string' ? value : await value)
      }
      changes.push('alertname', this.options.name)
      const labels = overrideLabels(vector.labels[i]!, mergePairs(changes))
      const annotations: string[] = []
      for (const [name, text] of this.#annotationTexts) {
        const value = this.#expand(text, data, env, evaluation)
        annotations.push(name, typeof value === 'string' ? value : await value)
      }
      const key = labelsKey(labels)
      if (found.has(key)) {
        throw new PromhiveError('PROMQL_EXECUTION', 'vector contains metrics with the same labelset after applying alert labels', {
          alert: this.options.name,
        })
      }
      found.set(key, {
        state: 'pending',
        labels,
        annotations,
        value,
        activeAtMs: timeMs,
        firedAtMs: null,
        resolvedAtMs: null,
        lastSentAtMs: null,
        validUntilMs: null,
        keepFiringSinceMs: null,
      })
    }
    return found
  }

  /** Waits only where a template asks a query. */
  #expand(text: Text, data: unknown, env: TemplateEnv, evaluation: AlertEvaluation): string | Promise<string> {
    const { expanded, monotonicMs } = evaluation
    if (typeof text === 'string') {
      expanded(null)
      return text
    }
    if (text.kind === 'failed')
      return this.#finish({ kind: 'failed', message: `error parsing template __alert_${this.options.name}: ${text.message}` }, evaluation)
    const { template } = text
    const now = expandNow(template, { env, data, monotonicMs })
    if (now !== null) return this.#finish(inTemplate(template.name, now), evaluation)
    const answer = async (expr: string): Promise<unknown> => {
      const { labels, values, histograms } = await evaluation.query(expr, evaluation.timeMs, evaluation.signal)
      return templateSamples(labels, values, histograms)
    }
    return expand(template, { env, data, monotonicMs, answer }).then((result) =>
      this.#finish(inTemplate(template.name, result), evaluation),
    )
  }

  #finish(result: Expansion, { expanded }: AlertEvaluation): string {
    if (result.kind === 'ok') {
      expanded(null)
      return result.text
    }
    expanded(result.message)
    return `<error expanding template: ${result.message}>`
  }

  #samples(live: readonly Alert[]): RuleSamples {
    const labels: Labels[] = []
    const values = new Float64Array(live.length * 2)
    live.forEach((alert, i) => {
      labels.push(
        overrideLabels(alert.labels, [metricNameLabel, 'ALERTS', 'alertstate', alert.state]),
        overrideLabels(alert.labels, [metricNameLabel, 'ALERTS_FOR_STATE']),
      )
      values[i * 2] = 1
      values[i * 2 + 1] = Math.floor(alert.activeAtMs / 1000)
    })
    return { labels, values, histograms: null }
  }

  /** The alerts to send now; marks them as sent and says how long they hold without news. */
  takeUnsent(timeMs: number, resendDelayMs: number, intervalMs: number): Alert[] {
    const out: Alert[] = []
    for (const alert of this.active.values()) {
      if (!needsSending(alert, timeMs, resendDelayMs)) continue
      alert.lastSentAtMs = timeMs
      // room for two evaluations or transmissions that fail
      alert.validUntilMs = timeMs + 4 * Math.max(resendDelayMs, intervalMs)
      out.push({ ...alert })
    }
    return out
  }

  /** The most urgent state of all alerts. */
  state(): AlertState {
    let state: AlertState = 'inactive'
    for (const alert of this.active.values()) {
      if (alert.state === 'firing') return 'firing'
      if (alert.state === 'pending') state = 'pending'
    }
    return state
  }
}

function inTemplate(name: string, result: Expansion): Expansion {
  return result.kind === 'ok' ? result : { kind: 'failed', message: `error executing template ${name}: ${result.message}` }
}

const noSamples: RuleSamples = { labels: [], values: new Float64Array(0), histograms: null }

/** Pending alerts stay here; resolved ones go out at once; the rest again after the delay. */
export function needsSending(alert: Alert, timeMs: number, resendDelayMs: number): boolean {
  if (alert.state === 'pending') return false
  const lastSentAtMs = alert.lastSentAtMs ?? -Infinity
  if (alert.resolvedAtMs !== null && alert.resolvedAtMs > lastSentAtMs) return true
  return lastSentAtMs + resendDelayMs < timeMs
}
