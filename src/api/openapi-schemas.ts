// Schemas of the OpenAPI document: what answers look like, as protocols/http/prometheus-answers.ts types them. Names are those Prometheus gives them,
// so that clients generated from either document fit both.

export type Schema = Readonly<Record<string, unknown>>

export const text: Schema = { type: 'string' }
export const flag: Schema = { type: 'boolean' }
export const integer: Schema = { type: 'integer', format: 'int64' }
const float: Schema = { type: 'number', format: 'double' }
const seconds: Schema = { ...float, description: 'Seconds.' }
const milliseconds: Schema = { ...integer, description: 'Milliseconds since 1970.' }
const dateTime: Schema = { type: 'string', format: 'date-time' }

export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
export const listOf = (items: Schema): Schema => ({ type: 'array', items })
export const oneOfTexts = (...values: readonly string[]): Schema => ({ type: 'string', enum: values })
const mapOf = (values: Schema): Schema => ({ type: 'object', additionalProperties: values })
const described = (schema: Schema, description: string): Schema => ({ ...schema, description })
/** Two things in a row. */
const pair = (...forms: readonly Schema[]): Schema => ({ type: 'array', items: { oneOf: forms }, minItems: 2, maxItems: 2 })

/** An object. A name that ends with `?` may be missing. */
function record(fields: Readonly<Record<string, Schema>>, open = false): Schema {
  const entries = Object.entries(fields)
  const required = entries.map(([name]) => name).filter((name) => !name.endsWith('?'))
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, schema]) => [name.replace(/\?$/, ''), schema])),
    ...(required.length > 0 && { required }),
    ...(!open && { additionalProperties: false }),
  }
}

const number: Schema = { type: 'number' }
const floatPoint = described(pair(number, text), 'A time in seconds and a value as text.')
const histogramPoint = described(pair(number, ref('HistogramValue')), 'A time in seconds and a native histogram.')
const step = pair(number)
const stats: Schema = ref('QueryStats')
const counts = listOf(ref('TSDBStat'))

