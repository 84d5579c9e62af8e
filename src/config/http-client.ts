// The HTTP client settings that every section with a client shares (FEATURES 1.32–1.35).
// Source: prometheus/common config.HTTPClientConfig.
import type { HttpClientOptions, OAuth2Options, TlsOptions, TlsVersion } from '../model/http-options.ts'
import { always, anything, bool, field, filePath, list, map, oneOf, optional, secret, struct, text, url } from './schema.ts'
import type { FieldsValue, Report, ValueOf } from './schema.ts'

const tlsVersions = ['TLS13', 'TLS12', 'TLS11', 'TLS10'] as const
const tlsVersion = oneOf<TlsVersion>(tlsVersions, (text) => `unknown TLS version: ${text}`)

/** How many of the values are there. */
function given(...values: readonly { isEmpty: boolean }[] | readonly string[]): number {
  return values.filter((value) => (typeof value === 'string' ? value !== '' : !value.isEmpty)).length
}

export const tlsConfig = struct(
  'config.plain',
  {
    ca: field(text()),
    cert: field(text()),
    key: field(secret()),
    ca_file: field(filePath()),
    cert_file: field(filePath()),
    key_file: field(filePath()),
    ca_ref: field(text()),
    cert_ref: field(text()),
    key_ref: field(text()),
    server_name: field(text()),
    insecure_skip_verify: always(bool()),
    min_version: field(tlsVersion),
    max_version: field(tlsVersion),
  },
  {
    check(tls, report) {
      if (given(tls.ca, tls.ca_file, tls.ca_ref) > 1) report(null, 'at most one of ca, ca_file & ca_ref must be configured')
      if (given(tls.cert, tls.cert_file, tls.cert_ref) > 1) report(null, 'at most one of cert, cert_file & cert_ref must be configured')
      if (given(tls.key.reveal(), tls.key_file, tls.key_ref) > 1) report(null, 'at most one of key and key_file must be configured')
      const hasCert = given(tls.cert, tls.cert_file, tls.cert_ref) > 0
      const hasKey = given(tls.key.reveal(), tls.key_file, tls.key_ref) > 0
      if (hasCert && !hasKey) {
        report(null, 'exactly one of key or key_file must be configured when a client certificate is configured')
      } else if (hasKey && !hasCert) {
        report(null, 'exactly one of cert or cert_file must be configured when a client key is configured')
      }
      refuseReferences(tls, ['ca_ref', 'cert_ref', 'key_ref'], report)
    },
  },
)
export type TlsValue = ValueOf<typeof tlsConfig>

const proxyFields = {
  proxy_url: field(url()),
  no_proxy: field(text()),
  proxy_from_environment: field(bool()),
  proxy_connect_header: field(map(list(secret(), '[]config.Secret'), 'config.ProxyHeader')),
}

function checkProxy(value: FieldsValue<typeof proxyFields>, report: Report): void {
  if (Object.keys(value.proxy_connect_header).length > 0 && !value.proxy_from_environment && value.proxy_url === '') {
    report('proxy_connect_header', 'if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured')
  }
  if (value.proxy_from_environment && value.proxy_url !== '') {
    report('proxy_url', 'if proxy_from_environment is configured, proxy_url must not be configured')
  }
  if (value.proxy_from_environment && value.no_proxy !== '') {
    report('no_proxy', 'if proxy_from_environment is configured, no_proxy must not be configured')
  } else if (value.proxy_url === '' && value.no_proxy !== '') {
    report('no_proxy', 'if no_proxy is configured, proxy_url must also be configured')
  }
}

const basicAuth = struct(
  'config.plain',
  {
    username: field(text()),
    username_file: field(filePath()),
    username_ref: field(text()),
    password: field(secret()),
    password_file: field(filePath()),
    password_ref: field(text()),
  },
  {
    check(auth, report) {
      if (given(auth.username, auth.username_file, auth.username_ref) > 1) {
        report(null, 'at most one of basic_auth username, username_file & username_ref must be configured')
      }
      if (given(auth.password.reveal(), auth.password_file, auth.password_ref) > 1) {
        report(null, 'at most one of basic_auth password, password_file & password_ref must be configured')
      }
      refuseReferences(auth, ['username_ref', 'password_ref'], report)
    },
  },
)

const authorization = struct(
  'config.Authorization',
  { type: field(text()), credentials: field(secret()), credentials_file: field(filePath()), credentials_ref: field(text()) },
  {
    check(auth, report) {
      if (given(auth.credentials.reveal(), auth.credentials_file, auth.credentials_ref) > 1) {
        report(null, 'at most one of authorization credentials & credentials_file must be configured')
      }
      const type = auth.type.trim()
      if (type.toLowerCase() === 'basic') report('type', 'authorization type cannot be set to "basic", use "basic_auth" instead')
      refuseReferences(auth, ['credentials_ref'], report)
      return { ...auth, type: type === '' ? 'Bearer' : type }
    },
  },
)

