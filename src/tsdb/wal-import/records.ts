// What the records of a Prometheus log say. Source: prometheus tsdb/docs/format/wal.md, tsdb/record/record.go. Numbers are big-endian.
//
//   1 series   2, 11 floats   3 deletions   4 exemplars   5 markers (wbl)   6 metadata   7, 9, 12 integer histograms   8, 10, 13 float histograms
//
// 2, 4, 7–10 begin with a series and a time that all entries are relative to. 11–13 have varints throughout, series relative to the entry before,
// and a start time per entry: marker 0 none, 1 as before, 2 relative to the first.
import { ByteReader } from '../../base/bytes.ts'
import { PromhiveError } from '../../base/errors.ts'
import { customBucketsSchema, type CounterReset, type Histogram, type Span } from '../../model/histogram.ts'
import { labelsFrom, type Labels } from '../../model/labels.ts'
import { metricTypes, type Metadata } from '../../model/metadata.ts'
import { BitReader } from '../chunks/bits.ts'
import { withKnownSchema } from '../chunks/histogram-layout.ts'

/** Takes what records say. References are the log's own numbers for series. Times are ms. */
export interface RecordSink {
  series?(ref: number, labels: Labels): void
  /** The value by its bits. */
  sample?(ref: number, time: number, high: number, low: number, startTime: number): void
  histogram?(ref: number, time: number, histogram: Histogram, startTime: number): void
  /** Closed interval. */
  deletion?(ref: number, minTime: number, maxTime: number): void
  exemplar?(ref: number, time: number, value: number, labels: Labels): void
  metadata?(ref: number, metadata: Metadata): void
}

const entriesMax = 1 << 24

/**
 * Unknown types are skipped, as Prometheus does, and said: a flipped flag makes a compressed record look like one.
 * @returns the type where it is unknown, else null.
 * @throws PromhiveError DECODE; what came before in the record has been given to the sink.
 */
export function readRecord(record: Uint8Array, sink: RecordSink): number | null {
  if (record.length < 2) return null
  const reader = new RecordReader(record)
  const type = reader.u8()
  const read = readers[type]
  if (read === undefined) return type
  read(reader, sink)
  return null
}

type Reader = (reader: RecordReader, sink: RecordSink) => void
const integerHistograms: Reader = (reader, sink) => readHistograms(reader, sink, false)
const floatHistograms: Reader = (reader, sink) => readHistograms(reader, sink, true)
const newerHistograms =
  (isFloat: boolean): Reader =>
  (reader, sink) =>
    readNewer(reader, (ref, time, start) => giveHistogram(sink, ref, time, reader.histogram(isFloat), start))
const readers: Readonly<Record<number, Reader>> = {
  1: readSeries,
  2: readFloats,
  3: readDeletions,
  4: readExemplars,
  5: () => {}, // where the log of late samples stood when their chunk was full: chunks say it themselves
  6: readMetadata,
  7: integerHistograms,
  8: floatHistograms,
  9: integerHistograms,
  10: floatHistograms,
  11: (reader, sink) =>
    readNewer(reader, (ref, time, start) => {
      const high = reader.u32be()
      const low = reader.u32be()
      sink.sample?.(ref, time, high, low, start)
    }),
  12: newerHistograms(false),
  13: newerHistograms(true),
}

class RecordReader extends ByteReader {
  u64be(): number {
    const value = this.u32be() * 4294967296 + this.u32be()
    if (value > Number.MAX_SAFE_INTEGER)
      throw new PromhiveError('DECODE', `cannot decode record: number too large at offset ${this.position}`)
    return value
  }
  i64be(): number {
    const high = this.u32be() | 0
    return high * 4294967296 + this.u32be()
  }
  f64be(): number {
    this.need(8)
    this.position += 8
    return this.view.getFloat64(this.position - 8)
  }
  labels(): Labels {
    const count = this.count()
    const pairs: [string, string][] = []
    for (let i = 0; i < count; i++) pairs.push([this.text(), this.text()])
    return labelsFrom(pairs)
  }
  /** A count of things that take a byte each at least. */
  count(): number {
    const count = this.uvarint()
    if (count > this.remaining() || count > entriesMax) {
      throw new PromhiveError('DECODE', `cannot decode record: ${count} entries in ${this.remaining()} bytes at offset ${this.position}`)
    }
    return count
  }
  spans(): Span[] {
    return Array.from({ length: this.count() }, () => ({ offset: this.varint(), length: this.uvarint() }))
  }
  floats(): Float64Array {
    return Float64Array.from({ length: this.count() }, () => this.f64be())
  }
  /** Differences between neighbours into counts. */
  deltas(): Float64Array {
    let sum = 0
    return Float64Array.from({ length: this.count() }, () => (sum += this.varint()))
  }
  histogram(isFloat: boolean): Histogram {
    const counterReset = (this.u8() & 3) as CounterReset
    const schema = this.varint()
    const zeroThreshold = this.f64be()
    const zeroCount = isFloat ? this.f64be() : this.uvarint()
    const count = isFloat ? this.f64be() : this.uvarint()
    const sum = this.f64be()
    const positiveSpans = this.spans()
    const negativeSpans = this.spans()
    const positiveBuckets = isFloat ? this.floats() : this.deltas()
    const negativeBuckets = isFloat ? this.floats() : this.deltas()
    const customBounds = schema === customBucketsSchema ? this.floats() : null
    return {
      isFloat,
      schema,
      zeroThreshold,
      zeroCount,
      count,
      sum,
      positiveSpans,
      negativeSpans,
      positiveBuckets,
      negativeBuckets,
      customBounds,
      counterReset,
    }
  }
}

