// GET /api/v1/openapi.yaml: the API's own description (FEATURES 6.42), made of the table in openapi-operations.ts and of the routes that are really there.
import { stringify } from 'yaml'
import type { Answer } from './envelope.ts'
import { operations, tags, type Operation, type Parameter } from './openapi-operations.ts'
import { ref, schemas, text, type Schema } from './openapi-schemas.ts'
import type { Edge, Route } from './routes.ts'

export type OpenApiVersion = '3.1.0' | '3.2.0'

export type OpenApiAbout = Readonly<{
  /** Where users reach the API, with /api/v1. */
  serverUrl: string
  version: string
  /** Whether a path below /api/v1 answers to a method. */
  has: (method: string, path: string) => boolean
}>

const prefix = '/api/v1'

/** The route. @param routes all others. */
export function openApiRoute({ backend, options }: Edge, routes: readonly Route[]): Route {
  const there = new Set(routes.flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`)))
  const has = (method: string, path: string): boolean =>
    there.has(`${method} ${prefix}${path}`) && (path !== '/otlp/v1/metrics' || (options.enableOtlpReceiver && backend.otlp !== null))
  const written = new Map<OpenApiVersion, string>()
  return {
    methods: ['GET'],
    path: `${prefix}/openapi.yaml`,
    handler: ({ form }): Answer => {
      const wanted = form.first('openapi_version')
      const version: OpenApiVersion = wanted === '3.2' || wanted === '3.2.0' ? '3.2.0' : '3.1.0'
      let body = written.get(version)
      if (body === undefined) {
        const about = { serverUrl: options.externalUrl + prefix, version: backend.status.buildInfo().version, has }
        body = stringify(openApiDocument(version, about), { aliasDuplicateObjects: false, lineWidth: 0 })
        written.set(version, body)
      }
      return {
        status: 200,
        contentType: 'application/yaml; charset=utf-8',
        body,
        headers: { 'Cache-Control': 'no-cache, no-store, must-revalidate' },
      }
    },
  }
}

export function openApiDocument(version: OpenApiVersion, { serverUrl, version: release, has }: OpenApiAbout): Schema {
  const described = operations.filter(({ since32 }) => version === '3.2.0' || since32 !== true)
  const forms: Record<string, Schema> = {}
  const paths: Record<string, Record<string, Schema>> = {}
  for (const operation of described) {
    for (const method of operation.methods) {
      if (!has(method, operation.path)) continue
      const path = operation.path.replace(/:([a-z]+)/g, '{$1}')
      ;(paths[path] ??= {})[method.toLowerCase()] = operationOf(operation, method, forms)
    }
  }
  return {
    openapi: version,
    info: {
      title: 'Prometheus API of Promhive',
      description: 'Queries, metadata, status and administration of a Promhive server, which answers as Prometheus does.',
      version: release,
    },
    servers: [{ url: serverUrl }],
    tags: tags.map(([name, summary, description]) => ({ name, ...(version === '3.2.0' && { summary }), description })),
    paths,
    components: { schemas: { ...schemas, ...forms } },
  }
}

function operationOf(operation: Operation, method: string, forms: Record<string, Schema>): Schema {
  const { tag, id, summary, description, methods, parameters = [], takes } = operation
  const isForm = method === 'POST' && methods.includes('GET')
  const inUrl = isForm ? parameters.filter((parameter) => parameter.in === 'path') : parameters
  let requestBody: Schema | null = null
  if (isForm) {
    const name = `${id.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())}PostInputBody`
    forms[name] = formOf(parameters)
    requestBody = { required: true, content: { 'application/x-www-form-urlencoded': { schema: ref(name) } } }
  } else if (takes !== undefined) {
    const schema = { type: 'string', format: 'binary' }
    requestBody = { required: true, content: Object.fromEntries(takes.map((type) => [type, { schema }])) }
  }
  return {
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    operationId: method === methods[0] ? id : `${id}-${method.toLowerCase()}`,
    ...(inUrl.length > 0 && { parameters: inUrl.map(parameterOf) }),
    ...(requestBody !== null && { requestBody }),
    responses: responsesOf(operation),
  }
}

function parameterOf({ name, description, schema, example, required = false, in: place = 'query' }: Parameter): Schema {
  return {
    name,
    in: place,
    description,
    required,
    // lists are given as the parameter again and again
    ...(place === 'query' && { explode: schema['type'] === 'array' }),
    schema,
    examples: { example: { value: example } },
  }
}

function formOf(parameters: readonly Parameter[]): Schema {
  const required = parameters.filter((parameter) => parameter.required === true).map(({ name }) => name)
  return {
    type: 'object',
    properties: Object.fromEntries(
      parameters.map(({ name, description, schema }) => [
        name,
        '$ref' in schema ? { allOf: [schema], description } : { ...schema, description },
      ]),
    ),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

function responsesOf({ answer, plainErrors = false }: Operation): Schema {
  const failure = plainErrors
    ? { description: 'Refused or failed.', content: { 'text/plain': { schema: text } } }
    : { description: 'Refused or failed.', content: { 'application/json': { schema: ref('Error') } } }
  switch (answer.kind) {
    case 'json':
      return { '200': { description: 'Done.', content: { 'application/json': { schema: ref(answer.schema) } } }, default: failure }
    case 'nothing':
      return { '204': { description: 'Done.' }, default: failure }
    case 'lines':
      return { '200': { description: answer.description, content: { 'application/x-ndjson': { schema: text } } }, default: failure }
    case 'protobuf':
      return {
        '200': { description: answer.description, content: { 'application/x-protobuf': { schema: { type: 'string', format: 'binary' } } } },
        default: failure,
      }
    case 'events': {
      const data = { type: 'string', contentMediaType: 'application/json', contentSchema: ref('Notification') }
      const itemSchema = { type: 'object', properties: { data }, required: ['data'], additionalProperties: false }
      return { '200': { description: answer.description, content: { 'text/event-stream': { itemSchema } } }, default: failure }
    }
  }
}
