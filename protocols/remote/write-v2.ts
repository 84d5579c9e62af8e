// io.prometheus.write.v2.Request (remote write 2.0) into columns.
//
//   Request     4 symbols* <string>   5 timeseries*
//   TimeSeries  1 labels_refs <uint32*>   2 samples*   3 histograms*   4 exemplars*   5 metadata
//   Sample      1 value   2 timestamp   3 start_timestamp
//   Exemplar    1 labels_refs   2 value   3 timestamp        Metadata  1 type   3 help_ref   4 unit_ref
//
// Source: prometheus prompb/io/prometheus/write/v2/types.proto and the remote-write 2.0 specification. Symbol numbers differ from request to
// request, so a series is looked up by the texts its references stand for, written one after the other with their lengths.
import { ByteWriter } from '../../src/base/bytes.ts'
import type { Appender } from '../../src/model/appender.ts'
import { labelsFrom } from '../../src/model/labels.ts'
import { metricTypes } from '../../src/model/metadata.ts'
import type { SeriesCacheOptions } from './series-cache.ts'
import { textOf } from './series-labels.ts'
import { tooFarAhead, WriteDecoder } from './write-decoder.ts'
import { readHistogram } from './write-histogram.ts'

export type WriteV2Options = Readonly<{
  /** Adds __type__ and __unit__ from the metadata to the labels (--enable-feature=type-and-unit-labels). */
  typeAndUnitLabels: boolean
  /** Puts a zero at the start timestamp of a sample (--enable-feature=created-timestamp-zero-ingestion). */
  startZeros: boolean
}>

export class WriteV2Decoder extends WriteDecoder {
  /** Zeros at start timestamps: appended first and by themselves, because refusing them is normal. */
  readonly zeros = { handles: [] as number[], times: [] as number[] }
  readonly #options: WriteV2Options
  #symbolStart = new Uint32Array(1024)
  #symbolEnd = new Uint32Array(1024)
  #symbols = 0
  #refs = new Uint32Array(256)
  #refCount = 0
  readonly #key = new ByteWriter(4096)

  constructor(appender: Appender, cache: Omit<SeriesCacheOptions, 'release'>, options: WriteV2Options) {
    super(appender, cache)
    this.#options = options
  }

