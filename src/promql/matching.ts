// Binary operators between two vectors, and between a vector and a scalar. Which series belong together is found once for all steps; then
// every pair is a loop over columns. Source: prometheus promql/engine.go VectorBinop, VectorAnd, VectorOr, VectorUnless.
import { labelsKey, labelValue, onlyLabels, printLabels, withLabel, withoutLabels, type Labels } from '../model/labels.ts'
import type { Annotations } from './annotations.ts'
import type { BinaryOp, Span, VectorMatching } from './ast.ts'
import { executionError, type Budget } from './budget.ts'
import { changesMetric, histogramOperation, isComparison, scalarOperation } from './operators.ts'
import {
  absent,
  dropsName,
  duplicateText,
  emptyVector,
  floatSample,
  histogramSample,
  nextRow,
  pushRow,
  settleNames,
  startVector,
  withoutMetadata,
  type HistogramRow,
  type Vector,
} from './vector.ts'

export type BinaryContext = Readonly<{
  op: BinaryOp
  returnBool: boolean
  span: Span
  /** Names are dropped at the end of the query instead of here. */
  delayed: boolean
  annotations: Annotations
  budget: Budget
}>

/** The part of the labels that has to be equal on both sides, as a key. */
function signature(labels: Labels, matching: VectorMatching, names: readonly string[], nameSet: ReadonlySet<string>): string {
  if (matching.on) {
    if (names.length === 1) return labelValue(labels, names[0]!)
    let key = ''
    for (const name of names) key += labelValue(labels, name) + '\xff'
    return key
  }
  let key = ''
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!
    if (name === '__name__' || nameSet.has(name)) continue
    key += name + '\xff' + labels[i + 1]! + '\xff'
  }
  return key
}

