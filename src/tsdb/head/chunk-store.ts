// Full chunks of the head: bytes lie in segments of 1 MiB, the newest in memory, older ones in files that are read back whole on demand.
//
//   chunk in a segment, at a multiple of 16   ┌ encoding <u8> │ length, bits 16–23 <u8> │ length <u16 LE> │ data ┐    the CRC is the segment's
//   table, one entry per full chunk           minTimes f64 │ spans u32 │ places u32 (segment << 16 | offset / 16) │ previous u32 (entry + 1, 0 = none)
//
// A segment belongs to one shard, so that a shard can be handed over. Its file is  ‹directory›/‹file number, 8 digits›:
// the segment's bytes, then their CRC32C <u32 LE>; written once, when the segment is full or a snapshot needs it.
import { crc32c } from '../../base/crc32c.ts'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { finishSteps, type Steps } from '../../base/steps.ts'
import type { Disk } from '../../ports/disk.ts'
import { growTo } from '../../base/grow-column.ts'
import { nextCapacity } from './columns.ts'

const segmentBytesDefault = 1 << 20
const unit = 16

interface Segment {
  readonly shard: number
  readonly file: number
  bytes: Uint8Array | null
  used: number
  /** Chunks in it that series still refer to. */
  chunks: number
  /** Bytes of it that are in its file. */
  saved: number
  touched: number
  /** Its file cannot be read: its chunks hold nothing. */
  lost: boolean
}

/** What the store has to tell: a damaged file (set aside under another name) or a write that failed and is tried again. */
export type ChunkStoreProblem = Readonly<{ shard: number; path: string; chunks: number; why: string }>

/** A chunk without samples, in place of one that is lost. */
const emptyChunk = new Uint8Array(2)
const emptyEncoding = 1
const damagedPrefix = 'damaged-'

export class ChunkStore {
  minTimes = new Float64Array(256)
  spans = new Uint32Array(256)
  places = new Uint32Array(256)
  previous = new Uint32Array(256)
  /** Entries in use. */
  live = 0
  #count = 0
  #free = 0
  readonly #segments: (Segment | null)[] = []
  readonly #open = new Map<number, number>()
  readonly #nextFile = new Map<number, number>()
  /** Files of no segment any more, and how many of the newest snapshots do not name them. */
  #doomed: { shard: number; path: string; snapshots: number }[] = []
  readonly #disk: Disk
  readonly #directoryOf: (shard: number) => string
  readonly #residentBytesMax: number
  readonly #segmentBytes: number
  readonly #onProblem: (problem: ChunkStoreProblem) => void
  #resident = 0
  #clock = 0
  /** Segments whose file was damaged, and their chunks; writes of full segments that failed. */
  segmentsLost = 0
  chunksLost = 0
  failedWrites = 0

  constructor(
    disk: Disk,
    directoryOf: (shard: number) => string,
    residentBytesMax: number,
    onProblem: (problem: ChunkStoreProblem) => void = () => {},
    segmentBytes = segmentBytesDefault,
  ) {
    this.#disk = disk
    this.#directoryOf = directoryOf
    this.#residentBytesMax = residentBytesMax
    this.#onProblem = onProblem
    this.#segmentBytes = segmentBytes
  }

