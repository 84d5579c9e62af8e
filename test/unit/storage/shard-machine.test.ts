import { expect, it } from 'vitest'
import { storageShard } from '../../../actors/storage-shard/machine.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'
import { testRuntime } from '../../support/runtime.ts'

const everyMs = 60_000

/** A shard whose snapshots take no time. */
function startShard(clock: ReturnType<typeof simulatedClock>, snapshotOffsetMs: number) {
  const takenMs: number[] = []
  const begin = clock.nowMs()
  const actor = testRuntime(clock).start({
    id: 'shard 0',
    kind: 'storage-shard',
    machine: storageShard,
    input: () => ({
      nowMs: () => clock.nowMs(),
      snapshotEveryMs: everyMs,
      snapshotOffsetMs,
      isReplaying: false,
      snapshot: () => {
        takenMs.push(clock.nowMs() - begin)
        clock.after(0, () => actor.send({ type: 'snapshotEnded' }))
      },
      giveUpSnapshot: () => {},
      lastSnapshot: () => {},
      isFarBehind: () => false,
      cut: () => {},
    }),
  })
  return { actor, takenMs }
}

it('snapshots of a shard are taken at its place in the interval', async () => {
  const clock = simulatedClock(1_700_000_000_000)
  const { takenMs } = startShard(clock, (clock.nowMs() + 40_000) % everyMs)
  for (let minute = 0; minute < 4; minute++) await clock.advance(everyMs)
  expect(takenMs).toEqual([40_000, 100_000, 160_000, 220_000])
})

it('none is taken within half of the interval after a start or another one', async () => {
  const clock = simulatedClock(1_700_000_000_000)
  const { actor, takenMs } = startShard(clock, (clock.nowMs() + 20_000) % everyMs)
  await clock.advance(everyMs)
  expect(takenMs).toEqual([])
  actor.send({ type: 'logGrew' })
  await clock.advance(25_000)
  // the one at 80 s would come 20 s after the one the log has called for
  expect(takenMs).toEqual([60_000])
  await clock.advance(everyMs)
  expect(takenMs).toEqual([60_000, 140_000])
})