/** Numbers for signatures: the same on both sides where they match. */
class Signatures {
  readonly #matching: VectorMatching
  readonly #names: readonly string[]
  readonly #nameSet: ReadonlySet<string>
  readonly #known = new Map<string, number>()
  constructor(matching: VectorMatching) {
    this.#matching = matching
    this.#names = [...matching.labels].sort()
    this.#nameSet = new Set(matching.labels)
  }
  get count(): number {
    return this.#known.size
  }
  of(vector: Vector): Int32Array {
    const out = new Int32Array(vector.length)
    for (let i = 0; i < vector.length; i++) {
      const key = signature(vector.labels[i]!, this.#matching, this.#names, this.#nameSet)
      let number = this.#known.get(key)
      if (number === undefined) this.#known.set(key, (number = this.#known.size))
      out[i] = number
    }
    return out
  }
}

/** Rows of a result by their labels: rows with equal labels are one series, which must not have two samples at one step. */
class ResultRows {
  readonly vector: Vector
  readonly #budget: Budget
  readonly #rows = new Map<string, number>()
  readonly #strict: boolean
  /** @param strict equal labels are an error (or, with delayed names, two rows) where there is only one step. */
  constructor(steps: number, rows: number, strict: boolean, budget: Budget) {
    this.vector = startVector(steps, rows, budget)
    this.#budget = budget
    this.#strict = strict
  }
  /** The row's number: new, or that of the series with these labels. */
  row(labels: Labels, dropName: boolean): number {
    const { vector } = this
    const key = labelsKey(labels)
    const known = this.#rows.get(key)
    if (known !== undefined && (this.#strict || vector.steps > 1)) return known
    const base = nextRow(vector, this.#budget)
    vector.presence.fill(absent, base, base + vector.steps)
    const row = vector.length
    pushRow(vector, labels, null, dropName)
    this.#rows.set(key, row)
    return row
  }
  claim(cell: number): void {
    if (this.vector.presence[cell] !== absent) throw executionError(duplicateText)
  }
  setHistogram(row: number, step: number, histogram: NonNullable<HistogramRow[number]>): void {
    const { vector } = this
    vector.presence[row * vector.steps + step] = histogramSample
    vector.values[row * vector.steps + step] = 0
    vector.histograms ??= new Array<HistogramRow | null>(vector.length).fill(null)
    while (vector.histograms.length < vector.length) vector.histograms.push(null)
    vector.histograms[row] ??= []
    vector.histograms[row][step] = histogram
  }
  /** Rows that stayed empty are left out. */
  finish(): Vector {
    const { vector } = this
    const { steps } = vector
    if (vector.histograms !== null) while (vector.histograms.length < vector.length) vector.histograms.push(null)
    const full: number[] = []
    for (let i = 0; i < vector.length; i++) {
      for (let cell = i * steps; cell < (i + 1) * steps; cell++) {
        if (vector.presence[cell] !== absent) {
          full.push(i)
          break
        }
      }
    }
    if (full.length === vector.length) return vector
    const out = emptyVector(steps)
    out.values = new Float64Array(full.length * steps)
    out.presence = new Uint8Array(full.length * steps)
    for (const row of full) {
      const base = out.length * steps
      out.values.set(vector.values.subarray(row * steps, (row + 1) * steps), base)
      out.presence.set(vector.presence.subarray(row * steps, (row + 1) * steps), base)
      pushRow(out, vector.labels[row]!, vector.histograms === null ? null : vector.histograms[row]!, dropsName(vector, row))
    }
    return out
  }
}

/** `and`, `or`, `unless`. */
export function setOperation(left: Vector, right: Vector, matching: VectorMatching, context: BinaryContext): Vector {
  const { op, budget, delayed } = context
  settleNames(left)
  settleNames(right)
  const { steps } = left
  const signatures = new Signatures(matching)
  const leftOf = signatures.of(left)
  const rightOf = signatures.of(right)
  budget.tick((left.length + right.length) * 8)
  // steps at which any series of a signature has a sample, on the side that decides
  const deciding = op === 'or' ? left : right
  const decidingOf = op === 'or' ? leftOf : rightOf
  budget.cells(signatures.count * steps)
  const there = new Uint8Array(signatures.count * steps)
  for (let i = 0; i < deciding.length; i++) {
    budget.tick(steps)
    const base = decidingOf[i]! * steps
    for (let k = 0; k < steps; k++) if (deciding.presence[i * steps + k] !== absent) there[base + k] = 1
  }
  if (op !== 'or') {
    const out = startVector(steps, left.length, budget)
    out.distinctWithoutNames = left.distinctWithoutNames
    for (let i = 0; i < left.length; i++) {
      const base = nextRow(out, budget)
      copyWhere(left, i, there, leftOf[i]! * steps, op === 'and' ? 1 : 0, out, base, budget)
    }
    return out
  }
  if (right.length === 0) return left
  if (left.length === 0) return right
  const rows = new ResultRows(steps, left.length + right.length, !delayed, budget)
  const none = new Uint8Array(steps)
  for (const [side, sides, vector] of [
    [none, null, left],
    [there, rightOf, right],
  ] as const) {
    for (let i = 0; i < vector.length; i++) {
      budget.tick(steps)
      let row = -1
      const base = sides === null ? 0 : sides[i]! * steps
      for (let k = 0; k < steps; k++) {
        const from = i * steps + k
        const kind = vector.presence[from]!
        if (kind === absent || side[base + k] === 1) continue
        if (row < 0) row = rows.row(vector.labels[i]!, dropsName(vector, i))
        const cell = row * steps + k
        rows.claim(cell)
        if (kind === histogramSample) rows.setHistogram(row, k, vector.histograms![i]![k]!)
        else {
          rows.vector.presence[cell] = floatSample
          rows.vector.values[cell] = vector.values[from]!
        }
      }
    }
  }
  // series that differ only in their names may come from both sides
  const out = rows.finish()
  out.distinctWithoutNames = false
  return out
}

/** Appends row `i` of a vector with the cells whose mask is `wanted`. */
function copyWhere(
  from: Vector,
  i: number,
  mask: Uint8Array,
  maskBase: number,
  wanted: number,
  out: Vector,
  base: number,
  budget: Budget,
): void {
  const { steps } = from
  budget.tick(steps)
  const own = from.histograms === null ? null : from.histograms[i]!
  let histograms: HistogramRow | null = null
  let any = false
  for (let k = 0; k < steps; k++) {
    const kind = mask[maskBase + k] === wanted ? from.presence[i * steps + k]! : absent
    out.presence[base + k] = kind
    if (kind === absent) continue
    any = true
    out.values[base + k] = from.values[i * steps + k]!
    if (kind === histogramSample) {
      histograms ??= []
      histograms[k] = own![k]!
    }
  }
  if (any) pushRow(out, from.labels[i]!, histograms, dropsName(from, i))
}

/** Arithmetic, comparison and trim operators between vectors. */
export function vectorOperation(left: Vector, right: Vector, matching: VectorMatching, context: BinaryContext): Vector {
  const { steps } = left
  const { fillLeft, fillRight } = matching
  const noFill = fillLeft === null && fillRight === null
  if ((left.length === 0 && right.length === 0) || ((left.length === 0 || right.length === 0) && noFill)) return emptyVector(steps)
  settleNames(left)
  settleNames(right)
  context.budget.tick((left.length + right.length) * 8)
  return new Join(left, right, matching, context).run()
}

/** One side has at most one series a signature and step ("one"), the other may have more ("many"; with one-to-one it is the left side). */
class Join {
  readonly #matching: VectorMatching
  readonly #context: BinaryContext
  readonly #many: Vector
  readonly #one: Vector
  readonly #manyOf: Int32Array
  readonly #oneOf: Int32Array
  readonly #signatureCount: number
  readonly #swapped: boolean
  readonly #rows: ResultRows
  readonly #steps: number
  readonly #float: (a: number, b: number) => number
  readonly #compares: boolean
  readonly #trims: boolean
  readonly #include: ReadonlySet<string>
  readonly #labelSet: ReadonlySet<string>
  /** Steps at which a signature has had a result (one-to-one): a second one is an error. */
  readonly #matched: Uint8Array
  /** Labels of results within a signature (many-to-one), to find two that are the same at one step. */
  readonly #inserted = new Map<string, Uint8Array>()

  constructor(left: Vector, right: Vector, matching: VectorMatching, context: BinaryContext) {
    this.#matching = matching
    this.#context = context
    this.#swapped = matching.cardinality === 'one-to-many'
    this.#many = this.#swapped ? right : left
    this.#one = this.#swapped ? left : right
    const signatures = new Signatures(matching)
    this.#manyOf = signatures.of(this.#many)
    this.#oneOf = signatures.of(this.#one)
    this.#signatureCount = signatures.count
    this.#steps = left.steps
    this.#compares = isComparison(context.op)
    this.#trims = context.op === '</' || context.op === '>/'
    this.#float = this.#trims ? () => 0 : scalarOperation(context.op)
    this.#include = new Set(matching.include)
    this.#labelSet = new Set(matching.labels)
    context.budget.cells(signatures.count * this.#steps)
    this.#matched = new Uint8Array(signatures.count * this.#steps)
    this.#rows = new ResultRows(
      this.#steps,
      Math.min(this.#many.length, Math.max(this.#many.length, this.#one.length)),
      !context.delayed,
      context.budget,
    )
  }

  run(): Vector {
    const { budget } = this.#context
    const steps = this.#steps
    const ones = this.#onesOf()
    const { fillLeft, fillRight } = this.#matching
    const covered = new Uint8Array(steps)
    for (let i = 0; i < this.#many.length; i++) {
      const candidates = ones[this.#manyOf[i]!]!
      budget.tick(steps * (candidates.length + 1))
      if (fillRight !== null) covered.fill(0)
      for (const j of candidates) this.#pair(i, j, fillRight === null ? null : covered)
      if (fillRight !== null) this.#fillOne(i, covered, fillRight)
    }
    if (fillLeft !== null) {
      for (let j = 0; j < this.#one.length; j++) {
        budget.tick(steps)
        this.#fillMany(j, fillLeft)
      }
    }
    const out = this.#rows.finish()
    // names are gone where the operator takes them; matching labels may still be metadata
    out.distinctWithoutNames = false
    return out
  }

  /** Series of the "one" side by signature; two of them at one step are an error. */
  #onesOf(): number[][] {
    const ones: number[][] = Array.from({ length: this.#signatureCount }, () => [])
    const one = this.#one
    const steps = this.#steps
    for (let j = 0; j < one.length; j++) ones[this.#oneOf[j]!]!.push(j)
    let first = Infinity
    let clash: readonly [number, number] | null = null
    for (const candidates of ones) {
      if (candidates.length < 2) continue
      const holder = new Int32Array(steps).fill(-1)
      for (const j of candidates) {
        this.#context.budget.tick(steps)
        for (let k = 0; k < steps && k < first; k++) {
          if (one.presence[j * steps + k] === absent) continue
          if (holder[k] !== -1 && this.#isEvaluated(k)) {
            first = k
            clash = [holder[k]!, j]
          }
          holder[k] = j
        }
      }
    }
    if (clash !== null) this.#failDuplicate(clash[0], clash[1])
    return ones
  }

  /** Where nothing at all is on the other side nothing is matched, so nothing can clash. */
  #isEvaluated(step: number): boolean {
    if (this.#matching.fillLeft !== null || this.#matching.fillRight !== null) return true
    for (let i = 0; i < this.#many.length; i++) if (this.#many.presence[i * this.#steps + step] !== absent) return true
    return false
  }

  #failDuplicate(a: number, b: number): never {
    const { labels } = this.#one
    const group = printLabels(this.#matchLabels(labels[b]!))
    const [first, second] = [printLabels(labels[a]!), printLabels(labels[b]!)].sort()
    const side = this.#swapped ? 'left' : 'right'
    throw executionError(
      `found duplicate series for the match group ${group} on the ${side} hand-side of the operation: [${first}, ${second}]` +
        ';many-to-many matching not allowed: matching labels must be unique on one side',
    )
  }

  #matchLabels(labels: Labels): Labels {
    if (this.#matching.on) return onlyLabels(labels, this.#labelSet)
    return withoutLabels(labels, new Set([...this.#labelSet, '__name__']))
  }

  #pair(i: number, j: number, covered: Uint8Array | null): void {
    const many = this.#many
    const one = this.#one
    const steps = this.#steps
    const a = i * steps
    const b = j * steps
    let target: Target | null = null
    const plain = many.histograms === null && one.histograms === null && !this.#trims
    for (let k = 0; k < steps; k++) {
      if (one.presence[b + k] === absent) continue
      if (covered !== null) covered[k] = 1
      if (many.presence[a + k] === absent) continue
      target ??= this.#target(many.labels[i]!, one.labels[j]!, this.#manyOf[i]!)
      if (plain) this.#setFloat(target, k, many.values[a + k]!, one.values[b + k]!)
      else
        this.#set(
          target,
          k,
          many.values[a + k]!,
          many.presence[a + k] === histogramSample ? many.histograms![i]![k]! : null,
          one.values[b + k]!,
          one.presence[b + k] === histogramSample ? one.histograms![j]![k]! : null,
        )
    }
  }

  /** Steps of a "many" series at which the "one" side has nothing, with the value filled in. */
  #fillOne(i: number, covered: Uint8Array, fill: number): void {
    const many = this.#many
    const a = i * this.#steps
    let target: Target | null = null
    for (let k = 0; k < this.#steps; k++) {
      const kind = many.presence[a + k]!
      if (kind === absent || covered[k] === 1) continue
      target ??= this.#target(many.labels[i]!, this.#matchLabels(many.labels[i]!), this.#manyOf[i]!)
      this.#set(target, k, many.values[a + k]!, kind === histogramSample ? many.histograms![i]![k]! : null, fill, null)
    }
  }

  /** Steps of a "one" series that had no result, with the value filled in for the other side. */
  #fillMany(j: number, fill: number): void {
    const one = this.#one
    const b = j * this.#steps
    const signatureBase = this.#oneOf[j]! * this.#steps
    let target: Target | null = null
    for (let k = 0; k < this.#steps; k++) {
      const kind = one.presence[b + k]!
      if (kind === absent || this.#matched[signatureBase + k] === 1) continue
      target ??= this.#target(this.#matchLabels(one.labels[j]!), one.labels[j]!, this.#oneOf[j]!)
      this.#set(target, k, fill, null, one.values[b + k]!, kind === histogramSample ? one.histograms![j]![k]! : null)
    }
  }

  /** The labels of the result of two series, and what is needed to find clashes. */
  #target(many: Labels, one: Labels, signatureNumber: number): Target {
    const { op, returnBool, delayed } = this.#context
    const { cardinality, on } = this.#matching
    let labels = (returnBool && !delayed) || changesMetric(op) ? withoutMetadata(many) : many
    const oneToOne = cardinality === 'one-to-one'
    if (oneToOne) {
      if (on) labels = onlyLabels(labels, this.#labelSet)
      else if (this.#labelSet.size > 0) labels = withoutLabels(labels, this.#labelSet)
    }
    for (const name of this.#include) labels = withLabel(labels, name, labelValue(one, name))
    let inserted: Uint8Array | null = null
    if (!oneToOne) {
      const key = `${signatureNumber}\xff${labelsKey(labels)}`
      inserted = this.#inserted.get(key) ?? null
      if (inserted === null) this.#inserted.set(key, (inserted = new Uint8Array(this.#steps)))
    }
    return { labels, row: -1, matchedBase: signatureNumber * this.#steps, inserted }
  }

  /** Notes a match; a second one for the same signature (or labels) is an error. */
  #claimMatch(target: Target, k: number): void {
    const cell = target.matchedBase + k
    if (target.inserted === null) {
      if (this.#matched[cell] === 1)
        throw executionError('multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)')
    } else {
      if (target.inserted[k] === 1) throw executionError('multiple matches for labels: grouping labels must ensure unique matches')
      target.inserted[k] = 1
    }
    this.#matched[cell] = 1
  }

  #setFloat(target: Target, k: number, manyValue: number, oneValue: number): void {
    const a = this.#swapped ? oneValue : manyValue
    const b = this.#swapped ? manyValue : oneValue
    const value = this.#float(a, b)
    this.#claimMatch(target, k)
    if (!this.#compares || this.#context.returnBool) this.#write(target, k, value)
    else if (value === 1) this.#write(target, k, a)
  }

  #set(
    target: Target,
    k: number,
    manyValue: number,
    manyHistogram: NonNullable<HistogramRow[number]> | null,
    oneValue: number,
    oneHistogram: NonNullable<HistogramRow[number]> | null,
  ): void {
    const { op, span, annotations, returnBool } = this.#context
    if (manyHistogram === null && oneHistogram === null) {
      if (this.#trims) annotations.incompatibleTypes('float', op, 'float', span)
      else this.#setFloat(target, k, manyValue, oneValue)
      return
    }
    const outcome = this.#swapped
      ? histogramOperation(op, oneValue, oneHistogram, manyValue, manyHistogram, span, annotations)
      : histogramOperation(op, manyValue, manyHistogram, oneValue, oneHistogram, span, annotations)
    if (outcome === null) return
    this.#claimMatch(target, k)
    if (returnBool) this.#write(target, k, outcome.keep ? 1 : 0)
    else if (outcome.keep) {
      this.#place(target, k)
      this.#rows.setHistogram(target.row, k, outcome.histogram)
    }
  }

  #place(target: Target, k: number): number {
    if (target.row < 0) target.row = this.#rows.row(target.labels, this.#context.returnBool)
    const cell = target.row * this.#steps + k
    this.#rows.claim(cell)
    return cell
  }

  #write(target: Target, k: number, value: number): void {
    const cell = this.#place(target, k)
    const { vector } = this.#rows
    vector.presence[cell] = floatSample
    vector.values[cell] = value
  }
}

type Target = { readonly labels: Labels; row: number; readonly matchedBase: number; readonly inserted: Uint8Array | null }

/** An operator between a vector and a scalar of every step. @param swapped the scalar is on the left. */
export function scalarVectorOperation(vector: Vector, scalar: Float64Array, swapped: boolean, context: BinaryContext): Vector {
  const { op, returnBool, span, annotations, budget, delayed } = context
  const { steps } = vector
  const compares = isComparison(op)
  const trims = op === '</' || op === '>/'
  const float = trims ? () => 0 : scalarOperation(op)
  const dropsNames = changesMetric(op) || returnBool
  const out = startVector(steps, vector.length, budget)
  out.namesPending = vector.namesPending || (dropsNames && !delayed)
  out.distinctWithoutNames = vector.distinctWithoutNames
  for (let i = 0; i < vector.length; i++) {
    budget.tick(steps)
    const from = i * steps
    const base = nextRow(out, budget)
    const own = vector.histograms === null ? null : vector.histograms[i]!
    let histograms: HistogramRow | null = null
    let any = false
    for (let k = 0; k < steps; k++) {
      const kind = vector.presence[from + k]!
      out.presence[base + k] = absent
      if (kind === absent) continue
      const value = vector.values[from + k]!
      const other = scalar[k]!
      if (kind === floatSample) {
        if (trims) {
          annotations.incompatibleTypes('float', op, 'float', span)
          continue
        }
        const result = swapped ? float(other, value) : float(value, other)
        if (compares && !returnBool) {
          if (result === 0) continue
          out.values[base + k] = value // a comparison keeps the vector's value, whichever side it is on
        } else out.values[base + k] = result
        out.presence[base + k] = floatSample
        any = true
        continue
      }
      const histogram = own![k]!
      const outcome = swapped
        ? histogramOperation(op, other, null, value, histogram, span, annotations)
        : histogramOperation(op, value, histogram, other, null, span, annotations)
      if (outcome === null) continue
      histograms ??= []
      histograms[k] = outcome.histogram
      out.presence[base + k] = histogramSample
      out.values[base + k] = 0
      any = true
    }
    if (any) pushRow(out, vector.labels[i]!, histograms, dropsName(vector, i) || (dropsNames && delayed))
  }
  return out
}
