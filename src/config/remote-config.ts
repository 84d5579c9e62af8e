// `remote_write` and `remote_read` (FEATURES 7.01, 7.02, 7.11, 7.23). Source: prometheus config.RemoteWriteConfig, storage/remote/azuread.
import type { Secret } from '../base/secret.ts'
import type { HttpClientOptions } from '../model/http-options.ts'
import type { NameValidation, RelabelRule } from '../relabel/rule.ts'
import { sigv4Config } from './alerting-config.ts'
import { checkHttpClient, httpClientFields, toHttpClientOptions } from './http-client.ts'
import { relabelConfigs, toRelabelRules } from './relabel-config.ts'
import { always, bool, duration, field, int, labelSet, list, map, optional, secret, struct, text, uint, url } from './schema.ts'
import type { Reader, Report, ValueOf } from './schema.ts'

/** Set by remote write itself or by the transport. @see prometheus config reservedHeaders */
const reservedHeaders = new Set([
  'host',
  'content-encoding',
  'content-length',
  'content-type',
  'user-agent',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'www-authenticate',
  'accept-encoding',
  'x-prometheus-remote-write-version',
  'x-prometheus-remote-read-version',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-content-sha256',
])

/** `authorizationWhy` is what is said about an Authorization header. */
export function checkHeaders(headers: Readonly<Record<string, string>>, authorizationWhy: string, report: Report): void {
  for (const header of Object.keys(headers)) {
    const lower = header.toLowerCase()
    if (lower === 'authorization') report(['headers', header], authorizationWhy)
    else if (reservedHeaders.has(lower)) report(['headers', header], `${header} is a reserved header. It must not be changed`)
  }
}
const useAuthKeys = 'authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter'

const queueConfig = struct('config.QueueConfig', {
  capacity: field(int(), 10_000),
  max_shards: field(int(), 50),
  min_shards: field(int(), 1),
  max_samples_per_send: field(int(), 2000),
  batch_send_deadline: field(duration(), 5000),
  min_backoff: field(duration(), 30),
  max_backoff: field(duration(), 5000),
  retry_on_http_429: field(bool()),
  sample_age_limit: field(duration()),
})

const metadataConfig = struct('config.MetadataConfig', {
  send: always(bool(), true),
  send_interval: always(duration(), 60_000),
  max_samples_per_send: field(int(), 2000),
})

const azureAdConfig = struct(
  'azuread.plain',
  {
    managed_identity: field(optional(struct('azuread.ManagedIdentityConfig', { client_id: field(text()) }))),
    workload_identity: field(
      optional(
        struct('azuread.WorkloadIdentityConfig', { client_id: field(text()), tenant_id: field(text()), token_file_path: field(text()) }),
      ),
    ),
    oauth: field(
      optional(struct('azuread.OAuthConfig', { client_id: field(text()), client_secret: field(secret()), tenant_id: field(text()) })),
    ),
    sdk: field(optional(struct('azuread.SDKConfig', { tenant_id: field(text()) }))),
    certificate: field(
      optional(
        struct('azuread.CertificateConfig', {
          client_id: field(text()),
          tenant_id: field(text()),
          certificate_path: field(text()),
          certificate_key_path: field(text()),
          certificate_password: field(secret()),
          send_certificate_chain: field(bool()),
        }),
      ),
    ),
    cloud: field(text()),
    scope: field(text()),
  },
  {
    check(value, report) {
      const cloud = value.cloud === '' ? 'AzurePublic' : value.cloud
      if (!['AzureChina', 'AzureGovernment', 'AzurePublic'].includes(cloud)) report('cloud', 'must provide a cloud in the Azure AD config')
      const { managed_identity: managed, workload_identity: workload, oauth, sdk, certificate } = value
      const ways = [managed, workload, oauth, sdk, certificate].filter((way) => way !== null).length
      if (ways === 0) {
        report(
          null,
          'must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config',
        )
      }
      if (ways > 1) report(null, 'cannot provide multiple authentication methods in the Azure AD config')
      const need = (key: string, thing: string, name: string, given: unknown): void => {
        if (String(given) === '') report([key, name], `must provide an Azure ${thing} ${name} in the Azure AD config`)
      }
      const uuid = (key: string, thing: string, name: string, given: string): void => {
        if (given !== '' && !isUuid(given)) report([key, name], `the provided Azure ${thing} ${name} is invalid`)
      }
      if (managed !== null) uuid('managed_identity', 'Managed Identity', 'client_id', managed.client_id)
      if (workload !== null) {
        for (const name of ['client_id', 'tenant_id'] as const) {
          need('workload_identity', 'Workload Identity', name, workload[name])
          uuid('workload_identity', 'Workload Identity', name, workload[name])
        }
      }
      if (oauth !== null) {
        for (const name of ['client_id', 'client_secret', 'tenant_id'] as const) need('oauth', 'OAuth', name, oauth[name])
        uuid('oauth', 'OAuth', 'client_id', oauth.client_id)
      }
      if (certificate !== null) {
        for (const name of ['client_id', 'tenant_id', 'certificate_path'] as const)
          need('certificate', 'Certificate', name, certificate[name])
        uuid('certificate', 'Certificate', 'client_id', certificate.client_id)
      }
      if (value.scope !== '' && !/^[\w\s:/.-]+$/.test(value.scope)) report('scope', 'the provided scope contains invalid characters')
      return { ...value, cloud }
    },
  },
)

