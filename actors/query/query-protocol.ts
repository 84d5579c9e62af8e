import type { Histogram } from '../../src/model/histogram.ts'
import type { Labels } from '../../src/model/labels.ts'
import type { PromqlFeatures } from '../../src/promql/ast.ts'
import type { Leaf } from '../../src/promql/engine.ts'

/** What a storage worker is asked to evaluate. */
export type QueryRequest = Readonly<{
  query: string
  startMs: number
  endMs: number
  /** 0: an instant query. */
  stepMs: number
  /** `json`: the bytes of the API's `data`; `vector`: columns, for rules. */
  form: 'json' | 'vector'
  /** Most series in the answer; 0 = all. */
  limit: number
  stats: 'none' | 'basic' | 'all'
  /** promql-per-step-stats */
  perStepStats: boolean
  lookbackMs: number
  timeoutMs: number
  samplesMax: number
  defaultSubqueryStepMs: number
  promql: PromqlFeatures
  useStartTimestamps: boolean
  typeAndUnitLabels: boolean
  /** Time it has waited for its turn: for the statistics. */
  queuedMs: number
}>

/** What a query touched (FEATURES 4.38). `perStep`: where it was asked for and promql-per-step-stats is on. */
export type SampleCounts = Readonly<{
  total: number
  read: number
  peak: number
  perStep: Readonly<{ total: Float64Array; read: Float64Array }> | null
}>

type Timings = Readonly<{ prepareMs: number; evalMs: number; sortMs: number; samples: SampleCounts }>
export type QueryResponse = Timings &
  Readonly<{ data: readonly Uint8Array[]; truncated: boolean; warnings: readonly string[]; infos: readonly string[] }>
export type VectorResponse = Timings &
  Readonly<{
    labels: readonly Labels[]
    values: Float64Array
    histograms: readonly (Histogram | null)[] | null
    warnings: readonly string[]
  }>

/** Leaves for every worker; the budget is the request's. */
export type LeavesRequest = Readonly<{ leaves: readonly Leaf[]; request: Pick<QueryRequest, 'samplesMax' | 'timeoutMs'> }>
/** What a coordinator says after each stage. */
export type StageResponse =
  Readonly<{ kind: 'leaves'; id: number; leaves: readonly Leaf[] }> | Readonly<{ kind: 'answer'; answer: QueryResponse | VectorResponse }>
