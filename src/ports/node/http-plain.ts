// HTTP/1.1 without TLS and proxies: GET over kept connections, the bulk of what a monitoring server does all day.
//
//   exchange ─▶ idle connection of the address, or a new one ─▶ one write ─▶ AnswerReader ─▶ idle again
//                  └─ was closed by the other side meanwhile ─▶ once more, on a new one
//
// All sockets of the process read into one buffer: what is read is taken out of it before the next read. So a scrape allocates neither a buffer
// per read nor streams; its body goes straight into the memory the caller lends.
import * as net from 'node:net'
import { PromhiveError } from '../../base/errors.ts'
import { BodyBuffer } from '../body-buffer.ts'
import { AnswerReader } from './http-answer.ts'
import { ExchangeError, packedMemory, type Deadline, type RawAnswer } from './http-exchange.ts'
import { boundedLookup } from './http-lookup.ts'

/** Longer than scrape timeouts usually are; the request's own deadline ends the wait first. */
const connectTimeoutMs = 30_000
/** As in Prometheus: longer than any sane scrape interval. */
const idleMsMax = 300_000
const sweepEveryMs = 15_000
/** Idle connections of one client, and of one address of it. */
const idleMax = 20_000
const idlePerAddressMax = 1_000
/** A server that says how long it keeps a connection may end it a moment early. */
const keepAliveMarginMs = 1_000

/** Where connections go. `key` tells addresses apart. */
export type PlainAddress = Readonly<{ key: string; connect: net.TcpNetConnectOpts | net.IpcNetConnectOpts }>

export function plainAddress(url: URL, unixSocket: string | undefined): PlainAddress {
  if (unixSocket !== undefined) return { key: `unix:${unixSocket}`, connect: { path: unixSocket } }
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname
  return { key: url.host, connect: { host, port: Number(url.port || 80), lookup: boundedLookup, noDelay: true } }
}

const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
/** What would change how an answer is to be read, or is not allowed. */
const hopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The bytes of a GET; null where its headers are nothing for this client. @param headers a flat list of names and values. */
export function plainRequest(url: URL, headers: readonly string[]): Buffer | null {
  let host = url.host
  let lines = ''
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]!
    const lower = name.toLowerCase()
    if (!fieldName.test(name) || !fieldValue.test(value) || hopHeaders.has(lower)) return null
    if (lower === 'host') host = value
    else lines += `${name}: ${value}\r\n`
  }
  return Buffer.from(`GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n`, 'latin1')
}

/** One read at most; more is only more system calls. */
const readBytes = 256 << 10
let sharedBuffer: Buffer | null = null

type Exchange = {
  readonly address: PlainAddress
  readonly request: Buffer
  readonly reader: AnswerReader
  readonly deadline: Deadline
  readonly resolve: (answer: RawAnswer) => void
  readonly reject: (thrown: Error) => void
  connection: Connection | null
}

/** The connections of one client. */
export class PlainConnections {
  /** By address, the latest used last. */
  readonly #idle = new Map<string, Connection[]>()
  #idleCount = 0
  readonly #busy = new Set<Connection>()
  #sweeper: NodeJS.Timeout | null = null
  #closed: (() => void) | null = null

  /**
   * One request and its answer.
   * @param into takes the body, from its start; null: the answer has memory of its own. Where the body is gzip it is still packed, in memory the caller
   *   frees with `answer.packed`.
   * @throws PromhiveError TOO_LARGE or the deadline's, what the socket said, or ExchangeError with one of them.
   */
  exchange(address: PlainAddress, request: Buffer, bytesMax: number, into: BodyBuffer | undefined, deadline: Deadline): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(new PromhiveError('UNAVAILABLE', 'http: client closed'))
      if (deadline.over !== null) return reject(deadline.over)
      into?.clear()
      const reader = new AnswerReader(bytesMax, into ?? new BodyBuffer(), packedMemory.buffer())
      const exchange: Exchange = { address, request, reader, deadline, resolve, reject, connection: null }
      deadline.onOver = (why) => exchange.connection?.fail(why)
      this.#start(this.#takeIdle(address) ?? new Connection(this, address), exchange)
    })
  }

  /** Ends idle connections at once, the others when their answers are there. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = resolve
      for (const connections of this.#idle.values()) for (const connection of connections) connection.destroy()
      this.#idle.clear()
      this.#idleCount = 0
      this.#stopSweeping()
      if (this.#busy.size === 0) resolve()
    })
  }

  /** A connection has done its work. */
  release(connection: Connection, usable: boolean): void {
    this.#busy.delete(connection)
    if (this.#closed !== null || !usable || this.#idleCount >= idleMax) connection.destroy()
    else this.#keep(connection)
    if (this.#closed !== null && this.#busy.size === 0) this.#closed()
  }

  /** An idle connection has ended. */
  forget(connection: Connection): void {
    const { key } = connection.address
    const connections = this.#idle.get(key)
    const at = connections?.indexOf(connection) ?? -1
    if (at < 0) return
    connections!.splice(at, 1)
    if (connections!.length === 0) this.#idle.delete(key)
    this.#idleCount--
    if (this.#idleCount === 0) this.#stopSweeping()
  }

  /** Once more, on a new connection. */
  again(exchange: Exchange): void {
    this.#start(new Connection(this, exchange.address), exchange)
  }

  #start(connection: Connection, exchange: Exchange): void {
    this.#busy.add(connection)
    connection.start(exchange)
  }

  #keep(connection: Connection): void {
    const { key } = connection.address
    const connections = this.#idle.get(key)
    if (connections === undefined) this.#idle.set(key, [connection])
    else if (connections.length < idlePerAddressMax) connections.push(connection)
    else return connection.destroy()
    this.#idleCount++
    connection.rest()
    this.#sweeper ??= setInterval(() => this.#sweep(), sweepEveryMs).unref()
  }

  #takeIdle({ key }: PlainAddress): Connection | null {
    const connections = this.#idle.get(key)
    if (connections === undefined) return null
    const now = performance.now()
    let found: Connection | null = null
    while (found === null) {
      const connection = connections.pop()
      if (connection === undefined) break
      this.#idleCount--
      if (connection.idleUntilMs > now) found = connection
      else connection.destroy()
    }
    if (connections.length === 0) this.#idle.delete(key)
    if (this.#idleCount === 0) this.#stopSweeping()
    return found
  }

  #sweep(): void {
    const now = performance.now()
    for (const connections of this.#idle.values()) {
      for (const connection of connections.filter(({ idleUntilMs }) => idleUntilMs <= now)) {
        this.forget(connection)
        connection.destroy()
      }
    }
  }

  #stopSweeping(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper)
    this.#sweeper = null
  }
}

