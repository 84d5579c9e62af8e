// All scraping of a process: the jobs of a configuration on one side, target groups from discovery on the other, a pool for each job between them.
// Plain data out for the API (FEATURES 6.16–6.18).
import { messageOf, PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { MetricFamily, MetricsRegistry } from '../../src/base/metrics.ts'
import type { Appender } from '../../src/model/appender.ts'
import { printDuration } from '../../src/model/duration.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { TargetGroup } from '../../src/model/target-group.ts'
import { BodyMemory } from '../../src/ports/body-buffer.ts'
import type { RelabelRule } from '../../src/relabel/rule.ts'
import type { Clock, Timer } from '../../src/ports/clock.ts'
import type { Http, HttpClient } from '../../src/ports/http.ts'
import { BatchBuilder } from '../../src/scrape/batch.ts'
import { LayoutScratch } from '../../src/scrape/layout-scrape.ts'
import { scrapeMetrics } from '../../src/scrape/metrics.ts'
import type { ScrapeFeatures, ScrapeOptions } from '../../src/scrape/options.ts'
import { jobSupplies, type FailureLog, type ScrapeSupplies } from '../../src/scrape/target-scrape.ts'
import type { ActiveTarget, DroppedTarget, RelabelStep, TargetMetadata } from '../../protocols/bus/status.ts'
import type { ActorRuntime } from '../runtime/runtime.ts'
import type { ActorHandle } from '../runtime/supervised.ts'
import { scrapePool } from './machine.ts'
import { SlotSteps, SlotTimers } from '../target/slot-timers.ts'
import { ScrapePool, type SlotSupplies } from './pool.ts'

export type ScrapeManagerSetup = Readonly<{
  runtime: ActorRuntime
  appender: Appender
  clock: Clock
  http: Http
  logger: Logger
  metrics: MetricsRegistry
  features: ScrapeFeatures
  /** From the host's name and external labels: src/scrape/target.ts offsetSeed. */
  offsetSeed: bigint
  userAgent: string
  /** Any 32-bit number that targets don't know. */
  hashSeed: number
  /** Opens the file for `scrape_failure_log_file`. Called again at each reload, so that a rotated file is let go. */
  openFailureLog: (path: string) => FailureLog & { close(): void }
  /** `--scrape.discovery-reload-interval`. */
  discoveryReloadIntervalMs: number
}>

type Job = { options: ScrapeOptions; pool: ScrapePool; actor: ActorHandle<typeof scrapePool>; client: HttpClient }

export class ScrapeManager {
  readonly #setup: ScrapeManagerSetup
  readonly #supplies: ScrapeSupplies
  readonly #slotting: SlotSupplies
  readonly #jobs = new Map<string, Job>()
  /** Jobs that are gone from the configuration while their series end. */
  #dissolving: Job[] = []
  #failureLogs = new Map<string, FailureLog & { close(): void }>()
  /** The latest of discovery, by job; also of jobs that are not configured yet. */
  #groups = new Map<string, readonly TargetGroup[]>()
  readonly #waiting = new Set<string>()
  #timer: Timer | null = null
  #stopped = false

  constructor(setup: ScrapeManagerSetup) {
    this.#setup = setup
    this.#supplies = {
      appender: setup.appender,
      clock: setup.clock,
      metrics: scrapeMetrics(setup.metrics),
      features: setup.features,
      batch: new BatchBuilder(),
      starts: new BatchBuilder(),
      scratch: new LayoutScratch(setup.hashSeed),
      bodies: new BodyMemory(),
      userAgent: setup.userAgent,
    }
    this.#slotting = { timers: new SlotTimers(setup.clock), steps: new SlotSteps(), seed: setup.offsetSeed }
    setup.metrics.collect(() => this.#metadataMetrics())
  }

  /**
   * Makes these the jobs. Jobs that did not change go on untouched; changed ones keep the targets and series that the change leaves alone.
   * Throws PromhiveError CONFIG_INVALID where a job cannot be set up; the others are applied nevertheless.
   */
  applyConfig(jobs: readonly ScrapeOptions[]): void {
    const { metrics } = this.#supplies
    this.#openFailureLogs(jobs)
    const names = new Set(jobs.map((job) => job.jobName))
    for (const [name, job] of this.#jobs) {
      if (names.has(name)) continue
      this.#jobs.delete(name)
      this.#groups.delete(name)
      job.actor.send({ type: 'dissolve' })
      this.#dissolving.push(job)
    }
    this.#tidyDissolved()
    const problems: string[] = []
    for (const options of jobs) {
      const known = this.#jobs.get(options.jobName)
      try {
        if (known === undefined) {
          metrics.scrapePools.inc()
          this.#jobs.set(options.jobName, this.#start(options))
        } else this.#reload(known, options)
      } catch (thrown) {
        if (known === undefined) metrics.scrapePoolsFailed.inc()
        else metrics.poolReloadsFailed.inc()
        problems.push(`${options.jobName}: ${messageOf(thrown)}`)
        this.#setup.logger.error({ scrape_pool: options.jobName, err: messageOf(thrown) }, 'error reloading scrape pool')
      }
    }
    if (problems.length > 0) throw new PromhiveError('CONFIG_INVALID', `cannot apply scrape configuration: ${problems.join('; ')}`)
  }

  /**
   * The targets of one job, all of them, from discovery. Applied at once the first time, later at most once an interval.
   * A group that did not change should be the same object: then it is not looked at again.
   */
  updateTargets(jobName: string, groups: readonly TargetGroup[]): void {
    const first = !this.#groups.has(jobName)
    this.#groups.set(jobName, groups)
    if (first) {
      this.#sync(jobName)
      return
    }
    this.#waiting.add(jobName)
    this.#timer ??= this.#setup.clock.after(this.#setup.discoveryReloadIntervalMs, () => {
      this.#timer = null
      const jobs = [...this.#waiting]
      this.#waiting.clear()
      for (const job of jobs) this.#sync(job)
      this.#tidyDissolved()
    })
  }

  /** Ends all scraping; nothing is written any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    const jobs = [...this.#jobs.values(), ...this.#dissolving]
    await Promise.all(jobs.map((job) => job.actor.stop(0)))
    this.#jobs.clear()
    this.#dissolving = []
    for (const log of this.#failureLogs.values()) log.close()
    this.#failureLogs.clear()
    await Promise.all(jobs.map((job) => job.client.close()))
  }

  scrapePools(): readonly string[] {
    return [...this.#jobs.keys()].sort()
  }

  /** The options of a pool. Throws NOT_FOUND. */
  scrapePoolOptions(pool: string): ScrapeOptions {
    return this.#job(pool).options
  }

  /** By pool, then by URL. */
  activeTargets(): readonly ActiveTarget[] {
    const out: ActiveTarget[] = []
    for (const name of this.scrapePools()) {
      for (const scrape of this.#jobs.get(name)!.pool.active()) {
        const { target } = scrape
        out.push({
          scrapePool: name,
          discoveredLabels: target.discovered,
          labels: target.labels,
          scrapeUrl: target.url,
          lastError: scrape.lastError,
          lastScrapeMs: scrape.lastScrapeMs,
          lastScrapeDurationMs: scrape.lastDurationMs,
          health: scrape.health,
          scrapeInterval: printDuration(target.intervalMs),
          scrapeTimeout: printDuration(target.timeoutMs),
        })
      }
    }
    return out
  }

  droppedTargets(): readonly DroppedTarget[] {
    return this.scrapePools().flatMap((name) =>
      this.#jobs
        .get(name)!
        .pool.dropped()
        .map((discoveredLabels) => ({ scrapePool: name, discoveredLabels })),
    )
  }

  droppedCounts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.scrapePools().map((name) => [name, this.#jobs.get(name)!.pool.droppedCount]))
  }

  /** @param metric a family name; '' = all. Targets without any are left out. */
  metadata(metric = ''): readonly TargetMetadata[] {
    const out: TargetMetadata[] = []
    for (const name of this.scrapePools()) {
      for (const scrape of this.#jobs.get(name)!.pool.active()) {
        const entries = scrape.metadata()
        const wanted = metric === '' ? entries : entries.filter((entry) => entry.family === metric)
        if (wanted.length === 0) continue
        out.push({ target: scrape.target.labels, entries: wanted.map(({ family, ...rest }) => ({ ...rest, metric: family })) })
      }
    }
    return out
  }

  /** What each relabel rule of a pool makes of these labels. Throws NOT_FOUND. */
  relabelSteps(pool: string, labels: Labels): readonly RelabelStep[] {
    const steps = this.#job(pool).pool.job.relabeling.steps(labels)
    return steps.map(({ rule, labels: output, keep }) => ({ rule: ruleJson(rule), output, keep }))
  }

  #job(pool: string): Job {
    const job = this.#jobs.get(pool)
    if (job === undefined) throw new PromhiveError('NOT_FOUND', `unable to find a scrape config with the name ${JSON.stringify(pool)}`)
    return job
  }

  #start(options: ScrapeOptions): Job {
    const client = this.#setup.http.client(options.http)
    const pool = new ScrapePool(this.#supplies, this.#jobSupplies(options, client), this.#setup.runtime, this.#slotting)
    const actor = this.#setup.runtime.start({
      id: options.jobName,
      kind: 'scrape-pool',
      machine: scrapePool,
      input: (failed) => ({ pool, groups: () => this.#groups.get(options.jobName), isRestart: failed !== null }),
      onEnd: () => pool.stop(),
    })
    const groups = this.#groups.get(options.jobName)
    if (groups !== undefined) actor.send({ type: 'sync', groups })
    return { options, pool, actor, client }
  }

  #reload(job: Job, options: ScrapeOptions): void {
    const before = job.options
    const unchanged = JSON.stringify(before) === JSON.stringify(options)
    if (unchanged && options.scrapeFailureLogFile === '') return
    const oldClient = job.client
    const sameClient = JSON.stringify(before.http) === JSON.stringify(options.http)
    const client = sameClient ? oldClient : this.#setup.http.client(options.http)
    job.options = options
    job.client = client
    job.actor.send({ type: 'reload', job: this.#jobSupplies(options, client) })
    if (!sameClient)
      void oldClient.close().catch((thrown: unknown) => this.#setup.logger.warn({ err: messageOf(thrown) }, 'cannot close HTTP client'))
  }

  #jobSupplies(options: ScrapeOptions, client: HttpClient): ReturnType<typeof jobSupplies> {
    const log = options.scrapeFailureLogFile === '' ? null : (this.#failureLogs.get(options.scrapeFailureLogFile) ?? null)
    return jobSupplies(options, client, log, this.#setup.logger.child({ component: 'scrape manager', scrape_pool: options.jobName }))
  }

  #openFailureLogs(jobs: readonly ScrapeOptions[]): void {
    const before = this.#failureLogs
    this.#failureLogs = new Map()
    for (const path of new Set(jobs.map((job) => job.scrapeFailureLogFile))) {
      if (path !== '') this.#failureLogs.set(path, this.#setup.openFailureLog(path))
    }
    for (const log of before.values()) log.close()
  }

  #sync(jobName: string): void {
    const groups = this.#groups.get(jobName)
    if (groups === undefined || this.#stopped) return
    this.#jobs.get(jobName)?.actor.send({ type: 'sync', groups })
  }

  #tidyDissolved(): void {
    this.#dissolving = this.#dissolving.filter((job) => {
      if (job.pool.leavingCount > 0) return true
      void job.actor.stop(0)
      void job.client.close().catch((thrown: unknown) => this.#setup.logger.warn({ err: messageOf(thrown) }, 'cannot close HTTP client'))
      return false
    })
  }

  #metadataMetrics(): MetricFamily[] {
    const entries: MetricFamily['samples'][number][] = []
    const bytes: MetricFamily['samples'][number][] = []
    for (const [name, job] of this.#jobs) {
      let count = 0
      let size = 0
      for (const scrape of job.pool.active()) {
        const held = scrape.metadataSize()
        count += held.entries
        size += held.bytes
      }
      entries.push({ suffix: '', labels: ['scrape_job', name], value: count })
      bytes.push({ suffix: '', labels: ['scrape_job', name], value: size })
    }
    return [
      {
        name: 'prometheus_target_metadata_cache_entries',
        help: 'Total number of metric metadata entries in the cache',
        kind: 'gauge',
        samples: entries,
      },
      {
        name: 'prometheus_target_metadata_cache_bytes',
        help: 'The number of bytes that are currently used for storing metric metadata in the cache',
        kind: 'gauge',
        samples: bytes,
      },
    ]
  }
}

/** A relabel rule with the keys of the configuration, defaults left out as upstream's JSON does. */
function ruleJson(rule: RelabelRule): Record<string, unknown> {
  return {
    source_labels: rule.sourceLabels,
    separator: rule.separator,
    target_label: rule.targetLabel,
    regex: rule.regex,
    modulus: rule.modulus,
    replacement: rule.replacement,
    action: rule.action,
  }
}
