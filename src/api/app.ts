// All routes: readiness, CORS, request metrics, failures, answers. A path without parameters is found here, the rest by Fastify (router.ts); bodies are
// read here, because each kind has its own limits.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Cancel } from '../base/cancel.ts'
import { messageOf, PromhiveError } from '../base/errors.ts'
import { releasePages } from '../base/shared-pages.ts'
import { compileRegex } from '../model/regex.ts'
import { failure, failureOf, plain, plainError, type Answer } from './envelope.ts'
import { federateRoute } from './federate.ts'
import { manageRoutes } from './manage-routes.ts'
import { openApiRoute } from './openapi.ts'
import { Form, formBytesMax } from './parameters.ts'
import { queryRoutes } from './query-routes.ts'
import { respond } from './responder.ts'
import type { RoutedPath, Router, Serve } from './router.ts'
import type { ApiRequest, Edge, Route } from './routes.ts'
import { ruleRoutes } from './rule-routes.ts'
import { searchRoutes } from './search-routes.ts'
import { adminRoutes, statusRoutes } from './status-routes.ts'
import { targetRoutes } from './target-routes.ts'
import { readBody, writeRoutes } from './write-routes.ts'

const apiPrefix = '/api/v1/'

/** Serves one request; the same for every listener. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

/** @returns `close` resolves when what serves routes with parameters has ended. */
export function buildApp(edge: Edge): { handle: RequestHandler; close: () => Promise<void> } {
  const { options, clock, metrics, backend } = edge

  const requests = metrics.counter('prometheus_http_requests_total', 'Counter of HTTP requests.', ['handler', 'code'])
  const durations = metrics.histogram(
    'prometheus_http_request_duration_seconds',
    'Histogram of latencies for HTTP requests.',
    [0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120],
    ['handler'],
  )
  const sizes = metrics.histogram(
    'prometheus_http_response_size_bytes',
    'Histogram of response size for HTTP requests.',
    [100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
    ['handler'],
  )
  metrics.collect(() => [
    {
      name: 'prometheus_ready',
      help: 'Whether Prometheus startup was fully completed and the server is ready for normal operation.',
      kind: 'gauge',
      samples: [{ suffix: '', labels: [], value: backend.life.state() === 'ready' ? 1 : 0 }],
    },
  ])

  const cors = corsHeaders(options.corsOrigin)
  const prefix = options.routePrefix === '/' ? '' : options.routePrefix
  const routes: Route[] = [
    ...queryRoutes(edge),
    ...searchRoutes(edge),
    ...targetRoutes(edge),
    ...ruleRoutes(edge),
    ...statusRoutes(edge),
    ...adminRoutes(edge),
    ...writeRoutes(edge),
    federateRoute(edge),
    ...manageRoutes(edge),
    { methods: ['OPTIONS'], path: '/api/v1/*', label: '/api/v1/*path', handler: () => ({ status: 204, contentType: '', body: '' }) },
  ]

  /** Routes without parameters by their path, then by method: found without Fastify's help. */
  const direct = new Map<string, Map<string, Serve>>()
  const paths: RoutedPath[] = []
  routes.push(openApiRoute(edge, routes))

  for (const route of routes) {
    const label = route.label ?? route.path
    const isApi = route.api ?? route.path.startsWith(apiPrefix)
    const compress = route.compress ?? isApi
    const vary = isApi ? (compress ? 'Accept-Encoding, Origin' : 'Origin') : compress ? 'Accept-Encoding' : ''
    const ok = requests.labels(label, '200')
    const duration = durations.labels(label)
    const size = sizes.labels(label)
    const serve: Serve = (raw, response, parameters, ip) => {
      const startMs = clock.monotonicMs()
      const gone = new Cancel()
      let sent = 0
      let body: Answer['body'] = ''
      response.on('close', () => {
        if (typeof body !== 'string') releasePages(body)
        if (!response.writableFinished) gone.cancel()
        if (response.statusCode === 200) ok.inc()
        else requests.labels(label, String(response.statusCode)).inc()
        duration.observe((clock.monotonicMs() - startMs) / 1000)
        size.observe(sent)
      })
      const headers: Record<string, string | number> = {}
      if (vary !== '') headers['Vary'] = vary
      const { origin } = raw.headers
      if (isApi && origin !== undefined && origin !== '') for (const [name, value] of cors(origin)) headers[name] = value
      const send = async (answer: Awaited<ReturnType<Route['handler']>>): Promise<void> => {
        const late = response.destroyed || response.headersSent
        if (typeof answer === 'function') {
          if (late) return
          for (const name in headers) response.setHeader(name, headers[name]!)
          await answer(response)
        } else if (late) {
          if (typeof answer.body !== 'string') releasePages(answer.body)
        } else {
          ;({ body } = answer)
          sent = await respond(raw, response, answer, compress, headers)
        }
      }
      run(edge, route, raw, parameters, ip, prefix, gone, isApi)
        .then(send)
        .catch((thrown: unknown) => {
          edge.logger.error({ err: messageOf(thrown), handler: label }, 'Error while sending an answer')
          response.destroy()
        })
    }
    const path = prefix + route.path
    paths.push({ methods: route.methods, path, serve })
    if (/[:*]/.test(path)) continue
    const methods = direct.get(path) ?? new Map<string, Serve>()
    direct.set(path, methods)
    for (const method of route.methods) methods.set(method, serve)
  }

  const allowed = allowedMethods(routes)
  const answerMissing = (raw: IncomingMessage): Answer => missing(raw, prefix, allowed, externalPrefix(options.externalUrl))
  let router: Router | null = null
  let loading: Promise<Router> | null = null
  const load = (): Promise<Router> =>
    (loading ??= import('./router.ts')
      .then(({ buildRouter }) => buildRouter(paths, prefix + apiPrefix, answerMissing))
      .then((built) => (router = built)))
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const url = request.url ?? '/'
    const at = url.indexOf('?')
    const found = direct.get(at < 0 ? url : url.slice(0, at))?.get(request.method ?? '')
    if (found !== undefined) found(request, response, noParameters, request.socket.remoteAddress ?? '')
    else if (router !== null) router.route(request, response)
    else {
      load().then(
        ({ route }) => route(request, response),
        (thrown: unknown) => {
          loading = null
          edge.logger.error({ err: messageOf(thrown) }, 'Cannot load the router')
          response.destroy()
        },
      )
    }
  }
  return { handle, close: async () => (await loading)?.close() }
}

