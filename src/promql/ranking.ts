// topk, bottomk, limitk, limit_ratio, quantile and count_values: aggregations that look at single values or series of a group.
// Source: prometheus promql/engine.go; ties are broken as its heap does, so the same series stay.
import { appendAll } from '../base/append-all.ts'
import { quantileOf, sortRange } from '../kernels/over-time.ts'
import { labelsKey, onlyLabels, withLabel, withoutLabels, type Labels } from '../model/labels.ts'
import { printHistogram } from '../model/histogram-text.ts'
import { formatFloatF } from '../model/number-text.ts'
import { xxhash64 } from '../base/xxhash64.ts'
import { Grouping, groupsByMetadata } from './aggregation.ts'
import type { Annotations } from './annotations.ts'
import type { Span } from './ast.ts'
import type { Budget } from './budget.ts'
import {
  absent,
  dropsName,
  emptyVector,
  floatSample,
  histogramSample,
  nextRow,
  pushRow,
  settleNames,
  startVector,
  type HistogramRow,
  type Vector,
} from './vector.ts'

export type RankedAggregation = Readonly<{
  op: string
  grouping: readonly string[]
  without: boolean
  /** Of the aggregation, and of the expression aggregated. */
  span: Span
  exprSpan: Span
}>

/** Rows of every group, in the order of the series; groups in the order they are first seen. */
function groupRows(input: Vector, grouping: readonly string[], without: boolean): { labels: Labels[]; rows: Int32Array[] } {
  if (groupsByMetadata(grouping, without)) settleNames(input)
  const groups = new Grouping(grouping, without)
  const rows: number[][] = []
  for (let i = 0; i < input.length; i++) {
    const group = groups.groupOf(input.labels[i]!, input.namesPending)
    ;(rows[group] ??= []).push(i)
  }
  return { labels: groups.labels, rows: rows.map((of) => Int32Array.from(of)) }
}

/** Go's container/heap over row numbers, ordered by value; NaN is the first to go. */
class RowHeap {
  readonly rows: number[] = []
  #values: Float64Array
  #offset = 0
  #steps = 0
  readonly #sign: 1 | -1
  constructor(values: Float64Array, sign: 1 | -1) {
    this.#values = values
    this.#sign = sign
  }
  clear(step: number, steps: number): void {
    this.rows.length = 0
    this.#offset = step
    this.#steps = steps
  }
  value(row: number): number {
    return this.#values[row * this.#steps + this.#offset]!
  }
  less(a: number, b: number): boolean {
    const x = this.value(a)
    if (x !== x) return true
    return this.#sign > 0 ? x < this.value(b) : x > this.value(b)
  }
  push(row: number): void {
    const { rows } = this
    let j = rows.push(row) - 1
    for (;;) {
      const parent = (j - 1) >> 1
      if (parent < 0 || parent === j || !this.less(rows[j]!, rows[parent]!)) return
      const swap = rows[parent]!
      rows[parent] = rows[j]!
      rows[j] = swap
      j = parent
    }
  }
  /** Puts a row in the place of the first and restores the order. */
  replaceFirst(row: number): void {
    const { rows } = this
    rows[0] = row
    let i = 0
    for (;;) {
      const left = 2 * i + 1
      if (left >= rows.length) return
      let child = left
      if (left + 1 < rows.length && this.less(rows[left + 1]!, rows[left]!)) child = left + 1
      if (!this.less(rows[child]!, rows[i]!)) return
      const swap = rows[child]!
      rows[child] = rows[i]!
      rows[i] = swap
      i = child
    }
  }
  /** Best first, NaN last; equal values stay in the heap's order. */
  ranked(): number[] {
    return this.rows.toSorted((a, b) => {
      const x = this.value(a)
      const y = this.value(b)
      if (x !== x) return y !== y ? 0 : 1
      if (y !== y) return -1
      return this.#sign > 0 ? y - x || 0 : x - y || 0
    })
  }
}

/**
 * topk and bottomk: of every group the k series with the largest or smallest values, at every step anew.
 * @param ks k of every step; null: `k` everywhere.
 */
