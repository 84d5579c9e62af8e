import { expect, it } from 'vitest'
import { sourceFiles } from './source.ts'

const adapters = /^(src\/ports\/node|src\/cli|src\/ui|cluster\/nats|test)\//

/** Code without comments and string contents: good enough to look for names. */
function code(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
}

it('clock, randomness, timers, network, files and environment stay in adapters', () => {
  const files = sourceFiles().filter(({ path }) => !adapters.test(path) && path.includes('/'))
  expect(files.length).toBeGreaterThan(150)
  const banned =
    /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\s*\(|\bfetch\s*\(|\bprocess\.|\bperformance\.now\b/
  const broken = files.filter(({ text }) => {
    // a port's method or an XState clock may be called setTimeout: only free calls count
    const found = code(text)
      .replaceAll("process.getBuiltinModule('')", '')
      .match(new RegExp(`(?<![.\\w])(?:${banned.source})`))
    return found !== null
  })
  expect(broken.map(({ path }) => path)).toEqual([])
  // the HTTP edge is made of Node's servers; it has no business with files, processes and timers
  const edge = /^src\/api\//
  const served = /from 'node:(?:http|http2|https|net|tls|zlib|crypto|stream\/promises)'/g
  const modules = files
    .map(({ path, text }) => ({ path, text: edge.test(path) ? text.replace(served, '') : text }))
    .filter(({ text }) => /from 'node:(?!events\b|stream\b)/.test(text) && !/^\/\/ tidy: node/m.test(text))
  expect(modules.map(({ path }) => path)).toEqual([])
})

/** Files that may be long, with the reason. */
const long: Readonly<Record<string, string>> = {}

it('files are small', () => {
  const broken = sourceFiles().filter(({ path, text }) => text.split('\n').length > 600 && !(path in long) && !path.startsWith('test/'))
  expect(broken.map(({ path, text }) => `${path}: ${text.split('\n').length} lines`)).toEqual([])
})

it('names say what is inside', () => {
  const broken = sourceFiles().filter(
    ({ path }) => /(^|\/)(utils?|helpers?|types|index|common)\.tsx?$/.test(path) || /[A-Z_]/.test(path.split('/').at(-1)!),
  )
  expect(broken.map(({ path }) => path)).toEqual([])
})

it('no unfinished work on main', () => {
  const broken = sourceFiles().filter(
    ({ path, text }) =>
      !path.startsWith('test/tidy/') &&
      (/\b(TODO|FIXME|XXX)\b/.test(text) || /\.(only|todo)\(/.test(code(text)) || /@ts-(ignore|expect-error)|as any\b/.test(text)),
  )
  expect(broken.map(({ path }) => path)).toEqual([])
})
