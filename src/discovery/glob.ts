// File patterns as Go's filepath.Glob has them: `*`, `?`, `[a-z]`, `[^a-z]` and `\` within a segment of a path, in any segment. Source: path/filepath.
import type { Disk } from '../ports/disk.ts'

/** One place of a segment pattern: any run of characters, or one character of a set. */
type Token = 'run' | ((char: string) => boolean)

/** Paths that match, sorted by segment. What cannot be listed has no matches. Throws a SyntaxError for a pattern that is broken. */
export function glob(disk: Disk, pattern: string): string[] {
  if (!/[*?[\\]/.test(pattern)) return disk.exists(pattern) ? [pattern] : []
  const slash = pattern.lastIndexOf('/')
  const tokens = parseSegment(pattern.slice(slash + 1))
  const directories = slash === -1 ? ['.'] : slash === 0 ? ['/'] : glob(disk, pattern.slice(0, slash))
  return directories.flatMap((directory) => {
    const prefix = slash === -1 ? '' : directory === '/' ? '/' : `${directory}/`
    return entriesOf(disk, directory)
      .filter((name) => matches(tokens, Array.from(name)))
      .map((name) => prefix + name)
  })
}

function entriesOf(disk: Disk, directory: string): string[] {
  try {
    return disk.stat(directory).isDirectory ? disk.list(directory) : []
  } catch {
    return [] // gone meanwhile, or not ours to read
  }
}

function parseSegment(pattern: string): Token[] {
  const chars = Array.from(pattern)
  const tokens: Token[] = []
  let at = 0
  const literal = (): string => {
    if (chars[at] === '\\') at++
    const char = chars[at++]
    if (char === undefined) throw new SyntaxError('syntax error in pattern')
    return char
  }
  while (at < chars.length) {
    const char = chars[at]!
    if (char === '*') {
      at++
      if (tokens.at(-1) !== 'run') tokens.push('run')
    } else if (char === '?') {
      at++
      tokens.push(() => true)
    } else if (char === '[') {
      at++
      const negated = chars[at] === '^'
      if (negated) at++
      const ranges: [string, string][] = []
      while (ranges.length === 0 || chars[at] !== ']') {
        if (chars[at] === ']' || chars[at] === '-') throw new SyntaxError('syntax error in pattern')
        const from = literal()
        let to = from
        if (chars[at] === '-') {
          at++
          if (chars[at] === ']') throw new SyntaxError('syntax error in pattern')
          to = literal()
        }
        ranges.push([from, to])
      }
      at++
      tokens.push((c) => ranges.some(([from, to]) => codeOf(from) <= codeOf(c) && codeOf(c) <= codeOf(to)) !== negated)
    } else {
      const wanted = literal()
      tokens.push((c) => c === wanted)
    }
  }
  return tokens
}

function codeOf(char: string): number {
  return char.codePointAt(0)!
}

/** Only the last run needs trying again: O(tokens × characters). */
function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let token = 0
  let char = 0
  let runToken = -1
  let runChar = 0
  while (char < chars.length) {
    const now = tokens[token]
    if (now === 'run') {
      runToken = token++
      runChar = char
    } else if (now !== undefined && now(chars[char]!)) {
      token++
      char++
    } else if (runToken >= 0) {
      token = runToken + 1
      char = ++runChar
    } else return false
  }
  while (tokens[token] === 'run') token++
  return token === tokens.length
}