  protected message(): void {
    const reader = this.reader
    const end = reader.end
    this.#symbols = 0
    this.zeros.handles.length = 0
    this.zeros.times.length = 0
    // symbols may stand behind what refers to them
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x22) {
        const stop = reader.span()
        if (this.#symbols === this.#symbolStart.length) this.#growSymbols()
        this.#symbolStart[this.#symbols] = reader.at
        this.#symbolEnd[this.#symbols++] = stop
        reader.at = stop
      } else if (tag >>> 3 === 4 || (tag >>> 3 === 5 && tag !== 0x2a)) throw reader.wrongType(tag)
      else reader.skip(tag)
    }
    reader.at = 0
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag !== 0x2a) {
        reader.skip(tag)
        continue
      }
      const stop = reader.span()
      reader.end = stop
      this.#series(stop)
      reader.end = end
    }
  }

  #series(end: number): void {
    const reader = this.reader
    const start = reader.at
    let samples = 0
    let histograms = 0
    let type = 0
    let help = 0
    let unit = 0
    this.#refCount = 0
    // first what the series is: fields may come in any order
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x0a || tag === 0x08) this.#readRefs(tag)
      else if (tag === 0x2a) {
        const stop = reader.span()
        while (reader.at < stop) {
          const field = reader.tag()
          if (field === 0x08) type = reader.uint32()
          else if (field === 0x18) help = reader.uint32()
          else if (field === 0x20) unit = reader.uint32()
          else reader.skip(field)
        }
        if (reader.at !== stop) throw reader.short()
      } else {
        if (tag === 0x12) samples++
        else if (tag === 0x1a) histograms++
        else if (tag !== 0x22 && tag >>> 3 <= 5) throw reader.wrongType(tag)
        reader.skip(tag)
      }
    }
    const bad = this.#checkRefs('labelRefs')
    if (bad !== '') {
      this.refuse(`parsing labels for series [${this.#refs.subarray(0, this.#refCount).join(' ')}]: ${bad}`)
      this.invalidLabels += samples + histograms
      return
    }
    if (unit >= this.#symbols || help >= this.#symbols) {
      const which = unit >= this.#symbols ? `unit_ref ${unit}` : `help_ref ${help}`
      const refs = this.#refs.subarray(0, this.#refCount).join(' ')
      this.refuse(`parsing metadata for series [${refs}]: metadata ${which} outside of symbols table (size ${this.#symbols})`)
      return
    }
    const handle = this.#handle(type, unit)
    if (handle < 0) {
      this.invalidLabels += samples + histograms
      this.refuse(`invalid metric name or labels, got ${this.#printSeries()}: ${this.lastFault}`)
      return
    }
    if (samples + histograms === 0) {
      this.refuse(`TimeSeries must contain at least one sample or histogram for series ${this.#printSeries()}`)
      return
    }
    reader.at = start
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x12) this.#sample(handle, reader.span())
      else if (tag === 0x1a) {
        const read = readHistogram(reader, reader.span())
        this.addHistogram(handle, read.histogram, read.timeMs, read.startTimeMs, this.#forSeries)
      } else if (tag === 0x22) this.#exemplar(handle, reader.span())
      else reader.skip(tag)
    }
  }

  #sample(handle: number, end: number): void {
    const reader = this.reader
    const outer = reader.end
    reader.end = end
    let value = 0
    let time = 0
    let startTime = 0
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x09) value = reader.double()
      else if (tag === 0x10) time = reader.int64()
      else if (tag === 0x18) startTime = reader.int64()
      else if (tag >>> 3 <= 3) throw reader.wrongType(tag)
      else reader.skip(tag)
    }
    reader.end = outer
    if (time > this.timeMaxMs) {
      this.refuse(tooFarAhead + this.#forSeries())
      return
    }
    if (this.#options.startZeros && startTime !== 0 && time !== 0 && startTime < time) {
      this.zeros.handles.push(handle)
      this.zeros.times.push(startTime)
    }
    const columns = this.columns
    if (columns.length === columns.handles.length) columns.grow()
    const i = columns.length++
    columns.handles[i] = handle
    columns.values[i] = value
    columns.times[i] = time
  }

  #exemplar(handle: number, end: number): void {
    const reader = this.reader
    const outer = reader.end
    reader.end = end
    let value = 0
    let timeMs = 0
    // the series' own references are no longer needed but for messages: keep them aside
    const refs = this.#refs
    const count = this.#refCount
    this.#refs = new Uint32Array(8)
    this.#refCount = 0
    while (reader.at < end) {
      const tag = reader.tag()
      if (tag === 0x0a || tag === 0x08) this.#readRefs(tag)
      else if (tag === 0x11) value = reader.double()
      else if (tag === 0x18) timeMs = reader.int64()
      else if (tag >>> 3 <= 3) throw reader.wrongType(tag)
      else reader.skip(tag)
    }
    reader.end = outer
    const bad = this.#checkRefs('labelRefs')
    const pairs: [string, string][] = []
    if (bad === '') {
      for (let i = 0; i < this.#refCount; i += 2) pairs.push([this.#symbol(this.#refs[i]!), this.#symbol(this.#refs[i + 1]!)])
    }
    this.#refs = refs
    this.#refCount = count
    if (bad !== '') this.refuse(`parsing exemplar for series ${this.#printSeries()}: ${bad}`)
    else if (timeMs <= this.timeMaxMs) {
      this.columns.exemplars.push({ handle, labels: labelsFrom(pairs), value, timeMs, hasTime: timeMs !== 0 })
    }
  }

  #readRefs(tag: number): void {
    const reader = this.reader
    const packed = tag === 0x0a
    const stop = packed ? reader.span() : reader.at + 1
    do {
      if (packed && reader.at >= stop) break
      if (this.#refCount === this.#refs.length) {
        const refs = new Uint32Array(this.#refs.length * 2)
        refs.set(this.#refs)
        this.#refs = refs
      }
      this.#refs[this.#refCount++] = reader.uint32()
    } while (packed)
    if (packed && reader.at !== stop) throw reader.short()
  }

  #checkRefs(what: string): string {
    if (this.#refCount % 2 !== 0) return `invalid ${what} length ${this.#refCount}`
    for (let i = 0; i < this.#refCount; i += 2) {
      const name = this.#refs[i]!
      const value = this.#refs[i + 1]!
      if (name >= this.#symbols || value >= this.#symbols) {
        return `${what} ${name} (name) = ${value} (value) outside of symbols table (size ${this.#symbols})`
      }
    }
    return ''
  }

  /** The series' handle, −1 where its labels name none. References are checked. */
  #handle(type: number, unit: number): number {
    const reader = this.reader
    const bytes = reader.bytes
    const key = this.#key
    key.length = 0
    for (let i = 0; i < this.#refCount; i++) {
      const from = this.#symbolStart[this.#refs[i]!]!
      const length = this.#symbolEnd[this.#refs[i]!]! - from
      key.reserve(length + 10)
      key.uvarint(length)
      const out = key.bytes
      let to = key.length
      for (let k = 0; k < length; k++) out[to++] = bytes[from + k]!
      key.length = to
    }
    const overrides = this.#options.typeAndUnitLabels && ((type > 0 && type < metricTypes.length) || this.#symbolLength(unit) > 0)
    if (overrides) {
      key.u8(type)
      key.raw(bytes.subarray(this.#symbolStart[unit]!, this.#symbolEnd[unit]!))
    }
    let entry = this.cache.guess(key.view, 0, key.length)
    if (entry >= 0 && this.cache.lengthOf(entry) !== key.length) {
      this.cache.unguess()
      entry = -1
    }
    if (entry < 0) entry = this.cache.find(key.view, 0, key.length)
    if (entry >= 0) return this.cache.handle(entry)
    return overrides ? this.#openTyped(type, unit) : this.#openRefs()
  }

  #openRefs(): number {
    this.ranges.clear()
    for (let i = 0; i < this.#refCount; i += 2) this.#pushRef(this.#refs[i]!, this.#refs[i + 1]!)
    return this.open(this.reader.bytes, this.#key.bytes, this.#key.view, 0, this.#key.length)
  }

  /** Labels with type and unit set from the metadata: their texts lie in no message, so they are written out once. */
  #openTyped(type: number, unit: number): number {
    const texts = new ByteWriter(1024)
    this.ranges.clear()
    const add = (name: Uint8Array, value: Uint8Array): void => {
      const nameStart = texts.length
      texts.raw(name)
      const valueStart = texts.length
      texts.raw(value)
      this.ranges.push(nameStart, valueStart, valueStart, texts.length)
    }
    for (let i = 0; i < this.#refCount; i += 2) {
      const name = this.#symbol(this.#refs[i]!)
      if (name !== typeLabel && name !== unitLabel) add(this.#symbolBytes(this.#refs[i]!), this.#symbolBytes(this.#refs[i + 1]!))
    }
    if (type > 0 && type < metricTypes.length) add(utf8.encode(typeLabel), utf8.encode(metricTypes[type]))
    if (this.#symbolLength(unit) > 0) add(utf8.encode(unitLabel), this.#symbolBytes(unit))
    return this.open(texts.bytes, this.#key.bytes, this.#key.view, 0, this.#key.length)
  }

  #pushRef(name: number, value: number): void {
    this.ranges.push(this.#symbolStart[name]!, this.#symbolEnd[name]!, this.#symbolStart[value]!, this.#symbolEnd[value]!)
  }

  #symbolLength(ref: number): number {
    return this.#symbolEnd[ref]! - this.#symbolStart[ref]!
  }
  #symbolBytes(ref: number): Uint8Array {
    return this.reader.bytes.subarray(this.#symbolStart[ref]!, this.#symbolEnd[ref]!)
  }
  #symbol(ref: number): string {
    return utf8Text.decode(this.#symbolBytes(ref))
  }

  readonly #forSeries = (): string => ` for series ${this.#printSeries()}`

  #printSeries(): string {
    const parts: string[] = []
    for (let i = 0; i + 1 < Math.min(this.#refCount, 64); i += 2) {
      const name = this.#refs[i]!
      const value = this.#refs[i + 1]!
      const text = textOf(this.reader.bytes, this.#symbolStart[value]!, this.#symbolEnd[value]!)
      parts.push(`${textOf(this.reader.bytes, this.#symbolStart[name]!, this.#symbolEnd[name]!)}=${JSON.stringify(text)}`)
    }
    return `{${parts.join(', ')}}`
  }

  #growSymbols(): void {
    const starts = new Uint32Array(this.#symbolStart.length * 2)
    starts.set(this.#symbolStart)
    const ends = new Uint32Array(starts.length)
    ends.set(this.#symbolEnd)
    this.#symbolStart = starts
    this.#symbolEnd = ends
  }
}

const typeLabel = '__type__'
const unitLabel = '__unit__'
const utf8 = new TextEncoder()
const utf8Text = new TextDecoder('utf-8', { ignoreBOM: true })
