// A backend for the HTTP edge that answers from constants and remembers what it was asked.
import type { Cancellation } from '../../src/base/cancel.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { MetricsRegistry } from '../../src/base/metrics.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { utf8Bytes } from '../../src/base/bytes.ts'
import type { ApiBackend, QueryAnswer } from '../../src/api/backend.ts'
import { Notifications } from '../../src/api/notifications.ts'
import { defaultApiOptions, type ApiOptions } from '../../src/api/options.ts'
import { startApi, type Api } from '../../src/api/server.ts'
import { labelsFromObject } from '../../src/model/labels.ts'
import type { Matcher, MatchKind } from '../../src/model/matcher.ts'
import { RecordingAppender } from './remote-write.ts'

export const fakeNowMs = 1_767_361_020_500

/** `name{a="b",c!~"d"}` well enough for tests. */
export function parseFakeSelector(text: string): Matcher[] {
  const found = /^([a-zA-Z_:][\w:]*)?(?:\{(.*)\})?$/.exec(text)
  if (found === null || text === '') throw new PromhiveError('PROMQL_PARSE', '1:1: parse error: unexpected end of input')
  const matchers: Matcher[] = found[1] === undefined ? [] : [{ name: '__name__', kind: '=', value: found[1] }]
  for (const [, name, kind, value] of (found[2] ?? '').matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)) {
    matchers.push({ name: name!, kind: kind as MatchKind, value: value! })
  }
  return matchers
}

export class FakeBackend implements ApiBackend {
  readonly asked: { what: string; with: unknown }[] = []
  state: 'starting' | 'ready' | 'stopping' = 'ready'
  /** Thrown by the next asynchronous question. */
  failWith: unknown = null
  answer: QueryAnswer = {
    data: [utf8Bytes('{"resultType":"vector",'), utf8Bytes('"result":[]}')],
    truncated: false,
    warnings: [],
    infos: [],
  }
  /** Set to make queries wait for the signal. */
  hang = false
  cancelled = 0
  quits = 0
  reloads: (() => void)[] = []
  reloadError: string | null = null
  names = ['__name__', 'instance', 'job']
  values = ['down', 'up', 'up_total']
  readonly appender = new RecordingAppender()
  readonly registry = new MetricsRegistry()
  otlp: ApiBackend['otlp'] = null
  consoles: ApiBackend['consoles'] = null
  ui: ApiBackend['ui'] = null
  userAssets: ApiBackend['userAssets'] = null
  profiles: ApiBackend['profiles'] = null

