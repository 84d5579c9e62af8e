// Files of the storage that bad sectors or people have changed: never a wrong answer; what is damaged is named and set aside, the rest is served.
import { describe, expect, it } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { storageMetrics } from '../../src/cli/serve/storage-metrics.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { openSeries, readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld } from '../support/storage-world.ts'

const baseMs = 1_699_999_920_000
const names = ['a', 'bb', 'ccc', 'dddd']
const options = { ...smallWorld, outOfOrderTimeWindowMs: 300_000, chunkRangeMs: 960_000, walSegmentBytes: 4 << 10, headSegmentBytes: 512 }

type Ending = 'closed' | 'crashed'
/** A storage with blocks, snapshots, full chunks, late samples and a log, that has ended. */
async function filled(rng: Rng, ending: Ending, deletes = false): Promise<{ world: StorageWorld; model: StorageModel }> {
  const world = new StorageWorld(simulatedDisk(rng), baseMs, options)
  const model = new StorageModel()
  const storage = (await world.open())!
  const handles = openSeries(storage, names)
  for (let round = 0; round < 60; round++) {
    expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
    if (round % 3 === 2)
      await model.appendLate(world, storage, ['a', handles.get('a')!], Math.floor(world.clock.nowMs() / 1000) * 1000 - 100_500)
    await world.clock.advance(30_000)
  }
  if (deletes) await model.delete(world, storage, 'bb', baseMs + 200_000, baseMs + 700_000)
  if (ending === 'closed') await world.run(storage.close())
  await world.clock.settle()
  world.crash()
  return { world, model }
}

