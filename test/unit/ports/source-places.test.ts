import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { encodePlaces, sourcePlace } from '../../../src/ports/node/source-places.ts'
import { temporaryDirectory } from '../../support/processes.ts'

const { path: directory, remove } = temporaryDirectory()
afterAll(remove)
const built = join(directory, 'built.js')
writeFileSync(
  `${built}.places`,
  encodePlaces(
    ['src/ä.ts', 'src/b.ts'],
    [
      [2, 5, 0, 10],
      [2, 40, 1, 7],
      [4, 1, 0, 90_000],
    ],
  ),
)

it.each([
  // what the build puts before the first place
  [1, 99, { path: 'src/ä.ts', line: 10 }],
  [2, 4, { path: 'src/ä.ts', line: 10 }],
  [2, 5, { path: 'src/ä.ts', line: 10 }],
  [2, 39, { path: 'src/ä.ts', line: 10 }],
  [2, 40, { path: 'src/b.ts', line: 7 }],
  [3, 1, { path: 'src/b.ts', line: 7 }],
  [9, 1, { path: 'src/ä.ts', line: 65_535 }],
])('line %i, column %i', (line, column, place) => {
  expect(sourcePlace(built, line, column)).toEqual(place)
  expect(sourcePlace(`file://${built}`, line, column)).toEqual(place)
})

it.each(['node:fs', '', join(directory, 'other.js'), 'file:///nowhere/x.js', 'evalmachine.<anonymous>'])('knows nothing of %j', (url) => {
  expect(sourcePlace(url, 1, 1)).toBeNull()
})
