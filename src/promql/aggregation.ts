// sum, avg, count, group, min, max, stddev and stdvar: accumulators in columns, group by group and step by step. All but stddev and stdvar
// can be taken apart: every shard aggregates its own series and the parts are merged. Source of the arithmetic: prometheus promql/engine.go.
import { counterReset, type Histogram } from '../model/histogram.ts'
import { compact, divide, multiply, overflows } from '../model/histogram-arithmetic.ts'
import { addToSum, finishSum, mergeSums, startSum, type HistogramSum } from '../model/histogram-sum.ts'
import { labelsKey, labelValue, metricName, onlyLabels, type Labels } from '../model/labels.ts'
import type { Annotations } from './annotations.ts'
import type { Span } from './ast.ts'
import type { Budget } from './budget.ts'
import {
  dropsName,
  emptyVector,
  floatSample,
  histogramSample,
  isMetadataLabel,
  nextRow,
  pushRow,
  settleNames,
  startVector,
  type HistogramRow,
  type Vector,
} from './vector.ts'

export type AccumulatedOp = 'sum' | 'avg' | 'count' | 'group' | 'min' | 'max' | 'stddev' | 'stdvar'

/** Which group a series is in. Groups are numbered in the order they are first seen. */
export class Grouping {
  readonly labels: Labels[] = []
  readonly #names: readonly string[]
  readonly #nameSet: ReadonlySet<string>
  readonly #without: boolean
  readonly #groups = new Map<string, number>()
  constructor(names: readonly string[], without: boolean) {
    this.#names = names
    this.#nameSet = new Set(names)
    this.#without = without
  }
  /** @param namesPending metadata labels count as absent. */
  groupOf(labels: Labels, namesPending: boolean): number {
    if (this.#without) return this.#known(labelsKey((labels = this.#kept(labels, namesPending))), labels)
    const names = this.#names
    if (names.length === 0) {
      if (this.labels.length === 0) this.labels.push([])
      return 0
    }
    let key = ''
    if (names.length === 1) key = labelValue(labels, names[0]!)
    else for (const name of names) key += labelValue(labels, name) + '\xff'
    const known = this.#groups.get(key)
    return known === undefined ? this.#known(key, onlyLabels(labels, this.#nameSet)) : known
  }
  #kept(labels: Labels, namesPending: boolean): Labels {
    const out: string[] = []
    for (let i = 0; i < labels.length; i += 2) {
      const name = labels[i]!
      if (name === '__name__' || this.#nameSet.has(name) || (namesPending && isMetadataLabel(name))) continue
      out.push(name, labels[i + 1]!)
    }
    return out
  }
  #known(key: string, labels: Labels): number {
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const group = this.labels.length
    this.#groups.set(key, group)
    this.labels.push(labels)
    return group
  }
}

/** Pending names matter to a grouping that mentions metadata labels: then they have to be settled first. */
export function groupsByMetadata(names: readonly string[], without: boolean): boolean {
  return !without && names.some(isMetadataLabel)
}

const seen = 1
const hasFloat = 2
const hasHistogram = 4
const incompatible = 8
const incremental = 16

/** Histograms of one group at one step. */
type HistogramCell = {
  sum: HistogramSum
  mean: HistogramSum | null
  resetSeen: boolean
  notResetSeen: boolean
  /** Metric of its first histogram, for warnings. */
  name: string
}

/** A part of an aggregation: plain data, cells are group · K + step. */
export type PartialAggregate = {
  steps: number
  labels: Labels[]
  state: Uint8Array
  sum: Float64Array
  rest: Float64Array
  count: Float64Array
  mean: Float64Array
  histograms: Map<number, HistogramCell> | null
  dropNames: Uint8Array
}