function readSeries(reader: RecordReader, sink: RecordSink): void {
  while (reader.remaining() > 0) {
    const ref = reader.u64be()
    // read before the call: where the sink does not want it, `?.` would skip the reading too
    const labels = reader.labels()
    sink.series?.(ref, labels)
  }
}

function readFloats(reader: RecordReader, sink: RecordSink): void {
  const baseRef = reader.u64be()
  const baseTime = reader.i64be()
  while (reader.remaining() > 0) {
    const ref = baseRef + reader.varint()
    const time = baseTime + reader.varint()
    const high = reader.u32be()
    const low = reader.u32be()
    sink.sample?.(ref, time, high, low, 0)
  }
}

function readNewer(reader: RecordReader, each: (ref: number, time: number, startTime: number) => void): void {
  let ref = 0
  let firstTime = 0
  let firstStart = 0
  let start = 0
  for (let i = 0; reader.remaining() > 0; i++) {
    ref += reader.varint()
    const time = firstTime + reader.varint()
    if (i === 0) {
      firstTime = time
      firstStart = start = reader.varint()
    } else {
      const marker = reader.u8()
      if (marker === 0) start = 0
      else if (marker !== 1) start = firstStart + reader.varint()
    }
    each(ref, time, start)
  }
}

function readHistograms(reader: RecordReader, sink: RecordSink, isFloat: boolean): void {
  const baseRef = reader.u64be()
  const baseTime = reader.i64be()
  while (reader.remaining() > 0) {
    const ref = baseRef + reader.varint()
    const time = baseTime + reader.varint()
    giveHistogram(sink, ref, time, reader.histogram(isFloat), 0)
  }
}

/** Histograms of schemas that are not known are skipped, as Prometheus does. */
function giveHistogram(sink: RecordSink, ref: number, time: number, histogram: Histogram, startTime: number): void {
  const { schema } = histogram
  if (schema !== customBucketsSchema && (schema < -4 || schema > 52)) return
  sink.histogram?.(ref, time, withKnownSchema(histogram), startTime)
}

const times = new BitReader()

/** Deletions may reach over all of int64: what is beyond ±2^53 has no end. */
function readDeletions(reader: RecordReader, sink: RecordSink): void {
  while (reader.remaining() > 0) {
    const ref = reader.u64be()
    const minTime = readTime(reader)
    const maxTime = readTime(reader)
    sink.deletion?.(ref, minTime, maxTime)
  }
}

function readTime(reader: RecordReader): number {
  times.reset(reader.bytes.subarray(0, reader.end), 0)
  times.position = reader.position * 8
  times.varint64()
  reader.position = times.position / 8
  const value = times.high * 4294967296 + (times.low >>> 0)
  return value > Number.MAX_SAFE_INTEGER ? Infinity : value < Number.MIN_SAFE_INTEGER ? -Infinity : value
}

function readExemplars(reader: RecordReader, sink: RecordSink): void {
  const baseRef = reader.u64be()
  const baseTime = reader.i64be()
  while (reader.remaining() > 0) {
    const ref = baseRef + reader.varint()
    const time = baseTime + reader.varint()
    const value = reader.f64be()
    const labels = reader.labels()
    sink.exemplar?.(ref, time, value, labels)
  }
}

function readMetadata(reader: RecordReader, sink: RecordSink): void {
  while (reader.remaining() > 0) {
    const ref = reader.uvarint()
    const type = metricTypes[reader.u8()] ?? 'unknown'
    let unit = ''
    let help = ''
    for (let left = reader.count(); left > 0; left--) {
      const name = reader.text()
      const value = reader.text()
      if (name === 'UNIT') unit = value
      else if (name === 'HELP') help = value
    }
    sink.metadata?.(ref, { type, unit, help })
  }
}
