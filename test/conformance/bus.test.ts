import { MessageChannel } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { leafBus } from '../../cluster/embedded/bus-bridge.ts'
import { embeddedBus } from '../../cluster/embedded/bus.ts'
import { nodeClock } from '../../src/ports/node/clock.ts'
import { portOf } from '../../src/ports/node/compute.ts'
import { simulatedClock, type SimulatedClock } from '../../src/ports/simulated/clock.ts'
import { simulatedBus } from '../../cluster/simulated/bus.ts'
import { seededRng } from '../../src/base/rng.ts'
import { busConformance, type BusWorld } from './bus.ts'

/** Time passes while something is waited for. */
const onClock = (clock: SimulatedClock): Pick<BusWorld, 'settle' | 'run' | 'close'> => ({
  settle: () => clock.advance(0),
  async run(promise) {
    let pending = true
    const done = promise.finally(() => (pending = false))
    done.catch(() => {})
    await clock.settle()
    while (pending) await clock.advance(10)
    return done
  },
  close: async () => {},
})

busConformance('embedded, one thread', async () => {
  const clock = simulatedClock()
  const bus = embeddedBus(clock)
  return {
    a: bus,
    b: bus,
    ...onClock(clock),
  }
})

const turns = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await new Promise((resolve) => setImmediate(resolve))
}

for (const [name, ends] of [
  ['hub and leaf', 1],
  ['two leaves', 2],
] as const) {
  busConformance(`embedded, over message ports: ${name}`, async () => {
    const hub = embeddedBus(nodeClock())
    const channels = Array.from({ length: ends }, () => new MessageChannel())
    const leaves = channels.map(({ port1, port2 }) => {
      hub.join(portOf(port1))
      return leafBus(portOf(port2), nodeClock(), (thrown) => {
        throw thrown
      })
    })
    return {
      a: ends === 1 ? hub : leaves[0]!,
      b: leaves.at(-1)!,
      settle: turns,
      run: (promise) => promise,
      close: async () => channels.forEach(({ port1 }) => port1.close()),
    }
  })
}

it('embedded: what a thread that ended owes is failed, and it is asked no more', async () => {
  const hub = embeddedBus(nodeClock())
  const { port1, port2 } = new MessageChannel()
  const { cut } = hub.join(portOf(port1))
  const leaf = leafBus(portOf(port2), nodeClock(), () => {})
  leaf.subscribe('ask', () => {})
  await turns()
  const asked = hub.request('ask', { body: 0 }, 5000)
  asked.catch(() => {})
  await turns()
  cut()
  await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'the thread that was asked has ended' })
  await expect(hub.request('ask', { body: 0 }, 5000)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  port1.close()
})

it('embedded: a body that cannot cross fails the request, not the bus', async () => {
  const hub = embeddedBus(nodeClock())
  const { port1, port2 } = new MessageChannel()
  hub.join(portOf(port1))
  const leaf = leafBus(portOf(port2), nodeClock(), () => {})
  leaf.subscribe('ask', ({ body }, reply) => reply.send({ body }))
  await turns()
  await expect(hub.request('ask', { body: () => {} }, 1000)).rejects.toThrow(/could not be cloned/)
  expect((await hub.request('ask', { body: 1 }, 1000)).body).toBe(1)
  port1.close()
})

busConformance('simulated network without faults', async () => {
  const clock = simulatedClock()
  const network = simulatedBus(embeddedBus(clock), clock, seededRng(1))
  return {
    a: network.member('a'),
    b: network.member('b'),
    ...onClock(clock),
  }
})

it('simulated network: faults happen, by seed, and partitions cut one way', async () => {
  const play = async (seed: number): Promise<unknown> => {
    const clock = simulatedClock()
    const network = simulatedBus(embeddedBus(clock), clock, seededRng(seed))
    const [a, b] = [network.member('a'), network.member('b')]
    const seen: number[] = []
    b.subscribe('s', ({ body }) => seen.push(body as number))
    b.subscribe('ask', ({ body }, reply) => reply.send({ body }))
    network.faults.lost = 0.2
    network.faults.duplicated = 0.2
    network.faults.delayMs = [0, 50]
    for (let i = 0; i < 200; i++) a.publish('s', { body: i })
    await clock.advance(100)
    expect(new Set(seen).size).toBeGreaterThan(130)
    expect(new Set(seen).size).toBeLessThan(190)
    expect(seen.length).toBeGreaterThan(new Set(seen).size)
    expect(seen).not.toEqual(seen.toSorted((x, y) => x - y))

    network.faults.lost = 0
    network.faults.lostReply = 0.5
    const answers = Promise.allSettled(Array.from({ length: 40 }, (_, i) => a.request('ask', { body: i }, 500)))
    await clock.advance(1000)
    const ok = (await answers).filter((r) => r.status === 'fulfilled').length
    expect(ok).toBeGreaterThan(8)
    expect(ok).toBeLessThan(32)

    network.faults.lostReply = 0
    network.partition('b', 'a', true)
    const before = seen.length
    a.publish('s', { body: -1 })
    const cut = a.request('ask', { body: 1 }, 500)
    cut.catch(() => {})
    await clock.advance(600)
    expect(seen.length).toBeGreaterThan(before) // a reaches b, b does not reach a
    await expect(cut).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' })
    network.partition('b', 'a', false)
    const mended = a.request('ask', { body: 'back' }, 500)
    await clock.advance(200)
    expect((await mended).body).toBe('back')
    return [seen, ok]
  }
  expect(await play(5)).toEqual(await play(5))
})
