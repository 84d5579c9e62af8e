/**
 * Rule groups as the configuration hands them over: validated, frozen, free of files and clocks.
 * Expressions and templates are text here, checked when the file was read.
 */

/**
 * Labels or annotations of a rule as written: `[name, value, name, value, …]` sorted by name, names unique. Unlike `Labels` a value may be
 * empty: an empty label value removes the label of that name from the result.
 */
export type RulePairs = readonly string[]

/** Where something stands in a file; both count from 1. */
export type RulePosition = Readonly<{ line: number; column: number }>

export type RecordingRuleOptions = Readonly<{
  kind: 'record'
  /** The metric name results are recorded under. */
  name: string
  /** PromQL as written. */
  expr: string
  labels: RulePairs
  position: RulePosition
}>

export type AlertingRuleOptions = Readonly<{
  kind: 'alert'
  /** The value of the `alertname` label. */
  name: string
  /** PromQL as written. */
  expr: string
  forMs: number
  keepFiringForMs: number
  /** Values are templates. */
  labels: RulePairs
  /** Values are templates. */
  annotations: RulePairs
  position: RulePosition
}>

export type RuleOptions = RecordingRuleOptions | AlertingRuleOptions

export type RuleGroup = Readonly<{
  name: string
  /** Absolute path of the file the group stands in. Name and file together identify a group. */
  file: string
  /** Null: `global.evaluation_interval`. */
  intervalMs: number | null
  /** Null: `global.rule_query_offset`. */
  queryOffsetMs: number | null
  /** Alerts or series one rule may give; 0 = no limit. */
  limit: number
  /** Labels of every rule; a rule's own label of the same name wins. */
  labels: RulePairs
  rules: readonly RuleOptions[]
}>

/** What holds for all groups of one configuration. */
export type RuleManagerOptions = Readonly<{
  groups: readonly RuleGroup[]
  /** `global.evaluation_interval`. */
  intervalMs: number
  /** `global.rule_query_offset`. */
  queryOffsetMs: number
  /** `global.external_labels`, for templates. */
  externalLabels: readonly string[]
}>

/** Command-line flags the rules listen to, with Prometheus' defaults. */
export type RuleFlags = Readonly<{
  /** --web.external-url, without a trailing slash. */
  externalUrl: string
  /** --rules.alert.resend-delay */
  resendDelayMs: number
  /** --rules.alert.for-outage-tolerance */
  outageToleranceMs: number
  /** --rules.alert.for-grace-period */
  forGracePeriodMs: number
  /** --rules.max-concurrent-evals; used only with concurrentEvals. */
  maxConcurrentEvals: number
  /** --enable-feature=concurrent-rule-eval */
  concurrentEvals: boolean
  /** Restore `for` state of groups a reload adds, not only after a start. Off in Prometheus' server, which has no flag for it. */
  restoreNewRuleGroups: boolean
}>

export const defaultRuleFlags: RuleFlags = {
  externalUrl: '',
  resendDelayMs: 60_000,
  outageToleranceMs: 3_600_000,
  forGracePeriodMs: 600_000,
  maxConcurrentEvals: 4,
  concurrentEvals: false,
  restoreNewRuleGroups: false,
}
