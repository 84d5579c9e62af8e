// Runs promqltest scripts against the engine. Behaviour: prometheus promql/promqltest/test.go; an instant query is also evaluated with `@` on
// every selector at other times, and in the middle of a range query, and must give the same.
import { counterReset, type Histogram } from '../../model/histogram.ts'
import { boundsMatch, compact } from '../../model/histogram-arithmetic.ts'
import { spansMatch } from '../../model/histogram-buckets.ts'
import { printTestHistogram } from '../../model/histogram-text.ts'
import { ClassicHistogram, classicPart } from '../../model/histogram-classic.ts'
import { checkHistogram } from '../../model/histogram-check.ts'
import { compareLabels, labelsKey, labelValue, metricName, printLabels, withLabel, type Labels } from '../../model/labels.ts'
import { formatFloatG, parseGoFloat } from '../../model/number-text.ts'
import { isStale } from '../../model/staleness.ts'
import { messageOf } from '../../base/errors.ts'
import type { AtModifier, Expr } from '../ast.ts'
import { Budget } from '../budget.ts'
import { matrixSeries, plan, runQuery, type QueryResult, type QueryValue, type VectorSample } from '../engine.ts'
import type { RawSeries } from '../leaf.ts'
import { almostEqual } from '../functions/quantile.ts'
import { allFeatures, parseExpr, printProblem } from '../parse.ts'
import { vectorSamplesOf } from '../result.ts'
import { parseScript, type Command, type EvalCommand, type Expectation, type ExpectKind } from './script.ts'
import type { SequenceValue } from './series-description.ts'
import { MemoryStorage } from './storage.ts'

export type EvalOutcome = Readonly<{ line: number; expr: string; problem: string | null }>
export type ScriptOutcome = Readonly<{ evals: readonly EvalOutcome[]; problem: Readonly<{ line: number; message: string }> | null }>

export type RunnerOptions = Readonly<{
  delayedNameRemoval: boolean
  lookbackMs: number
  samplesMax: number
  defaultSubqueryStepMs: number
}>

/** As upstream's own tests run. */
export const upstreamOptions: RunnerOptions = {
  delayedNameRemoval: true,
  lookbackMs: 300_000,
  samplesMax: 10_000,
  defaultSubqueryStepMs: 60_000,
}

const epsilon = 0.000001

/** Runs every command of a script, whatever happened before, and says what became of its evals. */
export function runScript(text: string, options: RunnerOptions = upstreamOptions): ScriptOutcome {
  const { commands, problem } = parseScript(text)
  const storage = new MemoryStorage()
  const evals: EvalOutcome[] = []
  for (const command of commands) {
    if (command.kind === 'clear') storage.clear()
    else if (command.kind === 'load') {
      const failed = load(command, storage)
      if (failed !== null) return { evals, problem: { line: command.line, message: failed } }
    } else evals.push({ line: command.line, expr: command.expr, problem: new EvalRun(command, storage, options).run() })
  }
  return { evals, problem }
}

function load(command: Command & { kind: 'load' }, storage: MemoryStorage): string | null {
  for (const { labels, values, startOffsets } of command.series) {
    values.forEach((value, i) => {
      if (value.omitted) return
      const time = i * command.stepMs
      const offset = startOffsets === null ? null : startOffsets[i]!
      storage.append(
        labels,
        time,
        value.histogram === null ? value.value : value.histogram.sum,
        value.histogram,
        offset === null ? 0 : time + offset,
      )
    })
  }
  return command.withNhcb ? loadNhcb(command, storage) : null
}

