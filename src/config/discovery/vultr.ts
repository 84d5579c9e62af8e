// vultr_sd_configs (FEATURES 2.34). Source: prometheus discovery/vultr.
import { always, duration, int } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const vultrDiscovery = discoverySection(
  'vultr',
  'vultr.plain',
  withHttp({}, { refresh_interval: always(duration(), 60_000), port: always(int(), 80) }),
  checkHttpClient,
  (value) => ({ kind: 'vultr', ...optionsWithHttp(value) }),
)
