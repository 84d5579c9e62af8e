// The contract of the Compute port, run by every adapter.
import { describe, expect, it } from 'vitest'
import type { Compute, LaneEntry } from '../../src/ports/compute.ts'
import { lane } from '../support/echo-lane.ts'

export const echo: LaneEntry = { module: new URL('../support/echo-lane.ts', import.meta.url), inline: lane }

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(condition()).toBe(true)
}

export function computeConformance(name: string, open: () => Compute): void {
  describe(`compute: ${name}`, () => {
    it('starts lanes, carries messages in order, ends', async () => {
      const compute = open()
      expect(compute.lanesDefault).toBeGreaterThanOrEqual(1)
      const exits: string[] = []
      const [one, two] = await Promise.all([1, 2].map((n) => compute.start(echo, { n }, (why) => exits.push(`${n} ${why}`))))
      expect(one!.id).not.toBe(two!.id)
      for (let i = 0; i < 100; i++) one!.send(i)
      two!.send('hello')
      const seen: unknown[] = []
      const greeted: unknown[] = []
      await new Promise((resolve) => setTimeout(resolve, 5)) // what came before anybody asked is kept
      one!.onMessage((message) => seen.push(message))
      two!.onMessage((message) => greeted.push(message))
      expect(seen).toEqual([])
      await until(() => seen.length === 100 && greeted.length === 1)
      expect(seen).toEqual(Array.from({ length: 100 }, (_, message) => ({ setup: { n: 1 }, message })))
      expect(greeted).toEqual([{ setup: { n: 2 }, message: 'hello' }])
      await one!.end()
      await one!.end()
      await two!.end()
      await until(() => exits.length === 2)
      expect(exits.sort()).toEqual(['1 ended', '2 ended'])
      one!.send('to nobody')
    })

    it('moves buffers without a copy', async () => {
      const started = await open().start(echo, null, () => {})
      const values = Float64Array.of(1, 2, 3)
      const seen: { sum: number; back: Float64Array }[] = []
      started.onMessage((message) => seen.push(message as (typeof seen)[number]))
      started.send(values, [values.buffer])
      expect(values.length).toBe(0)
      await until(() => seen.length === 1)
      expect(seen[0]).toMatchObject({ sum: 6, back: Float64Array.of(1, 2, 3) })
      await started.end()
    })

    it('fails to start where the program does', async () => {
      const exits: string[] = []
      await expect(open().start(echo, 'fail', (why) => exits.push(why))).rejects.toThrow(/cannot start lane \d+: .*cannot set up/s)
      expect(exits.length).toBe(1)
    })
  })
}
