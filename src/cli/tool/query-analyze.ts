// `query analyze`: how many buckets of histograms are populated over time (FEATURES 9.09). Source: prometheus cmd/promtool/analyze.go.
import { messageOf } from '../../base/errors.ts'
import { parseGoFloat } from '../../model/number-text.ts'
import { ApiClient, readTime, secondsText, type ApiServer } from './api-client.ts'
import { exitCodes, type ExitCode } from './check-io.ts'
import { labelSetText, metricText, type QueryIo } from './query.ts'

export type AnalyzeOptions = Readonly<{
  type: string
  /** As PromQL writes it. */
  duration: string
  /** RFC 3339 or Unix seconds, '' = now. */
  time: string
  match: readonly string[]
}>

const header = `Bucket stats for each histogram series over time
------------------------------------------------
First the min, avg, and max number of populated buckets, followed by the total
number of buckets (only if different from the max number of populated buckets
which is typical for classic but not native histograms).`
const footer = `Aggregated bucket stats
-----------------------
Each line shows min/avg/max over the series above.`

type Series = Readonly<{
  metric: Readonly<Record<string, string>>
  values?: readonly (readonly [number, string])[]
  histograms?: readonly (readonly [number, Readonly<{ buckets?: readonly (readonly [number, string, string, string])[] }>])[]
}>
type Statistics = Readonly<{ min: number; avg: number; max: number; total: number }>

export async function analyzeQuery(server: ApiServer, options: AnalyzeOptions, io: QueryIo): Promise<ExitCode> {
  const failed = (why: string): ExitCode => {
    io.printError(why)
    return exitCodes.failure
  }
  if (options.type !== 'histogram') return failed(`analyze type is ${options.type}, must be 'histogram'`)
  let timeMs = io.nowMs()
  try {
    if (options.time !== '') timeMs = readTime(options.time)
  } catch (thrown) {
    return failed(`error parsing time '${options.time}': ${messageOf(thrown)}`)
  }
  let client: ApiClient
  try {
    client = new ApiClient(server, io.http, io)
  } catch (thrown) {
    return failed(messageOf(thrown))
  }
  const native = new Aggregate()
  const classic = new Aggregate()
  try {
    io.print(`${header}\n`)
    for (const matcher of options.match) {
      const query = `${matcher}[${options.duration}]`
      const { data } = await client.request('POST', '/api/v1/query', [['query', query], ['time', secondsText(timeMs)]]) // prettier-ignore
      const { resultType, result } = data as { resultType: string; result: readonly Series[] }
      if (resultType !== 'matrix') return failed('query of buckets resulted in non-Matrix')
      analyze(result, native, classic, io.print)
    }
    io.print(`\n${footer}`)
    if (native.count > 0) io.print(`\nNative ${native.text()}`)
    if (classic.count > 0) io.print(`\nClassic ${classic.text()}`)
    return exitCodes.success
  } catch (thrown) {
    return failed(messageOf(thrown))
  } finally {
    await client.close()
  }
}

/** Series with floats are taken for buckets of classic histograms, others for native ones. */
function analyze(matrix: readonly Series[], native: Aggregate, classic: Aggregate, print: (line: string) => void): void {
  const buckets = new Map<string, Series[]>()
  for (const series of matrix) {
    const { metric, values = [], histograms = [] } = series
    if (values.length === 0) {
      const found = nativeStatistics(histograms)
      if (found === null) continue
      print(`- ${metricText(metric)} (native): ${statisticsText(found)}`)
      native.add(found)
      continue
    }
    const { __name__: name = '', le, ...others } = metric
    if (le === undefined || !name.endsWith('_bucket')) continue
    const key = `${name}${labelSetText(others)}`
    const alike = buckets.get(key)
    if (alike === undefined) buckets.set(key, [series])
    else alike.push(series)
  }
  for (const [key, series] of buckets) {
    const found = classicStatistics(series)
    if (found === null) continue
    print(`- ${key} (classic): ${statisticsText(found)}`)
    classic.add(found)
  }
}

/** Null: not enough data. */
function nativeStatistics(histograms: NonNullable<Series['histograms']>): Statistics | null {
  if (histograms.length < 2) return null
  const counts = histograms.map(([, { buckets = [] }]) => buckets.length)
  const all = new Set(histograms.flatMap(([, { buckets = [] }]) => buckets.map(([kind, lower, upper]) => `${kind} ${lower} ${upper}`)))
  return { ...spread(counts), total: all.size }
}

/** Null: not enough data. Throws where the buckets of one time are not of one time. */
function classicStatistics(buckets: readonly Series[]): Statistics | null {
  const bound = ({ metric }: Series): number => parseGoFloat(metric['le'] ?? '') ?? 0
  const samples = buckets[0]!.values!.length
  if (samples < 2) return null
  const columns = [...buckets].sort((a, b) => bound(a) - bound(b)).map(({ values }) => values!)
  const counts = Array.from({ length: columns[0]!.length }, (_, at) => {
    let populated = 0
    let before = 0
    for (const [i, column] of columns.entries()) {
      const sample = column[at]
      if (sample === undefined) break // partial results are better than none
      if (i > 0 && sample[0] !== columns[i - 1]![at]![0]) throw new Error('matrix result is not time aligned')
      const value = Number(sample[1])
      if (Math.trunc(value - before) !== 0) populated++
      before = value
    }
    return populated
  })
  return { ...spread(counts), total: buckets.length }
}

function spread(counts: readonly number[]): Omit<Statistics, 'total'> {
  const sum = counts.reduce((a, b) => a + b, 0)
  return {
    min: counts.reduce((a, b) => Math.min(a, b), Infinity),
    avg: sum / counts.length,
    max: counts.reduce((a, b) => Math.max(a, b), 0),
  }
}

function statisticsText({ min, avg, max, total }: Statistics): string {
  return `${min}/${avg.toFixed(3)}/${max}${max === total ? '' : `/${total}`}`
}

/** Smallest, mean and largest of what the series have. */
class Distribution {
  min = Infinity
  max = 0
  avg = 0
  count = 0
  add(value: number): void {
    this.min = Math.min(this.min, value)
    this.max = Math.max(this.max, value)
    this.count++
    this.avg += value / this.count - this.avg / this.count
  }
  text(): string {
    return `${this.min}/${this.avg.toFixed(3)}/${this.max}`
  }
}

class Aggregate {
  readonly #min = new Distribution()
  readonly #avg = new Distribution()
  readonly #max = new Distribution()
  readonly #total = new Distribution()
  get count(): number {
    return this.#min.count
  }
  add({ min, avg, max, total }: Statistics): void {
    this.#min.add(min)
    this.#avg.add(Math.trunc(avg))
    this.#max.add(max)
    this.#total.add(total)
  }
  text(): string {
    const lines = [
      `histogram series (${this.count} in total):`,
      `- min populated: ${this.#min.text()}`,
      `- avg populated: ${this.#avg.text()}`,
      `- max populated: ${this.#max.text()}`,
    ]
    if (this.#max.text() !== this.#total.text()) lines.push(`- total: ${this.#total.text()}`)
    return lines.join('\n')
  }
}
