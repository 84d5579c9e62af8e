import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { seededRng } from '../../src/base/rng.ts'
import { nodeDisk } from '../../src/ports/node/disk.ts'
import { simulatedDisk } from '../../src/ports/simulated/disk.ts'
import { diskConformance } from './disk.ts'

const base = mkdtempSync(join(tmpdir(), 'promhive-disk-'))
afterAll(() => rmSync(base, { recursive: true }))
let directories = 0

diskConformance('node', () => {
  const disk = nodeDisk()
  const root = join(base, String(directories++))
  disk.makeDirectory(root)
  return { disk, root }
})
diskConformance('simulated', () => {
  const disk = simulatedDisk(seededRng(1))
  disk.makeDirectory('/data')
  return { disk, root: '/data' }
})

const lockProgram = `
import { nodeDisk } from ${JSON.stringify(new URL('../../src/ports/node/disk.ts', import.meta.url).href)}
try { nodeDisk().lock(process.argv[1]); console.log('locked') } catch (error) { console.log(error.message); process.exit(1) }
setInterval(() => {}, 1000)
`
/** A process that tries to lock and stays; what it said first. */
async function locker(path: string): Promise<{ said: string; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', lockProgram, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  const said = await new Promise<string>((resolve) => child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())))
  return { said, kill: () => (child.kill('SIGKILL'), ended) }
}

const flock = (path: string): number | null => spawnSync('flock', ['-x', '-n', path, 'true']).status
it.skipIf(process.platform !== 'linux' || spawnSync('flock', ['--version']).status !== 0)('node: the lock keeps away whoever locks as Prometheus does, and the other way round', async () => {
  const path = join(base, 'flock')
  const lock = nodeDisk().lock(path)
  await lock.settled
  expect(flock(path)).toBe(1)
  lock.release()
  writeFileSync(path, '')
  expect(flock(path)).toBe(0)
  const other = spawn('flock', ['-x', path, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    await new Promise((resolve) => other.stdout.once('data', resolve))
    const refused = nodeDisk().lock(path)
    await expect(refused.settled).rejects.toThrow(/cannot lock .*: held by process \d+$/)
    refused.release()
    expect(existsSync(path)).toBe(true) // it is the other one's
    expect(flock(path)).toBe(1)
  } finally {
    other.stdin.end()
  }
}) // prettier-ignore

it('node: the lock excludes other processes and ends with kill -9', async () => {
  const path = join(base, 'lock')
  const first = await locker(path)
  expect(first.said).toBe('locked')
  expect(() => nodeDisk().lock(path)).toThrow(/held by (another process|process \d+)$/)
  await first.kill()
  expect(existsSync(path)).toBe(true) // tells of the unclean end
  // Of several starters that meet the stale file, one wins.
  const starters = await Promise.all([1, 2, 3].map(() => locker(path)))
  expect(starters.filter((s) => s.said === 'locked').length).toBe(1)
  await Promise.all(starters.map((s) => s.kill()))
  nodeDisk().lock(path).release()
  expect(existsSync(path)).toBe(false)
})

it('node: a lock file may hold anything', async () => {
  const path = join(base, 'any-lock')
  // SQLite's own head with nonsense behind it is a damaged database to it
  const database = Buffer.alloc(8192, 7)
  Buffer.from('SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20', 'latin1').copy(database)
  for (const content of [Buffer.from('1234'), Buffer.alloc(1), Buffer.alloc(5000, 200), database, database.subarray(0, 3000)]) {
    writeFileSync(path, content)
    const lock = nodeDisk().lock(path)
    await lock.settled
    lock.release()
    expect(existsSync(path)).toBe(false)
  }
})
