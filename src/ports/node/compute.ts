// Lanes as worker threads. A lane's module exports `lane(port, setup)`, the function its LaneEntry also gives as `inline`;
// lane.ts next door is what the thread really starts with.
import { availableParallelism } from 'node:os'
import { MessageChannel, Worker, type MessagePort, type ResourceLimits, type Transferable } from 'node:worker_threads'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Compute, Lane, LanePort } from '../compute.ts'

export type NodeComputeOptions = Readonly<{
  /** Default: one per core but one. */
  lanes?: number
  /** Of each lane; default: Node's own. */
  resourceLimits?: ResourceLimits
}>

/** What the thread is given. */
export type LaneStart = Readonly<{ module: string; setup: unknown; port: MessagePort }>
/** What the thread says on its parent port; everything else goes over the lane's own port. */
export type LaneNotice = Readonly<{ kind: 'ready' }>

export function nodeCompute(options: NodeComputeOptions = {}): Compute {
  let ids = 0
  const program = new URL('./lane.ts', import.meta.url)
  if (!import.meta.url.endsWith('.ts')) program.pathname = program.pathname.replace(/ts$/, 'js') // built code
  return {
    lanesDefault: options.lanes ?? Math.max(1, availableParallelism() - 1),
    start(entry, setup, onExit) {
      const id = ++ids
      const { port1, port2 } = new MessageChannel()
      const start: LaneStart = { module: entry.module.href, setup, port: port2 }
      const worker = new Worker(program, {
        name: `lane-${id}`,
        workerData: start,
        transferList: [port2],
        ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits }),
      })
      const port = portOf(port1)
      return new Promise<Lane>((resolve, reject) => {
        let ready = false
        let why = ''
        worker.on('message', (_: LaneNotice) => {
          ready = true
          resolve({ id, ...port, end: async () => void ((why ||= 'ended'), await worker.terminate()) })
        })
        worker.on('error', (thrown) => (why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown)))
        worker.on('exit', (code) => {
          port1.close()
          why ||= `exit code ${code}`
          if (!ready) reject(new PromhiveError('INTERNAL', `cannot start lane ${id}: ${why}`, { lane: id }))
          onExit(why)
        })
      })
    },
  }
}

/** Messages wait in the port until somebody wants them. */
export function portOf(port: MessagePort): LanePort {
  return {
    send: (message, transfer) => port.postMessage(message, transfer as Transferable[] | undefined),
    onMessage: (handler) => void port.on('message', handler),
  }
}
