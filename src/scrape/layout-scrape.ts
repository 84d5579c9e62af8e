// The hot path of scraping: a text body against the layout of the one before.
//
//   line k = entry k?  ──yes──▶ the handle is known, only the number is read               (#aligned: nothing allocated, nothing hashed)
//          └──no──▶ read the line in full, look a few entries ahead, then in an index of    (#changed: from the first difference to the end,
//                   all prefixes; unknown series get their labels and a handle               and a new layout is made)
//
// Nothing outside changes until the whole body was good: a failed scrape releases what it opened and leaves the layout as it was.
import { PromhiveError } from '../base/errors.ts'
import type { Appender, SeriesHandle } from '../model/appender.ts'
import { hashBytes } from '../model/label-bytes.ts'
import type { MetricType } from '../model/metadata.ts'
import { readExemplar, readFamily, readLabels } from '../../protocols/exposition/entries.ts'
import { decodeHelp, entry, LineReader, terminated, type Dialect } from '../../protocols/exposition/line-reader.ts'
import { decodeText } from '../../protocols/exposition/line-text.ts'
import { readSimpleNumber } from '../../protocols/exposition/numbers.ts'
import type { ExpositionFormat } from '../../protocols/exposition/formats.ts'
import type { BatchBuilder } from './batch.ts'
import { emptyLayout, flag, FlatLayout, prefixEquals, PrefixIndex, type Layout } from './layout.ts'
import type { SampleLabels } from './sample-labels.ts'
import {
  aheadMsMax,
  exemplarFits,
  noMetadata,
  type FamilyMetadata,
  type MetadataSize,
  type ScrapeCounts,
  type SeriesCache,
} from './series-cache.ts'

export type LayoutRules = Readonly<{
  honorTimestamps: boolean
  trackTimestampsStaleness: boolean
  sampleLimit: number
  exemplars: boolean
}>

/** Buffers for the time of one scrape, shared by all targets of a thread. */
export class LayoutScratch {
  /** Of the hashes of prefixes: unknown to targets, so that none can make them collide. */
  readonly hashSeed: number
  readonly before = new FlatLayout()
  readonly after = new FlatLayout()
  readonly known = new PrefixIndex()
  readonly fresh = new PrefixIndex()
  seen = new Uint8Array(1024)
  readonly number = new Float64Array(1)
  readonly readers: Readonly<Record<Dialect, LineReader>> = { text: new LineReader('text'), openmetrics: new LineReader('openmetrics') }
  constructor(hashSeed = 0) {
    this.hashSeed = hashSeed
  }
}

const noBytes = new Uint8Array(0)
const noView = new DataView(noBytes.buffer)

const SPACE = 32
/** Entries looked at ahead of the expected one before the index of all is made. */
const lookAhead = 16
const plainSample = flag.sample | flag.tracked

export class LayoutScrape implements SeriesCache {
  /** Of the body at hand; a target may change it from scrape to scrape, the prefixes stay alike. */
  #dialect: Dialect = 'text'
  /** Of the layout. */
  #layoutDialect: Dialect = 'text'
  readonly #labels: SampleLabels
  readonly #appender: Appender
  readonly #rules: LayoutRules
  readonly #scratch: LayoutScratch
  #layout: Layout = emptyLayout
  /** False after a failed scrape: all series have their staleness marker already. */
  #live = false
  #metadataSize: MetadataSize = noMetadata

  // state of one ingest
  #bytes: Uint8Array = noBytes
  #view: DataView = noView
  #end = 0
  #scraped = 0
  #kept = 0
  #added = 0
  #taken = 0
  #duplicates = 0
  #outOfBounds = 0
  #latestMs = 0
  #opened: SeriesHandle[] = []

  constructor(labels: SampleLabels, appender: Appender, rules: LayoutRules, scratch: LayoutScratch) {
    this.#labels = labels
    this.#appender = appender
    this.#rules = rules
    this.#scratch = scratch
  }

