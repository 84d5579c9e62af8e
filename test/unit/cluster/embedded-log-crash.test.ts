// The write-ahead log on a disk that stops at any operation and forgets what was not synced.
import { describe, expect, it } from 'vitest'
import { openEmbeddedLog, type EmbeddedLog } from '../../../cluster/embedded/log.ts'
import type { LogReadFailure } from '../../../cluster/ports.ts'
import { readFailureOf } from '../../../cluster/read-failure.ts'
import { seededRng, type Rng } from '../../../src/base/rng.ts'
import { simulatedDisk, type SimulatedDisk } from '../../../src/ports/simulated/disk.ts'

const segmentBytes = 24 << 10
const open = (disk: SimulatedDisk): Promise<EmbeddedLog> =>
  openEmbeddedLog({ disk, directory: '/wal', segmentBytes, pause: () => Promise.resolve() })

/** What a publisher wrote, checkable from its sequence alone. */
function recordOf(shard: number, sequence: number): Uint8Array {
  const rng = seededRng(shard * 1_000_003 + sequence)
  return Uint8Array.from({ length: rng.below(rng.chance(0.1) ? 12_000 : 700) }, () => rng.below(256))
}

type Acknowledged = { shard: number; offset: number; sequence: number }

/** Two shards, a publisher each with one append under way, and now and then a trim. Stops at the first refusal. */
async function workload(
  log: EmbeddedLog,
  rounds: number,
  firstSequence: number,
  acknowledged: Acknowledged[],
  trimmed: Map<number, number>,
): Promise<void> {
  const publisher = async (shard: number): Promise<void> => {
    for (let sequence = firstSequence; sequence < firstSequence + rounds; sequence++) {
      const outcome = await log.append(shard, recordOf(shard, sequence), { publisher: shard, sequence })
      if (outcome.kind !== 'ok') return
      acknowledged.push({ shard, offset: outcome.offset, sequence })
      if (sequence % 9 === 8) {
        trimmed.set(shard, outcome.offset - 3) // what is asked for may be done in part
        try {
          await log.trim(shard, outcome.offset - 3)
        } catch {
          return // the machine has stopped
        }
      }
    }
  }
  await Promise.all([publisher(0), publisher(1)])
}

/** Every acknowledged record that was not trimmed is there, unchanged; nothing is there that was never written. */
async function verify(
  log: EmbeddedLog,
  acknowledged: readonly Acknowledged[],
  trimmed: ReadonlyMap<number, number>,
  context: string,
): Promise<void> {
  expect(log.damage, context).toEqual([])
  for (const shard of [0, 1]) {
    const mine = acknowledged.filter((a) => a.shard === shard)
    const from = Math.max(log.first(shard), trimmed.get(shard) ?? 1)
    expect(log.first(shard), context).toBeLessThanOrEqual(Math.max(trimmed.get(shard) ?? 1, 1))
    expect(log.end(shard), context).toBeGreaterThanOrEqual(mine.at(-1)?.offset ?? 0)
    const sequences = new Map(mine.map((a) => [a.offset, a.sequence]))
    let next = from
    for await (const record of log.read(shard, from)) {
      expect(record.offset, context).toBe(next++)
      const sequence = sequences.get(record.offset)
      if (sequence !== undefined) expect(record.sequence, context).toBe(sequence)
      expect(Buffer.compare(record.bytes, recordOf(shard, record.sequence)), context).toBe(0)
    }
    expect(next, context).toBe(log.end(shard) + 1)
  }
}

describe('crash at every operation', () => {
  const count = async (): Promise<number> => {
    const disk = simulatedDisk(seededRng(0))
    await workload(await open(disk), 40, 1, [], new Map())
    return disk.operations
  }

  it('keeps every acknowledged record, twice over', async () => {
    const operations = await count()
    expect(operations).toBeGreaterThan(80)
    for (let at = 1; at <= operations; at++) {
      for (const seed of [1, 2]) {
        const context = `seed ${seed}, stop at ${at}`
        const disk = simulatedDisk(seededRng(seed * 1000 + at))
        const acknowledged: Acknowledged[] = []
        const trimmed = new Map<number, number>()
        disk.stopAt(at)
        try {
          await workload(await open(disk), 40, 1, acknowledged, trimmed)
        } catch {
          // the log could not even be opened
        }
        disk.crash()
        // Opening is interrupted as well, then succeeds.
        disk.stopAt(disk.operations + 1 + (at % 3))
        await open(disk).then(
          (log) => log.close(),
          () => {},
        )
        disk.crash()
        const log = await open(disk)
        await verify(log, acknowledged, trimmed, context)
        await workload(log, 10, 1000, acknowledged, trimmed)
        await verify(log, acknowledged, trimmed, context + ', written on')
      }
    }
  })
})

