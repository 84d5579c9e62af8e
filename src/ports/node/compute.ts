// Lanes as worker threads. A lane's module exports `lane(port, setup)`, the function its LaneEntry also gives as `inline`;
// lane-thread.js next door is what the thread really starts with.
import module from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort, type ResourceLimits, type Transferable } from 'node:worker_threads'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Compute, Lane, LaneEntry, LanePort } from '../compute.ts'
import type { ProfileAnswer, ProfileOrder } from './thread-profiler.ts'

export type NodeComputeOptions = Readonly<{
  /** Default: one per core but one. */
  lanes?: number
  /** Of each lane; default: Node's own. */
  resourceLimits?: ResourceLimits
  /** Threads on lane-thread.js that have been started already: the first lanes take them. */
  threads?: readonly Worker[]
}>

/** What the thread is told first: its own program and the lane's, both built (.cjs) or not, and where compiled sources are kept. The lane's setup follows. */
export type LaneStart = Readonly<{ thread: string; module: string; port: MessagePort; codeCache: string | undefined }>
/** What the thread says on its parent port; everything else goes over the lane's own port. */
export type LaneNotice =
  | Readonly<{ kind: 'ready' }>
  | Readonly<{ kind: 'profile'; id: number; answer: ProfileAnswer }>
  | Readonly<{ kind: 'no profile'; id: number; why: string }>
/** What the thread is told on it, after its setup. */
export type ThreadOrder = Readonly<{ kind: 'profile'; id: number; order: ProfileOrder }>

export interface NodeCompute extends Compute {
  /** Starts threads that load the program now, for lanes that are started later: what the main thread does meanwhile costs no time. */
  prepare(entry: LaneEntry, count: number): void
  /** Threads of lanes that run now. `profile` rejects where the thread ends before it answers. */
  threads(): readonly Readonly<{ name: string; profile: (order: ProfileOrder) => Promise<ProfileAnswer> }>[]
}

type Thread = {
  readonly name: string
  readonly module: string
  readonly worker: Worker
  readonly port: MessagePort
  readonly profiles: Map<number, PromiseWithResolvers<ProfileAnswer>>
  why: string
  ready: boolean
  exited: boolean
}

export function nodeCompute(options: NodeComputeOptions = {}): NodeCompute {
  let ids = 0
  const prepared: Thread[] = []
  // the directory that was asked for: below it is one for this Node and its flags
  const caching = module.getCompileCacheDir()
  const codeCache = caching === undefined ? undefined : dirname(caching)
  const isBuilt = !import.meta.url.endsWith('.ts')
  const beside = (name: string): URL => new URL(name, import.meta.url)
  // what is built lies in dist/cli/‹program›/, and starts what lies in src/
  const program = beside(isBuilt ? './thread.cjs' : './thread.ts').href
  const first = beside(isBuilt ? '../../../src/ports/node/lane-thread.js' : './lane-thread.js')
  const started = [...(options.threads ?? [])]
  const threads = new Set<Thread>()
  let orders = 0
  const thread = (entry: LaneEntry): Thread => {
    const { port1, port2 } = new MessageChannel()
    const start: LaneStart = { thread: program, module: entry.module.href, port: port2, codeCache }
    const name = `lane-${++ids}`
    const { resourceLimits } = options
    const worker = started.shift() ?? new Worker(first, { name, ...(resourceLimits === undefined ? {} : { resourceLimits }) })
    worker.postMessage(start, [port2])
    const made: Thread = { name, module: start.module, worker, port: port1, profiles: new Map(), why: '', ready: false, exited: false }
    threads.add(made)
    worker.on('error', (thrown) => (made.why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown)))
    worker.on('exit', (code) => {
      made.exited = true
      made.why ||= `exit code ${code}`
      threads.delete(made)
      for (const { reject } of made.profiles.values()) reject(new PromhiveError('UNAVAILABLE', `${name} ended: ${made.why}`))
      port1.close()
    })
    return made
  }
  return {
    lanesDefault: options.lanes ?? Math.max(1, availableParallelism() - 1),
    threads: () =>
      [...threads]
        .filter(({ ready }) => ready)
        .map(({ name, worker, profiles }) => ({
          name,
          async profile(order) {
            const id = ++orders
            const answer = Promise.withResolvers<ProfileAnswer>()
            profiles.set(id, answer)
            worker.postMessage({ kind: 'profile', id, order } satisfies ThreadOrder)
            return answer.promise.finally(() => profiles.delete(id))
          },
        })),
    prepare(entry, count) {
      for (let i = 0; i < count; i++) {
        const made = thread(entry)
        made.worker.unref()
        prepared.push(made)
      }
    },
    start(entry, setup, onExit) {
      const at = prepared.findIndex((made) => made.module === entry.module.href && !made.exited)
      const made = at === -1 ? thread(entry) : prepared.splice(at, 1)[0]!
      const { worker } = made
      const id = worker.threadId
      worker.ref()
      const port = portOf(made.port)
      return new Promise<Lane>((resolve, reject) => {
        worker.on('message', (notice: LaneNotice) => {
          if (notice.kind === 'profile') made.profiles.get(notice.id)?.resolve(notice.answer)
          else if (notice.kind === 'no profile') made.profiles.get(notice.id)?.reject(new PromhiveError('UNAVAILABLE', notice.why))
          if (notice.kind !== 'ready') return
          made.ready = true
          resolve({ id, ...port, end: async () => void ((made.why ||= 'ended'), await worker.terminate()) })
        })
        worker.on('exit', () => {
          if (!made.ready) reject(new PromhiveError('INTERNAL', `cannot start lane ${id}: ${made.why}`, { lane: id }))
          onExit(made.why)
        })
        worker.postMessage(setup)
      })
    },
  }
}

/** Messages wait in the port until somebody wants them. */
export function portOf(port: MessagePort): LanePort {
  return {
    send: (message, transfer) => port.postMessage(message, transfer as Transferable[] | undefined),
    onMessage: (handler) => void port.on('message', handler),
    take: () => (receiveMessageOnPort(port) as { message: unknown } | undefined)?.message,
  }
}
