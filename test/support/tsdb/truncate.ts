import { finishSteps } from '../../../src/base/steps.ts'
import type { Head } from '../../../src/tsdb/head/head.ts'

/** Drops what a shard has before a time, as a cut does. Returns the series that are gone. */
export function truncate(head: Head, shard: number, beforeMs: number): ReadonlySet<number> {
  finishSteps(head.dropChunks(shard, beforeMs))
  return head.removeUnused(shard)
}
