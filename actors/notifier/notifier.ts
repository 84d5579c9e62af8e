import { relabelAlerts } from '../../src/alerting/alert-relabel.ts'
import type { OutgoingAlert } from '../../src/alerting/alert.ts'
import { alertmanagerTargets } from '../../src/alerting/alertmanager-targets.ts'
import { NotifierMetrics } from '../../src/alerting/notifier-metrics.ts'
import type { AlertingOptions, AlertmanagerOptions, NotifierFlags, Relabel } from '../../src/alerting/options.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { MetricsRegistry } from '../../src/base/metrics.ts'
import type { Labels } from '../../src/model/labels.ts'
import { emptyLabels } from '../../src/model/labels.ts'
import type { TargetGroup } from '../../src/model/target-group.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Http, HttpClient } from '../../src/ports/http.ts'
import type { ActorRuntime } from '../runtime/runtime.ts'
import { Alertmanager } from './alertmanager.ts'

export type NotifierParts<R> = Readonly<{
  runtime: ActorRuntime
  http: Http
  clock: Clock
  logger: Logger
  metrics: MetricsRegistry
  flags: NotifierFlags
  /** Compiles a list of relabel_configs. */
  compileRelabel: (configs: readonly R[]) => Relabel
  userAgent: string
}>

/** One entry of `alerting.alertmanagers`: how to reach its Alertmanagers, and those discovery found. */
type Entry<R> = {
  options: AlertmanagerOptions<R>
  /** The options without the key: entries alike before and after a reload keep their Alertmanagers and queues. */
  readonly definition: string
  readonly client: HttpClient
  readonly relabel: Relabel
  readonly relabelAlerts: Relabel | null
  readonly alertmanagers: Map<string, Alertmanager>
  dropped: readonly string[]
}

/**
 * Sends alerts to every Alertmanager of every entry. Source: prometheus notifier/manager.go, alertmanagerset.go.
 *
 *   alerts ──external labels, global relabelling──▶ per entry: relabelling ──▶ per Alertmanager: queue ──▶ POST /api/v2/alerts
 */
