// Lists of target groups as files and HTTP endpoints give them: `[{ "targets": ["host:port"], "labels": { "name": "value" } }]`, JSON or YAML. Strict.
import { parseDocument } from 'yaml'
import { limits } from '../base/limits.ts'
import { messageOf, PromhiveError } from '../base/errors.ts'
import { isUtf8Name, labelsFrom } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'

/** @throws PromhiveError DISCOVERY that says which group is wrong and why. `source(i)` names group i. */
export function parseTargetGroups(text: string, format: 'json' | 'yaml', source: (index: number) => string): TargetGroup[] {
  if (text.length > limits.configBytesMax) throw bad(`${text.length} characters, limit ${limits.configBytesMax}`)
  let value: unknown
  try {
    if (format === 'json') value = JSON.parse(text)
    else {
      const document = parseDocument(text, { uniqueKeys: true })
      const problem = document.errors[0]
      if (problem !== undefined) throw problem
      value = document.toJS({ maxAliasCount: 100 })
    }
  } catch (thrown) {
    throw bad(messageOf(thrown).split('\n')[0]!)
  }
  if (value === null || value === undefined) return []
  if (!Array.isArray(value)) throw bad('expected a list of target groups')
  return value.map((group: unknown, i) => parseGroup(group, i, source(i)))
}

function parseGroup(group: unknown, index: number, source: string): TargetGroup {
  if (!isMap(group)) throw bad(`nil target group item found (index ${index})`)
  for (const key of Object.keys(group))
    if (key !== 'targets' && key !== 'labels') throw bad(`group ${index}: unknown field ${JSON.stringify(key)}`)
  const { targets = [], labels = {} } = group
  if (!Array.isArray(targets)) throw bad(`group ${index}: targets is not a list`)
  if (labels !== null && !isMap(labels)) throw bad(`group ${index}: labels is not a map`)
  return {
    source,
    targets: targets.map((target: unknown, t) => {
      if (typeof target !== 'string') throw bad(`group ${index}: target ${t} is not a string`)
      return labelsFrom([['__address__', target]])
    }),
    labels: labelsFrom(
      Object.entries(labels ?? {}).map(([name, text]): [string, string] => {
        if (!isUtf8Name(name)) throw bad(`group ${index}: ${JSON.stringify(name)} is not a valid label name`)
        if (typeof text !== 'string') throw bad(`group ${index}: label ${name} is not a string`)
        return [name, text]
      }),
    ),
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bad(why: string): PromhiveError {
  return new PromhiveError('DISCOVERY', `cannot read target groups: ${why}`)
}
