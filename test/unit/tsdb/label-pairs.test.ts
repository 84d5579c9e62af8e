import { expect, it } from 'vitest'
import { ByteWriter } from '../../../src/base/bytes.ts'
import { seededRng } from '../../../src/base/rng.ts'
import { LabelPairs } from '../../../src/tsdb/head/label-pairs.ts'

function intern(pairs: LabelPairs, name: string, value: string): number {
  const bytes = new ByteWriter(16)
  bytes.text(name)
  bytes.text(value)
  return pairs.intern(bytes.written(), 0, bytes.length)
}

it('knows the name of every pair, whatever came before it', () => {
  const names = ['a', 'ab', 'abc', 'b', 'ä', '', 'n'.repeat(127), 'n'.repeat(128), 'n'.repeat(300), '__name__', '__name_']
  const rng = seededRng(7)
  const pairs = new LabelPairs()
  const model = new Map<number, [name: string, value: string]>()
  for (let round = 0; round < 4_000; round++) {
    const name = names[rng.below(names.length)]!
    const value = rng.chance(0.2) ? name : String(rng.below(200))
    const pair = intern(pairs, name, value)
    if (!model.has(pair)) model.set(pair, [name, value])
    expect(model.get(pair)).toEqual([name, value])
    if (round % 97 !== 0) continue
    // some, and the newest, whose id is used next; names that are left by all are used again as well
    const gone = [...[...model.keys()].filter((id) => id !== pair && rng.chance(0.3)), pair]
    pairs.release(gone)
    for (const id of gone) model.delete(id)
  }
  for (const [pair, [name, value]] of model) {
    expect([pairs.name(pair), pairs.value(pair)]).toEqual([name, value])
    expect(pairs.find(name, value)).toBe(pair)
    expect(pairs.pairsOf(name)).toContain(pair)
  }
  expect(pairs.names().sort()).toEqual([...new Set(Array.from(model.values(), ([name]) => name))].sort())
})
