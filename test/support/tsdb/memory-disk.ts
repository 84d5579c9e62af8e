// A Disk in memory, for tests of what lies on it: whole files can be looked at and damaged.
import { PromhiveError } from '../../../src/base/errors.ts'
import type { Disk, DiskFile, DiskLock } from '../../../src/ports/disk.ts'

export class MemoryDisk implements Disk {
  readonly files = new Map<string, Uint8Array>()
  readonly directories = new Set<string>()
  /** Reads that reached the disk, in bytes. */
  bytesRead = 0

  open(path: string, mode: 'read' | 'create' | 'append'): DiskFile {
    if (mode === 'read') this.#get(path)
    else if (mode === 'create' || !this.files.has(path)) this.files.set(path, new Uint8Array(0))
    return new MemoryFile(this, path)
  }
  read(path: string): Uint8Array {
    this.bytesRead += this.#get(path).length
    return this.#get(path).slice()
  }
  write(path: string, bytes: Uint8Array): void {
    this.files.set(path, bytes.slice())
  }
  exists(path: string): boolean {
    return this.files.has(path) || this.#isDirectory(path)
  }
  stat(path: string): { sizeBytes: number; modifiedMs: number; isDirectory: boolean } {
    if (this.#isDirectory(path)) return { sizeBytes: 0, modifiedMs: 0, isDirectory: true }
    return { sizeBytes: this.#get(path).length, modifiedMs: 0, isDirectory: false }
  }
  list(path: string): string[] {
    const names = new Set<string>()
    for (const known of [...this.files.keys(), ...this.directories]) {
      if (known.startsWith(`${path}/`)) names.add(known.slice(path.length + 1).split('/')[0]!)
    }
    return [...names].sort()
  }
  makeDirectory(path: string): void {
    this.directories.add(path)
  }
  rename(from: string, to: string): void {
    if (!this.exists(from)) throw new PromhiveError('NOT_FOUND', `cannot rename ${from}: no such file or directory`)
    for (const [path, bytes] of this.files) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      this.files.delete(path)
      this.files.set(to + path.slice(from.length), bytes)
    }
    for (const path of this.directories) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      this.directories.delete(path)
      this.directories.add(to + path.slice(from.length))
    }
  }
  link(from: string, to: string): void {
    this.files.set(to, this.#get(from))
  }
  remove(path: string): void {
    for (const known of this.files.keys()) if (known === path || known.startsWith(`${path}/`)) this.files.delete(known)
    for (const known of this.directories) if (known === path || known.startsWith(`${path}/`)) this.directories.delete(known)
  }
  syncDirectory(): void {}
  lock(): DiskLock {
    return { settled: Promise.resolve(), release: () => {} }
  }
  space(): { freeBytes: number; totalBytes: number } {
    return { freeBytes: 1e12, totalBytes: 1e12 }
  }
  #get(path: string): Uint8Array {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new PromhiveError('NOT_FOUND', `cannot open ${path}: no such file or directory`)
    return bytes
  }
  #isDirectory(path: string): boolean {
    return this.directories.has(path) || this.list(path).length > 0
  }
}

class MemoryFile implements DiskFile {
  readonly path: string
  readonly #disk: MemoryDisk
  constructor(disk: MemoryDisk, path: string) {
    this.#disk = disk
    this.path = path
  }
  get #bytes(): Uint8Array {
    return this.#disk.files.get(this.path) ?? new Uint8Array(0)
  }
  size(): number {
    return this.#bytes.length
  }
  read(into: Uint8Array, position: number): number {
    const part = this.#bytes.subarray(position, position + into.length)
    into.set(part)
    this.#disk.bytesRead += part.length
    return part.length
  }
  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    const before = this.#bytes
    if (end > before.length) {
      const grown = new Uint8Array(end)
      grown.set(before)
      this.#disk.files.set(this.path, grown)
    }
    this.#disk.files.get(this.path)!.set(bytes, position)
  }
  writeSynced(parts: readonly Uint8Array[], position: number): Promise<void> {
    let at = position
    for (const part of parts) {
      this.write(part, at)
      at += part.length
    }
    return Promise.resolve()
  }
  sync(): Promise<void> {
    return Promise.resolve()
  }
  syncNow(): void {}
  truncate(sizeBytes: number): void {
    this.#disk.files.set(this.path, this.#bytes.slice(0, sizeBytes))
  }
  close(): void {}
}
