// What the HTTP API can be asked, in one table: the OpenAPI document is made of it, and tests hold it against the routes there are.
import { flag, integer, listOf, oneOfTexts, ref, text, type Schema } from './openapi-schemas.ts'

export type Parameter = Readonly<{
  name: string
  description: string
  schema: Schema
  example: unknown
  required?: boolean
  /** Default: in the query. */
  in?: 'path' | 'query'
}>

export type Operation = Readonly<{
  /** As the route has it, below /api/v1. */
  path: string
  tag: string
  /** Of the document's operation; those of other methods than the first get the method behind it. */
  id: string
  summary: string
  description?: string
  /** POST: parameters in a form. Admin routes take them in the URL, whatever the method. */
  methods: readonly ('GET' | 'POST' | 'PUT')[]
  parameters?: readonly Parameter[]
  /** Answered with 204 alone, a stream of another kind, or JSON in the envelope. */
  answer:
    | Readonly<{ kind: 'json'; schema: string }>
    | Readonly<{ kind: 'nothing' }>
    | Readonly<{ kind: 'lines' | 'protobuf' | 'events'; description: string }>
  /** A body of its own: its media types. */
  takes?: readonly string[]
  /** Failures are plain text. */
  plainErrors?: boolean
  /** Needs something OpenAPI 3.1 has no words for. */
  since32?: boolean
}>

export const tags: readonly (readonly [name: string, summary: string, description: string])[] = [
  ['query', 'Query', 'Evaluate, format and parse PromQL.'],
  ['metadata', 'Metadata', 'Type, unit and help of metrics, and search for their names.'],
  ['labels', 'Labels', 'Label names and their values.'],
  ['series', 'Series', 'Label sets of series.'],
  ['targets', 'Targets', 'Targets and scrape pools.'],
  ['rules', 'Rules', 'Recording and alerting rules.'],
  ['alerts', 'Alerts', 'Alerts, and the Alertmanagers they go to.'],
  ['status', 'Status', 'How the server was started and how it does.'],
  ['admin', 'Admin', 'Deleting and snapshots. Needs --web.enable-admin-api.'],
  ['features', 'Features', 'What this server can do.'],
  ['remote', 'Remote storage', 'Remote read and write.'],
  ['otlp', 'OTLP', 'Metrics of OpenTelemetry.'],
  ['notifications', 'Notifications', 'What users of the server should know.'],
]

const instant = 1_767_361_020
const parameter = (name: string, description: string, schema: Schema, example: unknown, required = false): Parameter => ({
  name,
  description,
  schema,
  example,
  required,
})
const time = (name: string, description: string, required = false): Parameter =>
  parameter(name, description, ref('Timestamp'), instant, required)
const matches = (description: string, required = false): Parameter =>
  parameter('match[]', description, listOf(text), ['up{job="node"}'], required)
const limit = (what: string): Parameter => parameter('limit', `Most ${what} in the answer; 0: all.`, integer, 100)

const query = (what: string): Parameter => parameter('query', what, text, 'sum by (job) (rate(http_requests_total[5m]))', true)
const queryOptions: readonly Parameter[] = [
  parameter('timeout', 'When to give up. --query.timeout holds as well.', ref('Duration'), '30s'),
  parameter('lookback_delta', 'How old a sample may be, instead of --query.lookback-delta.', ref('Duration'), '5m'),
  parameter('stats', 'true: statistics of the query as a whole; all: of every step too.', text, 'all'),
]
const range: readonly Parameter[] = [
  time('start', 'Only what has samples at or after this time.'),
  time('end', 'Only what has samples at or before this time.'),
]

const search: readonly Parameter[] = [
  matches('Only names and values of series that fit one of these selectors.'),
  parameter('search[]', 'Words to look for, at most 32: what fits one of them is found.', listOf(text), ['http']),
  parameter('fuzz_threshold', 'How well it must fit, 0 to 100.', integer, 50),
  parameter('fuzz_alg', 'How it is compared.', oneOfTexts('subsequence', 'jarowinkler'), 'subsequence'),
  parameter('case_sensitive', 'Whether capitals count. Default: true.', flag, false),
  parameter('sort_by', 'Default: alpha.', oneOfTexts('alpha', 'score'), 'score'),
  parameter('sort_dir', 'With sort_by=alpha.', oneOfTexts('asc', 'dsc'), 'asc'),
  parameter('include_score', 'Whether results tell how well they fit.', flag, true),
  time('start', 'Default: an hour ago.'),
  time('end', 'Default: now.'),
  parameter('limit', 'Most results; not more than --web.search.max-limit.', integer, 100),
  parameter('batch_size', 'Results in one line of the answer.', integer, 100),
]
const lines = 'Lines of JSON: objects with `results`, at last one with `status` and `has_more`.'
const searching = 'Needs --enable-feature=search-api.'

