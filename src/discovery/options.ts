// Service discovery sections as the configuration hands them over (FEATURES 2.04–2.34): validated, defaulted, frozen. File paths are absolute.
// `kind` is the name of the mechanism as Prometheus registers it; the section of the file is `<kind>_sd_configs` (`static_configs` for static).
import type { Secret } from '../base/secret.ts'
import type { HttpClientOptions, TlsOptions } from '../model/http-options.ts'
import type { TargetGroup } from '../model/target-group.ts'

/** What most mechanisms share. `port` is used where the answer names none. */
type Polled = { readonly refreshIntervalMs: number }
type WithHttp = { readonly http: HttpClientOptions }
type WithPort = { readonly port: number }
type NameValues = Readonly<{ name: string; values: readonly string[] }>

/** All static_configs of one section together; the groups' sources are '0', '1', … */
export type StaticDiscovery = Readonly<{ kind: 'static'; groups: readonly TargetGroup[] }>
/** Paths whose last segment may hold one *. */
export type FileDiscovery = Readonly<{ kind: 'file'; files: readonly string[] } & Polled>
export type HttpDiscovery = Readonly<{ kind: 'http'; url: string } & Polled & WithHttp>

export const kubernetesRoles = ['node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress'] as const
export type KubernetesRole = (typeof kubernetesRoles)[number]
export type KubernetesDiscovery = Readonly<
  {
    kind: 'kubernetes'
    /** '' = from the kubeconfig file, or in the cluster. */
    apiServer: string
    role: KubernetesRole
    kubeconfigFile: string
    namespaces: Readonly<{ ownNamespace: boolean; names: readonly string[] }>
    selectors: readonly Readonly<{ role: KubernetesRole; label: string; field: string }>[]
    attachMetadata: Readonly<{ node: boolean; namespace: boolean; deployment: boolean; job: boolean; cronjob: boolean }>
  } & WithHttp
>
export type DnsDiscovery = Readonly<{ kind: 'dns'; names: readonly string[]; type: 'SRV' | 'A' | 'AAAA' | 'MX' | 'NS' } & Polled & WithPort>
export type ConsulDiscovery = Readonly<
  {
    kind: 'consul'
    server: string
    pathPrefix: string
    token: Secret
    datacenter: string
    namespace: string
    partition: string
    tagSeparator: string
    scheme: string
    username: string
    password: Secret
    allowStale: boolean
    services: readonly string[]
    tags: readonly string[]
    nodeMeta: Readonly<Record<string, string>>
    filter: string
    healthFilter: string
  } & Polled &
    WithHttp
>
export type DockerDiscovery = Readonly<
  {
    kind: 'docker'
    host: string
    filters: readonly NameValues[]
    hostNetworkingHost: string
    matchFirstNetwork: boolean
  } & Polled &
    WithPort &
    WithHttp
>
export type DockerSwarmDiscovery = Readonly<
  { kind: 'dockerswarm'; host: string; role: 'services' | 'tasks' | 'nodes'; filters: readonly NameValues[] } & Polled & WithPort & WithHttp
>

type AwsAccess = {
  readonly endpoint: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: Secret
  readonly profile: string
  readonly roleArn: string
  readonly externalId: string
} & Polled &
  WithPort &
  WithHttp
type AwsClusters = { readonly clusters: readonly string[]; readonly requestConcurrency: number }
export type Ec2Discovery = Readonly<{ kind: 'ec2'; filters: readonly NameValues[] } & AwsAccess>
export type LightsailDiscovery = Readonly<{ kind: 'lightsail' } & AwsAccess>
export type EcsDiscovery = Readonly<{ kind: 'ecs' } & AwsAccess & AwsClusters>
export type MskDiscovery = Readonly<{ kind: 'msk' } & AwsAccess & AwsClusters>
export type ElasticacheDiscovery = Readonly<{ kind: 'elasticache' } & AwsAccess & AwsClusters>
export type RdsDiscovery = Readonly<{ kind: 'rds'; filters: readonly NameValues[] } & AwsAccess & AwsClusters>
/** `aws_sd_configs`: one section for all roles, with the defaults of the role's own section. */
export type AwsDiscovery = Readonly<{
  kind: 'aws'
  role: Ec2Discovery | LightsailDiscovery | EcsDiscovery | MskDiscovery | ElasticacheDiscovery | RdsDiscovery
}>

export type GceDiscovery = Readonly<
  { kind: 'gce'; project: string; zone: string; filter: string; tagSeparator: string } & Polled & WithPort
>
export type AzureDiscovery = Readonly<
  {
    kind: 'azure'
    environment: string
    subscriptionId: string
    tenantId: string
    clientId: string
    clientSecret: Secret
    authenticationMethod: 'OAuth' | 'ManagedIdentity' | 'SDK' | 'WorkloadIdentity'
    resourceGroup: string
  } & Polled &
    WithPort &
    WithHttp
>
export type OpenstackDiscovery = Readonly<
  {
    kind: 'openstack'
    identityEndpoint: string
    username: string
    userid: string
    password: Secret
    projectName: string
    projectId: string
    domainName: string
    domainId: string
    applicationCredentialName: string
    applicationCredentialId: string
    applicationCredentialSecret: Secret
    role: 'hypervisor' | 'instance' | 'loadbalancer'
    region: string
    allTenants: boolean
    tls: TlsOptions | null
    availability: 'public' | 'internal' | 'admin'
  } & Polled &
    WithPort
