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
  return takenMs
}

it('snapshots of a shard are taken at its place in the interval', async () => {
  const clock = simulatedClock(1_700_000_000_000)
  const takenMs = startShard(clock, (clock.nowMs() + 40_000) % everyMs)
  for (let minute = 0; minute < 4; minute++) await clock.advance(everyMs)
  expect(takenMs).toEqual([40_000, 100_000, 160_000, 220_000])
})
