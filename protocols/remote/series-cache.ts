// From the raw bytes of a series' labels, as a sender writes them, to its handle in the storage: a log-structured cache in typed arrays.
//
//   table    Int32Array, open addressing: entry + 1, or 0
//   entries  columns: where its record lies, hash, handle, when last used, which entry came after it last time
//   record   in segments of 1 MiB:  ┌ entry <u32> │ length <u32> │ bytes, padded to 4 ┐ …
//
// Senders repeat their series in the same order, so the entry that followed last time is compared first: one memory comparison, no hash.
// Memory is bounded by giving up the oldest segment; records that are still in use move on when their segment is mostly dead.
import { growTo } from '../../src/base/grow-column.ts'

const segmentBytes = 1 << 20
const headerBytes = 8
const none = 0xffffffff

export type SeriesCacheOptions = Readonly<{
  /** Called once for every entry that is given up. */
  release: (handle: number) => void
  /** Most bytes of records, rounded down to whole segments; at least 2 of them. */
  bytesMax: number
  entriesMax: number
  /** Entries not used for so long are given up when their segment is looked at. */
  idleMs: number
  /** Keeps senders from choosing colliding labels. */
  seed: number
}>

export class SeriesCache {
  readonly #options: SeriesCacheOptions
  readonly #segmentsMax: number
  #table = new Int32Array(1024)
  #mask = 1023
  #offsets = new Uint32Array(256).fill(none)
  #hashes = new Uint32Array(256)
  #handles = new Uint32Array(256)
  #used = new Uint32Array(256)
  #successors = new Int32Array(256)
  #entryEnd = 0
  #free = -1
  #count = 0
  #segments: (Segment | null)[] = []
  #oldest = 0
  #current = -1
  #last = -1
  #sweptAtMs = 0
  #nowMs = 0
  #nowSeconds = 0
  hits = 0
  misses = 0
  evictions = 0

  constructor(options: SeriesCacheOptions) {
    this.#options = options
    this.#segmentsMax = Math.max(2, Math.min(4095, Math.floor(options.bytesMax / segmentBytes)))
  }

