// Which exposition format /federate answers in, and how names look in it. Source: prometheus/common expfmt.NegotiateAccept.
import type { NameEscaping } from '../../protocols/exposition/names.ts'
import { isLegacyLabelName, isLegacyMetricName } from '../model/labels.ts'

export type MetricFormat = Readonly<{ kind: 'text' | 'protobuf'; contentType: string; escaping: NameEscaping }>

type Clause = Readonly<{ type: string; parameters: Readonly<Record<string, string>>; q: number }>

/** Clauses of an Accept header by falling q, equal ones in the order given. At most 50. */
export function parseAccept(header: string): Clause[] {
  const clauses: Clause[] = []
  for (const part of header.split(',').slice(0, 50)) {
    const [type, ...rest] = part.split(';').map((piece) => piece.trim())
    if (type === undefined || type === '') continue
    const parameters: Record<string, string> = {}
    for (const piece of rest) {
      const at = piece.indexOf('=')
      if (at > 0) parameters[piece.slice(0, at).trim().toLowerCase()] = piece.slice(at + 1).trim()
    }
    const q = parameters['q'] === undefined ? 1 : Number(parameters['q'])
    clauses.push({ type: type.toLowerCase(), parameters, q: Number.isNaN(q) ? 1 : q })
  }
  return clauses.sort((a, b) => b.q - a.q)
}

/** Protobuf where it is asked for, else text. The escaping of names is the last one named up to there. */
export function negotiate(accept: string): MetricFormat {
  let escaping: NameEscaping = 'underscores'
  for (const { type, parameters } of parseAccept(accept)) {
    const asked = parameters['escaping']
    if (asked === 'allow-utf-8' || asked === 'underscores' || asked === 'dots' || asked === 'values') escaping = asked
    const version = parameters['version'] ?? ''
    const isProto = type === 'application/vnd.google.protobuf' && parameters['proto'] === 'io.prometheus.client.MetricFamily'
    if (isProto && parameters['encoding'] === 'delimited') {
      const contentType = `application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=${escaping}`
      return { kind: 'protobuf', contentType, escaping }
    }
    if (type === 'text/plain' && (version === '' || version === '0.0.4')) break
  }
  return { kind: 'text', contentType: `text/plain; version=0.0.4; charset=utf-8; escaping=${escaping}`, escaping }
}

/** `name{a="b"}` in the text formats; names outside of the legacy alphabet are quoted inside of the braces. `pairs`: name, value, name, value, … */
export function seriesText(name: string, pairs: readonly string[]): string {
  const legacy = isLegacyMetricName(name)
  if (legacy && pairs.length === 0) return name
  let text = legacy ? `${name}{` : `{${quoted(name)}`
  for (let i = 0; i < pairs.length; i += 2) {
    const label = pairs[i]!
    text += `${i === 0 && legacy ? '' : ','}${isLegacyLabelName(label) ? label : quoted(label)}=${quoted(pairs[i + 1]!)}`
  }
  return text + '}'
}

export function quoted(text: string): string {
  if (!/[\\"\n]/.test(text)) return `"${text}"`
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
