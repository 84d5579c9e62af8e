// Targets from DNS records (FEATURES 2.08): one group per name. Source: prometheus discovery/dns.
import { messageOf } from '../base/errors.ts'
import { labelsFrom, type Labels } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Resolver } from '../ports/resolver.ts'
import type { DiscoveryPorts, Mechanism } from './mechanism.ts'
import type { DnsDiscovery } from './options.ts'
import { refreshing } from './refresh.ts'

export function dnsDiscovery(options: DnsDiscovery, config: string, ports: DiscoveryPorts): Mechanism {
  const { metrics, log, resolver } = ports
  const refresh = async (): Promise<readonly TargetGroup[]> => {
    const groups = await Promise.all(
      options.names.map(async (name): Promise<TargetGroup | null> => {
        metrics.dnsLookups.inc()
        try {
          return { source: name, targets: await targetsOf(resolver, name, options), labels: [] }
        } catch (thrown) {
          metrics.dnsLookupFailures.inc()
          log.error({ discovery: 'dns', config, name, err: messageOf(thrown) }, 'Error refreshing DNS targets')
          return null
        }
      }),
    )
    return groups.filter((group) => group !== null) // names that failed keep their targets
  }
  return refreshing({ name: 'dns', config, intervalMs: options.refreshIntervalMs, refresh }, ports)
}

async function targetsOf(resolver: Resolver, name: string, { type, port }: DnsDiscovery): Promise<Labels[]> {
  const target = (address: string, meta: Readonly<Record<string, string>> = {}): Labels =>
    labelsFrom([
      ['__address__', address],
      ['__meta_dns_name', name],
      ['__meta_dns_srv_record_target', meta['srv'] ?? ''],
      ['__meta_dns_srv_record_port', meta['port'] ?? ''],
      ['__meta_dns_mx_record_target', meta['mx'] ?? ''],
      ['__meta_dns_ns_record_target', meta['ns'] ?? ''],
    ])
  const hostPort = (host: string, at: number): string => {
    const bare = host.replace(/\.+$/, '')
    return `${bare.includes(':') ? `[${bare}]` : bare}:${at}`
  }
  switch (type) {
    case 'SRV':
      return (await resolver.resolve(name, 'SRV')).map((r) => target(hostPort(r.target, r.port), { srv: r.target, port: String(r.port) }))
    case 'A':
    case 'AAAA':
      return (await resolver.resolve(name, type)).map((r) => target(hostPort(r.address, port)))
    case 'MX':
      return (await resolver.resolve(name, 'MX')).map((r) => target(hostPort(r.target, port), { mx: r.target }))
    case 'NS':
      return (await resolver.resolve(name, 'NS')).map((r) => target(hostPort(r.target, port), { ns: r.target }))
  }
}
