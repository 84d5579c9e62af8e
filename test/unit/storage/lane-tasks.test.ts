import { describe, expect, it } from 'vitest'
import { LaneTasks } from '../../../actors/storage-shard/lane-tasks.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'

/** Tasks that take time on a clock of their own; turns are run one by one. */
function rig(sliceMs = 8) {
  let now = 0
  const turns: (() => void)[] = []
  const tasks = new LaneTasks({ ...simulatedClock(), monotonicMs: () => now }, sliceMs, (turn) => void turns.push(turn))
  const events: string[] = []
  /** Works so long, in steps; pauses where its slice is over. */
  function* work(name: string, ms: number, stepMs = 2): Generator<void, string> {
    try {
      for (let left = ms; left > 0; left -= stepMs) {
        now += stepMs
        events.push(name)
        if (tasks.isSliceOver()) yield
      }
      return `${name} done`
    } finally {
      events.push(`${name} ended`)
    }
  }
  const turn = (): boolean => {
    const next = turns.shift()
    next?.()
    return next !== undefined
  }
  return { tasks, events, work, turn, elapse: (ms: number) => void (now += ms), now: () => now }
}

describe('time slices', () => {
  it('what is short ends in its first slice, in the call', async () => {
    const { tasks, events, work } = rig()
    const done = tasks.run(work('a', 6), () => false)
    expect(events).toEqual(['a', 'a', 'a', 'a ended'])
    expect(await done).toBe('a done')
    expect(tasks.paused).toBe(0)
  })

  it('what is long pauses after its slice and lets others in', async () => {
    const { tasks, events, work, turn } = rig()
    const long = tasks.run(work('long', 20), () => false)
    expect(events).toEqual(['long', 'long', 'long', 'long'])
    expect(await tasks.run(work('short', 2), () => false)).toBe('short done')
    while (turn());
    expect(events.slice(4)).toEqual(['short', 'short ended', ...Array<string>(6).fill('long'), 'long ended'])
    expect(await long).toBe('long done')
  })

  it('medium work overtakes long work, long work goes on all the same, and of long ones only the oldest', async () => {
    const { tasks, work, turn, now } = rig()
    const ends: [string, number][] = []
    const start = (name: string, ms: number): void => void tasks.run(work(name, ms), () => false).then((how) => ends.push([how, now()]))
    start('first', 4_000)
    start('second', 4_000)
    for (let i = 0; i < 400; i++) turn()
    start('medium', 200)
    while (turn()) await Promise.resolve()
    expect(ends.map(([how]) => how)).toEqual(['medium done', 'first done', 'second done'])
    expect(ends[0]![1]).toBeLessThan(3_700) // begun at 3.2 s: it got most of the turns
    expect(ends[2]![1]).toBe(8_200)
  })

  it('short work for ever does not starve long work', async () => {
    const { tasks, work, turn } = rig()
    let done = false
    void tasks.run(work('long', 2_000), () => false).then(() => (done = true))
    for (let i = 0; !done && i < 10_000; i++) {
      void tasks.run(work('short', 20), () => false)
      turn()
      await Promise.resolve()
    }
    expect(done).toBe(true)
  })

  it('failures are told, cancelled work is given up while it waits, and so is all of it in the end', async () => {
    const { tasks, events, work, turn } = rig()
    function* failing(): Generator<void, string> {
      yield
      throw new Error('no')
    }
    const failed = tasks.run(failing(), () => false)
    let gone = false
    const cancelled = tasks.run(work('cancelled', 100), () => gone)
    const behind = tasks.run(work('behind', 100), () => false)
    gone = true
    turn()
    await expect(cancelled).rejects.toThrow('query was canceled in expression evaluation')
    expect(events).toContain('cancelled ended')
    await expect(failed).rejects.toThrow('no')
    tasks.stop()
    await expect(behind).rejects.toThrow('the storage is closing')
    expect(events.at(-1)).toBe('behind ended')
    expect(tasks.paused).toBe(0)
  })
})
