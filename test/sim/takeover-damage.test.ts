// A Prometheus' log, checkpoint, late log and head chunks that bad sectors or people have changed, when the directory is taken over: what is damaged is
// named, no sample comes that was never written, and what stands before the damage is there.
import { expect, it, describe } from 'vitest'
import { silentLogger, type Logger } from '../../src/base/logger.ts'
import { seededRng, type Rng } from '../../src/base/rng.ts'
import { decompressors } from '../../src/cli/decompressors.ts'
import type { Storage } from '../../src/cli/serve/storage.ts'
import { takeOver, type Takeover } from '../../src/cli/serve/takeover.ts'
import { simulatedDisk, type SimulatedDisk } from '../../src/ports/simulated/disk.ts'
import { PrometheusDirectory } from '../support/prometheus-directory.ts'
import { openSeries, readAll, StorageModel } from '../support/storage-model.ts'
import { smallWorld, StorageWorld } from '../support/storage-world.ts'

const startMs = 1_699_999_920_000
const options = { ...smallWorld, chunkRangeMs: 7_200_000 }
const directory = new PrometheusDirectory(startMs)
const perFile = process.env['LONG'] === '1' ? 400 : 14

function rig(
  rng: Rng,
  instead: Readonly<{ path: string; bytes: Uint8Array }> | null = null,
  disk: SimulatedDisk | null = null,
): { world: StorageWorld; warnings: string[]; take(storage: Storage): Promise<Takeover | null> } {
  const world = new StorageWorld(disk ?? simulatedDisk(rng), directory.endMs, options)
  const warnings: string[] = []
  const say: Logger['warn'] = (fields, message) => void warnings.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { ...silentLogger, warn: say, error: say, child: () => logger }
  const take = (storage: Storage): Promise<Takeover | null> =>
    world.run(
      takeOver('/data', {
        disk: world.disk,
        appender: storage.appender,
        decompress: decompressors,
        logger,
        chunkRangeMs: storage.chunkRangeMs,
      }),
    )
  if (disk === null) directory.write(world.disk, '/data', instead)
  return { world, warnings, take }
}

it('a sound directory is taken over whole, without a warning', async () => {
  const { world, warnings, take } = rig(seededRng(1))
  const storage = (await world.open())!
  expect(await take(storage)).toMatchObject({ damages: 0, refused: 0 })
  expect(directory.differences((await world.run(readAll(storage)))!, null)).toEqual({ wrong: [], lost: 0 })
  expect(warnings).toEqual([])
  await world.run(storage.close())
})

describe.each(directory.paths)('damaged %s', (path) => {
  it.each(['changed', 'cut'])('%s: named, nothing invented, and what stands before it is there', { timeout: 600_000 }, async (how) => {
    const rng = seededRng(path.length * 131 + path.charCodeAt(path.length - 1) + how.length)
    let told = 0
    for (let round = 0; round < perFile; round++) {
      const { bytes, damage } = directory.damaged(path, how === 'cut', rng)
      const { world, warnings, take } = rig(rng.fork(), { path, bytes })
      const storage = (await world.open())!
      const taken = await take(storage)
      const { wrong, lost } = directory.differences((await world.run(readAll(storage)))!, damage)
      expect(wrong, damage.what).toEqual([])
      const named = warnings.filter((line) => line.includes(`/data/${path} `))
      const context = `${damage.what}\n${warnings.join('\n')}`
      if (lost > 0 && !directory.looksWhole(damage)) expect(named.length, `${context}\n${lost} samples are missing`).toBeGreaterThan(0)
      if (how === 'cut' && !directory.looksWhole(damage)) expect(named.length, context).toBeGreaterThan(0)
      // no other file is blamed
      const orphaned = /of series that its log does not name/
      expect(warnings.filter((line) => !named.includes(line) && !orphaned.test(line)), context).toEqual([]) // prettier-ignore
      expect(taken?.damages ?? 0, context).toBe(named.length)
      told += named.length
      // it goes on from there, and takes over once
      const model = new StorageModel()
      expect(await model.append(world, storage, openSeries(storage, ['a', 'bb', 'new']), directory.endMs + 60_000)).toBe(true)
      const before = (await world.run(readAll(storage)))!
      await world.run(storage.close())
      world.crash()
      const again = (await world.open())!
      expect(await take(again), context).toBeNull()
      expect((await world.run(readAll(again)))!, context).toEqual(before)
      await world.run(again.close())
    }
    expect(told).toBeGreaterThan(perFile / 4)
  })
})

describe('a damaged record of the takeover', () => {
  it('is named, and what was deleted since does not come back', { timeout: 600_000 }, async () => {
    const rng = seededRng(11)
    const origin = rig(rng.fork())
    const storage = (await origin.world.open())!
    await origin.take(storage)
    await origin.world.run(storage.appender.deleteSeries([{ name: '__name__', kind: '=', value: 'a' }], 0, directory.endMs))
    const left = (await origin.world.run(readAll(storage)))!
    expect(left.has('a')).toBe(false)
    await origin.world.run(storage.close())
    origin.world.crash()
    const path = '/data/promhive/takeover.json'
    const whole = origin.world.disk.read(path)
    for (let round = 0; round < perFile * 4; round++) {
      const { world, warnings, take } = rig(rng.fork(), null, origin.world.disk.copy(rng.fork()))
      const at = rng.below(whole.length - 1)
      const file = world.disk.open(path, 'append')
      if (rng.chance(0.3)) file.truncate(at)
      else file.write(Uint8Array.of(whole[at]! ^ (1 << rng.below(8))), at)
      file.syncNow()
      file.close()
      const again = (await world.open())!
      const damaged = new TextDecoder().decode(world.disk.read(path))
      await take(again)
      expect((await world.run(readAll(again)))!, damaged).toEqual(left)
      expect(warnings.filter((line) => line.includes(path)).length, damaged).toBe(1)
      await world.run(again.close())
    }
  })
})
