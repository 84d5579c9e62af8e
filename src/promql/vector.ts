// A columnar instant vector: n series over K steps. Plain data, so that it can be sent to another thread as it is.
//
//             step 0   step 1  …  step K−1
//   series 0  values[0 … K−1]              presence: 0 nothing, 1 float, 2 histogram
//   series 1  values[K … 2K−1]             histograms[series]![step] where presence is 2
//
// Rows without any sample are not kept. Nothing changes a vector after it was made; nodes of a plan may share it.
import { PromhiveError } from '../base/errors.ts'
import { IdList, LabelIds } from '../model/label-ids.ts'
import { LabelSets } from '../model/label-sets.ts'
import { labelsKey, type Labels } from '../model/labels.ts'
import type { Histogram } from '../model/histogram.ts'
import type { Budget } from './budget.ts'
import { histogramSize } from '../model/histogram-arithmetic.ts'

export const absent = 0
export const floatSample = 1
export const histogramSample = 2

export type HistogramRow = (Histogram | undefined)[]

export type Vector = {
  steps: number
  length: number
  labels: Labels[]
  values: Float64Array
  presence: Uint8Array
  /** Per series, null where it has none; null where no series has one. */
  histograms: (HistogramRow | null)[] | null
  /** Delayed name removal: 1 where `__name__` (and type and unit) go at the end of the query; null where none do. */
  dropNames: Uint8Array | null
  /** The metadata labels still have to be removed from `labels`: done by `settleNames` when somebody looks at them. */
  namesPending: boolean
  /** Removing the metadata labels keeps all series apart. */
  distinctWithoutNames: boolean
}

export function emptyVector(steps: number): Vector {
  return {
    steps,
    length: 0,
    labels: [],
    values: new Float64Array(0),
    presence: new Uint8Array(0),
    histograms: null,
    dropNames: null,
    namesPending: false,
    distinctWithoutNames: true,
  }
}

/** A vector that rows are added to; room for `rows` is made at once, more as needed. */
export function startVector(steps: number, rows: number, budget: Budget): Vector {
  const vector = emptyVector(steps)
  reserveRows(vector, rows, budget)
  return vector
}

function reserveRows(vector: Vector, rows: number, budget: Budget): void {
  const cells = rows * vector.steps
  budget.cells(cells)
  const values = new Float64Array(cells)
  const presence = new Uint8Array(cells)
  values.set(vector.values.subarray(0, vector.length * vector.steps))
  presence.set(vector.presence.subarray(0, vector.length * vector.steps))
  vector.values = values
  vector.presence = presence
}

/** Makes room for one more row and returns where it starts; `pushRow` keeps it. */
export function nextRow(vector: Vector, budget: Budget): number {
  const base = vector.length * vector.steps
  if (base + vector.steps > vector.values.length) reserveRows(vector, Math.max(4, vector.length * 2), budget)
  return base
}

/** Keeps the row that `nextRow` gave. */
export function pushRow(vector: Vector, labels: Labels, histograms: HistogramRow | null, dropName: boolean): void {
  const row = vector.length++
  vector.labels.push(labels)
  if (histograms !== null) {
    vector.histograms ??= new Array<HistogramRow | null>(row).fill(null)
    vector.histograms[row] = histograms
  } else if (vector.histograms !== null) vector.histograms[row] = null
  if (dropName || vector.dropNames !== null) {
    if (vector.dropNames === null || vector.dropNames.length <= row) {
      const grown = new Uint8Array(Math.max(16, row * 2 + 2))
      if (vector.dropNames !== null) grown.set(vector.dropNames)
      vector.dropNames = grown
    }
    vector.dropNames[row] = dropName ? 1 : 0
  }
}

/** Whether any cell of [base, base + steps) is set. */
export function rowHasSamples(presence: Uint8Array, base: number, steps: number): boolean {
  for (let i = base; i < base + steps; i++) if (presence[i] !== absent) return true
  return false
}

export function dropsName(vector: Vector, row: number): boolean {
  return vector.dropNames !== null && vector.dropNames[row] === 1
}

export function histogramAt(vector: Vector, row: number, step: number): Histogram {
  return vector.histograms![row]![step]!
}

