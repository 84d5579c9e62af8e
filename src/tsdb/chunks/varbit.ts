// Variable-width numbers of histogram chunks. A number takes the first row it fits; the prefix says which. Source: chunkenc/varbit.go.
//
//   0  zero     10 + 3 bits   110 + 6   1110 + 9   11110 + 12   111110 + 18   1111110 + 25   11111110 + 56   11111111 + 64
//
// Signed numbers of n bits run from −2^(n−1) + 1 to 2^(n−1), unsigned ones from 0 to 2^n − 1.
import { highHalf, type BitReader, type BitWriter } from './bits.ts'

const widths = [3, 6, 9, 12, 18, 25, 56] as const

/** @param value an integer within ±2^53. */
export function putVarbitInt(writer: BitWriter, value: number): void {
  if (value === 0) {
    writer.put(0, 1)
    return
  }
  for (let row = 0; row < widths.length; row++) {
    const top = 2 ** (widths[row]! - 1)
    if (value > -top && value <= top) return putRow(writer, row, value)
  }
  putRow(writer, widths.length, value)
}

/** @param value an integer from 0 to 2^53. */
export function putVarbitUint(writer: BitWriter, value: number): void {
  if (value === 0) {
    writer.put(0, 1)
    return
  }
  for (let row = 0; row < widths.length; row++) if (value < 2 ** widths[row]!) return putRow(writer, row, value)
  putRow(writer, widths.length, value)
}

function putRow(writer: BitWriter, row: number, value: number): void {
  if (row === widths.length) writer.put(0xff, 8)
  else writer.put((2 << (row + 1)) - 2, row + 2)
  const width = widths[row] ?? 64
  writer.put64(highHalf(value), value >>> 0, width)
}

/** Leaves the number's width in the result, its bits in the reader's halves; 0 for the number zero. */
function readRow(reader: BitReader): number {
  let ones = 0
  while (ones < 8 && reader.bit() === 1) ones++
  if (ones === 0) {
    reader.high = 0
    reader.low = 0
    return 0
  }
  const width = ones === 8 ? 64 : widths[ones - 1]!
  reader.bits64(width)
  return width
}

/** Exact within ±2^53, else rounded. */
export function readVarbitInt(reader: BitReader): number {
  const width = readRow(reader)
  if (width === 0) return 0
  const low = reader.low >>> 0
  if (width === 64) return reader.high * 4294967296 + low
  if (width === 56) {
    const negative = reader.high > 0x800000 || (reader.high === 0x800000 && low > 0)
    return (negative ? reader.high - 0x1000000 : reader.high) * 4294967296 + low
  }
  return low > 2 ** (width - 1) ? low - 2 ** width : low
}

/** Exact up to 2^53, else rounded. */
export function readVarbitUint(reader: BitReader): number {
  readRow(reader)
  return reader.unsigned()
}
