import { assign, fromPromise, setup } from 'xstate'
import { describe, expect, it } from 'vitest'
import { ActorRuntime } from '../../../actors/runtime/runtime.ts'
import type { ActorSpec } from '../../../actors/runtime/supervised.ts'
import { embeddedBus } from '../../../cluster/embedded/bus.ts'
import type { BusReply } from '../../../cluster/ports.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { MetricsRegistry } from '../../../src/base/metrics.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'
import { simulatedRandom } from '../../../src/ports/simulated/random.ts'

type Input = { start: number; works: () => Promise<void> }
type Events =
  | { type: 'add'; by: number; reply: BusReply }
  | { type: 'get'; reply: BusReply }
  | { type: 'hold'; reply: BusReply }
  | { type: 'boom' }
  | { type: 'work' }
  | { type: 'stop' }

/** Counts; works on demand, during which it takes no messages; breaks on demand; ends in its own time. */
const counter = setup({
  types: { input: {} as Input, context: {} as Input & { count: number }, events: {} as Events },
  actors: { works: fromPromise<void, () => Promise<void>>(({ input }) => input()) },
  actions: {
    answer: ({ context, event }) => event.type === 'get' && event.reply.send({ body: context.count }),
    boom: () => {
      throw new Error('BUG: boom')
    },
  },
}).createMachine({
  context: ({ input }) => ({ ...input, count: input.start }),
  initial: 'idle',
  on: {
    add: { actions: assign({ count: ({ context, event }) => context.count + event.by }) },
    get: { actions: 'answer' },
    boom: { actions: 'boom' },
    stop: '.ending',
  },
  states: {
    idle: { on: { work: 'working' } },
    working: { tags: 'busy', invoke: { src: 'works', input: ({ context }) => context.works, onDone: 'idle' } },
    ending: { after: { 100: 'ended' } },
    ended: { type: 'final' },
  },
})

async function world(overrides: Partial<ActorSpec<typeof counter>> = {}) {
  const clock = simulatedClock()
  const bus = embeddedBus(clock)
  const metrics = new MetricsRegistry()
  const runtime = new ActorRuntime({ clock, bus, random: simulatedRandom(1), logger: silentLogger, metrics })
  let finishWork = (): void => {}
  const actor = runtime.start({
    id: 'counter/1',
    kind: 'counter',
    machine: counter,
    input: () => ({ start: 10, works: () => new Promise<void>((resolve) => (finishWork = resolve)) }),
    messagesMax: 3,
    mailbox: {
      subject: 'counter',
      event: ({ body }, reply) => (typeof body === 'object' && body !== null ? ({ ...body, reply } as Events) : null),
    },
    busy: (snapshot) => snapshot.hasTag('busy'),
    stopEvent: { type: 'stop' },
    ...overrides,
  })
  await clock.settle()
  const value = async (name: string): Promise<number> =>
    (await metrics.gather()).find((f) => f.name === name)!.samples.find((s) => s.labels[1] === 'counter')?.value ?? 0
  const ask = async (body: unknown): Promise<unknown> => {
    const asked = bus.request('counter', { body }, 1000)
    asked.catch(() => {})
    await clock.settle()
    return (await asked).body
  }
  return { clock, bus, runtime, actor, value, ask, finishWork: () => finishWork() }
}

