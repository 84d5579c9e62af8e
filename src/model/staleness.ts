// Prometheus marks the end of a series with one particular NaN, 0x7ff0000000000002, a *signalling* one. JavaScript may set the quiet bit
// of a NaN whenever a number passes through a register or a plain array, so the marker is recognised with that bit either way
// (0x7ff8000000000002 is written by nothing else: Prometheus' ordinary NaN ends in 1, JavaScript's in 0), and encoders write it exactly.

export const staleHigh = 0x7ff00000
export const staleLow = 2

/** As a number: good for storing into a Float64Array. Compare by bits, never by value. */
export const staleNaN: number = new Float64Array(Uint32Array.of(staleLow, staleHigh).buffer)[0]!

/** @param bits a Uint32Array over the same buffer as a Float64Array (little-endian); index: the sample's index. */
export function isStaleAt(bits: Uint32Array, index: number): boolean {
  return bits[index * 2] === staleLow && (bits[index * 2 + 1]! & ~0x00080000) >>> 0 === staleHigh
}

/** High half of the number at `index`: the marker's exact one where its quiet bit was set. */
export function highAt(bits: Uint32Array, index: number): number {
  return isStaleAt(bits, index) ? staleHigh : bits[index * 2 + 1]!
}

const scratch = new Float64Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** For one number outside a column. */
export function isStale(value: number): boolean {
  if (value === value) return false
  scratch[0] = value
  return isStaleAt(scratchBits, 0)
}
