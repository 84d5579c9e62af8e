// All service discovery mechanisms, and the keys they add to scrape_configs and alertmanagers.
import type { DiscoveryConfig } from '../../discovery/options.ts'
import { field } from '../schema.ts'
import type { Field } from '../schema.ts'
import { awsDiscovery, ec2Discovery, ecsDiscovery, elasticacheDiscovery, lightsailDiscovery, mskDiscovery, rdsDiscovery } from './aws.ts'
import { azureDiscovery } from './azure.ts'
import { consulDiscovery } from './consul.ts'
import { digitaloceanDiscovery } from './digitalocean.ts'
import { dnsDiscovery } from './dns.ts'
import { dockerDiscovery } from './docker.ts'
import { dockerSwarmDiscovery } from './dockerswarm.ts'
import { eurekaDiscovery } from './eureka.ts'
import { fileDiscovery } from './file.ts'
import { gceDiscovery } from './gce.ts'
import { hetznerDiscovery } from './hetzner.ts'
import { httpDiscovery } from './http.ts'
import { ionosDiscovery } from './ionos.ts'
import type { DiscoverySection } from './kind.ts'
import { kubernetesDiscovery } from './kubernetes.ts'
import { kumaDiscovery } from './kuma.ts'
import { linodeDiscovery } from './linode.ts'
import { marathonDiscovery } from './marathon.ts'
import { nomadDiscovery } from './nomad.ts'
import { ociDiscovery } from './oci.ts'
import { openstackDiscovery } from './openstack.ts'
import { outscaleDiscovery } from './outscale.ts'
import { ovhcloudDiscovery } from './ovhcloud.ts'
import { puppetdbDiscovery } from './puppetdb.ts'
import { scalewayDiscovery } from './scaleway.ts'
import { stackitDiscovery } from './stackit.ts'
import { staticDiscovery } from './static.ts'
import { tritonDiscovery } from './triton.ts'
import { uyuniDiscovery } from './uyuni.ts'
import { vultrDiscovery } from './vultr.ts'
import { nerveDiscovery, serversetDiscovery } from './zookeeper.ts'

/** By key: the order in which they are printed. */
export const discoverySections: readonly DiscoverySection[] = [
  awsDiscovery,
  azureDiscovery,
  consulDiscovery,
  digitaloceanDiscovery,
  dnsDiscovery,
  dockerDiscovery,
  dockerSwarmDiscovery,
  ec2Discovery,
  ecsDiscovery,
  elasticacheDiscovery,
  eurekaDiscovery,
  fileDiscovery,
  gceDiscovery,
  hetznerDiscovery,
  httpDiscovery,
  ionosDiscovery,
  kubernetesDiscovery,
  kumaDiscovery,
  lightsailDiscovery,
  linodeDiscovery,
  marathonDiscovery,
  mskDiscovery,
  nerveDiscovery,
  nomadDiscovery,
  ociDiscovery,
  openstackDiscovery,
  outscaleDiscovery,
  ovhcloudDiscovery,
  puppetdbDiscovery,
  rdsDiscovery,
  scalewayDiscovery,
  serversetDiscovery,
  stackitDiscovery,
  staticDiscovery,
  tritonDiscovery,
  uyuniDiscovery,
  vultrDiscovery,
]

/** To be spread into the section that holds them, at its end. */
export const discoveryFields: Readonly<Record<`${string}_configs`, Field<readonly object[]>>> = Object.fromEntries(
  discoverySections.map(({ key, list }) => [key, field(list)]),
)

/** What a section with those keys asks for. */
export function toDiscovery(value: object): readonly DiscoveryConfig[] {
  const written = value as Readonly<Record<string, readonly object[]>>
  return Object.freeze(discoverySections.flatMap((section) => section.toOptions(written[section.key]!)))
}
