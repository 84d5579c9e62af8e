import { quote } from '../model/labels.ts'
import type { List, Pipe, Statement, TemplateBody } from './ast.ts'
import { lineOf, locate, printNode } from './ast.ts'
import type { Template } from './expand.ts'
import type { HtmlContext } from './html-context.ts'
import {
  contextAfter,
  contextKey,
  describeContext,
  errorContext,
  isComment,
  isScriptLiteral,
  nudge,
  sameContext,
  textContext,
} from './html-context.ts'
import type { EscaperName } from './html-escapers.ts'
import { escapers } from './html-escapers.ts'
import { FunctionError } from './value.ts'

/**
 * Makes a text template safe for HTML: every action gets the escapers its place in the document asks for, comments and stray `<` in the text
 * go. A body called in several places exists once per kind of place. Source of the rules: Go's html/template/escape.go.
 */

/** @returns the template to expand, or why its main body cannot be escaped: `html/template:name:line:column: …`. */
export function escapeTemplate<E>(template: Template<E>): { kind: 'ok'; template: Template<E> } | { kind: 'failed'; message: string } {
  const escaper = new TemplateEscaper(template.bodies)
  const main = escaper.escapeRoot(template.name)
  if (main !== null) return { kind: 'failed', message: main }
  // bodies a function may run by name start a document of their own
  for (const name of template.bodies.keys()) {
    const why = name === template.name ? null : escaper.escapeRoot(name)
    if (why !== null) escaper.refuse(name, why)
  }
  return { kind: 'ok', template: { ...template, bodies: escaper.bodies(), filters: escaper.filters } }
}

type Scope = {
  /** Context behind each body, by derived name: known, or assumed while it is worked out. */
  readonly outputs: Map<string, HtmlContext>
  readonly bodies: Map<string, TemplateBody>
  readonly called: Set<string>
}
type RangeScope = { readonly outer: RangeScope | null; readonly leaving: HtmlContext[] }
type Escaped<T> = Readonly<{ context: HtmlContext; node: T }>

type BranchStatement = Extract<Statement, { kind: 'if' | 'with' | 'range' }>

const dead: HtmlContext = { ...textContext, state: 'dead' }
const predefined: ReadonlySet<string> = new Set(['html', 'urlquery'])
/** Which predefined escaper does the same. */
const alike: Partial<Record<EscaperName, EscaperName>> = { attrEscaper: 'html', htmlEscaper: 'html', rcdataEscaper: 'html', urlEscaper: 'urlquery', urlNormalizer: 'urlquery' } // prettier-ignore
/** After the first the second has nothing left to do. */
const redundant: Partial<Record<EscaperName, readonly EscaperName[]>> = {
  commentEscaper: ['attrEscaper', 'htmlEscaper'],
  cssEscaper: ['attrEscaper'],
  jsRegexpEscaper: ['attrEscaper'],
  jsStrEscaper: ['attrEscaper'],
  jsTmplLitEscaper: ['attrEscaper'],
  urlEscaper: ['urlNormalizer'],
}

class TemplateEscaper {
  readonly filters = new Map<Statement, readonly ((value: unknown) => unknown)[]>()
  readonly #originals: ReadonlyMap<string, TemplateBody>
  #scope: Scope = { outputs: new Map(), bodies: new Map(), called: new Set() }
  #range: RangeScope | null = null
  #body!: TemplateBody

  constructor(originals: ReadonlyMap<string, TemplateBody>) {
    this.#originals = originals
  }

  bodies(): ReadonlyMap<string, TemplateBody> {
    return this.#scope.bodies
  }

  /** Escapes a body as a document of its own. Null where it worked. */
  escapeRoot(name: string): string | null {
    const before = this.#scope
    this.#scope = copyScope(before)
    const { context } = this.#callBody(textContext, name, null)
    if (context.state === 'error' || context.state !== 'text') {
      this.#scope = before
      if (context.state === 'error') return context.error
      return `html/template:${name}: ends in a non-text context: ${describeContext(context)}`
    }
    return null
  }

