// JSON answers of a storage worker as they cross to the main thread: small ones are copied, larger ones stay in shared pages until they are sent.
import { releasePages, type SharedPages } from '../../src/base/shared-pages.ts'
import { JsonBytes } from '../../src/model/json-bytes.ts'

/** Pages a worker keeps for answers: 16 MiB at most, given back as fewer are needed. */
export const answerPagesMax = 64
const copyBytesMax = 16 << 10

/** An answer being written. `finish` or `drop` ends it. */
export class WrittenAnswer {
  readonly out: JsonBytes
  readonly #taken: Uint8Array[] = []
  constructor(pages: SharedPages) {
    this.out = new JsonBytes(() => {
      const page = pages.take()
      this.#taken.push(page)
      return page
    })
  }

  /** What was written. Whoever gets `data` calls `releasePages` with it when it is sent. */
  finish(): { data: Uint8Array[]; transfer: ArrayBuffer[] } {
    if (this.out.length <= copyBytesMax) {
      const copy = this.out.copy()
      this.drop()
      return { data: [copy], transfer: [] }
    }
    const data = this.out.parts()
    // a page without a byte of the answer is nobody's
    if (data.length < this.#taken.length) releasePages(this.#taken.slice(data.length))
    return { data, transfer: data.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : [])) }
  }

  /** Gives its pages back. */
  drop(): void {
    releasePages(this.#taken)
  }
}
