// MD5 of short texts, for the relabel action hashmod. Source: RFC 1321. Not for secrets.

const shifts = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
const sines = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 4294967296) | 0)

/** The digest as four little-endian 32-bit words in `out`. */
function digestWords(bytes: Uint8Array, out: Int32Array): void {
  const blocks = ((bytes.length + 8) >>> 6) + 1
  const words = new Int32Array(blocks * 16)
  for (let i = 0; i < bytes.length; i++) words[i >> 2]! |= bytes[i]! << ((i & 3) << 3)
  words[bytes.length >> 2]! |= 0x80 << ((bytes.length & 3) << 3)
  words[blocks * 16 - 2] = bytes.length << 3
  words[blocks * 16 - 1] = Math.floor(bytes.length / 0x20000000)
  let a0 = 0x67452301
  let b0 = 0xefcdab89 | 0
  let c0 = 0x98badcfe | 0
  let d0 = 0x10325476
  for (let base = 0; base < words.length; base += 16) {
    let a = a0
    let b = b0
    let c = c0
    let d = d0
    for (let i = 0; i < 64; i++) {
      const round = i >> 4
      let mix: number
      let word: number
      if (round === 0) {
        mix = (b & c) | (~b & d)
        word = i
      } else if (round === 1) {
        mix = (d & b) | (~d & c)
        word = (5 * i + 1) & 15
      } else if (round === 2) {
        mix = b ^ c ^ d
        word = (3 * i + 5) & 15
      } else {
        mix = c ^ (b | ~d)
        word = (7 * i) & 15
      }
      const sum = (a + mix + sines[i]! + words[base + word]!) | 0
      const shift = shifts[round * 4 + (i & 3)]!
      a = d
      d = c
      c = b
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0
    }
    a0 = (a0 + a) | 0
    b0 = (b0 + b) | 0
    c0 = (c0 + c) | 0
    d0 = (d0 + d) | 0
  }
  out[0] = a0
  out[1] = b0
  out[2] = c0
  out[3] = d0
}

/** The 16 bytes of the digest. */
export function md5(bytes: Uint8Array): Uint8Array {
  const words = new Int32Array(4)
  digestWords(bytes, words)
  const out = new Uint8Array(16)
  for (let i = 0; i < 16; i++) out[i] = words[i >> 2]! >>> ((i & 3) << 3)
  return out
}

const scratch = new Int32Array(4)
const encoder = new TextEncoder()

/**
 * The last 8 bytes of the digest of a text's UTF-8, as a big-endian number, modulo `modulus` (an integer from 1 to 2^53 - 1).
 * Source: prometheus model/relabel, action hashmod.
 */
export function md5Modulo(text: string, modulus: number): number {
  digestWords(encoder.encode(text), scratch)
  const high = swap(scratch[2]!)
  const low = swap(scratch[3]!)
  // 2^32 mod m and high mod m are below m: the product is exact while m fits 26 bits
  if (modulus <= 0x3ffffff) return ((((high % modulus) * (4294967296 % modulus)) % modulus) + (low % modulus)) % modulus
  return Number(((BigInt(high) << 32n) | BigInt(low)) % BigInt(modulus))
}

/** The bytes of a word the other way round, unsigned. */
function swap(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
}
