// Expositions written: our own /metrics in the text format and in OpenMetrics. Federation's answers are written by src/api/federate.ts.
import { ByteWriter, utf8Bytes } from '../../src/base/bytes.ts'
import type { MetricFamily, MetricSample } from '../../src/base/metrics.ts'
import { isLegacyLabelName } from '../../src/model/labels.ts'
import { formatFloatG } from '../../src/model/number-text.ts'
import { printBoundLabel } from './numbers.ts'

export type WrittenFormat = 'text' | 'openmetrics'

export const writtenContentTypes: Readonly<Record<WrittenFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores',
}

/** The format a client prefers, by its Accept header; OpenMetrics only where it is asked for by name. */
export function writtenFormat(accept: string): WrittenFormat {
  let best: WrittenFormat = 'text'
  let bestWeight = 0
  for (const part of accept.slice(0, 4_096).split(',')) {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
    const weightText = parameters.find((parameter) => parameter.startsWith('q='))
    const weight = weightText === undefined ? 1 : Number(weightText.slice(2))
    const version = parameters.find((parameter) => parameter.startsWith('version='))?.slice(8) ?? ''
    const known =
      type === 'application/openmetrics-text' && ['', '0.0.1', '1.0.0'].includes(version)
        ? 'openmetrics'
        : type === 'text/plain' && ['', '0.0.4', '1.0.0'].includes(version)
          ? 'text'
          : null
    if (known === null || !(weight > bestWeight)) continue
    best = known
    bestWeight = weight
  }
  return best
}

/** Families that come twice are written once, with the samples of both. */
export function writeFamilies(families: readonly MetricFamily[], format: WrittenFormat): Uint8Array {
  const merged = new Map<string, { family: MetricFamily; samples: MetricSample[] }>()
  for (const family of families) {
    const known = merged.get(family.name)
    if (known === undefined) merged.set(family.name, { family, samples: family.samples.slice() })
    else known.samples.push(...family.samples)
  }
  const openMetrics = format === 'openmetrics'
  const out = new ByteWriter(64 << 10)
  for (const { family, samples } of merged.values()) {
    if (samples.length === 0) continue
    // OpenMetrics names a counter's family without the suffix its samples must have
    const total = openMetrics && family.kind === 'counter'
    const name = total ? family.name.replace(/_total$/, '') : family.name
    put(out, `# HELP ${name} ${openMetrics ? escapeValue(family.help) : escapeHelp(family.help)}\n# TYPE ${name} ${family.kind}\n`)
    for (const sample of samples) {
      put(out, `${name}${total ? '_total' : sample.suffix}`)
      putLabels(out, sample.labels, openMetrics)
      put(out, ` ${openMetrics ? printBoundLabel(sample.value) : formatFloatG(sample.value)}\n`)
    }
  }
  if (openMetrics) put(out, '# EOF\n')
  return out.written()
}

function putLabels(out: ByteWriter, labels: readonly string[], openMetrics: boolean): void {
  if (labels.length === 0) return
  const parts: string[] = []
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!
    const value = labels[i + 1]!
    const bound = openMetrics && (name === 'le' || name === 'quantile') && Number.isFinite(Number(value))
    parts.push(pair(name, bound ? printBoundLabel(Number(value)) : value))
  }
  put(out, `{${parts.join(',')}}`)
}

function pair(name: string, value: string): string {
  return `${isLegacyLabelName(name) ? name : quoted(name)}="${escapeValue(value)}"`
}

function quoted(name: string): string {
  return `"${escapeValue(name)}"`
}

function escapeValue(text: string): string {
  return /[\\"\n]/.test(text) ? text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`)) : text
}

function escapeHelp(text: string): string {
  return /[\\\n]/.test(text) ? text.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\')) : text
}

/** ASCII char by char, anything else through the encoder. */
function put(out: ByteWriter, text: string): void {
  out.reserve(text.length)
  const start = out.length
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 128) {
      out.length = start
      out.raw(utf8Bytes(text))
      return
    }
    out.bytes[out.length++] = c
  }
}
