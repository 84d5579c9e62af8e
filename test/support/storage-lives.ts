// One run of the whole storage of a machine that stops at an operation of its disk, and of what comes after.
import { expect, it } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { storageMetrics } from '../../src/cli/serve/storage-metrics.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { openSeries, readAll, StorageModel } from './storage-model.ts'
import { simulatedDisk, type DiskOperation, type SimulatedDisk } from '../../src/ports/simulated/disk.ts'
import { smallWorld, StorageWorld } from './storage-world.ts'

const baseMs = 1_699_999_800_000
const stepMs = 60_000
/** Segments of the log and of head chunks are full after a few records, so that many come and go; head chunks are read back from their files. */
const crashWorld = { ...smallWorld, walSegmentBytes: 1 << 10, headSegmentBytes: 96, headResidentBytes: 192 }
const lateWorld = { ...crashWorld, outOfOrderTimeWindowMs: 500_000, samplesPerChunk: 20 }
/** Series end, and are cut into blocks of their own. */
const staleWorld = { ...crashWorld, staleSeriesCompactionThreshold: 0.2 }
/** Rounds of a life: enough for a compaction. Late samples bring more of them. */
const roundsOfLife = { inOrder: 26, late: 18 } as const
const names = ['a', 'bb', 'ccc']

/** Appends, with windows that pass, snapshots, deletions and maintenance. Ends early where the machine stops. */
export async function live(world: StorageWorld, storage: Storage, model: StorageModel, rng: Rng, rounds: number): Promise<void> {
  const handles = openSeries(storage, names)
  for (let round = 0; round < rounds; round++) {
    if (!(await model.append(world, storage, handles, world.clock.nowMs()))) return
    if (world.options.outOfOrderTimeWindowMs > 0) {
      for (let n = rng.below(3); n > 0; n--) {
        const name = names[rng.below(names.length)]!
        const time = Math.floor(world.clock.nowMs() / 1000) * 1000 - rng.below(700) * 1000 + 500 + round + n * 100
        if (time < world.clock.nowMs()) await model.appendLate(world, storage, [name, handles.get(name)!], time)
      }
    }
    if (world.options.staleSeriesCompactionThreshold > 0) await endAndReturn(world, storage, model, handles, rng)
    if (rng.chance(0.05)) await world.run(storage.lanes.askAll('cleanTombstones', null)).catch(() => null)
    // in the middle of a compaction, often
    const maintaining = rng.chance(0.3) ? storage.maintain().catch(() => null) : null
    if (rng.chance(0.2)) {
      const start = world.clock.nowMs() - rng.below(900_000)
      await model.delete(world, storage, names[rng.below(names.length)]!, start, start + rng.below(200_000))
    }
    if (maintaining !== null) await world.run(maintaining)
    if (world.disk.operations >= world.stopAt) return
    await world.clock.advance(stepMs)
    if (world.disk.operations >= world.stopAt) return
  }
}

/** A series ends, or one that has ended is there again; what is older than its end is taken only where the storage has forgotten the end. */
async function endAndReturn(
  world: StorageWorld,
  storage: Storage,
  model: StorageModel,
  handles: Map<string, number>,
  rng: Rng,
): Promise<void> {
  const name = names[rng.below(names.length)]!
  const handle = handles.get(name)
  const now = world.clock.nowMs()
  if (handle === undefined) {
    if (rng.chance(0.5)) return
    handles.set(name, openSeries(storage, [name]).get(name)!)
    await model.appendLate(world, storage, [name, handles.get(name)!], now - 50_000 - rng.below(60_000))
  } else if (rng.chance(0.4)) {
    handles.delete(name)
    await model.end(world, storage, [name, handle], now + 1)
    if (rng.chance(0.8)) await world.run(storage.maintain()).catch(() => null)
  }
}

export function strays(world: StorageWorld): string[] {
  const allowed =
    /^\/data\/(lock|promhive\/(layout\.json|log\/\d+\.log|shards\/\d+\/(snapshot-\d{16}|deletions|chunks\/\d{8}))|[0-7][0-9A-Z]{25}\/(index|meta\.json|tombstones|chunks\/\d{6}))$/
  return world.files().filter((path) => !allowed.test(path))
}

/** Blocks that stand beside the one they were compacted into. */
async function leftParents(world: StorageWorld, storage: Storage): Promise<string[]> {
  type Meta = Readonly<{ ulid: string; compaction: Readonly<{ parents?: readonly Readonly<{ ulid: string }>[] }> }>
  const metas = (await world.run(storage.lanes.askAll<Meta[]>('blocks', null)))!.flat()
  const parents = new Set(metas.flatMap(({ compaction }) => compaction.parents ?? []).map(({ ulid }) => ulid))
  return metas.map(({ ulid }) => ulid).filter((ulid) => parents.has(ulid))
}

export async function verify(world: StorageWorld, storage: Storage, model: StorageModel, context: string): Promise<void> {
  const found = (await world.run(readAll(storage)))!
  expect(model.differences(found), context).toEqual([])
  expect(world.errors, context).toEqual([])
}

