// Random reads of block files through a page cache with one byte budget for all files, so that memory is bounded whatever is queried.
// Eviction is second chance: a page that was used since it came to the front of the queue goes to its end once more.
import { assert } from '../../base/assert.ts'
import type { Disk, DiskFile } from '../../ports/disk.ts'
import { corrupt } from './corrupt.ts'

const pageBytes = 32 << 10
/** Reads this long go around the cache: they would only push everything else out. */
const directReadBytes = 8 * pageBytes
/** Pages a file may have, so that file and page fit one number. */
const pagesPerFileMax = 2 ** 24

interface Page {
  readonly bytes: Uint8Array
  used: boolean
}

export class PageCache {
  readonly #budgetBytes: number
  readonly #pages = new Map<number, Page>()
  #bytes = 0
  #files = 0
  constructor(budgetBytes: number) {
    this.#budgetBytes = Math.max(budgetBytes, 4 * pageBytes)
  }
  get residentBytes(): number {
    return this.#bytes
  }
  nextFile(): number {
    return this.#files++
  }
  page(file: PagedFile, index: number): Uint8Array {
    const key = file.id * pagesPerFileMax + index
    const known = this.#pages.get(key)
    if (known !== undefined) {
      known.used = true
      return known.bytes
    }
    const bytes = file.readDirect(index * pageBytes, Math.min(pageBytes, file.size - index * pageBytes))
    this.#pages.set(key, { bytes, used: false })
    this.#bytes += bytes.length
    while (this.#bytes > this.#budgetBytes && this.#pages.size > 1) {
      const [oldest, page] = this.#pages.entries().next().value!
      this.#pages.delete(oldest)
      if (page.used) {
        page.used = false
        this.#pages.set(oldest, page)
      } else this.#bytes -= page.bytes.length
    }
    return bytes
  }
  /** Forgets a file that is closed. */
  drop(file: PagedFile): void {
    const first = file.id * pagesPerFileMax
    const count = Math.ceil(file.size / pageBytes)
    for (let index = 0; index < count; index++) {
      const page = this.#pages.get(first + index)
      if (page === undefined) continue
      this.#bytes -= page.bytes.length
      this.#pages.delete(first + index)
    }
  }
}

/** A file that is read at random and never changes. Opened when it is first read. */
export class PagedFile {
  readonly path: string
  readonly id: number
  readonly size: number
  readonly #disk: Disk
  readonly #cache: PageCache
  #file: DiskFile | null = null
  constructor(disk: Disk, cache: PageCache, path: string) {
    this.path = path
    this.size = disk.stat(path).sizeBytes
    this.id = cache.nextFile()
    this.#disk = disk
    this.#cache = cache
    assert(this.size <= pagesPerFileMax * pageBytes, 'file is too large for the page cache')
  }
  /** Bytes from `offset` on: a view not to be changed, good for as long as it is needed. Throws STORAGE_CORRUPT where the file is shorter. */
  read(offset: number, length: number): Uint8Array {
    this.need(offset, length)
    const index = Math.floor(offset / pageBytes)
    const start = offset - index * pageBytes
    if (start + length <= pageBytes) return this.#cache.page(this, index).subarray(start, start + length)
    if (length > directReadBytes) return this.readDirect(offset, length)
    const out = new Uint8Array(length)
    let done = 0
    for (let page = index, from = start; done < length; page++, from = 0) {
      const part = this.#cache.page(this, page).subarray(from, from + length - done)
      out.set(part, done)
      done += part.length
    }
    return out
  }
  /** As `read`, but fewer bytes at the end of the file. */
  readUpTo(offset: number, length: number): Uint8Array {
    return this.read(offset, Math.max(0, Math.min(length, this.size - offset)))
  }
  readDirect(offset: number, length: number): Uint8Array {
    this.need(offset, length)
    const out = new Uint8Array(length)
    const got = this.hold().read(out, offset)
    if (got < length) throw corrupt(this.path, offset, `${length} bytes wanted, the file ends after ${got}`)
    return out
  }
  /** Opens the file, which from now on can be read whoever removes it. */
  hold(): DiskFile {
    return (this.#file ??= this.#disk.open(this.path, 'read'))
  }
  need(offset: number, length: number): void {
    if (offset < 0 || length < 0 || offset + length > this.size) {
      throw corrupt(this.path, offset, `${length} bytes wanted, the file has ${this.size}`)
    }
  }
  close(): void {
    this.#cache.drop(this)
    this.#file?.close()
    this.#file = null
  }
}
