// The HTTP edge: listeners, TLS, limits of connections, and the routes behind them.
//
//   socket ─▶ listener (http | https | http2) ─▶ WebGuard (headers, rate limit, users) ─▶ Fastify's router ─▶ handler ─▶ ApiBackend
//
// All listeners share the routes, the guard and the connection limit.
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2'
import type { Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { messageOf, PromhiveError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { MetricsRegistry } from '../base/metrics.ts'
import { WriteReceiver } from '../../protocols/remote/write-receiver.ts'
import { buildApp } from './app.ts'
import type { ApiBackend, EdgeClock } from './backend.ts'
import { hostPort } from './global-url.ts'
import type { Notifications } from './notifications.ts'
import type { ApiOptions } from './options.ts'
import type { Edge } from './routes.ts'
import { clientAuthOf, clientProblem, secureContext, WebConfigFile, WebGuard } from './web-security.ts'

/** What the edge is given besides its options and its backend. */
export type ApiTools = Readonly<{ clock: EdgeClock; logger: Logger; metrics: MetricsRegistry; notifications: Notifications }>

export interface Api {
  /** `host:port` of every listener, in the order of the options, with the ports that were picked. */
  readonly addresses: readonly string[]
  /** Takes no new connections, lets requests under way end, for at most `graceMs`, then cuts them off. */
  close(graceMs?: number): Promise<void>
}

// Not imported: the import of node:http loads all of fetch and WebSocket for its exports, and the others are needed for TLS alone.
const { createServer: createHttp } = process.getBuiltinModule('node:http')

type Server = HttpServer | HttpsServer | Http2SecureServer

/** Starts to listen. Throws PromhiveError UNAVAILABLE where an address cannot be had, CONFIG_INVALID for a bad web configuration. */
export async function startApi(options: ApiOptions, backend: ApiBackend, tools: ApiTools): Promise<Api> {
  const { clock, logger, metrics, notifications } = tools
  const file = options.webConfig === null ? null : new WebConfigFile(options.webConfig.path, options.webConfig.files)
  const receiver = options.enableRemoteWriteReceiver
    ? new WriteReceiver({
        appender: backend.appender,
        nowMs: () => clock.nowMs(),
        logger,
        metrics,
        accepted: options.remoteWriteMessages,
        typeAndUnitLabels: options.typeAndUnitLabels,
        startTimestampZeros: options.startTimestampZeros,
        seed: options.seed,
      })
    : null
  const closing = new AbortController()
  const edge: Edge = { options, backend, clock, logger, metrics, notifications, receiver, closing: closing.signal }
  const app = buildApp(edge)
  const guard = new WebGuard(file, clock, logger)
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    guard.check(request, response, () => app.handle(request, response))
  const connections = new Connections(options.connectionsMax, logger)
  const servers: Server[] = []
  const sessions = new Set<ServerHttp2Session>()
  try {
    const addresses: string[] = []
    for (const address of options.listenAddresses) {
      const server = makeServer(options, file, onRequest, logger, sessions)
      connections.watch(server)
      servers.push(server)
      addresses.push(await listen(server, address))
      logger.info({ address: addresses.at(-1), tls: 'setSecureContext' in server }, 'Listening on')
    }
    return {
      addresses,
      close: async (graceMs = 5_000) => {
        closing.abort()
        await closeAll(servers, sessions, connections, clock, graceMs)
        await app.close()
        receiver?.close()
      },
    }
  } catch (thrown) {
    await closeAll(servers, sessions, connections, clock, 0)
    await app.close()
    receiver?.close()
    throw thrown
  }
}

function makeServer(
  options: ApiOptions,
  file: WebConfigFile | null,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  logger: Logger,
  sessions: Set<ServerHttp2Session>,
): Server {
  const web = file?.current() ?? null
  const timeouts = {
    requestTimeout: options.readTimeoutMs,
    headersTimeout: Math.min(options.readTimeoutMs, 60_000),
    keepAliveTimeout: options.readTimeoutMs,
    connectionsCheckingInterval: Math.min(30_000, Math.max(1_000, options.readTimeoutMs / 2)),
  }
  if (file === null || web === null || web.tls === null || options.webConfig === null) {
    return createHttp({ ...timeouts, noDelay: true }, onRequest)
  }
  const { tls } = web
  const secure = { ...secureContext(tls, options.webConfig.files), ...clientAuthOf(tls) }
  let server: HttpsServer | Http2SecureServer
  if (web.http2) {
    const { createSecureServer } = process.getBuiltinModule('node:http2')
    server = createSecureServer({ ...secure, allowHTTP1: true }, onRequest as unknown as Parameters<typeof createSecureServer>[1])
    server.setTimeout(options.readTimeoutMs)
    server.on('session', (session) => {
      sessions.add(session)
      session.once('close', () => sessions.delete(session))
    })
  } else server = process.getBuiltinModule('node:https').createServer({ ...timeouts, ...secure, noDelay: true }, onRequest)

  let version = file.certificates().version
  // before the handshake of every connection: new certificates are taken up as soon as they are there
  server.prependListener('connection', () => {
    try {
      const now = file.certificates()
      if (now.version === version) return
      server.setSecureContext(now.context())
      // kept by tls.Server under these names and read for each new connection
      Object.assign(server, clientAuthOf(file.current().tls ?? tls))
      version = now.version
    } catch (thrown) {
      logger.error({ err: messageOf(thrown) }, 'Unable to load the web configuration; the TLS settings before it stay')
    }
  })
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    let problem: string | null
    try {
      problem = clientProblem(file.current().tls ?? tls, socket)
    } catch (thrown) {
      problem = messageOf(thrown)
    }
    if (problem === null) return
    logger.debug({ client: socket.remoteAddress, err: problem }, 'TLS handshake error')
    socket.destroy()
  })
  server.on('tlsClientError', (thrown: Error, socket: TLSSocket) => {
    logger.debug({ client: socket.remoteAddress, err: thrown.message }, 'TLS handshake error')
  })
  return server
}

