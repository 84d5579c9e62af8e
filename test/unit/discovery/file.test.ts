import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fileDiscovery } from '../../../src/discovery/file.ts'
import { glob } from '../../../src/discovery/glob.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import { nodeDisk } from '../../../src/ports/node/disk.ts'
import type { Watcher } from '../../../src/ports/watcher.ts'
import { discoveryBench, targetsOf, type DiscoveryBench } from '../../support/discovery.ts'

let directory: string
let stops: (() => void)[]
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'promhive-file-sd-'))
  stops = []
})
afterEach(() => {
  for (const stop of stops) stop()
  rmSync(directory, { recursive: true, force: true })
})

const deaf: Watcher = { watch: () => ({ close: () => {} }) }
const minute = 60_000

/** Runs a discovery and keeps the groups as the manager would. */
function run(bench: DiscoveryBench, files: readonly string[], watcher: Watcher = deaf, refreshIntervalMs = 5 * minute) {
  const groups = new Map<string, TargetGroup>()
  let emits = 0
  const mechanism = fileDiscovery({ kind: 'file', files, refreshIntervalMs }, { ...bench.ports, watcher })
  mechanism.start((changed) => {
    emits++
    for (const group of changed) {
      if (group.targets.length === 0) groups.delete(group.source)
      else groups.set(group.source, group)
    }
  })
  stops.push(() => mechanism.stop())
  return { found: () => targetsOf([...groups.values()]), emits: () => emits, stop: () => mechanism.stop() }
}

const write = (name: string, text: string): void => writeFileSync(join(directory, name), text)
const at = (name: string): string => join(directory, name)

it('reads JSON and YAML at once and every interval; __meta_filepath says where from', async () => {
  const bench = discoveryBench()
  write('a.json', '[{"targets": ["a:1"], "labels": {"__meta_filepath": "lie"}}]')
  const { found } = run(bench, [at('*.json'), at('b.yml')])
  expect(found()).toEqual([`a:1{__meta_filepath=${at('a.json')}}`])
  write('b.yml', '- targets: [b:1]\n- targets: [c:1]\n')
  await bench.clock.advance(5 * minute)
  expect(found()).toEqual([
    `a:1{__meta_filepath=${at('a.json')}}`,
    `b:1{__meta_filepath=${at('b.yml')}}`,
    `c:1{__meta_filepath=${at('b.yml')}}`,
  ])
})

it('a file that breaks keeps what it last said; one that shrinks or goes takes its targets along', async () => {
  const bench = discoveryBench()
  write('a.json', '[{"targets": ["a:1"]}, {"targets": ["a:2"]}]')
  const { found } = run(bench, [at('*.json')])
  write('a.json', '[{"targets": ["a:3"')
  await bench.clock.advance(5 * minute)
  expect(found()).toHaveLength(2)
  expect(await bench.metric('prometheus_sd_file_read_errors_total')).toBe(1)
  expect(bench.logged.map(({ message }) => message)).toEqual(['Error reading file'])
  write('a.json', '[{"targets": ["a:4"]}]')
  await bench.clock.advance(5 * minute)
  expect(found()).toEqual([`a:4{__meta_filepath=${at('a.json')}}`])
  write('a.json', 'rubbish')
  await bench.clock.advance(5 * minute)
  rmSync(at('a.json'))
  await bench.clock.advance(5 * minute)
  expect(found()).toEqual([])
  expect(await bench.metric('prometheus_sd_file_read_errors_total')).toBe(2)
})

it('times of files: whole seconds, listed until nobody reads the file, only after a good read', async () => {
  const bench = discoveryBench()
  write('a.json', '[]')
  write('bad.json', '{')
  utimesSync(at('a.json'), 1_600_000_000.75, 1_600_000_000.75)
  const one = run(bench, [at('*.json')])
  const two = run(bench, [at('a.json')])
  const mtime = (name: string) => bench.metric('prometheus_sd_file_mtime_seconds', at(name))
  expect(await mtime('a.json')).toBe(1_600_000_000)
  expect(await mtime('bad.json')).toBeUndefined()
  one.stop()
  expect(await mtime('a.json')).toBe(1_600_000_000)
  two.stop()
  expect(await mtime('a.json')).toBeUndefined()
  expect(await bench.metric('prometheus_sd_file_scan_duration_seconds_count')).toBe(2)
})

