// The flags of `promhive serve`: all of Prometheus' own, hidden ones included, with its defaults (FEATURES 1.46, 3.02, 3.03, 4.37, 6.50, 6.53, 6.54).
// Source: prometheus cmd/prometheus/main.go.
import { quote } from '../model/labels.ts'
import { regexProblem } from '../model/regex.ts'
import { parseFlags, printFlag, printFlagHelp } from './flag-parser.ts'
import type { FlagSpec, FlagValues } from './flag-parser.ts'
import type { ConfigFeatures } from './global-config.ts'

const writeMessages = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request']
const compressions = ['snappy', 'zstd']

export const serveFlagTable = [
  { name: 'config.file', kind: 'text', initial: 'prometheus.yml', help: 'Configuration file to load.' },
  { name: 'config.auto-reload', kind: 'bool', help: 'Reload the configuration by itself when its files change.' },
  { name: 'config.auto-reload-interval', kind: 'duration', initial: '30s', help: 'How often --config.auto-reload looks for changes.' },
  { name: 'web.listen-address', kind: 'texts', initial: '0.0.0.0:9090', help: 'Address for UI, API and metrics. May be repeated.' },
  { name: 'auto-gomaxprocs', kind: 'bool', initial: 'true', help: 'Of the Go runtime: accepted, without effect here.' },
  { name: 'auto-gomemlimit', kind: 'bool', initial: 'true', help: 'Of the Go runtime: accepted, without effect here.' },
  { name: 'auto-gomemlimit.ratio', kind: 'float', initial: '0.9', help: 'Of the Go runtime: accepted, without effect here.' },
  { name: 'auto-gomemlimit.refresh-interval', kind: 'duration', initial: '0s', help: 'Of the Go runtime: accepted, without effect here.' },
  { name: 'web.config.file', kind: 'text', initial: '', help: '[EXPERIMENTAL] File that sets up TLS and passwords of the web server.' },
  { name: 'web.read-timeout', kind: 'duration', initial: '5m', help: 'Longest time to read a request, and to keep an idle connection.' },
  { name: 'web.max-connections', kind: 'int', initial: '512', help: 'Most connections at one time, over all listeners.' },
  {
    name: 'web.max-notifications-subscribers',
    kind: 'int',
    initial: '16',
    help: 'Most subscribers of live notifications at one time; further ones are refused.',
  },
  {
    name: 'web.external-url',
    kind: 'text',
    placeholder: '<URL>',
    help: 'URL under which users reach this server, e.g. through a reverse proxy. Links use it, and its path prefixes all endpoints.',
  },
  {
    name: 'web.route-prefix',
    kind: 'text',
    placeholder: '<path>',
    help: 'Prefix of the web endpoints. Defaults to the path of --web.external-url.',
  },
  { name: 'web.user-assets', kind: 'text', placeholder: '<path>', help: 'Directory of files served under /user.' },
  { name: 'web.enable-lifecycle', kind: 'bool', help: 'Allow reload and shutdown by HTTP request.' },
  { name: 'web.enable-admin-api', kind: 'bool', help: 'Allow the API endpoints that change the database.' },
  { name: 'web.enable-remote-write-receiver', kind: 'bool', help: 'Take remote-write requests.' },
  {
    name: 'web.remote-write-receiver.accepted-protobuf-messages',
    kind: 'words',
    initial: writeMessages,
    values: writeMessages,
    refusal: (value: string) => `unknown type for remote write protobuf message ${value}, supported: ${writeMessages.join(', ')}`,
    help: `Remote-write messages to take. Supported: ${writeMessages.join(', ')}`,
  },
  { name: 'web.enable-otlp-receiver', kind: 'bool', help: 'Take OTLP metrics.' },
  { name: 'web.console.templates', kind: 'text', initial: 'consoles', help: 'Directory of console templates, served under /consoles.' },
  { name: 'web.console.libraries', kind: 'text', initial: 'console_libraries', help: 'Directory of console libraries.' },
  {
    name: 'web.page-title',
    kind: 'text',
    initial: 'Prometheus Time Series Collection and Processing Server',
    help: 'Title of the pages.',
  },
  {
    name: 'web.cors.origin',
    kind: 'text',
    initial: '.*',
    help: "Regular expression of allowed CORS origins, anchored at both ends. Example: 'https?://(domain1|domain2)\\.com'",
  },
  { name: 'storage.tsdb.path', kind: 'text', initial: 'data/', mode: 'server', help: 'Directory of the database.' },
  {
    name: 'storage.tsdb.min-block-duration',
    kind: 'duration',
    initial: '2h',
    hidden: true,
    mode: 'server',
    help: 'Length of the smallest block.',
  },
  {
    name: 'storage.tsdb.max-block-duration',
    kind: 'duration',
    placeholder: '<duration>',
    hidden: true,
    mode: 'server',
    help: 'Length of the largest block. Defaults to a tenth of the retention, at most 31d.',
  },
  {
    name: 'storage.tsdb.max-block-chunk-segment-size',
    kind: 'size',
    placeholder: '<bytes>',
    hidden: true,
    mode: 'server',
    help: 'Largest chunk file of a block.',
  },
  {
    name: 'storage.tsdb.wal-segment-size',
    kind: 'size',
    placeholder: '<bytes>',
    hidden: true,
    mode: 'server',
    help: 'Size of a write-ahead-log file.',
  },
  {
    name: 'storage.tsdb.retention.time',
    kind: 'duration',
    mode: 'server',
    help: '[DEPRECATED] How long to keep samples: y, w, d, h, m, s, ms. 15d where neither this nor --storage.tsdb.retention.size is given. Use storage.tsdb.retention.time in the configuration.',
  },
  {
    name: 'storage.tsdb.retention.size',
    kind: 'size',
    mode: 'server',
    help: '[DEPRECATED] Most bytes of blocks to keep, with a unit: B, KB, MB, GB, TB, PB, EB, powers of 1024. Use storage.tsdb.retention.size in the configuration.',
  },
  { name: 'storage.tsdb.no-lockfile', kind: 'bool', mode: 'server', help: 'Do not lock the data directory.' },
  {
    name: 'storage.tsdb.allow-overlapping-compaction',
    kind: 'bool',
    initial: 'true',
    hidden: true,
    mode: 'server',
    help: 'Merge overlapping blocks; false leaves that to others.',
  },
  {
    name: 'storage.tsdb.wal-compression',
    kind: 'bool',
    initial: 'true',
    hidden: true,
    mode: 'server',
    help: 'Compress the write-ahead log.',
  },
  {
    name: 'storage.tsdb.wal-compression-type',
    kind: 'choice',
    values: compressions,
    initial: 'snappy',
    hidden: true,
    mode: 'server',
    help: 'How to compress the write-ahead log.',
  },
  {
    name: 'storage.tsdb.head-chunks-write-queue-size',
    kind: 'int',
    initial: '0',
    mode: 'server',
    help: 'Length of the queue of head chunks on their way to disk, 0 for none. Experimental.',
  },
  { name: 'storage.tsdb.samples-per-chunk', kind: 'int', initial: '120', hidden: true, mode: 'server', help: 'Samples a chunk aims at.' },
  {
    name: 'storage.tsdb.delayed-compaction.max-percent',
    kind: 'int',
    initial: '10',
    hidden: true,
    mode: 'server',
    help: 'Longest random delay of a compaction, in percent of the head; with the feature delayed-compaction.',
  },
  {
    name: 'storage.tsdb.delay-compact-file.path',
    kind: 'text',
    initial: '',
    mode: 'server',
    help: 'JSON file of uploaded blocks, such as the meta file of a Thanos shipper: blocks not in it are not compacted yet.',
  },
  {
    name: 'storage.tsdb.block-reload-interval',
    kind: 'duration',
    initial: '1m',
    hidden: true,
    mode: 'server',
    help: 'How often to look for blocks that others added or removed.',
  },
  {
    name: 'storage.shards',
    kind: 'int',
    initial: '8',
    hidden: true,
    mode: 'server',
    help: 'Shards of a new data directory, a power of two; an existing one keeps what it has. Not a flag of Prometheus.',
  },
  {
    name: 'storage.workers',
    kind: 'int',
    initial: '0',
    hidden: true,
    mode: 'server',
    help: 'Storage worker threads; 0 = one per core but one. Not a flag of Prometheus.',
  },
  { name: 'storage.agent.path', kind: 'text', initial: 'data-agent/', mode: 'agent', help: 'Directory of the write-ahead log.' },
  {
    name: 'storage.agent.wal-segment-size',
    kind: 'size',
    placeholder: '<bytes>',
    hidden: true,
    mode: 'agent',
    help: 'Size of a write-ahead-log file.',
  },
  { name: 'storage.agent.wal-compression', kind: 'bool', initial: 'true', mode: 'agent', help: 'Compress the write-ahead log.' },
  {
    name: 'storage.agent.wal-compression-type',
    kind: 'choice',
    values: compressions,
    initial: 'snappy',
    hidden: true,
    mode: 'agent',
    help: 'How to compress the write-ahead log.',
  },
  {
    name: 'storage.agent.wal-truncate-frequency',
    kind: 'duration',
    placeholder: '<duration>',
    hidden: true,
    mode: 'agent',
    help: 'How often to cut old data off the write-ahead log.',
  },
  {
    name: 'storage.agent.retention.min-time',
    kind: 'duration',
    initial: '5m',
    mode: 'agent',
    help: 'Age from which samples may be dropped.',
  },
  {
    name: 'storage.agent.retention.max-time',
    kind: 'duration',
    initial: '4h',
    mode: 'agent',
    help: 'Age from which samples are dropped, sent or not.',
  },
  {
    name: 'storage.agent.checkpoint-from-in-memory-series',
    kind: 'bool',
    mode: 'agent',
    help: 'Build checkpoints from the series in memory alone.',
  },
  {
    name: 'storage.agent.checkpoint-batch-size',
    kind: 'int',
    initial: '1000',
    mode: 'agent',
    help: 'Entries written at a time; with --storage.agent.checkpoint-from-in-memory-series.',
  },
  { name: 'storage.agent.no-lockfile', kind: 'bool', mode: 'agent', help: 'Do not lock the data directory.' },
  {
    name: 'storage.remote.flush-deadline',
    kind: 'duration',
    initial: '1m',
    placeholder: '<duration>',
    help: 'How long to go on sending samples at shutdown or reload.',
  },
  {
    name: 'storage.remote.read-sample-limit',
    kind: 'int',
    initial: '5e7',
    mode: 'server',
    help: 'Most samples one remote read may return, 0 for no limit. Streamed answers are not limited.',
  },
  {
    name: 'storage.remote.read-concurrent-limit',
    kind: 'int',
    initial: '10',
    mode: 'server',
    help: 'Most remote reads at one time, 0 for no limit.',
  },
  {
    name: 'storage.remote.read-max-bytes-in-frame',
    kind: 'int',
    initial: '1048576',
    mode: 'server',
    help: 'Largest frame of a streamed remote read, before marshalling.',
  },
  {
    name: 'web.search.max-limit',
    kind: 'int',
    initial: '10000',
    mode: 'server',
    help: 'Largest "limit" a search may ask for, 0 for no bound; with the feature search-api.',
  },
  {
    name: 'rules.alert.for-outage-tolerance',
    kind: 'duration',
    initial: '1h',
    mode: 'server',
    help: 'Longest outage after which the "for" state of alerts is restored.',
  },
  {
    name: 'rules.alert.for-grace-period',
    kind: 'duration',
    initial: '10m',
    mode: 'server',
    help: 'Least time between a restored alert and its firing, for alerts whose "for" is longer.',
  },
  { name: 'rules.alert.resend-delay', kind: 'duration', initial: '1m', mode: 'server', help: 'Least time before an alert is sent again.' },
  {
    name: 'rules.max-concurrent-evals',
    kind: 'int',
    initial: '4',
    mode: 'server',
    help: 'Most independent rules evaluated at one time; see also --query.max-concurrency.',
  },
  {
    name: 'scrape.adjust-timestamps',
    kind: 'bool',
    initial: 'true',
    hidden: true,
    help: 'Align timestamps of scrapes to their slots, within --scrape.timestamp-tolerance. Experimental.',
  },
  {
    name: 'scrape.timestamp-tolerance',
    kind: 'goDuration',
    initial: '2ms',
    hidden: true,
    help: 'How far timestamps may be moved. Experimental.',
  },
  {
    name: 'alertmanager.notification-queue-capacity',
    kind: 'int',
    initial: '10000',
    mode: 'server',
    help: 'Notifications that may wait for an Alertmanager.',
  },
  {
    name: 'alertmanager.notification-batch-size',
    kind: 'int',
    initial: '256',
    mode: 'server',
    help: 'Most notifications sent to an Alertmanager at once.',
  },
  {
    name: 'alertmanager.drain-notification-queue-on-shutdown',
    kind: 'bool',
    initial: 'true',
    mode: 'server',
    help: 'Send what waits before shutting down; false drops it.',
  },
  {
    name: 'query.lookback-delta',
    kind: 'duration',
    initial: '5m',
    mode: 'server',
    help: 'How far back to look for the last sample of a series.',
  },
  { name: 'query.timeout', kind: 'duration', initial: '2m', mode: 'server', help: 'Longest time a query may take.' },
  { name: 'query.max-concurrency', kind: 'int', initial: '20', mode: 'server', help: 'Most queries at one time.' },
  {
    name: 'query.max-samples',
    kind: 'int',
    initial: '50000000',
    mode: 'server',
    help: 'Most samples one query may hold in memory, and so may return.',
  },
  {
    name: 'scrape.discovery-reload-interval',
    kind: 'duration',
    initial: '5s',
    hidden: true,
    help: 'Least time between updates of the targets.',
  },
  {
    name: 'enable-feature',
    kind: 'texts',
    placeholder: '<features>',
    help: 'Features to switch on, separated by commas. May be repeated.',
  },
  { name: 'agent', kind: 'bool', help: "Run in 'agent mode': scrape and remote-write, nothing else." },
  {
    name: 'log.level',
    kind: 'choice',
    values: ['debug', 'info', 'warn', 'error'],
    refusal: (value: string) => `unrecognized log level ${value}`,
    initial: 'info',
    help: 'Only log messages of this severity or above. One of: [debug, info, warn, error]',
  },
  {
    name: 'log.format',
    kind: 'choice',
    values: ['logfmt', 'json'],
    refusal: (value: string) => `unrecognized log format ${value}`,
    initial: 'logfmt',
    help: 'Form of log messages. One of: [logfmt, json]',
  },
  { name: 'write-documentation', kind: 'bool', hidden: true, help: 'Of upstream: not supported.' },
] as const satisfies readonly FlagSpec[]

