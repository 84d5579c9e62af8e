// stackit_sd_configs (FEATURES 2.31). Source: prometheus discovery/stackit.
import { quote } from '../../model/labels.ts'
import { always, duration, field, int, secret, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const stackitDiscovery = discoverySection(
  'stackit',
  'stackit.plain',
  withHttp(
    {},
    {
      project: always(text()),
      refresh_interval: field(duration(), 60_000),
      port: field(int(), 80),
      region: field(text(), 'eu01'),
      endpoint: field(text()),
      service_account_key: field(secret()),
      private_key: field(secret()),
      service_account_key_path: field(text()),
      private_key_path: field(text()),
      credentials_file_path: field(text()),
    },
  ),
  (value, report) => {
    if (value.endpoint === '' && value.region === '') report('endpoint', 'stackit_sd: endpoint and region missing')
    const { problem } = parseGoUrl(value.endpoint)
    if (problem !== null) report('endpoint', `stackit_sd: invalid endpoint ${quote(value.endpoint)}: ${problem}`)
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'stackit', ...optionsWithHttp(value) }),
)
