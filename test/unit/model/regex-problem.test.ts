import { expect, it } from 'vitest'
import { compileRegex, regexProblem } from '../../../src/model/regex.ts'

it.each(['.*', '.+', '.?x', 'node-1:9100', 'a b', '', 'x.y..*z'])('finds nothing wrong with %j, as compiling does', (source) => {
  expect(regexProblem(source, { anchored: true })).toBeNull()
  expect(() => compileRegex(source, { anchored: true })).not.toThrow()
})

it.each(['.**', 'a**', '*', '.{1001}', '(', '[', '\\'])('finds what is wrong with a pattern', (source) => {
  expect(regexProblem(source)).toMatch(/^error parsing regexp: /)
})
