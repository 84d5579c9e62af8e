import { describe, expect, it } from 'vitest'
import { SnapshotSchedule } from '../../../actors/storage-shard/snapshot-schedule.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'

const KiB = 1 << 10

/** A schedule over shards whose snapshots have the given sizes; snapshots taken are [shard, second]. */
function rig(snapshotBytes: readonly number[], takes = true) {
  const clock = simulatedClock()
  const taken: [shard: number, second: number][] = []
  const schedule = new SnapshotSchedule(clock, KiB, (shard) => {
    taken.push([shard, Math.floor(clock.monotonicMs() / 1000)])
    if (takes) schedule.written(shard, snapshotBytes[shard]!)
  })
  snapshotBytes.forEach((bytes, shard) => schedule.opened(shard, bytes))
  return { clock, taken, schedule }
}

describe('a snapshot by volume', () => {
  it.each<[string, number, number, number, [number, number][]]>([
    ['is taken when the shard is quiet', 0, 1, 2 * KiB, [[0, 1]]],
    ['is not taken for a tail that is short', 0, 1, KiB / 2, []],
    ['is not taken for a tail that is short beside the snapshot', 10 * KiB, 1, 2 * KiB, []],
    ['is taken when the tail is half the snapshot and the shard is quiet', 10 * KiB, 1, 6 * KiB, [[0, 1]]],
    ['is taken of a busy shard when the tail is eight times the least', 0, 20, KiB, [[0, 2], [0, 5]]],
    ['is taken of a busy shard when the tail is twice the snapshot', 10 * KiB, 20, 3 * KiB, [[0, 2], [0, 4]]],
  ])('%s', async (_, snapshotBytes, records, recordBytes, expected) => {
    const { clock, taken, schedule } = rig([snapshotBytes])
    for (let i = 0; i < records; i++) {
      schedule.applied(0, recordBytes)
      await clock.advance(records === 1 ? 10_000 : 333)
    }
    expect(taken).toEqual(expected)
  }) // prettier-ignore

  it('comes one at a time, of all shards that need one', async () => {
    const { clock, taken, schedule } = rig([0, 0, 0])
    for (const shard of [0, 1, 2]) schedule.applied(shard, 2 * KiB)
    await clock.advance(60_000)
    expect(taken.map(([shard]) => shard)).toEqual([0, 1, 2])
  })

  it('that cannot be taken is tried again, and others have their turn', async () => {
    const { clock, taken, schedule } = rig([0, 0], false)
    for (const shard of [0, 1]) schedule.applied(shard, 2 * KiB)
    await clock.advance(3_400)
    expect(taken.map(([shard]) => shard)).toEqual([0, 1, 0, 1, 0])
    schedule.stop()
    await clock.advance(60_000)
    expect(taken).toHaveLength(5)
  })
})
