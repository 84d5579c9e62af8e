// What the HTTP edge asks of the rest of the program: plain data in, plain data out. JSON shapes are made in src/api, so a backend never
// thinks of HTTP. Failures are PromhiveError; its code picks the status and the errorType (src/api/envelope.ts). An AbortSignal fires when
// the client has gone or the server stops: the work may then end with any error.
import type {
  ActiveTarget,
  AlertmanagerUrls,
  DroppedTarget,
  RelabelStep,
  RuleGroupStatus,
  TargetMetadata,
} from '../../protocols/bus/status.ts'
import type { PprofProfile } from '../../protocols/pprof/profile.ts'
import type { Cancellation } from '../base/cancel.ts'
import type { MetricFamily } from '../base/metrics.ts'
import type { Appender } from '../model/appender.ts'
import type { Histogram } from '../model/histogram.ts'
import type { Labels } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'

/** Times of optional ranges that were not given: every sample lies between them. Both are safe integers. */
export const minTimeMs = Number.MIN_SAFE_INTEGER
export const maxTimeMs = Number.MAX_SAFE_INTEGER

/** A whole server. Parts that are null are switched off or not there; their routes say so as Prometheus does. */
export interface ApiBackend {
  readonly life: LifeBackend
  readonly language: QueryLanguage
  readonly queries: QueryBackend
  readonly series: SeriesBackend
  readonly targets: TargetsBackend
  readonly rules: RulesBackend
  readonly status: StatusBackend
  readonly admin: AdminBackend
  /** Where remote write ends. Used only with `enableRemoteWriteReceiver`. */
  readonly appender: Appender
  /** Null: OTLP answers 404 with the flag that enables it. */
  readonly otlp: OtlpBackend | null
  /** Console templates; null: every path under /consoles is 404. */
  readonly consoles: ConsolesBackend | null
  /** Files of the web UI; null: a plain landing page. */
  readonly ui: AssetsBackend | null
  /** Files of --web.user-assets; null: not served. */
  readonly userAssets: AssetsBackend | null
  /** Profiles under /debug/pprof; null: 404. */
  readonly profiles: ProfilesBackend | null
}

export interface LifeBackend {
  /** Asked at every request that needs the storage. */
  state(): 'starting' | 'ready' | 'stopping'
  /** Applies the configuration file again; rejects with what is wrong. */
  reload(): Promise<void>
  /** Begins an orderly end. Called once. */
  quit(): void
}

/** Texts of PromQL. Every function throws PromhiveError PROMQL_PARSE with the message Prometheus gives: `1:5: parse error: …`. */
export interface QueryLanguage {
  /** A series selector such as `up{job="a"}`. */
  selector(text: string): readonly Matcher[]
  /** All selectors in an expression. */
  selectorsOf(query: string): readonly (readonly Matcher[])[]
  /** The expression, pretty-printed. */
  format(query: string): string
  /** The syntax tree in the JSON form of /api/v1/parse_query. */
  tree(query: string): unknown
}

/** Who asked, for the query log. `path`: with the route prefix. */
export type RequestOrigin = Readonly<{ clientIp: string; method: string; path: string }>

export type QueryOptions = Readonly<{
  query: string
  /** Asked by the client; the server's own limit holds as well. Null: only the server's. */
  timeoutMs: number | null
  /** Most series in the answer; 0 = no limit. Series that are cut off set `truncated`. */
  limit: number
  /** Null: the server's. */
  lookbackMs: number | null
  stats: 'none' | 'basic' | 'all'
  origin: RequestOrigin
}>
export type InstantQuery = QueryOptions & Readonly<{ timeMs: number }>
export type RangeQuery = QueryOptions & Readonly<{ startMs: number; endMs: number; stepMs: number }>

/**
 * The answer as the storage worker wrote it: `data` holds the bytes of the JSON value of `data`, in parts, sent one after the other as they are.
 * They may lie in pages that the worker wants back: `releasePages` of src/base is called with them when they are sent or not needed.
 */
