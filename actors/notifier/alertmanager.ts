import { AlertQueue } from '../../src/alerting/alert-queue.ts'
import type { OutgoingAlert } from '../../src/alerting/alert.ts'
import type { NotifierMetrics } from '../../src/alerting/notifier-metrics.ts'
import type { NotifierFlags } from '../../src/alerting/options.ts'
import { encodeAlerts } from '../../src/alerting/payload.ts'
import { PromhiveError, messageOf } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { HttpClient } from '../../src/ports/http.ts'
import type { ActorRuntime } from '../runtime/runtime.ts'
import type { ActorHandle } from '../runtime/supervised.ts'
import type { SendWork } from './machine.ts'
import { sendLoop } from './machine.ts'

/** Alertmanager answers with little; more is cut off by refusing it. */
const answerBytesMax = 1 << 20

export type AlertmanagerParts = Readonly<{
  runtime: ActorRuntime
  url: string
  client: HttpClient
  timeoutMs: number
  flags: NotifierFlags
  clock: Clock
  logger: Logger
  metrics: NotifierMetrics
  userAgent: string
}>

/** One Alertmanager: its queue, and the machine that empties it. The queue outlives a machine that fails. Source: prometheus notifier/sendloop.go. */
export class Alertmanager implements SendWork {
  readonly url: string
  readonly #parts: AlertmanagerParts
  readonly #queue: AlertQueue
  readonly #actor: ActorHandle<typeof sendLoop>

  constructor(parts: AlertmanagerParts) {
    this.#parts = parts
    this.url = parts.url
    this.#queue = new AlertQueue(parts.flags.queueCapacity)
    parts.metrics.add(parts.url)
    this.#actor = parts.runtime.start({
      id: parts.url,
      kind: 'notifier',
      machine: sendLoop,
      input: () => ({ work: this, drain: parts.flags.drainOnShutdown }),
      stopEvent: { type: 'stop' },
      finishes: true,
      // what a machine that failed at the end has left
      onEnd: () => this.drop(),
    })
  }

  /** Queues alerts; over the capacity the oldest are dropped and counted. */
  add(alerts: readonly OutgoingAlert[]): void {
    const { metrics, logger, url } = this.#parts
    const dropped = this.#queue.add(alerts)
    if (dropped > 0) {
      metrics.dropped.labels(url).inc(dropped)
      logger.warn({ alertmanager: url, count: dropped }, 'Alert notification queue full, dropping alerts')
    }
    this.#showLength()
    // one that waits for its restart looks into the queue then
    if (this.#actor.waitingMessages === 0) this.#actor.send({ type: 'work' })
  }

  /** Resolves when the last alert is sent, or dropped where the queue is not to be drained. */
  async stop(): Promise<void> {
    await this.#actor.stop(Infinity)
  }

  hasAlerts(): boolean {
    return this.#queue.length > 0
  }

  drop(): void {
    const { metrics, logger, url } = this.#parts
    const count = this.#queue.take(Infinity).length
    if (count === 0) return
    metrics.dropped.labels(url).inc(count)
    logger.warn({ alertmanager: url, count }, 'Alert notification queue not drained on shutdown, dropping alerts')
  }

  async sendBatch(): Promise<void> {
    const { metrics, logger, url, flags, clock } = this.#parts
    const alerts = this.#queue.take(flags.batchSize)
    this.#showLength()
    const started = clock.monotonicMs()
    try {
      await this.#post(alerts)
      metrics.observeLatency(url, (clock.monotonicMs() - started) / 1000)
      metrics.sent.labels(url).inc(alerts.length)
    } catch (thrown) {
      metrics.errors.labels(url).inc(alerts.length)
      metrics.dropped.labels(url).inc(alerts.length)
      logger.error({ alertmanager: url, count: alerts.length, err: messageOf(thrown) }, 'Error sending alerts')
    }
  }

  async #post(alerts: readonly OutgoingAlert[]): Promise<void> {
    const { client, url, timeoutMs, userAgent } = this.#parts
    const { status } = await client.request({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', 'user-agent': userAgent },
      body: encodeAlerts(alerts),
      timeoutMs,
      bodyBytesMax: answerBytesMax,
    })
    if (status < 200 || status > 299) throw new PromhiveError('UNAVAILABLE', `bad response status ${status}`, { url, status })
  }

  #showLength(): void {
    this.#parts.metrics.queueLength.labels(this.url).set(this.#queue.length)
  }
}
