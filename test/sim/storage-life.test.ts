// What the storage of a machine does over time: workers that die, blocks that come and go, retention, late samples.
import { expect, it } from 'vitest'
import { seededRng } from '../../src/base/rng.ts'
import type { MetricFamily } from '../../src/base/metrics.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { storageMetrics } from '../../src/cli/serve/storage-metrics.ts'
import { simulatedCompute } from '../../src/ports/simulated/compute.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { openSeries, readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld, type WorldOptions } from '../support/storage-world.ts'

const baseMs = 1_699_999_920_000
const names = ['a', 'bb', 'ccc', 'dddd']

type Setting = { world: StorageWorld; storage: Storage; model: StorageModel; handles: Map<string, number> }
async function begin(options: Partial<WorldOptions> = {}): Promise<Setting> {
  const world = new StorageWorld(simulatedDisk(seededRng(3)), baseMs, { ...smallWorld, ...options })
  const storage = (await world.open())!
  return { world, storage, model: new StorageModel(), handles: openSeries(storage, names) }
}
async function append({ world, storage, model, handles }: Setting, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    expect(await model.append(world, storage, handles, world.clock.nowMs())).toBe(true)
    await world.clock.advance(30_000)
  }
}
type Meta = Readonly<{ ulid: string; minTime: number; maxTime: number; compaction: Readonly<Record<string, unknown>> }>
async function blocks({ world, storage }: Setting): Promise<Meta[]> {
  return (await world.run(storage.lanes.askAll<Meta[]>('blocks', null)))!.flat()
}
async function metric({ world, storage }: Setting, name: string): Promise<number> {
  const family = (await world.run(storageMetrics(storage)))!.find((one: MetricFamily) => one.name === name)
  if (family === undefined) throw new Error(`no metric ${name}`)
  return family.samples.reduce((sum, { value }) => sum + value, 0)
}

it('a worker that dies is started again and has everything', async () => {
  const compute = simulatedCompute(2)
  const setting = await begin({ lanes: 2, compute })
  const { world, storage, model } = setting
  await append(setting, 25)
  for (let id = 1; id <= 4; id++) {
    compute.kill(id, 'out of memory')
    await world.clock.advance(40_000)
    await append(setting, 10)
    expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  }
  expect(world.errors.filter((line) => line.includes('ended and is started again'))).toHaveLength(4)
  await world.run(storage.close())
})

it('has a snapshot before the newest, and the log behind it, also where nothing has come between snapshots', async () => {
  const setting = await begin({ chunkRangeMs: 7_200_000, snapshotTailUs: 1e9, walSegmentBytes: 1 << 10, headSegmentBytes: 256 })
  const { world, model } = setting
  await append(setting, 60)
  await world.clock.advance(1_000_000)
  world.crash()
  for (const path of world.files().filter((one) => one.includes('/snapshot-'))) {
    const shard = path.slice(0, path.lastIndexOf('/'))
    const newest = world.disk.list(shard).findLast((name) => name.startsWith('snapshot-'))
    if (path === `${shard}/${newest}`) world.disk.damage(path, 40, Uint8Array.of(world.disk.read(path)[40]! ^ 1))
  }
  const again = (await world.open())!
  expect(world.errors.map((line) => line.slice(0, line.indexOf(' is damaged')))).toEqual(['a head snapshot', 'a head snapshot'])
  expect(model.differences((await world.run(readAll(again)))!)).toEqual([])
  await world.run(again.close())
})

