/**
 * A label set as a flat array sorted by name in UTF-8 byte order: `[name, value, name, value, …]`.
 * Names are unique and no value is empty (an empty value is the same as no label). Never mutated once made.
 */
export type Labels = readonly string[]

export const emptyLabels: Labels = []
export const metricNameLabel = '__name__'

/**
 * Order of UTF-8 bytes, which is also the order of code points. JavaScript's `<` compares UTF-16 units and differs only where
 * a surrogate meets a unit above it, so those are looked at one by one.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) {
      const xs = x >= 0xd800 && x <= 0xdfff
      const ys = y >= 0xd800 && y <= 0xdfff
      if (xs !== ys) return xs ? 1 : -1
      return x - y
    }
  }
  return a.length - b.length
}

/** Any pairs, in any order. Empty values are dropped; of equal names the last wins. */
export function labelsFrom(pairs: Iterable<readonly [string, string]>): Labels {
  const entries = [...new Map(pairs)].filter(([, value]) => value !== '').sort(([a], [b]) => compareText(a, b))
  return entries.flat()
}

export function labelsFromObject(object: Readonly<Record<string, string>>): Labels {
  return labelsFrom(Object.entries(object))
}

export function labelsToObject(labels: Labels): Record<string, string> {
  // fromEntries defines properties, so that a label called __proto__ is just a label
  return Object.fromEntries(labelPairs(labels))
}

export function* labelPairs(labels: Labels): Generator<[string, string]> {
  for (let i = 0; i < labels.length; i += 2) yield [labels[i]!, labels[i + 1]!]
}

/** The value, or '' where the label is absent. */
export function labelValue(labels: Labels, name: string): string {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1]!
  return ''
}

export function metricName(labels: Labels): string {
  return labelValue(labels, metricNameLabel)
}

/** Sets or replaces one label; an empty value removes it. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  const out: string[] = []
  let placed = value === ''
  for (let i = 0; i < labels.length; i += 2) {
    const order = compareText(labels[i]!, name)
    if (order === 0) continue
    if (!placed && order > 0) {
      out.push(name, value)
      placed = true
    }
    out.push(labels[i]!, labels[i + 1]!)
  }
  if (!placed) out.push(name, value)
  return out
}

export function withoutLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (!names.has(labels[i]!)) out.push(labels[i]!, labels[i + 1]!)
  return out
}

export function onlyLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  const out: string[] = []
  for (let i = 0; i < labels.length; i += 2) if (names.has(labels[i]!)) out.push(labels[i]!, labels[i + 1]!)
  return out
}

/** A string that is equal exactly where the label sets are equal: a Map key. */
export function labelsKey(labels: Labels): string {
  return labels.join('\xff')
}

export function labelsEqual(a: Labels, b: Labels): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Order of label sets: pair by pair, name before value; a prefix comes first. */
export function compareLabels(a: Labels, b: Labels): number {
  const n = Math.min(a.length, b.length)
  for (let i = 0; i < n; i++) {
    const order = compareText(a[i]!, b[i]!)
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** `{a="b", c="d"}` as Prometheus' labels.Labels.String prints it; names outside the legacy alphabet are quoted. */
export function printLabels(labels: Labels): string {
  const parts: string[] = []
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!
    parts.push(`${isLegacyLabelName(name) ? name : quote(name)}=${quote(labels[i + 1]!)}`)
  }
  return `{${parts.join(', ')}}`
}

/** `name{a="b"}`: a series as PromQL prints it. */
export function printSeries(labels: Labels): string {
  const name = metricName(labels)
  if (name === '' || !isLegacyMetricName(name)) return printLabels(labels)
  const rest = withoutLabels(labels, nameOnly)
  return rest.length === 0 ? name : name + printLabels(rest)
}

const nameOnly: ReadonlySet<string> = new Set([metricNameLabel])

export function isLegacyMetricName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)
}

export function isLegacyLabelName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)
}

/** UTF-8 names: any non-empty text without lone surrogates. */
export function isUtf8Name(name: string): boolean {
  return name.length > 0 && name.isWellFormed()
}

/** A double-quoted string as Go's strconv.Quote writes it. */
export function quote(text: string): string {
  if (/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(text)) return `"${text}"`
  let out = '"'
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (char === '"') out += '\\"'
    else if (char === '\\') out += '\\\\'
    else if (char === '\n') out += '\\n'
    else if (char === '\t') out += '\\t'
    else if (char === '\r') out += '\\r'
    else if (char === '\x07') out += '\\a'
    else if (char === '\b') out += '\\b'
    else if (char === '\f') out += '\\f'
    else if (char === '\v') out += '\\v'
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if (code >= 0xdc80 && code <= 0xdcff)
      out += `\\x${(code & 0xff).toString(16)}` // a byte that is no UTF-8 (promql/lex-string)
    else if (code >= 0xd800 && code <= 0xdfff) out += '\\ufffd'
    else if (printable.test(char)) out += char
    else if (code < 0x10000) out += `\\u${code.toString(16).padStart(4, '0')}`
    else out += `\\U${code.toString(16).padStart(8, '0')}`
  }
  return out + '"'
}

/** Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u
