// A label set under rewriting: what it was (base), what was set, what was deleted. Copies nothing until a rule changes something.
import { compareText, labelValue } from '../model/labels.ts'
import type { Labels } from '../model/labels.ts'

/** Reused from series to series. Order of `forEach` is Prometheus' labels.Builder: what is left of the base by name, then what was set, oldest first. */
export class WorkingLabels {
  #base: Labels = []
  readonly #names: string[] = []
  readonly #values: string[] = []
  readonly #deleted: string[] = []

  reset(base: Labels): void {
    this.#base = base
    this.#names.length = 0
    this.#values.length = 0
    this.#deleted.length = 0
  }
  get(name: string): string {
    const i = this.#names.indexOf(name)
    if (i >= 0) return this.#values[i]!
    return this.#deleted.length > 0 && this.#deleted.includes(name) ? '' : labelValue(this.#base, name)
  }
  /** An empty value deletes. */
  set(name: string, value: string): void {
    if (value === '') return this.delete(name)
    const i = this.#names.indexOf(name)
    if (i >= 0) {
      this.#values[i] = value
    } else {
      this.#names.push(name)
      this.#values.push(value)
    }
  }
  delete(name: string): void {
    const i = this.#names.indexOf(name)
    if (i >= 0) {
      this.#names.splice(i, 1)
      this.#values.splice(i, 1)
    }
    if (!this.#deleted.includes(name)) this.#deleted.push(name)
  }
  /** The labels as they are now, as pairs; later changes don't show in it. */
  pairs(): string[] {
    const out: string[] = []
    for (let i = 0; i < this.#base.length; i += 2) {
      const name = this.#base[i]!
      if (!this.#names.includes(name) && !this.#deleted.includes(name)) out.push(name, this.#base[i + 1]!)
    }
    for (let i = 0; i < this.#names.length; i++) out.push(this.#names[i]!, this.#values[i]!)
    return out
  }
  /** The base itself where nothing changed. */
  result(): Labels {
    if (this.#names.length === 0 && this.#deleted.length === 0) return this.#base
    const added = this.#names.length > 1 ? this.#names.map((_, i) => i).sort((a, b) => compareText(this.#names[a]!, this.#names[b]!)) : [0]
    const out: string[] = []
    let next = 0
    for (let i = 0; i < this.#base.length; i += 2) {
      const name = this.#base[i]!
      while (next < this.#names.length && compareText(this.#names[added[next]!]!, name) < 0) {
        out.push(this.#names[added[next]!]!, this.#values[added[next]!]!)
        next++
      }
      if (this.#deleted.length > 0 && this.#deleted.includes(name)) continue
      if (next < this.#names.length && this.#names[added[next]!] === name) continue
      out.push(name, this.#base[i + 1]!)
    }
    for (; next < this.#names.length; next++) out.push(this.#names[added[next]!]!, this.#values[added[next]!]!)
    return out
  }
}
