// Files of full head chunks outlive the chunks for as long as a snapshot may name them.
import { expect, it } from 'vitest'
import { finishSteps } from '../../../src/base/steps.ts'
import { seededRng } from '../../../src/base/rng.ts'
import { simulatedDisk } from '../../../src/ports/simulated/disk.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'

it('a file goes with the second snapshot that does not name it', () => {
  const disk = simulatedDisk(seededRng(1))
  const store = new ChunkStore(disk, () => '/chunks', 1 << 20, () => {}, 64) // prettier-ignore
  const chunk = (fill: number): Uint8Array => new Uint8Array(40).fill(fill)
  const first = store.add(0, 1, chunk(1), 0, 10, 0)
  const second = store.add(0, 1, chunk(2), 20, 30, first)
  expect(finishSteps(store.save(0)).map(({ file }) => file)).toEqual([0, 1])
  store.snapshotTaken(0)
  store.release(first - 1)
  // the snapshot that was taken names it, and is kept beside the next one
  expect(finishSteps(store.save(0)).map(({ file }) => file)).toEqual([1])
  store.snapshotTaken(0)
  expect(disk.list('/chunks')).toEqual(['00000000', '00000001'])
  // one that takes the place of the newest leaves the one before as it is
  finishSteps(store.save(0))
  store.snapshotTaken(0, true)
  expect(disk.list('/chunks')).toEqual(['00000000', '00000001'])
  finishSteps(store.save(0))
  store.snapshotTaken(0)
  expect(disk.list('/chunks')).toEqual(['00000001'])
  expect(store.data(second - 1)).toEqual(chunk(2))
})
