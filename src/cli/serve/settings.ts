// What the command line comes to: values that several parts of serve need, worked out once.
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { PromhiveError } from '../../base/errors.ts'
import type { FeatureName, ParsedServeFlags, ServeFlagName, ServeFlags } from '../../config/serve-flags.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import { promqlFeatures } from '../../promql/features.ts'

type Given = Extract<ParsedServeFlags, { kind: 'flags' }>

export type Settings = Readonly<{
  flags: ServeFlags
  given: ReadonlySet<ServeFlagName>
  features: ReadonlySet<FeatureName>
  promql: PromqlFeatures
  configFile: string
  dataDirectory: string
  /** Without a trailing slash. */
  externalUrl: string
  routePrefix: string
  retentionDefault: Readonly<{ timeMs: number; sizeBytes: number }>
}>

const retentionTimeDefaultMs = 15 * 86_400_000

/** Flags serve acts on. Anything else that is given with another value than its default is refused by name. */
export const actedOnFlags: ReadonlySet<ServeFlagName> = new Set<ServeFlagName>([
  'config.file', 'config.auto-reload', 'config.auto-reload-interval', 'web.listen-address', 'web.config.file', 'web.read-timeout',
  'web.max-connections', 'web.max-notifications-subscribers', 'web.external-url', 'web.route-prefix', 'web.enable-lifecycle',
  'web.enable-admin-api', 'web.user-assets', 'web.console.templates', 'web.console.libraries', 'web.enable-remote-write-receiver', 'web.remote-write-receiver.accepted-protobuf-messages', 'web.page-title',
  'web.cors.origin', 'storage.tsdb.path', 'storage.tsdb.min-block-duration', 'storage.tsdb.max-block-duration',
  'storage.tsdb.allow-overlapping-compaction', 'storage.tsdb.max-block-chunk-segment-size',
  'storage.tsdb.wal-segment-size', 'storage.tsdb.retention.time', 'storage.tsdb.retention.size', 'storage.tsdb.no-lockfile',
  'storage.tsdb.samples-per-chunk', 'storage.tsdb.block-reload-interval', 'storage.shards', 'storage.workers',
  'storage.remote.read-sample-limit', 'storage.remote.read-concurrent-limit', 'storage.tsdb.wal-compression',
  'web.search.max-limit', 'rules.alert.for-outage-tolerance', 'rules.alert.for-grace-period', 'rules.alert.resend-delay',
  'rules.max-concurrent-evals', 'alertmanager.notification-queue-capacity', 'alertmanager.notification-batch-size',
  'alertmanager.drain-notification-queue-on-shutdown', 'query.lookback-delta', 'query.timeout', 'query.max-concurrency',
  'query.max-samples', 'scrape.discovery-reload-interval', 'enable-feature', 'log.level', 'log.format',
]) // prettier-ignore

/** @throws PromhiveError CONFIG_INVALID for an external URL that is none. */
export function settingsOf({ flags, given, features }: Given): Settings {
  const externalUrl = externalUrlOf(flags)
  const prefix = given.has('web.route-prefix') ? flags['web.route-prefix'] : new URL(externalUrl).pathname
  const noRetention = flags['storage.tsdb.retention.time'] === 0 && flags['storage.tsdb.retention.size'] === 0
  return {
    flags,
    given,
    features,
    promql: promqlFeatures(features),
    configFile: given.has('config.file') || existsSync(flags['config.file']) ? flags['config.file'] : exampleConfig,
    dataDirectory: flags['storage.tsdb.path'].replace(/(?<=.)\/+$/, ''),
    externalUrl,
    routePrefix: `/${prefix.replace(/^\/+|\/+$/g, '')}`,
    retentionDefault: {
      timeMs: noRetention ? retentionTimeDefaultMs : flags['storage.tsdb.retention.time'],
      sizeBytes: flags['storage.tsdb.retention.size'],
    },
  }
}

/** What runs where nobody has written a configuration yet. */
const exampleConfig = fileURLToPath(new URL('../../../examples/prometheus.yml', import.meta.url))

function externalUrlOf(flags: ServeFlags): string {
  const given = flags['web.external-url']
  const port = /:(\d+)$/.exec(flags['web.listen-address'][0] ?? '')?.[1] ?? '9090'
  const text = given === '' ? `http://${hostname()}:${port}` : given.startsWith('/') ? `http://${hostname()}:${port}${given}` : given
  let url: URL
  try {
    url = new URL(text)
  } catch (thrown) {
    throw new PromhiveError('CONFIG_INVALID', `cannot use --web.external-url=${given}: it is not a URL`, {}, thrown)
  }
  return url.href.replace(/\/+$/, '')
}
