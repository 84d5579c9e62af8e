// OpenMetrics 1.0 to the letter, for `promhive tool check metrics`: what an exporter must hold, beyond what a scrape forgives.
// The lines are read by LineReader; here is checked what spans lines: families, groups, suffixes, values, buckets, times.
// Source: the OpenMetrics 1.0.0 specification (https://prometheus.io/docs/specs/om/open_metrics_spec/).
import { messageOf } from '../../src/base/errors.ts'
import { labelValue, withLabel, type Labels } from '../../src/model/labels.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import { readExemplar, readFamily, readLabels } from './entries.ts'
import { entry, LineReader, terminated } from './line-reader.ts'
import { decodeEscaped } from './line-text.ts'
import { parseNumber, parseNumberBytes } from './numbers.ts'

/** `line` is 1 for the first. */
export type ExpositionProblem = Readonly<{ line: number; message: string }>

/** Suffixes that samples of a type may have; other types have none. */
const suffixes: Readonly<Partial<Record<MetricType, readonly string[]>>> = {
  counter: ['_total', '_created'],
  summary: ['', '_count', '_sum', '_created'],
  histogram: ['_count', '_sum', '_bucket', '_created'],
  gaugehistogram: ['_gcount', '_gsum', '_bucket'],
  info: ['_info'],
}
const plain: readonly string[] = ['']

/** The problems of a body, the first one only: after it the rest cannot be trusted. Empty = good. Never throws. */
export function checkOpenMetrics(body: Uint8Array): readonly ExpositionProblem[] {
  const checker = new Checker()
  const reader = new LineReader('openmetrics')
  const bytes = terminated(body)
  reader.open(bytes, body.length)
  let line = 1
  let counted = 0
  const lineAt = (offset: number): number => {
    for (; counted < offset; counted++) if (bytes[counted] === 10) line++
    return line
  }
  try {
    for (;;) {
      const kind = reader.next()
      if (kind === entry.problem) return [{ line: lineAt(reader.problemAt), message: reader.problem }]
      const at = lineAt(reader.start)
      let problem: string | null
      if (kind === entry.eof) problem = checker.finish()
      else if (kind === entry.series) problem = checkSpelling(reader) ?? checker.sample(reader)
      else problem = checker.metadata(reader, kind)
      if (problem !== null) return [{ line: at, message: problem }]
      if (kind === entry.eof) return []
    }
  } catch (thrown) {
    return [{ line: lineAt(reader.start), message: messageOf(thrown) }]
  }
}

/** What the scrape's grammar lets pass in one line. */
function checkSpelling(reader: LineReader): string | null {
  const { bytes, start, prefixEnd, position } = reader
  if (bytes[prefixEnd - 1] === 125 && bytes[prefixEnd - 2] === 44) return 'comma before the closing brace'
  const names = new Set<string>()
  for (let i = 0; i < reader.labelCount * 4; i += 4) {
    const name = decodeEscaped(bytes, reader.labels[i]!, reader.labels[i + 1]!)
    if (names.has(name)) return `label ${name} is given twice`
    names.add(name)
  }
  if (names.has('__name__')) return 'label __name__ is reserved'
  const tail = Array.from(bytes.subarray(prefixEnd, position - 1), (c) => String.fromCharCode(c)).join('')
  const exemplarAt = tail.indexOf(' # {')
  const numbers = (exemplarAt < 0 ? tail : tail.slice(0, exemplarAt)).slice(1).split(' ')
  if (exemplarAt >= 0) {
    const close = tail.lastIndexOf('} ')
    if (tail[close - 1] === ',') return 'comma before the closing brace'
    numbers.push(...tail.slice(close + 2).split(' '))
  }
  for (const text of numbers) if (!numberText.test(text)) return `${JSON.stringify(text)} is not a number of OpenMetrics`
  return start < 0 ? 'no sample' : null
}
const numberText = /^[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)$/i

type Sample = Readonly<{ suffix: string; labels: Labels; group: string; value: number; time: number | null }>

class Checker {
  #name: string | null = null
  #type: MetricType | null = null
  #hasHelp = false
  #unit: string | null = null
  #allowed: readonly string[] = []
  #samples: Sample[] = []
  /** Names of families that are over, with all their suffixes. */
  readonly #seen = new Set<string>()
  readonly #seenGroups = new Set<string>()
  #group: string | null = null
  #groupTime: number | null = null
  #groupSeries = new Set<string>()

