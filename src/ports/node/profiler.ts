import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Profiler, ThreadProfile } from '../profiler.ts'
import type { NodeCompute } from './compute.ts'
import type { ProfileAnswer, ProfileOrder, ThreadProfiler } from './thread-profiler.ts'

/** A thread in the middle of something answers when that is done; one that takes longer is left out. */
const answerWaitMs = 10_000

/** Profiles the main thread and the threads of the lanes. */
export function nodeProfiler(compute: Pick<NodeCompute, 'threads'>, logger: Logger): Profiler {
  // the inspector is loaded when it is wanted
  let loaded: Promise<ThreadProfiler> | null = null
  const own = async (order: ProfileOrder): Promise<ProfileAnswer> => {
    loaded ??= import('./thread-profiler.ts').then((program) => new program.ThreadProfiler())
    return (await loaded).do(order)
  }
  let busy = ''
  const one = async (thread: string, answer: Promise<ProfileAnswer>): Promise<ThreadProfile[]> => {
    let late: NodeJS.Timeout | undefined
    const wait = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error(`no answer within ${answerWaitMs / 1000} s`)), answerWaitMs)
    })
    try {
      return [{ thread, ...(await Promise.race([answer, wait])) }]
    } catch (thrown) {
      logger.warn({ thread, err: messageOf(thrown) }, 'A thread is not in the profile')
      return []
    } finally {
      clearTimeout(late)
    }
  }
  const all = async (order: ProfileOrder): Promise<ThreadProfile[]> => {
    const threads = compute.threads().map(({ name, profile }) => one(name, profile(order)))
    return (await Promise.all([one('main', own(order)), ...threads])).flat()
  }
  const within = async (
    what: string,
    start: ProfileOrder,
    end: ProfileOrder,
    ms: number,
    signal: AbortSignal,
  ): Promise<ThreadProfile[]> => {
    if (busy !== '') throw new PromhiveError('UNAVAILABLE', `${busy} already in use`)
    busy = what
    try {
      await all(start)
      await sleep(ms, signal)
      return await all(end)
    } finally {
      busy = ''
    }
  }
  return {
    watch: async () => void (await all('watch')),
    cpu: (ms, signal) => within('cpu profiling', 'cpu', 'cpu end', ms, signal),
    allocations: (ms, signal) => within('allocation profiling', 'allocations', 'allocations end', ms, signal),
    heap: (collect) => all(collect ? 'heap collected' : 'heap'),
    threads: () => ['main', ...compute.threads().map(({ name }) => name)],
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