  /** Copies a chunk in; returns its entry + 1. `previous` is the series' entry + 1 before it. */
  add(shard: number, encoding: number, bytes: Uint8Array, minTime: number, maxTime: number, previous: number): number {
    let entry: number
    if (this.#free !== 0) {
      entry = this.#free - 1
      this.#free = this.previous[entry]!
    } else {
      entry = this.#count++
      if (entry >= this.places.length) this.#grow(nextCapacity(this.places.length, this.#count))
    }
    const size = Math.ceil((bytes.length + 4) / unit) * unit
    let index = this.#open.get(shard)
    if (index === undefined || this.#segments[index]!.used + size > this.#segmentBytes) index = this.#newSegment(shard, index, size)
    const segment = this.#segments[index]!
    const at = segment.used
    const out = segment.bytes!
    out[at] = encoding
    out[at + 1] = bytes.length >>> 16
    out[at + 2] = bytes.length & 0xff
    out[at + 3] = bytes.length >>> 8
    out.set(bytes, at + 4)
    segment.used += size
    segment.chunks++
    this.live++
    this.minTimes[entry] = minTime
    this.spans[entry] = maxTime - minTime
    this.places[entry] = ((index << 16) | (at / unit)) >>> 0
    this.previous[entry] = previous
    return entry + 1
  }

  /** True where the chunk's bytes are lost to damage: it then reads as a chunk without samples. Reads its segment where it is not in memory. */
  isLost(entry: number): boolean {
    return this.#bytes(this.places[entry]! >>> 16) === null
  }

  encoding(entry: number): number {
    const place = this.places[entry]!
    return this.#bytes(place >>> 16)?.[(place & 0xffff) * unit] ?? emptyEncoding
  }

  /** The chunk's data: a view that is good until the next call. */
  data(entry: number): Uint8Array {
    const place = this.places[entry]!
    const bytes = this.#bytes(place >>> 16)
    if (bytes === null) return emptyChunk
    const at = (place & 0xffff) * unit
    return bytes.subarray(at + 4, at + 4 + (bytes[at + 2]! | (bytes[at + 3]! << 8) | (bytes[at + 1]! << 16)))
  }

  maxTime(entry: number): number {
    return this.minTimes[entry]! + this.spans[entry]!
  }

  release(entry: number): void {
    const index = this.places[entry]! >>> 16
    this.previous[entry] = this.#free
    this.#free = entry + 1
    this.live--
    const segment = this.#segments[index]!
    segment.chunks--
    if (segment.chunks === 0 && this.#open.get(segment.shard) !== index) this.#drop(index)
  }

  /**
   * Writes what is not in files yet; gives the shard's segments as they are at the first step, for its snapshot. No chunk of the shard may be released
   * between the steps.
   */
  *save(shard: number): Steps<{ index: number; file: number; used: number }[]> {
    const out: { index: number; file: number; used: number }[] = []
    const unsaved: Segment[] = []
    this.#segments.forEach((segment, index) => {
      if (segment === null || segment.shard !== shard || segment.lost) return
      if (segment.saved < segment.used) unsaved.push(segment)
      out.push({ index, file: segment.file, used: segment.used })
    })
    for (const segment of unsaved) {
      yield
      // it may have gone to its file meanwhile, to keep the budget
      if (segment.bytes !== null && segment.saved < segment.used) yield* this.#write(segment, '.snapshot.tmp')
    }
    this.#disk.syncDirectory(this.#directoryOf(shard))
    return out
  }

  /** Makes room for more chunks, so that the table grows once. */
  reserve(chunks: number): void {
    if (this.#count + chunks > this.places.length) this.#grow(this.#count + chunks)
  }

  #grow(capacity: number): void {
    this.minTimes = growTo(this.minTimes, capacity)
    this.spans = growTo(this.spans, capacity)
    this.places = growTo(this.places, capacity)
    this.previous = growTo(this.previous, capacity)
  }

  /** Takes over a segment that a snapshot names; its chunks are then added by `restore`. */
  adopt(shard: number, file: number, used: number): number {
    const index = this.#slot()
    this.#segments[index] = { shard, file, bytes: null, used, chunks: 0, saved: used, touched: 0, lost: false }
    this.#nextFile.set(shard, Math.max(this.#nextFile.get(shard) ?? 0, file + 1))
    return index
  }

