// Which exposition format a body is in, and how a target is asked for one (FEATURES 1.07, 1.09).
// Source: prometheus scrape acceptHeader, model/textparse extractMediaType, config ScrapeProtocolsHeaders.
import { PromhiveError } from '../../src/base/errors.ts'

export type ExpositionFormat = 'text' | 'openmetrics' | 'protobuf'

/** Media types by scrape protocol. */
export const protocolHeaders = {
  PrometheusProto: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
  'PrometheusText0.0.4': 'text/plain;version=0.0.4',
  'PrometheusText1.0.0': 'text/plain;version=1.0.0',
  'OpenMetricsText0.0.1': 'application/openmetrics-text;version=0.0.1',
  'OpenMetricsText1.0.0': 'application/openmetrics-text;version=1.0.0',
} as const
export type ProtocolName = keyof typeof protocolHeaders

const formats: Readonly<Record<string, ExpositionFormat>> = {
  'text/plain': 'text',
  'application/openmetrics-text': 'openmetrics',
  'application/vnd.google.protobuf': 'protobuf',
}

/** `scheme` is appended only where the protocol knows escaping. The last entry takes anything. */
export function acceptHeader(protocols: readonly ProtocolName[], scheme: string): string {
  let weight = Object.keys(protocolHeaders).length + 1
  const parts: string[] = []
  for (const protocol of protocols) {
    const escaping = protocol === 'PrometheusText1.0.0' || protocol === 'OpenMetricsText1.0.0' ? `;escaping=${scheme}` : ''
    parts.push(`${protocolHeaders[protocol]}${escaping};q=0.${weight}`)
    weight--
  }
  parts.push(`*/*;q=0.${weight}`)
  return parts.join(',')
}

/**
 * The format of a body by its Content-Type. Throws PromhiveError SCRAPE where the header is blank, broken or unknown and there is no fallback.
 * @param contentType '' where the header is missing.  fallback: '' = none.
 */
export function formatOf(contentType: string, fallback: ProtocolName | ''): ExpositionFormat {
  const instead = fallback === '' ? null : formats[protocolHeaders[fallback].split(';')[0]!]!
  if (contentType === '') {
    if (instead !== null) return instead
    throw new PromhiveError(
      'SCRAPE',
      'non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target',
    )
  }
  const mediaType = mediaTypeOf(contentType)
  if (mediaType === null) {
    if (instead !== null) return instead
    throw new PromhiveError('SCRAPE', `cannot parse Content-Type ${JSON.stringify(contentType)} and no fallback_scrape_protocol for target`)
  }
  const format = Object.hasOwn(formats, mediaType) ? formats[mediaType]! : instead
  if (format !== null) return format
  throw new PromhiveError(
    'SCRAPE',
    `received unsupported Content-Type ${JSON.stringify(contentType)} and no fallback_scrape_protocol specified for target`,
  )
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const mediaTypeText = new RegExp(`^\\s*(${token}(?:/${token})?)\\s*$`)
const parameterText = new RegExp(`^\\s*${token}\\s*=\\s*(?:${token}|"(?:[^"\\\\]|\\\\.)*")\\s*$`)

/** The media type in lower case, null where the header cannot be parsed as Go's mime.ParseMediaType does. */
function mediaTypeOf(contentType: string): string | null {
  if (contentType.length > 4_096) return null
  const parts = splitParameters(contentType)
  const match = mediaTypeText.exec(parts[0]!)
  if (match === null) return null
  for (let i = 1; i < parts.length; i++) {
    const blank = parts[i]!.trim() === ''
    if (blank ? i < parts.length - 1 : !parameterText.test(parts[i]!)) return null
  }
  return match[1]!.toLowerCase()
}

/** Splits at semicolons outside quoted strings. */
function splitParameters(text: string): string[] {
  const parts: string[] = []
  let from = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (c === '"') quoted = !quoted
    else if (c === '\\' && quoted) i++
    else if (c === ';' && !quoted) {
      parts.push(text.slice(from, i))
      from = i + 1
    }
  }
  parts.push(text.slice(from))
  return parts
}
