// From discovered labels to something that can be scraped (FEATURES 1.22, 1.30): defaults filled in, relabelled, checked; its URL; its place in the interval.
// Source: prometheus scrape/target.go (PopulateLabels, Target.URL, Target.offset).
import { compareText, labelValue, labelsFrom, labelsKey, quote, type Labels } from '../model/labels.ts'
import { parseDuration, printDuration } from '../model/duration.ts'
import type { TargetGroup } from '../model/target-group.ts'
import type { Relabeling } from '../relabel/relabel.ts'
import { utf8Bytes } from '../base/bytes.ts'
import type { ScrapeOptions } from './options.ts'

export type Target = Readonly<{
  /** Equal exactly for targets that are the same: all labels but `__meta_…`, and the URL. */
  key: string
  /** What the target's series get: labels that don't start with `__`. */
  labels: Labels
  /** All labels after relabelling, `__meta_…` ones gone. */
  allLabels: Labels
  /** Before relabelling. */
  discovered: Labels
  url: string
  intervalMs: number
  timeoutMs: number
  scrapeNativeHistograms: boolean
  alwaysScrapeClassicHistograms: boolean
  convertClassicHistogramsToNhcb: boolean
  /** '' = TCP. */
  unixSocket: string
}>

export const nativeLabel = '__scrape_native_histograms__'
export const classicLabel = '__always_scrape_classic_histograms__'
export const convertLabel = '__convert_classic_histograms_to_nhcb__'
export const unixSocketLabel = '__unix_socket__'

/** Labels of a target before relabelling: its own, its group's, then the job's defaults where they are not set. */
export function discoveredLabels(options: ScrapeOptions, target: Labels, group: Labels): Labels {
  const labels = new Map<string, string>()
  for (const source of [group, target]) for (let i = 0; i < source.length; i += 2) labels.set(source[i]!, source[i + 1]!)
  const fill = (name: string, value: string): void => {
    if ((labels.get(name) ?? '') === '') labels.set(name, value)
  }
  fill('job', options.jobName)
  fill('__scrape_interval__', printDuration(options.intervalMs))
  fill('__scrape_timeout__', printDuration(options.timeoutMs))
  fill('__metrics_path__', options.metricsPath)
  fill('__scheme__', options.scheme)
  fill(convertLabel, String(options.convertClassicHistogramsToNhcb))
  fill(classicLabel, String(options.alwaysScrapeClassicHistograms))
  fill(nativeLabel, String(options.scrapeNativeHistograms))
  for (const [name, values] of Object.entries(options.params)) if (values.length > 0) fill(`__param_${name}`, values[0]!)
  return labelsFrom(labels)
}

export type Populated = Readonly<{ target: Target } | { dropped: Labels } | { problem: string }>

/** One target of a group: ready, dropped by relabelling (with its discovered labels), or wrong. */
export function populateTarget(options: ScrapeOptions, relabeling: Relabeling, own: Labels, group: Labels): Populated {
  const discovered = discoveredLabels(options, own, group)
  const relabeled = relabeling.apply(discovered)
  if (relabeled === null) return { dropped: discovered }
  const address = labelValue(relabeled, '__address__')
  if (address === '') return { problem: 'no address' }
  if (address.includes('/')) return { problem: `${quote(address)} is not a valid hostname` }

  const interval = parseLabelDuration(relabeled, '__scrape_interval__', 'interval')
  if (typeof interval === 'string') return { problem: interval }
  const timeout = parseLabelDuration(relabeled, '__scrape_timeout__', 'timeout')
  if (typeof timeout === 'string') return { problem: timeout }
  if (timeout > interval) {
    const texts = [labelValue(relabeled, '__scrape_timeout__'), labelValue(relabeled, '__scrape_interval__')]
    return { problem: `scrape timeout cannot be greater than scrape interval (${quote(texts[0]!)} > ${quote(texts[1]!)})` }
  }
  const switches: Record<string, boolean> = {}
  for (const [name, what, otherwise] of [
    [convertLabel, 'convert classic histograms to nhcb', options.convertClassicHistogramsToNhcb],
    [classicLabel, 'always scrape classic histograms', options.alwaysScrapeClassicHistograms],
    [nativeLabel, 'scrape native histograms', options.scrapeNativeHistograms],
  ] as const) {
    const text = labelValue(relabeled, name)
    const value = text === '' ? otherwise : parseBool(text)
    if (value === null) return { problem: `error parsing ${what}: strconv.ParseBool: parsing ${quote(text)}: invalid syntax` }
    switches[name] = value
  }

  const all: string[] = []
  let hasInstance = false
  for (let i = 0; i < relabeled.length; i += 2) {
    const name = relabeled[i]!
    if (name.startsWith('__meta_')) continue
    if (name === 'instance') hasInstance = true
    if (!relabeled[i + 1]!.isWellFormed()) return { problem: `invalid label value for ${quote(name)}: ${quote(relabeled[i + 1]!)}` }
    all.push(name, relabeled[i + 1]!)
  }
  if (!hasInstance) insert(all, 'instance', address)
  const url = targetUrl(all, options.params)
  return {
    target: Object.freeze({
      key: `${url}\xff${labelsKey(all)}`,
      labels: publicLabels(all),
      allLabels: all,
      discovered,
      url,
      intervalMs: interval,
      timeoutMs: timeout,
      convertClassicHistogramsToNhcb: switches[convertLabel]!,
      alwaysScrapeClassicHistograms: switches[classicLabel]!,
      scrapeNativeHistograms: switches[nativeLabel]!,
      unixSocket: labelValue(all, unixSocketLabel),
    }),
  }
}