  #ask<T>(what: string, question: unknown, answer: T): Promise<T> {
    this.asked.push({ what, with: question })
    if (this.failWith !== null) return Promise.reject(this.failWith as Error)
    return Promise.resolve(answer)
  }
  #hangable(what: string, question: unknown, signal: Cancellation): Promise<QueryAnswer> {
    if (!this.hang) return this.#ask(what, question, this.answer)
    this.asked.push({ what, with: question })
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        this.cancelled++
        reject(new PromhiveError('QUERY_CANCELED', 'query was canceled'))
      })
    })
  }

  readonly life: ApiBackend['life'] = {
    state: () => this.state,
    reload: () => {
      if (this.reloadError !== null) return Promise.reject(new PromhiveError('CONFIG_INVALID', this.reloadError))
      this.asked.push({ what: 'reload', with: null })
      return Promise.resolve()
    },
    quit: () => void this.quits++,
  }
  readonly language: ApiBackend['language'] = {
    selector: parseFakeSelector,
    selectorsOf: (query) => (query === '1' ? [] : [parseFakeSelector(query)]),
    format: (query) => {
      if (query === '') throw new PromhiveError('PROMQL_PARSE', 'unknown position: parse error: no expression found in input')
      return `formatted ${query}`
    },
    tree: (query) => ({ type: 'vectorSelector', name: query }),
  }
  readonly queries: ApiBackend['queries'] = {
    lookbackMs: 300_000,
    query: (query, signal) => this.#hangable('query', query, signal),
    queryRange: (query, signal) => this.#hangable('queryRange', query, signal),
    exemplars: (query) =>
      this.#ask('exemplars', query, [
        {
          seriesLabels: labelsFromObject({ __name__: 'requests_bucket', job: 'api' }),
          exemplars: [{ labels: labelsFromObject({ trace_id: 'abc' }), value: 0.25, timeMs: 1_600_096_945_479 }],
        },
      ]),
  }
  readonly series: ApiBackend['series'] = {
    labelNames: (query) => this.#ask('labelNames', query, { values: this.names, warnings: [] }),
    labelValues: (name, query) => this.#ask('labelValues', { name, ...query }, { values: this.values, warnings: ['a shard is missing'] }),
    listed: (query) => {
      const sets = ['{"__name__":"up","job":"a","quote":"\\"\\\\"}', '{"__name__":"up","job":"b"}']
      const all =
        query.kind === 'series' ? sets : (query.kind === 'labelNames' ? this.names : this.values).map((text) => JSON.stringify(text))
      const shown = query.limit > 0 ? all.slice(0, query.limit) : all
      return this.#ask(query.kind, query, {
        data: [utf8Bytes(`[${shown.join(',')}]`)],
        truncated: shown.length < all.length,
        warnings: query.kind === 'labelValues' ? ['a shard is missing'] : [],
        infos: [],
      })
    },
    latest: (query) =>
      this.#ask('latest', query, {
        labels: [labelsFromObject({ __name__: 'up', job: 'b', instance: 'i' }), labelsFromObject({ __name__: 'a_total', job: 'x' })],
        times: Float64Array.of(1000, 2000),
        values: Float64Array.of(1, 2.5),
        histograms: null,
        warnings: ['w'],
      }),
    samples: (query) =>
      this.#ask('samples', query, [
        { labels: labelsFromObject({ __name__: 'up' }), times: Float64Array.of(1, 2), values: Float64Array.of(0, 1), histograms: null },
      ]),
  }
  readonly targets: ApiBackend['targets'] = {
    active: async () => [
      {
        scrapePool: 'node',
        discoveredLabels: labelsFromObject({ __address__: 'localhost:9100' }),
        labels: labelsFromObject({ instance: 'localhost:9100', job: 'node' }),
        scrapeUrl: 'http://localhost:9100/metrics',
        lastError: '',
        lastScrapeMs: 1_767_361_000_200,
        lastScrapeDurationMs: 6.576866,
        health: 'up',
        scrapeInterval: '15s',
        scrapeTimeout: '10s',
      },
      {
        scrapePool: 'alertmanager',
        discoveredLabels: labelsFromObject({ __address__: 'other:9093' }),
        labels: labelsFromObject({ instance: 'other:9093', job: 'alertmanager' }),
        scrapeUrl: 'http://other:9093/metrics',
        lastError: 'connection refused',
        lastScrapeMs: 0,
        lastScrapeDurationMs: 0,
        health: 'down',
        scrapeInterval: '15s',
        scrapeTimeout: '10s',
      },
    ],
    dropped: async () => [{ scrapePool: 'node', discoveredLabels: labelsFromObject({ __address__: 'gone:1' }) }],
    droppedCounts: async () => ({ alertmanager: 0, node: 1 }),
    scrapePools: async () => ['node', 'alertmanager'],
    scrapePoolConfig: (pool) => {
      if (pool !== 'node') throw new PromhiveError('NOT_FOUND', `unable to find a scrape config for job ${JSON.stringify(pool)}`)
      return 'job_name: node\n'
    },
    relabelSteps: async (pool, labels) => {
      if (pool !== 'node') throw new PromhiveError('NOT_FOUND', `unable to find a scrape config for job ${JSON.stringify(pool)}`)
      return [
        {
          rule: { action: 'replace', source_labels: ['__address__'], target_label: 'instance', regex: '(.*)', replacement: '$1' },
          output: labels,
          keep: true,
        },
      ]
    },
    metadata: async (metric) =>
      [
        {
          target: labelsFromObject({ job: 'node', instance: 'n1' }),
          entries: [entry('up', 'gauge', 'Up.'), entry('a_total', 'counter', 'A.')],
        },
        { target: labelsFromObject({ job: 'other', instance: 'n2' }), entries: [entry('up', 'gauge', 'Up!')] },
      ].map((target) => ({ ...target, entries: target.entries.filter((e) => metric === '' || e.metric === metric) })),
    alertmanagers: async () => ({ active: ['http://am:9093/api/v2/alerts'], dropped: [] }),
  }
  readonly rules: ApiBackend['rules'] = {
    groups: async () => [
      {
        name: 'one',
        file: '/etc/a.yml',
        intervalMs: 60_000,
        limit: 0,
        evaluationMs: 1.5,
        lastEvaluationMs: 1_767_361_000_000,
        rules: [
          {
            kind: 'alerting',
            name: 'Down',
            query: 'up == 0',
            labels: labelsFromObject({ severity: 'page' }),
            annotations: labelsFromObject({ summary: 'down' }),
            health: 'ok',
            lastError: '',
            evaluationMs: 1,
            lastEvaluationMs: 1_767_361_000_000,
            state: 'firing',
            holdMs: 300_000,
            keepFiringMs: 0,
            alerts: [
              {
                labels: labelsFromObject({ alertname: 'Down', job: 'a' }),
                annotations: labelsFromObject({ summary: 'down' }),
                state: 'firing',
                activeAtMs: 1_767_360_000_000,
                keepFiringSinceMs: 0,
                value: 1,
              },
            ],
          },
        ],
      },
      {
        name: 'two',
        file: '/etc/b.yml',
        intervalMs: 30_000,
        limit: 10,
        evaluationMs: 0,
        lastEvaluationMs: 0,
        rules: [
          {
            kind: 'recording',
            name: 'job:up:sum',
            query: 'sum by (job) (up)',
            labels: labelsFromObject({ team: 'x' }),
            health: 'err',
            lastError: 'vector contains metrics with the same labelset',
            evaluationMs: 0,
            lastEvaluationMs: 0,
          },
        ],
      },
    ],
  }
  readonly status: ApiBackend['status'] = {
    configYaml: () => 'global:\n  scrape_interval: 15s\n',
    flags: () => ({ 'web.enable-lifecycle': 'false' }),
    buildInfo: () => ({ version: '3.14.0', revision: 'r', branch: 'b', buildUser: 'u', buildDate: 'd', goVersion: 'none' }),
    runtimeInfo: () => ({
      startTimeMs: 1_767_300_000_000,
      workingDirectory: '/',
      hostname: 'h',
      serverTimeMs: fakeNowMs,
      reloadConfigSuccess: true,
      lastConfigTimeMs: 1_767_300_001_000,
      corruptionCount: 0,
      goroutineCount: 10,
      maxProcs: 2,
      memoryLimitBytes: 1 << 30,
      gogc: '',
      godebug: '',
      storageRetention: '15d',
    }),
    tsdb: (limit) =>
      this.#ask('tsdb', limit, {
        numSeries: 3,
        numLabelPairs: 7,
        chunkCount: 4,
        minTimeMs: 1,
        maxTimeMs: 2,
        seriesCountByMetricName: [{ name: 'up', value: 3 }],
        labelValueCountByLabelName: [{ name: 'job', value: 2 }],
        memoryInBytesByLabelName: [{ name: 'job', value: 20 }],
        seriesCountByLabelValuePair: [{ name: 'job=a', value: 2 }],
      }),
    blocks: () =>
      this.#ask('blocks', null, [
        {
          ulid: '01JHABC',
          minTime: 0,
          maxTime: 7_200_000,
          stats: { numSamples: 1, numSeries: 1, numChunks: 1 },
          compaction: { level: 1, sources: ['01JHABC'] },
          version: 1,
        },
      ]),
    walReplay: () => ({ min: 1, max: 5, current: 3 }),
    externalLabels: () => labelsFromObject({ region: 'eu', job: 'ignored' }),
    features: () => ({ prometheus: { server_mode: true, agent_mode: false } }),
    metrics: () => this.registry.gather(),
  }
  readonly admin: ApiBackend['admin'] = {
    deleteSeries: (matchers, startMs, endMs) => this.#ask('deleteSeries', { matchers, startMs, endMs }, undefined),
    cleanTombstones: () => this.#ask('cleanTombstones', null, undefined),
    snapshot: (skipHead) => this.#ask('snapshot', skipHead, '20260102T133700Z-0123456789abcdef'),
  }
}

