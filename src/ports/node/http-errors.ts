// Failures of a request in the words Prometheus' users know from Go's net/http: `Get "http://a:9100/metrics": dial tcp 127.0.0.1:9100: connect: connection refused`.
import { PromhiveError } from '../../base/errors.ts'

export function deadlineError(): PromhiveError {
  return new PromhiveError('QUERY_TIMEOUT', 'context deadline exceeded')
}

export function canceledError(): PromhiveError {
  return new PromhiveError('QUERY_CANCELED', 'context canceled')
}

export function tooLarge(bytesMax: number): PromhiveError {
  return new PromhiveError('TOO_LARGE', 'body size limit exceeded', { bytesMax })
}

/** The proxy itself could not be reached; Go says `proxyconnect tcp: …`. */
export class ProxyConnectError extends Error {
  override readonly name = 'ProxyConnectError'
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

type SystemError = Error & {
  code?: string
  address?: string
  port?: number
  hostname?: string
  syscall?: string
  errors?: unknown[]
  reason?: string
  data?: string
}

const connectReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  ECONNRESET: 'connection reset by peer',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or directory',
  EMFILE: 'too many open files',
}

const certificateReasons: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate signed by unknown authority',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate signed by unknown authority',
  CERT_HAS_EXPIRED: 'certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'certificate has expired or is not yet valid',
  CERT_REVOKED: 'certificate has been revoked',
}

/** The part after the URL. */
export function failureReason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  if (thrown instanceof PromhiveError) return thrown.message
  if (thrown instanceof ProxyConnectError) return `proxyconnect tcp: ${failureReason(thrown.cause)}`
  const error = thrown as SystemError
  // Every address of the name was tried: Go reports the first.
  if (Array.isArray(error.errors) && error.errors.length > 0) return failureReason(error.errors[0])
  const code = error.code ?? ''
  if (code === 'UND_ERR_CONNECT_TIMEOUT')
    return Array.isArray((error.cause as SystemError | undefined)?.errors) ? failureReason(error.cause) : 'dial tcp: i/o timeout'
  if (error.syscall === 'connect') {
    const why = connectReasons[code] ?? code
    if (error.port === undefined) return `dial unix ${error.address ?? ''}: connect: ${why}`
    const address = error.address?.includes(':') ? `[${error.address}]` : error.address
    return `dial tcp ${address}:${error.port}: connect: ${why}`
  }
  if (error.syscall === 'getaddrinfo')
    return `dial tcp: lookup ${error.hostname}: ${code === 'ENOTFOUND' ? 'no such host' : code === 'EAI_AGAIN' ? 'Temporary failure in name resolution' : code}`
  const certificate = certificateReasons[code]
  if (certificate !== undefined) return `tls: failed to verify certificate: x509: ${certificate}`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `tls: failed to verify certificate: x509: ${error.reason ?? error.message}`
  if (/wrong version number|http request/i.test(error.message) && code.startsWith('E'))
    return 'http: server gave HTTP response to HTTPS client'
  if (code.startsWith('ERR_SSL_')) return `remote error: tls: ${error.reason ?? error.message}`
  if (code === 'ECONNRESET') return 'read: connection reset by peer'
  if (code === 'EPIPE') return 'write: broken pipe'
  if (code === 'UND_ERR_SOCKET') return 'EOF'
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return 'net/http: server response headers exceeded the limit'
  if (error.name === 'HTTPParserError') {
    const line = JSON.stringify((error.data ?? '').split('\r\n')[0]!.slice(0, 100))
    return `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${line}`
  }
  return error.message
}
