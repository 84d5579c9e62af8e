// Snapshots of a storage worker's shards: written in steps between records and queries, one after the other, or at once where the shard closes.
import { messageOf } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import { finishSteps, stepsWhile, type Steps } from '../../src/base/steps.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Disk } from '../../src/ports/disk.ts'
import type { ChunkStore } from '../../src/tsdb/head/chunk-store.ts'
import type { LaneBlocks } from './lane-blocks.ts'
import type { LaneJobs } from './lane-jobs.ts'
import type { FromLane } from './lane-protocol.ts'
import type { Shard } from './shard.ts'
import { removeSnapshotsAfter, writeSnapshot, type WrittenSnapshot } from './shard-files.ts'
import type { SnapshotSchedule } from './snapshot-schedule.ts'

export type LaneSnapshotParts = Readonly<{
  disk: Disk
  dataDirectory: string
  clock: Clock
  jobs: LaneJobs
  chunks: ChunkStore
  blocks: LaneBlocks
  schedule: SnapshotSchedule
  log: Logger
  send: (message: FromLane) => void
}>

export class LaneSnapshots {
  readonly #parts: LaneSnapshotParts
  /** Where the log is kept from when the next snapshot is there, by shard: the newest one's offset, so that one torn snapshot costs nothing. */
  readonly #applied: Map<number, number>
  /** Applied offset of the newest snapshot, by shard: one of the same offset takes its file's place, and the one before stays. */
  readonly #newest: Map<number, number>
  readonly #running = new Set<number>()
  written = 0
  failed = 0

  /** @param applied offset of the snapshot each shard has come from. */
  constructor(parts: LaneSnapshotParts, applied: ReadonlyMap<number, number>) {
    this.#parts = parts
    this.#applied = new Map(applied)
    this.#newest = new Map([...applied].filter(([, offset]) => offset > 0))
  }

  /** Begins one; `ended` is called when it is written, could not be, or may not be now, but not where it was given up. */
  start(shard: Shard, ended: () => void): void {
    this.#running.add(shard.id)
    const done = (): void => {
      if (this.#running.delete(shard.id)) ended()
    }
    this.#parts.jobs.start(jobOf(shard), this.#steps(shard), { urgent: true, done })
  }

  giveUp(shard: Shard): void {
    if (this.#running.delete(shard.id)) this.#parts.jobs.cancel(jobOf(shard))
  }

  /** Writes one within the call, instead of one that is under way. */
  now(shard: Shard): void {
    this.giveUp(shard)
    finishSteps(this.#steps(shard))
  }

  /** The log has lost its end, and the shard starts again from record `last`. */
  regressed(shard: Shard, last: number): void {
    // what is being written is of a state the log does not know
    this.#parts.jobs.cancel(jobOf(shard))
    this.#applied.set(shard.id, last)
    this.#newest.delete(shard.id)
    removeSnapshotsAfter(this.#parts.disk, this.#parts.dataDirectory, shard.id, last)
    finishSteps(this.#steps(shard))
  }

  *#steps(shard: Shard): Steps {
    const { clock, chunks, schedule, log, send } = this.#parts
    if (!this.#mayBegin(shard)) return
    const started = clock.monotonicMs()
    let series: number | null = null
    try {
      const made = yield* this.#write(shard)
      if (made === null) return
      series = made.series
      this.written++
      const isAgain = this.#newest.get(shard.id) === made.applied
      chunks.snapshotTaken(shard.id, isAgain)
      const ms = Math.round(clock.monotonicMs() - started)
      log.debug({ shard: shard.id, applied: made.applied, bytes: made.bytes, ms }, 'head snapshot written')
      if (isAgain) return
      send({ kind: 'snapshot', shard: shard.id, trimBefore: this.#applied.get(shard.id)! + 1 })
      this.#applied.set(shard.id, made.applied)
      this.#newest.set(shard.id, made.applied)
    } catch (thrown) {
      this.failed++
      log.error({ shard: shard.id, err: messageOf(thrown) }, 'cannot write a head snapshot: the log is kept')
    } finally {
      schedule.ended(shard.id, series)
    }
  }

  /** A start reads the log from behind the snapshot: it would miss what is not done yet. */
  #mayBegin(shard: Shard): boolean {
    return shard.retiring === null && this.#parts.blocks.deletions.retry(shard.id)
  }

  /** Null where it may not be taken after all. */
  *#write(shard: Shard): Steps<WrittenSnapshot | null> {
    const { deletions, collections } = shard
    const made = yield* stepsWhile(this.#begin(shard), () => shard.deletions === deletions && shard.collections === collections)
    if (made !== null) return made.value
    // something was taken away: another is written, and this time nothing comes in between
    return this.#mayBegin(shard) ? finishSteps(this.#begin(shard)) : null
  }

  #begin(shard: Shard): Steps<WrittenSnapshot> {
    this.#parts.schedule.began(shard.id)
    return writeSnapshot(this.#parts.disk, this.#parts.dataDirectory, shard.state())
  }
}

function jobOf(shard: Shard): string {
  return `snapshot of shard ${shard.id}`
}
