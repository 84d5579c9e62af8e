// When a shard's snapshot is due by what replaying its log has come to cost: a start after a crash then replays little, whatever the load was.
//
//   busy      replaying the tail would take four times what a snapshot takes (and `tailUs` × 8)
//   settled   the tail has brought series, which cost most, half as much as a snapshot (and `tailUs`), and for a second no more of them
//   idle      nothing came for a second, and the tail is worth half a snapshot (and `tailUs`)
import type { Clock, Timer } from '../../src/ports/clock.ts'

const quietMs = 1_000
const lookEveryMs = 500
/** Between two snapshots, so that what waits is served. */
const restMs = 20
/** What things take on a usual machine, µs. Not measured while running: when a snapshot is taken follows from the records alone. */
const replayUs = { record: 20, sample: 0.15, series: 2.5 }
const snapshotUs = { fixed: 2_000, series: 0.5 }

type Tail = {
  /** To replay what was applied since the newest snapshot, µs; and of it for series that were new. */
  us: number
  createdUs: number
  /** The same up to the snapshot that is being written. */
  coveredUs: number
  coveredCreatedUs: number
  snapshotUs: number
  appliedMs: number
  createdMs: number
}

export class SnapshotSchedule {
  readonly #clock: Clock
  readonly #tailUs: number
  readonly #snapshot: (shard: number) => void
  readonly #tails = new Map<number, Tail>()
  #look: Timer | null = null
  #stopped = false

  /** @param tailUs a tail that is replayed more quickly is not worth a snapshot. @param snapshot asks for one; it may not come. */
  constructor(clock: Clock, tailUs: number, snapshot: (shard: number) => void) {
    this.#clock = clock
    this.#tailUs = tailUs
    this.#snapshot = snapshot
  }

  /** @param series what recovery has read. */
  opened(shard: number, series: number): void {
    const nothing = { us: 0, createdUs: 0, coveredUs: 0, coveredCreatedUs: 0, appliedMs: 0, createdMs: 0 }
    this.#tails.set(shard, { ...nothing, snapshotUs: costOf(series) })
  }

  /** A record was applied, with so many samples and series that were new. */
  applied(shard: number, samples: number, created: number): void {
    const tail = this.#tails.get(shard)!
    const createdUs = created * replayUs.series
    tail.us += replayUs.record + samples * replayUs.sample + createdUs
    tail.createdUs += createdUs
    if (created > 0) tail.createdMs = this.#clock.monotonicMs()
    if (tail.us < this.#tailUs) return
    tail.appliedMs = this.#clock.monotonicMs()
    if (this.#look === null) this.#lookAfter(lookEveryMs)
  }

  /** A snapshot of what is applied now is being written. */
  began(shard: number): void {
    const tail = this.#tails.get(shard)!
    tail.coveredUs = tail.us
    tail.coveredCreatedUs = tail.createdUs
  }

  /** @param series null: it was not written. */
  ended(shard: number, series: number | null): void {
    const tail = this.#tails.get(shard)!
    if (series === null) return
    tail.us -= tail.coveredUs
    tail.createdUs -= tail.coveredCreatedUs
    tail.snapshotUs = costOf(series)
    this.#look?.cancel()
    this.#lookAfter(restMs)
  }

  stop(): void {
    this.#stopped = true
    this.#look?.cancel()
  }

  #lookAfter(delayMs: number): void {
    if (this.#stopped) return
    this.#look = this.#clock.after(delayMs, () => {
      this.#look = null
      this.#lookAround()
    })
  }

  /** Asks for one at a time: those that could not be taken are asked for later, behind the others. */
  #lookAround(): void {
    const now = this.#clock.monotonicMs()
    let waiting = false
    for (const [shard, tail] of this.#tails) {
      if (tail.us < this.#tailUs) continue
      waiting ||= tail.us >= Math.max(this.#tailUs, tail.snapshotUs / 2)
      if (!this.#isDue(tail, now)) continue
      this.#tails.delete(shard)
      this.#tails.set(shard, tail)
      this.#lookAfter(lookEveryMs)
      return this.#snapshot(shard)
    }
    if (waiting) this.#lookAfter(lookEveryMs)
  }

  #isDue({ us, createdUs, snapshotUs: least, appliedMs, createdMs }: Tail, now: number): boolean {
    if (us >= Math.max(this.#tailUs * 8, least * 4)) return true
    const worth = Math.max(this.#tailUs, least / 2)
    return (createdUs >= worth && now - createdMs >= quietMs) || (us >= worth && now - appliedMs >= quietMs)
  }
}

function costOf(series: number): number {
  return snapshotUs.fixed + series * snapshotUs.series
}
