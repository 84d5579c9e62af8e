// Reads expositions entry by entry, as leniently and as strictly as Prometheus' scrape parser does: text 0.0.4 and 1.0.0 (one grammar: quoted names
// are understood in both) and OpenMetrics 1.0.0 / 0.0.1. An entry is a line, or several where a quoted string holds line feeds.
//
//   http_requests_total{code="200"} 1027 1395066363000 # {trace="a"} 1 2
//   └── start          prefixEnd ──┘└── blank, value, time, exemplar: the tail
//
// Nothing is allocated per entry: positions are left in fields. `readTail` reads only what follows a prefix that is known already, which is what
// the layout cache of a scrape does with nearly every line.
// Source: prometheus model/textparse (promlex.l, openmetricslex.l and their parsers).
import type { PromhiveError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import { decodeEscaped, decodeText, isUtf8, latin1Text, scrapeProblem, wholeBody, type TextPlace } from './line-text.ts'
import { parseNumberBytes, readSimpleNumber } from './numbers.ts'

export type Dialect = 'text' | 'openmetrics'

/** What `next` found. */
export const entry = { problem: -1, end: 0, series: 1, type: 2, help: 3, unit: 4, comment: 5, eof: 6 } as const

const textTypes: Readonly<Record<string, MetricType>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
  untyped: 'unknown',
}
const openMetricsTypes: Readonly<Record<string, MetricType>> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  gaugehistogram: 'gaugehistogram',
  summary: 'summary',
  info: 'info',
  stateset: 'stateset',
  unknown: 'unknown',
}

const TAB = 9
const LF = 10
const SPACE = 32
const QUOTE = 34
const HASH = 35
const COMMA = 44
const EQUAL = 61
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

/** 1: starts a label name, 2: starts a metric name only (the colon), 4: digit. */
const classes = buildClasses()
function buildClasses(): Uint8Array {
  const table = new Uint8Array(256)
  for (let c = 48; c <= 57; c++) table[c] = 4
  for (let c = 65; c <= 90; c++) table[c] = table[c + 32] = 1
  table[95] = 1
  table[58] = 2
  return table
}

/** A body with a line feed at its end (a copy where there is none), as LineReader needs it. `end`: bytes of the body itself. */
export function terminated(body: Uint8Array): Uint8Array {
  if (body.length > 0 && body[body.length - 1] === LF) return body
  const copy = new Uint8Array(body.length + 1)
  copy.set(body)
  copy[body.length] = LF
  return copy
}

export class LineReader {
  readonly dialect: Dialect
  #place = wholeBody
  bytes: Uint8Array = new Uint8Array(0)
  /** End of what may be read. */
  end = 0
  /** Offset of the next entry. */
  position = 0

  // the entry that was read
  /** Its first byte that is not blank. */
  start = 0
  /** End of the name and labels; of metadata and comments, the end of the entry. */
  prefixEnd = 0
  /** Metric name, or family of metadata, without quotes. */
  nameStart = 0
  nameEnd = 0
  /** Pairs; `labels[4i …]` are name start, name end, value start, value end, without quotes. */
  labelCount = 0
  labels = new Int32Array(64)
  value = 0
  hasTime = false
  /** ms. */
  time = 0
  hasExemplar = false
  exemplarCount = 0
  exemplarLabels = new Int32Array(16)
  exemplarValue = 0
  exemplarHasTime = false
  exemplarTime = 0
  /** Text of HELP and UNIT. */
  textStart = 0
  textEnd = 0
  type: MetricType = 'unknown'

  problem = ''
  problemAt = 0
  readonly #number = new Float64Array(1)

  constructor(dialect: Dialect) {
    this.dialect = dialect
  }

  /**
   * @param bytes must end with a line feed, see `terminated`. @param bodyBytes length of the body without a line feed that was added.
   * @param place what lies before it, where it is a part of a body.
   */
  open(bytes: Uint8Array, bodyBytes: number, place: TextPlace = wholeBody): void {
    this.bytes = bytes
    this.#place = place
    // a missing last line feed is forgiven in the text format; in OpenMetrics only after # EOF
    this.end = this.dialect === 'text' ? bytes.length : bodyBytes
    this.position = 0
  }

  /** The next entry's kind. After a problem the reader must not be used on this body again. */
  next(): number {
    this.start = this.position
    return this.dialect === 'text' ? this.#textEntry() : this.#openMetricsEntry()
  }

