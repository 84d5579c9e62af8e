// A shard takes a record of the log once, however often a publisher whose answer was lost has appended it.
import { expect, it } from 'vitest'
import { countFields, Shard } from '../../../actors/storage-shard/shard.ts'
import { WriteBatchBuilder } from '../../../protocols/bus/write-batch.ts'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { seededRng } from '../../../src/base/rng.ts'
import { encodeLabels } from '../../../src/model/label-bytes.ts'
import { simulatedDisk } from '../../../src/ports/simulated/disk.ts'
import { ChunkStore } from '../../../src/tsdb/head/chunk-store.ts'
import { ExemplarRing } from '../../../src/tsdb/head/exemplars.ts'
import { Head } from '../../../src/tsdb/head/head.ts'

it('a record that comes twice is applied once, after a snapshot as well', () => {
  const open = (): Shard => {
    const chunks = new ChunkStore(simulatedDisk(seededRng(1)), () => '/chunks', 1 << 20)
    return new Shard(0, new Head(chunks, { samplesPerChunk: 10, chunkRangeMs: 100_000 }), new ExemplarRing(0), silentLogger)
  }
  const labels = new ByteWriter(64)
  encodeLabels(['__name__', 'm'], labels)
  const builder = new WriteBatchBuilder()
  builder.announce(0, labels.written())
  builder.add(0, 1000, 1)
  const record = builder.encode(0)
  const counts = new Float64Array(countFields.length)
  const shard = open()
  shard.apply(1, 5, 1, record, counts, [])
  const once = [...counts]
  expect(once[0]).toBe(1)
  shard.apply(2, 5, 1, record, counts, [])
  expect([...counts]).toEqual(once)
  expect(shard.applied).toBe(2)
  // the announcement held the series once
  expect(shard.head.holders[0]).toBe(1)
  const again = open()
  again.restore(shard.state().state)
  again.apply(3, 5, 1, record, counts, [])
  expect([...counts]).toEqual(once)
})