/** Samples in memory, histograms by their size, as --query.max-samples counts. */
export function vectorSamples(vector: Vector): number {
  let count = 0
  const cells = vector.length * vector.steps
  for (let i = 0; i < cells; i++) if (vector.presence[i] === floatSample) count++
  if (vector.histograms !== null)
    for (const row of vector.histograms) if (row !== null) for (const h of row) if (h !== undefined) count += histogramSize(h)
  return count
}

/** `__name__`, `__type__`, `__unit__`: what describes the metric itself and goes when its meaning changes. */
export function isMetadataLabel(name: string): boolean {
  return name === '__name__' || name === '__type__' || name === '__unit__'
}

/** Without metadata labels; the same array where there are none. */
export function withoutMetadata(labels: Labels): Labels {
  let count = 0
  let first = -1
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!
    if (name.charCodeAt(0) > 95) break // labels are in order, and metadata labels start with an underscore
    if (isMetadataLabel(name)) {
      if (count++ === 0) first = i
    }
  }
  if (count === 0) return labels
  if (count === 1) return first === 0 ? labels.slice(2) : [...labels.slice(0, first), ...labels.slice(first + 2)]
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (!isMetadataLabel(labels[i]!)) out.push(labels[i]!, labels[i + 1]!)
  return out
}

/** Whether there are type or unit labels, which a common metric name says nothing about. */
export function hasTypeOrUnit(labels: Labels): boolean {
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!
    if (name.charCodeAt(0) > 95) return false
    if (name === '__type__' || name === '__unit__') return true
  }
  return false
}

/** Removes pending metadata labels. The labels seen from outside stay the same, so this is no change of the vector. */
export function settleNames(vector: Vector): Vector {
  if (vector.namesPending) {
    const { labels } = vector
    for (let i = 0; i < labels.length; i++) labels[i] = withoutMetadata(labels[i]!)
    vector.namesPending = false
  }
  return vector
}

export const duplicateText = 'vector cannot contain metrics with the same labelset'

/** Whether two series have the same labels. */
export function hasDuplicates(vector: Vector, budget: Budget): boolean {
  if (vector.length < 2) return false
  budget.tick(vector.length * 8)
  const ids = new LabelIds()
  const seen = new LabelSets(ids)
  const list = new IdList()
  for (let i = 0; i < vector.length; i++) {
    list.set(vector.labels[i]!, ids)
    if (seen.add(list) < i) return true
  }
  return false
}

/**
 * Series with the same labels made one. Throws PROMQL_EXECUTION where two of them have a sample at the same step.
 */
export function mergeDuplicates(vector: Vector, budget: Budget): Vector {
  settleNames(vector)
  if (!hasDuplicates(vector, budget)) return vector
  const { steps } = vector
  const out = startVector(steps, vector.length, budget)
  out.distinctWithoutNames = vector.distinctWithoutNames
  const rows = new Map<string, number>()
  for (let i = 0; i < vector.length; i++) {
    const key = labelsKey(vector.labels[i]!)
    const from = i * steps
    const known = rows.get(key)
    const histograms = vector.histograms === null ? null : vector.histograms[i]!
    if (known === undefined) {
      const base = nextRow(out, budget)
      out.values.set(vector.values.subarray(from, from + steps), base)
      out.presence.set(vector.presence.subarray(from, from + steps), base)
      rows.set(key, out.length)
      pushRow(out, vector.labels[i]!, histograms === null ? null : histograms.slice(), dropsName(vector, i))
      continue
    }
    budget.tick(steps)
    const base = known * steps
    for (let k = 0; k < steps; k++) {
      const kind = vector.presence[from + k]!
      if (kind === absent) continue
      if (out.presence[base + k] !== absent) throw new PromhiveError('PROMQL_EXECUTION', duplicateText)
      out.presence[base + k] = kind
      out.values[base + k] = vector.values[from + k]!
      if (kind === histogramSample) {
        out.histograms ??= new Array<HistogramRow | null>(out.length).fill(null)
        out.histograms[known] ??= []
        out.histograms[known][k] = histograms![k]!
      }
    }
  }
  return out
}

/** A vector with the same cells and other labels. */
export function relabeled(vector: Vector, labels: Labels[]): Vector {
  return { ...vector, labels, namesPending: false, distinctWithoutNames: false }
}
