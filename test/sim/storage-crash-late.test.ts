// As storage-crash.test.ts, with samples that come out of order: even seeds take them.
import { expect, it } from 'vitest'
import { crashEverywhere } from '../support/storage-lives.ts'

const seeds = Array.from({ length: process.env['LONG'] === '1' ? 100 : 8 }, (_, i) => i * 2 + 2)

it.each(seeds)('keeps late samples that were acknowledged, seed %i', { timeout: 600_000 }, async (seed) => {
  expect(await crashEverywhere(seed)).toBeGreaterThan(600)
})
