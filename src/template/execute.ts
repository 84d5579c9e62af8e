import { quote } from '../model/labels.ts'
import type { Command, List, Node, NumberConstant, Operand, Pipe, RangeStatement, Statement, TemplateBody, Variable } from './ast.ts'
import { locate, printNode } from './ast.ts'
import { builtins, callOf } from './builtins.ts'
import { printValue, sortedKeys } from './print.ts'
import { durationMethods, timeMethods } from './time.ts'
import type { FunctionContext, FunctionTable, GoType, Method, TemplateFunction } from './value.ts'
import {
  DurationValue,
  FunctionError,
  ListValue,
  MapValue,
  StructValue,
  TimeValue,
  canBeNil,
  integerOf,
  isTrue,
  stringOf,
  textMax,
  typeName,
  withoutInterface,
} from './value.ts'

/**
 * Runs the bodies of a template over data. Synchronous and bounded; a function that needs the outside asks, see expand.ts.
 * Source of the rules and of the messages: Go's text/template/exec.go. `#node` follows what Go is looking at, because messages name it.
 */

/** Why an expansion ended early; the message is complete, `template: name:line:column: executing "name" at <node>: …`. */
export class ExecutionError extends Error {
  override readonly name = 'ExecutionError'
}

/** A question nobody has answered yet: the run is given up, and started again with the answer. */
export class Unanswered extends Error {
  readonly question: string
  constructor(question: string) {
    super('BUG: unanswered question left the template engine')
    this.question = question
  }
}

export type ExecutionLimits = Readonly<{
  /** UTF-16 units of output. */
  outputMax: number
  /** Statements, commands and list elements looked at, over all runs of one expansion. */
  stepsMax: number
  /** Templates within templates, and nesting within them. */
  depthMax: number
}>

/** Steps left; shared by the runs of one expansion. `late` says whether time is up. */
export type Budget = { steps: number; readonly late: () => boolean }

/** Output filters per action, for html/template; none for text. */
export type Filters = ReadonlyMap<Statement, readonly ((value: unknown) => unknown)[]>

/** Stands for "no value came down the pipeline". */
const missing = Symbol('missing')
const onlyItself: readonly Operand[] = []

type Ending = 'end' | 'break' | 'continue'

export class Execution<E> {
  readonly #bodies: ReadonlyMap<string, TemplateBody>
  readonly #functions: FunctionTable<E>
  readonly #limits: ExecutionLimits
  readonly #budget: Budget
  readonly #filters: Filters
  readonly #context: FunctionContext<E>
  #body: TemplateBody
  #node: Node | null = null
  #names: string[] = []
  #values: unknown[] = []
  #depth = 0
  #out = ''