const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const oauth2 = struct(
  'config.plain',
  {
    client_id: field(text()),
    client_secret: field(secret()),
    client_secret_file: field(filePath()),
    client_secret_ref: field(text()),
    client_certificate_key_id: field(text()),
    client_certificate_key: field(secret()),
    client_certificate_key_file: field(filePath()),
    client_certificate_key_ref: field(text()),
    grant_type: field(text()),
    signature_algorithm: field(text()),
    iss: field(text()),
    audience: field(text()),
    claims: field(map(anything(), 'map[string]interface {}')),
    scopes: field(list(text())),
    token_url: field(text()),
    endpoint_params: field(map(text())),
    tls_config: field(tlsConfig),
    ...proxyFields,
  },
  {
    check(oauth, report) {
      checkProxy(oauth, report)
      if (oauth.client_id === '') report('client_id', 'oauth2 client_id must be configured')
      if (oauth.token_url === '') report('token_url', 'oauth2 token_url must be configured')
      if (oauth.grant_type === jwtBearer) {
        if (given(oauth.client_certificate_key.reveal(), oauth.client_certificate_key_file, oauth.client_certificate_key_ref) > 1) {
          report(
            null,
            `at most one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured using grant-type=${jwtBearer}`,
          )
        }
        if (!['', 'RS256', 'RS384', 'RS512'].includes(oauth.signature_algorithm)) {
          report('signature_algorithm', 'valid signature algorithms are RS256, RS384 and RS512')
        }
      } else if (given(oauth.client_secret.reveal(), oauth.client_secret_file, oauth.client_secret_ref) > 1) {
        report(
          null,
          'at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials',
        )
      }
      refuseReferences(oauth, ['client_secret_ref', 'client_certificate_key_ref'], report)
    },
  },
)

const header = struct('config.Header', {
  values: field(list(text())),
  secrets: field(list(secret(), '[]config.Secret')),
  files: field(list(filePath())),
})

/** Headers the client sets by itself. @see prometheus/common config.ReservedHeaders */
const reservedHeaders = new Set([
  'Authorization',
  'Host',
  'Content-Encoding',
  'Content-Length',
  'Content-Type',
  'User-Agent',
  'Connection',
  'Keep-Alive',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'Www-Authenticate',
  'Accept-Encoding',
  'X-Prometheus-Remote-Write-Version',
  'X-Prometheus-Remote-Read-Version',
  'X-Prometheus-Scrape-Timeout-Seconds',
  'X-Amz-Date',
  'X-Amz-Security-Token',
  'X-Amz-Content-Sha256',
])

/** `x-api-key` → `X-Api-Key`. @see Go http.CanonicalHeaderKey */
export function canonicalHeader(name: string): string {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)
    ? name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase())
    : name
}

/** The keys, to be spread into the section that holds them. */
export function httpClientFields(
  defaults: { followRedirects: boolean; enableHttp2: boolean } = { followRedirects: true, enableHttp2: true },
) {
  return {
    basic_auth: field(optional(basicAuth)),
    authorization: field(optional(authorization)),
    oauth2: field(optional(oauth2)),
    bearer_token: field(secret()),
    bearer_token_file: field(filePath()),
    tls_config: field(tlsConfig),
    follow_redirects: always(bool(), defaults.followRedirects),
    enable_http2: always(bool(), defaults.enableHttp2),
    ...proxyFields,
    http_headers: field(
      optional(
        map(header, 'config.Headers', {
          key: (name) => (reservedHeaders.has(canonicalHeader(name)) ? `setting header "${canonicalHeader(name)}" is not allowed` : null),
        }),
      ),
    ),
  }
}
export type HttpClientValue = FieldsValue<ReturnType<typeof httpClientFields>>

/** The rules between the keys. Returns the section with `bearer_token` turned into `authorization`. */
export function checkHttpClient<V extends HttpClientValue>(value: V, report: Report): V {
  const hasToken = !value.bearer_token.isEmpty
  const hasTokenFile = value.bearer_token_file !== ''
  let authorization: HttpClientValue['authorization'] = value.authorization
  if (hasToken && hasTokenFile) {
    report('bearer_token', 'at most one of bearer_token & bearer_token_file must be configured')
  } else if ((value.basic_auth !== null || value.oauth2 !== null) && (hasToken || hasTokenFile)) {
    report(
      hasToken ? 'bearer_token' : 'bearer_token_file',
      'at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured',
    )
  } else if (authorization !== null && (hasToken || hasTokenFile)) {
    report('authorization', 'authorization is not compatible with bearer_token & bearer_token_file')
  } else if (authorization !== null && (value.basic_auth !== null || value.oauth2 !== null)) {
    report('authorization', 'at most one of basic_auth, oauth2 & authorization must be configured')
  } else if (value.oauth2 !== null && value.basic_auth !== null) {
    report('oauth2', 'at most one of basic_auth, oauth2 & authorization must be configured')
  } else if (hasToken || hasTokenFile) {
    authorization = Object.freeze({
      type: 'Bearer',
      credentials: value.bearer_token,
      credentials_file: value.bearer_token_file,
      credentials_ref: '',
    })
  }
  checkProxy(value, report)
  if (authorization === value.authorization) return value
  return { ...value, authorization, bearer_token: field(secret()).initial(), bearer_token_file: '' }
}

