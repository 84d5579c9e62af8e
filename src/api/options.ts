import type { WriteMessage } from '../../protocols/remote/write-receiver.ts'
import type { WebFiles } from './web-options.ts'

/** What the command line decides about the edge (FEATURES 6.50). */
export type ApiOptions = Readonly<{
  /** `host:port`, `[v6]:port` or `:port`; port 0 picks a free one. At least one. */
  listenAddresses: readonly string[]
  /** --web.config.file, or null. */
  webConfig: Readonly<{ path: string; files: WebFiles }> | null
  /** Where users reach the server, without a trailing slash: http://host:9090 or http://host/prometheus. */
  externalUrl: string
  /** `/` or `/prometheus`, without a trailing slash. */
  routePrefix: string
  /** Whole request must have arrived within it; idle connections are closed after it. */
  readTimeoutMs: number
  /** Over all listeners together. */
  connectionsMax: number
  /** RE2 pattern, matched against the whole Origin header; `.*` allows every origin by `*`. */
  corsOrigin: string
  enableLifecycle: boolean
  enableAdminApi: boolean
  enableRemoteWriteReceiver: boolean
  remoteWriteMessages: readonly WriteMessage[]
  /** Features of remote write: type-and-unit-labels, created-timestamp-zero-ingestion. */
  typeAndUnitLabels: boolean
  startTimestampZeros: boolean
  enableOtlpReceiver: boolean
  otlpDeltaToCumulative: boolean
  otlpNativeDelta: boolean
  enableSearch: boolean
  searchLimitMax: number
  remoteReadSamplesMax: number
  remoteReadConcurrencyMax: number
  notificationSubscribersMax: number
  agent: boolean
  pageTitle: string
  /** In the bodies of /-/healthy and /-/ready: `Prometheus Server`. */
  appName: string
  /** Seed of the remote-write series cache, from a random source. */
  seed: number
}>

export const defaultApiOptions: Omit<ApiOptions, 'listenAddresses' | 'externalUrl' | 'seed'> = {
  webConfig: null,
  routePrefix: '/',
  readTimeoutMs: 5 * 60_000,
  connectionsMax: 512,
  corsOrigin: '.*',
  enableLifecycle: false,
  enableAdminApi: false,
  enableRemoteWriteReceiver: false,
  remoteWriteMessages: ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'],
  typeAndUnitLabels: false,
  startTimestampZeros: false,
  enableOtlpReceiver: false,
  otlpDeltaToCumulative: false,
  otlpNativeDelta: false,
  enableSearch: false,
  searchLimitMax: 10_000,
  remoteReadSamplesMax: 50_000_000,
  remoteReadConcurrencyMax: 10,
  notificationSubscribersMax: 16,
  agent: false,
  pageTitle: 'Prometheus Time Series Collection and Processing Server',
  appName: 'Prometheus Server',
}
