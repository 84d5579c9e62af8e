// Built files and the code kept beside them, in processes of their own: what V8 takes is a matter of a process.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { temporaryDirectory } from '../../support/processes.ts'
import { node, root } from '../../support/server.ts'

const { path: directory, remove } = temporaryDirectory()
afterAll(remove)
const file = join(directory, 'x.cjs')
const code = `${file}.code`

/** A file as the bundler makes it. */
const built = (body: string): string => `(function(exports,require,module,__filename){"use strict";${body}})`
const answers = (answer: number): string => built(`exports.answer=()=>${answer};`)

/** Loads the file in a new process. @returns what its `answer` returns. */
function run(keepAfterMs = '0', flags: readonly string[] = []): string {
  const loader = pathToFileURL(join(root, 'src/ports/node/load-built.js')).href
  const script = `const {loadProgram}=await import(${JSON.stringify(loader)});
    console.log(await (await loadProgram(${JSON.stringify(pathToFileURL(file).href)})).answer())`
  return execFileSync(node, [...flags, '--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, PROMHIVE_KEEP_CODE_AFTER_MS: keepAfterMs },
  }).trim()
}

beforeEach(() => {
  writeFileSync(file, answers(41))
  writeFileSync(code, '')
})

it('keeps code where there is none it can use, and takes it from then on', () => {
  expect(run()).toBe('41')
  const kept = readFileSync(code)
  expect(kept.length).toBeGreaterThan(100)
  expect(run()).toBe('41')
  expect(readFileSync(code)).toEqual(kept)
})

it('keeps the code of a process that ends before its time, and none where that is not wanted', () => {
  expect(run('never')).toBe('41')
  expect(readFileSync(code)).toHaveLength(0)
  expect(run('3600000')).toBe('41')
  expect(readFileSync(code).length).toBeGreaterThan(100)
})

it('does not take the code of another source, though it is as long', () => {
  run()
  const kept = readFileSync(code)
  writeFileSync(file, answers(42))
  expect(run()).toBe('42')
  expect(readFileSync(code)).not.toEqual(kept)
})

it.each(['cut', 'changed'])('does not take code that is %s', (how) => {
  run()
  const kept = readFileSync(code)
  const damaged = how === 'cut' ? kept.subarray(0, -9) : kept.map((byte, i) => (i === kept.length >> 1 ? byte ^ 4 : byte))
  writeFileSync(code, damaged)
  expect(run()).toBe('41')
  expect(readFileSync(code)).not.toEqual(damaged)
})

it('does not take code of other flags', () => {
  run()
  const kept = readFileSync(code)
  expect(run('0', ['--max-lazy'])).toBe('41')
  expect(readFileSync(code)).not.toEqual(kept)
})

it('loads a file once, its neighbours and what node has; what is not there is an error', () => {
  const loads = ['globalThis.loads=(globalThis.loads??0)+1;', `exports.join=require('node:path').join;`]
  writeFileSync(join(directory, 'y.cjs'), built(loads.join('')))
  writeFileSync(file, built(`const y=require('./y.cjs');require('./y.cjs');exports.answer=()=>y.join('a',String(globalThis.loads));`))
  expect(run()).toBe('a/1')
  expect(existsSync(join(directory, 'y.cjs.code'))).toBe(true)
  writeFileSync(file, built(`exports.answer=()=>{try{require('nowhere')}catch(thrown){return thrown.message}};`))
  expect(run()).toBe("Cannot find module 'nowhere'")
})
