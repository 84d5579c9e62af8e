// HTTP out of the process on undici, with the options Prometheus gives to every client: credentials, TLS, proxies, headers, redirects.
//
//   request ─ deadline ─┬▶ credentials (files, OAuth2) ─▶ way (direct, Unix socket, proxy) ─▶ exchange ─┬▶ gunzip ─▶ answer
//                       └─────────────────────── redirect, at most 10 (http-request.ts) ◀──────────────┘
//
// A client keeps one undici Agent per way to the network; an Agent keeps a pool of connections per origin. After the first request to an
// origin a request costs one dispatch, one timer and one buffer for the body.
import { Agent, type Dispatcher } from 'undici'
import { limits } from '../../base/limits.ts'
import { PromhiveError } from '../../base/errors.ts'
import type { HttpClientOptions, OAuth2Options } from '../../model/http-options.ts'
import type { Http, HttpAnswer, HttpClient, HttpRequest } from '../http.ts'
import { follow, requestError, requestHeaders, type Hop } from '../http-request.ts'
import { connector, proxyAuthorization } from './http-connect.ts'
import { failureReason } from './http-errors.ts'
import { Deadline, exchange, ExchangeError, type RawAnswer } from './http-exchange.ts'
import { CredentialFiles } from './http-files.ts'
import { decompress } from './http-gunzip.ts'
import { TokenSource } from './http-oauth2.ts'
import { proxyRule, type ProxyRule } from './http-proxy-rules.ts'
import { TlsSource } from './http-tls.ts'

export type NodeHttpOptions = Readonly<{
  /** For `proxy_from_environment`. */
  environment: Readonly<Record<string, string | undefined>>
  /** Sent where a request has no User-Agent of its own. */
  userAgent: string
}>

/** As in Prometheus: longer than any sane scrape interval. */
const idleConnectionMs = 300_000
const originsMax = 50_000

export function nodeHttp(options: NodeHttpOptions): Http {
  const files = new CredentialFiles()
  return { client: (clientOptions) => new NodeHttpClient(clientOptions, options, files) }
}

class NodeHttpClient implements HttpClient {
  readonly #options: HttpClientOptions
  readonly #userAgent: string
  readonly #files: CredentialFiles
  readonly #tls: TlsSource
  readonly #proxy: ProxyRule | null
  readonly #tokens: TokenSource | null
  readonly #tokenClient: HttpClient | null
  /** By the way they take: '' direct, a Unix socket's path, a proxy's URL. */
  readonly #ways = new Map<string, Way>()
  #tlsVersion = 0
  #closed = false

  constructor(options: HttpClientOptions, node: NodeHttpOptions, files: CredentialFiles) {
    this.#options = options
    this.#userAgent = node.userAgent
    this.#files = files
    this.#tls = new TlsSource(options.tls, files)
    this.#proxy = proxyRule(options, node.environment)
    this.#tokenClient = options.oauth2 === undefined ? null : new NodeHttpClient(tokenClientOptions(options.oauth2), node, files)
    this.#tokens = options.oauth2 === undefined ? null : new TokenSource(options.oauth2, files, this.#tokenClient!)
  }

