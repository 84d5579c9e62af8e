/**
 * Where in an HTML document a text stops: the state that decides how what follows must be escaped.
 * Source of the states and their transitions: Go's html/template (context.go, transition.go).
 */

export type HtmlState =
  | 'text' | 'tag' | 'attrName' | 'afterName' | 'beforeValue' | 'htmlComment' | 'rcdata' | 'attr' | 'url' | 'srcset' | 'metaContent' | 'metaContentUrl'
  | 'js' | 'jsDoubleQuoted' | 'jsSingleQuoted' | 'jsTemplate' | 'jsRegexp' | 'jsBlockComment' | 'jsLineComment' | 'jsHtmlOpenComment' | 'jsHtmlCloseComment'
  | 'css' | 'cssDoubleQuoted' | 'cssSingleQuoted' | 'cssDoubleQuotedUrl' | 'cssSingleQuotedUrl' | 'cssUrl' | 'cssBlockComment' | 'cssLineComment'
  | 'error' | 'dead' // prettier-ignore

export type HtmlContext = Readonly<{
  state: HtmlState
  /** How the attribute value we are in ends: '' = none. */
  delim: '' | '"' | "'" | ' '
  urlPart: 'none' | 'preQuery' | 'queryOrFragment' | 'unknown'
  /** Whether a `/` in JavaScript starts a regular expression or divides. */
  jsSlash: 'regexp' | 'divide' | 'unknown'
  /** Open braces in each `${` of a JavaScript template we are in. */
  jsBraces: readonly number[]
  attr: AttrKind
  element: ElementKind
  /** Only in the error state. */
  error: string
}>
type AttrKind = 'none' | 'script' | 'scriptType' | 'style' | 'url' | 'srcset' | 'metaContent'
type ElementKind = 'none' | 'script' | 'style' | 'textarea' | 'title' | 'meta'

export const textContext: HtmlContext = {
  state: 'text', delim: '', urlPart: 'none', jsSlash: 'regexp', jsBraces: [], attr: 'none', element: 'none', error: '',
} // prettier-ignore

export function errorContext(error: string): HtmlContext {
  return { ...textContext, state: 'error', error }
}

export function sameContext(a: HtmlContext, b: HtmlContext): boolean {
  return contextKey(a) === contextKey(b)
}

export function contextKey(c: HtmlContext): string {
  return [c.state, c.delim, c.urlPart, c.jsSlash, c.jsBraces.join('-'), c.attr, c.element, c.error].join('|')
}

/** For messages. */
export function describeContext(c: HtmlContext): string {
  const value = c.delim === '' ? '' : ` in an attribute value${c.delim === ' ' ? '' : ` up to ${c.delim}`}`
  return `${c.state}${value}${c.element === 'none' ? '' : ` of <${c.element}>`}`
}

export function isComment(state: HtmlState): boolean {
  return state === 'htmlComment' || state === 'jsBlockComment' || state === 'jsLineComment' || state === 'jsHtmlOpenComment' || state === 'jsHtmlCloseComment' || state === 'cssBlockComment' || state === 'cssLineComment' // prettier-ignore
}

export function isScriptLiteral(state: HtmlState): boolean {
  return state === 'jsDoubleQuoted' || state === 'jsSingleQuoted' || state === 'jsTemplate' || state === 'jsRegexp'
}

/** Before a value: where an attribute name or an unquoted value is about to start, it starts. */
export function nudge(c: HtmlContext): HtmlContext {
  switch (c.state) {
    case 'tag':
      return { ...c, state: 'attrName' }
    case 'beforeValue':
      return { ...c, state: valueStates[c.attr], delim: ' ', attr: 'none' }
    case 'afterName':
      return { ...c, state: 'attrName', attr: 'none' }
    default:
      return c
  }
}

const valueStates: Readonly<Record<AttrKind, HtmlState>> = {
  none: 'attr', script: 'js', scriptType: 'attr', style: 'css', url: 'url', srcset: 'srcset', metaContent: 'metaContent',
} // prettier-ignore

type Step = Readonly<{ context: HtmlContext; read: number }>
const failed = (error: string, text: string): Step => ({ context: errorContext(error), read: text.length })

