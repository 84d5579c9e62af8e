// The *_over_time family on floats. Source of the arithmetic: prometheus promql/functions.go.
// What can slide does: minima and maxima by a monotone queue, sums of whole numbers by prefix sums (exact, so bit-equal to adding again),
// quantiles by a sorted window. Sums of fractions are added again per window, unless windows overlap so much that blocks pay.
import type { WindowFrame } from './window.ts'

export function countOverTime(frame: WindowFrame, from: number, to: number): void {
  const { lo, hi, out, present, base } = frame
  for (let k = from; k < to; k++) {
    const count = hi[k]! - lo[k]!
    if (count === 0) continue
    out[base + k] = count
    present[base + k] = 1
  }
}

export function presentOverTime(frame: WindowFrame, from: number, to: number): void {
  const { lo, hi, out, present, base } = frame
  for (let k = from; k < to; k++) {
    if (hi[k] === lo[k]) continue
    out[base + k] = 1
    present[base + k] = 1
  }
}

/** The first or last value of every window. */
export function edgeOverTime(frame: WindowFrame, from: number, to: number, last: boolean): void {
  const { values, lo, hi, out, present, base } = frame
  for (let k = from; k < to; k++) {
    if (hi[k] === lo[k]) continue
    out[base + k] = values[last ? hi[k]! - 1 : lo[k]!]!
    present[base + k] = 1
  }
}

/** Seconds of the first or last sample of every window. */
export function edgeTime(frame: WindowFrame, from: number, to: number, last: boolean): void {
  const { times, lo, hi, out, present, base } = frame
  for (let k = from; k < to; k++) {
    if (hi[k] === lo[k]) continue
    out[base + k] = times[last ? hi[k]! - 1 : lo[k]!]! / 1000
    present[base + k] = 1
  }
}

/**
 * Minimum (sign −1) or maximum (sign 1) of every window, NaN only where all are; or, with `asTime`, the seconds of the last sample that has it.
 * O(samples + windows).
 */
export function extremeOverTime(frame: WindowFrame, from: number, to: number, sign: 1 | -1, asTime: boolean): void {
  const { times, values, lo, hi, out, present, base, indexes: queue } = frame
  let head = 0 // queue[head, tail): candidates, best first
  let tail = 0
  let added = from < to ? lo[from]! : 0
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (added < a) added = a
    for (; added < b; added++) {
      const value = values[added]! * sign
      if (value !== value) continue
      // an equal value that is newer replaces the older one: times want the last, values don't care
      while (tail > head && !(values[queue[tail - 1]!]! * sign > value)) tail--
      queue[tail++] = added
    }
    while (head < tail && queue[head]! < a) head++
    if (head === tail) head = tail = 0
    if (a === b) continue
    if (asTime) out[base + k] = times[head < tail ? queue[head]! : b - 1]! / 1000
    else out[base + k] = head < tail ? values[queue[head]!]! : NaN
    present[base + k] = 1
  }
}

/** Prefix sums of whole numbers into `into[0 … length]`; false where a value is not whole or sums leave the exact range. */
function wholePrefixSums(values: Float64Array, length: number, into: Float64Array): boolean {
  let sum = 0
  let size = 0
  into[0] = 0
  for (let i = 0; i < length; i++) {
    const value = values[i]!
    if (Math.floor(value) !== value || Object.is(value, -0)) return false
    sum += value
    size += Math.abs(value)
    into[i + 1] = sum
  }
  return size < 9007199254740992
}

const blockLength = 32
/** Windows are summed by blocks where adding again would touch every sample this often. */
const overlapMax = 64

/** Kahan–Neumaier sums of every window, or with `mean` their means: plain sum over count, incremental where the sum would overflow. */
export function sumOverTime(frame: WindowFrame, from: number, to: number, mean: boolean): void {
  const { values, lo, hi, out, present, base, length, numbers } = frame
  if (wholePrefixSums(values, length, numbers)) {
    for (let k = from; k < to; k++) {
      const a = lo[k]!
      const b = hi[k]!
      if (a === b) continue
      const sum = numbers[b]! - numbers[a]!
      out[base + k] = mean ? sum / (b - a) : sum
      present[base + k] = 1
    }
    return
  }
  let touched = 0
  for (let k = from; k < to; k++) touched += hi[k]! - lo[k]!
  const blocks = touched > overlapMax * length && allFinite(values, length) ? blockSums(values, length) : null
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (a === b) continue
    present[base + k] = 1
    out[base + k] =
      blocks !== null && b - a > 2 * blockLength
        ? blockedSum(values, blocks, a, b, mean)
        : mean
          ? meanOf(values, a, b)
          : sumOf(values, a, b)
  }
}