export type QueryAnswer = Readonly<{
  data: readonly Uint8Array[]
  truncated: boolean
  warnings: readonly string[]
  infos: readonly string[]
}>

export interface QueryBackend {
  query(query: InstantQuery, signal: Cancellation): Promise<QueryAnswer>
  queryRange(query: RangeQuery, signal: Cancellation): Promise<QueryAnswer>
  exemplars(
    query: Readonly<{ selectors: readonly (readonly Matcher[])[]; startMs: number; endMs: number }>,
    signal: AbortSignal,
  ): Promise<readonly SeriesExemplars[]>
  /** Lookback of instant vectors: also the window of /federate. */
  readonly lookbackMs: number
}
export type SeriesExemplars = Readonly<{
  seriesLabels: Labels
  exemplars: readonly Readonly<{ labels: Labels; value: number; timeMs: number }>[]
}>

/** Label sets and names. `matchers`: any of the selectors must match; none at all = everything. Ranges are closed. */
export type SeriesQuery = Readonly<{ matchers: readonly (readonly Matcher[])[]; startMs: number; endMs: number; limit: number }>
/** Label names, values of the label `name`, or label sets. */
export type ListQuery = SeriesQuery & Readonly<{ kind: 'labelNames' | 'labelValues' | 'series'; name: string }>
/** `limit` 0 = all. A backend may return more than `limit` (the edge cuts and says so); it should return at least limit + 1 where there are. */
export type Found<T> = Readonly<{ values: readonly T[]; warnings: readonly string[] }>

export interface SeriesBackend {
  /** Sorted. */
  labelNames(query: SeriesQuery, signal: Cancellation): Promise<Found<string>>
  /** Sorted. */
  labelValues(name: string, query: SeriesQuery, signal: Cancellation): Promise<Found<string>>
  /** A JSON array of at most `limit` texts, sorted, or label sets, each once. */
  listed(query: ListQuery, signal: Cancellation): Promise<QueryAnswer>
  /** The newest sample of every series in the range, stale ones left out. */
  latest(query: SeriesQuery, signal: Cancellation): Promise<LatestSamples>
  /** Raw samples for remote read; series sorted by labels, samples by time. Throws TOO_LARGE after `samplesMax` samples. */
  samples(query: SamplesQuery, signal: AbortSignal): Promise<readonly SeriesSamples[]>
}
/** Columns: entry i of each is one series. `histograms` is null where there is none at all. */
export type LatestSamples = Readonly<{
  labels: readonly Labels[]
  times: Float64Array
  values: Float64Array
  histograms: readonly (Histogram | null)[] | null
  warnings: readonly string[]
}>
/** `samplesMax` 0 = no limit. */
export type SamplesQuery = Readonly<{ matchers: readonly Matcher[]; startMs: number; endMs: number; samplesMax: number }>
export type SeriesSamples = Readonly<{
  labels: Labels
  times: Float64Array
  values: Float64Array
  histograms: readonly (Histogram | null)[] | null
}>

