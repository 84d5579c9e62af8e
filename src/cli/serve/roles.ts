// What a node does over its storage: queries, rules, notifier, discovery, scraping; actors under one runtime, told and asked over the Bus. It
// touches the machine through the ports it is given alone, so that a simulation runs the same.
//
//   apply:  alerting ─▶ rule groups ─▶ jobs, each by the node's control plane; discovery tells of targets by the same way
//   stop:   discovery, scraping ─▶ rules ─▶ notifier (drains)
import type { Logger } from '../../base/logger.ts'
import type { MetricsRegistry } from '../../base/metrics.ts'
import { printLabels } from '../../model/labels.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Disk } from '../../ports/disk.ts'
import type { Http } from '../../ports/http.ts'
import type { OpenLineFile } from '../../ports/line-file.ts'
import type { Random } from '../../ports/random.ts'
import type { Resolver } from '../../ports/resolver.ts'
import type { Watcher } from '../../ports/watcher.ts'
import { compileRelabel } from '../../relabel/relabel.ts'
import type { RelabelRule } from '../../relabel/rule.ts'
import { DiscoveryManager } from '../../discovery/manager.ts'
import { discoveryMetrics } from '../../discovery/metrics.ts'
import { offsetSeed } from '../../scrape/target.ts'
import { embeddedBus } from '../../../cluster/embedded/bus.ts'
import { questions } from '../../../protocols/bus/control.ts'
import { assignAlerting, discoveredAlertmanagers } from '../../../actors/notifier/control.ts'
import { Notifier } from '../../../actors/notifier/notifier.ts'
import { ActiveQueries } from '../../../actors/query/active-queries.ts'
import { QueryLog } from '../../../actors/query/query-log.ts'
import { QueryService } from '../../../actors/query/query-service.ts'
import { assignGroups } from '../../../actors/rule-group/control.ts'
import { RuleManager } from '../../../actors/rule-group/manager.ts'
import { assignDeadlineMs, ControlPlane } from '../../../actors/runtime/control.ts'
import { ActorRuntime } from '../../../actors/runtime/runtime.ts'
import { assignJobs, discoveredTargets } from '../../../actors/scrape-pool/control.ts'
import { ScrapeManager } from '../../../actors/scrape-pool/manager.ts'
import { buildInfo } from './build-info.ts'
import type { Loaded } from './configuration.ts'
import { failureLogs } from './failure-log.ts'
import type { Settings } from './settings.ts'
import type { Storage } from './storage.ts'

export type RolePorts = Readonly<{
  clock: Clock
  random: Random
  disk: Disk
  http: Http
  resolver: Resolver
  watcher: Watcher
  openLineFile: OpenLineFile
  hostname: string
  metrics: MetricsRegistry
  logger: Logger
}>

/** The name of the only node there is, until nodes have names. */
const ownNode = 'local'
const stopDeadlineMs = 10_000

export class Roles {
  readonly runtime: ActorRuntime
  readonly control: ControlPlane
  readonly queries: QueryService
  readonly #logger: Logger
  readonly #queryLog: QueryLog
  readonly #activeQueries: ActiveQueries
  readonly #notifier: Notifier<RelabelRule>
  readonly #rules: RuleManager
  readonly #scrapes: ScrapeManager
  readonly #scrapeDiscovery: DiscoveryManager
  readonly #notifyDiscovery: DiscoveryManager
  #loaded: Loaded

