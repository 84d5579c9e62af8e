// linode_sd_configs (FEATURES 2.26). Source: prometheus discovery/linode.
import { always, duration, field, int, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

export const linodeDiscovery = discoverySection(
  'linode',
  'linode.plain',
  withHttp(
    {},
    {
      refresh_interval: always(duration(), 60_000),
      port: always(int(), 80),
      tag_separator: field(text(), ','),
      region: field(text()),
    },
  ),
  checkHttpClient,
  (value) => ({ kind: 'linode', ...optionsWithHttp(value) }),
)
