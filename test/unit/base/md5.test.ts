import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { md5, md5Modulo } from '../../../src/base/md5.ts'
import { seededRng } from '../../../src/base/rng.ts'

it('gives the digests of RFC 1321', () => {
  const rows = [
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['12345678901234567890123456789012345678901234567890123456789012345678901234567890', '57edf4a22be3c955ac49da2e2107b67a'],
  ] as const
  for (const [text, hex] of rows) expect(Buffer.from(md5(Buffer.from(text))).toString('hex')).toBe(hex)
})

it('agrees with the machine for every length around a block, and modulo small and large numbers', () => {
  const rng = seededRng(1)
  for (let length = 0; length < 200; length++) {
    const text = Array.from({ length }, () => String.fromCharCode(32 + rng.below(600))).join('')
    const digest = createHash('md5').update(text).digest()
    expect(Buffer.from(md5(Buffer.from(text)))).toEqual(digest)
    for (const modulus of [1, 2, 10, 1000, 0x3ffffff, 0x4000000, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(md5Modulo(text, modulus)).toBe(Number(digest.readBigUInt64BE(8) % BigInt(modulus)))
    }
  }
})
