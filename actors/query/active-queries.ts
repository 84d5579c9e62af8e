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
   * Tells what the last run left unfinished, and begins anew. A file that is damaged or cannot be read is said, and stops nothing.
   * @param slots most queries at a time
   * @throws PromhiveError where the file cannot be written.
   */
  constructor(directory: string, slots: number, parts: Readonly<{ disk: Disk; clock: Clock; logger: Logger }>) {
    this.#parts = parts
    const path = `${directory}/queries.active`
    const { queries, why } = unfinishedQueries(parts.disk, path)
    if (queries.length > 0) parts.logger.info({ queries: `[${queries.join(',')}]` }, "These queries didn't finish in prometheus' last run:")
    if (why !== null) parts.logger.warn({ file: path, err: why }, 'The log of active queries is damaged: what cannot be read is left out')
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

/** The entries in a file, each as its JSON text, and what is wrong with the file or null. */
function unfinishedQueries(disk: Disk, path: string): { queries: string[]; why: string | null } {
  const queries: string[] = []
  let bytes: Uint8Array
  try {
    if (!disk.exists(path)) return { queries, why: null }
    const { sizeBytes } = disk.stat(path)
    if (sizeBytes > fileBytesMax) return { queries, why: `${sizeBytes} bytes` }
    bytes = disk.read(path)
  } catch (thrown) {
    return { queries, why: messageOf(thrown) }
  }
  let damaged = 0
  for (let at = 1; at < bytes.length; at += entryBytes) {
    const entry = bytes.subarray(at, at + entryBytes)
    if (isEmpty(entry)) continue
    const text = entryText(entry)
    if (text === null) damaged++
    else queries.push(text)
  }
  if (damaged > 0) return { queries, why: `${damaged} of its entries cannot be read` }
  return { queries, why: bytes.length === 0 || bytes[0] === 0x5b ? null : 'it does not begin with a bracket' }
}

function isEmpty(entry: Uint8Array): boolean {
  let all = 0
  for (let i = 0; i < entry.length; i++) all |= entry[i]!
  return all === 0
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Null where the slot holds no whole entry. */
function entryText(slot: Uint8Array): string | null {
  // the comma that ends a slot is behind the fill
  const end = slot.indexOf(0) === -1 ? slot.length : slot.indexOf(0)
  if (slot.subarray(end).some((byte, i, rest) => byte !== 0 && !(byte === 0x2c && rest.subarray(i + 1).every((after) => after === 0))))
    return null
  try {
    const text = decoder.decode(slot.subarray(0, end)).replace(/,$/, '')
    const { query, timestamp_sec: seconds, ...rest } = JSON.parse(text) as Record<string, unknown>
    return typeof query === 'string' && Number.isInteger(seconds) && Object.keys(rest).length === 0 ? text : null
  } catch {
    return null
  }
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
