// The whole storage of a machine that stops at any operation of its disk: what was acknowledged is there again, nothing else is.
import { describe, it } from 'vitest'
import { oneLife } from '../support/storage-lives.ts'

const long = process.env['LONG'] === '1'

describe('crash at every operation of the disk', () => {
  it('keeps what was acknowledged and invents nothing', async () => {
    const started = performance.now()
    let points = 0
    const seeds = long ? 200 : Number(process.env['SEEDS'] ?? 3)
    for (let seed = 1; seed <= seeds; seed++) {
      const total = await oneLife(seed, 1e9, 80)
      for (let at = 1; at <= total; at++, points++) await oneLife(seed, at, 80)
      console.log(seed, total, points, performance.now() - started)
    }
  }, 3_600_000)
})
