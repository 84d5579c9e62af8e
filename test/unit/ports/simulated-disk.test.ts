// What a crash of the simulated disk leaves: everything that was synced, and of the rest anything a real disk could leave.
import { expect, it } from 'vitest'
import { seededRng } from '../../../src/base/rng.ts'
import { simulatedDisk, type SimulatedDisk } from '../../../src/ports/simulated/disk.ts'

/** What came out over many seeds. */
function outcomes(play: (disk: SimulatedDisk) => void, look: (disk: SimulatedDisk) => string): Set<string> {
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const disk = simulatedDisk(seededRng(seed))
    disk.makeDirectory('/d')
    disk.syncDirectory('/')
    play(disk)
    disk.crash()
    seen.add(look(disk))
  }
  return seen
}
const safeFile = (disk: SimulatedDisk, path: string, size: number, fill: number): void => {
  const file = disk.open(path, 'create')
  file.write(new Uint8Array(size).fill(fill), 0)
  file.syncNow()
  disk.syncDirectory('/d')
}
const shape = (disk: SimulatedDisk, path: string): string => {
  if (!disk.exists(path)) return 'missing'
  const bytes = disk.read(path)
  // One letter per sector: its fill, or ? where it is mixed.
  let out = ''
  for (let at = 0; at < bytes.length; at += 512) {
    const sector = bytes.subarray(at, at + 512)
    out += sector.every((b) => b === sector[0]) ? String(sector[0]) : '?'
  }
  return out
}

it.each([
  ['synced content stays', (d: SimulatedDisk) => safeFile(d, '/d/a', 1024, 1), ['11']],
  [
    'unsynced overwriting is kept or lost by sector',
    (d: SimulatedDisk) => {
      safeFile(d, '/d/a', 1024, 1)
      d.open('/d/a', 'append').write(new Uint8Array(1024).fill(2), 0)
    },
    ['11', '12', '21', '22'],
  ],
  [
    'a new name is kept or lost',
    (d: SimulatedDisk) => {
      const file = d.open('/d/a', 'create')
      file.write(new Uint8Array(512).fill(1), 0)
      file.syncNow()
    },
    ['1', 'missing'],
  ],
  [
    'a rename leaves the old or the new file',
    (d: SimulatedDisk) => {
      safeFile(d, '/d/a', 512, 1)
      safeFile(d, '/d/b', 512, 2)
      d.rename('/d/b', '/d/a')
    },
    ['1', '2'],
  ],
  [
    'a removal is kept or lost, a synced one is kept',
    (d: SimulatedDisk) => {
      safeFile(d, '/d/a', 512, 1)
      d.remove('/d/a')
    },
    ['1', 'missing'],
  ],
  [
    'synced removal',
    (d: SimulatedDisk) => {
      safeFile(d, '/d/a', 512, 1)
      d.remove('/d/a')
      d.syncDirectory('/d')
    },
    ['missing'],
  ],
] as const)('%s', (_, play, expected) => {
  expect([...outcomes(play, (disk) => shape(disk, '/d/a'))].sort()).toEqual([...expected].sort())
})

it('appended bytes may be torn: any length, holes of zeros', () => {
  const seen = outcomes(
    (disk) => {
      safeFile(disk, '/d/a', 512, 1)
      disk.open('/d/a', 'append').write(new Uint8Array(1024).fill(2), 512)
    },
    (disk) => shape(disk, '/d/a'),
  )
  for (const shapes of ['1', '122', '102', '120']) expect(seen).toContain(shapes)
  for (const found of seen) expect(found[0]).toBe('1')
})

it('the same seed leaves the same', () => {
  const play = (): string => {
    const disk = simulatedDisk(seededRng(9))
    disk.makeDirectory('/d')
    for (let i = 0; i < 20; i++) disk.write(`/d/${i}`, new Uint8Array(600).fill(i))
    disk.crash()
    return disk
      .list('/d')
      .map((name) => `${name}:${shape(disk, `/d/${name}`)}`)
      .join()
  }
  expect(play()).toBe(play())
})

it('stops at an operation, and open files do not outlive a crash', () => {
  const disk = simulatedDisk(seededRng(1))
  disk.makeDirectory('/d')
  const file = disk.open('/d/a', 'create')
  disk.stopAt(disk.operations + 2)
  file.write(Uint8Array.of(1), 0)
  expect(() => file.syncNow()).toThrow('stopped')
  expect(() => disk.list('/d')).toThrow('stopped')
  disk.crash()
  expect(() => file.size()).toThrow('closed')
  expect(disk.list('/')).toEqual(['d'])
})
