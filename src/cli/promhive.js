#!/usr/bin/env node
// The program. Each subcommand loads only what it needs, so that starting is quick. `promhive.ts` is a second name of this file: as plain JavaScript it
// runs without node's type stripper, whose WebAssembly alone costs 40 ms and 20 MB; the modules behind it come with their types stripped from the cache.
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import { isBuilt } from './build/inputs.js'
import { detachFirstBuffer } from '../ports/node/detached-buffers.js'
import { setThreadFlags } from '../ports/node/heap-flags.js'
import { loadProgram } from '../ports/node/load-built.js'

detachFirstBuffer()

const [command = 'serve', ...rest] = process.argv.slice(2)
const isHelp = command === '--help' || command === '-h' || command === 'help'
const isFlag = command.startsWith('-') && !isHelp
const isServe = command === 'serve' || isFlag

/** A storage worker's thread boots while this one does. */
function startThread() {
  setThreadFlags()
  const { Worker } = process.getBuiltinModule('node:worker_threads')
  return new Worker(new URL('../ports/node/lane-thread.js', import.meta.url), { name: 'lane-1' })
}
const threads = isServe ? [startThread()] : []

const root = fileURLToPath(new URL('../..', import.meta.url)).slice(0, -1)
const built = isBuilt(root)
// sources, types stripped, are kept compiled between starts; what is built has its code beside it
if (!built) module.enableCompileCache()
const programs = new URL(built ? '../../dist/cli/' : './', import.meta.url).href
const main = built ? 'main.cjs' : 'main.ts'

const usage = `promhive <command> [flags]

  serve       scrape, store, query and alert (default); flags are Prometheus': promhive serve --help
  tool        promtool's verbs: promhive tool --help
`

async function run() {
  if (isServe) return (await loadProgram(`${programs}serve/${main}`)).serve(isFlag ? [command, ...rest] : rest, threads)
  if (command === 'tool') return (await loadProgram(`${programs}tool/${main}`)).tool(rest)
  if (isHelp) {
    console.log(usage)
    return 0
  }
  console.error(`promhive: unknown command ${JSON.stringify(command)}\n\n${usage}`)
  return 2
}

process.exitCode = await run()
// timers and sockets of a part that did not end must not keep the process: the exit code is final
process.exit()
