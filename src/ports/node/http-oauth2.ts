// OAuth2 tokens: client credentials (RFC 6749 §4.4) and JWT bearer grants (RFC 7523 §2.1), kept until shortly before they expire.
import { createPrivateKey, randomUUID, sign, type KeyObject } from 'node:crypto'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import type { OAuth2Options } from '../../model/http-options.ts'
import type { HttpAnswer, HttpClient } from '../http.ts'
import type { CredentialFiles } from './http-files.ts'

const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** A token is renewed this long before it ends, so that it does not end on the way. */
const earlyMs = 10_000
const assertionLifeMs = 600_000
const tokenBytesMax = 1 << 20

type Token = Readonly<{ header: string; expiresAtMs: number }>

export class TokenSource {
  readonly #options: OAuth2Options
  readonly #files: CredentialFiles
  readonly #client: HttpClient
  #secret = ''
  #token: Token | null = null
  #fetching: Promise<Token> | null = null
  /** Where the server wants the client's credentials; found out by the first request. */
  #style: 'header' | 'body' | null = null

  /** @param client for the token endpoint, with the section's own TLS and proxy options. */
  constructor(options: OAuth2Options, files: CredentialFiles, client: HttpClient) {
    this.#options = options
    this.#files = files
    this.#client = client
  }

  /** The value of the Authorization header. Requests at the same time share one fetch. */
  async authorization(timeoutMs: number): Promise<string> {
    const o = this.#options
    const secret =
      o.grantType === jwtBearer
        ? this.#files.secret(o.clientCertificateKey, o.clientCertificateKeyFile, 'oauth2 client secret')
        : this.#files.secret(o.clientSecret, o.clientSecretFile, 'oauth2 client secret')
    if (secret !== this.#secret) {
      this.#secret = secret
      this.#token = null
      this.#fetching = null
    }
    if (this.#token !== null && Date.now() < this.#token.expiresAtMs - earlyMs) return this.#token.header
    if (this.#fetching === null) {
      const fetching = this.#fetch(secret, timeoutMs)
      this.#fetching = fetching
      fetching.then(
        (token) => {
          if (this.#fetching !== fetching) return
          this.#token = token
          this.#fetching = null
        },
        () => {
          if (this.#fetching === fetching) this.#fetching = null
        },
      )
    }
    return (await this.#fetching).header
  }

  async #fetch(secret: string, timeoutMs: number): Promise<Token> {
    const o = this.#options
    if (o.grantType === jwtBearer) {
      const form = this.#form({ grant_type: jwtBearer, assertion: assertion(o, secret), scope: o.scopes.join(' ') })
      return readToken(await this.#post(form, {}, timeoutMs))
    }
    const form = this.#form({ grant_type: 'client_credentials', scope: o.scopes.join(' ') })
    const quote = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
    const basic = Buffer.from(`${quote(o.clientId)}:${quote(secret)}`).toString('base64')
    if (this.#style !== 'body') {
      const answer = await this.#post(form, { authorization: `Basic ${basic}` }, timeoutMs)
      if (this.#style === 'header' || (answer.status >= 200 && answer.status < 300)) {
        const token = readToken(answer)
        this.#style = 'header'
        return token
      }
    }
    form.set('client_id', o.clientId)
    if (secret !== '') form.set('client_secret', secret)
    const token = readToken(await this.#post(form, {}, timeoutMs))
    this.#style = 'body'
    return token
  }

  #form(fields: Readonly<Record<string, string>>): URLSearchParams {
    const form = new URLSearchParams()
    for (const [name, value] of Object.entries(fields)) if (value !== '') form.set(name, value)
    for (const [name, value] of Object.entries(this.#options.endpointParams)) {
      // Servers exist that want another grant_type; nothing else of ours may be replaced.
      if (form.has(name) && name !== 'grant_type') throw failure(`cannot overwrite parameter "${name}"`)
      form.set(name, value)
    }
    return form
  }

  async #post(form: URLSearchParams, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<HttpAnswer> {
    try {
      return await this.#client.request({
        method: 'POST',
        url: this.#options.tokenUrl,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: Buffer.from(form.toString()),
        timeoutMs,
        bodyBytesMax: tokenBytesMax,
      })
    } catch (thrown) {
      if (thrown instanceof PromhiveError && thrown.code === 'QUERY_TIMEOUT') throw thrown
      throw failure(`cannot fetch token: ${messageOf(thrown)}`, thrown)
    }
  }
}

function readToken(answer: HttpAnswer): Token {
  const text = Buffer.from(answer.body).toString('utf8')
  if (answer.status < 200 || answer.status > 299) throw failure(`cannot fetch token: ${answer.status}\nResponse: ${text.slice(0, 4096)}`)
  const type = (answer.headers['content-type'] ?? '').split(';')[0]!.trim()
  let fields: Record<string, unknown>
  try {
    fields =
      type === 'application/x-www-form-urlencoded' || type === 'text/plain'
        ? Object.fromEntries(new URLSearchParams(text))
        : (JSON.parse(text) as Record<string, unknown>)
  } catch (thrown) {
    throw failure(`cannot parse json: ${messageOf(thrown)}`, thrown)
  }
  if (typeof fields?.['error'] === 'string' && fields['error'] !== '')
    throw failure(`"${fields['error']}" ${String(fields['error_description'] ?? '')}`.trim())
  const value = fields?.['access_token']
  if (typeof value !== 'string' || value === '') throw failure('server response missing access_token')
  const kind = typeof fields['token_type'] === 'string' ? fields['token_type'] : ''
  const known: Readonly<Record<string, string>> = { '': 'Bearer', bearer: 'Bearer', mac: 'MAC', basic: 'Basic' }
  const seconds = Number(fields['expires_in'] ?? 0)
  return {
    header: `${known[kind.toLowerCase()] ?? kind} ${value}`,
    expiresAtMs: seconds > 0 ? Date.now() + seconds * 1000 : Infinity,
  }
}

const digests: Readonly<Record<string, string>> = { RS256: 'RSA-SHA256', RS384: 'RSA-SHA384', RS512: 'RSA-SHA512' }

/** The signed JWT that is exchanged for a token. */
function assertion(o: OAuth2Options, pem: string): string {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (thrown) {
    throw new PromhiveError('CONFIG_INVALID', `oauth2: cannot use client certificate key: ${messageOf(thrown)}`, {}, thrown)
  }
  const algorithm = digests[o.signatureAlgorithm] === undefined ? 'RS256' : o.signatureAlgorithm
  const header: Record<string, string> = { alg: algorithm, typ: 'JWT' }
  if (o.clientCertificateKeyId !== '') header['kid'] = o.clientCertificateKeyId
  const nowSeconds = Math.floor(Date.now() / 1000)
  const claims: Record<string, unknown> = {
    iss: o.iss === '' ? o.clientId : o.iss,
    sub: o.clientId,
    jti: randomUUID(),
    aud: o.audience === '' ? o.tokenUrl : o.audience,
    iat: nowSeconds,
    exp: nowSeconds + assertionLifeMs / 1000,
  }
  if (o.scopes.length > 0) claims['scope'] = o.scopes.join(' ')
  Object.assign(claims, o.claims)
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part(header)}.${part(claims)}`
  return `${signed}.${sign(digests[algorithm]!, Buffer.from(signed), key).toString('base64url')}`
}

function failure(why: string, cause?: unknown): PromhiveError {
  return new PromhiveError('UNAVAILABLE', `oauth2: ${why}`, {}, cause)
}
