// /api/v1/status, features, notifications, admin (FEATURES 6.26–6.38).
import type { ServerResponse } from 'node:http'
import type { FeaturesData, NotificationData, RuntimeInfoData, TsdbStatusData } from '../../protocols/http/prometheus-answers.ts'
import { PromhiveError } from '../base/errors.ts'
import type { MetricFamily } from '../base/metrics.ts'
import { quote } from '../model/labels.ts'
import { compileRegex } from '../model/regex.ts'
import { maxTimeMs, minTimeMs } from './backend.ts'
import { noContent, success, successText, type Answer } from './envelope.ts'
import type { Notification } from './notifications.ts'
import { badRequest, booleanOf, integerOf, invalidParameter, timeOr } from './parameters.ts'
import type { ApiOptions } from './options.ts'
import type { Edge, Route } from './routes.ts'
import { timeText } from './time-text.ts'

/** Entries of the lists in /status/tsdb. */
const tsdbLimitMax = 10_000

export function statusRoutes(edge: Edge): Route[] {
  const { backend, options, notifications } = edge
  const { status } = backend
  const get = ['GET']
  return [
    { methods: get, path: '/api/v1/status/config', handler: () => success({ yaml: status.configYaml() }) },
    { methods: get, path: '/api/v1/status/flags', handler: () => success(status.flags()) },
    { methods: get, path: '/api/v1/status/buildinfo', handler: () => success(status.buildInfo()) },
    {
      methods: get,
      path: '/api/v1/status/runtimeinfo',
      handler: async () => {
        const info = await status.runtimeInfo()
        const data: RuntimeInfoData = {
          startTime: timeText(info.startTimeMs),
          CWD: info.workingDirectory,
          hostname: info.hostname,
          serverTime: timeText(info.serverTimeMs),
          reloadConfigSuccess: info.reloadConfigSuccess,
          lastConfigTime: timeText(info.lastConfigTimeMs),
          corruptionCount: info.corruptionCount,
          goroutineCount: info.goroutineCount,
          GOMAXPROCS: info.maxProcs,
          GOMEMLIMIT: info.memoryLimitBytes,
          GOGC: info.gogc,
          GODEBUG: info.godebug,
          storageRetention: info.storageRetention,
        }
        return success(data)
      },
    },
    {
      methods: get,
      path: '/api/v1/status/tsdb',
      serverOnly: true,
      handler: async ({ form, signal }) => {
        let limit = 10
        const text = form.first('limit')
        if (text !== '') {
          limit = integerOr(text, 0)
          if (limit < 1) throw badRequest('limit must be a positive number')
          if (limit > tsdbLimitMax) throw badRequest(`limit must not exceed ${tsdbLimitMax}`)
        }
        const found = await status.tsdb(limit, signal)
        const data: TsdbStatusData = {
          headStats: {
            numSeries: found.numSeries,
            numLabelPairs: found.numLabelPairs,
            chunkCount: found.chunkCount,
            minTime: found.minTimeMs,
            maxTime: found.maxTimeMs,
          },
          seriesCountByMetricName: found.seriesCountByMetricName,
          labelValueCountByLabelName: found.labelValueCountByLabelName,
          memoryInBytesByLabelName: found.memoryInBytesByLabelName,
          seriesCountByLabelValuePair: found.seriesCountByLabelValuePair,
        }
        return success(data)
      },
    },
    {
      methods: get,
      path: '/api/v1/status/tsdb/blocks',
      serverOnly: true,
      handler: async () => success({ blocks: await status.blocks() }),
    },
    { methods: get, path: '/api/v1/status/walreplay', needsReady: false, compress: false, handler: () => success(status.walReplay()) },
    {
      methods: get,
      path: '/api/v1/status/self_metrics',
      handler: async ({ form }) => {
        const pattern = form.first('metric_name_pattern')
        let matches = (_name: string): boolean => true
        if (pattern !== '') {
          try {
            const regex = compileRegex(pattern, { anchored: true })
            matches = (name) => regex.test(name)
          } catch (thrown) {
            throw badRequest(`invalid metric_name_pattern: ${(thrown as Error).message}`)
          }
        }
        const families = (await status.metrics()).filter((family) => matches(family.name))
        return successText(`[${families.map((family) => JSON.stringify(protoJson(family))).join(',')}]`)
      },
    },
    { methods: get, path: '/api/v1/features', handler: () => success(features(options, status.features())) },
    {
      methods: get,
      path: '/api/v1/notifications',
      needsReady: false,
      compress: false,
      handler: () => success(notifications.list().map(notificationData)),
    },
    {
      methods: get,
      path: '/api/v1/notifications/live',
      needsReady: false,
      compress: false,
      handler: ({ signal }) => liveNotifications(edge, signal),
    },
  ]
}

function integerOr(text: string, otherwise: number): number {
  try {
    return integerOf(text)
  } catch {
    return otherwise
  }
}

