import { expect, it } from 'vitest'
import { embeddedKv } from '../../cluster/embedded/kv.ts'
import { seededRng } from '../../src/base/rng.ts'
import { simulatedClock } from '../../src/ports/simulated/clock.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { simulatedKv } from '../../cluster/simulated/kv.ts'
import { kvConformance } from './kv.ts'

kvConformance('embedded, in memory', async () => {
  const clock = simulatedClock(1_000_000)
  return { kv: embeddedKv(clock, null), pass: (ms) => clock.advance(ms), reopen: null }
})

kvConformance('embedded, in a file', async () => {
  const clock = simulatedClock(1_000_000)
  const disk = simulatedDisk(seededRng(1))
  disk.makeDirectory('/data')
  disk.syncDirectory('/')
  const file = { disk, path: '/data/kv' }
  const kv = embeddedKv(clock, file)
  return { kv, pass: (ms) => clock.advance(ms), reopen: async () => (await kv.close(), embeddedKv(clock, file)) }
})

it('embedded: a crash at any operation leaves the last acknowledged value or a later one', async () => {
  const run = async (kv: ReturnType<typeof embeddedKv>, acknowledged: { value: number }): Promise<void> => {
    let version = (await kv.get('n'))?.version ?? 0
    for (let i = acknowledged.value + 1; i <= acknowledged.value + 8; i++) {
      version = (await kv.put('n', Uint8Array.of(i), version))!
      acknowledged.value = i
    }
  }
  for (let at = 1; at < 50; at++) {
    const disk = simulatedDisk(seededRng(at))
    disk.makeDirectory('/data')
    disk.syncDirectory('/')
    const file = { disk, path: '/data/kv' }
    disk.stopAt(disk.operations + at)
    const acknowledged = { value: 0 }
    await run(embeddedKv(simulatedClock(), file), acknowledged).catch(() => {})
    disk.crash()
    const value = (await embeddedKv(simulatedClock(), file).get('n'))?.value[0] ?? 0
    expect(value, `stop at ${at}`).toBeGreaterThanOrEqual(acknowledged.value)
    expect(value, `stop at ${at}`).toBeLessThanOrEqual(acknowledged.value + 1)
  }
})

it('embedded: a damaged file is refused', () => {
  const disk = simulatedDisk(seededRng(1))
  disk.makeDirectory('/data')
  disk.syncDirectory('/')
  disk.write('/data/kv', new Uint8Array(100))
  expect(() => embeddedKv(simulatedClock(), { disk, path: '/data/kv' })).toThrow(expect.objectContaining({ code: 'STORAGE_CORRUPT' }))
})

it('simulated: lost answers are changes that happened, lost requests are not', async () => {
  const clock = simulatedClock()
  const inner = embeddedKv(clock, null)
  const lostReply = simulatedKv(inner, clock, seededRng(1), { lostReply: 1, lostRequest: 0, delayMs: [0, 0] })
  await expect(lostReply.put('a', Uint8Array.of(1), 0)).rejects.toThrow('reply lost')
  expect((await inner.get('a'))!.value).toEqual(Uint8Array.of(1))
  const lostRequest = simulatedKv(inner, clock, seededRng(1), { lostReply: 0, lostRequest: 1, delayMs: [0, 0] })
  await expect(lostRequest.put('b', Uint8Array.of(1), 0)).rejects.toThrow('request lost')
  expect(await inner.get('b')).toBeNull()
})

kvConformance('simulated, without faults', async () => {
  const clock = simulatedClock(1_000_000)
  const kv = simulatedKv(embeddedKv(clock, null), clock, seededRng(1), { lostReply: 0, lostRequest: 0, delayMs: [0, 0] })
  return { kv, pass: (ms) => clock.advance(ms), reopen: null }
})