/** @see github.com/google/uuid Parse */
function isUuid(text: string): boolean {
  const plain = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
  return new RegExp(`^(?:(?:urn:uuid:)?${plain}|\\{${plain}\\}|[0-9a-f]{32})$`, 'i').test(text)
}

const googleIamConfig = struct('googleiam.Config', { credentials_file: field(text()) })

const protobufMessages = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const

export const remoteWriteConfig = struct(
  'config.plain',
  {
    url: always(url()),
    remote_timeout: field(duration(), 30_000),
    headers: field(map(text())),
    write_relabel_configs: field(relabelConfigs('empty or null relabeling rule in remote write config')),
    name: field(text()),
    send_exemplars: field(bool()),
    send_native_histograms: field(bool()),
    round_robin_dns: field(bool()),
    protobuf_message: field(text(), 'prometheus.WriteRequest'),
    failed_request_logging: field(bool()),
    ...httpClientFields({ followRedirects: true, enableHttp2: false }),
    queue_config: field(queueConfig, queueConfig.defaults()),
    metadata_config: field(metadataConfig, metadataConfig.defaults()),
    sigv4: field(optional(sigv4Config)),
    azuread: field(optional(azureAdConfig)),
    google_iam: field(optional(googleIamConfig)),
  },
  {
    check(written, report) {
      if (written.url === '') report('url', 'url for remote_write is empty')
      checkHeaders(written.headers, useAuthKeys, report)
      if (!(protobufMessages as readonly string[]).includes(written.protobuf_message)) {
        report(
          'protobuf_message',
          `invalid protobuf_message value: unknown type for remote write protobuf message ${written.protobuf_message}, supported: ${protobufMessages.join(', ')}`,
        )
      }
      const value = checkHttpClient(written, report)
      checkQueue(value.queue_config, report)
      const ways = (['basic_auth', 'authorization', 'oauth2', 'sigv4', 'azuread', 'google_iam'] as const).filter(
        (key) => value[key] !== null,
      )
      if (ways.length > 1) {
        report(
          ways[1]!,
          `at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [${ways.join(' ')}]`,
        )
      }
      return value
    },
  },
)
export type RemoteWriteValue = ValueOf<typeof remoteWriteConfig>

function checkQueue(queue: ValueOf<typeof queueConfig>, report: Report): void {
  const say = (key: string, why: string): void => report(['queue_config', key], `remote write queue ${key} ${why}`)
  if (queue.max_shards <= 0) say('max_shards', 'must be positive')
  else if (queue.min_shards <= 0) say('min_shards', 'must be positive')
  else if (queue.min_shards > queue.max_shards) say('min_shards', 'must not be greater than max_shards')
  if (queue.max_samples_per_send <= 0) say('max_samples_per_send', 'must be positive')
  if (queue.capacity <= 0) say('capacity', 'must be positive')
  if (queue.max_backoff < queue.min_backoff) say('max_backoff', 'must not be less than min_backoff')
}

export const remoteReadConfig = struct(
  'config.plain',
  {
    url: always(url()),
    remote_timeout: field(duration(), 60_000),
    chunked_read_limit: field(uint('uint64'), 50_000_000),
    headers: field(map(text())),
    read_recent: field(bool()),
    name: field(text()),
    ...httpClientFields(),
    required_matchers: field(labelSet('model.LabelSet')),
    filter_external_labels: field(bool(), true),
  },
  {
    check(value, report) {
      if (value.url === '') report('url', 'url for remote_read is empty')
      checkHeaders(value.headers, useAuthKeys, report)
      return checkHttpClient(value, report)
    },
  },
)
export type RemoteReadValue = ValueOf<typeof remoteReadConfig>

export const remoteWriteList = list(remoteWriteConfig, '[]*config.RemoteWriteConfig', 'empty or null remote write config section')
export const remoteReadList = list(remoteReadConfig, '[]*config.RemoteReadConfig', 'empty or null remote read config section')

