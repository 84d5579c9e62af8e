// Profiles of the thread it is made in, from V8's inspector. Worker threads run one too (lane.ts), on orders of the main thread.
import { Session, type HeapProfiler as V8Heap, type Profiler as V8Profiler, type Runtime } from 'node:inspector/promises'
import { sourcePlace } from './source-places.ts'
import { cpuSampleUs, heapSampleBytes, type ProfileNode } from '../profiler.ts'

/** What a thread is told to do. `watch`: note allocations from now on, as Go programs do all their life. */
export type ProfileOrder = 'watch' | 'cpu' | 'cpu end' | 'heap' | 'heap collected' | 'allocations' | 'allocations end'
export type ProfileAnswer = Readonly<{ nodes: readonly ProfileNode[]; durationMs: number }>

const nothing: ProfileAnswer = { nodes: [], durationMs: 0 }

export class ThreadProfiler {
  #session: Session | null = null
  #watching = false

  async do(order: ProfileOrder): Promise<ProfileAnswer> {
    const session = this.#connected()
    switch (order) {
      case 'watch':
        await this.#watch(session)
        return nothing
      case 'cpu':
        await session.post('Profiler.enable')
        await session.post('Profiler.setSamplingInterval', { interval: cpuSampleUs })
        await session.post('Profiler.start')
        return nothing
      case 'cpu end': {
        const { profile } = await session.post('Profiler.stop')
        // while it is enabled V8 notes every piece of code it compiles
        await session.post('Profiler.disable')
        return cpuAnswer(profile)
      }
      case 'heap collected':
        await this.#watch(session)
        await session.post('HeapProfiler.collectGarbage')
        return heapAnswer((await session.post('HeapProfiler.getSamplingProfile')).profile)
      case 'heap':
        await this.#watch(session)
        return heapAnswer((await session.post('HeapProfiler.getSamplingProfile')).profile)
      case 'allocations':
        if (this.#watching) await session.post('HeapProfiler.stopSampling')
        this.#watching = true
        await session.post('HeapProfiler.startSampling', {
          samplingInterval: heapSampleBytes / 16,
          includeObjectsCollectedByMajorGC: true,
          includeObjectsCollectedByMinorGC: true,
        })
        return nothing
      case 'allocations end': {
        const { profile } = await session.post('HeapProfiler.stopSampling')
        this.#watching = false
        await this.#watch(session)
        return heapAnswer(profile)
      }
    }
  }

  async #watch(session: Session): Promise<void> {
    if (this.#watching) return
    this.#watching = true
    await session.post('HeapProfiler.startSampling', { samplingInterval: heapSampleBytes })
  }

  #connected(): Session {
    if (this.#session === null) {
      this.#session = new Session()
      this.#session.connect()
    }
    return this.#session
  }
}

function cpuAnswer({ nodes, samples = [], timeDeltas = [], startTime, endTime }: V8Profiler.Profile): ProfileAnswer {
  const indices = new Map(nodes.map(({ id }, index) => [id, index]))
  const parents = new Int32Array(nodes.length).fill(-1)
  nodes.forEach(({ children }, index) => {
    for (const child of children ?? []) parents[indices.get(child)!] = index
  })
  const counts = new Float64Array(nodes.length)
  const nanoseconds = new Float64Array(nodes.length)
  samples.forEach((id, i) => {
    const index = indices.get(id)!
    counts[index]!++
    // a sample stands for the time until the next one
    nanoseconds[index]! += Math.max(0, timeDeltas[i + 1] ?? cpuSampleUs) * 1000
  })
  return {
    durationMs: (endTime - startTime) / 1000,
    nodes: nodes.map(({ callFrame }, i) => ({
      parent: parents[i]!,
      ...functionOf(callFrame),
      count: counts[i]!,
      amount: nanoseconds[i]!,
    })),
  }
}

function functionOf({ functionName, url, lineNumber, columnNumber }: Runtime.CallFrame): Pick<ProfileNode, 'name' | 'url' | 'line'> {
  const place = sourcePlace(url, lineNumber + 1, columnNumber + 1)
  return { name: functionName, url: place?.path ?? url, line: place?.line ?? lineNumber + 1 }
}

/** What V8 gives, and the types of the inspector leave out in part: each sample stands for the allocations of half a mebibyte around it. */
type HeapNode = Pick<V8Heap.SamplingHeapProfileNode, 'callFrame' | 'selfSize'> & Readonly<{ id: number; children: readonly HeapNode[] }>
type HeapProfile = Readonly<{ head: HeapNode; samples: readonly Readonly<{ nodeId: number }>[] }>

function heapAnswer(profile: V8Heap.SamplingHeapProfile): ProfileAnswer {
  const { head, samples } = profile as unknown as HeapProfile
  const counts = new Map<number, number>()
  for (const { nodeId } of samples) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1)
  const nodes: ProfileNode[] = []
  const waiting: { node: HeapNode; parent: number }[] = [{ node: head, parent: -1 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { callFrame, selfSize, id, children } = next.node
    nodes.push({ parent: next.parent, ...functionOf(callFrame), count: counts.get(id) ?? 0, amount: selfSize })
    const parent = nodes.length - 1
    for (const node of children) waiting.push({ node, parent })
  }
  return { nodes, durationMs: 0 }
}
