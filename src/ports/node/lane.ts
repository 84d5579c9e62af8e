// What a lane's thread does: loads the lane's program and runs it on the port it was given.
import { parentPort, workerData } from 'node:worker_threads'
import type { LaneEntry } from '../compute.ts'
import { portOf, type LaneNotice, type LaneStart } from './compute.ts'

const start = workerData as LaneStart
const setup = new Promise<unknown>((resolve) => parentPort!.once('message', resolve))
const program = (await import(start.module)) as { lane?: (...args: Parameters<LaneEntry['inline']>) => void | Promise<void> }
if (program.lane === undefined) throw new Error(`BUG: ${start.module} exports no function "lane"`)
await program.lane(portOf(start.port), await setup)
const ready: LaneNotice = { kind: 'ready' }
parentPort!.postMessage(ready)
