// One node of the machine: HTTP edge, storage and roles (roles.ts); applies configurations to them, and ends them in order.
//
//   start: configuration ─▶ storage (replay), and listen meanwhile (503 until ready) ─▶ ready ─▶ rules, notifier, discovery, scraping
//   stop:  discovery, scraping ─▶ rules ─▶ notifier (drains) ─▶ listeners ─▶ storage (snapshots)
import { hostname } from 'node:os'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { MetricsRegistry } from '../../base/metrics.ts'
import { startApi, type Api } from '../../api/server.ts'
import { Notifications, notices } from '../../api/notifications.ts'
import type { Clock, Timer } from '../../ports/clock.ts'
import type { Profiler } from '../../ports/profiler.ts'
import { nodeClock } from '../../ports/node/clock.ts'
import { nodeDisk } from '../../ports/node/disk.ts'
import { nodeHttp } from '../../ports/node/http.ts'
import { nodeRandom } from '../../ports/node/random.ts'
import { openLineFile } from '../../ports/node/line-file.ts'
import { nodeResolver } from '../../ports/node/resolver.ts'
import { nodeWatcher } from '../../ports/node/watcher.ts'
import { decompressors } from '../decompressors.ts'
import { apiBackend, type BackendParts } from './backend.ts'
import { apiOptions } from './api-options.ts'
import { buildInfo } from './build-info.ts'
import { checksumOf, loadConfiguration, type Loaded } from './configuration.ts'
import { DeferredAppender } from './deferred-appender.ts'
import { processMetrics } from './process-metrics.ts'
import { profilesBackend } from './profiles.ts'
import { Roles } from './roles.ts'
import type { Settings } from './settings.ts'
import { storageSettings, type OpeningStorage } from './node-storage.ts'
import type { Storage } from './storage.ts'
import { storageMetrics } from './storage-metrics.ts'
import { takeOver } from './takeover.ts'

