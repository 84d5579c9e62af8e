import type { Histogram } from '../model/histogram.ts'
import type { Labels } from '../model/labels.ts'
import type { Matcher } from '../model/matcher.ts'

/** How rules reach the storage: two functions, injected. */

/** An instant vector in columns. Sample i has `histograms[i]` where that is not null, else `values[i]`. */
export type QueryVector = Readonly<{
  labels: readonly Labels[]
  values: Float64Array
  histograms?: readonly (Histogram | null)[]
  /** Warnings and infos of the query. */
  warnings: readonly string[]
}>

/** Who asks, as the query log shows it. */
export type QueryOrigin =
  | Readonly<{ httpRequest: Readonly<{ clientIP: string; method: string; path: string }> }>
  | Readonly<{ ruleGroup: Readonly<{ file: string; name: string }> }>

/**
 * Runs an instant query over local and remote storage. A scalar result comes back as one sample without labels; a string or matrix result is
 * refused with "rule result is not a vector or scalar". Throws PromhiveError as the engine does (QUERY_CANCELED when `signal` is aborted).
 */
export type QueryFunction = (expr: string, timeMs: number, signal: AbortSignal, origin?: QueryOrigin) => Promise<QueryVector>

/** The last float sample of each series, staleness markers included, in columns. */
export type LastSamples = Readonly<{ labels: readonly Labels[]; times: Float64Array; values: Float64Array }>

/**
 * The newest float sample (staleness markers included) of every series that matches, within the closed range.
 * Used once per alerting rule after a start, to restore `for` state from ALERTS_FOR_STATE.
 */
export type SelectLastFunction = (matchers: readonly Matcher[], startMs: number, endMs: number, signal: AbortSignal) => Promise<LastSamples>
