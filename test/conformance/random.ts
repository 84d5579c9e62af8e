// The contract of the Random port, run by every adapter.
import { describe, expect, it } from 'vitest'
import type { Random } from '../../src/ports/random.ts'

export function randomConformance(name: string, open: () => Random): void {
  describe(`random: ${name}`, () => {
    it('stays in its ranges and is roughly even', () => {
      const random = open()
      const counts = new Array<number>(10).fill(0)
      let hits = 0
      for (let i = 0; i < 10_000; i++) {
        const next = random.next()
        expect(next >= 0 && next < 1).toBe(true)
        counts[random.below(10)]!++
        if (random.chance(0.25)) hits++
      }
      for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(200)
      expect(Math.abs(hits - 2500)).toBeLessThan(250)
      expect([random.chance(0), random.chance(1), random.below(1)]).toEqual([false, true, 0])
    })

    it('gives bytes and independent forks', () => {
      const random = open()
      const bytes = random.bytes(1000)
      expect(bytes.length).toBe(1000)
      expect(new Set(bytes).size).toBeGreaterThan(200)
      expect(random.bytes(0).length).toBe(0)
      expect(random.fork().next()).not.toBe(random.fork().next())
    })
  })
}
