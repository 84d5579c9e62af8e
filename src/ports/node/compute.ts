// Lanes as worker threads. A lane's module exports `lane(port, setup)`, the function its LaneEntry also gives as `inline`;
// lane-thread.js next door is what the thread really starts with.
import { availableParallelism } from 'node:os'
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort, type ResourceLimits, type Transferable } from 'node:worker_threads'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Compute, Lane, LaneEntry, LanePort } from '../compute.ts'

export type NodeComputeOptions = Readonly<{
  /** Default: one per core but one. */
  lanes?: number
  /** Of each lane; default: Node's own. */
  resourceLimits?: ResourceLimits
}>

/** What the thread is given; its first message is the lane's setup. */
export type LaneStart = Readonly<{ module: string; port: MessagePort }>
/** What the thread says on its parent port; everything else goes over the lane's own port. */
export type LaneNotice = Readonly<{ kind: 'ready' }>

export interface NodeCompute extends Compute {
  /** Starts threads that load the program now, for lanes that are started later: what the main thread does meanwhile costs no time. */
  prepare(entry: LaneEntry, count: number): void
}

type Thread = { readonly module: string; readonly worker: Worker; readonly port: MessagePort; why: string; exited: boolean }

export function nodeCompute(options: NodeComputeOptions = {}): NodeCompute {
  let ids = 0
  const prepared: Thread[] = []
  const program = new URL('./lane-thread.js', import.meta.url)
  const thread = (entry: LaneEntry): Thread => {
    const { port1, port2 } = new MessageChannel()
    const start: LaneStart = { module: entry.module.href, port: port2 }
    const worker = new Worker(program, {
      name: `lane-${++ids}`,
      workerData: start,
      transferList: [port2],
      ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits }),
    })
    const made: Thread = { module: start.module, worker, port: port1, why: '', exited: false }
    worker.on('error', (thrown) => (made.why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown)))
    worker.on('exit', (code) => {
      made.exited = true
      made.why ||= `exit code ${code}`
      port1.close()
    })
    return made
  }
  return {
    lanesDefault: options.lanes ?? Math.max(1, availableParallelism() - 1),
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
        let ready = false
        worker.on('message', (_: LaneNotice) => {
          ready = true
          resolve({ id, ...port, end: async () => void ((made.why ||= 'ended'), await worker.terminate()) })
        })
        worker.on('exit', () => {
          if (!ready) reject(new PromhiveError('INTERNAL', `cannot start lane ${id}: ${made.why}`, { lane: id }))
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