  /** @param loaded the configuration that will be applied first. */
  constructor(settings: Settings, storage: Storage, loaded: Loaded, ports: RolePorts) {
    const { flags, features, promql, externalUrl } = settings
    const { clock, random, disk, http, metrics, logger } = ports
    this.#loaded = loaded
    this.#logger = logger
    const bus = embeddedBus(clock, (thrown, subject) =>
      logger.error({ subject, err: thrown instanceof Error ? thrown.stack : String(thrown) }, 'BUG: a message failed'),
    )
    this.runtime = new ActorRuntime({ clock, random, metrics, bus, logger })
    this.control = new ControlPlane({ bus, node: ownNode, logger: logger.child({ component: 'control' }), metrics })
    const shared = { clock, metrics, runtime: this.runtime }
    const userAgent = `Prometheus/${buildInfo.version}`
    const queryLogger = logger.child({ component: 'query engine' })
    this.#queryLog = new QueryLog({ ...shared, logger: queryLogger, open: ports.openLineFile })
    this.#activeQueries = new ActiveQueries(settings.dataDirectory, flags['query.max-concurrency'], {
      disk,
      clock,
      logger: logger.child({ component: 'activeQueryTracker' }),
    })
    this.queries = new QueryService({
      ...shared,
      log: this.#queryLog,
      active: this.#activeQueries,
      lanes: storage.lanes,
      logger: queryLogger,
      promql,
      useStartTimestamps: features.has('use-start-timestamps'),
      typeAndUnitLabels: features.has('type-and-unit-labels'),
      perStepStats: features.has('promql-per-step-stats'),
      timeoutMs: flags['query.timeout'],
      concurrencyMax: flags['query.max-concurrency'],
      samplesMax: flags['query.max-samples'],
      lookbackMs: flags['query.lookback-delta'],
      evaluationIntervalMs: () => this.#loaded.config.global.evaluationIntervalMs,
    })
    const { queries } = this
    this.#notifier = new Notifier<RelabelRule>({
      ...shared,
      http,
      logger: logger.child({ component: 'notifier' }),
      flags: {
        queueCapacity: flags['alertmanager.notification-queue-capacity'],
        batchSize: flags['alertmanager.notification-batch-size'],
        drainOnShutdown: flags['alertmanager.drain-notification-queue-on-shutdown'],
      },
      compileRelabel: (rules) => {
        const compiled = compileRelabel(rules)
        return (labels) => compiled.apply(labels)
      },
      userAgent,
    })
    this.#rules = new RuleManager({
      ...shared,
      query: (expr, timeMs, signal, origin) => queries.ruleQuery(expr, timeMs, signal, origin),
      selectLast: (matchers, startMs, endMs, signal) => queries.selectLast(matchers, startMs, endMs, signal),
      appender: storage.appender,
      send: (alerts) => this.#notifier.send(alerts),
      logger: logger.child({ component: 'rule manager' }),
      flags: {
        externalUrl,
        resendDelayMs: flags['rules.alert.resend-delay'],
        outageToleranceMs: flags['rules.alert.for-outage-tolerance'],
        forGracePeriodMs: flags['rules.alert.for-grace-period'],
        maxConcurrentEvals: flags['rules.max-concurrent-evals'],
        concurrentEvals: features.has('concurrent-rule-eval'),
        restoreNewRuleGroups: false,
      },
      features: promql,
    })
    const scrapeLogger = logger.child({ component: 'scrape manager' })
    this.#scrapes = new ScrapeManager({
      ...shared,
      appender: storage.appender.lingering(),
      http,
      logger: scrapeLogger,
      features: {
        createdTimestampZeroIngestion: features.has('created-timestamp-zero-ingestion'),
        typeAndUnitLabels: features.has('type-and-unit-labels'),
        exemplarStorage: features.has('exemplar-storage'),
      },
      offsetSeed: offsetSeed(ports.hostname, printLabels(loaded.config.global.externalLabels)),
      hashSeed: random.below(0x7fffffff),
      userAgent,
      openFailureLog: failureLogs(ports.openLineFile, scrapeLogger),
      discoveryReloadIntervalMs: flags['scrape.discovery-reload-interval'],
    })
    const { resolver, watcher } = ports
    const log = logger.child({ component: 'discovery manager' })
    const discovery = { clock, disk, http, resolver, watcher, log, metrics: discoveryMetrics(metrics), userAgent }
    const { control } = this
    this.#scrapeDiscovery = new DiscoveryManager('scrape', discovery, 5_000, (job, groups) =>
      control.tell(discoveredTargets, { job, groups }),
    )
    this.#notifyDiscovery = new DiscoveryManager('notify', discovery, 5_000, (entry, groups) =>
      control.tell(discoveredAlertmanagers, { entry, groups }),
    )
    this.#answer()
  }

  /** Everything this node is told and asked. */
  #answer(): void {
    const { control } = this
    const [scrapes, rules, notifier] = [this.#scrapes, this.#rules, this.#notifier]
    control.answer(assignAlerting, (alerting) => (notifier.apply(alerting), null))
    control.answer(assignGroups, async (groups) => (await rules.apply(groups), null))
    control.answer(assignJobs, (jobs) => (scrapes.applyConfig(jobs), null))
    control.answer(discoveredTargets, ({ job, groups }) => (scrapes.updateTargets(job, groups), null))
    control.answer(discoveredAlertmanagers, ({ entry, groups }) => (notifier.setTargets(entry, groups), null))
    control.answer(questions.activeTargets, () => scrapes.activeTargets())
    control.answer(questions.droppedTargets, () => scrapes.droppedTargets())
    control.answer(questions.droppedCounts, () => scrapes.droppedCounts())
    control.answer(questions.scrapePools, () => scrapes.scrapePools())
    control.answer(questions.relabelSteps, ({ pool, labels }) => scrapes.relabelSteps(pool, labels))
    control.answer(questions.metadata, (metric) => scrapes.metadata(metric))
    control.answer(questions.ruleGroups, () => rules.groups())
    control.answer(questions.alertmanagers, () => notifier.alertmanagers())
  }

  /** Gives a configuration to every part. What a part cannot do has been refused before. */
  async apply(loaded: Loaded): Promise<void> {
    const { config, groups } = loaded
    const { control } = this
    const assign = <Q>(channel: Parameters<typeof control.ask<Q, null>>[0], share: Q): Promise<null> =>
      control.ask(channel, share, assignDeadlineMs)
    // first: a file that cannot be opened refuses the configuration before anything has changed
    await this.#queryLog.use(this.#queryLog.open(config.global.queryLogFile))
    await assign(assignAlerting, config.alerting)
    this.#notifyDiscovery.apply(new Map(config.alertmanagers.map(({ key, discovery }) => [key, discovery])))
    const { evaluationIntervalMs: intervalMs, ruleQueryOffsetMs: queryOffsetMs, externalLabels } = config.global
    await assign(assignGroups, { groups, intervalMs, queryOffsetMs, externalLabels })
    await assign(
      assignJobs,
      config.scrapeJobs.map((job) => job.options),
    )
    this.#scrapeDiscovery.apply(new Map(config.scrapeJobs.map(({ options, discovery }) => [options.jobName, discovery])))
    this.#loaded = loaded
  }

  /** Rules are evaluated from now on. */
  start(): void {
    this.#rules.start()
  }

  async stop(): Promise<void> {
    this.#scrapeDiscovery.stop()
    this.#notifyDiscovery.stop()
    await this.#scrapes.stop()
    await this.#rules.stop()
    await this.#notifier.stop()
    const late = await this.runtime.stop(stopDeadlineMs)
    if (late.length > 0) this.#logger.warn({ actors: late }, 'Actors had to be cut short')
  }

  /** After `stop`, when no query runs any more. */
  async close(): Promise<void> {
    await this.#queryLog.use(null)
    this.#activeQueries.close()
  }
}
