// `query instant|range|series|labels` (FEATURES 9.08). Source: prometheus cmd/promtool/query.go; values as common's model prints them.
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { compareText, quote } from '../../model/labels.ts'
import { formatFloatF, formatFloatG, parseGoFloat } from '../../model/number-text.ts'
import type { Http } from '../../ports/http.ts'
import { ApiClient, readNamedTime, secondsText, type ApiAnswer, type ApiServer } from './api-client.ts'
import { exitCodes, type CheckIo, type ExitCode } from './check-io.ts'

export type QueryFormat = 'promql' | 'json'

export type QueryRequest =
  | Readonly<{ kind: 'instant'; expr: string; time: string }>
  | Readonly<{ kind: 'range'; expr: string; start: string; end: string; stepMs: number }>
  | Readonly<{ kind: 'series'; match: readonly string[]; start: string; end: string }>
  | Readonly<{ kind: 'labels'; name: string; match: readonly string[]; start: string; end: string }>

export type QueryIo = CheckIo & Readonly<{ http: Http; nowMs(): number }>

/** How far back and ahead series and labels are looked for where no time is given. */
const everMs = 9999 * 3_600_000

/** Asks the server and prints the answer; times are Unix seconds or RFC 3339, '' = default. */
export async function query(server: ApiServer, request: QueryRequest, format: QueryFormat, io: QueryIo): Promise<ExitCode> {
  let send: (client: ApiClient) => Promise<ApiAnswer>
  try {
    send = requestOf(request, io.nowMs())
  } catch (thrown) {
    io.printError(messageOf(thrown))
    return exitCodes.failure
  }
  let client: ApiClient
  try {
    client = new ApiClient(server, io.http, io)
  } catch (thrown) {
    io.printError(`error creating API client: ${messageOf(thrown)}`)
    return exitCodes.failure
  }
  try {
    const { data, warnings } = await send(client)
    if (request.kind === 'labels') for (const warning of warnings) io.printError(`query warning: ${warning}`)
    io.print(format === 'json' ? jsonText(request.kind, data) : promqlText(request.kind, data))
    return exitCodes.success
  } catch (thrown) {
    io.printError(`query error: ${messageOf(thrown)}`)
    return exitCodes.failure
  } finally {
    await client.close()
  }
}

function requestOf(request: QueryRequest, nowMs: number): (client: ApiClient) => Promise<ApiAnswer> {
  switch (request.kind) {
    case 'instant': {
      const timeMs = request.time === '' ? nowMs : readNamedTime('evaluation', request.time)
      return (client) => client.request('POST', '/api/v1/query', [['query', request.expr], ['time', secondsText(timeMs)]]) // prettier-ignore
    }
    case 'range': {
      const endMs = request.end === '' ? nowMs : readNamedTime('end', request.end)
      const startMs = request.start === '' ? endMs - 300_000 : readNamedTime('start', request.start)
      if (startMs >= endMs) throw new PromhiveError('BAD_REQUEST', 'start time is not before end time')
      const stepMs = request.stepMs === 0 ? Math.max(1, Math.floor((endMs - startMs) / 1000 / 250)) * 1000 : request.stepMs
      return (client) =>
        client.request('POST', '/api/v1/query_range', [
          ['query', request.expr],
          ['start', secondsText(startMs)],
          ['end', secondsText(endMs)],
          ['step', secondsText(stepMs)],
        ])
    }
    case 'series':
    case 'labels': {
      const startMs = request.start === '' ? nowMs - everMs : readNamedTime('start', request.start)
      const endMs = request.end === '' ? nowMs + everMs : readNamedTime('end', request.end)
      const parameters: [string, string][] = [
        ['start', secondsText(startMs)],
        ['end', secondsText(endMs)],
        ...request.match.map((selector): [string, string] => ['match[]', selector]),
      ]
      if (request.kind === 'series') return (client) => client.request('POST', '/api/v1/series', parameters)
      return (client) => client.request('GET', `/api/v1/label/${encodeURIComponent(request.name)}/values`, parameters)
    }
  }
}

type Metric = Readonly<Record<string, string>>
type Sample = readonly [time: number, value: string]
type HistogramSample = readonly [time: number, histogram: Readonly<{ count: string; sum: string; buckets?: readonly Bucket[] }>]
type Bucket = readonly [boundaries: number, lower: string, upper: string, count: string]
type Result =
  | Readonly<{ resultType: 'vector'; result: readonly Readonly<{ metric: Metric; value?: Sample; histogram?: HistogramSample }>[] }>
  | Readonly<{ resultType: 'matrix'; result: readonly Stream[] }>
  | Readonly<{ resultType: 'scalar' | 'string'; result: Sample }>
type Stream = Readonly<{ metric: Metric; values?: readonly Sample[]; histograms?: readonly HistogramSample[] }>

