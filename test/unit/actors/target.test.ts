// A target's cycle and its machine under a virtual clock.
import { describe, expect, it } from 'vitest'
import { createActor } from 'xstate'
import { xstateClock } from '../../../actors/runtime/clock.ts'
import { ScrapeCycle, type Slots } from '../../../actors/target/cycle.ts'
import { target } from '../../../actors/target/machine.ts'
import { SlotTimers } from '../../../actors/target/slot-timers.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const slots: Slots = { intervalMs: 1000, offsetMs: 300 }

/** A cycle whose scrapes take `takesMs`; `said` has what happened, with the time. */
function rig(takesMs: number, fails = false) {
  const clock = new VirtualClock(10_000)
  const said: string[] = []
  const say = (what: string): void => void said.push(`${clock.nowMs() - 10_000} ${what}`)
  const cycle = new ScrapeCycle(
    slots,
    new SlotTimers(clock),
    async (slotMs) => {
      say(`scrape ${slotMs - 10_000}`)
      if (takesMs > 0) await clock.sleep(takesMs)
      if (fails) throw new Error('x')
    },
    () => say('rested'),
    () => say('failed'),
  )
  return { clock, said, cycle }
}

describe('cycle', () => {
  it('scrapes at its slots', async () => {
    const { clock, said, cycle } = rig(100)
    await clock.advance(2500)
    expect(said).toEqual(['300 scrape 300', '1300 scrape 1300', '2300 scrape 2300'])
    expect(cycle.scrapes).toBe(3)
  })
  it('leaves out slots that a long scrape took', async () => {
    const { clock, said } = rig(1500)
    await clock.advance(4500)
    expect(said).toEqual(['300 scrape 300', '2300 scrape 2300', '4300 scrape 4300'])
  })
  it('goes on after a scrape that failed', async () => {
    const { clock, said } = rig(0, true)
    await clock.advance(1500)
    expect(said).toEqual(['300 scrape 300', '300 failed', '1300 scrape 1300', '1300 failed'])
  })
  it('rests at once, or after the scrape under way, and only once', async () => {
    const { clock, said, cycle } = rig(100)
    await clock.advance(350)
    cycle.leave()
    expect(said).toEqual(['300 scrape 300'])
    await clock.advance(3000)
    expect(said).toEqual(['300 scrape 300', '400 rested'])
    cycle.leave()
    const idle = rig(100)
    idle.cycle.leave()
    idle.cycle.leave()
    await idle.clock.advance(3000)
    expect([...said, ...idle.said]).toEqual(['300 scrape 300', '400 rested', '0 rested'])
  })
  it('stays where the leave is taken back in time', async () => {
    const { clock, said, cycle } = rig(100)
    await clock.advance(350)
    cycle.leave()
    cycle.stay()
    await clock.advance(1000)
    expect(said).toEqual(['300 scrape 300', '1300 scrape 1300'])
  })
  it('takes other slots at once, or after the scrape under way', async () => {
    const { clock, said, cycle } = rig(100)
    cycle.changeSlots({ intervalMs: 500, offsetMs: 50 })
    await clock.advance(600)
    cycle.changeSlots({ intervalMs: 2000, offsetMs: 700 })
    await clock.advance(2200)
    expect(said).toEqual(['50 scrape 50', '550 scrape 550', '700 scrape 700', '2700 scrape 2700'])
  })
  it('stopped, it says and does nothing more', async () => {
    const { clock, said, cycle } = rig(100)
    await clock.advance(350)
    cycle.stop()
    cycle.leave()
    cycle.changeSlots(slots)
    await clock.advance(3000)
    expect(said).toEqual(['300 scrape 300'])
  })
})

describe('machine', () => {
  function world() {
    const clock = new VirtualClock(10_000)
    const said: string[] = []
    const say = (what: string): void => void said.push(`${clock.nowMs() - 10_000} ${what}`)
    const work = {
      scrape: async () => (say('scrape'), clock.sleep(100)),
      end: async (timeMs: number) => say(`end ${timeMs - 10_000}`),
    }
    const actor = createActor(target, { clock: xstateClock(clock), input: { ...slots, work, timers: new SlotTimers(clock) } })
    actor.subscribe({ complete: () => say('released') })
    actor.start()
    return { clock, said, actor }
  }
  it('ends the series of a target that left, after two intervals and a tenth', async () => {
    const { clock, said, actor } = world()
    await clock.advance(350)
    actor.send({ type: 'leave' })
    expect(actor.getSnapshot().value).toBe('scraping')
    await clock.advance(100)
    expect(actor.getSnapshot().value).toBe('leaving')
    await clock.advance(3000)
    expect(said).toEqual(['300 scrape', '2400 end 1300', '2400 released'])
  })
  it('is released at once where it was never scraped', async () => {
    const { clock, said, actor } = world()
    actor.send({ type: 'leave' })
    await clock.advance(3000)
    expect(said).toEqual(['0 released'])
  })
  it('goes on where the target returns, with the slots it has then', async () => {
    const { clock, said, actor } = world()
    await clock.advance(500)
    actor.send({ type: 'leave' })
    await clock.advance(1000)
    actor.send({ type: 'slots', slots: { intervalMs: 1000, offsetMs: 600 } })
    actor.send({ type: 'return' })
    await clock.advance(1000)
    expect(said).toEqual(['300 scrape', '1600 scrape'])
    // it was scraped in its first life, so it leaves in good order
    actor.send({ type: 'leave' })
    expect(actor.getSnapshot().value).toBe('leaving')
  })
  it('released, it stops in the middle of whatever it does', async () => {
    for (const atMs of [100, 350, 1000]) {
      const { clock, said, actor } = world()
      await clock.advance(atMs)
      if (atMs === 1000) actor.send({ type: 'leave' })
      actor.send({ type: 'release' })
      const before = said.length
      await clock.advance(5000)
      expect(said.length).toBe(before)
      expect(said.at(-1)).toBe(`${atMs} released`)
    }
  })
})