export class Accumulator {
  readonly #op: AccumulatedOp
  readonly #steps: number
  readonly #grouping: Grouping
  readonly #span: Span
  readonly #annotations: Annotations
  readonly #budget: Budget
  #state = new Uint8Array(0)
  #sum = new Float64Array(0) // the value of min, max, group; the squares of stddev
  #rest = new Float64Array(0)
  #count = new Float64Array(0)
  #mean = new Float64Array(0)
  #drop = new Uint8Array(0)
  #capacity = 0
  #histograms: Map<number, HistogramCell> | null = null
  /** @param span of the aggregated expression, for annotations. */
  constructor(op: AccumulatedOp, steps: number, grouping: Grouping, span: Span, annotations: Annotations, budget: Budget) {
    this.#op = op
    this.#steps = steps
    this.#grouping = grouping
    this.#span = span
    this.#annotations = annotations
    this.#budget = budget
  }
  #reserve(groups: number): void {
    if (groups <= this.#capacity) return
    const capacity = Math.max(groups, this.#capacity * 2, 4)
    const cells = capacity * this.#steps
    this.#budget.cells(cells)
    const { avg, spread, sums } = {
      avg: this.#op === 'avg',
      spread: this.#op === 'stddev' || this.#op === 'stdvar',
      sums: this.#op === 'sum',
    }
    this.#state = grow(this.#state, cells)
    this.#sum = growNumbers(this.#sum, this.#op === 'count' ? 0 : cells)
    this.#rest = growNumbers(this.#rest, avg || sums ? cells : 0)
    this.#count = growNumbers(this.#count, avg || spread || this.#op === 'count' ? cells : 0)
    this.#mean = growNumbers(this.#mean, avg || spread ? cells : 0)
    this.#drop = grow(this.#drop, capacity)
    this.#capacity = capacity
  }

  /** Adds the row values[from, from + K) of a series. */
  add(
    labels: Labels,
    namesPending: boolean,
    dropName: boolean,
    values: Float64Array,
    presence: Uint8Array,
    from: number,
    histograms: HistogramRow | null,
  ): void {
    const group = this.#grouping.groupOf(labels, namesPending)
    this.#reserve(group + 1)
    if (dropName) this.#drop[group] = 1
    const base = group * this.#steps
    if (histograms !== null) this.#addMixed(base, labels, values, presence, from, histograms)
    else if (this.#op === 'sum') this.#addSums(base, values, presence, from)
    else if (this.#op === 'avg') this.#addMeans(base, values, presence, from, 0, this.#steps)
    else if (this.#op === 'count') this.#addCounts(base, presence, from)
    else if (this.#op === 'group') this.#addGroup(base, presence, from)
    else if (this.#op === 'min') this.#addMinima(base, values, presence, from)
    else if (this.#op === 'max') this.#addMaxima(base, values, presence, from)
    else this.#addSpread(base, values, presence, from, 0, this.#steps)
  }
  #addSums(base: number, values: Float64Array, presence: Uint8Array, from: number): void {
    const state = this.#state
    const sums = this.#sum
    const rests = this.#rest
    const steps = this.#steps
    for (let k = 0; k < steps; k++) {
      if (presence[from + k] === 0) continue
      const cell = base + k
      const value = values[from + k]!
      if (state[cell]! === 0) {
        state[cell] = seen | hasFloat
        sums[cell] = value
        rests[cell] = 0
        continue
      }
      state[cell]! |= hasFloat
      const sum = sums[cell]!
      const next = sum + value
      if (next === Infinity || next === -Infinity) rests[cell] = 0
      else if (Math.abs(sum) >= Math.abs(value)) rests[cell]! += sum - next + value
      else rests[cell]! += value - next + sum
      sums[cell] = next
    }
  }
  #addMeans(base: number, values: Float64Array, presence: Uint8Array, from: number, first: number, end: number): void {
    const state = this.#state
    const sums = this.#sum
    const rests = this.#rest
    const counts = this.#count
    const means = this.#mean
    for (let k = first; k < end; k++) {
      if (presence[from + k] === 0) continue
      const cell = base + k
      const value = values[from + k]!
      if (state[cell]! === 0) {
        state[cell] = seen | hasFloat
        sums[cell] = value
        rests[cell] = 0
        counts[cell] = 1
        continue
      }
      state[cell]! |= hasFloat
      const count = ++counts[cell]!
      if ((state[cell]! & incremental) === 0) {
        const sum = sums[cell]!
        const next = sum + value
        if (next !== Infinity && next !== -Infinity) {
          if (Math.abs(sum) >= Math.abs(value)) rests[cell]! += sum - next + value
          else rests[cell]! += value - next + sum
          sums[cell] = next
          continue
        }
        state[cell]! |= incremental // the sum would overflow: from here on the mean is carried along
        means[cell] = sum / (count - 1)
        rests[cell]! /= count - 1
      }
      const share = (count - 1) / count
      const part = value / count
      const mean = share * means[cell]!
      let rest = share * rests[cell]!
      const next = mean + part
      if (next === Infinity || next === -Infinity) rest = 0
      else if (Math.abs(mean) >= Math.abs(part)) rest += mean - next + part
      else rest += part - next + mean
      means[cell] = next
      rests[cell] = rest
    }
  }
  #addCounts(base: number, presence: Uint8Array, from: number): void {
    for (let k = 0; k < this.#steps; k++) {
      if (presence[from + k] === 0) continue
      this.#state[base + k] = seen
      this.#count[base + k]!++
    }
  }
  #addGroup(base: number, presence: Uint8Array, from: number): void {
    for (let k = 0; k < this.#steps; k++) {
      if (presence[from + k] === 0) continue
      this.#state[base + k] = seen
      this.#sum[base + k] = 1
    }
  }
  #addMinima(base: number, values: Float64Array, presence: Uint8Array, from: number): void {
    const state = this.#state
    const minima = this.#sum
    for (let k = 0; k < this.#steps; k++) {
      if (presence[from + k] === 0) continue
      const value = values[from + k]!
      const least = minima[base + k]!
      if (state[base + k] === 0 || least > value || least !== least) minima[base + k] = value
      state[base + k] = seen
    }
  }
  #addMaxima(base: number, values: Float64Array, presence: Uint8Array, from: number): void {
    const state = this.#state
    const maxima = this.#sum
    for (let k = 0; k < this.#steps; k++) {
      if (presence[from + k] === 0) continue
      const value = values[from + k]!
      const most = maxima[base + k]!
      if (state[base + k] === 0 || most < value || most !== most) maxima[base + k] = value
      state[base + k] = seen
    }
  }
  #addSpread(base: number, values: Float64Array, presence: Uint8Array, from: number, first: number, end: number): void {
    for (let k = first; k < end; k++) {
      if (presence[from + k] === 0) continue
      const cell = base + k
      const value = values[from + k]!
      if (this.#state[cell] === 0) {
        this.#state[cell] = seen
        this.#sum[cell] = Number.isFinite(value) ? 0 : NaN
        this.#mean[cell] = value
        this.#count[cell] = 1
        continue
      }
      const count = ++this.#count[cell]!
      const delta = value - this.#mean[cell]!
      this.#mean[cell]! += delta / count
      this.#sum[cell]! += delta * (value - this.#mean[cell]!)
    }
  }

