// The whole storage of a machine that stops at any operation of its disk: what was acknowledged is there again, nothing else is.
import { expect, it } from 'vitest'
import { crashEverywhere, crashPointsMin, livesAndCrashes } from '../support/storage-lives.ts'

const seeds = Array.from({ length: process.env['LONG'] === '1' ? 100 : 6 }, (_, i) => i * 2 + 1)

livesAndCrashes('keeps what was acknowledged and invents nothing', seeds, {
  'crash points': crashPointsMin.inOrder,
  deletions: 20,
  'log segments trimmed': 60,
  'head snapshots': 100,
  'head snapshots removed': 60,
  'head chunks': 50,
  'head chunks removed': 15,
  'blocks made': 80,
  'tombstones of blocks': 5,
  'blocks removed': 25,
  windows: 45,
  'cuts of stale series': 12,
})

// found by the hundred seeds: a replay cuts at once what the life before had not cut yet when the deletion came
it.each([[103, 2], [99, 18]])('a deletion meets the cut of series that have ended, seed %i', { timeout: 600_000 }, async (seed, rounds) => {
  const done = await crashEverywhere(seed, rounds)
  expect(done['cuts of stale series']).toBeGreaterThan(0)
  expect(done.deletions).toBeGreaterThan(0)
}) // prettier-ignore

it('crashes ten thousand times in all', () => {
  expect(crashPointsMin.inOrder + crashPointsMin.late).toBeGreaterThanOrEqual(10_000)
})
