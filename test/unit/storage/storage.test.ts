import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { silentLogger, type Logger } from '../../../src/base/logger.ts'
import type { AppendResult } from '../../../src/model/appender.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'
import { nodeClock } from '../../../src/ports/node/clock.ts'
import { nodeCompute } from '../../../src/ports/node/compute.ts'
import { nodeDisk } from '../../../src/ports/node/disk.ts'
import { nodeRandom } from '../../../src/ports/node/random.ts'
import { staleHistogram } from '../../../src/tsdb/chunks/histogram.ts'
import { openStorage, type Storage } from '../../../src/cli/serve/storage.ts'

const made: string[] = []
afterAll(() => made.forEach((path) => rmSync(path, { recursive: true })))
function directory(): string {
  made.push(mkdtempSync(join(tmpdir(), 'promhive-storage-')))
  return made.at(-1)!
}
const problems: string[] = []
const logger: Logger = {
  ...silentLogger,
  error: (fields, message) => void problems.push(`${message} ${JSON.stringify(fields)}`),
  child: () => logger,
}
function open(dataDirectory: string, lanes = 1): Promise<Storage> {
  return openStorage(
    {
      dataDirectory,
      shards: 8,
      lanes,
      samplesPerChunk: 120,
      chunkRangeMs: 7_200_000,
      exemplarsMax: 100,
      lockFile: true,
      walSegmentBytes: 128 << 20,
      blocks: { retentionMs: 0, retentionBytes: 0, retentionPercentage: 0, maxBlockMs: 7_200_000, mergeOverlapping: true },
      outOfOrderTimeWindowMs: 0,
      blockSegmentBytesMax: 512 << 20,
      staleSeriesCompactionThreshold: 0,
    },
    { disk: nodeDisk(), clock: nodeClock(), random: nodeRandom(), compute: nodeCompute(), logger },
  )
}
const everything = { matchers: [{ name: '__name__', kind: '=~' as const, value: '.+' }], startMs: -1e15, endMs: 1e15, samplesMax: 1e9 }
async function count(storage: Storage): Promise<number> {
  const answers = await storage.lanes.askAll<{ times: Float64Array }[]>('samples', everything)
  return answers.flat().reduce((sum, { times }) => sum + times.length, 0)
}
const base = 1_700_000_000_000

describe('storage of one machine', () => {
  it.each([1, 2])('keeps what was appended over an orderly restart, with %i lanes', async (lanes) => {
    const path = directory()
    let storage = await open(path, lanes)
    const handles = Uint32Array.from({ length: 500 }, (_, i) => storage.appender.open(labelsFromObject({ __name__: 'm', i: String(i) })))
    for (let step = 0; step < 300; step++) {
      const values = Float64Array.from(handles, (_, i) => step * i)
      const result = await storage.appender.append({ length: 500, handles, values, times: null, timeMs: base + step * 15_000 })
      expect(result).toMatchObject({ appended: 500, outOfOrder: 0, pending: false })
    }
    expect(await count(storage)).toBe(150_000)
    await storage.close()
    storage = await open(path, lanes)
    expect(storage.cleanStart).toBe(true)
    expect(await count(storage)).toBe(150_000)
    await storage.close()
    expect(problems).toEqual([])
  })

  it('tells each caller which of its own samples were refused', async () => {
    const storage = await open(directory())
    const a = storage.appender.open(labelsFromObject({ __name__: 'a' }))
    const b = storage.appender.open(labelsFromObject({ __name__: 'b' }))
    const one = (handle: number, time: number, value: number) =>
      storage.appender.append({ length: 1, handles: Uint32Array.of(handle), values: Float64Array.of(value), times: null, timeMs: time })
    const results = await Promise.all([one(a, base, 1), one(b, base, 1), one(a, base - 5, 1), one(b, base + 1, 1), one(a, base, 2)])
    expect(results.map(({ appended, outOfOrder, duplicate }) => [appended, outOfOrder, duplicate])).toEqual([
      [1, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
      [1, 0, 0],
      [0, 0, 1],
    ])
    expect(results[2]!.firstError).toBe('out of order sample')
    await storage.close()
  })

  it('cuts blocks when windows pass and answers across head and blocks', async () => {
    const path = directory()
    let storage = await open(path)
    const handles = Uint32Array.from({ length: 50 }, (_, i) => storage.appender.open(labelsFromObject({ __name__: 'm', i: String(i) })))
    const values = new Float64Array(50)
    const start = Math.ceil(base / 7_200_000) * 7_200_000
    let samples = 0
    for (let time = start; time < start + 8 * 3_600_000; time += 60_000) {
      const result = await storage.appender.append({ length: 50, handles, values: values.fill(time % 1000), times: null, timeMs: time })
      samples += result.appended
    }
    expect(samples).toBe(8 * 60 * 50)
    const blocks = (await storage.lanes.askAll<{ minTime: number }[]>('blocks', null)).flat()
    expect(blocks.length).toBeGreaterThanOrEqual(8)
    expect(await count(storage)).toBe(samples)
    await storage.close()
    storage = await open(path)
    expect(await count(storage)).toBe(samples)
    await storage.close()
    expect(problems).toEqual([])
  })

  it('refuses a directory that another process has locked', async () => {
    const path = directory()
    const storage = await open(path)
    await expect(open(path)).rejects.toThrow(/lock/)
    await storage.close()
  })
})

describe('what was refused', () => {
  it('is told as Prometheus tells it', async () => {
    const storage = await open(directory())
    const name = (text: string): number => storage.appender.open(labelsFromObject({ __name__: text }))
    const put = async (handle: number, timeMs: number, value: number) => {
      const values = Float64Array.of(value)
      return storage.appender.append({ length: 1, handles: Uint32Array.of(handle), values, times: null, timeMs })
    }
    const [a, h] = [name('a'), name('h')]
    const histogram = { ...staleHistogram, isFloat: false, count: 1, sum: 1, zeroCount: 1 }
    const first = { length: 1, handles: Uint32Array.of(a), values: Float64Array.of(0.1), times: null, timeMs: base }
    await storage.appender.append({ ...first, histograms: [{ handle: h, timeMs: base, histogram }] })
    const rows: [refused: Promise<AppendResult>, firstError: string, counts: Partial<AppendResult>][] = [
      [put(a, base, 0.1), '', { appended: 1, duplicate: 0 }],
      [put(a, base, 1e21), `duplicate sample for timestamp ${base}; overrides not allowed: existing 0.1, new value 1e+21`, { duplicate: 1 }],
      [put(h, base, 2), `duplicate sample for timestamp ${base}; overrides not allowed: existing is a histogram, new value 2`, { duplicate: 1 }],
      [put(a, base - 1, 1), 'out of order sample', { outOfOrder: 1 }],
      [put(a, base - 20_000_000, 1), 'out of bounds', { outOfBounds: 1 }],
    ] // prettier-ignore
    for (const [result, firstError, counts] of rows) expect(await result).toMatchObject({ firstError, appended: 0, ...counts })
    await storage.close()
  })
})
