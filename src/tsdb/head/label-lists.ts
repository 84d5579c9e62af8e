// The label set of every series as a list of pair ids, in order of their names.
//
//   pages   Uint32Array: [count, pair id…] per series, none across two pages        at   Uint32Array[series]: page << 16 | entry
import { assert } from '../../base/assert.ts'
import { growTo } from '../../base/grow-column.ts'

const pageBits = 16
/** More pairs no series has. */
export const labelPageEntries = 1 << pageBits
const inPage = labelPageEntries - 1

export class LabelLists {
  #at = new Uint32Array(256)
  readonly #pages: Uint32Array[] = []
  #used = labelPageEntries
  /** Places that removed series have left, by how many pairs they hold. */
  readonly #free: number[][] = []

  get byteLength(): number {
    return this.#pages.length * labelPageEntries * 4
  }

  /** Room for so many series. */
  grow(series: number): void {
    this.#at = growTo(this.#at, series)
  }

  /** Where a series' list lies: its count, then the pairs. */
  page(series: number): Uint32Array {
    return this.#pages[this.#at[series]! >>> pageBits]!
  }
  start(series: number): number {
    return this.#at[series]! & inPage
  }

  equals(series: number, pairs: readonly number[]): boolean {
    const at = this.#at[series]!
    const page = this.#pages[at >>> pageBits]!
    const start = at & inPage
    if (page[start] !== pairs.length) return false
    for (let k = 0; k < pairs.length; k++) if (page[start + 1 + k] !== pairs[k]) return false
    return true
  }

  set(series: number, pairs: readonly number[]): void {
    const place = this.#place(pairs.length)
    const page = this.#pages[place >>> pageBits]!
    let at = place & inPage
    page[at++] = pairs.length
    for (const pair of pairs) page[at++] = pair
    this.#at[series] = place
  }

  /** The series is removed. */
  release(series: number): void {
    const at = this.#at[series]!
    const count = this.#pages[at >>> pageBits]![at & inPage]!
    ;(this.#free[count] ??= []).push(at)
  }

  /** Sets the lists of `n` series from `first` on. @param lists per series the count of its pairs and their places in `pairs`. */
  setAll(first: number, n: number, lists: Uint32Array, pairs: Uint32Array): void {
    const places = this.#at
    let page = this.#pages.at(-1) ?? new Uint32Array(0)
    let at = this.#used
    for (let i = 0, from = 0; i < n; i++) {
      const count = lists[from++]!
      const end = from + count
      if (at + count >= labelPageEntries) {
        page = new Uint32Array(labelPageEntries)
        this.#pages.push(page)
        at = 0
      }
      places[first + i] = ((this.#pages.length - 1) << pageBits) | at
      page[at++] = count
      while (from < end) page[at++] = pairs[lists[from++]!]!
    }
    this.#used = at
  }

  /** A place for a count and that many pairs. */
  #place(count: number): number {
    const free = this.#free[count]?.pop()
    if (free !== undefined) return free
    if (this.#used + count + 1 > labelPageEntries) {
      assert(count < labelPageEntries, `a series has ${count} labels`)
      this.#pages.push(new Uint32Array(labelPageEntries))
      this.#used = 0
    }
    const place = (this.#pages.length - 1) * labelPageEntries + this.#used
    this.#used += count + 1
    return place
  }
}