function sumOf(values: Float64Array, a: number, b: number): number {
  let sum = 0
  let rest = 0
  for (let i = a; i < b; i++) {
    const value = values[i]!
    const next = sum + value
    if (next === Infinity || next === -Infinity) rest = 0
    else if (Math.abs(sum) >= Math.abs(value)) rest += sum - next + value
    else rest += value - next + sum
    sum = next
  }
  return sum === Infinity || sum === -Infinity ? sum : sum + rest
}

function meanOf(values: Float64Array, a: number, b: number): number {
  let sum = values[a]!
  let rest = 0
  let mean = 0
  let incremental = false
  for (let i = a + 1; i < b; i++) {
    const value = values[i]!
    const count = i - a + 1
    if (!incremental) {
      const next = sum + value
      if (next !== Infinity && next !== -Infinity) {
        if (Math.abs(sum) >= Math.abs(value)) rest += sum - next + value
        else rest += value - next + sum
        sum = next
        continue
      }
      incremental = true
      mean = sum / (count - 1)
      rest /= count - 1
    }
    const share = (count - 1) / count
    const part = value / count
    mean *= share
    rest *= share
    const next = mean + part
    if (next === Infinity || next === -Infinity) rest = 0
    else if (Math.abs(mean) >= Math.abs(part)) rest += mean - next + part
    else rest += part - next + mean
    mean = next
  }
  return incremental ? mean + rest : sum / (b - a) + rest / (b - a)
}

function allFinite(values: Float64Array, length: number): boolean {
  let size = 0
  for (let i = 0; i < length; i++) size += Math.abs(values[i]!)
  return size < Infinity // false for NaN too, and where sums could overflow
}

/** Sum and rest of every whole block of values. */
function blockSums(values: Float64Array, length: number): Float64Array {
  const count = Math.floor(length / blockLength)
  const out = new Float64Array(count * 2)
  for (let block = 0; block < count; block++) {
    let sum = 0
    let rest = 0
    for (let i = block * blockLength; i < (block + 1) * blockLength; i++) {
      const value = values[i]!
      const next = sum + value
      rest += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
      sum = next
    }
    out[block * 2] = sum
    out[block * 2 + 1] = rest
  }
  return out
}

function blockedSum(values: Float64Array, blocks: Float64Array, a: number, b: number, mean: boolean): number {
  let sum = 0
  let rest = 0
  for (let i = a; i < b;) {
    let value = values[i]!
    if (i % blockLength === 0 && i + blockLength <= b) {
      const block = i / blockLength
      value = blocks[block * 2]!
      rest += blocks[block * 2 + 1]!
      i += blockLength
    } else i++
    const next = sum + value
    rest += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
  }
  return mean ? sum / (b - a) + rest / (b - a) : sum + rest
}

/** Population variance of every window (Welford, compensated), or its square root. */
export function varianceOverTime(frame: WindowFrame, from: number, to: number, root: boolean): void {
  const { values, lo, hi, out, present, base } = frame
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const b = hi[k]!
    if (a === b) continue
    let mean = 0
    let meanRest = 0
    let squares = 0
    let squaresRest = 0
    for (let i = a; i < b; i++) {
      const value = values[i]!
      const delta = value - (mean + meanRest)
      let part = delta / (i - a + 1)
      let next = mean + part
      if (next === Infinity || next === -Infinity) meanRest = 0
      else if (Math.abs(mean) >= Math.abs(part)) meanRest += mean - next + part
      else meanRest += part - next + mean
      mean = next
      part = delta * (value - (mean + meanRest))
      next = squares + part
      if (next === Infinity || next === -Infinity) squaresRest = 0
      else if (Math.abs(squares) >= Math.abs(part)) squaresRest += squares - next + part
      else squaresRest += part - next + squares
      squares = next
    }
    const variance = (squares + squaresRest) / (b - a)
    out[base + k] = root ? Math.sqrt(variance) : variance
    present[base + k] = 1
  }
}