>
export type NomadDiscovery = Readonly<
  { kind: 'nomad'; allowStale: boolean; namespace: string; region: string; server: string; tagSeparator: string } & Polled & WithHttp
>
export type EurekaDiscovery = Readonly<{ kind: 'eureka'; server: string } & Polled & WithHttp>
type Zookeeper = { readonly servers: readonly string[]; readonly paths: readonly string[]; readonly timeoutMs: number }
export type ServersetDiscovery = Readonly<{ kind: 'serverset' } & Zookeeper>
export type NerveDiscovery = Readonly<{ kind: 'nerve' } & Zookeeper>
export type MarathonDiscovery = Readonly<
  { kind: 'marathon'; servers: readonly string[]; authToken: Secret; authTokenFile: string } & Polled & WithHttp
>
export type PuppetdbDiscovery = Readonly<
  { kind: 'puppetdb'; url: string; query: string; includeParameters: boolean } & Polled & WithPort & WithHttp
>
export type KumaDiscovery = Readonly<{ kind: 'kuma'; server: string; clientId: string; fetchTimeoutMs: number } & Polled & WithHttp>
export type DigitaloceanDiscovery = Readonly<{ kind: 'digitalocean'; role: 'droplets' | 'databases' } & Polled & WithPort & WithHttp>
export type HetznerDiscovery = Readonly<{ kind: 'hetzner'; role: 'robot' | 'hcloud'; labelSelector: string } & Polled & WithPort & WithHttp>
export type IonosDiscovery = Readonly<{ kind: 'ionos'; datacenterId: string } & Polled & WithPort & WithHttp>
export type LinodeDiscovery = Readonly<{ kind: 'linode'; tagSeparator: string; region: string } & Polled & WithPort & WithHttp>
export type OciDiscovery = Readonly<
  {
    kind: 'oci'
    auth: 'api_key' | 'instance_principal'
    tenancy: string
    user: string
    fingerprint: string
    keyFile: string
    keyPassphrase: Secret
    keyPassphraseFile: string
    region: string
    compartments: readonly string[]
  } & Polled &
    WithPort &
    WithHttp
>
export type OutscaleDiscovery = Readonly<
  { kind: 'outscale'; endpoint: string; region: string; accessKey: string; secretKey: Secret; secretKeyFile: string } & Polled &
    WithPort &
    WithHttp
>
export type OvhcloudDiscovery = Readonly<
  {
    kind: 'ovhcloud'
    endpoint: string
    applicationKey: string
    applicationSecret: Secret
    consumerKey: Secret
    service: 'dedicated_server' | 'vps'
  } & Polled
>
export type ScalewayDiscovery = Readonly<
  {
    kind: 'scaleway'
    projectId: string
    apiUrl: string
    zone: string
    accessKey: string
    secretKey: Secret
    secretKeyFile: string
    nameFilter: string
    tagsFilter: readonly string[]
    role: 'instance' | 'baremetal'
  } & Polled &
    WithPort &
    WithHttp
>
export type StackitDiscovery = Readonly<
  {
    kind: 'stackit'
    project: string
    region: string
    endpoint: string
    serviceAccountKey: Secret
    privateKey: Secret
    serviceAccountKeyPath: string
    privateKeyPath: string
    credentialsFilePath: string
  } & Polled &
    WithPort &
    WithHttp
>
export type TritonDiscovery = Readonly<
  {
    kind: 'triton'
    account: string
    role: 'container' | 'cn'
    dnsSuffix: string
    endpoint: string
    groups: readonly string[]
    tls: TlsOptions | null
    version: number
  } & Polled &
    WithPort
>
export type UyuniDiscovery = Readonly<
  { kind: 'uyuni'; server: string; username: string; password: Secret; entitlement: string; separator: string } & Polled & WithHttp
>
export type VultrDiscovery = Readonly<{ kind: 'vultr' } & Polled & WithPort & WithHttp>

export type DiscoveryConfig =
  | StaticDiscovery
  | FileDiscovery
  | HttpDiscovery
  | KubernetesDiscovery
  | DnsDiscovery
  | ConsulDiscovery
  | DockerDiscovery
  | DockerSwarmDiscovery
  | Ec2Discovery
  | LightsailDiscovery
  | EcsDiscovery
  | MskDiscovery
  | ElasticacheDiscovery
  | RdsDiscovery
  | AwsDiscovery
  | GceDiscovery
  | AzureDiscovery
  | OpenstackDiscovery
  | NomadDiscovery
  | EurekaDiscovery
  | ServersetDiscovery
  | NerveDiscovery
  | MarathonDiscovery
  | PuppetdbDiscovery
  | KumaDiscovery
  | DigitaloceanDiscovery
  | HetznerDiscovery
  | IonosDiscovery
  | LinodeDiscovery
  | OciDiscovery
  | OutscaleDiscovery
  | OvhcloudDiscovery
  | ScalewayDiscovery
  | StackitDiscovery
  | TritonDiscovery
  | UyuniDiscovery
  | VultrDiscovery

export type DiscoveryKind = DiscoveryConfig['kind']
