// An exposition grouped by families, for linting: what a client library would hold in memory.
import { readTextEntries, plainReading } from '../../../protocols/exposition/entries.ts'
import type { MetricType } from '../../model/metadata.ts'
import { labelsKey, labelValue, metricName, withoutLabels } from '../../model/labels.ts'
import type { Labels } from '../../model/labels.ts'

export type MetricFamily = {
  readonly name: string
  /** As the text format knows them; unknown for all others. */
  readonly type: MetricType
  /** Null: no # HELP line. */
  help: string | null
  /** Labels of each metric without the name; a histogram or summary is one metric for all its series. */
  readonly metrics: Labels[]
  /** Buckets or quantiles of each metric. */
  readonly parts: number[]
}

const bucketLabels: ReadonlySet<string> = new Set(['__name__', 'le'])
const quantileLabels: ReadonlySet<string> = new Set(['__name__', 'quantile'])
const nameLabel: ReadonlySet<string> = new Set(['__name__'])

/** In order of appearance. Throws PromhiveError SCRAPE, with a position, where the body is broken. */
export function readFamilies(body: Uint8Array, dialect: 'text' | 'openmetrics'): MetricFamily[] {
  const families = new Map<string, MetricFamily>()
  const positions = new Map<MetricFamily, Map<string, number>>()
  const types = new Map<string, MetricType>()
  const helps = new Map<string, string>()
  const familyOf = (name: string, metadata: string): MetricFamily => {
    const known = families.get(name)
    if (known !== undefined) return known
    const type = textType(types.get(metadata) ?? 'unknown')
    const made: MetricFamily = { name, type, help: helps.get(metadata) ?? null, metrics: [], parts: [] }
    families.set(name, made)
    positions.set(made, new Map())
    return made
  }
  for (const entry of readTextEntries(body, dialect, plainReading)) {
    if (entry.kind === 'type') types.set(entry.family, entry.type)
    else if (entry.kind === 'help') {
      helps.set(entry.family, entry.help)
      const known = families.get(entry.family)
      if (known !== undefined) known.help ??= entry.help
    } else if (entry.kind === 'sample') {
      const name = metricName(entry.labels)
      const split = splitName(name, types, dialect)
      if (split === null) continue
      const { base, metadata, suffix } = split
      const family = familyOf(base, metadata)
      const compound = family.type === 'histogram' || family.type === 'summary'
      const labels = withoutLabels(
        entry.labels,
        family.type === 'histogram' ? bucketLabels : family.type === 'summary' ? quantileLabels : nameLabel,
      )
      const isPart =
        (family.type === 'histogram' && suffix === '_bucket') || (family.type === 'summary' && labelValue(entry.labels, 'quantile') !== '')
      const key = labelsKey(labels)
      const at = compound ? positions.get(family)!.get(key) : undefined
      if (at !== undefined) {
        if (isPart) family.parts[at]!++
        continue
      }
      positions.get(family)!.set(key, family.metrics.length)
      family.metrics.push(labels)
      family.parts.push(isPart ? 1 : 0)
    }
  }
  return [...families.values()].filter(({ metrics }) => metrics.length > 0)
}

/**
 * The family a series belongs to by the name client libraries give it, the name its metadata stands under, and what its name adds to the family's.
 * Null: OpenMetrics' creation times, which are no metrics of their own.
 */
function splitName(
  name: string,
  types: ReadonlyMap<string, MetricType>,
  dialect: 'text' | 'openmetrics',
): { base: string; metadata: string; suffix: string } | null {
  const match = /^(.+)(_bucket|_count|_sum|_gcount|_gsum|_total|_info|_created)$/.exec(name)
  const type = match === null ? undefined : types.get(match[1]!)
  if (match === null || type === undefined) return { base: name, metadata: name, suffix: '' }
  const [, family, suffix] = match as unknown as [string, string, string]
  if ((type === 'histogram' && /_(bucket|count|sum)$/.test(suffix)) || (type === 'summary' && /_(count|sum)$/.test(suffix))) {
    return { base: family, metadata: family, suffix }
  }
  if (dialect === 'openmetrics') {
    if (type === 'gaugehistogram') return { base: family, metadata: family, suffix }
    if (suffix === '_created') return null
    // The text format's names hold the suffix, and so do the rules about them
    if ((type === 'counter' && suffix === '_total') || (type === 'info' && suffix === '_info'))
      return { base: name, metadata: family, suffix: '' }
  }
  return { base: name, metadata: name, suffix: '' }
}

/** OpenMetrics has types the text format lacks; clients expose them there as these. */
function textType(type: MetricType): MetricType {
  return type === 'info' || type === 'stateset' ? 'gauge' : type === 'gaugehistogram' ? 'histogram' : type
}
