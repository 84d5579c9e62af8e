// Lists of target groups as files and HTTP endpoints give them: `[{ "targets": ["host:port"], "labels": { "name": "value" } }]`, JSON or YAML. Strict about
// shape and unknown fields; YAML takes any plain scalar as the text it is written as (`port: 9100`), as Go's decoder does. Source: prometheus discovery/targetgroup.
import { Alias, isMap as isYamlMap, isScalar, isSeq, parseAllDocuments, type Document } from 'yaml'
import { limits } from '../base/limits.ts'
import { messageOf, PromhiveError } from '../base/errors.ts'
import { isUtf8Name, labelsFrom } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'

/** What both formats come to. Numbers and booleans are left of JSON alone, and wrong where they stand. */
type Plain = string | number | boolean | null | readonly Plain[] | ReadonlyMap<string, Plain>

/** @throws PromhiveError DISCOVERY that says which group is wrong and why. `source(i)` names group i. */
export function parseTargetGroups(text: string, format: 'json' | 'yaml', source: (index: number) => string): TargetGroup[] {
  if (text.length > limits.configBytesMax) throw bad(`${text.length} characters, limit ${limits.configBytesMax}`)
  let value: Plain
  try {
    value = format === 'json' ? fromJson(JSON.parse(text)) : fromYaml(text)
  } catch (thrown) {
    throw bad(messageOf(thrown).split('\n')[0]!)
  }
  if (value === null) return []
  if (!isList(value)) throw bad('expected a list of target groups')
  return value.map((group, i) => parseGroup(group, i, source(i), format))
}

function parseGroup(group: Plain, index: number, source: string, format: 'json' | 'yaml'): TargetGroup {
  if (group === null) throw bad(`nil target group item found (index ${index})`)
  if (!(group instanceof Map)) throw bad(`group ${index}: expected a map with targets and labels`)
  let targets: Plain = null
  let labels: Plain = null
  for (const [written, value] of group as ReadonlyMap<string, Plain>) {
    const key = format === 'json' ? written.toLowerCase() : written // Go's JSON decoder does not mind the case
    if (key === 'targets') targets = value
    else if (key === 'labels') labels = value
    else throw bad(`group ${index}: unknown field ${JSON.stringify(written)}`)
  }
  if (targets !== null && !isList(targets)) throw bad(`group ${index}: targets is not a list`)
  if (labels !== null && !(labels instanceof Map)) throw bad(`group ${index}: labels is not a map`)
  return {
    source,
    targets: (targets ?? []).map((target, t) => labelsFrom([['__address__', textOf(target, () => `group ${index}: target ${t}`)]])),
    labels: labelsFrom(
      Array.from((labels ?? new Map()) as ReadonlyMap<string, Plain>, ([name, value]): [string, string] => {
        if (!isUtf8Name(name)) throw bad(`group ${index}: ${JSON.stringify(name)} is not a valid label name`)
        return [name, textOf(value, () => `group ${index}: label ${name}`)]
      }),
    ),
  }
}

function textOf(value: Plain, what: () => string): string {
  if (value !== null && typeof value !== 'string') throw bad(`${what()} is not a string`)
  return value ?? ''
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value)
}

function fromJson(value: unknown): Plain {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value === 'object' && value !== null) return new Map(Object.entries(value).map(([key, inner]) => [key, fromJson(inner)]))
  return value as string | number | boolean | null
}

/** The first document. */
function fromYaml(text: string): Plain {
  const documents = parseAllDocuments(text, { uniqueKeys: true })
  const document = 'empty' in documents ? null : (documents[0] ?? null)
  if (document === null) return null
  if (document.errors.length > 0) throw document.errors[0]!
  return fromNode(document.contents, document, { left: 1_000_000 }, 0)
}

/** @param nodes how many may still be visited: aliases multiply. */
function fromNode(node: unknown, document: Document, nodes: { left: number }, depth: number): Plain {
  if (node === null || node === undefined) return null
  if (nodes.left-- <= 0 || depth > 16) throw new Error('document is nested too deeply or aliases itself too often')
  if (node instanceof Alias) {
    const target = node.resolve(document)
    if (target === undefined) throw new Error(`unknown anchor '${node.source}' referenced`)
    return fromNode(target, document, nodes, depth + 1)
  }
  if (isScalar(node)) {
    if (node.type !== 'PLAIN') return typeof node.value === 'string' ? node.value : String(node.value)
    const written = node.source ?? ''
    return /^(~|null|Null|NULL|)$/.test(written) ? null : written
  }
  if (isSeq(node)) return node.items.map((item) => fromNode(item, document, nodes, depth + 1))
  if (!isYamlMap(node)) throw new Error('unexpected content')
  const out = new Map<string, Plain>()
  const merged: Plain[] = []
  for (const { key, value } of node.items) {
    const name = fromNode(key, document, nodes, depth + 1)
    if (name !== null && typeof name !== 'string') throw new Error('map keys must be text')
    const inner = fromNode(value, document, nodes, depth + 1)
    if (name === '<<' && isScalar(key) && key.type === 'PLAIN') merged.push(...(isList(inner) ? inner : [inner]))
    else out.set(name ?? '', inner)
  }
  for (const more of merged) {
    if (!(more instanceof Map)) throw new Error('map merge requires map or sequence of maps as the value')
    for (const [name, inner] of more as ReadonlyMap<string, Plain>) if (!out.has(name)) out.set(name, inner)
  }
  return out
}

function bad(why: string): PromhiveError {
  return new PromhiveError('DISCOVERY', `cannot read target groups: ${why}`)
}
