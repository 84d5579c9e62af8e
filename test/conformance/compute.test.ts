import { expect, it } from 'vitest'
import { embeddedBus } from '../../cluster/embedded/bus.ts'
import { nodeClock } from '../../src/ports/node/clock.ts'
import { nodeCompute } from '../../src/ports/node/compute.ts'
import { simulatedCompute } from '../../src/ports/simulated/compute.ts'
import { lane as busLane } from '../support/bus-lane.ts'
import { computeConformance, echo } from './compute.ts'

computeConformance('worker threads', () => nodeCompute())
computeConformance('inline', () => simulatedCompute())

it('worker threads: a lane that dies is reported with its error', async () => {
  const compute = nodeCompute({ resourceLimits: { maxOldGenerationSizeMb: 64 } })
  const why = await new Promise<string>((resolve, reject) => {
    compute.start(echo, 1, resolve).then((lane) => lane.send('die'), reject)
  })
  expect(why).toContain('told to die')
})

it('inline: a lane can be killed', async () => {
  const compute = simulatedCompute()
  const exits: string[] = []
  const lane = await compute.start(echo, 1, (why) => exits.push(why))
  const seen: unknown[] = []
  lane.onMessage((message) => seen.push(message))
  lane.send('lost')
  compute.kill(lane.id, 'out of memory')
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect([exits, seen]).toEqual([['out of memory'], []])
})

for (const [name, compute] of [
  ['worker threads', nodeCompute()],
  ['inline', simulatedCompute()],
] as const) {
  it(`a lane is reached over the bus: ${name}`, async () => {
    const bus = embeddedBus(nodeClock())
    const exit = new Promise<string>((resolve) => {
      void (async () => {
        const lane = await compute.start(
          { module: new URL('../support/bus-lane.ts', import.meta.url), inline: busLane },
          { name: 'n' },
          resolve,
        )
        const { joined, cut } = bus.join(lane)
        await joined
        const values = Float64Array.of(1, 2, 3)
        expect((await bus.request('lane.n.sum', { body: values, transfer: [values.buffer] }, 5000)).body).toBe(6)
        cut()
        await lane.end()
      })()
    })
    expect(await exit).toBe('ended')
  })
}
