import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { openLineFile } from '../../../src/ports/node/line-file.ts'
import { temporaryDirectory } from '../../support/processes.ts'

const home = temporaryDirectory()
afterAll(() => home.remove())

it('appends lines in order, also to a file that was moved away, and to what was there', async () => {
  const path = join(home.path, 'a.log')
  const lost: unknown[] = []
  const open = () => openLineFile(path, (...what) => lost.push(what))
  const first = open()
  for (let i = 0; i < 1000; i++) first.write(`line ${i} ä`)
  await first.close()
  const second = open()
  second.write('second')
  renameSync(path, `${path}.1`)
  second.write('behind the move')
  const third = open()
  third.write('third')
  await Promise.all([second.close(), third.close()])
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i} ä\n`).join('')
  expect(readFileSync(`${path}.1`, 'utf8')).toBe(`${lines}second\nbehind the move\n`)
  expect(readFileSync(path, 'utf8')).toBe('third\n')
  second.write('too late')
  expect(lost).toEqual([[1, `${path} is closed`]])
})

it('a pipe nobody empties holds up nobody: lines beyond the bound are given up and told', async () => {
  const path = join(home.path, 'pipe')
  execFileSync('mkfifo', [path])
  expect(() => openLineFile(path, () => {})).toThrow(`cannot open ${path}: `) // nobody reads
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  let given = 0
  const file = openLineFile(path, (lines) => (given += lines))
  const line = 'x'.repeat(1023)
  for (let i = 0; i < 10_000; i++) file.write(line)
  expect(given).toBeGreaterThan(1000)
  expect(given).toBeLessThan(6000)
  const started = performance.now()
  await file.close()
  expect(performance.now() - started).toBeLessThan(5_000)
  // what the pipe took is whole up to its end
  const taken = Buffer.alloc(1 << 20)
  const bytes = readSync(reader, taken)
  closeSync(reader)
  expect(taken.toString('utf8', 0, 1024)).toBe(`${line}\n`)
  expect(given).toBeGreaterThanOrEqual(10_000 - Math.ceil(bytes / 1024))
})

it('a disk that is full costs lines', async () => {
  const lost: [number, string][] = []
  const file = openLineFile('/dev/full', (lines, why) => lost.push([lines, why]))
  file.write('a')
  file.write('b')
  await file.close()
  expect(lost.reduce((sum, [lines]) => sum + lines, 0)).toBe(2)
  expect(lost[0]![1]).toBe('cannot write /dev/full: no space left on device')
})

it('a place where nothing can be written is told at once', () => {
  expect(() => openLineFile(join(home.path, 'none/q.log'), () => {})).toThrow('no such file or directory')
})