  /** The body stays callable, and says why it cannot run. */
  refuse(name: string, why: string): void {
    const original = this.#originals.get(name)!
    const pipe: Pipe = { kind: 'pipe', from: 0, declared: [], isAssignment: false, commands: [{ kind: 'command', from: 0, args: [{ kind: 'bool', from: 0, value: true }] }] } // prettier-ignore
    const statement: Statement = { kind: 'action', from: 0, pipe }
    this.filters.set(statement, [() => { throw new FunctionError(why) }]) // prettier-ignore
    this.#scope.bodies.set(name, { ...original, root: { kind: 'list', from: 0, nodes: [statement] } })
  }

  #error(node: Statement | null, message: string): HtmlContext {
    const where = node === null ? this.#body.name : locate(this.#body.source, node.from)
    return errorContext(`html/template:${where}: ${message}`)
  }

  /** An error without a place gets the line of the statement. */
  #placed(context: HtmlContext, node: Statement): HtmlContext {
    if (context.state !== 'error' || context.error.startsWith('html/template')) return context
    return errorContext(`html/template:${this.#body.source.name}:${lineOf(this.#body.source.text, node.from)}: ${context.error}`)
  }

  #list(start: HtmlContext, list: List): Escaped<List> {
    let context = start
    const nodes: Statement[] = []
    for (const statement of list.nodes) {
      const done = this.#statement(context, statement)
      context = done.context
      nodes.push(done.node)
      if (context.state === 'dead' || context.state === 'error') break
    }
    return { context, node: { ...list, nodes } }
  }

  #statement(context: HtmlContext, statement: Statement): Escaped<Statement> {
    if (context.state === 'error') return { context, node: statement }
    switch (statement.kind) {
      case 'text':
        return this.#text(context, statement)
      case 'action':
        return this.#action(context, statement)
      case 'break':
      case 'continue':
        this.#range?.leaving.push(context)
        return { context: dead, node: statement }
      case 'template': {
        const { context: after, name } = this.#callBody(context, statement.name, statement)
        return { context: after, node: { ...statement, name } }
      }
      case 'if':
      case 'with':
      case 'range':
        return this.#branch(context, statement)
    }
  }

  #branch(start: HtmlContext, statement: BranchStatement): Escaped<Statement> {
    const outer = this.#range
    const isRange = statement.kind === 'range'
    if (isRange) this.#range = { outer, leaving: [] }
    const body = this.#list(start, statement.list)
    let context = body.context
    if (isRange) {
      context = this.#joinLeaving(context, statement)
      if (context.state !== 'error') {
        // the body again, as it starts the second time round: only its end counts
        this.#range = { outer, leaving: [] }
        const saved = this.#scope
        this.#scope = copyScope(saved)
        const again = this.#list(context, statement.list).context
        this.#scope = saved
        context = this.#joinLeaving(this.#join(context, again, statement, 'on range loop re-entry: '), statement)
      }
      this.#range = outer
    }
    if (statement.otherwise === null) return { context: this.#join(context, start, statement), node: { ...statement, list: body.node } }
    const otherwise = this.#list(start, statement.otherwise)
    return {
      context: this.#join(context, otherwise.context, statement),
      node: { ...statement, list: body.node, otherwise: otherwise.node },
    }
  }

  #joinLeaving(context: HtmlContext, statement: Statement): HtmlContext {
    return (this.#range?.leaving ?? []).reduce((joined, each) => this.#join(joined, each, statement, 'at range loop break: '), context)
  }

  #join(a: HtmlContext, b: HtmlContext, statement: Statement, prefix = ''): HtmlContext {
    if (a.state === 'error') return a
    if (b.state === 'error') return b
    if (a.state === 'dead') return b
    if (b.state === 'dead') return a
    if (sameContext(a, b)) return a
    if (sameContext({ ...a, urlPart: b.urlPart }, b)) return { ...a, urlPart: 'unknown' }
    if (sameContext({ ...a, jsSlash: b.jsSlash }, b)) return { ...a, jsSlash: 'unknown' }
    const c = nudge(a)
    const d = nudge(b)
    if (!sameContext(c, a) || !sameContext(d, b)) {
      const joined = this.#join(c, d, statement, prefix)
      if (joined.state !== 'error') return joined
    }
    return this.#error(
      statement,
      `${prefix}{{${statement.kind}}} branches end in different contexts: ${describeContext(a)}, ${describeContext(b)}`,
    )
  }

  /** A body as it is when it starts in this context. */
  #callBody(start: HtmlContext, name: string, at: Statement | null): { context: HtmlContext; name: string } {
    const derived = start.state === 'text' ? name : `${name}$htmltemplate_${contextKey(start)}`
    this.#scope.called.add(derived)
    const known = this.#scope.outputs.get(derived)
    if (known !== undefined) return { context: known, name: derived }
    const original = this.#originals.get(name)
    if (original === undefined) {
      const message = `no such template ${quote(name)}`
      return { context: at === null ? errorContext(`html/template: ${message}`) : this.#error(at, message), name: derived }
    }
    const caller = this.#body
    const outerRange = this.#range
    this.#range = null
    let context = this.#tryBody(start, start, original, derived)
    if (context.ok === false && context.context.state !== 'error') {
      // it calls itself, and ends elsewhere than assumed: assume that
      context = this.#tryBody(start, context.context, original, derived)
      if (context.ok === false && context.context.state !== 'error') {
        this.#body = original
        context = { ok: false, context: this.#error(null, `cannot compute output context for template ${name}`) }
      }
    }
    this.#body = caller
    this.#range = outerRange
    if (!context.ok) this.#scope.outputs.delete(derived)
    return { context: context.context, name: derived }
  }

  #tryBody(start: HtmlContext, assumed: HtmlContext, original: TemplateBody, derived: string): { ok: boolean; context: HtmlContext } {
    const saved = this.#scope
    const scope = copyScope(saved)
    scope.called.clear()
    scope.outputs.set(derived, assumed)
    this.#scope = scope
    this.#body = original
    const { context, node } = this.#list(start, original.root)
    this.#scope = saved
    const ok = context.state !== 'error' && (!scope.called.has(derived) || sameContext(context, assumed))
    if (ok) {
      for (const [name, output] of scope.outputs) saved.outputs.set(name, output)
      for (const [name, body] of scope.bodies) saved.bodies.set(name, body)
      for (const name of scope.called) saved.called.add(name)
      saved.outputs.set(derived, context)
      saved.bodies.set(derived, { name: derived, source: original.source, root: node })
    }
    return { ok, context }
  }

  #action(start: HtmlContext, statement: Statement & { kind: 'action' }): Escaped<Statement> {
    const { pipe } = statement
    if (pipe.declared.length > 0) return { context: start, node: statement }
    const c = nudge(start)
    for (const [i, { args }] of pipe.commands.entries()) {
      const name = args[0].kind === 'identifier' ? args[0].name : ''
      if (predefined.has(name) && (i < pipe.commands.length - 1 || (c.state === 'attr' && c.delim === ' ' && name === 'html'))) {
        return { context: this.#error(statement, `predefined escaper ${quote(name)} disallowed in template`), node: statement }
      }
    }
    const wanted = this.#escapersFor(c, statement)
    if (!Array.isArray(wanted)) return { context: wanted, node: statement }
    const context: HtmlContext = c.state === 'js' ? { ...c, jsSlash: 'divide' } : c.state === 'tag' ? { ...c, state: 'attrName' } : c
    return { context, node: this.#withEscapers(statement, wanted) }
  }

  #escapersFor(c: HtmlContext, statement: Statement): EscaperName[] | HtmlContext {
    const out: EscaperName[] = []
    switch (c.state) {
      case 'url':
      case 'cssDoubleQuoted':
      case 'cssSingleQuoted':
      case 'cssDoubleQuotedUrl':
      case 'cssSingleQuotedUrl':
      case 'cssUrl':
        if (c.urlPart === 'unknown') return this.#error(statement, `${printNode(statement)} appears in an ambiguous context within a URL`)
        if (c.urlPart === 'queryOrFragment') out.push('urlEscaper')
        else {
          if (c.urlPart === 'none') out.push('urlFilter')
          out.push(c.state === 'cssDoubleQuoted' || c.state === 'cssSingleQuoted' ? 'cssEscaper' : 'urlNormalizer')
        }
        break
      case 'metaContentUrl':
        out.push('urlFilter')
        break
      case 'js':
        out.push('jsValEscaper')
        break
      case 'jsDoubleQuoted':
      case 'jsSingleQuoted':
        out.push('jsStrEscaper')
        break
      case 'jsTemplate':
        out.push('jsTmplLitEscaper')
        break
      case 'jsRegexp':
        out.push('jsRegexpEscaper')
        break
      case 'css':
        out.push('cssValueFilter')
        break
      case 'text':
        out.push('htmlEscaper')
        break
      case 'rcdata':
        out.push('rcdataEscaper')
        break
      case 'attrName':
      case 'tag':
        out.push('htmlNameFilter')
        break
      case 'srcset':
        out.push('srcsetEscaper')
        break
      default:
        if (isComment(c.state)) out.push('commentEscaper')
    }
    if (c.delim === ' ') out.push('nospaceEscaper')
    else if (c.delim !== '') out.push('attrEscaper')
    return out
  }

  /** The statement with its escapers behind the pipeline; an `html` or `urlquery` at its end takes the place of what does the same. */
  #withEscapers(statement: Statement & { kind: 'action' }, wanted: readonly EscaperName[]): Statement {
    const { pipe } = statement
    const last = pipe.commands.at(-1)!
    const own = last.args[0].kind === 'identifier' && predefined.has(last.args[0].name) ? (last.args[0].name as EscaperName) : null
    const names: EscaperName[] = []
    let moves = false
    for (const name of wanted) {
      const isOwn = own !== null && alike[name] === own
      moves ||= isOwn
      const previous = names.at(-1)
      if (previous !== undefined && redundant[previous]?.includes(name) === true) continue
      names.push(isOwn ? own : name)
    }
    let node: Statement = { ...statement }
    if (own !== null && moves) {
      // it runs as the filter it equals: with its own arguments, or on what the commands before it give
      if (pipe.commands.length > 1 && last.args.length === 1)
        node = { ...statement, pipe: { ...pipe, commands: pipe.commands.slice(0, -1) } }
      else names.splice(names.indexOf(own), 1)
    }
    this.filters.set(
      node,
      names.map((name) => escapers[name]),
    )
    return node
  }

  #text(start: HtmlContext, statement: Statement & { kind: 'text' }): Escaped<Statement> {
    const { text } = statement
    let c = start
    let out = ''
    let written = 0
    for (let i = 0; i < text.length;) {
      const step = contextAfter(c, text.slice(i))
      const next = this.#placed(step.context, statement)
      const end = i + step.read
      if (c.state === 'text' || c.state === 'rcdata') {
        const open = next.state === c.state ? -1 : text.lastIndexOf('<', end - 1)
        const until = open < i ? end : open
        for (let j = text.indexOf('<', i); j !== -1 && j < until; j = text.indexOf('<', j + 1)) {
          if (/^<!doctype/i.test(text.slice(j, j + 9))) continue
          out += `${text.slice(written, j)}&lt;`
          written = j + 1
        }
      } else if (isComment(c.state) && c.delim === '') {
        if (c.state === 'jsBlockComment') out += /[\n\r\u2028\u2029]/.test(text.slice(written, end)) ? '\n' : ' '
        else if (c.state === 'cssBlockComment') out += ' '
        written = end
      }
      if (next.state !== c.state && isComment(next.state) && next.delim === '') {
        // the mark that opened the comment goes too
        const mark = next.state === 'htmlComment' || next.state === 'jsHtmlOpenComment' ? 4 : next.state === 'jsHtmlCloseComment' ? 3 : 2
        out += text.slice(written, end - mark)
        written = end
      }
      if (isScriptLiteral(c.state) && /<(?:script|\/script|!--)/i.test(text.slice(i, end))) {
        out += text.slice(written, i) + text.slice(i, end).replace(/<(script|\/script|!--)/gi, '\\x3C$1')
        written = end
      }
      c = next
      if (c.state === 'error') return { context: c, node: statement }
      i = end
    }
    if (written === 0) return { context: c, node: statement }
    if (!isComment(c.state) || c.delim !== '') out += text.slice(written)
    return { context: c, node: { ...statement, text: out } }
  }
}

function copyScope(scope: Scope): Scope {
  return { outputs: new Map(scope.outputs), bodies: new Map(scope.bodies), called: new Set(scope.called) }
}
