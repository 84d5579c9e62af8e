import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { decodeSlackBytes, decodeSnappy, encodeSnappy, snappyLength, unsnappy } from '../../../protocols/remote/snappy.ts'
import { seededRng } from '../../../src/base/rng.ts'
import { utf8Bytes } from '../../../src/base/bytes.ts'

const snappyjs = createRequire(import.meta.url)('snappyjs') as {
  compress(bytes: Uint8Array): Uint8Array
  uncompress(bytes: Uint8Array): Uint8Array
}
const rng = seededRng(11)

/** From noise to much repetition, with the lengths where forms change. */
function sample(size: number, alphabet: number): Uint8Array {
  const out = new Uint8Array(size)
  let i = 0
  while (i < size) {
    if (i > 8 && rng.chance(0.3)) {
      const length = Math.min(size - i, 4 + rng.below(100))
      const from = rng.below(i)
      for (let k = 0; k < length; k++) out[i++] = out[from + k]!
    } else out[i++] = rng.below(alphabet)
  }
  return out
}

describe('snappy blocks', () => {
  const sizes = [0, 1, 2, 15, 16, 17, 59, 60, 61, 255, 256, 257, 4096, 65_535, 65_536, 65_537, 200_000]
  for (const size of sizes) {
    it(`${size} bytes go through both encoders and both decoders`, () => {
      for (const alphabet of [1, 4, 256]) {
        const bytes = sample(size, alphabet)
        const ours = encodeSnappy(bytes)
        const theirs = snappyjs.compress(bytes)
        expect(Buffer.compare(unsnappy(ours, size), bytes)).toBe(0)
        expect(Buffer.compare(unsnappy(theirs, size), bytes)).toBe(0)
        expect(Buffer.compare(snappyjs.uncompress(ours.slice()), bytes)).toBe(0)
        if (alphabet === 4 && size > 1000) expect(ours.length).toBeLessThan(theirs.length * 1.1)
      }
    })
  }

  const hostile: readonly (readonly [string, number[], RegExp])[] = [
    ['nothing at all', [], /ends inside its length/],
    ['a length that does not end', [0xff, 0xff], /ends inside its length/],
    ['a length of more than 32 bits', [0xff, 0xff, 0xff, 0xff, 0xff, 0x01], /more than 32 bits/],
    ['a length just over 32 bits', [0x80, 0x80, 0x80, 0x80, 0x10, 0], /more than 32 bits/],
    ['a huge claim in a few bytes', [0xff, 0xff, 0x3f, 0x00, 0x61], /cannot hold/],
    ['a literal longer than the block', [4, 0x0c, 0x61], /literal of 4 bytes/],
    ['a literal longer than the claim', [1, 0x04, 0x61, 0x62], /literal of 2 bytes/],
    ['a literal whose length is cut', [4, 0xf4], /ends inside a literal's length/],
    ['a copy from before the start', [5, 0x00, 0x61, 0x01, 0x05], /copy of 4 bytes from 5 back/],
    ['a copy from nowhere', [5, 0x00, 0x61, 0x01, 0x00], /copy of 4 bytes from 0 back/],
    ['a copy past the claim', [3, 0x00, 0x61, 0x01, 0x01], /copy of 4 bytes/],
    ['a copy that is cut (1 byte)', [5, 0x00, 0x61, 0x01], /ends inside a copy/],
    ['a copy that is cut (2 bytes)', [5, 0x00, 0x61, 0x02, 0x01], /ends inside a copy/],
    ['a copy that is cut (4 bytes)', [5, 0x00, 0x61, 0x03, 1, 0, 0], /ends inside a copy/],
    ['less than it claims', [9, 0x00, 0x61], /holds 1 bytes and claims 9/],
  ]
  for (const [name, bytes, message] of hostile) {
    it(`refuses ${name}`, () => {
      expect(() => unsnappy(Uint8Array.from(bytes), 1 << 20)).toThrow(message)
    })
  }

  it('refuses a claim over the limit before anything is allocated', () => {
    const block = encodeSnappy(new Uint8Array(5_000))
    expect(() => snappyLength(block, 4_999)).toThrow('snappy: decoded length 5000 exceeds limit 4999')
  })

  it('reads the 4-byte copy form, which our encoder never writes', () => {
    const text = utf8Bytes('abcdabcdab')
    expect(unsnappy(Uint8Array.of(10, 0x0c, 0x61, 0x62, 0x63, 0x64, (5 << 2) | 3, 4, 0, 0, 0), 10)).toEqual(text)
  })

  it('writes into memory that is larger than needed', () => {
    const bytes = utf8Bytes('x'.repeat(500))
    const block = encodeSnappy(bytes)
    const { length, body } = snappyLength(block, 1 << 20)
    const out = new Uint8Array(1000).fill(7)
    expect(decodeSnappy(block, body, length, out)).toBe(500)
    expect(out.subarray(0, 500)).toEqual(bytes)
    expect([...out.subarray(500 + decodeSlackBytes)].every((byte) => byte === 7)).toBe(true)
  })

  it('never reads or writes outside of its memory, whatever the bytes', () => {
    for (let round = 0; round < 20_000; round++) {
      const block = new Uint8Array(rng.below(40))
      for (let i = 0; i < block.length; i++) block[i] = rng.below(256)
      if (block.length > 0) block[0] = rng.below(100)
      let ours: Uint8Array | null = null
      try {
        ours = unsnappy(block, 1 << 16)
      } catch (thrown) {
        expect((thrown as Error).message).toMatch(/^snappy: /)
      }
      if (ours !== null) expect(Buffer.compare(snappyjs.uncompress(block), ours)).toBe(0)
    }
  })
})
