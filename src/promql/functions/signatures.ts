// The functions of PromQL: what they take, what they give, and which are behind a flag. 73 stable, 17 experimental.

import type { ValueType } from '../ast.ts'

export type FunctionSignature = Readonly<{
  name: string
  argTypes: readonly ValueType[]
  /** 0: exactly argTypes. n > 0: the last type is optional and may come up to n times. −1: any number of times, also none. */
  variadic: number
  returnType: ValueType
  /** Needs --enable-feature=promql-experimental-functions. */
  experimental: boolean
}>

const v = 'vector'
const m = 'matrix'
const s = 'scalar'
const t = 'string'

type Row = readonly [names: string, argTypes: readonly ValueType[], returnType: ValueType, variadic?: number]

/** @see prometheus/promql/parser/functions.go */
const stable: readonly Row[] = [
  [
    'abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh',
    [v],
    v,
  ],
  ['timestamp histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar', [v], v],
  ['absent_over_time avg_over_time count_over_time first_over_time last_over_time max_over_time min_over_time', [m], v],
  ['present_over_time stddev_over_time stdvar_over_time sum_over_time', [m], v],
  ['changes delta deriv idelta increase irate rate resets', [m], v],
  ['day_of_month day_of_week day_of_year days_in_month hour minute month year', [v], v, 1],
  ['clamp', [v, s, s], v],
  ['clamp_max clamp_min', [v, s], v],
  ['histogram_fraction', [s, s, v], v],
  ['histogram_quantile', [s, v], v],
  ['label_join', [v, t, t, t], v, -1],
  ['label_replace', [v, t, t, t, t], v],
  ['predict_linear', [m, s], v],
  ['quantile_over_time', [s, m], v],
  ['round', [v, s], v, 1],
  ['scalar', [v], s],
  ['vector', [s], v],
  ['pi time', [], s],
]

const experimental: readonly Row[] = [
  ['mad_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time', [m], v],
  ['double_exponential_smoothing', [m, s, s], v],
  ['histogram_quantiles', [v, t, s, s], v, 9],
  ['info', [v, v], v, 1],
  ['max_of min_of', [s, s], s],
  ['sort_by_label sort_by_label_desc', [v, t], v, -1],
  ['start_timestamp', [v], v],
  ['start end step range', [], s],
]

function signaturesOf(rows: readonly Row[], isExperimental: boolean): FunctionSignature[] {
  return rows.flatMap(([names, argTypes, returnType, variadic = 0]) =>
    names.split(' ').map((name) => Object.freeze({ name, argTypes, variadic, returnType, experimental: isExperimental })),
  )
}

/** All functions by name, in name order. */
export const functionSignatures: ReadonlyMap<string, FunctionSignature> = new Map(
  [...signaturesOf(stable, false), ...signaturesOf(experimental, true)]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((signature) => [signature.name, signature]),
)
