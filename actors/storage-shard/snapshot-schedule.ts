// When a shard's snapshot is due by what its log has grown: a start after a crash then replays little, whatever the load was.
//
//   busy   the tail has grown beyond twice the snapshot (and `tailBytes` × 8): replaying it would cost more than reading another
//   idle   nothing came for a second, and the tail is half a snapshot (and `tailBytes`): now is the time
import type { Clock } from '../../src/ports/clock.ts'

const quietMs = 1_000
const lookEveryMs = 500
/** Between two snapshots, so that what waits is served. */
const restMs = 20
const recordOverheadBytes = 64

type Tail = { bytes: number; snapshotBytes: number; appliedMs: number }

export class SnapshotSchedule {
  readonly #clock: Clock
  readonly #tailBytes: number
  readonly #snapshot: (shard: number) => void
  readonly #tails = new Map<number, Tail>()
  #looking = false
  #stopped = false

  /** @param tailBytes a shorter tail is not worth a snapshot. */
  constructor(clock: Clock, tailBytes: number, snapshot: (shard: number) => void) {
    this.#clock = clock
    this.#tailBytes = tailBytes
    this.#snapshot = snapshot
  }

  /** @param snapshotBytes what recovery has read. */
  opened(shard: number, snapshotBytes: number): void {
    this.#tails.set(shard, { bytes: 0, snapshotBytes, appliedMs: 0 })
  }

  applied(shard: number, recordBytes: number): void {
    const tail = this.#tails.get(shard)!
    tail.bytes += recordBytes + recordOverheadBytes
    if (tail.bytes < this.#tailBytes) return
    tail.appliedMs = this.#clock.monotonicMs()
    if (!this.#looking) this.#lookAfter(lookEveryMs)
  }

  written(shard: number, snapshotBytes: number): void {
    const tail = this.#tails.get(shard)!
    tail.bytes = 0
    tail.snapshotBytes = snapshotBytes
  }

  stop(): void {
    this.#stopped = true
  }

  #lookAfter(delayMs: number): void {
    this.#looking = true
    this.#clock.after(delayMs, () => {
      this.#looking = false
      if (!this.#stopped) this.#look()
    })
  }

  #look(): void {
    const now = this.#clock.monotonicMs()
    let waiting = false
    for (const [shard, tail] of this.#tails) {
      if (tail.bytes < this.#tailBytes) continue
      waiting ||= tail.bytes >= Math.max(this.#tailBytes, tail.snapshotBytes / 2)
      if (!this.#isDue(tail, now)) continue
      this.#snapshot(shard)
      // one at a time; one that could not be taken now is looked at again later, behind the others
      this.#tails.delete(shard)
      this.#tails.set(shard, tail)
      return this.#lookAfter(tail.bytes === 0 ? restMs : lookEveryMs)
    }
    if (waiting) this.#lookAfter(lookEveryMs)
  }

  #isDue({ bytes, snapshotBytes, appliedMs }: Tail, now: number): boolean {
    if (bytes >= Math.max(this.#tailBytes * 8, snapshotBytes * 2)) return true
    return now - appliedMs >= quietMs && bytes >= Math.max(this.#tailBytes, snapshotBytes / 2)
  }
}
