import { expect, it } from 'vitest'
import { plainReading, readTextEntries, type MetricEntry } from '../../../protocols/exposition/entries.ts'
import { readTextPieces, textOf } from '../../../protocols/exposition/pieces.ts'
import { utf8Bytes } from '../../../src/base/bytes.ts'
import { messageOf } from '../../../src/base/errors.ts'

/** Everything up to the end, or to a problem, whose text comes last. */
function gathered(entries: Iterable<MetricEntry>): (MetricEntry | string)[] {
  const out: (MetricEntry | string)[] = []
  try {
    for (const entry of entries) out.push(entry)
  } catch (thrown) {
    out.push(messageOf(thrown))
  }
  return out
}

const family = `# HELP h It has "quotes" and \\\\ and \\n.
# TYPE h histogram
# UNIT h_s s
h_bucket{le="1"} 1 1.5 # {t="x"} 0.5 1
h_bucket{le="+Inf"} 2 1.5
h_sum 3.25 -1e9
`
const tricky = 'a{b="line\none # EOF\n# TYPE x gauge\n"} 1 2\n{"ä",c="\\"\\n"} NaN 3\n'
const texts = {
  whole: `${family}${tricky}# EOF\n`,
  'without a last line feed': `${family}# EOF`,
  'a problem in the middle': `${family}b{c="d"} 1x 2\n${tricky}# EOF\n`,
  'a problem in a line that is cut at most places': `${tricky}# TYPE m nothing\n# EOF\n`,
  'no end': `${family}${tricky}`,
  'something behind the end': `${family}# EOF\nm 1 1\n`,
  'an empty line behind the end': `${family}# EOF\n\n`,
  'an empty text': '',
  'cut in the last line': `${family}m 1`,
}

it.each(Object.entries(texts))('reads the same in pieces as at once: %s', (_, text) => {
  const bytes = utf8Bytes(text)
  const expected = gathered(readTextEntries(bytes, 'openmetrics', plainReading))
  for (let pieceBytes = 64; pieceBytes <= bytes.length + 2; pieceBytes++) {
    expect(gathered(readTextPieces(textOf(bytes), pieceBytes)), `${pieceBytes} bytes`).toEqual(expected)
  }
})

it('reads no more than it was asked for, and says where an entry is too long for that', () => {
  const lines = Array.from({ length: 1_000 }, (_, i) => `m{i="${i}"} 1 ${i}\n`)
  const text = textOf(utf8Bytes(`${lines.join('')}m{i="${'x'.repeat(300)}"} 1 1\n# EOF\n`))
  let most = 0
  const read = (into: Uint8Array, position: number): number => {
    most = Math.max(most, into.length)
    return text.read(into, position)
  }
  const found = gathered(readTextPieces({ ...text, read }, 256))
  expect(most).toBe(256)
  expect(found).toHaveLength(1_001)
  expect(found.at(-1)).toMatch(/ \(line 1001, offset \d+\)$/)
})
