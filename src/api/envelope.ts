// Answers of a route before they meet a socket, and the envelope of the JSON API.
import { errorCodes, messageOf, PromhiveError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import { utf8Bytes } from '../base/bytes.ts'

/** `body` is sent as it is, part after part. `contentType` '' = none. */
export type Answer = Readonly<{
  status: number
  contentType: string
  body: string | readonly Uint8Array[]
  headers?: Readonly<Record<string, string>>
}>

export const noContent: Answer = { status: 204, contentType: '', body: '' }

export function plain(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body, headers }
}

/** As Go's http.Error: the text and a newline. */
export function plainError(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return plain(status, message + '\n', { 'X-Content-Type-Options': 'nosniff', ...headers })
}

const json = 'application/json'

/** Annotations an answer carries of either kind; what is more is counted in the last one. */
const annotationsMax = 10

export function success(data: unknown, warnings: readonly string[] = [], infos: readonly string[] = []): Answer {
  return { status: 200, contentType: json, body: `{"status":"success","data":${JSON.stringify(data)}${tail(warnings, infos)}}` }
}

/** The same with `data` already written. */
export function successText(data: string, warnings: readonly string[] = [], infos: readonly string[] = []): Answer {
  return { status: 200, contentType: json, body: `{"status":"success","data":${data}${tail(warnings, infos)}}` }
}

const head = utf8Bytes('{"status":"success","data":')
const foot = utf8Bytes('}')

/** The same with `data` as bytes, which are neither copied nor read. */
export function successBytes(data: readonly Uint8Array[], warnings: readonly string[], infos: readonly string[]): Answer {
  const end = warnings.length + infos.length === 0 ? foot : utf8Bytes(tail(warnings, infos) + '}')
  return { status: 200, contentType: json, body: [head, ...data, end] }
}

function tail(warnings: readonly string[], infos: readonly string[]): string {
  let text = ''
  if (warnings.length > 0) text += `,"warnings":${JSON.stringify(cut(warnings, 'warning'))}`
  if (infos.length > 0) text += `,"infos":${JSON.stringify(cut(infos, 'info'))}`
  return text
}

function cut(annotations: readonly string[], what: string): readonly string[] {
  const counted = annotations.length === annotationsMax + 1 && annotations.at(-1)!.endsWith(' annotations omitted')
  if (annotations.length <= annotationsMax || counted) return annotations
  return [...annotations.slice(0, annotationsMax), `${annotations.length - annotationsMax} more ${what} annotations omitted`]
}

export function failure(status: number, errorType: string, error: string): Answer {
  return { status, contentType: json, body: JSON.stringify({ status: 'error', errorType, error }) }
}

/**
 * The answer for anything thrown. Statuses are those of the error's row but for `unavailable`, which Prometheus' API answers with 500.
 * What is not a PromhiveError is our own fault: logged, and answered as internal.
 */
export function failureOf(thrown: unknown, logger: Logger): Answer {
  if (thrown instanceof PromhiveError) {
    const { status, api } = errorCodes[thrown.code]
    return failure(api === 'unavailable' ? 500 : status, api, thrown.message)
  }
  logger.error({ err: messageOf(thrown), stack: thrown instanceof Error ? thrown.stack : undefined }, 'Error while serving a request')
  return failure(500, 'internal', messageOf(thrown))
}