/** The machine stops with what its disk and its callers know now; it is opened again, once in a while after an opening that was interrupted as well. */
async function afterCrash(world: StorageWorld, model: StorageModel, rng: Rng, context: string): Promise<void> {
  world.crash()
  if (rng.chance(0.3)) {
    world.stopAfter(1 + rng.below(12))
    await world.open().catch(() => null)
    await world.clock.settle()
    world.crash()
  }
  const storage = (await world.open())!
  await verify(world, storage, model, context)
  expect(await leftParents(world, storage), context).toEqual([])
  if (!rng.chance(0.2)) return
  await world.clock.advance(300) // blocks that are being cut
  expect(strays(world), context).toEqual([])
  await live(world, storage, model, rng, 3)
  await verify(world, storage, model, `${context}, written on`)
  await world.run(storage.close())
  expect(strays(world), `${context}, closed`).toEqual([])
}

/** What lives are to contain, by what they do to the disk: the operation, and the path it is about. */
const workload = {
  'records written': ['write', /\/log\/\d+\.log$/],
  'records synced': ['sync', /\/log\/\d+\.log$/],
  'log segments begun': ['create', /\/log\/\d+\.log$/],
  'log segments trimmed': ['remove', /\/log\/\d+\.log$/],
  'head snapshots': ['rename', /\/snapshot-\d+\.tmp$/],
  'head snapshots removed': ['remove', /\/snapshot-\d+$/],
  'head chunks': ['rename', /\/chunks\/\d{8}(\.snapshot)?\.tmp$/],
  'head chunks removed': ['remove', /\/shards\/\d+\/chunks\/\d{8}$/],
  'deletions noted': ['rename', /\/deletions\.tmp$/],
  'blocks made': ['rename', /\.tmp-for-creation$/],
  'tombstones of blocks': ['rename', /\/[0-9A-Z]{26}\/tombstones\.tmp$/],
  'blocks removed': ['rename', /\/[0-9A-Z]{26}$/],
  'files of blocks removed': ['remove', /\.tmp-for-deletion\/index$/],
} as const satisfies Record<string, readonly [operation: DiskOperation, path: RegExp]>
/** … and by what the storage counts. */
const counted = {
  windows: 'prometheus_tsdb_head_truncations_total',
  compactions: 'prometheus_tsdb_compactions_total',
  'vertical compactions': 'prometheus_tsdb_vertical_compactions_total',
  'cuts of stale series': 'prometheus_tsdb_stale_series_compactions_triggered_total',
  'late samples': 'prometheus_tsdb_head_out_of_order_samples_appended_total',
} as const
export type Workload = Record<keyof typeof workload | keyof typeof counted | 'deletions' | 'crash points', number>
export const noWorkload = (): Workload =>
  Object.fromEntries(['crash points', 'deletions', ...Object.keys(workload), ...Object.keys(counted)].map((name) => [name, 0])) as Workload

/** One life, and a crash before each of its operations on the disk: their number, and what was going on. */
export async function crashEverywhere(
  seed: number,
  rounds: number = seed % 2 === 0 ? roundsOfLife.late : roundsOfLife.inOrder,
): Promise<Workload> {
  const done = noWorkload()
  const luck = seededRng(seed * 7919)
  const disk = simulatedDisk(luck.fork())
  const options = seed % 2 === 0 ? lateWorld : seed % 4 === 1 ? crashWorld : staleWorld
  const world = new StorageWorld(disk, baseMs, options)
  const model = new StorageModel()
  const points: { disk: SimulatedDisk; model: StorageModel; nowMs: number; operation: number }[] = []
  disk.onOperation = (kind, path) => {
    const operation = disk.operations
    points.push({ disk: disk.copy(luck.fork()), model: model.copy(), nowMs: world.clock.nowMs(), operation })
    for (const [name, [wanted, paths]] of Object.entries(workload)) if (kind === wanted && paths.test(path)) done[name as keyof Workload]++
  }
  const storage = (await world.open())!
  await live(world, storage, model, seededRng(seed), rounds)
  await verify(world, storage, model, `seed ${seed}, undisturbed`)
  const families = (await world.run(storageMetrics(storage)))!
  for (const [name, metric] of Object.entries(counted)) {
    const family = families.find((one) => one.name === metric)
    if (family === undefined) throw new Error(`no metric ${metric}`)
    done[name as keyof Workload] += family.samples.reduce((sum, { value }) => sum + value, 0)
  }
  await world.run(storage.close())
  disk.onOperation = null
  done['crash points'] = points.length
  done.deletions = model.deletions
  for (const point of points) {
    const context = `seed ${seed}, crash before operation ${point.operation}`
    await afterCrash(new StorageWorld(point.disk, point.nowMs, options), point.model, luck, context)
  }
  return done
}

/**
 * The lives of a test file, a test each, and one over all of them: so many crash points, and nothing of the workload missing. The sum over the files is
 * what a run of the tests promises.
 */
export function livesAndCrashes(name: string, seeds: readonly number[], atLeast: Partial<Workload>): void {
  const total = noWorkload()
  let lives = 0
  it.each(seeds)(`${name}, seed %i`, { timeout: 600_000 }, async (seed) => {
    const done = await crashEverywhere(seed)
    for (const key of Object.keys(total) as (keyof Workload)[]) total[key] += done[key]
    lives++
  })
  it(`${name}: crash points and what was going on`, ({ skip }) => {
    if (lives < seeds.length) skip('not all seeds have run')
    console.log(Object.entries(total).map(([key, count]) => `${count} ${key}`).join(', ')) // prettier-ignore
    const missing = Object.entries(atLeast).filter(([key, least]) => total[key as keyof Workload] < least)
    expect(missing, JSON.stringify(total)).toEqual([])
  })
}

/** Crash points of a usual run. */
export const crashPointsMin = { inOrder: 5_200, late: 5_000 } as const
