// The round of a target: wait for the slot, scrape, wait for the next. What a machine would do with two transitions, a timer and a child a scrape,
// for a hundred thousand targets; the machine (machine.ts) owns it and is told when it rests.
import type { Timer } from '../../src/ports/clock.ts'
import type { SlotTimers } from './slot-timers.ts'

/** When a target is scraped: at `offsetMs + k * intervalMs` on every node. */
export type Slots = Readonly<{ intervalMs: number; offsetMs: number }>

export class ScrapeCycle {
  /** The slot waited for or being scraped. */
  slotMs = -Infinity
  /** Scrapes that ended. */
  scrapes = 0
  readonly #timers: SlotTimers
  readonly #scrape: (slotMs: number) => Promise<unknown>
  readonly #rested: () => void
  readonly #failed: (thrown: unknown) => void
  #slots: Slots
  #timer: Timer | null = null
  #scraping = false
  #left = false
  #stopped = false

  /**
   * Begins at once.
   * @param scrape one scrape; `failed` gets what it rejects with, and the cycle goes on.
   * @param rested called once after `leave`, when no scrape is under way any more.
   */
  constructor(
    slots: Slots,
    timers: SlotTimers,
    scrape: (slotMs: number) => Promise<unknown>,
    rested: () => void,
    failed: (thrown: unknown) => void,
  ) {
    this.#slots = slots
    this.#timers = timers
    this.#scrape = scrape
    this.#rested = rested
    this.#failed = failed
    this.#wait()
  }

  /** Other slots from now on; a scrape under way keeps its own. */
  changeSlots(slots: Slots): void {
    this.#slots = slots
    if (this.#scraping || this.#stopped) return
    this.slotMs = -Infinity
    this.#wait()
  }

  /** No more scrapes; the one under way is finished. */
  leave(): void {
    this.#left = true
    if (!this.#scraping) this.#rest()
  }

  /** Takes back a `leave` that waits for a scrape. */
  stay(): void {
    this.#left = false
  }

  /** Ends it, whatever is under way: nobody is told. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
  }

  #wait(): void {
    const nowMs = this.#timers.nowMs()
    this.slotMs = nextSlot(this.#slots, nowMs, this.slotMs)
    this.#timer?.cancel()
    this.#timer = this.#timers.at(this.slotMs, this.#due)
  }

  readonly #due = (): void => {
    this.#timer = null
    // Where the timer came late by an interval or more, the latest slot is the one.
    this.slotMs = Math.max(this.slotMs, slotBefore(this.#slots, this.#timers.nowMs()))
    this.#scraping = true
    this.#scrape(this.slotMs).then(this.#done, (thrown: unknown) => {
      this.#failed(thrown)
      this.#done()
    })
  }

  readonly #done = (): void => {
    this.#scraping = false
    this.scrapes++
    if (this.#stopped) return
    if (this.#left) this.#rest()
    else this.#wait()
  }

  #rest(): void {
    if (this.#stopped) return
    this.stop()
    this.#rested()
  }
}

/** The last slot at or before a time. */
export function slotBefore({ intervalMs, offsetMs }: Slots, nowMs: number): number {
  return Math.floor((nowMs - offsetMs) / intervalMs) * intervalMs + offsetMs
}

/** The first slot after a time and after the last slot; a clock that was set back by more than an interval is believed. */
export function nextSlot(slots: Slots, nowMs: number, lastMs: number): number {
  const next = slotBefore(slots, nowMs) + slots.intervalMs
  return next <= lastMs && lastMs - next < slots.intervalMs ? next + slots.intervalMs : next
}
