/**
 * The program's own metrics. No clock and no timers: callers observe durations they measured. `gather` yields families in name order;
 * protocols/exposition writes them. Metrics that are computed on demand are added by a collector.
 */
export type MetricKind = 'counter' | 'gauge' | 'histogram' | 'summary'
export type MetricSample = Readonly<{ suffix: string; labels: readonly string[]; value: number }>
export type MetricFamily = Readonly<{ name: string; help: string; kind: MetricKind; samples: readonly MetricSample[] }>

interface Family {
  readonly name: string
  readonly help: string
  readonly kind: MetricKind
  samples(): MetricSample[]
}

/** Children by label values, made when first used. */
class Children<T> {
  readonly names: readonly string[]
  readonly #children = new Map<string, { labels: readonly string[]; child: T }>()
  readonly #make: () => T
  constructor(names: readonly string[], make: () => T) {
    this.names = names
    this.#make = make
    if (names.length === 0) this.of([])
  }
  of(values: readonly string[]): T {
    const key = values.length === 1 ? values[0]! : values.join('\xff')
    const known = this.#children.get(key)
    if (known !== undefined) return known.child
    if (values.length !== this.names.length) throw new Error(`BUG: ${values.length} label values for ${this.names.join()}`)
    const made = { labels: this.names.flatMap((name, i) => [name, values[i]!]), child: this.#make() }
    this.#children.set(key, made)
    return made.child
  }
  remove(values: readonly string[]): void {
    this.#children.delete(values.join('\xff'))
  }
  clear(): void {
    this.#children.clear()
  }
  all(): Iterable<{ labels: readonly string[]; child: T }> {
    return this.#children.values()
  }
}

class Cell {
  value = 0
  inc(by = 1): void {
    this.value += by
  }
  set(value: number): void {
    this.value = value
  }
}

/** A counter or gauge; `labels(...)` picks the child. */
export class Numbers implements Family {
  readonly name: string
  readonly help: string
  readonly kind: MetricKind
  readonly #children: Children<Cell>
  constructor(kind: 'counter' | 'gauge', name: string, help: string, labels: readonly string[]) {
    this.kind = kind
    this.name = name
    this.help = help
    this.#children = new Children(labels, () => new Cell())
  }
  labels(...values: string[]): Cell {
    return this.#children.of(values)
  }
  inc(by = 1): void {
    this.#children.of([]).inc(by)
  }
  set(value: number): void {
    this.#children.of([]).set(value)
  }
  get value(): number {
    return this.#children.of([]).value
  }
  remove(...values: string[]): void {
    this.#children.remove(values)
  }
  clear(): void {
    this.#children.clear()
  }
  samples(): MetricSample[] {
    return Array.from(this.#children.all(), ({ labels, child }) => ({ suffix: '', labels, value: child.value }))
  }
}

/** What takes observations, by label values. */
abstract class Observed<T extends Readonly<{ observe: (value: number) => void }>> implements Family {
  abstract readonly kind: MetricKind
  readonly name: string
  readonly help: string
  protected readonly children: Children<T>
  constructor(name: string, help: string, labels: readonly string[], make: () => T) {
    this.name = name
    this.help = help
    this.children = new Children(labels, make)
  }
  labels(...values: string[]): T {
    return this.children.of(values)
  }
  observe(value: number): void {
    this.children.of([]).observe(value)
  }
  remove(...values: string[]): void {
    this.children.remove(values)
  }
  abstract samples(): MetricSample[]
}

class Buckets {
  readonly counts: Float64Array
  readonly bounds: readonly number[]
  sum = 0
  count = 0
  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length)
  }
  observe(value: number): void {
    this.sum += value
    this.count++
    for (let i = 0; i < this.bounds.length; i++) if (value <= this.bounds[i]!) this.counts[i]!++
  }
}

