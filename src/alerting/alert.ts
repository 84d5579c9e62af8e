import type { Labels } from '../model/labels.ts'

/** An alert on its way to Alertmanagers. Immutable; relabelling makes a new one. */
export type OutgoingAlert = Readonly<{
  labels: Labels
  /** Flat pairs like labels; values may be empty. */
  annotations: readonly string[]
  startsAtMs: number
  /** When it was resolved, or until when it holds without news. */
  endsAtMs: number
  generatorUrl: string
}>
