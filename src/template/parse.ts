import { quote } from '../model/labels.ts'
import type { Command, List, NumberConstant, Operand, Pipe, Statement, TemplateBody, TemplateSource, Variable } from './ast.ts'
import { isEmptyBody, utf8Length } from './ast.ts'
import type { Token } from './lex.ts'
import { lex } from './lex.ts'
import { readNumber, unquote } from './literals.ts'

/**
 * Text → bodies. Never throws: broken text gives one problem (Go stops at the first, and so does the message users know).
 * Source of the language: Go's text/template/parse.
 */

export type TemplateProblem = Readonly<{
  /** As Go words it, without `template: name:line: `. */
  message: string
  /** UTF-16 offset of the token at fault. */
  offset: number
  /** 1-based. */
  line: number
  /** 1-based, in characters. */
  column: number
}>

export const templateLimits = {
  /** Bytes (UTF-16 units) of one text. */
  textMax: 4 << 20,
  /** Nested control structures and parentheses. */
  nestingMax: 500,
} as const

/** @returns the bodies defined in the text, the text itself (under `source.name`) first, and what is wrong. With a problem there are no bodies. */
export function parseBodies(
  source: TemplateSource,
  functions: (name: string) => boolean,
): { bodies: TemplateBody[]; problems: TemplateProblem[] } {
  if (source.text.length > templateLimits.textMax) {
    const message = `template of ${source.text.length} characters is over the limit of ${templateLimits.textMax}`
    return { bodies: [], problems: [{ message, offset: 0, line: 1, column: 1 }] }
  }
  const parser = new Parser(source, functions)
  try {
    return { bodies: parser.parse(), problems: [] }
  } catch (thrown) {
    if (thrown instanceof Stop) return { bodies: [], problems: [parser.problem(thrown.message)] }
    throw thrown
  }
}

/** Leaves the recursive descent at the first problem; never leaves this file. */
class Stop extends Error {}

type Ending = Readonly<{ kind: 'end' | 'else'; from: number; text: string }>

class Parser {
  readonly #source: TemplateSource
  readonly #functions: (name: string) => boolean
  readonly #tokens: Token[]
  readonly #bodies = new Map<string, TemplateBody>()
  #next = 0
  /** The furthest token looked at: its line is the one messages name. */
  #furthest = 0
  #actionLine = 0
  #rangeDepth = 0
  #nesting = 0
  #variables: string[] = ['$']

  constructor(source: TemplateSource, functions: (name: string) => boolean) {
    this.#source = source
    this.#functions = functions
    this.#tokens = lex(source.text)
  }

  problem(message: string): TemplateProblem {
    const token = this.#tokens[this.#furthest]!
    const lineStart = token.from === 0 ? 0 : this.#source.text.lastIndexOf('\n', token.from - 1) + 1
    return { message, offset: token.from, line: token.line, column: token.from - lineStart + 1 }
  }

  parse(): TemplateBody[] {
    const from = this.#peek().from
    const nodes: Statement[] = []
    while (this.#peek().kind !== 'eof') {
      if (this.#peek().kind === '{{') {
        const mark = this.#next
        this.#take()
        const word = this.#takeWord()
        if (word.kind === 'keyword' && word.text === 'define') {
          this.#definition()
          continue
        }
        this.#next = mark
      }
      const node = this.#textOrAction()
      if (isEnding(node)) this.#stop(`unexpected ${node.text}`)
      nodes.push(node)
    }
    this.#add(this.#source.name, { kind: 'list', from, nodes })
    const main = this.#bodies.get(this.#source.name)!
    return [main, ...[...this.#bodies.values()].filter((body) => body !== main)]
  }

  #stop(message: string): never {
    throw new Stop(message)
  }

  #take(): Token {
    this.#furthest = Math.max(this.#furthest, this.#next)
    const token = this.#tokens[this.#next]!
    // the last token is eof or error; both may be read again and again
    if (this.#next < this.#tokens.length - 1) this.#next++
    return token
  }

  #peek(): Token {
    this.#furthest = Math.max(this.#furthest, this.#next)
    return this.#tokens[this.#next]!
  }

