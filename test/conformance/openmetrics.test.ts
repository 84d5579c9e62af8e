// The strict OpenMetrics verdicts of the upstream suite: ../shared/conformance/openmetrics.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkOpenMetrics } from '../../protocols/exposition/openmetrics-strict.ts'

const folder = join(import.meta.dirname, '../../../shared/conformance/openmetrics')

describe('strict OpenMetrics', () => {
  if (!existsSync(folder)) {
    it.skip(`no conformance data at ${folder}`, () => {})
    return
  }
  it.each(readdirSync(folder))('%s', (name) => {
    const { file, shouldParse } = JSON.parse(readFileSync(join(folder, name, 'test.json'), 'utf8')) as {
      file: string
      shouldParse: boolean
    }
    const problems = checkOpenMetrics(readFileSync(join(folder, name, file)))
    if (shouldParse) expect(problems).toEqual([])
    else expect(problems).not.toEqual([])
  })
})
