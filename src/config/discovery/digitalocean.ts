// digitalocean_sd_configs (FEATURES 2.23). Source: prometheus discovery/digitalocean.
import type { DigitaloceanDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { always, duration, int, oneOf } from '../schema.ts'
import type { Schema } from '../schema.ts'
import { isNull } from '../yaml-tree.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

const role = oneOf(['droplets', 'databases'], (name) => `unknown DigitalOcean SD role ${quote(name)}`)

/** Upstream prints this field by accident, always null. */
const nothing: Schema<null> = {
  read: (node, reader, path) => (isNull(node) ? null : reader.problem(node.at, path, 'httpclient cannot be configured')),
  zero: () => null,
  isZero: () => true,
  print: () => null,
}

export const digitaloceanDiscovery = discoverySection(
  'digitalocean',
  'digitalocean.plain',
  withHttp(
    {},
    { refresh_interval: always(duration(), 60_000), port: always(int(), 80), role: always(role, 'droplets'), httpclient: always(nothing) },
  ),
  (value, report) => {
    if (value.role === '') report('role', 'role missing (one of: droplets, databases)')
    return checkHttpClient(value, report)
  },
  ({ httpclient: _, ...value }) => ({
    kind: 'digitalocean',
    ...optionsWithHttp(value),
    role: value.role as DigitaloceanDiscovery['role'],
  }),
)
