// `promhive tool test promql FILE…`: runs scripts in the promqltest language.
import { readFileSync } from 'node:fs'
import { messageOf } from '../../base/errors.ts'
import { runScript, type ScriptOutcome } from '../../promql/promqltest/runner.ts'

export type FileReport = {
  file: string
  passed: number
  total: number
  failures: { line: number; expr: string; message: string }[]
}

/**
 * Runs every file and prints `passed/total` per file, the first difference of each failure with its line, and last `N passed, M failed`.
 * With `json` one object is printed instead.
 * @returns the exit code: 1 where anything failed or could not be read.
 */
export function testPromql(files: readonly string[], options: Readonly<{ json: boolean }>, print: (line: string) => void): number {
  const reports = files.map(runFile)
  const failures = reports.reduce((sum, report) => sum + report.failures.length, 0)
  const passed = reports.reduce((sum, report) => sum + report.passed, 0)
  if (options.json) print(JSON.stringify({ passed, failed: failures, files: reports }))
  else {
    for (const report of reports) {
      print(`${report.file}: ${report.passed}/${report.total}`)
      for (const { line, expr, message } of report.failures) print(`  line ${line}: ${expr}\n    ${message}`)
    }
    print(`${passed} passed, ${failures} failed`)
  }
  return failures === 0 ? 0 : 1
}

function runFile(file: string): FileReport {
  let outcome: ScriptOutcome
  try {
    outcome = runScript(readFileSync(file, 'utf8'))
  } catch (thrown) {
    return { file, passed: 0, total: 1, failures: [{ line: 0, expr: '', message: `cannot run: ${messageOf(thrown)}` }] }
  }
  const failures = outcome.evals.flatMap(({ line, expr, problem }) => (problem === null ? [] : [{ line, expr, message: problem }]))
  if (outcome.problem !== null) failures.push({ line: outcome.problem.line, expr: '', message: outcome.problem.message })
  const total = outcome.evals.length + (outcome.problem === null ? 0 : 1)
  return { file, passed: total - failures.length, total, failures }
}

if (import.meta.main) {
  const args = process.argv.slice(2)
  process.exitCode = testPromql(
    args.filter((arg) => arg !== '--json'),
    { json: args.includes('--json') },
    (line) => process.stdout.write(`${line}\n`),
  )
}
