import { appendAll } from '../base/append-all.ts'
import type { Labels } from '../model/labels.ts'
import { labelPairs, labelValue, labelsFrom } from '../model/labels.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { AlertmanagerOptions, Relabel } from './options.ts'

/** Discovered target groups → URLs of Alertmanagers. Source: prometheus notifier/alertmanager.go, alertmanagerset.go. */

export type AlertmanagerTargets = Readonly<{
  /** Each URL once, in the order of discovery. */
  active: readonly string[]
  /** Dropped by relabelling; URLs as they were before it. */
  dropped: readonly string[]
  /** Groups that were passed over, and why. */
  problems: readonly string[]
}>

const pathLabel = '__alerts_path__'

export function alertmanagerTargets(groups: readonly TargetGroup[], options: AlertmanagerOptions, relabel: Relabel): AlertmanagerTargets {
  const active = new Set<string>()
  const dropped: string[] = []
  const problems: string[] = []
  for (const group of groups) {
    const found: string[] = []
    const lost: string[] = []
    let problem: string | null = null
    for (const target of group.targets) {
      const labels = labelsFrom([
        ...labelPairs(group.labels),
        ...labelPairs(target),
        ['__scheme__', options.scheme],
        [pathLabel, alertsPath(options.pathPrefix, options.apiVersion)],
        // labels of the group win over what the options set, unless the target has them too
        ...[...labelPairs(group.labels)].filter(([name]) => labelValue(target, name) === ''),
      ])
      const kept = relabel(labels)
      if (kept === null) {
        lost.push(urlOf(labels))
        continue
      }
      const address = labelValue(kept, '__address__')
      if (address.includes('/')) {
        problem = `"${address}" is not a valid hostname`
        break
      }
      found.push(urlOf(kept))
    }
    if (problem !== null) {
      problems.push(`cannot use target group ${group.source}: ${problem}`)
      continue
    }
    for (const url of found) active.add(url)
    appendAll(dropped, lost)
  }
  return { active: [...active], dropped, problems }
}

/** Go's path.Join("/", prefix, "/api/v2/alerts"). */
export function alertsPath(prefix: string, apiVersion: string): string {
  const parts: string[] = []
  for (const part of `${prefix}/api/${apiVersion}/alerts`.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

function urlOf(labels: Labels): string {
  const scheme = labelValue(labels, '__scheme__')
  const path = labelValue(labels, pathLabel)
  const rooted = path === '' || path.startsWith('/') ? path : `/${path}`
  return `${scheme === '' ? '' : `${scheme}:`}//${labelValue(labels, '__address__')}${encodePath(rooted)}`
}

/** A path as Go's url.URL prints it. */
function encodePath(path: string): string {
  return encodeURI(path.toWellFormed()).replace(/[?#[\]]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
