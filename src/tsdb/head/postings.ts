// Posting lists: for every pair id the series that have it, ascending. A list of one lies in its own entry, a short one in an arena of
// power-of-two ranges, a long one in a typed array of its own.
//
//   lengths  Uint32Array[pairs]      places  Uint32Array[pairs]   length 1: the series; ≤ longest: arena address; else index into `long`
import { growTo } from '../../base/grow-column.ts'
import { nextCapacity } from './columns.ts'
import type { LabelLists } from './label-lists.ts'

const pageEntries = 1 << 16
/** The longest list kept in the arena; classes are 4, 8, … 4096 entries. */
const arenaListMax = 4096

export class Postings {
  #lengths = new Uint32Array(1024)
  #places = new Uint32Array(1024)
  readonly #pages: Uint32Array[] = []
  readonly #free: number[][] = []
  #fresh = 0
  readonly #long: Uint32Array[] = []
  /** Lists that got a series below their last: sorted when next read. */
  readonly #unsorted = new Set<number>()

  count(pair: number): number {
    return pair < this.#lengths.length ? this.#lengths[pair]! : 0
  }

  add(pair: number, series: number): void {
    this.#hold(pair)
    const n = this.#lengths[pair]!
    this.#lengths[pair] = n + 1
    if (n === 0) {
      this.#places[pair] = series
      return
    }
    let list: Uint32Array
    let at: number
    if (n === 1) {
      const address = this.#allocate(4)
      list = this.#pages[address >>> 16]!
      at = address & 0xffff
      list[at] = this.#places[pair]!
      this.#places[pair] = address
    } else if (n >= arenaListMax) {
      if (n === arenaListMax) this.#promote(pair, n)
      const index = this.#places[pair]!
      list = this.#long[index]!
      if (n >= list.length) list = this.#long[index] = growTo(list, Math.ceil(n * 1.25))
      at = 0
    } else {
      let address = this.#places[pair]!
      if (n >= 4 && (n & (n - 1)) === 0) {
        const moved = this.#allocate(n * 2)
        const from = this.#pages[address >>> 16]!
        const start = address & 0xffff
        this.#pages[moved >>> 16]!.set(from.subarray(start, start + n), moved & 0xffff)
        this.#release(address, n)
        this.#places[pair] = address = moved
      }
      list = this.#pages[address >>> 16]!
      at = address & 0xffff
    }
    if (list[at + n - 1]! > series) this.#unsorted.add(pair)
    list[at + n] = series
  }

  /** So many series with each of these pairs will be in `build`. */
  expect(pairs: Uint32Array, counts: Uint32Array): void {
    for (let i = 0; i < pairs.length; i++) {
      this.#hold(pairs[i]!)
      this.#lengths[pairs[i]!]! += counts[i]!
    }
  }

  /** Makes all lists at once, where there are none yet: of the series below `series`, whose pairs are in `lists`, as many as were expected. */
  build(series: number, pairs: number, lists: LabelLists): void {
    this.#hold(pairs)
    const lengths = this.#lengths
    const ends = new Uint32Array(pairs)
    const targets = new Array<Uint32Array>(pairs)
    for (let pair = 0; pair < pairs; pair++) {
      const n = lengths[pair]!
      if (n > arenaListMax) {
        const list = new Uint32Array(n)
        this.#places[pair] = this.#long.push(list) - 1
        targets[pair] = list
      } else if (n < 2) {
        ends[pair] = pair
        targets[pair] = this.#places
      } else {
        const address = this.#allocate(rangeEntries(n))
        this.#places[pair] = address
        ends[pair] = address & 0xffff
        targets[pair] = this.#pages[address >>> 16]!
      }
    }
    for (let i = 0; i < series; i++) {
      const page = lists.page(i)
      const start = lists.start(i)
      const end = start + page[start]!
      for (let k = start + 1; k <= end; k++) {
        const pair = page[k]!
        targets[pair]![ends[pair]!++] = i
      }
    }
  }

