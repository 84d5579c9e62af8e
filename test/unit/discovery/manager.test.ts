import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { DiscoveryManager } from '../../../src/discovery/manager.ts'
import type { DiscoveryConfig, HttpDiscovery, StaticDiscovery } from '../../../src/discovery/options.ts'
import { labelsFrom } from '../../../src/model/labels.ts'
import { defaultHttpClientOptions } from '../../../src/model/http-options.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import type { ServedAnswer } from '../../../src/ports/simulated/http.ts'
import { addressesOf, discoveryBench } from '../../support/discovery.ts'

const fixed = (...addresses: string[]): StaticDiscovery => ({
  kind: 'static',
  groups: [{ source: '0', targets: addresses.map((address) => labelsFrom([['__address__', address]])), labels: [] }],
})
const web = (host: string, more: Partial<HttpDiscovery> = {}): HttpDiscovery => ({
  kind: 'http',
  url: `http://${host}/`,
  refreshIntervalMs: 60_000,
  http: defaultHttpClientOptions,
  ...more,
})
const answer = (...addresses: string[]): ServedAnswer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: new TextEncoder().encode(JSON.stringify(addresses.map((address) => ({ targets: [address] })))),
})

/** A manager, what it last said of each set, and how often. */
function start() {
  const bench = discoveryBench()
  const told = new Map<string, readonly TargetGroup[]>()
  const times: [set: string, atMs: number][] = []
  const manager = new DiscoveryManager('scrape', bench.ports, 5_000, (set, groups) => {
    told.set(set, groups)
    times.push([set, bench.clock.monotonicMs()])
  })
  return {
    bench,
    manager,
    times,
    apply: (sets: Record<string, DiscoveryConfig[]>) => manager.apply(new Map(Object.entries(sets))),
    targets: (set: string) => addressesOf(told.get(set)!),
    groups: (set: string) => told.get(set)!,
    updates: (set: string) => times.filter(([name]) => name === set).map(([, atMs]) => atMs),
  }
}

it('static targets and empty sets are told at once, before anything else is found', () => {
  const { apply, targets } = start()
  apply({ a: [fixed('a:1'), fixed('a:2')], none: [], b: [web('sd:1')] })
  expect(targets('a')).toEqual(['a:1', 'a:2'])
  expect(targets('none')).toEqual([])
  expect(targets('b')).toEqual([])
})

it('sections that are the same run once, for all sets and within one', async () => {
  const { apply, targets, bench } = start()
  let asked = 0
  bench.network.serve('sd:1', () => (asked++, answer('x:1')))
  apply({ a: [web('sd:1'), web('sd:1')], b: [web('sd:1'), fixed('b:1')] })
  await bench.clock.advance(1_000)
  expect(asked).toBe(1)
  expect(targets('a')).toEqual(['x:1'])
  expect(targets('b')).toEqual(['b:1', 'x:1'])
})

it('a reload leaves what stays untouched: no new question, its groups at once for old and new sets', async () => {
  const { apply, targets, groups, bench } = start()
  let asked = 0
  bench.network.serve('sd:1', () => (asked++, answer('x:1')))
  apply({ a: [web('sd:1')] })
  await bench.clock.advance(1_000)
  const before = groups('a')[0]
  apply({ a: [fixed('a:1'), web('sd:1')], new: [web('sd:1')] })
  expect(targets('a')).toEqual(['a:1', 'x:1'])
  expect(targets('new')).toEqual(['x:1'])
  expect(groups('a')).toContain(before)
  await bench.clock.advance(58_000)
  expect(asked).toBe(1)
  await bench.clock.advance(2_000)
  expect(asked).toBe(2)
})

it('groups stay the same objects while they say the same', async () => {
  const { apply, groups, bench } = start()
  let second = 'y:1'
  bench.network.serve('sd:1', () => answer('x:1', second))
  apply({ a: [web('sd:1')] })
  await bench.clock.advance(1_000)
  const [x, y] = groups('a')
  second = 'y:2'
  await bench.clock.advance(65_000)
  expect(groups('a')[0]).toBe(x)
  expect(groups('a')[1]).not.toBe(y)
})

