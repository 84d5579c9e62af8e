// The ways through undici: TLS, HTTP/2, proxies, and every method but GET. One Agent a way; an Agent keeps a pool of connections per origin.
// Loaded when the first request needs it: most programs only scrape plain HTTP and never do.
import { Agent, type Dispatcher } from 'undici'
import type { BodyBuffer } from '../body-buffer.ts'
import { connector, type TlsConnect } from './http-connect.ts'
import { exchange, ExchangeError, type Deadline, type RawAnswer } from './http-exchange.ts'

/** As in Prometheus: longer than any sane scrape interval. */
const idleConnectionMs = 300_000
const originsMax = 50_000

/** How to get to the network: '' for `name` is direct, others are a Unix socket's path or a proxy's URL. */
export type Route = Readonly<{ name: string; proxy: URL | null; unixSocket: string | undefined }>
/** A pool of connections per origin, and how many were opened to each so far. */
type Way = Readonly<{ agent: Agent; opened: Map<string, number> }>

export class UndiciWays {
  readonly #http2: boolean
  readonly #proxyHeaders: Readonly<Record<string, readonly string[]>>
  readonly #ways = new Map<string, Way>()
  #tlsVersion = 0

  constructor(http2: boolean, proxyHeaders: Readonly<Record<string, readonly string[]>>) {
    this.#http2 = http2
    this.#proxyHeaders = proxyHeaders
  }

  /** Once more where the server had closed an idle connection just as we used it; each attempt uses up one of those, a new connection ends them. */
  async send(
    route: Route,
    tls: Readonly<{ version: number; options: TlsConnect }>,
    options: Dispatcher.DispatchOptions,
    bytesMax: number,
    into: BodyBuffer | undefined,
    deadline: Deadline,
  ): Promise<RawAnswer> {
    const { agent, opened } = this.#way(route, tls)
    const origin = options.origin as string
    for (;;) {
      const before = opened.get(origin)
      try {
        return await exchange(agent, options, bytesMax, into, deadline)
      } catch (thrown) {
        const idle = before !== undefined && opened.get(origin) === before
        const stale = idle && thrown instanceof ExchangeError && !thrown.started && options.method === 'GET' && isReset(thrown.cause)
        if (!stale || deadline.over !== null) throw thrown
      }
    }
  }

  async close(): Promise<void> {
    const agents = Array.from(this.#ways.values(), ({ agent }) => agent.close())
    this.#ways.clear()
    await Promise.all(agents)
  }

  #way({ name, proxy, unixSocket }: Route, tls: Readonly<{ version: number; options: TlsConnect }>): Way {
    if (tls.version !== this.#tlsVersion) {
      // Certificates changed: what is under way ends on its old connections.
      for (const { agent } of this.#ways.values()) void agent.close()
      this.#ways.clear()
      this.#tlsVersion = tls.version
    }
    const known = this.#ways.get(name)
    if (known !== undefined) return known
    const opened = new Map<string, number>()
    const connect = connector({
      tls: tls.options,
      http2: this.#http2,
      proxyHeaders: this.#proxyHeaders,
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
      allowH2: this.#http2,
      keepAliveTimeout: idleConnectionMs,
      keepAliveMaxTimeout: idleConnectionMs,
      // The deadline covers the whole exchange; undici's own timers would only add work.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const way = { agent, opened }
    this.#ways.set(name, way)
    return way
  }
}

function isReset(cause: unknown): boolean {
  const code = (cause as { code?: unknown }).code
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET'
}
