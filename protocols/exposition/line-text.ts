// Texts out of expositions, and problems with their place.
import { PromhiveError } from '../../src/base/errors.ts'

const LF = 10
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i]! < 128) continue
    try {
      strictUtf8.decode(bytes.subarray(start, end))
      return true
    } catch {
      return false
    }
  }
  return true
}

/** One character a byte. */
export function latin1Text(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return text
}

/** What lies before a text that is a part of a body. */
export type TextPlace = Readonly<{ line: number; offset: number }>
export const wholeBody: TextPlace = { line: 0, offset: 0 }

/** A scrape error with line and offset, and the text around it. */
export function scrapeProblem(problem: string, bytes: Uint8Array, entryStart: number, at: number, place = wholeBody): PromhiveError {
  let line = place.line + 1
  const offset = place.offset + at
  for (let i = bytes.indexOf(LF); i >= 0 && i < at; i = bytes.indexOf(LF, i + 1)) line++
  const excerpt = new TextDecoder().decode(
    bytes.subarray(entryStart, Math.min(bytes.length, Math.max(at + 1, entryStart), entryStart + 200)),
  )
  return new PromhiveError('SCRAPE', `${problem} while parsing: ${JSON.stringify(excerpt)} (line ${line}, offset ${offset})`, {
    line,
    offset,
  })
}

/** Text of bytes[start, end): quick where it is short ASCII. Bytes that are not UTF-8 throw PromhiveError SCRAPE. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start < 24) {
    let text = ''
    let i = start
    for (; i < end; i++) {
      const c = bytes[i]!
      if (c >= 128) break
      text += String.fromCharCode(c)
    }
    if (i === end) return text
  }
  try {
    return strictUtf8.decode(bytes.subarray(start, end))
  } catch {
    throw scrapeProblem('text is not valid UTF-8', bytes, start, start)
  }
}

/** As decodeText, with `\\`, `\"` and `\n` resolved; any other backslash stays as it is. */
export function decodeEscaped(bytes: Uint8Array, start: number, end: number): string {
  const text = decodeText(bytes, start, end)
  return text.includes('\\') ? text.replace(/\\([\\"n])/g, (_, c: string) => (c === 'n' ? '\n' : c)) : text
}
