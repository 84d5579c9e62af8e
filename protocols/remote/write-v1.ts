// prometheus.WriteRequest (remote write 1.x) straight into columns.
//
//   WriteRequest  1 timeseries*   3 metadata* (per metric family: not stored, as in Prometheus)
//   TimeSeries    1 labels*   2 samples*   3 exemplars*   4 histograms*
//   Label         1 name   2 value          Sample  1 value <double>   2 timestamp <int64 ms>
//
// Source: prometheus prompb/remote.proto, types.proto. The fast path knows what every sender writes: labels first and in one piece, then
// samples. A series it has seen before costs one memory comparison and a few loads a sample. Anything else that protobuf allows (fields in
// another order, labels in pieces) takes the slow path and ends in the same columns.
import { labelsFrom, type Labels } from '../../src/model/labels.ts'
import { tooFarAhead, WriteDecoder } from './write-decoder.ts'
import { readHistogram } from './write-histogram.ts'

const labelsTag = 0x0a
const samplesTag = 0x12

export class WriteV1Decoder extends WriteDecoder {
  /** Labels in pieces are gathered here. */
  #gathered = new Uint8Array(1024)

  protected message(): void {
    const reader = this.reader
    const end = reader.end
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x0a) {
        const stop = reader.span()
        reader.end = stop
        this.#series(stop)
        reader.end = end
      } else if (tag >>> 3 === 1 || (tag >>> 3 === 3 && tag !== 0x1a)) throw reader.wrongType(tag)
      else reader.skip(tag)
    }
  }

  #series(end: number): void {
    const reader = this.reader
    const bytes = reader.bytes
    const start = reader.at
    const cache = this.cache
    let handle = -1
    let entry = cache.guess(reader.view, start, end)
    if (entry >= 0) {
      const stop = start + cache.lengthOf(entry)
      if (stop < end && bytes[stop] === labelsTag) {
        cache.unguess()
        entry = -1
      } else {
        handle = cache.handle(entry)
        reader.at = stop
      }
    }
    if (entry < 0) {
      while (reader.at < end && bytes[reader.at] === labelsTag) {
        reader.at++
        reader.at = reader.span()
      }
      const stop = reader.at
      entry = cache.find(reader.view, start, stop)
      if (entry >= 0) handle = cache.handle(entry)
      else {
        // a series is opened only once all its labels are known
        if (this.#moreLabels(stop, end)) {
          this.#scattered(start, end)
          return
        }
        handle = this.#open(start, stop)
      }
      reader.at = stop
    }
    const columns = this.columns
    const first = columns.length
    const exemplarsBefore = columns.exemplars.length
    const histogramsBefore = columns.histograms.length
    const timeMaxMs = this.timeMaxMs
    while (reader.at < end) {
      const tag = bytes[reader.at]!
      if (tag === samplesTag) {
        reader.at++
        const stop = reader.span()
        let value = 0
        let time = 0
        while (reader.at < stop) {
          const field = bytes[reader.at]!
          if (field === 0x09) {
            reader.at++
            value = reader.double()
          } else if (field === 0x10) {
            reader.at++
            time = reader.int64()
          } else this.#sampleField()
        }
        if (reader.at !== stop) throw reader.short()
        if (time > timeMaxMs) this.refuse(tooFarAhead)
        else {
          if (columns.length === columns.handles.length) columns.grow()
          const i = columns.length++
          columns.handles[i] = handle
          columns.values[i] = value
          columns.times[i] = time
        }
      } else if (tag === 0x1a) {
        reader.at++
        this.#exemplar(handle, reader.span())
      } else if (tag === 0x22) {
        reader.at++
        const read = readHistogram(reader, reader.span())
        this.addHistogram(handle, read.histogram, read.timeMs, read.startTimeMs, noSeries)
      } else if (tag === labelsTag) {
        columns.length = first
        columns.exemplars.length = exemplarsBefore
        columns.histograms.length = histogramsBefore
        this.#scattered(start, end)
        return
      } else {
        const unknown = reader.tag()
        if (unknown >>> 3 <= 4) throw reader.wrongType(unknown)
        reader.skip(unknown)
      }
    }
    if (handle < 0) {
      columns.length = first
      columns.exemplars.length = exemplarsBefore
      columns.histograms.length = histogramsBefore
      this.invalidLabels++
    }
  }

  #sampleField(): void {
    const tag = this.reader.tag()
    if (tag >>> 3 <= 2) throw this.reader.wrongType(tag)
    this.reader.skip(tag)
  }

  #moreLabels(from: number, end: number): boolean {
    const reader = this.reader
    reader.at = from
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === labelsTag) return true
      reader.skip(tag)
    }
    return false
  }

  /** Labels lie in several places: they are copied together, in front of a copy of the rest, and the series is read again. */
  #scattered(start: number, end: number): void {
    const reader = this.reader
    const { bytes, view } = reader
    const size = end - start
    if (this.#gathered.length < size) this.#gathered = new Uint8Array(size * 2)
    const gathered = this.#gathered
    let to = 0
    for (const wanted of [true, false]) {
      reader.at = start
      while (reader.at < end) {
        const from = reader.at
        const tag = reader.tag()
        reader.skip(tag)
        if ((tag === labelsTag) !== wanted) continue
        gathered.set(bytes.subarray(from, reader.at), to)
        to += reader.at - from
      }
    }
    reader.reset(gathered, new DataView(gathered.buffer), 0, to)
    this.#series(to)
    reader.reset(bytes, view, end, end)
  }

  #open(start: number, end: number): number {
    const reader = this.reader
    const outer = reader.end
    this.ranges.clear()
    reader.at = start
    while (reader.at < end) {
      reader.at++ // the tag: only label fields lie here
      this.#label(reader.span())
    }
    reader.end = outer
    return this.open(reader.bytes, reader.bytes, reader.view, start, end)
  }

  #label(end: number): void {
    const reader = this.reader
    const outer = reader.end
    reader.end = end
    let nameStart = 0
    let nameEnd = 0
    let valueStart = 0
    let valueEnd = 0
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x0a) {
        nameEnd = reader.span()
        nameStart = reader.at
        reader.at = nameEnd
      } else if (tag === 0x12) {
        valueEnd = reader.span()
        valueStart = reader.at
        reader.at = valueEnd
      } else if (tag >>> 3 <= 2) throw reader.wrongType(tag)
      else reader.skip(tag)
    }
    reader.end = outer
    this.ranges.push(nameStart, nameEnd, valueStart, valueEnd)
  }

  #exemplar(handle: number, end: number): void {
    const reader = this.reader
    const outer = reader.end
    reader.end = end
    const pairs: [string, string][] = []
    let value = 0
    let timeMs = 0
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x0a) pairs.push(this.#exemplarLabel(reader.span()))
      else if (tag === 0x11) value = reader.double()
      else if (tag === 0x18) timeMs = reader.int64()
      else if (tag >>> 3 <= 3) throw reader.wrongType(tag)
      else reader.skip(tag)
    }
    reader.end = outer
    // faults of exemplars never fail a request of version 1
    if (timeMs > this.timeMaxMs) return
    const labels: Labels = labelsFrom(pairs)
    this.columns.exemplars.push({ handle, labels, value, timeMs, hasTime: timeMs !== 0 })
  }

  #exemplarLabel(end: number): [string, string] {
    const reader = this.reader
    let name = ''
    let value = ''
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x0a) name = reader.text()
      else if (tag === 0x12) value = reader.text()
      else reader.skip(tag)
    }
    if (reader.at !== end) throw reader.short()
    return [name, value]
  }
}

function noSeries(): string {
  return ''
}
