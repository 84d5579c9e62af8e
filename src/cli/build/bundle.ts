// Makes dist/ (see inputs.js): one file for what a thread loads at its start, instead of hundreds; names and positions stay readable through
// source places. What the start does not need (Fastify, undici, the inspector) stays in files of its own that are loaded when it is wanted.
import { decode } from '@jridgewell/sourcemap-codec'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown, type InputOptions, type OutputChunk, type OutputOptions, type PluginContext } from 'rolldown'
import { encodePlaces } from '../../ports/node/source-places.ts'
import { inputsOf } from './inputs.js'

const root = fileURLToPath(new URL('../../..', import.meta.url)).slice(0, -1)
const sources = join(root, 'src')
const entries = { serve: 'cli/serve/main.ts', lane: 'cli/lane.ts', thread: 'ports/node/thread.ts', tool: 'cli/tool/main.ts' }
/** What main.ts imports, in this order: what opens the storage, and what is loaded while it recovers. */
const stages = {
  start: [entries.serve],
  storage: ['cli/serve/configuration.ts', 'cli/serve/node-storage.ts'],
  server: ['api/server.ts', 'cli/serve/roles.ts', 'cli/serve/server.ts'],
}

type ModuleInfo = Pick<PluginContext, 'getModuleInfo'>

/** Builds beside the target, and puts it in its place when it is whole. @param target dist/ beside the launcher's src/cli/promhive.js. */
export async function build(target = join(root, 'dist')): Promise<void> {
  const draft = `${target}-${process.pid}`
  rmSync(draft, { recursive: true, force: true })
  const modules = new Set<string>()
  await bundle(modules, entries.serve, { dir: join(draft, 'cli/serve'), codeSplitting: { groups: serverGroups() } })
  // beside both programs that start storage workers; what a thread loads later has names of its own there
  for (const program of ['serve', 'tool']) {
    await bundle(modules, entries.thread, { dir: join(draft, 'cli', program), chunkFileNames: 'thread-[name].cjs' })
  }
  await bundle(modules, entries.lane, { dir: join(draft, 'cli'), codeSplitting: false })
  await bundle(modules, entries.tool, { dir: join(draft, 'cli/tool'), codeSplitting: false })
  const own = Array.from(modules, (id) => relative(root, id)).filter((path) => !path.startsWith('..') && !path.startsWith('node_modules'))
  writeFileSync(join(draft, 'inputs.json'), JSON.stringify(inputsOf(root, ['package-lock.json', ...own.sort()])))
  rmSync(target, { recursive: true, force: true })
  renameSync(draft, target)
  await compile(target)
}

async function bundle(modules: Set<string>, entry: string, options: OutputOptions): Promise<void> {
  const input: InputOptions = {
    cwd: root,
    input: { [entry.replace(/^.*\/|\.[^.]*$/g, '')]: join(sources, entry) },
    platform: 'node',
    // what is bundled is nobody's main module
    transform: { define: { 'import.meta.main': 'false' } },
  }
  const built = await rolldown({ ...input, logLevel: 'warn', checks: { eval: false } })
  const { output } = await built.write({
    format: 'cjs',
    banner: '(function(exports,require,module,__filename){"use strict";', // what load-built.js calls
    footer: '})',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    ...options,
    comments: false,
    // names stay: they are what profiles and stacks are read by
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
    sourcemap: 'hidden',
  })
  await built.close()
  for (const chunk of output) {
    if (chunk.type !== 'chunk') continue
    for (const id of chunk.moduleIds) if (id.startsWith(root)) modules.add(id)
    finish(join(options.dir!, chunk.fileName), chunk.map)
  }
}

/** What every server needs goes into one file a stage. */
function serverGroups(): { debugName: string; name: (id: string, context: ModuleInfo) => string | null; priority: number }[] {
  const closureOf = (paths: readonly string[], context: ModuleInfo): Set<string> => {
    const found = new Set<string>()
    const waiting = paths.map((path) => join(sources, path))
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (found.has(id)) continue
      found.add(id)
      waiting.push(...(context.getModuleInfo(id)?.importedIds ?? []))
    }
    return found
  }
  const group = (name: string, priority: number, paths: readonly string[]) => {
    let members: Set<string> | null = null
    return {
      debugName: name,
      priority,
      name: (id: string, context: ModuleInfo) => ((members ??= closureOf(paths, context)).has(id) ? name : null),
    }
  }
  return Object.entries(stages).map(([name, paths], i, all) => group(name, all.length - i, paths))
}

/** Makes the code ASCII, which V8 reads quicker and keeps in half the memory, and writes its table of source places. */
function finish(path: string, map: OutputChunk['map']): void {
  if (map === null) {
    // the bundler's own runtime comes from here
    writeFileSync(`${path}.places`, encodePlaces([relative(root, fileURLToPath(import.meta.url))], [[1, 1, 0, 1]]))
    return
  }
  const lines = readFileSync(path, 'utf8').split('\n')
  const places: [number, number, number, number][] = []
  const paths = map.sources.map((source) => relative(root, join(dirname(path), source)))
  decode(map.mappings).forEach((segments, line) => {
    const wide = Array.from(lines[line]!.matchAll(notAscii), ({ index }) => index)
    let before = 0
    let last = -1
    for (const [column, source, sourceLine] of segments) {
      while (before < wide.length && wide[before]! < column) before++
      const place = source === undefined ? -1 : source * 0x10000 + sourceLine!
      if (place === last || source === undefined) continue
      last = place
      places.push([line + 1, column + 1 + before * (escapeOf('\u00e9').length - 1), source, sourceLine! + 1])
    }
  })
  writeFileSync(path, lines.map((text) => text.replace(notAscii, escapeOf)).join('\n'))
  writeFileSync(`${path}.places`, encodePlaces(paths, places))
  rmSync(`${path}.map`)
}

// in strings, templates, regular expressions and names alike a code unit may be written so
const notAscii = /[^\0-\x7f]/g
const escapeOf = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * Runs what was built, scraping itself, so that V8's compiled code is there from the first start on. What is kept is what one run has used: so it has a
 * snapshot and a log to recover from, which two runs before it leave behind.
 */
async function compile(target: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'promhive-build-'))
  try {
    const configuration = join(directory, 'prometheus.yml')
    const address = `127.0.0.1:${await freePort()}`
    writeFileSync(configuration, configurationOf(address))
    const run = (argv: readonly string[], keep: boolean): ChildProcess =>
      spawn(process.execPath, [join(dirname(target), 'src/cli/promhive.js'), ...argv], {
        stdio: 'ignore',
        env: { ...process.env, PROMHIVE_KEEP_CODE_AFTER_MS: keep ? String(runMs - 500) : 'never' },
      })
    const serve = async (end: NodeJS.Signals, keep: boolean): Promise<void> => {
      const flags = [`--config.file=${configuration}`, `--storage.tsdb.path=${directory}/data`, `--web.listen-address=${address}`]
      const server = run(['serve', ...flags], keep)
      const late = setTimeout(() => server.kill(end), runMs)
      await exitOf(server)
      clearTimeout(late)
    }
    await exitOf(run(['tool', 'check', 'config', configuration], true))
    await serve('SIGTERM', false)
    await serve('SIGKILL', false)
    await serve('SIGTERM', true)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const runMs = 2_000
const configurationOf = (address: string): string =>
  `global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: promhive, static_configs: [{targets: ['${address}']}]}]\n`

const exitOf = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('exit', () => resolve()))

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
