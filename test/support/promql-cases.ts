// Random series and well-typed queries for the differential test, all from one seed.

import type { Rng } from '../../src/base/rng.ts'
import type { SimpleSample, SimpleSeries } from './simple-promql.ts'

export const dataStartMs = 1_700_000_000_000
export const dataMinutes = 60

/** Counters, gauges and constant info series over an hour: gaps, resets, staleness marks, NaN, labels that some lack. */
export function randomSeries(rng: Rng): SimpleSeries[] {
  const out: SimpleSeries[] = []
  const add = (labels: Record<string, string>, next: (before: number) => number): void => {
    const samples: SimpleSample[] = []
    const intervalMs = [15_000, 30_000, 60_000][rng.below(3)]!
    let timeMs = dataStartMs + rng.below(intervalMs)
    let value = Math.round(rng.next() * 100)
    const endMs = dataStartMs + dataMinutes * 60_000 * (rng.chance(0.2) ? 0.5 : 1)
    while (timeMs < endMs) {
      value = next(value)
      samples.push({ timeMs, value })
      timeMs += rng.chance(0.2) ? intervalMs + rng.below(200) - 100 : intervalMs
      if (rng.chance(0.02)) {
        samples.push({ timeMs, value: 0, stale: true })
        timeMs += intervalMs * (1 + rng.below(20))
      }
    }
    out.push({ labels, samples })
  }
  for (const job of ['api', 'web', 'db']) {
    for (const instance of ['a', 'b', 'c']) {
      if (rng.chance(0.1)) continue
      const env: Record<string, string> = rng.chance(0.7) ? { env: rng.chance(0.5) ? 'prod' : 'dev' } : {}
      add({ __name__: 'requests_total', job, instance, ...env }, (before) => (rng.chance(0.03) ? rng.below(5) : before + rng.next() * 20))
      // NaN in one series only: of two of them topk may choose either
      const nanChance = job === 'api' && instance === 'a' ? 0.05 : 0
      add({ __name__: 'memory', job, instance, ...env }, () => (rng.chance(nanChance) ? NaN : rng.next() * 200 - 100))
      if (instance === 'a')
        add({ __name__: 'limits', job, zone: rng.chance(0.5) ? 'x' : 'y' }, (before) => (rng.chance(0.1) ? rng.next() * 50 : before))
    }
  }
  return out
}

const metrics = ['requests_total', 'memory', 'limits'] as const
const matchers = ['', '', '', '{job="api"}', '{job!="db"}', '{instance=~"a|b"}', '{env=""}', '{env!~"p.*"}', '{job=~".+",instance!="c"}', '{nope="x"}'] // prettier-ignore
const durations = ['1m', '2m', '5m', '7m30s', '20m'] as const
const instantFunctions = ['abs', 'ln', 'sqrt', 'sgn', 'cos', 'atan', 'deg'] as const // prettier-ignore
const dateFunctions = ['hour', 'minute', 'day_of_week', 'day_of_month', 'month', 'year'] as const
const rangeFunctions = ['rate', 'increase', 'delta', 'irate', 'idelta', 'changes', 'resets', 'sum_over_time', 'avg_over_time', 'min_over_time', 'max_over_time', 'count_over_time', 'last_over_time', 'first_over_time', 'present_over_time', 'stddev_over_time', 'stdvar_over_time', 'mad_over_time', 'deriv', 'absent_over_time'] // prettier-ignore
const aggregates = ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar'] as const
// what jumps where its argument hardly moves is asked of plain selectors only, so that rounding does not decide a case
const jumpyFunctions = ['ceil', 'floor', 'exp', 'round'] as const
const smoothRangeFunctions = ['delta', 'avg_over_time', 'sum_over_time', 'min_over_time', 'max_over_time', 'count_over_time', 'last_over_time', 'first_over_time', 'present_over_time', 'stddev_over_time', 'mad_over_time', 'deriv', 'absent_over_time'] as const // prettier-ignore
const arithmetic = ['+', '-', '*', '/', 'atan2'] as const
const allArithmetic = [...arithmetic, '%', '^'] as const
const comparisons = ['==', '!=', '<', '<=', '>', '>='] as const

/** A query of a vector, or sometimes of a scalar. */
export function randomQuery(rng: Rng): string {
  return new QueryMaker(rng).make()
}

class QueryMaker {
  readonly rng: Rng
  constructor(rng: Rng) {
    this.rng = rng
  }

  pick<T>(from: readonly T[]): T {
    return from[this.rng.below(from.length)]!
  }

  make(): string {
    return this.rng.chance(0.05) ? this.scalar(3) : this.vector(4)
  }

  time(): string {
    const at = this.pick(['', '', '', '', '', ` @ ${dataStartMs / 1000 + this.rng.below(4000)}`, ' @ start()', ' @ end()'])
    const offset = this.pick(['', '', '', '', ' offset 1m', ' offset -2m', ' offset 17s'])
    return this.rng.chance(0.5) ? at + offset : offset + at
  }

  selector(): string {
    return this.pick(metrics) + this.pick(matchers)
  }

  range(depth: number): string {
    if (depth > 1 && this.rng.chance(0.2)) {
      const step = this.pick(['', '30s', '1m', '47s'])
      return `(${this.vector(depth - 1)})[${this.pick(durations)}:${step}]${this.time()}`
    }
    return `${this.selector()}[${this.pick(durations)}]${this.time()}`
  }

