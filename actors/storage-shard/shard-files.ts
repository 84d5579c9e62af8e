// The files of one shard: `‹data›/promhive/shards/‹shard›/snapshot-‹applied offset›`, `chunks/` and `deletions`. Two snapshots are kept; a torn one is passed over.
import { crc32 } from '../../src/base/crc32.ts'
import { messageOf } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import type { Steps } from '../../src/base/steps.ts'
import { makeDurableDirectory, type Disk, type DiskFile } from '../../src/ports/disk.ts'
import type { Head } from '../../src/tsdb/head/head.ts'
import { checkSnapshot, restoreSnapshot, snapshotHeadBytes, snapshotSize, type ShardState } from '../../src/tsdb/head/snapshot.ts'
import { encodeSnapshot } from '../../src/tsdb/head/snapshot-write.ts'

export function shardDirectory(dataDirectory: string, shard: number): string {
  return `${dataDirectory}/promhive/shards/${shard}`
}

const prefix = 'snapshot-'

/** Newest first. */
function snapshotNames(disk: Disk, directory: string): string[] {
  return disk
    .list(directory)
    .filter((name) => name.startsWith(prefix) && !name.endsWith('.tmp'))
    .sort()
    .reverse()
}

/** Memory that one file after another is read into: what was read before is gone. */
export class FileBuffer {
  #bytes = new Uint8Array(0)

