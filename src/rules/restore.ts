import { labelsKey, metricNameLabel, withoutLabels } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'
import { equals } from '../model/matcher.ts'
import { isStaleAt } from '../model/staleness.ts'
import type { AlertingRule } from './alerting-rule.ts'
import type { LastSamples, SelectLastFunction } from './querying.ts'

/**
 * After a start, alerts that were pending or firing before it get their old times back from ALERTS_FOR_STATE, so that a restart does not make
 * every `for` wait begin anew. Source: prometheus rules/group.go RestoreForState.
 */

/**
 * When a restored alert counts as active since. All in ms.
 *   1. It had been active for all of `forMs` when we went down: as before; it fires at the next evaluation.
 *   2. Less than `gracePeriodMs` was missing: it fires after exactly the grace period from now on.
 *   3. More was missing: the time we were down does not count.
 * @param activeAtMs from the sample's value; @param downAtMs the sample's time: both whole seconds.
 */
export function restoredActiveAt(activeAtMs: number, downAtMs: number, nowMs: number, forMs: number, gracePeriodMs: number): number {
  const remainingMs = forMs - (downAtMs - activeAtMs)
  if (remainingMs <= 0) return activeAtMs
  if (remainingMs < gracePeriodMs) return nowMs + gracePeriodMs - forMs
  return activeAtMs + (nowMs - downAtMs)
}

const nameOnly: ReadonlySet<string> = new Set([metricNameLabel])

/** Selects all series one rule may have written. Labels that are templates differ per alert and are left out. */
export function forStateMatchers(rule: AlertingRule): Matcher[] {
  const matchers = [equals(metricNameLabel, 'ALERTS_FOR_STATE'), equals('alertname', rule.options.name)]
  for (let i = 0; i < rule.labels.length; i += 2) {
    const name = rule.labels[i]!
    const value = rule.labels[i + 1]!
    if (name !== 'alertname' && !value.includes('{{')) matchers.push(equals(name, value))
  }
  return matchers
}

/**
 * Restores one rule; rules with a `for` below the grace period just wait anew. Afterwards `rule.restored` is true in any case: there is no second try.
 * Rejects as the selection does.
 */
export async function restoreRule(
  rule: AlertingRule,
  nowMs: number,
  options: Readonly<{ outageToleranceMs: number; forGracePeriodMs: number }>,
  select: SelectLastFunction,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (rule.options.forMs < options.forGracePeriodMs) return
    const series = await select(forStateMatchers(rule), nowMs - options.outageToleranceMs, nowMs, signal)
    applyForState(rule, series, nowMs, options.forGracePeriodMs)
  } finally {
    rule.restored = true
  }
}

export function applyForState(rule: AlertingRule, series: LastSamples, nowMs: number, gracePeriodMs: number): void {
  const bits = new Uint32Array(series.values.buffer, series.values.byteOffset, series.values.length * 2)
  series.labels.forEach((labels, i) => {
    const alert = rule.active.get(labelsKey(withoutLabels(labels, nameOnly)))
    if (alert === undefined || isStaleAt(bits, i)) return
    const downAtMs = Math.trunc(series.times[i]! / 1000) * 1000
    const activeAtMs = Math.trunc(series.values[i]!) * 1000
    alert.activeAtMs = restoredActiveAt(activeAtMs, downAtMs, nowMs, rule.options.forMs, gracePeriodMs)
  })
}
