// A disk that fills up and gets room again: nothing acknowledged is lost, what is refused is refused as "no space", and everything goes on by itself.
import { expect, it } from 'vitest'
import { PromhiveError } from '../../src/base/errors.ts'
import { seededRng } from '../../src/base/rng.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { openSeries, readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld } from '../support/storage-world.ts'

const baseMs = 1_699_999_920_000
const names = ['a', 'bb', 'ccc', 'dddd']

function sample(handle: number, timeMs: number) {
  return { length: 1, handles: Uint32Array.of(handle), values: Float64Array.of(1), times: null, timeMs }
}

async function fill(
  world: StorageWorld,
  storage: Storage,
  model: StorageModel,
  handles: Map<string, number>,
  rounds: number,
): Promise<number> {
  let refused = 0
  for (let round = 0; round < rounds; round++) {
    if (!(await model.append(world, storage, handles, world.clock.nowMs()))) refused++
    if (round % 4 === 3) await world.run(storage.maintain())
    await world.clock.advance(30_000)
  }
  return refused
}

it('refuses with STORAGE_FULL, loses nothing and goes on when there is room', { timeout: 60_000 }, async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const disk = simulatedDisk(seededRng(seed))
    const world = new StorageWorld(disk, baseMs, { ...smallWorld, outOfOrderTimeWindowMs: seed % 2 === 0 ? 500_000 : 0 })
    const model = new StorageModel()
    const storage = (await world.open())!
    const handles = openSeries(storage, names)
    expect(await fill(world, storage, model, handles, 20)).toBe(0)
    // room for a few records, not for a segment of the log, a snapshot or a block
    disk.setFree(seed * 150)
    expect(await fill(world, storage, model, handles, 30)).toBeGreaterThan(0)
    disk.setFree(0) // what was trimmed meanwhile may have made room
    const refusal = await world.run(
      storage.appender.append(sample(handles.get('a')!, world.clock.nowMs())).catch((thrown: unknown) => thrown),
    )
    expect(refusal).toBeInstanceOf(PromhiveError)
    expect((refusal as PromhiveError).code).toBe('STORAGE_FULL')
    // reads go on
    expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
    disk.setFree(2 ** 30)
    world.errors = []
    expect(await fill(world, storage, model, handles, 40)).toBe(0)
    expect(world.errors).toEqual([])
    expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
    // what could not be cut while the disk was full has been cut since
    const blocks = (await world.run(storage.lanes.askAll<{ maxTime: number }[]>('blocks', null)))!.flat()
    expect(Math.max(...blocks.map(({ maxTime }) => maxTime))).toBeGreaterThan(world.clock.nowMs() - 3 * 240_000)
    if (seed % 3 === 0) await world.run(storage.close())
    await world.clock.settle()
    world.crash()
    const again = (await world.open())!
    expect(model.differences((await world.run(readAll(again)))!)).toEqual([])
    expect(world.errors).toEqual([])
    await world.run(again.close())
  }
})

it('keeps taking samples while only snapshots, blocks and head chunks cannot be written', { timeout: 60_000 }, async () => {
  const disk = simulatedDisk(seededRng(9))
  const world = new StorageWorld(disk, baseMs, smallWorld)
  const model = new StorageModel()
  const storage = (await world.open())!
  const handles = openSeries(storage, names)
  await fill(world, storage, model, handles, 5)
  disk.failing = (verb, path) => (verb !== 'read' && !path.includes('/promhive/log') ? 'no space left on device' : null)
  expect(await fill(world, storage, model, handles, 40)).toBe(0)
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  const told = (text: string): number => world.errors.filter((line) => line.includes(text)).length
  expect(told('cannot cut a block')).toBeGreaterThan(0)
  expect(told('cannot write a head snapshot')).toBeGreaterThan(0)
  // tried again in a minute, not with every record
  expect(told('cannot cut a block')).toBeLessThan(60)
  disk.failing = null
  expect(await fill(world, storage, model, handles, 10)).toBe(0)
  await world.run(storage.close())
  world.crash()
  const again = (await world.open())!
  expect(model.differences((await world.run(readAll(again)))!)).toEqual([])
  await world.run(again.close())
})
