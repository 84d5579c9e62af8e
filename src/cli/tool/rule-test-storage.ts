// The storage behind `test rules`: memory, filled as time goes on, with an engine over it and rules that write into it.
import { PromhiveError } from '../../base/errors.ts'
import type { AppendResult, Appender, SampleBatch, SeriesHandle } from '../../model/appender.ts'
import { counterReset } from '../../model/histogram.ts'
import type { Histogram } from '../../model/histogram.ts'
import { withCounterReset } from '../../model/histogram-arithmetic.ts'
import { detectReset } from '../../model/histogram-reset.ts'
import type { Labels } from '../../model/labels.ts'
import { labelsKey } from '../../model/labels.ts'
import { isStale } from '../../model/staleness.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import { Budget, plan, runQuery, vectorSamplesOf } from '../../promql/engine.ts'
import { parseExpr, parseMetricSelector, printProblem } from '../../promql/parse.ts'
import type { ScriptProblem } from '../../promql/promqltest/script.ts'
import { parseScript } from '../../promql/promqltest/script.ts'
import { parseSequence } from '../../promql/promqltest/series-description.ts'
import { MemoryStorage } from '../../promql/promqltest/storage.ts'
import type { QueryFunction, QueryVector } from '../../rules/querying.ts'

/** A storage with series that come into being as time goes on, and an engine over it. */
export interface RuleTestStorage {
  readonly appender: Appender
  readonly query: QueryFunction
  /** Makes samples of the input series up to this time readable. What is wrong, or null. */
  loadUntil(timeMs: number): string | null
  close(): void
}

/**
 * Opens a storage for the series of one `load` command of promqltest's language (`load 1m\n  series values\n …`), the first sample at `startMs`.
 * @returns the storage, or what is wrong with the script, `line:column: …` in it.
 */
export type OpenRuleTestStorage = (
  script: string,
  options: Readonly<{ startMs: number; defaultSubqueryStepMs: number; features: PromqlFeatures }>,
) => RuleTestStorage | string

type LoadedSeries = Readonly<{ labels: Labels; samples: readonly LoadedSample[] }>
type LoadedSample = Readonly<{ timeMs: number; value: number; histogram: Histogram | null }>

const lookbackMs = 5 * 60_000
const samplesMax = 50_000_000

/** Series start at `startMs`, one sample an interval. */
export const openRuleTestStorage: OpenRuleTestStorage = (script, options) => {
  const series = parseLoad(script, options.startMs)
  return typeof series === 'string' ? series : new TestStorage(series, options.defaultSubqueryStepMs, options.features)
}

/** Samples of a `load` command, or what is wrong with it. */
function parseLoad(script: string, startMs: number): readonly LoadedSeries[] | string {
  const { commands, problem } = parseScript(script)
  if (problem !== null) return placeProblem(script, problem)
  const [command] = commands
  if (command?.kind !== 'load') return 'no "load" command found'
  return command.series.map(({ labels, values }) => ({
    labels,
    samples: values.flatMap(({ omitted, value, histogram }, i) =>
      omitted ? [] : [{ timeMs: startMs + i * command.stepMs, value, histogram }],
    ),
  }))
}

/** `line:column: parse error: …` where the metric is wrong; the line alone where the values are. */
function placeProblem(script: string, { line, message }: ScriptProblem): string {
  const text = (script.split('\n')[line - 1] ?? '').trim()
  const { problems } = parseMetricSelector(text)
  const [first] = problems
  if (first === undefined || first.message !== message) return `${line}: parse error: ${message}`
  return printProblem(text, first).replace(/^1:/, `${line}:`)
}

/** One value such as `{{sum:1 count:1}}`; a string is what is wrong with it. */
export function parseExpectedHistogram(text: string): Histogram | string {
  const values = parseSequence(text)
  if (typeof values === 'string') return values
  if (values.length !== 1) return `expected 1 value, got ${values.length}`
  return values[0]!.histogram ?? `expected histogram, got ${values[0]!.omitted ? '_' : values[0]!.value}`
}

type Written = { readonly labels: Labels; timeMs: number; value: number; histogram: Histogram | null }

class TestStorage implements RuleTestStorage, Appender {
  readonly #memory = new MemoryStorage()
  readonly #waiting: { readonly written: Written; readonly samples: readonly LoadedSample[]; next: number }[]
  readonly #defaultSubqueryStepMs: number
  readonly #features: PromqlFeatures
  /** The newest sample of every series: what comes must be newer. */
  readonly #written = new Map<string, Written>()
  readonly #handles = new Map<SeriesHandle, Written>()
  #lastHandle = 0