export type ServeFlags = FlagValues<typeof serveFlagTable>
export type ServeFlagName = keyof ServeFlags

/** Accepted and rightly without effect: they tune the Go runtime. */
export const inertFlags: ReadonlySet<ServeFlagName> = new Set<ServeFlagName>([
  'auto-gomaxprocs',
  'auto-gomemlimit',
  'auto-gomemlimit.ratio',
  'auto-gomemlimit.refresh-interval',
])

/** Names --enable-feature knows. Those of noopFeatures do nothing any more. */
export const featureNames = [
  'auto-reload-config',
  'concurrent-rule-eval',
  'created-timestamp-zero-ingestion',
  'delayed-compaction',
  'exemplar-storage',
  'extra-scrape-metrics',
  'fast-startup',
  'histograms-st-encoding',
  'memory-snapshot-on-shutdown',
  'metadata-wal-records',
  'native-histograms',
  'old-ui',
  'ooo-native-histograms',
  'otlp-deltatocumulative',
  'otlp-native-delta-ingestion',
  'promql-binop-fill-modifiers',
  'promql-delayed-name-removal',
  'promql-duration-expr',
  'promql-experimental-functions',
  'promql-extended-range-selectors',
  'promql-per-step-stats',
  'search-api',
  'st-storage',
  'st-synthesis',
  'type-and-unit-labels',
  'use-start-timestamps',
  'use-uncached-io',
  'xor2-encoding',
] as const
export type FeatureName = (typeof featureNames)[number]
const noopFeatures: ReadonlySet<string> = new Set(['native-histograms', 'ooo-native-histograms', 'promql-duration-expr'])