/** Classic histograms of the load, also as native ones with custom buckets. */
function loadNhcb(command: Command & { kind: 'load' }, storage: MemoryStorage): string | null {
  const found = new Map<string, { labels: Labels; at: Map<number, ClassicHistogram> }>()
  for (const { labels, values } of command.series) {
    const named = classicPart(metricName(labels))
    if (named === null) continue
    const bound = named.part === 'bucket' ? parseGoFloat(labelValue(labels, 'le')) : 0
    if (bound === null || Number.isNaN(bound)) continue
    const base = withLabel(withLabel(labels, '__name__', named.base), 'le', '')
    const key = labelsKey(base)
    let histogram = found.get(key)
    if (histogram === undefined) found.set(key, (histogram = { labels: base, at: new Map() }))
    values.forEach((value, i) => {
      if (value.omitted || value.histogram !== null) return
      let classic = histogram.at.get(i)
      if (classic === undefined) histogram.at.set(i, (classic = new ClassicHistogram()))
      if (named.part === 'bucket') classic.addBucket(bound, value.value)
      else if (named.part === 'count') classic.setCount(value.value)
      else classic.setSum(value.value)
    })
  }
  for (const { labels, at } of found.values())
    for (const [i, classic] of at) {
      const histogram = classic.convert()
      if (typeof histogram === 'string') return histogram
      const problem = checkHistogram(histogram)
      if (problem !== null) return problem
      storage.append(labels, i * command.stepMs, histogram.sum, histogram)
    }
  return null
}

class Failed extends Error {}

class EvalRun {
  readonly #command: EvalCommand
  readonly #storage: MemoryStorage
  readonly #options: RunnerOptions
  constructor(command: EvalCommand, storage: MemoryStorage, options: RunnerOptions) {
    this.#command = command
    this.#storage = storage
    this.#options = options
  }

  /** Null where all is as expected. */
  run(): string | null {
    try {
      const { expr, problems } = parseExpr(this.#command.expr, allFeatures)
      if (expr === null) {
        if (this.#fails()) this.#checkFailure(printProblem(this.#command.expr, problems[0]!))
        else throw new Failed(`cannot parse: ${printProblem(this.#command.expr, problems[0]!)}`)
        return null
      }
      if (this.#command.isRange) this.#runRange(expr)
      else this.#runInstant(expr)
      return null
    } catch (thrown) {
      if (thrown instanceof Failed) return thrown.message
      throw thrown
    }
  }

  #fails(): boolean {
    return this.#command.expects.has('fail')
  }

  #query(expr: Expr, startMs: number, endMs: number, stepMs: number): QueryResult {
    const { lookbackMs, samplesMax, defaultSubqueryStepMs, delayedNameRemoval } = this.#options
    const features = { delayedNameRemoval, useStartTimestamps: true, typeAndUnitLabels: false }
    return runQuery(
      plan(expr, { startMs, endMs, stepMs, lookbackMs, defaultSubqueryStepMs, features }),
      this.#storage,
      new Budget({ samplesMax }),
    )
  }

  /** The result, or null where the query failed as it should. */
  #expectedResult(expr: Expr, startMs: number, endMs: number, stepMs: number): QueryResult | null {
    let result: QueryResult
    try {
      result = this.#query(expr, startMs, endMs, stepMs)
    } catch (thrown) {
      if (thrown instanceof Error && thrown.name !== 'PromhiveError') throw thrown
      if (!this.#fails()) throw new Failed(`query failed: ${messageOf(thrown)}`)
      this.#checkFailure(messageOf(thrown))
      return null
    }
    if (this.#fails()) throw new Failed('expected an error but got none')
    return result
  }

  #checkFailure(message: string): void {
    const wanted = this.#command.expects.get('fail')![0]!
    if (!matches(wanted, message)) throw new Failed(`expected error ${printExpectation(wanted)}, got: ${message}`)
  }

  #runRange(expr: Expr): void {
    const { startMs, endMs, stepMs } = this.#command
    const result = this.#expectedResult(expr, startMs, endMs, stepMs)
    if (result === null) return
    this.#checkAnnotations(result)
    this.#compareMatrix(result.value, startMs, endMs, stepMs)
  }

