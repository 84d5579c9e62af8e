// `tsdb dump` and `tsdb dump-openmetrics` (FEATURES 3.28, 9.13). Source: prometheus cmd/promtool/tsdb.go.
import { printHistogram } from '../../model/histogram-text.ts'
import { labelsToObject, metricName, metricNameLabel, printLabels, quote, type Labels } from '../../model/labels.ts'
import { formatFloatG } from '../../model/number-text.ts'
import { SampleColumns } from '../../model/samples.ts'
import { isStaleAt } from '../../model/staleness.ts'
import type { Disk } from '../../ports/disk.ts'
import type { Decompressors } from '../../tsdb/wal-import/log.ts'
import { readSelector, ToolDatabase, type ToolSeries } from './tsdb-database.ts'

export type DumpOptions = Readonly<{
  /** Closed range, ms; ±Infinity where none was given. */
  minTimeMs: number
  maxTimeMs: number
  /** Selectors; none: everything. */
  match: readonly string[]
  format: 'prom' | 'seriesjson'
}>

/** Throws PromhiveError, whose message is what promtool prints. `printError` gets what of the head could not be read. */
export async function dumpTsdb(
  disk: Disk,
  path: string,
  options: DumpOptions,
  decompress: Decompressors,
  print: (line: string) => void,
  printError: (line: string) => void,
): Promise<void> {
  const each = options.format === 'seriesjson' ? printSeriesJson(print) : printSamples(print)
  await dump(disk, path, options, decompress, each, printError)
}

export async function dumpOpenMetrics(
  disk: Disk,
  path: string,
  options: Omit<DumpOptions, 'format'>,
  decompress: Decompressors,
  print: (line: string) => void,
  printError: (line: string) => void,
): Promise<void> {
  await dump(disk, path, options, decompress, printOpenMetrics(print), printError)
  print('# EOF')
}

async function dump(
  disk: Disk,
  path: string,
  options: Omit<DumpOptions, 'format'>,
  decompress: Decompressors,
  each: (series: ToolSeries) => void,
  printError: (line: string) => void,
): Promise<void> {
  // `{}` selects nothing, as in Prometheus
  const selectors = (options.match.length === 0 ? ["{__name__=~'(?s:.*)'}"] : options.match)
    .map(readSelector)
    .filter(({ length }) => length > 0)
  const database = await ToolDatabase.open(disk, path, decompress)
  try {
    for (const damage of database.damages) printError(damage)
    for (const series of database.select(selectors, options.minTimeMs, options.maxTimeMs)) each(series)
  } finally {
    database.close()
  }
}

/** `{a="b"} 1 1700000000000`. */
function printSamples(print: (line: string) => void): (series: ToolSeries) => void {
  const columns = new SampleColumns()
  return ({ labels, read }) => {
    read(columns)
    const series = printLabels(labels)
    for (let i = 0; i < columns.length; i++) {
      const histogram = columns.histograms?.[i] ?? null
      print(`${series} ${histogram === null ? formatFloatG(columns.values[i]!) : printHistogram(histogram)} ${columns.times[i]}`)
    }
  }
}

function printSeriesJson(print: (line: string) => void): (series: ToolSeries) => void {
  return ({ labels }) => print(escapeHtml(JSON.stringify(labelsToObject(labels))))
}

/** As Go's encoding/json writes text. */
function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** `name{a="b"} 1 1700000000.000`; histograms and staleness markers have no form in OpenMetrics. */
function printOpenMetrics(print: (line: string) => void): (series: ToolSeries) => void {
  const columns = new SampleColumns()
  return ({ labels, read }) => {
    read(columns)
    const series = metricName(labels) + condensed(labels)
    for (let i = 0; i < columns.length; i++) {
      if ((columns.histograms?.[i] ?? null) !== null || isStaleAt(columns.bits, i)) continue
      print(`${series} ${formatFloatG(columns.values[i]!)} ${(columns.times[i]! / 1000).toFixed(3)}`)
    }
  }
}

function condensed(labels: Labels): string {
  const parts: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (labels[i] !== metricNameLabel) parts.push(`${labels[i]}=${quote(labels[i + 1]!)}`)
  return `{${parts.join(',')}}`
}