it('sources of two sections never meet', async () => {
  const { apply, groups } = start()
  apply({ a: [fixed('a:1'), fixed('a:2')] })
  expect(new Set(groups('a').map(({ source }) => source)).size).toBe(2)
})

it('a removed section is asked no more and takes its targets along; the set that is gone is not told of', async () => {
  const { apply, targets, updates, bench } = start()
  let asked = 0
  bench.network.serve('sd:1', () => (asked++, answer('x:1')))
  apply({ a: [web('sd:1'), fixed('a:1')], b: [web('sd:1')] })
  await bench.clock.advance(1_000)
  apply({ a: [fixed('a:1')] })
  expect(targets('a')).toEqual(['a:1'])
  const told = updates('b').length
  await bench.clock.advance(600_000)
  expect(asked).toBe(1)
  expect(updates('b')).toHaveLength(told)
})

it('changed secrets start the section anew, and targets stay until it has answered', async () => {
  const { apply, targets, bench } = start()
  const seen: string[] = []
  bench.network.serve('sd:1', async ({ headers }) => {
    seen.push(headers['authorization']!)
    await bench.clock.sleep(2_000)
    return answer(`x:${seen.length}`)
  })
  const secured = (password: string): HttpDiscovery =>
    web('sd:1', { http: { ...defaultHttpClientOptions, basicAuth: { username: 'u', usernameFile: '', password, passwordFile: '' } } })
  apply({ a: [secured('one')] })
  await bench.clock.advance(10_000)
  expect(targets('a')).toEqual(['x:1'])
  apply({ a: [secured('one')] })
  await bench.clock.advance(100)
  expect(seen).toHaveLength(1)
  apply({ a: [secured('two'), fixed('a:1')] })
  expect(targets('a')).toEqual(['a:1', 'x:1'])
  await bench.clock.advance(2_500)
  expect(seen).toEqual([`Basic ${btoa('u:one')}`, `Basic ${btoa('u:two')}`])
  expect(targets('a')).toEqual(['a:1', 'x:2'])
})

it('what was inherited goes after one update interval where no answer comes', async () => {
  const { apply, targets, bench } = start()
  const down = bench.network.serve('sd:1', () => answer('x:1'))
  apply({ a: [web('sd:1')] })
  await bench.clock.advance(1_000)
  down()
  apply({ a: [web('sd:1', { refreshIntervalMs: 30_000 })] })
  await bench.clock.advance(4_900)
  expect(targets('a')).toEqual(['x:1'])
  await bench.clock.advance(5_000)
  expect(targets('a')).toEqual([])
})

it('nothing is inherited from another kind or another set', () => {
  const { apply, targets } = start()
  apply({ a: [fixed('a:1')], b: [fixed('b:1')] })
  apply({ a: [web('sd:1')], b: [] })
  expect(targets('a')).toEqual([])
  expect(targets('b')).toEqual([])
})

it('a stream of changes is thinned out to the interval; the first of them goes out soon, the last is never lost', async () => {
  const { apply, targets, updates, bench } = start()
  let n = 0
  bench.network.serve('sd:1', () => answer(`x:${++n}`))
  apply({ a: [web('sd:1', { refreshIntervalMs: 50 })] })
  await bench.clock.advance(60_000)
  const gaps = updates('a').map((atMs, i, all) => (i === 0 ? 0 : atMs - all[i - 1]!))
  expect(gaps[1]).toBeLessThanOrEqual(100)
  expect(Math.max(...gaps)).toBeLessThanOrEqual(5_000)
  expect(gaps.slice(-5).every((gap) => gap > 4_900)).toBe(true)
  expect(updates('a').length).toBeLessThan(25)
  const last = n
  expect(await bench.metric('prometheus_sd_updates_delayed_total', 'scrape')).toBeGreaterThan(1_000)
  apply({ a: [web('sd:1', { refreshIntervalMs: 50 })] })
  expect(Number(targets('a')[0]!.slice(2))).toBeGreaterThanOrEqual(last)
  await bench.clock.advance(0)
})