  /** Entries held. */
  get size(): number {
    return this.#count
  }
  get bytes(): number {
    let held = 0
    for (const segment of this.#segments) if (segment !== null) held += segmentBytes
    return held
  }
  handle(entry: number): number {
    return this.#handles[entry]!
  }

  /** Starts a request: sets the time that entries are used at, and looks at one segment from time to time, so that idle series are given up. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs
    this.#nowSeconds = seconds(nowMs)
    const held = this.#segments.length
    if (held === 0 || nowMs - this.#sweptAtMs < this.#options.idleMs / (held + 1)) return
    this.#sweptAtMs = nowMs
    this.#collect(false)
  }

  /**
   * The entry that followed the last one found, if its bytes are the next ones in `bytes`; −1 otherwise.
   * @param end nothing is read from here on.
   * @returns the entry; its length by `lengthOf`.
   */
  guess(view: DataView, start: number, end: number): number {
    if (this.#last < 0) return -1
    const entry = this.#successors[this.#last]!
    if (entry < 0) return -1
    const offset = this.#offsets[entry]!
    if (offset === none) return -1
    const segment = this.#segments[offset >>> 20]!
    const at = offset & (segmentBytes - 1)
    const length = segment.view.getUint32(at + 4, true)
    if (length > end - start || !equal(view, start, segment.view, at + headerBytes, length)) return -1
    this.#last = entry
    this.#used[entry] = this.#nowSeconds
    this.hits++
    return entry
  }
  lengthOf(entry: number): number {
    const offset = this.#offsets[entry]!
    return this.#segments[offset >>> 20]!.view.getUint32((offset & (segmentBytes - 1)) + 4, true)
  }
  /** Takes back a guess that turned out to be only a prefix. */
  unguess(): void {
    this.hits--
    this.#last = -1
  }

  /** The entry for exactly the bytes [start, end), −1 where there is none. */
  find(view: DataView, start: number, end: number): number {
    const hash = hashOf(view, start, end, this.#options.seed)
    const length = end - start
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#table[slot]! - 1
      if (entry < 0) {
        this.misses++
        return -1
      }
      if (this.#hashes[entry] !== hash) continue
      const offset = this.#offsets[entry]!
      const segment = this.#segments[offset >>> 20]!
      const at = offset & (segmentBytes - 1)
      if (segment.view.getUint32(at + 4, true) !== length || !equal(view, start, segment.view, at + headerBytes, length)) continue
      this.#used[entry] = this.#nowSeconds
      this.#follow(entry)
      this.hits++
      return entry
    }
  }

  /** Remembers a handle for bytes that `find` did not find. False where the record is too long to keep: the caller releases the handle after use. */
  add(bytes: Uint8Array, view: DataView, start: number, end: number, handle: number): boolean {
    const length = end - start
    if (length > segmentBytes / 4) return false
    if (this.#count >= this.#options.entriesMax) this.#collect(true)
    const offset = this.#place(length)
    if (this.#count * 2 >= this.#table.length) this.#growTable()
    let entry = this.#free
    if (entry >= 0) this.#free = this.#successors[entry]!
    else {
      entry = this.#entryEnd++
      if (entry === this.#offsets.length) this.#growEntries()
    }
    const segment = this.#segments[offset >>> 20]!
    const at = offset & (segmentBytes - 1)
    segment.view.setUint32(at, entry, true)
    segment.view.setUint32(at + 4, length, true)
    segment.bytes.set(bytes.subarray(start, end), at + headerBytes)
    segment.live += recordBytes(length)
    const hash = hashOf(view, start, end, this.#options.seed)
    this.#offsets[entry] = offset
    this.#hashes[entry] = hash
    this.#handles[entry] = handle
    this.#used[entry] = this.#nowSeconds
    this.#successors[entry] = -1
    this.#count++
    this.#insert(hash, entry)
    this.#follow(entry)
    return true
  }

  /** Gives everything up. */
  clear(): void {
    for (let entry = 0; entry < this.#entryEnd; entry++) {
      if (this.#offsets[entry] !== none) this.#options.release(this.#handles[entry]!)
    }
    this.#table = new Int32Array(1024)
    this.#mask = 1023
    this.#offsets.fill(none)
    this.#entryEnd = 0
    this.#free = -1
    this.#count = 0
    this.#segments = []
    this.#oldest = 0
    this.#current = -1
    this.#last = -1
  }

  #follow(entry: number): void {
    if (this.#last >= 0) this.#successors[this.#last] = entry
    this.#last = entry
  }

  #place(length: number): number {
    const need = recordBytes(length)
    const current = this.#current < 0 ? null : this.#segments[this.#current]!
    if (current !== null && current.end + need <= segmentBytes) {
      const at = current.end
      current.end += need
      return this.#current * segmentBytes + at
    }
    let index = this.#segments.indexOf(null)
    if (index < 0 && this.#segments.length < this.#segmentsMax) index = this.#segments.push(null) - 1
    if (index < 0) {
      this.#collect(true)
      index = this.#segments.indexOf(null)
    }
    const memory = new ArrayBuffer(segmentBytes)
    this.#segments[index] = { bytes: new Uint8Array(memory), view: new DataView(memory), end: need, live: 0 }
    this.#current = index
    return index * segmentBytes
  }

  /** Walks one segment that is not being written. `all`: gives up everything in it; else what is idle, and moves the rest on where little is left. */
  #collect(all: boolean): void {
    const held = this.#segments.length
    const alone = all && this.#segments.every((segment, i) => segment === null || i === this.#current)
    for (let tries = 0; tries < held; tries++) {
      const index = this.#oldest
      this.#oldest = (this.#oldest + 1) % held
      const segment = this.#segments[index] ?? null
      if (segment === null || (index === this.#current && !alone)) continue
      const before = seconds(this.#nowMs - this.#options.idleMs)
      this.#walk(index, segment, (entry) => {
        if (all || this.#used[entry]! < before) this.#evict(entry, segment)
      })
      if (segment.live > 0 && segment.live < segment.end / 2 && this.#hasRoom(segment.live)) {
        this.#walk(index, segment, (entry, at, length) => {
          const offset = this.#place(length)
          const to = this.#segments[offset >>> 20]!
          to.bytes.set(segment.bytes.subarray(at, at + recordBytes(length)), offset & (segmentBytes - 1))
          to.live += recordBytes(length)
          segment.live -= recordBytes(length)
          this.#offsets[entry] = offset
        })
      }
      if (segment.live === 0) {
        this.#segments[index] = null
        if (index === this.#current) this.#current = -1
      }
      return
    }
  }

  /** Whether records of so many bytes, less than half a segment, can be placed without giving anything up. */
  #hasRoom(bytes: number): boolean {
    const current = this.#current < 0 ? null : this.#segments[this.#current]!
    if (current !== null && current.end + bytes <= segmentBytes) return true
    return this.#segments.length < this.#segmentsMax || this.#segments.includes(null)
  }

  #walk(index: number, segment: Segment, visit: (entry: number, at: number, length: number) => void): void {
    for (let at = 0; at < segment.end;) {
      const entry = segment.view.getUint32(at, true)
      const length = segment.view.getUint32(at + 4, true)
      if (this.#offsets[entry] === index * segmentBytes + at) visit(entry, at, length)
      at += recordBytes(length)
    }
  }

  #evict(entry: number, segment: Segment): void {
    segment.live -= recordBytes(this.lengthOf(entry))
    this.#remove(entry)
    this.#offsets[entry] = none
    this.#successors[entry] = this.#free
    this.#free = entry
    if (this.#last === entry) this.#last = -1
    this.#count--
    this.evictions++
    this.#options.release(this.#handles[entry]!)
  }

  #insert(hash: number, entry: number): void {
    let slot = hash & this.#mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#table[slot] = entry + 1
  }

  /** Linear probing without tombstones: later entries of the run close the gap. */
  #remove(entry: number): void {
    let gap = this.#hashes[entry]! & this.#mask
    while (this.#table[gap] !== entry + 1) gap = (gap + 1) & this.#mask
    for (let slot = (gap + 1) & this.#mask; this.#table[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = this.#hashes[this.#table[slot]! - 1]! & this.#mask
      if (((slot - home) & this.#mask) < ((slot - gap) & this.#mask)) continue
      this.#table[gap] = this.#table[slot]!
      gap = slot
    }
    this.#table[gap] = 0
  }

  #growTable(): void {
    this.#table = new Int32Array(this.#table.length * 2)
    this.#mask = this.#table.length - 1
    for (let entry = 0; entry < this.#entryEnd; entry++) if (this.#offsets[entry] !== none) this.#insert(this.#hashes[entry]!, entry)
  }

  #growEntries(): void {
    const capacity = this.#offsets.length * 2
    const offsets = new Uint32Array(capacity).fill(none)
    offsets.set(this.#offsets)
    this.#offsets = offsets
    this.#hashes = growTo(this.#hashes, capacity)
    this.#handles = growTo(this.#handles, capacity)
    this.#used = growTo(this.#used, capacity)
    const successors = new Int32Array(capacity)
    successors.set(this.#successors)
    this.#successors = successors
  }
}

type Segment = { bytes: Uint8Array; view: DataView; end: number; live: number }

function recordBytes(length: number): number {
  return (headerBytes + length + 3) & ~3
}
function seconds(nowMs: number): number {
  return Math.max(0, Math.floor(nowMs / 1000))
}
/** Eight bytes at a time, the last eight overlap: optimized code compares machine words, and no BigInt is made. */
function equal(a: DataView, aStart: number, b: DataView, bStart: number, length: number): boolean {
  if (length < 8) {
    for (let i = 0; i < length; i++) if (a.getUint8(aStart + i) !== b.getUint8(bStart + i)) return false
    return true
  }
  const last = length - 8
  if (a.getBigInt64(aStart + last, true) !== b.getBigInt64(bStart + last, true)) return false
  for (let i = 0; i < last; i += 8) if (a.getBigInt64(aStart + i, true) !== b.getBigInt64(bStart + i, true)) return false
  return true
}

/** Murmur3-like, four bytes at a time. Unsigned 32 bits. */
function hashOf(view: DataView, start: number, end: number, seed: number): number {
  let h = seed | 0
  let i = start
  for (const last = end - 4; i <= last; i += 4) {
    h ^= Math.imul(view.getInt32(i, true), 0xcc9e2d51)
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0x6546b64) | 0
  }
  for (; i < end; i++) h = Math.imul(h ^ view.getUint8(i), 0x01000193)
  h ^= end - start
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
