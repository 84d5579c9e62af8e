import { expect, it } from 'vitest'
import { nodeClock } from '../../src/ports/node/clock.ts'
import { simulatedClock } from '../../src/ports/simulated/clock.ts'
import { clockConformance } from './clock.ts'

clockConformance('node', () => ({ clock: nodeClock(), pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }))
clockConformance('simulated', () => {
  const clock = simulatedClock(1_700_000_000_000)
  return { clock, pass: (ms) => clock.advance(ms) }
})

it('simulated: equal times run in the order they were asked for, promises settle in between', async () => {
  const clock = simulatedClock()
  const ran: string[] = []
  for (const n of [1, 2, 3])
    clock.after(10, () => {
      ran.push(`timer ${n}`)
      void Promise.resolve()
        .then(() => Promise.resolve())
        .then(() => ran.push(`then ${n}`))
    })
  await clock.advance(9.5)
  expect([ran, clock.pending]).toEqual([[], 3])
  await clock.advance(0.5)
  expect(ran).toEqual(['timer 1', 'then 1', 'timer 2', 'then 2', 'timer 3', 'then 3'])
  expect([clock.pending, clock.monotonicMs()]).toEqual([0, 10])
})

it('simulated: thousands of timers run in order, however they were asked for', async () => {
  const clock = simulatedClock()
  const due: number[] = []
  for (let i = 0; i < 2000; i++) {
    const delayMs = (i * 7919) % 997
    const timer = clock.after(delayMs, () => due.push(delayMs))
    if (i % 3 === 0) timer.cancel()
  }
  await clock.advance(1000)
  expect(due.length).toBe(1333)
  expect(due).toEqual(due.toSorted((a, b) => a - b))
})

it('simulated: steps from timer to timer, and lets the wall clock jump alone', async () => {
  const clock = simulatedClock(1000)
  clock.after(500, () => {})
  clock.jumpWall(-800)
  expect(await clock.step()).toBe(true)
  expect([clock.nowMs(), clock.monotonicMs(), await clock.step()]).toEqual([700, 500, false])
})
