import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { openEmbeddedLog } from '../../cluster/embedded/log.ts'
import { seededRng } from '../../src/base/rng.ts'
import { nextTurn } from '../../src/ports/node/turn.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import type { Disk } from '../../src/ports/disk.ts'
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
