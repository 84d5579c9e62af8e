// Everything outside of /api/v1: health, life cycle, own metrics, version, redirects, pages, files (FEATURES 6.44–6.47).
import { messageOf } from '../base/errors.ts'
import { pathOf } from '../base/url-path.ts'
import { writeFamilies, writtenContentTypes, writtenFormat } from '../../protocols/exposition/write.ts'
import { plain, plainError, type Answer } from './envelope.ts'
import { landingPage } from './landing-page.ts'
import { profileAnswer } from './profile-routes.ts'
import { originOf, type ApiRequest, type Edge, type Route } from './routes.ts'

/** Paths the browser app draws; a server does not have `/agent`, an agent has only the status pages. */
const statusPages = ['/config', '/flags', '/service-discovery', '/alertmanager-discovery', '/status', '/targets']
const serverPages = ['/alerts', '/query', '/rules', '/tsdb-status']
const rootFiles = ['/favicon.svg', '/favicon.ico', '/manifest.json']

export function manageRoutes(edge: Edge): Route[] {
  const { backend, options, clock } = edge
  const get = ['GET']
  const externalPath = pathOf(options.externalUrl)
  const home = options.agent ? '/agent' : '/query'
  const redirect = (to: string): Answer => ({
    status: 302,
    contentType: 'text/html; charset=utf-8',
    body: `<a href="${to}">Found</a>.\n\n`,
    headers: { Location: to },
  })
  let quitting = false
  const routes: Route[] = [
    { methods: get, path: '/', needsReady: false, handler: () => redirect(externalPath + home) },
    { methods: get, path: '/graph', needsReady: false, handler: ({ query }) => redirect(`${externalPath}/query?${escapeQuery(query)}`) },
    { methods: get, path: '/version', needsReady: false, handler: () => plain(200, JSON.stringify(backend.status.buildInfo()) + '\n') },
    {
      methods: get,
      path: '/metrics',
      needsReady: false,
      compress: true,
      handler: async ({ header }) => {
        const format = writtenFormat(header('accept'))
        return { status: 200, contentType: writtenContentTypes[format], body: [writeFamilies(await backend.status.metrics(), format)] }
      },
    },
    { methods: get, path: '/-/healthy', needsReady: false, handler: () => plain(200, `${options.appName} is Healthy.\n`) },
    { methods: ['HEAD'], path: '/-/healthy', needsReady: false, handler: () => plain(200, '') },
    { methods: get, path: '/-/ready', handler: () => plain(200, `${options.appName} is Ready.\n`) },
    { methods: ['HEAD'], path: '/-/ready', handler: () => plain(200, '') },
    {
      methods: ['POST', 'PUT'],
      path: '/-/quit',
      needsReady: false,
      handler: () => {
        if (!options.enableLifecycle) return plain(403, 'Lifecycle API is not enabled.')
        if (quitting) return plain(200, 'Termination already in progress.')
        quitting = true
        // after the answer is on its way
        clock.after(0, () => backend.life.quit())
        return plain(200, 'Requesting termination... Goodbye!')
      },
    },
    {
      methods: ['POST', 'PUT'],
      path: '/-/reload',
      needsReady: false,
      handler: async () => {
        if (!options.enableLifecycle) return plain(403, 'Lifecycle API is not enabled.')
        try {
          await backend.life.reload()
        } catch (thrown) {
          return plainError(500, `failed to reload config: ${messageOf(thrown)}`)
        }
        return { status: 200, contentType: '', body: '' }
      },
    },
    ...['/-/quit', '/-/reload'].map((path): Route => ({
      methods: get,
      path,
      needsReady: false,
      handler: () => plain(405, 'Only POST or PUT requests allowed'),
    })),
    { methods: get, path: '/consoles/*', label: '/consoles/*filepath', handler: (request) => consolePage(edge, request) },
    {
      methods: ['GET', 'POST'],
      path: '/debug/*',
      label: '/debug/*subpath',
      needsReady: false,
      handler: (request) => profileAnswer(edge, request),
    },
    ...[...statusPages, ...(options.agent ? ['/agent'] : serverPages)].map((path): Route => ({
      methods: get,
      path,
      needsReady: false,
      compress: true,
      handler: () => page(edge, externalPath),
    })),
    ...rootFiles.map((path): Route => ({ methods: get, path, needsReady: false, handler: () => file(edge, path.slice(1)) })),
    {
      methods: get,
      path: '/assets/*',
      label: '/assets/*filepath',
      needsReady: false,
      compress: true,
      handler: ({ parameters }) => file(edge, `assets/${parameters['*'] ?? ''}`),
    },
  ]
  const { userAssets } = backend
  if (userAssets !== null) {
    routes.push({
      methods: get,
      path: '/user/*',
      label: '/user/*filepath',
      needsReady: false,
      handler: async ({ parameters }) => {
        const path = safePath(parameters['*'] ?? '')
        const found = path === null ? null : await userAssets.find(path)
        return found === null ? plainError(404, '404 page not found') : { status: 200, contentType: found.contentType, body: [found.bytes] }
      },
    })
  }
  return routes
}

/** A query is put into a header and into HTML as it came: only what a URL may hold. */
function escapeQuery(query: string): string {
  return query
    .replace(/[^\x21\x23-\x26\x28-\x3b\x3d\x3f-\x7e]/g, (char) => encodeURIComponent(char.isWellFormed() ? char : '\ufffd'))
    .replaceAll('"', '%22')
}

/** Null where the path climbs. */
function safePath(path: string): string | null {
  const parts = path.split('/')
  if (path.includes('\0') || path.includes('\\') || parts.some((part) => part === '..' || part === '.')) return null
  return parts.filter((part) => part !== '').join('/')
}

async function page(edge: Edge, externalPath: string): Promise<Answer> {
  const index = (await edge.backend.ui?.find('index.html')) ?? null
  if (index !== null) return { status: 200, contentType: index.contentType, body: [index.bytes] }
  return {
    status: 200,
    contentType: 'text/html; charset=utf-8',
    body: landingPage(edge.options.pageTitle, externalPath, edge.backend.status.buildInfo()),
  }
}

async function file(edge: Edge, path: string): Promise<Answer> {
  const safe = safePath(path)
  const found = safe === null ? null : ((await edge.backend.ui?.find(safe)) ?? null)
  if (found === null) return plainError(404, '404 page not found')
  const headers: Record<string, string> = safe!.startsWith('assets/') ? { 'Cache-Control': 'public, max-age=31536000, immutable' } : {}
  return { status: 200, contentType: found.contentType, body: [found.bytes], headers }
}

async function consolePage(edge: Edge, request: ApiRequest): Promise<Answer> {
  const { parameters, form, signal } = request
  const path = safePath(parameters['*'] ?? '')
  try {
    const html =
      path === null ? null : ((await edge.backend.consoles?.expand(path, form.entries(), originOf(edge, request), signal)) ?? null)
    if (html === null) return plainError(404, `open ${path ?? ''}: no such file or directory`)
    return { status: 200, contentType: 'text/html; charset=utf-8', body: html }
  } catch (thrown) {
    return plainError(500, messageOf(thrown))
  }
}