function promqlText(kind: QueryRequest['kind'], data: unknown): string {
  if (kind === 'labels') return (data as readonly string[]).join('\n')
  if (kind === 'series') return (data as readonly Metric[]).map(labelSetText).join('\n')
  const answer = data as Result
  switch (answer.resultType) {
    case 'vector':
      return answer.result
        .map(
          ({ metric, value, histogram }) =>
            `${metricText(metric)} => ${value === undefined ? histogramText(histogram!) : sampleText(value)}`,
        )
        .join('\n')
    case 'matrix':
      return inOrder(answer.result)
        .map(
          ({ metric, values = [], histograms = [] }) =>
            `${metricText(metric)} =>\n${[...values.map(sampleText), ...histograms.map(histogramText)].join('\n')}`,
        )
        .join('\n')
    case 'scalar':
      return `scalar: ${valueText(answer.result[1])} @[${formatFloatF(answer.result[0])}]`
    case 'string':
      return answer.result[1]
  }
}

/** Fewer labels come first, then the labels in the order of their names. @see common model.LabelSet.Before */
function inOrder(streams: readonly Stream[]): Stream[] {
  const compare = (a: Metric, b: Metric): number => {
    const byCount = Object.keys(a).length - Object.keys(b).length
    if (byCount !== 0) return byCount
    for (const name of [...new Set([...Object.keys(a), ...Object.keys(b)])].sort(compareText)) {
      if (!(name in a)) return 1
      if (!(name in b)) return -1
      const order = compareText(a[name]!, b[name]!)
      if (order !== 0) return order
    }
    return 0
  }
  return streams.toSorted((a, b) => compare(a.metric, b.metric))
}

function labelTexts(metric: Metric): string[] {
  return Object.entries(metric)
    .map(([name, value]): [string, string] => [name, `${name}=${quote(value)}`])
    .sort(([a], [b]) => compareText(a, b))
    .map(([, text]) => text)
}

export function labelSetText(metric: Metric): string {
  return `{${labelTexts(metric).join(', ')}}`
}

/** `name{label="value", …}`, as Go prints a metric. */
export function metricText({ __name__: name, ...labels }: Metric): string {
  const texts = labelTexts(labels as Metric)
  if (texts.length === 0) return name ?? '{}'
  return `${name ?? ''}{${texts.join(', ')}}`
}

function valueText(text: string): string {
  return formatFloatF(parseGoFloat(text) ?? NaN)
}

function sampleText([time, value]: Sample): string {
  return `${valueText(value)} @[${formatFloatF(time)}]`
}

function histogramText([time, { count, sum, buckets = [] }]: HistogramSample): string {
  const fixed = (text: string): string => {
    const value = parseGoFloat(text) ?? NaN
    return Number.isFinite(value) ? value.toFixed(6) : formatFloatF(value)
  }
  return `Count: ${fixed(count)}, Sum: ${fixed(sum)}, Buckets: [${buckets.map(bucketText).join(' ')}] @[${formatFloatF(time)}]`
}

function bucketText([boundaries, lower, upper, count]: Bucket): string {
  const edge = (text: string): string => formatFloatG(parseGoFloat(text) ?? NaN)
  const [open, close] = [boundaries === 1 || boundaries === 3 ? '[' : '(', boundaries === 0 || boundaries === 3 ? ']' : ')']
  return `${open}${edge(lower)},${edge(upper)}${close}:${valueText(count)}`
}

/** As Go writes JSON: keys of a map in order, numbers without exponent, and what HTML knows escaped. */
function jsonText(kind: QueryRequest['kind'], data: unknown): string {
  const value = kind === 'labels' ? data : kind === 'series' ? (data as readonly Metric[]).map(sortedMetric) : plainResult(data as Result)
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function plainResult(answer: Result): unknown {
  switch (answer.resultType) {
    case 'vector':
      return answer.result.map(({ metric, value, histogram }) => ({
        metric: sortedMetric(metric),
        ...(value === undefined ? { histogram: plainHistogram(histogram!) } : { value: plainSample(value) }),
      }))
    case 'matrix':
      return answer.result.map(({ metric, values = [], histograms = [] }) => ({
        metric: sortedMetric(metric),
        ...((values.length > 0 || histograms.length === 0) && { values: values.map(plainSample) }),
        ...(histograms.length > 0 && { histograms: histograms.map(plainHistogram) }),
      }))
    case 'scalar':
      return plainSample(answer.result)
    case 'string':
      return answer.result
  }
}

function sortedMetric(metric: Metric): Metric {
  return Object.fromEntries(Object.entries(metric).sort(([a], [b]) => compareText(a, b)))
}

function plainSample([time, value]: Sample): Sample {
  return [time, valueText(value)]
}

function plainHistogram([time, { count, sum, buckets = [] }]: HistogramSample): HistogramSample {
  const plain = buckets.map(([boundaries, lower, upper, held]): Bucket => [boundaries, valueText(lower), valueText(upper), valueText(held)])
  return [time, { count: valueText(count), sum: valueText(sum), buckets: plain }]
}