describe('damage', () => {
  async function filled(rng: Rng, rounds: number): Promise<{ disk: SimulatedDisk; acknowledged: Acknowledged[] }> {
    const disk = simulatedDisk(rng)
    const log = await open(disk)
    const acknowledged: Acknowledged[] = []
    for (let i = 1; i <= rounds; i++) {
      const outcome = await log.append(i % 2, recordOf(i % 2, i), { publisher: 1, sequence: i })
      acknowledged.push({ shard: i % 2, offset: (outcome as { offset: number }).offset, sequence: i })
    }
    await log.close()
    return { disk, acknowledged }
  }

  it('anywhere but in the last batch is told, never read as data, and costs only the records it hit', async () => {
    for (let seed = 1; seed <= 120; seed++) {
      const rng = seededRng(seed)
      const { disk, acknowledged } = await filled(rng, 120)
      const names = disk.list('/wal')
      const path = `/wal/${names[rng.below(names.length)]}`
      const size = disk.stat(path).sizeBytes
      const length = 1 + rng.below(200)
      // Not in the last record: that one cannot be told from a torn write.
      const position = rng.below(Math.max(1, size - length - 13_000))
      disk.damage(
        path,
        position,
        Uint8Array.from({ length }, () => rng.below(256)),
      )
      const log = await open(disk)
      let lost = 0
      for (const { shard, offset, sequence } of acknowledged) {
        expect(log.end(shard), `seed ${seed}`).toBeGreaterThanOrEqual(offset)
        let failure: LogReadFailure | null = null
        try {
          for await (const record of log.read(shard, offset)) {
            expect(record.sequence).toBe(sequence)
            expect(Buffer.compare(record.bytes, recordOf(shard, sequence))).toBe(0)
            break
          }
        } catch (thrown) {
          failure = readFailureOf(thrown)
        }
        if (failure !== null) {
          lost++
          expect(failure, `seed ${seed}`).toMatchObject({ kind: 'corrupt', offset })
        }
      }
      // 200 bytes meet at most a handful of records, plus what shares a header with them.
      expect(lost, `seed ${seed}`).toBeLessThan(12)
      expect(await log.append(0, recordOf(0, 999), { publisher: 1, sequence: 999 })).toMatchObject({ kind: 'ok' })
      await log.close()
    }
  })

  it('reaches followers as corrupt, after the records before it', async () => {
    const { disk } = await filled(seededRng(7), 60)
    // The body of some record in the middle of the first segment.
    disk.damage(`/wal/${disk.list('/wal')[0]}`, 6000, Uint8Array.of(1, 2, 3, 4, 5))
    const log = await open(disk)
    const seen: number[] = []
    const failures = await new Promise<LogReadFailure[]>((resolve) => {
      for (const shard of [0, 1])
        log.follow(
          shard,
          1,
          (record) => void (shard === 0 && seen.push(record.offset)),
          (why) => resolve([why]),
        )
    })
    expect(failures[0]).toMatchObject({ kind: 'corrupt' })
    expect(seen).toEqual(seen.map((_, i) => i + 1))
  })
})

