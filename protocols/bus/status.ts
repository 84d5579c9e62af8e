// What status pages show of targets, rules and alerts: plain data, as nodes answer it over the Bus. Times and durations in ms; time 0 = never or not set.
import type { Labels } from '../../src/model/labels.ts'
import type { MetricType } from '../../src/model/metadata.ts'

export type TargetHealth = 'up' | 'down' | 'unknown'
export type ActiveTarget = Readonly<{
  scrapePool: string
  discoveredLabels: Labels
  labels: Labels
  scrapeUrl: string
  lastError: string
  /** 0: never. */
  lastScrapeMs: number
  lastScrapeDurationMs: number
  health: TargetHealth
  /** As Prometheus prints durations: 15s. */
  scrapeInterval: string
  scrapeTimeout: string
}>
export type DroppedTarget = Readonly<{ scrapePool: string; discoveredLabels: Labels }>
/** `rule`: the relabel rule as it stands in the configuration, in JSON. */
export type RelabelStep = Readonly<{ rule: Readonly<Record<string, unknown>>; output: Labels; keep: boolean }>
export type TargetMetadata = Readonly<{
  target: Labels
  entries: readonly Readonly<{ metric: string; type: MetricType; help: string; unit: string }>[]
}>

/** URLs alerts go to, and URLs that relabelling dropped. */
export type AlertmanagerUrls = Readonly<{ active: readonly string[]; dropped: readonly string[] }>

export type RuleGroupStatus = Readonly<{
  name: string
  file: string
  intervalMs: number
  limit: number
  /** Of the last evaluation. */
  evaluationMs: number
  /** 0: never. */
  lastEvaluationMs: number
  rules: readonly RuleStatus[]
}>
export type RuleStatus = AlertingRuleStatus | RecordingRuleStatus
export type RuleHealth = 'unknown' | 'ok' | 'err'
type RuleCommon = Readonly<{
  name: string
  /** The expression as PromQL prints it. */
  query: string
  labels: Labels
  health: RuleHealth
  lastError: string
  evaluationMs: number
  lastEvaluationMs: number
}>
export type RecordingRuleStatus = RuleCommon & Readonly<{ kind: 'recording' }>
export type AlertingRuleStatus = RuleCommon &
  Readonly<{
    kind: 'alerting'
    state: 'unknown' | 'inactive' | 'pending' | 'firing'
    holdMs: number
    keepFiringMs: number
    annotations: Labels
    alerts: readonly AlertStatus[]
  }>
export type AlertStatus = Readonly<{
  labels: Labels
  annotations: Labels
  state: 'inactive' | 'pending' | 'firing'
  activeAtMs: number
  /** 0: not being kept. */
  keepFiringSinceMs: number
  value: number
}>
