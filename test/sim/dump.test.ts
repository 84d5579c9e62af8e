// What `tsdb dump` reads of a directory while a storage works on it, after a crash, and where the directory changes in the middle of it.
//
//   life ─▶ copies of the disk before some of its operations:   as it is │ after a crash │ as it is, and a later one from some call on
import { expect, it } from 'vitest'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import { SampleColumns } from '../../src/model/samples.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { simulatedDisk, type SimulatedDisk } from '../../src/ports/simulated/disk.ts'
import { viewLog } from '../../cluster/embedded/log-open.ts'
import { readSelector, ToolDatabase } from '../../src/cli/tool/tsdb-database.ts'
import { live } from '../support/storage-lives.ts'
import { StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld, type WorldOptions } from '../support/storage-world.ts'

const baseMs = 1_699_999_800_000
const small = { ...smallWorld, walSegmentBytes: 1 << 10, headSegmentBytes: 96, headResidentBytes: 192 }
const worlds: readonly (readonly [name: string, options: WorldOptions, seed: number])[] = [
  ['in order', small, 1],
  ['with late samples', { ...small, outOfOrderTimeWindowMs: 500_000, samplesPerChunk: 20 }, 2],
  ['with series that end and return', { ...small, staleSeriesCompactionThreshold: 0.2 }, 3],
]
const identity = (bytes: Uint8Array): Uint8Array => bytes

type Read = Readonly<{ samples: Map<string, Map<number, number>>; damages: readonly string[] }>
async function read(disk: Disk): Promise<Read> {
  const database = await ToolDatabase.open(disk, '/data', { snappy: identity, zstd: identity })
  const samples = new Map<string, Map<number, number>>()
  const columns = new SampleColumns()
  for (const { labels, read: into } of database.select([readSelector('{job="test"}')], -Infinity, Infinity)) {
    into(columns)
    const name = labels[labels.indexOf('__name__') + 1]!
    expect(samples.has(name)).toBe(false)
    const times = [...columns.times.subarray(0, columns.length)]
    expect(times).toEqual([...new Set(times)].sort((a, b) => a - b))
    samples.set(name, new Map(times.map((time, i) => [time, columns.values[i]!])))
  }
  database.close()
  return { samples, damages: database.damages }
}

type Point = Readonly<{ disk: SimulatedDisk; model: StorageModel; operation: number }>
async function points(options: WorldOptions, seed: number, rng: Rng): Promise<Point[]> {
  const world = new StorageWorld(simulatedDisk(rng.fork()), baseMs, options)
  const model = new StorageModel()
  const out: Point[] = []
  world.disk.onOperation = () => {
    if (rng.chance(0.25)) out.push({ disk: world.disk.copy(rng.fork()), model: model.copy(), operation: world.disk.operations })
  }
  const storage = (await world.open())!
  await live(world, storage, model, seededRng(seed), 26)
  await world.run(storage.close())
  world.disk.onOperation = null
  return [...out, { disk: world.disk, model, operation: world.disk.operations }].filter(({ disk }) => disk.exists('/data'))
}

/** Another disk from the call `after` on. */
class ChangingDisk {
  calls = 0
  readonly disk: Disk
  constructor(first: Disk, then: Disk, after: number) {
    this.disk = new Proxy(first, {
      get: (_, name: keyof Disk) => {
        const disk = ++this.calls > after ? then : first
        return (disk[name] as (...given: unknown[]) => unknown).bind(disk)
      },
    })
  }
}

