// An exposition as a stream of plain entries, whatever its format: for the keyed scrape, for tools and tests. The layout-cached scrape
// (src/scrape/layout-scrape.ts) reads lines itself and must agree with what is yielded here.
import { compareText, type Labels } from '../../src/model/labels.ts'
import type { Histogram } from '../../src/model/histogram.ts'
import type { MetricType } from '../../src/model/metadata.ts'
import { decodeHelp, entry, LineReader, terminated, type Dialect } from './line-reader.ts'
import { decodeEscaped } from './line-text.ts'
import { parseNumber, printBoundLabel } from './numbers.ts'

export type MetricEntry = TypeEntry | HelpEntry | UnitEntry | SampleEntry | HistogramEntry
export type TypeEntry = Readonly<{ kind: 'type'; family: string; type: MetricType }>
export type HelpEntry = Readonly<{ kind: 'help'; family: string; help: string }>
export type UnitEntry = Readonly<{ kind: 'unit'; family: string; unit: string }>
type SeriesEntry = Readonly<{
  /** Equal exactly where Prometheus takes two lines for the same exposed series: the bytes of the series in text, the label set in protobuf. */
  key: string
  /** As exposed, sorted by name. A name may come twice and a value may be empty: what that means is for the caller (SampleLabels in src/scrape). */
  labels: Labels
  /** Null: none was given. */
  timeMs: number | null
  /** 0: unknown. */
  startTimeMs: number
  exemplars: readonly Exemplar[]
}>
export type SampleEntry = SeriesEntry & Readonly<{ kind: 'sample'; value: number }>
export type HistogramEntry = SeriesEntry & Readonly<{ kind: 'histogram'; histogram: Histogram }>
/** `timeMs` null: none was given. */
export type Exemplar = Readonly<{ labels: Labels; value: number; timeMs: number | null }>

export type ReadOptions = Readonly<{
  /** Protobuf: native parts of histograms are read; otherwise every histogram is a classic one. */
  nativeHistograms: boolean
  /** Protobuf: the classic series of a histogram that has native parts, too. With conversion: the classic series beside the converted histogram. */
  keepClassic: boolean
  /** Classic histograms become native ones with custom buckets. */
  convertClassic: boolean
  /** OpenMetrics: `_created` series become start times of their family's other series instead of samples. */
  startTimes: boolean
  /** `__type__` and `__unit__` labels. */
  typeAndUnitLabels: boolean
}>
export const plainReading: ReadOptions = {
  nativeHistograms: false,
  keepClassic: false,
  convertClassic: false,
  startTimes: false,
  typeAndUnitLabels: false,
}

/** All entries of a text or OpenMetrics body. Throws PromhiveError SCRAPE, with line and offset, where it is broken; entries before that are yielded. */
export function* readTextEntries(body: Uint8Array, dialect: Dialect, options: ReadOptions): Generator<MetricEntry> {
  const entries = plainTextEntries(body, dialect, options.typeAndUnitLabels)
  yield* options.startTimes && dialect === 'openmetrics' ? withStartTimes(entries) : entries
}

function* plainTextEntries(body: Uint8Array, dialect: Dialect, typeAndUnit: boolean): Generator<MetricEntry> {
  const reader = new LineReader(dialect)
  reader.open(terminated(body), body.length)
  if ((yield* bodyEntries(reader, unknownFamily(), typeAndUnit)) === 'problem') throw reader.failure()
}

/** What has been said of the family that lines belong to. */
export type FamilyState = { type: MetricType; unit: string }
export const unknownFamily = (): FamilyState => ({ type: 'unknown', unit: '' })

/** Entries up to the end of what the reader has open, or to a problem, of which the reader knows more. */
export function* bodyEntries(
  reader: LineReader,
  state: FamilyState,
  typeAndUnit: boolean,
): Generator<MetricEntry, 'end' | 'problem', undefined> {
  for (;;) {
    const kind = reader.next()
    if (kind === entry.series) {
      yield {
        kind: 'sample',
        key: seriesKey(reader),
        labels: readLabels(reader, state.type, typeAndUnit ? state.unit : null),
        value: reader.value,
        timeMs: reader.hasTime ? reader.time : null,
        startTimeMs: 0,
        exemplars: reader.hasExemplar ? [readExemplar(reader)] : [],
      }
    } else if (kind === entry.type) {
      state.type = reader.type
      yield { kind: 'type', family: readFamily(reader), type: state.type }
    } else if (kind === entry.help) yield { kind: 'help', family: readFamily(reader), help: decodeHelp(reader) }
    else if (kind === entry.unit) {
      state.unit = decodeEscaped(reader.bytes, reader.textStart, reader.textEnd)
      yield { kind: 'unit', family: readFamily(reader), unit: state.unit }
    } else if (kind === entry.problem) return 'problem'
    else if (kind === entry.end || kind === entry.eof) return 'end'
  }
}