export function keepExtremes(
  input: Vector,
  { op, grouping, without, span }: RankedAggregation,
  k: number,
  annotations: Annotations,
  budget: Budget,
  ks: Float64Array | null,
): Vector {
  const { steps, values, presence } = input
  const groups = groupRows(input, grouping, without)
  const kept = new Uint8Array(input.length * steps)
  const order: number[] = []
  const heap = new RowHeap(values, op === 'topk' ? 1 : -1)
  for (const rows of groups.rows) {
    for (let step = 0; step < steps; step++) {
      budget.tick(rows.length * 8)
      const most = Math.min(Math.trunc(ks === null ? k : ks[step]!), input.length)
      if (most < 1) continue
      heap.clear(step, steps)
      for (let r = 0; r < rows.length; r++) {
        const row = rows[r]!
        const kind = presence[row * steps + step]!
        if (kind === absent) continue
        if (kind === histogramSample) {
          annotations.ignoredInAggregation(op, span)
          continue
        }
        if (heap.rows.length < most) {
          heap.push(row)
          continue
        }
        const worst = heap.value(heap.rows[0]!)
        const value = values[row * steps + step]!
        if ((op === 'topk' ? worst < value : worst > value) || (worst !== worst && value === value)) heap.replaceFirst(row)
      }
      for (const row of heap.rows) kept[row * steps + step] = 1
      if (steps === 1) appendAll(order, heap.ranked())
    }
  }
  return masked(input, kept, steps === 1 ? order : null, budget)
}

/** The rows of `order` (or all), with the cells that are kept. */
function masked(input: Vector, kept: Uint8Array, order: readonly number[] | null, budget: Budget): Vector {
  const { steps } = input
  const out = startVector(steps, 4, budget)
  out.namesPending = input.namesPending
  out.distinctWithoutNames = input.distinctWithoutNames
  const count = order === null ? input.length : order.length
  for (let i = 0; i < count; i++) {
    const row = order === null ? i : order[i]!
    const from = row * steps
    budget.tick(steps)
    const base = nextRow(out, budget)
    const own = input.histograms === null ? null : input.histograms[row]!
    let histograms: HistogramRow | null = null
    let any = false
    for (let k = 0; k < steps; k++) {
      const kind = kept[from + k] === 1 ? input.presence[from + k]! : absent
      out.presence[base + k] = kind
      if (kind === absent) continue
      any = true
      out.values[base + k] = input.values[from + k]!
      if (kind === histogramSample) {
        histograms ??= []
        histograms[k] = own![k]!
      }
    }
    if (any) pushRow(out, input.labels[row]!, histograms, dropsName(input, row))
  }
  return out
}

/** limitk: the first k series of every group that have a sample at the step. */
export function keepFirst(input: Vector, { grouping, without }: RankedAggregation, ks: Float64Array, budget: Budget): Vector {
  const { steps, presence } = input
  const kept = new Uint8Array(input.length * steps)
  const found = new Int32Array(steps)
  for (const rows of groupRows(input, grouping, without).rows) {
    found.fill(0)
    for (const row of rows) {
      budget.tick(steps)
      for (let step = 0; step < steps; step++) {
        if (presence[row * steps + step] === absent || found[step]! >= Math.trunc(ks[step]!)) continue
        found[step]!++
        kept[row * steps + step] = 1
      }
    }
  }
  return masked(input, kept, null, budget)
}

/** limit_ratio: every series by the place of its hash in [0, 1]; a negative ratio keeps the complement. */
export function keepRatio(input: Vector, ratios: Float64Array, budget: Budget): Vector {
  settleNames(input)
  const { steps } = input
  const kept = new Uint8Array(input.length * steps)
  for (let row = 0; row < input.length; row++) {
    budget.tick(256)
    const place = Number(labelsHash(input.labels[row]!)) / 2 ** 64
    for (let step = 0; step < steps; step++) {
      const ratio = Math.max(-1, Math.min(1, ratios[step]!))
      if (ratio === 0) continue
      if (ratio > 0 ? place < ratio : place >= 1 + ratio) kept[row * steps + step] = 1
    }
  }
  return masked(input, kept, null, budget)
}

