#!/usr/bin/env node
// The program. Each subcommand loads only what it needs, so that starting is quick. `promhive.ts` is a second name of this file: as plain JavaScript it
// runs without node's type stripper, whose WebAssembly alone costs 40 ms and 20 MB; the modules behind it come with their types stripped from the cache.
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'
import { isBuilt } from './build/inputs.js'

// Buffers from sockets come and go by the megabyte: without this V8 collects the whole heap for every 64 MiB of them
v8.setFlagsFromString('--external-memory-accounted-in-global-limit')
// memory is given back two minutes after a burst, as Go does, and by one collection: eight seconds after the start V8 would begin to mark all that is
// alive twice, in every thread, which costs as much as ten seconds of scraping
v8.setFlagsFromString('--gc-memory-reducer-start-delay-ms=120000')
v8.setFlagsFromString('--memory-reducer-gc-count=1')
const root = fileURLToPath(new URL('../..', import.meta.url)).slice(0, -1)
const built = isBuilt(root)
// compiled code, types stripped, is kept between starts
module.enableCompileCache(built ? `${root}/dist/code-cache` : undefined)
// what is built lies as the sources do
const programs = new URL(built ? '../../dist/cli/' : './', import.meta.url).href
const main = built ? 'main.js' : 'main.ts'

const [command = 'serve', ...rest] = process.argv.slice(2)
const usage = `promhive <command> [flags]

  serve       scrape, store, query and alert (default); flags are Prometheus': promhive serve --help
  tool        promtool's verbs: promhive tool --help
`

async function run() {
  const isHelp = command === '--help' || command === '-h' || command === 'help'
  const isFlag = command.startsWith('-') && !isHelp
  if (command === 'serve' || isFlag) return (await import(`${programs}serve/${main}`)).serve(isFlag ? [command, ...rest] : rest)
  if (command === 'tool') return (await import(`${programs}tool/${main}`)).tool(rest)
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
