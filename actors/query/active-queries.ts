// Queries that run now, in a file that outlives the process: after a crash the next start tells which ones may have caused it.
//
//   ‹data›/queries.active   `[` | one entry of 1000 bytes per slot: {"query":"…","timestamp_sec":…} NUL … `,`      an empty slot is all NUL
//
// Prometheus' format (promql/query_logger.go). An entry is one positional write of some microseconds into the page cache; nothing is synced,
// because what it is for is a process that dies, not a machine.
import { messageOf } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Disk, DiskFile } from '../../src/ports/disk.ts'

const entryBytes = 1000
/** A file of more is none of ours: it is not read. */
const fileBytesMax = 64 << 20
const encoder = new TextEncoder()

export class ActiveQueries {
  readonly #parts: Readonly<{ clock: Clock; logger: Logger }>
  readonly #file: DiskFile
  readonly #free: number[]
  readonly #entry = new Uint8Array(entryBytes)
  readonly #empty = new Uint8Array(entryBytes)
  #hasFailed = false
  #isClosed = false

  /**
   * Tells what the last run left unfinished, and begins anew.
   * @param slots most queries at a time
   * @throws PromhiveError where the file cannot be written.
   */
  constructor(directory: string, slots: number, parts: Readonly<{ disk: Disk; clock: Clock; logger: Logger }>) {
    this.#parts = parts
    const path = `${directory}/queries.active`
    const unfinished = unfinishedQueries(parts.disk, path)
    if (unfinished !== null) parts.logger.info({ queries: unfinished }, "These queries didn't finish in prometheus' last run:")
    this.#file = parts.disk.open(path, 'create')
    const zeroes = new Uint8Array(1 + slots * entryBytes)
    zeroes[0] = 0x5b
    this.#file.write(zeroes, 0)
    this.#free = Array.from({ length: slots }, (_, slot) => slots - 1 - slot)
  }

  /** Takes a slot for a query and writes it down; null where none is free. */
  insert(query: string): number | null {
    const slot = this.#free.pop()
    if (slot === undefined) return null
    const entry = this.#entry.fill(0)
    const timeText = `","timestamp_sec":${Math.floor(this.#parts.clock.nowMs() / 1000)}}`
    const text = `{"query":"${trimmed(query, entryBytes - 1 - 10 - timeText.length)}${timeText}`
    encoder.encodeInto(text, entry)
    entry[entryBytes - 1] = 0x2c
    this.#write(slot, entry)
    return slot
  }

  remove(slot: number): void {
    this.#write(slot, this.#empty)
    this.#free.push(slot)
  }

  close(): void {
    this.#isClosed = true
    this.#file.close()
  }

  /** A disk that fails costs the entry, not the query. */
  #write(slot: number, entry: Uint8Array): void {
    if (this.#isClosed) return
    try {
      this.#file.write(entry, 1 + slot * entryBytes)
    } catch (thrown) {
      if (!this.#hasFailed) this.#parts.logger.warn({ err: messageOf(thrown) }, 'Cannot write the log of active queries')
      this.#hasFailed = true
    }
  }
}

/** The JSON list of the entries in a file; null where there are none or no file. */
function unfinishedQueries(disk: Disk, path: string): string | null {
  if (!disk.exists(path) || disk.stat(path).sizeBytes > fileBytesMax) return null
  const bytes = disk.read(path)
  let length = 0
  const kept = new Uint8Array(bytes.length)
  for (const byte of bytes) if (byte !== 0) kept[length++] = byte
  if (length <= 1) return null
  // the last entry's comma becomes the end of the list
  return `${new TextDecoder().decode(kept.subarray(0, length - 1))}]`
}

/** As much of a query as fits into so many bytes of a JSON string, escaped. */
function trimmed(query: string, bytesMax: number): string {
  let bytes = 0
  for (let i = 0; i < query.length; i++) {
    const pair = query.codePointAt(i)! > 0xffff
    bytes += jsonBytes(query.codePointAt(i)!)
    if (bytes > bytesMax) return escaped(query.slice(0, i))
    if (pair) i++
  }
  return escaped(query)
}

/** UTF-8 bytes of a character in a JSON string as JSON.stringify writes it. */
function jsonBytes(code: number): number {
  if (code < 0x20) return code === 8 || code === 9 || code === 10 || code === 12 || code === 13 ? 2 : 6
  if (code < 0x80) return code === 0x22 || code === 0x5c ? 2 : 1
  if (code < 0x800) return 2
  if (code >= 0xd800 && code <= 0xdfff) return 6 // half of a pair
  return code < 0x10000 ? 3 : 4
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}
