/**
 * Windows over one series, shared by all window kernels and reused from series to series.
 *   times   Float64Array[length]  ms, ascending         values  Float64Array[length]  no staleness markers
 *   lo, hi  Uint32Array[steps]    window k = samples [lo, hi), both never falling
 * Kernels write out[base + k] and set present[base + k] = 1 for the windows that have a result, and leave the others alone.
 */
export class WindowFrame {
  times: Float64Array = new Float64Array(0)
  values: Float64Array = new Float64Array(0)
  /** Start (created) timestamps beside `times`, 0 = unknown; null where they are not used. */
  startTimes: Float64Array | null = null
  length = 0
  steps = 0
  lo = new Uint32Array(0)
  hi = new Uint32Array(0)
  /** End of window 0 in ms; window k ends stepMs · k later and is left-open: (end − rangeMs, end]. stepMs is 0 where all are the same. */
  firstEndMs = 0
  stepMs = 0
  rangeMs = 0
  out: Float64Array = new Float64Array(0)
  present: Uint8Array = new Uint8Array(0)
  base = 0
  /** Scalar arguments of the function, one value a step. */
  params: readonly Float64Array[] = []
  /** Evaluation time of step 0 and the distance of steps, ms: not the same as the window's end where there is an offset or `@`. */
  evalStartMs = 0
  evalStepMs = 0
  /** Scratch of at least `length + 1`, free for every kernel call. */
  indexes = new Uint32Array(256)
  numbers = new Float64Array(256)

  setSteps(steps: number): void {
    this.steps = steps
    if (this.lo.length < steps) {
      this.lo = new Uint32Array(steps)
      this.hi = new Uint32Array(steps)
    }
  }
  setSamples(times: Float64Array, values: Float64Array, length: number): void {
    this.times = times
    this.values = values
    this.length = length
    if (this.indexes.length <= length) {
      this.indexes = new Uint32Array(length * 2 + 2)
      this.numbers = new Float64Array(length * 2 + 2)
    }
  }
}

/**
 * Window bounds: lo[k] = first sample with time > end_k − rangeMs, hi[k] = first sample with time > end_k, end_k = firstEndMs + k · stepMs.
 * O(samples + steps); with few steps O(steps · log samples).
 */
export function windowBounds(
  times: Float64Array,
  length: number,
  firstEndMs: number,
  stepMs: number,
  rangeMs: number,
  steps: number,
  lo: Uint32Array,
  hi: Uint32Array,
): void {
  let a = 0
  let b = 0
  const search = length > 32 * steps
  for (let k = 0; k < steps; k++) {
    const end = firstEndMs + k * stepMs
    const start = end - rangeMs
    if (search) {
      a = firstAfter(times, a, length, start)
      b = firstAfter(times, Math.max(a, b), length, end)
    } else {
      while (a < length && times[a]! <= start) a++
      if (b < a) b = a
      while (b < length && times[b]! <= end) b++
    }
    lo[k] = a
    hi[k] = b
  }
}

/** Index of the first time > limit in [from, to), else `to`. */
export function firstAfter(times: Float64Array, from: number, to: number, limit: number): number {
  while (from < to) {
    const middle = (from + to) >>> 1
    if (times[middle]! > limit) to = middle
    else from = middle + 1
  }
  return from
}

/**
 * The newest sample of every step within the lookback: at[k] = index of the last time in (t − lookbackMs, t] with t = firstMs + k · stepMs,
 * or −1. O(samples + steps); with few steps O(steps · log samples).
 */
export function newestSamples(
  times: Float64Array,
  length: number,
  firstMs: number,
  stepMs: number,
  lookbackMs: number,
  steps: number,
  at: Int32Array,
): void {
  let next = 0
  const search = length > 32 * steps
  for (let k = 0; k < steps; k++) {
    const t = firstMs + k * stepMs
    if (search) next = firstAfter(times, next, length, t)
    else while (next < length && times[next]! <= t) next++
    at[k] = next > 0 && times[next - 1]! > t - lookbackMs ? next - 1 : -1
  }
}