export class HistogramMetric extends Observed<Buckets> {
  readonly kind = 'histogram'
  readonly #bounds: readonly number[]
  constructor(name: string, help: string, bounds: readonly number[], labels: readonly string[]) {
    super(name, help, labels, () => new Buckets(bounds))
    this.#bounds = bounds
  }
  samples(): MetricSample[] {
    const out: MetricSample[] = []
    for (const { labels, child } of this.children.all()) {
      this.#bounds.forEach((bound, i) =>
        out.push({ suffix: '_bucket', labels: [...labels, 'le', printBound(bound)], value: child.counts[i]! }),
      )
      out.push({ suffix: '_bucket', labels: [...labels, 'le', '+Inf'], value: child.count })
      out.push({ suffix: '_sum', labels, value: child.sum }, { suffix: '_count', labels, value: child.count })
    }
    return out
  }
}

/** Quantiles over the last observations of each child: a ring, so that memory is bounded and no clock is needed. */
class Window {
  readonly ring = new Float64Array(512)
  sum = 0
  count = 0
  observe(value: number): void {
    this.ring[this.count % this.ring.length] = value
    this.sum += value
    this.count++
  }
  quantile(q: number): number {
    const n = Math.min(this.count, this.ring.length)
    if (n === 0) return NaN
    const sorted = this.ring.slice(0, n).sort()
    return sorted[Math.min(n - 1, Math.ceil(q * n) - 1 < 0 ? 0 : Math.ceil(q * n) - 1)]!
  }
}

export class SummaryMetric extends Observed<Window> {
  readonly kind = 'summary'
  readonly #quantiles: readonly number[]
  constructor(name: string, help: string, quantiles: readonly number[], labels: readonly string[]) {
    super(name, help, labels, () => new Window())
    this.#quantiles = quantiles
  }
  samples(): MetricSample[] {
    const out: MetricSample[] = []
    for (const { labels, child } of this.children.all()) {
      for (const q of this.#quantiles) out.push({ suffix: '', labels: [...labels, 'quantile', String(q)], value: child.quantile(q) })
      out.push({ suffix: '_sum', labels, value: child.sum }, { suffix: '_count', labels, value: child.count })
    }
    return out
  }
}

function printBound(bound: number): string {
  return String(bound).replace(/e([+-])(\d)$/, 'e$10$2')
}

/** Where metrics are registered. One per process; tests make their own. */
export class MetricsRegistry {
  readonly #families = new Map<string, Family>()
  readonly #collectors: (() => MetricFamily[] | Promise<MetricFamily[]>)[] = []
  #add<T extends Family>(family: T): T {
    if (this.#families.has(family.name)) throw new Error(`BUG: metric ${family.name} registered twice`)
    this.#families.set(family.name, family)
    return family
  }
  counter(name: string, help: string, labels: readonly string[] = []): Numbers {
    return this.#add(new Numbers('counter', name, help, labels))
  }
  gauge(name: string, help: string, labels: readonly string[] = []): Numbers {
    return this.#add(new Numbers('gauge', name, help, labels))
  }
  histogram(name: string, help: string, bounds: readonly number[], labels: readonly string[] = []): HistogramMetric {
    return this.#add(new HistogramMetric(name, help, bounds, labels))
  }
  summary(name: string, help: string, quantiles: readonly number[], labels: readonly string[] = []): SummaryMetric {
    return this.#add(new SummaryMetric(name, help, quantiles, labels))
  }
  /** Families computed when they are asked for, e.g. by the storage workers. */
  collect(collector: () => MetricFamily[] | Promise<MetricFamily[]>): void {
    this.#collectors.push(collector)
  }
  /** What is registered, without what collectors give, in the order of registration. */
  families(): MetricFamily[] {
    return Array.from(this.#families.values(), (f): MetricFamily => ({ name: f.name, help: f.help, kind: f.kind, samples: f.samples() }))
  }
  /** Everything; families of one name become one. */
  async gather(): Promise<MetricFamily[]> {
    // collectors first: one may also set what is registered
    const collected = await Promise.all(this.#collectors.map(async (collector) => collector()))
    const byName = new Map(this.families().map((family) => [family.name, family]))
    for (const family of collected.flat()) {
      const known = byName.get(family.name)
      byName.set(family.name, known === undefined ? family : { ...known, samples: [...known.samples, ...family.samples] })
    }
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}