  #runInstant(expr: Expr): void {
    const time = this.#command.startMs
    this.#runInstantAt(expr, time)
    const pinned = withTimes(expr, time)
    if (pinned === null) return
    const times = time === 0 ? [-1000, 0, 1000] : [-10 * time, 0, Math.trunc(time / 5), time, 10 * time]
    for (const other of times) {
      try {
        this.#runInstantAt(pinned, other)
      } catch (thrown) {
        if (thrown instanceof Failed) throw new Failed(`with @ ${time / 1000} at ${other / 1000}: ${thrown.message}`)
        throw thrown
      }
    }
  }

  #runInstantAt(expr: Expr, timeMs: number): void {
    const command = this.#command
    const result = this.#expectedResult(expr, timeMs, timeMs, 0)
    if (result === null) return
    this.#checkAnnotations(result)
    this.#compare(result.value)
    if (command.rangeVector !== null || command.expectedString !== null) return
    if (/(?:start|end|range|step)\(\)/.test(command.expr)) return
    let ranged: QueryResult
    try {
      ranged = this.#query(expr, timeMs - 60_000, timeMs + 60_000, 60_000)
    } catch (thrown) {
      if (thrown instanceof Error && thrown.name !== 'PromhiveError') throw thrown
      throw new Failed(`in range mode: query failed: ${messageOf(thrown)}`)
    }
    if (command.expects.has('ordered')) return
    const samples: VectorSample[] = []
    for (const series of matrixSeries(ranged.value)) {
      const f = series.times.indexOf(timeMs)
      const h = series.histogramTimes.indexOf(timeMs)
      if (f >= 0) samples.push({ labels: series.labels, timeMs, value: series.values[f]!, histogram: null })
      else if (h >= 0) samples.push({ labels: series.labels, timeMs, value: 0, histogram: series.histograms[h]! })
    }
    try {
      if (result.value.kind === 'scalar') this.#compareScalar(samples[0]!.value)
      else this.#compareVector(samples)
    } catch (thrown) {
      if (thrown instanceof Failed) throw new Failed(`in range mode: ${thrown.message}`)
      throw thrown
    }
  }

  #checkAnnotations(result: QueryResult): void {
    const { expects, wantsWarning, wantsInfo, expr } = this.#command
    const { warnings, infos } = result.annotations.print(expr)
    if (wantsWarning && warnings.length === 0) throw new Failed('expected warnings but got none')
    if (wantsInfo && infos.length === 0) throw new Failed('expected infos but got none')
    this.#checkLevel('warn', 'no_warn', warnings, expects)
    this.#checkLevel('info', 'no_info', infos, expects)
  }
  #checkLevel(
    wanted: ExpectKind,
    unwanted: ExpectKind,
    actual: readonly string[],
    expects: ReadonlyMap<ExpectKind, readonly Expectation[]>,
  ): void {
    if (expects.has(unwanted) && actual.length > 0) throw new Failed(`unexpected ${wanted}: ${actual.join(' | ')}`)
    const all = expects.get(wanted)
    if (all === undefined) return
    if (actual.length === 0) throw new Failed(`expected ${wanted} ${printExpectation(all[0]!)} but there is none`)
    for (const one of all)
      if (!actual.some((text) => matches(one, text)))
        throw new Failed(`expected ${wanted} ${printExpectation(one)}, got: ${actual.join(' | ')}`)
    for (const text of actual) if (!all.some((one) => matches(one, text))) throw new Failed(`unexpected ${wanted}: ${text}`)
  }

  #compare(value: QueryValue): void {
    const { rangeVector, expectedString } = this.#command
    if (value.kind === 'string') {
      if (value.value !== (expectedString ?? '')) throw new Failed(`expected string "${expectedString}", got "${value.value}"`)
    } else if (value.kind === 'scalar') this.#compareScalar(value.value)
    else if (value.kind === 'vector') this.#compareVector(vectorSamplesOf(value))
    else {
      const times = rangeVector ?? { startMs: 0, endMs: 0, stepMs: 0 }
      this.#compareMatrix(value, times.startMs, times.endMs, times.stepMs)
    }
  }

  #compareScalar(actual: number): void {
    const { expectedScalar } = this.#command
    if (expectedScalar === null) throw new Failed(`expected vector or matrix, got scalar ${formatFloatG(actual)}`)
    if (!close(expectedScalar, actual)) throw new Failed(`expected scalar ${formatFloatG(expectedScalar)}, got ${formatFloatG(actual)}`)
  }

  #compareVector(samples: readonly VectorSample[]): void {
    const { expected, expectedScalar, expects } = this.#command
    if (expectedScalar !== null) throw new Failed(`expected scalar, got vector ${samples.map(printSample).join(' ')}`)
    const left = new Map(expected.map((series, i) => [labelsKey(series.labels), { series, position: i }] as const))
    samples.forEach((sample, position) => {
      const shown = printLabels(sample.labels)
      const wanted = left.get(labelsKey(sample.labels))
      if (wanted === undefined) throw new Failed(`unexpected series ${printSample(sample)}`)
      const want = wanted.series.values[0]!
      if (expects.has('ordered') && wanted.position !== position)
        throw new Failed(`expected ${shown} at position ${wanted.position + 1}, was at ${position + 1}`)
      if (want.histogram === null && sample.histogram === null) {
        if (!close(want.value, sample.value))
          throw new Failed(`expected ${printWanted(want)} for ${shown}, got ${formatFloatG(sample.value)}`)
      } else if (want.histogram === null || sample.histogram === null || !histogramsMatch(want, sample.histogram))
        throw new Failed(`expected ${printWanted(want)} for ${shown}, got ${printSample(sample)}`)
    })
    const seen = new Set(samples.map((sample) => labelsKey(sample.labels)))
    for (const [key, { series }] of left)
      if (!seen.has(key))
        throw new Failed(`expected series ${printLabels(series.labels)} ${series.values.map(printWanted).join(' ')} not found`)
  }

  #compareMatrix(value: QueryValue, startMs: number, endMs: number, stepMs: number): void {
    const { expected, expectedScalar, expects } = this.#command
    if (expects.has('ordered')) throw new Failed('expected ordered result, but query returned a matrix')
    const all = matrixSeries(value)
    if (expectedScalar !== null) throw new Failed(`expected scalar, got matrix with ${all.length} series`)
    for (let i = 1; i < all.length; i++)
      if (compareLabels(all[i - 1]!.labels, all[i]!.labels) > 0)
        throw new Failed(`matrix is not sorted by labels: ${printLabels(all[i - 1]!.labels)} before ${printLabels(all[i]!.labels)}`)
    const left = new Map(expected.map((series) => [labelsKey(series.labels), series] as const))
    for (const series of all) {
      const wanted = left.get(labelsKey(series.labels))
      if (wanted === undefined) throw new Failed(`unexpected series ${printRaw(series)}`)
      compareSeries(series, wanted.values, startMs, endMs, stepMs)
    }
    const seen = new Set(all.map((series) => labelsKey(series.labels)))
    for (const [key, series] of left) if (!seen.has(key)) throw new Failed(`expected series ${printLabels(series.labels)} not found`)
  }
}

