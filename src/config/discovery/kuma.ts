// kuma_sd_configs (FEATURES 2.21). Source: prometheus discovery/xds.
import { duration, field, text } from '../schema.ts'
import { parseGoUrl } from '../url.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const kumaDiscovery = discoverySection(
  'kuma',
  'xds.plainKumaConf',
  withHttp(
    {},
    {
      refresh_interval: field(duration(), 15_000),
      fetch_timeout: field(duration(), 120_000),
      server: field(text()),
      client_id: field(text()),
    },
  ),
  (value, report) => {
    const { problem, scheme, host } = parseGoUrl(value.server)
    if (value.server === '') report('server', 'kuma SD server must not be empty: ')
    else if (problem !== null) report('server', problem)
    else if (scheme === '' || host === '') report('server', `kuma SD server must not be empty and have a scheme: ${value.server}`)
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'kuma', ...optionsWithHttp(value) }),
)
