// What a plan is made of: nodes, each with the times it is evaluated at, and leaves.
import type { Matcher } from '../model/matcher.ts'
import type { AggregateOp, BinaryOp, Span, ValueType, VectorMatching } from './ast.ts'
import type { RangeCall } from './functions/range.ts'
import type { EvaluationFeatures, Grid, Leaf } from './leaf.ts'

export type NodeBody =
  | Readonly<{ kind: 'number'; value: number }>
  | Readonly<{ kind: 'time' }>
  | Readonly<{ kind: 'string'; value: string }>
  /** What a leaf gives: its series (part −1), one of its aggregates, or raw samples. */
  | Readonly<{ kind: 'leaf'; leaf: number; part: number }>
  /** Evaluated at one step, the same at all of them. */
  | Readonly<{ kind: 'constant'; of: Node }>
  /** A range function over a subquery. */
  | Readonly<{
      kind: 'subqueryCall'
      call: RangeCall
      params: readonly Node[]
      of: Node
      firstEndMs: number
      stepMs: number
      offsetMs: number
      spans: Spans
    }>
  /** A subquery as the result of an instant query. */
  | Readonly<{ kind: 'subquery'; of: Node }>
  | Readonly<{
      kind: 'aggregate'
      op: AggregateOp
      of: Node
      param: Node | null
      /** Label of count_values. */
      label: string
      grouping: readonly string[]
      without: boolean
      spans: Spans
    }>
  | Readonly<{
      kind: 'call'
      func: string
      args: readonly Node[]
      /** String arguments, in order. */
      strings: readonly string[]
      /** absent and absent_over_time: labels of the result; info: the data label matchers. */
      matchers: readonly Matcher[]
      /** Positions of the call, then of its arguments. */
      spans: Spans
    }>
  | Readonly<{ kind: 'negate'; of: Node }>
  | Readonly<{
      kind: 'binary'
      op: BinaryOp
      left: Node
      right: Node
      returnBool: boolean
      matching: VectorMatching | null
      spans: Spans
    }>

/** Positions for annotations. Of nodes that are shared the last one written counts, as upstream's last annotation does. */
export type Spans = { list: readonly Span[] }

export type Node = NodeBody & Readonly<{ id: number; grid: Grid; type: ValueType }>

export type Plan = Readonly<{
  root: Node
  leaves: readonly PlannedLeaf[]
  /** Leaf numbers in the order they can be run: those of a stage need scalar arguments from the stages before it. Mostly there is one stage. */
  stages: readonly (readonly number[])[]
  grid: Grid
  isInstant: boolean
  type: ValueType
  features: EvaluationFeatures
  nodeCount: number
}>

/** A leaf, and the nodes its range call's scalar arguments come from where they are not known yet. */
export type PlannedLeaf = { leaf: Leaf; params: readonly Node[]; stage: number }

export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'constant':
    case 'subquery':
    case 'negate':
      return [node.of]
    case 'subqueryCall':
      return [...node.params, node.of]
    case 'aggregate':
      return node.param === null ? [node.of] : [node.param, node.of]
    case 'call':
      return node.args
    case 'binary':
      return [node.left, node.right]
    default:
      return []
  }
}
