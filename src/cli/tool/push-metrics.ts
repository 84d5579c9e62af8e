// `push metrics`: text expositions as remote-write requests (FEATURES 9.11). Source: prometheus cmd/promtool/metrics.go, util/fmtutil.
import { messageOf } from '../../base/errors.ts'
import { utf8Text } from '../../base/bytes.ts'
import { compareText, labelsFrom, labelsKey, labelPairs, labelValue, metricName, withoutLabels, type Labels } from '../../model/labels.ts'
import type { MetricType } from '../../model/metadata.ts'
import { formatFloatG, parseGoFloat } from '../../model/number-text.ts'
import type { Http, HttpAnswer, HttpClient } from '../../ports/http.ts'
import { plainReading, readTextEntries } from '../../../protocols/exposition/entries.ts'
import { encodeSnappy } from '../../../protocols/remote/snappy.ts'
import { encodeWriteV1, encodeWriteV2, type SentMetadata, type SentSeries } from '../../../protocols/remote/write-encode.ts'
import { statusText } from '../../scrape/status-text.ts'
import { serverOf } from './api-client.ts'
import { exitCodes, type CheckIo, type ExitCode } from './check-io.ts'

export type PushOptions = Readonly<{
  url: string
  /** Of the URL's path, appended to what it has. */
  path: string
  protobufMessage: string
  labels: Readonly<Record<string, string>>
  headers: Readonly<Record<string, string>>
  timeoutMs: number
  httpConfigFile: string
}>
export type PushIo = CheckIo &
  Readonly<{ readBytes(path: string): Uint8Array; http: Http; nowMs(): number; sleep(ms: number): Promise<void> }>

const messages: Readonly<Record<string, Readonly<{ encode: typeof encodeWriteV1; contentType: string; version: string }>>> = {
  'prometheus.WriteRequest': { encode: encodeWriteV1, contentType: 'application/x-protobuf', version: '0.1.0' },
  'io.prometheus.write.v2.Request': {
    encode: encodeWriteV2,
    contentType: 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    version: '2.0.0',
  },
}

const retriesMax = 10
const firstRetryMs = 1_000
const longestRetryMs = 10_000
const retryAfterMaxMs = 300_000

/** Pushes each file, or standard input where there is none. What fails does not keep the others back. */
export async function pushMetrics(files: readonly string[], options: PushOptions, io: PushIo): Promise<ExitCode> {
  const failed = (why: unknown): ExitCode => {
    io.printError(`  FAILED: ${messageOf(why)}`)
    return exitCodes.failure
  }
  const message = messages[options.protobufMessage]
  if (message === undefined) {
    const [v1, v2] = Object.keys(messages)
    return failed(`invalid protobuf message ${JSON.stringify(options.protobufMessage)}, must be ${v1} or ${v2}`)
  }
  let client: HttpClient
  let url: string
  try {
    const server = serverOf({ url: options.url, httpConfigFile: options.httpConfigFile }, io)
    client = io.http.client(server.options)
    url = `${server.base}/${options.path.replace(/^\/+/, '')}`
  } catch (thrown) {
    io.printError(messageOf(thrown))
    return exitCodes.failure
  }
  const push = async (body: Uint8Array): Promise<void> => {
    const { series, metadata } = seriesOf(body, options.labels, io.nowMs())
    await send(client, url, encodeSnappy(message.encode(series, metadata)), { ...options, message }, io)
  }
  try {
    if (files.length === 0) {
      const body = await io.readStdin()
      io.print('Parsing standard input')
      await push(body)
      io.print('  SUCCESS: metrics pushed to remote write.')
      return exitCodes.success
    }
    let code: ExitCode = exitCodes.success
    for (const file of files) {
      try {
        const body = io.readBytes(file)
        io.print(`Parsing metrics file ${file}`)
        await push(body)
        io.print(`  SUCCESS: metrics file ${file} pushed to remote write.`)
      } catch (thrown) {
        code = failed(thrown)
      }
    }
    return code
  } catch (thrown) {
    return failed(thrown)
  } finally {
    await client.close()
  }
}

type Sending = Pick<PushOptions, 'headers' | 'timeoutMs'> & Readonly<{ message: (typeof messages)[string] }>

/** Tries again what may pass: no connection, 429, 5xx. */
async function send(
  client: HttpClient,
  url: string,
  body: Uint8Array,
  { headers, timeoutMs, message }: Sending,
  io: PushIo,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const request = {
      method: 'POST' as const,
      url,
      headers: {
        'Content-Encoding': 'snappy',
        'Content-Type': message.contentType,
        'X-Prometheus-Remote-Write-Version': message.version,
        ...(attempt > 0 ? { 'Retry-Attempt': String(attempt) } : {}),
        ...headers,
      },
      body,
      timeoutMs,
      bodyBytesMax: 1 << 20,
    }
    // what a failed request throws is the answer to it
    const answer = await client.request(request).catch((thrown: unknown) => (thrown instanceof Error ? thrown : new Error(String(thrown))))
    if (!(answer instanceof Error) && answer.status >= 200 && answer.status <= 299) return check(answer, message.version)
    const isPassing = answer instanceof Error || answer.status === 429 || answer.status >= 500
    if (!isPassing || attempt >= retriesMax) {
      throw answer instanceof Error
        ? answer
        : new Error(`server returned HTTP status ${statusText(answer.status)}: ${utf8Text(answer.body)}`)
    }
    const askedMs = answer instanceof Error ? 0 : (Number(answer.headers['retry-after'] ?? 0) || 0) * 1000
    await io.sleep(Math.min(longestRetryMs, firstRetryMs * 2 ** attempt) + Math.min(askedMs, retryAfterMaxMs))
  }
}

