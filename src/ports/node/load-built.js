// Loads what `npm run build` has made: CommonJS files, each with the code V8 compiled of it beside it (x.cjs.code). Node's own compile cache keeps
// only what V8 compiles at once; most functions it compiles when they are first called, so that every start would compile all it runs.
//
// A thread that finds no code it can use (there is none yet, or it is of another Node or another processor) keeps its own when it has run for a
// while, or ends. The build ends with such a run.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { constants, Script } from 'node:vm'
import { withoutHeapFlags } from './heap-flags.js'

const keepAfterMs = Number(process.env['PROMHIVE_KEEP_CODE_AFTER_MS'] ?? 15_000)

/** @type {Map<string, { exports: Record<string, any> }>} by URL */
const loaded = new Map()
/** @type {Map<string, Script>} whose code is to be kept, by path */
const unkept = new Map()

/**
 * What a built file exports.
 * @param {string} url file:///…
 * @returns {Record<string, any>}
 */
function load(url) {
  const known = loaded.get(url)
  if (known !== undefined) return known.exports
  const path = fileURLToPath(url)
  const source = readFileSync(path, 'latin1') // it is ASCII, and a function's expression: see bundle.ts
  const cachedData = codeOf(path)
  const script = new Script(source, { filename: url, cachedData, importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER })
  if (cachedData === undefined || script.cachedDataRejected === true) keepLater(path, script)
  const made = { exports: {} }
  loaded.set(url, made)
  script.runInThisContext()(made.exports, requireFrom(url), made, path)
  return made.exports
}

/**
 * The same for what may be a source as well, which node loads.
 * @param {string} url file:///… of a built file (.cjs) or a source
 * @returns {Promise<Record<string, any>>}
 */
export async function loadProgram(url) {
  return url.endsWith('.cjs') ? load(url) : import(url)
}

/** @param {string} url */
const requireFrom = (url) => (/** @type {string} */ name) => {
  if (name.startsWith('.')) return load(new URL(name, url).href)
  const builtin = process.getBuiltinModule(name)
  if (builtin === undefined) throw new Error(`Cannot find module '${name}'`)
  return builtin
}

/** @param {string} path */
function codeOf(path) {
  try {
    return readFileSync(`${path}.code`)
  } catch {
    return undefined
  }
}

/** @param {string} path @param {Script} script */
function keepLater(path, script) {
  if (unkept.size === 0) {
    // code is taken only under the flags it was compiled with, and a start has none
    const keepAll = () => withoutHeapFlags(keep)
    setTimeout(keepAll, keepAfterMs).unref()
    process.once('exit', keepAll)
  }
  unkept.set(path, script)
}

function keep() {
  for (const [path, script] of unkept) {
    const draft = `${path}.code-${process.pid}`
    try {
      writeFileSync(draft, script.createCachedData())
      renameSync(draft, `${path}.code`)
    } catch {
      // where nothing can be written, starts take longer
    }
  }
  unkept.clear()
}
