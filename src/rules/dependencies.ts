import { metricNameLabel } from '../model/labels.ts'
import { compileMatcher } from '../model/matching.ts'
import type { Expr } from '../promql/ast.ts'
import { selectorsOf } from './expression.ts'

/**
 * Which rules of a group read what an earlier rule of it writes, and which of them may run side by side.
 * Source: prometheus rules/group.go buildDependencyMap, rules/manager.go SplitGroupIntoBatches.
 */

export type DependentRule = Readonly<{ kind: 'record' | 'alert'; name: string; expr: Expr }>

/** Per rule the indexes of the earlier rules it reads; null where a selector without a metric name makes that unknowable. */
export function ruleDependencies(rules: readonly DependentRule[]): readonly ReadonlySet<number>[] | null {
  const dependencies = rules.map(() => new Set<number>())
  if (rules.length <= 1) return dependencies
  for (let i = 0; i < rules.length; i++) {
    for (const selector of selectorsOf(rules[i]!.expr)) {
      const name = selector.name === '' ? selector.matchers.find((m) => m.name === metricNameLabel) : undefined
      if (selector.name === '' && name === undefined) return null
      const matchesName = name === undefined ? (text: string) => text === selector.name : matcherTest(name)
      const readsAlerts = matchesName('ALERTS') || matchesName('ALERTS_FOR_STATE')
      const alertName = readsAlerts ? selector.matchers.find((m) => m.name === 'alertname') : undefined
      const matchesAlert = alertName === undefined ? () => true : matcherTest(alertName)
      for (let j = 0; j < i; j++) {
        const other = rules[j]!
        if (matchesName(other.name) || (readsAlerts && other.kind === 'alert' && matchesAlert(other.name))) dependencies[i]!.add(j)
      }
    }
  }
  return dependencies
}

function matcherTest(matcher: Parameters<typeof compileMatcher>[0]): (text: string) => boolean {
  const compiled = compileMatcher(matcher)
  return (text) => compiled.matches(text)
}

/**
 * Batches that run one after the other; the rules of one batch may run at the same time. First what reads nothing of the group, then, one by one
 * and in order, what reads and is read, then what is read by nobody. Unknown dependencies: every rule alone, in order.
 */
export function ruleBatches(rules: readonly DependentRule[]): readonly (readonly number[])[] {
  const dependencies = ruleDependencies(rules)
  if (dependencies === null) return rules.map((_, i) => [i])
  const isRead = new Set(dependencies.flatMap((set) => [...set]))
  const reading = rules.map((_, i) => i).filter((i) => dependencies[i]!.size > 0)
  const first = rules.map((_, i) => i).filter((i) => dependencies[i]!.size === 0)
  const last = reading.filter((i) => !isRead.has(i))
  return [first, ...reading.filter((i) => isRead.has(i)).map((i) => [i]), last].filter((batch) => batch.length > 0)
}
