// Classic histograms (…_bucket, …_sum, …_count) turned into native ones with custom buckets.
// Source: prometheus util/convertnhcb; used by scraping (`convert_classic_histograms_to_nhcb`) and by promqltest's load_with_nhcb.
import { counterReset, customBucketsSchema, type Histogram } from './histogram.ts'
import { compact } from './histogram-arithmetic.ts'
import { noBuckets, noSpans } from './histogram-buckets.ts'

export type ClassicSuffix = 'bucket' | 'sum' | 'count'

/** The part of a classic histogram a metric name stands for, and the name without its suffix; null for any other name. */
export function classicPart(name: string): { part: ClassicSuffix; base: string } | null {
  if (name.endsWith('_bucket')) return { part: 'bucket', base: name.slice(0, -7) }
  if (name.endsWith('_sum')) return { part: 'sum', base: name.slice(0, -4) }
  if (name.endsWith('_count')) return { part: 'count', base: name.slice(0, -6) }
  return null
}

/** Collects one classic histogram; buckets may come in any order, the first of equal bounds counts. Reused through `clear`. */
export class ClassicHistogram {
  #bounds: number[] = []
  #counts: number[] = []
  #count = 0
  #sum = 0
  #hasCount = false
  #problem: string | null = null
  clear(): void {
    this.#bounds.length = 0
    this.#counts.length = 0
    this.#count = 0
    this.#sum = 0
    this.#hasCount = false
    this.#problem = null
  }
  addBucket(upperBound: number, cumulative: number): void {
    if (this.#problem !== null) return
    if (Number.isNaN(upperBound)) {
      this.#problem = 'bucket boundary is NaN'
      return
    }
    if (cumulative < 0) {
      this.#problem = `bucket count must be non-negative: le=${upperBound}, count=${cumulative}`
      return
    }
    let at = this.#bounds.length
    while (at > 0 && this.#bounds[at - 1]! >= upperBound) at--
    if (this.#bounds[at] === upperBound) return
    const below = at > 0 ? this.#counts[at - 1]! : 0
    if (cumulative < below) this.#problem = `count is not cumulative: ${cumulative} < ${below}`
    else if (at < this.#counts.length && cumulative > this.#counts[at]!)
      this.#problem = `count is not cumulative: ${cumulative} > ${this.#counts[at]}`
    else {
      this.#bounds.splice(at, 0, upperBound)
      this.#counts.splice(at, 0, cumulative)
    }
  }
  setCount(count: number): void {
    if (this.#problem !== null) return
    if (count < 0) this.#problem = `count must be non-negative: count=${count}`
    this.#count = count
    this.#hasCount = true
  }
  setSum(sum: number): void {
    this.#sum = sum
  }
  /** The histogram, or what is wrong with it. Integer where every count is a whole number. */
  convert(): Histogram | string {
    if (this.#problem !== null) return this.#problem
    const bounds = this.#bounds.slice()
    const cumulative = this.#counts.slice()
    const count = !this.#hasCount && cumulative.length > 0 ? cumulative[cumulative.length - 1]! : this.#count
    if (bounds[bounds.length - 1] !== Infinity) {
      bounds.push(Infinity)
      cumulative.push(count)
    }
    const last = cumulative[cumulative.length - 1]!
    if (count !== last) return `count mismatch: count=${count} != le=+Inf count=${last}`
    const isFloat = !cumulative.every(Number.isSafeInteger)
    const customBounds = Float64Array.from(bounds.slice(0, -1))
    const histogram: Histogram = {
      isFloat,
      schema: customBucketsSchema,
      zeroThreshold: 0,
      zeroCount: 0,
      count,
      sum: this.#sum,
      positiveSpans: [{ offset: 0, length: bounds.length }],
      negativeSpans: noSpans,
      positiveBuckets: Float64Array.from(cumulative, (value, i) => (i === 0 ? value : value - cumulative[i - 1]!)),
      negativeBuckets: noBuckets,
      customBounds: customBounds.length === 0 ? null : customBounds,
      counterReset: counterReset.unknown,
    }
    return compact(histogram, isFloat ? 0 : 2)
  }
}
