// What a write batch carries besides float samples, each part a list in msgpack: rare enough not to want columns.
import { Packr } from 'msgpackr/pack'
import type { Histogram } from '../../src/model/histogram.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import { corrupt } from './batch-columns.ts'

export type BatchHistogram = Readonly<{ ref: number; timeMs: number; startTimeMs: number; histogram: Histogram }>
export type BatchExemplar = Readonly<{ ref: number; labels: readonly string[]; value: number; timeMs: number; hasTime: boolean }>
/** Samples of matching series within [startMs, endMs] are deleted. */
export type BatchDeletion = Readonly<{ matchers: readonly Matcher[]; startMs: number; endMs: number }>

const nothing = new Uint8Array(0)
/** With its types, or the buckets of a histogram would be written as bytes, a byte each. */
const codec = new Packr({ useRecords: false, moreTypes: true })

export function packed(items: readonly unknown[]): Uint8Array {
  return items.length === 0 ? nothing : codec.pack(items)
}
export function unpacked<T>(bytes: Uint8Array): readonly T[] {
  if (bytes.length === 0) return []
  const items: unknown = codec.unpack(bytes)
  if (!Array.isArray(items)) throw corrupt('a section is not a list')
  return items as T[]
}
