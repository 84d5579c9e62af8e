// The file of the embedded Kv, replaced as a whole at every change:
//   magic 'PHKV' u32 | format 1 u32 | revision uvarint | entries uvarint | entries … | CRC-32C of everything before u32
//   entry: key text | version uvarint | expires at f64, milliseconds since the epoch, 0 = never | present u8 | value: length uvarint, bytes
// An entry that is not present is the memory of a deletion.
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts'
import { crc32c } from '../../src/base/crc32c.ts'
import { PromhiveError } from '../../src/base/errors.ts'

export type KvEntry = Readonly<{ version: number; value: Uint8Array | null; expiresAtMs: number }>
export type KvState = { revision: number; entries: Map<string, KvEntry> }

const magic = 0x564b4850
const format = 1

export function encodeKv(state: Readonly<KvState>): Uint8Array {
  const out = new ByteWriter(4096)
  out.u32(magic)
  out.u32(format)
  out.uvarint(state.revision)
  out.uvarint(state.entries.size)
  for (const [key, entry] of state.entries) {
    out.text(key)
    out.uvarint(entry.version)
    out.f64(entry.expiresAtMs)
    out.u8(entry.value === null ? 0 : 1)
    out.uvarint(entry.value?.length ?? 0)
    if (entry.value !== null) out.raw(entry.value)
  }
  out.u32(crc32c(out.written()))
  return out.written()
}

/** @throws PromhiveError STORAGE_CORRUPT */
export function decodeKv(bytes: Uint8Array, path: string): KvState {
  const bad = (why: string, cause?: unknown): PromhiveError =>
    new PromhiveError('STORAGE_CORRUPT', `cannot read ${path}: ${why}`, { path }, cause)
  if (bytes.length < 16) throw bad(`file ends after ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(bytes.length - 4, true) !== crc32c(bytes, 0, bytes.length - 4)) throw bad('checksum does not match')
  const reader = new ByteReader(bytes, 0, bytes.length - 4)
  try {
    if (reader.u32() !== magic) throw bad('it is no key-value file')
    const found = reader.u32()
    if (found !== format) throw bad(`format ${found} is not supported`)
    const state: KvState = { revision: reader.uvarint(), entries: new Map() }
    for (let left = reader.uvarint(); left > 0; left--) {
      const key = reader.text()
      const version = reader.uvarint()
      const expiresAtMs = reader.f64()
      const present = reader.u8() === 1
      const value = reader.raw(reader.uvarint()).slice()
      state.entries.set(key, { version, expiresAtMs, value: present ? value : null })
    }
    return state
  } catch (thrown) {
    throw thrown instanceof PromhiveError && thrown.code === 'STORAGE_CORRUPT' ? thrown : bad('it does not decode', thrown)
  }
}
