// Any exposition as entries: the one door for callers that don't care about the format.
import { convertClassicHistograms } from './classic.ts'
import { readTextEntries, type MetricEntry, type ReadOptions } from './entries.ts'
import type { ExpositionFormat } from './formats.ts'
import { readProtobufEntries } from './protobuf.ts'

/** Throws PromhiveError SCRAPE with a position where the body is broken; entries before that are yielded. */
export function readEntries(body: Uint8Array, format: ExpositionFormat, options: ReadOptions): Iterable<MetricEntry> {
  if (format === 'protobuf') return readProtobufEntries(body, options)
  const entries = readTextEntries(body, format, options)
  return options.convertClassic ? convertClassicHistograms(entries, options.keepClassic) : entries
}