function entry(
  metric: string,
  type: 'gauge' | 'counter',
  help: string,
): { metric: string; type: 'gauge' | 'counter'; help: string; unit: string } {
  return { metric, type, help, unit: '' }
}

export type Rig = Readonly<{ api: Api; backend: FakeBackend; notifications: Notifications; url: string }>

/** A server on a free port of the loopback interface. */
export async function startRig(options: Partial<ApiOptions> = {}): Promise<Rig> {
  const backend = new FakeBackend()
  const notifications = new Notifications(() => fakeNowMs, options.notificationSubscribersMax ?? 16, backend.registry)
  const api = await startApi(
    { ...defaultApiOptions, listenAddresses: ['127.0.0.1:0'], externalUrl: 'http://prom.example:9090', seed: 1, ...options },
    backend,
    {
      clock: {
        nowMs: () => fakeNowMs,
        monotonicMs: () => performance.now(),
        after: (delayMs, task) => {
          const timer = setTimeout(task, delayMs)
          return { cancel: () => clearTimeout(timer) }
        },
      },
      logger: silentLogger,
      metrics: backend.registry,
      notifications,
    },
  )
  return { api, backend, notifications, url: `http://${api.addresses[0]}` }
}

export async function withRig(options: Parameters<typeof startRig>[0], run: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await startRig(options)
  try {
    await run(rig)
  } finally {
    await rig.api.close(0)
  }
}
