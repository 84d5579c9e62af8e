// What a route is, and everything a handler may use.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Cancellation } from '../base/cancel.ts'
import type { Logger } from '../base/logger.ts'
import type { MetricsRegistry } from '../base/metrics.ts'
import type { ApiBackend, EdgeClock, RequestOrigin } from './backend.ts'
import type { Answer } from './envelope.ts'
import type { Notifications } from './notifications.ts'
import type { Form } from './parameters.ts'
import type { ApiOptions } from './options.ts'
import type { WriteReceiver } from '../../protocols/remote/write-receiver.ts'

/** What the handlers share. */
export type Edge = Readonly<{
  options: ApiOptions
  backend: ApiBackend
  clock: EdgeClock
  logger: Logger
  metrics: MetricsRegistry
  notifications: Notifications
  /** Null: remote write is switched off. */
  receiver: WriteReceiver | null
  /** Fires when the server begins to close: answers that have no end of their own end then. */
  closing: AbortSignal
}>

/** One request as handlers see it. */
export type ApiRequest = Readonly<{
  method: string
  /** Path below the route prefix, with its leading slash, decoded only where a parameter is. */
  path: string
  /** The text after `?`. */
  query: string
  /** Parameters of the path by name; `*` is the rest. */
  parameters: Readonly<Record<string, string>>
  /** Parameters of the URL and, for POST and PUT with a form body, of the body. */
  form: Form
  header: (name: string) => string
  remoteAddress: string
  /** Tells when the client has gone. */
  gone: Cancellation
  /** The same for what wants a signal; made when it is first asked for. */
  signal: AbortSignal
  raw: IncomingMessage
}>

/** What the query log says of a request. */
export function originOf({ options }: Edge, { remoteAddress, method, path }: ApiRequest): RequestOrigin {
  return { clientIp: remoteAddress, method, path: options.routePrefix === '/' ? path : options.routePrefix + path }
}

/** For answers that are written over time: the handler owns the response from then on. */
export type Streaming = (response: ServerResponse) => Promise<void>

export type Handler = (request: ApiRequest) => Answer | Streaming | Promise<Answer | Streaming>

export type Route = Readonly<{
  methods: readonly string[]
  /** Below the route prefix; `:name` and a final `*`. */
  path: string
  /** The `handler` label of the request metrics: the path as Prometheus writes it. Default: `path`. */
  label?: string
  handler: Handler
  /** Answers 503 until the storage is ready. Default true. */
  needsReady?: boolean
  /** Part of /api/v1: CORS headers, failures in the envelope, answers compressed. Default true for paths below /api/v1. */
  api?: boolean
  /** Compressed where the client takes it. Default: as `api`. */
  compress?: boolean
  /** The handler reads the body itself. */
  ownBody?: boolean
  /** Refused in agent mode. */
  serverOnly?: boolean
}>
