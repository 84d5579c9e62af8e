// The first module of a lane's thread: loads the lane's program and runs it on the port it was given.
import module from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { LaneEntry } from '../compute.ts'
import { portOf, type LaneNotice, type LaneStart } from './compute.ts'

// as on the main thread: compiled code, types stripped, is kept between starts
module.enableCompileCache()

const start = workerData as LaneStart
const setup = new Promise<unknown>((resolve) => parentPort!.once('message', resolve))
const program = (await import(start.module)) as { lane?: (...args: Parameters<LaneEntry['inline']>) => void | Promise<void> }
if (program.lane === undefined) throw new Error(`BUG: ${start.module} exports no function "lane"`)
await program.lane(portOf(start.port), await setup)
const ready: LaneNotice = { kind: 'ready' }
parentPort!.postMessage(ready)
