// ec2_, lightsail_, ecs_, msk_, elasticache_, rds_ and aws_sd_configs (FEATURES 2.11, 2.22). Source: prometheus discovery/aws.
import type { AwsDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { toHttpClientOptions } from '../http-client.ts'
import { always, duration, field, int, list, nullableList, oneOf, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, nameValues, options, optionsWithHttp, withHttp } from './kind.ts'

const credentials = {
  access_key: field(text()),
  secret_key: field(secret()),
  profile: field(text()),
  role_arn: field(text()),
  external_id: field(text()),
}
const filter = nameValues('aws.Filter')
const filters = list(filter, '[]*aws.Filter', 'empty or null section in filters')
const ec2Start = {
  endpoint: always(text()),
  region: always(text()),
  ...credentials,
  refresh_interval: field(duration(), 60_000),
  port: always(int(), 80),
}
const clustersStart = {
  region: always(text()),
  endpoint: always(text()),
  ...credentials,
  clusters: field(list(text())),
  port: always(int(), 80),
  refresh_interval: field(duration(), 60_000),
}

export const ec2Discovery = discoverySection(
  'ec2',
  'aws.plain',
  withHttp({ ...ec2Start, filters: always(filters) }, {}),
  (value, report) => {
    value.filters.forEach(({ values }, i) => {
      if (values.length === 0) report(['filters', i, 'values'], 'EC2 SD configuration filter values cannot be empty')
    })
    return checkHttpClient(value, report)
  },
  (value) => ({ kind: 'ec2', ...optionsWithHttp(value) }),
)

export const lightsailDiscovery = discoverySection('lightsail', 'aws.plain', withHttp(ec2Start, {}), checkHttpClient, (value) => ({
  kind: 'lightsail',
  ...optionsWithHttp(value),
}))

const concurrency = (requests: number) => ({ request_concurrency: field(int(), requests) })

export const ecsDiscovery = discoverySection(
  'ecs',
  'aws.plain',
  withHttp({ ...clustersStart, ...concurrency(20) }, {}),
  checkHttpClient,
  (value) => ({ kind: 'ecs', ...optionsWithHttp(value) }),
)
export const mskDiscovery = discoverySection(
  'msk',
  'aws.plain',
  withHttp({ ...clustersStart, ...concurrency(10) }, {}),
  checkHttpClient,
  (value) => ({ kind: 'msk', ...optionsWithHttp(value) }),
)
export const elasticacheDiscovery = discoverySection(
  'elasticache',
  'aws.plain',
  withHttp({ ...clustersStart, ...concurrency(10) }, {}),
  checkHttpClient,
  (value) => ({ kind: 'elasticache', ...optionsWithHttp(value) }),
)
export const rdsDiscovery = discoverySection(
  'rds',
  'aws.plain',
  withHttp({ ...clustersStart, filters: always(filters), ...concurrency(10) }, {}),
  checkHttpClient,
  (value) => ({ kind: 'rds', ...optionsWithHttp(value) }),
)

const role = oneOf(['ec2', 'ecs', 'elasticache', 'lightsail', 'msk', 'rds'], (name) => `unknown AWS SD role ${quote(name)}`)

/** Upstream checks neither the HTTP client nor the filters here, and its HTTP defaults are all off: what is not written is false. */
export const awsDiscovery = discoverySection(
  'aws',
  'aws.plain',
  {
    role: always(role),
    region: field(text()),
    endpoint: field(text()),
    ...credentials,
    refresh_interval: field(duration()),
    port: field(int()),
    ...httpDefaultsOff(),
    filters: field(nullableList(filter, '[]*aws.Filter', 'empty or null section in filters')),
    clusters: field(nullableList(text(), '[]string')),
  },
  (value, report) => {
    if (value.role === '') report('role', `unknown AWS SD role ${quote(value.role)}`)
    return checkHttpClient(value, report)
  },
  (value): AwsDiscovery => {
    const { role: kind, refreshIntervalMs, port, filters, clusters, ...rest } = options(value)
    const base = {
      ...rest,
      refreshIntervalMs: refreshIntervalMs === 0 ? 60_000 : refreshIntervalMs,
      port: port === 0 ? 80 : port,
      http: toHttpClientOptions(value),
    }
    const more = { clusters: clusters ?? [], filters: filters ?? [] }
    switch (kind) {
      case 'lightsail':
        return { kind: 'aws', role: { kind, ...base } }
      case 'ecs':
        return { kind: 'aws', role: { kind, ...base, clusters: more.clusters, requestConcurrency: 20 } }
      case 'msk':
      case 'elasticache':
        return { kind: 'aws', role: { kind, ...base, clusters: more.clusters, requestConcurrency: 10 } }
      case 'rds':
        return { kind: 'aws', role: { kind, ...base, ...more, requestConcurrency: 10 } }
      default:
        return { kind: 'aws', role: { kind: 'ec2', ...base, filters: more.filters } }
    }
  },
)

function httpDefaultsOff() {
  const { follow_redirects, enable_http2, ...rest } = withHttp({}, {})
  return {
    ...rest,
    follow_redirects: { ...follow_redirects, initial: () => false },
    enable_http2: { ...enable_http2, initial: () => false },
  }
}