  metadata(reader: LineReader, kind: number): string | null {
    const family = readFamily(reader)
    if (family === this.#name) {
      if (this.#samples.length > 0) return `metadata of ${family} after its samples`
    } else {
      const problem = this.#close()
      if (problem !== null) return problem
      this.#open(family, null)
    }
    if (kind === entry.help) {
      if (this.#hasHelp) return `more than one HELP for ${family}`
      this.#hasHelp = true
    } else if (kind === entry.type) {
      if (this.#type !== null) return `more than one TYPE for ${family}`
      this.#type = reader.type
      this.#allowed = (suffixes[reader.type] ?? plain).map((suffix) => family + suffix)
    } else {
      if (this.#unit !== null) return `more than one UNIT for ${family}`
      this.#unit = decodeEscaped(reader.bytes, reader.textStart, reader.textEnd)
    }
    return null
  }

  sample(reader: LineReader): string | null {
    const labels = readLabels(reader, 'unknown', null)
    const name = labelValue(labels, '__name__')
    if (!this.#allowed.includes(name)) {
      const problem = this.#close()
      if (problem !== null) return problem
      this.#open(name, 'unknown')
    }
    const type = this.#type ?? 'unknown'
    const family = this.#name!
    const suffix = name.slice(family.length)
    const { value } = reader
    const own = withLabel(labels, '__name__', '')
    const sample: Sample = {
      suffix,
      labels: own,
      group: groupOf(own, suffix, type, family),
      value,
      time: exactTime(reader),
    }
    const problem = checkValue(sample, type, family) ?? checkExemplar(reader, sample, type) ?? this.#checkGroup(sample, name)
    if (problem !== null) return problem
    this.#samples.push(sample)
    return null
  }

  finish(): string | null {
    return this.#close()
  }

  #open(name: string, type: MetricType | null): void {
    this.#name = name
    this.#type = type
    this.#hasHelp = false
    this.#unit = null
    this.#allowed = [name]
    this.#samples = []
    this.#seenGroups.clear()
    this.#group = null
  }

  /** Checks the family that ends here. */
  #close(): string | null {
    const name = this.#name
    if (name === null) return null
    const type = this.#type ?? 'unknown'
    for (const suffix of new Set([...(suffixes[type] ?? []), ''])) {
      if (this.#seen.has(name + suffix))
        return `name ${name + suffix} clashes with an earlier family, or the lines of a family don't stand together`
      this.#seen.add(name + suffix)
    }
    if (this.#unit !== null && this.#unit !== '') {
      if (!name.endsWith(`_${this.#unit}`)) return `unit ${this.#unit} is not a suffix of ${name}`
      if (type === 'info' || type === 'stateset') return `a ${type} has no unit`
    }
    return type === 'histogram' || type === 'gaugehistogram' ? checkBuckets(this.#samples) : null
  }

  #checkGroup(sample: Sample, name: string): string | null {
    if (sample.group !== this.#group) {
      if (this.#seenGroups.has(sample.group)) return `samples of one metric in ${this.#name} don't stand together`
      this.#groupSeries = new Set()
    } else {
      if ((sample.time === null) !== (this.#groupTime === null)) return 'some samples of a metric have a timestamp and some have not'
      if (sample.time !== null && sample.time < this.#groupTime! && this.#type !== 'info') return 'timestamps go backwards'
      if (sample.time !== null && sample.time > this.#groupTime!) this.#groupSeries = new Set()
    }
    const series = [name, ...sample.labels].join('\xff')
    if (this.#groupSeries.has(series) && sample.time === null) return 'the same sample a second time'
    this.#groupSeries.add(series)
    this.#seenGroups.add(sample.group)
    this.#group = sample.group
    this.#groupTime = sample.time
    return null
  }
}

/** Seconds as they were written: two times may differ by less than a millisecond. */
function exactTime(reader: LineReader): number | null {
  if (!reader.hasTime) return null
  const { bytes, prefixEnd } = reader
  const start = bytes.indexOf(32, prefixEnd + 1) + 1
  let end = start
  while (bytes[end] !== 32 && bytes[end] !== 10) end++
  return parseNumberBytes(bytes, start, end)
}

/** Samples of one metric share this: labels without the one that tells them apart within it. */
function groupOf(labels: Labels, suffix: string, type: MetricType, family: string): string {
  if (type === 'info') return ''
  const inner =
    type === 'summary' && suffix === ''
      ? 'quantile'
      : type === 'stateset'
        ? family
        : (type === 'histogram' || type === 'gaugehistogram') && suffix === '_bucket'
          ? 'le'
          : ''
  return (inner === '' ? labels : withLabel(labels, inner, '')).join('\xff')
}

const countLike: ReadonlySet<string> = new Set(['_total', '_sum', '_count', '_bucket', '_gcount', '_gsum'])

function checkValue({ suffix, labels, value }: Sample, type: MetricType, family: string): string | null {
  const has = (name: string): boolean => labels.some((text, i) => i % 2 === 0 && text === name)
  if (type === 'stateset') {
    if (!has(family)) return `stateset sample without the label ${family}`
    if (value !== 0 && value !== 1) return 'stateset samples are 0 or 1'
  }
  if (type === 'info' && value !== 1) return 'info samples are 1'
  if (type === 'summary' && suffix === '') {
    const quantile = parseNumber(labelValue(labels, 'quantile'))
    if (quantile === null || !(quantile >= 0 && quantile <= 1)) return 'quantile is not between 0 and 1'
    if (value < 0) return 'quantile values are not negative'
  }
  if (type === 'histogram' || type === 'gaugehistogram') {
    if (suffix === '_bucket') {
      const bound = labelValue(labels, 'le')
      const parsed = parseNumber(bound)
      if (parsed === null || Number.isNaN(parsed) || (parsed === Infinity && bound !== '+Inf')) return `invalid le ${JSON.stringify(bound)}`
    }
    if ((suffix === '_bucket' || suffix === '_count' || suffix === '_gcount') && !Number.isInteger(value)) return 'counts are whole numbers'
  }
  if (type === 'summary' && suffix === '_count' && !Number.isInteger(value)) return 'counts are whole numbers'
  if (type !== 'unknown' && type !== 'gauge' && countLike.has(suffix)) {
    if (Number.isNaN(value)) return `${suffix} is not NaN`
    if (value < 0 && suffix !== '_gsum') return `${suffix} is not negative`
  }
  return null
}

function checkExemplar(reader: LineReader, { suffix }: Sample, type: MetricType): string | null {
  if (!reader.hasExemplar) return null
  const allowed = suffix === '_bucket' ? type === 'histogram' || type === 'gaugehistogram' : suffix === '_total' && type === 'counter'
  if (!allowed) return 'only counters and buckets have exemplars'
  const { labels } = readExemplar(reader)
  let characters = 0
  for (let i = 0; i < labels.length; i++) {
    if (i % 2 === 0 && i > 0 && labels[i] === labels[i - 2]) return `exemplar label ${labels[i]} is given twice`
    for (const _ of labels[i]!) characters++
  }
  return characters > 128 ? `exemplar labels of ${characters} characters, at most 128 are allowed` : null
}

/** Buckets rise and end in +Inf, which is the count; a sum and a count come together. */
function checkBuckets(samples: readonly Sample[]): string | null {
  let from = 0
  while (from < samples.length) {
    let to = from + 1
    while (to < samples.length && samples[to]!.group === samples[from]!.group && samples[to]!.time === samples[from]!.time) to++
    const problem = checkOneHistogram(samples.slice(from, to))
    if (problem !== null) return problem
    from = to
  }
  return null
}

function checkOneHistogram(samples: readonly Sample[]): string | null {
  let bound = NaN
  let cumulative = 0
  let count: number | null = null
  let sum: number | null = null
  let gaugeSum: number | null = null
  let negativeBuckets = false
  for (const { suffix, labels, value } of samples) {
    if (suffix === '_bucket') {
      const next = parseNumber(labelValue(labels, 'le'))!
      if (next < 0) negativeBuckets = true
      if (next <= bound) return 'buckets are out of order'
      if (value < cumulative) return 'bucket values fall'
      bound = next
      cumulative = value
    } else if (suffix === '_count' || suffix === '_gcount') count = value
    else if (suffix === '_sum') sum = value
    else if (suffix === '_gsum') gaugeSum = value
  }
  if (bound !== Infinity) return '+Inf bucket is missing'
  if (count !== null && count !== cumulative) return `count ${count} is not the +Inf bucket's ${cumulative}`
  if (sum !== null && count === null) return '_sum without _count'
  if (gaugeSum !== null && count === null) return '_gsum without _gcount'
  if (sum === null && gaugeSum === null && count !== null) return 'a count without a sum'
  if (negativeBuckets && sum !== null) return '_sum with negative buckets'
  return !negativeBuckets && gaugeSum !== null && gaugeSum < 0 ? 'negative _gsum without negative buckets' : null
}