it('compacts blocks, vertically where late samples overlap', async () => {
  const setting = await begin({ outOfOrderTimeWindowMs: 900_000 })
  const { world, storage, model, handles } = setting
  for (let n = 0; n < 12; n++) {
    await append(setting, 8)
    const now = Math.floor(world.clock.nowMs() / 1000) * 1000
    for (let k = 2; k <= 41; k++) await model.appendLate(world, storage, ['a', handles.get('a')!], now - k * 20_000 - 500 - n)
    await world.run(storage.maintain())
  }
  expect(model.late).toBeGreaterThan(300)
  await world.clock.advance(10_000)
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  expect(await metric(setting, 'prometheus_tsdb_vertical_compactions_total')).toBeGreaterThan(1)
  expect(await metric(setting, 'prometheus_tsdb_head_out_of_order_samples_appended_total')).toBe(model.late)
  expect((await blocks(setting)).some(({ maxTime, minTime }) => maxTime - minTime === 720_000)).toBe(true)
  // what is too far behind is refused by name
  const handle = handles.get('bb')!
  const old = {
    length: 1,
    handles: Uint32Array.of(handle),
    values: Float64Array.of(1),
    times: null,
    timeMs: world.clock.nowMs() - 2_000_000,
  }
  expect(await world.run(storage.appender.append(old))).toMatchObject({ appended: 0, tooOld: 1, firstError: 'too old sample' })
  expect(await metric(setting, 'prometheus_tsdb_too_old_samples_total')).toBe(1)
  // every late one is in the histogram of how late they were, taken or not
  const delta = (await world.run(storageMetrics(storage)))!.find(({ name }) => name === 'prometheus_tsdb_sample_ooo_delta')!
  const number = (suffix: string, le = ''): number =>
    delta.samples.find((one) => one.suffix === suffix && (le === '' || one.labels[1] === le))!.value
  expect(number('_count')).toBeGreaterThan(model.late)
  expect(number('_count') - number('_bucket', '1800')).toBe(1)
  expect(await metric(setting, 'prometheus_tsdb_checkpoint_creations_total')).toBeGreaterThan(2)
  expect(await metric(setting, 'prometheus_tsdb_wal_truncations_total')).toBeGreaterThan(2)
  expect(await metric(setting, 'prometheus_tsdb_head_active_appenders')).toBe(0)
  expect(await metric(setting, 'prometheus_tsdb_head_appenders_created_total')).toBeGreaterThan(96)
  expect(await metric(setting, 'prometheus_tsdb_isolation_low_watermark')).toBe(
    await metric(setting, 'prometheus_tsdb_isolation_high_watermark'),
  )
  // the window can be changed while it runs
  await world.run(storage.configure({ ...storage.settings, outOfOrderTimeWindowMs: 0 }))
  const late = { ...old, timeMs: world.clock.nowMs() - 45_000 }
  expect(await world.run(storage.appender.append(late))).toMatchObject({ appended: 0, outOfOrder: 1 })
  await world.run(storage.close())
})

it('clean tombstones writes blocks anew without what was deleted', async () => {
  const setting = await begin()
  const { world, storage, model } = setting
  await append(setting, 60)
  await model.delete(world, storage, 'bb', baseMs, baseMs + 700_000)
  await world.run(storage.lanes.askAll('cleanTombstones', null))
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  for (const path of world.files().filter((one) => one.endsWith('/tombstones'))) expect(world.disk.stat(path).sizeBytes, path).toBe(9)
  expect(await metric(setting, 'prometheus_tsdb_tombstone_cleanup_seconds')).toBeGreaterThan(0)
  await world.run(storage.close())
})

it('cuts series that have ended into blocks of their own where they are many', async () => {
  const setting = await begin({ staleSeriesCompactionThreshold: 0.5, chunkRangeMs: 2_400_000 })
  const { world, storage, model, handles } = setting
  await append(setting, 50)
  const end = async (name: string): Promise<void> => {
    await model.end(world, storage, [name, handles.get(name)!], world.clock.nowMs())
    handles.delete(name)
  }
  await end('ccc')
  await world.run(storage.maintain())
  await world.clock.advance(1_000)
  expect(await metric(setting, 'prometheus_tsdb_head_stale_series')).toBe(1)
  expect(await metric(setting, 'prometheus_tsdb_stale_series_compactions_triggered_total')).toBe(0)
  await end('dddd')
  await world.run(storage.maintain())
  await world.clock.advance(1_000)
  expect(await metric(setting, 'prometheus_tsdb_stale_series_compactions_triggered_total')).toBe(1)
  expect(await metric(setting, 'prometheus_tsdb_stale_series_compactions_failed_total')).toBe(0)
  expect(await metric(setting, 'prometheus_tsdb_head_stale_series')).toBe(0)
  expect(await metric(setting, 'prometheus_tsdb_head_series')).toBe(2)
  const cut = await blocks(setting)
  expect(cut.length).toBeGreaterThan(0)
  for (const { compaction } of cut) expect(compaction['hints']).toEqual(['from-stale-series'])
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  // a series that comes back is a series of the head again; the windows that pass later stand beside the blocks of stale series
  handles.set('ccc', openSeries(storage, ['ccc']).get('ccc')!)
  await append(setting, 150)
  await world.run(storage.maintain())
  await world.clock.advance(10_000)
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  const hints = (await blocks(setting)).map(({ compaction }) => compaction['hints'])
  expect(hints).toContainEqual(undefined)
  expect(hints).toContainEqual(['from-stale-series'])
  await world.run(storage.close())
})

