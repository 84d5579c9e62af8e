// A snapshot in memory, as its file has it.
import { crc32 } from '../../../src/base/crc32.ts'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { finishSteps, type Steps } from '../../../src/base/steps.ts'
import type { Head } from '../../../src/tsdb/head/head.ts'
import type { ShardState } from '../../../src/tsdb/head/snapshot.ts'
import { encodeSnapshot } from '../../../src/tsdb/head/snapshot-write.ts'

export function snapshotBytes(head: Head, state: ShardState): Uint8Array {
  return finishSteps(snapshotSteps(head, state))
}

/** The same, with whatever is done between the steps. */
export function* snapshotSteps(head: Head, state: ShardState): Steps<Uint8Array> {
  const out = new ByteWriter()
  yield* encodeSnapshot(head, state, (bytes) => out.raw(bytes))
  out.u32(crc32(out.written()))
  return out.written().slice()
}
