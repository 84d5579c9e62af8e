// Answers of the real routes against the schemas of Prometheus' own OpenAPI document, and the edge's part of the feature list.
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { features } from '../../src/api/status-routes.ts'
import { openApiDocument } from '../../src/api/openapi.ts'
import { defaultApiOptions } from '../../src/api/options.ts'
import { utf8Bytes } from '../../src/base/bytes.ts'
import { startRig, type Rig } from '../support/fake-api-backend.ts'
import { schemaProblems, type OpenApi, type Operation } from '../support/openapi.ts'

const folder = resolve(import.meta.dirname, '../../../shared/conformance/api')
const here = existsSync(`${folder}/openapi_3.1_golden.yaml`)
if (!here) it.skip('conformance data is not at ../shared/conformance/api: nothing to compare with', () => {})

/** Routes of the document that this part of the program does not answer, or whose answers are not JSON. */
const elsewhere = new Set(['/read', '/write', '/otlp/v1/metrics', '/search/metric_names', '/search/label_names', '/search/label_values'])
/** Where the document's own examples would not do. */
const parameters: Readonly<Record<string, string>> = {
  '/query_range': 'query=up&start=1&end=2&step=1',
  '/series': 'match[]=up',
  '/scrape_pools/config': 'scrapePool=node',
  '/targets/relabel_steps': `scrapePool=node&labels=${encodeURIComponent('{"a":"b"}')}`,
  '/admin/tsdb/delete_series': 'match[]=up',
  '/targets/metadata': '',
  '/rules': '',
  '/status/self_metrics': '',
  '/format_query': 'query=up',
  '/parse_query': 'query=up',
  '/query': 'query=up',
  '/query_exemplars': 'query=up',
}

const golden = here
  ? (parse(readFileSync(`${folder}/openapi_3.1_golden.yaml`, 'utf8'), { maxAliasCount: -1 }) as OpenApi)
  : { paths: {}, components: { schemas: {} } }
const ours = openApiDocument('3.1.0', { serverUrl: '/api/v1', version: '1', has: () => true }) as unknown as OpenApi

describe.skipIf(!here)('OpenAPI 3.1 document of Prometheus', () => answersAreAsDescribed(golden, true))
describe('OpenAPI 3.1 document of our own', () => answersAreAsDescribed(ours, false))

function answersAreAsDescribed(document: OpenApi, hasExamples: boolean): void {
  let rig: Rig
  beforeAll(async () => {
    rig = await startRig({ enableAdminApi: true })
    rig.notifications.add('Configuration reload has failed.')
    rig.backend.answer = {
      data: [
        utf8Bytes('{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1767436620,"1"]]},{"metric":{},'),
        utf8Bytes('"histograms":[[1767436620.5,{"count":"2","sum":"1","buckets":[[0,"0.5","1","2"]]}]]}]}'),
      ],
      truncated: true,
      warnings: ['w'],
      infos: ['i'],
    }
  })
  afterAll(() => rig.api.close(0))

  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => ['get', 'post', 'put'].includes(method) && !elsewhere.has(path))
      .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  it('has the routes it is known to have', () => expect(operations.length).toBeGreaterThan(35))

  for (const { path, method, operation } of operations) {
    const schemaOf = (status: string): Parameters<typeof schemaProblems>[1] | undefined =>
      (operation as Operation).responses[status]?.content?.['application/json']?.schema
    it(`${method} ${path} answers as described`, async () => {
      const query = parameters[path] ?? ''
      const url = `${rig.url}/api/v1${path.replace('{name}', 'job')}`
      const isForm = method === 'POST' && !path.startsWith('/admin')
      const answer = await (isForm ? fetch(url, { method, body: new URLSearchParams(query) }) : fetch(`${url}?${query}`, { method }))
      if (answer.status === 204) {
        expect(operation.responses['204'] ?? operation.responses['200']).toBeDefined()
        return
      }
      expect(answer.status).toBe(200)
      const schema = schemaOf('200')
      expect(schema).toBeDefined()
      expect(schemaProblems(document, schema!, await answer.json())).toEqual([])
    })
    it(`${method} ${path} refuses as described`, async () => {
      const answer = await fetch(`${rig.url}/api/v1${path.replace('{name}', 'U__')}?limit=x&start=x&type=x&query=%28&group_limit=x`, {
        method,
      })
      if (answer.status >= 400) expect(schemaProblems(document, schemaOf('default')!, await answer.json())).toEqual([])
      else expect(answer.status).toBeLessThan(300)
    })
  }

  if (!hasExamples) return
  it('the validator takes the document’s own examples, and refuses damaged ones', () => {
    let examples = 0
    for (const { operation, path } of operations) {
      const content = operation.responses['200']?.content?.['application/json']
      for (const { value } of Object.values(content?.examples ?? {})) {
        if (content?.schema === undefined) continue
        examples++
        expect([path, schemaProblems(document, content.schema, value)]).toEqual([path, []])
        expect(schemaProblems(document, content.schema, { ...(value as object), status: 'odd' }).length).toBeGreaterThan(0)
        expect(schemaProblems(document, content.schema, { ...(value as object), extra: 1 }).length).toBeGreaterThan(0)
      }
    }
    expect(examples).toBeGreaterThan(30)
  })
}

it.skipIf(!here)('features the edge answers for are those of Prometheus by default', () => {
  const golden = JSON.parse(readFileSync(`${folder}/features.json`, 'utf8')) as Record<string, Record<string, boolean>>
  const ours = features({ ...defaultApiOptions, listenAddresses: [], externalUrl: '', seed: 0 }, {})
  for (const [category, names] of Object.entries(ours)) {
    expect([category, names]).toEqual([category, golden[category]])
    expect(Object.keys(names)).toEqual(Object.keys(golden[category]!))
  }
  const merged = features({ ...defaultApiOptions, listenAddresses: [], externalUrl: '', seed: 0 }, golden)
  expect(JSON.stringify(merged)).toBe(JSON.stringify(golden))
})

describe.skipIf(!here)('our document has what Prometheus has', () => {
  for (const version of ['3.1', '3.2'] as const) {
    it(`operations and parameters of ${version}`, () => {
      const theirs = parse(readFileSync(`${folder}/openapi_${version}_golden.yaml`, 'utf8'), { maxAliasCount: -1 }) as OpenApi
      const own = openApiDocument(`${version}.0`, { serverUrl: '/api/v1', version: '1', has: () => true }) as unknown as OpenApi
      expect(asked(own)).toEqual(asked(theirs))
      const names = Object.keys(theirs.components.schemas).filter((name) => !/^(DeleteSeries|CleanTombstones)OutputBody$/.test(name))
      expect(names.filter((name) => !(name in own.components.schemas))).toEqual([])
    })
  }

  /** Parameters by method and path, those in forms too; with a star where they are needed. */
  function asked({ paths, components }: OpenApi): Record<string, string[]> {
    const out: Record<string, string[]> = {}
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { parameters = [], requestBody } = operation as Operation & {
          requestBody?: { content: Record<string, { schema?: { $ref?: string } }> }
        }
        const form = requestBody?.content['application/x-www-form-urlencoded']?.schema?.$ref?.replace('#/components/schemas/', '')
        const schema = form === undefined ? {} : components.schemas[form]!
        out[`${method} ${path}`] = [
          ...parameters.map(({ name, required }) => name + (required === true ? '*' : '')),
          ...Object.keys(schema.properties ?? {}).map((name) => name + (schema.required?.includes(name) === true ? '*' : '')),
        ].sort()
      }
    }
    return out
  }
})