describe('a disk in trouble', () => {
  const id = { publisher: 1, sequence: 1 }
  it('full: nothing is stored, and it goes on when there is space', async () => {
    const disk = simulatedDisk(seededRng(1))
    const log = await open(disk)
    for (let i = 0; i < 30; i++) await log.append(1, new Uint8Array(1000), id)
    disk.setFree(500)
    expect(await log.append(1, new Uint8Array(1000), id)).toMatchObject({
      kind: 'full',
      why: expect.stringContaining('no space left') as string,
    })
    expect(await Promise.all([log.append(1, new Uint8Array(1000), id), log.append(2, new Uint8Array(9000), id)])).toMatchObject([
      { kind: 'full' },
      { kind: 'full' },
    ])
    expect([log.end(1), log.end(2)]).toEqual([30, 0])
    disk.setFree(1 << 20)
    expect(await log.append(1, new Uint8Array(1000), id)).toEqual({ kind: 'ok', offset: 31 })
    await log.close()
    const again = await open(disk)
    expect([again.end(1), again.damage, again.tornBytes]).toEqual([31, [], 0])
  })

  it('full at a new segment', async () => {
    const disk = simulatedDisk(seededRng(1))
    const log = await open(disk)
    for (let i = 0; i < 11; i++) await log.append(1, new Uint8Array(2000), id)
    disk.setFree(10)
    expect(await log.append(1, new Uint8Array(4000), id)).toMatchObject({ kind: 'full' })
    disk.setFree(1 << 20)
    expect(await log.append(1, new Uint8Array(4000), id)).toEqual({ kind: 'ok', offset: 12 })
    expect(disk.list('/wal').length).toBe(2)
  })

  it.each(['write', 'sync'] as const)('a failing %s: unavailable, ambiguous where it cannot be undone, and back', async (verb) => {
    const disk = simulatedDisk(seededRng(1))
    const log = await open(disk)
    await log.append(1, new Uint8Array(10), id)
    let failures = 1
    disk.failing = (on) => (on === verb && failures-- > 0 ? 'input/output error' : null)
    expect(await log.append(1, new Uint8Array(1000), id)).toMatchObject({
      kind: 'unavailable',
      why: expect.stringContaining('input/output error') as string,
    })
    failures = Infinity
    expect(await log.append(1, new Uint8Array(1000), id)).toMatchObject({ kind: 'ambiguous' })
    expect(await log.append(1, new Uint8Array(1000), id)).toMatchObject({ kind: 'unavailable' })
    disk.failing = null
    expect(await log.append(1, new Uint8Array(1000), id)).toEqual({ kind: 'ok', offset: 2 })
    disk.crash()
    const again = await open(disk)
    expect([again.end(1), again.damage]).toEqual([2, []])
  })

  it('an unreadable place is reported, not skipped', async () => {
    const disk = simulatedDisk(seededRng(1))
    const log = await open(disk)
    for (let i = 0; i < 5; i++) await log.append(1, new Uint8Array(1000), id)
    disk.failing = (on) => (on === 'read' ? 'input/output error' : null)
    const failures: LogReadFailure[] = []
    log.follow(
      1,
      2,
      () => {},
      (why) => failures.push(why),
    )
    for (let i = 0; i < 20; i++) await Promise.resolve()
    expect(failures).toMatchObject([{ kind: 'corrupt', offset: 2 }])
  })
})

it('followers that are level get the very bytes that were appended', async () => {
  const log = await open(simulatedDisk(seededRng(1)))
  const seen: Uint8Array[] = []
  log.follow(
    1,
    1,
    (record) => seen.push(record.bytes),
    () => expect.fail(),
  )
  await Promise.resolve()
  const record = new Uint8Array(100)
  await log.append(1, record, { publisher: 1, sequence: 1 })
  expect(seen[0]).toBe(record)
})

it('tells how far opening is', async () => {
  const disk = simulatedDisk(seededRng(1))
  const log = await open(disk)
  for (let i = 0; i < 50; i++) await log.append(1, new Uint8Array(2000), { publisher: 1, sequence: i })
  const { firstSegment, lastSegment, bytes } = log.size()
  expect([firstSegment, lastSegment > 3, bytes > 100_000]).toEqual([1, true, true])
  await log.close()
  const seen: number[] = []
  await openEmbeddedLog({ disk, directory: '/wal', segmentBytes, onProgress: (p) => seen.push(p.currentSegment, p.lastSegment) })
  expect(seen).toEqual(Array.from({ length: lastSegment }, (_, i) => [i + 1, lastSegment]).flat())
})
