// A disk that is only read: for programs that look at a directory which may belong to another one. What would change it is a bug, and fails.
import { assert } from '../base/assert.ts'
import type { Disk } from './disk.ts'

export function readOnlyDisk(disk: Disk): Disk {
  const refuse =
    (what: string) =>
    (path: string): never => {
      assert(false, `${path} is only to be read: ${what}`)
    }
  return {
    open: (path, mode) => (mode === 'read' ? disk.open(path, mode) : refuse(mode)(path)),
    read: (path) => disk.read(path),
    exists: (path) => disk.exists(path),
    stat: (path) => disk.stat(path),
    list: (path) => disk.list(path),
    space: (path) => disk.space(path),
    write: refuse('write'),
    makeDirectory: refuse('make directory'),
    rename: refuse('rename'),
    link: refuse('link'),
    remove: refuse('remove'),
    syncDirectory: refuse('sync'),
    lock: refuse('lock'),
  }
}
