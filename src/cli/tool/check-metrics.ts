// `check metrics` (FEATURES 9.05): parses an exposition from standard input, lints it, and counts its series.
// Source: prometheus cmd/promtool. Beyond it, OpenMetrics is checked strictly against its specification.
import { checkOpenMetrics } from '../../../protocols/exposition/openmetrics-strict.ts'
import { messageOf } from '../../base/errors.ts'
import { exitCodes } from './check-io.ts'
import type { CheckIo, ExitCode } from './check-io.ts'
import { readFamilies } from './metric-families.ts'
import type { MetricFamily } from './metric-families.ts'
import { lintMetrics } from './metric-lint.ts'

export type CheckMetricsOptions = Readonly<{
  /** Print the series of each metric. */
  extended: boolean
  lint: 'all' | 'none'
  /** auto: OpenMetrics where there is a `# EOF` line, else the text format. */
  format: 'auto' | 'text' | 'openmetrics'
}>

export async function checkMetrics(options: CheckMetricsOptions, io: CheckIo): Promise<ExitCode> {
  if (!options.extended && options.lint === 'none') {
    io.printError('error: at least one of --extended or linting must be enabled')
    io.printError('Use --extended for cardinality analysis, or remove --lint=none to enable linting')
    return exitCodes.failure
  }
  const body = await io.readStdin()
  const openMetrics =
    options.format === 'openmetrics' || (options.format === 'auto' && /^# EOF/m.test(new TextDecoder('latin1').decode(body)))
  let families: MetricFamily[]
  try {
    if (openMetrics) {
      const problems = checkOpenMetrics(body)
      for (const { line, message } of problems) io.printError(`error while linting: OpenMetrics, line ${line}: ${message}`)
      if (problems.length > 0) return exitCodes.failure
    } else if (body.length > 0 && body.at(-1) !== 0x0a) {
      io.printError('error while linting: text format parsing error: unexpected end of input, the last line must end with a line feed')
      return exitCodes.failure
    }
    families = readFamilies(body, openMetrics ? 'openmetrics' : 'text')
  } catch (thrown) {
    io.printError(`error while linting: ${messageOf(thrown)}`)
    return exitCodes.failure
  }
  const problems = options.lint === 'none' ? [] : lintMetrics(families)
  for (const { metric, text } of problems) io.printError(`${metric} ${text}`)
  if (options.extended) printCardinality(families, io)
  return problems.length > 0 ? exitCodes.lint : exitCodes.success
}

function printCardinality(families: readonly MetricFamily[], io: CheckIo): void {
  const rows = families
    .map((family) => ({ name: family.name, series: seriesOf(family) }))
    .sort((a, b) => b.series - a.series || (a.name < b.name ? -1 : 1))
  const total = rows.reduce((sum, { series }) => sum + series, 0)
  const cells = [
    ['Metric', 'Cardinality', 'Percentage'],
    ...rows.map(({ name, series }) => [name, String(series), `${((series / total) * 100).toFixed(2)}%`]),
    ['Total', String(total), '100%'],
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]!.length)) + 4)
  for (const row of cells) io.print(row.map((cell, column) => cell.padEnd(widths[column]!)).join(''))
}

/** Buckets or quantiles are counted on the first metric, as promtool does it; sum and count come on top. */
function seriesOf({ type, metrics, parts }: MetricFamily): number {
  return type === 'histogram' || type === 'summary' ? metrics.length * (2 + (parts[0] ?? 0)) : metrics.length
}