function compareSeries(series: RawSeries, wanted: readonly SequenceValue[], startMs: number, endMs: number, stepMs: number): void {
  let f = 0
  let h = 0
  const shown = printLabels(series.labels)
  const wrong = (time: number, want: string): never => {
    throw new Failed(`expected ${want} at ${time / 1000} for ${shown}, got ${printRaw(series)}`)
  }
  wanted.forEach((want, i) => {
    const time = startMs + i * stepMs
    if (time > endMs) throw new Failed(`expected ${wanted.length} points for ${shown}, but the time range cannot have so many`)
    if (want.omitted) return
    if (want.histogram === null) {
      if (series.times[f] !== time || !close(want.value, series.values[f]!)) wrong(time, printWanted(want))
      f++
    } else {
      if (series.histogramTimes[h] !== time || !histogramsMatch(want, series.histograms[h]!)) wrong(time, printWanted(want))
      h++
    }
  })
  if (f !== series.times.length || h !== series.histograms.length)
    throw new Failed(`expected ${f} floats and ${h} histograms for ${shown}, got ${printRaw(series)}`)
}

/** Equal within a millionth; a staleness marker only equals another. */
function close(a: number, b: number): boolean {
  if (isStale(a) || isStale(b)) return isStale(a) && isStale(b)
  return almostEqual(a, b, epsilon)
}

