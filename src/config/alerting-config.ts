// The `alerting` section (FEATURES 5.19, 5.20). Source: prometheus config.AlertingConfig.
import type { AlertingOptions, AlertmanagerOptions } from '../alerting/options.ts'
import type { DiscoveryConfig } from '../discovery/options.ts'
import type { Labels } from '../model/labels.ts'
import { quote } from '../model/labels.ts'
import type { NameValidation, RelabelRule } from '../relabel/rule.ts'
import { discoveryFields, toDiscovery } from './discovery/sections.ts'
import { checkHttpClient, httpClientFields, toHttpClientOptions } from './http-client.ts'
import { relabelConfigs, toRelabelRules } from './relabel-config.ts'
import { checkStaticTargets } from './scrape-config.ts'
import { always, bool, duration, field, list, oneOf, optional, secret, struct, text } from './schema.ts'
import type { Reader, ValueOf } from './schema.ts'

/** AWS request signing, of Alertmanagers and remote write. @see github.com/prometheus/sigv4 */
export const sigv4Config = struct(
  'sigv4.plain',
  {
    region: field(text()),
    access_key: field(text()),
    secret_key: field(secret()),
    profile: field(text()),
    role_arn: field(text()),
    external_id: field(text()),
    use_fips_sts_endpoint: field(bool()),
    service_name: field(text()),
  },
  {
    check(value, report) {
      if ((value.access_key === '') !== value.secret_key.isEmpty) {
        report(null, 'must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config')
      }
      if (value.external_id !== '' && value.role_arn === '') report('external_id', 'external_id can only be used with role_arn')
    },
  },
)

const alertmanagerConfig = struct(
  'config.AlertmanagerConfig',
  {
    ...httpClientFields(),
    sigv4: field(optional(sigv4Config)),
    scheme: field(text(), 'http'),
    path_prefix: field(text()),
    timeout: field(duration(), 10_000),
    api_version: always(
      oneOf(['v2'], (version) => `expected Alertmanager api version to be one of [v2] but got ${version}`),
      'v2',
    ),
    relabel_configs: field(relabelConfigs('empty or null Alertmanager target relabeling rule')),
    alert_relabel_configs: field(relabelConfigs('empty or null Alertmanager alert relabeling rule')),
    ...discoveryFields,
  },
  {
    check(written, report) {
      const value = checkHttpClient(written, report)
      if (value.scheme !== 'http' && value.scheme !== 'https')
        report('scheme', `unsupported scheme ${quote(value.scheme)}, must be http or https`)
      if (value.sigv4 !== null && (value.basic_auth !== null || value.authorization !== null || value.oauth2 !== null)) {
        report('sigv4', 'at most one of basic_auth, authorization, oauth2, & sigv4 must be configured')
      }
      checkStaticTargets(value, report)
      return value
    },
  },
)

export const alertingConfig = struct('config.plain', {
  alert_relabel_configs: field(relabelConfigs('empty or null alert relabeling rule')),
  alertmanagers: field(list(alertmanagerConfig, 'config.AlertmanagerConfigs', 'empty or null Alertmanager config section')),
})
export type AlertingValue = ValueOf<typeof alertingConfig>

/** Where the Alertmanagers of one entry are found; `key` is that of its options. */
export type AlertmanagerDiscovery = Readonly<{ key: string; discovery: readonly DiscoveryConfig[] }>

export function finishAlerting(
  value: AlertingValue,
  externalLabels: Labels,
  validation: NameValidation,
  reader: Reader,
): { alerting: AlertingOptions<RelabelRule>; discovery: readonly AlertmanagerDiscovery[] } {
  const alertRelabelConfigs = toRelabelRules(value.alert_relabel_configs, validation, reader)
  const alertmanagers = value.alertmanagers.map((entry, i): AlertmanagerOptions<RelabelRule> =>
    Object.freeze({
      key: `config-${i}`,
      scheme: entry.scheme === 'https' ? 'https' : 'http',
      pathPrefix: entry.path_prefix,
      timeoutMs: entry.timeout,
      apiVersion: 'v2',
      http: toHttpClientOptions(entry),
      relabelConfigs: toRelabelRules(entry.relabel_configs, validation, reader),
      alertRelabelConfigs: toRelabelRules(entry.alert_relabel_configs, validation, reader),
      sigv4: entry.sigv4 !== null,
    }),
  )
  return {
    alerting: Object.freeze({ alertmanagers: Object.freeze(alertmanagers), alertRelabelConfigs, externalLabels }),
    discovery: Object.freeze(value.alertmanagers.map((entry, i) => Object.freeze({ key: `config-${i}`, discovery: toDiscovery(entry) }))),
  }
}