it('a directory named like a file is an error of its own, not the end', async () => {
  const bench = discoveryBench()
  mkdirSync(at('dir.json'))
  write('a.json', '[{"targets": ["a:1"]}]')
  const { found } = run(bench, [at('*.json')])
  expect(found()).toHaveLength(1)
  expect(await bench.metric('prometheus_sd_file_read_errors_total')).toBe(1)
})

it('the real watcher: a change is read long before the interval, many changes once', async () => {
  const bench = discoveryBench()
  write('a.json', '[{"targets": ["a:1"]}]')
  const { found, emits, stop } = run(bench, [at('*.json')], bench.ports.watcher)
  const until = async (what: () => boolean): Promise<void> => {
    for (let i = 0; i < 400 && !what(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      if (bench.clock.pending > 1) await bench.clock.advance(50)
    }
    expect(what()).toBe(true)
  }
  write('a.json', '[{"targets": ["a:2"]}]')
  await until(() => found().join().startsWith('a:2'))
  write('new.tmp', '[{"targets": ["b:1"]}]')
  renameSync(at('new.tmp'), at('new.json'))
  await until(() => found().length === 2)
  rmSync(at('a.json'))
  await until(() => found().length === 1)
  expect(bench.clock.nowMs() - 1_700_000_000_000).toBeLessThan(minute)
  expect(emits()).toBeLessThan(20)
  stop()
  write('late.json', '[{"targets": ["c:1"]}]')
  await new Promise((resolve) => setTimeout(resolve, 30))
  await bench.clock.advance(10 * minute)
  expect(found()).toHaveLength(1)
  expect(bench.clock.pending).toBe(0)
})

it('a watched directory that never rests is read nonetheless', async () => {
  const bench = discoveryBench()
  let changed = (): void => {}
  const busy: Watcher = { watch: (_, tell) => ((changed = tell), { close: () => {} }) }
  const { emits } = run(bench, [at('*.json')], busy)
  for (let i = 0; i < 100; i++) {
    changed()
    await bench.clock.advance(10)
  }
  expect(emits()).toBeGreaterThan(15)
})

it('a directory that comes later is watched from the next refresh on; failing watches are counted', async () => {
  const bench = discoveryBench()
  const watched: string[] = []
  const closed: string[] = []
  const counting: Watcher = {
    watch(path, _, failed) {
      watched.push(path)
      if (path === directory) failed('no more watches')
      return { close: () => void closed.push(path) }
    },
  }
  const { stop } = run(bench, [at('later/*.json'), at('*.yml')], counting)
  expect(watched).toEqual([directory])
  expect(await bench.metric('prometheus_sd_file_watcher_errors_total')).toBe(1)
  mkdirSync(at('later'))
  await bench.clock.advance(5 * minute)
  expect(watched).toEqual([directory, at('later'), directory])
  stop()
  expect(closed.sort()).toEqual([directory, directory, at('later')].sort())
})

const globs: [pattern: string, found: string[] | 'error'][] = [
  ['a.json', ['a.json']],
  ['none.json', []],
  ['*.json', ['a.json', 'ab.json', 'b.json']],
  ['a*.json', ['a.json', 'ab.json']],
  ['a*b*.json', ['ab.json']],
  ['?.json', ['a.json', 'b.json']],
  ['[b-z].json', ['b.json']],
  ['[^b].json', ['a.json']],
  ['[\\b].json', ['b.json']],
  ['\\a.json', ['a.json']],
  ['s?b/*.yml', ['sub/x.yml', 'sub/y.yml']],
  ['*/[x].yml', ['sub/x.yml']],
  ['a.json/*.yml', []],
  ['nowhere/*.yml', []],
  ['[', 'error'],
  ['[]a].json', 'error'],
  ['[a-].json', 'error'],
  ['a\\', 'error'],
]
it.each(globs)('glob %s', (pattern, expected) => {
  for (const name of ['a.json', 'b.json', 'ab.json', 'c.yml']) write(name, '')
  mkdirSync(at('sub'))
  for (const name of ['sub/x.yml', 'sub/y.yml']) write(name, '')
  const find = () => glob(nodeDisk(), `${directory}/${pattern}`)
  if (expected === 'error') expect(find).toThrow('syntax error in pattern')
  else expect(find()).toEqual(expected.map(at))
})

it('a broken pattern is told and the others go on', () => {
  const bench = discoveryBench()
  write('a.json', '[{"targets": ["a:1"]}]')
  const { found } = run(bench, [at('[.json'), at('a.json')])
  expect(found()).toHaveLength(1)
  expect(bench.logged[0]).toMatchObject({ level: 'error', message: 'Error expanding glob' })
})
