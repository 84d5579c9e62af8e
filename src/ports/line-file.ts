/**
 * A file lines are appended to without anybody waiting for it: a log of queries, of failed scrapes. What a slow or full disk cannot take is given
 * up and told, never held without bound.
 */
export interface LineFile {
  /** Takes one line, without its newline. Never throws, never blocks. */
  write(line: string): void
  /** Resolves when all lines are written or given up, at the latest after about a second; then the file is closed. */
  close(): Promise<void>
}

/** Told of lines that were given up: how many and why. */
export type LinesLost = (lines: number, why: string) => void

/** Opens a file for appending, creating it where it is missing. @throws PromhiveError where that fails. */
export type OpenLineFile = (path: string, onLost: LinesLost) => LineFile
