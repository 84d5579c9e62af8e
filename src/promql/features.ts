// Which parts of PromQL are on: the flags that switch them, and the lists /api/v1/features shows.

import type { PromqlFeatures } from './ast.ts'
import { functionSignatures } from './functions/signatures.ts'
import { aggregateWords, modifierWords } from './lex-token.ts'

/** Reads --enable-feature names; names that are not about PromQL are left alone. */
export function promqlFeatures(names: Iterable<string>): PromqlFeatures {
  const on = new Set(names)
  return Object.freeze({
    experimentalFunctions: on.has('promql-experimental-functions'),
    extendedRangeSelectors: on.has('promql-extended-range-selectors'),
    binopFillModifiers: on.has('promql-binop-fill-modifiers'),
    delayedNameRemoval: on.has('promql-delayed-name-removal'),
  })
}

type Flags = Record<string, boolean>

/** The keyword, operator and function lists of /api/v1/features (`promql`, `promql_operators`, `promql_functions`), in name order. */
export function promqlFeatureFlags(
  features: PromqlFeatures,
  engine: Readonly<{ perStepStats: boolean; typeAndUnitLabels: boolean }>,
): { promql: Flags; operators: Flags; functions: Flags } {
  const promql: Flags = {
    at_modifier: true,
    delayed_name_removal: features.delayedNameRemoval,
    duration_expr: true,
    negative_offset: true,
    per_query_lookback_delta: true,
    per_step_stats: engine.perStepStats,
    subqueries: true,
    type_and_unit_labels: engine.typeAndUnitLabels,
  }
  for (const word of modifierWords) {
    if (word === 'anchored' || word === 'smoothed') promql[word] = features.extendedRangeSelectors
    else promql[word] = word.startsWith('fill') ? features.binopFillModifiers : true
  }
  const operators: Flags = {}
  for (const sign of '!= !~ % * + - / < </ <= == =~ > >/ >= @ ^ and atan2 or unless'.split(' ')) operators[sign] = true
  for (const word of aggregateWords) operators[word] = !word.startsWith('limit') || features.experimentalFunctions
  const functions: Flags = {}
  for (const { name, experimental } of functionSignatures.values()) functions[name] = !experimental || features.experimentalFunctions
  return { promql: inNameOrder(promql), operators: inNameOrder(operators), functions: inNameOrder(functions) }
}

function inNameOrder(flags: Flags): Flags {
  return Object.fromEntries(Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1)))
}
