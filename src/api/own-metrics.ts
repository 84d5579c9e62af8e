// The program's own metrics in the text formats.
import { utf8Bytes } from '../base/bytes.ts'
import type { MetricFamily } from '../base/metrics.ts'
import { formatFloatG } from '../model/number-text.ts'
import { seriesText, type MetricFormat } from './metric-format.ts'

/** OpenMetrics writes floats, so that `1` is `1.0`. */
function openMetricsNumber(value: number): string {
  const text = formatFloatG(value)
  return /^-?\d+$/.test(text) ? text + '.0' : text
}

export function writeFamilies(families: readonly MetricFamily[], format: MetricFormat): Uint8Array {
  const open = format.kind === 'openmetrics'
  const parts: string[] = []
  for (const { name, help, kind, samples } of families) {
    // a counter's family in OpenMetrics has no _total
    const family = open && kind === 'counter' ? name.replace(/_total$/, '') : name
    const text = open
      ? help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
      : help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
    if (help !== '') parts.push(`# HELP ${family} ${text}\n`)
    parts.push(`# TYPE ${family} ${kind}\n`)
    for (const { suffix, labels, value } of samples) {
      const own = open && kind === 'counter' ? `${family}_total` : name + suffix
      parts.push(
        `${seriesText(own, open ? openMetricsLabels(labels, kind) : labels)} ${open && suffix !== '_count' && suffix !== '_bucket' ? openMetricsNumber(value) : formatFloatG(value)}\n`,
      )
    }
  }
  if (open) parts.push('# EOF\n')
  return utf8Bytes(parts.join(''))
}

/** `le` and `quantile` are floats there as well. */
function openMetricsLabels(labels: readonly string[], kind: MetricFamily['kind']): readonly string[] {
  const at = labels.length - 2
  const isBound = at >= 0 && ((kind === 'histogram' && labels[at] === 'le') || (kind === 'summary' && labels[at] === 'quantile'))
  if (!isBound || !/^-?\d+$/.test(labels[at + 1]!)) return labels
  return [...labels.slice(0, -1), `${labels[at + 1]}.0`]
}