function histogramsMatch(want: SequenceValue, actual: Histogram): boolean {
  const a = compact(want.histogram!)
  const b = compact(actual)
  const counts = (x: Float64Array, y: Float64Array): boolean => x.length === y.length && x.every((count, i) => close(count, y[i]!))
  return (
    a.schema === b.schema &&
    close(a.count, b.count) &&
    close(a.sum, b.sum) &&
    (a.schema !== -53 || boundsMatch(a.customBounds, b.customBounds)) &&
    a.zeroThreshold === b.zeroThreshold &&
    close(a.zeroCount, b.zeroCount) &&
    spansMatch(a.negativeSpans, b.negativeSpans) &&
    counts(a.negativeBuckets, b.negativeBuckets) &&
    spansMatch(a.positiveSpans, b.positiveSpans) &&
    counts(a.positiveBuckets, b.positiveBuckets) &&
    (!want.hintSet || a.counterReset === b.counterReset)
  )
}

function matches({ message, regex }: Expectation, text: string): boolean {
  return regex === null ? message === null || message === text : regex.test(text)
}
function printExpectation({ message, regex }: Expectation): string {
  return regex === null ? (message === null ? '(any)' : `"${message}"`) : `/${regex.source}/`
}
function printWanted(want: SequenceValue): string {
  return want.histogram === null ? formatFloatG(want.value) : printTestHistogram(want.histogram)
}
function printSample(sample: VectorSample): string {
  const value = sample.histogram === null ? formatFloatG(sample.value) : printTestHistogram(withoutDefault(sample.histogram))
  return `${printLabels(sample.labels)} ${value}`
}
function withoutDefault(histogram: Histogram): Histogram {
  return histogram.counterReset === counterReset.unknown ? histogram : { ...histogram }
}
function printRaw(series: RawSeries): string {
  const floats = Array.from(series.values, (value, i) => `${formatFloatG(value)}@${series.times[i]! / 1000}`)
  const histograms = series.histograms.map((h, i) => `${printTestHistogram(h)}@${series.histogramTimes[i]! / 1000}`)
  return `${printLabels(series.labels)} ${[...floats, ...histograms].join(' ')}`
}

const atUnsafe: ReadonlySet<string> = new Set([
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'end',
  'hour',
  'minute',
  'month',
  'year',
  'predict_linear',
  'range',
  'start',
  'step',
  'time',
  'timestamp',
])

/** The expression with `@ time` on every selector and subquery that has none; null where its result depends on the time all the same. */
function withTimes(expr: Expr, timeMs: number): Expr | null {
  const at: AtModifier = { kind: 'time', timeMs }
  let safe = true
  const visit = (node: Expr): Expr => {
    switch (node.kind) {
      case 'selector':
        return node.at === null ? { ...node, at } : node
      case 'matrix':
        return { ...node, selector: visit(node.selector) as typeof node.selector }
      case 'subquery':
        // what is inside is evaluated at the times of the subquery
        return node.at === null ? { ...node, at, expr: unpinned(node.expr) } : { ...node, expr: unpinned(node.expr) }
      case 'call':
        if (atUnsafe.has(node.func)) safe = false
        return { ...node, args: node.args.map(visit) }
      case 'aggregate':
        return { ...node, expr: visit(node.expr), param: node.param === null ? null : visit(node.param) }
      case 'binary':
        return { ...node, left: visit(node.left), right: visit(node.right) }
      case 'unary':
      case 'paren':
        return { ...node, expr: visit(node.expr) }
      default:
        return node
    }
  }
  const unpinned = (node: Expr): Expr => {
    forEachCall(node, (func) => {
      if (atUnsafe.has(func)) safe = false
    })
    return node
  }
  const pinned = visit(expr)
  return safe ? pinned : null
}

function forEachCall(node: Expr, each: (func: string) => void): void {
  switch (node.kind) {
    case 'call':
      each(node.func)
      for (const arg of node.args) forEachCall(arg, each)
      return
    case 'aggregate':
      forEachCall(node.expr, each)
      if (node.param !== null) forEachCall(node.param, each)
      return
    case 'binary':
      forEachCall(node.left, each)
      forEachCall(node.right, each)
      return
    case 'unary':
    case 'paren':
    case 'subquery':
      forEachCall(node.expr, each)
      return
    default:
  }
}
