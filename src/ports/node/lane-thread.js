// The first module of a lane's thread, in plain JavaScript: only behind the cache are types stripped for nothing (see src/cli/promhive.js).
// The thread may be started before anybody knows what it will run: its first message says it (LaneStart of compute.ts), its second is the lane's setup.
import module from 'node:module'
import { parentPort } from 'node:worker_threads'
import { detachFirstBuffer } from './detached-buffers.js'
import { loadProgram } from './load-built.js'

detachFirstBuffer()

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort)
const message = () => new Promise((resolve) => port.once('message', resolve))

// the second is listened for at once: what comes while nobody listens is lost
const [start, setup] = await new Promise((resolve) => port.once('message', (first) => resolve([first, message()])))
// as on the main thread: sources, types stripped, are kept compiled between starts
if (start.codeCache !== undefined) module.enableCompileCache(start.codeCache)
const { run } = await loadProgram(start.thread)
await run(start, setup, loadProgram)
