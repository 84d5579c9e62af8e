// What /debug/pprof shows, in the terms of Go's profiles. CPU and heap come from V8, for every thread; a goroutine is an actor, a query or anything
// else that waits; there are no locks, so the profiles of blocking are empty.
import { posix } from 'node:path'
import type { ProfilesBackend } from '../../api/backend.ts'
import type { Clock } from '../../ports/clock.ts'
import { cpuSampleUs, heapSampleBytes, type Profiler, type ThreadProfile } from '../../ports/profiler.ts'
import type { ActorStatusLine } from '../../../actors/runtime/runtime.ts'
import type { Frame, PprofProfile, ProfileSample, ValueType } from '../../../protocols/pprof/profile.ts'

export type ProfileParts = Readonly<{
  profiler: Profiler
  clock: Clock
  /** What the program is, for the profile's comment. */
  version: string
  actors: () => readonly ActorStatusLine[]
  /** Kinds of what keeps the event loop busy: sockets, timers, requests to the operating system. */
  resources: () => readonly string[]
  commandLine: readonly string[]
}>

const count = (type: string): ValueType => ({ type, unit: 'count' })
const space = (type: string): ValueType => ({ type, unit: 'bytes' })
/** Of the sampled time, what is no work of the CPU. */
const idle = '(idle)'

export function profilesBackend({ profiler, clock, version, actors, resources, commandLine }: ProfileParts): ProfilesBackend {
  const profile = (given: Pick<PprofProfile, 'sampleTypes' | 'samples'> & Partial<PprofProfile>): PprofProfile => ({
    defaultType: given.sampleTypes.at(-1)!.type,
    periodType: given.sampleTypes.at(-1)!,
    period: 1,
    timeMs: clock.nowMs(),
    durationMs: 0,
    comments: [`promhive ${version}`],
    ...given,
  })
  const heap = (threads: readonly ThreadProfile[], defaultType: string): PprofProfile =>
    profile({
      sampleTypes: [count('alloc_objects'), space('alloc_space'), count('inuse_objects'), space('inuse_space')],
      samples: samplesOf(threads, ({ count: objects, amount }) => (amount > 0 ? [objects, amount, objects, amount] : null)),
      defaultType,
      periodType: space('space'),
      period: heapSampleBytes,
    })
  return {
    async cpu(seconds, withIdle, signal) {
      const timeMs = clock.nowMs()
      const started = clock.monotonicMs()
      const threads = await profiler.cpu(seconds * 1000, signal)
      return profile({
        sampleTypes: [count('samples'), { type: 'cpu', unit: 'nanoseconds' }],
        samples: samplesOf(threads, ({ name, count: samples, amount }) =>
          samples > 0 && (withIdle || name !== idle) ? [samples, amount] : null,
        ),
        period: cpuSampleUs * 1000,
        timeMs,
        durationMs: clock.monotonicMs() - started,
      })
    },
    heap: async (collect) => heap(await profiler.heap(collect), 'inuse_space'),
    allocations: async (seconds, signal) => heap(await profiler.allocations(seconds * 1000, signal), 'alloc_space'),
    goroutines() {
      const samples: ProfileSample[] = actors().map(({ id, kind, status, state, restarts, waitingMessages }) => ({
        values: [1],
        stack: [frame(state === '' ? status : state), frame(`actor ${kind}`)],
        labels: { id, status, restarts: String(restarts), waiting_messages: String(waitingMessages) },
      }))
      for (const name of resources()) samples.push({ values: [1], stack: [frame(name), frame('event loop')], labels: {} })
      return profile({ sampleTypes: [count('goroutine')], samples })
    },
    threads: () =>
      profile({
        sampleTypes: [count('threadcreate')],
        samples: profiler.threads().map((thread) => ({ values: [1], stack: [frame(thread)], labels: { thread } })),
      }),
    commandLine: () => commandLine,
    contentions: () => profile({ sampleTypes: [count('contentions'), { type: 'delay', unit: 'nanoseconds' }], samples: [] }),
  }
}

function frame(name: string): Frame {
  return { name, file: '', line: 0 }
}

/** A sample for every node that has something of its own; `values` is null where it has not. */
function samplesOf(
  threads: readonly ThreadProfile[],
  values: (node: ThreadProfile['nodes'][number]) => readonly number[] | null,
): ProfileSample[] {
  const out: ProfileSample[] = []
  for (const { thread, nodes } of threads) {
    const frames = nodes.map(({ name, url, line }): Frame => {
      const file = url.replace(/^file:\/\//, '')
      // a name alone says little where every other class has it
      const place = file === '' ? '' : ` ${posix.basename(file)}:${line}`
      return { name: `${name === '' ? '(anonymous)' : name}${place}`, file, line }
    })
    nodes.forEach((node, index) => {
      const own = values(node)
      if (own === null) return
      const stack: Frame[] = []
      for (let at = index; at > 0; at = nodes[at]!.parent) stack.push(frames[at]!)
      if (stack.length > 0) out.push({ values: own, stack, labels: { thread } })
    })
  }
  return out
}
