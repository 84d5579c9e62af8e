// HTTP out of the process, with the options Prometheus gives to every client: credentials, TLS, proxies, headers, redirects.
//
//   request ─ deadline ─┬▶ credentials (files, OAuth2) ─▶ plain GET (http-plain.ts) | the rest (http-ways.ts, undici) ─┬▶ gunzip ─▶ answer
//                       └──────────────────────────── redirect, at most 10 (http-request.ts) ◀─────────────────────────┘
//
// A GET of http: without a proxy goes over connections of our own; its bytes are made once for every set of headers. Everything else is undici's.
import type { Dispatcher } from 'undici'
import { limits } from '../../base/limits.ts'
import { PromhiveError } from '../../base/errors.ts'
import type { HttpClientOptions, OAuth2Options } from '../../model/http-options.ts'
import type { Http, HttpAnswer, HttpClient, HttpRequest } from '../http.ts'
import { follow, isRedirect, requestError, requestHeaders, type Hop, type RequestHeaders } from '../http-request.ts'
import { failureReason } from './http-errors.ts'
import { Deadline, ExchangeError, type RawAnswer } from './http-exchange.ts'
import { CredentialFiles } from './http-files.ts'
import { decompress } from './http-gunzip.ts'
import { TokenSource } from './http-oauth2.ts'
import { plainAddress, PlainConnections, plainRequest, type PlainAddress } from './http-plain.ts'
import { proxyAuthorization, proxyRule, type ProxyRule } from './http-proxy-rules.ts'
import { TlsSource } from './http-tls.ts'
import type { Route, UndiciWays } from './http-ways.ts'

export type NodeHttpOptions = Readonly<{
  /** For `proxy_from_environment`. */
  environment: Readonly<Record<string, string | undefined>>
  /** Sent where a request has no User-Agent of its own. */
  userAgent: string
}>

export function nodeHttp(options: NodeHttpOptions): Http {
  const files = new CredentialFiles()
  return { client: (clientOptions) => new NodeHttpClient(clientOptions, options, files) }
}

/** A plain request as it goes out, for the first hop of equal requests. */
type Prepared = Readonly<{
  hop: Hop
  text: string
  compression: boolean | undefined
  unixSocket: string | undefined
  address: PlainAddress
  bytes: Buffer
}>

class NodeHttpClient implements HttpClient {
  readonly #options: HttpClientOptions
  readonly #userAgent: string
  readonly #files: CredentialFiles
  readonly #tls: TlsSource
  readonly #proxy: ProxyRule | null
  readonly #tokens: TokenSource | null
  readonly #tokenClient: HttpClient | null
  readonly #plain = new PlainConnections()
  #ways: Promise<UndiciWays> | null = null
  /** By the object of their headers: whoever asks again and again hands over the same. Not kept where files or tokens may change them. */
  readonly #prepared = new WeakMap<object, Prepared>()
  readonly #preparable: boolean
  #closed = false

  constructor(options: HttpClientOptions, node: NodeHttpOptions, files: CredentialFiles) {
    this.#options = options
    this.#userAgent = node.userAgent
    this.#files = files
    this.#tls = new TlsSource(options.tls, files)
    this.#proxy = proxyRule(options, node.environment)
    this.#tokenClient = options.oauth2 === undefined ? null : new NodeHttpClient(tokenClientOptions(options.oauth2), node, files)
    this.#tokens = options.oauth2 === undefined ? null : new TokenSource(options.oauth2, files, this.#tokenClient!)
    this.#preparable = this.#proxy === null && this.#tokens === null && options.tls === undefined && !usesFiles(options)
  }