  read(disk: Disk, path: string): Uint8Array {
    const file = disk.open(path, 'read')
    try {
      const size = file.size()
      // about equally large files take turns
      if (size > this.#bytes.length) this.#bytes = new Uint8Array(Math.ceil(size * 1.1))
      return this.#bytes.subarray(0, file.read(this.#bytes.subarray(0, size), 0))
    } finally {
      file.close()
    }
  }
}

/** Series and full chunks in the newest snapshots of some shards, for room to be made once: nothing is checked, but no more than their files may hold. */
export function snapshotSizes(disk: Disk, dataDirectory: string, shards: readonly number[]): { series: number; chunks: number } {
  const sum = { series: 0, chunks: 0 }
  const head = new Uint8Array(snapshotHeadBytes)
  for (const shard of shards) {
    const directory = shardDirectory(dataDirectory, shard)
    const name = snapshotNames(disk, directory)[0]
    if (name === undefined) continue
    try {
      const file = disk.open(`${directory}/${name}`, 'read')
      try {
        const size = snapshotSize(head.subarray(0, file.read(head, 0)))
        if (size === null) continue
        sum.series += Math.min(size.series, Math.floor(file.size() / seriesBytesMin))
        sum.chunks += Math.min(size.chunks, Math.floor(file.size() / chunkBytesMin))
      } finally {
        file.close()
      }
    } catch {
      // it will be read, or set aside, later
    }
  }
  return sum
}

/** What a series, and a full chunk, take at least in a snapshot. */
const seriesBytesMin = 52
const chunkBytesMin = 20

/** What a snapshot gives besides what has gone into the head. */
export type LoadedSnapshot = Readonly<{ state: ShardState; series: number }>

/**
 * As `readSnapshot`, for the owner of the directory, which is made where it is missing: damaged snapshots are set aside as `damaged-…`, unfinished ones
 * removed.
 */
export function loadSnapshot(
  disk: Disk,
  dataDirectory: string,
  given: Readonly<{ shard: number; head: Head; log: Logger; buffer: FileBuffer; onDamaged: () => void }>,
): LoadedSnapshot | null {
  const { shard, log, onDamaged } = given
  const directory = shardDirectory(dataDirectory, shard)
  makeDurableDirectory(disk, `${directory}/chunks`)
  for (const name of disk.list(directory)) if (name.endsWith('.tmp')) disk.remove(`${directory}/${name}`)
  return readSnapshot(disk, dataDirectory, {
    ...given,
    onDamaged(name, problem) {
      const path = `${directory}/${name}`
      onDamaged()
      log.error({ shard, path, problem }, 'a head snapshot is damaged and set aside; the one before and the log are used')
      disk.rename(path, `${directory}/damaged-${name}`)
    },
  })
}

/**
 * The state of the newest whole snapshot and how many series it has, which are put into the head; null where there is none: the log then holds everything.
 * `onDamaged` is called for those that are passed over; nothing in the directory is changed.
 */
export function readSnapshot(
  disk: Disk,
  dataDirectory: string,
  given: Readonly<{ shard: number; head: Head; buffer: FileBuffer; onDamaged: (name: string, problem: string) => void }>,
): LoadedSnapshot | null {
  const { shard, head, buffer, onDamaged } = given
  const directory = shardDirectory(dataDirectory, shard)
  for (const name of snapshotNames(disk, directory)) {
    const path = `${directory}/${name}`
    let problem: string | null
    try {
      const bytes = buffer.read(disk, path)
      problem = checkSnapshot(bytes)
      const before = head.count
      if (problem === null) return { state: restoreSnapshot(head, bytes), series: head.count - before }
    } catch (thrown) {
      // nothing of it is in the head: it is looked at as a whole first
      problem = messageOf(thrown)
    }
    onDamaged(name, problem)
  }
  return null
}

/** Removes snapshots of states the log does not know: it has lost its end, and a shard starts again from what it holds. */
export function removeSnapshotsAfter(disk: Disk, dataDirectory: string, shard: number, applied: number): void {
  const directory = shardDirectory(dataDirectory, shard)
  for (const name of snapshotNames(disk, directory)) {
    if (Number(name.slice(prefix.length)) > applied) disk.remove(`${directory}/${name}`)
  }
}

export type WrittenSnapshot = Readonly<{ applied: number; series: number; bytes: number }>

/**
 * Writes a snapshot of what the shard is at the first step durably, then removes all but the two newest. Nothing of the shard may be
 * removed between the steps: then it is to be given up.
 */
export function* writeSnapshot(
  disk: Disk,
  dataDirectory: string,
  given: Readonly<{ head: Head; state: ShardState }>,
): Steps<WrittenSnapshot> {
  const { head, state } = given
  const directory = shardDirectory(dataDirectory, state.shard)
  const name = prefix + String(state.applied).padStart(16, '0')
  const temporary = `${directory}/${name}.tmp`
  const file = disk.open(temporary, 'create')
  let series = 0
  let size = 0
  try {
    const out = new PartWriter(file)
    series = yield* encodeSnapshot(head, state, (bytes) => out.put(bytes))
    const written = out.end()
    if ((yield () => file.sync()) !== true) file.syncNow()
    size = written
  } finally {
    file.close()
    if (size === 0) disk.remove(temporary)
  }
  disk.rename(temporary, `${directory}/${name}`)
  disk.syncDirectory(directory)
  for (const old of snapshotNames(disk, directory).slice(2)) disk.remove(`${directory}/${old}`)
  return { applied: state.applied, series, bytes: size }
}

/** Many small parts to few writes, and a checksum of all at the end. */
class PartWriter {
  readonly #file: DiskFile
  readonly #bytes = new Uint8Array(writeBytes)
  #used = 0
  #position = 0
  #crc = 0

  constructor(file: DiskFile) {
    this.#file = file
  }

  put(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + writeBytes - this.#used)
      this.#bytes.set(part, this.#used)
      this.#used += part.length
      from += part.length
      if (this.#used === writeBytes) this.#flush()
    }
  }

  /** Returns how many bytes there are. */
  end(): number {
    this.#flush()
    const crc = new Uint8Array(4)
    new DataView(crc.buffer).setUint32(0, this.#crc, true)
    this.put(crc)
    this.#flush()
    return this.#position
  }

  #flush(): void {
    const bytes = this.#bytes.subarray(0, this.#used)
    this.#crc = crc32(bytes, this.#crc)
    this.#file.write(bytes, this.#position)
    this.#position += bytes.length
    this.#used = 0
  }
}

const writeBytes = 512 << 10