export class Server {
  readonly #settings: Settings
  readonly #logger: Logger
  readonly #clock: Clock = nodeClock()
  readonly #disk = nodeDisk()
  readonly #random = nodeRandom()
  readonly #http = nodeHttp({ environment: process.env, userAgent: `Prometheus/${buildInfo.version}` })
  readonly #metrics = new MetricsRegistry()
  readonly #appender = new DeferredAppender()
  readonly #notifications: Notifications
  readonly #startTimeMs = this.#clock.nowMs()
  readonly #reloadSuccessful = this.#metrics.gauge(
    'prometheus_config_last_reload_successful',
    'Whether the last configuration reload attempt was successful.',
  )
  readonly #reloadTime = this.#metrics.gauge(
    'prometheus_config_last_reload_success_timestamp_seconds',
    'Timestamp of the last successful configuration reload.',
  )
  readonly #opening: OpeningStorage
  readonly #profiler: Profiler
  readonly #onQuit: () => void
  #loaded: Loaded
  #lastConfigMs = 0
  #state: 'starting' | 'ready' | 'stopping' = 'starting'
  #storage: Storage | null = null
  #roles: Roles | null = null
  #api: Api | null = null
  #reloading: Promise<void> = Promise.resolve()
  #timers: Timer[] = []

  /** @param opening the storage, which is under way: this server closes it. */
  constructor(settings: Settings, logger: Logger, loaded: Loaded, opening: OpeningStorage, profiler: Profiler, onQuit: () => void) {
    this.#opening = opening
    this.#profiler = profiler
    this.#settings = settings
    this.#logger = logger
    this.#onQuit = onQuit
    this.#loaded = loaded
    this.#notifications = new Notifications(() => this.#clock.nowMs(), settings.flags['web.max-notifications-subscribers'], this.#metrics)
  }

  get addresses(): readonly string[] {
    return this.#api?.addresses ?? []
  }

  /** Listens: it says that it starts. */
  async listen(): Promise<void> {
    const logger = this.#logger
    this.#metrics.collect(processMetrics(this.#startTimeMs, buildInfo))
    this.#notifications.add(notices.starting)
    this.#api = await startApi(apiOptions(this.#settings, this.#random), apiBackend(this.#backendParts()), {
      clock: this.#clock,
      logger: logger.child({ component: 'web' }),
      metrics: this.#metrics,
      notifications: this.#notifications,
    })
  }

  /** Does its work from when the storage is open. */
  async start(): Promise<void> {
    const { flags, dataDirectory } = this.#settings
    const logger = this.#logger
    const storage = await this.#opening.storage
    this.#storage = storage
    const taken = await takeOver(dataDirectory, {
      appender: storage.appender,
      disk: this.#disk,
      decompress: decompressors,
      logger: logger.child({ component: 'tsdb' }),
      chunkRangeMs: storage.chunkRangeMs,
    }) // before anything newer is appended
    storage.filesDamaged += taken?.damages ?? 0
    this.#appender.become(storage.appender)
    this.#metrics.collect(() => storageMetrics(storage))
    this.#roles = new Roles(this.#settings, storage, this.#loaded, {
      clock: this.#clock,
      random: this.#random,
      disk: this.#disk,
      http: this.#http,
      resolver: nodeResolver(),
      watcher: nodeWatcher(),
      openLineFile,
      hostname: hostname(),
      metrics: this.#metrics,
      logger,
    })
    await this.#apply(this.#loaded)
    this.#roles.start()
    this.#state = 'ready'
    this.#notifications.remove(notices.starting)
    logger.info(
      {
        address: this.addresses.join(', '),
        data: dataDirectory,
        config: this.#settings.configFile,
        shards: storage.shards,
        storage_workers: storage.lanes.count,
        jobs: this.#loaded.config.scrapeJobs.length,
        rule_groups: this.#loaded.groups.length,
        replayed_records: storage.lanes.replay.done,
        opened_in: `${Math.round(storage.openedMs)}ms`,
      },
      'Server is ready: main thread runs web, scraping, rules and notifier; storage workers run shards and queries',
    )
    this.#every(flags['storage.tsdb.block-reload-interval'], () => storage.maintain())
    if (flags['config.auto-reload'] || this.#settings.features.has('auto-reload-config')) this.#watchConfiguration()
  }

  /** Applies the configuration file again; rejects with what is wrong, and the one in use goes on. */
  reload(): Promise<void> {
    const turn = this.#reloading.then(() => this.#reload())
    this.#reloading = turn.catch(() => {})
    return turn
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopping') return
    this.#state = 'stopping'
    this.#notifications.add(notices.stopping)
    for (const timer of this.#timers) timer.cancel()
    await this.#roles?.stop()
    await this.#api?.close()
    // where the start has failed, it may be opening still
    await (await this.#opening.storage.catch(() => null))?.close()
    await this.#roles?.close()
  }

  /** Gives a configuration to every part. What a part cannot do has been refused before. */
  async #apply(loaded: Loaded): Promise<void> {
    await this.#roles!.apply(loaded)
    this.#loaded = loaded
    this.#lastConfigMs = this.#clock.nowMs()
    this.#reloadSuccessful.set(1)
    this.#reloadTime.set(this.#lastConfigMs / 1000)
    for (const warning of loaded.warnings) this.#logger.warn({}, warning)
  }

  async #reload(): Promise<void> {
    if (this.#state !== 'ready') throw new PromhiveError('UNAVAILABLE', 'cannot reload: the server is not ready')
    const started = this.#clock.monotonicMs()
    const before = this.#loaded
    try {
      const loaded = loadConfiguration(this.#settings)
      await this.#apply(loaded)
      await this.#applyStorage(before, loaded)
      this.#notifications.remove(notices.reloadFailed)
      this.#logger.info(
        { filename: this.#settings.configFile, totalDuration: `${Math.round(this.#clock.monotonicMs() - started)}ms` },
        'Completed loading of configuration file',
      )
    } catch (thrown) {
      this.#reloadSuccessful.set(0)
      this.#notifications.add(notices.reloadFailed)
      this.#logger.error({ err: messageOf(thrown) }, 'Error reloading config')
      throw thrown
    }
  }

  async #applyStorage(before: Loaded, after: Loaded): Promise<void> {
    const lanes = this.#storage!.lanes
    if (before.config.storage.exemplarsMax !== after.config.storage.exemplarsMax && this.#settings.features.has('exemplar-storage')) {
      await lanes.askAll('resizeExemplars', { capacity: Math.floor(Math.max(0, after.config.storage.exemplarsMax) / lanes.count) })
    }
    await this.#storage!.configure(storageSettings(this.#settings, after))
  }

  #watchConfiguration(): void {
    let known = checksumOf(this.#loaded)
    this.#every(this.#settings.flags['config.auto-reload-interval'], async () => {
      const now = checksumOf(this.#loaded)
      if (now === known) return
      known = now
      this.#logger.info({}, 'Configuration file change detected, reloading the configuration.')
      await this.reload().catch(() => {}) // told already; the next change is tried again
      known = checksumOf(this.#loaded)
    })
  }

  /** Runs a task again and again; a failure is logged and the next turn comes. */
  #every(intervalMs: number, task: () => Promise<unknown>): void {
    const slot = this.#timers.length
    const next = (): void => {
      this.#timers[slot] = this.#clock.after(intervalMs, () => {
        task()
          .catch((thrown: unknown) => this.#logger.error({ err: messageOf(thrown) }, 'a periodic task failed'))
          .finally(() => {
            if (this.#state === 'ready') next()
          })
      })
    }
    next()
  }

  #backendParts(): BackendParts {
    return {
      settings: this.#settings,
      disk: this.#disk,
      clock: this.#clock,
      random: this.#random,
      metrics: this.#metrics,
      appender: this.#appender,
      startTimeMs: this.#startTimeMs,
      state: () => this.#state,
      reload: () => this.reload(),
      quit: () => this.#onQuit(),
      loaded: () => this.#loaded,
      lastConfigMs: () => this.#lastConfigMs,
      reloadSucceeded: () => this.#reloadSuccessful.value === 1,
      storage: () => present(this.#storage),
      replay: () => this.#opening.replay,
      queries: () => present(this.#roles).queries,
      profiles: profilesBackend({
        profiler: this.#profiler,
        clock: this.#clock,
        version: buildInfo.version,
        actors: () => this.#roles?.runtime.list() ?? [],
        resources: () => process.getActiveResourcesInfo(),
        commandLine: process.argv,
      }),
      ask: async (channel, question) => present(this.#roles).control.ask(channel, question),
    }
  }
}

function present<T>(part: T | null): T {
  if (part === null) throw new PromhiveError('UNAVAILABLE', 'the server is starting')
  return part
}
