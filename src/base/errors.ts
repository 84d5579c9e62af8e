/**
 * Every expected failure and the answer the HTTP edge gives: `status` and `api` (the errorType of Prometheus' JSON envelope).
 * docs/errors.md lists the same rows; test/tidy/errors.test.ts compares the two.
 */
export const errorCodes = {
  BAD_REQUEST: { status: 400, api: 'bad_data' },
  PROMQL_PARSE: { status: 400, api: 'bad_data' },
  PROMQL_EXECUTION: { status: 422, api: 'execution' },
  QUERY_TIMEOUT: { status: 503, api: 'timeout' },
  QUERY_CANCELED: { status: 499, api: 'canceled' },
  QUERY_LIMIT: { status: 422, api: 'execution' },
  CONFIG_INVALID: { status: 500, api: 'internal' },
  NOT_FOUND: { status: 404, api: 'not_found' },
  TOO_LARGE: { status: 413, api: 'bad_data' },
  UNAVAILABLE: { status: 503, api: 'unavailable' },
  STORAGE_FULL: { status: 503, api: 'unavailable' },
  STORAGE_CORRUPT: { status: 500, api: 'internal' },
  DECODE: { status: 400, api: 'bad_data' },
  SCRAPE: { status: 500, api: 'internal' },
  DISCOVERY: { status: 500, api: 'internal' },
  INTERNAL: { status: 500, api: 'internal' },
} as const

export type ErrorCode = keyof typeof errorCodes

/** An expected failure: `cannot <verb> <thing>: <why>`, with ids and sizes in `detail` and the cause kept. */
export class PromhiveError extends Error {
  override readonly name = 'PromhiveError'
  readonly code: ErrorCode
  readonly detail: Readonly<Record<string, unknown>>
  constructor(code: ErrorCode, message: string, detail: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.detail = detail
  }
}

/** The text of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
