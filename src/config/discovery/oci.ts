// oci_sd_configs (FEATURES 2.27). Source: prometheus discovery/oci.
import type { OciDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { printDuration } from '../../model/duration.ts'
import { always, duration, field, filePath, int, list, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const ociDiscovery = discoverySection(
  'oci',
  'oci.plain',
  withHttp(
    {
      auth: field(text(), 'api_key'),
      tenancy: field(text()),
      user: field(text()),
      fingerprint: field(text()),
      key_file: field(filePath()),
      key_passphrase: field(secret()),
      key_passphrase_file: field(filePath()),
      region: always(text()),
      compartments: field(list(text())),
    },
    { port: always(int(), 80), refresh_interval: always(duration(), 60_000) },
  ),
  (value, report) => {
    if (value.region === '') report('region', 'oci_sd: region is required')
    if (value.auth === 'api_key') {
      for (const key of ['tenancy', 'user', 'fingerprint', 'key_file'] as const) {
        if (value[key] === '') report(key, `oci_sd: api_key auth requires ${key}`)
      }
      if (!value.key_passphrase.isEmpty && value.key_passphrase_file !== '') {
        report('key_passphrase', 'oci_sd: at most one of key_passphrase and key_passphrase_file must be configured')
      }
    } else if (value.auth === 'instance_principal') {
      const { tenancy, user, fingerprint, key_file, key_passphrase_file } = value
      if (!value.key_passphrase.isEmpty || [tenancy, user, fingerprint, key_file, key_passphrase_file].some((text) => text !== '')) {
        report(
          'auth',
          'oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, key_passphrase, or key_passphrase_file set',
        )
      }
    } else {
      report('auth', `oci_sd: unknown auth method ${quote(value.auth)}, expected "api_key" or "instance_principal"`)
    }
    value.compartments.forEach((id, i) => {
      if (id === '') report(['compartments', i], `oci_sd: compartments[${i}] must not be empty`)
    })
    if (value.refresh_interval <= 0) {
      report('refresh_interval', `oci_sd: refresh_interval must be positive, got ${printDuration(value.refresh_interval)}`)
    }
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'oci', ...optionsWithHttp(value), auth: value.auth as OciDiscovery['auth'] }),
)