/** `host:port`, `[v6]:port`, `:port` on all interfaces. */
function listen(server: Server, address: string): Promise<string> {
  const { host, port } = hostPort(address)
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    return Promise.reject(new PromhiveError('CONFIG_INVALID', `cannot listen on ${JSON.stringify(address)}: no port`, { address }))
  }
  return new Promise((resolve, reject) => {
    server.once('error', (thrown) =>
      reject(new PromhiveError('UNAVAILABLE', `cannot listen on ${address}: ${thrown.message}`, { address }, thrown)),
    )
    server.listen({ port: Number(port), ...(host !== '' && { host }) }, () => {
      server.removeAllListeners('error')
      const bound = server.address() as AddressInfo
      resolve(bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`)
    })
  })
}

/** Sockets over all listeners. One over the limit is closed at once: Node cannot leave it waiting in the kernel's queue, as Go does. */
class Connections {
  readonly #max: number
  readonly #logger: Logger
  readonly sockets = new Set<Socket>()
  #refused = 0
  constructor(max: number, logger: Logger) {
    this.#max = max
    this.#logger = logger
  }
  watch(server: Server): void {
    server.prependListener('connection', (socket: Socket) => {
      if (this.#max > 0 && this.sockets.size >= this.#max) {
        if (this.#refused++ === 0) this.#logger.warn({ max: this.#max }, 'Too many connections; further ones are closed')
        socket.destroy()
        return
      }
      this.#refused = 0
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
    })
  }
}

async function closeAll(
  servers: readonly Server[],
  sessions: ReadonlySet<ServerHttp2Session>,
  connections: Connections,
  clock: EdgeClock,
  graceMs: number,
): Promise<void> {
  const closing = servers.map((server) => new Promise<void>((resolve) => (server.listening ? server.close(() => resolve()) : resolve())))
  for (const server of servers) if ('closeIdleConnections' in server) server.closeIdleConnections()
  for (const session of sessions) session.close()
  const cut = clock.after(graceMs, () => {
    for (const socket of connections.sockets) socket.destroy()
  })
  await Promise.all(closing)
  cut.cancel()
}