  scalar(depth: number): string {
    if (depth <= 1 || this.rng.chance(0.5))
      return this.pick(['0', '1', '2.5', '-3', '10', '1e3', 'Inf', `(time() - ${dataStartMs / 1000})`, 'pi()'])
    if (this.rng.chance(0.3)) return `scalar(${this.vector(depth - 1)})`
    if (this.rng.chance(0.3)) return `(${this.scalar(depth - 1)} ${this.pick(comparisons)} bool ${this.scalar(depth - 1)})`
    return `(${this.scalar(depth - 1)} ${this.pick(arithmetic)} ${this.scalar(depth - 1)})`
  }

  grouping(word: readonly string[]): string {
    const labels = ['job', 'instance', 'env', 'zone', '__name__'].filter(() => this.rng.chance(0.35))
    return `${this.pick(word)} (${labels.join(', ')})`
  }

  vector(depth: number): string {
    if (depth <= 1) return this.selector() + this.time()
    const inner = (): string => this.vector(depth - 1)
    switch (this.rng.below(13)) {
      case 0:
        return this.selector() + this.time()
      case 1:
      case 2:
      case 3:
        return this.rng.chance(0.75)
          ? `${this.pick(rangeFunctions)}(${this.selector()}[${this.pick(durations)}]${this.time()})`
          : `${this.pick(smoothRangeFunctions)}(${this.range(depth)})`
      case 4:
        return this.rng.chance(0.5)
          ? `quantile_over_time(${this.pick(['0.5', '0.9', '-1', '0', '1'])}, ${this.range(depth)})`
          : `predict_linear(${this.range(depth)}, ${this.pick(['60', '-30', '3600'])})`
      case 5:
      case 6:
        return `${this.pick(aggregates)} ${this.grouping(['by', 'by', 'without'])} (${inner()})`
      case 7:
        if (this.rng.chance(0.5)) return `${this.pick(['topk', 'bottomk'])} ${this.grouping(['by'])} (${this.pick(['1', '2', '5'])}, memory${this.pick(matchers)})` // prettier-ignore
        return this.rng.chance(0.5)
          ? `quantile ${this.grouping(['by', 'without'])} (${this.pick(['0.5', '0.25', '1'])}, ${inner()})`
          : `count_values ${this.grouping(['by'])} ("v", round(memory${this.pick(matchers)}))`
      case 8:
        // a time with both @ and an offset is left out below timestamp(): Prometheus forgets the offset there
        if (this.rng.chance(0.2))
          return `(timestamp(${this.rng.chance(0.7) ? this.selector() + this.pick(['', ' offset 3m']) : `abs(${inner()})`}) - ${dataStartMs / 1000})`
        if (this.rng.chance(0.2))
          return `${this.pick(dateFunctions)}(${this.pick(['', 'vector(time())', `timestamp(${this.selector()})`])})`
        if (this.rng.chance(0.2)) return `${this.pick(jumpyFunctions)}(${this.selector()}${this.time()})`
        return `${this.pick(instantFunctions)}(${inner()})`
      case 9:
        return this.pick([
          `-(${inner()})`,
          `clamp(${inner()}, -10, ${this.scalar(1)})`,
          `clamp_min(${inner()}, 5)`,
          `absent(${inner()})`,
          `vector(${this.scalar(depth - 1)})`,
          `sort(${inner()})`,
          `label_replace(${inner()}, "new", "$1-x", "job", "(.).*")`,
          `label_join(${inner()}, "new", "/", "job", "instance")`,
          `round(${this.selector()}, 0.1)`,
        ])
      case 10: {
        const sides = [`(${inner()})`, this.scalar(depth - 1)]
        if (this.rng.chance(0.4)) sides.reverse()
        const op = this.rng.chance(0.5) ? this.pick(arithmetic) : `${this.pick(comparisons)}${this.pick(['', ' bool'])}`
        return `${sides[0]} ${op} ${sides[1]}`
      }
      case 11:
        return `(${inner()}) ${this.pick(['and', 'or', 'unless'])} ${this.grouping(['on', 'ignoring'])} (${inner()})`
      default:
        return this.matched(depth)
    }
  }

  /** Vector with vector: sides that often have partners. */
  matched(depth: number): string {
    const op = this.rng.chance(0.6) ? this.pick(arithmetic) : `${this.pick(comparisons)}${this.pick(['', ' bool'])}`
    const fill = this.pick(['', '', '', ' fill (0)', ' fill_left (-1)', ' fill_right (2.5)', ' fill_left (1) fill_right (3)'])
    switch (this.rng.below(5)) {
      case 0:
        return `(${this.vector(depth - 1)}) ${op} ${this.grouping(['on', 'ignoring'])}${fill} (${this.vector(depth - 1)})`
      case 1:
        return `${this.selector()}${this.time()} ${this.rng.chance(0.3) ? this.pick(allArithmetic) : op} on (job, instance)${fill} ${this.selector()}${this.time()}`
      case 2:
        return `${this.pick(['requests_total', 'memory'])}${this.time()} ${op} on (job) group_left (${this.pick(['', 'zone', 'env'])})${fill} limits${this.time()}`
      case 3:
        return `limits${this.pick(matchers)} ${op} on (job) group_right (${this.pick(['', 'zone'])})${fill} rate(requests_total[5m])`
      default:
        return `sum by (job) (${this.vector(depth - 1)}) ${op}${fill} sum by (job) (${this.vector(depth - 1)})`
    }
  }
}
