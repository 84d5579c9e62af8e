// The file of --web.config.file: TLS, headers and passwords of the web server (FEATURES 6.51). Source: prometheus/exporter-toolkit web.
import { quote } from '../model/labels.ts'
import type { ConfigProblem } from './problem.ts'
import { directoryOf } from './prometheus-config.ts'
import { readGoDuration } from './quantity.ts'
import { Reader, bool, field, filePath, int, list, map, nullableList, oneOf, secret, struct, text } from './schema.ts'
import type { Report, Schema, ValueOf } from './schema.ts'
import { isNull, parseYaml, resolveScalar } from './yaml-tree.ts'

const clientAuths = [
  'NoClientCert',
  'RequestClientCert',
  'RequireAnyClientCert',
  'VerifyClientCertIfGiven',
  'RequireAndVerifyClientCert',
] as const
type ClientAuth = (typeof clientAuths)[number]
type TlsVersion = 'TLS10' | 'TLS11' | 'TLS12' | 'TLS13'

/** The shape src/api serves with. */
export type WebConfig = Readonly<{
  tls: Readonly<{
    cert: string
    certFile: string
    key: string
    keyFile: string
    clientCa: string
    clientCaFile: string
    clientAuth: ClientAuth
    clientAllowedSans: readonly string[] | null
    minVersion: TlsVersion
    maxVersion: TlsVersion
    cipherSuites: readonly string[]
    curvePreferences: readonly string[]
    preferServerCipherSuites: boolean
  }> | null
  http2: boolean
  headers: Readonly<Record<string, string>>
  /** User → bcrypt hash. */
  users: Readonly<Record<string, string>>
  rateLimit: Readonly<{ intervalMs: number; burst: number }> | null
}>

const tlsVersion = oneOf<TlsVersion>(['TLS10', 'TLS11', 'TLS12', 'TLS13'], (name) => `unknown TLS version: ${name}`)

/** Those Go calls secure. */
const cipherSuites = new Set([
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA',
  'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA',
  'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA',
  'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA',
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256',
  'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256',
])
const curves = new Set(['CurveP256', 'CurveP384', 'CurveP521', 'X25519'])

/** Headers that may be set, with the values allowed; null: any. */
const extraHeaders: Readonly<Record<string, readonly string[] | null>> = {
  'Strict-Transport-Security': null,
  'X-Content-Type-Options': ['nosniff'],
  'X-Frame-Options': ['deny', 'sameorigin'],
  'X-XSS-Protection': null,
  'Content-Security-Policy': null,
}

const tlsServerConfig = struct('web.TLSConfig', {
  cert: field(text()),
  key: field(secret()),
  client_ca: field(text()),
  cert_file: field(filePath()),
  key_file: field(filePath()),
  client_auth_type: field(text()),
  client_ca_file: field(filePath()),
  cipher_suites: field(list(text({ check: (name) => (cipherSuites.has(name) ? null : `unknown cipher: ${name}`) }), '[]web.Cipher')),
  curve_preferences: field(list(text({ check: (name) => (curves.has(name) ? null : `unknown curve: ${name}`) }), '[]web.Curve')),
  min_version: field(tlsVersion, 'TLS12'),
  max_version: field(tlsVersion, 'TLS13'),
  prefer_server_cipher_suites: field(bool(), true),
  client_allowed_sans: field(nullableList(text(), '[]string')),
})

/** Go's durations: text with units, or bare nanoseconds. Milliseconds. */
const goDuration: Schema<number> = {
  read(node, reader, path) {
    if (isNull(node)) return 0
    if (node.kind !== 'scalar')
      return reader.problem(node.at, path, `cannot unmarshal ${node.kind === 'map' ? '!!map' : '!!seq'} into time.Duration`)
    const resolved = resolveScalar(node)
    if (resolved.tag === '!!int') return Number(resolved.value) / 1e6
    const value = readGoDuration(node.text)
    return typeof value === 'number' ? value : reader.problem(node.at, path, `cannot unmarshal !!str \`${node.text}\` into time.Duration`)
  },
  zero: () => 0,
  isZero: (value) => value === 0,
  print: (value) => value,
}

const webConfig = struct('web.Config', {
  tls_server_config: field(tlsServerConfig, tlsServerConfig.defaults()),
  http_server_config: field(
    struct('web.HTTPConfig', { http2: field(bool(), true), headers: field(map(text())) }),
    Object.freeze({ http2: true, headers: Object.freeze({}) }),
  ),
  rate_limit: field(struct('web.RateLimiterConfig', { burst: field(int()), interval: field(goDuration) })),
  basic_auth_users: field(map(secret(), 'map[string]config.Secret')),
})

export type WebConfigChecks = Readonly<{
  /** Where given, files that are named must be readable. Throws where one is not. */
  readFile?: (path: string) => string
  /** What is wrong with a certificate and its key, both PEM, or null. */
  checkKeyPair?: (cert: string, key: string) => string | null
}>

