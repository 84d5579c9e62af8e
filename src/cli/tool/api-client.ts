// The query API of a server, asked by the tools: what promtool gets from client_golang's api/prometheus/v1.
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { utf8Bytes, utf8Text } from '../../base/bytes.ts'
import { parseRfc3339 } from '../../api/time-text.ts'
import { parseHttpClientConfig } from '../../config/http-client-file.ts'
import { printProblem } from '../../config/problem.ts'
import { defaultHttpClientOptions, type HttpClientOptions } from '../../model/http-options.ts'
import { parseGoFloat } from '../../model/number-text.ts'
import type { Http, HttpClient } from '../../ports/http.ts'
import type { CheckIo } from './check-io.ts'

export type ApiAnswer = Readonly<{ data: unknown; warnings: readonly string[] }>
export type ApiServer = Readonly<{
  url: string
  /** --http.config.file, '' = none. */
  httpConfigFile: string
  headers: Readonly<Record<string, string>>
}>

const timeoutMs = 120_000

export class ApiClient {
  readonly #base: string
  readonly #client: HttpClient
  readonly #headers: Readonly<Record<string, string>>

  /** Credentials may be in the URL. Throws PromhiveError CONFIG_INVALID. */
  constructor(server: ApiServer, http: Http, io: Pick<CheckIo, 'readFile'>) {
    const { base, options } = serverOf(server, io)
    this.#base = base
    this.#client = http.client(options)
    this.#headers = server.headers
  }

  /** @throws PromhiveError whose message is what promtool prints behind `query error: `. */
  async request(method: 'GET' | 'POST', path: string, parameters: Iterable<readonly [string, string]>): Promise<ApiAnswer> {
    const form = new URLSearchParams(Array.from(parameters, ([name, value]): [string, string] => [name, value])).toString()
    const url = `${this.#base}${path}`
    const send = (as: 'GET' | 'POST'): ReturnType<HttpClient['request']> =>
      as === 'GET'
        ? this.#client.request({
            method: as,
            url: form === '' ? url : `${url}?${form}`,
            headers: this.#headers,
            timeoutMs,
            bodyBytesMax: 0,
          })
        : this.#client.request({
            method: as,
            url,
            headers: { ...this.#headers, 'Content-Type': 'application/x-www-form-urlencoded' },
            body: utf8Bytes(form),
            timeoutMs,
            bodyBytesMax: 0,
          })
    let answer = await send(method)
    if (method === 'POST' && (answer.status === 405 || answer.status === 501)) answer = await send('GET')
    const text = utf8Text(answer.body)
    let json: { status?: unknown; data?: unknown; errorType?: unknown; error?: unknown; warnings?: unknown; infos?: unknown } | null
    try {
      json = JSON.parse(text) as typeof json
    } catch {
      json = null
    }
    if (json === null || (json.status !== 'success' && json.status !== 'error')) {
      const kind =
        answer.status >= 500
          ? 'server_error: server error'
          : answer.status >= 400
            ? 'client_error: client error'
            : 'bad_response: bad response code'
      throw new PromhiveError(
        'UNAVAILABLE',
        `${kind}: ${answer.status}${text.trim() === '' ? '' : ` (detail: ${text.trim().slice(0, 4096)})`}`,
      )
    }
    if (json.status === 'error') throw new PromhiveError('UNAVAILABLE', `${String(json.errorType)}: ${String(json.error)}`)
    return { data: json.data, warnings: Array.isArray(json.warnings) ? json.warnings.map(String) : [] }
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

export function serverOf(
  { url, httpConfigFile }: Pick<ApiServer, 'url' | 'httpConfigFile'>,
  io: Pick<CheckIo, 'readFile'>,
): { base: string; options: HttpClientOptions } {
  let parsed: URL
  try {
    parsed = new URL(url.includes('://') ? url : `http://${url}`)
  } catch (thrown) {
    throw new PromhiveError('CONFIG_INVALID', `cannot use ${JSON.stringify(url)}: it is not a URL`, {}, thrown)
  }
  let options = defaultHttpClientOptions
  if (httpConfigFile !== '') {
    if (parsed.username !== '') {
      throw new PromhiveError('CONFIG_INVALID', 'cannot set basic auth in the server URL and use a http.config.file at the same time')
    }
    const file = parseHttpClientConfig(httpConfigFile, io)
    if (file.options === null) throw new PromhiveError('CONFIG_INVALID', file.problems.map(printProblem).join('\n'))
    options = file.options
  } else if (parsed.username !== '') {
    const [username, password] = [decodeURIComponent(parsed.username), decodeURIComponent(parsed.password)]
    options = { ...options, basicAuth: { username, usernameFile: '', password, passwordFile: '' } }
  }
  return { base: `${parsed.origin}${parsed.pathname}`.replace(/\/+$/, ''), options }
}

/** Milliseconds from Unix seconds or RFC 3339. Throws PromhiveError. */
export function readTime(text: string): number {
  const seconds = parseGoFloat(text)
  const ms = seconds === null ? parseRfc3339(text) : Math.trunc(seconds * 1000)
  if (ms === null || !Number.isFinite(ms))
    throw new PromhiveError('BAD_REQUEST', `cannot parse ${JSON.stringify(text)} to a valid timestamp`)
  return ms
}

/** As readTime, the failure saying which time it was. */
export function readNamedTime(name: string, text: string): number {
  try {
    return readTime(text)
  } catch (thrown) {
    throw new PromhiveError('BAD_REQUEST', `error parsing ${name} time: ${messageOf(thrown)}`, {}, thrown)
  }
}

/** Unix seconds, as the API takes them. */
export function secondsText(ms: number): string {
  return String(ms / 1000)
}