  async request(request: HttpRequest): Promise<HttpAnswer> {
    const deadline = new Deadline(request.timeoutMs, request.signal)
    try {
      return await this.#finish(request, await follow(request, this.#options.followRedirects, (hop) => this.#hop(request, hop, deadline)))
    } finally {
      deadline.done()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const agents = Array.from(this.#ways.values(), ({ agent }) => agent.close())
    this.#ways.clear()
    await Promise.all([...agents, this.#tokenClient?.close()])
  }

  async #hop(request: HttpRequest, hop: Hop, deadline: Deadline): Promise<RawAnswer> {
    const { method, url, body } = hop
    try {
      if (deadline.over !== null) throw deadline.over
      const headers = requestHeaders(request, hop, this.#options, this.#userAgent, this.#files)
      if (this.#tokens !== null && !hop.foreign && !headers.authorized)
        headers.list.push('authorization', await deadline.within(this.#tokens.authorization(request.timeoutMs)))
      const proxy = request.unixSocket === undefined ? (this.#proxy?.(url) ?? null) : null
      const options: Dispatcher.DispatchOptions = { origin: url.origin, path: url.pathname + url.search, method, headers: headers.list }
      if (body !== undefined) options.body = body
      let way: Way
      if (proxy !== null && url.protocol === 'http:' && proxy.protocol.startsWith('http')) {
        // Plain HTTP through a proxy: the whole URL is asked of the proxy itself.
        options.origin = proxy.origin
        options.path = url.origin + url.pathname + url.search
        if (!headers.host) headers.list.push('host', url.host)
        const authorization = proxyAuthorization(proxy)
        if (authorization !== null) headers.list.push('proxy-authorization', authorization)
        way = this.#way('', null, undefined)
      } else way = this.#way(request.unixSocket ?? proxy?.href ?? '', proxy, request.unixSocket)
      return await this.#send(way, options, bodyBytesMax(request), deadline)
    } catch (thrown) {
      const cause = thrown instanceof ExchangeError ? thrown.cause : thrown
      // Time or size ran out in the middle of the body: Go reports these without the URL.
      if (thrown instanceof ExchangeError && thrown.started && cause instanceof PromhiveError) throw cause
      throw requestError(method, url.href, failureReason(cause), cause)
    }
  }

  /** Once more where the server had closed an idle connection just as we used it; each attempt uses up one of those, a new connection ends them. */
  async #send({ agent, opened }: Way, options: Dispatcher.DispatchOptions, bytesMax: number, deadline: Deadline): Promise<RawAnswer> {
    const origin = options.origin as string
    for (;;) {
      const before = opened.get(origin)
      try {
        return await exchange(agent, options, bytesMax, deadline)
      } catch (thrown) {
        const idle = before !== undefined && opened.get(origin) === before
        const stale = idle && thrown instanceof ExchangeError && !thrown.started && options.method === 'GET' && isReset(thrown.cause)
        if (!stale || deadline.over !== null) throw thrown
      }
    }
  }

  async #finish(request: HttpRequest, answer: RawAnswer): Promise<HttpAnswer> {
    const wireBytes = answer.body.length
    if (answer.headers['content-encoding']?.toLowerCase() !== 'gzip') return { ...answer, wireBytes }
    return { ...answer, body: await decompress(answer.body, bodyBytesMax(request)), wireBytes }
  }

  #way(name: string, proxy: URL | null, unixSocket: string | undefined): Way {
    if (this.#closed) throw new PromhiveError('UNAVAILABLE', 'http: client closed')
    const tls = this.#tls.current()
    if (tls.version !== this.#tlsVersion) {
      // Certificates changed: what is under way ends on its old connections.
      for (const { agent } of this.#ways.values()) void agent.close()
      this.#ways.clear()
      this.#tlsVersion = tls.version
    }
    let way = this.#ways.get(name)
    if (way === undefined) {
      const http2 = this.#options.enableHttp2
      const opened = new Map<string, number>()
      const connect = connector({
        tls: tls.options,
        http2,
        proxyHeaders: this.#options.proxyConnectHeader ?? {},
        ...(proxy === null ? {} : { proxy }),
        ...(unixSocket === undefined ? {} : { unixSocket }),
      })
      const agent = new Agent({
        connect(target, done) {
          const origin = `${target.protocol}//${target.host}`
          if (opened.size >= originsMax) opened.clear() // costs a retry at most
          opened.set(origin, (opened.get(origin) ?? 0) + 1)
          connect(target, done)
        },
        allowH2: http2,
        keepAliveTimeout: idleConnectionMs,
        keepAliveMaxTimeout: idleConnectionMs,
        // The deadline covers the whole exchange; undici's own timers would only add work.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      this.#ways.set(name, (way = { agent, opened }))
    }
    return way
  }
}

/** A pool of connections per origin, and how many were opened to each so far. */
type Way = Readonly<{ agent: Agent; opened: Map<string, number> }>

function bodyBytesMax(request: HttpRequest): number {
  return request.bodyBytesMax > 0 ? Math.min(request.bodyBytesMax, limits.scrapeBodyBytesMax) : limits.scrapeBodyBytesMax
}

function isReset(cause: unknown): boolean {
  const code = (cause as { code?: unknown }).code
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
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