it('after a quiet time a change goes out at once', async () => {
  const { apply, updates, bench } = start()
  bench.network.serve('sd:1', () => answer('x:1'))
  apply({ a: [web('sd:1')] })
  await bench.clock.advance(121_000)
  expect(updates('a').slice(-2)).toEqual([60_000, 120_000])
})

it('metrics follow what runs', async () => {
  const { apply, bench, manager } = start()
  bench.network.serve('sd:1', () => answer('x:1', 'x:2'))
  const { metric } = bench
  for (const name of ['received_updates_total', 'updates_total', 'updates_delayed_total', 'failed_configs'])
    expect(await metric(`prometheus_sd_${name}`, 'scrape'), name).toBe(0)
  apply({ a: [web('sd:1'), fixed('a:1')], b: [fixed('b:1')] })
  await bench.clock.advance(1_000)
  expect(await metric('prometheus_sd_discovered_targets', 'scrape', 'a')).toBe(3)
  expect(await metric('prometheus_sd_discovered_targets', 'scrape', 'b')).toBe(1)
  expect(await metric('prometheus_sd_received_updates_total', 'scrape')).toBe(3)
  expect(await metric('prometheus_sd_updates_total', 'scrape')).toBe(2)
  expect(await metric('prometheus_sd_last_update_timestamp_seconds', 'scrape', 'a')).toBeCloseTo(1_700_000_000.1, 3)
  expect(await metric('prometheus_sd_last_update_timestamp_seconds', 'scrape', 'b')).toBe(1_700_000_000)
  expect(await metric('prometheus_sd_refresh_failures_total', 'http', 'a')).toBe(0)
  apply({ b: [fixed('b:1')] })
  for (const name of ['discovered_targets', 'last_update_timestamp_seconds']) {
    expect(await metric(`prometheus_sd_${name}`, 'scrape', 'a'), name).toBeUndefined()
    expect(await metric(`prometheus_sd_${name}`, 'scrape', 'b'), name).toBeDefined()
  }
  expect(await metric('prometheus_sd_refresh_failures_total', 'http', 'a')).toBeUndefined()
  expect(await metric('prometheus_sd_refresh_duration_seconds_count', 'http', 'a')).toBeUndefined()
  manager.stop()
})

it('a section that cannot be made is counted and told; the others run', async () => {
  const { apply, bench, targets } = start()
  const strange = { ...fixed('x:1'), kind: 'consul' } as unknown as DiscoveryConfig
  apply({ a: [strange, fixed('a:1')] })
  expect(targets('a')).toEqual(['a:1'])
  expect(await bench.metric('prometheus_sd_failed_configs', 'scrape')).toBe(1)
  expect(bench.logged[0]).toMatchObject({ message: 'Cannot create service discovery', fields: { config: 'a', type: 'consul' } })
  apply({ a: [fixed('a:1')] })
  expect(await bench.metric('prometheus_sd_failed_configs', 'scrape')).toBe(0)
})

it('a file that a new section reads stays listed over the reload', async () => {
  const { apply, bench, targets, manager } = start()
  const directory = mkdtempSync(join(tmpdir(), 'promhive-sd-'))
  try {
    const path = join(directory, 'a.json')
    writeFileSync(path, '[{"targets": ["a:1"]}]')
    apply({ a: [{ kind: 'file', files: [path], refreshIntervalMs: 60_000 }] })
    apply({ a: [{ kind: 'file', files: [path], refreshIntervalMs: 30_000 }] })
    expect(targets('a')).toEqual(['a:1'])
    expect(await bench.metric('prometheus_sd_file_mtime_seconds', path)).toBeDefined()
  } finally {
    manager.stop()
    rmSync(directory, { recursive: true })
  }
})

it('stopped, it asks and tells nothing more', async () => {
  const { apply, bench, times, manager } = start()
  bench.network.serve('sd:1', () => answer('x:1'))
  apply({ a: [web('sd:1')] })
  manager.stop()
  const told = times.length
  await bench.clock.advance(600_000)
  expect(times).toHaveLength(told)
  expect(bench.clock.pending).toBe(0)
})
