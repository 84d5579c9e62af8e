// What every Http adapter does the same way: the headers of a request from a client's options, and redirects as Go's http.Client follows them.
import { PromhiveError } from '../base/errors.ts'
import type { HttpClientOptions } from '../model/http-options.ts'
import type { HttpRequest } from './http.ts'

/** Inline text, or what a file holds now. */
export interface Secrets {
  /** @param purpose for the error, e.g. `authorization credentials`. Throws PromhiveError CONFIG_INVALID. */
  secret(text: string, path: string, purpose: string): string
}

/** One request of a chain of redirects. `foreign`: the chain has left the first host, credentials stay behind. */
export type Hop = Readonly<{ method: HttpRequest['method']; url: URL; body: Uint8Array | undefined; foreign: boolean }>

/** `Get "url": why`, as Go's url.Error prints it, without a password in the URL. */
export function requestError(method: string, url: string, why: string, cause?: unknown): PromhiveError {
  const shown = url.replace(/^([a-z]+:\/\/[^/?#@:]*):[^/?#@]*@/i, '$1:xxxxx@')
  const known = cause instanceof PromhiveError ? cause : null
  const message = `${method[0]}${method.slice(1).toLowerCase()} "${shown}": ${why}`
  return new PromhiveError(known?.code ?? 'UNAVAILABLE', message, { ...known?.detail, url: shown }, cause)
}

const redirectsMax = 10
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Whether an answer may send its client elsewhere. */
export function isRedirect(status: number): boolean {
  return redirectStatuses.has(status)
}

/**
 * Sends with `once` and follows redirects where `redirects` says so: 301, 302 and 303 turn into GET, 307 and 308 repeat the request.
 * @param once throws errors that are complete (see requestError).
 * @param parsed the request's URL, where it is at hand.
 */
export async function follow<A extends Readonly<{ status: number; headers: Readonly<Record<string, string>> }>>(
  request: HttpRequest,
  redirects: boolean,
  once: (hop: Hop) => Promise<A>,
  parsed?: URL,
): Promise<A> {
  const first = parsed ?? URL.parse(request.url)
  if (first === null) throw new PromhiveError('BAD_REQUEST', `cannot request "${request.url}": not a URL`, { url: request.url })
  let hop: Hop = { method: request.method, url: first, body: request.body, foreign: false }
  for (let count = 0; ; count++) {
    const { method, url } = hop
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw requestError(method, url.href, `unsupported protocol scheme "${url.protocol.slice(0, -1)}"`)
    const answer = await once(hop)
    const location = answer.headers['location']
    if (!redirects || location === undefined || !redirectStatuses.has(answer.status)) return answer
    if (count === redirectsMax) throw requestError(method, url.href, `stopped after ${redirectsMax} redirects`)
    const next = URL.parse(location, url.href)
    if (next === null) throw requestError(method, url.href, `failed to parse Location header "${location}"`)
    const repeat = answer.status >= 307 || method === 'GET'
    hop = {
      method: repeat ? method : 'GET',
      url: next,
      body: repeat ? hop.body : undefined,
      foreign: hop.foreign || !isDomainOrSubdomain(next.hostname, first.hostname),
    }
  }
}

/** Go's rule for who may see credentials after a redirect: the host itself and what lies below it. */
function isDomainOrSubdomain(name: string, parent: string): boolean {
  return name === parent || (!/[:%]/.test(name) && name.endsWith(`.${parent}`))
}

const sensitive: ReadonlySet<string> = new Set([
  'authorization',
  'www-authenticate',
  'cookie',
  'cookie2',
  'proxy-authorization',
  'proxy-authenticate',
])

/** A flat list of names and values, and what it already holds. */
export type RequestHeaders = { list: string[]; authorized: boolean; host: boolean }

/** The request's own headers first; `http_headers` and credentials are added to them, an Authorization of the request's own wins. */
export function requestHeaders(
  request: HttpRequest,
  hop: Hop,
  options: HttpClientOptions,
  userAgent: string,
  secrets: Secrets,
): RequestHeaders {
  const headers: RequestHeaders = { list: [], authorized: false, host: false }
  const { list } = headers
  const droppedBody = hop.body === undefined && request.body !== undefined
  let agent = false
  let encoding = false
  for (const name in request.headers) {
    const lower = name.toLowerCase()
    if (hop.foreign && sensitive.has(lower)) continue
    if (droppedBody && lower.startsWith('content-')) continue
    if (lower === 'authorization') headers.authorized = true
    else if (lower === 'user-agent') agent = true
    else if (lower === 'accept-encoding') encoding = true
    else if (lower === 'host') headers.host = true
    list.push(name, request.headers[name]!)
  }
  if (!agent) list.push('user-agent', userAgent)
  if (!encoding && request.compression !== false) list.push('accept-encoding', 'gzip')
  for (const name in options.httpHeaders) {
    if (hop.foreign && sensitive.has(name.toLowerCase())) continue
    const { values, secrets: hidden, files } = options.httpHeaders[name]!
    for (const value of values) list.push(name, value)
    for (const value of hidden) list.push(name, value)
    for (const path of files) list.push(name, secrets.secret('', path, 'headers file'))
  }
  if (!headers.authorized && !hop.foreign) {
    const value = credentials(hop.url, options, secrets)
    if (value !== null) {
      list.push('authorization', value)
      headers.authorized = true
    }
  }
  return headers
}

/** The Authorization header of the URL's user part, basic_auth or authorization, in this order. */
function credentials(url: URL, { basicAuth, authorization }: HttpClientOptions, secrets: Secrets): string | null {
  const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  if (url.username !== '' || url.password !== '') return basic(decodeURIComponent(url.username), decodeURIComponent(url.password))
  if (basicAuth !== undefined) {
    const user = secrets.secret(basicAuth.username, basicAuth.usernameFile, 'basic auth username')
    return basic(user, secrets.secret(basicAuth.password, basicAuth.passwordFile, 'basic auth password'))
  }
  if (authorization === undefined) return null
  return `${authorization.type} ${secrets.secret(authorization.credentials, authorization.credentialsFile, 'authorization credentials')}`
}
