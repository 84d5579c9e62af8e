// /debug/pprof: the messages, read back with the schema by another implementation, and the routes.
import { gunzipSync } from 'node:zlib'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { PromhiveError } from '../../../src/base/errors.ts'
import { profilesBackend } from '../../../src/cli/serve/profiles.ts'
import { simulatedClock } from '../../../src/ports/simulated/clock.ts'
import type { ThreadProfile } from '../../../src/ports/profiler.ts'
import { encodeProfile, printProfile, type PprofProfile } from '../../../protocols/pprof/profile.ts'
import { withRig } from '../../support/fake-api-backend.ts'

const { root } = protobuf.parse(`syntax = "proto3"; package p;
message Profile {
  repeated ValueType sample_type = 1; repeated Sample sample = 2; repeated Location location = 4; repeated Function function = 5;
  repeated string string_table = 6; int64 time_nanos = 9; int64 duration_nanos = 10; ValueType period_type = 11; int64 period = 12;
  repeated int64 comment = 13; int64 default_sample_type = 14;
}
message ValueType { int64 type = 1; int64 unit = 2; }
message Sample { repeated uint64 location_id = 1; repeated int64 value = 2; repeated Label label = 3; }
message Label { int64 key = 1; int64 str = 2; }
message Location { uint64 id = 1; repeated Line line = 4; }
message Line { uint64 function_id = 1; int64 line = 2; }
message Function { uint64 id = 1; int64 name = 2; int64 system_name = 3; int64 filename = 4; }`)
const message = root.lookupType('p.Profile')

type Decoded = {
  sampleType: { type: number; unit: number }[]
  sample: { locationId: number[]; value: number[]; label: { key: number; str: number }[] }[]
  location: { id: number; line: { functionId: number; line: number }[] }[]
  function: { id: number; name: number; filename: number }[]
  stringTable: string[]
  timeNanos: number
  durationNanos: number
  defaultSampleType: number
}

/** Samples as `values stack (leaf first) labels`, with all references followed. */
function read(bytes: Uint8Array): Readonly<{ samples: string[]; types: string[]; profile: Decoded }> {
  const profile = message.toObject(message.decode(bytes), { longs: Number, arrays: true, defaults: true }) as Decoded
  const text = (at: number): string => profile.stringTable[at]!
  expect(profile.stringTable[0]).toBe('')
  const frame = (id: number): string => {
    const [{ functionId, line }] = profile.location.find((location) => location.id === id)!.line as [{ functionId: number; line: number }]
    const called = profile.function.find((each) => each.id === functionId)!
    return `${text(called.name)}@${text(called.filename)}:${line}`
  }
  return {
    profile,
    types: profile.sampleType.map(({ type, unit }) => `${text(type)}/${text(unit)}`),
    samples: profile.sample.map(
      ({ locationId, value, label }) =>
        `${value.join()} ${locationId.map(frame).join('<')} ${label.map(({ key, str }) => `${text(key)}=${text(str)}`).join()}`,
    ),
  }
}

const [a, b] = [{ name: 'a', file: '/x.ts', line: 3 }, { name: 'b', file: '/x.ts', line: 300 }] // prettier-ignore
const small: PprofProfile = {
  sampleTypes: [{ type: 'samples', unit: 'count' }, { type: 'cpu', unit: 'nanoseconds' }],
  defaultType: 'cpu', periodType: { type: 'cpu', unit: 'nanoseconds' }, period: 2e6,
  timeMs: 1_700_000_000_000, durationMs: 1000, comments: ['c'],
  samples: [
    { values: [1, 2e6], stack: [a, b], labels: { thread: 'main' } },
    { values: [2, 5e9], stack: [a, b], labels: { thread: 'lane-1' } },
    { values: [4, 8e6], stack: [b], labels: {} },
  ],
} // prettier-ignore

describe('messages', () => {
  it('are what the schema says', () => {
    const { samples, types, profile } = read(encodeProfile(small))
    expect(types).toEqual(['samples/count', 'cpu/nanoseconds'])
    expect(samples).toEqual([
      '1,2000000 a@/x.ts:3<b@/x.ts:300 thread=main',
      '2,5000000000 a@/x.ts:3<b@/x.ts:300 thread=lane-1',
      '4,8000000 b@/x.ts:300 ',
    ])
    expect([profile.location.length, profile.function.length, profile.stringTable[profile.defaultSampleType]]).toEqual([2, 2, 'cpu'])
    expect([profile.timeNanos, profile.durationNanos]).toEqual([1_700_000_000_000e6, 1e9])
    expect(read(encodeProfile({ ...small, samples: [] })).samples).toEqual([])
  })
  it('read as text, alike stacks together or each by itself', () => {
    expect(printProfile('cpu', small, 1).split('\n').filter((line) => line.includes('@'))).toEqual(['4 8000000 @', '3 5002000000 @']) // prettier-ignore
    expect(printProfile('cpu', small, 2)).toContain('2 5000000000 @ thread=lane-1\n#\ta\t/x.ts:3\n#\tb\t/x.ts:300\n')
  })
})

