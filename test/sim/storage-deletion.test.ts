// Deletions go through the log: they hold for blocks as for the head, after a crash as well, and never for what was appended after them.
import { expect, it } from 'vitest'
import { seededRng } from '../../src/base/rng.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { openSeries, readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld, type WorldOptions } from '../support/storage-world.ts'

const baseMs = 1_699_999_920_000
const names = ['a', 'bb', 'ccc', 'dddd']

async function append(world: StorageWorld, storage: Storage, model: StorageModel, rounds: number): Promise<void> {
  const handles = openSeries(storage, names)
  for (let round = 0; round < rounds; round++) {
    expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
    await world.clock.advance(30_000)
  }
}
async function check(world: StorageWorld, storage: Storage, model: StorageModel): Promise<void> {
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
}

it('replayed, it does not take what has been appended and cut into blocks since', async () => {
  const world = new StorageWorld(simulatedDisk(seededRng(3)), baseMs, smallWorld)
  const model = new StorageModel()
  // no snapshot: a start replays everything
  world.disk.failing = (verb, path) => (verb !== 'read' && path.includes('/snapshot-') ? 'no' : null)
  const storage = (await world.open())!
  await append(world, storage, model, 40)
  await model.delete(world, storage, 'bb', baseMs + 60_000, 1e15)
  await append(world, storage, model, 40)
  await check(world, storage, model)
  world.crash()
  const again = (await world.open())!
  await check(world, again, model)
  expect([...model.series.get('bb')!.values()].filter((state) => state === 'kept').length).toBe(42)
  await world.run(again.close())
})

it('acknowledged while tombstones cannot be written, it hides at once and outlives a crash', async () => {
  const world = new StorageWorld(simulatedDisk(seededRng(4)), baseMs, smallWorld)
  const model = new StorageModel()
  const storage = (await world.open())!
  await append(world, storage, model, 40)
  world.disk.failing = (verb, path) => (verb !== 'read' && /[0-9A-Z]{26}\/tombstones/.test(path) ? 'no space left on device' : null)
  await model.delete(world, storage, 'ccc', baseMs, baseMs + 900_000)
  await model.delete(world, storage, 'a', baseMs + 100_000, baseMs + 200_000)
  expect([...model.series.get('ccc')!.values()]).toContain('deleted')
  expect(world.errors.filter((line) => line.includes('cannot write tombstones')).length).toBeGreaterThan(0)
  await check(world, storage, model)
  // snapshots wait for the tombstones, or a start would not see the deletion in the log any more
  await append(world, storage, model, 20)
  world.crash()
  world.disk.failing = null
  const again = (await world.open())!
  expect(world.errors).toEqual([])
  await check(world, again, model)
  await world.run(again.close())
  // all of it is in the files now
  const third = (await world.open())!
  await check(world, third, model)
  await world.run(third.close())
})

it('a later try makes the tombstones durable without a start', async () => {
  const world = new StorageWorld(simulatedDisk(seededRng(5)), baseMs, smallWorld)
  const model = new StorageModel()
  const storage = (await world.open())!
  await append(world, storage, model, 40)
  world.disk.failing = (verb, path) => (verb !== 'read' && /[0-9A-Z]{26}\/(tombstones|meta)/.test(path) ? 'broken' : null)
  await model.delete(world, storage, 'dddd', baseMs, 1e15)
  world.disk.failing = null
  await world.run(storage.maintain())
  await check(world, storage, model)
  const metas = (await world.run(storage.lanes.askAll<{ stats: { numTombstones?: number } }[]>('blocks', null)))!.flat()
  expect(metas.some(({ stats }) => (stats.numTombstones ?? 0) > 0)).toBe(true)
  await append(world, storage, model, 20)
  world.crash()
  const again = (await world.open())!
  await check(world, again, model)
  await world.run(again.close())
})

const many = Array.from({ length: 150 }, (_, n) => `s${n}`)

/** A life of some rounds, closed, and the machine off. */
async function filled(seed: number, rounds: number, options: WorldOptions): Promise<{ world: StorageWorld; model: StorageModel }> {
  const world = new StorageWorld(simulatedDisk(seededRng(seed)), baseMs, options)
  const model = new StorageModel()
  const storage = (await world.open())!
  const handles = openSeries(storage, many)
  for (let round = 0; round < rounds; round++) {
    expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
    await world.clock.advance(30_000)
  }
  await world.run(storage.close())
  world.crash()
  return { world, model }
}

it('holds wherever it comes in a compaction', { timeout: 120_000 }, async () => {
  // the first life does not compact
  const short = { ...smallWorld, blocks: { ...smallWorld.blocks, maxBlockMs: smallWorld.chunkRangeMs } }
  const { world, model } = await filled(6, 60, short)
  let inBetween = 0
  for (let steps = 0; steps < 24; steps++) {
    const at = new StorageWorld(world.disk.copy(seededRng(steps)), world.clock.nowMs(), smallWorld)
    const own = model.copy()
    const again = (await at.open())!
    const before = await blockCount(at, again)
    const maintaining = again.maintain()
    for (let n = 0; n < steps; n++) await at.clock.step()
    if ((await blockCount(at, again)) === before) inBetween++
    await own.delete(at, again, many[(steps * 7) % many.length]!, baseMs, 1e15)
    await at.run(maintaining)
    await at.clock.advance(10_000)
    await check(at, again, own)
    expect(await blockCount(at, again)).toBeLessThan(before)
    await at.run(again.close())
  }
  expect(inBetween).toBeGreaterThan(3)
})

async function blockCount(world: StorageWorld, storage: Storage): Promise<number> {
  return (await world.run(storage.lanes.askAll<unknown[]>('blocks', null)))!.flat().length
}

it('holds wherever it comes in a cut', { timeout: 120_000 }, async () => {
  // with the next sample the first window has passed
  const { world, model } = await filled(7, 13, smallWorld)
  let inBetween = 0
  for (let steps = 0; steps < 24; steps++) {
    const at = new StorageWorld(world.disk.copy(seededRng(steps)), world.clock.nowMs(), smallWorld)
    const own = model.copy()
    const again = (await at.open())!
    expect(await blockCount(at, again)).toBe(0)
    expect(await own.append(at, again, openSeries(again, many), at.clock.nowMs())).toBe(true)
    for (let n = 0; n < steps; n++) await at.clock.step()
    if ((await blockCount(at, again)) === 0) inBetween++
    await own.delete(at, again, many[(steps * 7) % many.length]!, baseMs, 1e15)
    await at.clock.advance(10_000)
    await check(at, again, own)
    expect(await blockCount(at, again)).toBe(2)
    await at.run(again.close())
  }
  expect(inBetween).toBeGreaterThan(3)
})