  constructor(
    bodies: ReadonlyMap<string, TemplateBody>,
    main: TemplateBody,
    functions: FunctionTable<E>,
    env: E,
    answers: ReadonlyMap<string, Answer>,
    limits: ExecutionLimits,
    budget: Budget,
    filters: Filters,
  ) {
    this.#bodies = bodies
    this.#body = main
    this.#functions = functions
    this.#limits = limits
    this.#budget = budget
    this.#filters = filters
    this.#context = {
      env,
      ask: (question) => {
        const answer = answers.get(question)
        if (answer === undefined) throw new Unanswered(question)
        if (answer.kind === 'failed') throw new FunctionError(answer.message)
        return answer.value
      },
      execute: (name, data) => this.#executeNamed(name, data),
    }
  }

  run(data: unknown): string {
    this.#enter(this.#body, data)
    return this.#out
  }

  /** Errors of a body run by a function name that body, then come back as the function's own error. */
  #executeNamed(name: string, data: unknown): string {
    const body = this.#bodies.get(name)
    if (body === undefined) throw new FunctionError(`html/template: ${quote(name)} is undefined`)
    const saved = { body: this.#body, node: this.#node, names: this.#names, values: this.#values, depth: this.#depth, out: this.#out }
    this.#body = body
    this.#out = ''
    try {
      this.#enter(body, data)
      return this.#out
    } catch (thrown) {
      if (thrown instanceof ExecutionError) throw new FunctionError(thrown.message)
      throw thrown
    } finally {
      this.#body = saved.body
      this.#node = saved.node
      this.#names = saved.names
      this.#values = saved.values
      this.#depth = saved.depth
      this.#out = saved.out
    }
  }

  /** A body starts with no variables but `$`. */
  #enter(body: TemplateBody, data: unknown): void {
    this.#body = body
    this.#names = ['$']
    this.#values = [data]
    if (++this.#depth > this.#limits.depthMax) this.#fail(`exceeded maximum template depth (${this.#limits.depthMax})`)
    this.#walkList(data, body.root)
    this.#depth--
  }

  #fail(message: string): never {
    if (this.#node === null) throw new ExecutionError(`template: ${this.#body.name}: ${message}`)
    throw new ExecutionError(
      `template: ${locate(this.#body.source, this.#node.from)}: executing ${quote(this.#body.name)} at <${printNode(this.#node)}>: ${message}`,
    )
  }

  #step(): void {
    if (--this.#budget.steps < 0) this.#fail('exceeded the number of steps an expansion may take')
    if ((this.#budget.steps & 1023) === 0 && this.#budget.late()) this.#fail('expansion took too long')
  }

  #write(text: string): void {
    if (this.#out.length + text.length > this.#limits.outputMax) this.#fail(`output exceeds ${this.#limits.outputMax} characters`)
    this.#out += text
  }

  // Statements

  #walkList(dot: unknown, list: List): Ending {
    if (++this.#depth > this.#limits.depthMax) this.#fail(`exceeded maximum template depth (${this.#limits.depthMax})`)
    this.#node = list
    for (const statement of list.nodes) {
      const ending = this.#walk(dot, statement)
      if (ending !== 'end') {
        this.#depth--
        return ending
      }
    }
    this.#depth--
    return 'end'
  }

  #walk(dot: unknown, statement: Statement): Ending {
    this.#node = statement
    this.#step()
    switch (statement.kind) {
      case 'text':
        this.#write(statement.text)
        return 'end'
      case 'action': {
        const value = this.#pipe(dot, statement.pipe)
        if (statement.pipe.declared.length === 0) this.#print(statement, value)
        return 'end'
      }
      case 'if':
      case 'with': {
        const mark = this.#names.length
        const value = this.#pipe(dot, statement.pipe)
        let ending: Ending = 'end'
        if (isTrue(value)) ending = this.#walkList(statement.kind === 'with' ? value : dot, statement.list)
        else if (statement.otherwise !== null) ending = this.#walkList(dot, statement.otherwise)
        this.#forget(mark)
        return ending
      }
      case 'range':
        return this.#range(dot, statement)
      case 'template':
        this.#call(dot, statement)
        return 'end'
      case 'break':
      case 'continue':
        return statement.kind
    }
  }

  #print(statement: Statement, value: unknown): void {
    const filters = this.#filters.get(statement)
    let shown = value
    let text: string
    try {
      if (filters !== undefined) for (const filter of filters) shown = filter(shown)
      this.#node = statement
      text = shown === undefined ? '<no value>' : printValue(shown)
    } catch (thrown) {
      if (thrown instanceof FunctionError) this.#fail(thrown.message)
      throw thrown
    }
    this.#write(text)
  }

  /** For messages. */
  #printed(value: unknown): string {
    try {
      return printValue(value)
    } catch (thrown) {
      if (thrown instanceof FunctionError) return typeName(value)
      throw thrown
    }
  }

  #forget(mark: number): void {
    this.#names.length = mark
    this.#values.length = mark
  }

  #range(dot: unknown, statement: RangeStatement): Ending {
    const mark = this.#names.length
    const { declared, isAssignment } = statement.pipe
    const value = this.#pipe(dot, statement.pipe)
    const inside = this.#names.length
    /** False: the loop ends. */
    const iterate = (key: unknown, element: unknown): boolean => {
      this.#step()
      if (declared.length > 0) {
        if (isAssignment) {
          if (declared.length > 1) {
            this.#assign(declared[0]!.name, key)
            this.#assign(declared[1]!.name, element)
          } else this.#assign(declared[0]!.name, element)
        } else {
          this.#values[inside - 1] = element
          if (declared.length > 1) this.#values[inside - 2] = key
        }
      }
      const ending = this.#walkList(element, statement.list)
      this.#forget(inside)
      return ending !== 'break'
    }
    let empty = false
    const count = integerOf(value)
    if (count !== null) {
      if (declared.length > 1) this.#fail(`can't use ${printValue(value)} to iterate over more than one variable`)
      empty = count <= 0n
      for (let i = 0n; i < count; i++) if (!iterate(undefined, i)) break
    } else if (value instanceof ListValue) {
      empty = value.items.length === 0
      for (let i = 0; i < value.items.length; i++) if (!iterate(BigInt(i), value.items[i])) break
    } else if (value instanceof MapValue) {
      empty = value.entries.size === 0
      for (const key of sortedKeys(value)) if (!iterate(key, value.entries.get(key))) break
    } else if (value === undefined) empty = true
    else this.#fail(`range can't iterate over ${this.#printed(value)}`)
    const ending = empty && statement.otherwise !== null ? this.#walkList(dot, statement.otherwise) : 'end'
    this.#forget(mark)
    return ending
  }

  #call(dot: unknown, statement: Statement & { kind: 'template' }): void {
    const body = this.#bodies.get(statement.name)
    if (body === undefined) this.#fail(`template ${quote(statement.name)} not defined`)
    const data = statement.pipe === null ? undefined : this.#pipe(dot, statement.pipe)
    const saved = { body: this.#body, node: this.#node, names: this.#names, values: this.#values }
    if (this.#depth >= this.#limits.depthMax) {
      this.#node = statement
      this.#fail(`exceeded maximum template depth (${this.#limits.depthMax})`)
    }
    this.#enter(body, data)
    this.#body = saved.body
    this.#node = saved.node
    this.#names = saved.names
    this.#values = saved.values
  }

  // Variables

  #lookUp(name: string): unknown {
    const at = this.#names.lastIndexOf(name)
    if (at === -1) this.#fail(`undefined variable: ${name}`)
    return this.#values[at]
  }

  #assign(name: string, value: unknown): void {
    const at = this.#names.lastIndexOf(name)
    if (at === -1) this.#fail(`undefined variable: ${name}`)
    this.#values[at] = value
  }

  // Pipelines

  #pipe(dot: unknown, pipe: Pipe): unknown {
    this.#node = pipe
    let value: unknown = missing
    for (const command of pipe.commands) value = withoutInterface(this.#command(dot, command, value))
    for (const { name } of pipe.declared) {
      if (pipe.isAssignment) this.#assign(name, value)
      else {
        this.#names.push(name)
        this.#values.push(value)
      }
    }
    return value
  }

  /** `final`: what the command before it in the pipeline gave. */
  #command(dot: unknown, command: Command, final: unknown): unknown {
    this.#step()
    const first = command.args[0]
    switch (first.kind) {
      case 'field':
        this.#node = first
        return this.#fields(dot, dot, first, first.fields, command.args, final)
      case 'chain':
        return this.#chain(dot, first, command.args, final)
      case 'identifier':
        return this.#function(dot, first, command, command.args, final)
      case 'pipe':
        this.#refuseArguments(command.args, final)
        return this.#nested(dot, first)
      case 'variable':
        return this.#variable(dot, first, command.args, final)
    }
    this.#node = first
    this.#refuseArguments(command.args, final)
    switch (first.kind) {
      case 'bool':
      case 'string':
        return first.value
      case 'dot':
        return dot
      case 'nil':
        return this.#fail('nil is not a command')
      case 'number':
        return this.#constant(first)
    }
  }

  #nested(dot: unknown, pipe: Pipe): unknown {
    if (++this.#depth > this.#limits.depthMax) this.#fail(`exceeded maximum template depth (${this.#limits.depthMax})`)
    const value = this.#pipe(dot, pipe)
    this.#depth--
    return value
  }

  #refuseArguments(args: readonly Operand[], final: unknown): void {
    if (args.length > 1 || final !== missing) this.#fail(`can't give argument to non-function ${printNode(args[0]!)}`)
  }

  /** The value of a number where nothing says which type is wanted: its spelling decides. */
  #constant(node: NumberConstant): unknown {
    this.#node = node
    if (node.isComplex) return this.#fail(`complex numbers are not supported: ${node.text}`)
    const looksFloat = /[.eEpP]/.test(node.text) && !node.text.startsWith("'") && !/^0[xX][^pP]*$/.test(node.text)
    if (looksFloat && node.float !== undefined) return node.float
    if (node.int !== undefined) return node.int
    return this.#fail(`${node.text} overflows int`)
  }

  #variable(dot: unknown, node: Variable, args: readonly Operand[], final: unknown): unknown {
    this.#node = node
    const value = this.#lookUp(node.name)
    if (node.fields.length > 0) return this.#fields(dot, value, node, node.fields, args, final)
    if (args.length > 1 || final !== missing) this.#fail(`can't give argument to non-function ${printNode(args[0] ?? node)}`)
    return value
  }

  #chain(dot: unknown, node: Operand & { kind: 'chain' }, args: readonly Operand[], final: unknown): unknown {
    this.#node = node
    if (node.operand.kind === 'nil') this.#fail(`indirection through explicit nil in ${printNode(node)}`)
    const value = this.#argument(dot, 'interface {}', node.operand)
    return this.#fields(dot, value === null ? undefined : value, node, node.fields, args, final)
  }

  #fields(dot: unknown, receiver: unknown, node: Node, fields: readonly string[], args: readonly Operand[], final: unknown): unknown {
    let value = receiver
    let type: GoType = typeName(value)
    for (let i = 0; i < fields.length; i++) {
      const last = i === fields.length - 1
      const holder = value
      value = this.#field(dot, fields[i]!, node, last ? args : onlyItself, last ? final : missing, value, type)
      type = fieldType(holder, fields[i]!, value)
    }
    return value
  }

  #field(dot: unknown, name: string, node: Node, args: readonly Operand[], final: unknown, receiver: unknown, type: GoType): unknown {
    if (receiver === undefined) return undefined
    if (receiver === null) return this.#fail(`nil pointer evaluating ${type}.${name}`)
    const method = methodOf(receiver, name)
    if (method !== null) {
      const bound: TemplateFunction<E> = {
        params: method.params,
        variadic: method.variadic ?? false,
        call: (given) => method.call(receiver, given),
      }
      return this.#invoke(dot, bound, false, node, name, args, final)
    }
    const hasArguments = args.length > 1 || final !== missing
    if (receiver instanceof StructValue && receiver.fields.has(name)) {
      if (hasArguments) this.#fail(`${name} has arguments but cannot be invoked as function`)
      return receiver.fields.get(name)
    }
    if (receiver instanceof MapValue) {
      if (hasArguments) this.#fail(`${name} is not a method but has arguments`)
      return receiver.entries.has(name) ? receiver.entries.get(name) : receiver.missing
    }
    return this.#fail(`can't evaluate field ${name} in type ${type}`)
  }

  // Calls

  #function(dot: unknown, node: Operand & { kind: 'identifier' }, at: Node, args: readonly Operand[], final: unknown): unknown {
    this.#node = node
    const own = this.#functions.get(node.name)
    const found = own ?? builtins.get(node.name)
    if (found === undefined) return this.#fail(`${quote(node.name)} is not a defined function`)
    return this.#invoke(dot, found as TemplateFunction<E>, own === undefined, at, node.name, args, final)
  }

  /** `words`: the function itself and its arguments, or nothing at all. */
  #invoke(
    dot: unknown,
    fn: TemplateFunction<E>,
    isBuiltin: boolean,
    at: Node,
    name: string,
    words: readonly Operand[],
    final: unknown,
  ): unknown {
    const args = words.length === 0 ? words : words.slice(1)
    const { params } = fn
    const count = args.length + (final === missing ? 0 : 1)
    const fixed = fn.variadic === true ? params.length - 1 : params.length
    if (fn.variadic === true && count < fixed) this.#fail(`wrong number of args for ${name}: want at least ${fixed} got ${args.length}`)
    if (fn.variadic !== true && count !== fixed) this.#fail(`wrong number of args for ${name}: want ${fixed} got ${count}`)
    const rest = params.at(-1) ?? 'interface {}'
    if (isBuiltin && (name === 'and' || name === 'or')) {
      let value: unknown
      for (const arg of args) {
        value = this.#argument(dot, rest, arg)
        if (isTrue(value) === (name === 'or')) return value
      }
      return final === missing ? value : this.#convert(final, rest)
    }
    const given: unknown[] = args.map((arg, i) => this.#argument(dot, i < fixed ? params[i]! : rest, arg))
    if (final !== missing) given.push(this.#convert(final, count - 1 < fixed ? params[count - 1]! : rest))
    let result: unknown
    try {
      if (isBuiltin && name === 'call') callOf(args.length === 0 ? typeName(final) : printNode(args[0]!), given[0])
      result = fn.call(given, this.#context)
    } catch (thrown) {
      if (!(thrown instanceof FunctionError)) throw thrown
      this.#node = at
      return this.#fail(`error calling ${name}: ${thrown.message}`)
    }
    const text = stringOf(result)
    if (text !== null && text.length > textMax) {
      this.#node = at
      this.#fail(`error calling ${name}: result of ${text.length} characters is over the limit of ${textMax}`)
    }
    return result
  }

  #argument(dot: unknown, type: GoType, node: Operand): unknown {
    this.#node = node
    switch (node.kind) {
      case 'dot':
        return this.#convert(dot, type)
      case 'nil':
        // reflect.Value parameters see no value at all, others a nil of their type
        if (canBeNil(type)) return type === 'reflect.Value' ? undefined : null
        return this.#fail(`cannot assign nil to ${type}`)
      case 'field':
        return this.#convert(this.#fields(dot, dot, node, node.fields, onlyItself, missing), type)
      case 'variable':
        return this.#convert(this.#variable(dot, node, onlyItself, missing), type)
      case 'pipe':
        return this.#convert(this.#nested(dot, node), type)
      case 'identifier':
        return this.#convert(this.#function(dot, node, node, onlyItself, missing), type)
      case 'chain':
        return this.#convert(this.#chain(dot, node, onlyItself, missing), type)
    }
    switch (type) {
      case 'string':
        return node.kind === 'string' ? node.value : this.#fail(`expected string; found ${printNode(node)}`)
      case 'bool':
        return node.kind === 'bool' ? node.value : this.#fail(`expected bool; found ${printNode(node)}`)
      case 'int':
      case 'time.Duration': {
        const whole = node.kind === 'number' ? node.int : undefined
        if (whole === undefined) return this.#fail(`expected integer; found ${printNode(node)}`)
        return type === 'int' ? whole : new DurationValue(whole)
      }
      case 'float64':
        return node.kind === 'number' && node.float !== undefined ? node.float : this.#fail(`expected float; found ${printNode(node)}`)
      case 'interface {}':
      case 'reflect.Value':
        return node.kind === 'number' ? this.#constant(node) : node.value
    }
    return this.#fail(`can't handle ${printNode(node)} for arg of type ${type}`)
  }

  /** The value as a parameter of this type takes it. */
  #convert(value: unknown, type: GoType): unknown {
    if (type === 'reflect.Value' || type === 'interface {}') return value
    if (value === undefined) {
      if (canBeNil(type)) return null
      return this.#fail(`invalid value; expected ${type}`)
    }
    const actual = typeName(value)
    if (actual === type) return value
    if (actual === `*${type}` && value !== null) return value
    return this.#fail(`wrong type for value; expected ${type}; got ${actual}`)
  }
}

export type Answer = Readonly<{ kind: 'ok'; value: unknown } | { kind: 'failed'; message: string }>

function methodOf(value: unknown, name: string): Method<unknown> | null {
  let methods: Readonly<Record<string, Method<never>>>
  if (value instanceof TimeValue) methods = timeMethods
  else if (value instanceof DurationValue) methods = durationMethods
  else if (value instanceof MapValue || value instanceof ListValue || value instanceof StructValue) methods = value.methods
  else return null
  return Object.hasOwn(methods, name) ? (methods[name] as Method<unknown>) : null
}

/** The declared type of what a field gave: an interface hides the type of what it holds. */
function fieldType(holder: unknown, name: string, value: unknown): GoType {
  if (holder instanceof StructValue && holder.interfaceFields.has(name)) return 'interface {}'
  if (holder instanceof MapValue && holder.missing === null) return 'interface {}'
  return typeName(value)
}