it.for(worlds)('a dump has what the storage has acknowledged, %s', { timeout: 300_000 }, async ([name, options, seed]) => {
  const rng = seededRng(seed)
  const found = await points(options, seed, rng)
  expect(found.length).toBeGreaterThan(200)
  let switched = 0
  let refused = 0
  for (const [i, { disk, model, operation }] of found.entries()) {
    const context = `${name}, operation ${operation}`
    const before = disk.operations
    const counting = new ChangingDisk(disk, disk, 0)
    const living = await read(counting.disk)
    expect(disk.operations, context).toBe(before)
    expect(model.differences(living.samples), context).toEqual([])
    expect(living.damages, context).toEqual([])
    // the server goes on meanwhile
    const later = found[Math.min(found.length - 1, i + 1 + rng.below(30))]!
    const changing = new ChangingDisk(disk, later.disk, rng.below(counting.calls))
    const changed = await read(changing.disk).catch((thrown: unknown) => {
      if (!(thrown instanceof PromhiveError) || thrown.code !== 'UNAVAILABLE') throw thrown
      refused++
      return null
    })
    if (changed !== null) {
      switched++
      const mayBe = new Set(model.differences(changed.samples).filter((line) => !line.endsWith(': invented')))
      const wrong = later.model
        .differences(changed.samples, -Infinity, model)
        .filter((line) => mayBe.has(line) || !/: (lost|was deleted)$/.test(line))
      expect(wrong, `${context}, then ${later.operation}`).toEqual([])
      expect(changed.damages, `${context}, then ${later.operation}`).toEqual([])
    }
    const copy = disk.copy(rng.fork())
    copy.crash()
    const crashed = await read(copy)
    expect(model.differences(crashed.samples), `${context}, crashed`).toEqual([])
    expect(crashed.damages, `${context}, crashed`).toEqual([])
  }
  expect(refused).toBe(0) // it changes once, and there is a second attempt
  expect(switched).toBe(found.length)
})

it('gives up where files come and go all the time', async () => {
  const found = await points(small, 4, seededRng(4))
  const { disk } = found.at(-1)!
  const [newest] = disk.list('/data/promhive/shards/0').filter((name) => name.startsWith('snapshot-')).reverse() // prettier-ignore
  let lists = 0
  const restless: Disk = new Proxy(disk, {
    get: (_, name: keyof Disk) => {
      const list = (path: string): string[] => {
        const names = disk.list(path)
        return path.endsWith('/shards/0') ? [...names, `${newest}${++lists}`] : names
      }
      return name === 'list' ? list : (disk[name] as (...given: unknown[]) => unknown).bind(disk)
    },
  })
  await expect(read(restless)).rejects.toThrow(
    /^cannot read \/data: files come and go while it is read, try again: a head snapshot is damaged.*: \/data\/promhive\/shards\/0\/snapshot-\d+: .*no such file/,
  )
  expect(lists).toBeLessThan(10)
})

it.for(worlds)('damage is named and passed over, %s', { timeout: 300_000 }, async ([name, options, seed]) => {
  const rng = seededRng(seed + 10)
  const found = (await points(options, seed, rng)).slice(-150)
  let told = 0
  for (const { disk, model, operation } of found) {
    const copy = disk.copy(rng.fork())
    copy.crash()
    const paths = filesBelow(copy, '/data/promhive').filter((path) => /snapshot-\d+$|\/chunks\/\d+$|\.log$|\/deletions$/.test(path))
    if (paths.length === 0) continue
    const path = paths[rng.below(paths.length)]!
    const size = copy.stat(path).sizeBytes
    if (size === 0) continue
    // what comes behind the last segment with records was only begun
    const { segments } = await viewLog(copy, '/data/promhive/log', async () => {})
    const isTorn = path === segments.at(-1)?.file.path
    const at = rng.below(size)
    copy.damage(path, at, Uint8Array.of(copy.read(path)[at]! ^ (1 << rng.below(8))))
    const context = `${name}, operation ${operation}, byte ${at} of ${path}`
    const { samples, damages } = await read(copy)
    if (damages.length > 0) told++
    const wrong = model.differences(samples)
    const mayLose = /\/chunks\/|\.log$/.test(path)
    // with a record may be lost: samples, a deletion, the time by which a late sample was too old
    const allowed = path.endsWith('.log') ? /: (lost|was deleted|was refused)$|survive a deletion$/ : /: lost$/
    expect(wrong.filter((line) => !(mayLose && allowed.test(line))), context).toEqual([]) // prettier-ignore
    if (wrong.length > 0 && !isTorn) expect(damages.length, context).toBeGreaterThan(0)
    const ofLog = /of a ref|in records that are damaged/
    for (const line of damages) expect(line.includes(path) || (path.endsWith('.log') && (line.includes('/promhive/log') || ofLog.test(line))), `${context}: ${line}`).toBe(true) // prettier-ignore
  }
  expect(told).toBeGreaterThan(20)
})

function filesBelow(disk: Disk, directory: string): string[] {
  return disk.list(directory).flatMap((name) => {
    const path = `${directory}/${name}`
    return disk.stat(path).isDirectory ? filesBelow(disk, path) : [path]
  })
}
