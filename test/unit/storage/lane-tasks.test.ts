import { describe, expect, it } from 'vitest'
import { LaneTasks } from '../../../actors/storage-shard/lane-tasks.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'

/** Tasks that take time on a clock of their own; turns are run one by one. */
function rig(sliceMs = 8) {
  let now = 0
  const turns: (() => void)[] = []
  const arrivals: (() => void)[] = []
  const tasks = new LaneTasks(
    { ...simulatedClock(), monotonicMs: () => now },
    sliceMs,
    (turn) => void turns.push(turn),
    () => {
      const next = arrivals.shift()
      next?.()
      return next !== undefined
    },
  )
  const run = <T>(steps: Generator<void, T>, cancelled: () => boolean): Promise<T> =>
    new Promise((resolve, reject) => tasks.run(steps, cancelled, resolve, reject))
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
  /** Works so long without a pause, but asks whether its slice is over. */
  function* stubborn(name: string, ms: number, stepMs = 2): Generator<void, string> {
    for (let left = ms; left > 0; left -= stepMs) {
      now += stepMs
      events.push(name)
      if (tasks.isSliceOver()) tasks.serveOthers()
    }
    if (ms < 0) yield
    return `${name} done`
  }
  return { tasks, run, arrivals, events, work, stubborn, turn, now: () => now }
}

describe('time slices', () => {
  it('what is short ends in its first slice, in the call', async () => {
    const { tasks, run, events, work } = rig()
    const done = run(work('a', 6), () => false)
    expect(events).toEqual(['a', 'a', 'a', 'a ended'])
    expect(await done).toBe('a done')
    expect(tasks.paused).toBe(0)
  })

  it('what is long pauses after its slice and lets others in', async () => {
    const { run, events, work, turn } = rig()
    const long = run(work('long', 20), () => false)
    expect(events).toEqual(['long', 'long', 'long', 'long'])
    expect(await run(work('short', 2), () => false)).toBe('short done')
    while (turn());
    expect(events.slice(4)).toEqual(['short', 'short ended', ...Array<string>(6).fill('long'), 'long ended'])
    expect(await long).toBe('long done')
  })

  it('medium work overtakes long work, long work goes on all the same, and of long ones only the oldest', async () => {
    const { run, work, turn, now } = rig()
    const ends: [string, number][] = []
    const start = (name: string, ms: number): void => void run(work(name, ms), () => false).then((how) => ends.push([how, now()]))
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
    const { run, work, turn } = rig()
    let done = false
    void run(work('long', 2_000), () => false).then(() => (done = true))
    for (let i = 0; !done && i < 10_000; i++) {
      void run(work('short', 20), () => false)
      turn()
      await Promise.resolve()
    }
    expect(done).toBe(true)
  })

  it('failures are told, cancelled work is given up while it waits, and so is all of it in the end', async () => {
    const { tasks, run, events, work, turn } = rig()
    function* failing(): Generator<void, string> {
      yield
      throw new Error('no')
    }
    const failed = run(failing(), () => false)
    let gone = false
    const cancelled = run(work('cancelled', 100), () => gone)
    const behind = run(work('behind', 100), () => false)
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

  it('what cannot pause serves new requests and lower levels meanwhile, one at a time, and only once deep', async () => {
    const { run, arrivals, events, work, stubborn, turn, now } = rig()
    const ends: [string, number][] = []
    const note = (how: string): void => void ends.push([how, now()])
    arrivals.push(
      () => void run(work('short', 4), () => false).then(note),
      () => void run(stubborn('rude', 40), () => false).then(note),
      () => void run(work('medium', 60), () => false).then(note),
    )
    const long = run(stubborn('long', 400), () => false)
    expect(await long).toBe('long done')
    await Promise.resolve()
    expect(ends.map(([how]) => how)).toEqual(['short done', 'rude done', 'medium done'])
    expect(ends[0]![1]).toBe(504) // all of it within the call
    expect(events.indexOf('short')).toBe(4)
    expect(events.indexOf('rude')).toBe(11)
    expect(events.indexOf('medium')).toBe(35)
    expect(events.lastIndexOf('medium')).toBeLessThan(200)
    expect(turn()).toBe(true)
    expect(turn()).toBe(false)
  })
})
