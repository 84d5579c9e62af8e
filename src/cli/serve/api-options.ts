import type { ApiOptions } from '../../api/options.ts'
import type { Random } from '../../ports/random.ts'
import { webFiles } from './web-files.ts'
import type { Settings } from './settings.ts'

export function apiOptions({ flags, features, externalUrl, routePrefix }: Settings, random: Random): ApiOptions {
  return {
    listenAddresses: flags['web.listen-address'],
    webConfig: flags['web.config.file'] === '' ? null : { path: flags['web.config.file'], files: webFiles },
    externalUrl,
    routePrefix,
    readTimeoutMs: flags['web.read-timeout'],
    connectionsMax: flags['web.max-connections'],
    corsOrigin: flags['web.cors.origin'],
    enableLifecycle: flags['web.enable-lifecycle'],
    enableAdminApi: flags['web.enable-admin-api'],
    enableRemoteWriteReceiver: flags['web.enable-remote-write-receiver'],
    remoteWriteMessages: flags['web.remote-write-receiver.accepted-protobuf-messages'] as ApiOptions['remoteWriteMessages'],
    typeAndUnitLabels: features.has('type-and-unit-labels'),
    startTimestampZeros: features.has('created-timestamp-zero-ingestion'),
    enableOtlpReceiver: false,
    otlpDeltaToCumulative: false,
    otlpNativeDelta: false,
    enableSearch: features.has('search-api'),
    searchLimitMax: flags['web.search.max-limit'],
    remoteReadSamplesMax: flags['storage.remote.read-sample-limit'],
    remoteReadConcurrencyMax: flags['storage.remote.read-concurrent-limit'],
    notificationSubscribersMax: flags['web.max-notifications-subscribers'],
    agent: false,
    pageTitle: flags['web.page-title'],
    appName: 'Prometheus Server',
    seed: random.below(0x7fffffff),
  }
}