/**
 * Prometheus' labels.Hash(): XXH64 over its string encoding of labels: a length byte (or 255 and three bytes, little-endian, from 255 on)
 * before every name and value.
 */
export function labelsHash(labels: Labels): bigint {
  const parts: number[] = []
  const encoder = new TextEncoder()
  for (const text of labels) {
    const bytes = encoder.encode(text)
    if (bytes.length < 255) parts.push(bytes.length)
    else parts.push(255, bytes.length & 255, (bytes.length >> 8) & 255, (bytes.length >> 16) & 255)
    for (const byte of bytes) parts.push(byte)
  }
  return xxhash64(Uint8Array.from(parts))
}

/** quantile: φ of every step over the floats of a group. */
export function groupQuantile(
  input: Vector,
  { grouping, without, exprSpan }: RankedAggregation,
  phis: Float64Array,
  annotations: Annotations,
  budget: Budget,
): Vector {
  const { steps, values, presence } = input
  const groups = groupRows(input, grouping, without)
  const out = startVector(steps, groups.rows.length, budget)
  groups.rows.forEach((rows, group) => {
    const sorted = new Float64Array(rows.length)
    const base = nextRow(out, budget)
    let any = false
    let drop = false
    for (const row of rows) drop ||= dropsName(input, row)
    for (let step = 0; step < steps; step++) {
      budget.tick(rows.length * 8)
      let size = 0
      let nans = 0
      for (let r = 0; r < rows.length; r++) {
        const cell = rows[r]! * steps + step
        if (presence[cell] === absent) continue
        if (presence[cell] === histogramSample) {
          annotations.ignoredInAggregation('quantile', exprSpan)
          continue
        }
        const value = values[cell]!
        if (value === value) sorted[size++] = value
        else nans++
      }
      if (size + nans === 0) {
        out.presence[base + step] = absent
        continue
      }
      sortRange(sorted, size)
      out.values[base + step] = quantileOf(phis[step]!, sorted, size, nans)
      out.presence[base + step] = floatSample
      any = true
    }
    if (any) pushRow(out, groups.labels[group]!, null, drop)
  })
  out.distinctWithoutNames = !groupsByMetadata(grouping, without)
  return out
}

/** count_values: how many series of a group have a value, one series per value, which stands in the label `name`. */
export function countValues(input: Vector, { grouping, without }: RankedAggregation, name: string, budget: Budget): Vector {
  settleNames(input)
  const { steps } = input
  if (input.length === 0) return emptyVector(steps)
  const out = startVector(steps, 16, budget)
  const keep = new Set([...grouping, name])
  const leave = new Set([...grouping, '__name__'])
  const rows = new Map<string, number>()
  const texts = new Map<number, string>()
  for (let i = 0; i < input.length; i++) {
    const from = i * steps
    budget.tick(steps * 16)
    let before = ''
    let row = -1
    for (let k = 0; k < steps; k++) {
      const kind = input.presence[from + k]!
      if (kind === absent) continue
      let text: string
      if (kind === histogramSample) text = printHistogram(input.histograms![i]![k]!)
      else {
        const value = input.values[from + k]!
        const known = Object.is(value, -0) ? '-0' : texts.get(value)
        text = known ?? formatFloatF(value)
        if (known === undefined) texts.set(value, text)
      }
      if (row < 0 || text !== before) {
        const labeled = withLabel(input.labels[i]!, name, text)
        const labels = without ? withoutLabels(labeled, leave) : onlyLabels(labeled, keep)
        const key = labelsKey(labels)
        const known = rows.get(key)
        if (known === undefined) {
          const base = nextRow(out, budget)
          out.presence.fill(absent, base, base + steps)
          row = out.length
          rows.set(key, row)
          pushRow(out, labels, null, false)
        } else row = known
        before = text
      }
      const cell = row * steps + k
      if (out.presence[cell] === absent) {
        out.presence[cell] = floatSample
        out.values[cell] = 0
      }
      out.values[cell]!++
    }
  }
  out.distinctWithoutNames = !groupsByMetadata(grouping, without)
  return out
}
