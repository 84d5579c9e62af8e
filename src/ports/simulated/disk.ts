// A disk in memory that forgets what was not synced. Two views are kept: what programs see, and what a crash leaves.
//
//   write    ─▶ seen at once; per 512-byte sector a crash keeps the old content, the new one or the last synced one, by seed
//   sync     ─▶ the file's content and size are safe
//   create, makeDirectory, rename, link, remove ─▶ seen at once; a crash keeps the first of them and loses the rest, by seed, but for what
//                                                  syncDirectory of their directory made safe. A directory is removed name by name.
//
// Faults: ENOSPC by a budget of bytes, read and write errors by path, a crash at the n-th operation.
import { PromhiveError } from '../../base/errors.ts'
import type { Rng } from '../../base/rng.ts'
import type { Disk, DiskFile, DiskLock, FileStat } from '../disk.ts'

export interface SimulatedDisk extends Disk {
  /** Operations so far that change something or make it durable. */
  readonly operations: number
  /** The machine stops before operation number `at` takes effect (or in the middle of it, for writes); from then on everything throws until `crash`. */
  stopAt(at: number): void
  /** Loses what was not durable, by seed, and comes back. Open files and locks are gone. */
  crash(): void
  /** Bytes free; writes and new files beyond it fail with STORAGE_FULL. */
  setFree(bytes: number): void
  /** Errors by path from now on: null = none. The verb tells which call it is about. */
  failing: ((verb: 'read' | 'write' | 'sync' | 'create', path: string) => string | null) | null
  /** Called before every operation that counts: a test may copy the disk as it is then. */
  onOperation: ((operation: DiskOperation, path: string) => void) | null
  /** A disk of its own in the same state, with luck of its own; nobody has files open or holds locks on it. */
  copy(rng: Rng): SimulatedDisk
  /** Changes bytes of a file as a bad sector would, durably. */
  damage(path: string, position: number, bytes: Uint8Array): void
  /** Bytes of memory that hold the files, in buffers with room to grow and in what is safe of them. */
  heldBytes(): number
}

export type DiskOperation = 'create' | 'write' | 'truncate' | 'sync' | 'make directory' | 'rename' | 'link' | 'remove' | 'sync directory'

/** What `failing` is asked about. */
const verbs = {
  create: 'create',
  write: 'write',
  truncate: 'write',
  sync: 'sync',
  'make directory': 'create',
  rename: 'write',
  link: 'create',
  remove: 'write',
  'sync directory': 'sync',
} as const satisfies Record<DiskOperation, 'write' | 'create' | 'sync'>

const sectorBytes = 512

type Inode = {
  content: Uint8Array<ArrayBuffer>
  size: number
  /** What a sync made safe. */
  safe: Uint8Array<ArrayBuffer>
  modifiedMs: number
}
type Directory = {
  names: Map<string, Inode | Directory>
  safeNames: Map<string, Inode | Directory>
  isDirectory: true
}

export function simulatedDisk(rng: Rng, nowMs: () => number = () => 0): SimulatedDisk {
  return new MemoryDisk(rng, nowMs)
}

/** One change of names, whole or not at all: a rename is two entries. */
type NameStep = { directory: Directory; name: string; entry: Inode | Directory | undefined }[]

function applySafely(step: NameStep): void {
  for (const { directory, name, entry } of step) {
    if (entry === undefined) directory.safeNames.delete(name)
    else directory.safeNames.set(name, entry)
  }
}

function isDirectory(entry: Inode | Directory | undefined): entry is Directory {
  return entry !== undefined && 'isDirectory' in entry
}

function newDirectory(): Directory {
  return { names: new Map(), safeNames: new Map(), isDirectory: true }
}

class MemoryDisk implements SimulatedDisk {
  operations = 0
  failing: SimulatedDisk['failing'] = null
  onOperation: SimulatedDisk['onOperation'] = null
  readonly #rng: Rng
  readonly #nowMs: () => number
  #root = newDirectory()
  readonly #locks = new Set<string>()
  /** Changes of names not yet safe, in order. */
  #unsafe: NameStep[] = []
  #stopAt = Infinity
  #stopped = false
  #epoch = 0
  #freeBytes = 2 ** 40

  constructor(rng: Rng, nowMs: () => number) {
    this.#rng = rng
    this.#nowMs = nowMs
  }

  stopAt(at: number): void {
    this.#stopAt = at
  }
  setFree(bytes: number): void {
    this.#freeBytes = bytes
  }

