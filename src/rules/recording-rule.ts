import { PromhiveError } from '../base/errors.ts'
import type { Histogram } from '../model/histogram.ts'
import type { Labels } from '../model/labels.ts'
import { labelsKey, metricNameLabel } from '../model/labels.ts'
import type { RulePairs } from './options.ts'
import type { QueryVector } from './querying.ts'
import type { RuleSamples } from './samples.ts'
import { mergePairs, overrideLabels } from './samples.ts'

/**
 * A query's answer as the samples of a recording rule: the rule's name and labels set, everything else kept.
 * Throws PromhiveError PROMQL_EXECUTION where two samples end up with the same labels, or where there are more than `limit` (0 = any number).
 */
export function recordSamples(name: string, labels: RulePairs, vector: QueryVector, limit: number): RuleSamples {
  const changes = mergePairs([metricNameLabel, name], labels)
  const out: Labels[] = vector.labels.map((each) => overrideLabels(each, changes))
  if (out.length > 1 && new Set(out.map(labelsKey)).size < out.length) {
    throw new PromhiveError('PROMQL_EXECUTION', 'vector contains metrics with the same labelset after applying rule labels', { rule: name })
  }
  if (limit > 0 && out.length > limit) {
    throw new PromhiveError('PROMQL_EXECUTION', `exceeded limit of ${limit} with ${out.length} series`, { rule: name })
  }
  const histograms: readonly (Histogram | null)[] | null = vector.histograms ?? null
  return { labels: out, values: vector.values, histograms }
}
