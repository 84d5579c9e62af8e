// The files of one shard: `‹data›/promhive/shards/‹shard›/snapshot-‹applied offset›`, `chunks/` and `deletions`. Two snapshots are kept; a torn one is passed over.
import { messageOf } from '../../src/base/errors.ts'
import type { Logger } from '../../src/base/logger.ts'
import { makeDurableDirectory, type Disk } from '../../src/ports/disk.ts'
import type { Head } from '../../src/tsdb/head/head.ts'
import { checkSnapshot, encodeSnapshot, restoreSnapshot, type ShardState } from '../../src/tsdb/head/snapshot.ts'

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

/**
 * The state of the newest whole snapshot and its size, with its series put into the head; null where there is none: the log then holds everything.
 * Damaged ones are set aside as `damaged-…` and `onDamaged` is called for each.
 */
export function loadSnapshot(
  disk: Disk,
  dataDirectory: string,
  given: Readonly<{ shard: number; head: Head; log: Logger; onDamaged: () => void }>,
): Readonly<{ state: ShardState; bytes: number }> | null {
  const { shard, head, log, onDamaged } = given
  const directory = shardDirectory(dataDirectory, shard)
  makeDurableDirectory(disk, `${directory}/chunks`)
  for (const name of disk.list(directory)) if (name.endsWith('.tmp')) disk.remove(`${directory}/${name}`)
  for (const name of snapshotNames(disk, directory)) {
    const path = `${directory}/${name}`
    let problem: string | null
    try {
      const bytes = disk.read(path)
      problem = checkSnapshot(bytes)
      if (problem === null) return { state: restoreSnapshot(head, bytes), bytes: bytes.length }
    } catch (thrown) {
      // nothing of it is in the head: it is looked at as a whole first
      problem = messageOf(thrown)
    }
    onDamaged()
    log.error({ shard, path, problem }, 'a head snapshot is damaged and set aside; the one before and the log are used')
    disk.rename(path, `${directory}/damaged-${name}`)
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

/** Writes a snapshot durably, then removes all but the two newest. Returns its size. */
export function writeSnapshot(disk: Disk, dataDirectory: string, given: Readonly<{ head: Head; state: ShardState }>): number {
  const { head, state } = given
  const directory = shardDirectory(dataDirectory, state.shard)
  const bytes = encodeSnapshot(head, state)
  const name = prefix + String(state.applied).padStart(16, '0')
  const temporary = `${directory}/${name}.tmp`
  disk.write(temporary, bytes)
  const file = disk.open(temporary, 'append')
  file.syncNow()
  file.close()
  disk.rename(temporary, `${directory}/${name}`)
  disk.syncDirectory(directory)
  for (const old of snapshotNames(disk, directory).slice(2)) disk.remove(`${directory}/${old}`)
  return bytes.length
}
