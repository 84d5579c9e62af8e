// Labels of a series as ranges in a message, and from there to canonical label bytes (src/model/label-bytes.ts): sorted, checked, empty values
// left out. No strings: this also runs for every series of a first request with a million of them.
import type { ByteWriter } from '../../src/base/bytes.ts'
import { limits } from '../../src/base/limits.ts'

/** Why labels are refused: `''` = they are fine. */
export type LabelProblem = string

/** Ranges of one label set, reused from series to series. Name and value i lie in bytes[nameStart[i], nameEnd[i]) and bytes[valueStart[i], valueEnd[i]). */
export class LabelRanges {
  length = 0
  readonly nameStart = new Int32Array(limits.labelsPerSeriesMax)
  readonly nameEnd = new Int32Array(limits.labelsPerSeriesMax)
  readonly valueStart = new Int32Array(limits.labelsPerSeriesMax)
  readonly valueEnd = new Int32Array(limits.labelsPerSeriesMax)
  readonly #order = new Int32Array(limits.labelsPerSeriesMax)
  overflow = false
  clear(): void {
    this.length = 0
    this.overflow = false
  }
  push(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    if (this.length === this.nameStart.length) {
      this.overflow = true
      return
    }
    const i = this.length++
    this.nameStart[i] = nameStart
    this.nameEnd[i] = nameEnd
    this.valueStart[i] = valueStart
    this.valueEnd[i] = valueEnd
  }

  /**
   * Appends the canonical bytes to `into`, which must be empty, where the labels name a series: `__name__` present, names not empty and
   * unique, everything UTF-8, sizes within the limits.
   * @returns what is wrong, '' where nothing is.
   */
  canonical(bytes: Uint8Array, into: ByteWriter): LabelProblem {
    if (this.overflow) return `more than ${limits.labelsPerSeriesMax} labels`
    const order = this.#order
    for (let i = 0; i < this.length; i++) {
      // already in order in all but odd cases, so insertion is one comparison a label
      let at = i
      while (
        at > 0 &&
        compareRanges(bytes, this.nameStart[order[at - 1]!]!, this.nameEnd[order[at - 1]!]!, this.nameStart[i]!, this.nameEnd[i]!) > 0
      ) {
        order[at] = order[at - 1]!
        at--
      }
      order[at] = i
    }
    let named = false
    for (let k = 0; k < this.length; k++) {
      const i = order[k]!
      const nameStart = this.nameStart[i]!
      const nameEnd = this.nameEnd[i]!
      const valueStart = this.valueStart[i]!
      const valueEnd = this.valueEnd[i]!
      if (nameStart === nameEnd) return 'a label without a name'
      if (!isUtf8(bytes, nameStart, nameEnd)) return 'a label name that is not UTF-8'
      if (!isUtf8(bytes, valueStart, valueEnd)) return `a value of label ${textOf(bytes, nameStart, nameEnd)} that is not UTF-8`
      if (k > 0) {
        const before = order[k - 1]!
        if (compareRanges(bytes, this.nameStart[before]!, this.nameEnd[before]!, nameStart, nameEnd) === 0) {
          return `duplicated label ${textOf(bytes, nameStart, nameEnd)}`
        }
      }
      const isName = isMetricName(bytes, nameStart, nameEnd)
      if (valueStart === valueEnd) {
        if (isName) return 'an empty metric name'
        continue
      }
      named ||= isName
      into.uvarint(nameEnd - nameStart)
      into.raw(bytes.subarray(nameStart, nameEnd))
      into.uvarint(valueEnd - valueStart)
      into.raw(bytes.subarray(valueStart, valueEnd))
      if (into.length > limits.labelBytesPerSeriesMax) return `more than ${limits.labelBytesPerSeriesMax} bytes of labels`
    }
    return named ? '' : 'no metric name'
  }

  /** For messages: `{a="b"}` in the order given, cut where it gets long. */
  print(bytes: Uint8Array): string {
    const parts: string[] = []
    for (let i = 0; i < Math.min(this.length, 32); i++) {
      const name = textOf(bytes, this.nameStart[i]!, this.nameEnd[i]!)
      parts.push(`${name}=${JSON.stringify(textOf(bytes, this.valueStart[i]!, this.valueEnd[i]!))}`)
    }
    return `{${parts.join(', ')}${this.length > 32 ? ', …' : ''}}`
  }
}

function isMetricName(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 8) return false
  for (let k = 0; k < 8; k++) if (bytes[start + k] !== metricName[k]) return false
  return true
}
const metricName = Uint8Array.from('__name__', (char) => char.charCodeAt(0))

function compareRanges(bytes: Uint8Array, aStart: number, aEnd: number, bStart: number, bEnd: number): number {
  const n = Math.min(aEnd - aStart, bEnd - bStart)
  for (let i = 0; i < n; i++) {
    const order = bytes[aStart + i]! - bytes[bStart + i]!
    if (order !== 0) return order
  }
  return aEnd - aStart - (bEnd - bStart)
}

const lenient = new TextDecoder('utf-8', { ignoreBOM: true })
/** At most 200 bytes, broken sequences as U+FFFD: for messages. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return lenient.decode(bytes.subarray(start, Math.min(end, start + 200)))
}

/** Whether bytes[start, end) are well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let i = start
  while (i < end) {
    const lead = bytes[i++]!
    if (lead < 0x80) continue
    let more: number
    let low = 0x80
    let high = 0xbf
    if (lead >= 0xc2 && lead <= 0xdf) more = 1
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2
      if (lead === 0xe0) low = 0xa0
      if (lead === 0xed) high = 0x9f
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3
      if (lead === 0xf0) low = 0x90
      if (lead === 0xf4) high = 0x8f
    } else return false
    if (i + more > end) return false
    if (bytes[i]! < low || bytes[i]! > high) return false
    for (let k = 1; k < more; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return false
    i += more
  }
  return true
}
