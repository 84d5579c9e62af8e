/** What the threads of this process spend their time and their heap on. Adapter: node/profiler.ts. One profile of a kind at a time. */
export interface Profiler {
  /** Samples all threads for so long; ends early, with what there is, where the signal fires. Throws UNAVAILABLE while another one runs. */
  cpu(durationMs: number, signal: AbortSignal): Promise<readonly ThreadProfile[]>
  /** From now on some allocations are noted, in all threads: what `heap` tells of. Costs next to nothing. */
  watch(): Promise<void>
  /** What has been allocated since `watch` and is still there. `collect`: garbage is collected before. */
  heap(collect: boolean): Promise<readonly ThreadProfile[]>
  /** What is allocated within so long, garbage too. Forgets what `heap` knows. Throws UNAVAILABLE while another one runs. */
  allocations(durationMs: number, signal: AbortSignal): Promise<readonly ThreadProfile[]>
  /** Names of the threads that run JavaScript. */
  threads(): readonly string[]
}

/** Call trees: node 0 is the root, parents come before their children. */
export type ThreadProfile = Readonly<{ thread: string; nodes: readonly ProfileNode[]; durationMs: number }>
export type ProfileNode = Readonly<{
  /** Index of the caller; -1 for the root. */
  parent: number
  /** '' = anonymous. */
  name: string
  url: string
  /** From 1. */
  line: number
  /** CPU: samples and nanoseconds with this function on top. Heap: objects and bytes it allocated. */
  count: number
  amount: number
}>

/** Of the CPU, microseconds between samples; of heaps, bytes between sampled allocations. */
export const cpuSampleUs = 2_000
export const heapSampleBytes = 512 << 10
