// Results of one leaf from several sources, put together.
import { Accumulator, Grouping } from './aggregation.ts'
import { Annotations } from './annotations.ts'
import type { Budget } from './budget.ts'
import type { Leaf, LeafResult, LeafStats } from './leaf.ts'
import { keepExtremes } from './ranking.ts'
import { dropsName, pushRow, startVector, type Vector } from './vector.ts'

/** What a leaf gave on several sources as if it had run on one. Series of different sources must be different series. */
export function mergeLeafResults(leaf: Leaf, results: readonly LeafResult[], budget: Budget): LeafResult {
  if (results.length === 1) return results[0]!
  const { steps } = leaf.grid
  const annotations = new Annotations()
  const stats: LeafStats = { samples: new Float64Array(steps), read: new Float64Array(steps), peak: 0 }
  for (const result of results) {
    for (const annotation of result.annotations) annotations.add(annotation)
    addTo(stats.samples, result.stats.samples)
    addTo(stats.read, result.stats.read)
    stats.peak += result.stats.peak
  }
  const merged: LeafResult = { vector: null, parts: [], kept: [], raw: null, annotations: annotations.entries, stats }
  if (leaf.work.kind === 'raw') {
    merged.raw = results.flatMap((result) => result.raw ?? [])
    return merged
  }
  if (leaf.wantsVector)
    merged.vector = concatenate(
      steps,
      results.map((result) => result.vector!),
      budget,
    )
  leaf.aggregates.forEach((aggregate, i) => {
    if (aggregate.op === 'topk' || aggregate.op === 'bottomk') {
      const all = concatenate(
        steps,
        results.map((result) => result.kept[i]!),
        budget,
      )
      merged.kept.push(keepExtremes(all, aggregate, aggregate.k, new Annotations(), budget, null))
      merged.parts.push(null)
      return
    }
    const grouping = new Grouping(aggregate.grouping, aggregate.without)
    const accumulator = new Accumulator(aggregate.op, steps, grouping, aggregate.exprSpan, annotations, budget)
    for (const result of results) accumulator.merge(result.parts[i]!)
    merged.parts.push(accumulator.part())
    merged.kept.push(null)
  })
  budget.notePeak(stats.peak)
  return merged
}

function concatenate(steps: number, vectors: readonly Vector[], budget: Budget): Vector {
  let rows = 0
  for (const vector of vectors) rows += vector.length
  const out = startVector(steps, rows, budget)
  let distinct = true
  for (const vector of vectors) {
    distinct &&= vector.distinctWithoutNames
    if (vector.length === 0) continue
    out.namesPending = vector.namesPending
    const base = out.length * steps
    const cells = vector.length * steps
    budget.tick(cells >> 3)
    out.values.set(vector.values.subarray(0, cells), base)
    out.presence.set(vector.presence.subarray(0, cells), base)
    for (let i = 0; i < vector.length; i++)
      pushRow(out, vector.labels[i]!, vector.histograms === null ? null : vector.histograms[i]!, dropsName(vector, i))
  }
  out.distinctWithoutNames = distinct
  return out
}

export function addTo(into: Float64Array, from: Float64Array): void {
  for (let k = 0; k < from.length; k++) into[k]! += from[k]!
}
