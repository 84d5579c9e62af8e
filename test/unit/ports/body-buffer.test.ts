import { describe, expect, it } from 'vitest'
import { BodyBuffer, BodyMemory } from '../../../src/ports/body-buffer.ts'

const bytes = (length: number, value = 1): Uint8Array => new Uint8Array(length).fill(value)

describe('BodyBuffer', () => {
  it('grows by doubling and keeps what it has', () => {
    const buffer = new BodyBuffer()
    const sizes = new Set<number>()
    for (let i = 0; i < 1000; i++) {
      buffer.append(bytes(100, i % 251), 0, 100)
      sizes.add(buffer.bytes.length)
    }
    expect(buffer.length).toBe(100_000)
    expect(sizes.size).toBeLessThan(8)
    expect(buffer.view().every((value, i) => value === Math.floor(i / 100) % 251)).toBe(true)
  })

  it('appends a part of the source, and begins again when cleared', () => {
    const buffer = new BodyBuffer()
    buffer.append(Uint8Array.of(1, 2, 3, 4), 1, 3)
    buffer.append(Uint8Array.of(5), 0, 1)
    expect([...buffer.view()]).toEqual([2, 3, 5])
    buffer.clear()
    buffer.append(Uint8Array.of(9), 0, 1)
    expect([...buffer.view()]).toEqual([9])
  })
})

describe('BodyMemory', () => {
  it('hands the memory of one body to the next', () => {
    const memory = new BodyMemory()
    const first = memory.buffer()
    expect(memory.spareBytes).toBe(0)
    first.append(bytes(50_000), 0, 50_000)
    const piece = first.bytes.buffer
    first.free()
    first.free()
    const second = memory.buffer()
    second.reserve(49_000)
    expect(second.bytes.buffer).toBe(piece)
    expect(memory.spareBytes).toBe(0)
    // one under way has its own
    const third = memory.buffer()
    third.reserve(49_000)
    expect(third.bytes.buffer).not.toBe(piece)
  })

  it('begins a body of unknown length with what bodies usually need', () => {
    const memory = new BodyMemory()
    const one = memory.buffer()
    one.append(bytes(200_000), 0, 200_000)
    one.free()
    const two = memory.buffer()
    two.append(bytes(10), 0, 10)
    expect(two.bytes.length).toBeGreaterThanOrEqual(200_000)
  })

  it('gives up what is mostly unused for long, and what is too large at once', () => {
    const memory = new BodyMemory()
    const use = (length: number): void => {
      const buffer = memory.buffer()
      buffer.reserve(length)
      buffer.length = length
      buffer.free()
    }
    use(10 << 20)
    expect(memory.spareBytes).toBeGreaterThanOrEqual(10 << 20)
    for (let i = 0; i < 200; i++) use(10_000)
    expect(memory.spareBytes).toBeLessThan(100_000)
    use(100 << 20)
    expect(memory.spareBytes).toBeLessThan(100_000)
  })

  it('keeps a bounded number of pieces', () => {
    const memory = new BodyMemory()
    const all = Array.from({ length: 100 }, () => memory.buffer())
    for (const buffer of all) buffer.append(bytes(100_000), 0, 100_000)
    for (const buffer of all) buffer.free()
    expect(memory.spareBytes).toBeLessThan(1 << 20)
  })
})
