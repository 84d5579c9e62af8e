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
  const familyOf = (name: string): MetricFamily => {
    const known = families.get(name)
    if (known !== undefined) return known
    const made: MetricFamily = { name, type: types.get(name) ?? 'unknown', help: helps.get(name) ?? null, metrics: [], parts: [] }
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
      const { base, suffix } = splitName(name, types)
      const family = familyOf(base)
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

/** The family a series belongs to, and what its name adds. */
function splitName(name: string, types: ReadonlyMap<string, MetricType>): { base: string; suffix: string } {
  const match = /^(.+)(_bucket|_count|_sum)$/.exec(name)
  if (match !== null) {
    const type = types.get(match[1]!)
    if (type === 'histogram' || (type === 'summary' && match[2] !== '_bucket')) return { base: match[1]!, suffix: match[2]! }
  }
  // OpenMetrics names counters without their suffix
  if (!types.has(name) && name.endsWith('_total') && types.get(name.slice(0, -6)) === 'counter') return { base: name, suffix: '' }
  return { base: name, suffix: '' }
}
