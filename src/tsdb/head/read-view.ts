// What a query that pauses goes on seeing. Records are applied while it pauses, windows of the head become blocks, blocks are compacted: its view
// stays that of its first pause. A query that never pauses needs none of it and pays nothing.
//
// Samples that come in order lie behind the newest one of their series, so a copy of the newest times hides what came later. Late samples
// (out of order) are not hidden, as in Prometheus, nor is what came after the first pause and is a block already: a window is cut half its length
// after it has passed. What is taken away is looked for again where it went: the set of series keeps its labels and selects anew.
import { assert } from '../../base/assert.ts'
import type { Labels } from '../../model/labels.ts'
import type { SampleColumns, SeriesSet } from '../../model/samples.ts'
import { IdList, LabelIds, type PartSet } from '../../model/label-ids.ts'
import { LabelSets } from '../../model/label-sets.ts'

/** All open views of a head. */
export class ReadViews {
  readonly #open = new Set<ReadView>()
  readonly #newest: () => Float64Array
  /** Shared by all views that were frozen since the last record. */
  #caps: Float64Array | null = null

  /** @param newest copies the newest time of every series. */
  constructor(newest: () => Float64Array) {
    this.#newest = newest
  }

  open(): ReadView {
    const view = new ReadView(
      () => (this.#caps ??= this.#newest()),
      () => this.#open.delete(view),
    )
    this.#open.add(view)
    return view
  }

  /** To be called when records are applied: views frozen from now on see them. */
  advance(): void {
    this.#caps = null
  }

  /** To be called before samples, chunks or blocks are taken away, or moved from one place to another. */
  beforeRemoval(): void {
    for (const view of this.#open) view.beforeRemoval()
  }

  /** Numbers of series that are free for others now, whose samples no open view has seen. */
  removed(series: Iterable<number>): void {
    this.#caps = null
    for (const view of this.#open) view.removed(series)
  }
}

/** One query's. Closed when it reads no more. */
export class ReadView {
  /** Newest time to be seen by series; null: everything. */
  caps: Float64Array | null = null
  readonly #freeze: () => Float64Array
  readonly #closed: () => void
  #set: ViewSet | null = null
  #isOpen = true

  constructor(freeze: () => Float64Array, closed: () => void) {
    this.#freeze = freeze
    this.#closed = closed
  }

  /** From now on nothing newer is seen. To be called before the query pauses. */
  freeze(): void {
    if (this.#isOpen) this.caps ??= this.#freeze()
  }

  /** The set the query reads from; it outlives removals. The one before is not used any more. */
  hold(select: () => PartSet): SeriesSet {
    this.#set = new ViewSet(select)
    return this.#set
  }

  beforeRemoval(): void {
    this.#set?.keep()
  }

  removed(series: Iterable<number>): void {
    const { caps } = this
    if (caps !== null) for (const one of series) if (one < caps.length) caps[one] = -Infinity
  }

  close(): void {
    this.#isOpen = false
    this.caps = null
    this.#set = null
    this.#closed()
  }
}

/** A set that selects anew when what it was made of has gone; its series and their numbers stay. */
class ViewSet implements SeriesSet {
  readonly length: number
  readonly #select: () => PartSet
  #inner: PartSet | null
  /** Its series by number, once something has gone. */
  #kept: { readonly ids: LabelIds; readonly sets: LabelSets } | null = null
  /** Per series: where it is in the set that was selected anew + 1; 0 = nowhere. */
  #places: Uint32Array | null = null

  constructor(select: () => PartSet) {
    this.#select = select
    this.#inner = select()
    this.length = this.#inner.length
  }

  labels(index: number): Labels {
    return this.#kept === null ? this.#inner!.labels(index) : this.#kept.sets.labels(index)
  }

  read(index: number, into: SampleColumns): void {
    if (this.#kept === null) this.#inner!.read(index, into)
    else this.#readAnew(index, into)
  }

  keep(): void {
    if (this.#kept === null) {
      const ids = new LabelIds()
      const sets = new LabelSets(ids)
      const reader = this.#inner!.idReader(ids)
      const list = new IdList()
      for (let index = 0; index < this.length; index++) {
        list.length = 0
        reader(index, list)
        sets.add(list)
      }
      assert(sets.count === this.length, `${this.length} series have ${sets.count} label sets`)
      this.#kept = { ids, sets }
    }
    this.#inner = null
    this.#places = null
  }

  #readAnew(index: number, into: SampleColumns): void {
    if (this.#inner === null || this.#places === null) {
      const { ids, sets } = this.#kept!
      const inner = this.#select()
      const places = new Uint32Array(this.length)
      const reader = inner.idReader(ids)
      const list = new IdList()
      for (let i = 0; i < inner.length; i++) {
        list.length = 0
        reader(i, list)
        const known = sets.find(list)
        if (known !== -1) places[known] = i + 1
      }
      this.#inner = inner
      this.#places = places
    }
    const place = this.#places[index]!
    if (place === 0) into.clear()
    else this.#inner.read(place - 1, into)
  }
}
