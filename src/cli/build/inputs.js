// What `npm run build` has made, and whether it is still what the sources say. Plain JavaScript, as the launcher is.
//
//   dist/inputs.json      [path from the root, size in bytes, time of change in ms] of every file of ours that went in
//   dist/cli/serve/       the server: main.cjs and what it loads later; thread.cjs
//   dist/cli/tool/        the tools; thread.cjs
//   dist/cli/lane.cjs     the storage worker's program
// Beside each file: what V8 compiled of it (.code, see src/ports/node/load-built.js) and where in the sources it comes from (.places).
// Folders lie as deep as in src/, so that a path from a module to package.json or examples/ holds in both.
import { readFileSync, statSync } from 'node:fs'

/** @typedef {[path: string, size: number, mtimeMs: number]} Input */

/**
 * Whether dist/ under the root was built of the sources that lie there. Where there are none (an image, a package), what is built is the program.
 * Costs a few milliseconds: one stat a file.
 * @param {string} root
 */
export function isBuilt(root) {
  /** @type {Input[]} */
  let inputs
  try {
    inputs = JSON.parse(readFileSync(`${root}/dist/inputs.json`, 'utf8'))
  } catch {
    return false // never built, or being built
  }
  if (statSync(`${root}/src/cli/serve`, { throwIfNoEntry: false }) === undefined) return true
  const orNothing = { throwIfNoEntry: false }
  return inputs.every(([path, size, mtimeMs]) => {
    const now = statSync(`${root}/${path}`, orNothing)
    return now !== undefined && now.size === size && now.mtimeMs === mtimeMs
  })
}

/**
 * @param {string} root
 * @param {Iterable<string>} paths from the root
 * @returns {Input[]}
 */
export function inputsOf(root, paths) {
  return Array.from(paths, (path) => {
    const { size, mtimeMs } = statSync(`${root}/${path}`)
    return [path, size, mtimeMs]
  })
}