export type TargetsOfGroup = Readonly<{ targets: readonly Target[]; dropped: readonly Labels[]; problems: readonly string[] }>

export function populateGroup(options: ScrapeOptions, relabeling: Relabeling, group: TargetGroup): TargetsOfGroup {
  const targets: Target[] = []
  const dropped: Labels[] = []
  const problems: string[] = []
  group.targets.forEach((own, i) => {
    const populated = populateTarget(options, relabeling, own, group.labels)
    if ('target' in populated) targets.push(populated.target)
    else if ('dropped' in populated) dropped.push(populated.dropped)
    else problems.push(`instance ${i} in group ${group.source}: ${populated.problem}`)
  })
  return { targets, dropped, problems }
}

function parseLabelDuration(labels: Labels, name: string, what: string): number | string {
  const { ms, problem } = parseDuration(labelValue(labels, name))
  if (problem !== null) return `error parsing scrape ${what}: ${problem}`
  return ms === 0 ? `scrape ${what} cannot be 0` : ms
}

/** Go's strconv.ParseBool; null where it gives an error. */
function parseBool(text: string): boolean | null {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? false : null
}

function insert(labels: string[], name: string, value: string): void {
  let i = 0
  while (i < labels.length && compareText(labels[i]!, name) < 0) i += 2
  labels.splice(i, 0, name, value)
}

function publicLabels(labels: Labels): Labels {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (!labels[i]!.startsWith('__')) out.push(labels[i]!, labels[i + 1]!)
  return out
}

/** As Go's net/url prints it: the path escaped, parameters sorted by name; `__param_<name>` replaces the first value of a parameter. */
export function targetUrl(labels: Labels, params: Readonly<Record<string, readonly string[]>>): string {
  const query = new Map<string, string[]>(Object.entries(params).map(([name, values]) => [name, values.slice()]))
  for (let i = 0; i < labels.length; i += 2) {
    if (!labels[i]!.startsWith('__param_')) continue
    const name = labels[i]!.slice('__param_'.length)
    const values = query.get(name)
    if (values === undefined || values.length === 0) query.set(name, [labels[i + 1]!])
    else values[0] = labels[i + 1]!
  }
  const parts: string[] = []
  for (const [name, values] of [...query].sort(([a], [b]) => compareText(a, b))) {
    for (const value of values) parts.push(`${escapeQuery(name)}=${escapeQuery(value)}`)
  }
  const path = labelValue(labels, '__metrics_path__')
  const scheme = labelValue(labels, '__scheme__')
  const rooted = path === '' || path.startsWith('/') ? path : `/${path}`
  return `${scheme === '' ? '' : `${scheme}:`}//${labelValue(labels, '__address__')}${escapePath(rooted)}${parts.length === 0 ? '' : `?${parts.join('&')}`}`
}

function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, percent)
    .replaceAll('%20', '+')
}

function escapePath(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, percent)
    .replace(/%(24|26|2B|2C|2F|3A|3B|3D|40)/g, decodeURIComponent)
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
}

/**
 * FNV-1a, 64 bits, of the parts' UTF-8. @see http://www.isthe.com/chongo/tech/comp/fnv/
 * Two 32-bit halves: the prime is 2^40 + 0x1b3.
 */
export function fnv1a64(...parts: string[]): bigint {
  let high = 0xcbf29ce4
  let low = 0x84222325
  for (const part of parts) {
    for (const byte of utf8Bytes(part)) {
      low = (low ^ byte) >>> 0
      const product = low * 0x1b3
      const carry = Math.floor(product / 4294967296)
      high = (high * 0x1b3 + carry + ((low << 8) >>> 0)) % 4294967296
      low = product % 4294967296
    }
  }
  return (BigInt(high) << 32n) | BigInt(low)
}

/** The seed that spreads the scrapes of several servers with the same targets: from the host's name and the external labels as text. */
export function offsetSeed(hostName: string, externalLabels: string): bigint {
  return fnv1a64(hostName, externalLabels)
}

/** When in the interval a target is scraped, in ms: the same on any node with this seed. */
export function slotOffset(target: Target, seed: bigint): number {
  return Number((fnv1a64(target.key) ^ seed) % BigInt(Math.max(1, Math.round(target.intervalMs))))
}