type Kind = Readonly<{ kind: string; path: RegExp; ending: Ending; mayLose: boolean }>
/** Kinds of files: path, and whether a sample may be missing when one is damaged. Of snapshots there are two, and the log behind the older one. */
const kinds: readonly Kind[] = [
  { kind: 'snapshots', path: /snapshot-/, ending: 'closed', mayLose: false },
  { kind: 'snapshots after a crash', path: /snapshot-/, ending: 'crashed', mayLose: false },
  { kind: 'head chunks', path: /\/chunks\/\d{8}$/, ending: 'closed', mayLose: true },
  { kind: 'log segments', path: /\/log\//, ending: 'crashed', mayLose: true },
  { kind: 'log segments of a closed storage', path: /\/log\//, ending: 'closed', mayLose: true },
  { kind: 'progress of deletions', path: /\/deletions$/, ending: 'crashed', mayLose: false },
  { kind: 'layout', path: /layout\.json$/, ending: 'closed', mayLose: false },
]

/** Damages that metrics tell of. */
const damageMetrics = [
  'prometheus_tsdb_wal_corruptions_total',
  'prometheus_tsdb_mmap_chunk_corruptions_total',
  'prometheus_tsdb_snapshot_replay_error_total',
  'prometheus_tsdb_reloads_failures_total',
  'promhive_storage_files_damaged_total',
]
async function counted(world: StorageWorld, storage: Storage): Promise<number> {
  const families = (await world.run(storageMetrics(storage)))!.filter(({ name }) => damageMetrics.includes(name))
  return families.reduce((sum, { samples }) => samples.reduce((part, { value }) => part + value, sum), 0)
}

function change(world: StorageWorld, path: string, rng: Rng): string {
  const size = world.disk.stat(path).sizeBytes
  if (rng.chance(0.4)) {
    // odd: a log cut exactly between two records looks like one that was never longer
    const keep = rng.below(size) | 1
    const file = world.disk.open(path, 'append')
    file.truncate(keep)
    file.syncNow()
    file.close()
    return `${path} cut from ${size} to ${keep} bytes`
  }
  const at = rng.below(size)
  const bit = 1 << rng.below(8)
  world.disk.damage(path, at, Uint8Array.of(world.disk.read(path)[at]! ^ bit))
  return `${path}: bit ${bit} of byte ${at} of ${size}`
}

describe.each(kinds)('damaged $kind', ({ path: pattern, ending, mayLose }) => {
  it('gives no wrong answer, is told and set aside', { timeout: 300_000 }, async () => {
    const rng = seededRng(pattern.source.length * 31 + ending.length)
    const origin = await filled(rng.fork(), ending, pattern.source.includes('deletions'))
    const rounds = process.env['LONG'] === '1' ? 2000 : 60
    for (let round = 0; round < rounds; round++) {
      const world = new StorageWorld(origin.world.disk.copy(rng.fork()), origin.world.clock.nowMs(), options)
      const model = origin.model.copy()
      const paths = world.files().filter((path) => pattern.test(path))
      const damaged = paths[rng.below(paths.length)]!
      const what = change(world, damaged, rng)
      const storage = (await world.open())!
      const found = (await world.run(readAll(storage)))!
      const wrong = model.differences(found)
      const lost = wrong.filter((line) => line.endsWith(': lost'))
      expect(
        wrong.filter((line) => !line.endsWith(': lost')),
        what,
      ).toEqual([])
      // a loss is never silent
      const told = world.errors.length + world.infos.filter((line) => line.includes('torn write')).length
      if (!mayLose) expect(lost, what).toEqual([])
      if (lost.length > 0) expect(told, `${what}: ${lost.length} samples lost`).toBeGreaterThan(0)
      // by the name of the file; what a shard makes of damage in the log is told besides, and no other file is blamed
      const ofLog = /the log ends before what a shard|records of the log are damaged|in records that are damaged/
      const lines = [...world.errors, ...world.infos].join('\n')
      // a last segment whose head is gone goes itself: then its directory is named
      if (world.errors.length > 0)
        expect(lines.includes(damaged) || lines.includes('"log":"/data/promhive/log"'), `${what}\n${lines}`).toBe(true)
      expect(
        world.errors.filter((line) => !line.includes(damaged) && !(ofLog.test(line) && damaged.includes('/log/'))),
        what,
      ).toEqual([])
      if (world.errors.some((line) => line.includes(damaged))) expect(await counted(world, storage), what).toBeGreaterThan(0)
      // and not everything goes with it
      expect(
        [...found.values()].reduce((sum, samples) => sum + samples.size, 0),
        what,
      ).toBeGreaterThan(30)
      // the storage goes on: new samples are taken, kept and read
      const before = new Set(lost)
      const handles = openSeries(storage, names)
      for (let more = 0; more < 3; more++) {
        expect(await model.append(world, storage, handles, world.clock.nowMs()), what).toBe(true)
        await world.clock.advance(30_000)
      }
      const after = model.differences((await world.run(readAll(storage)))!).filter((line) => !before.has(line))
      expect(after, what).toEqual([])
      expect((await world.run(storageMetrics(storage)))!.length).toBeGreaterThan(30)
      await world.run(storage.close())
      const again = (await world.open())!
      expect(
        model.differences((await world.run(readAll(again)))!).filter((line) => !before.has(line)),
        `${what}, opened again`,
      ).toEqual([])
      await world.run(again.close())
    }
  })
})

describe('damaged blocks', () => {
  it('answer right or with an error that names the file, and do not stop the storage', { timeout: 300_000 }, async () => {
    const rng = seededRng(5)
    const origin = await filled(rng.fork(), 'closed')
    let refused = 0
    for (let round = 0; round < (process.env['LONG'] === '1' ? 2000 : 60); round++) {
      const world = new StorageWorld(origin.world.disk.copy(rng.fork()), origin.world.clock.nowMs(), options)
      const model = origin.model.copy()
      const paths = world.files().filter((path) => /[0-9A-Z]{26}\//.test(path))
      const path = paths[rng.below(paths.length)]!
      const block = path.slice(0, '/data/'.length + 26)
      const what = change(world, path, rng)
      const storage = (await world.open())!
      const told = (): boolean => world.errors.some((line) => line.includes(block.slice('/data/'.length)))
      const check = async (): Promise<void> => {
        try {
          const wrong = model.differences((await world.run(readAll(storage)))!)
          expect(
            wrong.filter((line) => !line.endsWith(': lost')),
            what,
          ).toEqual([])
          if (wrong.length > 0) expect(told(), `${what}: ${wrong.length} samples lost`).toBe(true)
        } catch (thrown) {
          // the very file, or the one that does not fit it any more
          expect(String(thrown), what).toContain(block)
          const file = /\/data\/[^ :]*/.exec(String(thrown))![0]
          expect(
            world.errors.some((line) => line.includes(file)),
            `${what}: ${String(thrown)}`,
          ).toBe(true)
          expect(await counted(world, storage), what).toBeGreaterThan(0)
          refused++
        }
      }
      await check()
      const handles = openSeries(storage, names)
      for (let more = 0; more < 40; more++) {
        expect(await model.append(world, storage, handles, world.clock.nowMs()), what).toBe(true)
        if (more % 8 === 0) await world.run(storage.maintain())
        await world.clock.advance(60_000)
      }
      await check()
      await world.run(storage.close())
    }
    expect(refused).toBeGreaterThan(10)
  })
})
