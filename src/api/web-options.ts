// What the edge needs of `--web.config.file` (FEATURES 6.51). src/config/web-config.ts parses and checks the file into this form; the edge
// reads certificates through WebFiles whenever they change, so new ones are picked up without a restart.

export type ClientAuth =
  'NoClientCert' | 'RequestClientCert' | 'RequireAnyClientCert' | 'VerifyClientCertIfGiven' | 'RequireAndVerifyClientCert'

export type WebTlsVersion = 'TLS10' | 'TLS11' | 'TLS12' | 'TLS13'

/** Of each pair (text, file) at most one is set; '' = not set. File paths are absolute or relative to the process. */
export type WebTlsOptions = Readonly<{
  cert: string
  certFile: string
  key: string
  keyFile: string
  clientCa: string
  clientCaFile: string
  clientAuth: ClientAuth
  /** Null: any. Exact matches with a DNS name, e-mail, IP or URI of the client's certificate. */
  clientAllowedSans: readonly string[] | null
  minVersion: WebTlsVersion
  maxVersion: WebTlsVersion
  /** Go's names, e.g. TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; [] = the default ones. */
  cipherSuites: readonly string[]
  /** CurveP256, CurveP384, CurveP521, X25519; [] = the default ones. */
  curvePreferences: readonly string[]
  preferServerCipherSuites: boolean
}>

export type WebOptions = Readonly<{
  /** Null: plain HTTP. */
  tls: WebTlsOptions | null
  http2: boolean
  /** Added to every answer. */
  headers: Readonly<Record<string, string>>
  /** User → bcrypt hash; empty = nobody is asked. */
  users: Readonly<Record<string, string>>
  /** Token bucket over all requests; null = none. */
  rateLimit: Readonly<{ intervalMs: number; burst: number }> | null
}>

/** Where the options come from. The edge calls `version` at every request: it must be cheap (a stat). */
export interface WebFiles {
  /** Changes whenever the file's content may have changed; throws where it cannot be read. */
  version(path: string): string
  read(path: string): Uint8Array
  /** Throws PromhiveError CONFIG_INVALID. */
  parse(text: Uint8Array, path: string): WebOptions
}
