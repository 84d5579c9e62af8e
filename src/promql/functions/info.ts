// info(): adds the labels of info series (target_info and the like) to the series that share their identifying labels. Source: prometheus
// promql/info.go. The info series come with the time of their sample as value, so that of two with the same labels the newer one counts.
import { labelsKey, labelValue, metricName, printLabels, withLabel, type Labels } from '../../model/labels.ts'
import type { Matcher } from '../../model/matcher.ts'
import { compileMatchers, type CompiledMatcher } from '../../model/matching.ts'
import { executionError } from '../budget.ts'
import {
  absent,
  dropsName,
  duplicateText,
  floatSample,
  histogramSample,
  nextRow,
  pushRow,
  settleNames,
  startVector,
  type Vector,
} from '../vector.ts'
import type { FunctionContext } from './instant.ts'

const identifying = ['instance', 'job'] as const

/**
 * @param matchers of info's second argument, as written; empty where it has none.
 * @throws PROMQL_EXECUTION where two info series clash or say different things.
 */
export function addInfo(base: Vector, info: Vector, matchers: readonly Matcher[], context: FunctionContext): Vector {
  settleNames(base)
  const names = matchers.filter((m) => m.name === '__name__')
  const data = compileMatchers(matchers.filter((m) => m.name !== '__name__'))
  const ignored = infoNames(names)
  const isInfo = base.labels.map((labels) => ignored.every((m) => m.matches(metricName(labels))))
  const wanted = new InfoSeries(info, base, isInfo)
  const dataNames = new Set(data.map((m) => m.name))
  const required = data.some((m) => !m.matches(''))
  const { steps } = base
  const { budget } = context
  const out = startVector(steps, base.length, budget)
  const rows = new Map<string, number>()
  for (let i = 0; i < base.length; i++) {
    const labels = base.labels[i]!
    let labelsBefore: Labels | null = null
    let sourcesBefore = ''
    let row = -1
    for (let k = 0; k < steps; k++) {
      const cell = i * steps + k
      const kind = base.presence[cell]!
      if (kind === absent) continue
      budget.tick(8)
      let result: Labels | null = labels
      if (!isInfo[i]) {
        const sources = wanted.at(labels, k)
        const key = sources.join()
        if (labelsBefore === null || key !== sourcesBefore || row < 0) {
          result = enriched(labels, sources, info, dataNames)
          if (sources.length === 0 && required) result = null
        } else result = labelsBefore
        sourcesBefore = key
        if (result !== labelsBefore) row = -1
      }
      labelsBefore = result
      if (result === null) continue
      if (row < 0) {
        const key = labelsKey(result)
        const known = rows.get(key)
        if (known === undefined) {
          const at = nextRow(out, budget)
          out.presence.fill(absent, at, at + steps)
          row = out.length
          rows.set(key, row)
          pushRow(out, result, null, dropsName(base, i))
        } else row = known
      }
      const target = row * steps + k
      if (out.presence[target] !== absent) throw executionError(duplicateText)
      out.presence[target] = kind
      out.values[target] = base.values[cell]!
      if (kind === histogramSample) {
        out.histograms ??= []
        while (out.histograms.length < out.length) out.histograms.push(null)
        out.histograms[row] ??= []
        out.histograms[row]![k] = base.histograms![i]![k]!
      }
    }
  }
  if (out.histograms !== null) while (out.histograms.length < out.length) out.histograms.push(null)
  return out
}

/** Series whose names these match are info series themselves and stay as they are. */
function infoNames(names: readonly Matcher[]): CompiledMatcher[] {
  if (names.length === 0) return compileMatchers([{ name: '__name__', kind: '=', value: 'target_info' }])
  if (names.some((m) => m.kind === '=' || m.kind === '=~')) return compileMatchers(names)
  return compileMatchers([{ name: '__name__', kind: '=~', value: '.+_info' }, ...names])
}

/** Info series by metric and identifying labels. */
class InfoSeries {
  readonly #info: Vector
  readonly #bySignature = new Map<string, number[]>()
  readonly #names: string[] = []
  constructor(info: Vector, base: Vector, isInfo: readonly boolean[]) {
    this.#info = info
    // only series with identifying values that occur are looked at, as if they had been selected by them
    const values = identifying.map((name) => new Set(base.labels.flatMap((labels, i) => (isInfo[i] ? [] : [labelValue(labels, name)]))))
    for (const set of values) set.delete('')
    if (values.every((set) => set.size === 0)) return
    const names = new Set<string>()
    for (let i = 0; i < info.length; i++) {
      const labels = info.labels[i]!
      if (identifying.some((name, n) => values[n]!.size > 0 && !values[n]!.has(labelValue(labels, name)))) continue
      if (info.histograms !== null && info.histograms[i] !== null)
        throw executionError(`this should be an info metric, with float samples: ${printLabels(labels)}`)
      const name = metricName(labels)
      names.add(name)
      const key = signature(name, labels)
      const known = this.#bySignature.get(key)
      if (known === undefined) this.#bySignature.set(key, [i])
      else known.push(i)
    }
    this.#names = [...names]
    this.#checkClashes()
  }
  /** Two info series with the same signature and sample time contradict each other, whether a series asks for them or not. */
  #checkClashes(): void {
    const { steps } = this.#info
    for (const rows of this.#bySignature.values()) if (rows.length > 1) for (let k = 0; k < steps; k++) this.#newest(rows, k)
  }
  #newest(rows: readonly number[], step: number): number {
    const { steps, presence, values, labels } = this.#info
    let best = -1
    for (const row of rows) {
      if (presence[row * steps + step] !== floatSample) continue
      if (best < 0) {
        best = row
        continue
      }
      const own = values[row * steps + step]!
      const before = values[best * steps + step]!
      if (own === before)
        throw executionError(
          `found duplicate series for info metric: existing ${printLabels(labels[best]!)} @ ${before * 1000}, new ${printLabels(labels[row]!)} @ ${own * 1000}`,
        )
      if (own > before) best = row
    }
    return best
  }
  /** The rows of the info series that go with these labels at a step. */
  at(labels: Labels, step: number): number[] {
    const out: number[] = []
    for (const name of this.#names) {
      const rows = this.#bySignature.get(signature(name, labels))
      if (rows === undefined) continue
      const row = this.#newest(rows, step)
      if (row >= 0) out.push(row)
    }
    return out
  }
}

function signature(name: string, labels: Labels): string {
  let key = name
  for (const label of identifying) key += '\xff' + labelValue(labels, label)
  return key
}

function enriched(labels: Labels, sources: readonly number[], info: Vector, dataNames: ReadonlySet<string>): Labels {
  const added = new Map<string, string>()
  for (const row of sources) {
    const own = info.labels[row]!
    for (let i = 0; i < own.length; i += 2) {
      const name = own[i]!
      const value = own[i + 1]!
      if (name === '__name__' || (dataNames.size > 0 && !dataNames.has(name))) continue
      const before = added.get(name)
      if (before !== undefined && before !== value) throw executionError(`conflicting label: ${name}`)
      if (labelValue(labels, name) === '') added.set(name, value)
    }
  }
  let out = labels
  for (const [name, value] of added) out = withLabel(out, name, value)
  return out
}
