// triton_sd_configs (FEATURES 2.32). Source: prometheus discovery/triton.
import type { TritonDiscovery } from '../../discovery/options.ts'
import { tlsConfig, toTlsOptions } from '../http-client.ts'
import { always, duration, field, int, list, text } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

export const tritonDiscovery = discoverySection(
  'triton',
  'triton.plain',
  {
    account: always(text()),
    role: always(text(), 'container'),
    dns_suffix: always(text()),
    endpoint: always(text()),
    groups: field(list(text())),
    port: always(int(), 9163),
    refresh_interval: field(duration(), 60_000),
    tls_config: field(tlsConfig),
    version: always(int(), 1),
  },
  (value, report) => {
    if (value.role !== 'container' && value.role !== 'cn') {
      report('role', "triton SD configuration requires role to be 'container' or 'cn'")
    }
    if (value.account === '') report('account', 'triton SD configuration requires an account')
    if (value.dns_suffix === '') report('dns_suffix', 'triton SD configuration requires a dns_suffix')
    if (value.endpoint === '') report('endpoint', 'triton SD configuration requires an endpoint')
    if (value.refresh_interval <= 0) {
      report('refresh_interval', 'triton SD configuration requires RefreshInterval to be a positive integer')
    }
  },
  (value) => ({
    kind: 'triton',
    ...options(value),
    role: value.role as TritonDiscovery['role'],
    tls: tlsConfig.isZero(value.tls_config) ? null : toTlsOptions(value.tls_config),
  }),
)
