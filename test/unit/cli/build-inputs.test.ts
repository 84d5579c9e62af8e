import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { inputsOf, isBuilt } from '../../../src/cli/build/inputs.js'
import { temporaryDirectory } from '../../support/processes.ts'

const removals: (() => void)[] = []
afterEach(() => removals.splice(0).forEach((remove) => remove()))

/** A checkout whose two modules were built. */
function checkout(): string {
  const { path, remove } = temporaryDirectory()
  removals.push(remove)
  mkdirSync(join(path, 'src/cli/serve'), { recursive: true })
  mkdirSync(join(path, 'dist'))
  for (const name of ['a', 'b']) writeFileSync(join(path, `src/${name}.ts`), `export const ${name} = 1\n`)
  writeFileSync(join(path, 'dist/inputs.json'), JSON.stringify(inputsOf(path, ['src/a.ts', 'src/b.ts'])))
  return path
}

it('is built while no source has changed', () => {
  expect(isBuilt(checkout())).toBe(true)
})

it.each<[string, (path: string) => void]>([
  ['has another size', (path) => writeFileSync(path, 'export const b = 12\n')],
  ['has another time', (path) => utimesSync(path, 1, 1)],
  ['is gone', (path) => rmSync(path)],
])('is not built where a source %s', (_, change) => {
  const path = checkout()
  change(join(path, 'src/b.ts'))
  expect(isBuilt(path)).toBe(false)
})

it('is not built without a list of inputs, or with half of one', () => {
  const path = checkout()
  writeFileSync(join(path, 'dist/inputs.json'), '[["src/a.ts",')
  expect(isBuilt(path)).toBe(false)
  rmSync(join(path, 'dist'), { recursive: true })
  expect(isBuilt(path)).toBe(false)
})

it('is built where there are no sources to compare with', () => {
  const path = checkout()
  rmSync(join(path, 'src'), { recursive: true })
  expect(isBuilt(path)).toBe(true)
})