const noParameters: Record<string, string> = {}

async function run(
  edge: Edge,
  route: Route,
  raw: IncomingMessage,
  parameters: Record<string, string>,
  remoteAddress: string,
  prefix: string,
  gone: Cancel,
  isApi: boolean,
): Promise<Awaited<ReturnType<Route['handler']>>> {
  if (route.needsReady !== false) {
    const state = edge.backend.life.state()
    if (state !== 'ready') return plain(503, 'Service Unavailable', { 'X-Prometheus-Stopping': String(state === 'stopping') })
  }
  try {
    if (route.serverOnly === true && edge.options.agent) throw new PromhiveError('PROMQL_EXECUTION', 'unavailable with Prometheus Agent')
    const url = raw.url ?? '/'
    const at = url.indexOf('?')
    const query = at < 0 ? '' : url.slice(at + 1)
    const form = new Form()
    if (route.ownBody !== true && (raw.method === 'POST' || raw.method === 'PUT')) await readForm(raw, form)
    form.add(query)
    const request: ApiRequest = {
      method: raw.method ?? 'GET',
      path: (at < 0 ? url : url.slice(0, at)).slice(prefix.length),
      query,
      parameters,
      form,
      header: (name) => {
        const value = raw.headers[name]
        return Array.isArray(value) ? value.join(', ') : (value ?? '')
      },
      remoteAddress,
      gone,
      get signal() {
        return signalOf(gone)
      },
      raw,
    }
    return await route.handler(request)
  } catch (thrown) {
    if (isApi) return failureOf(thrown, edge.logger)
    const known = thrown instanceof PromhiveError
    if (!known) edge.logger.error({ err: messageOf(thrown) }, 'Error while serving a request')
    return plainError(500, messageOf(thrown))
  }
}

