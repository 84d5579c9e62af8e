import { utf8Bytes } from '../base/bytes.ts'

/**
 * When a group is evaluated: at `phase + k * interval` since the epoch, the phase being a hash of file and name, so that groups spread over the
 * interval and every node, and a Prometheus beside it, agrees on the slots. Source: prometheus rules/group.go EvalTimestamp.
 */

/** The phase of a group in ms, 0 ≤ phase < intervalMs. */
export function groupPhaseMs(file: string, name: string, intervalMs: number): number {
  const hash = xxhash64(stringLabels(['file', file, 'name', name]))
  return Number((hash % (BigInt(intervalMs) * 1_000_000n)) / 1_000_000n)
}

/** The last slot at or before `nowMs`. */
export function slotBefore(nowMs: number, intervalMs: number, phaseMs: number): number {
  return Math.floor((nowMs - phaseMs) / intervalMs) * intervalMs + phaseMs
}

/** Label sets as Prometheus keeps them in memory: every text with its length in front, one byte, or 255 and three. */
function stringLabels(parts: readonly string[]): Uint8Array {
  const bytes: number[] = []
  for (const part of parts) {
    const text = utf8Bytes(part)
    if (text.length < 255) bytes.push(text.length)
    else bytes.push(255, text.length & 255, (text.length >> 8) & 255, (text.length >> 16) & 255)
    for (const byte of text) bytes.push(byte)
  }
  return Uint8Array.from(bytes)
}

const mask = (1n << 64n) - 1n
const prime1 = 0x9e3779b185ebca87n
const prime2 = 0xc2b2ae3d27d4eb4fn
const prime3 = 0x165667b19e3779f9n
const prime4 = 0x85ebca77c2b2ae63n
const prime5 = 0x27d4eb2f165667c5n

const rotate = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & mask
const round = (sum: bigint, input: bigint): bigint => (rotate((sum + input * prime2) & mask, 31n) * prime1) & mask
const merge = (hash: bigint, sum: bigint): bigint => (((hash ^ round(0n, sum)) & mask) * prime1 + prime4) & mask

/** XXH64 with seed 0. For the few hashes whose value others must agree on; slow. Source: xxhash's specification. */
export function xxhash64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const n = bytes.length
  let at = 0
  let hash: bigint
  if (n >= 32) {
    const sums = [(prime1 + prime2) & mask, prime2, 0n, -prime1 & mask] as [bigint, bigint, bigint, bigint]
    for (; at + 32 <= n; at += 32) for (let i = 0; i < 4; i++) sums[i] = round(sums[i]!, view.getBigUint64(at + i * 8, true))
    hash = (rotate(sums[0], 1n) + rotate(sums[1], 7n) + rotate(sums[2], 12n) + rotate(sums[3], 18n)) & mask
    for (const sum of sums) hash = merge(hash, sum)
  } else hash = prime5
  hash = (hash + BigInt(n)) & mask
  for (; at + 8 <= n; at += 8) hash = (rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * prime1 + prime4) & mask
  if (at + 4 <= n) {
    hash = (rotate(hash ^ ((BigInt(view.getUint32(at, true)) * prime1) & mask), 23n) * prime2 + prime3) & mask
    at += 4
  }
  for (; at < n; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]!) * prime5) & mask), 11n) * prime1) & mask
  hash = ((hash ^ (hash >> 33n)) * prime2) & mask
  hash = ((hash ^ (hash >> 29n)) * prime3) & mask
  return hash ^ (hash >> 32n)
}
