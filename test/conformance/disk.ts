// The contract of the Disk port, run by every adapter.
import { describe, expect, it } from 'vitest'
import type { Disk } from '../../src/ports/disk.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (from: Uint8Array): string => new TextDecoder().decode(from)

/** @param open gives a disk and an empty directory on it. */
export function diskConformance(name: string, open: () => { disk: Disk; root: string }): void {
  describe(`disk: ${name}`, () => {
    it('reads what was written, whole and in parts', async () => {
      const { disk, root } = open()
      const file = disk.open(`${root}/a`, 'create')
      file.write(bytes('hello world'), 0)
      file.write(bytes('W'), 6)
      await file.writeSynced([bytes('!'), new Uint8Array(0), bytes('?!')], 11)
      await file.sync()
      file.syncNow()
      expect(file.size()).toBe(14)
      const part = new Uint8Array(5)
      expect(file.read(part, 6)).toBe(5)
      expect(text(part)).toBe('World')
      expect(file.read(new Uint8Array(10), 10)).toBe(4)
      expect(file.read(new Uint8Array(10), 20)).toBe(0)
      file.truncate(5)
      file.close()
      expect(text(disk.read(`${root}/a`))).toBe('hello')
      expect(disk.stat(`${root}/a`)).toMatchObject({ sizeBytes: 5, isDirectory: false })
    })

    it('writes many parts and large ones at a position', async () => {
      const { disk, root } = open()
      const file = disk.open(`${root}/a`, 'create')
      const parts = Array.from({ length: 3000 }, (_, i) => new Uint8Array(i % 7).fill(i))
      await file.writeSynced([new Uint8Array(3 << 20).fill(9), ...parts], 100)
      const total = parts.reduce((sum, p) => sum + p.length, 3 << 20)
      expect(file.size()).toBe(100 + total)
      const all = disk.read(`${root}/a`)
      expect(all[0]).toBe(0)
      expect(all[100]).toBe(9)
      const last = parts.at(-1)!
      expect(all.subarray(all.length - last.length)).toEqual(last)
      file.close()
    })

    it('writes and syncs the file that was opened, whatever has its name by then', async () => {
      const { disk, root } = open()
      const file = disk.open(`${root}/a`, 'create')
      disk.rename(`${root}/a`, `${root}/b`)
      disk.write(`${root}/a`, bytes('another'))
      await file.writeSynced([bytes('mi'), bytes('ne')], 0)
      await file.writeSynced([bytes('!')], 4)
      file.truncate(4)
      await file.writeSynced([bytes('?')], 4)
      file.close()
      expect(text(disk.read(`${root}/a`))).toBe('another')
      expect(text(disk.read(`${root}/b`))).toBe('mine?')
    })

    it('opens: read wants the file, create empties it, append keeps it', () => {
      const { disk, root } = open()
      expect(() => disk.open(`${root}/a`, 'read')).toThrow(
        expect.objectContaining({ code: 'NOT_FOUND', message: expect.stringContaining(`${root}/a`) as string }),
      )
      disk.write(`${root}/a`, bytes('one'))
      const append = disk.open(`${root}/a`, 'append')
      append.write(bytes('!'), 3)
      append.close()
      expect(text(disk.read(`${root}/a`))).toBe('one!')
      disk.open(`${root}/a`, 'create').close()
      expect(disk.read(`${root}/a`).length).toBe(0)
      disk.open(`${root}/b`, 'append').close()
      expect(disk.exists(`${root}/b`)).toBe(true)
    })

    it('lists, renames, links and removes', () => {
      const { disk, root } = open()
      disk.makeDirectory(`${root}/d/e`)
      disk.makeDirectory(`${root}/d/e`)
      disk.write(`${root}/d/b`, bytes('b'))
      disk.write(`${root}/d/a`, bytes('a'))
      expect(disk.list(`${root}/d`)).toEqual(['a', 'b', 'e'])
      expect(disk.list(`${root}/none`)).toEqual([])
      expect(disk.stat(`${root}/d`).isDirectory).toBe(true)
      disk.rename(`${root}/d/a`, `${root}/d/b`)
      expect(text(disk.read(`${root}/d/b`))).toBe('a')
      disk.link(`${root}/d/b`, `${root}/d/e/c`)
      disk.remove(`${root}/d/b`)
      expect(text(disk.read(`${root}/d/e/c`))).toBe('a')
      disk.rename(`${root}/d`, `${root}/f`)
      disk.syncDirectory(root)
      expect(disk.list(`${root}/f/e`)).toEqual(['c'])
      disk.remove(`${root}/f`)
      disk.remove(`${root}/f`)
      expect(disk.exists(`${root}/f`)).toBe(false)
    })

    it.each(['read', 'stat', 'rename', 'link'] as const)('says NOT_FOUND and the path: %s', (verb) => {
      const { disk, root } = open()
      const path = `${root}/missing`
      const call = {
        read: () => disk.read(path),
        stat: () => disk.stat(path),
        rename: () => disk.rename(path, `${root}/x`),
        link: () => disk.link(path, `${root}/x`),
      }
      expect(call[verb]).toThrow(expect.objectContaining({ code: 'NOT_FOUND', message: expect.stringContaining(path) as string }))
    })

    it('locks once, and again after release', async () => {
      const { disk, root } = open()
      const lock = disk.lock(`${root}/lock`)
      expect(() => disk.lock(`${root}/lock`)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }))
      await lock.settled
      lock.release()
      lock.release()
      const again = disk.lock(`${root}/lock`)
      await again.settled
      again.release()
    })

    it('tells the space', () => {
      const { disk, root } = open()
      const { freeBytes, totalBytes } = disk.space(`${root}/not/there`)
      expect(freeBytes).toBeGreaterThan(0)
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
    })
  })
}
