import type { Histogram } from '../model/histogram.ts'
import type { Labels } from '../model/labels.ts'
import { compareText } from '../model/labels.ts'
import type { RulePairs } from './options.ts'

/** What a rule wants written at one time, in columns. Sample i is `histograms[i]` where that is not null, else `values[i]`. */
export type RuleSamples = Readonly<{
  labels: readonly Labels[]
  values: Float64Array
  histograms: readonly (Histogram | null)[] | null
}>

/** Sets `changes` (sorted by name, an empty value removes) on `labels` in one pass. */
export function overrideLabels(labels: Labels, changes: RulePairs): Labels {
  const out: string[] = []
  let i = 0
  let j = 0
  while (i < labels.length || j < changes.length) {
    const order = i >= labels.length ? 1 : j >= changes.length ? -1 : compareText(labels[i]!, changes[j]!)
    if (order < 0) {
      out.push(labels[i]!, labels[i + 1]!)
      i += 2
      continue
    }
    if (changes[j + 1] !== '') out.push(changes[j]!, changes[j + 1]!)
    if (order === 0) i += 2
    j += 2
  }
  return out
}

/** Pairs sorted by name; of equal names the later list wins. Empty values stay: they remove labels. */
export function mergePairs(...lists: readonly RulePairs[]): RulePairs {
  const merged = new Map<string, string>()
  for (const list of lists) for (let i = 0; i < list.length; i += 2) merged.set(list[i]!, list[i + 1]!)
  return [...merged].sort(([a], [b]) => compareText(a, b)).flat()
}
