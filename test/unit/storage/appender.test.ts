// The publisher of a node, against a log that fails when told to.
import { expect, it } from 'vitest'
import { labelsFromObject } from '../../../src/model/labels.ts'
import { nodeClock } from '../../../src/ports/node/clock.ts'
import type { AppendOutcome, Log } from '../../../cluster/ports.ts'
import { LogAppender } from '../../../actors/storage-shard/appender.ts'
import { decodeWriteBatch } from '../../../protocols/bus/write-batch.ts'

it('takes back more refs in one record than a call stack holds, also where the log failed first', async () => {
  const series = 200_000
  const released: number[] = []
  let failing = false
  let offset = 0
  const log = {
    append: (_: number, bytes: Uint8Array): Promise<AppendOutcome> => {
      if (failing) return Promise.resolve({ kind: 'unavailable', why: 'told to' })
      released.push(decodeWriteBatch(bytes).released.length)
      queueMicrotask(() => queueMicrotask(() => appender.applied(0, offset, null)))
      return Promise.resolve({ kind: 'ok', offset: ++offset })
    },
  } as unknown as Log
  const appender = new LogAppender({
    log,
    clock: nodeClock(),
    shards: 1,
    publisher: 1,
    lingerMs: 1,
    appliedWaitMs: 1000,
    outstandingBytesMax: 1 << 30,
  })
  const handles = Uint32Array.from({ length: series }, (_, i) => appender.open(labelsFromObject({ i: String(i) })))
  const one = (handle: number, timeMs: number) =>
    appender.append({ length: 1, handles: Uint32Array.of(handle), values: Float64Array.of(1), times: null, timeMs })
  await one(handles[0]!, 1)
  const kept = appender.open(labelsFromObject({ i: 'kept' }))
  for (const handle of handles) appender.release(handle)
  failing = true
  await expect(one(kept, 2)).rejects.toThrow(/told to/)
  failing = false
  await one(kept, 3)
  expect(released.reduce((sum, n) => sum + n, 0)).toBe(series)
  // the refs are free again
  expect(new Set(handles).has(appender.open(labelsFromObject({ i: 'new' })))).toBe(true)
})