  #skipSpace(): void {
    while (this.#peek().kind === 'space') this.#take()
  }

  #takeWord(): Token {
    this.#skipSpace()
    return this.#take()
  }

  #peekWord(): Token {
    this.#skipSpace()
    return this.#peek()
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.#stop(`unexpected ${describe(token)} in ${context}`)
    if (this.#actionLine === 0 || this.#actionLine === token.line) this.#stop(token.text)
    const where = `${token.text.endsWith(' action') ? '' : ' in action'} started at ${this.#source.name}:${this.#actionLine}`
    this.#stop(token.text + where)
  }

  #expect(kind: Token['kind'], context: string): Token {
    const token = this.#takeWord()
    if (token.kind !== kind) this.#unexpected(token, context)
    return token
  }

  #nest<T>(parse: () => T): T {
    if (++this.#nesting > templateLimits.nestingMax) this.#stop(`nested deeper than ${templateLimits.nestingMax}`)
    const result = parse()
    this.#nesting--
    return result
  }

  #add(name: string, root: List): void {
    const known = this.#bodies.get(name)
    if (known !== undefined && !isEmptyBody(known.root)) {
      if (!isEmptyBody(root)) this.#stop(`template: multiple definition of template ${quote(name)}`)
      return
    }
    this.#bodies.set(name, { name, source: this.#source, root })
  }

  /** A body with variables of its own: `define` and `block`. */
  #body(name: string, context: string): void {
    const outer = this.#variables
    const outerRange = this.#rangeDepth
    this.#variables = ['$']
    this.#rangeDepth = 0
    const { list, ending } = this.#nest(() => this.#list())
    if (ending.kind !== 'end') this.#stop(`unexpected ${ending.text} in ${context}`)
    this.#add(name, list)
    this.#variables = outer
    this.#rangeDepth = outerRange
  }

  #definition(): void {
    const token = this.#takeWord()
    const name = this.#nameIn(token, 'define clause')
    this.#expect('}}', 'define clause')
    this.#body(name, 'define clause')
  }

  #nameIn(token: Token, context: string): string {
    if (token.kind !== 'string' && token.kind !== 'rawString') this.#unexpected(token, context)
    return unquote(token.text) ?? this.#stop('invalid syntax')
  }

  /** Statements up to `end` or `else`. */
  #list(): { list: List; ending: Ending } {
    const from = this.#peekWord().from
    const nodes: Statement[] = []
    while (this.#peekWord().kind !== 'eof') {
      const node = this.#textOrAction()
      if (isEnding(node)) return { list: { kind: 'list', from, nodes }, ending: node }
      nodes.push(node)
    }
    return this.#stop('unexpected EOF')
  }

  #textOrAction(): Statement | Ending {
    const token = this.#takeWord()
    if (token.kind === 'text') return { kind: 'text', from: token.from, text: token.text }
    if (token.kind !== '{{') this.#unexpected(token, 'input')
    this.#actionLine = token.line
    const node = this.#action()
    this.#actionLine = 0
    return node
  }

  #action(): Statement | Ending {
    const token = this.#peekWord()
    if (token.kind !== 'keyword' || token.text === 'nil' || token.text === 'define') {
      return { kind: 'action', from: token.from, pipe: this.#pipe('command', '}}') }
    }
    this.#take()
    switch (token.text) {
      case 'block': {
        const word = this.#takeWord()
        const name = this.#nameIn(word, 'block clause')
        const pipe = this.#pipe('block clause', '}}')
        this.#body(name, 'block clause')
        return { kind: 'template', from: word.from, name, pipe }
      }
      case 'break':
      case 'continue': {
        const after = this.#takeWord()
        if (after.kind !== '}}') this.#unexpected(after, `{{${token.text}}}`)
        if (this.#rangeDepth === 0) this.#stop(`{{${token.text}}} outside {{range}}`)
        return { kind: token.text, from: token.from }
      }
      case 'else': {
        const after = this.#peekWord()
        // `else if` and `else with` leave their keyword for the control structure they belong to
        if (after.kind === 'keyword' && (after.text === 'if' || after.text === 'with'))
          return { kind: 'else', from: after.from, text: '{{else}}' }
        return { kind: 'else', from: this.#expect('}}', 'else').from, text: '{{else}}' }
      }
      case 'end':
        return { kind: 'end', from: this.#expect('}}', 'end').from, text: '{{end}}' }
      case 'if':
      case 'range':
      case 'with':
        return this.#control(token.text)
      default: {
        const word = this.#takeWord()
        const name = this.#nameIn(word, 'template clause')
        if (this.#peekWord().kind !== '}}') return { kind: 'template', from: word.from, name, pipe: this.#pipe('template clause', '}}') }
        this.#take()
        return { kind: 'template', from: word.from, name, pipe: null }
      }
    }
  }

  #control(kind: 'if' | 'range' | 'with'): Statement {
    return this.#nest(() => {
      const mark = this.#variables.length
      const pipe = this.#pipe(kind, '}}')
      if (kind === 'range') this.#rangeDepth++
      const { list, ending } = this.#list()
      if (kind === 'range') this.#rangeDepth--
      let otherwise: List | null = null
      if (ending.kind === 'else') {
        const word = this.#peek()
        if (kind !== 'range' && word.kind === 'keyword' && word.text === kind) {
          this.#take()
          otherwise = { kind: 'list', from: ending.from, nodes: [this.#control(kind)] }
        } else {
          const rest = this.#list()
          if (rest.ending.kind !== 'end') this.#stop(`expected end; found ${rest.ending.text}`)
          otherwise = rest.list
        }
      }
      this.#variables.length = mark
      return { kind, from: pipe.from, pipe, list, otherwise }
    })
  }

  #pipe(context: string, end: '}}' | ')'): Pipe {
    const from = this.#peekWord().from
    const declared: Variable[] = []
    let isAssignment = false
    while (this.#peekWord().kind === 'variable') {
      const mark = this.#next
      const variable = this.#take()
      const next = this.#peekWord()
      const declare = (): void => {
        this.#take()
        declared.push({ kind: 'variable', from: variable.from, name: variable.text, fields: [] })
        this.#variables.push(variable.text)
      }
      if (next.kind === '=' || next.kind === ':=') {
        isAssignment = next.kind === '='
        declare()
      } else if (next.kind === 'char' && next.text === ',') {
        declare()
        if (context !== 'range' || declared.length >= 2) this.#stop(`too many declarations in ${context}`)
        const after = this.#peekWord().kind
        if (after !== 'variable' && after !== '}}' && after !== ')') this.#stop('range can only initialize variables')
        continue
      } else this.#next = mark
      break
    }
    const commands: Command[] = []
    for (;;) {
      const token = this.#peekWord()
      if (token.kind === end) {
        this.#take()
        break
      }
      if (!startsOperand(token)) {
        this.#take()
        this.#unexpected(token, context)
      }
      commands.push(this.#command())
    }
    if (commands.length === 0) this.#stop(`missing value for ${context}`)
    for (let i = 1; i < commands.length; i++) {
      const first = commands[i]!.args[0].kind
      if (first === 'bool' || first === 'dot' || first === 'nil' || first === 'number' || first === 'string') {
        this.#stop(`non executable command in pipeline stage ${i + 1}`)
      }
    }
    return { kind: 'pipe', from, declared, isAssignment, commands }
  }

  #command(): Command {
    const from = this.#peekWord().from
    const args: Operand[] = []
    for (;;) {
      this.#skipSpace()
      const operand = this.#operand()
      if (operand !== null) args.push(operand)
      const token = this.#peek()
      if (token.kind === 'space') {
        this.#take()
        continue
      }
      if (token.kind === '|') this.#take()
      else if (token.kind !== '}}' && token.kind !== ')') this.#unexpected(this.#take(), 'operand')
      break
    }
    const [first, ...rest] = args
    if (first === undefined) this.#stop('empty command')
    return { kind: 'command', from, args: [first, ...rest] }
  }

  #operand(): Operand | null {
    const term = this.#term()
    if (term === null || this.#peek().kind !== 'field') return term
    const from = this.#peek().from
    const fields: string[] = []
    while (this.#peek().kind === 'field') fields.push(this.#take().text.slice(1))
    switch (term.kind) {
      case 'field':
        return { kind: 'field', from, fields: [...term.fields, ...fields] }
      case 'variable':
        return { kind: 'variable', from, name: term.name, fields: [...term.fields, ...fields] }
      case 'bool':
        return this.#stop(`unexpected . after term "${term.value}"`)
      case 'dot':
        return this.#stop('unexpected . after term "."')
      case 'nil':
        return this.#stop('unexpected . after term "nil"')
      case 'number':
        return this.#stop(`unexpected . after term ${quote(term.text)}`)
      case 'string':
        return this.#stop(`unexpected . after term ${quote(term.quoted)}`)
      default:
        return { kind: 'chain', from, operand: term, fields }
    }
  }

  #term(): Operand | null {
    const token = this.#peekWord()
    const from = token.from
    switch (token.kind) {
      case 'identifier':
        this.#take()
        if (!this.#functions(token.text)) this.#stop(`function ${quote(token.text)} not defined`)
        return { kind: 'identifier', from, name: token.text }
      case 'dot':
        this.#take()
        return { kind: 'dot', from }
      case 'keyword':
        if (token.text !== 'nil') return null
        this.#take()
        return { kind: 'nil', from }
      case 'variable':
        this.#take()
        if (!this.#variables.includes(token.text)) this.#stop(`undefined variable ${quote(token.text)}`)
        return { kind: 'variable', from, name: token.text, fields: [] }
      case 'field':
        this.#take()
        return { kind: 'field', from, fields: [token.text.slice(1)] }
      case 'bool':
        this.#take()
        return { kind: 'bool', from, value: token.text === 'true' }
      case 'charConstant':
      case 'complex':
      case 'number': {
        this.#take()
        const number: NumberConstant | string = readNumber(token.text, from, token.kind)
        return typeof number === 'string' ? this.#stop(number) : number
      }
      case '(':
        this.#take()
        return this.#nest(() => this.#pipe('parenthesized pipeline', ')'))
      case 'string':
      case 'rawString':
        this.#take()
        return { kind: 'string', from, quoted: token.text, value: unquote(token.text) ?? this.#stop('invalid syntax') }
      default:
        return null
    }
  }
}

function isEnding(node: Statement | Ending): node is Ending {
  return node.kind === 'end' || node.kind === 'else'
}

function startsOperand(token: Token): boolean {
  switch (token.kind) {
    case 'bool':
    case 'charConstant':
    case 'complex':
    case 'dot':
    case 'field':
    case 'identifier':
    case 'number':
    case 'rawString':
    case 'string':
    case 'variable':
    case '(':
      return true
    default:
      return token.kind === 'keyword' && token.text === 'nil'
  }
}

/** A token as Go's messages show it. */
function describe(token: Token): string {
  if (token.kind === 'eof') return 'EOF'
  if (token.kind === 'keyword' || token.kind === 'dot') return `<${token.text}>`
  if (utf8Length(token.text) <= 10) return quote(token.text)
  return `${quote(Array.from(token.text).slice(0, 10).join(''))}...`
}
