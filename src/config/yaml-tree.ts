// YAML text as a small tree of our own: every node knows its place, aliases are shared nodes, scalars are text until a schema asks for more.
// The dialect is that of Prometheus' parser (YAML 1.1 as go-yaml reads it): only the first document counts, `<<` merges.
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml'
import type { Node, ParsedNode } from 'yaml'
import { limits } from '../base/limits.ts'
import { messageOf } from '../base/errors.ts'
import type { ConfigProblem } from './problem.ts'

export type YamlScalar = Readonly<{ kind: 'scalar'; text: string; plain: boolean; tag: string; at: number }>
export type YamlPair = Readonly<{ key: YamlScalar; value: YamlNode }>
export type YamlMap = Readonly<{ kind: 'map'; pairs: readonly YamlPair[]; tag: string; at: number }>
export type YamlList = Readonly<{ kind: 'list'; items: readonly YamlNode[]; tag: string; at: number }>
export type YamlNode = YamlScalar | YamlMap | YamlList

export type YamlTree = Readonly<{
  /** A null scalar where the document is empty or could not be read. */
  root: YamlNode
  /** Documents in the file; all after the first are not read. */
  documents: number
  problems: readonly ConfigProblem[]
  /** Line and column of an offset, both from 1. */
  place(at: number): { line: number; column: number }
}>

/** Maps and lists within each other, and nodes in all counting every use of an alias. */
const depthMax = 100
const syntaxProblemsMax = 20

const nullAt = (at: number): YamlScalar => ({ kind: 'scalar', text: '', plain: true, tag: '', at })

