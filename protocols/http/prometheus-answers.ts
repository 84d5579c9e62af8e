// JSON of the Prometheus HTTP API (/api/v1/*) as it goes over the wire: what src/api writes, the UI and tools read.
// Times are RFC 3339 in UTC unless a field says otherwise. Source: prometheus web/api/v1/api.go.

export type LabelMap = Readonly<Record<string, string>>

/** The envelope. `data` is absent on errors, `warnings` and `infos` where there are none. */
export type Envelope<T> =
  | Readonly<{ status: 'success'; data: T; warnings?: readonly string[]; infos?: readonly string[] }>
  | Readonly<{ status: 'error'; errorType: string; error: string }>

/** `[unix seconds, value as text]` */
export type WireSample = readonly [number, string]
/** `[boundary rule 0…3, lower, upper, count]` */
export type WireBucket = readonly [number, string, string, string]
export type WireHistogram = readonly [number, Readonly<{ count: string; sum: string; buckets?: readonly WireBucket[] }>]
export type QueryData = Readonly<
  | { resultType: 'vector'; result: readonly Readonly<{ metric: LabelMap; value?: WireSample; histogram?: WireHistogram }>[] }
  | {
      resultType: 'matrix'
      result: readonly Readonly<{ metric: LabelMap; values?: readonly WireSample[]; histograms?: readonly WireHistogram[] }>[]
    }
  | { resultType: 'scalar' | 'string'; result: WireSample }
> &
  Readonly<{ stats?: Readonly<Record<string, unknown>> }>

export type ExemplarsData = readonly Readonly<{
  seriesLabels: LabelMap
  exemplars: readonly Readonly<{ labels: LabelMap; value: string; timestamp: number }>[]
}>[]

export type TargetsData = Readonly<{
  activeTargets: readonly Readonly<{
    discoveredLabels: LabelMap
    labels: LabelMap
    scrapePool: string
    scrapeUrl: string
    globalUrl: string
    lastError: string
    lastScrape: string
    /** Seconds. */
    lastScrapeDuration: number
    health: 'up' | 'down' | 'unknown'
    scrapeInterval: string
    scrapeTimeout: string
  }>[]
  droppedTargets: readonly Readonly<{ discoveredLabels: LabelMap; scrapePool: string }>[]
  droppedTargetCounts: Readonly<Record<string, number>> | null
}>
export type TargetMetadataData = readonly Readonly<{ target: LabelMap; metric?: string; type: string; help: string; unit: string }>[]
export type MetadataData = Readonly<Record<string, readonly Readonly<{ type: string; help: string; unit: string }>[]>>
export type RelabelStepsData = Readonly<{
  steps: readonly Readonly<{ rule: Readonly<Record<string, unknown>>; output: LabelMap; keep: boolean }>[]
}>
export type ScrapePoolsData = Readonly<{ scrapePools: readonly string[] }>
export type YamlData = Readonly<{ yaml: string }>
export type AlertmanagersData = Readonly<{
  activeAlertmanagers: readonly Readonly<{ url: string }>[]
  droppedAlertmanagers: readonly Readonly<{ url: string }>[]
}>

export type AlertData = Readonly<{
  labels: LabelMap
  annotations: LabelMap
  state: string
  activeAt: string
  keepFiringSince?: string
  /** As Go's `%e`: `1e+00`. */
  value: string
}>
export type AlertsData = Readonly<{ alerts: readonly AlertData[] }>
type RuleCommon = Readonly<{
  name: string
  query: string
  labels: LabelMap
  health: 'unknown' | 'ok' | 'err'
  lastError?: string
  /** Seconds. */
  evaluationTime: number
  lastEvaluation: string
}>
export type RecordingRuleData = RuleCommon & Readonly<{ type: 'recording' }>
export type AlertingRuleData = RuleCommon &
  Readonly<{
    type: 'alerting'
    state: string
    /** Seconds. */
    duration: number
    keepFiringFor: number
    annotations: LabelMap
    /** Null where the request excluded alerts. */
    alerts: readonly AlertData[] | null
  }>
export type RulesData = Readonly<{
  groups: readonly Readonly<{
    name: string
    file: string
    rules: readonly (RecordingRuleData | AlertingRuleData)[]
    /** Seconds. */
    interval: number
    limit: number
    evaluationTime: number
    lastEvaluation: string
  }>[]
  groupNextToken?: string
}>

export type RuntimeInfoData = Readonly<{
  startTime: string
  CWD: string
  hostname: string
  serverTime: string
  reloadConfigSuccess: boolean
  lastConfigTime: string
  corruptionCount: number
  goroutineCount: number
  GOMAXPROCS: number
  GOMEMLIMIT: number
  GOGC: string
  GODEBUG: string
  storageRetention: string
}>
export type BuildInfoData = Readonly<{
  version: string
  revision: string
  branch: string
  buildUser: string
  buildDate: string
  goVersion: string
}>
type NamedValue = Readonly<{ name: string; value: number }>
export type TsdbStatusData = Readonly<{
  headStats: Readonly<{ numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number }>
  seriesCountByMetricName: readonly NamedValue[]
  labelValueCountByLabelName: readonly NamedValue[]
  memoryInBytesByLabelName: readonly NamedValue[]
  seriesCountByLabelValuePair: readonly NamedValue[]
}>
export type BlocksData = Readonly<{ blocks: readonly Readonly<Record<string, unknown>>[] }>
export type WalReplayData = Readonly<{ min: number; max: number; current: number }>
export type FeaturesData = Readonly<Record<string, Readonly<Record<string, boolean>>>>
export type SnapshotData = Readonly<{ name: string }>
export type NotificationData = Readonly<{ text: string; date: string; active: boolean }>
