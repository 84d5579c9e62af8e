// The first module of a lane's thread, in plain JavaScript: only behind the cache are types stripped for nothing (see src/cli/promhive.js).
import module from 'node:module'
import { workerData } from 'node:worker_threads'

// as on the main thread: compiled code, types stripped, is kept between starts
module.enableCompileCache(workerData.codeCache)
await import('./lane.ts')