  async request(request: HttpRequest): Promise<HttpAnswer> {
    const deadline = new Deadline(request.timeoutMs, request.signal)
    const prepared = this.#preparedFor(request)
    try {
      const first = prepared === undefined ? undefined : await this.#hop(request, prepared.hop, prepared, deadline)
      const answer =
        first !== undefined && !isRedirect(first.status)
          ? first
          : await follow(
              request,
              this.#options.followRedirects,
              (hop) =>
                first !== undefined && hop.url === prepared?.hop.url
                  ? Promise.resolve(first)
                  : this.#hop(request, hop, undefined, deadline),
              prepared?.hop.url,
            )
      return await this.#finish(request, answer)
    } finally {
      deadline.done()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const ways = this.#ways?.then((known) => known.close())
    await Promise.all([this.#plain.close(), ways, this.#tokenClient?.close()])
  }

  #preparedFor(request: HttpRequest): Prepared | undefined {
    if (request.headers === undefined) return undefined
    const known = this.#prepared.get(request.headers)
    const same =
      known?.text === request.url &&
      known.compression === request.compression &&
      known.unixSocket === request.unixSocket &&
      request.method === 'GET' &&
      request.body === undefined
    return same ? known : undefined
  }

  async #hop(request: HttpRequest, hop: Hop, prepared: Prepared | undefined, deadline: Deadline): Promise<RawAnswer> {
    const { method, url } = hop
    try {
      if (deadline.over !== null) throw deadline.over
      if (this.#closed) throw new PromhiveError('UNAVAILABLE', 'http: client closed')
      if (prepared !== undefined) return await this.#sendPlain(request, prepared, deadline)
      const headers = requestHeaders(request, hop, this.#options, this.#userAgent, this.#files)
      if (this.#tokens !== null && !hop.foreign && !headers.authorized)
        headers.list.push('authorization', await deadline.within(this.#tokens.authorization(request.timeoutMs)))
      const proxy = request.unixSocket === undefined ? (this.#proxy?.(url) ?? null) : null
      const plain = proxy === null ? this.#prepare(request, hop, headers) : null
      return plain !== null
        ? await this.#sendPlain(request, plain, deadline)
        : await this.#sendOther(request, hop, headers, proxy, deadline)
    } catch (thrown) {
      const cause = thrown instanceof ExchangeError ? thrown.cause : thrown
      // Time or size ran out in the middle of the body: Go reports these without the URL.
      if (thrown instanceof ExchangeError && thrown.started && cause instanceof PromhiveError) throw cause
      throw requestError(method, url.href, failureReason(cause), cause)
    }
  }

  /** Null where the request is none for our own connections. */
  #prepare(request: HttpRequest, hop: Hop, { list }: RequestHeaders): Prepared | null {
    const { method, url, body, foreign } = hop
    if (method !== 'GET' || url.protocol !== 'http:' || body !== undefined) return null
    // Certificates that can't be read are an error of the client, whether they are needed or not.
    if (this.#options.tls !== undefined) this.#tls.current()
    const bytes = plainRequest(url, list)
    if (bytes === null) return null
    const { url: text, compression, unixSocket, headers } = request
    const prepared = { hop, text, compression, unixSocket, address: plainAddress(url, unixSocket), bytes }
    if (this.#preparable && !foreign && headers !== undefined && request.method === 'GET' && URL.parse(text)?.href === url.href)
      this.#prepared.set(headers, prepared)
    return prepared
  }

  #sendPlain(request: HttpRequest, { address, bytes }: Prepared, deadline: Deadline): Promise<RawAnswer> {
    return this.#plain.exchange(address, bytes, bodyBytesMax(request), request.into, deadline)
  }

  async #sendOther(request: HttpRequest, hop: Hop, headers: RequestHeaders, proxy: URL | null, deadline: Deadline): Promise<RawAnswer> {
    const { method, url, body } = hop
    const options: Dispatcher.DispatchOptions = { origin: url.origin, path: url.pathname + url.search, method, headers: headers.list }
    if (body !== undefined) options.body = body
    let route: Route = { name: request.unixSocket ?? proxy?.href ?? '', proxy, unixSocket: request.unixSocket }
    if (proxy !== null && url.protocol === 'http:' && proxy.protocol.startsWith('http')) {
      // Plain HTTP through a proxy: the whole URL is asked of the proxy itself.
      options.origin = proxy.origin
      options.path = url.origin + url.pathname + url.search
      if (!headers.host) headers.list.push('host', url.host)
      const authorization = proxyAuthorization(proxy)
      if (authorization !== null) headers.list.push('proxy-authorization', authorization)
      route = { name: '', proxy: null, unixSocket: undefined }
    }
    const tls = this.#tls.current()
    this.#ways ??= import('./http-ways.ts').then(
      ({ UndiciWays: Ways }) => new Ways(this.#options.enableHttp2, this.#options.proxyConnectHeader ?? {}),
    )
    const ways = await this.#ways
    if (this.#closed) throw new PromhiveError('UNAVAILABLE', 'http: client closed')
    return ways.send(route, tls, options, bodyBytesMax(request), request.into, deadline)
  }

  async #finish(request: HttpRequest, answer: RawAnswer): Promise<HttpAnswer> {
    const { status, headers, packed } = answer
    const wireBytes = answer.body.length
    if (packed === undefined) return { status, headers, body: answer.body, wireBytes }
    try {
      return { status, headers, body: await decompress(answer.body, bodyBytesMax(request), request.into), wireBytes }
    } finally {
      packed.free()
    }
  }
}

function bodyBytesMax(request: HttpRequest): number {
  return request.bodyBytesMax > 0 ? Math.min(request.bodyBytesMax, limits.scrapeBodyBytesMax) : limits.scrapeBodyBytesMax
}

function usesFiles({ basicAuth, authorization, httpHeaders }: HttpClientOptions): boolean {
  if (basicAuth !== undefined && (basicAuth.usernameFile !== '' || basicAuth.passwordFile !== '')) return true
  if (authorization !== undefined && authorization.credentialsFile !== '') return true
  return Object.values(httpHeaders ?? {}).some(({ files }) => files.length > 0)
}

function tokenClientOptions(o: OAuth2Options): HttpClientOptions {
  return {
    followRedirects: true,
    enableHttp2: false,
    ...(o.tls === undefined ? {} : { tls: o.tls }),
    ...(o.proxyUrl === undefined ? {} : { proxyUrl: o.proxyUrl }),
    ...(o.noProxy === undefined ? {} : { noProxy: o.noProxy }),
    ...(o.proxyFromEnvironment === undefined ? {} : { proxyFromEnvironment: o.proxyFromEnvironment }),
    ...(o.proxyConnectHeader === undefined ? {} : { proxyConnectHeader: o.proxyConnectHeader }),
  }
}