/** What the edge knows about itself, merged with what the rest of the program does; names sorted, as a JSON object of Go's would be. */
export function features(options: ApiOptions, rest: FeaturesData): FeaturesData {
  const merged: Record<string, Record<string, boolean>> = {
    api: {
      admin: options.enableAdminApi,
      exclude_alerts: true,
      label_values_match: true,
      lifecycle: options.enableLifecycle,
      'openapi_3.1': true,
      'openapi_3.2': true,
      otlp_write_receiver: options.enableOtlpReceiver,
      query_stats: true,
      query_warnings: true,
      remote_write_receiver: options.enableRemoteWriteReceiver,
      search: options.enableSearch,
      search_fuzz_alg_jarowinkler: true,
      search_fuzz_alg_subsequence: true,
      time_range_labels: true,
      time_range_series: true,
    },
    otlp_receiver: { delta_conversion: options.otlpDeltaToCumulative, native_delta_ingestion: options.otlpNativeDelta },
    ui: { ui_v2: false, ui_v3: true },
  }
  for (const [category, names] of Object.entries(rest)) merged[category] = { ...merged[category], ...names }
  const sorted = <T>(object: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  return sorted(Object.fromEntries(Object.entries(merged).map(([category, names]) => [category, sorted(names)])))
}

function notificationData({ text, dateMs, active }: Notification): NotificationData {
  return { text, date: timeText(dateMs), active }
}

/** Unsent notices one subscriber may have: what a slow one misses, it finds in the list. */
const unsentBytesMax = 64 << 10

function liveNotifications(edge: Edge, signal: AbortSignal): Answer | ((response: ServerResponse) => Promise<void>) {
  let response: ServerResponse | null = null
  const early: Notification[] = []
  const leave = edge.notifications.subscribe((notification) => {
    if (response === null) {
      early.push(notification)
      return true
    }
    if (response.writableLength > unsentBytesMax) return false
    response.write(`data: ${JSON.stringify(notificationData(notification))}\n\n`)
    return true
  })
  if (leave === null) return { status: 204, contentType: 'text/event-stream', body: '', headers: { 'Cache-Control': 'no-cache' } }
  return (opened) =>
    new Promise((resolve) => {
      opened.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
      opened.flushHeaders()
      for (const notification of early) opened.write(`data: ${JSON.stringify(notificationData(notification))}\n\n`)
      response = opened
      const end = (): void => {
        leave()
        opened.end()
        resolve()
      }
      const over = AbortSignal.any([signal, edge.closing])
      if (over.aborted) end()
      else over.addEventListener('abort', end, { once: true })
    })
}

/** io.prometheus.client.MetricFamily in protobuf's JSON form. */
function protoJson(family: MetricFamily): unknown {
  const metrics = new Map<string, Record<string, unknown>>()
  for (const { suffix, labels, value } of family.samples) {
    const own = labels.filter((_, i) => !isExtra(labels[i - (i % 2)]!, suffix, family.kind))
    const key = own.join('\xff')
    let metric = metrics.get(key)
    if (metric === undefined) {
      const label: { name: string; value: string }[] = []
      for (let i = 0; i < own.length; i += 2) label.push({ name: own[i]!, value: own[i + 1]! })
      metrics.set(key, (metric = label.length > 0 ? { label } : {}))
    }
    if (family.kind === 'counter' || family.kind === 'gauge') metric[family.kind] = { value: jsonNumber(value) }
    else {
      const body = (metric[family.kind] ??= {}) as Record<string, unknown>
      if (suffix === '_sum') body['sampleSum'] = jsonNumber(value)
      else if (suffix === '_count') body['sampleCount'] = String(value)
      else {
        const at = Number(labels[labels.length - 1]!.replace('+Inf', 'Infinity'))
        if (family.kind === 'summary') {
          const list = (body['quantile'] ??= []) as unknown[]
          list.push({ quantile: at, value: jsonNumber(value) })
        } else if (at !== Infinity) {
          const list = (body['bucket'] ??= []) as unknown[]
          list.push({ cumulativeCount: String(value), upperBound: jsonNumber(at) })
        }
      }
    }
  }
  return { name: family.name, help: family.help, type: family.kind.toUpperCase(), metric: [...metrics.values()] }
}

function isExtra(name: string, suffix: string, kind: MetricFamily['kind']): boolean {
  return (kind === 'histogram' && suffix === '_bucket' && name === 'le') || (kind === 'summary' && suffix === '' && name === 'quantile')
}

/** Protobuf's JSON writes what JSON has no number for as text. */
function jsonNumber(value: number): number | string {
  if (Number.isFinite(value)) return value
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
}

export function adminRoutes(edge: Edge): Route[] {
  const { backend, options } = edge
  const change = ['POST', 'PUT']
  const enabled = (): void => {
    if (!options.enableAdminApi) throw new PromhiveError('UNAVAILABLE', 'admin APIs disabled')
  }
  return [
    {
      methods: change,
      path: '/api/v1/admin/tsdb/delete_series',
      serverOnly: true,
      handler: async ({ form }) => {
        enabled()
        form.demand()
        const texts = form.all('match[]')
        if (texts.length === 0) throw badRequest('no match[] parameter provided')
        const startMs = timeOr(form, 'start', minTimeMs)
        const endMs = timeOr(form, 'end', maxTimeMs)
        const sets = texts.map((text) => {
          try {
            return backend.language.selector(text)
          } catch (thrown) {
            if (thrown instanceof PromhiveError) throw invalidParameter('match[]', thrown.message)
            throw thrown
          }
        })
        // `{}` selects nothing, as in Prometheus
        for (const matchers of sets) if (matchers.length > 0) await backend.admin.deleteSeries(matchers, startMs, endMs)
        return noContent
      },
    },
    {
      methods: change,
      path: '/api/v1/admin/tsdb/clean_tombstones',
      serverOnly: true,
      handler: async () => {
        enabled()
        await backend.admin.cleanTombstones()
        return noContent
      },
    },
    {
      methods: change,
      path: '/api/v1/admin/tsdb/snapshot',
      serverOnly: true,
      handler: async ({ form }) => {
        enabled()
        const text = form.first('skip_head')
        const skipHead = text === '' ? false : booleanOf(text)
        if (skipHead === null) {
          throw invalidParameter('skip_head', `unable to parse boolean: strconv.ParseBool: parsing ${quote(text)}: invalid syntax`)
        }
        return success({ name: await backend.admin.snapshot(skipHead) })
      },
    },
  ]
}
