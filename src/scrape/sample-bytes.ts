// The canonical label bytes of a new series straight from its line, without a string: for the ordinary line of an ordinary job. Whatever is out of the
// ordinary (quoted names, escapes, a label of the target exposed, a label twice) is left to SampleLabels, which also words the errors.
//
//   http_requests_total{code="200",method="get"} + instance="a:1", job="x"  ─▶  __name__ code instance job method, lengths before them
import { limits } from '../base/limits.ts'
import { labelBytes } from '../model/label-bytes.ts'
import type { Labels } from '../model/labels.ts'
import type { MetricType } from '../model/metadata.ts'
import { utf8Bytes } from '../base/bytes.ts'
import { normalBound } from '../../protocols/exposition/entries.ts'
import type { LineReader } from '../../protocols/exposition/line-reader.ts'
import { latin1Text } from '../../protocols/exposition/line-text.ts'

const QUOTE = 34
const BACKSLASH = 92
const metricName = utf8Bytes('__name__')
/** Texts of bounds that are remembered: nobody has so many different ones for honest reasons. */
const boundsMax = 1000
/** Lengths up to here take one byte. */
const shortMax = 127

/** Used by all, one call after the other. `order`: of the exposed labels, by name, their places in the reader's list; −1 is the metric name. */
const scratch = { order: new Int32Array(64), out: new Uint8Array(1024), length: 0, bounds: new Map<string, Uint8Array>() }

export class SampleBytes {
  /** Of the target's labels, in order: names, and whole pairs as they are stored. */
  readonly #names: readonly Uint8Array[]
  readonly #pairs: readonly Uint8Array[]

  /** @param target the target's public labels, sorted. */
  constructor(target: Labels) {
    const pairs: Labels[] = []
    for (let i = 0; i < target.length; i += 2) pairs.push(target.slice(i, i + 2))
    this.#names = pairs.map(([name]) => utf8Bytes(name!))
    this.#pairs = pairs.map((pair) => labelBytes(pair).slice())
  }

  /** The label bytes of the series the reader has read: a view until the next call. Null: SampleLabels must say. */
  of(reader: LineReader, type: MetricType): Uint8Array | null {
    const { bytes, labels, labelCount } = reader
    if (bytes[reader.nameStart - 1] === QUOTE || labelCount + this.#names.length >= limits.labelsPerSeriesMax) return null
    if (!sortNames(reader)) return null
    const names = this.#names
    const pairs = this.#pairs
    scratch.length = 0
    let t = 0
    for (let k = 0; k <= labelCount; k++) {
      const i = scratch.order[k]!
      const own = i < 0
      const source = own ? metricName : bytes
      const from = own ? 0 : labels[i]!
      const to = own ? metricName.length : labels[i + 1]!
      for (; t < names.length; t++) {
        const name = names[t]!
        const order = compareBytes(name, 0, name.length, source, from, to)
        if (order === 0) return null
        if (order > 0) break
        putPair(pairs[t]!)
      }
      const valueFrom = own ? reader.nameStart : labels[i + 2]!
      const valueTo = own ? reader.nameEnd : labels[i + 3]!
      if (valueFrom === valueTo) continue // an empty label is none
      if (!putPart(source, from, to)) return null
      const bound = !own && type === 'histogram' ? isLe(bytes, from, to) : !own && type === 'summary' ? isQuantile(bytes, from, to) : false
      if (bound ? !putBound(bytes, valueFrom, valueTo, type) : !putPart(bytes, valueFrom, valueTo)) return null
    }
    for (; t < names.length; t++) putPair(pairs[t]!)
    return scratch.length > limits.labelBytesPerSeriesMax / 3 ? null : scratch.out.subarray(0, scratch.length)
  }
}

function isLe(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from === 2 && bytes[from] === 108 && bytes[from + 1] === 101
}

const quantile = utf8Bytes('quantile')
function isQuantile(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from === quantile.length && compareBytes(bytes, from, to, quantile, 0, quantile.length) === 0
}

function compareBytes(a: Uint8Array, aFrom: number, aTo: number, b: Uint8Array, bFrom: number, bTo: number): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom)
  for (let i = 0; i < length; i++) {
    const difference = a[aFrom + i]! - b[bFrom + i]!
    if (difference !== 0) return difference
  }
  return aTo - aFrom - (bTo - bFrom)
}

/** An insertion sort, for there are few and they come nearly sorted. @returns false where a name is quoted or comes twice. */
function sortNames(reader: LineReader): boolean {
  const { bytes, labels, labelCount } = reader
  if (labelCount >= scratch.order.length) scratch.order = new Int32Array(labelCount * 2)
  const order = scratch.order
  order[0] = -1
  for (let k = 1; k <= labelCount; k++) {
    const i = (k - 1) * 4
    const from = labels[i]!
    const to = labels[i + 1]!
    if (bytes[from - 1] === QUOTE) return false
    let j = k - 1
    for (; j >= 0; j--) {
      const other = order[j]!
      const compared =
        other < 0
          ? compareBytes(metricName, 0, metricName.length, bytes, from, to)
          : compareBytes(bytes, labels[other]!, labels[other + 1]!, bytes, from, to)
      if (compared === 0) return false
      if (compared < 0) break
      order[j + 1] = other
    }
    order[j + 1] = i
  }
  return true
}

/** A name or a value with its length. @returns false where it holds an escape. */
function putPart(source: Uint8Array, from: number, to: number): boolean {
  const length = to - from
  reserve(length + 5)
  const out = scratch.out
  let at = scratch.length
  let rest = length
  while (rest > shortMax) {
    out[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  out[at++] = rest
  for (let i = from; i < to; i++) {
    const c = source[i]!
    if (c === BACKSLASH) return false
    out[at++] = c
  }
  scratch.length = at
  return true
}

/** The bound of a bucket or a quantile as OpenMetrics writes it. */
function putBound(bytes: Uint8Array, from: number, to: number, type: MetricType): boolean {
  if (to - from > shortMax) return false
  const text = latin1Text(bytes, from, to)
  let bound = scratch.bounds.get(text)
  if (bound === undefined) {
    if (/[^\x20-\x5b\x5d-\x7e]/.test(text)) return false
    bound = utf8Bytes(normalBound(type, type === 'histogram' ? 'le' : 'quantile', text))
    if (scratch.bounds.size >= boundsMax) scratch.bounds.clear()
    scratch.bounds.set(text, bound)
  }
  return putPart(bound, 0, bound.length)
}

function putPair(pair: Uint8Array): void {
  reserve(pair.length)
  scratch.out.set(pair, scratch.length)
  scratch.length += pair.length
}

function reserve(more: number): void {
  if (scratch.length + more <= scratch.out.length) return
  const grown = new Uint8Array((scratch.length + more) * 2)
  grown.set(scratch.out.subarray(0, scratch.length))
  scratch.out = grown
}