/** A receiver of 2.0 says what it has written; one that does not may have understood nothing. */
function check({ headers }: HttpAnswer, version: string): void {
  if (version !== '2.0.0') return
  const [samples, histograms, exemplars] = ['samples', 'histograms', 'exemplars'].map(
    (what) => headers[`x-prometheus-remote-write-${what}-written`],
  )
  if (samples !== undefined || [samples, histograms, exemplars].some((count) => Number(count ?? 0) > 0)) return
  throw new Error(
    'sent v2 request; got 2xx, but the answer does not say that anything was written; assuming failure e.g. the target only supports prometheus.WriteRequest',
  )
}

type Metric = {
  readonly labels: Labels
  timeMs: number | null
  /** Label value and reading of buckets or quantiles, in order of appearance. */
  readonly parts: [string, number][]
  sum: number
  count: number
  value: number
}
type Family = { readonly name: string; readonly type: MetricType; readonly metrics: Map<string, Metric> }

const partLabels: Partial<Record<MetricType, string>> = { histogram: 'le', summary: 'quantile' }

/** Families by name; each metric with its buckets or quantiles first, then sum and count, as client libraries keep them. */
export function seriesOf(
  body: Uint8Array,
  extra: Readonly<Record<string, string>>,
  nowMs: number,
): Readonly<{ series: readonly SentSeries[]; metadata: readonly SentMetadata[] }> {
  const types = new Map<string, MetricType>()
  const helps = new Map<string, string>()
  const families = new Map<string, Family>()
  for (const entry of readTextEntries(body, 'text', plainReading)) {
    if (entry.kind === 'type') types.set(entry.family, entry.type)
    else if (entry.kind === 'help') helps.set(entry.family, entry.help)
    else if (entry.kind === 'sample') add(families, types, entry.labels, entry.value, entry.timeMs)
  }
  const series: SentSeries[] = []
  const metadata: SentMetadata[] = []
  for (const family of [...families.values()].sort((a, b) => compareText(a.name, b.name))) {
    metadata.push({ family: family.name, type: family.type, help: helps.get(family.name) ?? '' })
    for (const metric of family.metrics.values()) {
      const timeMs = metric.timeMs ?? nowMs
      const base = new Map(Object.entries(extra))
      for (const [name, value] of labelPairs(metric.labels)) base.set(name === 'job' ? 'exported_job' : name, value)
      const push = (name: string, value: number, part?: readonly [string, string]): void => {
        const labels = new Map([...base, ['__name__', name] as const])
        if (part !== undefined) labels.set(...part)
        series.push({ labels: labelsFrom(labels), family: family.name, value, timeMs })
      }
      const partLabel = partLabels[family.type]
      if (partLabel === undefined) {
        push(family.name, metric.value)
        continue
      }
      const isHistogram = family.type === 'histogram'
      for (const [bound, value] of metric.parts) push(isHistogram ? `${family.name}_bucket` : family.name, value, [partLabel, bound])
      if (isHistogram && !metric.parts.some(([bound]) => bound === '+Inf')) push(`${family.name}_bucket`, metric.count, ['le', '+Inf'])
      push(`${family.name}_sum`, metric.sum)
      push(`${family.name}_count`, metric.count)
    }
  }
  return { series, metadata }
}

function add(
  families: Map<string, Family>,
  types: ReadonlyMap<string, MetricType>,
  labels: Labels,
  value: number,
  timeMs: number | null,
): void {
  const name = metricName(labels)
  const [, stem, suffix] = /^(.+)_(bucket|sum|count)$/.exec(name) ?? []
  const stemType = stem === undefined ? undefined : types.get(stem)
  const isPart = stemType === 'histogram' || (stemType === 'summary' && suffix !== 'bucket')
  const familyName = isPart ? stem! : name
  const type = types.get(familyName) ?? 'unknown'
  let family = families.get(familyName)
  if (family === undefined) families.set(familyName, (family = { name: familyName, type, metrics: new Map() }))
  const partLabel = partLabels[type]
  const own = withoutLabels(labels, new Set(['__name__', ...(partLabel === undefined ? [] : [partLabel])]))
  const key = labelsKey(own)
  let metric = family.metrics.get(key)
  if (metric === undefined) family.metrics.set(key, (metric = { labels: own, timeMs: null, parts: [], sum: 0, count: 0, value: 0 }))
  metric.timeMs = timeMs ?? metric.timeMs
  if (isPart && suffix === 'sum') metric.sum = value
  else if (isPart && suffix === 'count') metric.count = value
  else if (partLabel !== undefined) {
    const text = labelValue(labels, partLabel)
    const bound = parseGoFloat(text)
    metric.parts.push([bound === null ? text : formatFloatG(bound), value])
  } else metric.value = value
}
