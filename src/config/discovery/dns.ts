// dns_sd_configs (FEATURES 2.08). Source: prometheus discovery/dns.
import type { DnsDiscovery } from '../../discovery/options.ts'
import { always, duration, field, int, list, text } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

export const dnsDiscovery = discoverySection(
  'dns',
  'dns.plain',
  {
    names: always(list(text())),
    refresh_interval: field(duration(), 30_000),
    type: always(text(), 'SRV'),
    port: always(int()),
  },
  (value, report) => {
    if (value.names.length === 0) report('names', 'DNS-SD config must contain at least one SRV record name')
    const type = value.type.toUpperCase()
    if (!['SRV', 'A', 'AAAA', 'MX', 'NS'].includes(type)) report('type', `invalid DNS-SD records type ${value.type}`)
    else if (type !== 'SRV' && value.port === 0) report('port', 'a port is required in DNS-SD configs for all record types except SRV')
  },
  (value) => ({ kind: 'dns', ...options(value), type: value.type.toUpperCase() as DnsDiscovery['type'] }),
)