/** What features change in the defaults of the configuration. */
export function configFeatures(features: ReadonlySet<FeatureName>): ConfigFeatures {
  return {
    protoFirst: features.has('created-timestamp-zero-ingestion') || features.has('st-storage'),
    extraScrapeMetrics: features.has('extra-scrape-metrics'),
  }
}

export type ParsedServeFlags =
  | Readonly<{
      kind: 'flags'
      flags: ServeFlags
      /** What the user wrote, defaults aside. */
      given: ReadonlySet<ServeFlagName>
      features: ReadonlySet<FeatureName>
      /** Lines for the log: features that are unknown or do nothing. */
      warnings: readonly string[]
    }>
  /** Print and end with 0. */
  | Readonly<{ kind: 'help' | 'version'; text: string }>
  /** Print to standard error and end with this code. */
  | Readonly<{ kind: 'problem'; message: string; exitCode: 1 | 2 | 3 }>

/** Reads serve's command line, program name excluded, and checks what belongs together. */
export function parseServeFlags(argv: readonly string[], options: { program: string; version: string }): ParsedServeFlags {
  const parsed = parseFlags(serveFlagTable, argv)
  switch (parsed.kind) {
    case 'help':
      return { kind: 'help', text: printFlagHelp(options.program, 'The Prometheus monitoring server, as a hive of actors', serveFlagTable) }
    case 'version':
      return { kind: 'version', text: `${options.version}\n` }
    case 'problem':
      return { kind: 'problem', message: `Error parsing command line arguments: ${parsed.message}`, exitCode: 2 }
    case 'flags':
      return checkTogether(parsed.flags, parsed.given as ReadonlySet<ServeFlagName>)
  }
}