/** Reads the text of a web configuration file. All problems at once. */
export function parseWebConfig(
  source: string,
  path: string,
  checks: WebConfigChecks = {},
): { config: WebConfig; problems: readonly [] } | { config: null; problems: readonly ConfigProblem[] } {
  const tree = parseYaml(source, path)
  const reader = new Reader(tree, { file: path, directory: directoryOf(path) })
  if (tree.problems.length > 0) return { config: null, problems: tree.problems }
  const value = isNull(tree.root) ? webConfig.defaults() : webConfig.read(tree.root, reader, '')
  if (value === undefined) return { config: null, problems: reader.problems }
  const report: Report = (where, message) => reader.problemIn(value, where, message)
  const users = Object.entries(value.basic_auth_users).map(([name, hash]) => [name, hash.reveal()] as const)
  for (const [name, hash] of users) {
    const why = bcryptProblem(hash)
    if (why !== null) report(['basic_auth_users', name], why)
  }
  for (const [name, header] of Object.entries(value.http_server_config.headers)) {
    const allowed = Object.hasOwn(extraHeaders, name) ? extraHeaders[name] : undefined
    const where = ['http_server_config', 'headers', name]
    if (allowed === undefined) report(where, `HTTP header ${quote(name)} can not be configured`)
    else if (allowed !== null && !allowed.includes(header)) {
      report(where, `invalid value for ${name}. Expected one of: [${allowed.map(quote).join(' ')}], but got: ${quote(header)}`)
    }
  }
  const tls = checkTls(value.tls_server_config, checks, report)
  if (reader.problems.length > 0) return { config: null, problems: reader.problems }
  const { interval, burst } = value.rate_limit
  const config: WebConfig = Object.freeze({
    tls,
    http2: value.http_server_config.http2,
    headers: value.http_server_config.headers,
    users: Object.freeze(Object.fromEntries(users)),
    rateLimit: interval === 0 ? null : Object.freeze({ intervalMs: interval, burst }),
  })
  return { config, problems: [] }
}

function checkTls(tls: ValueOf<typeof tlsServerConfig>, checks: WebConfigChecks, say: Report): WebConfig['tls'] {
  const report = (key: string | null, message: string): void =>
    say(key === null ? 'tls_server_config' : ['tls_server_config', key], message)
  const hasCert = tls.cert !== '' || tls.cert_file !== ''
  const hasKey = !tls.key.isEmpty || tls.key_file !== ''
  const hasCa = tls.client_ca !== '' || tls.client_ca_file !== ''
  if (!hasCert && !hasKey && !hasCa && tls.client_auth_type === '') return null
  if (!hasCert) report(null, 'missing one of cert or cert_file')
  else if (!hasKey) report(null, 'missing one of key or key_file')
  const read = (path: string, key: string, inline: string): string => {
    if (path === '' || checks.readFile === undefined) return inline
    try {
      return checks.readFile(path)
    } catch (thrown) {
      report(key, `failed to read ${key} (${path}): ${thrown instanceof Error ? thrown.message : String(thrown)}`)
      return ''
    }
  }
  const cert = read(tls.cert_file, 'cert_file', tls.cert)
  const key = read(tls.key_file, 'key_file', tls.key.reveal())
  read(tls.client_ca_file, 'client_ca_file', tls.client_ca)
  const why = cert !== '' && key !== '' && checks.checkKeyPair !== undefined ? checks.checkKeyPair(cert, key) : null
  if (why !== null) report(tls.cert_file === '' ? 'cert' : 'cert_file', `failed to load X509KeyPair: ${why}`)
  const written = tls.client_auth_type
  const clientAuth = written === '' ? 'NoClientCert' : written === 'RequireClientCert' ? 'RequireAnyClientCert' : written
  if (!(clientAuths as readonly string[]).includes(clientAuth)) report('client_auth_type', `invalid ClientAuth: ${written}`)
  else if (hasCa && clientAuth === 'NoClientCert') report(null, "client CA's have been configured without a Client Auth Policy")
  return Object.freeze({
    cert: tls.cert,
    certFile: tls.cert_file,
    key: tls.key.reveal(),
    keyFile: tls.key_file,
    clientCa: tls.client_ca,
    clientCaFile: tls.client_ca_file,
    clientAuth: clientAuth as ClientAuth,
    clientAllowedSans: tls.client_allowed_sans,
    minVersion: tls.min_version === '' ? 'TLS10' : tls.min_version,
    maxVersion: tls.max_version === '' ? 'TLS13' : tls.max_version,
    cipherSuites: tls.cipher_suites,
    curvePreferences: tls.curve_preferences,
    preferServerCipherSuites: tls.prefer_server_cipher_suites,
  })
}

/** What is wrong with a bcrypt hash, in the words of golang.org/x/crypto/bcrypt. */
export function bcryptProblem(hash: string): string | null {
  if (hash.length < 59) return 'crypto/bcrypt: hashedSecret too short to be a bcrypted password'
  if (!hash.startsWith('$')) return `crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with '${hash[0]}'`
  if (hash[1]! > '2') return `crypto/bcrypt: bcrypt algorithm version '${hash[1]}' requested is newer than current version '2'`
  const cost = hash.slice(hash[2] === '$' ? 3 : 4).slice(0, 2)
  if (!/^[-+]?\d+$/.test(cost)) return `strconv.Atoi: parsing ${quote(cost)}: invalid syntax`
  const number = Number(cost)
  return number >= 4 && number <= 31 ? null : `crypto/bcrypt: cost ${number} is outside allowed inclusive range 4..31`
}
