// An OpenMetrics text piece by piece, so that one of any size is read in bounded memory. A piece ends anywhere: what its end cuts off is a problem there,
// and begins the next piece.
import { bodyEntries, unknownFamily, type MetricEntry } from './entries.ts'
import { LineReader } from './line-reader.ts'

/** Something with a size that can be read from any place: `read` fills `into` but at the end. */
export type TextSource = Readonly<{ size: () => number; read: (into: Uint8Array, position: number) => number }>
/** Bytes that are there already. */
export const textOf = (bytes: Uint8Array): TextSource => ({
  size: () => bytes.length,
  read(into, position) {
    const part = bytes.subarray(position, position + into.length)
    into.set(part)
    return part.length
  },
})

/**
 * As `readTextEntries`, plainly. Throws PromhiveError SCRAPE with line and offset in the whole, also where an entry is longer than `pieceBytes`.
 */
export function* readTextPieces(source: TextSource, pieceBytes: number): Generator<MetricEntry> {
  const size = source.size()
  const bytes = new Uint8Array(Math.min(pieceBytes, size) + 1)
  const reader = new LineReader('openmetrics')
  const family = unknownFamily()
  for (let offset = 0, line = 0; ;) {
    const length = source.read(bytes.subarray(0, -1), offset)
    const isLast = length < bytes.length - 1 || offset + length >= size
    bytes[length] = 10 // what the reader stops at
    reader.open(bytes.subarray(0, length + 1), length, { line, offset })
    const end = yield* bodyEntries(reader, family, false)
    if (isLast && end === 'end') return
    // the entry that the piece cuts off, or else one that is wrong there, too; an end may have more behind it
    const cut = reader.start
    if (isLast || cut === 0) throw reader.failure()
    for (let at = bytes.indexOf(10); at >= 0 && at < cut; at = bytes.indexOf(10, at + 1)) line++
    offset += cut
  }
}
