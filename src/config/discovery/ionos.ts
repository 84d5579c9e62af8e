// ionos_sd_configs (FEATURES 2.25). Source: prometheus discovery/ionos.
import { always, duration, int, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const ionosDiscovery = discoverySection(
  'ionos',
  'ionos.plain',
  withHttp({ datacenter_id: always(text()) }, { refresh_interval: always(duration(), 60_000), port: always(int(), 80) }),
  (value, report) => {
    if (value.datacenter_id === '') report('datacenter_id', "datacenter id can't be empty")
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'ionos', ...optionsWithHttp(value) }),
)