/** Names of secrets in a secret manager: Prometheus has the keys but no manager behind them, and fails where they are used. */
function refuseReferences(value: Readonly<Record<string, unknown>>, keys: readonly string[], report: Report): void {
  for (const key of keys) if (value[key] !== '') report(key, `${key} needs a secret manager, and there is none`)
}

/** Whether nothing was set. @see discovery/kubernetes, which forbids settings next to kubeconfig_file */
export function isDefaultHttpClient(value: HttpClientValue): boolean {
  const fields = httpClientFields()
  return (
    value.follow_redirects &&
    value.enable_http2 &&
    Object.entries(fields).every(
      ([key, { schema }]) =>
        key === 'follow_redirects' || key === 'enable_http2' || schema.isZero(value[key as keyof HttpClientValue] as never),
    )
  )
}

export function toTlsOptions(tls: TlsValue): TlsOptions {
  return Object.freeze({
    ca: tls.ca,
    caFile: tls.ca_file,
    cert: tls.cert,
    certFile: tls.cert_file,
    key: tls.key.reveal(),
    keyFile: tls.key_file,
    serverName: tls.server_name,
    insecureSkipVerify: tls.insecure_skip_verify,
    minVersion: tls.min_version,
    maxVersion: tls.max_version,
  })
}

function toProxyOptions(
  value: FieldsValue<typeof proxyFields>,
): Pick<HttpClientOptions, 'proxyUrl' | 'noProxy' | 'proxyFromEnvironment' | 'proxyConnectHeader'> {
  const headers = Object.entries(value.proxy_connect_header)
  return {
    ...(value.proxy_url !== '' && { proxyUrl: value.proxy_url }),
    ...(value.no_proxy !== '' && { noProxy: value.no_proxy }),
    ...(value.proxy_from_environment && { proxyFromEnvironment: true }),
    ...(headers.length > 0 && {
      proxyConnectHeader: Object.freeze(Object.fromEntries(headers.map(([name, values]) => [name, values.map((value) => value.reveal())]))),
    }),
  }
}

function toOAuth2Options(oauth: ValueOf<typeof oauth2>): OAuth2Options {
  return Object.freeze({
    clientId: oauth.client_id,
    clientSecret: oauth.client_secret.reveal(),
    clientSecretFile: oauth.client_secret_file,
    grantType: oauth.grant_type,
    clientCertificateKey: oauth.client_certificate_key.reveal(),
    clientCertificateKeyFile: oauth.client_certificate_key_file,
    clientCertificateKeyId: oauth.client_certificate_key_id,
    signatureAlgorithm: oauth.signature_algorithm,
    iss: oauth.iss,
    audience: oauth.audience,
    claims: oauth.claims,
    scopes: oauth.scopes,
    tokenUrl: oauth.token_url,
    endpointParams: oauth.endpoint_params,
    ...(!tlsConfig.isZero(oauth.tls_config) && { tls: toTlsOptions(oauth.tls_config) }),
    ...toProxyOptions(oauth),
  })
}

/** What the client port takes. Secrets are plain text from here on. */
export function toHttpClientOptions(value: HttpClientValue): HttpClientOptions {
  const { basic_auth: basic, authorization: auth, oauth2: oauth, http_headers: headers } = value
  return Object.freeze({
    ...(basic !== null && {
      basicAuth: Object.freeze({
        username: basic.username,
        usernameFile: basic.username_file,
        password: basic.password.reveal(),
        passwordFile: basic.password_file,
      }),
    }),
    ...(auth !== null && {
      authorization: Object.freeze({ type: auth.type, credentials: auth.credentials.reveal(), credentialsFile: auth.credentials_file }),
    }),
    ...(oauth !== null && { oauth2: toOAuth2Options(oauth) }),
    ...(!tlsConfig.isZero(value.tls_config) && { tls: toTlsOptions(value.tls_config) }),
    ...toProxyOptions(value),
    followRedirects: value.follow_redirects,
    enableHttp2: value.enable_http2,
    ...(headers !== null && {
      httpHeaders: Object.freeze(
        Object.fromEntries(
          Object.entries(headers).map(([name, { values, secrets, files }]) => [
            name,
            Object.freeze({ values, secrets: secrets.map((value) => value.reveal()), files }),
          ]),
        ),
      ),
    }),
  })
}

/** An HTTP client configuration file of its own, as promtool's --http.config.file takes it. */
export const httpClientConfig = struct('config.plain', httpClientFields(), { check: (value, report) => checkHttpClient(value, report) })
