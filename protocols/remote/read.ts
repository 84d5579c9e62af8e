// Remote read, SAMPLES answers: snappy ReadRequest in, snappy ReadResponse out.
//
//   ReadRequest   1 queries*   2 accepted_response_types*        Query  1 start   2 end   3 matchers*   4 hints
//   LabelMatcher  1 type (0 =, 1 !=, 2 =~, 3 !~)   2 name   3 value
//   ReadResponse  1 results*      QueryResult  1 timeseries* (as in remote write)
//
// Source: prometheus prompb/remote.proto, types.proto.
import { PromhiveError } from '../../src/base/errors.ts'
import type { Histogram, Span } from '../../src/model/histogram.ts'
import { compareLabels, labelsFrom, labelPairs, labelValue, type Labels } from '../../src/model/labels.ts'
import type { Matcher, MatchKind } from '../../src/model/matcher.ts'
import { ProtoReader, ProtoWriter } from './protobuf.ts'
import { encodeSnappy, unsnappy } from './snappy.ts'

/** A request may be as large after decompression. */
export const readRequestBytesMax = 32 << 20
/** Queries in one request, matchers in one query. */
const queriesMax = 1_000
const matchersMax = 1_000

export type ReadQuery = Readonly<{ startMs: number; endMs: number; matchers: readonly Matcher[] }>
export type ReadRequest = Readonly<{
  queries: readonly ReadQuery[]
  /** Numbers of ReadRequest.ResponseType in the order the client prefers them: 0 SAMPLES, 1 STREAMED_XOR_CHUNKS. */
  accepted: readonly number[]
}>

const kinds: readonly MatchKind[] = ['=', '!=', '=~', '!~']

/** Throws PromhiveError DECODE or TOO_LARGE. */
export function decodeReadRequest(block: Uint8Array): ReadRequest {
  const reader = new ProtoReader(unsnappy(block, readRequestBytesMax))
  const queries: ReadQuery[] = []
  const accepted: number[] = []
  const end = reader.end
  while (reader.at < end) {
    const tag = reader.tag()
    if (tag === 0x0a) {
      if (queries.length === queriesMax) throw reader.problem(`more than ${queriesMax} queries`, 0)
      queries.push(readQuery(reader))
    } else if (tag === 0x10) accepted.push(reader.uint32())
    else if (tag === 0x12) {
      const stop = reader.span()
      while (reader.at < stop) {
        if (accepted.length > 100) throw reader.problem('more than 100 response types', 0)
        accepted.push(reader.uint32())
      }
    } else if (tag >>> 3 <= 2) throw reader.wrongType(tag)
    else reader.skip(tag)
  }
  return { queries, accepted }
}

function readQuery(reader: ProtoReader): ReadQuery {
  const outer = reader.end
  const stop = reader.span()
  reader.end = stop
  let startMs = 0
  let endMs = 0
  const matchers: Matcher[] = []
  while (reader.at < stop) {
    const tag = reader.tag()
    if (tag === 0x08) startMs = reader.int64()
    else if (tag === 0x10) endMs = reader.int64()
    else if (tag === 0x1a) {
      if (matchers.length === matchersMax) throw reader.problem(`more than ${matchersMax} matchers`, 0)
      matchers.push(readMatcher(reader))
    } else if (tag >>> 3 <= 3) throw reader.wrongType(tag)
    else reader.skip(tag) // hints only help to read less
  }
  reader.end = outer
  const safe = (ms: number): number => Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, ms))
  return { startMs: safe(startMs), endMs: safe(endMs), matchers }
}

function readMatcher(reader: ProtoReader): Matcher {
  const outer = reader.end
  const stop = reader.span()
  reader.end = stop
  let type = 0
  let name = ''
  let value = ''
  while (reader.at < stop) {
    const tag = reader.tag()
    if (tag === 0x08) type = reader.uint32()
    else if (tag === 0x12) name = reader.text()
    else if (tag === 0x1a) value = reader.text()
    else if (tag >>> 3 <= 3) throw reader.wrongType(tag)
    else reader.skip(tag)
  }
  reader.end = outer
  const kind = kinds[type]
  if (kind === undefined) throw new PromhiveError('BAD_REQUEST', `invalid matcher type ${type}`)
  return { name, kind, value }
}

