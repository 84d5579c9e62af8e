import { existsSync, globSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { CheckIo } from '../../src/cli/tool/check-io.ts'
import { testRules } from '../../src/cli/tool/test-rules.ts'
import { stableFeatures } from '../../src/promql/parse.ts'

// The rule unit tests of Prometheus' own promtool: which pass, and which are meant to fail.

const folder = new URL('../../../shared/conformance/promtool/', import.meta.url).pathname
const here = existsSync(folder)

/** [file, exit code, ignore unknown fields]. */
const rows: [string, number, boolean?][] = [
  ['unittest.yml', 0],
  ['start-time-test.yml', 0],
  ['negative-offset-test.yml', 0],
  ['at-modifier-test.yml', 0],
  ['long-period.yml', 0],
  ['no-test-group-interval.yml', 0],
  ['rules_run_extrafields.yml', 0, true],
  ['rules_run_extrafields.yml', 1],
  ['failing.yml', 1],
  ['bad-rules-error-test.yml', 1],
  ['bad-rules-syntax-test.yml', 1],
  ['bad-input-series.yml', 1],
  ['rules_run_fuzzy.yml', 1],
  ['rules_run_no_fuzzy.yml', 1],
]

it.skipIf(!here).each(rows)('%s ends with %d', async (file, code, ignoreUnknownFields = false) => {
  const lines: string[] = []
  const io: CheckIo = {
    print: (line) => void lines.push(line),
    printError: (line) => void lines.push(line),
    readFile: (path) => readFileSync(path, 'utf8'),
    glob: (pattern) => globSync(pattern).sort(),
    exists: existsSync,
    readStdin: () => Promise.resolve(new Uint8Array()),
  }
  const options = { run: [], diff: false, debug: false, ignoreUnknownFields, features: stableFeatures, junit: null, nowMs: () => 0, monotonicMs: () => 0 }
  const outcome = await testRules([folder + file], options, io)
  expect({ outcome, lines: outcome === code ? [] : lines }).toEqual({ outcome: code, lines: [] })
}) // prettier-ignore

it.skipIf(here)('is skipped: ../shared/conformance/promtool is not here', () => {})
