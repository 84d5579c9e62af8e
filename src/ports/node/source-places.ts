// Where in the sources the code of a built program comes from, so that stacks, log lines and profiles name files people can open.
// `npm run build` writes a table beside each file it makes (x.js.places):
//
//   JSON list of source paths │ newline │ zeroes to a multiple of 4 │ u32 × 3 per place, in order: line, column, source << 16 | source line
//
// All lines and columns begin at 1; a place holds up to the next one. Nothing of it is read before the first stack is printed.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export type SourcePlace = Readonly<{ path: string; line: number }>
type Table = Readonly<{ paths: readonly string[]; places: Uint32Array }>

const tables = new Map<string, Table | null>()

/** The bytes of a table; places in order of line and column. */
export function encodePlaces(paths: readonly string[], places: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const head = `${JSON.stringify(paths)}\n`
  const bytes = Buffer.alloc(align(Buffer.byteLength(head)) + places.length * 12)
  bytes.write(head)
  let at = align(Buffer.byteLength(head))
  for (const [line, column, path, sourceLine] of places) {
    bytes.writeUInt32LE(line, at)
    bytes.writeUInt32LE(column, at + 4)
    bytes.writeUInt32LE(((path << 16) | Math.min(sourceLine, 0xffff)) >>> 0, at + 8)
    at += 12
  }
  return bytes
}

/** Null where the file was not built, or nobody knows. @param url as stacks and the inspector give it: file:///… or a path. */
export function sourcePlace(url: string, line: number, column: number): SourcePlace | null {
  let table = tables.get(url)
  if (table === undefined) tables.set(url, (table = readTable(url)))
  if (table === null) return null
  const { paths, places } = table
  if (places.length === 0) return null
  let low = 0
  let high = places.length / 3
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = places[middle * 3]! - line || places[middle * 3 + 1]! - column
    if (at <= 0) low = middle + 1
    else high = middle
  }
  // before the first place lies what the build puts around a file
  const place = places[Math.max(low, 1) * 3 - 1]!
  const path = paths[place >>> 16]
  return path === undefined ? null : { path, line: place & 0xffff }
}

function readTable(url: string): Table | null {
  if (!url.startsWith('file:') && !url.startsWith('/')) return null
  try {
    const bytes = readFileSync(`${url.startsWith('/') ? url : fileURLToPath(url)}.places`)
    const end = bytes.indexOf(10)
    const numbers = bytes.subarray(align(end + 1))
    return { paths: JSON.parse(bytes.toString('utf8', 0, end)) as string[], places: new Uint32Array(new Uint8Array(numbers).buffer) }
  } catch {
    return null
  }
}

const align = (length: number): number => (length + 3) & ~3

/** From now on stacks of this thread name the sources. Nothing changes where this module is not part of a built program. */
export function nameSourcesInStacks(): void {
  if (import.meta.url.endsWith('.ts')) return
  Error.prepareStackTrace = (error, frames) => `${String(error)}${frames.map((frame) => `\n    at ${frameText(frame)}`).join('')}`
}

function frameText(frame: NodeJS.CallSite): string {
  const place = sourcePlace(frame.getFileName() ?? '', frame.getLineNumber() ?? 0, frame.getColumnNumber() ?? 0)
  const text = String(frame)
  if (place === null) return text
  // `name (file:line:column)`, or only the latter
  return text.endsWith(')') ? `${text.slice(0, text.lastIndexOf('(') + 1)}${place.path}:${place.line}:1)` : `${place.path}:${place.line}:1`
}
