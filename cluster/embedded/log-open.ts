// Opening the write-ahead log: finds the segments, indexes their records and tells a torn tail from damage (see log-format.ts). Who is to write to it then
// cuts what is torn; who only reads passes over it.
import { crc32c } from '../../src/base/crc32c.ts'
import { PromhiveError } from '../../src/base/errors.ts'
import type { Disk, DiskFile } from '../../src/ports/disk.ts'
import {
  checkSegmentHead,
  decodeRecordHead,
  decodeTable,
  kindRecord,
  kindTable,
  recordHeadBytes,
  segmentHeadBytes,
  segmentName,
  segmentNumber,
  viewOf,
  type RecordHead,
  type TableRow,
} from './log-format.ts'
import { ShardIndex, type Segment } from './log-index.ts'
import { scanSegment } from './log-scan.ts'

export type LogProgress = Readonly<{ firstSegment: number; lastSegment: number; currentSegment: number }>

export type OpenedLog = {
  segments: Segment[]
  shards: Map<number, ShardIndex>
  /** Number of the last commit. */
  batch: number
  /** Damaged places found, for a log line. Reads of the records concerned fail. */
  damage: string[]
  /** Bytes of a torn write at the end of the last segment: its `size` is without them. */
  tornBytes: number
}

/**
 * Opens the log for writing: what a crash has left unfinished goes.
 * @param pause awaited now and then.
 */
export async function openLog(
  disk: Disk,
  directory: string,
  pause: () => Promise<void>,
  onProgress: (progress: LogProgress) => void,
): Promise<OpenedLog> {
  const numbers = segmentNumbers(disk, directory)
  for (const number of await takeUnfinished(disk, directory, numbers, pause)) {
    disk.remove(`${directory}/${segmentName(number)}`)
    disk.syncDirectory(directory)
  }
  const opened = await indexSegments(disk, directory, numbers, { mode: 'append', pause, onProgress })
  const last = opened.segments.at(-1)
  if (last !== undefined && opened.tornBytes > 0) {
    last.file.truncate(last.size)
    last.file.syncNow()
  }
  return opened
}

/** Opens the log as it lies, for reading alone: nothing in the directory changes, and somebody may be writing to it. The caller closes the segments' files. */
export async function viewLog(disk: Disk, directory: string, pause: () => Promise<void>): Promise<OpenedLog> {
  const numbers = segmentNumbers(disk, directory)
  await takeUnfinished(disk, directory, numbers, pause)
  return indexSegments(disk, directory, numbers, { mode: 'read', pause, onProgress: () => {} })
}

/** Ascending. */
function segmentNumbers(disk: Disk, directory: string): number[] {
  return disk
    .list(directory)
    .map(segmentNumber)
    .filter((n) => n !== null)
    .sort((a, b) => a - b)
}

type IndexOptions = Readonly<{ mode: 'read' | 'append'; pause: () => Promise<void>; onProgress: (progress: LogProgress) => void }>

async function indexSegments(
  disk: Disk,
  directory: string,
  numbers: readonly number[],
  { mode, pause, onProgress }: IndexOptions,
): Promise<OpenedLog> {
  const opened: OpenedLog = { segments: [], shards: new Map(), batch: 0, damage: [], tornBytes: 0 }
  try {
    for (const [i, number] of numbers.entries()) {
      onProgress({ firstSegment: numbers[0]!, lastSegment: numbers.at(-1)!, currentSegment: number })
      const path = `${directory}/${segmentName(number)}`
      const file = disk.open(path, mode)
      const segment: Segment = { number, file, size: file.size(), lastWithin: new Map() }
      opened.segments.push(segment)
      const wrong = checkSegmentHead(readAt(file, 0, segmentHeadBytes), number)
      if (wrong !== null && /version/.test(wrong)) throw new PromhiveError('STORAGE_CORRUPT', `cannot open ${path}: ${wrong}`, { path })
      if (wrong !== null) opened.damage.push(`${path}: ${wrong}`)
      await indexSegment(opened, segment, i === numbers.length - 1, pause)
    }
  } catch (thrown) {
    for (const { file } of opened.segments) file.close()
    throw thrown
  }
  return opened
}

/**
 * A crash while a segment was begun leaves a last file without a table. It is left out where it holds no record: nothing was ever promised about it.
 * Takes the numbers of such files off the end of `numbers` and returns them, newest first.
 */
async function takeUnfinished(disk: Disk, directory: string, numbers: number[], pause: () => Promise<void>): Promise<number[]> {
  const unfinished: number[] = []
  while (numbers.length > 0) {
    const file = disk.open(`${directory}/${segmentName(numbers.at(-1)!)}`, 'read')
    let finished = readTable(file) !== null
    try {
      if (!finished) await scanSegment(file, { record: () => void (finished = true), hole: () => {} }, pause)
    } finally {
      file.close()
    }
    if (finished) break
    unfinished.push(numbers.pop()!)
  }
  return unfinished
}

