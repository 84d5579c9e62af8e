// A data directory: whole blocks beside leftovers of crashes. Source: prometheus tsdb/db.go (reloadBlocks, openBlocks, removeBestEffortTmpDirs).
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Disk } from '../../ports/disk.ts'
import type { PageCache } from './pages.ts'
import { BlockReader } from './reader.ts'
import { isUlid } from './ulid.ts'
import { creationSuffix, deletionSuffix } from './writer.ts'

export type OpenedBlocks = Readonly<{
  /** By start, then name; those already open are the same objects as before. */
  blocks: BlockReader[]
  /** Blocks that another one was made from, or that hold nothing: to be deleted. They are not among `blocks`. */
  obsolete: string[]
  /** Blocks that cannot be opened and why; those that another one was made from are left out. */
  broken: { ulid: string; error: PromhiveError }[]
}>

/** Names of the blocks in a directory. */
export function blockNames(disk: Disk, directory: string): string[] {
  return disk.list(directory).filter((name) => isUlid(name) && disk.stat(`${directory}/${name}`).isDirectory)
}

/** Opens what is new, and closes what is gone. A broken block stops nothing. */
export function openBlocks(disk: Disk, cache: PageCache, directory: string, open: readonly BlockReader[] = []): OpenedBlocks {
  const known = new Map(open.map((block) => [block.meta.ulid, block]))
  const found: BlockReader[] = []
  const broken: { ulid: string; error: PromhiveError }[] = []
  for (const ulid of blockNames(disk, directory)) {
    const before = known.get(ulid)
    known.delete(ulid)
    try {
      found.push(before ?? BlockReader.open(disk, cache, `${directory}/${ulid}`))
    } catch (thrown) {
      const error = thrown instanceof PromhiveError ? thrown : new PromhiveError('INTERNAL', messageOf(thrown), { ulid }, thrown)
      broken.push({ ulid, error })
    }
  }
  for (const block of known.values()) block.close()
  const parents = new Set(found.flatMap((block) => block.meta.compaction.parents.map(({ ulid }) => ulid)))
  const isObsolete = ({ meta }: BlockReader): boolean => parents.has(meta.ulid) || meta.compaction.deletable
  const obsolete = found.filter(isObsolete)
  for (const block of obsolete) block.close()
  return {
    blocks: found.filter((block) => !isObsolete(block)).sort(byStart),
    obsolete: [...obsolete.map(({ meta }) => meta.ulid), ...broken.filter(({ ulid }) => parents.has(ulid)).map(({ ulid }) => ulid)],
    broken: broken.filter(({ ulid }) => !parents.has(ulid)),
  }
}

function byStart(a: BlockReader, b: BlockReader): number {
  return a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1)
}

/** Removes a block so that a crash never leaves half of one: renamed first, then removed. */
export function deleteBlock(disk: Disk, directory: string, ulid: string): void {
  const path = `${directory}/${ulid}`
  if (!disk.exists(path)) return
  disk.remove(path + deletionSuffix)
  disk.rename(path, path + deletionSuffix)
  disk.syncDirectory(directory)
  disk.remove(path + deletionSuffix)
}

/** Removes blocks that were being made or deleted when the program ended. Returns their names. */
export function sweepUnfinished(disk: Disk, directory: string): string[] {
  const left = disk
    .list(directory)
    .filter((name) =>
      [creationSuffix, deletionSuffix, '.tmp'].some((suffix) => name.endsWith(suffix) && isUlid(name.slice(0, -suffix.length))),
    )
  for (const name of left) disk.remove(`${directory}/${name}`)
  return left
}

/** Removes files that were being replaced when the program ended, in every block. */
export function sweepBlockFiles(disk: Disk, directory: string): void {
  for (const ulid of blockNames(disk, directory)) {
    for (const name of disk.list(`${directory}/${ulid}`)) if (name.endsWith('.tmp')) disk.remove(`${directory}/${ulid}/${name}`)
  }
}

/** A copy of a block that shares its files: for snapshots. */
export function linkBlock(disk: Disk, from: string, to: string): void {
  disk.makeDirectory(`${to}/chunks`)
  for (const name of disk.list(`${from}/chunks`)) disk.link(`${from}/chunks/${name}`, `${to}/chunks/${name}`)
  for (const name of ['index', 'meta.json', 'tombstones']) {
    // meta.json and tombstones are replaced, never written in place: a link keeps what they say now
    if (disk.exists(`${from}/${name}`)) disk.link(`${from}/${name}`, `${to}/${name}`)
  }
  disk.syncDirectory(`${to}/chunks`)
  disk.syncDirectory(to)
}
