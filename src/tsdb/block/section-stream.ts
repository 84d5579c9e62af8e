// Reads a section of a file front to back in large steps, around the page cache, and checks its CRC when it is through.
import { crc32c } from '../../base/crc32c.ts'
import { corrupt } from './corrupt.ts'
import { Cursor } from './cursor.ts'
import type { PagedFile } from './pages.ts'

const stepBytes = 256 << 10

export class SectionStream {
  readonly cursor = new Cursor()
  readonly #file: PagedFile
  readonly #end: number
  /** File offset of the first byte not read yet. */
  #next: number
  /** File offset of the cursor's first byte. */
  #base: number
  #crc = 0
  /** The bytes [start, end) of a file. */
  constructor(file: PagedFile, start: number, end: number) {
    file.need(start, end - start)
    this.#file = file
    this.#next = start
    this.#base = start
    this.#end = end
    this.cursor.reset(new Uint8Array(0), file.path, start)
  }
  /** File offset of the next byte to be read. */
  get position(): number {
    return this.#base + this.cursor.at
  }
  get remaining(): number {
    return this.#end - this.position
  }
  /** Makes `count` bytes, or all that are left, available through the cursor. Views of earlier bytes stay good. */
  ensure(count: number): Cursor {
    const { cursor } = this
    if (cursor.remaining >= count || this.#next === this.#end) return cursor
    const rest = cursor.bytes.subarray(cursor.at, cursor.end)
    const more = Math.min(this.#end - this.#next, Math.max(stepBytes, count - rest.length))
    const read = this.#file.readDirect(this.#next, more)
    this.#crc = crc32c(read, 0, read.length, this.#crc)
    let bytes = read
    if (rest.length > 0) {
      bytes = new Uint8Array(rest.length + more)
      bytes.set(rest)
      bytes.set(read, rest.length)
    }
    this.#base = this.#next - rest.length
    this.#next += more
    cursor.reset(bytes, this.#file.path, this.#base)
    return cursor
  }
  /** A length, then that many bytes. */
  blob(): Uint8Array {
    const head = this.ensure(10)
    const before = head.at
    const length = head.uvarint()
    const size = head.at - before + length
    head.at = before
    return this.ensure(size).blob()
  }
  /** Passes by a length and that many bytes. */
  skipBlob(): void {
    const length = this.ensure(10).uvarint()
    this.ensure(length).skip(length)
  }
  /** Reads on to the end and compares the CRC of everything with the four bytes behind the section. */
  verify(what: string): void {
    const start = this.#base
    while (this.#next < this.#end) {
      this.cursor.at = this.cursor.end
      this.ensure(1)
    }
    const stored = this.#file.read(this.#end, 4)
    const expected = ((stored[0]! << 24) | (stored[1]! << 16) | (stored[2]! << 8) | stored[3]!) >>> 0
    if (expected !== this.#crc) throw corrupt(this.#file.path, start, `checksum of the ${what} does not match`)
  }
}
