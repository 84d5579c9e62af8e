// hetzner_sd_configs (FEATURES 2.24). Source: prometheus discovery/hetzner.
import type { HetznerDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { always, duration, field, int, oneOf, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

const role = oneOf(['robot', 'hcloud'], (name) => `unknown role ${quote(name)}`)

export const hetznerDiscovery = discoverySection(
  'hetzner',
  'hetzner.plain',
  withHttp(
    {},
    { refresh_interval: always(duration(), 60_000), port: always(int(), 80), role: always(role), label_selector: field(text()) },
  ),
  (value, report) => {
    if (value.role === '') report('role', 'role missing (one of: robot, hcloud)')
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'hetzner', ...optionsWithHttp(value), role: value.role as HetznerDiscovery['role'] }),
)
