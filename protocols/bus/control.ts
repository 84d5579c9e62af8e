// The control plane: what a node is told and asked over the Bus. Samples, records and query leaves never travel here.
//
//   subject   node.‹name of the node›.‹channel›          body   the channel's question; its answer comes back
//
// Questions and answers are plain data. What a node is assigned has types of the parts that act on it: those channels stand beside them.
import type { ActiveTarget, AlertmanagerUrls, DroppedTarget, RelabelStep, RuleGroupStatus, TargetMetadata } from './status.ts'
import type { Labels } from '../../src/model/labels.ts'

/** A question of type Q that is answered by an A. */
export interface Channel<Q, A> {
  readonly name: string
  /** Never there: it only carries the types. */
  readonly shape?: (question: Q) => A
}

export function channel<Q, A>(name: string): Channel<Q, A> {
  return { name }
}

/** @param node one word. */
export function subjectOf<Q, A>(node: string, { name }: Channel<Q, A>): string {
  return `node.${node}.${name}`
}

/** What status pages ask every node, each about its own share. */
export const questions = {
  activeTargets: channel<null, readonly ActiveTarget[]>('scrape.active'),
  droppedTargets: channel<null, readonly DroppedTarget[]>('scrape.dropped'),
  /** By scrape pool, those not kept for display included. */
  droppedCounts: channel<null, Readonly<Record<string, number>>>('scrape.dropped-counts'),
  scrapePools: channel<null, readonly string[]>('scrape.pools'),
  /** Fails with NOT_FOUND where there is no such pool. */
  relabelSteps: channel<Readonly<{ pool: string; labels: Labels }>, readonly RelabelStep[]>('scrape.relabel-steps'),
  /** Of one metric; '' = all. */
  metadata: channel<string, readonly TargetMetadata[]>('scrape.metadata'),
  ruleGroups: channel<null, readonly RuleGroupStatus[]>('rules.groups'),
  alertmanagers: channel<null, AlertmanagerUrls>('notifier.alertmanagers'),
} as const
