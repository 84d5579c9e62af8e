// --web.config.file at work: TLS with certificates that are read again when they change, headers, a rate limit, and basic authentication
// (FEATURES 6.51). Source: prometheus/exporter-toolkit web.
import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PeerCertificate, SecureContextOptions, TLSSocket } from 'node:tls'
import { compare } from 'bcryptjs'
import { messageOf, PromhiveError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { EdgeClock } from './backend.ts'
import type { WebFiles, WebOptions, WebTlsOptions, WebTlsVersion } from './web-options.ts'

/** The options as the file says now: it is parsed again when its version changes. */
export class WebConfigFile {
  readonly path: string
  readonly #files: WebFiles
  #version = ''
  #options: WebOptions | null = null
  constructor(path: string, files: WebFiles) {
    this.path = path
    this.#files = files
  }
  /** Throws PromhiveError CONFIG_INVALID or what reading the file throws. */
  current(): WebOptions {
    const version = this.#files.version(this.path)
    if (this.#options === null || version !== this.#version) {
      this.#options = this.#files.parse(this.#files.read(this.path), this.path)
      this.#version = version
    }
    return this.#options
  }
  /** Certificates and keys for a new connection; `version` tells whether they differ from the ones before. */
  certificates(): { version: string; context: () => SecureContextOptions } {
    const { tls } = this.current()
    if (tls === null) throw new PromhiveError('CONFIG_INVALID', `cannot serve TLS: ${this.path} has no tls_server_config any more`)
    const named = [tls.certFile, tls.keyFile, tls.clientCaFile].filter((path) => path !== '')
    const version = [this.#version, ...named.map((path) => this.#files.version(path))].join('\n')
    return { version, context: () => secureContext(tls, this.#files) }
  }
}

const versions: Readonly<Record<WebTlsVersion, 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
}
const curves: Readonly<Record<string, string>> = { CurveP256: 'P-256', CurveP384: 'P-384', CurveP521: 'P-521', X25519: 'X25519' }
/** Go's names of cipher suites as OpenSSL calls them; the suites of TLS 1.3 cannot be chosen there. */
const ciphers: Readonly<Record<string, string>> = {
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
}

/** Node's options for a TLS configuration; reads certificates and keys. Throws CONFIG_INVALID where a suite or curve is not known. */
export function secureContext(tls: WebTlsOptions, files: WebFiles): SecureContextOptions {
  const pem = (text: string, path: string): string | Buffer => (path === '' ? text : Buffer.from(files.read(path)))
  const known = (table: Readonly<Record<string, string>>, name: string, what: string): string => {
    const found = Object.hasOwn(table, name) ? table[name] : undefined
    if (found === undefined) throw new PromhiveError('CONFIG_INVALID', `unknown ${what}: ${name}`)
    return found
  }
  const suites = tls.cipherSuites.map((name) => known(ciphers, name, 'cipher'))
  // a list that names only older suites leaves those of TLS 1.3 as they are, as in Go
  if (suites.length > 0 && !suites.some((suite) => suite.startsWith('TLS_'))) {
    suites.unshift('TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256')
  }
  return {
    cert: pem(tls.cert, tls.certFile),
    key: pem(tls.key, tls.keyFile),
    ...((tls.clientCa !== '' || tls.clientCaFile !== '') && { ca: pem(tls.clientCa, tls.clientCaFile) }),
    minVersion: versions[tls.minVersion],
    maxVersion: versions[tls.maxVersion],
    honorCipherOrder: tls.preferServerCipherSuites,
    ...(suites.length > 0 && { ciphers: suites.join(':') }),
    ...(tls.curvePreferences.length > 0 && { ecdhCurve: tls.curvePreferences.map((name) => known(curves, name, 'curve')).join(':') }),
  }
}

/** Whether the handshake asks for a certificate, and whether it fails by itself on a bad one. */
export function clientAuthOf(tls: WebTlsOptions): { requestCert: boolean; rejectUnauthorized: boolean } {
  return { requestCert: tls.clientAuth !== 'NoClientCert', rejectUnauthorized: tls.clientAuth === 'RequireAndVerifyClientCert' }
}

/** What is wrong with a client's certificate after the handshake, or null. */
export function clientProblem(tls: WebTlsOptions, socket: TLSSocket): string | null {
  if (tls.clientAuth === 'NoClientCert') return null
  const certificate = socket.getPeerCertificate() as PeerCertificate | Record<string, never>
  const given = Object.keys(certificate).length > 0
  if (!given) return tls.clientAuth.startsWith('Require') ? "client didn't provide a certificate" : null
  if ((tls.clientAuth === 'VerifyClientCertIfGiven' || tls.clientAuth === 'RequireAndVerifyClientCert') && !socket.authorized) {
    return `client's certificate is not trusted: ${String(socket.authorizationError)}`
  }
  if (tls.clientAllowedSans === null) return null
  const names = subjectNames((certificate as PeerCertificate).subjectaltname ?? '')
  if (tls.clientAllowedSans.some((allowed) => names.includes(allowed))) return null
  return `could not find allowed SANs in client cert, found: [${names.join(' ')}]`
}

/** `DNS:a, IP Address:1.2.3.4, URI:"x, y"` → the names alone. */
export function subjectNames(text: string): string[] {
  const names: string[] = []
  for (const part of text.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? []) {
    const found = /^\s*(DNS|IP Address|URI|email):(.*)$/.exec(part)
    if (found === null) continue
    const value = found[2]!.trim()
    names.push(value.startsWith('"') ? String(JSON.parse(value)) : value)
  }
  return names
}

/** Verified and refused passwords kept; entries are keyed hashes, so the memory holds no password. */
const verdictsMax = 100
/** Compared where the user does not exist, so that the time tells nothing. bcrypt of "fakepassword". */
const nobodyHash = '$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi'
/** Credentials waiting for their turn: a flood of wrong passwords must not pile up. */
const waitingMax = 64

/** Stands in front of every request. */
export class WebGuard {
  readonly #file: WebConfigFile | null
  readonly #logger: Logger
  readonly #clock: EdgeClock
  readonly #key = randomBytes(32)
  readonly #verdicts = new Map<string, boolean>()
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #tokens = -1
  #filledAtMs = 0

  constructor(file: WebConfigFile | null, clock: EdgeClock, logger: Logger) {
    this.#file = file
    this.#clock = clock
    this.#logger = logger
  }

  /** Calls `pass` where the request may go on, else answers it. Adds the configured headers either way. */
  check(request: IncomingMessage, response: ServerResponse, pass: () => void): void {
    if (this.#file === null) {
      pass()
      return
    }
    let options: WebOptions
    try {
      options = this.#file.current()
    } catch (thrown) {
      this.#logger.error({ err: messageOf(thrown) }, 'Unable to parse configuration')
      refuse(response, 500, 'Internal Server Error')
      return
    }
    if (!this.#admit(options)) {
      refuse(response, 429, 'Too Many Requests')
      return
    }
    for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value)
    if (Object.keys(options.users).length === 0) {
      pass()
      return
    }
    const verdict = this.#verdict(options, request.headers.authorization ?? '')
    if (verdict === true) pass()
    else if (verdict === false) unauthorized(response)
    else {
      void verdict.then((good) => {
        if (good === null) refuse(response, 503, 'Service Unavailable')
        else if (good) pass()
        else unauthorized(response)
      })
    }
  }

  /** At once where it is known; null: too many are waiting. */
  #verdict(options: WebOptions, header: string): boolean | Promise<boolean | null> {
    const given = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header)
    if (given === null) return false
    const text = Buffer.from(given[1]!, 'base64').toString('utf8')
    const at = text.indexOf(':')
    if (at < 0) return false
    const user = text.slice(0, at)
    const password = text.slice(at + 1)
    const known = Object.hasOwn(options.users, user)
    const hash = known ? options.users[user]! : nobodyHash
    const entry = createHmac('sha256', this.#key)
      .update(JSON.stringify([user, hash, password]))
      .digest('base64')
    const remembered = this.#verdicts.get(entry)
    if (remembered !== undefined) return remembered
    if (this.#waiting >= waitingMax) return Promise.resolve(null)
    this.#waiting++
    // one after the other: each takes a good part of a core
    const verdict = this.#turn.then(async () => {
      const before = this.#verdicts.get(entry)
      if (before !== undefined) return before
      const good = (await comparePassword(password, hash)) && known
      if (this.#verdicts.size >= verdictsMax) this.#verdicts.delete(this.#verdicts.keys().next().value!)
      this.#verdicts.set(entry, good)
      return good
    })
    this.#turn = verdict.catch(() => false).finally(() => this.#waiting--)
    return verdict.catch((thrown: unknown) => {
      this.#logger.error({ err: messageOf(thrown) }, 'Unable to check a password')
      return false
    })
  }

  #admit(options: WebOptions): boolean {
    const { rateLimit } = options
    if (rateLimit === null || rateLimit.intervalMs <= 0) return true
    const nowMs = this.#clock.monotonicMs()
    if (this.#tokens < 0) this.#tokens = rateLimit.burst
    else this.#tokens = Math.min(rateLimit.burst, this.#tokens + (nowMs - this.#filledAtMs) / rateLimit.intervalMs)
    this.#filledAtMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

/** bcrypt looks at the first 72 bytes; Go's refuses longer passwords, so that two of them are never the same. */
async function comparePassword(password: string, hash: string): Promise<boolean> {
  if (Buffer.byteLength(password) > 72) return false
  return compare(password, hash)
}

function unauthorized(response: ServerResponse): void {
  response.setHeader('WWW-Authenticate', 'Basic')
  refuse(response, 401, 'Unauthorized')
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' })
  response.end(text + '\n')
}
