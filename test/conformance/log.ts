// The contract of the Log port, run by every adapter.
import { describe, expect, it } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import type { AppendOutcome, Log, LogReadFailure, LogRecord } from '../../cluster/ports.ts'
import { readFailureOf } from '../../cluster/read-failure.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (from: Uint8Array): string => new TextDecoder().decode(from)
const id = (sequence: number, publisher = 1): { publisher: number; sequence: number } => ({ publisher, sequence })

async function all(log: Log, shard: number, from: number): Promise<string[]> {
  const out: string[] = []
  for await (const record of log.read(shard, from))
    out.push(`${record.offset} ${record.publisher}/${record.sequence} ${text(record.bytes)}`)
  return out
}
async function failureOf(log: Log, shard: number, from: number): Promise<LogReadFailure | null> {
  try {
    for await (const _ of log.read(shard, from));
    return null
  } catch (thrown) {
    return readFailureOf(thrown)
  }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !condition(); i++) await turn()
  expect(condition()).toBe(true)
}

/** @param open an empty log; `reopen` closes it and opens the same one again. */
export function logConformance(name: string, open: () => Promise<{ log: Log; reopen: () => Promise<Log>; trimDrops: boolean }>): void {
  describe(`log: ${name}`, () => {
    it('gives offsets per shard from 1 on and reads them back', async () => {
      const { log } = await open()
      expect([log.first(3), log.end(3)]).toEqual([1, 0])
      expect(await all(log, 3, 1)).toEqual([])
      expect(await log.append(3, bytes('a'), id(1))).toEqual({ kind: 'ok', offset: 1 })
      expect(await log.append(4, bytes('x'), id(1, 9))).toEqual({ kind: 'ok', offset: 1 })
      expect(await log.append(3, bytes(''), id(2))).toEqual({ kind: 'ok', offset: 2 })
      expect(await all(log, 3, 1)).toEqual(['1 1/1 a', '2 1/2 '])
      expect(await all(log, 3, 2)).toEqual(['2 1/2 '])
      expect(await all(log, 4, 1)).toEqual(['1 9/1 x'])
      expect([log.first(3), log.end(3), log.end(4)]).toEqual([1, 2, 1])
      await log.close()
    })

    it('keeps the order of appends that are under way together', async () => {
      const { log } = await open()
      const outcomes = await Promise.all(Array.from({ length: 300 }, (_, i) => log.append(i % 3, bytes(`${i}`), id(i))))
      expect(outcomes.map((o) => (o as { offset: number }).offset)).toEqual(Array.from({ length: 300 }, (_, i) => Math.floor(i / 3) + 1))
      expect((await all(log, 2, 1)).at(-1)).toBe('100 1/299 299')
      await log.close()
    })

    it('reads up to the end at the time of the call', async () => {
      const { log } = await open()
      await log.append(1, bytes('a'), id(1))
      const reading = log.read(1, 1)
      await log.append(1, bytes('b'), id(2))
      const seen: string[] = []
      for await (const record of reading) seen.push(text(record.bytes))
      expect(seen).toEqual(['a'])
      await log.close()
    })

    it('survives being closed and opened', async () => {
      const { log, reopen } = await open()
      for (let i = 1; i <= 50; i++) await log.append(i % 2, bytes('r'.repeat(i * 40)), id(i, 2 ** 40))
      const again = await reopen()
      expect([again.end(0), again.end(1)]).toEqual([25, 25])
      const read = await all(again, 0, 24)
      expect(read).toEqual([`24 ${2 ** 40}/48 ${'r'.repeat(48 * 40)}`, `25 ${2 ** 40}/50 ${'r'.repeat(50 * 40)}`])
      expect(await again.append(0, bytes('z'), id(51))).toEqual({ kind: 'ok', offset: 26 })
      await again.close()
    })

    it('refuses what is too big', async () => {
      const { log } = await open()
      const outcome = await log.append(1, new Uint8Array(limits.walRecordBytesMax + 1), id(1))
      expect(outcome).toEqual({ kind: 'tooBig', bytesMax: limits.walRecordBytesMax })
      expect(log.end(1)).toBe(0)
      await log.close()
    })

    it('says truncated and regressed', async () => {
      const { log } = await open()
      for (let i = 1; i <= 10; i++) await log.append(1, bytes(`${i}`), id(i))
      await log.trim(1, 6)
      expect(log.first(1)).toBe(6)
      expect(await failureOf(log, 1, 3)).toEqual({ kind: 'truncated', first: 6 })
      expect((await all(log, 1, 6)).length).toBe(5)
      expect(await failureOf(log, 1, 11)).toBeNull()
      expect(await failureOf(log, 1, 12)).toEqual({ kind: 'regressed', last: 10 })
      await log.trim(1, 100)
      expect([log.first(1), log.end(1)]).toEqual([11, 10])
      expect(await log.append(1, bytes('next'), id(11))).toEqual({ kind: 'ok', offset: 11 })
      expect(await all(log, 1, 11)).toEqual(['11 1/11 next'])
      await log.close()
    })

    it('follows: what is there, then what comes, in order, until cancelled', async () => {
      const { log } = await open()
      for (let i = 1; i <= 20; i++) await log.append(1, bytes(`${i}`), id(i))
      const seen: number[] = []
      let synchronous = true
      const cancel = log.follow(
        1,
        5,
        (record: LogRecord) => {
          expect(synchronous).toBe(false)
          seen.push(record.offset)
        },
        (why) => expect.fail(JSON.stringify(why)),
      )
      synchronous = false
      const appends: Promise<AppendOutcome>[] = []
      for (let i = 21; i <= 40; i++) {
        appends.push(log.append(1, bytes(`${i}`), id(i)), log.append(2, bytes('other'), id(i)))
        if (i % 5 === 0) await turn()
      }
      await Promise.all(appends)
      await until(() => seen.length === 36)
      expect(seen).toEqual(Array.from({ length: 36 }, (_, i) => i + 5))
      cancel()
      await log.append(1, bytes('unseen'), id(41))
      await turn()
      expect(seen.length).toBe(36)
      await log.close()
    })

    it.each([
      ['truncated', 1, { kind: 'truncated', first: 3 }],
      ['regressed', 9, { kind: 'regressed', last: 4 }],
    ] as const)('tells a follower that it is %s', async (_, from, why) => {
      const { log } = await open()
      for (let i = 1; i <= 4; i++) await log.append(1, bytes(`${i}`), id(i))
      await log.trim(1, 3)
      const failures: LogReadFailure[] = []
      log.follow(
        1,
        from,
        () => expect.fail('a record'),
        (failure) => failures.push(failure),
      )
      await until(() => failures.length > 0)
      expect(failures).toEqual([why])
      await log.close()
    })

    it('drops what every shard has trimmed, and keeps ends and offsets over a restart', async () => {
      const { log, reopen, trimDrops } = await open()
      if (!trimDrops) return log.close()
      const big = new Uint8Array(20_000)
      for (let i = 1; i <= 100; i++) await log.append(i % 2, big, id(i))
      await log.trim(0, 51)
      expect([log.first(0), log.end(0), log.first(1), log.end(1)]).toEqual([51, 50, 1, 50])
      expect((await all(log, 1, 1)).length).toBe(50)
      await log.trim(1, 51)
      const again = await reopen()
      expect([again.end(0), again.end(1)]).toEqual([50, 50])
      expect(again.first(0)).toBeGreaterThan(30)
      expect(await again.append(0, bytes('on'), id(1))).toEqual({ kind: 'ok', offset: 51 })
      expect(await all(again, 0, 51)).toEqual(['51 1/1 on'])
      expect(await failureOf(again, 0, 1)).toMatchObject({ kind: 'truncated' })
      await again.close()
    })

    it('refuses appends after close', async () => {
      const { log } = await open()
      const last = log.append(1, bytes('last'), id(1))
      await log.close()
      expect(await last).toEqual({ kind: 'ok', offset: 1 })
      expect(await log.append(1, bytes('late'), id(2))).toMatchObject({ kind: 'unavailable' })
    })
  })
}
