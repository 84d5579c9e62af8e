// Classic histograms of a text exposition turned into native ones with custom buckets, as they go by (FEATURES 1.18).
// Consecutive series of one histogram (same name and labels but `le`) are collected; the native one follows them.
// Source: prometheus model/textparse/nhcbparse.go. In protobuf the conversion lies in protobuf.ts, where a histogram is one message.
import { checkHistogram } from '../../src/model/histogram-check.ts'
import { classicPart, ClassicHistogram } from '../../src/model/histogram-classic.ts'
import { labelValue, metricName, withLabel, type Labels } from '../../src/model/labels.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import type { Exemplar, HistogramEntry, MetricEntry, SampleEntry } from './entries.ts'
import { parseNumber } from './numbers.ts'

/** @param keepClassic also yields the series a histogram was made of. */
export function* convertClassicHistograms(entries: Iterable<MetricEntry>, keepClassic: boolean): Generator<MetricEntry> {
  const classic = new ClassicHistogram()
  let type: MetricType = 'unknown'
  let family = ''
  let collecting: { key: string; labels: Labels; first: SampleEntry; exemplars: Exemplar[]; timeMs: number | null } | null = null
  const finish = (): HistogramEntry | null => {
    if (collecting === null) return null
    const { labels, key, first, exemplars, timeMs } = collecting
    collecting = null
    const histogram = classic.convert()
    classic.clear()
    if (typeof histogram === 'string' || checkHistogram(histogram) !== null) return null
    // a histogram keeps no exemplar without a time
    const timed = exemplars.filter((exemplar) => exemplar.timeMs !== null)
    return { kind: 'histogram', key: `histogram\xff${key}`, labels, timeMs, startTimeMs: first.startTimeMs, exemplars: timed, histogram }
  }
  try {
    for (const item of entries) {
      if (item.kind === 'sample' && type === 'histogram') {
        const member = memberOf(item, family)
        if (member !== null) {
          const labels = withLabel(withLabel(item.labels, 'le', ''), '__name__', family)
          const key = labels.join('\xff')
          if (collecting !== null && collecting.key !== key) {
            const made = finish()
            if (made !== null) yield made
          }
          collecting ??= { key, labels, first: item, exemplars: [], timeMs: item.timeMs }
          collecting.timeMs = item.timeMs
          for (const exemplar of item.exemplars) collecting.exemplars.push(exemplar)
          if (member.part === 'bucket') classic.addBucket(member.bound, item.value)
          else if (member.part === 'sum') classic.setSum(item.value)
          else classic.setCount(item.value)
          if (keepClassic) yield item
          continue
        }
      }
      const made = finish()
      if (made !== null) yield made
      if (item.kind === 'type') {
        type = item.type
        family = item.family
      }
      yield item
    }
    const made = finish()
    if (made !== null) yield made
  } finally {
    classic.clear()
  }
}

function memberOf(item: SampleEntry, family: string): { part: 'bucket' | 'sum' | 'count'; bound: number } | null {
  const found = classicPart(metricName(item.labels))
  if (found === null || found.base !== family) return null
  if (found.part !== 'bucket') return { part: found.part, bound: 0 }
  const bound = parseNumber(labelValue(item.labels, 'le'))
  return bound === null || Number.isNaN(bound) ? null : { part: 'bucket', bound }
}
