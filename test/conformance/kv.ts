// The contract of the Kv port, run by every adapter.
import { describe, expect, it } from 'vitest'
import type { Kv, KvChange } from '../../cluster/ports.ts'

const b = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)

export interface KvWorld {
  kv: Kv
  /** Lets time pass for expiry. */
  pass(ms: number): Promise<void>
  /** Closes and opens the same store; null where it does not outlive its process. */
  reopen: (() => Promise<Kv>) | null
}

export function kvConformance(name: string, open: () => Promise<KvWorld>): void {
  describe(`kv: ${name}`, () => {
    const until = async (world: KvWorld, condition: () => boolean): Promise<void> => {
      for (let i = 0; i < 500 && !condition(); i++) await world.pass(1)
      expect(condition()).toBe(true)
    }

    it('sets, gets and deletes with versions', async () => {
      const { kv } = await open()
      expect(await kv.get('a')).toBeNull()
      const first = await kv.put('a', b(1), 0)
      expect(first).not.toBeNull()
      expect(await kv.get('a')).toEqual({ value: b(1), version: first })
      const second = await kv.put('a', b(2), first!)
      expect(second).toBeGreaterThan(first!)
      expect(await kv.delete('a', first!)).toBe(false)
      expect(await kv.delete('a', second!)).toBe(true)
      expect(await kv.get('a')).toBeNull()
      expect(await kv.put('a', b(3), second!)).toBeNull()
      expect(await kv.put('a', b(3), 0)).toBeGreaterThan(second!)
    })

    it('the second writer of one version loses', async () => {
      const { kv } = await open()
      const version = (await kv.put('a', b(0), 0))!
      const outcomes = await Promise.all([kv.put('a', b(1), version), kv.put('a', b(2), version), kv.put('a', b(3), version)])
      expect(outcomes.filter((o) => o !== null).length).toBe(1)
      const winner = outcomes.findIndex((o) => o !== null)
      expect((await kv.get('a'))!.value).toEqual(b(winner + 1))
    })

    it('creates once, until it expires', async () => {
      const world = await open()
      const { kv } = world
      expect(await kv.create('lease', b(1), 200)).not.toBeNull()
      expect(await kv.create('lease', b(2), 200)).toBeNull()
      await world.pass(300)
      expect(await kv.get('lease')).toBeNull()
      expect(await kv.create('lease', b(3), 10_000)).not.toBeNull()
    })

    it('does not let its callers change what it holds', async () => {
      const { kv } = await open()
      const value = b(1, 2)
      await kv.put('a', value, 0)
      value[0] = 9
      expect((await kv.get('a'))!.value).toEqual(b(1, 2))
    })

    it('watches: current values, then changes, in order, by prefix, until cancelled', async () => {
      const world = await open()
      const { kv } = world
      await kv.put('p/a', b(1), 0)
      const other = (await kv.put('q/a', b(1), 0))!
      const gone = (await kv.put('p/gone', b(1), 0))!
      await kv.delete('p/gone', gone)
      const seen: KvChange[] = []
      const cancel = kv.watch('p/', 0, (change) => seen.push(change))
      expect(seen).toEqual([])
      await until(world, () => seen.length >= 1)
      const version = (await kv.put('p/b', b(2), 0))!
      await kv.put('q/a', b(2), other)
      await kv.delete('p/b', version)
      await until(world, () => seen.length >= 3)
      expect(seen.map(({ key, value }) => [key, value])).toEqual([
        ['p/a', b(1)],
        ['p/b', b(2)],
        ['p/b', null],
      ])
      expect(seen.map((c) => c.version)).toEqual(seen.map((c) => c.version).sort((x, y) => x - y))
      cancel()
      await kv.put('p/c', b(3), 0)
      await world.pass(5)
      expect(seen.length).toBe(3)
      // From a version on: what came after it, deletions included.
      const later: string[] = []
      kv.watch('p/', seen[0]!.version, ({ key, value }) => later.push(`${key}${value === null ? ' gone' : ''}`))
      await until(world, () => later.length >= 3)
      expect(later).toEqual(['p/gone gone', 'p/b gone', 'p/c'])
    })

    it('outlives its process', async () => {
      const world = await open()
      if (world.reopen === null) return
      const version = (await world.kv.put('a', b(1), 0))!
      await world.kv.create('lease', b(2), 1000)
      const kv = await world.reopen()
      expect(await kv.get('a')).toEqual({ value: b(1), version })
      expect((await kv.get('lease'))!.value).toEqual(b(2))
      expect(await kv.put('b', b(1), 0)).toBeGreaterThan(version + 1)
      await world.pass(1100)
      expect(await kv.get('lease')).toBeNull()
    })
  })
}
