// Exposition pages like those of real exporters, for tests and benches: counters, gauges and classic histograms with Kubernetes-like labels.
import { seededRng, type Rng } from '../../src/base/rng.ts'

const bounds = ['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1.0', '2.5', '5.0', '10.0', '+Inf']

/** A page whose values move from step to step while its series stay. */
export class Page {
  readonly #rng: Rng
  readonly #lines: { prefix: string; kind: number; value: number }[] = []
  constructor(series: number, seed: number) {
    this.#rng = seededRng(seed)
    let made = 0
    for (let family = 0; made < series; family++) {
      const name = `app_${['requests', 'memory_bytes', 'latency_seconds', 'cpu_seconds', 'connections'][family % 5]}_${family}`
      const histogram = family % 5 === 2
      const counter = family % 5 === 0 || family % 5 === 3
      this.#lines.push({
        prefix: `# HELP ${name} Something an application counts.\n# TYPE ${name} ${histogram ? 'histogram' : counter ? 'counter' : 'gauge'}\n`,
        kind: -1,
        value: 0,
      })
      for (let i = 0; i < 8 && made < series; i++) {
        const labels = `namespace="team-${i % 3}",pod="checkout-${this.#hex(9)}-${this.#hex(5)}",container="main",node="ip-10-0-${family % 250}-${i}.ec2.internal"`
        if (histogram) {
          for (const le of bounds) this.#add(`${name}_bucket{${labels},le="${le}"} `, 1)
          this.#add(`${name}_sum{${labels}} `, 2)
          this.#add(`${name}_count{${labels}} `, 1)
          made += bounds.length + 2
        } else {
          this.#add(`${name}${counter ? '_total' : ''}{${labels}} `, counter ? 1 + (family % 2) : family % 5 === 1 ? 3 : 0)
          made++
        }
      }
    }
  }
  #hex(length: number): string {
    let out = ''
    while (out.length < length) out += this.#rng.below(16).toString(16)
    return out
  }
  #add(prefix: string, kind: number): void {
    this.#lines.push({ prefix, kind, value: this.#rng.below(100_000) })
  }
  get lines(): number {
    return this.#lines.length
  }
  get samples(): number {
    return this.#lines.filter((line) => line.kind >= 0).length
  }
  /** The next body: about half of the values have moved. */
  step(): Uint8Array {
    let out = ''
    for (const line of this.#lines) {
      if (line.kind < 0) {
        out += line.prefix
        continue
      }
      if (this.#rng.chance(0.5))
        line.value += line.kind === 2 ? this.#rng.below(1000) / 100 : line.kind === 3 ? this.#rng.below(4096) * 4096 : this.#rng.below(500)
      out += `${line.prefix}${line.kind === 2 ? line.value.toFixed(2) : line.kind === 3 && line.value > 1e8 ? line.value.toExponential().replace(/e\+(\d)$/, 'e+0$1') : line.value}\n`
    }
    return new TextEncoder().encode(out)
  }
}