  /** `format` must not be protobuf. */
  ingest(body: Uint8Array, format: ExpositionFormat, batch: BatchBuilder, nowMs: number, counts: ScrapeCounts): void {
    this.#dialect = format === 'openmetrics' ? 'openmetrics' : 'text'
    this.#bytes = terminated(body)
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength)
    this.#end = this.#dialect === 'text' ? this.#bytes.length : body.length
    this.#scraped = this.#kept = this.#added = this.#taken = this.#duplicates = this.#outOfBounds = 0
    this.#latestMs = nowMs + aheadMsMax
    this.#opened = []
    this.#scratch.readers[this.#dialect].open(this.#bytes, body.length)
    try {
      this.#aligned(batch)
      this.#live = true
      this.#layoutDialect = this.#dialect
    } catch (thrown) {
      batch.truncate()
      for (const handle of this.#opened) this.#appender.release(handle)
      throw thrown
    } finally {
      counts.scraped = this.#scraped
      counts.kept = this.#kept
      counts.added = this.#added
      counts.duplicates = this.#duplicates
      counts.outOfBounds = this.#outOfBounds
      this.#bytes = noBytes
      this.#view = noView
      this.#scratch.readers[this.#dialect].open(noBytes, 0)
      this.#opened = []
    }
  }