  /**
   * Enters the chunks of many series, oldest first, and each series' newest one into `newest` from `first` on. @param given as a snapshot keeps them:
   * counts per series; times per chunk; span, number in `segments` and unit per chunk.
   */
  restoreAll(given: {
    counts: Uint32Array
    times: Float64Array
    places: Uint32Array
    segments: readonly number[]
    newest: Uint32Array
    first: number
  }): void {
    const { counts, times, places, newest, first } = given
    const segments = Uint32Array.from(given.segments)
    const held = new Uint32Array(segments.length)
    const n = times.length
    const start = this.#count
    this.reserve(n)
    this.#count += n
    this.live += n
    this.minTimes.set(times, start)
    const spans = this.spans
    const ownPlaces = this.places
    const previous = this.previous
    for (let i = 0, entry = start, from = 0; i < counts.length; i++) {
      let link = 0
      for (const end = entry + counts[i]!; entry < end; from += 3) {
        const segment = places[from + 1]!
        held[segment]!++
        spans[entry] = places[from]!
        ownPlaces[entry] = (segments[segment]! << 16) | places[from + 2]!
        previous[entry] = link
        link = ++entry
      }
      newest[first + i] = link
    }
    for (let i = 0; i < held.length; i++) this.#segments[segments[i]!]!.chunks += held[i]!
  }

  /** Enters a chunk that lies in an adopted segment. */
  restore(segment: number, unitOffset: number, minTime: number, span: number, previous: number): number {
    const entry = this.#count++
    if (entry >= this.places.length) this.#grow(nextCapacity(this.places.length, this.#count))
    this.minTimes[entry] = minTime
    this.spans[entry] = span
    this.places[entry] = ((segment << 16) | unitOffset) >>> 0
    this.previous[entry] = previous
    this.#segments[segment]!.chunks++
    this.live++
    return entry + 1
  }