function signalOf(gone: Cancel): AbortSignal {
  const controller = new AbortController()
  if (gone.aborted) controller.abort()
  else gone.addEventListener('abort', () => controller.abort())
  return controller.signal
}

/** Parameters of a form body; bodies of other kinds are none of ours and left alone. */
async function readForm(raw: IncomingMessage, form: Form): Promise<void> {
  const type = (raw.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') return
  const body = await readBody(raw, formBytesMax)
  if (body === null) throw new PromhiveError('TOO_LARGE', 'error parsing form values: http: POST too large', { bytesMax: formBytesMax })
  form.add(new TextDecoder().decode(body.bytes))
  body.release()
}

const corsFixed = [
  ['Access-Control-Allow-Headers', 'Accept, Authorization, Content-Type, Origin'],
  ['Access-Control-Allow-Methods', 'GET, POST, OPTIONS'],
  ['Access-Control-Expose-Headers', 'Date'],
] as const

/** Headers for a request that names its origin. @param pattern RE2, matched against the whole of it. */
function corsHeaders(pattern: string): (origin: string) => readonly (readonly [string, string])[] {
  if (pattern === '.*') return () => [...corsFixed, ['Access-Control-Allow-Origin', '*']]
  const regex = compileRegex(pattern, { anchored: true })
  return (origin) => (regex.test(origin) ? [...corsFixed, ['Access-Control-Allow-Origin', origin]] : corsFixed)
}

type Allowed = readonly Readonly<{ path: RegExp; methods: readonly string[] }>[]

function allowedMethods(routes: readonly Route[]): Allowed {
  return routes.map(({ path, methods }) => ({
    path: new RegExp(
      `^${path
        .replace(/[.\\+^$|()[\]{}?-]/g, '\\$&')
        .replace(/:[a-z]+/g, '[^/]+')
        .replace(/\*$/, '.*')}$`,
    ),
    methods,
  }))
}

function methodsOf(path: string, allowed: Allowed): string[] {
  return [
    ...new Set(allowed.filter((route) => route.path.test(path) && !route.path.source.endsWith('.*$')).flatMap((route) => route.methods)),
  ].sort()
}

/** Another method, a slash too many or too few, no prefix, or nothing at all. */
function missing(raw: IncomingMessage, prefix: string, allowed: Allowed, externalPath: string): Answer {
  const url = raw.url ?? '/'
  const at = url.indexOf('?')
  const whole = at < 0 ? url : url.slice(0, at)
  const query = at < 0 ? '' : url.slice(at)
  const status = raw.method === 'GET' ? 301 : 308
  if (prefix !== '' && whole === '/' && raw.method === 'GET') {
    return {
      status: 302,
      contentType: 'text/html; charset=utf-8',
      body: `<a href="${prefix}">Found</a>.\n\n`,
      headers: { Location: prefix },
    }
  }
  if (prefix !== '' && whole === prefix)
    return { status, contentType: '', body: '', headers: { Location: `${externalPath === '' ? prefix : externalPath}/${query}` } }
  if (whole.startsWith(`${prefix}/`)) {
    const path = whole.slice(prefix.length)
    const methods = methodsOf(path, allowed)
    if (methods.length > 0) return plainError(405, 'Method Not Allowed', { Allow: methods.join(', ') })
    const other = path.endsWith('/') ? path.replace(/\/+$/, '') : `${path}/`
    if (path !== '/' && methodsOf(other, allowed).includes(raw.method ?? '')) {
      return { status, contentType: '', body: '', headers: { Location: prefix + other + query } }
    }
    if (path.startsWith(apiPrefix)) return failure(404, 'not_found', `path ${JSON.stringify(whole)} not found`)
  }
  return plainError(404, '404 page not found')
}

function externalPrefix(externalUrl: string): string {
  return (/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^?#]*)/i.exec(externalUrl)?.[1] ?? '').replace(/\/+$/, '')
}
