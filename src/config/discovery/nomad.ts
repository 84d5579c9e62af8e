// nomad_sd_configs (FEATURES 2.16). Source: prometheus discovery/nomad.
import { always, bool, duration, field, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const nomadDiscovery = discoverySection(
  'nomad',
  'nomad.plain',
  withHttp(
    { allow_stale: always(bool(), true) },
    {
      namespace: always(text(), 'default'),
      refresh_interval: always(duration(), 60_000),
      region: always(text(), 'global'),
      server: always(text(), 'http://localhost:4646'),
      tag_separator: field(text(), ','),
    },
  ),
  (value, report) => {
    if (value.server.trim() === '') report('server', 'nomad SD configuration requires a server address')
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'nomad', ...optionsWithHttp(value) }),
)