/** The context after some of the text; `read` characters of it belong to the step, more than none unless the state changed. */
export function contextAfter(c: HtmlContext, text: string): Step {
  if (c.delim === '') {
    const end = elementEnd(c, text)
    if (end === 0) return { context: textContext, read: 0 }
    return transition(c, text.slice(0, end))
  }
  const ends = c.delim === ' ' ? /[ \t\n\f\r>]/ : c.delim === '"' ? /"/ : /'/
  const found = text.search(ends)
  const end = found === -1 ? text.length : found
  if (c.delim === ' ') {
    const bad = /["'<=`]/.exec(text.slice(0, end))
    if (bad !== null) return failed(`${JSON.stringify(bad[0])} in unquoted attr: ${JSON.stringify(text.slice(0, end))}`, text)
  }
  if (found === -1) {
    // still inside the value, whose entities the browser decodes before it reads it
    let context = c
    for (let rest = decodeEntities(text); rest !== '';) {
      const step = transition(context, rest)
      context = step.context
      rest = rest.slice(step.read)
    }
    return { context, read: text.length }
  }
  const notScript = c.state === 'attr' && c.element === 'script' && c.attr === 'scriptType' && !isJsType(text.slice(0, end))
  const context: HtmlContext = { ...textContext, state: 'tag', element: notScript ? 'none' : c.element }
  return { context, read: c.delim === ' ' ? end : end + 1 }
}

/** Where the element whose content we are in ends, `text.length` where it does not. */
function elementEnd(c: HtmlContext, text: string): number {
  if (c.element === 'none') return text.length
  if (c.element === 'script' && (isScriptLiteral(c.state) || isComment(c.state))) return text.length
  const name = c.element === 'meta' ? '' : c.element
  const at = text.search(new RegExp(`</${name}[> \\t\\n\\f/]`, 'i'))
  return at === -1 ? text.length : at
}

function transition(c: HtmlContext, text: string): Step {
  const all = { context: c, read: text.length }
  switch (c.state) {
    case 'text':
      return afterText(c, text)
    case 'tag':
      return afterTag(c, text)
    case 'attrName': {
      const end = attrNameEnd(text)
      if (end < 0) return badAttrName(text, 0)
      return { context: end === text.length ? c : { ...c, state: 'afterName' }, read: end }
    }
    case 'afterName': {
      const at = skipSpace(text, 0)
      if (at === text.length) return all
      return text[at] === '=' ? { context: { ...c, state: 'beforeValue' }, read: at + 1 } : { context: { ...c, state: 'tag' }, read: at }
    }
    case 'beforeValue': {
      const at = skipSpace(text, 0)
      if (at === text.length) return all
      const quote = text[at]
      const delim = quote === '"' || quote === "'" ? quote : ' '
      return { context: { ...c, state: valueStates[c.attr], delim }, read: delim === ' ' ? at : at + 1 }
    }
    case 'htmlComment': {
      const end = text.indexOf('-->')
      return end === -1 ? all : { context: textContext, read: end + 3 }
    }
    case 'url':
    case 'srcset':
      return { context: afterUrl(c, text), read: text.length }
    case 'metaContent': {
      const found = /url[ \t\n\f\r]*=/i.exec(text)
      return found === null ? all : { context: { ...c, state: 'metaContentUrl' }, read: found.index + found[0].length }
    }
    case 'metaContentUrl': {
      const end = text.indexOf(';')
      return end === -1 ? all : { context: { ...c, state: 'metaContent' }, read: end + 1 }
    }
    case 'js':
      return afterJs(c, text)
    case 'jsTemplate':
      return afterJsTemplate(c, text)
    case 'jsDoubleQuoted':
    case 'jsSingleQuoted':
    case 'jsRegexp':
      return afterJsLiteral(c, text)
    case 'jsBlockComment':
    case 'cssBlockComment': {
      const end = text.indexOf('*/')
      return end === -1 ? all : { context: { ...c, state: c.state === 'jsBlockComment' ? 'js' : 'css' }, read: end + 2 }
    }
    case 'jsLineComment':
    case 'jsHtmlOpenComment':
    case 'jsHtmlCloseComment': {
      const end = text.search(/[\n\r\u2028\u2029]/)
      return end === -1 ? all : { context: { ...c, state: 'js' }, read: end }
    }
    case 'cssLineComment': {
      const end = text.search(/[\n\f\r]/)
      return end === -1 ? all : { context: { ...c, state: 'css' }, read: end }
    }
    case 'css':
      return afterCss(c, text)
    case 'cssDoubleQuoted':
    case 'cssSingleQuoted':
    case 'cssDoubleQuotedUrl':
    case 'cssSingleQuotedUrl':
    case 'cssUrl':
      return afterCssString(c, text)
    default:
      return all
  }
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && ' \t\n\f\r'.includes(text[at]!)) at++
  return at
}

