// puppetdb_sd_configs (FEATURES 2.20). Source: prometheus discovery/puppetdb.
import { always, bool, duration, field, int, text } from '../schema.ts'
import { checkWebUrl } from './http.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const puppetdbDiscovery = discoverySection(
  'puppetdb',
  'puppetdb.plain',
  withHttp(
    {},
    {
      refresh_interval: field(duration(), 60_000),
      url: always(text()),
      query: always(text()),
      include_parameters: always(bool()),
      port: always(int(), 80),
    },
  ),
  (value, report) => {
    checkWebUrl(value.url, (message) => report('url', message))
    if (value.query === '') report('query', 'query missing')
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'puppetdb', ...optionsWithHttp(value) }),
)
