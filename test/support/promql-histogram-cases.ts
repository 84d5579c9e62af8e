// Random native histograms on the wire, and queries over them, for comparing with a real Prometheus. All from one seed.
import type { Rng } from '../../src/base/rng.ts'
import { dataMinutes, dataStartMs } from './promql-cases.ts'
import type { WireHistogramFields, WireLabel } from './remote-write.ts'

export type HistogramSeries = Readonly<{ labels: readonly WireLabel[]; histograms: readonly WireHistogramFields[] }>

const customBuckets = -53

/** Counters with resets, gauges and classic buckets as custom ones: of different schemas, with gaps. */
export function randomHistograms(rng: Rng): HistogramSeries[] {
  const out: HistogramSeries[] = []
  for (const [name, kind] of [
    ['latency', 'counter'],
    ['sizes', 'gauge'],
    ['classic', 'custom'],
  ] as const) {
    for (const job of ['api', 'web']) {
      for (const instance of ['a', 'b']) {
        const schema = kind === 'custom' ? customBuckets : rng.below(3)
        const start = kind === 'custom' ? 0 : rng.below(5) - 2
        const buckets = 3 + rng.below(3)
        let counts = Array.from({ length: buckets }, () => rng.below(5))
        let zeros = rng.below(3)
        const histograms: WireHistogramFields[] = []
        for (let timeMs = dataStartMs + rng.below(15_000); timeMs < dataStartMs + dataMinutes * 60_000; timeMs += 15_000) {
          if (rng.chance(0.05)) continue
          const isNew = kind === 'gauge' || rng.chance(0.02)
          counts = counts.map((count) => (isNew ? 0 : count) + rng.below(6))
          zeros = kind === 'custom' ? 0 : (isNew ? 0 : zeros) + rng.below(2)
          const total = counts.reduce((sum, count) => sum + count, 0) + zeros
          histograms.push({
            timeMs,
            schema,
            countInt: total,
            sum: total * 1.5,
            ...(kind === 'custom'
              ? { customValues: Array.from({ length: buckets - 1 }, (_, i) => 2 ** i / 4) }
              : { zeroThreshold: 0.001, zeroCountInt: zeros }),
            positiveSpans: [[start, buckets]],
            positiveDeltas: counts.map((count, i) => count - (i === 0 ? 0 : counts[i - 1]!)),
            resetHint: kind === 'gauge' ? 3 : 0,
          })
        }
        // a label of their own: Prometheus lets a float and a histogram of equal labels be one series at one time, which no series of samples is
        out.push({ labels: [['__name__', name], ['instance', instance], ['job', job], ['unit', 's']], histograms }) // prettier-ignore
      }
    }
  }
  return out
}

const names = ['latency', 'latency', 'sizes', 'classic', '{__name__=~"latency|sizes"}', '{__name__=~"latency|memory"}'] as const
const ranges = ['1m', '2m', '5m', '17m'] as const
const overTime = ['sum_over_time', 'avg_over_time', 'count_over_time', 'last_over_time', 'present_over_time', 'changes', 'resets'] as const
const rates = ['rate', 'increase', 'delta', 'irate', 'idelta'] as const
const scalars = ['histogram_count', 'histogram_sum', 'histogram_avg', 'histogram_stddev', 'histogram_stdvar'] as const

export function randomHistogramQuery(rng: Rng): string {
  const pick = <T>(from: readonly T[]): T => from[rng.below(from.length)]!
  const selector = (): string => pick(names) + (rng.chance(0.2) ? pick([' offset 1m', ' @ end()', ' offset -30s']) : '')
  const matrix = (): string => {
    const name = pick(names)
    return rng.chance(0.15) ? `${name}[${pick(ranges)}:${pick(['30s', '1m'])}]` : `${name}[${pick(ranges)}]`
  }
  const histogram = (depth: number): string => {
    if (depth <= 0) return selector()
    switch (rng.below(8)) {
      case 0:
        return selector()
      case 1:
      case 2:
        return `${pick(rates)}(${matrix()})`
      case 3:
        return `${pick(overTime)}(${matrix()})`
      case 4:
        return `${pick(['sum', 'avg', 'sum', 'count', 'group', 'max', 'min', 'stddev'])} ${pick(['by (job)', 'by (instance)', 'without (instance)', 'by ()'])} (${histogram(depth - 1)})`
      case 5:
        return `(${histogram(depth - 1)}) ${pick(['+', '-', '==', '!=', 'and', 'or', 'unless', '*'])} ${pick(['on (job, instance)', 'ignoring (env, unit)'])} (${histogram(depth - 1)})`
      case 6:
        // a division by zero gives histograms of custom buckets a zero bucket, over which Prometheus stumbles when it prints them
        return `(${histogram(depth - 1)}) ${pick(['* 2', '* 0.5', '* -1', '* 0', '/ 2', '/ -1'])}`
      default:
        return `-(${histogram(depth - 1)})`
    }
  }
  switch (rng.below(6)) {
    case 0:
      return histogram(2)
    case 1:
      return `histogram_quantile(${pick(['0.5', '0.9', '0', '1', '-1'])}, ${histogram(2)})`
    case 2:
      return `histogram_fraction(${pick(['0', '-Inf', '0.3'])}, ${pick(['1', '+Inf', '2.5'])}, ${histogram(2)})`
    case 3:
    case 4:
      return `${pick(scalars)}(${histogram(2)})`
    default:
      // of samples as they are: what is computed may differ in its last digits
      return `count_values ${pick(['by (job)', 'by (instance)'])} ("v", ${pick(['latency', 'sizes', 'classic', '-latency', 'sizes * 2'])})`
  }
}