/** An equality on an external label is true of everything here, where that label is not stored. @see prometheus filterExtLabelsFromMatchers */
export function withoutExternal(matchers: readonly Matcher[], external: Labels): Matcher[] {
  return matchers.map((matcher) =>
    matcher.kind === '=' && labelValue(external, matcher.name) === matcher.value ? { ...matcher, value: '' } : matcher,
  )
}

/** Labels of a series with the external ones added where they are missing. */
export function withExternal(labels: Labels, external: Labels): Labels {
  return external.length === 0 ? labels : labelsFrom([...labelPairs(external), ...labelPairs(labels)])
}

/** One series of an answer: columns, `histograms` null where there is none at all. */
export type ReadSeries = Readonly<{
  labels: Labels
  times: Float64Array
  values: Float64Array
  histograms: readonly (Histogram | null)[] | null
}>

/** A compressed ReadResponse, one list of series per query. External labels are added and series sorted. */
export function encodeReadResponse(results: readonly (readonly ReadSeries[])[], external: Labels): Uint8Array {
  const w = new ProtoWriter(1 << 16)
  for (const series of results) {
    w.message(1, () => {
      const merged = series.map((one) => ({ ...one, labels: withExternal(one.labels, external) }))
      for (const one of merged.sort((a, b) => compareLabels(a.labels, b.labels))) w.message(1, () => putSeries(w, one))
    })
  }
  return encodeSnappy(w.written())
}

function putSeries(w: ProtoWriter, { labels, times, values, histograms }: ReadSeries): void {
  for (const [name, value] of labelPairs(labels)) {
    w.message(1, () => {
      w.string(1, name)
      w.string(2, value)
    })
  }
  for (let i = 0; i < times.length; i++) {
    if (histograms !== null && histograms[i] !== null) continue
    w.message(2, () => {
      w.double(1, values[i]!)
      w.int64(2, times[i]!)
    })
  }
  if (histograms === null) return
  for (let i = 0; i < times.length; i++) {
    const histogram = histograms[i] ?? null
    if (histogram !== null) w.message(4, () => putHistogram(w, histogram, times[i]!))
  }
}

/** prometheus.Histogram; the same fields serve io.prometheus.write.v2. */
export function putHistogram(w: ProtoWriter, h: Histogram, timeMs: number): void {
  if (h.isFloat) w.doubleAlways(2, h.count)
  else {
    w.uvarint(8)
    w.uvarint(h.count)
  }
  w.double(3, h.sum)
  w.sint64(4, h.schema)
  w.double(5, h.zeroThreshold)
  if (h.isFloat) w.doubleAlways(7, h.zeroCount)
  else {
    w.uvarint(48)
    w.uvarint(h.zeroCount)
  }
  putSide(w, 8, h.negativeSpans, h.negativeBuckets, h.isFloat)
  putSide(w, 11, h.positiveSpans, h.positiveBuckets, h.isFloat)
  w.int64(14, h.counterReset)
  w.int64(15, timeMs)
  w.packedDoubles(16, h.customBounds ?? [])
}

function putSide(w: ProtoWriter, field: number, spans: readonly Span[], buckets: Float64Array, isFloat: boolean): void {
  for (const { offset, length } of spans) {
    w.message(field, () => {
      w.sint64(1, offset)
      w.int64(2, length)
    })
  }
  if (isFloat) w.packedDoubles(field + 2, buckets)
  else {
    const deltas = buckets.map((count, i) => count - (i === 0 ? 0 : buckets[i - 1]!))
    w.packedSint64(field + 1, deltas)
  }
}
