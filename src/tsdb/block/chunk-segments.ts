// Chunk segments of a block: chunks/000001, 000002, … Source: prometheus tsdb/docs/format/chunks.md, tsdb/chunks/chunks.go.
//
//   ┌ magic 0x85BD40DD <u32> │ version 1 <u8> │ 0 <3 bytes> │ chunks … ┐      chunk  ┌ length <uvarint> │ encoding <u8> │ data │ CRC <u32> ┐
//
// The CRC covers encoding and data. A chunk is referenced by (number of the segment from 0) × 2^32 + its offset.
import { ByteWriter } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import type { Steps } from '../../base/steps.ts'
import type { Disk } from '../../ports/disk.ts'
import { isChunkEncoding } from '../chunks/decode.ts'
import { corrupt } from './corrupt.ts'
import { FileWriter } from './file-writer.ts'
import { type PageCache, PagedFile } from './pages.ts'

export type { ChunkData } from '../chunks/encode.ts'

const magic = 0x85bd40dd
const headerBytes = 8
export const segmentBytesDefault = 512 << 20
/** More than 65,535 samples of the widest kind could take. */
const chunkBytesMax = 64 << 20
const refUnit = 4294967296

export class ChunkSegmentsWriter {
  readonly #disk: Disk
  readonly #directory: string
  readonly #segmentBytesMax: number
  #file: FileWriter | null = null
  /** Files that are full and wait to be made durable. */
  readonly #full: FileWriter[] = []
  #segment = -1
  readonly #head = new ByteWriter(16)

  constructor(disk: Disk, directory: string, segmentBytesMax: number) {
    disk.makeDirectory(directory)
    this.#disk = disk
    this.#directory = directory
    this.#segmentBytesMax = segmentBytesMax
  }

  /** Returns the chunk's reference. */
  add(encoding: number, data: Uint8Array): number {
    const head = this.#head
    head.length = 0
    head.uvarint(data.length)
    head.u8(encoding)
    const size = head.length + data.length + 4
    let file = this.#file
    if (file === null || (file.position + size > this.#segmentBytesMax && file.position > headerBytes)) file = this.#cut()
    const ref = this.#segment * refUnit + file.position
    file.raw(head.written())
    file.raw(data)
    file.u32(crc32c(data, 0, data.length, crc32c(head.bytes, head.length - 1, head.length)))
    return ref
  }

  *finish(): Steps {
    if (this.#file !== null) this.#full.push(this.#file)
    this.#file = null
    for (let file = this.#full.shift(); file !== undefined; file = this.#full.shift()) {
      this.#file = file
      yield* file.finish()
      this.#file = null
    }
    this.#disk.syncDirectory(this.#directory)
  }

  abort(): void {
    for (const file of this.#full.splice(0)) file.abort()
    this.#file?.abort()
    this.#file = null
  }

  #cut(): FileWriter {
    if (this.#file !== null) this.#full.push(this.#file)
    this.#segment++
    const file = new FileWriter(this.#disk, `${this.#directory}/${String(this.#segment + 1).padStart(6, '0')}`)
    file.u32(magic)
    file.u32(1 << 24)
    this.#file = file
    return file
  }
}

export class ChunkSegmentsReader {
  readonly #files: PagedFile[]
  readonly #checked: boolean[]
  /** Of the chunk read last. */
  encoding = 0
  constructor(disk: Disk, cache: PageCache, directory: string) {
    const names = disk.list(directory).filter((name) => /^\d+$/.test(name))
    names.sort((a, b) => Number(a) - Number(b))
    this.#files = names.map((name) => new PagedFile(disk, cache, `${directory}/${name}`))
    this.#checked = names.map(() => false)
    this.#directory = directory
  }
  readonly #directory: string

  get sizeBytes(): number {
    return this.#files.reduce((sum, file) => sum + file.size, 0)
  }

  /** Where a chunk lies, for errors. */
  place(ref: number): { path: string; offset: number } {
    const segment = Math.floor(ref / refUnit)
    return { path: this.#files[segment]?.path ?? `${this.#directory}/${String(segment + 1).padStart(6, '0')}`, offset: ref % refUnit }
  }

  /** The chunk's data: a view not to be changed; its encoding is left in `encoding`. Throws STORAGE_CORRUPT. */
  read(ref: number): Uint8Array {
    const segment = Math.floor(ref / refUnit)
    const offset = ref % refUnit
    const file = this.#files[segment]
    if (file === undefined) throw corrupt(this.place(ref).path, offset, 'the segment is missing')
    if (!this.#checked[segment]) this.#checkHeader(file, segment)
    // most chunks come with the first read
    let bytes = file.readUpTo(offset, 1024)
    let length = 0
    let at = 0
    for (let scale = 1; ; scale *= 128) {
      if (at >= bytes.length || at === 5) throw corrupt(file.path, offset, 'no chunk begins here')
      const byte = bytes[at++]!
      length += (byte & 0x7f) * scale
      if (byte < 0x80) break
    }
    if (length > chunkBytesMax) throw corrupt(file.path, offset, `a chunk of ${length} bytes`)
    const size = at + 1 + length + 4
    if (size > bytes.length) bytes = file.read(offset, size)
    const end = at + 1 + length
    const stored = ((bytes[end]! << 24) | (bytes[end + 1]! << 16) | (bytes[end + 2]! << 8) | bytes[end + 3]!) >>> 0
    if (crc32c(bytes, at, end) !== stored) throw corrupt(file.path, offset, 'checksum of the chunk does not match')
    const encoding = bytes[at]!
    if (!isChunkEncoding(encoding)) throw corrupt(file.path, offset, `chunk encoding ${encoding} is unknown`)
    this.encoding = encoding
    return bytes.subarray(at + 1, end)
  }

  /** Opens all files: from now on they can be read whoever removes them. */
  hold(): void {
    for (const file of this.#files) file.hold()
  }

  close(): void {
    for (const file of this.#files) file.close()
  }

  #checkHeader(file: PagedFile, segment: number): void {
    const bytes = file.read(0, headerBytes)
    const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes)
    if (view.getUint32(0) !== magic) throw corrupt(file.path, 0, `magic is 0x${view.getUint32(0).toString(16)}`)
    if (bytes[4] !== 1) throw corrupt(file.path, 4, `chunk segment version ${bytes[4]} is not supported`)
    this.#checked[segment] = true
  }
}