const tagName = /[a-zA-Z](?:[a-zA-Z0-9]|[:-](?=[a-zA-Z0-9])[a-zA-Z0-9])*/y
const elements: ReadonlySet<string> = new Set(['script', 'style', 'textarea', 'title', 'meta'])

function afterText(c: HtmlContext, text: string): Step {
  for (let from = 0; ;) {
    const open = text.indexOf('<', from)
    if (open === -1 || open + 1 === text.length) return { context: c, read: text.length }
    if (text.startsWith('<!--', open)) return { context: { ...textContext, state: 'htmlComment' }, read: open + 4 }
    const isEnd = text[open + 1] === '/'
    const start = open + (isEnd ? 2 : 1)
    if (start === text.length) return { context: c, read: text.length }
    tagName.lastIndex = start
    const found = tagName.exec(text)
    if (found !== null) {
      const name = found[0].toLowerCase()
      const element = !isEnd && elements.has(name) ? (name as ElementKind) : 'none'
      return { context: { ...textContext, state: 'tag', element }, read: start + found[0].length }
    }
    from = start
  }
}

function afterTag(c: HtmlContext, text: string): Step {
  const at = skipSpace(text, 0)
  if (at === text.length) return { context: c, read: text.length }
  if (text[at] === '>') {
    const state: HtmlState = c.element === 'script' ? 'js' : c.element === 'style' ? 'css' : c.element === 'textarea' || c.element === 'title' ? 'rcdata' : 'text' // prettier-ignore
    return { context: { ...textContext, state, element: c.element === 'meta' ? 'none' : c.element }, read: at + 1 }
  }
  const length = attrNameEnd(text.slice(at))
  if (length < 0) return badAttrName(text, at)
  if (length === 0) return failed(`expected space, attr name, or end of tag, but got ${JSON.stringify(text.slice(at))}`, text)
  const name = text.slice(at, at + length).toLowerCase()
  const end = at + length
  return { context: { ...textContext, state: end === text.length ? 'attrName' : 'afterName', element: c.element, attr: attrOf(c.element, name) }, read: end } // prettier-ignore
}

function attrOf(element: ElementKind, name: string): AttrKind {
  if (element === 'script' && name === 'type') return 'scriptType'
  if (element === 'meta' && name === 'content') return 'metaContent'
  const kind = attrContent(name)
  return kind === 'url' || kind === 'style' || kind === 'script' || kind === 'srcset' ? kind : 'none'
}

