// docs/errors.md says for every code what the program does: the same codes, statuses and error types, in the same order.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { errorCodes } from '../../src/base/errors.ts'
import { root } from './source.ts'

const text = readFileSync(join(root, 'docs/errors.md'), 'utf8')
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('`', '')))

it('the table of docs/errors.md is that of src/base/errors.ts', () => {
  expect(rows.map(([, code, status, api]) => [code, Number(status), api])).toEqual(
    Object.entries(errorCodes).map(([code, { status, api }]) => [code, status, api]),
  )
})

it('every row says when, and what to do', () => {
  for (const [, code, , , when, then, ...rest] of rows) {
    expect(when!.length, `${code}: when`).toBeGreaterThan(20)
    expect(then!.length, `${code}: what to do`).toBeGreaterThan(10)
    expect(rest, `${code}: cells`).toEqual([''])
  }
})