class Connection {
  readonly address: PlainAddress
  /** performance.now() from which on it is not used any more. */
  idleUntilMs = 0
  readonly #pool: PlainConnections
  readonly #socket: net.Socket
  #connectTimer: NodeJS.Timeout | undefined
  #exchange: Exchange | null = null
  /** It has given an answer before. */
  #used = false

  constructor(pool: PlainConnections, address: PlainAddress) {
    this.#pool = pool
    this.address = address
    sharedBuffer ??= Buffer.allocUnsafeSlow(readBytes)
    const onread: net.OnReadOpts = { buffer: sharedBuffer, callback: (length) => this.#read(length) }
    const socket = net.connect({ ...address.connect, onread, keepAlive: true, keepAliveInitialDelay: 60_000 })
    this.#socket = socket
    this.#connectTimer = setTimeout(() => this.fail(new Error('dial tcp: i/o timeout')), connectTimeoutMs)
    socket.on('connect', () => clearTimeout(this.#connectTimer))
    socket.on('error', (error) => this.fail(error))
    socket.on('end', () => this.#ended())
    socket.on('close', () => this.#ended())
  }

  start(exchange: Exchange): void {
    this.#exchange = exchange
    exchange.connection = this
    if (this.#used) this.#socket.ref()
    this.#socket.write(exchange.request)
  }

  /** A program that only has idle connections may end. */
  rest(): void {
    this.#socket.unref()
  }

  destroy(): void {
    clearTimeout(this.#connectTimer)
    this.#socket.destroy()
  }

  fail(why: Error): void {
    const exchange = this.#exchange
    this.#exchange = null
    this.destroy()
    if (exchange === null) return this.#pool.forget(this)
    exchange.connection = null
    const { reader, deadline } = exchange
    if (this.#used && !reader.touched && deadline.over === null && isGone(why)) {
      this.#pool.release(this, false)
      return this.#pool.again(exchange)
    }
    deadline.onOver = null
    reader.body.clear()
    if (reader.hasHead) reader.packed.free()
    this.#pool.release(this, false)
    exchange.reject(deadline.over === why && !reader.hasHead ? why : new ExchangeError(why, reader.hasHead))
  }

  #ended(): void {
    const exchange = this.#exchange
    if (exchange === null) return this.fail(eof)
    try {
      exchange.reader.end()
    } catch (thrown) {
      return this.fail(thrown as Error)
    }
    this.#answered(exchange, false)
  }

  #read(length: number): boolean {
    const exchange = this.#exchange
    if (exchange === null) {
      // Nothing was asked: whatever this is, the next answer can't be told from it.
      this.fail(eof)
      return false
    }
    const { reader } = exchange
    let taken: number
    try {
      taken = reader.feed(sharedBuffer!, length)
    } catch (thrown) {
      this.fail(thrown as Error)
      return false
    }
    if (reader.done) this.#answered(exchange, reader.keepAlive && taken === length && this.#socket.writableLength === 0)
    return true
  }

  #answered(exchange: Exchange, usable: boolean): void {
    const { status, headers, body, packed } = exchange.reader
    this.#exchange = null
    this.#used = true
    exchange.connection = null
    exchange.deadline.onOver = null
    if (usable) this.idleUntilMs = performance.now() + idleMs(headers['keep-alive'])
    this.#pool.release(this, usable)
    const answer: RawAnswer = { status, headers, body: body.view() }
    if (body === packed) answer.packed = packed
    exchange.resolve(answer)
  }
}

const eof = new Error('EOF')

/** Whether a connection that was idle had ended, as opposed to an answer that went wrong. */
function isGone(error: Error): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ECONNRESET' || code === 'EPIPE' || error.message === 'EOF'
}

/** What the last header said: servers say the same every time. */
let lastKeepAlive = ''
let lastIdleMs = idleMsMax

/** From `Keep-Alive: timeout=5`. */
function idleMs(header: string | undefined): number {
  if (header === undefined) return idleMsMax
  if (header === lastKeepAlive) return lastIdleMs
  const seconds = /(?:^|[,; ])timeout=(\d{1,9})/i.exec(header)
  lastKeepAlive = header
  lastIdleMs = seconds === null ? idleMsMax : Math.min(idleMsMax, Math.max(0, Number(seconds[1]) * 1000 - keepAliveMarginMs))
  return lastIdleMs
}
