// The whole storage of a machine that stops at any operation of its disk: what was acknowledged is there again, nothing else is.
import { expect, it } from 'vitest'
import { crashEverywhere } from '../support/storage-lives.ts'

const seeds = Array.from({ length: process.env['LONG'] === '1' ? 100 : 8 }, (_, i) => i * 2 + 1)

it.each(seeds)('keeps what was acknowledged and invents nothing, seed %i', { timeout: 600_000 }, async (seed) => {
  expect(await crashEverywhere(seed)).toBeGreaterThan(250)
})
