// What a snapshot copies of its shard's series, in small functions that take one series. A function that is called rarely and loops long is compiled once
// for each of its loops, all of it every time: most of what a snapshot costs in a process's first minutes.
import { ByteWriter } from '../../base/bytes.ts'
import { growTo } from '../../base/grow-column.ts'
import type { ByteArena } from './columns.ts'
import type { ChunkStore } from './chunk-store.ts'
import type { Head } from './head.ts'
import { xorBytes } from './snapshot.ts'

/** Takes the series of a shard one after the other. */
export type MemberColumns = Readonly<{
  /** @param i the member's place among them. */
  add: (i: number) => void
}>

/** Series of a shard, ascending. */
export function membersOf({ alive, shards, count, live }: Head, shard: number): Uint32Array {
  const members = new Uint32Array(live)
  let n = 0
  for (let series = 0; series < count; series++) if (shards[series] === shard && alive[series] === 1) members[n++] = series
  return members.subarray(0, n)
}

/** The columns of some series, as they are when this is made. */
export class SeriesColumns {
  readonly hashes: Uint32Array
  readonly firstTimes: Float64Array
  readonly counts: Uint16Array
  readonly positions: Uint32Array
  readonly times: Float64Array
  readonly deltas: Float64Array
  readonly windows: Uint16Array
  readonly values: Uint32Array
  /** Entry + 1 of the newest full chunk. */
  readonly newest: Uint32Array
  /** Where the open chunk lies. */
  readonly places: Uint32Array

  constructor(head: Head, members: Uint32Array) {
    const n = members.length
    this.hashes = new Uint32Array(n)
    this.firstTimes = new Float64Array(n)
    this.counts = new Uint16Array(n)
    this.positions = new Uint32Array(n)
    this.times = new Float64Array(n)
    this.deltas = new Float64Array(n)
    this.windows = new Uint16Array(n)
    this.values = new Uint32Array(n * 2)
    this.newest = new Uint32Array(n)
    this.places = new Uint32Array(n)
    for (let i = 0; i < n; i++) this.#copy(head, members[i]!, i)
  }

  #copy(head: Head, series: number, i: number): void {
    const { xor } = head
    this.hashes[i] = head.hashes[series]!
    this.firstTimes[i] = head.firstTimes[series]!
    this.counts[i] = xor.counts[series]!
    this.positions[i] = xor.positions[series]!
    this.times[i] = xor.times[series]!
    this.deltas[i] = xor.deltas[series]!
    this.windows[i] = xor.windows[series]!
    this.values[i * 2] = xor.values[series * 2]!
    this.values[i * 2 + 1] = xor.values[series * 2 + 1]!
    this.newest[i] = head.newestChunk[series]!
    this.places[i] = head.openChunkAt(series)
  }
}

/** Local number + 1 of each series, 0 for those of other shards. */
export function localNumbers(members: Uint32Array, count: number): Uint32Array {
  const localOf = new Uint32Array(count)
  for (let i = 0; i < members.length; i++) localOf[members[i]!] = i + 1
  return localOf
}

/** Refs hold series + 1: now by local number. */
export function renumberRefs(refs: Uint32Array, localOf: Uint32Array): void {
  for (let i = 0; i < refs.length; i++) if (refs[i] !== 0) refs[i] = localOf[refs[i]! - 1]!
}

/** Label lists by local pair numbers, which are given out as pairs are met, and the pairs. */
export class LabelColumns implements MemberColumns {
  readonly pairs = new ByteWriter(1 << 16)
  pairCount = 0
  readonly #head: Head
  readonly #members: Uint32Array
  readonly #localPair: Uint32Array
  #lists: Uint32Array
  #length = 0

  constructor(head: Head, members: Uint32Array) {
    this.#head = head
    this.#members = members
    this.#localPair = new Uint32Array(head.pairs.count)
    this.#lists = new Uint32Array(members.length * 8 + 256)
  }

  get lists(): Uint32Array {
    return this.#lists.subarray(0, this.#length)
  }

