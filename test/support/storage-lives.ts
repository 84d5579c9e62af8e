// One run of the whole storage of a machine that stops at an operation of its disk, and of what comes after.
import { expect } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { openSeries, readAll, StorageModel } from './storage-model.ts'
import { smallWorld, StorageWorld } from './storage-world.ts'

const baseMs = 1_699_999_800_000
const stepMs = 30_000
const names = ['a', 'bb', 'ccc']

/** Appends, with windows that pass, snapshots, deletions and maintenance. Ends early where the machine stops. */
export async function live(world: StorageWorld, storage: Storage, model: StorageModel, rng: Rng, rounds: number): Promise<void> {
  const handles = openSeries(storage, names)
  for (let round = 0; round < rounds; round++) {
    if (!(await model.append(world, storage, handles, world.clock.nowMs()))) return
    if (rng.chance(0.05)) {
      const start = world.clock.nowMs() - rng.below(2_000_000)
      await model.delete(world, storage, names[rng.below(names.length)]!, start, start + rng.below(200_000))
    }
    if (rng.chance(0.1)) await world.run(storage.maintain()).catch(() => null)
    if (world.disk.operations >= world.stopAt) return
    await world.clock.advance(stepMs)
    if (world.disk.operations >= world.stopAt) return
  }
}

export function strays(world: StorageWorld): string[] {
  const allowed =
    /^\/data\/(lock|promhive\/(layout\.json|log\/\d+\.log|shards\/\d+\/(snapshot-\d{16}|chunks\/\d{8}))|[0-7][0-9A-Z]{25}\/(index|meta\.json|tombstones|chunks\/\d{6}))$/
  return world.files().filter((path) => !allowed.test(path))
}

export async function verify(world: StorageWorld, storage: Storage, model: StorageModel, context: string): Promise<void> {
  const found = (await world.run(readAll(storage)))!
  expect(model.differences(found), context).toEqual([])
  expect(world.errors, context).toEqual([])
}

export async function oneLife(seed: number, at: number, rounds: number): Promise<number> {
  const context = `seed ${seed}, stop at ${at}`
  const rng = seededRng(seed * 100_003 + at)
  const world = new StorageWorld(rng.fork(), baseMs, smallWorld)
  const model = new StorageModel()
  world.stopAfter(at)
  const storage = await world.open().catch(() => null)
  if (storage !== null) await live(world, storage, model, seededRng(seed), rounds)
  const operations = world.disk.operations
  await world.clock.settle()
  world.crash()
  // opening is interrupted as well, then succeeds
  world.stopAfter(1 + rng.below(12))
  await world.open().catch(() => null)
  await world.clock.settle()
  world.crash()
  const again = (await world.open())!
  await verify(world, again, model, context)
  await world.clock.advance(1000) // blocks that are being cut
  expect(strays(world), context).toEqual([])
  await live(world, again, model, rng, 6)
  await verify(world, again, model, `${context}, written on`)
  await world.run(again.close())
  expect(strays(world), `${context}, closed`).toEqual([])
  return operations
}
