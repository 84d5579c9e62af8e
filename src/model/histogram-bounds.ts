// Bucket boundaries of native histograms.
//
//   exponential schema s in −4 … 8: bucket i is (base^(i−1), base^i] with base = 2^(2^−s); the boundary of i is 2^(i / 2^s)
//   custom buckets (schema −53):    bucket i is (bounds[i−1], bounds[i]], the first from −Inf, the last to +Inf
//
// Source: prometheus model/histogram/generic.go. The fractions of schema 8 are computed once with big integers; every lower schema uses
// every 2nd, 4th, … of them. Prometheus' own table is up to four units in the last place away from the nearest doubles, and answers show
// boundaries digit by digit, so those deviations are applied.
import { customBucketsSchema } from './histogram.ts'

export const exponentialSchemaMin = -4
export const exponentialSchemaMax = 8

export function isExponentialSchema(schema: number): boolean {
  return schema >= exponentialSchemaMin && schema <= exponentialSchemaMax
}

/** Units of 2^-53 by which Prometheus' fraction lies below the exact one, one digit an entry, 2 standing for 0. */
const deviations =
  '2222223222322222223422333333333322322232233322332233213322332233' +
  '2222223333443243223222322223222222232122324422332333223232443333' +
  '3232334433433233333333434344434422332232334432443344323343443343' +
  '3354334344544454444444555566546533433444435533444354334444654455'

let fractionsOfSchema8: Float64Array | null = null

/** 2^(k/256 − 1) for k = 0 … 255, as Prometheus has them. */
function fractions(): Float64Array {
  if (fractionsOfSchema8 !== null) return fractionsOfSchema8
  const bits = 160n
  let root = 2n << bits // 2 with 160 fraction bits, then eight square roots: 2^(1/256)
  for (let i = 0; i < 8; i++) root = squareRoot(root << bits)
  const out = new Float64Array(256)
  let power = 1n << bits
  for (let k = 0; k < 256; k++) {
    out[k] = Number(power >> 40n) / 2 ** 121 - (deviations.charCodeAt(k) - 50) * 2 ** -53 // both exact but for Number()
    power = (power * root) >> bits
  }
  fractionsOfSchema8 = out
  return out
}

function squareRoot(n: bigint): bigint {
  let x = 1n << BigInt((n.toString(2).length >> 1) + 1)
  for (;;) {
    const y = (x + n / x) >> 1n
    if (y >= x) return x
    x = y
  }
}

/** The boundary of an exponential bucket. The last bucket of ordinary numbers ends at the largest double, the one after it at +Inf. */
export function exponentialBound(index: number, schema: number): number {
  if (schema < 0) {
    const exponent = index * 2 ** -schema
    return exponent === 1024 ? Number.MAX_VALUE : powerOfTwo(exponent)
  }
  const perPower = 2 ** schema
  const power = Math.floor(index / perPower)
  const fraction = index - power * perPower
  if (fraction === 0 && power === 1024) return Number.MAX_VALUE
  const scaled = fractions()[fraction << (8 - schema)]! * 2
  return power >= -1022 ? scaled * 2 ** power : scaled * 2 ** -1022 * powerOfTwo(power + 1022)
}

function powerOfTwo(exponent: number): number {
  return exponent > 1023 ? Infinity : 2 ** exponent
}

/** The upper bound of positive bucket `index`; with custom buckets −1 gives −Inf and the count of bounds gives +Inf. */
export function bucketBound(index: number, schema: number, customBounds: Float64Array | null): number {
  if (schema !== customBucketsSchema) return exponentialBound(index, schema)
  if (index < 0) return -Infinity
  const count = customBounds === null ? 0 : customBounds.length
  return index >= count ? Infinity : customBounds![index]!
}

/** The bucket of a lower resolution that holds bucket `index`. */
export function reducedIndex(index: number, from: number, to: number): number {
  return Math.floor((index - 1) / 2 ** (from - to)) + 1
}
