// Samples of one series of the head, oldest first: full chunks from the chunk store, then the open one.
import type { SampleColumns } from '../../model/samples.ts'
import { decodeChunk } from '../chunks/decode.ts'
import { decodeXor } from '../chunks/xor.ts'
import type { Head } from './head.ts'

const order: number[] = []

/** Appends the samples of a series within [startMs, endMs] to `into`; of those that came in order only the ones up to `capMs`. */
export function readSeries(head: Head, series: number, startMs: number, endMs: number, into: SampleColumns, capMs = Infinity): void {
  const from = into.length
  readInOrder(head, series, startMs, Math.min(endMs, capMs), into)
  if (head.outOfOrder.size > 0) head.outOfOrder.mergeInto(series, { startMs, endMs }, from, into)
}

/** Appends at least the newest sample that readSeries would: mostly it is the one the head keeps outside of its chunk. */
export function readNewest(head: Head, series: number, startMs: number, endMs: number, into: SampleColumns, capMs = Infinity): void {
  const { xor } = head
  const time = xor.times[series]!
  if (xor.counts[series] === 0 || time > endMs || time > capMs || head.outOfOrder.size > 0)
    return readSeries(head, series, startMs, endMs, into, capMs)
  if (time < startMs) return
  into.reserve(1)
  const n = into.length++
  into.times[n] = time
  into.bits[n * 2] = xor.values[series * 2 + 1]!
  into.bits[n * 2 + 1] = xor.values[series * 2]!
  if (into.histograms !== null) into.histograms[n] = null
  if (into.startTimes !== null) into.startTimes[n] = 0
}

/** Those alone that came in order. */
export function readInOrder(head: Head, series: number, startMs: number, endMs: number, into: SampleColumns): void {
  const { chunks } = head
  order.length = 0
  for (let link = head.newestChunk[series]!; link !== 0; link = chunks.previous[link - 1]!) {
    const entry = link - 1
    if (chunks.maxTime(entry) < startMs) break
    if (chunks.minTimes[entry]! <= endMs) order.push(entry)
  }
  for (let i = order.length - 1; i >= 0; i--) {
    const entry = order[i]!
    decodeChunk(chunks.encoding(entry), chunks.data(entry), startMs, endMs, into)
  }
  const open = head.openHistogram(series)
  if (open !== undefined) {
    if (open.maxTime >= startMs && open.minTime <= endMs) decodeChunk(open.encoding, open.bytes(), startMs, endMs, into)
  } else if (head.xor.counts[series]! > 0 && head.xor.times[series]! >= startMs && head.firstTimes[series]! <= endMs) {
    decodeXor(head.openChunk(series), startMs, endMs, into)
  }
}
