// Full chunks of a Prometheus head, in chunks_head/. Source: prometheus tsdb/docs/format/head_chunks.md, tsdb/chunks/head_chunks.go.
//
//   ┌ magic 0x0130BC91 <u32> │ version 1 <u8> │ 0 <3 bytes> │ chunks … │ zeros ┐
//   chunk  ┌ series <u64> │ first ms <i64> │ last ms <i64> │ encoding, 128 = out of order <u8> │ length <uvarint> │ data │ CRC of all that <u32> ┐
import { crc32c } from '../../base/crc32c.ts'
import type { PromhiveError } from '../../base/errors.ts'
import type { Disk } from '../../ports/disk.ts'
import { corrupt } from '../block/corrupt.ts'
import { Cursor } from '../block/cursor.ts'
import { segmentPaths } from './log.ts'

const magic = 0x0130bc91
const headerBytes = 8
const outOfOrderFlag = 0x80

export type HeadChunk = Readonly<{
  /** The file it lies in. */
  path: string
  ref: number
  minTime: number
  maxTime: number
  encoding: number
  outOfOrder: boolean
  bytes: Uint8Array
}>

/**
 * All chunks, file by file in the order they were written.
 * @returns what stopped it, or null. The last file may have been begun and never written to: Prometheus removes such a one before it begins another.
 */
export function* readHeadChunks(disk: Disk, directory: string): Generator<HeadChunk, PromhiveError | null> {
  const paths = segmentPaths(disk, directory)
  for (const path of paths) {
    const bytes = disk.read(path)
    if (path === paths.at(-1) && bytes.every((byte) => byte === 0)) continue
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < headerBytes || view.getUint32(0) !== magic) return corrupt(path, 0, 'this is no file of head chunks')
    if (bytes[4] !== 1) return corrupt(path, 4, `head chunk version ${bytes[4]} is not supported`)
    const cursor = new Cursor()
    cursor.reset(bytes, path, 0)
    cursor.at = headerBytes
    while (cursor.remaining > 0) {
      const start = cursor.at
      if (onlyZeros(bytes, start, Math.min(bytes.length, start + 24))) break
      let chunk: HeadChunk
      try {
        chunk = readChunk(cursor, path)
      } catch (thrown) {
        return corrupt(path, start, 'the file ends within a chunk', thrown)
      }
      const end = cursor.at
      if (cursor.remaining < 4) return corrupt(path, start, 'the file ends within a chunk')
      if (cursor.u32be() !== crc32c(bytes, start, end)) return corrupt(path, start, 'checksum of the chunk does not match')
      yield chunk
    }
  }
  return null
}

function readChunk(cursor: Cursor, path: string): HeadChunk {
  const ref = cursor.u32be() * 4294967296 + cursor.u32be()
  const minTime = (cursor.u32be() | 0) * 4294967296 + cursor.u32be()
  const maxTime = (cursor.u32be() | 0) * 4294967296 + cursor.u32be()
  const encoding = cursor.u8()
  const bytes = cursor.blob()
  return { path, ref, minTime, maxTime, encoding: encoding & ~outOfOrderFlag, outOfOrder: (encoding & outOfOrderFlag) !== 0, bytes }
}

function onlyZeros(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) return false
  return true
}
