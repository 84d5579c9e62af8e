// Memory for bodies that is used again: an answer is written into it, parsed, and the next answer takes its place.
//
//   BodyBuffer (one request) ──reserve──▶ takes a spare piece of BodyMemory, or makes one ──free──▶ the piece is spare again
//
// A buffer holds memory only from its first byte to `free`, so a thousand requests that wait for slow servers cost nothing.

const nothing = new Uint8Array(0)

/** Pieces kept for the next body, and bytes of one piece and of all of them; what is larger goes to the garbage collector. */
const sparesMax = 8
const spareBytesMax = 32 << 20
const allSparesBytesMax = 64 << 20
/** Bodies after which pieces that none of them needed are given up. */
const roundBodies = 64
const usualBytesMax = 1 << 20

/** Pieces for the bodies of one thread. */
export class BodyMemory {
  #spares: Uint8Array<ArrayBuffer>[] = []
  #held = 0
  #bodies = 0
  /** Bytes of the largest body of this round of them, and of the round before. */
  #largest = 0
  #largestBefore = 0

  /** A buffer without memory. */
  buffer(): BodyBuffer {
    return new BodyBuffer(this)
  }

  /** Bytes of pieces nobody uses. */
  get spareBytes(): number {
    return this.#held
  }

  /** Bytes to begin a body of unknown length with: what the largest one lately had. */
  get usualBytes(): number {
    return Math.min(Math.max(this.#largest, this.#largestBefore), usualBytesMax)
  }

  /** The smallest spare piece that holds so many bytes, or a new one. Its contents are left over from before. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    let best = -1
    for (let i = 0; i < this.#spares.length; i++) {
      const length = this.#spares[i]!.length
      if (length >= bytes && (best < 0 || length < this.#spares[best]!.length)) best = i
    }
    return best >= 0 ? this.#remove(best) : new Uint8Array(bytes)
  }

  /** @param used bytes of it that a body filled. */
  give(piece: Uint8Array<ArrayBuffer>, used: number): void {
    this.#largest = Math.max(this.#largest, used)
    if (++this.#bodies >= roundBodies) {
      const needed = Math.max(this.#largest, 4096) * 4
      this.#largestBefore = this.#largest
      this.#bodies = this.#largest = 0
      for (let i = this.#spares.length - 1; i >= 0; i--) if (this.#spares[i]!.length > needed) this.#remove(i)
      if (piece.length > needed) return
    }
    if (piece.length === 0 || piece.length > spareBytesMax) return
    this.#spares.push(piece)
    this.#held += piece.length
    while (this.#spares.length > sparesMax || this.#held > allSparesBytesMax) this.#remove(this.#smallest())
  }

  #smallest(): number {
    let found = 0
    for (let i = 1; i < this.#spares.length; i++) if (this.#spares[i]!.length < this.#spares[found]!.length) found = i
    return found
  }

  #remove(i: number): Uint8Array<ArrayBuffer> {
    const [piece] = this.#spares.splice(i, 1)
    this.#held -= piece!.length
    return piece!
  }
}

/** Bytes that grow at the end. Of a BodyMemory, or with memory of its own. */
export class BodyBuffer {
  readonly #memory: BodyMemory | null
  /** What there is room for; only the first `length` bytes mean something. Another array after each growth. */
  bytes: Uint8Array<ArrayBuffer> = nothing
  length = 0

  constructor(memory: BodyMemory | null = null) {
    this.#memory = memory
  }

  /** Room for so many bytes in all, exactly where it had none; doubling otherwise. */
  reserve(bytes: number): void {
    const before = this.bytes
    if (bytes <= before.length) return
    const wanted = before.length === 0 ? bytes : Math.max(bytes, before.length * 2)
    if (this.#memory === null) this.bytes = new Uint8Array(wanted)
    else this.bytes = this.#memory.take(pieceBytes(wanted))
    if (this.length > 0) this.bytes.set(before.subarray(0, this.length))
    if (before.length > 0) this.#memory?.give(before, this.length)
  }

  /** Appends source[from, to). */
  append(source: Uint8Array, from: number, to: number): void {
    const length = this.length + to - from
    if (length > this.bytes.length) this.reserve(this.bytes.length > 0 ? length : Math.max(length, this.#memory?.usualBytes ?? 4096))
    this.bytes.set(from === 0 && to === source.length ? source : source.subarray(from, to), this.length)
    this.length = length
  }

  clear(): void {
    this.length = 0
  }

  /** The bytes so far: a view that is good until the buffer is used again or freed. */
  view(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length)
  }

  /** Gives the memory back. The buffer is empty after it, and may be used again. */
  free(): void {
    const { bytes, length } = this
    this.bytes = nothing
    this.length = 0
    if (bytes.length > 0) this.#memory?.give(bytes, length)
  }
}

/** Sizes come in steps of a quarter, so that a body that grew a little still fits the piece of the one before. */
function pieceBytes(bytes: number): number {
  let step = 4096
  while (step * 8 < bytes) step *= 2
  return Math.ceil(bytes / step) * step
}