const parts: Readonly<Record<string, Schema>> = {
  Error: described(
    record({ status: oneOfTexts('success', 'error'), errorType: text, error: text }),
    'What every failure answers. errorType is one of bad_data, execution, canceled, timeout, internal, not_found, unavailable, not_acceptable.',
  ),
  Timestamp: described(
    {
      oneOf: [
        { ...dateTime, description: 'RFC 3339.' },
        { type: 'number', format: 'unixtime', description: 'Seconds since 1970.' },
      ],
    },
    'A point in time.',
  ),
  Duration: described(
    {
      oneOf: [
        { type: 'string', format: 'duration', description: 'Units from large to small: y, w, d, h, m, s, ms; such as 1h30m.' },
        { type: 'number', format: 'float', description: 'Seconds.' },
      ],
    },
    'A length of time.',
  ),
  Labels: described(mapOf(text), 'Label values by name.'),
  QueryData: {
    anyOf: [
      record({
        resultType: oneOfTexts('vector'),
        result: listOf({ anyOf: [ref('FloatSample'), ref('HistogramSample')] }),
        'stats?': stats,
      }),
      record({
        resultType: oneOfTexts('matrix'),
        result: listOf({ anyOf: [ref('FloatSeries'), ref('HistogramSeries'), ref('MixedSeries')] }),
        'stats?': stats,
      }),
      record({ resultType: oneOfTexts('scalar'), result: floatPoint, 'stats?': stats }),
      record({ resultType: oneOfTexts('string'), result: floatPoint, 'stats?': stats }),
    ],
  },
  QueryStats: described(
    record({
      timings: record({
        evalTotalTime: seconds,
        resultSortTime: seconds,
        queryPreparationTime: seconds,
        innerEvalTime: seconds,
        execQueueTime: seconds,
        execTotalTime: seconds,
      }),
      samples: record({
        'totalQueryableSamplesPerStep?': listOf(step),
        totalQueryableSamples: integer,
        'samplesReadPerStep?': listOf(step),
        samplesRead: integer,
        peakSamples: integer,
      }),
    }),
    'Where the request asked for statistics. Those of every step need --enable-feature=promql-per-step-stats and stats=all.',
  ),
  FloatSample: record({ metric: ref('Labels'), value: floatPoint }),
  HistogramSample: record({ metric: ref('Labels'), histogram: histogramPoint }),
  FloatSeries: record({ metric: ref('Labels'), values: listOf(floatPoint) }),
  HistogramSeries: record({ metric: ref('Labels'), histograms: listOf(histogramPoint) }),
  MixedSeries: record({ metric: ref('Labels'), values: listOf(floatPoint), histograms: listOf(histogramPoint) }),
  HistogramValue: record({
    count: text,
    sum: text,
    'buckets?': described(
      listOf(listOf({ oneOf: [number, text] })),
      'Each: how its bounds count (0 to 3), lower bound, upper bound, observations.',
    ),
  }),
  Exemplar: record({ labels: ref('Labels'), value: text, timestamp: { ...number, description: 'Seconds since 1970.' } }),
  SeriesExemplars: record({ seriesLabels: ref('Labels'), exemplars: listOf(ref('Exemplar')) }),
  Metadata: record({ type: text, unit: text, help: text }),
  MetricMetadata: record({ target: ref('Labels'), 'metric?': text, type: text, help: text, unit: text }),
  Target: record({
    discoveredLabels: ref('Labels'),
    labels: ref('Labels'),
    scrapePool: text,
    scrapeUrl: text,
    globalUrl: text,
    lastError: text,
    lastScrape: dateTime,
    lastScrapeDuration: seconds,
    health: oneOfTexts('up', 'down', 'unknown'),
    scrapeInterval: text,
    scrapeTimeout: text,
  }),
  DroppedTarget: record({ discoveredLabels: ref('Labels'), scrapePool: text }),
  TargetDiscovery: record({
    activeTargets: listOf(ref('Target')),
    droppedTargets: listOf(ref('DroppedTarget')),
    droppedTargetCounts: described(
      { type: ['object', 'null'], additionalProperties: integer },
      'By scrape pool; null where only active targets were asked for.',
    ),
  }),
  ScrapePoolsDiscovery: record({ scrapePools: listOf(text) }),
  ScrapePoolConfigData: record({ yaml: text }),
  Config: described(
    record({
      'source_labels?': listOf(text),
      'separator?': text,
      'regex?': text,
      'modulus?': integer,
      'target_label?': text,
      'replacement?': text,
      'action?': text,
    }),
    'A relabelling rule.',
  ),
  RelabelStep: record({ rule: ref('Config'), output: ref('Labels'), keep: flag }),
  RelabelStepsResponse: record({ steps: listOf(ref('RelabelStep')) }),
  RecordingRule: record({
    type: oneOfTexts('recording'),
    name: text,
    query: text,
    labels: ref('Labels'),
    health: oneOfTexts('unknown', 'ok', 'err'),
    'lastError?': text,
    evaluationTime: seconds,
    lastEvaluation: dateTime,
  }),
  AlertingRule: record({
    type: oneOfTexts('alerting'),
    name: text,
    query: text,
    labels: ref('Labels'),
    health: oneOfTexts('unknown', 'ok', 'err'),
    'lastError?': text,
    evaluationTime: seconds,
    lastEvaluation: dateTime,
    state: oneOfTexts('inactive', 'pending', 'firing', 'unknown'),
    duration: seconds,
    keepFiringFor: seconds,
    annotations: ref('Labels'),
    alerts: described({ type: ['array', 'null'], items: ref('Alert') }, 'Null where the request excluded alerts.'),
  }),
  RuleGroup: record({
    name: text,
    file: text,
    rules: listOf({ anyOf: [ref('RecordingRule'), ref('AlertingRule')] }),
    interval: seconds,
    limit: integer,
    evaluationTime: seconds,
    lastEvaluation: dateTime,
  }),
  RuleDiscovery: record({ groups: listOf(ref('RuleGroup')), 'groupNextToken?': text }),
  Alert: record({
    labels: ref('Labels'),
    annotations: ref('Labels'),
    state: text,
    value: text,
    'activeAt?': dateTime,
    'keepFiringSince?': dateTime,
  }),
  AlertDiscovery: record({ alerts: listOf(ref('Alert')) }),
  AlertmanagerTarget: record({ url: text }),
  AlertmanagerDiscovery: record({
    activeAlertmanagers: listOf(ref('AlertmanagerTarget')),
    droppedAlertmanagers: listOf(ref('AlertmanagerTarget')),
  }),
  StatusConfigData: record({ yaml: text }),
  RuntimeInfo: record({
    startTime: dateTime,
    CWD: text,
    hostname: text,
    serverTime: dateTime,
    reloadConfigSuccess: flag,
    lastConfigTime: dateTime,
    corruptionCount: integer,
    goroutineCount: described(integer, 'What the process waits for: there are no goroutines.'),
    GOMAXPROCS: described(integer, 'Threads: one for everything but the data, and the storage workers.'),
    GOMEMLIMIT: integer,
    GOGC: text,
    GODEBUG: text,
    storageRetention: text,
  }),
  PrometheusVersion: record({
    version: text,
    revision: text,
    branch: text,
    buildUser: text,
    buildDate: text,
    goVersion: described(text, 'The version of Node.'),
  }),
  HeadStats: record({ numSeries: integer, numLabelPairs: integer, chunkCount: integer, minTime: milliseconds, maxTime: milliseconds }),
  TSDBStat: record({ name: text, value: integer }),
  TSDBStatus: record({
    headStats: ref('HeadStats'),
    seriesCountByMetricName: counts,
    labelValueCountByLabelName: counts,
    memoryInBytesByLabelName: counts,
    seriesCountByLabelValuePair: counts,
  }),
  BlockDesc: record({ ulid: text, minTime: milliseconds, maxTime: milliseconds }),
  BlockStats: record(
    {
      'numSamples?': integer,
      'numSeries?': integer,
      'numChunks?': integer,
      'numTombstones?': integer,
      'numFloatSamples?': integer,
      'numHistogramSamples?': integer,
    },
    true,
  ),
  BlockMetaCompaction: record(
    {
      level: integer,
      'sources?': listOf(text),
      'parents?': listOf(ref('BlockDesc')),
      'failed?': flag,
      'deletable?': flag,
      'hints?': listOf(text),
    },
    true,
  ),
  BlockMeta: described(
    record(
      {
        ulid: text,
        minTime: milliseconds,
        maxTime: milliseconds,
        'stats?': ref('BlockStats'),
        compaction: ref('BlockMetaCompaction'),
        version: integer,
      },
      true,
    ),
    'The block’s meta.json as it is on disk.',
  ),
  StatusTSDBBlocksData: record({ blocks: listOf(ref('BlockMeta')) }),
  StatusWALReplayData: record({ min: integer, max: integer, current: integer }),
  DataStruct: record({ name: text }),
  Notification: record({ text, date: dateTime, active: flag }),
}