  constructor(series: readonly LoadedSeries[], defaultSubqueryStepMs: number, features: PromqlFeatures) {
    this.#waiting = series.map(({ labels, samples }) => ({ written: this.#seriesOf(labels), samples, next: 0 }))
    this.#defaultSubqueryStepMs = defaultSubqueryStepMs
    this.#features = features
  }

  get appender(): Appender {
    return this
  }

  loadUntil(timeMs: number): string | null {
    let problem: string | null = null
    for (const each of this.#waiting) {
      for (; each.next < each.samples.length && each.samples[each.next]!.timeMs <= timeMs; each.next++) {
        const sample = each.samples[each.next]!
        problem ??= this.#add(each.written, sample.timeMs, sample.value, sample.histogram)
      }
    }
    return problem
  }

  close(): void {
    this.#memory.clear()
  }

  readonly query: QueryFunction = (expr, timeMs, signal) => {
    try {
      return Promise.resolve(this.#run(expr, timeMs, signal))
    } catch (thrown) {
      return Promise.reject(thrown as Error)
    }
  }

  #run(text: string, timeMs: number, signal: AbortSignal): QueryVector {
    const { expr, problems } = parseExpr(text, this.#features)
    if (expr === null) throw new PromhiveError('PROMQL_PARSE', printProblem(text, problems[0]!))
    const budget = new Budget({ samplesMax, isCanceled: () => signal.aborted })
    const planned = plan(expr, {
      startMs: timeMs,
      endMs: timeMs,
      stepMs: 0,
      lookbackMs,
      defaultSubqueryStepMs: this.#defaultSubqueryStepMs,
      features: { delayedNameRemoval: this.#features.delayedNameRemoval },
    })
    const { value } = runQuery(planned, this.#memory, budget)
    if (value.kind !== 'vector' && value.kind !== 'scalar') {
      throw new PromhiveError('PROMQL_EXECUTION', 'rule result is not a vector or scalar')
    }
    const samples = vectorSamplesOf(value)
    return {
      labels: samples.map(({ labels }) => labels),
      values: Float64Array.from(samples, (sample) => sample.value),
      histograms: samples.map(({ histogram }) => histogram),
      warnings: [],
    }
  }

  open(labels: Labels): SeriesHandle {
    this.#handles.set(++this.#lastHandle, this.#seriesOf(labels))
    return this.#lastHandle
  }

  openBytes(): SeriesHandle {
    throw new Error('BUG: rules open series by labels')
  }

  release(handle: SeriesHandle): void {
    this.#handles.delete(handle)
  }

  append(batch: SampleBatch): Promise<AppendResult> {
    let appended = 0
    let firstError = ''
    const add = (handle: SeriesHandle, timeMs: number, value: number, histogram: Histogram | null): void => {
      const problem = this.#add(this.#handles.get(handle)!, timeMs, value, histogram)
      if (problem === null) appended++
      else firstError ||= problem
    }
    for (let i = 0; i < batch.length; i++) add(batch.handles[i]!, batch.times?.[i] ?? batch.timeMs, batch.values[i]!, null)
    for (const { handle, timeMs, histogram } of batch.histograms ?? []) add(handle, timeMs, histogram.sum, histogram)
    const refused = batch.length + (batch.histograms?.length ?? 0) - appended
    const counts = { outOfOrder: refused, duplicate: 0, outOfBounds: 0, tooOld: 0, exemplarsOutOfOrder: 0 }
    return Promise.resolve({ appended, ...counts, pending: false, firstError })
  }

  #seriesOf(labels: Labels): Written {
    const key = labelsKey(labels)
    let written = this.#written.get(key)
    if (written === undefined) {
      written = { labels, timeMs: -Infinity, value: 0, histogram: null }
      this.#written.set(key, written)
    }
    return written
  }

  /** What is wrong with the sample, or null. The same sample again is none. */
  #add(written: Written, timeMs: number, value: number, histogram: Histogram | null): string | null {
    if (timeMs < written.timeMs) return 'out of order sample'
    if (timeMs === written.timeMs) {
      const isSame = histogram === null && written.histogram === null && Object.is(value, written.value)
      return isSame ? null : 'duplicate sample for timestamp'
    }
    const stored = histogram === null ? null : hinted(histogram, written.histogram)
    this.#memory.append(written.labels, timeMs, value, stored)
    written.timeMs = timeMs
    written.value = value
    written.histogram = stored
    return null
  }
}

/** The hint a histogram has when it is read back: storage compares each with the one before it. */
function hinted(histogram: Histogram, before: Histogram | null): Histogram {
  const { counterReset: own } = histogram
  if (before === null || own === counterReset.gauge || own === counterReset.reset || isStale(histogram.sum)) return histogram
  if (before.counterReset === counterReset.gauge || isStale(before.sum)) return histogram
  return withCounterReset(histogram, detectReset(histogram, before) ? counterReset.reset : counterReset.notReset)
}
