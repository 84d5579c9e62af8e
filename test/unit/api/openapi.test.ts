// The description of the API that the server serves, against the routes there are.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { operations } from '../../../src/api/openapi-operations.ts'
import { startRig, type Rig } from '../../support/fake-api-backend.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ externalUrl: 'http://example.com/prom' })
})
afterAll(() => rig.api.close(0))

type Document = {
  openapi: string
  servers: { url: string }[]
  tags: { name: string; summary?: string }[]
  paths: Record<string, Record<string, { tags: string[]; operationId: string; responses: Record<string, unknown> }>>
  components: { schemas: Record<string, unknown> }
}
async function served(version = ''): Promise<Document> {
  const answer = await fetch(`${rig.url}/api/v1/openapi.yaml?openapi_version=${version}`)
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
    200,
    'application/yaml; charset=utf-8',
    'no-cache, no-store, must-revalidate',
  ])
  return parse(await answer.text()) as Document
}

it('comes as 3.1 unless 3.2 is asked for', async () => {
  for (const [asked, version] of [
    ['', '3.1.0'],
    ['3.1', '3.1.0'],
    ['3.2', '3.2.0'],
    ['3.2.0', '3.2.0'],
    ['4', '3.1.0'],
  ] as const) {
    expect((await served(asked)).openapi).toBe(version)
  }
  const [old, now] = [await served('3.1'), await served('3.2')]
  expect(old.servers).toEqual([{ url: 'http://example.com/prom/api/v1' }])
  expect([old.tags[0]!.summary, now.tags[0]!.summary]).toEqual([undefined, 'Query'])
  expect(Object.keys(now.paths).filter((path) => !(path in old.paths))).toEqual(['/notifications/live'])
})

it('names every route, and none that is not there', async () => {
  const { paths } = await served('3.2')
  for (const [path, methods] of Object.entries(paths)) {
    // a method nobody has: the answer tells those there are
    const answer = await fetch(`${rig.url}/api/v1${path.replace(/\{[a-z]+\}/, 'x')}`, { method: 'PATCH' })
    expect([path, answer.status, answer.headers.get('allow')]).toEqual([
      path,
      405,
      Object.keys(methods)
        .map((method) => method.toUpperCase())
        .sort()
        .join(', '),
    ])
  }
  const families = await rig.backend.registry.gather()
  const handlers = families
    .find(({ name }) => name === 'prometheus_http_requests_total')!
    .samples.map(({ labels }) => labels[labels.indexOf('handler') + 1]!)
  const routes = new Set(handlers.filter((handler) => handler.startsWith('/api/v1/') && !handler.includes('*')))
  const described = Object.keys(paths).map((path) => `/api/v1${path.replace(/\{([a-z]+)\}/g, ':$1')}`)
  // OTLP answers 404 here; the document does not describe itself
  expect([...routes].sort()).toEqual([...described, '/api/v1/openapi.yaml', '/api/v1/otlp/v1/metrics'].sort())
})

it('is whole: names are used once, references lead somewhere, and what is defined is used', async () => {
  for (const version of ['3.1', '3.2']) {
    const document = await served(version)
    const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId))
    expect(new Set(ids).size).toBe(ids.length)
    const known = new Set(document.tags.map(({ name }) => name))
    for (const methods of Object.values(document.paths))
      for (const { tags } of Object.values(methods)) expect(tags.filter((tag) => !known.has(tag))).toEqual([])
    const used = new Set(Array.from(JSON.stringify(document).matchAll(/"#\/components\/schemas\/([A-Za-z]+)"/g), ([, name]) => name!))
    expect([...used].filter((name) => !(name in document.components.schemas))).toEqual([])
    expect(Object.keys(document.components.schemas).filter((name) => !used.has(name))).toEqual([])
  }
  expect(operations.length).toBeGreaterThan(35)
})
