/** The HTTP client options every configuration section with a client shares (FEATURES 1.32–1.35), after validation. File paths are absolute. */
export type HttpClientOptions = Readonly<{
  basicAuth?: Readonly<{ username: string; usernameFile: string; password: string; passwordFile: string }>
  authorization?: Readonly<{ type: string; credentials: string; credentialsFile: string }>
  oauth2?: OAuth2Options
  tls?: TlsOptions
  proxyUrl?: string
  noProxy?: string
  proxyFromEnvironment?: boolean
  proxyConnectHeader?: Readonly<Record<string, readonly string[]>>
  followRedirects: boolean
  enableHttp2: boolean
  httpHeaders?: Readonly<Record<string, Readonly<{ values: readonly string[]; secrets: readonly string[]; files: readonly string[] }>>>
}>

export type TlsOptions = Readonly<{
  ca: string
  caFile: string
  cert: string
  certFile: string
  key: string
  keyFile: string
  serverName: string
  insecureSkipVerify: boolean
  minVersion: TlsVersion | ''
  maxVersion: TlsVersion | ''
}>
export type TlsVersion = 'TLS10' | 'TLS11' | 'TLS12' | 'TLS13'

export type OAuth2Options = Readonly<{
  clientId: string
  clientSecret: string
  clientSecretFile: string
  grantType: string
  clientCertificateKey: string
  clientCertificateKeyFile: string
  clientCertificateKeyId: string
  signatureAlgorithm: string
  iss: string
  audience: string
  claims: Readonly<Record<string, unknown>>
  scopes: readonly string[]
  tokenUrl: string
  endpointParams: Readonly<Record<string, string>>
  tls?: TlsOptions
  proxyUrl?: string
  noProxy?: string
  proxyFromEnvironment?: boolean
  proxyConnectHeader?: Readonly<Record<string, readonly string[]>>
}>

export const defaultHttpClientOptions: HttpClientOptions = { followRedirects: true, enableHttp2: true }