/** `version` is that of go-yaml: under 3 a key that is written wins over a merged one wherever it stands, under 2 the later of the two. */
export function parseYaml(text: string, file: string, version: 2 | 3 = 2): YamlTree {
  const lines = new LineCounter()
  const problems: ConfigProblem[] = []
  const place = (at: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(at)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const report = (at: number, message: string): void => void problems.push({ file, ...place(at), path: '', message })
  const broken = (documents: number): YamlTree => ({ root: nullAt(0), documents, problems, place })

  if (text.length > limits.configBytesMax) {
    problems.push({ file, line: 0, column: 0, path: '', message: `file has ${text.length} characters, limit ${limits.configBytesMax}` })
    return broken(0)
  }
  // oxlint-disable-next-line no-control-regex
  const control = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text)
  if (control !== null) {
    lines.addNewLine(0)
    for (let i = text.indexOf('\n'); i >= 0 && i < control.index; i = text.indexOf('\n', i + 1)) lines.addNewLine(i + 1)
    report(control.index, 'yaml: control characters are not allowed')
    return broken(1)
  }
  let documents: ReturnType<typeof parseAllDocuments>
  try {
    documents = parseAllDocuments(text, {
      schema: 'failsafe',
      resolveKnownTags: false,
      lineCounter: lines,
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    })
  } catch (thrown) {
    const why = thrown instanceof RangeError ? 'exceeded max depth' : messageOf(thrown)
    problems.push({ file, line: 0, column: 0, path: '', message: `yaml: ${why}` })
    return broken(0)
  }
  if (!Array.isArray(documents) || documents.length === 0) return { root: nullAt(0), documents: 0, problems, place }
  const document = documents[0]!
  for (const error of document.errors) {
    const { line } = place(error.pos[0])
    if (problems.length >= syntaxProblemsMax || line === problems.at(-1)?.line) continue // one a line: the rest follows from it
    report(error.pos[0], `yaml: ${error.message.startsWith('Maximum call stack') ? 'exceeded max depth' : error.message}`)
  }
  if (problems.length > 0) return broken(documents.length)

  const known = new Map<Node, { node: YamlNode; size: number }>()
  const open = new Set<Node>()
  let written = 0
  const stop = new Error('stop')

  /** The node, and how many nodes it is with every alias written out. */
  const convert = (node: Node | null, at: number, depth: number): { node: YamlNode; size: number } => {
    if (node === null) return { node: nullAt(at), size: 1 }
    const offset = (node as ParsedNode).range?.[0] ?? at
    if (depth > depthMax) {
      report(offset, `yaml: more than ${depthMax} lists and maps within each other`)
      throw stop
    }
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      if (target === undefined) {
        report(offset, `yaml: unknown anchor '${node.source}' referenced`)
        throw stop
      }
      if (open.has(target)) {
        report(offset, `yaml: anchor '${node.source}' value contains itself`)
        throw stop
      }
      return known.get(target) ?? convert(target, offset, depth)
    }
    const anchor = (node as ParsedNode & { anchor?: string }).anchor
    if (anchor !== undefined) anchors.set(anchor, node)
    written++
    open.add(node)
    let made: { node: YamlNode; size: number }
    const tag = shortTag((node as { tag?: string }).tag)
    if (isMap(node)) {
      const pairs: YamlPair[] = []
      let size = 1
      for (const pair of node.items) {
        const key = convert(pair.key as Node | null, offset, depth + 1)
        const value = convert(pair.value as Node | null, key.node.at, depth + 1)
        size += key.size + value.size
        if (key.node.kind !== 'scalar') {
          report(key.node.at, `yaml: invalid map key: a ${key.node.kind}`)
          continue
        }
        pairs.push({ key: key.node, value: value.node })
      }
      made = { node: { kind: 'map', pairs: merged(pairs), tag: tag === '!!map' ? '' : tag, at: offset }, size }
    } else if (isSeq(node)) {
      let size = 1
      const items = node.items.map((item) => {
        const child = convert(item as Node | null, offset, depth + 1)
        size += child.size
        return child.node
      })
      made = { node: { kind: 'list', items, tag: tag === '!!seq' ? '' : tag, at: offset }, size }
    } else if (isScalar(node)) {
      const plain = node.type === undefined || node.type === 'PLAIN'
      const text = node.value === null ? '' : String(node.value)
      const decoded = tag === '!!binary' ? decodeBinary(text) : text
      if (decoded === null) report(offset, 'yaml: !!binary value contains invalid base64 data')
      made = { node: { kind: 'scalar', text: decoded ?? '', plain, tag, at: offset }, size: 1 }
    } else {
      made = { node: nullAt(offset), size: 1 }
    }
    open.delete(node)
    known.set(node, made)
    return made
  }

  /** Pairs with `<<` replaced by what it names: of equal keys one wins, as go-yaml decodes them. */
  const merged = (pairs: YamlPair[]): YamlPair[] => {
    if (!pairs.some(({ key }) => isMerge(key))) return pairs
    const out: YamlPair[] = []
    const mergedKeys = new Map<string, number>()
    const add = (pair: YamlPair, fromMerge: boolean): void => {
      const index = mergedKeys.get(pair.key.text)
      if (index !== undefined) {
        out[index] = pair
        if (!fromMerge) mergedKeys.delete(pair.key.text)
        return
      }
      const written = fromMerge ? out.findIndex(({ key }) => key.text === pair.key.text) : -1
      if (written >= 0) {
        if (version === 2) out[written] = pair
      } else {
        if (fromMerge) mergedKeys.set(pair.key.text, out.length)
        out.push(pair)
      }
    }
    for (const pair of pairs) {
      if (!isMerge(pair.key)) {
        add(pair, false)
        continue
      }
      const sources = pair.value.kind === 'list' ? pair.value.items.toReversed() : [pair.value]
      for (const source of sources) {
        if (source.kind === 'map') for (const inner of source.pairs) add(inner, true)
        else report(source.at, 'yaml: map merge requires map or sequence of maps as the value')
      }
    }
    return out
  }

  const anchors = new Map<string, Node>()
  try {
    const { node, size } = convert(document.contents, 0, 0)
    const repeated = size - written
    // The ratio of go-yaml: small documents may be nearly all aliases, large ones hardly
    const allowed = size <= 400_000 ? 0.99 : size >= 4_000_000 ? 0.1 : 0.99 - (0.89 * (size - 400_000)) / 3_600_000
    if (repeated > 100 && size > 1000 && repeated / size > allowed) report(0, 'yaml: document contains excessive aliasing')
    return problems.length > 0 ? broken(documents.length) : { root: node, documents: documents.length, problems, place }
  } catch (thrown) {
    if (thrown !== stop) report(0, `yaml: ${thrown instanceof RangeError ? 'exceeded max depth' : messageOf(thrown)}`)
    return broken(documents.length)
  }
}

