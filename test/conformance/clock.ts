// The contract of the Clock port, run by every adapter.
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/ports/clock.ts'

export function clockConformance(name: string, open: () => { clock: Clock; pass: (ms: number) => Promise<void> }): void {
  describe(`clock: ${name}`, () => {
    it('runs tasks once, in the order of their times, and not before', async () => {
      const { clock, pass } = open()
      const ran: string[] = []
      const start = clock.monotonicMs()
      clock.after(40, () => ran.push('c'))
      clock.after(10, () => {
        ran.push('a')
        expect(clock.monotonicMs() - start).toBeGreaterThanOrEqual(9)
        clock.after(10, () => ran.push('b'))
      })
      const cancelled = clock.after(5, () => ran.push('cancelled'))
      cancelled.cancel()
      cancelled.cancel()
      const late = clock.after(0, () => ran.push('first'))
      expect(ran).toEqual([])
      await pass(60)
      late.cancel()
      expect(ran).toEqual(['first', 'a', 'b', 'c'])
    })

    it('takes negative and missing delays as 0, and those beyond 32 bits as they are', async () => {
      const { clock, pass } = open()
      const ran: string[] = []
      clock.after(-5, () => ran.push('negative'))
      clock.after(NaN, () => ran.push('none'))
      const never = clock.after(2 ** 31 + 1000, () => ran.push('too early'))
      await pass(20)
      never.cancel()
      expect(ran.sort()).toEqual(['negative', 'none'])
    })

    it('sleeps, and tells the time', async () => {
      const { clock, pass } = open()
      const [wall, monotonic] = [clock.nowMs(), clock.monotonicMs()]
      let slept = false
      const sleep = clock.sleep(20).then(() => (slept = true))
      await pass(40)
      await sleep
      expect(slept).toBe(true)
      expect(Number.isInteger(clock.nowMs())).toBe(true)
      expect(clock.nowMs() - wall).toBeGreaterThanOrEqual(19)
      expect(clock.monotonicMs() - monotonic).toBeGreaterThanOrEqual(19)
    })
  })
}
