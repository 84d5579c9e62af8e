// Slots that targets share, and the one timer for each.
import { describe, expect, it } from 'vitest'
import { SlotSteps, SlotTimers } from '../../../actors/target/slot-timers.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

describe('steps', () => {
  const rows: readonly [what: string, targets: number, intervalMs: number, stepMs: number][] = [
    ['no target yet', 0, 15_000, 500],
    ['one target', 1, 15_000, 500],
    ['some ten targets share a slot', 100, 5_000, 500],
    ['more targets, finer slots', 1_000, 30_000, 250],
    ['many', 10_000, 15_000, 10],
    ['more than fit', 1_000_000, 15_000, 1],
    ['a short interval has ten slots all the same', 1, 1_000, 100],
    ['a very short one', 1, 10, 1],
  ]
  it.each(rows)('%s', (_, targets, intervalMs, stepMs) => {
    const steps = new SlotSteps()
    steps.set({}, targets / intervalMs)
    expect(steps.stepMs(intervalMs)).toBe(stepMs)
  })
  it('pools count together, and no longer when they end', () => {
    const steps = new SlotSteps()
    const pools = Array.from({ length: 10 }, () => ({}))
    for (const pool of pools) steps.set(pool, 10 / 1000)
    expect(steps.stepMs(15_000)).toBe(100)
    for (const pool of pools.slice(1)) steps.set(pool, 0)
    expect(steps.stepMs(15_000)).toBe(500)
  })
})

/** Counts the timers it makes; its wall clock can be set. */
class CountingClock extends VirtualClock {
  made = 0
  wallAheadMs = 0
  override nowMs(): number {
    return super.nowMs() + this.wallAheadMs
  }
  override after(delayMs: number, task: () => void): ReturnType<VirtualClock['after']> {
    this.made++
    return super.after(delayMs, task)
  }
}

describe('timers', () => {
  it('one timer for all that wait for a slot, in the order they came', async () => {
    const clock = new CountingClock(1_000)
    const timers = new SlotTimers(clock)
    const said: string[] = []
    const say = (name: string) => () => void said.push(`${clock.nowMs()} ${name}`)
    timers.at(1_500, say('a'))
    timers.at(1_500, say('b')).cancel()
    timers.at(1_600, say('c'))
    timers.at(1_500, say('d'))
    expect(clock.made).toBe(2)
    await clock.advance(1_000)
    expect(said).toEqual(['1500 a', '1500 d', '1600 c'])
    timers.at(1_500, say('late'))
    await clock.advance(1)
    expect(said.at(-1)).toBe('2000 late')
  })
  it('nobody left, no timer: the next one to come makes another', async () => {
    const clock = new CountingClock(1_000)
    const timers = new SlotTimers(clock)
    const said: string[] = []
    const only = timers.at(1_500, () => said.push('no'))
    only.cancel()
    only.cancel()
    timers.at(1_500, () => said.push('yes'))
    expect(clock.made).toBe(2)
    await clock.advance(1_000)
    only.cancel()
    expect(said).toEqual(['yes'])
  })
  it('a wall clock that was set back: the same slot, but much later', async () => {
    const clock = new CountingClock(100_000)
    const timers = new SlotTimers(clock)
    const said: string[] = []
    timers.at(100_500, () => said.push(`first at ${clock.monotonicMs()}`))
    clock.wallAheadMs = -60_000
    timers.at(100_500, () => said.push(`second at ${clock.monotonicMs()}`))
    await clock.advance(61_000)
    expect(said).toEqual(['first at 100500', 'second at 160500'])
  })
})
