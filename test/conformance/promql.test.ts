// PromQL scripts in the promqltest language: upstream's where they are present, and our own.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runScript, upstreamOptions, type RunnerOptions } from '../../src/promql/promqltest/runner.ts'

const upstream = join(import.meta.dirname, '../../../shared/conformance/promql')
const own = join(import.meta.dirname, '../promql')

function scripts(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.test'))
}

function failuresOf(path: string, options: RunnerOptions): string[] {
  const { evals, problem } = runScript(readFileSync(path, 'utf8'), options)
  const failures = evals.flatMap((one) => (one.problem === null ? [] : [`line ${one.line}: ${one.expr}\n  ${one.problem}`]))
  return problem === null ? failures : [...failures, `line ${problem.line}: ${problem.message}`]
}

describe('upstream promqltest scripts', () => {
  if (!existsSync(upstream)) it.skip('../shared/conformance/promql is not here', () => {})
  else for (const name of scripts(upstream)) it(name, () => expect(failuresOf(join(upstream, name), upstreamOptions)).toEqual([]))
})

describe('own promqltest scripts', () => {
  for (const name of scripts(own)) {
    // names are removed at once unless a script is about delaying it
    const options = { ...upstreamOptions, delayedNameRemoval: name.startsWith('delayed-') }
    it(name, () => expect(failuresOf(join(own, name), options)).toEqual([]))
  }
})
