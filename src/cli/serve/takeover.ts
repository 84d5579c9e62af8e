// A data directory that a Prometheus has used: its blocks are read as they are, and what its head held is appended here once, before anything
// else is. Its own files stay untouched.
//
//   wal/ chunks_head/   samples from the newest block's end on ─┐
//   wbl/ chunks_head/   samples that came out of order, all ────┴▶ appender ─▶ log          promhive/takeover.json: which files were read
//
//   takeover.json   {"version":2,"head":"‹names and sizes›","crc":‹CRC32C of that text›}      version 1 has no sum
import { timeText } from '../../api/time-text.ts'
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Appender, ExemplarSample, HistogramSample, SeriesHandle } from '../../model/appender.ts'
import type { Labels } from '../../model/labels.ts'
import { SampleColumns } from '../../model/samples.ts'
import { isStaleAt } from '../../model/staleness.ts'
import type { Disk } from '../../ports/disk.ts'
import { openBlocks } from '../../tsdb/block/directory.ts'
import { isPartOfWindow } from '../../tsdb/block/meta.ts'
import { PageCache } from '../../tsdb/block/pages.ts'
import { hasHead, importHead, type HeadSink } from '../../tsdb/wal-import/import-head.ts'
import { logSegments, segmentPaths, type Decompressors } from '../../tsdb/wal-import/log.ts'

/** How late a sample may be is this module's to say while it works. */
export type TakeoverAppender = Appender & { outOfOrderWindowMs: number }
export type TakeoverParts = Readonly<{
  disk: Disk
  appender: TakeoverAppender
  decompress: Decompressors
  logger: Logger
  /** Of the shards: what they take out of order between series is half of it. */
  chunkRangeMs: number
}>

export type Takeover = Readonly<{ series: number; samples: number; refused: number; damages: number }>

/** Every slice reads all files once more. */
const sliceMsMin = 60_000

/**
 * Takes over a Prometheus' head unless the same one was taken over before. Null: there was nothing to do. A crash in between is made good by the
 * next start: what is there already is refused as a duplicate. Rejects where the storage does.
 */
export async function takeOver(dataDirectory: string, parts: TakeoverParts): Promise<Takeover | null> {
  const { disk, appender, decompress, logger, chunkRangeMs } = parts
  if (!hasHead(disk, dataDirectory)) return null
  const head = headState(disk, dataDirectory)
  const record = readRecord(disk, recordPath(dataDirectory))
  if (record.why !== null) {
    // it is written when all is taken over: what has been deleted since must not come back
    const hint = 'where a Prometheus has run on the directory since, remove the file'
    logger.warn(
      { file: recordPath(dataDirectory), err: record.why, hint },
      'The record of the takeover is damaged: nothing is taken over again',
    )
    return { series: 0, samples: 0, refused: 0, damages: 1 }
  }
  if (record.head === head) return null
  const { fromMs, blocks } = newestBlockEnd(disk, dataDirectory)
  logger.info({ blocks, from: fromMs === -Infinity ? 'the start' : timeText(fromMs) }, 'Taking over the head of a Prometheus')
  const gathered = new GatheredBatch(appender)
  const sliceMs = Math.max(chunkRangeMs / 2, sliceMsMin)
  const steps = importHead(disk, dataDirectory, decompress, gathered, { fromMs, sliceMs })
  let step = steps.next()
  const { outOfOrderWindowMs } = appender
  try {
    // the log of a Prometheus has late samples as well, and some it has refused: those it took come from its log of late ones, whatever is configured now
    appender.outOfOrderWindowMs = 0
    for (; step.done !== true; step = steps.next()) await gathered.append()
    await gathered.append()
  } finally {
    appender.outOfOrderWindowMs = outOfOrderWindowMs
  }
  gathered.release()
  const { series, samples, orphans, damages } = step.value
  for (const damage of damages) logger.warn({ err: damage.message }, 'a part of the head cannot be read: everything before it is there')
  if (orphans > 0) logger.warn({ samples: orphans }, 'Samples of the head are of series that its log does not name: they are left out')
  logger.info({ series, samples, refused: gathered.refused, orphans }, 'The head of a Prometheus was taken over')
  writeRecord(disk, recordPath(dataDirectory), head)
  return { series, samples, refused: gathered.refused, damages: damages.length }
}

/** True where the head of a Prometheus has been taken over as it lies there now, or nobody knows any more which one was. */
export function isTakenOver(disk: Disk, dataDirectory: string): boolean {
  const { head, why } = readRecord(disk, recordPath(dataDirectory))
  return why !== null || head === headState(disk, dataDirectory)
}

function recordPath(dataDirectory: string): string {
  return `${dataDirectory}/promhive/takeover.json`
}

