import { quote } from '../model/labels.ts'

/** The tree of a Go text/template. `from` is the UTF-16 offset into the source where the node starts, as Go counts it for its messages. */

/** One text that was parsed; its name is what error messages start with. */
export type TemplateSource = Readonly<{ name: string; text: string }>

/** A named body: the text itself, or one `define` or `block` in it. */
export type TemplateBody = Readonly<{ name: string; source: TemplateSource; root: List }>

export type List = Readonly<{ kind: 'list'; from: number; nodes: readonly Statement[] }>

export type Statement =
  | Readonly<{ kind: 'text'; from: number; text: string }>
  | Readonly<{ kind: 'action'; from: number; pipe: Pipe }>
  | Readonly<{ kind: 'if' | 'with'; from: number; pipe: Pipe; list: List; otherwise: List | null }>
  | RangeStatement
  | Readonly<{ kind: 'template'; from: number; name: string; pipe: Pipe | null }>
  | Readonly<{ kind: 'break' | 'continue'; from: number }>

export type RangeStatement = Readonly<{ kind: 'range'; from: number; pipe: Pipe; list: List; otherwise: List | null }>

/** `$a, $b := command | command`. */
export type Pipe = Readonly<{
  kind: 'pipe'
  from: number
  declared: readonly Variable[]
  isAssignment: boolean
  commands: readonly Command[]
}>
export type Command = Readonly<{ kind: 'command'; from: number; args: readonly [Operand, ...Operand[]] }>
/** `name` keeps its dollar sign. */
export type Variable = Readonly<{ kind: 'variable'; from: number; name: string; fields: readonly string[] }>

export type Operand =
  | Pipe
  | Variable
  | Readonly<{ kind: 'identifier'; from: number; name: string }>
  | Readonly<{ kind: 'dot' | 'nil'; from: number }>
  | Readonly<{ kind: 'field'; from: number; fields: readonly string[] }>
  | Readonly<{ kind: 'chain'; from: number; operand: Operand; fields: readonly string[] }>
  | Readonly<{ kind: 'bool'; from: number; value: boolean }>
  | NumberConstant
  | Readonly<{ kind: 'string'; from: number; quoted: string; value: string }>

/** An untyped constant: what it is depends on where it is used. Absent: it cannot be that. */
export type NumberConstant = Readonly<{
  kind: 'number'
  from: number
  text: string
  int?: bigint
  uint?: bigint
  float?: number
  isComplex: boolean
}>

export type Node = Statement | List | Pipe | Command | Operand

/** The node as Go prints it in `at <…>`. */
export function printNode(node: Node): string {
  switch (node.kind) {
    case 'list':
      return node.nodes.map(printNode).join('')
    case 'text':
      return node.text
    case 'action':
      return `{{${printNode(node.pipe)}}}`
    case 'if':
    case 'with':
    case 'range':
      return `{{${node.kind} ${printNode(node.pipe)}}}${printNode(node.list)}${node.otherwise === null ? '' : `{{else}}${printNode(node.otherwise)}`}{{end}}`
    case 'template':
      return `{{template ${quote(node.name)}${node.pipe === null ? '' : ` ${printNode(node.pipe)}`}}}`
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`
    case 'pipe': {
      const declared = node.declared.length === 0 ? '' : `${node.declared.map(printNode).join(', ')} ${node.isAssignment ? '=' : ':='} `
      return declared + node.commands.map(printNode).join(' | ')
    }
    case 'command':
      return node.args.map(printParenthesised).join(' ')
    case 'variable':
      return [node.name, ...node.fields].join('.')
    case 'identifier':
      return node.name
    case 'dot':
      return '.'
    case 'nil':
      return 'nil'
    case 'field':
      return node.fields.map((field) => `.${field}`).join('')
    case 'chain':
      return `${printParenthesised(node.operand)}${node.fields.map((field) => `.${field}`).join('')}`
    case 'bool':
      return String(node.value)
    case 'number':
      return node.text
    case 'string':
      return node.quoted
  }
}

function printParenthesised(node: Operand): string {
  return node.kind === 'pipe' ? `(${printNode(node)})` : printNode(node)
}

/** `name:line:column` of an offset; lines count from 1, columns are bytes from 0, as Go has them. */
export function locate(source: TemplateSource, from: number): string {
  const before = source.text.slice(0, from)
  const lineStart = before.lastIndexOf('\n') + 1
  return `${source.name}:${lineOf(source.text, from)}:${utf8Length(before.slice(lineStart))}`
}

export function lineOf(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

/** Bytes of the UTF-8 form. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit >= 0xd800 && unit <= 0xdbff && i + 1 < text.length && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      bytes += 2 // a pair is four bytes
      i++
    } else bytes += 2
  }
  return bytes
}

/** Nothing but white space and definitions: such a body does not replace another of its name. */
export function isEmptyBody(list: List): boolean {
  return list.nodes.every((node) => node.kind === 'text' && node.text.trim() === '')
}
