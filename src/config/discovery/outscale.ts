// outscale_sd_configs (FEATURES 2.28). Source: prometheus discovery/outscale.
import { always, duration, field, filePath, int, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const outscaleDiscovery = discoverySection(
  'outscale',
  'outscale.plain',
  withHttp(
    {
      endpoint: field(text()),
      region: always(text(), 'eu-west-2'),
      access_key: always(text()),
      secret_key: always(secret()),
      secret_key_file: always(filePath()),
      refresh_interval: field(duration(), 60_000),
      port: always(int(), 80),
    },
    {},
  ),
  (value, report) => {
    if (value.region === '') report('region', 'outscale SD configuration requires a region')
    if (value.access_key === '') report('access_key', 'outscale SD configuration requires access_key')
    if (value.secret_key.isEmpty && value.secret_key_file === '') {
      report('secret_key', 'one of secret_key & secret_key_file must be configured')
    }
    if (!value.secret_key.isEmpty && value.secret_key_file !== '') {
      report('secret_key', 'at most one of secret_key & secret_key_file must be configured')
    }
    const endpoint = value.endpoint === '' ? `https://api.${value.region}.outscale.com/api/v1` : value.endpoint
    return checkHttpClient({ ...value, endpoint }, report)
  },
  (value) => ({ kind: 'outscale', ...optionsWithHttp(value) }),
)