  /**
   * Call when a shard's snapshot is durable: removes the files that neither it nor the one before names any more.
   * @param isAgain it took the place of the newest one, so that the one before is the same still.
   */
  snapshotTaken(shard: number, isAgain = false): void {
    this.#doomed = this.#doomed.filter((file) => {
      if (file.shard !== shard) return true
      file.snapshots = isAgain ? Math.max(1, file.snapshots) : file.snapshots + 1
      if (file.snapshots < 2) return true
      this.#disk.remove(file.path)
      return false
    })
  }

  /** After a start: files that no segment owns go with the snapshots that may still name them; unfinished ones go at once. */
  sweep(shard: number): void {
    const owned = new Set(this.#segments.flatMap((s) => (s !== null && s.shard === shard ? [fileName(s.file)] : [])))
    const directory = this.#directoryOf(shard)
    for (const name of this.#disk.list(directory)) {
      const path = `${directory}/${name}`
      if (name.endsWith('.tmp')) this.#disk.remove(path)
      if (!/^\d{8}$/.test(name)) continue
      if (!owned.has(name)) this.#doomed.push({ shard, path, snapshots: 0 })
      this.#nextFile.set(shard, Math.max(this.#nextFile.get(shard) ?? 0, Number(name) + 1))
    }
  }

  get residentBytes(): number {
    return this.#resident + this.places.length * 20
  }

  /** Bytes of all chunks, in memory or in files. */
  get chunkBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + (segment?.used ?? 0), 0)
  }

  #slot(): number {
    const free = this.#segments.indexOf(null)
    return free === -1 ? this.#segments.push(null) - 1 : free
  }

  /** @param need bytes of its first chunk, which may be larger than a segment: then it has one to itself. */
  #newSegment(shard: number, before: number | undefined, need: number): number {
    const index = this.#slot()
    if (index > 0xffff)
      throw new PromhiveError('STORAGE_FULL', `cannot keep another chunk: ${index} segments of ${this.#segmentBytes} bytes are in use`)
    const file = this.#nextFile.get(shard) ?? 0
    this.#nextFile.set(shard, file + 1)
    this.#segments[index] = {
      shard,
      file,
      bytes: new Uint8Array(Math.max(this.#segmentBytes, need)),
      used: 0,
      chunks: 0,
      saved: 0,
      touched: ++this.#clock,
      lost: false,
    }
    this.#resident += Math.max(this.#segmentBytes, need)
    this.#open.set(shard, index)
    if (before !== undefined && this.#segments[before]!.chunks === 0) this.#drop(before)
    this.#evict()
    return index
  }

  /** Null where its file is damaged. */
  #bytes(index: number): Uint8Array | null {
    const segment = this.#segments[index]!
    segment.touched = ++this.#clock
    if (segment.bytes !== null) return segment.bytes
    if (segment.lost) return null
    try {
      segment.bytes = this.#read(segment)
    } catch (thrown) {
      // damage does not heal; what else may go wrong with a read may pass, and nothing is given up for it
      if (!(thrown instanceof PromhiveError) || (thrown.code !== 'STORAGE_CORRUPT' && thrown.code !== 'NOT_FOUND')) throw thrown
      this.#lose(segment, thrown.message)
      return null
    }
    this.#resident += segment.bytes.length
    this.#evict(index)
    return segment.bytes
  }

  /** Sets the file of a segment aside; everything else goes on. */
  #lose(segment: Segment, why: string): void {
    segment.lost = true
    this.segmentsLost++
    this.chunksLost += segment.chunks
    const path = this.#path(segment)
    try {
      if (this.#disk.exists(path)) this.#disk.rename(path, `${this.#directoryOf(segment.shard)}/${damagedPrefix}${fileName(segment.file)}`)
    } catch {
      // it stays where it is, and is not read again in this life
    }
    this.#onProblem({ shard: segment.shard, path, chunks: segment.chunks, why })
  }

  #path(segment: Segment): string {
    return `${this.#directoryOf(segment.shard)}/${fileName(segment.file)}`
  }

  *#write(segment: Segment, temporary: string): Steps {
    const { used } = segment
    const out = new Uint8Array(used + 4)
    out.set(segment.bytes!.subarray(0, used))
    new DataView(out.buffer).setUint32(used, crc32c(out, 0, used), true)
    const path = this.#path(segment)
    this.#disk.makeDirectory(this.#directoryOf(segment.shard))
    // the file may hold an earlier, shorter state that a snapshot names: it is replaced whole, and only by what is durable
    const file = this.#disk.open(path + temporary, 'create')
    try {
      file.write(out, 0)
      if ((yield () => file.sync()) !== true) file.syncNow()
    } finally {
      file.close()
    }
    if (segment.saved >= used) return this.#disk.remove(path + temporary)
    this.#disk.rename(path + temporary, path)
    segment.saved = used
  }

  #read(segment: Segment): Uint8Array {
    const path = this.#path(segment)
    const bytes = this.#disk.read(path)
    const at = bytes.length - 4
    if (at < segment.used) {
      throw new PromhiveError('STORAGE_CORRUPT', `cannot read head chunks ${path}: ${bytes.length} bytes, expected ${segment.used + 4}`)
    }
    const stored = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true)
    if (stored !== crc32c(bytes, 0, at))
      throw new PromhiveError('STORAGE_CORRUPT', `cannot read head chunks ${path}: checksum does not match`)
    const whole = new Uint8Array(Math.max(this.#segmentBytes, segment.used))
    whole.set(bytes.subarray(0, segment.used))
    return whole
  }

  #drop(index: number): void {
    const segment = this.#segments[index]!
    if (segment.bytes !== null) this.#resident -= segment.bytes.length
    // a snapshot on disk may still name the file
    if (segment.saved > 0) this.#doomed.push({ shard: segment.shard, path: this.#path(segment), snapshots: 0 })
    this.#segments[index] = null
  }

  /** Sends the longest untouched full segments to their files until the budget is kept. */
  #evict(keep = -1): void {
    while (this.#resident > this.#residentBytesMax) {
      let oldest = -1
      this.#segments.forEach((segment, index) => {
        if (segment === null || segment.bytes === null || index === keep || this.#open.get(segment.shard) === index) return
        if (oldest === -1 || segment.touched < this.#segments[oldest]!.touched) oldest = index
      })
      if (oldest === -1) return
      const segment = this.#segments[oldest]!
      if (segment.saved < segment.used) {
        try {
          finishSteps(this.#write(segment, '.tmp'))
        } catch (thrown) {
          // a full disk must not stop the head: the budget is exceeded until there is room
          this.failedWrites++
          this.#onProblem({ shard: segment.shard, path: this.#path(segment), chunks: 0, why: messageOf(thrown) })
          return
        }
      }
      this.#resident -= segment.bytes!.length
      segment.bytes = null
    }
  }
}

function fileName(file: number): string {
  return String(file).padStart(8, '0')
}