/** Gathers what one step of the import gives, and appends it as one batch. Series are opened when their first sample comes. */
class GatheredBatch implements HeadSink {
  refused = 0
  #late = false
  readonly #appender: TakeoverAppender
  readonly #labels: Labels[] = []
  readonly #handles: (SeriesHandle | undefined)[] = []
  readonly #columns = new SampleColumns(1 << 16)
  #owners = new Uint32Array(1 << 16)
  #histograms: HistogramSample[] = []
  #exemplars: ExemplarSample[] = []

  constructor(appender: TakeoverAppender) {
    this.#appender = appender
  }

  late(): void {
    this.#late = true
    this.#appender.outOfOrderWindowMs = Infinity
  }

  series(series: number, labels: Labels): void {
    this.#labels[series] = labels
  }

  samples(series: number, columns: SampleColumns): void {
    const handle = this.#handle(series)
    const into = this.#columns
    into.reserve(columns.length)
    if (this.#owners.length < into.times.length) {
      const owners = new Uint32Array(into.times.length)
      owners.set(this.#owners.subarray(0, into.length))
      this.#owners = owners
    }
    for (let i = 0; i < columns.length; i++) {
      const histogram = columns.histograms?.[i] ?? null
      if (histogram !== null && !isStaleAt(columns.bits, i)) {
        this.#histograms.push({ handle, timeMs: columns.times[i]!, histogram, startTimeMs: columns.startTimes?.[i] ?? 0 })
        continue
      }
      const at = into.length++
      into.times[at] = columns.times[i]!
      into.bits[at * 2] = columns.bits[i * 2]! // by bits, for staleness markers
      into.bits[at * 2 + 1] = columns.bits[i * 2 + 1]!
      this.#owners[at] = handle
    }
  }

  exemplar(series: number, time: number, value: number, labels: Labels): void {
    this.#exemplars.push({ handle: this.#handle(series), labels, value, timeMs: time, hasTime: true })
  }

  async append(): Promise<void> {
    const { length, values, times } = this.#columns
    if (length + this.#histograms.length + this.#exemplars.length === 0) return
    const result = await this.#appender.append({
      length,
      handles: this.#owners,
      values,
      times,
      timeMs: 0,
      histograms: this.#histograms,
      exemplars: this.#exemplars,
    })
    this.refused += result.outOfBounds + result.tooOld
    // what is late in the log, or there twice, comes with the late ones
    if (this.#late) this.refused += result.outOfOrder + result.duplicate
    this.#columns.clear()
    this.#histograms = []
    this.#exemplars = []
  }

  release(): void {
    for (const handle of this.#handles) if (handle !== undefined) this.#appender.release(handle)
  }

  #handle(series: number): SeriesHandle {
    return (this.#handles[series] ??= this.#appender.open(this.#labels[series]!))
  }
}

/** Ends of blocks that a Prometheus wrote: what lies before is in them. One of late samples or of a few series says nothing of the others. */
function newestBlockEnd(disk: Disk, dataDirectory: string): { fromMs: number; blocks: number } {
  const { blocks } = openBlocks(disk, new PageCache(1 << 20), dataDirectory)
  try {
    const theirs = blocks.filter(({ meta }) => meta.shard === null)
    const whole = theirs.filter(({ meta }) => !isPartOfWindow(meta))
    return { fromMs: whole.reduce((end, { meta }) => Math.max(end, meta.maxTime), -Infinity), blocks: theirs.length }
  } finally {
    for (const block of blocks) block.close()
  }
}

/** Names and sizes of the head's files: another text where a Prometheus has run on the directory since. */
function headState(disk: Disk, dataDirectory: string): string {
  const files = [
    ...logSegments(disk, `${dataDirectory}/wal`),
    ...segmentPaths(disk, `${dataDirectory}/wbl`),
    ...segmentPaths(disk, `${dataDirectory}/chunks_head`),
  ]
  return files.map((path) => `${path.slice(dataDirectory.length + 1)}:${disk.stat(path).sizeBytes}`).join(' ')
}

/** head: null where nothing was taken over yet. why: what is wrong with the record, or null. */
function readRecord(disk: Disk, path: string): { head: string | null; why: string | null } {
  if (!disk.exists(path)) return { head: null, why: null }
  try {
    const { version, head, crc } = JSON.parse(utf8Text(disk.read(path))) as { version?: unknown; head?: unknown; crc?: unknown }
    if (typeof head !== 'string' || (version !== 1 && version !== 2)) return { head: null, why: 'it is not a record of a takeover' }
    if (version === 2 && crc !== crc32c(utf8Bytes(head))) return { head: null, why: 'checksum does not match' }
    return { head, why: null }
  } catch (thrown) {
    return { head: null, why: messageOf(thrown) }
  }
}

function writeRecord(disk: Disk, path: string, head: string): void {
  disk.write(`${path}.tmp`, utf8Bytes(`${JSON.stringify({ version: 2, head, crc: crc32c(utf8Bytes(head)) })}\n`))
  const file = disk.open(`${path}.tmp`, 'append')
  file.syncNow()
  file.close()
  disk.rename(`${path}.tmp`, path)
  disk.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}
