import { expect, it } from 'vitest'
import { nodeRandom } from '../../src/ports/node/random.ts'
import { simulatedRandom } from '../../src/ports/simulated/random.ts'
import { randomConformance } from './random.ts'

randomConformance('node', () => nodeRandom())
randomConformance('simulated', () => simulatedRandom(7))

it('simulated: the same seed, the same luck; node: never the same', () => {
  const draw = (seed: number): unknown => {
    const random = simulatedRandom(seed)
    return [random.next(), random.bytes(4), random.fork().next()]
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
  expect(nodeRandom().next()).not.toBe(nodeRandom().next())
})