export type SigV4Options = Readonly<{
  region: string
  accessKey: string
  secretKey: Secret
  profile: string
  roleArn: string
  externalId: string
  useFipsStsEndpoint: boolean
  serviceName: string
}>

/** One entry of `remote_write`. */
export type RemoteWriteOptions = Readonly<{
  url: string
  /** '' = none: the queue is named after its settings. */
  name: string
  timeoutMs: number
  headers: Readonly<Record<string, string>>
  writeRelabelRules: readonly RelabelRule[]
  sendExemplars: boolean
  sendNativeHistograms: boolean
  roundRobinDns: boolean
  protobufMessage: (typeof protobufMessages)[number]
  failedRequestLogging: boolean
  http: HttpClientOptions
  queue: Readonly<{
    capacity: number
    maxShards: number
    minShards: number
    maxSamplesPerSend: number
    batchSendDeadlineMs: number
    minBackoffMs: number
    maxBackoffMs: number
    retryOnRateLimit: boolean
    /** 0 = samples of any age are sent. */
    sampleAgeLimitMs: number
  }>
  metadata: Readonly<{ send: boolean; sendIntervalMs: number; maxSamplesPerSend: number }>
  sigv4: SigV4Options | null
  /** As in the file, with secrets wrapped; null = not used. */
  azureAd: Readonly<ValueOf<typeof azureAdConfig>> | null
  googleIam: Readonly<{ credentialsFile: string }> | null
}>

/** One entry of `remote_read`. */
export type RemoteReadOptions = Readonly<{
  url: string
  name: string
  timeoutMs: number
  headers: Readonly<Record<string, string>>
  readRecent: boolean
  requiredMatchers: Readonly<Record<string, string>>
  filterExternalLabels: boolean
  chunkedReadLimitBytes: number
  http: HttpClientOptions
}>

export function finishRemoteWrite(value: RemoteWriteValue, validation: NameValidation, reader: Reader): RemoteWriteOptions {
  const { queue_config: queue, metadata_config: metadata, sigv4 } = value
  return Object.freeze({
    url: value.url,
    name: value.name,
    timeoutMs: value.remote_timeout,
    headers: value.headers,
    writeRelabelRules: toRelabelRules(value.write_relabel_configs, validation, reader),
    sendExemplars: value.send_exemplars,
    sendNativeHistograms: value.send_native_histograms,
    roundRobinDns: value.round_robin_dns,
    protobufMessage: value.protobuf_message as RemoteWriteOptions['protobufMessage'],
    failedRequestLogging: value.failed_request_logging,
    http: toHttpClientOptions(value),
    queue: Object.freeze({
      capacity: queue.capacity,
      maxShards: queue.max_shards,
      minShards: queue.min_shards,
      maxSamplesPerSend: queue.max_samples_per_send,
      batchSendDeadlineMs: queue.batch_send_deadline,
      minBackoffMs: queue.min_backoff,
      maxBackoffMs: queue.max_backoff,
      retryOnRateLimit: queue.retry_on_http_429,
      sampleAgeLimitMs: queue.sample_age_limit,
    }),
    metadata: Object.freeze({
      send: metadata.send,
      sendIntervalMs: metadata.send_interval,
      maxSamplesPerSend: metadata.max_samples_per_send,
    }),
    sigv4:
      sigv4 === null
        ? null
        : Object.freeze({
            region: sigv4.region,
            accessKey: sigv4.access_key,
            secretKey: sigv4.secret_key,
            profile: sigv4.profile,
            roleArn: sigv4.role_arn,
            externalId: sigv4.external_id,
            useFipsStsEndpoint: sigv4.use_fips_sts_endpoint,
            serviceName: sigv4.service_name,
          }),
    azureAd: value.azuread,
    googleIam: value.google_iam === null ? null : Object.freeze({ credentialsFile: value.google_iam.credentials_file }),
  })
}

export function finishRemoteRead(value: RemoteReadValue): RemoteReadOptions {
  return Object.freeze({
    url: value.url,
    name: value.name,
    timeoutMs: value.remote_timeout,
    headers: value.headers,
    readRecent: value.read_recent,
    requiredMatchers: value.required_matchers,
    filterExternalLabels: value.filter_external_labels,
    chunkedReadLimitBytes: value.chunked_read_limit,
    http: toHttpClientOptions(value),
  })
}

/** The same name twice; entries without one get theirs from their settings. */
export function checkUniqueNames(values: readonly { readonly name: string }[], what: string, reader: Reader): void {
  const seen = new Set<string>()
  for (const value of values) {
    if (value.name !== '' && seen.has(value.name)) {
      reader.problemIn(value, 'name', `found multiple ${what} configs with job name ${JSON.stringify(value.name)}`)
    }
    seen.add(value.name)
  }
}
