// The HTTP edge's view of the server: each part of src/api/backend.ts answered by the actor that owns it. Parts that need the storage are
// asked only when it is ready; the edge sees to that.
import { hostname } from 'node:os'
import { parse, stringify } from 'yaml'
import { PromhiveError } from '../../base/errors.ts'
import type { MetricsRegistry } from '../../base/metrics.ts'
import { printDuration } from '../../model/duration.ts'
import type { Appender } from '../../model/appender.ts'
import type { ApiBackend, ProfilesBackend, SeriesBackend, TargetsBackend, StatusBackend } from '../../api/backend.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Disk } from '../../ports/disk.ts'
import type { Random } from '../../ports/random.ts'
import { flagsForApi } from '../../config/serve-flags.ts'
import type { QueryService } from '../../../actors/query/query-service.ts'
import { questions, type Channel } from '../../../protocols/bus/control.ts'
import { buildInfo } from './build-info.ts'
import type { Loaded } from './configuration.ts'
import { featureList } from './feature-list.ts'
import { queryLanguage } from './language.ts'
import { consoles, userAssets } from './pages.ts'
import { adminBackend, selectExemplars, seriesBackend, tsdbStatus } from './series-backend.ts'
import type { Settings } from './settings.ts'
import type { ReplayProgress } from '../../../actors/storage-shard/lanes.ts'
import type { Storage } from './storage.ts'

export type BackendParts = Readonly<{
  settings: Settings
  disk: Disk
  clock: Clock
  random: Random
  metrics: MetricsRegistry
  appender: Appender
  startTimeMs: number
  state: () => 'starting' | 'ready' | 'stopping'
  reload: () => Promise<void>
  quit: () => void
  loaded: () => Loaded
  /** 0: never. */
  lastConfigMs: () => number
  reloadSucceeded: () => boolean
  storage: () => Storage
  /** How far the storage has come with its start. */
  replay: () => Readonly<ReplayProgress>
  queries: () => QueryService
  profiles: ProfilesBackend
  /** A question to this node's control plane. */
  ask: <Q, A>(channel: Channel<Q, A>, question: Q) => Promise<A>
}>

export function apiBackend(parts: BackendParts): ApiBackend {
  const { settings } = parts
  const lanes = (): Storage['lanes'] => parts.storage().lanes
  let madeFor: Storage['lanes'] | null = null
  let made: SeriesBackend | null = null
  const series = (): SeriesBackend => {
    if (made === null || madeFor !== lanes()) {
      madeFor = lanes()
      made = seriesBackend(madeFor)
    }
    return made
  }
  const admin = (): ApiBackend['admin'] =>
    adminBackend(lanes(), parts.storage().appender, {
      disk: parts.disk,
      clock: parts.clock,
      random: parts.random,
      dataDirectory: settings.dataDirectory,
    })
  return {
    life: { state: parts.state, reload: parts.reload, quit: parts.quit },
    language: queryLanguage(settings.promql),
    queries: {
      query: (query, signal) => parts.queries().instant(query, signal),
      queryRange: (query, signal) => parts.queries().range(query, signal),
      exemplars: (query, signal) => selectExemplars(lanes(), query, signal),
      lookbackMs: settings.flags['query.lookback-delta'],
    },
    series: {
      labelNames: (query, signal) => series().labelNames(query, signal),
      labelValues: (name, query, signal) => series().labelValues(name, query, signal),
      listed: (query, signal) => series().listed(query, signal),
      latest: (query, signal) => series().latest(query, signal),
      samples: (query, signal) => series().samples(query, signal),
    },
    targets: targetsBackend(parts),
    rules: { groups: () => parts.ask(questions.ruleGroups, null) },
    status: statusBackend(parts),
    admin: {
      deleteSeries: (matchers, startMs, endMs) => admin().deleteSeries(matchers, startMs, endMs),
      cleanTombstones: () => admin().cleanTombstones(),
      snapshot: (skipHead) => admin().snapshot(skipHead),
    },
    appender: parts.appender,
    otlp: null,
    consoles: consoles({
      templates: settings.flags['web.console.templates'],
      libraries: settings.flags['web.console.libraries'],
      externalUrl: settings.externalUrl,
      externalLabels: () => parts.loaded().config.global.externalLabels,
      query: (expr, timeMs, signal, origin) => parts.queries().ruleQuery(expr, timeMs, signal, origin),
      nowMs: () => parts.clock.nowMs(),
      monotonicMs: () => parts.clock.monotonicMs(),
    }),
    ui: null,
    userAssets: userAssets(settings.flags['web.user-assets']),
    profiles: parts.profiles,
  }
}

function targetsBackend({ ask, loaded }: BackendParts): TargetsBackend {
  return {
    active: () => ask(questions.activeTargets, null),
    dropped: () => ask(questions.droppedTargets, null),
    droppedCounts: () => ask(questions.droppedCounts, null),
    scrapePools: () => ask(questions.scrapePools, null),
    scrapePoolConfig(pool) {
      const { scrape_configs: jobs } = parse(loaded().config.yaml) as { scrape_configs?: readonly { job_name: string }[] }
      const job = jobs?.find(({ job_name: name }) => name === pool)
      if (job === undefined) throw new PromhiveError('NOT_FOUND', `unable to find a scrape config with the name ${JSON.stringify(pool)}`)
      return stringify(job)
    },
    relabelSteps: (pool, labels) => ask(questions.relabelSteps, { pool, labels }),
    metadata: (metric) => ask(questions.metadata, metric),
    alertmanagers: () => ask(questions.alertmanagers, null),
  }
}

function statusBackend(parts: BackendParts): StatusBackend {
  const { settings } = parts
  return {
    configYaml: () => parts.loaded().config.yaml,
    flags: () => flagsForApi(settings.flags, { 'web.route-prefix': settings.routePrefix, 'web.external-url': settings.externalUrl }),
    buildInfo: () => buildInfo,
    runtimeInfo: () => ({
      startTimeMs: parts.startTimeMs,
      workingDirectory: process.cwd(),
      hostname: hostname(),
      serverTimeMs: parts.clock.nowMs(),
      reloadConfigSuccess: parts.reloadSucceeded(),
      lastConfigTimeMs: parts.lastConfigMs(),
      corruptionCount: parts.storage().log.damage.length,
      goroutineCount: process.getActiveResourcesInfo().length,
      maxProcs: parts.storage().lanes.count + 1,
      memoryLimitBytes: Number.MAX_SAFE_INTEGER,
      gogc: String(parts.loaded().config.gogc),
      godebug: '',
      storageRetention: retentionText(parts.loaded().config.storage),
    }),
    tsdb: (limit) => tsdbStatus(parts.storage().lanes, limit),
    async blocks() {
      return (await parts.storage().lanes.askAll<Record<string, unknown>[]>('blocks', null))
        .flat()
        .sort((a, b) => Number(a['minTime']) - Number(b['minTime']))
    },
    walReplay() {
      const { total, done } = parts.replay()
      return { min: 0, max: total, current: done }
    },
    externalLabels: () => parts.loaded().config.global.externalLabels,
    features: () => featureList(settings),
    metrics: () => parts.metrics.gather(),
  }
}

function retentionText({ retentionTimeMs, retentionSizeBytes }: Loaded['config']['storage']): string {
  const words: string[] = []
  if (retentionTimeMs > 0) words.push(printDuration(retentionTimeMs))
  if (retentionSizeBytes > 0) words.push(sizeText(retentionSizeBytes))
  return words.join(' or ')
}

function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']
  let unit = 0
  let value = bytes
  while (value >= 1024 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${value}${units[unit]}`
}