  /** A row with histograms in it, step by step. */
  #addMixed(base: number, labels: Labels, values: Float64Array, presence: Uint8Array, from: number, histograms: HistogramRow): void {
    const op = this.#op
    if (op === 'count') return this.#addCounts(base, presence, from)
    if (op === 'group') return this.#addGroup(base, presence, from)
    const one = new Uint8Array(this.#steps)
    for (let k = 0; k < this.#steps; k++) {
      const kind = presence[from + k]!
      if (kind === histogramSample) {
        if (op === 'sum' || op === 'avg') this.#addHistogram(base + k, labels, histograms[k]!)
        else this.#annotations.ignoredInAggregation(op, this.#span)
      } else if (kind === floatSample && (this.#state[base + k]! & incompatible) === 0) one[k] = floatSample
    }
    // floats of the row, shifted so that `one` lines up with `values`
    const row = values.subarray(from, from + this.#steps)
    if (op === 'sum') this.#addSums(base, row, one, 0)
    else if (op === 'avg') this.#addMeans(base, row, one, 0, 0, this.#steps)
    else if (op === 'min') this.#addMinima(base, row, one, 0)
    else if (op === 'max') this.#addMaxima(base, row, one, 0)
    else this.#addSpread(base, row, one, 0, 0, this.#steps)
  }
  #addHistogram(cell: number, labels: Labels, histogram: Histogram): void {
    this.#budget.tick(histogram.positiveBuckets.length + 16)
    const state = this.#state
    if ((state[cell]! & incompatible) !== 0) return
    this.#histograms ??= new Map()
    const known = this.#histograms.get(cell)
    if (state[cell] === 0) {
      state[cell] = seen | hasHistogram
      if (this.#op === 'avg') this.#count[cell] = 1
      this.#histograms.set(cell, { sum: startSum(histogram), mean: null, ...resetsOf(histogram), name: metricName(labels) })
      return
    }
    state[cell]! |= hasHistogram
    if (this.#op === 'avg') this.#count[cell]!++
    if (known === undefined) return // floats came first: the group has no result at this step anyway
    if (histogram.counterReset === counterReset.reset) known.resetSeen = true
    if (histogram.counterReset === counterReset.notReset) known.notResetSeen = true
    if (known.mean === null) {
      const added = addToSum(known.sum, histogram)
      if (added === null) return this.#markIncompatible(cell, metricName(labels))
      if (added.boundsReconciled) this.#annotations.boundsReconciled('aggregation', this.#span)
      if (this.#op === 'sum' || !overflows(added.result.value)) {
        known.sum = added.result
        return
      }
      known.mean = scaled(known.sum, 1 / (this.#count[cell]! - 1), this.#count[cell]! - 1)
    }
    const count = this.#count[cell]!
    const share = (count - 1) / count
    const next = addToSum(
      { value: multiply(known.mean.value, share), compensation: multiply(known.mean.compensation, share) },
      divide(histogram, count),
    )
    if (next === null) return this.#markIncompatible(cell, metricName(labels))
    if (next.boundsReconciled) this.#annotations.boundsReconciled('aggregation', this.#span)
    known.mean = next.result
  }
  #markIncompatible(cell: number, name: string): void {
    this.#annotations.mixedExponentialCustom(name, this.#span)
    this.#state[cell]! |= incompatible
  }

  /** What was added so far, to be merged elsewhere. The arrays are handed over. */
  part(): PartialAggregate {
    const groups = this.#grouping.labels.length
    const cells = groups * this.#steps
    const fit = (from: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => (from.length > cells ? from.slice(0, cells) : from)
    return {
      steps: this.#steps,
      labels: this.#grouping.labels,
      state: this.#state.length > cells ? this.#state.slice(0, cells) : this.#state,
      sum: fit(this.#sum),
      rest: fit(this.#rest),
      count: fit(this.#count),
      mean: fit(this.#mean),
      histograms: this.#histograms,
      dropNames: this.#drop.slice(0, groups),
    }
  }

  /** Adds what another accumulator of the same aggregation has. */
  merge(part: PartialAggregate): void {
    const steps = this.#steps
    for (let g = 0; g < part.labels.length; g++) {
      const group = this.#grouping.groupOf(part.labels[g]!, false)
      this.#reserve(group + 1)
      if (part.dropNames[g] === 1) this.#drop[group] = 1
      this.#budget.tick(steps)
      for (let k = 0; k < steps; k++) {
        const from = g * steps + k
        if (part.state[from] !== 0) this.#mergeCell(group * steps + k, part, from)
      }
    }
  }
  #mergeCell(cell: number, part: PartialAggregate, from: number): void {
    const state = this.#state
    const op = this.#op
    const fresh = state[cell] === 0
    if (op === 'count') this.#count[cell]! += part.count[from]!
    else if (op === 'group') this.#sum[cell] = 1
    else if (op === 'min') {
      const least = this.#sum[cell]!
      if (fresh || least > part.sum[from]! || least !== least) this.#sum[cell] = part.sum[from]!
    } else if (op === 'max') {
      const most = this.#sum[cell]!
      if (fresh || most < part.sum[from]! || most !== most) this.#sum[cell] = part.sum[from]!
    } else if (fresh) {
      this.#sum[cell] = part.sum[from]!
      this.#rest[cell] = part.rest[from]!
      if (op === 'avg') {
        this.#count[cell] = part.count[from]!
        this.#mean[cell] = part.mean[from]!
      }
    } else this.#mergeSums(cell, part, from)
    const theirs = part.histograms === null ? undefined : part.histograms.get(from)
    if (theirs !== undefined) this.#mergeHistograms(cell, theirs, fresh, op === 'avg' ? part.count[from]! : 0)
    state[cell]! |= part.state[from]!
  }
  #mergeSums(cell: number, part: PartialAggregate, from: number): void {
    const avg = this.#op === 'avg'
    const own = avg ? this.#count[cell]! : 0
    const other = avg ? part.count[from]! : 0
    if (avg) this.#count[cell] = own + other
    const wasIncremental = ((this.#state[cell]! | part.state[from]!) & incremental) !== 0
    let sum = this.#sum[cell]!
    let rest = this.#rest[cell]!
    if (!wasIncremental) {
      for (const value of [part.sum[from]!, part.rest[from]!]) {
        const next = sum + value
        if (next === Infinity || next === -Infinity) rest = 0
        else if (Math.abs(sum) >= Math.abs(value)) rest += sum - next + value
        else rest += value - next + sum
        sum = next
      }
      if (!avg || (sum !== Infinity && sum !== -Infinity)) {
        this.#sum[cell] = sum
        this.#rest[cell] = rest
        return
      }
    }
    const ownMean = this.#state[cell]! & incremental ? this.#mean[cell]! : this.#sum[cell]! / own
    const ownRest = this.#state[cell]! & incremental ? this.#rest[cell]! : this.#rest[cell]! / own
    const otherMean = part.state[from]! & incremental ? part.mean[from]! : part.sum[from]! / other
    const otherRest = part.state[from]! & incremental ? part.rest[from]! : part.rest[from]! / other
    const share = own / (own + other)
    this.#mean[cell] = ownMean * share + otherMean * (1 - share)
    this.#rest[cell] = ownRest * share + otherRest * (1 - share)
    this.#state[cell]! |= incremental
  }
  #mergeHistograms(cell: number, theirs: HistogramCell, fresh: boolean, otherCount: number): void {
    this.#histograms ??= new Map()
    const known = this.#histograms.get(cell)
    if (fresh) {
      this.#histograms.set(cell, theirs)
      return
    }
    if (known === undefined) return // floats on this side: no result
    known.resetSeen ||= theirs.resetSeen
    known.notResetSeen ||= theirs.notResetSeen
    const merged = known.mean === null && theirs.mean === null ? mergeSums(known.sum, theirs.sum) : undefined
    if (merged === null) return this.#markIncompatible(cell, theirs.name)
    if (merged !== undefined && (this.#op === 'sum' || !overflows(merged.result.value))) {
      if (merged.boundsReconciled) this.#annotations.boundsReconciled('aggregation', this.#span)
      known.sum = merged.result
      return
    }
    const count = this.#count[cell]!
    const ownCount = count - otherCount
    const own = known.mean ?? scaled(known.sum, 1 / ownCount, ownCount)
    const other = theirs.mean ?? scaled(theirs.sum, 1 / otherCount, otherCount)
    const mean = mergeSums(scaled(own, ownCount / count, 0), scaled(other, otherCount / count, 0))
    if (mean === null) return this.#markIncompatible(cell, theirs.name)
    known.mean = mean.result
  }

  /** The result; groups without any sample are left out. */
  finish(): Vector {
    const steps = this.#steps
    const groups = this.#grouping.labels.length
    if (groups === 0) return emptyVector(steps)
    const out = startVector(steps, groups, this.#budget)
    for (let group = 0; group < groups; group++) {
      this.#budget.tick(steps)
      const base = nextRow(out, this.#budget)
      let any = false
      let row: HistogramRow | null = null
      for (let k = 0; k < steps; k++) {
        const cell = group * steps + k
        const state = group < this.#capacity ? this.#state[cell]! : 0
        if (state === 0) continue
        if ((state & hasHistogram) !== 0) {
          const histogram = this.#finishHistogram(cell, state)
          if (histogram === null) continue
          row ??= []
          row[k] = histogram
          out.presence[base + k] = histogramSample
        } else {
          out.values[base + k] = this.#finishFloat(cell, state)
          out.presence[base + k] = floatSample
        }
        any = true
      }
      if (any) pushRow(out, this.#grouping.labels[group]!, row, this.#drop[group] === 1)
      else out.presence.fill(0, base, base + steps)
    }
    out.distinctWithoutNames =
      out.labels.length === 0 || !out.labels.some((labels) => labels.some((name, i) => i % 2 === 0 && isMetadataLabel(name)))
    return out
  }
  #finishFloat(cell: number, state: number): number {
    const op = this.#op
    if (op === 'sum') return this.#sum[cell]! + this.#rest[cell]!
    if (op === 'avg') {
      if ((state & incremental) !== 0) return this.#mean[cell]! + this.#rest[cell]!
      return this.#sum[cell]! / this.#count[cell]! + this.#rest[cell]! / this.#count[cell]!
    }
    if (op === 'count') return this.#count[cell]!
    if (op === 'stdvar') return this.#sum[cell]! / this.#count[cell]!
    if (op === 'stddev') return Math.sqrt(this.#sum[cell]! / this.#count[cell]!)
    return this.#sum[cell]!
  }
  #finishHistogram(cell: number, state: number): Histogram | null {
    if ((state & hasFloat) !== 0) {
      this.#annotations.mixedFloatsHistogramsInAggregation(this.#span)
      return null
    }
    if ((state & incompatible) !== 0) return null
    const known = this.#histograms!.get(cell)!
    if (known.resetSeen && known.notResetSeen) this.#annotations.resetCollision('aggregation', this.#span)
    if (this.#op === 'sum') return compact(finishSum(known.sum))
    if (known.mean !== null) return compact(finishSum(known.mean))
    const count = this.#count[cell]!
    return compact(finishSum({ value: divide(known.sum.value, count), compensation: divide(known.sum.compensation, count) }))
  }
}

function resetsOf(histogram: Histogram): { resetSeen: boolean; notResetSeen: boolean } {
  return {
    resetSeen: histogram.counterReset === counterReset.reset,
    notResetSeen: histogram.counterReset === counterReset.notReset,
  }
}

/** A sum times a factor, or divided where a divisor is given (which rounds differently). */
function scaled(sum: HistogramSum, factor: number, divisor: number): HistogramSum {
  const each = (histogram: Histogram): Histogram => (divisor === 0 ? multiply(histogram, factor) : divide(histogram, divisor))
  return { value: each(sum.value), compensation: each(sum.compensation) }
}

function grow(from: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length)
  out.set(from)
  return out
}

function growNumbers(from: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  if (length === 0) return from
  const out = new Float64Array(length)
  out.set(from)
  return out
}

/** Aggregates a whole vector. */
export function aggregateVector(
  op: AccumulatedOp,
  input: Vector,
  names: readonly string[],
  without: boolean,
  span: Span,
  annotations: Annotations,
  budget: Budget,
): Vector {
  if (groupsByMetadata(names, without)) settleNames(input)
  const accumulator = new Accumulator(op, input.steps, new Grouping(names, without), span, annotations, budget)
  for (let i = 0; i < input.length; i++) {
    budget.tick(input.steps)
    accumulator.add(
      input.labels[i]!,
      input.namesPending,
      dropsName(input, i),
      input.values,
      input.presence,
      i * input.steps,
      input.histograms === null ? null : input.histograms[i]!,
    )
  }
  return accumulator.finish()
}
