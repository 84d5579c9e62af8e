// Block names. A ULID is 48 bits of time and 80 others, in 26 letters of Crockford's base 32; here the others come from a hash of what the block is
// made of, so that replicas that cut or compact the same data give it the same name.
import { utf8Bytes } from '../../base/bytes.ts'
import { hashBytes } from '../../model/label-bytes.ts'

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

export function isUlid(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text)
}

/** Milliseconds in the first ten letters. */
export function ulidTimeMs(ulid: string): number {
  let time = 0
  for (const letter of ulid.slice(0, 10)) time = time * 32 + alphabet.indexOf(letter)
  return time
}

/** @param identity everything that tells this block from others with the same time. */
export function ulidFrom(timeMs: number, identity: string): string {
  let out = ''
  let time = Math.min(Math.max(0, Math.floor(timeMs)), 2 ** 48 - 1)
  for (let i = 0; i < 10; i++) {
    out = alphabet[time % 32]! + out
    time = Math.floor(time / 32)
  }
  const bytes = utf8Bytes(identity)
  for (let part = 0; part < 4; part++) {
    const hash = hashBytes(bytes, 0, bytes.length, 0x9e3779b9 * (part + 1))
    for (let i = 0; i < 4; i++) out += alphabet[(hash >>> (i * 5)) & 31]
  }
  return out
}

/**
 * The name of a block that a shard cuts from its head. `kind` tells apart what may be cut from one window: in-order, out-of-order, stale series;
 * `sequence` how often that has happened.
 */
export function blockUlid(shard: number, windowStartMs: number, windowEndMs: number, kind: string, sequence: number): string {
  return ulidFrom(windowEndMs, `head ${shard} ${windowStartMs} ${windowEndMs} ${kind} ${sequence}`)
}

/** The name of a block that is compacted from others. */
export function compactedUlid(maxTimeMs: number, parents: readonly string[]): string {
  return ulidFrom(maxTimeMs, `compacted ${[...parents].sort().join(' ')}`)
}