  markStale(batch: BatchBuilder): void {
    if (!this.#live) return
    this.#live = false
    this.#layout.forEachSeries((handle, tracked) => {
      if (tracked) batch.pushStale(handle)
    })
  }

  release(): void {
    this.#layout.forEachSeries((handle) => this.#appender.release(handle))
    this.#layout = emptyLayout
    this.#metadataSize = noMetadata
    this.#live = false
  }

  get bytes(): number {
    return this.#layout.bytes
  }

  metadata(): readonly FamilyMetadata[] {
    return readMetadata(this.#layout, this.#layoutDialect)
  }

  metadataSize(): MetadataSize {
    return this.#metadataSize
  }

  /** Lines that are where they were. Leaves to #changed at the first that isn't. */
  #aligned(batch: BatchBuilder): void {
    const layout = this.#layout
    const { count, shared, ends, suffixes, handles: known, flags } = layout
    const bytes = this.#bytes
    const view = this.#view
    const end = this.#end
    const { honorTimestamps, trackTimestampsStaleness } = this.#rules
    const reader = this.#scratch.readers[this.#dialect]
    const number = this.#scratch.number
    batch.reserve(count + 16)
    const suffixView = new DataView(suffixes.buffer, suffixes.byteOffset, suffixes.byteLength)
    let { handles, values } = batch
    let scraped = 0
    let dropped = 0
    let quick = true // until a sample has a time of its own: then the batch has one more column
    let n = batch.length
    let position = 0
    let before = 0
    let from = 0
    let k = 0
    let ended = false
    for (; k < count; k++) {
      const to = ends[k]!
      const take = shared[k]!
      const at = position + take + (to - from)
      const f = flags[k]!
      if (at > end || !same(view, before, view, position, take) || !same(suffixView, from, view, position + take, to - from)) break
      if (f === plainSample) {
        const numberEnd = bytes[at] === SPACE ? readSimpleNumber(bytes, at + 1, values, n) : -1
        if (numberEnd >= 0 && bytes[numberEnd] === 10 && quick) {
          handles[n++] = known[k]!
          scraped++
          before = position
          position = numberEnd + 1
          from = to
          continue
        }
      } else if (f === flag.text || f === (flag.text | flag.type)) {
        before = position
        position = at
        from = to
        continue
      } else if (f === flag.dropped) {
        const numberEnd = bytes[at] === SPACE ? readSimpleNumber(bytes, at + 1, number, 0) : -1
        if (numberEnd >= 0 && bytes[numberEnd] === 10) {
          scraped++
          dropped++
          before = position
          position = numberEnd + 1
          from = to
          continue
        }
      }
      if ((f & flag.eof) !== 0) {
        if (at !== end) break
        position = at
        ended = true
        k++
        break
      }
      // a longer way for the rest: unusual numbers, times, exemplars, duplicates
      reader.start = position
      if (!endsPrefix(bytes, at) || !reader.readTail(at)) break
      if ((f & flag.sample) !== 0) {
        const own = honorTimestamps && reader.hasTime
        if (((f & flag.tracked) !== 0) !== (!own || trackTimestampsStaleness)) break
        batch.length = n
        if (own || (f & flag.duplicate) === 0) this.#push(batch, known[k]!, reader, own)
        else this.#duplicates++
        n = batch.length
        handles = batch.handles
        values = batch.values
        quick = batch.times === null
      } else dropped++
      scraped++
      before = position
      position = reader.position
      from = to
    }
    batch.length = n
    this.#scraped = scraped
    this.#kept = scraped - dropped
    this.#taken = n + this.#outOfBounds
    if (k === count && (ended || (this.#dialect === 'text' && position >= end && count > 0))) {
      this.#checkSampleLimit()
      return
    }
    this.#changed(batch, k, position)
  }

  /** From this entry of the old layout and this position of the body on. */
  #changed(batch: BatchBuilder, first: number, start: number): void {
    const scratch = this.#scratch
    const { before, after } = scratch
    const old = this.#layout
    before.expand(old)
    after.clear()
    scratch.fresh.reset(0)
    let indexed = false
    if (scratch.seen.length < old.count) scratch.seen = new Uint8Array(Math.max(old.count, scratch.seen.length * 2))
    const { seen } = scratch
    seen.fill(1, 0, first)
    seen.fill(0, first, old.count)
    const bytes = this.#bytes
    const reader = scratch.readers[this.#dialect]
    const { honorTimestamps, trackTimestampsStaleness } = this.#rules
    let typeScanned = 0
    let type: MetricType = 'unknown'
    let runStart = 0
    let k = first
    let position = start
    for (;;) {
      // where the layouts run side by side, entries are only counted, and copied when the run ends
      if (k < old.count) {
        const f = before.flags[k]!
        const length = before.starts[k + 1]! - before.starts[k]!
        if (
          (f & (flag.duplicate | flag.eof)) === 0 &&
          seen[k] === 0 &&
          position + length <= this.#end &&
          prefixEquals(before, k, bytes, position, position + length)
        ) {
          if ((f & flag.text) !== 0) {
            seen[k++] = 1
            position += length
            continue
          }
          reader.start = position
          if (endsPrefix(bytes, position + length) && reader.readTail(position + length)) {
            const own = honorTimestamps && reader.hasTime
            const tracked = !own || trackTimestampsStaleness
            if ((f & flag.dropped) !== 0 || ((f & flag.tracked) !== 0) === tracked) {
              this.#scraped++
              if ((f & flag.sample) !== 0) {
                this.#kept++
                this.#take(batch, before.handles[k]!, reader, own)
              }
              seen[k++] = 1
              position = reader.position
              continue
            }
          }
        }
      }
      after.pushRun(before, runStart, k)
      reader.position = position
      const kind = reader.next()
      if (kind === entry.problem) throw reader.failure()
      if (kind === entry.end) break
      const from = reader.start
      const to = reader.prefixEnd
      position = reader.position
      if (kind === entry.eof) {
        after.push(bytes, from, to, 0, flag.text | flag.eof)
        break
      }
      if (kind !== entry.series) {
        const flags = flag.text | (kind === entry.type ? flag.type : 0)
        after.push(bytes, from, to, 0, flags)
        const next = this.#findAhead(before, k, bytes, from, to, flag.text)
        if (next >= 0) k = next + 1
        runStart = k
        continue
      }
      this.#scraped++
      const own = honorTimestamps && reader.hasTime
      const trackedFlag = !own || trackTimestampsStaleness ? flag.tracked : 0
      let m = this.#findAhead(before, k, bytes, from, to, flag.sample | flag.dropped)
      let hash = -1
      if (m < 0 && old.count > 0) {
        if (!indexed) {
          this.#indexAll(before)
          indexed = true
        }
        hash = hashBytes(bytes, from, to, scratch.hashSeed)
        m = scratch.known.find(before, hash, bytes, from, to)
      }
      if (m >= 0) {
        const f = before.flags[m]!
        if ((f & flag.dropped) !== 0) {
          after.push(bytes, from, to, 0, flag.dropped)
          seen[m] = 1
          k = m + 1
        } else {
          this.#kept++
          const handle = before.handles[m]!
          if (seen[m] === 1) this.#again(batch, handle, bytes, from, to, reader, own, trackedFlag)
          else {
            seen[m] = 1
            this.#take(batch, handle, reader, own)
            after.push(bytes, from, to, handle, flag.sample | trackedFlag)
            // it has a time of its own now: its line of samples at scrape times ends here
            if ((f & flag.tracked) !== 0 && trackedFlag === 0 && this.#live) batch.pushStale(handle)
            k = m + 1
          }
        }
        runStart = k
        continue
      }
      runStart = k
      if (hash < 0) hash = hashBytes(bytes, from, to, scratch.hashSeed)
      const twin = scratch.fresh.find(after, hash, bytes, from, to)
      if (twin >= 0) {
        if ((after.flags[twin]! & flag.dropped) !== 0) after.push(bytes, from, to, 0, flag.dropped)
        else {
          this.#kept++
          this.#again(batch, after.handles[twin]!, bytes, from, to, reader, own, trackedFlag)
        }
        continue
      }
      for (; typeScanned < after.count; typeScanned++) {
        if ((after.flags[typeScanned]! & flag.type) !== 0) type = typeOf(after, typeScanned)
      }
      const direct = this.#labels.bytesOf(reader, type)
      const labels = direct === null ? this.#labels.of(readLabels(reader, type, null)) : null
      scratch.fresh.add(hash, after.count)
      if (direct === null && labels === null) {
        after.push(bytes, from, to, 0, flag.dropped)
        continue
      }
      this.#kept++
      if (this.#rules.sampleLimit > 0 && this.#taken >= this.#rules.sampleLimit) {
        // the scrape has failed already; the rest is only counted, and nothing more is opened
        this.#taken++
        after.push(bytes, from, to, 0, flag.sample | trackedFlag)
        continue
      }
      const handle = direct === null ? this.#appender.open(labels!) : this.#appender.openBytes(direct)
      this.#opened.push(handle)
      this.#added++
      this.#take(batch, handle, reader, own)
      after.push(bytes, from, to, handle, flag.sample | trackedFlag)
    }
    this.#checkSampleLimit()
    for (let m = 0; m < old.count; m++) {
      const f = before.flags[m]!
      if (seen[m] === 1 || (f & (flag.sample | flag.duplicate)) !== flag.sample) continue
      const handle = before.handles[m]!
      if (this.#live && (f & flag.tracked) !== 0) batch.pushStale(handle)
      this.#vanished.push(handle)
    }
    this.#layout = after.compress()
    this.#metadataSize = measureMetadata(after, this.#dialect)
  }

  /** Handles that lost their series in the last ingest; the markers are in the batch. */
  #vanished: SeriesHandle[] = []
  releaseVanished(): void {
    for (const handle of this.#vanished) this.#appender.release(handle)
    this.#vanished = []
  }

  #take(batch: BatchBuilder, handle: SeriesHandle, reader: LineReader, own: boolean): void {
    this.#taken++
    this.#push(batch, handle, reader, own)
  }

  #push(batch: BatchBuilder, handle: SeriesHandle, reader: LineReader, own: boolean): void {
    if (own && reader.time > this.#latestMs) {
      this.#outOfBounds++
      return
    }
    if (own) batch.pushAt(handle, reader.value, reader.time)
    else batch.push(handle, reader.value)
    if (!reader.hasExemplar || !this.#rules.exemplars) return
    const { labels, value, timeMs } = readExemplar(reader)
    if (!exemplarFits(labels)) return
    const at = own ? reader.time : batch.timeMs
    batch.exemplars.push({ handle, labels, value, timeMs: timeMs ?? at, hasTime: timeMs !== null })
  }

  /** A series a second time in one body: only with a time of its own is that another sample. */
  #again(
    batch: BatchBuilder,
    handle: SeriesHandle,
    bytes: Uint8Array,
    from: number,
    to: number,
    reader: LineReader,
    own: boolean,
    flags: number,
  ): void {
    if (own) this.#take(batch, handle, reader, own)
    else this.#duplicates++
    this.#scratch.after.push(bytes, from, to, handle, flag.sample | flag.duplicate | flags)
  }

  #checkSampleLimit(): void {
    const { sampleLimit } = this.#rules
    if (sampleLimit > 0 && this.#taken > sampleLimit)
      throw new PromhiveError('SCRAPE', 'sample limit exceeded', { limit: sampleLimit, samples: this.#taken })
  }

  /** One of the next entries with this prefix, that was not met yet. */
  #findAhead(before: FlatLayout, k: number, bytes: Uint8Array, from: number, to: number, wanted: number): number {
    const { seen } = this.#scratch
    const end = Math.min(before.count, k + lookAhead)
    for (let m = k; m < end; m++) {
      const f = before.flags[m]!
      if ((f & wanted) !== 0 && (f & flag.duplicate) === 0 && seen[m] === 0 && prefixEquals(before, m, bytes, from, to)) return m
    }
    return -1
  }

  #indexAll(before: FlatLayout): void {
    const { known, hashSeed } = this.#scratch
    known.reset(before.count)
    for (let k = 0; k < before.count; k++) {
      const f = before.flags[k]!
      if ((f & (flag.text | flag.duplicate)) === 0)
        known.add(hashBytes(before.bytes, before.starts[k]!, before.starts[k + 1]!, hashSeed), k)
    }
  }
}

/** Whether a prefix that was found to end here can't be the beginning of a longer name: a blank follows, or it ends in a brace. */
function endsPrefix(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === SPACE || bytes[at] === 9 || bytes[at - 1] === 125
}

/** Equality of x[a, a + length) and y[b, b + length), eight bytes at a time, then four. */
function same(x: DataView, a: number, y: DataView, b: number, length: number): boolean {
  let i = 0
  for (const last = length - 8; i <= last; i += 8) {
    // optimized code compares these as machine words: no BigInt is made
    if (x.getBigInt64(a + i, true) !== y.getBigInt64(b + i, true)) return false
  }
  if (i <= length - 4) {
    if (x.getInt32(a + i, true) !== y.getInt32(b + i, true)) return false
    i += 4
  }
  for (; i < length; i++) if (x.getUint8(a + i) !== y.getUint8(b + i)) return false
  return true
}

const typeReaders: Readonly<Record<string, LineReader>> = { text: new LineReader('text'), openmetrics: new LineReader('openmetrics') }

/** The type a # TYPE entry declares: its last word, of one byte letters. */
function typeOf(layout: FlatLayout, k: number): MetricType {
  let word = ''
  for (let i = layout.starts[k + 1]! - 2; i > 0 && word.length < 16; i--) {
    const c = layout.bytes[i]!
    if (c === 32 || c === 9) break
    word = String.fromCharCode(c) + word
  }
  return word === 'untyped' ? 'unknown' : (word as MetricType)
}

function readMetadata(layout: Layout, dialect: Dialect): readonly FamilyMetadata[] {
  const families = new Map<string, { family: string; type: MetricType; help: string; unit: string }>()
  const reader = typeReaders[dialect]!
  layout.forEachText((line) => {
    reader.open(line, line.length)
    const kind = reader.next()
    if (kind !== entry.type && kind !== entry.help && kind !== entry.unit) return
    const family = readFamily(reader)
    let known = families.get(family)
    if (known === undefined) families.set(family, (known = { family, type: 'unknown', help: '', unit: '' }))
    if (kind === entry.type) known.type = reader.type
    else if (kind === entry.help) known.help = decodeHelp(reader)
    else known.unit = decodeText(reader.bytes, reader.textStart, reader.textEnd)
  })
  return [...families.values()]
}

/** Families and the bytes of their metadata. A family's lines stand together. */
function measureMetadata(layout: FlatLayout, dialect: Dialect): MetadataSize {
  const reader = typeReaders[dialect]!
  let entries = 0
  let bytes = 0
  let family = ''
  for (let k = 0; k < layout.count; k++) {
    if ((layout.flags[k]! & flag.text) === 0 || layout.starts[k + 1]! - layout.starts[k]! < 8) continue
    const line = layout.bytes.subarray(layout.starts[k], layout.starts[k + 1])
    reader.open(line, line.length)
    const kind = reader.next()
    if (kind !== entry.type && kind !== entry.help && kind !== entry.unit) continue
    const name = readFamily(reader)
    if (name !== family) entries++
    family = name
    bytes += reader.textEnd - reader.textStart
  }
  return { entries, bytes }
}