function readTable(file: DiskFile): TableRow[] | null {
  const headBytes = readAt(file, segmentHeadBytes, recordHeadBytes)
  const head = decodeRecordHead(headBytes, viewOf(headBytes), 0, headBytes.length, segmentHeadBytes)
  if (head === null || head.kind !== kindTable) return null
  const body = readAt(file, segmentHeadBytes + recordHeadBytes, head.bodyBytes)
  if (body.length !== head.bodyBytes || crc32c(body) !== head.bodyCrc) return null
  return decodeTable(body)
}

function readAt(file: DiskFile, position: number, count: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, Math.min(count, file.size() - position)))
  return bytes.subarray(0, file.read(bytes, position))
}

export function shardIndex(shards: Map<number, ShardIndex>, shard: number): ShardIndex {
  let index = shards.get(shard)
  if (index === undefined) shards.set(shard, (index = new ShardIndex(shard)))
  return index
}

type Found = { head: RecordHead; bodyGood: boolean } | { hole: number; end: number }

async function indexSegment(opened: OpenedLog, segment: Segment, last: boolean, pause: () => Promise<void>): Promise<void> {
  const { shards } = opened
  const table = readTable(segment.file)
  const oldest = opened.segments.length === 1
  for (const row of table ?? []) {
    const index = shardIndex(shards, row.shard)
    index.trimmed = Math.max(index.trimmed, row.first)
    if (oldest) index.base = row.last + 1
    index.last = Math.max(index.last, row.last) // what an earlier segment should have held and did not is a gap
  }
  const add = (head: RecordHead): void => {
    opened.batch = Math.max(opened.batch, head.batch)
    if (head.kind !== kindRecord) return
    const index = shardIndex(shards, head.shard)
    if (oldest && table === null && segment.number > 1 && index.last === 0) index.base = head.offset // how much went before is unknown
    if (head.offset <= index.last) opened.damage.push(`${segment.file.path}: offset ${head.offset} of shard ${head.shard} comes twice`)
    else index.add(segment, head.offset, head.position, head.bodyBytes)
  }
  const damaged = (start: number, end: number): void =>
    void opened.damage.push(`${segment.file.path}: ${end - start} bytes from ${start} on are no records`)
  if (!last) {
    await scanSegment(segment.file, { record: add, hole: damaged }, pause)
    return
  }
  const found: Found[] = []
  await scanSegment(
    segment.file,
    { record: (head) => void found.push({ head, bodyGood: true }), hole: (hole, end) => void found.push({ hole, end }) },
    pause,
  )
  await checkLastBatch(segment.file, found, pause)
  const torn = tornFrom(found)
  for (const item of found.slice(0, torn)) {
    if ('hole' in item) damaged(item.hole, item.end)
    else add(item.head)
  }
  const cut = found[torn]
  if (cut === undefined) return
  // What is cut took batch numbers: they are not used again, so that its bytes can never pass for a later batch.
  for (const item of found.slice(torn)) if ('head' in item) opened.batch = Math.max(opened.batch, item.head.batch)
  const size = 'hole' in cut ? cut.hole : cut.head.position
  opened.tornBytes = segment.size - size
  segment.size = size
}

/** Reads the bodies of the last batch: what lies before it was synced, and is checked when it is read. */
async function checkLastBatch(file: DiskFile, found: readonly Found[], pause: () => Promise<void>): Promise<void> {
  let batch = -1
  for (let i = found.length - 1; i >= 0; i--) {
    const item = found[i]!
    if ('hole' in item) continue
    if (batch === -1) batch = item.head.batch
    if (item.head.batch !== batch) return
    const body = readAt(file, item.head.position + recordHeadBytes, item.head.bodyBytes)
    item.bodyGood = body.length === item.head.bodyBytes && crc32c(body) === item.head.bodyCrc
    await pause()
  }
}

/**
 * Index of the first thing that belongs to a torn last batch; found.length where all is well.
 * A bad place is torn where no header of a later batch lies behind it, i.e. where only its own batch follows.
 */
function tornFrom(found: readonly Found[]): number {
  let torn = found.length
  let lastBatch = -1
  let lastBatchStart = Infinity
  for (let i = found.length - 1; i >= 0; i--) {
    const item = found[i]!
    if ('head' in item) {
      if (lastBatch === -1) {
        lastBatch = item.head.batch
        lastBatchStart = item.head.batchStart
      }
      if (item.bodyGood) continue
    }
    const inLastBatch = lastBatch === -1 || ('hole' in item ? item.hole >= lastBatchStart : item.head.batch === lastBatch)
    if (!inLastBatch) break // damage, and so is every bad place before it
    torn = i
  }
  return torn
}
