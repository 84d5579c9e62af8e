// Label sets as numbers, for the time of one query: every distinct name or value gets an id, a label set is the list of its ids in label order.
import type { Labels } from './labels.ts'
import type { SeriesSet } from './samples.ts'

/** What a part of the data has found. No two of its series have the same labels. */
export interface PartSet extends SeriesSet {
  /** A function that appends the ids of the names and values of a series, in label order. */
  idReader(ids: LabelIds): (index: number, into: IdList) => void
}

/** Ids of texts: 1, 2, 3 … */
export class LabelIds {
  readonly #ids = new Map<string, number>()
  readonly #texts: string[] = ['']

  of(text: string): number {
    let id = this.#ids.get(text)
    if (id === undefined) {
      id = this.#texts.length
      this.#texts.push(text)
      this.#ids.set(text, id)
    }
    return id
  }

  /** Ids are 1 … count. */
  get count(): number {
    return this.#texts.length - 1
  }

  text(id: number): string {
    return this.#texts[id]!
  }
}

/** A label set that is being put together: ids of name, value, name, value … in label order. */
export class IdList {
  length = 0
  ids = new Uint32Array(64)

  /** The ids of a label set, in place of what there was. */
  set(labels: Labels, ids: LabelIds): void {
    this.length = 0
    for (let i = 0; i < labels.length; i++) this.push(ids.of(labels[i]!))
  }

  push(id: number): void {
    if (this.length === this.ids.length) {
      const grown = new Uint32Array(this.length * 2)
      grown.set(this.ids)
      this.ids = grown
    }
    this.ids[this.length++] = id
  }
}
