// Whether a text is OpenMetrics by the letter (github.com/prometheus/OpenMetrics, 1.0): syntax, metadata, names, grouping, histograms.
// Scrapes take more than this; here everything the specification forbids is a problem. Quoted UTF-8 names are taken, as scrapes take them.
import { messageOf } from '../../base/errors.ts'

export type OpenMetricsProblem = Readonly<{ line: number; message: string }>

type Sample = Readonly<{ name: string; labels: ReadonlyMap<string, string>; value: number; timestamp: number | null; exemplar: boolean }>

/** The first problem, or null where the text is valid. */
export function checkOpenMetrics(body: Uint8Array): OpenMetricsProblem | null {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    return { line: 1, message: 'the text is not UTF-8' }
  }
  const check = new Check()
  let line = 0
  try {
    const lines = text.split('\n')
    if (lines.at(-1) === '') lines.pop()
    for (const content of lines) {
      line++
      check.line(content)
    }
    check.end()
  } catch (thrown) {
    if (!(thrown instanceof Wrong)) throw thrown
    return { line, message: messageOf(thrown) }
  }
  return null
}

class Wrong extends Error {}
function wrong(message: string): never {
  throw new Wrong(message)
}

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  summary: ['', '_count', '_sum', '_created'],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  gaugehistogram: ['_bucket', '_gcount', '_gsum'],
  info: ['_info'],
  gauge: [''],
  stateset: [''],
  unknown: [''],
}

class Family {
  readonly name: string
  type = 'unknown'
  unit: string | null = null
  help: string | null = null
  hasType = false
  samples: Sample[] = []
  constructor(name: string) {
    this.name = name
  }
}

class Check {
  #ended = false
  #family: Family | null = null
  readonly #names = new Set<string>()
  #group: string | null = null
  #groupTimestamp: number | null = null
  #groups = new Set<string>()