  /** What follows a prefix that ends at `position`: number, time and exemplar. @returns false where that is a problem. */
  readTail(position: number): boolean {
    this.prefixEnd = position
    return this.dialect === 'text' ? this.#textTail(position) : this.#openMetricsTail(position)
  }

  /** The problem with its place, for the failed scrape. */
  failure(): PromhiveError {
    return scrapeProblem(this.problem, this.bytes, this.start, this.problemAt, this.#place)
  }

  #fail(problem: string, at: number): false {
    this.problem = problem
    this.problemAt = at
    return false
  }

  // ---- text format ----

  #textEntry(): number {
    const { bytes, end } = this
    let at = this.position
    while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++
    // Prometheus' lexer takes a zero byte at the start of an entry for the end of the input
    if (at >= end || bytes[at] === 0) return entry.end
    this.start = at
    const c = bytes[at]!
    if (c === LF) {
      this.position = this.prefixEnd = at + 1
      return entry.comment
    }
    if (c === HASH) return this.#textComment(at)
    const kind = classes[c]!
    if (kind === 1 || kind === 2) {
      this.nameStart = at
      while (classes[bytes[++at]!]! !== 0);
      this.nameEnd = at
      this.labelCount = 0
      const next = skipBlanks(bytes, at)
      if (bytes[next] === OPEN) {
        at = this.#textLabels(next + 1)
        if (at < 0) return entry.problem
      }
    } else if (c === OPEN) {
      this.nameStart = -1
      this.labelCount = 0
      at = this.#textLabels(at + 1)
      if (at < 0) return entry.problem
      if (this.nameStart < 0) return (this.#fail('metric name not set', at), entry.problem)
    } else {
      return (this.#fail('expected a valid start token', at), entry.problem)
    }
    this.prefixEnd = at
    return this.#textTail(at) ? entry.series : entry.problem
  }

  #textTail(from: number): boolean {
    const { bytes, end } = this
    this.hasTime = false
    this.hasExemplar = false
    let at = from
    while (bytes[at] === SPACE || bytes[at] === TAB) at++
    const valueStart = at
    at = readSimpleNumber(bytes, valueStart, this.#number, 0)
    if (at < 0 || !endsText(bytes[at]!)) {
      at = valueStart
      for (let c = bytes[at]!; c !== SPACE && c !== LF && c !== TAB && c !== OPEN && c !== 0; c = bytes[++at]!);
      if (at === valueStart) return this.#fail('expected value after metric', at)
      const value = parseNumberBytes(bytes, valueStart, at)
      if (value === null) return this.#fail(`cannot parse ${this.#excerpt(valueStart, at)} as a number`, valueStart)
      this.#number[0] = value
    }
    this.value = this.#number[0]!
    while (bytes[at] === SPACE || bytes[at] === TAB) at++
    if (bytes[at] !== LF) {
      const timeStart = at
      let time = 0
      while (classes[bytes[at]!] === 4) time = time * 10 + bytes[at++]! - 48
      if (at === timeStart) return this.#fail('expected timestamp or new record', at)
      // the largest int64 is 2^63 as a float: digits tell
      if (time >= 2 ** 63 && !this.#isInt64(timeStart, at))
        return this.#fail(`timestamp ${this.#excerpt(timeStart, at)} is out of range`, timeStart)
      while (bytes[at] === SPACE || bytes[at] === TAB) at++
      if (bytes[at] !== LF) return this.#fail('expected next entry after timestamp', at)
      this.hasTime = true
      this.time = time
    }
    if (at >= end) return this.#fail('unexpected end of input', at)
    this.position = at + 1
    return true
  }

  /** After the opening brace. @returns the offset after the closing brace, −1 for a problem. */
  #textLabels(from: number): number {
    const { bytes } = this
    let at = skipBlanks(bytes, from)
    for (;;) {
      const c = bytes[at]!
      if (c === CLOSE) return at + 1
      let nameStart = at
      let nameEnd: number
      const quoted = c === QUOTE
      if (quoted) {
        at = this.#quotedEnd(at, true)
        if (at < 0) return -1
        nameStart++
        nameEnd = at - 1
      } else if (classes[c] === 1) {
        at++
        while ((classes[bytes[at]!]! & 5) !== 0) at++
        nameEnd = at
      } else {
        this.#fail('expected label name', at)
        return -1
      }
      at = skipBlanks(bytes, at)
      if (quoted && (bytes[at] === COMMA || bytes[at] === CLOSE)) {
        if (!this.#setName(nameStart, nameEnd)) return -1
        if (bytes[at] === CLOSE) return at + 1
        at = skipBlanks(bytes, at + 1)
        continue
      }
      if (bytes[at] !== EQUAL) {
        this.#fail('expected equal', at)
        return -1
      }
      at = skipBlanks(bytes, at + 1)
      const valueStart = at
      at = bytes[at] === QUOTE ? this.#quotedEnd(at, true) : (this.#fail('expected label value', at), -1)
      if (at < 0 || !this.#addLabel(nameStart, nameEnd, valueStart + 1, at - 1)) return -1
      at = skipBlanks(bytes, at)
      if (bytes[at] === COMMA) at = skipBlanks(bytes, at + 1)
    }
  }

  #textComment(from: number): number {
    const { bytes, end } = this
    let at = from + 1
    const lineEnd = bytes.indexOf(LF, at)
    this.position = this.prefixEnd = lineEnd < 0 || lineEnd >= end ? end : lineEnd + 1
    if (bytes[at] !== SPACE && bytes[at] !== TAB) return entry.comment
    at = skipBlanks(bytes, at)
    const isHelp = matches(bytes, at, 'HELP')
    if (!isHelp && !matches(bytes, at, 'TYPE')) return entry.comment
    at += 4
    if (bytes[at] !== SPACE && bytes[at] !== TAB) return entry.comment
    at = this.#familyName(skipBlanks(bytes, at), isHelp ? 'HELP' : 'TYPE', true)
    if (at < 0) return entry.problem
    // a quoted family name may hold line feeds
    const textEnd = bytes.indexOf(LF, at)
    this.position = this.prefixEnd = textEnd + 1
    this.textStart = Math.min(at + 1, textEnd)
    this.textEnd = textEnd
    return this.#metadata(isHelp ? entry.help : entry.type, textTypes)
  }

  // ---- OpenMetrics ----

  #openMetricsEntry(): number {
    const { bytes, end } = this
    let at = this.position
    if (at >= end) return (this.#fail('data does not end with # EOF', at), entry.problem)
    const c = bytes[at]!
    if (c === HASH) return this.#openMetricsComment(at)
    const kind = classes[c]!
    if (kind === 1 || kind === 2) {
      this.nameStart = at
      while (classes[bytes[++at]!]! !== 0);
      this.nameEnd = at
      this.labelCount = 0
      if (bytes[at] === OPEN) {
        at = this.#openMetricsLabels(at + 1, false)
        if (at < 0) return entry.problem
      }
    } else if (c === OPEN) {
      this.nameStart = -1
      this.labelCount = 0
      at = this.#openMetricsLabels(at + 1, false)
      if (at < 0) return entry.problem
      if (this.nameStart < 0) return (this.#fail('metric name not set', at), entry.problem)
    } else {
      return (this.#fail('expected a valid start token', at), entry.problem)
    }
    this.prefixEnd = at
    return this.#openMetricsTail(at) ? entry.series : entry.problem
  }

  #openMetricsTail(from: number): boolean {
    const { bytes, end } = this
    this.hasTime = false
    this.hasExemplar = false
    if (bytes[from] !== SPACE) return this.#fail('expected value after metric', from)
    let at = this.#openMetricsNumber(from + 1, 'value after metric')
    if (at < 0) return false
    this.value = this.#number[0]!
    if (bytes[at] === SPACE && !(bytes[at + 1] === HASH && bytes[at + 2] === SPACE && bytes[at + 3] === OPEN)) {
      at = this.#openMetricsNumber(at + 1, 'timestamp')
      if (at < 0) return false
      const seconds = this.#number[0]!
      if (!Number.isFinite(seconds)) return this.#fail(`invalid timestamp ${seconds}`, at)
      this.hasTime = true
      this.time = Math.trunc(seconds * 1000)
    }
    if (bytes[at] === SPACE) {
      if (bytes[at + 1] !== HASH || bytes[at + 2] !== SPACE || bytes[at + 3] !== OPEN) {
        return this.#fail('expected next entry after timestamp', at)
      }
      this.exemplarCount = 0
      at = this.#openMetricsLabels(at + 4, true)
      if (at < 0) return false
      if (bytes[at] !== SPACE) return this.#fail('expected value after exemplar labels', at)
      at = this.#openMetricsNumber(at + 1, 'value after exemplar labels')
      if (at < 0) return false
      this.exemplarValue = this.#number[0]!
      this.exemplarHasTime = bytes[at] === SPACE
      if (this.exemplarHasTime) {
        at = this.#openMetricsNumber(at + 1, 'exemplar timestamp')
        if (at < 0) return false
        const seconds = this.#number[0]!
        if (!Number.isFinite(seconds)) return this.#fail(`invalid exemplar timestamp ${seconds}`, at)
        this.exemplarTime = Math.trunc(seconds * 1000)
      }
      this.hasExemplar = true
    }
    if (bytes[at] !== LF) return this.#fail('expected end of line', at)
    if (at >= end) return this.#fail('data does not end with # EOF', at)
    this.position = at + 1
    return true
  }

  #openMetricsNumber(from: number, what: string): number {
    const { bytes } = this
    let at = readSimpleNumber(bytes, from, this.#number, 0)
    if (at >= 0 && (bytes[at] === LF || bytes[at] === SPACE)) return at
    at = from
    for (let c = bytes[at]!; c !== SPACE && c !== LF && c !== 0; c = bytes[++at]!);
    if (at === from) {
      this.#fail(`expected ${what}`, at)
      return -1
    }
    const value = parseNumberBytes(bytes, from, at)
    if (value === null) {
      this.#fail(`cannot parse ${this.#excerpt(from, at)} as a number`, from)
      return -1
    }
    this.#number[0] = value
    return at
  }

  #openMetricsLabels(from: number, exemplar: boolean): number {
    const { bytes } = this
    let at = from
    for (;;) {
      const c = bytes[at]!
      if (c === CLOSE) return at + 1
      let nameStart = at
      let nameEnd: number
      const quoted = c === QUOTE
      if (quoted) {
        at = this.#quotedEnd(at, !exemplar)
        if (at < 0) return -1
        nameStart++
        nameEnd = at - 1
      } else if (classes[c] === 1) {
        at++
        while ((classes[bytes[at]!]! & 5) !== 0) at++
        nameEnd = at
      } else {
        this.#fail('expected label name', at)
        return -1
      }
      if (quoted && !exemplar && (bytes[at] === COMMA || bytes[at] === CLOSE)) {
        if (!this.#setName(nameStart, nameEnd)) return -1
        if (bytes[at] === CLOSE) return at + 1
        at++
        continue
      }
      if (bytes[at] !== EQUAL) {
        this.#fail('expected equal', at)
        return -1
      }
      const valueStart = at + 1
      at = bytes[valueStart] === QUOTE ? this.#quotedEnd(valueStart, false) : (this.#fail('expected label value', valueStart), -1)
      if (at < 0) return -1
      if (
        exemplar
          ? !this.#addExemplarLabel(nameStart, nameEnd, valueStart + 1, at - 1)
          : !this.#addLabel(nameStart, nameEnd, valueStart + 1, at - 1)
      )
        return -1
      if (bytes[at] === COMMA) at++
      else if (bytes[at] !== CLOSE) {
        this.#fail('expected comma or brace close', at)
        return -1
      }
    }
  }

  #openMetricsComment(from: number): number {
    const { bytes, end } = this
    let at = from + 2
    if (bytes[from + 1] !== SPACE) return (this.#fail('expected a valid start token', from), entry.problem)
    if (matches(bytes, at, 'EOF')) {
      at += 3
      if (at < end && bytes[at] === LF) at++
      if (at < end) return (this.#fail('unexpected data after # EOF', at), entry.problem)
      this.position = this.prefixEnd = at
      return entry.eof
    }
    const keyword = matches(bytes, at, 'HELP ') ? 'HELP' : matches(bytes, at, 'TYPE ') ? 'TYPE' : matches(bytes, at, 'UNIT ') ? 'UNIT' : ''
    if (keyword === '') return (this.#fail('expected HELP, TYPE, UNIT or EOF after #', at), entry.problem)
    at = this.#familyName(at + 5, keyword, true)
    if (at < 0) return entry.problem
    const lineEnd = bytes.indexOf(LF, at)
    if (bytes[at] !== SPACE || lineEnd < 0 || lineEnd >= end) return (this.#fail(`expected text in ${keyword}`, at), entry.problem)
    this.textStart = at + 1
    this.textEnd = lineEnd
    this.position = this.prefixEnd = lineEnd + 1
    if (keyword !== 'UNIT') return this.#metadata(keyword === 'HELP' ? entry.help : entry.type, openMetricsTypes)
    const unit = latin1Text(bytes, this.textStart, this.textEnd)
    const family = latin1Text(bytes, this.nameStart, this.nameEnd)
    if (unit !== '' && !family.endsWith(`_${unit}`)) {
      return (this.#fail(`unit "${unit}" not a suffix of metric "${family}"`, this.textStart), entry.problem)
    }
    return entry.unit
  }

  // ---- both ----

  #metadata(kind: number, types: Readonly<Record<string, MetricType>>): number {
    if (kind === entry.type) {
      const text = latin1Text(this.bytes, this.textStart, Math.min(this.textEnd, this.textStart + 64))
      if (!Object.hasOwn(types, text)) return (this.#fail(`invalid metric type "${text}"`, this.textStart), entry.problem)
      this.type = types[text]!
      return kind
    }
    return this.#checkUtf8(this.textStart, this.textEnd, 'help text') ? kind : entry.problem
  }

  /** @returns the offset after the name, −1 for a problem. */
  #familyName(from: number, keyword: string, lineFeeds: boolean): number {
    const { bytes } = this
    let at = from
    if (bytes[at] === QUOTE) {
      at = this.#quotedEnd(at, lineFeeds)
      if (at < 0) return -1
      this.nameStart = from + 1
      this.nameEnd = at - 1
      return at
    }
    const kind = classes[bytes[at]!]!
    if (kind !== 1 && kind !== 2) {
      this.#fail(`expected metric name after ${keyword}`, at)
      return -1
    }
    while (classes[bytes[++at]!]! !== 0);
    this.nameStart = from
    this.nameEnd = at
    return at
  }

  /** @returns the offset after the closing quote, −1 for a problem. */
  #quotedEnd(from: number, lineFeeds: boolean): number {
    const { bytes, end } = this
    for (let at = from + 1; at < end; at++) {
      const c = bytes[at]!
      if (c === QUOTE) return at + 1
      if (c === BACKSLASH) {
        at++
        if (bytes[at] === LF) break
      } else if (c === LF && !lineFeeds) break
    }
    this.#fail('quoted text does not end', from)
    return -1
  }

  #setName(start: number, end: number): boolean {
    if (this.nameStart >= 0) return this.#fail('metric name already set', start)
    this.nameStart = start
    this.nameEnd = end
    return true
  }

  #addLabel(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    if (!this.#checkUtf8(valueStart, valueEnd, 'label value')) return false
    const i = this.labelCount * 4
    if (i === this.labels.length) {
      if (this.labelCount >= limits.labelsPerSeriesMax) return this.#fail(`more than ${limits.labelsPerSeriesMax} labels`, nameStart)
      const grown = new Int32Array(i * 2)
      grown.set(this.labels)
      this.labels = grown
    }
    this.labels[i] = nameStart
    this.labels[i + 1] = nameEnd
    this.labels[i + 2] = valueStart
    this.labels[i + 3] = valueEnd
    this.labelCount++
    return true
  }

  #addExemplarLabel(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    if (!this.#checkUtf8(valueStart, valueEnd, 'label value')) return false
    const i = this.exemplarCount * 4
    if (i === this.exemplarLabels.length) {
      if (this.exemplarCount >= limits.labelsPerSeriesMax)
        return this.#fail(`more than ${limits.labelsPerSeriesMax} exemplar labels`, nameStart)
      const grown = new Int32Array(i * 2)
      grown.set(this.exemplarLabels)
      this.exemplarLabels = grown
    }
    this.exemplarLabels[i] = nameStart
    this.exemplarLabels[i + 1] = nameEnd
    this.exemplarLabels[i + 2] = valueStart
    this.exemplarLabels[i + 3] = valueEnd
    this.exemplarCount++
    return true
  }

  #checkUtf8(start: number, end: number, what: string): boolean {
    return isUtf8(this.bytes, start, end) || this.#fail(`${what} is not valid UTF-8`, start)
  }

  #isInt64(start: number, end: number): boolean {
    return end - start <= 64 && BigInt(latin1Text(this.bytes, start, end)) < 2n ** 63n
  }

  #excerpt(start: number, end: number): string {
    return JSON.stringify(latin1Text(this.bytes, start, Math.min(end, start + 64)))
  }
}

function endsText(c: number): boolean {
  return c === LF || c === SPACE || c === TAB
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === SPACE || bytes[at] === TAB) at++
  return at
}

function matches(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

/** HELP of the text format: only `\\` and `\n` are escapes. */
export function decodeHelp(reader: LineReader): string {
  if (reader.dialect === 'openmetrics') return decodeEscaped(reader.bytes, reader.textStart, reader.textEnd)
  const text = decodeText(reader.bytes, reader.textStart, reader.textEnd)
  return text.includes('\\') ? text.replace(/\\([\\n])/g, (_, c: string) => (c === 'n' ? '\n' : c)) : text
}
