// Memory that one thread fills and another reads, page by page, used again and again: answers cross threads without a copy and without
// anything for a collector to do.
//
//   page  SharedArrayBuffer   ┌ state <i32>: 0 free, 1 in use │ … │ data from byte 64 ┐
//
// The owner takes pages and fills them; whoever is done with one, on any thread, sets its state back.

const headerBytes = 64
export const sharedPageBytes = 256 << 10

type Page = Readonly<{ state: Int32Array; data: Uint8Array }>

export class SharedPages {
  readonly #pagesMax: number
  #pages: Page[] = []
  #next = 0
  /** Most pages in use at one time since the last `trim`. */
  #peak = 0

  /** @param pagesMax pages kept; where all of them are in use, `take` gives memory of its own. */
  constructor(pagesMax: number) {
    this.#pagesMax = pagesMax
  }

  get count(): number {
    return this.#pages.length
  }

  /** A page to fill: a view of shared memory, or where too much of it is in use an array of its own. */
  take(): Uint8Array {
    const pages = this.#pages
    for (let i = 0; i < pages.length; i++) {
      if (this.#next >= pages.length) this.#next = 0
      const page = pages[this.#next++]!
      if (Atomics.load(page.state, 0) !== 0) continue
      Atomics.store(page.state, 0, 1)
      this.#peak = Math.max(this.#peak, this.#inUse())
      return page.data
    }
    this.#peak = pages.length
    if (pages.length >= this.#pagesMax) return new Uint8Array(sharedPageBytes)
    const memory = new SharedArrayBuffer(headerBytes + sharedPageBytes)
    const page = { state: new Int32Array(memory, 0, 1), data: new Uint8Array(memory, headerBytes) }
    page.state[0] = 1
    pages.push(page)
    this.#peak = pages.length
    return page.data
  }

  /** Gives up free pages beyond the most that were in use since the last call. */
  trim(): void {
    let spare = this.#pages.length - this.#peak
    this.#pages = this.#pages.filter((page) => !(spare > 0 && Atomics.load(page.state, 0) === 0 && spare-- > 0))
    this.#peak = this.#inUse()
  }

  #inUse(): number {
    let count = 0
    for (const page of this.#pages) if (Atomics.load(page.state, 0) !== 0) count++
    return count
  }
}

/** Says that nobody reads these views of pages any more. Arrays of other kinds are left alone. */
export function releasePages(parts: readonly Uint8Array[]): void {
  for (const { buffer } of parts) if (buffer instanceof SharedArrayBuffer) Atomics.store(new Int32Array(buffer, 0, 1), 0, 0)
}