  #hold(pair: number): void {
    if (pair < this.#lengths.length) return
    const capacity = nextCapacity(this.#lengths.length, pair + 1)
    this.#lengths = growTo(this.#lengths, capacity)
    this.#places = growTo(this.#places, capacity)
  }

  /** The series of a pair, ascending. A view: not to be kept or changed. */
  list(pair: number): Uint32Array {
    const n = this.count(pair)
    if (n === 0) return empty
    if (n === 1) return this.#places.subarray(pair, pair + 1)
    const view = this.#view(pair, n)
    if (this.#unsorted.size > 0 && this.#unsorted.delete(pair)) view.sort()
    return view
  }

  /** Drops the series that `keep` says are gone (0) from one pair's list. */
  filter(pair: number, keep: Uint8Array): void {
    const n = this.count(pair)
    if (n === 0) return
    if (n === 1) {
      if (keep[this.#places[pair]!] === 0) this.#lengths[pair] = 0
      return
    }
    const view = this.#view(pair, n)
    let kept = 0
    for (let i = 0; i < n; i++) if (keep[view[i]!] !== 0) view[kept++] = view[i]!
    if (kept === n) return
    const rest = view.slice(0, kept)
    this.#drop(pair, n)
    this.#lengths[pair] = 0
    for (const series of rest) this.add(pair, series)
  }

  get byteLength(): number {
    return (this.#lengths.length * 2 + this.#pages.length * pageEntries + this.#long.reduce((sum, list) => sum + list.length, 0)) * 4
  }

  #view(pair: number, n: number): Uint32Array {
    const place = this.#places[pair]!
    if (n > arenaListMax) return this.#long[place]!.subarray(0, n)
    const start = place & 0xffff
    return this.#pages[place >>> 16]!.subarray(start, start + n)
  }

  #promote(pair: number, n: number): void {
    const address = this.#places[pair]!
    const start = address & 0xffff
    const list = new Uint32Array(Math.ceil(n * 1.25))
    list.set(this.#pages[address >>> 16]!.subarray(start, start + n))
    this.#release(address, n)
    this.#places[pair] = this.#long.push(list) - 1
  }

  #drop(pair: number, n: number): void {
    const place = this.#places[pair]!
    if (n > arenaListMax) this.#long[place] = empty
    else this.#release(place, n)
  }

  #allocate(entries: number): number {
    const size = Math.max(4, entries)
    const free = this.#free[31 - Math.clz32(size)]
    if (free !== undefined && free.length > 0) return free.pop()!
    if (this.#pages.length === 0 || this.#fresh + size > pageEntries) {
      this.#pages.push(new Uint32Array(pageEntries))
      this.#fresh = 0
    }
    const address = (((this.#pages.length - 1) << 16) | this.#fresh) >>> 0
    this.#fresh += size
    return address
  }

  /** @param entries how many the range was made for, rounded up to its class. */
  #release(address: number, entries: number): void {
    const sizeClass = entries <= 4 ? 2 : 32 - Math.clz32(entries - 1)
    ;(this.#free[sizeClass] ??= []).push(address)
  }
}

/** Entries of the range that a list of `n` in the arena has. */
function rangeEntries(n: number): number {
  return n <= 4 ? 4 : 1 << (32 - Math.clz32(n - 1))
}

const empty = new Uint32Array(0)

/** Entries of both ascending lists, written to `out` (which may be `a`'s memory); returns how many. Gallops where one list is much longer. */
export function intersect(a: Uint32Array, b: Uint32Array, out: Uint32Array): number {
  if (a.length > b.length) return intersect(b, a, out)
  let n = 0
  if (b.length > a.length * 32) {
    let low = 0
    for (let i = 0; i < a.length; i++) {
      const wanted = a[i]!
      let step = 1
      while (low + step < b.length && b[low + step]! < wanted) step *= 2
      let high = Math.min(low + step, b.length)
      while (low < high) {
        const middle = (low + high) >>> 1
        if (b[middle]! < wanted) low = middle + 1
        else high = middle
      }
      if (low === b.length) break
      if (b[low] === wanted) out[n++] = wanted
    }
    return n
  }
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const x = a[i]!
    const y = b[j]!
    if (x === y) {
      out[n++] = x
      i++
      j++
    } else if (x < y) i++
    else j++
  }
  return n
}
