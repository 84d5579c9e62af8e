import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openEmbeddedLog } from '../../cluster/embedded/log.ts'
import { seededRng } from '../../src/base/rng.ts'
import { nextTurn } from '../../src/ports/node/turn.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import type { Disk } from '../../src/ports/disk.ts'
import { simulatedLog } from '../../cluster/simulated/log.ts'
import { nodeClock } from '../../src/ports/node/clock.ts'
import { logConformance } from './log.ts'

const base = mkdtempSync(join(tmpdir(), 'promhive-log-'))
afterAll(() => rmSync(base, { recursive: true }))
let directories = 0

async function embedded(disk: Disk, root: string): ReturnType<Parameters<typeof logConformance>[1]> {
  const options = { disk, directory: `${root}/${directories++}`, segmentBytes: 256 << 10, pause: nextTurn }
  const log = await openEmbeddedLog(options)
  return { log, trimDrops: true, reopen: async () => (await log.close(), openEmbeddedLog(options)) }
}

logConformance('embedded on the machine', () => embedded(nodeDisk(), base))
logConformance('embedded on the simulated disk', () => embedded(simulatedDisk(seededRng(1)), '/data'))

const noFaults = { lostReply: 0, lostRequest: 0, unavailable: 0, full: 0, delayMs: [0, 0] } as const
logConformance('simulated without faults', async () => {
  const { log, reopen, trimDrops } = await embedded(simulatedDisk(seededRng(1)), '/data')
  const wrap = (inner: typeof log): typeof log => simulatedLog(inner, nodeClock(), seededRng(1), noFaults)
  return { log: wrap(log), trimDrops, reopen: async () => wrap(await reopen()) }
})

it('simulated: retrying what was ambiguous with the same sequence loses nothing and doubles nothing that a reader cannot tell', async () => {
  const { log: inner } = await embedded(simulatedDisk(seededRng(1)), '/data')
  const log = simulatedLog(inner, nodeClock(), seededRng(3), {
    lostReply: 0.2,
    lostRequest: 0.2,
    unavailable: 0.1,
    full: 0.1,
    delayMs: [0, 0],
  })
  for (let sequence = 1; sequence <= 200; sequence++)
    while ((await log.append(1, Uint8Array.of(sequence), { publisher: 1, sequence })).kind !== 'ok');
  const seen: number[] = []
  let last = 0
  let copies = 0
  for await (const { sequence, bytes } of log.read(1, 1)) {
    if (sequence <= last) {
      copies++
      continue
    }
    last = sequence
    seen.push(bytes[0]!)
  }
  expect(seen).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
  expect(copies).toBeGreaterThan(10)
})
