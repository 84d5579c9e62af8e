// Lanes as worker threads. Messages are structured clones, buffers are transferred; a lane that throws ends, and its owner is told why.
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { Compute, Lane, LaneEntry, LanePort } from '../compute.ts'

type WorkerData = Readonly<{ promhiveLane: string; setup: unknown }>

/** What the module of a lane exports. */
export type LaneModule = Readonly<{ runLane: (port: LanePort, setup: unknown) => void }>

/** @param oldGenerationMib heap limit of each worker; 0 = Node's own. */
export function nodeCompute(options: Readonly<{ oldGenerationMib?: number }> = {}): Compute {
  let lanes = 0
  return {
    lanesDefault: Math.max(1, availableParallelism() - 1),
    start(entry: LaneEntry, setup: unknown, onExit: (why: string) => void): Promise<Lane> {
      const id = lanes++
      const limit = options.oldGenerationMib ?? 0
      const worker = new Worker(new URL(import.meta.url), {
        name: `lane-${id}`,
        workerData: { promhiveLane: entry.module.href, setup } satisfies WorkerData,
        ...(limit > 0 ? { resourceLimits: { maxOldGenerationSizeMb: limit } } : {}),
      })
      const waiting: unknown[] = []
      let handler: ((message: unknown) => void) | null = null
      return new Promise((resolve, reject) => {
        let ready = false
        let why = ''
        worker.on('message', (message: unknown) => {
          if (!ready) {
            ready = true
            resolve(lane)
          } else if (handler === null) waiting.push(message)
          else handler(message)
        })
        worker.on('error', (thrown: unknown) => {
          why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown)
        })
        worker.on('exit', (code) => {
          const reason = why === '' ? `worker ended with code ${code}` : why
          if (ready) onExit(reason)
          else reject(new PromhiveError('INTERNAL', `cannot start a storage worker: ${reason}`))
        })
        const lane: Lane = {
          id,
          send: (message, transfer = []) => worker.postMessage(message, [...transfer]),
          onMessage: (given) => {
            handler = given
            for (const message of waiting.splice(0)) given(message)
          },
          end: async () => {
            await worker.terminate()
          },
        }
      })
    },
  }
}

const data: unknown = workerData
if (!isMainThread && parentPort !== null && typeof data === 'object' && data !== null && 'promhiveLane' in data) {
  const { promhiveLane, setup } = data as WorkerData
  const main = parentPort
  const { runLane } = (await import(promhiveLane)) as LaneModule
  main.postMessage(null) // ready
  runLane({ send: (message, transfer = []) => main.postMessage(message, [...transfer]), onMessage: (handler) => main.on('message', handler) }, setup)
}
