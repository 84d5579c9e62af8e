// The machine's file system by node:fs. Reads and writes block the thread; the log's go through libuv's pool.
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { PromhiveError } from '../../base/errors.ts'
import type { Disk, DiskFile } from '../disk.ts'
import { lockFile } from './lock.ts'

export function nodeDisk(): Disk {
  return {
    open: (path, mode) => attempt('open', path, () => new NodeFile(path, fs.openSync(path, openFlags[mode], 0o666))),
    read: (path) => attempt('read', path, () => asBytes(fs.readFileSync(path))),
    write: (path, bytes) => attempt('write', path, () => fs.writeFileSync(path, bytes)),
    exists: (path) => fs.existsSync(path),
    stat(path) {
      const stat = attempt('stat', path, () => fs.statSync(path))
      return { sizeBytes: stat.size, modifiedMs: stat.mtimeMs, isDirectory: stat.isDirectory() }
    },
    list(path) {
      try {
        return fs.readdirSync(path).sort()
      } catch (thrown) {
        if (errnoOf(thrown) === 'ENOENT') return []
        throw diskError('list', path, thrown)
      }
    },
    makeDirectory: (path) => attempt('create directory', path, () => void fs.mkdirSync(path, { recursive: true, mode: 0o777 })),
    rename: (from, to) => attempt('rename', from, () => fs.renameSync(from, to)),
    link: (from, to) => attempt('link', from, () => fs.linkSync(from, to)),
    remove: (path) => attempt('remove', path, () => fs.rmSync(path, { recursive: true, force: true })),
    syncDirectory(path) {
      attempt('sync directory', path, () => {
        const fd = fs.openSync(path, 'r')
        try {
          fs.fsyncSync(fd)
        } finally {
          fs.closeSync(fd)
        }
      })
    },
    lock: lockFile,
    space: (path) => attempt('measure the space of', path, () => space(path)),
  }
}

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_DSYNC } = fs.constants
// No O_APPEND: with it Linux ignores the position of a write.
const openFlags = { read: O_RDONLY, create: O_RDWR | O_CREAT | O_TRUNC, append: O_RDWR | O_CREAT } as const

/** Elsewhere it may promise less than fdatasync does. */
const hasSyncedWrites = process.platform === 'linux'

class NodeFile implements DiskFile {
  readonly path: string
  #fd: number
  /** The same file, for writes that return when they are durable; null: not opened yet, -1: there are none. */
  #syncedFd: number | null = null
  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }
  size(): number {
    return attempt('stat', this.path, () => fs.fstatSync(this.#fd).size)
  }
  read(into: Uint8Array, position: number): number {
    let filled = 0
    try {
      while (filled < into.length) {
        const got = fs.readSync(this.#fd, into, filled, into.length - filled, position + filled)
        if (got === 0) break
        filled += got
      }
    } catch (thrown) {
      throw diskError('read', this.path, thrown)
    }
    return filled
  }
  write(bytes: Uint8Array, position: number): void {
    let written = 0
    try {
      while (written < bytes.length) written += fs.writeSync(this.#fd, bytes, written, bytes.length - written, position + written)
    } catch (thrown) {
      throw diskError('write', this.path, thrown)
    }
  }
  async writeSynced(parts: readonly Uint8Array[], position: number): Promise<void> {
    // one way to the pool and back instead of two: where little is written, threads that wake up are most of what it costs
    this.#syncedFd ??= this.#openSynced()
    if (this.#syncedFd >= 0) return this.#writeAll(this.#syncedFd, parts, position)
    await this.#writeAll(this.#fd, parts, position)
    await this.sync()
  }
  #openSynced(): number {
    if (!hasSyncedWrites) return -1
    let fd = -1
    try {
      fd = fs.openSync(this.path, O_WRONLY | O_DSYNC)
      const [mine, other] = [fs.fstatSync(this.#fd), fs.fstatSync(fd)]
      if (mine.ino === other.ino && mine.dev === other.dev) return fd
    } catch {
      // it has another name by now, or none
    }
    if (fd >= 0) fs.closeSync(fd)
    return -1
  }
  async #writeAll(fd: number, parts: readonly Uint8Array[], position: number): Promise<void> {
    let rest = parts.filter((part) => part.length > 0)
    let at = position
    while (rest.length > 0) {
      let written = await this.#writeSome(fd, rest, at)
      at += written
      // A short write (a signal, a nearly full disk): go on where it stopped.
      let whole = 0
      while (whole < rest.length && written >= rest[whole]!.length) written -= rest[whole++]!.length
      if (whole > 0) rest = rest.slice(whole)
      if (written > 0) rest[0] = rest[0]!.subarray(written)
    }
  }
  #writeSome(fd: number, parts: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (error: NodeJS.ErrnoException | null, written: number): void =>
        error === null ? resolve(written) : reject(diskError('write', this.path, error))
      if (parts.length === 1) fs.write(fd, parts[0]!, 0, parts[0]!.length, position, done)
      else fs.writev(fd, parts, position, done)
    })
  }
  sync(): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(diskError('sync', this.path, error)))),
    )
  }
  syncNow(): void {
    attempt('sync', this.path, () => fs.fdatasyncSync(this.#fd))
  }
  truncate(sizeBytes: number): void {
    attempt('truncate', this.path, () => fs.ftruncateSync(this.#fd, sizeBytes))
  }
  close(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    const synced = this.#syncedFd ?? -1
    this.#fd = this.#syncedFd = -1
    attempt('close', this.path, () => {
      if (synced >= 0) fs.closeSync(synced)
      fs.closeSync(fd)
    })
  }
}

/** A Buffer is a Uint8Array with other methods (`slice` shares memory): hand out the plain thing. */
function asBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

/** Of the file system of the path, or of the nearest directory above it that exists. */
function space(path: string): { freeBytes: number; totalBytes: number } {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, blocks, bsize } = fs.statfsSync(at)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT' || dirname(at) === at) throw thrown
    }
  }
}

function attempt<T>(verb: string, path: string, action: () => T): T {
  try {
    return action()
  } catch (thrown) {
    throw diskError(verb, path, thrown)
  }
}

export function errnoOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
}

/** Node says `ENOENT: no such file or directory, open '/x'`; the middle is what the C library calls the error. */
export function diskError(verb: string, path: string, thrown: unknown): PromhiveError {
  if (thrown instanceof PromhiveError) return thrown
  const errno = errnoOf(thrown)
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const why = /^E[A-Z0-9]+: ([^,]+)/.exec(message)?.[1] ?? message
  const code = errno === 'ENOENT' ? 'NOT_FOUND' : errno === 'ENOSPC' || errno === 'EDQUOT' ? 'STORAGE_FULL' : 'INTERNAL'
  return new PromhiveError(code, `cannot ${verb} ${path}: ${why}`, { path, errno }, thrown)
}