  crash(): void {
    // As a journal does it: what it kept is the beginning of what happened.
    const kept = this.#rng.below(this.#unsafe.length + 1)
    for (const step of this.#unsafe.splice(0).slice(0, kept)) applySafely(step)
    this.#crashFiles(this.#root, new Set())
    this.#locks.clear()
    this.#epoch++
    this.#stopped = false
    this.#stopAt = Infinity
  }

  heldBytes(): number {
    const seen = new Set<Inode | Directory>()
    const bytesOf = (entry: Inode | Directory | undefined): number => {
      if (entry === undefined || seen.has(entry)) return 0
      seen.add(entry)
      if (!isDirectory(entry)) return entry.content.length + entry.safe.length
      let sum = 0
      for (const inner of [...entry.names.values(), ...entry.safeNames.values()]) sum += bytesOf(inner)
      return sum
    }
    const waiting = this.#unsafe.flatMap((step) => step.flatMap(({ directory, entry }) => [directory, entry]))
    return [this.#root, ...waiting].reduce((sum, entry) => sum + bytesOf(entry), 0)
  }

  copy(rng: Rng): SimulatedDisk {
    const out = new MemoryDisk(rng, this.#nowMs)
    const copies = new Map<Inode | Directory, Inode | Directory>()
    const copyOf = <T extends Inode | Directory>(entry: T): T => {
      const known = copies.get(entry)
      if (known !== undefined) return known as T
      const from: Inode | Directory = entry
      if (!isDirectory(from)) {
        const made: Inode = { ...from, content: from.content.slice(0, from.size), safe: from.safe.slice() }
        copies.set(entry, made)
        return made as T
      }
      const made = newDirectory()
      copies.set(entry, made)
      for (const [name, inner] of from.names) made.names.set(name, copyOf(inner))
      for (const [name, inner] of from.safeNames) made.safeNames.set(name, copyOf(inner))
      return made as Inode | Directory as T
    }
    out.#root = copyOf(this.#root)
    out.#unsafe = this.#unsafe.map((step) =>
      step.map(({ directory, name, entry }) => ({
        directory: copyOf(directory),
        name,
        entry: entry === undefined ? undefined : copyOf(entry),
      })),
    )
    out.#freeBytes = this.#freeBytes
    return out
  }

  #crashFiles(directory: Directory, seen: Set<Inode>): void {
    directory.names = new Map(directory.safeNames)
    for (const entry of directory.names.values()) {
      if (isDirectory(entry)) this.#crashFiles(entry, seen)
      else if (!seen.has(entry)) {
        seen.add(entry)
        this.#crashFile(entry)
      }
    }
  }

  #crashFile(file: Inode): void {
    const { safe } = file
    // The size is one number of the file system: the new one, the safe one, or one in between where the file grew in steps.
    const sizes = [file.size, safe.length, safe.length + this.#rng.below(Math.max(1, file.size - safe.length + 1))]
    const size = sizes[this.#rng.below(3)]!
    const content = new Uint8Array(size)
    for (let at = 0; at < size; at += sectorBytes) {
      const end = Math.min(at + sectorBytes, size)
      const from = this.#rng.chance(0.5) ? file.content.subarray(0, file.size) : safe
      content.set(from.subarray(Math.min(at, from.length), Math.min(end, from.length)), at)
    }
    file.content = content
    file.size = size
    file.safe = content.slice()
  }

  /** Counts an operation; throws where the machine has stopped. True where it stops right now. */
  #operation(operation: DiskOperation, path: string): boolean {
    if (this.#stopped) throw stopped()
    this.onOperation?.(operation, path)
    if (++this.operations < this.#stopAt) return false
    this.#stopped = true
    return true
  }
  #change(operation: DiskOperation, path: string): void {
    if (this.#operation(operation, path)) throw stopped()
    const why = this.failing?.(verbs[operation], path) ?? null
    if (why !== null) throw new PromhiveError('INTERNAL', `cannot ${operation} ${path}: ${why}`, { path })
  }
  #rename(step: NameStep): void {
    for (const { directory, name, entry } of step) {
      if (entry === undefined) directory.names.delete(name)
      else directory.names.set(name, entry)
    }
    this.#unsafe.push(step)
  }
  #alive(): void {
    if (this.#stopped) throw stopped()
  }

  #split(path: string): { parent: Directory | null; name: string } {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    const name = parts.pop() ?? ''
    let at: Directory = this.#root
    for (const part of parts) {
      const next = at.names.get(part)
      if (!isDirectory(next)) return { parent: null, name }
      at = next
    }
    return { parent: at, name }
  }
  #find(path: string): Inode | Directory | undefined {
    const { parent, name } = this.#split(path)
    return name === '' ? (parent ?? undefined) : parent?.names.get(name)
  }
  #file(verb: string, path: string): Inode {
    const entry = this.#find(path)
    if (entry === undefined) throw new PromhiveError('NOT_FOUND', `cannot ${verb} ${path}: no such file or directory`, { path })
    if (isDirectory(entry)) throw new PromhiveError('INTERNAL', `cannot ${verb} ${path}: is a directory`, { path })
    return entry
  }
  #parent(verb: string, path: string): { parent: Directory; name: string } {
    const { parent, name } = this.#split(path)
    if (parent === null) throw new PromhiveError('NOT_FOUND', `cannot ${verb} ${path}: no such file or directory`, { path })
    return { parent, name }
  }

  open(path: string, mode: 'read' | 'create' | 'append'): DiskFile {
    this.#alive()
    let file: Inode
    if (mode === 'read') file = this.#file('open', path)
    else {
      const { parent, name } = this.#parent('open', path)
      const entry = parent.names.get(name)
      if (entry === undefined || mode === 'create') this.#change('create', path)
      if (entry === undefined) {
        file = { content: new Uint8Array(0), size: 0, safe: new Uint8Array(0), modifiedMs: this.#nowMs() }
        this.#rename([{ directory: parent, name, entry: file }])
      } else file = this.#file('open', path)
      if (mode === 'create') this.#resize(file, 0)
    }
    return this.#handle(path, file)
  }

  #handle(path: string, file: Inode): DiskFile {
    const epoch = this.#epoch
    let open = true
    const check = (): void => {
      this.#alive()
      if (!open || epoch !== this.#epoch) throw new PromhiveError('INTERNAL', `cannot use ${path}: file is closed`, { path })
    }
    return {
      path,
      size: () => (check(), file.size),
      read: (into, position) => {
        check()
        const why = this.failing?.('read', path) ?? null
        if (why !== null) throw new PromhiveError('INTERNAL', `cannot read ${path}: ${why}`, { path })
        const part = file.content.subarray(Math.min(position, file.size), Math.min(position + into.length, file.size))
        into.set(part)
        return part.length
      },
      write: (bytes, position) => (check(), this.#write(path, file, [bytes], position)),
      // a crash may come between the two
      writeSynced: async (parts, position) => {
        check()
        await Promise.resolve()
        check()
        this.#write(path, file, parts, position)
        await Promise.resolve()
        check()
        this.#change('sync', path)
        file.safe = file.content.slice(0, file.size)
      },
      sync: async () => {
        check()
        await aWhile()
        check()
        this.#change('sync', path)
        file.safe = file.content.slice(0, file.size)
      },
      syncNow: () => {
        check()
        this.#change('sync', path)
        file.safe = file.content.slice(0, file.size)
      },
      truncate: (size) => {
        check()
        this.#change('truncate', path)
        this.#resize(file, size)
      },
      close: () => void (open = false),
    }
  }

  #write(path: string, file: Inode, parts: readonly Uint8Array[], position: number): void {
    const stop = this.#operation('write', path)
    const why = stop ? null : (this.failing?.('write', path) ?? null)
    if (why !== null) throw new PromhiveError('INTERNAL', `cannot write ${path}: ${why}`, { path })
    const total = parts.reduce((sum, part) => sum + part.length, 0)
    const growth = Math.max(0, position + total - file.size)
    // A full disk and a stop in the middle both take a part of the bytes.
    let room = growth > this.#freeBytes ? Math.max(0, file.size + this.#freeBytes - position) : total
    const full = room < total
    if (stop) room = this.#rng.below(total + 1)
    const before = file.size
    if (position + room > file.size) this.#resize(file, position + room)
    let at = position
    for (const part of parts) {
      const take = Math.max(0, Math.min(part.length, position + room - at))
      file.content.set(part.subarray(0, take), at)
      at += take
    }
    this.#freeBytes -= file.size - before
    file.modifiedMs = this.#nowMs()
    if (stop) throw stopped()
    if (full) throw new PromhiveError('STORAGE_FULL', `cannot write ${path}: no space left on device`, { path })
  }

  #resize(file: Inode, size: number): void {
    if (size < file.size) {
      this.#freeBytes += file.size - size
      file.content.fill(0, size, file.size)
    }
    if (size > file.content.length) {
      const larger = new Uint8Array(Math.max(size, file.content.length * 2))
      larger.set(file.content.subarray(0, file.size))
      file.content = larger
    }
    file.size = size
    file.modifiedMs = this.#nowMs()
  }

  read(path: string): Uint8Array {
    this.#alive()
    const file = this.#file('read', path)
    const why = this.failing?.('read', path) ?? null
    if (why !== null) throw new PromhiveError('INTERNAL', `cannot read ${path}: ${why}`, { path })
    return file.content.slice(0, file.size)
  }
  write(path: string, bytes: Uint8Array): void {
    const file = this.open(path, 'create')
    file.write(bytes, 0)
    file.close()
  }
  exists(path: string): boolean {
    this.#alive()
    return this.#find(path) !== undefined
  }
  stat(path: string): FileStat {
    this.#alive()
    const entry = this.#find(path)
    if (isDirectory(entry)) return { sizeBytes: 0, modifiedMs: 0, isDirectory: true }
    const file = this.#file('stat', path)
    return { sizeBytes: file.size, modifiedMs: file.modifiedMs, isDirectory: false }
  }
  list(path: string): string[] {
    this.#alive()
    const entry = this.#find(path)
    if (entry !== undefined && !isDirectory(entry)) throw new PromhiveError('INTERNAL', `cannot list ${path}: not a directory`, { path })
    return entry === undefined ? [] : [...entry.names.keys()].sort()
  }
  makeDirectory(path: string): void {
    this.#alive()
    let at = this.#root
    for (const part of path.split('/').filter((p) => p !== '' && p !== '.')) {
      let next = at.names.get(part)
      if (next === undefined) {
        this.#change('make directory', path)
        next = newDirectory()
        this.#rename([{ directory: at, name: part, entry: next }])
      }
      if (!isDirectory(next)) throw new PromhiveError('INTERNAL', `cannot create directory ${path}: file exists`, { path })
      at = next
    }
  }
  rename(from: string, to: string): void {
    this.#change('rename', from)
    const source = this.#parent('rename', from)
    const entry = source.parent.names.get(source.name)
    if (entry === undefined) throw new PromhiveError('NOT_FOUND', `cannot rename ${from}: no such file or directory`, { path: from })
    const target = this.#parent('rename', to)
    const existing = target.parent.names.get(target.name)
    if (isDirectory(existing) && existing.names.size > 0)
      throw new PromhiveError('INTERNAL', `cannot rename ${from}: directory not empty`, { path: from })
    if (existing === entry) return
    this.#rename([
      { directory: source.parent, name: source.name, entry: undefined },
      { directory: target.parent, name: target.name, entry },
    ])
  }
  link(from: string, to: string): void {
    this.#change('link', to)
    const file = this.#file('link', from)
    const target = this.#parent('link', to)
    if (target.parent.names.has(target.name))
      throw new PromhiveError('INTERNAL', `cannot link ${from}: file already exists`, { path: from })
    this.#rename([{ directory: target.parent, name: target.name, entry: file }])
  }
  remove(path: string): void {
    this.#alive()
    const { parent, name } = this.#split(path)
    const entry = parent?.names.get(name)
    if (parent === null || entry === undefined) return
    if (isDirectory(entry)) for (const inner of entry.names.keys()) this.remove(`${path}/${inner}`)
    this.#change('remove', path)
    if (!isDirectory(entry)) this.#freeBytes += entry.size
    this.#rename([{ directory: parent, name, entry: undefined }])
  }
  syncDirectory(path: string): void {
    this.#change('sync directory', path)
    const entry = this.#find(path)
    if (!isDirectory(entry)) throw new PromhiveError('NOT_FOUND', `cannot sync directory ${path}: no such file or directory`, { path })
    const waiting: NameStep[] = []
    for (const step of this.#unsafe) {
      if (step.some(({ directory }) => directory === entry)) applySafely(step)
      else waiting.push(step)
    }
    this.#unsafe = waiting
  }
  lock(path: string): DiskLock {
    this.#alive()
    if (this.#locks.has(path)) throw new PromhiveError('UNAVAILABLE', `cannot lock ${path}: held by another process`, { path })
    this.#locks.add(path)
    const epoch = this.#epoch
    return { settled: Promise.resolve(), release: () => void (epoch === this.#epoch && this.#locks.delete(path)) }
  }
  space(): { freeBytes: number; totalBytes: number } {
    return { freeBytes: this.#freeBytes, totalBytes: 2 ** 40 }
  }
  damage(path: string, position: number, bytes: Uint8Array): void {
    const file = this.#file('damage', path)
    file.content.set(bytes, position)
    file.safe.set(bytes.subarray(0, Math.max(0, file.safe.length - position)), position)
  }
}

/** A sync takes longer than whatever follows from what was already known when it began: nobody may have been told before it is done. */
async function aWhile(): Promise<void> {
  for (let i = 0; i < syncMicrotasks; i++) await Promise.resolve()
}
const syncMicrotasks = 200

function stopped(): PromhiveError {
  return new PromhiveError('INTERNAL', 'simulated: the machine has stopped')
}
