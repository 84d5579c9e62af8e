// How connections are made: directly, over a Unix socket, through an HTTP proxy's CONNECT tunnel or through SOCKS5.
import type * as net from 'node:net'
import type { SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import { PromhiveError } from '../../base/errors.ts'
import { ProxyConnectError } from './http-errors.ts'
import { boundedLookup } from './http-lookup.ts'
import { proxyAuthorization } from './http-proxy-rules.ts'

type Connector = buildConnector.connector
type Target = buildConnector.Options

/** Longer than scrape timeouts usually are; the request's own deadline ends the wait first. */
const connectTimeoutMs = 30_000
/** Answers of a proxy to CONNECT are short. */
const proxyAnswerBytesMax = 64 << 10

/** What a TLS connection of a client needs. */
export type TlsConnect = Readonly<{ secureContext: SecureContext; rejectUnauthorized: boolean; servername?: string }>

export type Route = Readonly<{
  tls: TlsConnect
  http2: boolean
  unixSocket?: string
  proxy?: URL
  /** Sent with CONNECT. */
  proxyHeaders: Readonly<Record<string, readonly string[]>>
}>

export function connector(route: Route): Connector {
  const options: buildConnector.BuildOptions = {
    ...route.tls,
    allowH2: route.http2,
    timeout: connectTimeoutMs,
    maxCachedSessions: 100,
    lookup: boundedLookup,
  }
  if (route.unixSocket !== undefined) options.socketPath = route.unixSocket
  const direct = buildConnector(options)
  const servername = route.tls.servername
  // The configured name wins over the one undici derives from the Host header.
  const secure: Connector = servername === undefined ? direct : (target, done) => direct({ ...target, servername }, done)
  const proxy = route.proxy
  if (proxy === undefined) return secure
  const { servername: _, ...proxyTls } = route.tls
  const toProxy = buildConnector({ ...proxyTls, allowH2: false, timeout: connectTimeoutMs, lookup: boundedLookup })
  const socks = proxy.protocol.startsWith('socks5')
  return (target, done) => {
    const hostname = proxy.hostname.replace(/^\[|\]$/g, '')
    toProxy({ hostname, host: proxy.host, protocol: proxy.protocol, port: proxy.port || defaultPort(proxy) }, (...[failed, socket]) => {
      if (failed !== null) return done(new ProxyConnectError(failed), null)
      const port = Number(target.port || (target.protocol === 'https:' ? 443 : 80))
      const tunnel = socks ? socksTunnel(socket, proxy, target, port) : connectTunnel(socket, proxy, target, port, route.proxyHeaders)
      tunnel.then(
        () => (target.protocol === 'https:' ? secure({ ...target, httpSocket: socket }, done) : done(null, socket)),
        (thrown: unknown) => {
          socket.destroy()
          done(thrown as Error, null)
        },
      )
    })
  }
}

function defaultPort(proxy: URL): string {
  return proxy.protocol === 'https:' ? '443' : proxy.protocol === 'http:' ? '80' : '1080'
}

async function connectTunnel(socket: net.Socket, proxy: URL, target: Target, port: number, headers: Route['proxyHeaders']): Promise<void> {
  const authority = `${target.hostname.includes(':') ? `[${target.hostname}]` : target.hostname}:${port}`
  let head = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n`
  for (const [name, values] of Object.entries(headers)) for (const value of values) head += `${name}: ${value.replace(/[\r\n]/g, ' ')}\r\n`
  const authorization = proxyAuthorization(proxy)
  if (authorization !== null && !Object.keys(headers).some((name) => name.toLowerCase() === 'proxy-authorization'))
    head += `Proxy-Authorization: ${authorization}\r\n`
  socket.write(head + '\r\n')
  const answer = await readUntil(socket, (bytes) => {
    const end = bytes.indexOf('\r\n\r\n')
    return end < 0 ? -1 : end + 4
  })
  const [, status, reason] = /^HTTP\/1\.[01] (\d{3}) ?(.*)/.exec(answer.toString('latin1')) ?? []
  if (status === undefined) throw new Error('malformed HTTP response from the proxy')
  if (!status.startsWith('2')) throw new PromhiveError('UNAVAILABLE', reason || `proxy answered ${status}`, { status: Number(status) })
}

/** RFC 1928 with RFC 1929 names and passwords. The proxy resolves the target's name, as in Go. */
async function socksTunnel(socket: net.Socket, proxy: URL, target: Target, port: number): Promise<void> {
  const user = Buffer.from(decodeURIComponent(proxy.username))
  const password = Buffer.from(decodeURIComponent(proxy.password))
  const withPassword = user.length > 0
  if (user.length > 255 || password.length > 255) throw new Error('socks: name or password too long')
  socket.write(Buffer.from(withPassword ? [5, 2, 0, 2] : [5, 1, 0]))
  const [version, method] = await readUntil(socket, (bytes) => (bytes.length < 2 ? -1 : 2))
  if (version !== 5) throw new Error(`socks: unexpected protocol version ${version}`)
  if (method === 2 && withPassword) {
    socket.write(Buffer.concat([Buffer.from([1, user.length]), user, Buffer.from([password.length]), password]))
    const answer = await readUntil(socket, (bytes) => (bytes.length < 2 ? -1 : 2))
    if (answer[1] !== 0) throw new Error('socks: username/password authentication failed')
  } else if (method !== 0) throw new Error('socks: no acceptable authentication methods')
  const name = Buffer.from(target.hostname)
  if (name.length > 255) throw new Error('socks: host name too long')
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 255])]))
  const answer = await readUntil(socket, (bytes) => {
    if (bytes.length < 5) return -1
    const addressBytes = bytes[3] === 1 ? 4 : bytes[3] === 4 ? 16 : 1 + bytes[4]!
    return bytes.length < 6 + addressBytes ? -1 : 6 + addressBytes
  })
  if (answer[1] !== 0) throw new Error(`socks connect: ${socksFailures[answer[1]!] ?? `unknown code ${answer[1]}`}`)
}

const socksFailures: Readonly<Record<number, string>> = {
  1: 'general SOCKS server failure',
  2: 'connection not allowed by ruleset',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'TTL expired',
  7: 'command not supported',
  8: 'address type not supported',
}

/** Reads until `complete` gives a length ≥ 0; what lies behind it is put back. */
function readUntil(socket: net.Socket, complete: (bytes: Buffer) => number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    const settle = (action: () => void): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('end', onEnd).off('error', onError)
      socket.pause()
      action()
    }
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const length = complete(bytes)
      if (length >= 0)
        return settle(() => {
          if (length < bytes.length) socket.unshift(bytes.subarray(length))
          resolve(bytes.subarray(0, length))
        })
      if (bytes.length > proxyAnswerBytesMax) settle(() => reject(new Error('answer of the proxy too long')))
    }
    const onEnd = (): void => settle(() => reject(new Error('unexpected EOF')))
    const onError = (error: Error): void => settle(() => reject(error))
    const timer = setTimeout(() => settle(() => reject(new Error('i/o timeout'))), connectTimeoutMs)
    timer.unref()
    socket.on('data', onData).on('end', onEnd).on('error', onError)
    socket.resume()
  })
}
