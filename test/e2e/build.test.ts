// The built program as an image holds it: what was built, the launcher, package.json and examples, and neither sources nor packages.
import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/processes.ts'
import { node, root, ServerHome, type Server } from '../support/server.ts'

const { path: image, remove } = temporaryDirectory()
const launcher = join(image, 'src/cli/promhive.js')
let home: ServerHome
let server: Server
beforeAll(async () => {
  const plain = readdirSync(join(root, 'src/ports/node')).filter((name) => name.endsWith('.js'))
  for (const path of [
    'package.json',
    'examples',
    'src/cli/promhive.js',
    'src/cli/build/inputs.js',
    ...plain.map((name) => `src/ports/node/${name}`),
  ]) {
    cpSync(join(root, path), join(image, path), { recursive: true })
  }
  execFileSync(node, [join(root, 'src/cli/build/main.js'), join(image, 'dist')], { stdio: 'pipe' })
  home = new ServerHome({ config: 'global: {scrape_interval: 1s}\n', launcher, flags: ['--web.enable-remote-write-receiver'] })
  server = await home.start()
}, 60_000)
afterAll(async () => {
  await server?.stop()
  home?.remove()
  remove()
})

it('answers, what is loaded on demand included', async () => {
  expect(await server.value('vector(1)')).toBe(1)
  // a path with parameters, and a file of the inspector's
  expect(await server.api('label/job/values')).toEqual([])
  expect((await fetch(`${server.url}/debug/pprof/heap`)).status).toBe(200)
})

it('finds the code of all a start loads as the build has kept it', async () => {
  const kept = (): number[] =>
    ['serve/main', 'serve/start', 'serve/storage', 'serve/server', 'serve/thread', 'lane', 'tool/main'].map(
      (name) => statSync(join(image, `dist/cli/${name}.cjs.code`)).mtimeMs,
    )
  const before = kept()
  // what finds none, or cannot use what it finds, keeps its own at its end at the latest
  await server.stop()
  expect(kept()).toEqual(before)
  server = await home.start()
})

it('names the sources in log lines, stacks and profiles', async () => {
  expect(server.log).toMatch(/source=server\.ts:\d+ msg="Server is ready/)
  const answer = fetch(`${server.url}/debug/pprof/profile?seconds=1`)
  for (const start = Date.now(); Date.now() - start < 1_000;) await server.value('vector(1)')
  const profile = gunzipSync(await (await answer).bytes()).toString('latin1')
  expect(profile).toContain('src/api/')
  expect(profile).not.toContain('/dist/cli/')
})

it('runs tools', () => {
  const tool = (...argv: readonly string[]): string =>
    execFileSync(node, [launcher, 'tool', ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  expect(tool('check', 'config', join(image, 'examples/prometheus.yml'))).toContain('SUCCESS')
  // with a storage, and on its directory
  home.write('series.json', '{"__name__":"m","i":"1"}\n{"__name__":"m","i":"2"}\n')
  const out = join(home.path, 'bench')
  expect(tool('tsdb', 'bench', 'write', `--out=${out}`, '--metrics=2', '--scrapes=250', join(home.path, 'series.json'))).toContain('500')
  expect(tool('tsdb', 'dump', join(out, 'storage')).trimEnd().split('\n')).toHaveLength(500)
})
