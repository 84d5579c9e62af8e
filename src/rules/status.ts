import type { Labels } from '../model/labels.ts'

/** What the API shows of groups, rules and alerts. The shape src/api asks for. Durations and times in ms; time 0 = never or not set. */

export type RuleGroupStatus = Readonly<{
  name: string
  file: string
  intervalMs: number
  limit: number
  /** Of the last evaluation. */
  evaluationMs: number
  lastEvaluationMs: number
  rules: readonly RuleStatus[]
}>

export type RuleHealth = 'unknown' | 'ok' | 'err'

type RuleCommon = Readonly<{
  name: string
  /** The expression as PromQL prints it. */
  query: string
  labels: Labels
  health: RuleHealth
  /** '' = none. */
  lastError: string
  evaluationMs: number
  lastEvaluationMs: number
}>

export type RuleStatus =
  | (RuleCommon & Readonly<{ kind: 'recording' }>)
  | (RuleCommon &
      Readonly<{
        kind: 'alerting'
        state: 'unknown' | 'inactive' | 'pending' | 'firing'
        holdMs: number
        keepFiringMs: number
        annotations: Labels
        /** Pending and firing. */
        alerts: readonly AlertStatus[]
      }>)

export type AlertStatus = Readonly<{
  labels: Labels
  annotations: Labels
  state: 'inactive' | 'pending' | 'firing'
  activeAtMs: number
  keepFiringSinceMs: number
  value: number
}>
