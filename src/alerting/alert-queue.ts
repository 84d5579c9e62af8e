import type { OutgoingAlert } from './alert.ts'

/** Alerts that wait for one Alertmanager. Full, it gives up the oldest: news is worth more than history. */
export class AlertQueue {
  readonly #capacity: number
  #alerts: OutgoingAlert[] = []
  /** Alerts before it have been taken. */
  #head = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get length(): number {
    return this.#alerts.length - this.#head
  }

  /** @returns how many alerts were given up. */
  add(alerts: readonly OutgoingAlert[]): number {
    const fitting = alerts.length > this.#capacity ? alerts.slice(alerts.length - this.#capacity) : alerts
    const over = Math.max(0, this.length + fitting.length - this.#capacity)
    this.#head += over
    this.#compact()
    for (const alert of fitting) this.#alerts.push(alert)
    return alerts.length - fitting.length + over
  }

  /** The oldest alerts, at most `count`; they leave the queue. */
  take(count: number): readonly OutgoingAlert[] {
    const batch = this.#alerts.slice(this.#head, this.#head + count)
    this.#head += batch.length
    this.#compact()
    return batch
  }

  #compact(): void {
    if (this.#head < 64 || this.#head * 2 < this.#alerts.length) {
      if (this.#head === this.#alerts.length) {
        this.#alerts = []
        this.#head = 0
      }
      return
    }
    this.#alerts = this.#alerts.slice(this.#head)
    this.#head = 0
  }
}
