/**
 * Files below one or more directories. Paths are absolute or relative to the process. Reads and writes on an open file are synchronous, because
 * their users live in storage workers next to the data; `writeSynced` and `sync` of the log are asynchronous, because the log lives on the main thread.
 * What survives a crash: what was synced (file content by sync, names by syncDirectory); anything else may be torn or lost.
 * Errors are PromhiveError NOT_FOUND, STORAGE_FULL (no space left) or INTERNAL, with the path. test/conformance/disk.ts is the contract.
 */
export interface Disk {
  open(path: string, mode: 'read' | 'create' | 'append'): DiskFile
  /** The whole file. */
  read(path: string): Uint8Array
  /** Creates or replaces; not synced. */
  write(path: string, bytes: Uint8Array): void
  exists(path: string): boolean
  stat(path: string): FileStat
  /** Names of the entries, sorted; [] where the directory is missing. */
  list(path: string): string[]
  /** With those above it that are missing; none is durable yet. */
  makeDirectory(path: string): void
  rename(from: string, to: string): void
  /** A second name for the same file. */
  link(from: string, to: string): void
  /** A file or a directory with all it holds; silent where it is missing. */
  remove(path: string): void
  /** Makes creations, renames and removals in this directory durable. */
  syncDirectory(path: string): void
  /** Takes an exclusive lock on a file (created where missing) until released or the process ends. Throws UNAVAILABLE where another process holds it. */
  lock(path: string): DiskLock
  /** Bytes free for us and bytes in all, on the file system that holds the path. */
  space(path: string): { freeBytes: number; totalBytes: number }
}

export type FileStat = Readonly<{ sizeBytes: number; modifiedMs: number; isDirectory: boolean }>

export interface DiskFile {
  readonly path: string
  size(): number
  /** Fills `into` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): number
  /** Writes all of `bytes` at `position`. */
  write(bytes: Uint8Array, position: number): void
  /** Writes all parts one after the other at `position` and makes them durable, without blocking the thread. After an error any of it may be there. */
  writeSynced(parts: readonly Uint8Array[], position: number): Promise<void>
  /** fdatasync, without blocking the thread. */
  sync(): Promise<void>
  /** fdatasync. */
  syncNow(): void
  truncate(sizeBytes: number): void
  close(): void
}

export interface DiskLock {
  /** Resolves when programs that use other kinds of locks are kept away too, as far as the system can; rejects with UNAVAILABLE where one of them has the file. */
  readonly settled: Promise<void>
  release(): void
}

/** Makes a directory, and those above it that are missing, so that a crash does not take them away with what is synced in them. Costs nothing where it is there. */
export function makeDurableDirectory(disk: Disk, path: string): void {
  if (path === '' || disk.exists(path)) return
  const at = path.lastIndexOf('/')
  const parent = path.slice(0, Math.max(at, 0))
  makeDurableDirectory(disk, parent)
  disk.makeDirectory(path)
  disk.syncDirectory(at < 0 ? '.' : parent || '/')
}
