import { describe, expect, it } from 'vitest'
import { SnapshotSchedule } from '../../../actors/storage-shard/snapshot-schedule.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'

/** A schedule over shards of so many series; snapshots taken are [shard, second]. A tail of a millisecond is worth one. */
function rig(series: readonly number[], takes = true) {
  const clock = simulatedClock()
  const taken: [shard: number, second: number][] = []
  const schedule = new SnapshotSchedule(clock, 1_000, (shard) => {
    taken.push([shard, Math.floor(clock.monotonicMs() / 1000)])
    if (!takes) return
    schedule.began(shard)
    schedule.ended(shard, series[shard]!)
  })
  series.forEach((count, shard) => schedule.opened(shard, count))
  return { clock, taken, schedule }
}

describe('a snapshot by what replaying would take', () => {
  // a snapshot of no series is taken to take 2 ms, one of 10,000 series 7 ms; a record 20 µs, a sample 0.15 µs, a new series 2.5 µs
  it.each<[string, number, number, number, number, [number, number][]]>([
    ['is taken when the shard is quiet', 0, 1, 10_000, 0, [[0, 1]]],
    ['is not taken for a tail that is short', 0, 1, 6_000, 0, []],
    ['is not taken for a tail that is short beside the snapshot', 10_000, 1, 20_000, 0, []],
    ['is taken when the tail is half the snapshot and the shard is quiet', 10_000, 1, 40_000, 0, [[0, 1]]],
    ['is taken of a busy shard when the tail is eight times the least', 0, 20, 10_000, 0, [[0, 2], [0, 4]]],
    ['is taken of a busy shard when the tail is four times the snapshot', 10_000, 20, 30_000, 0, [[0, 2], [0, 4]]],
    ['counts series that are new', 10_000, 1, 1_500, 1_500, [[0, 1]]],
  ])('%s', async (_, series, records, samples, created, expected) => {
    const { clock, taken, schedule } = rig([series])
    for (let i = 0; i < records; i++) {
      schedule.applied(0, samples, created)
      await clock.advance(records === 1 ? 10_000 : 333)
    }
    expect(taken).toEqual(expected)
  }) // prettier-ignore

  it('is taken of a busy shard a second after the last of many new series has come', async () => {
    const { clock, taken, schedule } = rig([10_000])
    for (let i = 0; i < 40; i++) {
      schedule.applied(0, 200, i < 10 ? 200 : 0)
      await clock.advance(333)
    }
    expect(taken).toEqual([[0, 4]])
  })

  it('leaves what came while it was written to the next one', async () => {
    const { clock, taken, schedule } = rig([0], false)
    schedule.applied(0, 10_000, 0)
    await clock.advance(1_200)
    schedule.began(0)
    schedule.applied(0, 10_000, 0)
    schedule.ended(0, 0)
    await clock.advance(10_000)
    expect(taken.slice(0, 2)).toEqual([[0, 1], [0, 2]]) // prettier-ignore
  })

  it('comes one at a time, of all shards that need one', async () => {
    const { clock, taken, schedule } = rig([0, 0, 0])
    for (const shard of [0, 1, 2]) schedule.applied(shard, 10_000, 0)
    await clock.advance(60_000)
    expect(taken.map(([shard]) => shard)).toEqual([0, 1, 2])
  })

  it('that cannot be taken is tried again, and others have their turn', async () => {
    const { clock, taken, schedule } = rig([0, 0], false)
    for (const shard of [0, 1]) schedule.applied(shard, 10_000, 0)
    await clock.advance(3_400)
    expect(taken.map(([shard]) => shard)).toEqual([0, 1, 0, 1, 0])
    schedule.stop()
    await clock.advance(60_000)
    expect(taken).toHaveLength(5)
  })
})
