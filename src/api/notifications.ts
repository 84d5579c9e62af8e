// Notices for the people who look at the UI (FEATURES 6.35): a short list, and a bounded number of live subscribers.
// Source: prometheus util/notifications.
import type { MetricsRegistry, Numbers } from '../base/metrics.ts'

export const notices = {
  reloadFailed: 'Configuration reload has failed.',
  starting: 'Prometheus is starting and replaying the write-ahead log (WAL).',
  stopping: 'Prometheus is shutting down and gracefully stopping all operations.',
} as const

export type Notification = Readonly<{ text: string; dateMs: number; active: boolean }>

export class Notifications {
  readonly #nowMs: () => number
  readonly #subscribersMax: number
  #list: Notification[] = []
  readonly #subscribers = new Set<(notification: Notification) => boolean>()
  readonly #active: Numbers
  readonly #sent: Numbers
  readonly #dropped: Numbers

  constructor(nowMs: () => number, subscribersMax: number, metrics: MetricsRegistry) {
    this.#nowMs = nowMs
    this.#subscribersMax = subscribersMax
    this.#active = metrics.gauge('prometheus_api_notification_active_subscribers', 'The current number of active notification subscribers.')
    this.#sent = metrics.counter('prometheus_api_notification_updates_sent_total', 'Total number of notification updates sent.')
    this.#dropped = metrics.counter('prometheus_api_notification_updates_dropped_total', 'Total number of notification updates dropped.')
  }

  /** Adds a notice, or renews its date. */
  add(text: string): void {
    const notification = { text, dateMs: this.#nowMs(), active: true }
    const at = this.#list.findIndex((known) => known.text === text)
    if (at < 0) this.#list.push(notification)
    else this.#list[at] = notification
    this.#tell(notification)
  }

  /** Takes a notice away; subscribers hear of it as not active. */
  remove(text: string): void {
    const at = this.#list.findIndex((known) => known.text === text)
    if (at < 0) return
    const [gone] = this.#list.splice(at, 1)
    this.#tell({ ...gone!, active: false })
  }

  list(): readonly Notification[] {
    return [...this.#list]
  }

  /**
   * Hands over every notice there is, then every change. `take` says whether it could.
   * @returns the way out, or null where there are too many subscribers.
   */
  subscribe(take: (notification: Notification) => boolean): (() => void) | null {
    if (this.#subscribers.size >= this.#subscribersMax) return null
    this.#subscribers.add(take)
    this.#active.set(this.#subscribers.size)
    for (const notification of this.#list) take(notification)
    return () => {
      this.#subscribers.delete(take)
      this.#active.set(this.#subscribers.size)
    }
  }

  #tell(notification: Notification): void {
    for (const take of this.#subscribers) {
      this.#sent.inc()
      if (!take(notification)) this.#dropped.inc()
    }
  }
}
