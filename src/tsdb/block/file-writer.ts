// Writes a file front to back through one buffer, with a running CRC32C for the section at hand. Numbers are big-endian, as in all block files.
import { crc32c } from '../../base/crc32c.ts'
import type { Steps } from '../../base/steps.ts'
import type { Disk, DiskFile } from '../../ports/disk.ts'

/** The buffer grows to this: most blocks' files are small. */
const bufferBytes = 1 << 20

export class FileWriter {
  readonly path: string
  readonly #file: DiskFile
  #buffer = new Uint8Array(16 << 10)
  #used = 0
  #flushed = 0
  #crc = 0
  constructor(disk: Disk, path: string) {
    this.path = path
    this.#file = disk.open(path, 'create')
  }
  get position(): number {
    return this.#flushed + this.#used
  }
  startCrc(): void {
    this.#crc = 0
  }
  /** The CRC of all bytes written since `startCrc`. */
  putCrc(): void {
    this.u32(this.#crc)
  }
  raw(bytes: Uint8Array): void {
    this.#crc = crc32c(bytes, 0, bytes.length, this.#crc)
    if (bytes.length > bufferBytes) {
      this.flush()
      this.#file.write(bytes, this.#flushed)
      this.#flushed += bytes.length
      return
    }
    if (this.#used + bytes.length > bufferBytes) this.flush()
    const need = this.#used + bytes.length
    if (need > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(bufferBytes, Math.max(need, this.#buffer.length * 4)))
      larger.set(this.#buffer.subarray(0, this.#used))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#used)
    this.#used += bytes.length
  }
  u32(value: number): void {
    scratch[0] = value >>> 24
    scratch[1] = value >>> 16
    scratch[2] = value >>> 8
    scratch[3] = value
    this.raw(four)
  }
  /** Zeros up to a multiple of `size`. */
  align(size: number): void {
    const over = this.position % size
    if (over !== 0) this.raw(zeros.subarray(0, size - over))
  }
  /** Overwrites bytes written before. */
  patch(bytes: Uint8Array, position: number): void {
    this.flush()
    this.#file.write(bytes, position)
  }
  flush(): void {
    if (this.#used === 0) return
    this.#file.write(this.#buffer.subarray(0, this.#used), this.#flushed)
    this.#flushed += this.#used
    this.#used = 0
  }
  /** Makes everything durable and closes the file. */
  *finish(): Steps {
    this.flush()
    const waited = yield () => this.#file.sync()
    if (waited !== true) this.#file.syncNow()
    this.#file.close()
  }
  abort(): void {
    this.#file.close()
  }
}
const scratch = new Uint8Array(4)
const four = scratch.subarray(0, 4)
const zeros = new Uint8Array(16)
