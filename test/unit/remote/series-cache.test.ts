import { describe, expect, it } from 'vitest'
import { SeriesCache } from '../../../protocols/remote/series-cache.ts'
import { seededRng } from '../../../src/base/rng.ts'

type Options = Partial<ConstructorParameters<typeof SeriesCache>[0]>
function open(options: Options = {}): { cache: SeriesCache; released: number[] } {
  const released: number[] = []
  const cache = new SeriesCache({
    release: (h) => released.push(h),
    bytesMax: 8 << 20,
    entriesMax: 100_000,
    idleMs: 60_000,
    seed: 3,
    ...options,
  })
  return { cache, released }
}

function keyed(text: string): { bytes: Uint8Array; view: DataView } {
  const bytes = new TextEncoder().encode(text)
  return { bytes, view: new DataView(bytes.buffer) }
}

/** As a decoder uses it: guess, find, add. */
function resolve(cache: SeriesCache, text: string, handle: () => number): number {
  const { bytes, view } = keyed(text)
  let entry = cache.guess(view, 0, bytes.length)
  if (entry >= 0 && cache.lengthOf(entry) !== bytes.length) {
    cache.unguess()
    entry = -1
  }
  if (entry < 0) entry = cache.find(view, 0, bytes.length)
  if (entry >= 0) return cache.handle(entry)
  const made = handle()
  cache.add(bytes, view, 0, bytes.length, made)
  return made
}

describe('series cache', () => {
  it('finds what was added, in any order, and nothing else', () => {
    const { cache } = open()
    cache.begin(1_000_000)
    const rng = seededRng(1)
    const known = new Map<string, number>()
    let next = 0
    for (let i = 0; i < 30_000; i++) {
      const text = 'x'.repeat(rng.below(9)) + String(rng.below(5_000))
      const handle = resolve(cache, text, () => next++)
      if (known.has(text)) expect(handle).toBe(known.get(text))
      else known.set(text, handle)
    }
    expect(cache.size).toBe(known.size)
  })

  it('compares first what followed last time', () => {
    const { cache } = open()
    cache.begin(1_000_000)
    let next = 0
    const texts = Array.from({ length: 1000 }, (_, i) => `series ${i}`)
    for (const text of texts) resolve(cache, text, () => next++)
    const { hits, misses } = cache
    for (const text of texts) resolve(cache, text, () => next++)
    expect(cache.hits - hits).toBe(1000)
    expect(cache.misses).toBe(misses)
    expect(next).toBe(1000)
  })

  it('gives up what is idle, and keeps what is used', () => {
    const { cache, released } = open({ bytesMax: 64 << 20 })
    let next = 0
    const hot = (i: number): string => `hot ${i} ${'h'.repeat(300)}`
    const cold = (i: number): string => `cold ${i} ${'c'.repeat(300)}`
    cache.begin(1_000_000)
    for (let i = 0; i < 20_000; i++) {
      resolve(cache, cold(i), () => next++)
      if (i % 10 === 0) resolve(cache, hot(i), () => next++)
    }
    const before = cache.bytes
    for (let at = 1_000_000; at < 1_600_000; at += 1_000) {
      cache.begin(at)
      for (let i = 0; i < 20_000; i += 10) resolve(cache, hot(i), () => -1)
    }
    expect(cache.size).toBeGreaterThanOrEqual(2_000)
    expect(cache.size).toBeLessThan(8_000) // the segment being written is not looked at
    expect(released.length).toBe(22_000 - cache.size)
    expect(cache.bytes).toBeLessThan(before / 2)
    for (let i = 0; i < 20_000; i += 10) {
      expect(resolve(cache, hot(i), () => -1)).toBeGreaterThanOrEqual(0)
    }
  })

  for (const [name, options] of [
    ['bytes', { bytesMax: 2 << 20 }],
    ['entries', { entriesMax: 3_000 }],
    ['entries within one segment', { entriesMax: 100 }],
  ] as const) {
    it(`stays within its ${name}, gives every handle back once, and never mixes series up`, () => {
      const { cache, released } = open(options)
      const rng = seededRng(5)
      const handleOf = new Map<number, string>()
      let next = 0
      for (let round = 0; round < 40_000; round++) {
        if (round % 1_000 === 0) cache.begin(1_000_000 + round)
        const text = `series ${rng.below(20_000)} ${'l'.repeat(rng.below(300))}`
        const handle = resolve(cache, text, () => {
          handleOf.set(next, text)
          return next++
        })
        expect(handleOf.get(handle)).toBe(text)
        expect(cache.bytes).toBeLessThanOrEqual(Math.max(2 << 20, options === undefined ? 0 : 8 << 20))
      }
      expect(new Set(released).size).toBe(released.length)
      expect(cache.size + released.length).toBe(next)
      if ('entriesMax' in options) expect(cache.size).toBeLessThanOrEqual(options.entriesMax)
      cache.clear()
      expect(new Set(released).size).toBe(next)
      expect(cache.size).toBe(0)
    })
  }

  it('does not keep records of unusual length', () => {
    const { cache } = open()
    cache.begin(0)
    const { bytes, view } = keyed('x'.repeat(300_000))
    expect(cache.add(bytes, view, 0, bytes.length, 1)).toBe(false)
    expect(cache.find(view, 0, bytes.length)).toBe(-1)
  })
})
