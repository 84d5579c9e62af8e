// What the check commands touch of the machine, handed in by the command line.

export interface CheckIo {
  /** One line on standard output. */
  print(line: string): void
  /** One line on standard error. */
  printError(line: string): void
  /** Throws where the file cannot be read. */
  readFile(path: string): string
  /** Files that match, sorted. */
  glob(pattern: string): readonly string[]
  exists(path: string): boolean
  /** All of standard input. */
  readStdin(): Promise<Uint8Array>
}

/** promtool's exit codes. */
export const exitCodes = { success: 0, failure: 1, lint: 3 } as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
