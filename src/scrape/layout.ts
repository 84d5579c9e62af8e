// What a target exposed last time, as small as it can be kept: for every entry (line) its name and labels as bytes, front-coded, and what became of it.
//
//   entry k   │ shared[k] │ bytes taken over from the start of entry k − 1's prefix
//             │ suffixes[ends[k − 1], ends[k]) │ the other bytes of its prefix
//             │ handles[k], flags[k]
//
// A scrape compares line k with entry k: first `shared[k]` bytes with the line before it in the same body (which was just found equal to entry k − 1),
// then the suffix. Values, times and exemplars are not kept. 11 bytes an entry and its suffix; no JavaScript object per series.
import type { SeriesHandle } from '../model/appender.ts'

export const flag = {
  /** A stored series; handles[k] is its handle. */
  sample: 1,
  /** Its last sample had the scrape's own time, so it gets a staleness marker when it goes. */
  tracked: 2,
  /** Metric relabelling dropped it. */
  dropped: 4,
  /** Metadata, comment or blank line: the prefix is all of it. */
  text: 8,
  /** # EOF of OpenMetrics. */
  eof: 16,
  /** The same series as an earlier entry; shares its handle. */
  duplicate: 32,
  /** A # TYPE line (with `text`). */
  type: 64,
} as const

export class Layout {
  readonly count: number
  readonly shared: Uint16Array
  readonly ends: Uint32Array
  readonly suffixes: Uint8Array
  readonly handles: Uint32Array
  readonly flags: Uint8Array
  /** Longest prefix, for whoever expands entries one by one. */
  readonly prefixBytesMax: number

  constructor(count: number, columns: Pick<Layout, 'shared' | 'ends' | 'suffixes' | 'handles' | 'flags' | 'prefixBytesMax'>) {
    this.count = count
    this.shared = columns.shared
    this.ends = columns.ends
    this.suffixes = columns.suffixes
    this.handles = columns.handles
    this.flags = columns.flags
    this.prefixBytesMax = columns.prefixBytesMax
  }

  /** Calls `each` for every stored series once. */
  forEachSeries(each: (handle: SeriesHandle, tracked: boolean) => void): void {
    for (let k = 0; k < this.count; k++) {
      const f = this.flags[k]!
      if ((f & (flag.sample | flag.duplicate)) === flag.sample) each(this.handles[k]!, (f & flag.tracked) !== 0)
    }
  }

  /** Calls `each` with every metadata line (and comment), line feed included. The bytes are only valid during the call. */
  forEachText(each: (line: Uint8Array) => void): void {
    const prefix = new Uint8Array(this.prefixBytesMax)
    let from = 0
    for (let k = 0; k < this.count; k++) {
      const to = this.ends[k]!
      const shared = this.shared[k]!
      prefix.set(this.suffixes.subarray(from, to), shared)
      if ((this.flags[k]! & flag.text) !== 0) each(prefix.subarray(0, shared + to - from))
      from = to
    }
  }

  /** Bytes held. */
  get bytes(): number {
    return this.suffixes.byteLength + this.count * 11
  }
}

export const emptyLayout = new Layout(0, {
  shared: new Uint16Array(0),
  ends: new Uint32Array(0),
  suffixes: new Uint8Array(0),
  handles: new Uint32Array(0),
  flags: new Uint8Array(0),
  prefixBytesMax: 0,
})

/** A layout with whole prefixes, growing: the form it is searched and built in. Reused from scrape to scrape and target to target. */
export class FlatLayout {
  count = 0
  bytes = new Uint8Array(16 << 10)
  /** starts[count] is the end of the last prefix. */
  starts = new Uint32Array(257)
  handles = new Uint32Array(256)
  flags = new Uint8Array(256)

  clear(): void {
    this.count = 0
    this.starts[0] = 0
  }