/** -1 where a character is not allowed. */
function attrNameEnd(text: string): number {
  const at = text.search(/[ \t\n\f\r=>'"<]/)
  if (at === -1) return text.length
  return /['"<]/.test(text[at]!) ? -1 : at
}

function badAttrName(text: string, from: number): Step {
  const bad = /['"<]/.exec(text.slice(from))![0]
  return failed(`${JSON.stringify(bad)} in attribute name: ${JSON.stringify(text.slice(from, from + 32))}`, text)
}

export type AttrContent = 'plain' | 'unsafe' | 'url' | 'style' | 'script' | 'srcset' | 'html'
const attrContents: ReadonlyMap<string, AttrContent> = new Map<string, AttrContent>([
  ...['action', 'archive', 'background', 'cite', 'classid', 'codebase', 'data', 'formaction', 'href', 'icon', 'longdesc', 'manifest', 'poster', 'profile', 'src', 'usemap', 'xmlns'].map((name) => [name, 'url'] as const), // prettier-ignore
  ...['accept-charset', 'async', 'challenge', 'charset', 'content', 'crossorigin', 'defer', 'enctype', 'form', 'formenctype', 'formmethod', 'formnovalidate', 'http-equiv', 'keytype', 'language', 'method', 'novalidate', 'pattern', 'rel', 'sandbox', 'type', 'value'].map((name) => [name, 'unsafe'] as const), // prettier-ignore
  ...['srclang'].map((name) => [name, 'plain'] as const),
  ['srcset', 'srcset'],
  ['srcdoc', 'html'],
  ['style', 'style'],
])

/** What the value of an attribute holds; by name where HTML does not know it. */
export function attrContent(attribute: string): AttrContent {
  let name = attribute
  if (name.startsWith('data-')) name = name.slice(5)
  else if (name.includes(':')) {
    if (name.startsWith('xmlns:')) return 'url'
    name = name.slice(name.indexOf(':') + 1)
  }
  const known = attrContents.get(name)
  if (known !== undefined) return known
  if (name.startsWith('on')) return 'script'
  return /src|uri|url/.test(name) ? 'url' : 'plain'
}

function afterUrl(c: HtmlContext, text: string): HtmlContext {
  if (/[#?]/.test(text)) return { ...c, urlPart: 'queryOrFragment' }
  return c.urlPart === 'none' && skipSpace(text, 0) < text.length ? { ...c, urlPart: 'preQuery' } : c
}

function afterJs(c: HtmlContext, text: string): Step {
  const at = text.search(/["`'/{}<\-#]/)
  if (at === -1) return { context: { ...c, jsSlash: slashAfter(text, c.jsSlash) }, read: text.length }
  const jsSlash = slashAfter(text.slice(0, at), c.jsSlash)
  const now: HtmlContext = { ...c, jsSlash }
  const next = text[at + 1]
  switch (text[at]) {
    case '"':
      return { context: { ...now, state: 'jsDoubleQuoted', jsSlash: 'regexp' }, read: at + 1 }
    case "'":
      return { context: { ...now, state: 'jsSingleQuoted', jsSlash: 'regexp' }, read: at + 1 }
    case '`':
      return { context: { ...now, state: 'jsTemplate', jsSlash: 'regexp' }, read: at + 1 }
    case '/':
      if (next === '/') return { context: { ...now, state: 'jsLineComment' }, read: at + 2 }
      if (next === '*') return { context: { ...now, state: 'jsBlockComment' }, read: at + 2 }
      if (jsSlash === 'regexp') return { context: { ...now, state: 'jsRegexp' }, read: at + 1 }
      if (jsSlash === 'divide') return { context: { ...now, jsSlash: 'regexp' }, read: at + 1 }
      return failed(`'/' could start a division or regexp: ${JSON.stringify(text.slice(at, at + 32))}`, text)
    case '<':
      if (text.startsWith('<!--', at)) return { context: { ...now, state: 'jsHtmlOpenComment' }, read: at + 4 }
      break
    case '-':
      if (text.startsWith('-->', at)) return { context: { ...now, state: 'jsHtmlCloseComment' }, read: at + 3 }
      break
    case '#':
      if (next === '!') return { context: { ...now, state: 'jsLineComment' }, read: at + 2 }
      break
    case '{':
    case '}': {
      const braces = [...c.jsBraces]
      const context: HtmlContext = { ...now, jsSlash: 'regexp' }
      if (braces.length === 0) return { context, read: at + 1 }
      braces[braces.length - 1]! += text[at] === '{' ? 1 : -1
      if (braces.at(-1)! >= 0) return { context: { ...context, jsBraces: braces }, read: at + 1 }
      return { context: { ...now, state: 'jsTemplate', jsBraces: braces.slice(0, -1) }, read: at + 1 }
    }
  }
  return { context: now, read: at + 1 }
}

const regexpKeywords = new Set('break case continue delete do else finally in instanceof return throw try typeof void'.split(' '))

/** Whether a `/` behind this JavaScript starts a regular expression: by the last word or sign, `before` where there is only space. */
function slashAfter(text: string, before: HtmlContext['jsSlash']): HtmlContext['jsSlash'] {
  const code = text.replace(/[\f\n\r\t\v \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+$/, '')
  const last = code.at(-1)
  if (last === undefined) return before
  if (last === '+' || last === '-') {
    // x++ and x-- end an operand, a single sign does not
    let count = 1
    while (code.at(-1 - count) === last) count++
    return count % 2 === 1 ? 'regexp' : 'divide'
  }
  if (last === '.') return code.length !== 1 && /[0-9]/.test(code.at(-2)!) ? 'divide' : 'regexp'
  if (',<>=*%&|^?!~([:;{}'.includes(last)) return 'regexp'
  return regexpKeywords.has(/[$0-9A-Z_a-z]*$/.exec(code)![0]) ? 'regexp' : 'divide'
}

function afterJsTemplate(c: HtmlContext, text: string): Step {
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '\\') {
      if (++i === text.length) return failed(`unfinished escape sequence in JS string: ${JSON.stringify(text)}`, text)
    } else if (char === '$' && text[i + 1] === '{') return { context: { ...c, state: 'js', jsBraces: [...c.jsBraces, 0] }, read: i + 2 }
    else if (char === '`') return { context: { ...c, state: 'js' }, read: i + 1 }
  }
  return { context: c, read: text.length }
}

function afterJsLiteral(c: HtmlContext, text: string): Step {
  const end = c.state === 'jsDoubleQuoted' ? '"' : c.state === 'jsSingleQuoted' ? "'" : '/'
  let inCharset = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '\\') {
      if (++i === text.length) return failed(`unfinished escape sequence in JS string: ${JSON.stringify(text)}`, text)
    } else if (end === '/' && char === '[') inCharset = true
    else if (end === '/' && char === ']') inCharset = false
    else if (char === end && !inCharset) {
      if (end === '/' && /^<\/script/i.test(text.slice(Math.max(0, i - 1), i + 7))) continue
      return { context: { ...c, state: 'js', jsSlash: 'divide' }, read: i + 1 }
    }
  }
  if (inCharset) return failed(`unfinished JS regexp charset: ${JSON.stringify(text)}`, text)
  return { context: c, read: text.length }
}

function afterCss(c: HtmlContext, text: string): Step {
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '"') return { context: { ...c, state: 'cssDoubleQuoted' }, read: i + 1 }
    if (char === "'") return { context: { ...c, state: 'cssSingleQuoted' }, read: i + 1 }
    if (char === '/' && text[i + 1] === '/') return { context: { ...c, state: 'cssLineComment' }, read: i + 2 }
    if (char === '/' && text[i + 1] === '*') return { context: { ...c, state: 'cssBlockComment' }, read: i + 2 }
    if (char === '(' && /(?:^|[^-\w\u0080-\uffff])url[ \t\n\f\r]*$/i.test(text.slice(0, i))) {
      const at = skipSpace(text, i + 1)
      if (text[at] === '"') return { context: { ...c, state: 'cssDoubleQuotedUrl' }, read: at + 1 }
      if (text[at] === "'") return { context: { ...c, state: 'cssSingleQuotedUrl' }, read: at + 1 }
      return { context: { ...c, state: 'cssUrl' }, read: at }
    }
  }
  return { context: c, read: text.length }
}

function afterCssString(c: HtmlContext, text: string): Step {
  const end = c.state === 'cssUrl' ? /[\t\n\f\r )]/ : c.state.startsWith('cssDouble') ? /"/ : /'/
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') {
      if (++i === text.length) return failed(`unfinished escape sequence in CSS string: ${JSON.stringify(text)}`, text)
    } else if (end.test(text[i]!)) return { context: { ...afterUrl(c, decodeCss(text.slice(0, i + 1))), state: 'css' }, read: i + 1 }
  }
  return { context: afterUrl(c, decodeCss(text)), read: text.length }
}

