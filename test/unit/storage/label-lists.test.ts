import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Cancel } from '../../../src/base/cancel.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { releasePages } from '../../../src/base/shared-pages.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import type { Matcher } from '../../../src/model/matcher.ts'
import { nodeClock } from '../../../src/ports/node/clock.ts'
import { nodeCompute } from '../../../src/ports/node/compute.ts'
import { nodeDisk } from '../../../src/ports/node/disk.ts'
import { nodeRandom } from '../../../src/ports/node/random.ts'
import type { ListQuery, QueryAnswer, SeriesBackend } from '../../../src/api/backend.ts'
import { seriesBackend } from '../../../src/cli/serve/series-backend.ts'
import { openStorage, type Storage } from '../../../src/cli/serve/storage.ts'

const path = mkdtempSync(join(tmpdir(), 'promhive-lists-'))
afterAll(() => rmSync(path, { recursive: true }))

function open(lanes: number): Promise<Storage> {
  return openStorage(
    {
      dataDirectory: join(path, String(lanes)),
      shards: 4,
      lanes,
      samplesPerChunk: 120,
      chunkRangeMs: 7_200_000,
      exemplarsMax: 0,
      lockFile: false,
      walSegmentBytes: 128 << 20,
      blocks: { retentionMs: 0, retentionBytes: 0, retentionPercentage: 0, maxBlockMs: 7_200_000, mergeOverlapping: true },
      outOfOrderTimeWindowMs: 0,
      blockSegmentBytesMax: 512 << 20,
      staleSeriesCompactionThreshold: 0,
    },
    { disk: nodeDisk(), clock: nodeClock(), random: nodeRandom(), compute: nodeCompute(), logger: silentLogger },
  )
}

const base = Math.ceil(1_700_000_000_000 / 7_200_000) * 7_200_000
const all: Matcher[][] = []
const everything = { matchers: all, startMs: -1e15, endMs: 1e15, limit: 0, name: '' }

function parsed({ data }: QueryAnswer): unknown {
  const value: unknown = JSON.parse(Buffer.concat(data).toString())
  releasePages(data)
  return value
}

async function ask(backend: SeriesBackend, query: Partial<ListQuery>): Promise<unknown> {
  return parsed(await backend.listed({ ...everything, kind: 'labelNames', ...query }, new Cancel()))
}

async function append(storage: Storage, names: readonly string[], timeMs: number): Promise<void> {
  const handles = Uint32Array.from(names, (name) => storage.appender.open(labelsFromObject({ __name__: name, quoted: '"\\\n', über: 'ü' })))
  await storage.appender.append({ length: names.length, handles, values: new Float64Array(names.length), times: null, timeMs })
  for (const handle of handles) storage.appender.release(handle)
}

it.each([1, 2])('lists say what there is, at once after it was written, with %i lanes', async (lanes) => {
  const storage = await open(lanes)
  const backend = seriesBackend(storage.lanes)
  const values = (query: Partial<ListQuery> = {}): Promise<unknown> => ask(backend, { kind: 'labelValues', name: '__name__', ...query })
  expect(await ask(backend, {})).toEqual([])
  expect(await values()).toEqual([])
  await append(storage, ['b', 'a'], base)
  expect(await ask(backend, {})).toEqual(['__name__', 'quoted', 'über'])
  for (let i = 0; i < 3; i++) {
    expect(await values()).toEqual(['a', 'b'])
    await append(storage, ['a'], base + 1000 + i)
  }
  await append(storage, ['c'], base)
  expect(await values()).toEqual(['a', 'b', 'c'])
  expect(await values({ limit: 2 })).toEqual(['a', 'b'])
  const cut = await backend.listed({ ...everything, kind: 'labelValues', name: '__name__', limit: 2 }, new Cancel())
  expect(cut.truncated).toBe(true)
  expect(await ask(backend, { kind: 'labelValues', name: 'nothing' })).toEqual([])
  expect(await values({ endMs: base - 1 })).toEqual([])
  expect(await values({ startMs: base + 1_000_000 })).toEqual([])
  expect(await values({ startMs: base })).toEqual(['a', 'b', 'c'])
  const onlyB: Matcher[][] = [[{ name: '__name__', kind: '=', value: 'b' }]]
  expect(await values({ matchers: onlyB })).toEqual(['b'])
  expect(await ask(backend, { kind: 'series', matchers: onlyB })).toEqual([{ __name__: 'b', quoted: '"\\\n', über: 'ü' }])
  await storage.close()
})

it('label lists hold across blocks and ranges, and large lists go through shared pages that come back', async () => {
  const storage = await open(1)
  const backend = seriesBackend(storage.lanes)
  await append(storage, ['old'], base + 5_000)
  // one window and a half later the first one is a block
  for (let time = base + 7_200_000; time <= base + 4 * 7_200_000; time += 600_000) await append(storage, ['young'], time)
  const names = Array.from({ length: 3000 }, (_, i) => `metric_with_quite_a_long_name_${String(i).padStart(5, '0')}`)
  const values = (query: Partial<ListQuery>): Promise<unknown> => ask(backend, { kind: 'labelValues', name: '__name__', ...query })
  const young = { startMs: base + 3.5 * 7_200_000 }
  for (let i = 0; i < 2; i++) {
    expect(await values({ endMs: base + 6_000, startMs: base })).toContain('old')
    expect(await values(young)).toContain('young')
  }
  await append(storage, names, base + 4 * 7_200_000 + 1)
  const metrics = { ...young, matchers: [[{ name: '__name__', kind: '=~' as const, value: 'metric.*' }]] }
  for (let i = 0; i < 40; i++) {
    expect(await values(metrics)).toEqual(names)
    const sets = (await ask(backend, { ...metrics, kind: 'series' })) as { __name__: string }[]
    expect(sets.map((labels) => labels.__name__).sort()).toEqual(names)
  }
  await storage.close()
})
