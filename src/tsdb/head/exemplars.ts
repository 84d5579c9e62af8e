// The newest exemplars of a storage worker in a ring (FEATURES 3.18): when it is full the oldest goes, whoever's it is.
import type { Labels } from '../../model/labels.ts'

export type Exemplar = Readonly<{ labels: Labels; value: number; timeMs: number }>
type Entry = Readonly<{ series: number; exemplar: Exemplar }>

export class ExemplarRing {
  #entries: (Entry | undefined)[]
  #next = 0
  /** Newest exemplar by series. */
  readonly #newest = new Map<number, Exemplar>()
  appended = 0
  outOfOrder = 0

  /** @param capacity 0 keeps none. */
  constructor(capacity: number) {
    this.#entries = new Array<Entry | undefined>(Math.max(0, capacity))
  }

  get size(): number {
    return Math.min(this.appended, this.#entries.length)
  }

  get capacity(): number {
    return this.#entries.length
  }

  /** Time of the oldest one kept; Infinity where there is none. */
  get oldestMs(): number {
    for (const { exemplar } of this.entries()) return exemplar.timeMs
    return Infinity
  }

  get series(): number {
    return this.#newest.size
  }

  /** False where it is older than the series' newest one. A repeated one is taken as seen. */
  add(series: number, given: Readonly<{ labels: Labels; value: number; timeMs: number; hasTime: boolean }>, nowMs: number): boolean {
    if (this.#entries.length === 0) return true
    const exemplar: Exemplar = { labels: given.labels, value: given.value, timeMs: given.hasTime ? given.timeMs : given.timeMs || nowMs }
    const newest = this.#newest.get(series)
    if (newest !== undefined) {
      if (
        newest.timeMs === exemplar.timeMs &&
        Object.is(newest.value, exemplar.value) &&
        newest.labels.join('\xff') === exemplar.labels.join('\xff')
      )
        return true
      // an exemplar without a time of its own repeats at every scrape until the value changes
      if (!given.hasTime && Object.is(newest.value, exemplar.value) && newest.labels.join('\xff') === exemplar.labels.join('\xff'))
        return true
      if (exemplar.timeMs < newest.timeMs) {
        this.outOfOrder++
        return false
      }
    }
    const replaced = this.#entries[this.#next]
    if (replaced !== undefined && this.#newest.get(replaced.series) === replaced.exemplar) this.#newest.delete(replaced.series)
    this.#entries[this.#next] = { series, exemplar }
    this.#newest.set(series, exemplar)
    this.#next = (this.#next + 1) % this.#entries.length
    this.appended++
    return true
  }

  /** Those of the wanted series in [startMs, endMs], by series, oldest first. */
  select(wanted: ReadonlySet<number>, startMs: number, endMs: number): Map<number, Exemplar[]> {
    const out = new Map<number, Exemplar[]>()
    const n = this.#entries.length
    for (let i = 0; i < n; i++) {
      const entry = this.#entries[(this.#next + i) % n]
      if (entry === undefined || !wanted.has(entry.series)) continue
      const { exemplar } = entry
      if (exemplar.timeMs < startMs || exemplar.timeMs > endMs) continue
      const list = out.get(entry.series)
      if (list === undefined) out.set(entry.series, [exemplar])
      else list.push(exemplar)
    }
    return out
  }

  /** All of them with their series, oldest first: for snapshots. */
  *entries(): Generator<Entry> {
    const n = this.#entries.length
    for (let i = 0; i < n; i++) {
      const entry = this.#entries[(this.#next + i) % n]
      if (entry !== undefined) yield entry
    }
  }

  /** A series' number will be used again: forget its exemplars. */
  forget(series: ReadonlySet<number>): void {
    for (let i = 0; i < this.#entries.length; i++) {
      const entry = this.#entries[i]
      if (entry !== undefined && series.has(entry.series)) this.#entries[i] = undefined
    }
    for (const one of series) this.#newest.delete(one)
  }

  /** Keeps the newest that fit. */
  resize(capacity: number): void {
    const entries = [...this.entries()].slice(-Math.max(0, capacity) || Infinity)
    this.#entries = new Array<Entry | undefined>(Math.max(0, capacity))
    this.#next = 0
    this.#newest.clear()
    if (capacity <= 0) return
    for (const entry of entries) {
      this.#entries[this.#next] = entry
      this.#newest.set(entry.series, entry.exemplar)
      this.#next = (this.#next + 1) % this.#entries.length
    }
  }
}