function checkTogether(flags: ServeFlags, given: ReadonlySet<ServeFlagName>): ParsedServeFlags {
  const fail = (message: string, exitCode: 1 | 2 | 3): ParsedServeFlags => ({ kind: 'problem', message, exitCode })
  const features = new Set<FeatureName>()
  const warnings: string[] = []
  for (const name of flags['enable-feature'].flatMap((part) => part.split(','))) {
    if (!(featureNames as readonly string[]).includes(name)) warnings.push(`Unknown option for --enable-feature option=${name}`)
    else if (noopFeatures.has(name)) warnings.push(`This option for --enable-feature is now a no-op option=${name}`)
    else features.add(name as FeatureName)
  }
  if (features.has('otlp-deltatocumulative') && features.has('otlp-native-delta-ingestion')) {
    return fail(
      'Error parsing feature list: cannot enable otlp-deltatocumulative and otlp-native-delta-ingestion features at the same time',
      1,
    )
  }
  const maxLimit = flags['web.search.max-limit']
  if (maxLimit < 0) return fail(`--web.search.max-limit must be non-negative; got ${maxLimit} (use 0 to disable the cap)`, 1)
  const ofMode = (mode: 'server' | 'agent'): string[] =>
    [...given]
      .filter((name) => serveFlagTable.some((spec) => spec.name === name && 'mode' in spec && spec.mode === mode))
      .map((name) => quote(`--${name}`))
  const wrong = ofMode(flags.agent ? 'server' : 'agent')
  if (wrong.length > 0) {
    return fail(`The following flag(s) can ${flags.agent ? 'not be used' : 'only be used'} in agent mode: [${wrong.join(' ')}]`, 3)
  }
  if (flags.agent && flags['storage.agent.checkpoint-batch-size'] <= 0) {
    return fail('--storage.agent.checkpoint-batch-size must be greater than 0.', 1)
  }
  const ratio = flags['auto-gomemlimit.ratio']
  if (!(ratio > 0 && ratio <= 1)) return fail('--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.', 1)
  const external = flags['web.external-url']
  if (/^["']|["']$/.test(external)) return fail(`parse external URL ${quote(external)}: URL must not begin or end with quotes`, 2)
  const cors = regexProblem(flags['web.cors.origin'], { anchored: true })
  if (cors !== null) return fail(`could not compile CORS regex string ${quote(flags['web.cors.origin'])}: ${cors}`, 2)
  const raised: { -readonly [K in ServeFlagName]?: ServeFlags[K] } = {}
  if ((flags['config.auto-reload'] || features.has('auto-reload-config')) && flags['config.auto-reload-interval'] < 1000) {
    raised['config.auto-reload-interval'] = 1000
  }
  if (flags['storage.tsdb.block-reload-interval'] < 1000) {
    warnings.push('The option --storage.tsdb.block-reload-interval is set to a value less than 1s. Setting it to 1s to avoid overload.')
    raised['storage.tsdb.block-reload-interval'] = 1000
  }
  return { kind: 'flags', flags: Object.freeze({ ...flags, ...raised }), given, features, warnings }
}

/**
 * Names and values for /api/v1/status/flags. `effective` are values that were worked out after parsing, which upstream shows instead:
 * retention, block duration and route prefix.
 */
export function flagsForApi(flags: ServeFlags, effective: Partial<ServeFlags> = {}): Record<string, string> {
  const all: ServeFlags = { ...flags, ...effective }
  return Object.fromEntries(serveFlagTable.map((spec) => [spec.name, printFlag(spec, all[spec.name])]))
}

/** Problems for flags the user gave that the caller does not act on: names neither in `supported` nor inert, unless they say what is default. */
export function unsupportedFlags(
  parsed: { readonly flags: ServeFlags; readonly given: ReadonlySet<ServeFlagName> },
  supported: ReadonlySet<ServeFlagName>,
): string[] {
  const defaults = parseFlags(serveFlagTable, [])
  return [...parsed.given]
    .filter((name) => !supported.has(name) && !inertFlags.has(name))
    .filter((name) => defaults.kind !== 'flags' || String(defaults.flags[name]) !== String(parsed.flags[name]))
    .map((name) => `--${name} is not supported yet by this program`)
}