  line(text: string): void {
    if (this.#ended) wrong('text after # EOF')
    if (text === '') wrong('blank line')
    if (text === '# EOF') this.#ended = true
    else if (text.startsWith('#')) this.#metadata(text)
    else this.#sample(readSample(text))
  }
  end(): void {
    if (!this.#ended) wrong('missing # EOF at the end')
    this.#finish()
  }
  #metadata(text: string): void {
    const match = /^# (TYPE|HELP|UNIT) (?:("(?:[^"\\]|\\.)*")|([^ ]+)) (.*)$/s.exec(text)
    if (match === null) wrong('a line with # must be # TYPE, # HELP, # UNIT or # EOF, with single spaces')
    const [, keyword, quoted, plain, rest] = match as unknown as [string, string, string | undefined, string | undefined, string]
    const name = quoted === undefined ? plain! : unescape(quoted.slice(1, -1))
    if (quoted === undefined && !metricName.test(name)) wrong(`${name} is no metric name`)
    if (this.#family === null || this.#family.name !== name) this.#open(new Family(name))
    const family = this.#family!
    if (family.samples.length > 0) wrong(`metadata of ${name} after its samples`)
    if (keyword === 'HELP') {
      if (family.help !== null) wrong(`second # HELP of ${name}`)
      family.help = rest
    } else if (keyword === 'TYPE') {
      if (family.hasType) wrong(`second # TYPE of ${name}`)
      if (!Object.hasOwn(suffixes, rest)) wrong(`${rest} is no metric type`)
      family.type = rest
      family.hasType = true
    } else {
      if (family.unit !== null) wrong(`second # UNIT of ${name}`)
      family.unit = rest
    }
  }
  #sample(sample: Sample): void {
    const known = this.#family
    if (known === null || !suffixes[known.type]!.some((suffix) => known.name + suffix === sample.name)) this.#open(new Family(sample.name))
    const family = this.#family!
    checkLabels(family, sample)
    checkValue(family, sample)
    this.#checkGroup(family, sample)
    family.samples.push(sample)
  }
  /** Series of one group stand together, with timestamps throughout or not at all, and never going back. */
  #checkGroup(family: Family, sample: Sample): void {
    const group = groupOf(family, sample)
    if (group !== this.#group) {
      if (this.#groups.has(group)) wrong(`the series of ${family.name} are not grouped`)
    } else {
      if ((sample.timestamp === null) !== (this.#groupTimestamp === null)) wrong('timestamps on some samples of a group only')
      if (sample.timestamp !== null && sample.timestamp < this.#groupTimestamp! && family.type !== 'info') {
        wrong('timestamps go back within a group')
      }
      if (
        sample.timestamp === this.#groupTimestamp &&
        family.samples.some((other) => sameSeries(other, sample) && other.timestamp === sample.timestamp)
      ) {
        if (sample.timestamp === null) wrong('the same series twice')
      }
    }
    this.#group = group
    this.#groupTimestamp = sample.timestamp
    this.#groups.add(group)
  }
  #open(family: Family): void {
    this.#finish()
    this.#family = family
    this.#group = null
    this.#groupTimestamp = null
    this.#groups = new Set()
  }
  #finish(): void {
    const family = this.#family
    if (family === null) return
    const { name, type, unit } = family
    for (const suffix of new Set([...suffixes[type]!, ''])) {
      if (this.#names.has(name + suffix)) wrong(`the name ${name + suffix} is used twice`)
      this.#names.add(name + suffix)
    }
    if (unit !== null && unit !== '') {
      if (!name.endsWith(`_${unit}`)) wrong(`the unit ${unit} is not the end of the name ${name}`)
      if (type === 'info' || type === 'stateset') wrong(`${type} metrics have no unit`)
    }
    if (type === 'histogram' || type === 'gaugehistogram') checkHistogram(family)
    this.#family = null
  }
}

function sameSeries(a: Sample, b: Sample): boolean {
  return a.name === b.name && a.labels.size === b.labels.size && [...a.labels].every(([name, value]) => b.labels.get(name) === value)
}

function checkLabels({ name, type }: Family, sample: Sample): void {
  const suffix = sample.name.slice(name.length)
  const bound = sample.labels.get('le')
  if (type === 'stateset' && !sample.labels.has(name)) wrong(`a stateset needs a label ${name}`)
  if (suffix === '_bucket' && (type === 'histogram' || type === 'gaugehistogram')) {
    const value = bound === '+Inf' ? Infinity : bound === undefined ? NaN : readReal(bound)
    if (Number.isNaN(value)) wrong('a bucket needs a label le with a number')
  }
  if (type === 'summary' && suffix === '') {
    const quantile = readReal(sample.labels.get('quantile') ?? '')
    if (!(quantile >= 0 && quantile <= 1)) wrong('a summary needs a label quantile between 0 and 1')
  }
  const mayHaveExemplar = (type === 'counter' && suffix === '_total') || (suffix === '_bucket' && type.endsWith('histogram'))
  if (sample.exemplar && !mayHaveExemplar) wrong('only buckets and totals of counters have exemplars')
}

const counterLike = ['_total', '_sum', '_count', '_bucket', '_gcount', '_gsum']

function checkValue({ name, type }: Family, { name: sampleName, value }: Sample): void {
  const suffix = sampleName.slice(name.length)
  if (type === 'stateset' && value !== 0 && value !== 1) wrong('states are 0 or 1')
  if (type === 'info' && value !== 1) wrong('info metrics are 1')
  if (type === 'summary' && suffix === '' && value < 0) wrong('quantiles are not negative')
  if (!['counter', 'summary', 'histogram', 'gaugehistogram'].includes(type)) return
  if (counterLike.includes(suffix) && Number.isNaN(value)) wrong(`${sampleName} must not be NaN`)
  if (counterLike.includes(suffix) && suffix !== '_gsum' && value < 0) wrong(`${sampleName} must not be negative`)
}

/** What the series of one metric have in common. */
function groupOf({ name, type }: Family, { labels }: Sample): string {
  if (type === 'info') return ''
  const own = type === 'summary' ? 'quantile' : type === 'stateset' ? name : type.endsWith('histogram') ? 'le' : null
  return JSON.stringify([...labels].filter(([label]) => label !== own).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function checkHistogram(family: Family): void {
  const sum = family.type === 'histogram' ? '_sum' : '_gsum'
  let at = 0
  while (at < family.samples.length) {
    const first = family.samples[at]!
    const group = groupOf(family, first)
    let bound = -Infinity
    let reached = 0
    let count: number | null = null
    let total: number | null = null
    let negative = false
    for (; at < family.samples.length; at++) {
      const sample = family.samples[at]!
      if (groupOf(family, sample) !== group || sample.timestamp !== first.timestamp) break
      const suffix = sample.name.slice(family.name.length)
      if (suffix === '_bucket') {
        const le = sample.labels.get('le')!
        const next = le === '+Inf' ? Infinity : readReal(le)
        if (next <= bound) wrong('buckets are out of order')
        if (sample.value < reached) wrong('bucket values are out of order')
        bound = next
        reached = sample.value
        negative ||= next < 0
      } else if (suffix === '_count' || suffix === '_gcount') count = sample.value
      else if (suffix === sum) total = sample.value
    }
    if (bound !== Infinity) wrong('the +Inf bucket is missing')
    if (count !== null && count !== reached) wrong('the count is not the value of the +Inf bucket')
    if (total !== null && count === null) wrong('a sum without a count')
    if (total === null && count !== null) wrong('a count without a sum')
    if (negative && total !== null && family.type === 'histogram') wrong('a sum beside negative buckets')
    if (!negative && total !== null && total < 0) wrong('a negative sum without negative buckets')
  }
}

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const real = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`
const realPattern = new RegExp(`^${real}$`)
const numberPattern = new RegExp(`^(?:${real}|[+-]?inf(?:inity)?|nan)$`, 'i')

/** NaN where it is no finite number in writing. */
function readReal(text: string): number {
  return realPattern.test(text) ? Number(text) : NaN
}

function readNumber(text: string): number {
  if (!numberPattern.test(text)) wrong(`${text} is no number`)
  if (/inf/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return /nan/i.test(text) ? NaN : Number(text)
}

function readTimestamp(text: string): number {
  const value = readReal(text)
  if (Number.isNaN(value)) wrong(`${text} is no timestamp`)
  return value
}

/** `name{labels} value [timestamp] [# {labels} value [timestamp]]`, with single spaces. */
function readSample(text: string): Sample {
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(text)
  let name = plain === null ? '' : plain[0]
  let at = name.length
  let labels: ReadonlyMap<string, string> = new Map()
  if (text[at] === '{') {
    const read = readLabels(text, at, name === '')
    labels = read.labels
    name = read.name ?? name
    at = read.end
  }
  if (name === '') wrong('a line must start with a metric name')
  if (text[at] !== ' ') wrong('a space must stand before the value')
  const parts = text.slice(at + 1)
  const hash = parts.indexOf(' # ')
  const numbers = (hash < 0 ? parts : parts.slice(0, hash)).split(' ')
  if (numbers.length > 2) wrong('more than a value and a timestamp')
  const value = readNumber(numbers[0]!)
  const timestamp = numbers.length === 2 ? readTimestamp(numbers[1]!) : null
  if (hash >= 0) checkExemplar(parts.slice(hash + 3))
  return { name, labels, value, timestamp, exemplar: hash >= 0 }
}

function checkExemplar(text: string): void {
  if (!text.startsWith('{')) wrong('an exemplar must start with {')
  const { labels, end } = readLabels(text, 0, false)
  if (text[end] !== ' ') wrong("a space must stand before an exemplar's value")
  const numbers = text.slice(end + 1).split(' ')
  if (numbers.length > 2) wrong("more than an exemplar's value and timestamp")
  readNumber(numbers[0]!)
  if (numbers.length === 2) readTimestamp(numbers[1]!)
  let length = 0
  for (const [name, value] of labels) length += Array.from(name + value).length
  if (length > 128) wrong(`the labels of an exemplar have ${length} characters, limit 128`)
}

/** `{a="b","c.d"="e"}` from `start`; a quoted text alone in first place names the metric where `takesName`. */
function readLabels(
  text: string,
  start: number,
  takesName: boolean,
): { labels: ReadonlyMap<string, string>; name: string | null; end: number } {
  const labels = new Map<string, string>()
  let name: string | null = null
  let at = start + 1
  if (text[at] === '}') return { labels, name, end: at + 1 }
  const pair = /(?:([a-zA-Z_][a-zA-Z0-9_]*)|"((?:[^"\\]|\\.)*)")(?:="((?:[^"\\]|\\.)*)")?/sy
  for (;;) {
    pair.lastIndex = at
    const match = pair.exec(text)
    if (match === null) wrong('labels must be written as name="value"')
    const [, plain, quoted, value] = match as unknown as [string, string | undefined, string | undefined, string | undefined]
    const label = plain ?? unescape(quoted!)
    if (value === undefined) {
      if (!takesName || plain !== undefined || name !== null || labels.size > 0) wrong(`the label ${label} has no value`)
      name = label
    } else {
      if (labels.has(label)) wrong(`the label ${label} stands twice`)
      labels.set(label, unescape(value))
    }
    at = pair.lastIndex
    if (text[at] === '}') return { labels, name, end: at + 1 }
    if (text[at] !== ',') wrong('a comma must stand between labels')
    at++
  }
}

function unescape(text: string): string {
  return text.replace(/\\([\\n"])/g, (_, sign: string) => (sign === 'n' ? '\n' : sign))
}
