import type { Cancellation } from '../base/cancel.ts'
import type { HttpClientOptions } from '../model/http-options.ts'
import type { BodyBuffer } from './body-buffer.ts'

/** HTTP out of the process: scrapes, notifications, discovery. node/http.ts (sockets, undici), simulated/http.ts (virtual network). */
export interface Http {
  /** A client with one set of options; connections are kept and shared by its requests. Reads credential files when they are used. */
  client(options: HttpClientOptions): HttpClient
}

export interface HttpClient {
  /**
   * Redirects followed as the options say; the body decompressed (gzip) where the answer says so.
   * Throws PromhiveError UNAVAILABLE (cannot connect, reset), QUERY_TIMEOUT (timeoutMs passed), TOO_LARGE (body over bodyBytesMax), CONFIG_INVALID (credential file unreadable).
   */
  request(request: HttpRequest): Promise<HttpAnswer>
  close(): Promise<void>
}

export type HttpRequest = Readonly<{
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  url: string
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array
  timeoutMs: number
  /** After decompression; 0 = no limit but the adapter's own. */
  bodyBytesMax: number
  /** Set false to send no Accept-Encoding: gzip. Default true. */
  compression?: boolean
  signal?: Cancellation | undefined
  /** Takes the body: `answer.body` is then a view of it, good until the buffer is used again or freed. It must not be touched before the answer is there. */
  into?: BodyBuffer
  /** Connect to this Unix socket instead of the URL's host. */
  unixSocket?: string | undefined
}>

export type HttpAnswer = Readonly<{
  status: number
  /** Lower-case names; repeated headers joined with ', '. */
  headers: Readonly<Record<string, string>>
  body: Uint8Array
  /** Body bytes as they came over the wire. */
  wireBytes: number
}>