/** φ-quantile of every window, φ = params[0][k]; NaN counts as the smallest value. */
export function quantileOverTime(frame: WindowFrame, from: number, to: number): void {
  const { values, lo, hi, out, present, base, params } = frame
  const sorted = frame.numbers // numbers[0, size): the window's values in order, NaN left out
  let size = 0
  let nans = 0
  let a = 0
  let b = 0
  for (let k = from; k < to; k++) {
    const start = lo[k]!
    const end = hi[k]!
    if (start === end) continue
    const kept = start < b ? b - start : 0
    if (kept * 2 < end - start || start - a > kept) {
      size = 0
      nans = 0
      for (let i = start; i < end; i++) {
        const value = values[i]!
        if (value === value) sorted[size++] = value
        else nans++
      }
      sortRange(sorted, size)
    } else {
      for (let i = a; i < start; i++) {
        const value = values[i]!
        if (value === value) size = removeSorted(sorted, size, value)
        else nans--
      }
      for (let i = b; i < end; i++) {
        const value = values[i]!
        if (value === value) size = insertSorted(sorted, size, value)
        else nans++
      }
    }
    a = start
    b = end
    out[base + k] = quantileOf(params[0]![k]!, sorted, size, nans)
    present[base + k] = 1
  }
}

/** Median absolute deviation of every window; NaN where any value is NaN. */
export function madOverTime(frame: WindowFrame, from: number, to: number): void {
  const { values, lo, hi, out, present, base, numbers } = frame
  for (let k = from; k < to; k++) {
    const a = lo[k]!
    const count = hi[k]! - a
    if (count === 0) continue
    let hasNaN = false
    for (let i = 0; i < count; i++) {
      const value = values[a + i]!
      hasNaN ||= value !== value
      numbers[i] = value
    }
    present[base + k] = 1
    if (hasNaN) {
      out[base + k] = NaN
      continue
    }
    sortRange(numbers, count)
    const median = quantileOf(0.5, numbers, count, 0)
    let stillNumbers = 0
    for (let i = 0; i < count; i++) {
      const distance = Math.abs(numbers[i]! - median)
      if (distance === distance) numbers[stillNumbers++] = distance // Inf − Inf is NaN
    }
    sortRange(numbers, stillNumbers)
    out[base + k] = quantileOf(0.5, numbers, stillNumbers, count - stillNumbers)
  }
}

/**
 * The φ-quantile of sorted values with `nans` NaN before them, between two values weighted by distance.
 * NaN for φ = NaN or no values at all; −Inf below 0, +Inf above 1.
 */
export function quantileOf(phi: number, sorted: Float64Array, size: number, nans: number): number {
  const count = size + nans
  if (count === 0 || phi !== phi) return NaN
  if (phi < 0) return -Infinity
  if (phi > 1) return Infinity
  const rank = phi * (count - 1)
  const floor = Math.floor(rank)
  const lower = Math.max(0, floor)
  const upper = Math.min(count - 1, lower + 1)
  const weight = rank - floor
  const low = lower < nans ? NaN : sorted[lower - nans]!
  const high = upper < nans ? NaN : sorted[upper - nans]!
  return low * (1 - weight) + high * weight
}

/** Sorts numbers[0, size), none of them NaN. */
export function sortRange(numbers: Float64Array, size: number): void {
  if (size > 40) {
    numbers.subarray(0, size).sort()
    return
  }
  for (let i = 1; i < size; i++) {
    const value = numbers[i]!
    let j = i
    while (j > 0 && numbers[j - 1]! > value) {
      numbers[j] = numbers[j - 1]!
      j--
    }
    numbers[j] = value
  }
}

function insertSorted(sorted: Float64Array, size: number, value: number): number {
  const at = lowerBound(sorted, size, value)
  if (size - at > 64) sorted.copyWithin(at + 1, at, size)
  else for (let i = size; i > at; i--) sorted[i] = sorted[i - 1]!
  sorted[at] = value
  return size + 1
}

function removeSorted(sorted: Float64Array, size: number, value: number): number {
  const at = lowerBound(sorted, size, value)
  if (size - at > 64) sorted.copyWithin(at, at + 1, size)
  else for (let i = at + 1; i < size; i++) sorted[i - 1] = sorted[i]!
  return size - 1
}

function lowerBound(sorted: Float64Array, size: number, value: number): number {
  let from = 0
  let to = size
  while (from < to) {
    const middle = (from + to) >>> 1
    if (sorted[middle]! >= value) to = middle
    else from = middle + 1
  }
  return from
}
