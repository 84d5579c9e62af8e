// Write batches of the first version, as logs of that time hold them: plain columns, at multiples of 8 so that typed arrays can lie over the record.
//
//   ┌ header 48 B ┬ out-of-order window f64, where flag 2 is set ┬ values f64[n] ┬ times f64[n] or runs ┬ refs u32[n] ┬ released u32[] ┬ announcements ┬ histograms ┬ exemplars ┬ deletions ┐
//
//   header   0 u32 magic "PWB1"   4 u32 flags (1: times are runs, 2: a window, 4: stale series are to be cut)   8 u32 samples n   12 u32 runs   16 f64 appendedMs
//           24 u32 announcement bytes   28 u32 histogram bytes   32 u32 exemplar bytes   36 u32 0   40 u32 deletion bytes   44 u32 released refs
//   runs     (f64 timeMs, f64 count) each: samples that share a timestamp
//   announcements  uvarint ref, uvarint length, canonical label bytes
import { corrupt } from './batch-columns.ts'
import { unpacked, type BatchDeletion, type BatchExemplar, type BatchHistogram } from './batch-parts.ts'
import type { WriteBatch } from './write-batch.ts'

const magic = 0x31425750
const headerBytes = 48
const timesAreRuns = 1
const hasOutOfOrderWindow = 2
const cutsStaleSeries = 4

export function isPlainBatch(record: Uint8Array): boolean {
  return record.length >= headerBytes && new DataView(record.buffer, record.byteOffset).getUint32(0, true) === magic
}

/** Lays a batch over a record, which is copied only where it does not start at a multiple of 8. Throws PromhiveError STORAGE_CORRUPT. */
export function decodePlainBatch(bytes: Uint8Array): WriteBatch {
  const record = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const flags = view.getUint32(4, true)
  const n = view.getUint32(8, true)
  const runs = view.getUint32(12, true)
  const announcements = view.getUint32(24, true)
  const sizes = [view.getUint32(28, true), view.getUint32(32, true), view.getUint32(40, true)] as const
  const released = view.getUint32(44, true)
  const valuesAt = headerBytes + (flags & hasOutOfOrderWindow ? 8 : 0)
  const timesAt = valuesAt + n * 8
  const refsAt = timesAt + (flags & timesAreRuns ? runs * 16 : n * 8)
  const tailAt = refsAt + (n + released) * 4
  if (tailAt + announcements + sizes[0] + sizes[1] + sizes[2] !== record.length) {
    throw corrupt(`parts do not add up to ${record.length} bytes`)
  }
  const buffer = record.buffer
  const base = record.byteOffset
  let times: Float64Array
  if (flags & timesAreRuns) {
    times = new Float64Array(n)
    const from = new Float64Array(buffer, base + timesAt, runs * 2)
    let i = 0
    for (let r = 0; r < runs * 2; r += 2) {
      const next = Math.min(n, i + from[r + 1]!)
      times.fill(from[r]!, i, next)
      i = next
    }
  } else {
    times = new Float64Array(buffer, base + timesAt, n)
  }
  let at = tailAt
  const part = (length: number): Uint8Array => record.subarray(at, (at += length))
  return {
    appendedMs: view.getFloat64(16, true),
    length: n,
    outOfOrderWindowMs: flags & hasOutOfOrderWindow ? view.getFloat64(headerBytes, true) : 0,
    values: new Float64Array(buffer, base + valuesAt, n),
    bits: new Uint32Array(buffer, base + valuesAt, n * 2),
    times,
    refs: new Uint32Array(buffer, base + refsAt, n),
    released: new Uint32Array(buffer, base + refsAt + n * 4, released),
    announcements: { bytes: part(announcements), frontCoded: false },
    histograms: unpacked<BatchHistogram>(part(sizes[0])),
    exemplars: unpacked<BatchExemplar>(part(sizes[1])),
    deletions: unpacked<BatchDeletion>(part(sizes[2])),
    cutStaleSeries: (flags & cutsStaleSeries) !== 0,
  }
}