it('stale series whose blocks cannot be written stay in the head', async () => {
  const setting = await begin({ staleSeriesCompactionThreshold: 0.1, chunkRangeMs: 2_400_000 })
  const { world, storage, model, handles } = setting
  await append(setting, 20)
  await model.end(world, storage, ['a', handles.get('a')!], world.clock.nowMs())
  handles.delete('a')
  world.disk.failing = (verb, path) => (verb !== 'read' && path.includes('.tmp-for-creation') ? 'no space left on device' : null)
  await world.run(storage.maintain())
  await world.clock.advance(1_000)
  expect(await metric(setting, 'prometheus_tsdb_stale_series_compactions_failed_total')).toBe(1)
  expect(await metric(setting, 'prometheus_tsdb_head_series')).toBe(4)
  world.disk.failing = null
  await world.run(storage.maintain())
  await world.clock.advance(1_000)
  expect(await metric(setting, 'prometheus_tsdb_head_series')).toBe(3)
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  await world.run(storage.close())
})

it('keeps blocks by time, by size and by percentage of the disk', async () => {
  const setting = await begin()
  const { world, storage } = setting
  await append(setting, 120)
  await world.run(storage.maintain())
  await world.clock.advance(5_000)
  const all = await blocks(setting)
  const newest = Math.max(...all.map(({ maxTime }) => maxTime))
  await world.run(storage.configure({ ...storage.settings, blocks: { ...storage.settings.blocks, retentionMs: 1_500_000 } }))
  await world.run(storage.maintain())
  const kept = await blocks(setting)
  expect(kept.length).toBeLessThan(all.length)
  expect(kept.map(({ ulid }) => ulid)).toEqual(all.filter(({ maxTime }) => newest - maxTime < 1_500_000).map(({ ulid }) => ulid))
  expect(await metric(setting, 'prometheus_tsdb_time_retentions_total')).toBe(all.length - kept.length)
  // a percentage wins over a size; of 2^40 bytes this one leaves no room
  const { blocks: before } = storage.settings
  await world.run(storage.configure({ ...storage.settings, blocks: { ...before, retentionBytes: 2 ** 40, retentionPercentage: 1e-8 } }))
  await world.run(storage.maintain())
  expect(await blocks(setting)).toEqual([])
  expect(await metric(setting, 'prometheus_tsdb_size_retentions_total')).toBe(kept.length)
  await world.run(storage.close())
})

it('notices blocks that others put into the directory or take away', async () => {
  const setting = await begin()
  const { world, storage, model } = setting
  await append(setting, 30)
  await world.clock.advance(5_000)
  const [first] = await blocks(setting)
  const path = `/data/${first!.ulid}`
  world.disk.rename(path, '/data/elsewhere')
  await world.run(storage.maintain())
  expect((await blocks(setting)).map(({ ulid }) => ulid)).not.toContain(first!.ulid)
  expect(model.differences((await world.run(readAll(storage)))!).length).toBeGreaterThan(0)
  world.disk.rename('/data/elsewhere', path)
  await world.run(storage.maintain())
  expect(model.differences((await world.run(readAll(storage)))!)).toEqual([])
  expect(world.errors).toEqual([])
  await world.run(storage.close())
})
