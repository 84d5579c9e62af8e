import { expect, it } from 'vitest'
import { dnsDiscovery } from '../../../src/discovery/dns.ts'
import type { DnsDiscovery } from '../../../src/discovery/options.ts'
import type { TargetGroup } from '../../../src/model/target-group.ts'
import { discoveryBench, targetsOf, type DiscoveryBench } from '../../support/discovery.ts'

function run(bench: DiscoveryBench, options: Partial<DnsDiscovery>) {
  const groups = new Map<string, TargetGroup>()
  const mechanism = dnsDiscovery(
    { kind: 'dns', names: ['n'], type: 'SRV', port: 0, refreshIntervalMs: 30_000, ...options },
    'job',
    bench.ports,
  )
  mechanism.start((changed) => {
    for (const group of changed) {
      if (group.targets.length === 0) groups.delete(group.source)
      else groups.set(group.source, group)
    }
  })
  return () => targetsOf([...groups.values()])
}

const rows: [type: DnsDiscovery['type'], port: number, records: readonly unknown[], targets: string[]][] = [
  [
    'SRV',
    0,
    [
      { target: 'db1.example.', port: 1 },
      { target: 'db2.example.', port: 2 },
    ],
    [
      'db1.example:1{__meta_dns_name=n,__meta_dns_srv_record_port=1,__meta_dns_srv_record_target=db1.example.}',
      'db2.example:2{__meta_dns_name=n,__meta_dns_srv_record_port=2,__meta_dns_srv_record_target=db2.example.}',
    ],
  ],
  ['A', 80, [{ address: '192.0.2.1' }], ['192.0.2.1:80{__meta_dns_name=n}']],
  ['AAAA', 80, [{ address: '2001:db8::1' }], ['[2001:db8::1]:80{__meta_dns_name=n}']],
  ['MX', 25, [{ target: 'mail.example.' }], ['mail.example:25{__meta_dns_mx_record_target=mail.example.,__meta_dns_name=n}']],
  ['NS', 53, [{ target: 'ns.example.' }], ['ns.example:53{__meta_dns_name=n,__meta_dns_ns_record_target=ns.example.}']],
  ['A', 80, [], []],
]
it.each(rows)('%s port %d', async (type, port, records, targets) => {
  const bench = discoveryBench()
  bench.records.set(`${type} n`, records)
  const found = run(bench, { type, port })
  await bench.clock.advance(0)
  expect(found()).toEqual(targets)
})

it('a name that fails keeps its targets, one without records loses them, the others go on', async () => {
  const bench = discoveryBench()
  for (const name of ['a', 'b', 'c']) bench.records.set(`A ${name}`, [{ address: `192.0.2.${name.charCodeAt(0)}` }])
  const found = run(bench, { names: ['a', 'b', 'c'], type: 'A', port: 1 })
  await bench.clock.advance(0)
  expect(found()).toHaveLength(3)
  bench.records.set('A a', 'fail')
  bench.records.set('A b', [])
  bench.records.set('A c', [{ address: '192.0.2.7' }])
  await bench.clock.advance(30_000)
  expect(found()).toEqual(['192.0.2.7:1{__meta_dns_name=c}', '192.0.2.97:1{__meta_dns_name=a}'])
  expect(await bench.metric('prometheus_sd_dns_lookups_total')).toBe(6)
  expect(await bench.metric('prometheus_sd_dns_lookup_failures_total')).toBe(1)
  expect(await bench.metric('prometheus_sd_refresh_failures_total', 'dns', 'job')).toBe(0)
  expect(bench.logged).toHaveLength(1)
  expect(bench.logged[0]).toMatchObject({ message: 'Error refreshing DNS targets', fields: { name: 'a' } })
})