describe('what the server tells', () => {
  const thread = (name: string, scale: number): ThreadProfile => ({
    thread: name,
    durationMs: 1000,
    nodes: [
      { parent: -1, name: '(root)', url: '', line: 1, count: 0, amount: 0 },
      { parent: 0, name: '', url: 'file:///p/x.ts', line: 7, count: 2 * scale, amount: 4e6 * scale },
      { parent: 1, name: 'leaf', url: 'file:///p/y.ts', line: 9, count: 3 * scale, amount: 6e6 * scale },
      { parent: 0, name: '(idle)', url: '', line: 1, count: 9, amount: 18e6 },
    ],
  })
  const backend = profilesBackend({
    profiler: {
      watch: async () => {},
      cpu: async () => [thread('main', 1), thread('lane-1', 10)],
      heap: async () => [thread('main', 1)],
      allocations: async () => [thread('main', 1)],
      threads: () => ['main', 'lane-1'],
    },
    clock: simulatedClock(5),
    version: '1',
    actors: () => [{ id: 'http://x', kind: 'target', status: 'running', state: 'scraping', restarts: 2, waitingMessages: 0 }],
    resources: () => ['Timeout', 'Timeout'],
    commandLine: ['node', 'promhive'],
  })
  const signal = new AbortController().signal
  const lines = (profile: PprofProfile): string[] => read(encodeProfile(profile)).samples

  it('CPU time of all threads, without idle time unless it is asked for', async () => {
    expect(lines(await backend.cpu(1, false, signal))).toEqual([
      '2,4000000 (anonymous) x.ts:7@/p/x.ts:7 thread=main',
      '3,6000000 leaf y.ts:9@/p/y.ts:9<(anonymous) x.ts:7@/p/x.ts:7 thread=main',
      '20,40000000 (anonymous) x.ts:7@/p/x.ts:7 thread=lane-1',
      '30,60000000 leaf y.ts:9@/p/y.ts:9<(anonymous) x.ts:7@/p/x.ts:7 thread=lane-1',
    ])
    expect(lines(await backend.cpu(1, true, signal)).filter((line) => line.includes('(idle)'))).toHaveLength(2)
  })
  it('heaps, actors, threads', async () => {
    expect(lines(await backend.heap(false))[1]).toBe('3,6000000,3,6000000 leaf y.ts:9@/p/y.ts:9<(anonymous) x.ts:7@/p/x.ts:7 thread=main')
    expect(lines(backend.goroutines())).toEqual([
      '1 scraping@:0<actor target@:0 id=http://x,status=running,restarts=2,waiting_messages=0',
      '1 Timeout@:0<event loop@:0 ',
      '1 Timeout@:0<event loop@:0 ',
    ])
    expect(lines(backend.threads())).toEqual(['1 main@:0 thread=main', '1 lane-1@:0 thread=lane-1'])
    expect(read(encodeProfile(backend.contentions()))).toMatchObject({ types: ['contentions/count', 'delay/nanoseconds'], samples: [] })
  })
})

describe('routes', () => {
  it('give profiles, texts and refusals as net/http/pprof does', () =>
    withRig({}, async ({ backend, url }) => {
      const get = (path: string): Promise<Response> => fetch(`${url}/debug/pprof/${path}`)
      expect((await get('heap')).status).toBe(404)
      const asked: unknown[] = []
      let busy = false
      backend.profiles = {
        async cpu(...given) {
          asked.push(given.slice(0, 2))
          if (busy) throw new PromhiveError('UNAVAILABLE', 'cpu profiling already in use')
          return small
        },
        heap: async (collect) => (asked.push(['heap', collect]), small),
        allocations: async (seconds) => (asked.push(['allocations', seconds]), small),
        goroutines: () => small,
        threads: () => small,
        contentions: () => ({ ...small, samples: [] }),
        commandLine: () => ['promhive', 'serve'],
      }
      const cpu = await get('profile')
      expect([cpu.status, cpu.headers.get('content-type'), cpu.headers.get('content-disposition')]).toEqual([
        200, 'application/octet-stream', 'attachment; filename="profile"',
      ]) // prettier-ignore
      expect(read(gunzipSync(await cpu.bytes())).samples).toHaveLength(3)
      for (const path of ['profile?seconds=2', 'fgprof?seconds=3', 'heap', 'heap?gc=1', 'heap?seconds=4', 'allocs', 'profile?seconds=x'])
        expect((await get(path)).status, path).toBe(200)
      expect(asked).toEqual([
        [30, false], [2, false], [3, true], ['heap', false], ['heap', true], ['allocations', 4], ['allocations', 5], [30, false],
      ]) // prettier-ignore
      for (const path of ['goroutine', 'threadcreate', 'block', 'mutex']) {
        expect(read(gunzipSync(await (await get(path)).bytes())).samples.length, path).toBe(/block|mutex/.test(path) ? 0 : 3)
        expect(await (await get(`${path}?debug=1`)).text(), path).toMatch(new RegExp(`^${path} profile: total \\d`))
      }
      expect(await (await get('cmdline')).text()).toBe('promhive\0serve')
      expect(await (await get('symbol')).text()).toBe('num_symbols: 0\n')
      expect(await (await get('')).text()).toContain('<a href="heap">heap</a>')
      const refusals: [string, number][] = [
        ['trace?seconds=1', 501],
        ['nonsense', 404],
        ['profile?seconds=601', 400],
      ]
      busy = true
      for (const [path, status] of [...refusals, ['profile', 500] as const]) {
        const answer = await get(path)
        expect([answer.status, answer.headers.get('x-go-pprof'), answer.headers.get('content-disposition')], path).toEqual([
          status,
          '1',
          null,
        ])
        expect(await answer.text()).toMatch(/^(Could not|Unknown profile)/)
      }
    }))
})
