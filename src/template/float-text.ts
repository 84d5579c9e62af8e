/** Floats as Go's strconv.FormatFloat writes them: exact, ties to even. */

const scratch = new DataView(new ArrayBuffer(8))
/** A double has at most 1074 digits after the point; what is asked beyond is zeros. */
const digitsMax = 1_100

/**
 * @param format 'e' 1.5e+00, 'f' 1.500000, 'g' the shorter of the two.
 * @param precision digits after the point ('g': significant digits); -1: as few as tell the value apart from all others.
 * @param keepZeros 'g' only: do not drop trailing zeros (the `#` flag).
 */
export function formatFloat(value: number, format: 'e' | 'f' | 'g', precision: number, keepZeros = false): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  if (format === 'e') return sign + printExponent(precision < 0 ? shortest(size) : significant(size, precision + 1))
  if (format === 'f') return sign + (precision < 0 ? printFixed(shortest(size)) : fixed(size, precision))
  const wanted = precision === 0 ? 1 : precision
  const digits = wanted < 0 ? shortest(size) : significant(size, wanted)
  const exponentFrom = wanted < 0 ? 6 : wanted
  const { exponent } = digits
  const text = keepZeros || wanted < 0 ? digits.text : digits.text.replace(/(.)0+$/, '$1')
  return sign + (exponent < -4 || exponent >= exponentFrom ? printExponent({ text, exponent }) : printFixed({ text, exponent }))
}

/** `text` without point or leading zeros; `exponent` of its first digit. */
type Digits = Readonly<{ text: string; exponent: number }>

/** The fewest digits that read back as the same number. */
function shortest(size: number): Digits {
  const [mantissa, exponent] = size.toExponential().split('e')
  return { text: mantissa!.replace('.', ''), exponent: Number(exponent) }
}

/** Exactly `count` significant digits. */
function significant(size: number, count: number): Digits {
  const wanted = Math.min(count, digitsMax)
  const pad = '0'.repeat(count - wanted)
  if (size === 0) return { text: '0'.repeat(count), exponent: 0 }
  let exponent = Number(size.toExponential().split('e')[1])
  let text = scaled(size, wanted - 1 - exponent).toString()
  if (text.length > wanted) {
    // rounding gave one digit more: 9.99 -> 10.0
    exponent++
    text = text.slice(0, wanted)
  }
  return { text: text + pad, exponent }
}

function fixed(size: number, precision: number): string {
  const wanted = Math.min(precision, digitsMax)
  const text = scaled(size, wanted)
    .toString()
    .padStart(wanted + 1, '0')
  const fraction = text.slice(text.length - wanted) + '0'.repeat(precision - wanted)
  return text.slice(0, text.length - wanted) + (precision === 0 ? '' : `.${wanted === 0 ? '' : fraction}`)
}

/** size * 10^power, rounded to an integer, half to even. */
function scaled(size: number, power: number): bigint {
  scratch.setFloat64(0, size)
  const bits = scratch.getBigUint64(0)
  const biased = Number(bits >> 52n)
  let numerator = (bits & 0xfffffffffffffn) | (biased === 0 ? 0n : 1n << 52n)
  const exponent = (biased === 0 ? 1 : biased) - 1075
  let denominator = 1n
  if (exponent > 0) numerator <<= BigInt(exponent)
  else denominator <<= BigInt(-exponent)
  if (power > 0) numerator *= 10n ** BigInt(power)
  else denominator *= 10n ** BigInt(-power)
  const quotient = numerator / denominator
  const twice = (numerator % denominator) * 2n
  return twice > denominator || (twice === denominator && (quotient & 1n) === 1n) ? quotient + 1n : quotient
}

function printExponent({ text, exponent }: Digits): string {
  const size = Math.abs(exponent)
  return `${text[0]}${text.length > 1 ? '.' : ''}${text.slice(1)}e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`
}

function printFixed({ text, exponent }: Digits): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${text}`
  if (text.length <= exponent + 1) return text + '0'.repeat(exponent + 1 - text.length)
  return `${text.slice(0, exponent + 1)}.${text.slice(exponent + 1)}`
}