  add(i: number): void {
    const { labelLists } = this.#head
    const series = this.#members[i]!
    const page = labelLists.page(series)
    const start = labelLists.start(series)
    const end = start + page[start]!
    if (this.#length + end - start >= this.#lists.length)
      this.#lists = growTo(this.#lists, Math.ceil((this.#length + end - start + 1) * 1.5))
    const lists = this.#lists
    let at = this.#length
    lists[at++] = end - start
    for (let k = start + 1; k <= end; k++) lists[at++] = (this.#localPair[page[k]!]! || this.#addPair(page[k]!)) - 1
    this.#length = at
  }

  /** Gives its local number + 1. */
  #addPair(pair: number): number {
    const { pairs } = this.#head
    this.pairs.uvarint(pairs.bytesOf(pair))
    pairs.write(pair, this.pairs)
    this.#localPair[pair] = ++this.pairCount
    return this.pairCount
  }
}

/** Full chunks, oldest first; those whose segment was lost to damage are left out. The counter takes all members first, then the columns do. */
export class FullChunkColumns implements MemberColumns {
  readonly counter: FullChunkCounter
  times = new Float64Array(0)
  /** Three per chunk: span, segment, unit. */
  places = new Uint32Array(0)
  readonly #chunks: ChunkStore
  readonly #newest: Uint32Array
  readonly #segmentOf: ReadonlyMap<number, number>
  #end = 0

  /** @param newest entry + 1 of each series' newest. */
  constructor(chunks: ChunkStore, newest: Uint32Array, segmentOf: ReadonlyMap<number, number>) {
    this.#chunks = chunks
    this.#newest = newest
    this.#segmentOf = segmentOf
    this.counter = new FullChunkCounter(chunks, newest, segmentOf)
  }

  get counts(): Uint32Array {
    return this.counter.counts
  }

  counted(): void {
    this.times = new Float64Array(this.counter.total)
    this.places = new Uint32Array(this.counter.total * 3)
  }

  add(i: number): void {
    const { previous, places, minTimes, spans } = this.#chunks
    this.#end += this.counts[i]!
    let at = this.#end
    for (let link = this.#newest[i]!; link !== 0; link = previous[link - 1]!) {
      const place = places[link - 1]!
      const segment = this.#segmentOf.get(place >>> 16)
      if (segment === undefined) continue
      at--
      this.times[at] = minTimes[link - 1]!
      this.places[at * 3] = spans[link - 1]!
      this.places[at * 3 + 1] = segment
      this.places[at * 3 + 2] = place & 0xffff
    }
  }
}

class FullChunkCounter implements MemberColumns {
  readonly counts: Uint32Array
  total = 0
  readonly #chunks: ChunkStore
  readonly #newest: Uint32Array
  readonly #segmentOf: ReadonlyMap<number, number>

  constructor(chunks: ChunkStore, newest: Uint32Array, segmentOf: ReadonlyMap<number, number>) {
    this.#chunks = chunks
    this.#newest = newest
    this.#segmentOf = segmentOf
    this.counts = new Uint32Array(newest.length)
  }

  add(i: number): void {
    const { previous, places } = this.#chunks
    let count = 0
    for (let link = this.#newest[i]!; link !== 0; link = previous[link - 1]!) if (this.#segmentOf.has(places[link - 1]! >>> 16)) count++
    this.counts[i] = count
    this.total += count
  }
}

/** The open chunks as they were: what has been appended since is behind their positions, but for the count in their first two bytes. */
export class OpenChunkBytes implements MemberColumns {
  readonly words: Uint32Array
  readonly #bytes: Uint8Array
  readonly #arena: ByteArena
  readonly #columns: SeriesColumns
  #to = 0

  constructor(arena: ByteArena, columns: SeriesColumns) {
    this.#arena = arena
    this.#columns = columns
    this.words = new Uint32Array(wordsOf(columns))
    this.#bytes = new Uint8Array(this.words.buffer)
  }

  add(i: number): void {
    const count = this.#columns.counts[i]!
    if (count === 0) return
    const position = this.#columns.positions[i]!
    const place = this.#columns.places[i]!
    const page = this.#arena.words(place)
    const from = this.#arena.offset(place) >>> 2
    const first = this.#to * 4
    const length = xorBytes(position)
    const end = from + ((length + 3) >>> 2)
    let to = this.#to
    for (let at = from; at < end; at++) this.words[to++] = page[at]!
    this.#to = to
    const bytes = this.#bytes
    bytes[first] = count >>> 8
    bytes[first + 1] = count & 0xff
    const spare = length * 8 - position
    if (spare > 0 && spare < 8) bytes[first + length - 1]! &= 0xff << spare
    for (let at = first + length; at < to * 4; at++) bytes[at] = 0
  }
}

function wordsOf({ counts, positions }: SeriesColumns): number {
  let words = 0
  for (let i = 0; i < counts.length; i++) if (counts[i]! > 0) words += (xorBytes(positions[i]!) + 3) >>> 2
  return words
}