const get = ['GET'] as const
const either = ['GET', 'POST'] as const
const change = ['POST', 'PUT'] as const
const json = (schema: string): Operation['answer'] => ({ kind: 'json', schema })

export const operations: readonly Operation[] = [
  {
    path: '/query',
    tag: 'query',
    id: 'query',
    summary: 'Value of an expression at one time',
    methods: either,
    parameters: [limit('series'), time('time', 'Default: now.'), query('The expression.'), ...queryOptions],
    answer: json('QueryOutputBody'),
  },
  {
    path: '/query_range',
    tag: 'query',
    id: 'query-range',
    summary: 'Values of an expression over a range of time',
    description: 'At most 11,000 steps.',
    methods: either,
    parameters: [
      limit('series'),
      time('start', 'First step.', true),
      time('end', 'No step lies behind it.', true),
      parameter('step', 'From one step to the next.', ref('Duration'), '15s', true),
      query('The expression: a scalar or an instant vector.'),
      ...queryOptions,
    ],
    answer: json('QueryRangeOutputBody'),
  },
  {
    path: '/query_exemplars',
    tag: 'query',
    id: 'query-exemplars',
    summary: 'Exemplars of the series an expression selects',
    methods: either,
    parameters: [time('start', 'Default: the beginning.'), time('end', 'Default: the end.'), query('All its selectors count.')],
    answer: json('QueryExemplarsOutputBody'),
  },
  {
    path: '/format_query',
    tag: 'query',
    id: 'format-query',
    summary: 'An expression, written over several lines',
    methods: either,
    parameters: [query('The expression.')],
    answer: json('FormatQueryOutputBody'),
  },
  {
    path: '/parse_query',
    tag: 'query',
    id: 'parse-query',
    summary: 'An expression as a syntax tree',
    methods: either,
    parameters: [query('The expression.')],
    answer: json('ParseQueryOutputBody'),
  },
  {
    path: '/labels',
    tag: 'labels',
    id: 'labels',
    summary: 'Label names',
    methods: either,
    parameters: [...range, matches('Only of series that fit one of these selectors.'), limit('names')],
    answer: json('LabelsOutputBody'),
  },
  {
    path: '/label/:name/values',
    tag: 'labels',
    id: 'label-values',
    summary: 'Values of a label',
    methods: get,
    parameters: [
      { ...parameter('name', 'The label; a name with characters of its own kind in the form U__…', text, 'job', true), in: 'path' },
      ...range,
      matches('Only of series that fit one of these selectors.'),
      limit('values'),
    ],
    answer: json('LabelValuesOutputBody'),
  },
  {
    path: '/search/metric_names',
    tag: 'metadata',
    id: 'search-metric-names',
    summary: 'Metric names that fit some words',
    description: searching,
    methods: either,
    parameters: [...search, parameter('include_metadata', 'Whether results tell type, help and unit.', flag, true)],
    answer: { kind: 'lines', description: lines },
  },
  {
    path: '/search/label_names',
    tag: 'labels',
    id: 'search-label-names',
    summary: 'Label names that fit some words',
    description: searching,
    methods: either,
    parameters: search,
    answer: { kind: 'lines', description: lines },
  },
  {
    path: '/search/label_values',
    tag: 'labels',
    id: 'search-label-values',
    summary: 'Values of a label that fit some words',
    description: searching,
    methods: either,
    parameters: [parameter('label', 'The label.', text, 'job', true), ...search],
    answer: { kind: 'lines', description: lines },
  },
  {
    path: '/series',
    tag: 'series',
    id: 'series',
    summary: 'Label sets of series',
    methods: either,
    parameters: [...range, matches('The series: those that fit one of these selectors.', true), limit('series')],
    answer: json('SeriesOutputBody'),
  },
  {
    path: '/metadata',
    tag: 'metadata',
    id: 'get-metadata',
    summary: 'Type, unit and help of metrics, as targets give them',
    methods: get,
    parameters: [
      parameter('limit', 'Most metrics in the answer.', integer, 100),
      parameter('limit_per_metric', 'Most different entries of one metric.', integer, 10),
      parameter('metric', 'Only of this metric.', text, 'http_requests_total'),
    ],
    answer: json('MetadataOutputBody'),
  },
  {
    path: '/scrape_pools',
    tag: 'targets',
    id: 'get-scrape-pools',
    summary: 'Names of the scrape pools',
    methods: get,
    answer: json('ScrapePoolsOutputBody'),
  },
  {
    path: '/scrape_pools/config',
    tag: 'targets',
    id: 'get-scrape-pool-config',
    summary: 'The configuration of a scrape pool',
    methods: get,
    parameters: [parameter('scrapePool', 'The pool.', text, 'node', true)],
    answer: json('ScrapePoolConfigOutputBody'),
  },
  {
    path: '/targets',
    tag: 'targets',
    id: 'get-targets',
    summary: 'Targets that are scraped, and those that relabelling dropped',
    methods: get,
    parameters: [
      parameter('scrapePool', 'Only of this pool.', text, 'node'),
      parameter('state', 'Default: any.', oneOfTexts('active', 'dropped', 'any'), 'active'),
    ],
    answer: json('TargetsOutputBody'),
  },
  {
    path: '/targets/metadata',
    tag: 'targets',
    id: 'get-targets-metadata',
    summary: 'Metadata, target by target',
    methods: get,
    parameters: [
      parameter('match_target', 'Only of targets whose labels fit this selector.', text, '{job="node"}'),
      parameter('metric', 'Only of this metric.', text, 'http_requests_total'),
      parameter('limit', 'Targets are added until there are so many entries.', integer, 10),
    ],
    answer: json('TargetMetadataOutputBody'),
  },
  {
    path: '/targets/relabel_steps',
    tag: 'targets',
    id: 'get-targets-relabel-steps',
    summary: 'What each relabelling rule of a pool makes of some labels',
    methods: get,
    parameters: [
      parameter('scrapePool', 'The pool.', text, 'node', true),
      parameter('labels', 'Discovered labels, as a JSON object.', text, '{"__address__":"localhost:9100"}', true),
    ],
    answer: json('TargetRelabelStepsOutputBody'),
  },
  {
    path: '/rules',
    tag: 'rules',
    id: 'rules',
    summary: 'Rule groups with their rules and alerts',
    methods: get,
    parameters: [
      parameter('type', 'Only rules of this type.', oneOfTexts('alert', 'record'), 'alert'),
      parameter('rule_name[]', 'Only rules of these names.', listOf(text), ['InstanceDown']),
      parameter('rule_group[]', 'Only these groups.', listOf(text), ['node']),
      parameter('file[]', 'Only groups of these files.', listOf(text), ['/etc/prometheus/rules.yml']),
      matches('Only rules whose labels fit one of these selectors.'),
      parameter('exclude_alerts', 'Whether alerts are left out.', flag, true),
      parameter('group_limit', 'Most groups in the answer; groupNextToken then tells where to go on.', integer, 100),
      parameter('group_next_token', 'Where to go on; with group_limit.', text, '3a5b…'),
    ],
    answer: json('RulesOutputBody'),
  },
  {
    path: '/alerts',
    tag: 'alerts',
    id: 'alerts',
    summary: 'Alerts that are pending or firing',
    methods: get,
    answer: json('AlertsOutputBody'),
  },
  {
    path: '/alertmanagers',
    tag: 'alerts',
    id: 'alertmanagers',
    summary: 'Alertmanagers alerts are sent to',
    methods: get,
    answer: json('AlertmanagersOutputBody'),
  },
  {
    path: '/status/config',
    tag: 'status',
    id: 'get-status-config',
    summary: 'The configuration in use, secrets hidden',
    methods: get,
    answer: json('StatusConfigOutputBody'),
  },
  {
    path: '/status/runtimeinfo',
    tag: 'status',
    id: 'get-status-runtimeinfo',
    summary: 'The process',
    methods: get,
    answer: json('StatusRuntimeInfoOutputBody'),
  },
  {
    path: '/status/buildinfo',
    tag: 'status',
    id: 'get-status-buildinfo',
    summary: 'The version',
    methods: get,
    answer: json('StatusBuildInfoOutputBody'),
  },
  {
    path: '/status/flags',
    tag: 'status',
    id: 'get-status-flags',
    summary: 'Command-line flags',
    methods: get,
    answer: json('StatusFlagsOutputBody'),
  },
  {
    path: '/status/tsdb',
    tag: 'status',
    id: 'status-tsdb',
    summary: 'What the heads hold, and what has most series',
    methods: get,
    parameters: [parameter('limit', 'Entries in each list. Default: 10.', integer, 10)],
    answer: json('StatusTSDBOutputBody'),
  },
  {
    path: '/status/tsdb/blocks',
    tag: 'status',
    id: 'status-tsdb-blocks',
    summary: 'The blocks',
    methods: get,
    answer: json('StatusTSDBBlocksOutputBody'),
  },
  {
    path: '/status/walreplay',
    tag: 'status',
    id: 'get-status-walreplay',
    summary: 'How far the log is replayed: answers while the server starts as well',
    methods: get,
    answer: json('StatusWALReplayOutputBody'),
  },
  {
    path: '/status/self_metrics',
    tag: 'status',
    id: 'get-status-self-metrics',
    summary: 'The server’s own metrics as JSON',
    methods: get,
    parameters: [
      parameter('metric_name_pattern', 'Only metrics whose whole name fits this regular expression.', text, 'prometheus_tsdb_.*'),
    ],
    answer: json('StatusSelfMetricsOutputBody'),
  },
  {
    path: '/admin/tsdb/delete_series',
    tag: 'admin',
    id: 'delete-series',
    summary: 'Deletes samples',
    methods: change,
    parameters: [
      matches('Of series that fit one of these selectors.', true),
      time('start', 'Default: the beginning.'),
      time('end', 'Default: the end.'),
    ],
    answer: { kind: 'nothing' },
  },
  {
    path: '/admin/tsdb/clean_tombstones',
    tag: 'admin',
    id: 'clean-tombstones',
    summary: 'Writes blocks anew without what was deleted',
    methods: change,
    answer: { kind: 'nothing' },
  },
  {
    path: '/admin/tsdb/snapshot',
    tag: 'admin',
    id: 'snapshot',
    summary: 'Makes a snapshot below snapshots/ in the data directory',
    methods: change,
    parameters: [parameter('skip_head', 'Whether only blocks go in.', flag, false)],
    answer: json('SnapshotOutputBody'),
  },
  {
    path: '/read',
    tag: 'remote',
    id: 'remote-read',
    summary: 'Remote read',
    methods: ['POST'],
    takes: ['application/x-protobuf'],
    answer: { kind: 'protobuf', description: 'A prometheus.ReadResponse of samples, compressed with snappy.' },
    plainErrors: true,
  },
  {
    path: '/write',
    tag: 'remote',
    id: 'remote-write',
    summary: 'Remote write, versions 1 and 2',
    description: 'Needs --web.enable-remote-write-receiver.',
    methods: ['POST'],
    takes: ['application/x-protobuf'],
    answer: { kind: 'nothing' },
    plainErrors: true,
  },
  {
    path: '/otlp/v1/metrics',
    tag: 'otlp',
    id: 'otlp-write',
    summary: 'Metrics of OpenTelemetry',
    description: 'Needs --web.enable-otlp-receiver.',
    methods: ['POST'],
    takes: ['application/x-protobuf', 'application/json'],
    answer: { kind: 'protobuf', description: 'An ExportMetricsServiceResponse.' },
    plainErrors: true,
  },
  {
    path: '/notifications',
    tag: 'notifications',
    id: 'get-notifications',
    summary: 'What users should know now',
    methods: get,
    answer: json('NotificationsOutputBody'),
  },
  {
    path: '/notifications/live',
    tag: 'notifications',
    id: 'notifications-live',
    summary: 'The same, and what is new as it comes',
    methods: get,
    answer: { kind: 'events', description: 'Server-sent events.' },
    since32: true,
  },
  {
    path: '/features',
    tag: 'features',
    id: 'get-features',
    summary: 'What this server can do, by category',
    methods: get,
    answer: json('FeaturesOutputBody'),
  },
]
