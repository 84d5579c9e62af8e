// `check web-config` (FEATURES 9.04). Source: prometheus cmd/promtool.
import { createSecureContext } from 'node:tls'
import { messageOf } from '../../base/errors.ts'
import { printProblem } from '../../config/problem.ts'
import type { ConfigProblem } from '../../config/problem.ts'
import { readText } from '../../config/prometheus-config.ts'
import { parseWebConfig } from '../../config/web-config.ts'
import { exitCodes } from './check-io.ts'
import type { CheckIo, ExitCode } from './check-io.ts'

export function checkWebConfig(files: readonly string[], io: CheckIo): ExitCode {
  let failed = false
  for (const file of files) {
    const unread: ConfigProblem[] = []
    const source = readText(file, io, unread)
    const problems =
      source === null ? unread : parseWebConfig(source, file, { readFile: (path) => io.readFile(path), checkKeyPair }).problems
    if (problems.length === 0) {
      io.printError(`${file} SUCCESS`)
      continue
    }
    failed = true
    for (const problem of problems) io.printError(`${file} FAILED: ${printProblem(problem)}`)
  }
  return failed ? exitCodes.failure : exitCodes.success
}

/** What is wrong with a certificate and its key, or null. */
export function checkKeyPair(cert: string, key: string): string | null {
  try {
    createSecureContext({ cert, key })
    return null
  } catch (thrown) {
    return messageOf(thrown)
  }
}
