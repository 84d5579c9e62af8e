// Who may import whom. What is not listed is forbidden; a folder imports itself freely. `…` stands for every folder below.
import { posix } from 'node:path'
import { expect, it } from 'vitest'
import { sourceFiles } from './source.ts'

const allowed: Readonly<Record<string, readonly string[]>> = {
  'src/base': [],
  'src/model': ['src/base'],
  'src/kernels': ['src/base'],
  'src/ports': ['src/base', 'src/model'],
  'src/promql': ['src/base', 'src/model', 'src/kernels'],
  'src/tsdb': ['src/base', 'src/model', 'src/kernels', 'src/ports'],
  'src/relabel': ['src/base', 'src/model'],
  'src/template': ['src/base', 'src/model'],
  'src/discovery': ['src/base', 'src/model', 'src/ports'],
  'src/scrape': ['src/base', 'src/model', 'src/ports', 'src/relabel', 'protocols/exposition'],
  'src/rules': ['src/base', 'src/model', 'src/promql', 'src/template', 'protocols/bus'],
  'src/alerting': ['src/base', 'src/model', 'src/ports', 'src/template'],
  'src/config': ['src/base', 'src/model', 'src/relabel', 'src/scrape', 'src/rules', 'src/alerting', 'src/discovery'],
  'src/api': ['src/base', 'src/model', 'protocols'],
  'src/cli': ['src', 'protocols', 'cluster', 'actors'],
  protocols: ['src/base', 'src/model'],
  'cluster/ports.ts': [],
  cluster: ['src/base', 'src/model', 'src/ports', 'protocols', 'cluster'],
  actors: [
    'src/base', 'src/model', 'src/kernels', 'src/ports', 'src/promql', 'src/tsdb', 'src/relabel', 'src/template', 'src/discovery',
    'src/scrape', 'src/rules', 'src/alerting', 'src/config', 'protocols', 'cluster/ports.ts', 'actors',
  ], // prettier-ignore
}
const rooms = Object.keys(allowed).sort((a, b) => b.length - a.length)
const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)

/** [file, imported] for every relative import; `from '…'`, `import '…'` and `import('…')` count alike. */
function relativeImports(): [string, string][] {
  const found: [string, string][] = []
  for (const { path, text } of sourceFiles()) {
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g))
      found.push([path, posix.join(posix.dirname(path), match[1]!)])
  }
  return found
}

it('folders import only what they may', () => {
  const imports = relativeImports()
  const program = imports.filter(([path]) => !within(path, 'test'))
  expect(program.length).toBeGreaterThan(300) // an empty scan proves nothing
  const broken = program.filter(([path, imported]) => {
    const room = rooms.find((folder) => within(path, folder))
    if (room === undefined) return path.includes('/')
    return !within(imported, room) && !allowed[room]!.some((folder) => within(imported, folder))
  })
  expect(broken.map(([path, imported]) => `${path} imports ${imported}`)).toEqual([])
})

it('only the composition root names adapters', () => {
  const broken = relativeImports().filter(
    ([path, imported]) =>
      /^(src\/ports|cluster)\/(node|simulated|embedded|nats)\//.test(imported) &&
      !within(path, 'test') &&
      !within(path, 'src/cli') &&
      !/^(src\/ports|cluster)\/(node|simulated|embedded|nats)\//.test(path),
  )
  expect(broken.map(([path, imported]) => `${path} imports ${imported}`)).toEqual([])
})

it('no file is imported by nothing', () => {
  const imported = new Set(relativeImports().map(([, to]) => to))
  const entries =
    /^(src\/cli\/promhive\.[jt]s|src\/cli\/(serve|build)\/main\.[jt]s|src\/cli\/lane\.ts|src\/ports\/node\/thread\.ts|src\/cli\/tool\/.*|vitest\.config\.ts|test\/support\/(summary-reporter|seed)\.ts|test\/.*\.test\.ts)$/
  const urls = sourceFiles().flatMap(({ path, text }) =>
    Array.from(text.matchAll(/new URL\('(\.[^']+)'/g), (match) => posix.join(posix.dirname(path), match[1]!)),
  )
  const dead = sourceFiles().filter(({ path }) => !imported.has(path) && !entries.test(path) && !urls.includes(path))
  expect(dead.map(({ path }) => path)).toEqual([])
})