/** Bodies of successful answers by name: the schema of `data`; null: they have none. */
const bodies: Readonly<Record<string, Schema | null>> = {
  QueryOutputBody: ref('QueryData'),
  QueryRangeOutputBody: ref('QueryData'),
  QueryExemplarsOutputBody: listOf(ref('SeriesExemplars')),
  FormatQueryOutputBody: text,
  ParseQueryOutputBody: described({ type: 'object' }, 'A node of the syntax tree; what it has depends on its type.'),
  LabelsOutputBody: listOf(text),
  LabelValuesOutputBody: listOf(text),
  SeriesOutputBody: listOf(ref('Labels')),
  MetadataOutputBody: mapOf(listOf(ref('Metadata'))),
  TargetsOutputBody: ref('TargetDiscovery'),
  TargetMetadataOutputBody: listOf(ref('MetricMetadata')),
  ScrapePoolsOutputBody: ref('ScrapePoolsDiscovery'),
  ScrapePoolConfigOutputBody: ref('ScrapePoolConfigData'),
  TargetRelabelStepsOutputBody: ref('RelabelStepsResponse'),
  RulesOutputBody: ref('RuleDiscovery'),
  AlertsOutputBody: ref('AlertDiscovery'),
  AlertmanagersOutputBody: ref('AlertmanagerDiscovery'),
  StatusConfigOutputBody: ref('StatusConfigData'),
  StatusRuntimeInfoOutputBody: ref('RuntimeInfo'),
  StatusBuildInfoOutputBody: ref('PrometheusVersion'),
  StatusFlagsOutputBody: mapOf(text),
  StatusTSDBOutputBody: ref('TSDBStatus'),
  StatusTSDBBlocksOutputBody: ref('StatusTSDBBlocksData'),
  StatusWALReplayOutputBody: ref('StatusWALReplayData'),
  StatusSelfMetricsOutputBody: listOf(described({ type: 'object' }, 'A metric family in the JSON form of its protobuf message.')),
  SnapshotOutputBody: ref('DataStruct'),
  NotificationsOutputBody: listOf(ref('Notification')),
  FeaturesOutputBody: mapOf(mapOf(flag)),
}

const envelope = (data: Schema | null): Schema =>
  record({ status: oneOfTexts('success', 'error'), ...(data !== null && { data }), 'warnings?': listOf(text), 'infos?': listOf(text) })

export const schemas: Readonly<Record<string, Schema>> = {
  ...parts,
  ...Object.fromEntries(Object.entries(bodies).map(([name, data]) => [name, envelope(data)])),
}
