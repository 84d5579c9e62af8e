// Loads what `npm run build` has made: CommonJS files, each with the code V8 compiled of it beside it. Node's own compile cache keeps only what V8
// compiles at once; most functions it compiles when they are first called, so that every start would compile all it runs.
//
//   x.cjs.code   CRC-32 of x.cjs u32 │ CRC-32 of the rest u32 │ what V8 compiled of x.cjs
//
// A thread that finds no code it can use (there is none yet, or it is of another Node or another processor) keeps its own when it has run for a
// while, or ends. The build ends with such a run.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { constants, Script } from 'node:vm'
import { crc32 } from 'node:zlib'
import { withoutHeapFlags } from './heap-flags.js'

/** Where it is no number nothing is kept. */
const keepAfterMs = Number(process.env['PROMHIVE_KEEP_CODE_AFTER_MS'] ?? 15_000)
const headBytes = 8

/** @type {Map<string, { exports: Record<string, any> }>} by URL */
const loaded = new Map()
/** @type {Map<string, { script: Script, sourceCrc: number }>} whose code is to be kept, by path */
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
  const source = readFileSync(path)
  const sourceCrc = crc32(source)
  const cachedData = codeOf(path, sourceCrc)
  // it is ASCII, and a function's expression: see bundle.ts
  const script = new Script(source.toString('latin1'), {
    filename: url,
    cachedData,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  if (cachedData === undefined || script.cachedDataRejected === true) keepLater(path, script, sourceCrc)
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

/**
 * V8 itself would take the code of any source that is as long as this one.
 * @param {string} path @param {number} sourceCrc
 */
function codeOf(path, sourceCrc) {
  try {
    const bytes = readFileSync(`${path}.code`)
    const code = bytes.subarray(headBytes)
    return bytes.readUInt32LE(0) === sourceCrc && bytes.readUInt32LE(4) === crc32(code) ? code : undefined
  } catch {
    return undefined
  }
}

/** @param {string} path @param {Script} script @param {number} sourceCrc */
function keepLater(path, script, sourceCrc) {
  if (Number.isNaN(keepAfterMs)) return
  if (unkept.size === 0) {
    // code is taken only under the flags it was compiled with, and a start has none
    const keepAll = () => withoutHeapFlags(keep)
    setTimeout(keepAll, keepAfterMs).unref()
    process.once('exit', keepAll)
  }
  unkept.set(path, { script, sourceCrc })
}

function keep() {
  for (const [path, { script, sourceCrc }] of unkept) {
    const code = script.createCachedData()
    const head = Buffer.alloc(headBytes)
    head.writeUInt32LE(sourceCrc, 0)
    head.writeUInt32LE(crc32(code), 4)
    const draft = `${path}.code-${process.pid}`
    try {
      const file = openSync(draft, 'w')
      try {
        writeSync(file, head)
        writeSync(file, code)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(draft, `${path}.code`)
    } catch {
      // where nothing can be written, starts take longer
    }
  }
  unkept.clear()
}