/** CSS escapes: `\26`, `\000026`, `\&`. */
export function decodeCss(text: string): string {
  return text.replace(/\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[\t\n\f\r ])?|([^]))?/gu, (_, hex: string | undefined, char: string | undefined) => {
    if (hex === undefined) return char ?? ''
    const code = parseInt(hex, 16)
    return code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? '\ufffd' : String.fromCodePoint(code)
  })
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', sol: '/', quest: '?', num: '#', colon: ':', equals: '=', lpar: '(', rpar: ')', lbrace: '{', rbrace: '}', lcub: '{', rcub: '}', semi: ';', comma: ',', Tab: '\t', NewLine: '\n', grave: '`', DiacriticalGrave: '`', bsol: '\\', lsqb: '[', lbrack: '[', rsqb: ']', rbrack: ']', dollar: '$', plus: '+', excl: '!', percnt: '%', ast: '*', midast: '*', commat: '@', lowbar: '_', UnderBar: '_', verbar: '|', vert: '|', VerticalLine: '|', period: '.', Hat: '^' } // prettier-ignore

/** The entities that can change a state: all of ASCII by name, and all by number. */
function decodeEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(
    /&(?:#(\d+);?|#[xX]([0-9a-fA-F]+);?|([a-zA-Z]+);?)/g,
    (whole, decimal: string | undefined, hex: string | undefined, name: string | undefined) => {
      // prettier-ignore
      if (name !== undefined) return entities[name] ?? whole
      const code = decimal === undefined ? parseInt(hex!, 16) : parseInt(decimal, 10)
      return code > 0x10ffff || code === 0 || (code >= 0xd800 && code < 0xe000) ? '\ufffd' : String.fromCodePoint(code)
    },
  )
}

const jsTypes = new Set('application/ecmascript application/javascript application/json application/ld+json application/x-ecmascript application/x-javascript module text/ecmascript text/javascript text/javascript1.0 text/javascript1.1 text/javascript1.2 text/javascript1.3 text/javascript1.4 text/javascript1.5 text/jscript text/livescript text/x-ecmascript text/x-javascript'.split(' ')) // prettier-ignore

function isJsType(mimeType: string): boolean {
  const plain = mimeType.split(';')[0]!.toLowerCase().trim()
  return plain === '' || jsTypes.has(plain)
}
