// Every sliding kernel against the plain definition, window by window, over values that are hard for it.
import { expect, it } from 'vitest'
import { countEvents, extrapolatedGrowth } from '../../../src/kernels/counter.ts'
import { extremeOverTime, quantileOverTime, sumOverTime, varianceOverTime } from '../../../src/kernels/over-time.ts'
import { newestSamples, windowBounds, WindowFrame } from '../../../src/kernels/window.ts'
import { seededRng } from '../../../src/base/rng.ts'

type Kind = 'whole' | 'fraction' | 'wild' | 'huge'
const wild = [NaN, Infinity, -Infinity, 0, -0, 1, 2]

function series(kind: Kind, length: number, seed: number): { times: Float64Array; values: Float64Array } {
  const rng = seededRng(seed)
  const times = new Float64Array(length)
  const values = new Float64Array(length)
  let time = 0
  for (let i = 0; i < length; i++) {
    time += 1 + rng.below(30)
    times[i] = time
    values[i] =
      kind === 'whole'
        ? rng.below(50) - 10
        : kind === 'fraction'
          ? rng.next() - 0.3
          : kind === 'huge'
            ? (rng.next() - 0.5) * 1e308
            : wild[rng.below(wild.length)]!
  }
  return { times, values }
}

function frameOf(times: Float64Array, values: Float64Array, stepMs: number, rangeMs: number, steps: number): WindowFrame {
  const frame = new WindowFrame()
  frame.setSteps(steps)
  frame.setSamples(times, values, times.length)
  frame.firstEndMs = 40
  frame.stepMs = stepMs
  frame.rangeMs = rangeMs
  frame.out = new Float64Array(steps + 3)
  frame.present = new Uint8Array(steps + 3)
  frame.base = 3
  windowBounds(times, times.length, 40, stepMs, rangeMs, steps, frame.lo, frame.hi)
  return frame
}

function kahan(values: readonly number[]): number {
  let sum = 0
  let rest = 0
  for (const value of values) {
    const next = sum + value
    if (Math.abs(next) === Infinity) rest = 0
    else rest += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
  }
  return Math.abs(sum) === Infinity ? sum : sum + rest
}
const extreme = (sign: number) => (window: readonly number[]) =>
  window.reduce((best, value) => (best !== best || value * sign > best * sign ? value : best))
const quantile = (window: readonly number[]): number => {
  const sorted = window.toSorted((a, b) => (a !== a ? (b !== b ? 0 : -1) : b !== b ? 1 : a < b ? -1 : a > b ? 1 : 0))
  const rank = 0.7 * (sorted.length - 1)
  const low = sorted[Math.floor(rank)]!
  return low * (1 - (rank - Math.floor(rank))) + sorted[Math.min(sorted.length - 1, Math.floor(rank) + 1)]! * (rank - Math.floor(rank))
}

type Row = readonly [
  name: string,
  kernel: (frame: WindowFrame, from: number, to: number) => void,
  plain: (window: readonly number[]) => number,
  digits: number,
]
const rows: readonly Row[] = [
  ['sum', (f, a, b) => sumOverTime(f, a, b, false), kahan, 12],
  ['max', (f, a, b) => extremeOverTime(f, a, b, 1, false), extreme(1), 17],
  ['min', (f, a, b) => extremeOverTime(f, a, b, -1, false), extreme(-1), 17],
  ['quantile', quantileOverTime, quantile, 17],
  ['resets', (f, a, b) => countEvents(f, a, b, true), (w) => w.filter((v, i) => i > 0 && v < w[i - 1]!).length, 17],
  [
    'changes',
    (f, a, b) => countEvents(f, a, b, false),
    (w) => w.filter((v, i) => i > 0 && v !== w[i - 1] && !(v !== v && w[i - 1] !== w[i - 1])).length,
    17,
  ],
]

it.each(rows)('%s of every window', (_name, kernel, plain, digits) => {
  for (const kind of ['whole', 'fraction', 'wild'] as const)
    for (const [stepMs, rangeMs, length] of [
      [15, 60, 80],
      [100, 40, 60],
      [1, 3000, 300], // windows that overlap so much that sums go by blocks
      [7, 0.5, 50],
    ] as const) {
      const { times, values } = series(kind, length, length + stepMs)
      const frame = frameOf(times, values, stepMs, rangeMs, 120)
      frame.params = [new Float64Array(120).fill(0.7)]
      for (const cut of [120, 37]) {
        frame.present.fill(0)
        for (let from = 0; from < 120; from += cut) kernel(frame, from, Math.min(120, from + cut))
        for (let k = 0; k < 120; k++) {
          const end = 40 + k * stepMs
          const window = Array.from(values).filter((_, i) => times[i]! > end - rangeMs && times[i]! <= end)
          expect(frame.present[3 + k]).toBe(window.length > 0 ? 1 : 0)
          if (window.length === 0) continue
          const want = plain(window)
          const got = frame.out[3 + k]!
          if (Number.isFinite(want) && digits < 17)
            expect(Math.abs(got - want)).toBeLessThan(10 ** -digits * Math.max(1, Math.abs(want) * 1e3))
          else expect([kind, k, got + 0]).toEqual([kind, k, want + 0])
        }
      }
    }
})

it('means and spreads do not overflow where their result does not', () => {
  const { times, values } = series('huge', 200, 3)
  const frame = frameOf(times, values, 20, 2000, 60)
  sumOverTime(frame, 0, 60, true)
  for (let k = 10; k < 60; k++) expect(Math.abs(frame.out[3 + k]!)).toBeLessThan(1e308)
  const same = frameOf(times, new Float64Array(200).fill(0.1), 20, 2000, 60)
  varianceOverTime(same, 0, 60, true)
  for (let k = 1; k < 60; k++) expect(same.out[3 + k]).toBe(0)
})

it('growth does not depend on where windows begin within a run of resets', () => {
  const times = Float64Array.from({ length: 100 }, (_, i) => i * 10)
  const values = Float64Array.from({ length: 100 }, (_, i) => (i * 7) % 31)
  const frame = frameOf(times, values, 10, 200, 95)
  extrapolatedGrowth(frame, 0, 95, true, false)
  for (let k = 20; k < 95; k++) {
    const a = frame.lo[k]!
    const b = frame.hi[k]!
    let growth = values[b - 1]! - values[a]!
    for (let i = a + 1; i < b; i++) if (values[i]! < values[i - 1]!) growth += values[i - 1]!
    const sampled = (times[b - 1]! - times[a]!) / 1000
    const end = 40 + k * 10
    const toStart = Math.min((times[a]! - end + 200) / 1000, (sampled * values[a]!) / growth)
    expect(frame.out[3 + k]).toBeCloseTo((growth * (sampled + toStart + (end - times[b - 1]!) / 1000)) / sampled, 9)
  }
})

it('looks back over a left-open window', () => {
  const at = new Int32Array(4)
  newestSamples(Float64Array.of(0, 100, 250), 3, 100, 50, 100, 4, at)
  expect([...at]).toEqual([1, 1, -1, 2]) // at 200 the sample at 100 is exactly the lookback away
})