export interface TargetsBackend {
  active(): Promise<readonly ActiveTarget[]>
  dropped(): Promise<readonly DroppedTarget[]>
  /** Dropped targets by scrape pool, including those not kept for display. */
  droppedCounts(): Promise<Readonly<Record<string, number>>>
  scrapePools(): Promise<readonly string[]>
  /** YAML of one scrape configuration with secrets hidden. Throws NOT_FOUND with `unable to find a scrape config …`. */
  scrapePoolConfig(pool: string): string
  /** What each relabel rule of the pool makes of these labels. Throws NOT_FOUND as scrapePoolConfig does. */
  relabelSteps(pool: string, labels: Labels): Promise<readonly RelabelStep[]>
  /** Metadata by target, in target order. `metric` '' = all. */
  metadata(metric: string): Promise<readonly TargetMetadata[]>
  alertmanagers(): Promise<AlertmanagerUrls>
}
export interface RulesBackend {
  /** In the order of file and group. */
  groups(): Promise<readonly RuleGroupStatus[]>
}
export interface StatusBackend {
  /** The configuration in use, secrets hidden. */
  configYaml(): string
  /** Flag name without dashes → value in text. */
  flags(): Readonly<Record<string, string>>
  buildInfo(): BuildInfo
  runtimeInfo(): RuntimeInfo | Promise<RuntimeInfo>
  /** `limit`: longest the four lists may be. */
  tsdb(limit: number, signal: AbortSignal): Promise<TsdbStatus>
  /** meta.json of every block, in time order, as it is written on disk. */
  blocks(): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Served before ready as well. */
  walReplay(): Readonly<{ min: number; max: number; current: number }>
  /** Labels added to everything that leaves: federation and remote read need them. */
  externalLabels(): Labels
  /** All but the categories the edge knows itself (api, otlp_receiver, ui). */
  features(): Readonly<Record<string, Readonly<Record<string, boolean>>>>
  /** The program's own metrics, in name order. */
  metrics(): Promise<readonly MetricFamily[]>
}
export type BuildInfo = Readonly<{
  version: string
  revision: string
  branch: string
  buildUser: string
  buildDate: string
  goVersion: string
}>
export type RuntimeInfo = Readonly<{
  startTimeMs: number
  workingDirectory: string
  hostname: string
  serverTimeMs: number
  reloadConfigSuccess: boolean
  /** 0: never. */
  lastConfigTimeMs: number
  corruptionCount: number
  /** What stands for Go's goroutines: actors that are alive. */
  goroutineCount: number
  maxProcs: number
  memoryLimitBytes: number
  gogc: string
  godebug: string
  /** Such as `15d or 10GiB`. */
  storageRetention: string
}>
export type NameCount = Readonly<{ name: string; value: number }>
export type TsdbStatus = Readonly<{
  numSeries: number
  numLabelPairs: number
  chunkCount: number
  minTimeMs: number
  maxTimeMs: number
  seriesCountByMetricName: readonly NameCount[]
  labelValueCountByLabelName: readonly NameCount[]
  memoryInBytesByLabelName: readonly NameCount[]
  seriesCountByLabelValuePair: readonly NameCount[]
}>

export interface AdminBackend {
  deleteSeries(matchers: readonly Matcher[], startMs: number, endMs: number): Promise<void>
  cleanTombstones(): Promise<void>
  /** Name of the new directory below `snapshots` in the data directory. */
  snapshot(skipHead: boolean): Promise<string>
}

export interface OtlpBackend {
  /** `body` is decompressed. */
  write(
    request: Readonly<{ contentType: string; body: Uint8Array }>,
  ): Promise<Readonly<{ status: number; contentType: string; body: Uint8Array }>>
}

export interface ConsolesBackend {
  /** Null: no such template. Throws where it does not expand. `path` has no leading slash and no dot segments. */
  expand(
    path: string,
    parameters: Readonly<Record<string, readonly string[]>>,
    origin: RequestOrigin,
    signal: AbortSignal,
  ): Promise<string | null>
  /** Path of the console index below the external URL, '' where there is none. */
  readonly indexPath: string
}

export interface AssetsBackend {
  /** Null: no such file. `path` has no leading slash and no dot segments. */
  find(path: string): Promise<Readonly<{ bytes: Uint8Array; contentType: string }> | null>
}

/** What /debug/pprof serves, as plain data; the edge encodes it. */
export interface ProfilesBackend {
  /** Of all threads, for so long or until the signal fires. Throws UNAVAILABLE while another one runs. */
  cpu(seconds: number, withIdle: boolean, signal: AbortSignal): Promise<PprofProfile>
  /** What is on the heaps. */
  heap(collect: boolean): Promise<PprofProfile>
  /** What is allocated within so long. Throws UNAVAILABLE while another one runs. */
  allocations(seconds: number, signal: AbortSignal): Promise<PprofProfile>
  goroutines(): PprofProfile
  threads(): PprofProfile
  contentions(): PprofProfile
  commandLine(): readonly string[]
}

/** The part of src/ports Clock the edge uses. */
export interface EdgeClock {
  nowMs(): number
  monotonicMs(): number
  after(delayMs: number, task: () => void): { cancel(): void }
}