  reserve(entries: number, bytes: number): void {
    const needEntries = this.count + entries
    if (needEntries > this.flags.length) {
      const capacity = Math.max(needEntries, this.flags.length * 2)
      const starts = new Uint32Array(capacity + 1)
      starts.set(this.starts.subarray(0, this.count + 1))
      const handles = new Uint32Array(capacity)
      handles.set(this.handles.subarray(0, this.count))
      const flags = new Uint8Array(capacity)
      flags.set(this.flags.subarray(0, this.count))
      this.starts = starts
      this.handles = handles
      this.flags = flags
    }
    const needBytes = this.starts[this.count]! + bytes
    if (needBytes > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needBytes, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.starts[this.count]))
      this.bytes = grown
    }
  }

  push(source: Uint8Array, start: number, end: number, handle: number, flags: number): void {
    const length = end - start
    this.reserve(1, length)
    const k = this.count++
    const at = this.starts[k]!
    const { bytes } = this
    for (let i = 0; i < length; i++) bytes[at + i] = source[start + i]!
    this.starts[k + 1] = at + length
    this.handles[k] = handle
    this.flags[k] = flags
  }

  /** Appends entries [from, to) of another. */
  pushRun(other: FlatLayout, from: number, to: number): void {
    if (from >= to) return
    const first = other.starts[from]!
    const length = other.starts[to]! - first
    this.reserve(to - from, length)
    const k = this.count
    const shift = this.starts[k]! - first
    this.bytes.set(other.bytes.subarray(first, first + length), this.starts[k])
    this.handles.set(other.handles.subarray(from, to), k)
    this.flags.set(other.flags.subarray(from, to), k)
    for (let i = from; i < to; i++) this.starts[k + i - from + 1] = other.starts[i + 1]! + shift
    this.count += to - from
  }

  expand(layout: Layout): void {
    this.clear()
    this.reserve(layout.count, 0)
    this.handles.set(layout.handles)
    this.flags.set(layout.flags)
    let total = 0
    for (let k = 0, from = 0; k < layout.count; k++) {
      const to = layout.ends[k]!
      total += layout.shared[k]! + to - from
      from = to
      this.starts[k + 1] = total
    }
    this.reserve(0, total)
    const { bytes, starts } = this
    const { suffixes, shared, ends } = layout
    let before = 0
    let from = 0
    for (let k = 0; k < layout.count; k++) {
      let at = starts[k]!
      for (let i = before, end = before + shared[k]!; i < end; i++) bytes[at++] = bytes[i]!
      const to = ends[k]!
      for (let i = from; i < to; i++) bytes[at++] = suffixes[i]!
      from = to
      before = starts[k]!
    }
    this.count = layout.count
  }

  /** The front-coded form, in arrays of exactly the size needed. */
  compress(): Layout {
    const { count, bytes, starts } = this
    const shared = new Uint16Array(count)
    const ends = new Uint32Array(count)
    let total = 0
    let prefixBytesMax = 0
    for (let k = 0; k < count; k++) {
      const start = starts[k]!
      const length = starts[k + 1]! - start
      if (length > prefixBytesMax) prefixBytesMax = length
      let same = 0
      if (k > 0) {
        const before = starts[k - 1]!
        const limit = Math.min(length, start - before, 0xffff)
        while (same < limit && bytes[before + same] === bytes[start + same]) same++
      }
      shared[k] = same
      total += length - same
      ends[k] = total
    }
    const suffixes = new Uint8Array(total)
    for (let k = 0, at = 0; k < count; k++) {
      for (let i = starts[k]! + shared[k]!, end = starts[k + 1]!; i < end; i++) suffixes[at++] = bytes[i]!
    }
    return new Layout(count, {
      shared,
      ends,
      suffixes,
      handles: this.handles.slice(0, count),
      flags: this.flags.slice(0, count),
      prefixBytesMax,
    })
  }
}

/** Prefix → entry, by open addressing over the hashes of prefixes. Reused; nothing is allocated but when it grows. */
export class PrefixIndex {
  #slots = new Int32Array(0)
  #hashes = new Uint32Array(0)
  #mask = 0
  #used = 0

  /** Empties it, with room for so many entries. */
  reset(entries: number): void {
    let capacity = 64
    while (capacity < entries * 2) capacity *= 2
    if (capacity > this.#slots.length) {
      this.#slots = new Int32Array(capacity)
      this.#hashes = new Uint32Array(capacity)
    }
    this.#mask = capacity - 1
    this.#slots.fill(-1, 0, capacity)
    this.#used = 0
  }

  /** The entry of `layout` with these bytes, −1 where there is none. */
  find(layout: FlatLayout, hash: number, source: Uint8Array, start: number, end: number): number {
    const mask = this.#mask
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const k = this.#slots[slot]!
      if (k < 0) return -1
      if (this.#hashes[slot] === hash && prefixEquals(layout, k, source, start, end)) return k
    }
  }

  add(hash: number, k: number): void {
    if (this.#used * 2 > this.#mask) this.#grow()
    const mask = this.#mask
    let slot = hash & mask
    while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask
    this.#slots[slot] = k
    this.#hashes[slot] = hash
    this.#used++
  }

  #grow(): void {
    const slots = this.#slots.slice(0, this.#mask + 1)
    const hashes = this.#hashes.slice(0, this.#mask + 1)
    this.reset(slots.length)
    for (let i = 0; i < slots.length; i++) if (slots[i]! >= 0) this.add(hashes[i]!, slots[i]!)
  }
}

export function prefixEquals(layout: FlatLayout, k: number, source: Uint8Array, start: number, end: number): boolean {
  let at = layout.starts[k]!
  if (layout.starts[k + 1]! - at !== end - start) return false
  const { bytes } = layout
  for (let i = start; i < end; i++) if (bytes[at++] !== source[i]) return false
  return true
}
