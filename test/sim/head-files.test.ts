// What a start makes of the files of the head: those nobody names any more go, and how far a shard's blocks reach is known after it.
import { describe, expect, it } from 'vitest'
import { ByteReader } from '../../src/base/bytes.ts'
import { seededRng } from '../../src/base/rng.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { checkSnapshot, snapshotCodec, snapshotHeadBytes, type SnapshotMeta } from '../../src/tsdb/head/snapshot.ts'
import { openSeries, readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld } from '../support/storage-world.ts'

const baseMs = 1_699_999_800_000
const names = ['a', 'bb', 'ccc']

/** Head chunk files of each shard: those that are there, and those that its snapshots name. */
function chunkFiles(world: StorageWorld): { there: string[]; named: string[] } {
  const paths = world.files('/data/promhive/shards')
  const named = new Set<string>()
  for (const path of paths) {
    const [, directory] = /^(.*)\/snapshot-\d+$/.exec(path) ?? []
    if (directory === undefined) continue
    const bytes = world.disk.read(path)
    expect(checkSnapshot(bytes), path).toBeNull()
    const reader = new ByteReader(bytes, snapshotHeadBytes, bytes.length - 4)
    let meta = bytes
    while (reader.remaining() > 0) {
      const length = reader.u32()
      reader.align(8)
      meta = reader.raw(length)
      reader.align(8)
    }
    const { segments } = snapshotCodec.unpack(meta.slice()) as SnapshotMeta
    for (const { file } of segments) named.add(`${directory}/chunks/${String(file).padStart(8, '0')}`)
  }
  return { there: paths.filter((path) => path.includes('/chunks/')).sort(), named: [...named].sort() }
}

describe('head chunk files', () => {
  // segments are full after a chunk or two, and leave the memory at once
  const options = { ...smallWorld, headSegmentBytes: 96, headResidentBytes: 192 }
  const lives = process.env['LONG'] === '1' ? 200 : 12
  it('after a crash and a start, those of no snapshot go', { timeout: 600_000 }, async () => {
    let orphans = 0
    for (let seed = 1; seed <= lives; seed++) {
      const rng = seededRng(seed)
      const world = new StorageWorld(simulatedDisk(rng.fork()), baseMs, options)
      const model = new StorageModel()
      for (let life = 0; life < 3; life++) {
        const storage = (await world.open())!
        const handles = openSeries(storage, names)
        for (let round = 10 + rng.below(30); round > 0; round--) {
          if (!(await model.append(world, storage, handles, world.clock.nowMs()))) break
          if (rng.chance(0.1)) await world.run(storage.maintain())
          await world.clock.advance(30_000)
        }
        world.stopAfter(1 + rng.below(20))
        await world.run(storage.close()).catch(() => null)
        world.crash()
      }
      const { there, named } = chunkFiles(world)
      orphans += there.filter((path) => !named.includes(path)).length
      // nothing but a start and two snapshots: one may have been named by the snapshot before the last
      const storage = (await world.open())!
      const handles = openSeries(storage, names)
      for (let round = 0; round < 24; round++) {
        expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
        await world.clock.advance(30_000)
      }
      await world.run(storage.close())
      const after = chunkFiles(world)
      expect(after.there, `seed ${seed}`).toEqual(after.named)
      expect(after.there.length).toBeGreaterThan(0)
      const again = (await world.open())!
      expect(model.differences((await world.run(readAll(again)))!)).toEqual([])
      expect(world.errors).toEqual([])
      await world.run(again.close())
    }
    expect(orphans).toBeGreaterThan(0)
  })
})

it('a second snapshot of the same offset leaves the one before whole, with its chunks and the log behind it', async () => {
  const options = { ...smallWorld, shards: 1, headSegmentBytes: 96, headResidentBytes: 192, walSegmentBytes: 1 << 10 }
  const world = new StorageWorld(simulatedDisk(seededRng(9)), baseMs, options)
  const model = new StorageModel()
  let storage = (await world.open())!
  const handles = openSeries(storage, names)
  for (let round = 0; round < 40; round++) {
    expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
    await world.clock.advance(30_000)
  }
  await world.run(storage.close())
  // starts that write nothing take one each as they end
  for (let n = 0; n < 3; n++) await world.run((await world.open())!.close())
  const paths = world.files('/data/promhive/shards').filter((path) => path.includes('/snapshot-')).sort() // prettier-ignore
  expect(paths.length).toBe(2)
  world.disk.damage(paths[1]!, 100, Uint8Array.of(~world.disk.read(paths[1]!)[100]! & 0xff))
  storage = (await world.open())!
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  expect(world.errors.length).toBe(1)
  expect(world.errors[0]).toContain(paths[1])
  await world.run(storage.close())
})

describe('a shard that has lost its own state and has its blocks', () => {
  const rangeMs = smallWorld.chunkRangeMs
  it.each([0, 600_000])(
    'takes nothing into a window that is a block, after a second start either; late window %i',
    async (outOfOrderTimeWindowMs) => {
      const world = new StorageWorld(simulatedDisk(seededRng(3)), baseMs, { ...smallWorld, shards: 1, outOfOrderTimeWindowMs })
      const model = new StorageModel()
      let storage = (await world.open())!
      let handles = openSeries(storage, names)
      for (let round = 0; round < 40; round++) {
        expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
        await world.clock.advance(30_000)
      }
      type Meta = Readonly<{ maxTime: number }>
      const metas = (await world.run(storage.lanes.askAll<Meta[]>('blocks', null)))!.flat()
      const endMs = Math.max(...metas.map(({ maxTime }) => maxTime))
      await world.run(storage.close())
      world.disk.remove('/data/promhive')
      world.disk.syncDirectory('/data')
      world.crash()
      // all that was in the head is gone with it
      for (const samples of model.series.values()) for (const timeMs of samples.keys()) if (timeMs >= endMs) samples.delete(timeMs)

      storage = (await world.open())!
      const one = async (name: string, timeMs: number): Promise<unknown> => {
        const value = Float64Array.of(StorageModel.value(name, timeMs))
        const handle = openSeries(storage, [name]).get(name)!
        return await world.run(storage.appender.append({ length: 1, handles: Uint32Array.of(handle), values: value, times: null, timeMs }))
      }
      // a little behind the blocks: half a window before it is in them
      for (const name of names) {
        expect(await one(name, endMs + 1000)).toMatchObject({ appended: 1 })
        model.series.get(name)!.set(endMs + 1000, 'kept')
      }
      await world.run(storage.close())
      storage = (await world.open())!
      const isLateTaken = outOfOrderTimeWindowMs > 0
      for (const name of ['new', 'newer', 'the newest']) {
        const timeMs = endMs - rangeMs / 4 + 500
        expect(await one(name, timeMs)).toMatchObject(
          isLateTaken ? { appended: 1 } : { appended: 0, outOfBounds: 1, firstError: 'out of bounds' },
        )
        if (isLateTaken) model.series.set(name, new Map([[timeMs, 'kept']]))
      }
      // and the window after it is cut
      await world.clock.advance(rangeMs * 3)
      handles = openSeries(storage, names)
      for (let round = 0; round < 20; round++) {
        expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
        await world.clock.advance(30_000)
      }
      await world.run(storage.maintain())
      expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
      expect(world.errors).toEqual([])
      await world.run(storage.close())
    },
  )
})
