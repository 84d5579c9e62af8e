import type { TemplateBody } from './ast.ts'
import { builtins } from './builtins.ts'
import type { Answer, Budget, ExecutionLimits, Filters } from './execute.ts'
import { Execution, ExecutionError, Unanswered } from './execute.ts'
import { messageOf } from '../base/errors.ts'
import type { TemplateProblem } from './parse.ts'
import { parseBodies } from './parse.ts'
import type { FunctionTable } from './value.ts'

/**
 * Parsing and expanding templates.
 *
 * The engine is synchronous. A function that needs the outside, such as `query`, asks a question; the run is given up, the question answered,
 * and the template run again with all answers so far. A run sees the same answers, so it asks the same questions up to the new one.
 * Templates without questions, nearly all of them, never wait.
 */

/** A set of named bodies that call each other; immutable. */
export type Template<E> = Readonly<{
  name: string
  bodies: ReadonlyMap<string, TemplateBody>
  functions: FunctionTable<E>
  filters: Filters
}>

export type ParsedTemplate<E> = Readonly<
  { kind: 'ok'; template: Template<E> } | { kind: 'failed'; problems: readonly [TemplateProblem, ...TemplateProblem[]]; message: string }
>

/**
 * Parses one text. Never throws.
 * @param name what messages call it; also how `template` calls it.
 * @param onto bodies that exist already; definitions in the text replace them.
 * @returns the template, or the problem and its message as Go words it: `template: name:line: …`.
 */
export function parseTemplate<E>(
  name: string,
  text: string,
  functions: FunctionTable<E>,
  onto: Template<E> | null = null,
): ParsedTemplate<E> {
  const { bodies, problems } = parseBodies({ name, text }, (word) => functions.has(word) || builtins.has(word))
  const [first, ...others] = problems
  if (first !== undefined) {
    return { kind: 'failed', problems: [first, ...others], message: `template: ${name}:${first.line}: ${first.message}` }
  }
  const all = new Map(onto?.bodies)
  for (const body of bodies) {
    // a text of nothing but definitions does not hide a body of its name
    if (body.name === name && all.has(name) && body.root.nodes.every((node) => node.kind === 'text' && node.text.trim() === '')) continue
    all.set(body.name, body)
  }
  return { kind: 'ok', template: { name, bodies: all, functions, filters: onto?.filters ?? new Map() } }
}

export type ExpandLimits = ExecutionLimits & Readonly<{ questionsMax: number; timeoutMs: number }>

export const defaultExpandLimits: ExpandLimits = {
  outputMax: 16 << 20,
  stepsMax: 5_000_000,
  depthMax: 1_000,
  questionsMax: 1_000,
  timeoutMs: 30_000,
}

export type ExpandOptions<E> = Readonly<{
  env: E
  data: unknown
  /** Answers a question; its rejection becomes the function's error. */
  answer: (question: string) => Promise<unknown>
  /** For the time limit; any steady clock in ms. */
  monotonicMs: () => number
  limits?: ExpandLimits
}>

/** The text, or why there is none. `message` starts with `template: …` where a place in the template is at fault. */
export type Expansion = Readonly<{ kind: 'ok'; text: string } | { kind: 'failed'; message: string }>

/** Expands without waiting; null where a question came up, then `expand` must be used. */
export function expandNow<E>(template: Template<E>, options: Omit<ExpandOptions<E>, 'answer'>): Expansion | null {
  const limits = options.limits ?? defaultExpandLimits
  const result = run(template, options, new Map(), limits, budgetOf(options.monotonicMs, limits))
  return result.kind === 'unanswered' ? null : result
}

/** Never rejects but for our own bugs. */
export async function expand<E>(template: Template<E>, options: ExpandOptions<E>): Promise<Expansion> {
  const limits = options.limits ?? defaultExpandLimits
  const budget = budgetOf(options.monotonicMs, limits)
  const answers = new Map<string, Answer>()
  for (;;) {
    const result = run(template, options, answers, limits, budget)
    if (result.kind !== 'unanswered') return result
    if (answers.size >= limits.questionsMax) {
      return { kind: 'failed', message: `template: ${template.name}: more than ${limits.questionsMax} different queries` }
    }
    try {
      answers.set(result.question, { kind: 'ok', value: await options.answer(result.question) })
    } catch (thrown) {
      answers.set(result.question, { kind: 'failed', message: messageOf(thrown) })
    }
  }
}

function budgetOf(monotonicMs: () => number, limits: ExpandLimits): Budget {
  const deadline = monotonicMs() + limits.timeoutMs
  return { steps: limits.stepsMax, late: () => monotonicMs() > deadline }
}

function run<E>(
  template: Template<E>,
  options: Omit<ExpandOptions<E>, 'answer'>,
  answers: ReadonlyMap<string, Answer>,
  limits: ExpandLimits,
  budget: Budget,
): Expansion | Readonly<{ kind: 'unanswered'; question: string }> {
  const main = template.bodies.get(template.name)
  if (main === undefined)
    return { kind: 'failed', message: `template: ${template.name}: "${template.name}" is an incomplete or empty template` }
  const execution = new Execution(template.bodies, main, template.functions, options.env, answers, limits, budget, template.filters)
  try {
    return { kind: 'ok', text: execution.run(options.data) }
  } catch (thrown) {
    if (thrown instanceof Unanswered) return { kind: 'unanswered', question: thrown.question }
    if (thrown instanceof ExecutionError) return { kind: 'failed', message: thrown.message }
    // the stack ended before the depth limit did
    if (thrown instanceof RangeError) return { kind: 'failed', message: `template: ${template.name}: exceeded maximum template depth` }
    throw thrown
  }
}