/** Base64 as text; bytes that are no UTF-8 become lone surrogates, which no name or value may hold. Null where it is no base64. */
function decodeBinary(text: string): string | null {
  const packed = text.replace(/[\r\n]/g, '')
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(packed)) return null
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0))
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('')
  }
}

function isMerge(key: YamlScalar): boolean {
  return key.text === '<<' && (key.plain || key.tag === '!!merge')
}

function shortTag(tag: string | undefined): string {
  const prefix = 'tag:yaml.org,2002:'
  return tag === undefined ? '' : tag.startsWith(prefix) ? `!!${tag.slice(prefix.length)}` : tag
}

/** A scalar's value by YAML 1.1 as go-yaml resolves it. Numbers beyond 2^53 keep their text in `int`. */
export type Resolved =
  | Readonly<{ tag: '!!null' }>
  | Readonly<{ tag: '!!bool'; value: boolean }>
  | Readonly<{ tag: '!!int'; value: bigint }>
  | Readonly<{ tag: '!!float'; value: number }>
  | Readonly<{ tag: '!!str' | '!!timestamp'; value: string }>

const booleans = new Map<string, boolean>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False', 'FALSE'].map((text) => [text, false] as const),
])
const specialFloats = new Map<string, number>([
  ...['.nan', '.NaN', '.NAN'].map((text) => [text, NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((text) => [text, Infinity] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((text) => [text, -Infinity] as const),
])

export function isNull(node: YamlNode): boolean {
  return (
    node.kind === 'scalar' &&
    (node.tag === '!!null' || (node.tag === '' && node.plain && ['', '~', 'null', 'Null', 'NULL'].includes(node.text)))
  )
}

export function resolveScalar(node: YamlScalar): Resolved {
  if (isNull(node)) return { tag: '!!null' }
  const resolvable = node.tag === '' ? node.plain : ['!!bool', '!!int', '!!float', '!!timestamp'].includes(node.tag)
  if (!resolvable) return { tag: '!!str', value: node.text }
  return resolvePlain(node.text)
}

/** What unquoted text means. */
export function resolvePlain(text: string): Resolved {
  if (['', '~', 'null', 'Null', 'NULL'].includes(text)) return { tag: '!!null' }
  const truth = booleans.get(text)
  if (truth !== undefined) return { tag: '!!bool', value: truth }
  const special = specialFloats.get(text)
  if (special !== undefined) return { tag: '!!float', value: special }
  if (!/^[-+.0-9]/.test(text)) return { tag: '!!str', value: text }
  if (timestamp.test(text)) return { tag: '!!timestamp', value: text }
  const plain = text.startsWith('.') ? text : text.replaceAll('_', '')
  const int = parseInteger(plain)
  if (int !== null) return { tag: '!!int', value: int }
  if (/^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(plain)) {
    const value = Number(plain)
    if (Number.isFinite(value)) return { tag: '!!float', value }
  }
  return { tag: '!!str', value: text }
}

const timestamp = /^\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:\d{1,2}:\d{1,2}(\.\d+)?(Z|[-+]\d{2}:\d{2})?)?$/

/** Go's strconv with base 0: 0x, 0o, 0b and a leading 0 for octal; null outside 64 bits. */
function parseInteger(text: string): bigint | null {
  const match = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))$/.exec(text)
  if (match === null) return null
  const [, sign, hex, binary, octal, decimal] = match
  const size = hex ? BigInt(`0x${hex}`) : binary ? BigInt(`0b${binary}`) : octal ? BigInt(`0o${octal}`) : BigInt(decimal!)
  if (size > 0xffffffffffffffffn || (sign === '-' && size > 0x8000000000000000n)) return null
  return sign === '-' ? -size : size
}
