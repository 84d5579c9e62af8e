import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { consoles, userAssets } from '../../../src/cli/serve/pages.ts'
import { labelsFromObject } from '../../../src/model/labels.ts'

const root = mkdtempSync(join(tmpdir(), 'promhive-pages-'))
afterAll(() => rmSync(root, { recursive: true }))
for (const name of ['templates', 'libraries', 'assets']) mkdirSync(join(root, name))
writeFileSync(join(root, 'secret.txt'), 'secret')
writeFileSync(join(root, 'assets/a.css'), 'b{}')
symlinkSync(join(root, 'secret.txt'), join(root, 'assets/link.txt'))
writeFileSync(join(root, 'libraries/one.lib'), '{{ define "head" }}<h1>{{ end }}')
writeFileSync(
  join(root, 'templates/index.html'),
  '{{ template "head" }}{{ range query "up" }}{{ .Labels.job }} {{ .Value }}{{ end }}</h1>{{ .Params.x }} {{ .ExternalLabels.site }}',
)
writeFileSync(join(root, 'templates/bad.html'), '{{ nothing }}')

const pages = consoles({
  templates: join(root, 'templates'),
  libraries: join(root, 'libraries'),
  externalUrl: 'http://localhost:9090',
  externalLabels: () => labelsFromObject({ site: 'a' }),
  query: (expr, timeMs, _signal, from) => {
    asked.push(from)
    return Promise.resolve({ labels: [labelsFromObject({ job: expr })], values: Float64Array.of(timeMs), warnings: [] })
  },
  nowMs: () => 5000,
  monotonicMs: () => 0,
})
const { signal } = new AbortController()
const origin = { clientIp: '127.0.0.1', method: 'GET', path: '/consoles/index.html' }
const asked: unknown[] = []

it('console templates', async () => {
  expect(pages.indexPath).toBe('/consoles/index.html')
  expect(await pages.expand('index.html', { x: ['<i>'] }, origin, signal)).toBe('<h1>up 5000</h1>&lt;i&gt; a')
  expect(asked).toEqual([{ httpRequest: { clientIP: '127.0.0.1', method: 'GET', path: '/consoles/index.html' } }])
  expect(await pages.expand('none.html', {}, origin, signal)).toBeNull()
  expect(await pages.expand('../secret.txt', {}, origin, signal)).toBeNull()
  await expect(pages.expand('bad.html', {}, origin, signal)).rejects.toThrow(/function "nothing" not defined/)
})

it('user assets stay in their directory', async () => {
  const assets = userAssets(join(root, 'assets'))!
  expect(await assets.find('a.css')).toMatchObject({ contentType: 'text/css; charset=utf-8' })
  for (const path of ['none', 'link.txt', '../secret.txt', '']) expect(await assets.find(path)).toBeNull()
  expect(userAssets('')).toBeNull()
})