describe('actor runtime', () => {
  it('takes messages from the bus and answers', async () => {
    const { bus, ask, value } = await world()
    bus.publish('counter', { body: { type: 'add', by: 5 } })
    expect(await ask({ type: 'get' })).toBe(15)
    expect(await value('promhive_actor_messages_total')).toBe(2)
    expect(await value('promhive_actors')).toBe(1)
    await expect(ask('nonsense')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })

  it('keeps messages while the machine is busy, a bounded number of them', async () => {
    const { clock, bus, actor, ask, value, finishWork } = await world()
    actor.send({ type: 'work' })
    for (let i = 0; i < 3; i++) bus.publish('counter', { body: { type: 'add', by: 1 } })
    await clock.settle()
    expect([actor.waitingMessages, actor.snapshot()!.context.count]).toEqual([3, 10])
    await expect(ask({ type: 'get' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'cannot take a message for counter/1: 3 are waiting',
    })
    expect(await value('promhive_actor_messages_refused_total')).toBe(1)
    finishWork()
    await clock.settle()
    expect([actor.waitingMessages, actor.snapshot()!.context.count]).toEqual([0, 13])
  })

  it('restarts with a growing back-off, tells askers, and forgets failures after a quiet time', async () => {
    const { clock, bus, actor, value, ask } = await world({ restart: { firstMs: 100, maxMs: 350, quietMs: 10_000 } })
    const held = bus.request('counter', { body: { type: 'hold' } }, 5000)
    held.catch(() => {})
    const waits: number[] = []
    const boom = async (): Promise<void> => {
      bus.publish('counter', { body: { type: 'boom' } })
      await clock.settle()
      expect(actor.status).toBe('waiting')
      const before = clock.monotonicMs()
      while (actor.status === 'waiting') await clock.step()
      waits.push(clock.monotonicMs() - before)
    }
    await boom()
    await expect(held).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'counter/1 failed: BUG: boom' })
    await boom()
    await boom()
    await boom()
    for (const [i, full] of [100, 200, 350, 350].entries()) {
      expect(waits[i]).toBeGreaterThanOrEqual(full / 2)
      expect(waits[i]).toBeLessThanOrEqual(full)
    }
    await clock.advance(10_000)
    await boom()
    expect(waits[4]).toBeLessThanOrEqual(100)
    expect(actor.restarts).toBe(5)
    expect(await value('promhive_actor_restarts_total')).toBe(5)
    expect(await ask({ type: 'get' })).toBe(10)
  })

  it('keeps messages that come during the back-off', async () => {
    const { clock, bus, actor } = await world()
    actor.send({ type: 'boom' })
    bus.publish('counter', { body: { type: 'add', by: 7 } })
    await clock.settle()
    expect(actor.waitingMessages).toBe(1)
    await clock.advance(1000)
    expect(actor.snapshot()!.context.count).toBe(17)
  })

  it('saves snapshots and restarts from the last, from nothing where that fails again', async () => {
    const saved: unknown[] = []
    const snapshot = {
      load: async () => saved.at(-1) ?? null,
      save: async (s: unknown) => void saved.push(JSON.parse(JSON.stringify(s))),
      everyMs: 1000,
    }
    const { clock, actor } = await world({ snapshot })
    actor.send({ type: 'add', by: 5, reply: undefined! })
    await clock.advance(1000)
    await clock.advance(5000)
    expect(saved.length).toBe(1)
    actor.send({ type: 'add', by: 1, reply: undefined! })
    actor.send({ type: 'boom' })
    await clock.advance(500)
    expect(actor.snapshot()!.context.count).toBe(15)
    actor.send({ type: 'boom' })
    await clock.advance(900)
    expect(actor.snapshot()!.context.count).toBe(10)
    actor.send({ type: 'add', by: 90, reply: undefined! })
    const stopped = actor.stop(50)
    await clock.advance(50)
    expect(await stopped).toBe(false)
    expect((saved.at(-1) as { context: { count: number } }).context.count).toBe(100)
  })

  it('stops in its own time, or when the time is over', async () => {
    const { clock, runtime, actor, value, bus } = await world()
    const stopped = runtime.stop(1000)
    await clock.advance(99)
    expect(actor.status).toBe('running')
    await clock.advance(1)
    expect(await stopped).toEqual([])
    expect([actor.status, await value('promhive_actors'), runtime.list()]).toEqual(['done', 0, []])
    await expect(bus.request('counter', { body: { type: 'get' } }, 10)).rejects.toMatchObject({ code: 'UNAVAILABLE' })

    const slow = await world()
    const cut = slow.runtime.stop(20)
    await slow.clock.advance(20)
    expect(await cut).toEqual(['counter/1'])
    expect(slow.actor.status).toBe('stopped')
  })

  it('stops in reverse order of start, one kind after the other', async () => {
    const { clock, runtime, actor } = await world()
    const order: string[] = []
    const watch = (handle: { id: string; ended: Promise<void> }): void => void handle.ended.then(() => order.push(handle.id))
    watch(actor)
    for (const [id, kind] of [
      ['store/1', 'store'],
      ['store/2', 'store'],
      ['web', 'web'],
    ] as const)
      watch(runtime.start({ id, kind, machine: counter, input: () => ({ start: 0, works: async () => {} }), stopEvent: { type: 'stop' } }))
    await clock.settle()
    const before = clock.monotonicMs()
    const stopped = runtime.stop(10_000)
    await clock.advance(300)
    await stopped
    expect(order.slice(0, 1)).toEqual(['web'])
    expect(order.slice(1, 3).sort()).toEqual(['store/1', 'store/2'])
    expect(order[3]).toBe('counter/1')
    expect(clock.monotonicMs() - before).toBe(300)
  })
})
