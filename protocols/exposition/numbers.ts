// Numbers of the text formats: decimal, inf, infinity and nan in any case; no hexadecimal, no underscores.
import { formatFloatG } from '../../src/model/number-text.ts'

/** Powers of ten that a double holds exactly. */
const exactPowers = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))

/**
 * Reads a number at `position` into `out[index]`: sign, digits with a point anywhere, an exponent. Where the digits make an integer below
 * 2^53 and the power of ten is one a double holds exactly, the result is correctly rounded by one operation (Clinger 1990), and nothing is allocated.
 * @returns the offset after the number, or −1 where it is not of that form: then `parseNumber` decides. The bytes must end with a non-digit.
 */
export function readSimpleNumber(bytes: Uint8Array, position: number, out: Float64Array, index: number): number {
  let at = position
  let c = bytes[at]!
  const negative = c === 45
  if (negative) c = bytes[++at]!
  const first = at
  let high = 0 // the first nine digits fit an int32, the rest a double
  let digit = c - 48
  while (digit >= 0 && digit <= 9 && at - first < 9) {
    high = (high * 10 + digit) | 0
    c = bytes[++at]!
    digit = c - 48
  }
  if (at === first) return -1
  if (c === 10) {
    out[index] = negative ? -high : high // −0 stays −0: the product below would keep it too
    return at
  }
  let mantissa = high
  while (digit >= 0 && digit <= 9) {
    mantissa = mantissa * 10 + digit
    c = bytes[++at]!
    digit = c - 48
  }
  let scale = 0
  if (c === 46) {
    c = bytes[++at]!
    digit = c - 48
    const point = at
    while (digit >= 0 && digit <= 9) {
      mantissa = mantissa * 10 + digit
      c = bytes[++at]!
      digit = c - 48
    }
    scale = point - at
  }
  if (c === 101 || c === 69) {
    c = bytes[++at]!
    const down = c === 45
    if (down || c === 43) c = bytes[++at]!
    const start = at
    let exponent = 0
    digit = c - 48
    while (digit >= 0 && digit <= 9) {
      if (at - start >= 4) return -1
      exponent = exponent * 10 + digit
      c = bytes[++at]!
      digit = c - 48
    }
    if (at === start) return -1
    scale += down ? -exponent : exponent
  }
  if (mantissa > Number.MAX_SAFE_INTEGER || scale > 22 || scale < -22) return readLongNumber(bytes, position, at, out, index)
  if (scale > 0) mantissa *= exactPowers[scale]!
  else if (scale < 0) mantissa /= exactPowers[-scale]!
  out[index] = negative ? -mantissa : mantissa
  return at
}

/** The same text, known to be a decimal number, by the engine's own correctly rounding parser. */
function readLongNumber(bytes: Uint8Array, start: number, end: number, out: Float64Array, index: number): number {
  if (end - start > 64) return -1
  const value = Number(String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]))
  if (!Number.isFinite(value)) return -1
  out[index] = value
  return end
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const infinite = /^([+-]?)inf(?:inity)?$/i

/** @returns null where the text is no number, or one too large for a double. */
export function parseNumber(text: string): number | null {
  if (decimal.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : null
  }
  const match = infinite.exec(text)
  if (match !== null) return match[1] === '-' ? -Infinity : Infinity
  return /^nan$/i.test(text) ? NaN : null
}

/** Longest number text that is looked at; anything longer is refused. */
export const numberBytesMax = 1_024

/** As parseNumber, from bytes[start, end). */
export function parseNumberBytes(bytes: Uint8Array, start: number, end: number): number | null {
  if (end - start > numberBytesMax) return null
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return parseNumber(text)
}

/** The value of an `le` or `quantile` label as OpenMetrics wants it: `1.0`, `0.005`, `1e-05`, `1e+06`, `+Inf`. */
export function printBoundLabel(value: number): string {
  if (value === 0) return '0.0'
  const text = formatFloatG(value)
  return !Number.isFinite(value) || /[e.]/.test(text) ? text : `${text}.0`
}
