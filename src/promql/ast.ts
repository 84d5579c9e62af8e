import type { Matcher } from '../model/matcher.ts'

/** Half-open range of UTF-16 offsets into the query text. */
export type Span = Readonly<{ from: number; to: number }>

export type ValueType = 'scalar' | 'string' | 'vector' | 'matrix'

/** PromQL's syntax tree: frozen data, one `kind` per node, every node with the text it came from. */
export type Expr = NumberLiteral | StringLiteral | VectorSelector | MatrixSelector | Subquery | Call | Aggregate | Binary | Unary | Paren

export type NumberLiteral = Readonly<{
  kind: 'number'
  span: Span
  value: number
  /** Written as a duration (`5m`), printed as one. */ isDuration: boolean
}>
export type StringLiteral = Readonly<{ kind: 'string'; span: Span; value: string }>

/** `@ 1609746000.000`, `@ start()`, `@ end()`. */
export type AtModifier = Readonly<{ kind: 'time'; timeMs: number } | { kind: 'start' } | { kind: 'end' }>

/**
 * A duration in a range, step or offset. At the top a `constant` is ready to use: `ms`, whole. Anything else is worked out in seconds when
 * the query's step and range are known; there a constant counts as `seconds`, because `[5m * 2]` means two times.
 */
export type DurationExpr =
  | Readonly<{
      kind: 'constant'
      span: Span
      ms: number
      seconds: number
      /** Written as a duration (`5m`), not as a number of seconds (`300`). */ isDuration: boolean
    }>
  | Readonly<{ kind: 'step' | 'range'; span: Span }>
  | Readonly<{ kind: 'unary'; span: Span; op: '-' | '+'; operand: DurationExpr }>
  | Readonly<{ kind: 'binary'; span: Span; op: '+' | '-' | '*' | '/' | '%' | '^'; left: DurationExpr; right: DurationExpr }>
  | Readonly<{ kind: 'minOf' | 'maxOf'; span: Span; left: DurationExpr; right: DurationExpr }>
  | Readonly<{ kind: 'paren'; span: Span; inner: DurationExpr }>

export type VectorSelector = Readonly<{
  kind: 'selector'
  span: Span
  /** The name written before the braces, '' where there is none; it is also among the matchers. */
  name: string
  /** As written; the one for `name`, if there is one, is the last. */
  matchers: readonly Matcher[]
  offset: DurationExpr | null
  at: AtModifier | null
  anchored: boolean
  smoothed: boolean
}>
export type MatrixSelector = Readonly<{ kind: 'matrix'; span: Span; selector: VectorSelector; range: DurationExpr }>
export type Subquery = Readonly<{
  kind: 'subquery'
  span: Span
  expr: Expr
  range: DurationExpr
  /** Null: the default evaluation interval. */
  step: DurationExpr | null
  offset: DurationExpr | null
  at: AtModifier | null
}>
export type Call = Readonly<{ kind: 'call'; span: Span; func: string; args: readonly Expr[] }>
export type AggregateOp =
  | 'sum' | 'avg' | 'min' | 'max' | 'count' | 'group' | 'stddev' | 'stdvar' | 'topk' | 'bottomk' | 'quantile' | 'count_values' | 'limitk' | 'limit_ratio' // prettier-ignore
export type Aggregate = Readonly<{
  kind: 'aggregate'
  span: Span
  op: AggregateOp
  param: Expr | null
  expr: Expr
  grouping: readonly string[]
  without: boolean
}>
export type BinaryOp =
  | '+' | '-' | '*' | '/' | '%' | '^' | 'atan2' | '==' | '!=' | '>' | '<' | '>=' | '<=' | 'and' | 'or' | 'unless' | '</' | '>/' // prettier-ignore
export type VectorMatching = Readonly<{
  cardinality: 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many'
  labels: readonly string[]
  /** `on(…)` where true, else `ignoring(…)`. */
  on: boolean
  /** Labels of group_left / group_right. */
  include: readonly string[]
  fillLeft: number | null
  fillRight: number | null
}>
export type Binary = Readonly<{
  kind: 'binary'
  span: Span
  op: BinaryOp
  left: Expr
  right: Expr
  returnBool: boolean
  /** Only between two vectors. */
  matching: VectorMatching | null
}>
export type Unary = Readonly<{ kind: 'unary'; span: Span; op: '+' | '-'; expr: Expr }>
export type Paren = Readonly<{ kind: 'paren'; span: Span; expr: Expr }>

/** What is wrong with a query, and where. */
export type Problem = Readonly<{ span: Span; message: string }>

/** Syntax behind flags, as Prometheus' --enable-feature names them. */
export type PromqlFeatures = Readonly<{
  experimentalFunctions: boolean
  extendedRangeSelectors: boolean
  binopFillModifiers: boolean
  delayedNameRemoval: boolean
}>
