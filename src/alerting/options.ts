import type { HttpClientOptions } from '../model/http-options.ts'
import type { Labels } from '../model/labels.ts'

/**
 * The `alerting:` section as the configuration hands it over. `R` is one relabel_config of src/relabel, which this folder must not know;
 * the notifier is given a function that compiles a list of them.
 */

/** Label rewriting, compiled. Null: drop. */
export type Relabel = (labels: Labels) => Labels | null

/** One entry of `alerting.alertmanagers`, without its discovery sections, which the discovery runs under `key`. */
export type AlertmanagerOptions<R = unknown> = Readonly<{
  /** `config-0`, `config-1`, …: names the entry towards the discovery. */
  key: string
  scheme: 'http' | 'https'
  /** '' or '/prefix'. */
  pathPrefix: string
  timeoutMs: number
  apiVersion: 'v2'
  http: HttpClientOptions
  /** Rewrites discovered Alertmanagers. */
  relabelConfigs: readonly R[]
  /** Rewrites alerts for these Alertmanagers, after the global alert_relabel_configs. */
  alertRelabelConfigs: readonly R[]
  /** `sigv4:` is present. Signing is not supported; such an entry is refused when it is applied. */
  sigv4: boolean
}>

export type AlertingOptions<R = unknown> = Readonly<{
  alertmanagers: readonly AlertmanagerOptions<R>[]
  /** Global `alerting.alert_relabel_configs`. */
  alertRelabelConfigs: readonly R[]
  /** `global.external_labels`: added to alerts that lack them, before relabelling. */
  externalLabels: Labels
}>

export const defaultAlertmanagerOptions = {
  scheme: 'http',
  pathPrefix: '',
  timeoutMs: 10_000,
  apiVersion: 'v2',
  relabelConfigs: [],
  alertRelabelConfigs: [],
  sigv4: false,
} as const

/** Command-line flags of the notifier, with Prometheus' defaults. */
export type NotifierFlags = Readonly<{
  /** --alertmanager.notification-queue-capacity */
  queueCapacity: number
  /** --alertmanager.notification-batch-size */
  batchSize: number
  /** --alertmanager.drain-notification-queue-on-shutdown */
  drainOnShutdown: boolean
}>

export const defaultNotifierFlags: NotifierFlags = { queueCapacity: 10_000, batchSize: 256, drainOnShutdown: true }
