// Columns and byte ranges of the head. Growth is by half, so that a column wastes a third at most.

/** The next capacity for a column that must hold `need` entries. */
export function nextCapacity(capacity: number, need: number): number {
  return Math.max(need, 256, Math.ceil(capacity * 1.5))
}

/**
 * Byte ranges in size classes of 32 B to 4 KiB, in pages of one class each. An address is page × pageUnits + unit within the page; nothing is
 * allocated on the JavaScript heap per range.
 */
export class ByteArena {
  readonly pages: Uint8Array[] = []
  readonly #free: number[][] = Array.from({ length: classes }, () => [])
  /** Per class: the next address never used in its newest page, and how many follow it. */
  readonly #fresh = new Uint32Array(classes)
  readonly #left = new Uint32Array(classes)
  readonly #words: Uint32Array[] = []
  /** Ranges given back while somebody still reads what was there: class of each, then its address. */
  #held: number[] = []
  #holders = 0

  /** Zeroed bytes of the class. */
  allocate(sizeClass: number): number {
    const reused = this.#free[sizeClass]!.pop()
    if (reused !== undefined) {
      const offset = (reused % pageUnits) * unit
      this.pages[Math.floor(reused / pageUnits)]!.fill(0, offset, offset + classBytes(sizeClass))
      return reused
    }
    const units = 1 << sizeClass
    if (this.#left[sizeClass] === 0) {
      this.#fresh[sizeClass] = this.pages.length * pageUnits
      this.#left[sizeClass] = pageUnits / units
      const page = new Uint8Array(pageBytes)
      this.pages.push(page)
      this.#words.push(new Uint32Array(page.buffer))
    }
    const address = this.#fresh[sizeClass]!
    this.#fresh[sizeClass] = address + units
    this.#left[sizeClass]!--
    return address
  }
  release(address: number, sizeClass: number): void {
    if (this.#holders > 0) this.#held.push(sizeClass, address)
    else this.#free[sizeClass]!.push(address)
  }
  /** What is given back from now on keeps its bytes until the function it returns is called. */
  hold(): () => void {
    this.#holders++
    return () => {
      if (--this.#holders > 0) return
      const held = this.#held
      this.#held = []
      for (let i = 0; i < held.length; i += 2) this.release(held[i + 1]!, held[i]!)
    }
  }
  /** The page an address lies in; `offset` is where it starts there. */
  page(address: number): Uint8Array {
    return this.pages[(address / pageUnits) | 0]!
  }
  /** The same page, four bytes an entry. */
  words(address: number): Uint32Array {
    return this.#words[(address / pageUnits) | 0]!
  }
  offset(address: number): number {
    return (address % pageUnits) * unit
  }
  get byteLength(): number {
    return this.pages.length * pageBytes
  }
}

const unit = 32
const pageBytes = 1 << 18
const pageUnits = pageBytes / unit
const classes = 8

export function classBytes(sizeClass: number): number {
  return unit << sizeClass
}
/** The largest range the arena gives out. */
export const arenaBytesMax = unit << (classes - 1)