/** Name and labels, byte by byte. */
function seriesKey(reader: LineReader): string {
  return seriesDecoder.decode(reader.bytes.subarray(reader.start, reader.prefixEnd))
}
const seriesDecoder = new TextDecoder('latin1')

/** Family name of the metadata entry that was read. */
export function readFamily(reader: LineReader): string {
  return decodeEscaped(reader.bytes, reader.nameStart, reader.nameEnd)
}

/**
 * The labels of the series that was read, sorted, with nothing dropped. `le` of histograms and `quantile` of summaries are written as OpenMetrics writes numbers, so that a bound is one series in every format.
 * @param unit not null: `__type__` and `__unit__` labels are added and those of the exposition dropped.
 */
export function readLabels(reader: LineReader, type: MetricType, unit: string | null): Labels {
  const { bytes, labels } = reader
  const pairs: string[] = ['__name__', decodeEscaped(bytes, reader.nameStart, reader.nameEnd)]
  if (unit !== null) {
    if (type !== 'unknown') pairs.push('__type__', type)
    if (unit !== '') pairs.push('__unit__', unit)
  }
  const reserved = unit === null ? 2 : pairs.length
  for (let i = 0; i < reader.labelCount * 4; i += 4) {
    const name = decodeEscaped(bytes, labels[i]!, labels[i + 1]!)
    if (unit !== null && pairs.indexOf(name) >= 0 && pairs.indexOf(name) < reserved && pairs.indexOf(name) % 2 === 0) continue
    pairs.push(name, normalBound(type, name, decodeEscaped(bytes, labels[i + 2]!, labels[i + 3]!)))
  }
  return sortedLabels(pairs)
}

export function normalBound(type: MetricType, name: string, value: string): string {
  if ((type === 'histogram' && name === 'le') || (type === 'summary' && name === 'quantile')) {
    const bound = parseNumber(value)
    if (bound !== null) return printBoundLabel(bound)
  }
  return value
}

/** Sorts flat pairs by name, in place: an insertion sort, for there are few and they come nearly sorted. */
export function sortedLabels(pairs: string[]): Labels {
  for (let i = 2; i < pairs.length; i += 2) {
    const name = pairs[i]!
    const value = pairs[i + 1]!
    let j = i - 2
    while (j >= 0 && compareText(pairs[j]!, name) > 0) {
      pairs[j + 2] = pairs[j]!
      pairs[j + 3] = pairs[j + 1]!
      j -= 2
    }
    pairs[j + 2] = name
    pairs[j + 3] = value
  }
  return pairs
}

export function readExemplar(reader: LineReader): Exemplar {
  const pairs: string[] = []
  const { bytes, exemplarLabels: at } = reader
  for (let i = 0; i < reader.exemplarCount * 4; i += 4) {
    pairs.push(decodeEscaped(bytes, at[i]!, at[i + 1]!), decodeEscaped(bytes, at[i + 2]!, at[i + 3]!))
  }
  return { labels: sortedLabels(pairs), value: reader.exemplarValue, timeMs: reader.exemplarHasTime ? reader.exemplarTime : null }
}

/** Most entries of one family held back while its `_created` lines are looked for. */
const familyEntriesMax = 100_000

/**
 * `_created` lines of counters, summaries and histograms become the start time of the series of the same name and labels (bounds aside).
 * They stand after the samples they belong to, so a family is held back until its end.
 */
function* withStartTimes(entries: Iterable<MetricEntry>): Generator<MetricEntry> {
  let held: SampleEntry[] = []
  let created = new Map<string, number>()
  let type: MetricType = 'unknown'
  let family = ''
  const release = function* (): Generator<MetricEntry> {
    for (const sample of held) {
      const startTimeMs = created.get(startKey(sample.labels, family, type)) ?? 0
      yield startTimeMs === 0 ? sample : { ...sample, startTimeMs }
    }
    held = []
    created = new Map()
  }
  for (const item of entries) {
    if (item.kind !== 'sample') {
      yield* release()
      if (item.kind === 'type') type = item.type
      if ('family' in item) family = item.family
      yield item
      continue
    }
    const starts = type === 'counter' || type === 'summary' || type === 'histogram'
    if (!starts) {
      yield item
      continue
    }
    const name = nameOf(item.labels)
    if (name.endsWith('_created')) created.set(startKey(item.labels, family, type), Math.trunc(item.value * 1000))
    else held.push(item)
    if (held.length >= familyEntriesMax) yield* release()
  }
  yield* release()
}

function nameOf(labels: Labels): string {
  const i = labels.indexOf('__name__')
  return i % 2 === 0 ? labels[i + 1]! : ''
}

function startKey(labels: Labels, family: string, type: MetricType): string {
  const bound = type === 'histogram' ? 'le' : type === 'summary' ? 'quantile' : ''
  let key = family
  for (let i = 0; i < labels.length; i += 2) {
    if (labels[i] === bound || labels[i] === '__name__') continue
    key += `\xff${labels[i]}\xff${labels[i + 1]}`
  }
  return key
}