export class Notifier<R> {
  readonly #parts: NotifierParts<R>
  readonly #metrics: NotifierMetrics
  #entries = new Map<string, Entry<R>>()
  #externalLabels: Labels = emptyLabels
  #relabel: Relabel = (labels) => labels
  #stopped = false
  /** Alertmanagers and clients that finish what they have; awaited by stop. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(parts: NotifierParts<R>) {
    this.#parts = parts
    this.#metrics = new NotifierMetrics(parts.metrics, parts.flags.queueCapacity)
  }

  /**
   * Applies a configuration. Entries that are as before keep their Alertmanagers and queues; new ones have none until `setTargets`.
   * Throws PromhiveError CONFIG_INVALID for sigv4, and changes nothing then.
   */
  apply(options: AlertingOptions<R>): void {
    if (this.#stopped) return
    for (const entry of options.alertmanagers) {
      if (entry.sigv4)
        throw new PromhiveError('CONFIG_INVALID', `cannot use alertmanagers ${entry.key}: sigv4 is not supported`, { key: entry.key })
    }
    const relabel = this.#parts.compileRelabel(options.alertRelabelConfigs)
    const before = [...this.#entries.values()]
    const next = new Map<string, Entry<R>>()
    const kept = new Set<Entry<R>>()
    for (const entry of options.alertmanagers) {
      const definition = JSON.stringify({ ...entry, key: '' })
      const same = before.find((old) => old.definition === definition && !kept.has(old))
      if (same !== undefined) {
        kept.add(same)
        same.options = entry
      }
      next.set(entry.key, same ?? this.#open(entry, definition))
    }
    for (const old of before) if (!kept.has(old)) this.#close(old)
    this.#entries = next
    this.#externalLabels = options.externalLabels
    this.#relabel = relabel
    this.#countDiscovered()
  }

  /** What discovery found for one entry, all of it. Unknown keys are passed over: the configuration has moved on. */
  setTargets(key: string, groups: readonly TargetGroup[]): void {
    const entry = this.#entries.get(key)
    if (entry === undefined || this.#stopped) return
    const { active, dropped, problems } = alertmanagerTargets(groups, entry.options, entry.relabel)
    for (const problem of problems) this.#parts.logger.error({ entry: key, err: problem }, 'Creating discovered Alertmanagers failed')
    entry.dropped = dropped
    const wanted = new Set(active)
    for (const url of active) if (!entry.alertmanagers.has(url)) entry.alertmanagers.set(url, this.#connect(entry, url))
    for (const [url, alertmanager] of entry.alertmanagers) {
      if (wanted.has(url)) continue
      entry.alertmanagers.delete(url)
      void this.#retire(alertmanager)
    }
    this.#countDiscovered()
  }

  /** Queues alerts for every Alertmanager; returns at once. After `stop` they are lost. */
  send(alerts: readonly OutgoingAlert[]): void {
    if (this.#stopped || alerts.length === 0) return
    const relabelled = relabelAlerts(alerts, this.#externalLabels, this.#relabel)
    if (relabelled.length === 0) return
    for (const entry of this.#entries.values()) {
      const own = entry.relabelAlerts === null ? relabelled : relabelAlerts(relabelled, emptyLabels, entry.relabelAlerts)
      if (own.length > 0) for (const alertmanager of entry.alertmanagers.values()) alertmanager.add(own)
    }
  }

  /** For the API: URLs alerts go to, and URLs relabelling dropped. */
  alertmanagers(): Readonly<{ active: readonly string[]; dropped: readonly string[] }> {
    const entries = [...this.#entries.values()]
    return {
      active: entries.flatMap((entry) => [...entry.alertmanagers.keys()]),
      dropped: entries.flatMap((entry) => entry.dropped),
    }
  }

  /** No more alerts; resolves when the queues are drained (or dropped, by flag) and connections closed. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const entry of this.#entries.values()) this.#close(entry)
    this.#entries.clear()
    await Promise.all(this.#leaving)
  }

  #open(options: AlertmanagerOptions<R>, definition: string): Entry<R> {
    const { http, compileRelabel } = this.#parts
    return {
      options,
      definition,
      client: http.client(options.http),
      relabel: compileRelabel(options.relabelConfigs),
      relabelAlerts: options.alertRelabelConfigs.length === 0 ? null : compileRelabel(options.alertRelabelConfigs),
      alertmanagers: new Map(),
      dropped: [],
    }
  }

  #connect(entry: Entry<R>, url: string): Alertmanager {
    const { runtime, flags, clock, logger, userAgent } = this.#parts
    const { timeoutMs } = entry.options
    return new Alertmanager({ runtime, url, client: entry.client, timeoutMs, flags, clock, logger, metrics: this.#metrics, userAgent })
  }

  #close(entry: Entry<R>): void {
    const stops = Array.from(entry.alertmanagers.values(), (alertmanager) => this.#retire(alertmanager))
    entry.alertmanagers.clear()
    void this.#leave(Promise.all(stops).then(() => entry.client.close()))
  }

  #retire(alertmanager: Alertmanager): Promise<void> {
    return this.#leave(
      alertmanager.stop().then(() => {
        // another entry may send to the same URL
        const isUsed = [...this.#entries.values()].some((entry) => entry.alertmanagers.has(alertmanager.url))
        if (!isUsed) this.#metrics.remove(alertmanager.url)
      }),
    )
  }

  #leave(done: Promise<void>): Promise<void> {
    const settled = done.catch((thrown: unknown) => this.#parts.logger.warn({ err: String(thrown) }, 'Closing an Alertmanager failed'))
    this.#leaving.add(settled)
    void settled.then(() => this.#leaving.delete(settled))
    return settled
  }

  #countDiscovered(): void {
    let count = 0
    for (const entry of this.#entries.values()) count += entry.alertmanagers.size
    this.#metrics.discovered.set(count)
  }
}
