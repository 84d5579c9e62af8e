// Distinct label sets in one column of ids: they are told equal by comparing numbers, and a million of them need no strings of their own.
import { growTo } from '../base/grow-column.ts'
import type { IdList, LabelIds } from './label-ids.ts'
import type { Labels } from './labels.ts'

export class LabelSets {
  /** Sets are numbered from 0. */
  count = 0
  readonly #ids: LabelIds
  #column = new Uint32Array(256)
  /** Per set: where its ids start; one more entry for the end of the last. */
  #starts = new Uint32Array(33)
  #hashes = new Uint32Array(32)
  /** Open addressing: set + 1, 0 = free. */
  #table = new Uint32Array(64)

  constructor(ids: LabelIds) {
    this.#ids = ids
  }

  /** The number of a label set; it is `count` before the call where it is new. */
  add(list: IdList): number {
    const known = this.find(list)
    if (known !== -1) return known
    const { ids, length } = list
    const set = this.count++
    const start = this.#starts[set]!
    if (start + length > this.#column.length) this.#column = growTo(this.#column, Math.max(start + length, this.#column.length * 2))
    for (let i = 0; i < length; i++) this.#column[start + i] = ids[i]!
    if (set >= this.#hashes.length) {
      this.#hashes = growTo(this.#hashes, set * 2)
      this.#starts = growTo(this.#starts, set * 2 + 1)
    }
    this.#starts[set + 1] = start + length
    this.#hashes[set] = hashOf(list)
    if (this.count * 2 > this.#table.length) this.#rehash(this.#table.length * 2)
    else this.#place(set)
    return set
  }

  /** −1 where it is not among them. */
  find(list: IdList): number {
    const hash = hashOf(list)
    const mask = this.#table.length - 1
    let slot = hash & mask
    for (let entry = this.#table[slot]!; entry !== 0; entry = this.#table[(slot = (slot + 1) & mask)]!) {
      if (this.#hashes[entry - 1] === hash && this.#equals(entry - 1, list)) return entry - 1
    }
    return -1
  }

  /** Ids of a set: a view. */
  idsOf(set: number): Uint32Array {
    return this.#column.subarray(this.#starts[set]!, this.#starts[set + 1]!)
  }

  labels(set: number): Labels {
    const start = this.#starts[set]!
    const end = this.#starts[set + 1]!
    const out = new Array<string>(end - start)
    for (let i = start; i < end; i++) out[i - start] = this.#ids.text(this.#column[i]!)
    return out
  }

  #equals(set: number, { ids, length }: IdList): boolean {
    const start = this.#starts[set]!
    if (this.#starts[set + 1]! - start !== length) return false
    for (let i = 0; i < length; i++) if (this.#column[start + i] !== ids[i]) return false
    return true
  }

  #place(set: number): void {
    const mask = this.#table.length - 1
    let slot = this.#hashes[set]! & mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask
    this.#table[slot] = set + 1
  }

  #rehash(size: number): void {
    this.#table = new Uint32Array(size)
    for (let set = 0; set < this.count; set++) this.#place(set)
  }
}

function hashOf({ ids, length }: IdList): number {
  let hash = length
  for (let i = 0; i < length; i++) {
    hash = Math.imul(hash ^ ids[i]!, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash, 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
